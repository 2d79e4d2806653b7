"""What ``make run`` shows: the logs as they grow, and how to use what is running."""

import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.rig.local import Local
from tests.rig.processes import Process

#: Seconds between two looks at the logs.
LOOK_S = 0.1
#: ANSI colours, one a process.
COLOURS = (36, 35, 32, 33, 34)


def say(text: str) -> None:
    """A line of our own; a terminal that has been closed is no reason to fail."""
    with suppress(OSError):
        print(text, flush=True)  # noqa: T201  # the one place that does


class Echo:
    """Repeats what processes log from now on, each line with the name of its process."""

    def __init__(self, processes: Sequence[Process]) -> None:
        width = max(len(process.name) for process in processes)
        self._tails = [
            _Tail(process.log, _prefix(process.name.ljust(width), colour))
            for process, colour in zip(processes, COLOURS * len(processes), strict=False)
        ]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="echo", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            self._repeat()
        self._repeat()

    def _repeat(self) -> None:
        for tail in self._tails:
            tail.repeat()


class _Tail:
    """The part of one log that has not been shown."""

    def __init__(self, log: Path, prefix: str) -> None:
        self.log = log
        self.prefix = prefix
        self.shown = log.stat().st_size if log.exists() else 0

    def repeat(self) -> None:
        """Show the whole lines that came in since the last time."""
        if not self.log.exists():
            return
        with self.log.open("rb") as log:
            log.seek(self.shown)
            lines, newline, _ = log.read().rpartition(b"\n")
        self.shown += len(lines) + len(newline)
        for line in lines.decode(errors="replace").splitlines():
            if line.strip():
                say(f"{self.prefix} {line}")


def _prefix(name: str, colour: int) -> str:
    return f"\x1b[{colour}m{name} |\x1b[0m" if sys.stdout.isatty() else f"{name} |"


def welcome(local: Local) -> str:
    """How to use what is running."""
    stack, made = local.stack, local.made
    paragraphs = ["", "LiveDesk Sync is running. Ctrl-C stops everything.", ""]
    if "WEBHOOK_SECRET" in made:
        paragraphs += ["Send a signup:", "", _send_line(stack.url, made["WEBHOOK_SECRET"]), ""]
    else:
        paragraphs += [f"Signups go to {stack.url}/webhooks/<source>, signed as your sources say. Send a test:", ""]
        paragraphs += [f"  {_flask(local)} send-test {local.sources[0]}", ""]
    if "API_TOKEN" in made:
        paragraphs += ["See what became of it:", "", _look_line(stack.url, made["API_TOKEN"]), ""]
    if stack.stand_in is not None:
        about_livedesk = (
            f"a stand-in, which forgets when it stops; what it holds: {stack.livedesk_url}/_control/contacts"
        )
    else:
        about_livedesk = "the real one, with your key"
    about_redis = f"{stack.redis_url}, embedded" if stack.valkey is not None else "yours"
    paragraphs += [
        f"Dashboard  {_about_dashboard(stack.url, made.get('DASHBOARD_PASSWORD'))}",
        f"LiveDesk   {about_livedesk}",
        f"Redis      {about_redis}",
        *(f"           {problem}" for problem in local.redis_problems),
        f"Data       {_short(stack.folder)}; logs in {_short(stack.folder / 'logs')}",
        f"Commands   {_flask(local)} --help",
        "",
    ]
    return "\n".join(paragraphs)


def _about_dashboard(url: str, password: str | None) -> str:
    given = f"password {password}" if password else "with your password"
    return f"{url}/dashboard, {given}"


def _send_line(url: str, secret: str) -> str:
    return (
        f"  curl {url}/webhooks/signup -H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json' \\\n"
        """    -d '{"identifier": "ada-1", "name": "Ada Lovelace", "email": "ada@example.com"}'"""
    )


def _look_line(url: str, token: str) -> str:
    return f"  curl {url}/contacts/ada-1 -H 'Authorization: Bearer {token}'"


def _flask(local: Local) -> str:
    return f".venv/bin/flask --env-file {_short(local.env_file)} --app webhook_app.wsgi"


def _short(path: Path) -> str:
    """As a person in this folder would write it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
