"""``python -m worker.process.alive``: has a worker on this host made progress lately? For a container's health check.

Exits with 0 if so, else with 1 and one sentence. It asks Redis, where the workers leave a sign each second, because a
process that is there may still be stuck.
"""

import socket
import sys

from worker.errors import SettingsError, StoreError
from worker.settings import load_settings
from worker.store.connection import connect
from worker.store.store import Store

#: A sign older than this counts as none, in ms.
FRESH_MS = 30_000


def main() -> str | None:
    """``None`` if alive, else what is wrong."""
    try:
        workers = Store(connect(load_settings().redis_url, timeout_s=2)).queue.workers()
    except SettingsError as error:
        return str(error)
    except StoreError as error:
        return f"Redis cannot be used: {error}"
    name = socket.gethostname()
    if name not in workers.seen:
        return f"No worker on {name} has ever reported."
    age_ms = workers.now - workers.seen[name]
    return None if age_ms <= FRESH_MS else f"The worker on {name} made no progress for {age_ms / 1000:.0f} s."


if __name__ == "__main__":
    sys.exit(main())
