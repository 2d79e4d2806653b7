"""The audit log: what people did and the sync decided, to what, and why.

What the sync decided and failed sign-ins are in streams of their own, so that neither displaces what people did.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any

from worker.model import Way
from worker.store import keys
from worker.store.connection import translated
from worker.store.database import Database

#: Entries that are kept, and those of failed sign-ins.
MAX_ENTRIES, MAX_FAILED = 10_000, 2_000
FIELDS = ("who", "did", "target", "why", "way")
#: The latest entries that are searched for those about one contact.
SEARCHED = 500
#: Entries that are read at once.
CHUNK = 500
#: Who decides without an operator.
SYNC = "sync"
STREAMS = (keys.AUDIT, keys.DECISIONS, keys.FAILED_SIGN_INS)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An action on ``target`` (a contact's key, or a name) ``at`` a time in ms.

    ``way`` is a ``Way``, or ``""`` in entries of earlier versions.
    """

    id: str
    at: int
    who: str
    did: str
    target: str
    why: str
    way: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """``who`` and ``did`` are parts of the text, in any case; the others are equal.

    ``since`` and ``until`` are ms since the epoch, and both included.
    """

    who: str = ""
    did: str = ""
    target: str = ""
    way: str = ""
    since: int | None = None
    until: int | None = None

    def matches(self, entry: AuditEntry) -> bool:
        """Return whether it is such an entry; times are not compared."""
        return (
            self.who.casefold() in entry.who.casefold()
            and self.did.casefold() in entry.did.casefold()
            and self.target in ("", entry.target)
            and self.way in ("", entry.way)
        )


class Audit:
    def __init__(self, db: Database) -> None:
        self.db = db

    def add(self, who: str, did: str, target: str = "", why: str = "", *, way: Way) -> None:
        """Record an action. No personal data in ``target`` or ``why``."""
        self._add(keys.AUDIT, MAX_ENTRIES, dict(zip(FIELDS, (who, did, target, why, way), strict=True)))

    def add_failed_sign_in(self, did: str, target: str, why: str, *, way: Way) -> None:
        """Record a failed sign-in. Nobody knows who tried."""
        self._add(keys.FAILED_SIGN_INS, MAX_FAILED, dict(zip(FIELDS, ("", did, target, why, way), strict=True)))

    def entries(self, wanted: AuditFilter, before: str | None = None) -> Iterator[AuditEntry]:
        """Yield the entries that match, the latest first; ``before`` is an entry's id."""
        streams = [self._newest(stream, wanted, before) for stream in STREAMS]
        return filter(wanted.matches, merge(*streams, key=_order, reverse=True))

    def page(
        self, *, before: str | None = None, limit: int = 50, wanted: AuditFilter = AuditFilter()
    ) -> list[AuditEntry]:
        """Return entries, the latest first; ``before`` is an entry's id."""
        return list(islice(self.entries(wanted, before), limit))

    def about(self, target: str) -> list[AuditEntry]:
        """Return what the latest entries say about a contact's key, the latest first."""
        entries = [entry for stream in STREAMS[:2] for entry in self._read(stream, "+", "-", SEARCHED)]
        return sorted((entry for entry in entries if entry.target == target), key=_order, reverse=True)

    def _add(self, stream: str, kept: int, fields: dict[Any, Any]) -> None:
        with translated():
            self.db.client.xadd(stream, fields, maxlen=kept, approximate=True)

    def _newest(self, stream: str, wanted: AuditFilter, before: str | None) -> Iterator[AuditEntry]:
        """Yield the entries of one stream in the time of the filter, the latest first."""
        first = "-" if wanted.since is None else str(wanted.since)
        last = "+" if wanted.until is None else str(wanted.until)
        if before and (wanted.until is None or _position(before)[0] <= wanted.until):
            last = f"({before}"
        while True:
            entries = self._read(stream, last, first, CHUNK)
            yield from entries
            if len(entries) < CHUNK:
                return
            last = f"({entries[-1].id}"

    def _read(self, stream: str, last: str, first: str, limit: int) -> list[AuditEntry]:
        unsaid = {"who": SYNC, "way": Way.SYNC} if stream == keys.DECISIONS else {}
        with translated():
            entries: Any = self.db.client.xrevrange(stream, max=last, min=first, count=limit)
        return [
            AuditEntry(entry, int(entry.partition("-")[0]), *({**unsaid, **fields}.get(name, "") for name in FIELDS))
            for entry, fields in entries
        ]


def _order(entry: AuditEntry) -> tuple[int, int]:
    return _position(entry.id)


def _position(entry_id: str) -> tuple[int, int]:
    at, _, number = entry_id.partition("-")
    return int(at), int(number)
