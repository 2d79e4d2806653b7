"""The log of changes and deletions that reached LiveDesk.

``finish`` writes it. It contains names of fields, never their values.
"""

from dataclasses import dataclass
from typing import Any

from worker.model import Outcome
from worker.store import keys
from worker.store.connection import translated
from worker.store.database import Database

#: Entries that Redis searches at once: a few ms.
CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change or a deletion of the contact ``key`` that LiveDesk knows since ``at``.

    ``outcome``: ``updated``, ``marked`` or ``deleted``. ``fields`` were sent; an attribute is
    ``custom_attributes.<name>``. ``event`` is the sender's name of the newest event, which happened there at
    ``event_at`` and opened the contact here at ``arrived_at``.
    """

    id: str
    at: int
    key: str
    outcome: Outcome
    source: str
    event: str = ""
    event_at: int | None = None
    arrived_at: int | None = None
    fields: tuple[str, ...] = ()
    contact_id: str | None = None


class Changes:
    def __init__(self, db: Database) -> None:
        self.db = db

    def recent(
        self, key: str | None = None, *, before: str | None = None, since: int = 0, limit: int = 50
    ) -> list[Change]:
        """Return changes, the latest first: all, or those of one contact.

        ``before`` is an entry's id; nothing that is older than ``since`` is read.
        """
        last, first = f"({before}" if before else "+", str(since)
        if key is not None:
            return self._of_contact(key, last, first, limit)
        with translated():
            entries: Any = self.db.client.xrevrange(keys.CHANGES, max=last, min=first, count=limit)
        return [_load(entry, fields) for entry, fields in entries]

    def _of_contact(self, key: str, last: str, first: str, limit: int) -> list[Change]:
        found: list[Change] = []
        while last and len(found) < limit:
            last, entries = self.db.run("find_changes", key=key, last=last, first=first, size=CHUNK)
            found += [_load(entry, dict(zip(flat[::2], flat[1::2], strict=True))) for entry, flat in entries]
        return found[:limit]


def _load(entry: str, fields: dict[str, str]) -> Change:
    return Change(
        id=entry,
        at=int(fields["at"]),
        key=fields["key"],
        outcome=Outcome(fields["did"]),
        source=fields["source"],
        event=fields.get("event", ""),
        event_at=int(fields["event_at"]) if fields.get("event_at") else None,
        arrived_at=int(fields["arrived_at"]) if fields.get("arrived_at") else None,
        fields=tuple(fields.get("fields", "").split()),
        contact_id=fields.get("contact_id") or None,
    )
