"""``flask import``: contacts from a CSV or JSON Lines file are taken as if they had been delivered."""

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webhook_app.cli.output import above_bar, printable, sentences
from webhook_app.cli.rows import READERS, BadFile
from worker.errors import StoreError, Unmappable
from worker.model import Status
from worker.normalise import MAX_INBOX_ID, normalise

if TYPE_CHECKING:
    from webhook_app.parts import Parts
    from worker.model import Contact, Note

#: The source of what is imported.
SOURCE = "import"
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
BAD = "bad"


def command(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("import")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--format", "form", type=click.Choice(list(READERS)), help="By default, what the name ends with.")
    @click.option("--region", metavar="DE", help="Where phone numbers without a country code are from.")
    @click.option("--inbox-id", type=click.IntRange(1, MAX_INBOX_ID), help="The inbox of rows that name none.")
    def command(file: Path, form: str | None, region: str | None, inbox_id: int | None) -> None:
        """Take the contacts in FILE, behind new signups and retries.

        CSV with a header, or JSON Lines: identifier, name, email, phone_number, avatar_url, inbox_id. Rows that make no
        contact are told, and the others taken. Importing a file again does no harm. Exit code: 0 all were taken, 1 some
        were not, 2 the file cannot be read.
        """
        with sentences():
            found = parts()
        form = form or SUFFIXES.get(file.suffix.lower())
        if form is None:
            raise click.UsageError("The name tells no format: give --format.")
        try:
            counts = _take_all(found, file, form, region, inbox_id)
        except BadFile as error:
            raise click.UsageError(str(error)) from error
        told = ", ".join(f"{counts[end]} {end}" for end in (Status.ACCEPTED, Status.DUPLICATE, BAD))
        click.echo(f"{told}.")
        if counts[BAD]:
            raise SystemExit(1)

    return command


def _take_all(parts: "Parts", file: Path, form: str, region: str | None, inbox_id: int | None) -> Counter[str]:
    """How many ended how. What is no UTF-8 becomes surrogates, which ``normalise`` deals with."""
    counts: Counter[str] = Counter()
    size = file.stat().st_size
    with (
        file.open(encoding="utf-8-sig", errors="surrogateescape", newline="" if form == "csv" else "\n") as text,
        click.progressbar(length=size, label="Importing", file=sys.stderr, update_min_steps=size // 1000) as bar,
    ):
        done = 0
        for line, row in READERS[form](text):
            try:
                contact, notes = _read(row, region, inbox_id, parts.inbox_id)
                for note in notes:
                    above_bar(f"line {line}: {note.field}: {note.text}", err=True)
                counts[parts.store.contacts.accept(contact, SOURCE, notes, bulk=True).status] += 1
            except Unmappable as error:
                counts[BAD] += 1
                above_bar(f"line {line}: {printable(str(error))}", err=True)
            except StoreError as error:
                stopped = f"Redis cannot be used: {error}. Lines before {line} are taken; import the file again."
                raise click.ClickException(stopped) from error
            at = os.lseek(text.fileno(), 0, os.SEEK_CUR)
            bar.update(at - done)
            done = at
    return counts


def _read(
    row: dict[str, object] | str, region: str | None, inbox_id: int | None, usual_inbox_id: int | None
) -> "tuple[Contact, tuple[Note, ...]]":
    """
    Raises:
        Unmappable: it makes no contact.
    """
    if isinstance(row, str):
        raise Unmappable({"row": row})
    contact, notes = normalise(row, region=region, inbox_id=inbox_id)
    if contact.inbox_id is None and usual_inbox_id is None:
        raise Unmappable({"inbox_id": "missing; LIVEDESK_INBOX_ID is not set, and --inbox-id not given"})
    return contact, notes
