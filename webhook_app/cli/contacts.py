"""``flask contacts`` and ``flask erase``."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import click
from msgspec.structs import replace

from webhook_app.cli.commands import F, Group, audit_options, cli, filter_options, json_option, read_filter
from webhook_app.cli.output import print_table, printable, when
from webhook_app.operator import EDITABLE_FIELDS, ActionRefused, Operator, Reason
from webhook_app.parts import Parts, current_parts
from webhook_app.present import serializers
from webhook_app.present.masking import masked, masked_text
from webhook_app.present.sending import kept_by, retried, sent_when, waits_for
from webhook_app.present.shapes import ContactState, KnownContact
from webhook_app.present.wording import aliases, erased, field_labels
from worker.errors import StoreError
from worker.model import ATTRIBUTE_FIELDS, Attempt, Outcome, State, Way
from worker.store import append_only_file
from worker.store.lists import Filter, Row

#: What a person's erasure does not reach.
STILL_IN_AOF = "Redis's append-only file has the data until Redis rewrites it: add --rewrite-aof, or run BGREWRITEAOF."
IN_BACKUPS = "Backups and the files of replicas keep it: delete or rewrite them, too."
#: Rows read at once.
CHUNK = 250
NAMES = "CONTACT is an identifier, e-mail address, phone number, contact id or key; put -- before one like -1."
RETRYING = "Retrying now."
#: Changes that are shown of one contact.
MAX_CHANGES = 20

contacts = Group("contacts", help="List, show, retry, edit and discard contacts, and resolve conflicts.")
cli.add_command(contacts)


def one_contact(function: F) -> Callable[..., None]:
    """Add the argument CONTACT; the command gets its ``key`` and the ``operator``."""

    @wraps(function)
    def command(contact: str, who: str, **options: Any) -> None:
        operator = Operator(current_parts(), who, Way.CLI)
        function(operator, find_key(operator.parts, contact), **options)

    return audit_options(json_option(click.argument("contact")(command)))


def find_key(parts: Parts, text: str) -> str:
    """Return the key of the contact with this identifier, or else this value.

    An identifier can be the id of another contact in LiveDesk, or its phone number: ``search`` lists all of them.
    """
    found = parts.store.lists.search(text)
    if found and found[0] == parts.store.key_of(text):
        return found[0]
    if not found:
        raise ActionRefused(Reason.GONE)
    if len(found) > 1:
        raise click.ClickException(f"{len(found)} contacts match. Give one of their keys: {', '.join(found)}")
    return found[0]


@contacts.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--all", "everything", is_flag=True, help="Ignore --limit.")
@json_option
@click.option("--reveal", is_flag=True, help="Show identifiers that are addresses; this is audited.")
@audit_options
def list_contacts(
    limit: int, everything: bool, as_json: bool, reveal: bool, who: str, why: str, **options: Any
) -> None:
    """List contacts by --state or --cause, latest first."""
    parts = current_parts()
    wanted = read_filter(parts, options)
    if reveal:
        Operator(parts, who, Way.CLI).contacts.export_list(wanted, why, reveal=True)
    rows = _rows(parts, wanted, None if everything else limit)
    if as_json:
        for row in rows:
            click.echo(serializers.to_json(replace(serializers.row(row), identifier=_identifier(row, reveal))))
        return
    now = parts.store.now()
    table = [_cells(row, reveal, now) for row in rows]
    if not table:
        click.echo("No contacts match.")
        return
    print_table([("key", "identifier", "state", "work", "cause", "source", "attempts", "since"), *table])
    matching = parts.store.lists.count(wanted)
    if matching.number > len(table):
        click.echo(f"{len(table)} of {'at least ' if matching.at_least else ''}{matching.number}.", err=True)


@contacts.command("show", epilog=NAMES)
@click.option("--reveal", is_flag=True, help="Show personal data unmasked; this is audited.")
@one_contact
def show_contact(operator: Operator, key: str, as_json: bool, reveal: bool, why: str) -> None:
    """Show a CONTACT."""
    record = operator.contacts.reveal(key, why) if reveal else operator.contacts.get(key)
    aliases = operator.parts.store.contacts.read_aliases(key)
    shown = serializers.contact(key, record, aliases, waits_for=kept_by(operator.parts, record), reveal=reveal)
    if not reveal:
        others = [replace(one, identifier=masked("identifier", one.identifier)) for one in shown.aliases]
        shown = replace(shown, identifier=masked("identifier", record.identifier), aliases=others)
    if as_json:
        click.echo(serializers.to_json(shown))
        return
    print_table(list(_lines(serializers.to_dict(shown))))
    store, now = operator.parts.store, operator.parts.store.now()
    for change in reversed(store.changes.recent(key, since=record.received_at, limit=MAX_CHANGES)):
        fields = f": {field_labels(change.fields)}" if change.fields else ""
        click.echo(f"{change.outcome} {when(change.at, now)}{printable(fields)}")
    for attempt in record.attempts:
        excerpt = attempt.excerpt if reveal else masked_text(attempt.excerpt, record.contact)
        click.echo(f"attempt {when(attempt.at, now)}{printable(_describe(attempt, excerpt))}")


@contacts.command("retry", epilog=NAMES)
@one_contact
def retry_contact(operator: Operator, key: str, as_json: bool, why: str) -> None:
    """Retry a CONTACT now, with a fresh retry budget."""
    _print_retried(operator, key, operator.contacts.retry(key, why), RETRYING, as_json)


@contacts.command("discard", epilog=NAMES)
@one_contact
def discard_contact(operator: Operator, key: str, as_json: bool, why: str) -> None:
    """Give up a CONTACT, which can still be retried; or only a change of it."""
    _print_state(key, operator.contacts.discard(key, why), "Discarded. It can still be retried.", as_json)


@contacts.command("create-again", epilog=NAMES)
@one_contact
def create_contact_again(operator: Operator, key: str, as_json: bool, why: str) -> None:
    """Resolve contact_gone: create a CONTACT again that LiveDesk no longer has."""
    _print_retried(operator, key, operator.contacts.create_again(key, why), "Creating the contact again now.", as_json)


@contacts.command("known", epilog=NAMES)
@click.option("--contact-id", type=click.IntRange(1), help="The contact in LiveDesk; by default the conflicting one.")
@one_contact
def mark_contact_known(operator: Operator, key: str, contact_id: int | None, as_json: bool, why: str) -> None:
    """Resolve a conflict: LiveDesk's contact is this person, and stays as it is."""
    known = operator.contacts.mark_known(key, why, contact_id=str(contact_id) if contact_id else None)
    shown = KnownContact(key=key, state=State.CREATED, contact_id=int(known))
    click.echo(serializers.to_json(shown) if as_json else f"Known in LiveDesk as contact {known}.")


@contacts.command("adopt", epilog=NAMES)
@one_contact
def adopt_contact(operator: Operator, key: str, as_json: bool, why: str) -> None:
    """Resolve a conflict: LiveDesk's contact is this person, and gets our identifier."""
    _print_retried(operator, key, operator.contacts.adopt(key, why), "Adopting the contact in LiveDesk now.", as_json)


@contacts.command("leave-out", epilog=NAMES)
@one_contact
def leave_out_field(operator: Operator, key: str, as_json: bool, why: str) -> None:
    """Resolve a conflict: create the contact without the field that another one has."""
    _print_retried(operator, key, operator.contacts.leave_out(key, why), "Retrying without the field now.", as_json)


@contacts.command("edit", epilog=NAMES)
@click.option("--set", "values", type=(click.Choice(EDITABLE_FIELDS), str), multiple=True, metavar="FIELD VALUE")
@click.option("--unset", "removed", type=click.Choice(EDITABLE_FIELDS), multiple=True, help="Remove a field.")
@one_contact
def edit_contact(
    operator: Operator,
    key: str,
    values: tuple[tuple[str, str], ...],
    removed: tuple[str, ...],
    as_json: bool,
    why: str,
) -> None:
    """Change fields of a CONTACT and retry it now."""
    fields = {**dict(values), **dict.fromkeys(removed)}
    if not fields:
        raise click.UsageError("Give --set FIELD VALUE or --unset FIELD.")
    _print_retried(operator, key, operator.contacts.edit(key, fields, why), RETRYING, as_json)


@cli.command("erase")
@click.argument("identifier")
@click.option("--dry-run", is_flag=True, help="Only print what would be erased.")
@click.option(
    "--also",
    multiple=True,
    metavar="TEXT",
    help="An e-mail address or phone number (E.164) to find in quarantine, too.",
)
@click.option("--rewrite-aof", is_flag=True, help="Make Redis rewrite its append-only file, without the person.")
@audit_options
def erase(identifier: str, dry_run: bool, also: tuple[str, ...], rewrite_aof: bool, who: str, why: str) -> None:
    """Delete everything about the contact with this IDENTIFIER, under all aliases.

    Deliveries in quarantine that contain the person's data are deleted, too. LiveDesk keeps its own contact.
    """
    operator = Operator(current_parts(), who, Way.CLI)
    key = operator.parts.store.key_of(identifier)
    if dry_run:
        record, number = operator.contacts.get(key), operator.parts.store.contacts.read_aliases(key).number
        kept = f" LiveDesk would keep contact {record.contact_id}." if record.contact_id else ""
        click.echo(f"Would erase this contact{f' and {aliases(number)}' if number else ''}.{kept}")
        return
    for sentence in erased(operator.contacts.erase(key, why, also=also, limit_s=None)):
        click.echo(sentence)
    click.echo(_about_aof(operator, rewrite_aof))


def _about_aof(operator: Operator, rewrite: bool) -> str:
    """Rewrite the append-only file on request; return what still has the data."""
    if not rewrite:
        return f"{STILL_IN_AOF} {IN_BACKUPS}"
    try:
        has_one = append_only_file.rewrite(operator.parts.store)
    except StoreError as error:
        return f"Redis did not rewrite its append-only file: {error}. Run BGREWRITEAOF later. {IN_BACKUPS}"
    operator.contacts.audit("rewrote the append-only file")
    return f"{'Redis rewrites its append-only file now.' if has_one else 'Redis has no append-only file.'} {IN_BACKUPS}"


# An identifier may begin with "-".
@cli.command("retry", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("identifier")
def retry(identifier: str) -> None:
    """Retry the contact with this IDENTIFIER; the old name of flask contacts retry."""
    click.echo("flask retry is now called flask contacts retry.", err=True)
    operator = Operator(current_parts(), "command line", Way.CLI)
    key = operator.parts.store.key_of(identifier)
    try:
        operator.contacts.retry(key)
        click.echo(retried(operator.parts, key, RETRYING))
    except ActionRefused as refusal:
        if refusal.reason is Reason.GONE:
            raise
        click.echo(str(refusal))  # this command always ended with 0 here


def _rows(parts: Parts, wanted: Filter, maximum: int | None) -> Iterator[Row]:
    left, after = maximum, None
    while left is None or left > 0:
        page = parts.store.lists.page(wanted, after=after, limit=CHUNK if left is None else min(left, CHUNK))
        yield from page.rows
        after = page.after
        if after is None:
            return
        left = None if left is None else left - len(page.rows)


def _identifier(row: Row, reveal: bool) -> str:
    return row.identifier if reveal else masked("identifier", row.identifier)


def _cells(row: Row, reveal: bool, now: int) -> tuple[str, ...]:
    attempts, since = str(row.attempts_made), when(row.at, now)
    identifier, work, cause = _identifier(row, reveal), row.work or "", row.cause or ""
    return row.key, identifier, row.state, work, cause, row.source, attempts, since


def _lines(shown: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a contact has, line by line."""
    attributes = {
        f"{field}.{name}": value for field in ATTRIBUTE_FIELDS for name, value in (shown.pop(field) or {}).items()
    }
    for name, value in {"key": shown["key"], **shown, **(shown["fields"] or {}), **attributes}.items():
        if name not in ("aliases", "alias_count", "attempts", "fields", "notes") and value not in (None, []):
            yield name, ", ".join(value) if isinstance(value, list) else str(value)
    for alias in shown["aliases"]:
        is_known = alias["outcome"] == Outcome.KNOWN
        has = "" if is_known else ", the identifier in LiveDesk"
        yield "alias", f"{alias['identifier']} ({alias['key']}), {alias['identity']} of {alias['source']}{has}"
    if more := shown["alias_count"] - len(shown["aliases"]):
        yield "alias", f"and {more} more"
    for note in shown["notes"]:
        yield "note", f"{note['field']}: {note['text']}"


def _describe(attempt: Attempt, excerpt: str) -> str:
    """`` by ada, 120 ms: 422 email_refused {"message": ...}``."""
    by = f" by {attempt.trigger}" if attempt.trigger else ""
    changed = f"ok: {field_labels(attempt.changed)}" if attempt.changed else "ok"
    result = f"{attempt.status or 'no response'} {attempt.cause or changed} {excerpt}".rstrip()
    is_manual = attempt.status is None and attempt.cause is None
    return f"{by}, {attempt.duration_ms} ms: {'nothing was sent' if is_manual else result}"


def _print_retried(operator: Operator, key: str, state: State, now_text: str, as_json: bool) -> None:
    """Print when the contact is sent."""
    if as_json:
        waits = waits_for(*sent_when(operator.parts, key))
        click.echo(serializers.to_json(ContactState(key=key, state=state, waits_for=waits)))
    else:
        click.echo(retried(operator.parts, key, now_text))


def _print_state(key: str, state: State, text: str, as_json: bool) -> None:
    click.echo(serializers.to_json(ContactState(key=key, state=state)) if as_json else text)
