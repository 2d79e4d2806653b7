"""The log of changes and deletions that reached LiveDesk.

``finish`` writes it. It contains names of fields, never their values.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from worker.model import Outcome
from worker.store import keys
from worker.store.connection import translated
from worker.store.database import Database

#: Entries read at once.
CHUNK = 1000


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
        found: list[Change] = []
        with translated():
            for change in self._walk(before, since):
                if key is None or change.key == key:
                    found.append(change)
                if len(found) == limit:
                    break
        return found

    def _walk(self, before: str | None, since: int) -> Iterator[Change]:
        while True:
            last = f"({before}" if before else "+"
            entries: Any = self.db.client.xrevrange(keys.CHANGES, max=last, min=str(since), count=CHUNK)
            yield from (_load(entry, fields) for entry, fields in entries)
            if len(entries) < CHUNK:
                return
            before = entries[-1][0]


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
