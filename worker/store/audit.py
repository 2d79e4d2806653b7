"""The audit log: what people did and the sync decided, to what, and why.

The decisions are in a stream of their own, written by ``finish``, so that they never displace what people did.
"""

from dataclasses import dataclass
from typing import Any

from worker.store import keys
from worker.store.connection import translated
from worker.store.database import Database

#: Entries that are kept.
MAX_ENTRIES = 10_000
FIELDS = ("who", "did", "target", "why")
#: The latest entries that are searched for those about one contact.
SEARCHED = 500
#: Who decides without an operator.
SYNC = "sync"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An action on ``target`` (a contact's key, or a name) ``at`` a time in ms."""

    id: str
    at: int
    who: str
    did: str
    target: str
    why: str


class Audit:
    def __init__(self, db: Database) -> None:
        self.db = db

    def add(self, who: str, did: str, target: str = "", why: str = "") -> None:
        """Record an action. No personal data in ``target`` or ``why``."""
        entry: dict[Any, Any] = {"who": who, "did": did, "target": target, "why": why}
        with translated():
            self.db.client.xadd(keys.AUDIT, entry, maxlen=MAX_ENTRIES, approximate=True)

    def page(self, *, before: str | None = None, limit: int = 50) -> list[AuditEntry]:
        """Return entries, the latest first; ``before`` is an entry's id."""
        entries = self._read(keys.AUDIT, before, limit) + self._read(keys.DECISIONS, before, limit)
        return sorted(entries, key=_order, reverse=True)[:limit]

    def about(self, target: str) -> list[AuditEntry]:
        """Return what the latest entries say about a contact's key, the latest first."""
        entries = self._read(keys.AUDIT, None, SEARCHED) + self._read(keys.DECISIONS, None, SEARCHED)
        return sorted((entry for entry in entries if entry.target == target), key=_order, reverse=True)

    def _read(self, stream: str, before: str | None, limit: int) -> list[AuditEntry]:
        with translated():
            entries: Any = self.db.client.xrevrange(stream, max=f"({before}" if before else "+", count=limit)
        return [
            AuditEntry(entry, int(entry.partition("-")[0]), *({"who": SYNC, **fields}.get(name, "") for name in FIELDS))
            for entry, fields in entries
        ]


def _order(entry: AuditEntry) -> tuple[int, int]:
    at, _, number = entry.id.partition("-")
    return int(at), int(number)
