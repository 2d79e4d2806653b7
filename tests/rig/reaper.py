"""Ends the processes of a parent that was killed, so that none holds a port or a data folder afterwards.

One small helper process reads the process groups to end from a pipe. When the parent dies, by whatever means, the pipe
closes, and the helper kills the groups that are left. (Linux's PR_SET_PDEATHSIG would fire as soon as the starting
*thread* ends, and is not to be had elsewhere.)
"""

import atexit
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TextIO

_lock = threading.Lock()
_helper: subprocess.Popen[str] | None = None


def guard(group: int) -> None:
    """Should this process die, kill that process group."""
    _tell(f"+{group}")


def release(group: int) -> None:
    """The group has ended: its number may soon be somebody else's."""
    _tell(f"-{group}")


def kill_group(group: int) -> None:
    """Kill what is left of a process group that we started."""
    # macOS refuses (EPERM) where only zombies are left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _tell(line: str) -> None:
    with _lock:
        pipe = _start_helper().stdin
        assert pipe is not None
        pipe.write(f"{line}\n")
        pipe.flush()


def _start_helper() -> subprocess.Popen[str]:
    global _helper
    if _helper is None:
        # In a session of its own, so that neither Ctrl-C nor a closing terminal reaches it.
        command = [sys.executable, "-I", __file__]
        quiet = subprocess.DEVNULL
        _helper = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, text=True, start_new_session=True
        )
        atexit.register(_close, _helper)
    return _helper


def _close(helper: subprocess.Popen[str]) -> None:
    assert helper.stdin is not None
    helper.stdin.close()
    helper.wait()


def reap(lines: TextIO) -> None:
    """What the helper does: keep the books until the pipe closes, then end what is left."""
    groups: set[int] = set()
    for line in lines:
        note = groups.add if line.startswith("+") else groups.discard
        note(int(line[1:]))
    for group in groups:
        kill_group(group)


if __name__ == "__main__":
    reap(sys.stdin)
