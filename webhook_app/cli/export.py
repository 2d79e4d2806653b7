"""``flask export``: write all contacts to standard output, as CSV or JSON Lines."""

import csv
import io
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import click
from msgspec.structs import fields

from webhook_app.cli.commands import audit_options, cli
from webhook_app.parts import Parts, current_parts
from webhook_app.present import serializers
from webhook_app.present.csv_export import cell
from webhook_app.present.shapes import Record
from webhook_app.present.wording import counted
from worker.model import CONTACT_FIELDS, Position, State, Way
from worker.store.record import ContactRecord

FORMATS = ("csv", "jsonl")
LISTS = ("notes", "attempts", "newer_fields", "id_spaces", "changes")
#: Records read at once.
PAGE = 200
#: The columns of CSV: what ``flask import`` reads, then what else is known, except for lists.
COLUMNS = (*CONTACT_FIELDS, *(one.name for one in fields(Record) if one.name not in (*CONTACT_FIELDS, *LISTS)))


@cli.command("export")
@click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option(
    "--state", "states", type=click.Choice([state.value for state in State]), multiple=True, help="May be repeated."
)
@audit_options
def export(form: str, states: tuple[str, ...], who: str, why: str) -> None:
    """Write contacts to standard output, with their personal data.

    Created contacts have no data except their identifier. A contact that changes meanwhile may be written twice.
    """
    parts = current_parts()
    wanted = [State(state) for state in states] or list(State)
    counts = parts.store.contacts.counts()
    parts.store.audit.add(
        who,
        f"exported {counted(sum(counts[state] for state in wanted), 'contact')}: {', '.join(states) or 'all'}",
        why=why,
        way=Way.CLI,
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever the terminal's locale is
    write = _csv_writer(sys.stdout) if form == "csv" else _json_writer(sys.stdout)
    length, hidden = sum(counts[state] for state in wanted), sys.stdout.isatty()
    with click.progressbar(length=length, label="Exporting", file=sys.stderr, hidden=hidden) as bar:
        for record in _records(parts, wanted):
            write(_row(record))
            bar.update(1)


def _records(parts: Parts, states: list[State]) -> Iterator[ContactRecord]:
    for state in states:
        place = Position()
        while page := parts.store.lists.in_state(state, place, PAGE):
            for _, record in page:
                yield record
            place, _ = page[-1]


def _row(record: ContactRecord) -> dict[str, Any]:
    """What the API shows of a contact, and its data."""
    data = record.contact.present() if record.contact else {}
    return {**dict.fromkeys(CONTACT_FIELDS), **data, **serializers.to_dict(serializers.record(record))}


def _csv_writer(stream: TextIO) -> Callable[[dict[str, Any]], None]:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)

    def write(row: dict[str, Any]) -> None:
        writer.writerow([cell(row[name]) for name in COLUMNS])

    return write


def _json_writer(stream: TextIO) -> Callable[[dict[str, Any]], None]:
    return lambda row: click.echo(serializers.to_json(row), stream)
