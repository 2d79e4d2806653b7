"""``flask import``: accept contacts from a CSV (RFC 4180) or JSON Lines file."""

import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TextIO

import click

from webhook_app.cli.commands import audit_options, cli
from webhook_app.cli.output import above_bar, printable
from webhook_app.parts import Parts, current_parts
from webhook_app.present.csv_export import bare
from webhook_app.present.wording import counted
from worker.errors import StoreError, Unmappable
from worker.model import CONTACT_FIELDS, Origin, Signup, Status
from worker.normalise import MAX_INBOX_ID, normalise

#: The source of imported contacts.
SOURCE = Origin("import")
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
INVALID = "invalid"
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
            yield line, {name: bare(cell) for name, cell in zip(names, cells, strict=False) if name in CONTACT_FIELDS}


def _check(names: list[str]) -> None:
    if "identifier" not in names:
        raise BadFile(f"The first line must name the columns, including identifier: {', '.join(CONTACT_FIELDS)}.")
    twice = [name for name in CONTACT_FIELDS if names.count(name) > 1]
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


@cli.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(list(READERS)), help="By default, the suffix of the file's name.")
@click.option("--region", metavar="DE", help="The region for phone numbers without a country code.")
@click.option("--inbox-id", type=click.IntRange(1, MAX_INBOX_ID), help="The inbox for rows that have none.")
@audit_options
def import_contacts(file: Path, form: str | None, region: str | None, inbox_id: int | None, who: str, why: str) -> None:
    """Import the contacts in FILE. They are sent after new signups and retries.

    CSV with a header, or JSON Lines: identifier, name, email, phone_number, avatar_url, inbox_id. Invalid rows are
    reported by line number and the rest are imported. It is safe to import a file twice. Exit code: 0 all rows
    were imported, 1 some were invalid, 2 the file cannot be read.
    """
    parts = current_parts()
    form = form or SUFFIXES.get(file.suffix.lower())
    if form is None:
        raise click.UsageError("The file's name has no known suffix: give --format.")
    try:
        counts = _accept_all(parts, file, form, region, inbox_id)
    except BadFile as error:
        raise click.UsageError(str(error)) from error
    click.echo(", ".join(f"{counts[result]} {result}" for result in (Status.ACCEPTED, Status.DUPLICATE, INVALID)) + ".")
    parts.store.audit.add(who, f"imported {counted(counts[Status.ACCEPTED], 'contact')}", why=why)
    if counts[INVALID]:
        raise SystemExit(1)


def _accept_all(parts: Parts, file: Path, form: str, region: str | None, inbox_id: int | None) -> Counter[str]:
    """Return the number of rows by result.

    Bytes that are not UTF-8 become surrogates, which ``normalise`` rejects.
    """
    counts: Counter[str] = Counter()
    size = file.stat().st_size
    with (
        file.open(encoding="utf-8-sig", errors="surrogateescape", newline="" if form == "csv" else "\n") as text,
        click.progressbar(length=size, label="Importing", file=sys.stderr, update_min_steps=size // 1000) as bar,
    ):
        done = 0
        for line, row in READERS[form](text):
            try:
                signup = _read(row, region, inbox_id, parts.inbox_id)
                for note in signup.notes:
                    above_bar(f"line {line}: {note.field}: {note.text}", err=True)
                counts[parts.store.contacts.accept(signup.contact, SOURCE, signup.notes, bulk=True).status] += 1
            except Unmappable as error:
                counts[INVALID] += 1
                above_bar(f"line {line}: {printable(str(error))}", err=True)
            except StoreError as error:
                stopped = f"Redis cannot be used: {error}. Lines before {line} are imported; import the file again."
                raise click.ClickException(stopped) from error
            at = os.lseek(text.fileno(), 0, os.SEEK_CUR)
            bar.update(at - done)
            done = at
    return counts


def _read(
    row: dict[str, object] | str, region: str | None, inbox_id: int | None, default_inbox_id: int | None
) -> Signup:
    """Return the contact in a row, normalised, with its notes.

    Raises:
        Unmappable: the row has no usable contact.
    """
    if isinstance(row, str):
        raise Unmappable({"row": row})
    signup = normalise(row, region=region, inbox_id=inbox_id)
    if signup.contact.inbox_id is None and default_inbox_id is None:
        raise Unmappable({"inbox_id": "missing; set LIVEDESK_INBOX_ID or give --inbox-id"})
    return signup
