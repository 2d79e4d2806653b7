"""The processes of LiveDesk Sync, and ``Stack``: all of them together."""

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.rig.processes import LOCALHOST, Process, answers, free_port, has_logged, start_together, stop_together
from tests.rig.valkey import Valkey

ROOT = Path(__file__).resolve().parents[2]
#: What a child inherits of our environment: nothing that configures LiveDesk Sync.
KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ")
#: The account and the inbox that the stand-in knows.
STAND_IN_ACCOUNT = {
    "LIVEDESK_API_KEY": "stand-in-key",
    "LIVEDESK_API_SECRET": "stand-in-secret",
    "LIVEDESK_INBOX_ID": "1",
}
#: The settings of ``Stack.on_free_ports``.
TEST_ENV = {"WEBHOOK_SECRET": "whsec_dGhlLXNlY3JldC1vZi10aGUtdGVzdHMtMDEyMzQ1", "API_TOKEN": "the-token-of-the-tests"}
#: Seconds that a worker may take to finish its attempts: more than one request to LiveDesk takes.
WORKER_STOP_S = 45.0


def bare_environment() -> dict[str, str]:
    """Return an environment that configures nothing."""
    return {name: os.environ[name] for name in KEPT if name in os.environ}


def stand_in(port: int, *, log: Path, options: tuple[str, ...] = ()) -> Process:
    """Return the stand-in for LiveDesk (``python -m tests.livedesk``)."""
    command = [sys.executable, "-m", "tests.livedesk", "--port", str(port)]
    command += ["--api-key", STAND_IN_ACCOUNT["LIVEDESK_API_KEY"]]
    command += ["--api-secret", STAND_IN_ACCOUNT["LIVEDESK_API_SECRET"], *options]
    ready = answers(f"http://{LOCALHOST}:{port}/_control/contacts")
    return Process("stand-in LiveDesk", command, log=log, cwd=ROOT, port=port, ready=ready)


def receiver(port: int, name: str = "receiver", *, env: Mapping[str, str], log: Path, cwd: Path = ROOT) -> Process:
    """Return a web process, as in the Procfile."""
    return Process(
        name,
        [str(ROOT / "bin" / "web")],
        log=log,
        cwd=cwd,
        env={**_with_our_programs(env), "PORT": str(port), "WEB_HOST": LOCALHOST},
        port=port,
        ready=answers(f"http://{LOCALHOST}:{port}/healthz"),
        stop_s=20.0,
    )


def worker(name: str = "worker", *, env: Mapping[str, str], log: Path, cwd: Path = ROOT) -> Process:
    """Return a worker process, as in the Procfile."""
    return Process(
        name,
        [str(ROOT / "bin" / "worker")],
        log=log,
        cwd=cwd,
        env=_with_our_programs(env),
        ready=has_logged("worker ready"),
        stop_s=WORKER_STOP_S,
    )


def _with_our_programs(env: Mapping[str, str]) -> dict[str, str]:
    """Use this Python's ``granian`` and ``celery``, and our packages, in any folder."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), env.get("PATH", os.defpath)])
    return {**env, "PATH": path, "PYTHONPATH": str(ROOT)}


def _names(kind: str, number: int) -> list[str]:
    return [kind] if number == 1 else [f"{kind} {n}" for n in range(1, number + 1)]


class Stack:
    """Redis, LiveDesk, receivers and workers, each a ``Process`` to kill or restart.

    ``env`` is the environment of receivers and workers. Without ``valkey_port`` it must name a Redis (``REDIS_URL``),
    without ``stand_in_port`` a LiveDesk (``LIVEDESK_...``). ``cwd`` is where relative paths start, such as that of
    ``sources.toml``. ``port`` is that of the first receiver, ``more_ports`` are those of further ones.
    """

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        *,
        cwd: Path = ROOT,
        port: int,
        more_ports: tuple[int, ...] = (),
        valkey_port: int | None = None,
        stand_in_port: int | None = None,
        stand_in_options: tuple[str, ...] = (),
        workers: int = 1,
    ) -> None:
        logs = folder / "logs"
        self.folder = folder
        self.env = dict(env)
        self.url = f"http://{LOCALHOST}:{port}"
        self.valkey: Valkey | None = None
        self.stand_in: Process | None = None
        if valkey_port is not None:
            self.valkey = Valkey(folder / "valkey", port=valkey_port, log=logs / "valkey.log")
            self.env["REDIS_URL"] = self.valkey.url
        if stand_in_port is not None:
            self.stand_in = stand_in(stand_in_port, log=logs / "livedesk.log", options=stand_in_options)
            self.env |= STAND_IN_ACCOUNT | {"LIVEDESK_BASE_URL": f"http://{LOCALHOST}:{stand_in_port}"}
        self.workers = [
            worker(name, env=self.env, log=logs / f"{name}.log", cwd=cwd) for name in _names("worker", workers)
        ]
        ports = (port, *more_ports)
        self.receivers = [
            receiver(port, name, env=self.env, log=logs / f"{name}.log", cwd=cwd)
            for name, port in zip(_names("receiver", len(ports)), ports, strict=True)
        ]
        self.receiver = self.receivers[0]

    @classmethod
    def on_free_ports(
        cls,
        folder: Path,
        env: Mapping[str, str] | None = None,
        *,
        workers: int = 1,
        receivers: int = 1,
        stand_in_options: tuple[str, ...] = (),
    ) -> Self:
        """Return a system with ``TEST_ENV`` and ``env``, without our environment.

        It reads a ``sources.toml`` in ``folder``.
        """
        return cls(
            folder,
            {**bare_environment(), **TEST_ENV, **(env or {})},
            cwd=folder,
            port=free_port(),
            more_ports=tuple(free_port() for _ in range(1, receivers)),
            valkey_port=free_port(),
            stand_in_port=free_port(),
            stand_in_options=stand_in_options,
            workers=workers,
        )

    @property
    def redis_url(self) -> str:
        return self.env["REDIS_URL"]

    @property
    def livedesk_url(self) -> str:
        return self.env["LIVEDESK_BASE_URL"]

    @property
    def servers(self) -> list[Process]:
        """What receivers and workers depend on."""
        return [part for part in (self.valkey, self.stand_in) if part is not None]

    @property
    def parts(self) -> list[Process]:
        return [*self.servers, *self.workers, *self.receivers]

    def start(self) -> Self:
        """Start every part: first the servers, then receivers and workers.

        Raises:
            StartError: one did not start. The others are stopped again.
        """
        try:
            start_together(self.servers)
            start_together([*self.workers, *self.receivers])
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop every part: first receivers and workers, then the servers."""
        stop_together([*self.receivers, *self.workers])
        stop_together(self.servers)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
