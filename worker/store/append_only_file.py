"""Redis's append-only file, which contains what was deleted until it is rewritten."""

from typing import Any

from worker.errors import StoreError
from worker.store.connection import translated
from worker.store.database import Database


def rewrite(db: Database) -> bool:
    """Start to rewrite the append-only file; return whether Redis has one.

    Raises:
        StoreError: Redis does not allow it, or a rewrite is under way that began earlier.
    """
    with translated():
        info: Any = db.client.info("persistence")
        if not info.get("aof_enabled"):
            return False
        if info.get("aof_rewrite_in_progress") or info.get("aof_rewrite_scheduled"):
            raise StoreError("a rewrite that began earlier is under way")
        db.client.bgrewriteaof()
    return True
