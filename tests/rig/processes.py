"""One child process: start it, wait until it is ready, stop it, kill it, pause it.

Each process leads a session of its own, so that a signal reaches its children too, and a Ctrl-C in the terminal reaches
none of them.
"""

import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.rig import reaper

LOCALHOST = "127.0.0.1"
#: The range of ``free_port``: below the ports that systems choose for outgoing connections.
PORTS = (15_000, 32_000)
_marks: list[socket.socket] = []
#: Seconds between two checks of a process that is not ready yet.
POLL_S = 0.02
#: Seconds after which no child of a killed process has a port any more.
CHILDREN_END_S = 5.0
#: How many lines of its log are shown when a process fails.
LAST_LINES = 15

#: Whether a process that has been started is ready to work.
Probe = Callable[["Process"], bool]


class StartError(Exception):
    """A process did not start. The text has the reason and the end of its log."""


def free_port() -> int:
    """Return a port that is free and that no other process of these tests gets.

    A UDP socket on the same number, open for as long as this process lives, marks it as taken.
    """
    for _ in range(1000):
        port = random.randrange(*PORTS)
        mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            mark.bind((LOCALHOST, port))
        except OSError:
            mark.close()
            continue
        if is_free(port):
            _marks.append(mark)
            return port
        mark.close()
    raise StartError("There is no free port.")


def is_free(port: int) -> bool:
    """Return whether we could listen on the port."""
    try:
        with socket.create_server((LOCALHOST, port)):
            return True
    except OSError:
        return False


def is_running(process: "Process") -> bool:
    """Ready as soon as it runs."""
    return process.is_running


def has_logged(text: str) -> Probe:
    """Ready once it has logged this."""
    return lambda process: text in process.log_text()


def answers(url: str) -> Probe:
    """Ready once a GET of the address returns 200."""
    # Directly, whatever proxy the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def probe(_: "Process") -> bool:
        try:
            with opener.open(url, timeout=2) as response:
                return bool(response.status == 200)
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            return False

    return probe


class Process:
    """A child process with a log file. As a context manager it runs for the block.

    ``env`` is the whole environment of the child (default: ours). ``port`` is where it will listen, so that another
    program's server there is not mistaken for ours. ``start_s`` and ``stop_s`` limit the seconds that it may take to
    become ready, and to end after SIGTERM.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        port: int | None = None,
        ready: Probe = is_running,
        start_s: float = 30.0,
        stop_s: float = 10.0,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.env = env
        self.cwd = cwd
        self.port = port
        self.ready = ready
        self.start_s = start_s
        self.stop_s = stop_s
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self._child and self._child.pid}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._poll(self._child) is None

    @property
    def pid(self) -> int:
        """The id of the process that was started last."""
        assert self._child is not None, f"{self.name} was never started"
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code (``-9`` after SIGKILL), or ``None`` if not ended or not started."""
        return None if self._child is None else self._poll(self._child)

    def start(self) -> Self:
        """Start and wait until it is ready.

        Raises:
            StartError: it did not become ready; nothing of it is left running.
        """
        self.spawn()
        self.wait_until_ready()
        return self

    def spawn(self) -> None:
        """Start without waiting.

        Raises:
            StartError: its port is taken, or the command cannot be run.
        """
        assert not self.is_running, f"{self.name} runs already"
        if self.port is not None and not self._has_free_port(self.port):
            raise StartError(f"Port {self.port}, which the {self.name} needs, is in use by another program.")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            try:
                self._child = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self.env,
                    cwd=self.cwd,
                    start_new_session=True,
                )
            except OSError as error:
                raise StartError(f"The {self.name} cannot be run: {error.strerror}: {self.command[0]}") from error
        reaper.guard(self._child.pid)

    def _has_free_port(self, port: int) -> bool:
        """Return whether the port is free, once its own children have ended."""
        deadline = time.monotonic() + (CHILDREN_END_S if self._child else 0.0)
        while not (free := is_free(port)) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return free

    def wait_until_ready(self) -> None:
        """Wait for the probe.

        Raises:
            StartError: it ended, or was not ready in time and has been killed.
        """
        deadline = time.monotonic() + self.start_s
        while self.is_running and not self.ready(self):
            if time.monotonic() > deadline:
                self.kill()
                raise self._start_error(f"The {self.name} was not ready within {self.start_s:g} s.")
            time.sleep(POLL_S)
        if not self.is_running:
            raise self._start_error(f"The {self.name} ended at once, with exit code {self.exit_code}.")

    def stop(self, timeout_s: float | None = None) -> None:
        """Send SIGTERM, wait, and kill what is left. Does nothing if it does not run."""
        self.terminate()
        if self.is_running:
            self.wait(self.stop_s if timeout_s is None else timeout_s)
        self.kill()

    def terminate(self) -> None:
        """Send SIGTERM, without waiting."""
        if self.is_running:
            self.resume()
            os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout_s: float) -> bool:
        """Wait until it has ended. Return whether it has."""
        deadline = time.monotonic() + timeout_s
        while self.is_running:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def kill(self) -> None:
        """Send SIGKILL, to its children too, and wait until it is gone."""
        if self.is_running:
            reaper.kill_group(self.pid)
            self.wait(self.stop_s)

    def pause(self) -> None:
        """Send SIGSTOP: it keeps its connections and does not answer."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo ``pause``."""
        os.killpg(self.pid, signal.SIGCONT)

    def restart(self) -> Self:
        """Stop and start again."""
        self.stop()
        return self.start()

    def log_text(self) -> str:
        """Return what it has logged since it was last started, or since ``skip_log``."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def skip_log(self) -> None:
        """Let ``log_text`` begin here."""
        self._log_start = self.log.stat().st_size if self.log.exists() else 0

    def advice(self) -> str | None:
        """Return advice after a failed start; subclasses know their server."""
        return None

    def _start_error(self, sentence: str) -> StartError:
        lines = [f"    {line}" for line in self.log_text().splitlines()[-LAST_LINES:]]
        return StartError("\n".join([self.advice() or sentence, *(["Its last lines:", *lines] if lines else [])]))

    def _poll(self, child: subprocess.Popen[bytes]) -> int | None:
        """Return the exit code; at the end also kill the children that it left."""
        if child.returncode is None and child.poll() is not None:
            reaper.kill_group(child.pid)
            reaper.release(child.pid)
        return child.returncode


def start_together(parts: Sequence[Process]) -> None:
    """Start processes at the same time, and wait until all are ready.

    Raises:
        StartError: one did not start. The others may be running.
    """
    for part in parts:
        part.spawn()
    for part in parts:
        part.wait_until_ready()


def stop_together(parts: Sequence[Process]) -> None:
    """Send SIGTERM to all at the same time, and wait until all have ended."""
    for part in parts:
        part.terminate()
    for part in parts:
        part.stop()
