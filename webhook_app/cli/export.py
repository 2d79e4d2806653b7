"""``flask export``: what we hold, as CSV or JSON Lines on standard output."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

import click

from webhook_app.cli.output import sentences
from webhook_app.cli.rows import FIELDS
from webhook_app.present.csv_export import guarded
from webhook_app.present.serializers import record as shape_of
from webhook_app.present.serializers import to_dict
from worker.model import Position, State

if TYPE_CHECKING:
    from webhook_app.parts import Parts
    from worker.store.record import ContactRecord

FORMATS = ("csv", "jsonl")
PAGE = 200
#: The columns of CSV: what ``flask import`` reads, then what became of it.
COLUMNS = (
    *FIELDS,
    *("state", "outcome", "contact_id", "owner_id", "cause", "source", "received_at", "closed_at"),
    *("next_attempt_at", "attempts_made", "newer_at"),
)


def command(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("export")
    @click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True)
    @click.option(
        "--state",
        "states",
        type=click.Choice([state.value for state in State]),
        multiple=True,
        help="Only these; repeatable.",
    )
    def export(form: str, states: tuple[str, ...]) -> None:
        """Write every contact that we hold to standard output: personal data, so mind where it goes.

        Contacts that are created have no data but their identifier. One that changes meanwhile may come twice.
        """
        wanted = [State(state) for state in states] or list(State)
        with sentences():
            found = parts()
            counts = found.store.contacts.counts()
            length = sum(counts[state] for state in wanted)
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8")  # whatever the terminal's language is
            write = _csv(sys.stdout) if form == "csv" else _json_lines(sys.stdout)
            hidden = sys.stdout.isatty()
            with click.progressbar(length=length, label="Exporting", file=sys.stderr, hidden=hidden) as bar:
                for record in _records(found, wanted):
                    write(record)
                    bar.update(1)

    return export


def _records(parts: "Parts", states: list[State]) -> "Iterator[ContactRecord]":
    for state in states:
        place = Position()
        while page := parts.store.lists.in_state(state, place, PAGE):
            for _, record in page:
                yield record
            place, _ = page[-1]


def _row(record: "ContactRecord") -> dict[str, Any]:
    """What the API shows, and the data that are sent to LiveDesk."""
    data = record.contact.present() if record.contact else {}
    return {**dict.fromkeys(FIELDS), **data, **to_dict(shape_of(record))}


def _csv(stream: TextIO) -> "Callable[[ContactRecord], None]":
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)

    def write(record: "ContactRecord") -> None:
        row = _row(record)
        writer.writerow(["" if row[name] is None else guarded(str(row[name])) for name in COLUMNS])

    return write


def _json_lines(stream: TextIO) -> "Callable[[ContactRecord], None]":
    return lambda record: click.echo(json.dumps(_row(record)), stream)
