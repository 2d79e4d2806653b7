"""Exports a filtered list of any length as CSV (RFC 4180), page by page.

A spreadsheet must not run what a sender wrote as a formula: ``'`` stands before whatever could be one, at the start of
a cell and after what another program takes for the end of a cell. It is removed when the file is imported again
(https://owasp.org/www-community/attacks/CSV_Injection).
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from msgspec.structs import fields

from webhook_app.parts import Parts
from webhook_app.present import serializers, shapes
from webhook_app.present.masking import masked
from webhook_app.present.shapes import ContactRow
from worker.errors import StoreError
from worker.model import PERSONAL_FIELDS
from worker.store.audit import AuditEntry, AuditFilter
from worker.store.lists import Filter, Page, Row

COLUMNS = tuple(field.encode_name for field in fields(ContactRow))
AUDIT_COLUMNS = tuple(field.encode_name for field in fields(shapes.AuditEntry))
#: What a spreadsheet takes for the start of a formula: ``= + - @``, also as full-width and as small signs.
SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
#: What ends a cell for a program that expects another separator than ours, or another way to quote.
END = r'[,;|"\t\r\n]'
NUMBER = "[+-]?[0-9]+"
#: What needs a mark, at the start of a cell and later in it. A number needs none, and so no phone number.
AT_START = re.compile(rf"(?!{NUMBER}\Z)(?=\s*['{SIGNS}]|[\t\r\n])")
LATER = re.compile(rf"({END}\s{{0,9}})(?!{NUMBER}(?:{END}|\Z))(?='*[{SIGNS}])")
#: The marks that these get.
MARK_AT_START = re.compile(rf"'(?=\s*['{SIGNS}]|[\t\r\n])")
MARK_LATER = re.compile(rf"({END}\s{{0,9}})'(?='*[{SIGNS}])")
CSV_TYPE = "text/csv; charset=utf-8"
#: Contacts that are read at once.
CHUNK = 250
#: The last line of an incomplete export: one cell, which no program takes for a contact.
INCOMPLETE = "INCOMPLETE: Redis became unavailable. This is not the whole list."


def as_csv(parts: Parts, wanted: Filter, *, reveal: bool = False, mask: bool = False) -> Iterator[str]:
    """Yield the export, a page at a time; ``reveal`` includes personal data.

    ``mask``: for a viewer, who must not see identifiers that are addresses or numbers.

    The first page is read at once, so that an error can still be answered. If Redis becomes unavailable later, the last
    line says so: to the client, a response that breaks off looks like one that is complete.

    Raises:
        StoreError: the first page could not be read.
    """
    return _lines(Export(parts, wanted, reveal, mask), parts.store.lists.page(wanted, limit=CHUNK))


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported, and how much of it is shown."""

    parts: Parts
    wanted: Filter
    reveal: bool
    mask: bool


def _lines(export: Export, page: Page) -> Iterator[str]:
    lists = export.parts.store.lists
    yield _text([(*COLUMNS, *(PERSONAL_FIELDS if export.reveal else ()))])
    try:
        while True:
            yield _text(_cells(export, page.rows))
            if page.after is None:
                return
            page = lists.page(export.wanted, after=page.after, limit=CHUNK)
    except StoreError:
        yield _text([[INCOMPLETE]])


def audit_as_csv(parts: Parts, wanted: AuditFilter) -> Iterator[str]:
    """Yield the entries of the audit log that match, the latest first.

    Raises:
        StoreError: the first entries could not be read.
    """
    entries = parts.store.audit.entries(wanted)
    return _audit_lines(list(islice(entries, CHUNK)), entries)


def _audit_lines(first: list[AuditEntry], entries: Iterator[AuditEntry]) -> Iterator[str]:
    yield _text([AUDIT_COLUMNS])
    try:
        chunk = first
        while chunk:
            rows = [serializers.to_dict(serializers.serialize(one, shapes.AuditEntry)) for one in chunk]
            yield _text([[cell(row[name]) for name in AUDIT_COLUMNS] for row in rows])
            chunk = list(islice(entries, CHUNK))
    except StoreError:
        yield _text([[INCOMPLETE]])


def _cells(export: Export, rows: list[Row]) -> list[list[str]]:
    if export.mask:
        rows = [replace(row, identifier=masked("identifier", row.identifier)) for row in rows]
    table = [list(serializers.to_dict(serializers.row(row)).values()) for row in rows]
    if export.reveal:
        records = export.parts.store.contacts.read_many([row.key for row in rows])
        for row, values in zip(rows, table, strict=True):
            contact = records[row.key].contact if row.key in records else None
            values += [getattr(contact, name, None) for name in PERSONAL_FIELDS]
    return [[cell(value) for value in values] for values in table]


def _text(rows: Iterable[Iterable[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue()


def cell(value: object) -> str:
    """Return a value as a cell; attributes are JSON."""
    if value is None:
        return ""
    return guarded(serializers.to_json(value) if isinstance(value, Mapping) else str(value))


def guarded(text: str) -> str:
    """Return a cell that no spreadsheet runs; numbers are unchanged, phone too."""
    safe = LATER.sub(r"\1'", text)
    return f"'{safe}" if AT_START.match(text) else safe


def bare(cell: str) -> str:
    """Undo ``guarded``."""
    if "'" not in cell:
        return cell
    return MARK_LATER.sub(r"\1", cell[1:] if MARK_AT_START.match(cell) else cell)
