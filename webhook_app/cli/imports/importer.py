"""Stores the rows of a file, in chunks that share one wait for durability."""

import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from types import FrameType

from msgspec import structs

from webhook_app.cli.imports.columns import Plan
from webhook_app.cli.imports.reading import Row
from webhook_app.cli.imports.report import Report
from webhook_app.present.csv_export import bare
from webhook_app.sources.mapping.paths import Scope
from worker.errors import Unmappable
from worker.model import Accepted, Contact, Origin, Signup, Status
from worker.normalise import normalise
from worker.store.contacts import Contacts

#: Rows that are stored before the import waits until they are durable.
CHUNK = 500
#: What a spreadsheet writes instead of a value it cannot compute, and what databases write for NULL.
NO_VALUE = re.compile(r"#(?:N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|ERROR!)|\\N")
#: A number that a spreadsheet shows instead of all its digits: ``6.54321E+12``.
ROUNDED = re.compile(r"[0-9][.,][0-9]+E\+[0-9]+")
#: A number with the apostrophe by which spreadsheets know text; Shopify exports ids and phone numbers so.
QUOTED_NUMBER = re.compile(r"'\+?[0-9][0-9 ().-]*")
NOT_DECODED = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows are imported to, and what they get that the file does not say."""

    origin: Origin
    id_prefix: str = ""
    region: str | None = None
    inbox_id: int | None = None
    needs_inbox: bool = False
    allow_identifiers: tuple[str, ...] = ()
    html_entities: bool = False


@dataclass(slots=True)
class Stop:
    """The ``number`` of the signal that ends the import, or 0."""

    number: int = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note the first signal, so that a chunk is finished; a second interrupts."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        signal.signal(number, signal.default_int_handler)


@dataclass(slots=True)
class Importer:
    """Reads rows by a plan and stores them. ``contacts`` is ``None`` for a dry run.

    ``next_line`` is the first line that is not imported for certain.
    """

    plan: Plan
    target: Target
    report: Report
    contacts: Contacts | None
    next_line: int = 1
    _chunk: list[tuple[Row, Signup]] = field(default_factory=list)
    _people: "_People" = field(default_factory=lambda: _People())

    def add(self, row: Row) -> None:
        """Read a row, and store the chunk when it is full.

        Raises:
            StoreError: the chunk may be stored or not.
        """
        try:
            signup = self._read(row)
        except Unmappable as error:
            self.report.reject(row, error.problems)
            return
        if signup is None:
            self.report.counts["ignored"] += 1
            return
        for note in signup.notes:
            self.report.notes.add(f"{note.field}: {note.text}", row.line)
        self._chunk.append((row, signup))
        if len(self._chunk) == CHUNK:
            self.flush()

    def flush(self) -> None:
        """Store what has been read.

        Raises:
            StoreError: the chunk may be stored or not.
        """
        if not self._chunk:
            return
        self.next_line = self._chunk[0][0].line
        if self.contacts is None:
            self.report.counts["valid"] += len(self._chunk)
        else:
            self.report.unknown = len(self._chunk)
            results = self.contacts.accept_all([signup for _, signup in self._chunk], self.target.origin, bulk=True)
            self.report.unknown = 0
            for (row, _), accepted in zip(self._chunk, results, strict=True):
                self._count(row, accepted)
        self.next_line = self._chunk[-1][0].line + 1
        self._chunk.clear()

    def _count(self, row: Row, accepted: Accepted) -> None:
        if accepted.clashes_with:
            problem = f'the source "{accepted.clashes_with}" has another person with this identifier'
            self.report.reject(row, {"clash": problem})
        else:
            is_update = accepted.status is Status.ACCEPTED and accepted.is_update
            self.report.counts["updated" if is_update else accepted.status.value] += 1

    def _read(self, row: Row) -> Signup | None:
        """Return the contact in a row; ``None``: the format says that it is not one.

        Raises:
            Unmappable: the row has no usable contact.
        """
        values = self._values(row)
        found = self.plan.mapping.apply(values, Scope(), time.time())
        raw = found.fields if found is not None else {}
        if found is None or (self.plan.ignores_unreachable and not (raw.get("email") or raw.get("phone_number"))):
            return None
        if any(isinstance(value, str) and NOT_DECODED.search(value) for value in raw.values()):
            raise Unmappable({"row": "not in the encoding of the file; give the right one with --encoding"})
        if self.plan.cells and ROUNDED.fullmatch(str(raw.get("identifier", "")).strip()):
            raise Unmappable({"identifier": "rounded by a spreadsheet; export the file again"})
        target = self.target
        signup = normalise(
            raw,
            region=target.region,
            inbox_id=target.inbox_id,
            id_prefix="" if self.plan.is_own_export else target.id_prefix,
            allow_identifiers=target.allow_identifiers,
            html_entities=target.html_entities,
            event=found.event,
        )
        if signup.contact.inbox_id is None and target.needs_inbox:
            raise Unmappable({"inbox_id": "missing; set LIVEDESK_INBOX_ID or give --inbox-id"})
        self._people.check(signup.contact)
        # A blank cell rarely means that somebody has no e-mail address any more.
        return structs.replace(signup, cleared=frozenset()) if signup.cleared else signup

    def _values(self, row: Row) -> object:
        """Return what the mapping reads: the cells by column, or what was in JSON."""
        if row.problem:
            raise Unmappable({"row": row.problem})
        if not isinstance(row.value, list):
            return row.value
        cells: list[str] = row.value
        if len(cells) > self.plan.width and any(cell.strip() for cell in cells[self.plan.width :]):
            raise Unmappable({"row": "has more cells than the header"})
        values: dict[str, object] = {key: _cell(cells[at]) if at < len(cells) else "" for at, key in self.plan.cells}
        for key in self.plan.json_keys & values.keys():
            with suppress(ValueError, RecursionError):
                values[key] = json.loads(str(values[key]), parse_float=Decimal)
        return values


def _cell(written: str) -> str:
    """Return a cell without what a spreadsheet has put into it."""
    if not written:
        return written
    if written[0] == "'" and QUOTED_NUMBER.fullmatch(written):
        return written[1:]
    return "" if NO_VALUE.fullmatch(written.strip()) else bare(written)


class _People:
    """Who has which identifier in this file.

    Two people under one identifier mean that a wrong column is used, and the second would replace the first. Only
    hashes are kept: about 200 bytes for a contact.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, int]] = {}

    def check(self, contact: Contact) -> None:
        """Remember a contact.

        Raises:
            Unmappable: the identifier is that of an earlier row with other addresses.
        """
        reachable = (hash(contact.email or ""), hash(contact.phone_number or ""))
        before = self._seen.setdefault(hash(contact.identifier), reachable)
        if before is reachable or before == reachable:
            return
        empty = hash("")
        pairs = [(old, new) for old, new in zip(before, reachable, strict=True) if empty not in (old, new)]
        if pairs and all(old != new for old, new in pairs):
            raise Unmappable({"identifier": "an earlier row has it, with another e-mail address or phone number"})
