"""The audit log: what people did, to what, and why."""

from dataclasses import dataclass
from typing import Any

from worker.store import keys
from worker.store.connection import translated
from worker.store.database import Database

#: Entries that are kept.
MAX_ENTRIES = 10_000
FIELDS = ("who", "did", "target", "why")


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
        with translated():
            entries: Any = self.db.client.xrevrange(keys.AUDIT, max=f"({before}" if before else "+", count=limit)
        return [
            AuditEntry(entry, int(entry.partition("-")[0]), *(fields.get(name, "") for name in FIELDS))
            for entry, fields in entries
        ]
