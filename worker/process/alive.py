"""``python -m worker.process.alive [PID]``: whether the workers on this host work.

With the process id of a worker it checks that one, otherwise all on this host. Exits with 0 if they have fresh
heartbeats, otherwise with 1 and a sentence. The heartbeats are in Redis, because a process that is running can still be
stuck. While Redis is unreachable nothing can be known, and no restart would help: then it exits with 0 and says so.
"""

import os
import socket
import sys
from collections.abc import Sequence

from worker.errors import SettingsError, StoreError
from worker.settings import load_settings
from worker.store.connection import connect
from worker.store.queue import Workers, host_and_pid
from worker.store.store import Store


def main(arguments: Sequence[str] = ()) -> str | None:
    """Return what is wrong, or ``None`` if the workers work."""
    if len(arguments) > 1 or not all(text.isdecimal() for text in arguments):
        return "Usage: python -m worker.process.alive [PID]"
    pid = int(arguments[0]) if arguments else None
    if pid is not None and not _is_running(pid):
        return f"There is no process {pid}."
    try:
        workers = Store(connect(load_settings().redis_url, timeout_s=2)).queue.workers()
    except SettingsError as error:
        return str(error)
    except StoreError as error:
        sys.stderr.write(f"Not checked: Redis cannot be used ({error}). The workers wait for it.\n")
        return None
    host = socket.gethostname()
    return _problem(workers, host, pid)


def _problem(workers: Workers, host: str, pid: int | None) -> str | None:
    here = {name: host_and_pid(name)[1] for name in workers.seen if host_and_pid(name)[0] == host}
    if pid is not None:
        here = {name: of_name for name, of_name in here.items() if of_name == pid}
    if not here:
        return f"No worker has run on {host}." if pid is None else f"Process {pid} on {host} is no worker that has run."
    stale = {name: of_name for name, of_name in here.items() if not workers.is_alive(name)}
    # A worker that was killed leaves a heartbeat. Only one that is still there can be stuck.
    stuck = [name for name, of_name in stale.items() if of_name is not None and _is_running(of_name)]
    if not stuck and len(stale) < len(here):
        return None
    name = max(stuck or stale, key=lambda one: workers.seen[one])
    return f"The last heartbeat of worker {name} is {(workers.now - workers.seen[name]) / 1000:.0f} s old."


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # it is another user's
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
