"""A filtered list as CSV (RFC 4180), page by page, so that it may be of any length. No cell is a formula.

What a sender wrote must not run as a formula in a spreadsheet: a cell that could gets a ``'`` in front, which is taken
off when it is read again (OWASP, "CSV Injection").
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from webhook_app.present import serializers
from worker.errors import StoreError
from worker.model import PERSONAL_FIELDS
from worker.store.lists import Filter, Page, Row

if TYPE_CHECKING:
    from webhook_app.parts import Parts

COLUMNS = (
    *("key", "identifier", "state", "cause", "source", "attempts_made", "received_at", "at"),
    *("next_attempt_at", "contact_id", "owner_id", "unknown"),
)
#: What a spreadsheet takes for the beginning of a formula, and our own mark.
RISKY = ("=", "+", "-", "@", "\t", "\r", "'")
NUMBER = re.compile(r"[+-]?[0-9]+")
CHUNK = 250
#: A line of one cell, which no program takes for a contact.
BROKEN_OFF = "BROKEN OFF: Redis cannot be used now. This is not the whole list."


def as_csv(parts: "Parts", wanted: Filter, *, reveal: bool = False) -> Iterator[str]:
    """The lines, some at a time. The first page is read at once, so that a Redis that is away can still be told. One
    that goes away later is told in the last line, for the server ends an answer whose making failed like any other.

    Raises:
        StoreError: nothing was read.
    """
    return _lines(parts, wanted, reveal, parts.store.lists.page(wanted, limit=CHUNK))


def _lines(parts: "Parts", wanted: Filter, reveal: bool, page: Page) -> Iterator[str]:
    yield _text([(*COLUMNS, *(PERSONAL_FIELDS if reveal else ()))])
    try:
        while True:
            yield _text(_cells(parts, page.rows, reveal))
            if page.after is None:
                return
            page = parts.store.lists.page(wanted, after=page.after, limit=CHUNK)
    except StoreError:
        yield _text([[BROKEN_OFF]])


def _cells(parts: "Parts", rows: list[Row], reveal: bool) -> list[list[str]]:
    shown_rows = [[serializers.to_dict(serializers.row(row))[name] for name in COLUMNS] for row in rows]
    if reveal:
        records = parts.store.contacts.read_many([row.key for row in rows])
        for row, values in zip(rows, shown_rows, strict=True):
            contact = records[row.key].contact if row.key in records else None
            values += [getattr(contact, name, None) for name in PERSONAL_FIELDS]
    return [["" if value is None else guarded(str(value)) for value in values] for values in shown_rows]


def _text(rows: Iterable[Iterable[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue()


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet runs. Numbers stay as they are, phone numbers too."""
    return f"'{text}" if text.startswith(RISKY) and not NUMBER.fullmatch(text) else text


def bare(cell: str) -> str:
    """What ``guarded`` made the cell of."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(RISKY) else cell
