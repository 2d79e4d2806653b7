"""``flask sources try``: what a delivery would lead to; nothing is sent or stored."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from werkzeug.datastructures import Headers

from webhook_app.cli.commands import json_option
from webhook_app.cli.output import print_table, printable
from webhook_app.cli.sources import sources
from webhook_app.configuration import sources_given
from webhook_app.sources import Source
from webhook_app.sources.config import SHORTCUT, completed, read_source, read_tables
from webhook_app.sources.delivery import BadBody, Delivery
from webhook_app.sources.mapping.paths import Scope
from webhook_app.sources.mapping.rules import compile_condition
from webhook_app.sources.mistakes import did_you_mean
from webhook_app.sources.sample import payload_of, read_sample, sample_of
from webhook_app.sources.source import Delivered, Element
from worker.errors import SettingsError, SyncError, Unmappable

#: Characters of a value of the payload that are shown.
MAX_SHOWN = 80
#: The conditions of a source, and whether they must hold.
CONDITIONS = {"only_if": True, "ignore_if": False, "test_if": False}


@sources.command("try")
@click.argument("name")
@click.option("--body", "file", metavar="FILE", help="The body of a delivery; - is standard input.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of it. Repeatable.")
@click.option("--event", help="The event whose sample is read; by default the signup.")
@json_option
def try_delivery(name: str, file: str | None, headers: tuple[str, ...], event: str | None, as_json: bool) -> None:
    """Show which contacts a delivery to the source NAME would lead to.

    By default it is the preset's sample. Nothing is sent or stored, no secret is needed, and no signature is checked.
    Exit code: 0 it was read, 1 it has no usable contact, 2 wrong usage.
    """
    written = _written(name)
    try:
        source = read_source(name, written, os.environ, verifies=False)
        delivered = _read(source, event, file, headers)
    except SettingsError as error:
        raise click.UsageError(f"[sources.{name}] has mistakes.\n" + "\n".join(error.problems)) from error
    except BadBody as error:
        raise click.ClickException(f"The delivery would be answered {error.status}: {error}.") from error
    except SyncError as error:
        raise click.UsageError(str(error)) from error
    found = [_document(element, source, delivered, completed(written)) for element in delivered.elements]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(found, source, sample=file is None)
    if any(one["result"] in ("quarantine", "reject") for one in found):
        raise SystemExit(1)


def _written(name: str) -> Mapping[str, Any]:
    path, _ = sources_given(os.environ)
    try:
        tables = read_tables(path) if path.exists() else {}
    except ValueError as error:
        raise click.UsageError(f"{path}: {error}") from error
    tables = {SHORTCUT: {"verify": "token", "on_invalid": "reject"}, **tables}
    if not isinstance(tables.get(name), dict):
        raise click.UsageError(f"There is no source {name}{did_you_mean(name, tables)}")
    written: Mapping[str, Any] = tables[name]
    return written


def _read(source: Source, event: str | None, file: str | None, headers: tuple[str, ...]) -> Delivered:
    """Read the sample of an event, or the file, as a delivery.

    Raises:
        SyncError: it cannot be read.
    """
    if file is None:
        sample = read_sample(source.preset, event) if source.preset else sample_of(source)
        return source.read_again(payload_of(source, sample), Headers(dict(sample.headers)))
    given = Headers()
    for header in headers:
        key, colon, value = header.partition(":")
        if not colon:
            raise click.UsageError(f"--header {key}: must be NAME: VALUE")
        given.add(key.strip(), value.strip())
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise click.UsageError(f"--body {file}: {error.strerror}") from error
    return source.read_again(source.reader.read(Delivery(given, body)), given)


def _document(element: Element, source: Source, delivered: Delivered, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an element would lead to: a contact, nothing, or problems."""
    match element.reading:
        case None if element.is_ignored_deletion:
            return {"result": "ignored", "why": ['on_delete = "ignore": the delivery says that the person was deleted']}
        case None:
            why = list(_unmet(element.payload, delivered.headers, entry))
            return {"result": "ignored", "why": why}
        case Unmappable() as error:
            return {"result": source.on_invalid, "problems": error.problems}
        case signup:
            return {
                "result": "contact",
                "contact": signup.contact.present(),
                "email_verified": False if signup.is_unverified else None,
                "notes": [{"field": note.field, "text": note.text} for note in signup.notes],
                "event": {"name": signup.event.name or None, "time": _time(signup.event.at)},
                "is_deletion": signup.event.is_deletion,
                "cleared": sorted(signup.cleared),
            }


def _time(at: int | None) -> str | None:
    """Return the time of an event in RFC 3339."""
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")


def _unmet(payload: object, headers: Mapping[str, str], entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each condition that makes this no signup."""
    scope = Scope(headers)
    for key, must_hold in CONDITIONS.items():
        for place, allowed in (entry.get(key) or {}).items():
            condition = compile_condition(place, allowed)
            if condition.holds(payload, scope) is must_hold:
                continue
            values = [value for value in condition.place.values(payload, scope) if value is not None]
            there = ", ".join(_shown(value) for value in values) or "nothing"
            yield f'{key}."{place}" = {_shown(allowed)}: the delivery has {there}'


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def _rows(one: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in one["contact"].items():
        if isinstance(value, dict):
            yield from (
                (f"{name}.{attribute}", json.dumps(text, ensure_ascii=False)) for attribute, text in value.items()
            )
        else:
            yield name, str(value)
    yield from (("cleared", name) for name in one["cleared"])
    yield from (("event", text) for text in [one["event"]["name"]] if text)
    yield from (("event time", text) for text in [one["event"]["time"]] if text)
    yield from (("note", f"{note['field']}: {note['text']}") for note in one["notes"])
    if one["email_verified"] is False:
        yield "unverified", "the sender has not verified the address"


def _print(found: list[dict[str, Any]], source: Source, *, sample: bool) -> None:
    what = f"The sample of the preset {source.preset}" if sample and source.preset else "The delivery"
    space = source.origin.space
    click.echo(f"{what}, as one to {source.name} ({source.identity}, id space {space}). Nothing is sent or stored.")
    for one in found:
        click.echo()
        match one["result"]:
            case "contact":
                deletion = f"The deletion of a contact (on_delete = {source.on_delete}):"
                click.echo(deletion if one["is_deletion"] else "A contact:")
                print_table(list(_rows(one)), indent="  ")
            case "ignored":
                click.echo("Ignored, because it is not a signup:")
                for why in one["why"]:
                    click.echo(f"  {printable(why)}")
            case result:
                click.echo("Rejected with 422:" if result == "reject" else "Kept in quarantine:")
                print_table(list(one["problems"].items()), indent="  ")
