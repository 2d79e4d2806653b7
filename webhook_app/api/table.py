"""A filtered list as CSV (RFC 4180), page by page, so that it may be of any length. No cell is a formula."""

import csv
import io
from collections.abc import Iterable, Iterator

from webhook_app.api import shown
from webhook_app.cli.rows import guarded
from worker.errors import StoreError
from worker.lists import Filter, Lists, Page

COLUMNS = (
    *("key", "identifier", "state", "cause", "source", "attempts_made", "received_at", "at"),
    *("next_attempt_at", "contact_id", "owner_id", "unknown"),
)
CHUNK = 250
#: A line of one cell, which no program takes for a contact.
BROKEN_OFF = "BROKEN OFF: Redis cannot be used now. This is not the whole list."


def as_csv(lists: Lists, wanted: Filter) -> Iterator[str]:
    """The lines, some at a time. The first page is read at once, so that a Redis that is away can still be told. One
    that goes away later is told in the last line, for the server ends an answer whose making failed like any other.

    Raises:
        StoreError: nothing was read.
    """
    return _lines(lists, wanted, lists.page(wanted, limit=CHUNK))


def _lines(lists: Lists, wanted: Filter, page: Page) -> Iterator[str]:
    yield _text([COLUMNS])
    while True:
        yield _text([_cell(value) for value in (shown.row(row)[name] for name in COLUMNS)] for row in page.rows)
        if page.after is None:
            return
        try:
            page = lists.page(wanted, after=page.after, limit=CHUNK)
        except StoreError:
            yield _text([[BROKEN_OFF]])
            return


def _text(rows: Iterable[Iterable[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue()


def _cell(value: object) -> str:
    return "" if value is None else guarded(str(value))
