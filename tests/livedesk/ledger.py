"""The records of the stand-in: every executed create, every request, and counts.

Times are seconds since the epoch (``float``), read from the clock of this machine. A request is *finished* when its
last byte was sent, when its connection was broken on purpose, or when its client was seen to have left: from then on
the client knows as much as it ever will.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.livedesk.contact import Contact, Json
from tests.livedesk.message import Request

ENDINGS = ("answered", "broken", "client_left", "stopped")


@dataclass(slots=True)
class RequestRecord:
    """One request of the API.

    ``status`` is what went over the wire (``None``: no status line did), ``verdict`` what the book had decided
    (``None``: it was never asked). ``executed`` is when a create, update or delete took effect, ``None`` if it did
    not. ``ending`` is one of ``ENDINGS``, ``None`` while the request is in flight. ``identifier`` is what a search
    looked for, otherwise what the body holds. ``body`` is what a create or update sent. ``port`` is the client's.
    """

    number: int
    kind: str
    method: str
    path: str
    identifier: str | None
    received: float
    mode: str | None = None
    executed: float | None = None
    contact_id: int | None = None
    verdict: int | None = None
    status: int | None = None
    ending: str | None = None
    finished: float | None = None
    body: Json | None = None
    port: int = 0

    def overlaps(self, later: "RequestRecord") -> bool:
        """Whether a later request for this identifier arrived before this one ended."""
        return self.identifier == later.identifier and (self.finished is None or later.received < self.finished)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One executed create: ``request`` created a contact with this identifier."""

    time: float
    identifier: str | None
    contact_id: int
    email: str | None
    request: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since the start or the last reset.

    ``received`` is by kind, ``answered`` by status, ``endings`` by ending, ``misbehaved`` by mode. ``overlaps``
    counts creates that came while another one for the same identifier was in flight, ``duplicates`` creates that
    were executed beyond the first for their identifier. ``faults`` counts errors of the stand-in itself.
    """

    received: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    misbehaved: dict[str, int] = field(default_factory=dict)
    executed: int = 0
    duplicates: int = 0
    overlaps: int = 0
    in_flight: int = 0
    faults: int = 0
    contacts: int = 0


class Ledger:
    """Append-only, safe to use from many threads.

    ``limit`` limits both lists; 0 keeps only counts.

    Duplicates are counted over the identifiers seen, which costs memory for each; with ``limit=0`` they are not.
    """

    def __init__(self, clock: Callable[[], float], *, limit: int | None = None) -> None:
        self._clock, self._limit = clock, limit
        self._lock = threading.Lock()
        self._entries: deque[LedgerEntry] = deque(maxlen=limit)
        self._records: deque[RequestRecord] = deque(maxlen=limit)
        self._seen: Counter[str] = Counter()
        self._creating: Counter[str] = Counter()
        self._received: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._endings: Counter[str] = Counter()
        self._misbehaved: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    def open(self, request: Request, received: float, port: int = 0) -> RequestRecord:
        """A request arrived, from this port of the client."""
        record = RequestRecord(request.number, request.kind, request.method, request.path, request.identifier, received)
        record.body = request.params if request.kind in ("create", "update") else None
        record.port = port
        with self._lock:
            self._records.append(record)
            self._received[record.kind] += 1
            self._counts["in_flight"] += 1
            if record.kind == "create" and record.identifier is not None:
                self._counts["overlaps"] += self._creating[record.identifier] > 0
                self._creating[record.identifier] += 1
        return record

    def misbehave(self, record: RequestRecord, mode: str) -> None:
        with self._lock:
            record.mode = mode
            self._misbehaved[mode] += 1

    def execute(self, record: RequestRecord, verdict: int, contact: Contact | None) -> None:
        """Record the execution.

        ``contact`` is the one that the request created, changed or deleted.
        """
        with self._lock:
            record.verdict = verdict
            if contact is None:
                return
            record.contact_id = contact.id
            if record.kind in ("create", "update", "delete"):
                record.executed = self._clock()
            if record.kind == "create":
                self._enter(record, contact)

    def close(self, record: RequestRecord, ending: str, status: int | None = None) -> None:
        """Record the end of the request; only the first call counts."""
        with self._lock:
            if record.ending is not None:
                return
            record.ending, record.status, record.finished = ending, status, self._clock()
            self._endings[ending] += 1
            self._counts["in_flight"] -= 1
            if status is not None:
                self._answered[str(status)] += 1
            if record.kind == "create" and record.identifier is not None:
                self._landed(record.identifier)

    def fault(self) -> None:
        """Count an error of the stand-in itself."""
        with self._lock:
            self._counts["faults"] += 1

    def entries(self) -> list[LedgerEntry]:
        with self._lock:
            return list(self._entries)

    def records(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the requests as JSON objects, oldest first.

        All of them, or those of one kind.
        """
        with self._lock:
            return [asdict(record) for record in self._records if kind in (None, record.kind)]

    def stats(self, contacts: int) -> Stats:
        with self._lock:
            return Stats(
                received=dict(self._received),
                answered=dict(self._answered),
                endings=dict(self._endings),
                misbehaved=dict(self._misbehaved),
                executed=self._counts["executed"],
                duplicates=self._counts["duplicates"],
                overlaps=self._counts["overlaps"],
                in_flight=self._counts["in_flight"],
                faults=self._counts["faults"],
                contacts=contacts,
            )

    def _enter(self, record: RequestRecord, contact: Contact) -> None:
        assert record.executed is not None
        entry = LedgerEntry(record.executed, record.identifier, contact.id, contact.email, record.number)
        self._entries.append(entry)
        self._counts["executed"] += 1
        if self._limit != 0 and record.identifier is not None:
            self._counts["duplicates"] += self._seen[record.identifier] > 0
            self._seen[record.identifier] += 1

    def _landed(self, identifier: str) -> None:
        self._creating[identifier] -= 1
        if not self._creating[identifier]:
            del self._creating[identifier]
