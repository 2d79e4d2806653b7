"""Kills the processes of a dead parent, to free their ports and data folders.

A helper process reads from a pipe which process groups to kill. When the parent dies, in whatever way, the pipe closes,
and the helper kills the groups that are left. (Linux's PR_SET_PDEATHSIG acts when the starting *thread* ends.)
"""

import atexit
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

_lock = threading.Lock()
_helper: subprocess.Popen[str] | None = None


def guard(group: int) -> None:
    """Kill this process group when this process dies."""
    _send(f"+{group}")


def release(group: int) -> None:
    """Forget a group that has ended: its number may soon belong to another program."""
    _send(f"-{group}")


def kill_group(group: int) -> None:
    """Kill what is left of a process group that we started."""
    # macOS refuses (EPERM) where only zombies are left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _send(line: str) -> None:
    global _helper
    with _lock:
        if _helper is None:
            quiet = subprocess.DEVNULL
            # In a session of its own, so that neither Ctrl-C nor a closed terminal reaches it.
            _helper = subprocess.Popen(
                [sys.executable, "-I", __file__],
                stdin=subprocess.PIPE,
                stdout=quiet,
                stderr=quiet,
                text=True,
                start_new_session=True,
            )
            atexit.register(_helper.communicate)
        assert _helper.stdin is not None
        _helper.stdin.write(f"{line}\n")
        _helper.stdin.flush()


if __name__ == "__main__":
    groups: set[int] = set()
    for command in sys.stdin:
        (groups.add if command.startswith("+") else groups.discard)(int(command[1:]))
    for left in groups:
        kill_group(left)
