"""Reads contacts from CSV (RFC 4180) or JSON Lines, each with the number of the line that it begins on."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from decimal import Decimal
from itertools import chain
from typing import TextIO

from webhook_app.present.csv_export import bare
from worker.model import Contact

FIELDS = tuple(field.name for field in fields(Contact))
DELIMITERS = ",;\t"

#: The number of a line and the values on it, or a text that says what is wrong with it.
Row = tuple[int, dict[str, object] | str]


class BadFile(Exception):
    """The file cannot be read; the text says why."""


def csv_rows(file: TextIO) -> Iterator[Row]:
    """Yield the rows below the header. ``file`` was opened with ``newline=""``.

    Raises:
        BadFile: the column ``identifier`` is missing, or a column is repeated.
    """
    first = file.readline()
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(chain([first], file), delimiter=delimiter)
    names = [name.strip().lower() for name in next(reader, [])]
    _check(names)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield line, "is not CSV"
            continue
        if len(cells) > len(names):
            yield line, "has more cells than the header"
        elif any(cells):
            yield line, {name: bare(cell) for name, cell in zip(names, cells, strict=False) if name in FIELDS}


def _check(names: list[str]) -> None:
    if "identifier" not in names:
        raise BadFile(f"The first line must name the columns, including identifier: {', '.join(FIELDS)}.")
    twice = [name for name in FIELDS if names.count(name) > 1]
    if twice:
        raise BadFile(f"There is more than one column {twice[0]}.")


def json_rows(file: TextIO) -> Iterator[Row]:
    """Yield the objects, one per line."""
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            value = json.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError):
            yield line, "is not JSON"
            continue
        yield line, value if isinstance(value, dict) else "is not a JSON object"


READERS: dict[str, Callable[[TextIO], Iterator[Row]]] = {"csv": csv_rows, "jsonl": json_rows}
