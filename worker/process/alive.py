"""``python -m worker.process.alive``: the health check of a worker's container.

Exits with 0 if a worker on this host has a fresh heartbeat, otherwise with 1 and a sentence. The heartbeats are in
Redis, because a process that is running can still be stuck.
"""

import socket
import sys

from worker.errors import SettingsError, StoreError
from worker.settings import load_settings
from worker.store.connection import connect
from worker.store.store import Store


def main() -> str | None:
    """Return what is wrong, or ``None`` if a worker is alive."""
    try:
        workers = Store(connect(load_settings().redis_url, timeout_s=2)).queue.workers()
    except SettingsError as error:
        return str(error)
    except StoreError as error:
        return f"Redis cannot be used: {error}"
    host = socket.gethostname()
    if host in workers.alive():
        return None
    if host not in workers.seen:
        return f"No worker has run on {host}."
    return f"The last heartbeat of the worker on {host} is {(workers.now - workers.seen[host]) / 1000:.0f} s old."


if __name__ == "__main__":
    sys.exit(main())
