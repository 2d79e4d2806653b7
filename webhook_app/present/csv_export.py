"""Exports a filtered list of any length as CSV (RFC 4180), page by page.

A spreadsheet must not run what a sender wrote as a formula: a cell that could be one starts with ``'``, which is
removed when the file is imported again (OWASP, "CSV Injection").
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from msgspec.structs import fields

from webhook_app.parts import Parts
from webhook_app.present import serializers, shapes
from webhook_app.present.shapes import ContactRow
from worker.errors import StoreError
from worker.model import PERSONAL_FIELDS
from worker.store.audit import AuditEntry, AuditFilter
from worker.store.lists import Filter, Page, Row

COLUMNS = tuple(field.encode_name for field in fields(ContactRow))
AUDIT_COLUMNS = tuple(field.encode_name for field in fields(shapes.AuditEntry))
#: What a spreadsheet takes for the start of a formula, and our own mark.
RISKY = ("=", "+", "-", "@", "\t", "\r", "'")
NUMBER = re.compile(r"[+-]?[0-9]+")
CSV_TYPE = "text/csv; charset=utf-8"
#: Contacts that are read at once.
CHUNK = 250
#: The last line of an incomplete export: one cell, which no program takes for a contact.
INCOMPLETE = "INCOMPLETE: Redis became unavailable. This is not the whole list."


def as_csv(parts: Parts, wanted: Filter, *, reveal: bool = False) -> Iterator[str]:
    """Yield the export, a page at a time; ``reveal`` includes personal data.

    The first page is read at once, so that an error can still be answered. If Redis becomes unavailable later, the last
    line says so: to the client, a response that breaks off looks like one that is complete.

    Raises:
        StoreError: the first page could not be read.
    """
    return _lines(parts, wanted, reveal, parts.store.lists.page(wanted, limit=CHUNK))


def _lines(parts: Parts, wanted: Filter, reveal: bool, page: Page) -> Iterator[str]:
    yield _text([(*COLUMNS, *(PERSONAL_FIELDS if reveal else ()))])
    try:
        while True:
            yield _text(_cells(parts, page.rows, reveal))
            if page.after is None:
                return
            page = parts.store.lists.page(wanted, after=page.after, limit=CHUNK)
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


def _cells(parts: Parts, rows: list[Row], reveal: bool) -> list[list[str]]:
    table = [list(serializers.to_dict(serializers.row(row)).values()) for row in rows]
    if reveal:
        records = parts.store.contacts.read_many([row.key for row in rows])
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
    return f"'{text}" if text.startswith(RISKY) and not NUMBER.fullmatch(text) else text


def bare(cell: str) -> str:
    """Undo ``guarded``."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(RISKY) else cell
