"""``flask contacts``: contacts are listed, shown, retried, mended and given up."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from webhook_app import operator
from webhook_app.cli.filters import acting, filter_of, filtered
from webhook_app.cli.output import (
    columns,
    printable,
    sentences,
    when,
)
from webhook_app.present import serializers
from webhook_app.present.masking import masked

if TYPE_CHECKING:
    from webhook_app.parts import Parts
    from worker.store.lists import Filter, Row

CHUNK = 250
#: What is done to one contact and needs no more than who it is: the action, the answer, and the help.
ACTS = {
    "retry": (operator.retry, "It is due now.", "Make a CONTACT due at once, with a fresh retry budget."),
    "discard": (operator.discard, "It is discarded.", "Give a CONTACT up. It can still be retried."),
}
WHO = "An identifier, e-mail address, phone number, contact id or key; put -- before one that begins with -."


def command(parts: "Callable[[], Parts]") -> click.Group:
    group = click.Group("contacts", help="Contacts: listed, shown, retried, mended, given up.")
    for make in (_list, _show, _adopt, _edit):
        group.add_command(make(parts))
    for name in ACTS:
        group.add_command(_act(parts, name))
    return group


def _list(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("list")
    @filtered
    @click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
    @click.option("--all", "every", is_flag=True, help="All of them, whatever the limit.")
    @click.option("--json", "as_json", is_flag=True, help="A line of JSON for each.")
    @click.option("--reveal", is_flag=True, help="Show identifiers that are addresses, too; it is noted.")
    @acting
    def command(limit: int, every: bool, as_json: bool, reveal: bool, who: str, why: str, **options: Any) -> None:
        """List contacts by --state or --cause, the latest first."""
        wanted = filter_of(options)
        with sentences():
            found = parts()
            if reveal:
                operator.reveal_list(found, wanted, who, why)
            rows = _rows(found, wanted, None if every else limit)
            if as_json:
                for row in rows:
                    click.echo(
                        json.dumps(
                            {**serializers.to_dict(serializers.row(row)), "identifier": _identifier(row, reveal)}
                        )
                    )
                return
            now = found.store.now()
            table = [_cells(row, reveal, now) for row in rows]
            if not table:
                click.echo("There are none.")
                return
            for line in columns([("key", "identifier", "state", "cause", "source", "attempts", "since"), *table]):
                click.echo(line)
            matching = found.store.lists.count(wanted)
        if matching.number > len(table):
            click.echo(f"{len(table)} of {'at least ' if matching.at_least else ''}{matching.number}.", err=True)

    return command


def _show(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("show", epilog=WHO)
    @click.argument("contact")
    @click.option("--json", "as_json", is_flag=True)
    @click.option("--reveal", is_flag=True, help="Show personal data unmasked; it is noted in the audit.")
    @acting
    def command(contact: str, as_json: bool, reveal: bool, who: str, why: str) -> None:
        """Show what is known about a CONTACT."""
        with sentences():
            found = parts()
            key = _key(found, contact)
            record = operator.reveal(found, key, who, why) if reveal else found.store.contacts.read(key)
            now = found.store.now()
        if record is None:
            raise click.ClickException(operator.SENTENCES[operator.Reason.GONE])
        document = serializers.to_dict(serializers.contact(key, record, reveal=reveal))
        if not reveal:
            document["identifier"] = masked("identifier", record.identifier)
        if as_json:
            click.echo(json.dumps(document))
            return
        for line in columns(list(_lines(document))):
            click.echo(line)
        for attempt in record.attempts:
            asked = f" for {attempt.trigger}" if attempt.trigger else ""
            answer = f"{attempt.status or 'no answer'} {attempt.cause or 'well'} {attempt.excerpt}".rstrip()
            click.echo(
                f"attempt {when(attempt.at, now)}{printable(asked)}, {attempt.duration_ms} ms: {printable(answer)}"
            )

    return command


def _act(parts: "Callable[[], Parts]", name: str) -> click.Command:
    act, told, help_text = ACTS[name]

    @click.command(name, help=help_text, epilog=WHO)
    @click.argument("contact")
    @click.option("--json", "as_json", is_flag=True)
    @acting
    def command(contact: str, as_json: bool, who: str, why: str) -> None:
        with sentences():
            found = parts()
            key = _key(found, contact)
            state = act(found, key, who, why)
        click.echo(json.dumps({"key": key, "state": state}) if as_json else told)

    return command


def _adopt(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("adopt", epilog=WHO)
    @click.argument("contact")
    @click.option("--json", "as_json", is_flag=True)
    @click.option("--contact-id", type=click.IntRange(1), help="Which; by default the one that is in the way.")
    @acting
    def command(contact: str, contact_id: int | None, as_json: bool, who: str, why: str) -> None:
        """Take a contact in LiveDesk for the person of a CONTACT that is in conflict."""
        with sentences():
            found = parts()
            key = _key(found, contact)
            adopted = operator.adopt(found, key, who, why, contact_id=str(contact_id) if contact_id else None)
        document = {"key": key, "state": "created", "contact_id": int(adopted)}
        click.echo(json.dumps(document) if as_json else f"It is contact {adopted}.")

    return command


def _edit(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("edit", epilog=WHO)
    @click.argument("contact")
    @click.option(
        "--set", "values", type=(click.Choice(operator.EDITABLE_FIELDS), str), multiple=True, metavar="FIELD VALUE"
    )
    @click.option(
        "--unset", "left_out", type=click.Choice(operator.EDITABLE_FIELDS), multiple=True, help="Leave it out."
    )
    @click.option("--json", "as_json", is_flag=True)
    @acting
    def command(
        contact: str,
        values: tuple[tuple[str, str], ...],
        left_out: tuple[str, ...],
        as_json: bool,
        who: str,
        why: str,
    ) -> None:
        """Mend fields of a CONTACT, and make it due at once."""
        fields = {**dict(values), **dict.fromkeys(left_out)}
        if not fields:
            raise click.UsageError("Give --set FIELD VALUE or --unset FIELD.")
        with sentences():
            found = parts()
            key = _key(found, contact)
            state = operator.edit(found, key, fields, who, why)
        click.echo(json.dumps({"key": key, "state": state}) if as_json else "It is due now.")

    return command


def _key(parts: "Parts", text: str) -> str:
    """The key of the one contact that goes by this."""
    found = parts.store.lists.search(text)
    if not found:
        raise click.ClickException("There is no such contact.")
    if len(found) > 1:
        raise click.ClickException(f"There are {len(found)} of them. Give one of their keys: {', '.join(found)}")
    return found[0]


def _rows(parts: "Parts", wanted: "Filter", most: int | None) -> "Iterator[Row]":
    left, after = most, None
    while left is None or left > 0:
        page = parts.store.lists.page(wanted, after=after, limit=CHUNK if left is None else min(left, CHUNK))
        yield from page.rows
        after = page.after
        if after is None:
            return
        left = None if left is None else left - len(page.rows)


def _identifier(row: "Row", reveal: bool) -> str:
    return row.identifier if reveal else masked("identifier", row.identifier)


def _cells(row: "Row", reveal: bool, now: int) -> tuple[str, ...]:
    identifier = printable(_identifier(row, reveal))
    return row.key, identifier, row.state, row.cause or "", row.source, str(row.attempts_made), when(row.at, now)


def _lines(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is known, line by line; what is not there is left out."""
    for name, value in {**document, **(document["fields"] or {})}.items():
        if name in ("attempts", "fields", "notes") or value in (None, []):
            continue
        yield name, printable(", ".join(value) if isinstance(value, list) else str(value))
    for note in document["notes"]:
        yield "note", printable(f"{note['field']}: {note['text']}")
