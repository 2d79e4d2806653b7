"""``flask reconcile``: find contacts that differ in LiveDesk; restore missing."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import click

from webhook_app.cli.commands import cli
from webhook_app.cli.output import above_bar, printable
from webhook_app.parts import Parts, current_parts
from worker.errors import LiveDeskError, StoreError
from worker.livedesk.reconcile import Difference, Kind, Reconciler, wait_for_slot
from worker.model import Contact, Position, Progress
from worker.store.record import SETTLED_STATES

#: Each kind of difference in words; ``{found}`` are ids in LiveDesk.
WORDS = {
    Kind.MISSING: "not in LiveDesk",
    Kind.MERGED: "now contact {found} in LiveDesk",
    Kind.DOUBLE: "in LiveDesk more than once: {found}",
    Kind.KEPT: "deleted at the source, but still in LiveDesk",
    Kind.UNMARKED: "deleted at the source, but not marked in LiveDesk",
    Kind.EDITED: "edited in LiveDesk",
    Kind.UNCLEAR: "could not be compared",
}
CONFIRM = (
    "Missing contacts are created again, with only their identifier and inbox: the other data was deleted when they\n"
    "were created. This includes contacts that somebody deleted in LiveDesk on purpose. Continue?"
)
AGAIN = "Run it again to continue from here."


class NotFinished(click.ClickException):
    exit_code = 2


@cli.command("reconcile")
@click.option("--repair", is_flag=True, help="Create missing contacts again.")
@click.option("--yes", is_flag=True, help="Repair without confirmation.")
@click.option("--restart", is_flag=True, help="Start from the beginning, not where the last run was stopped.")
@click.option("--edits", is_flag=True, help="Also list the contacts that agents have edited; they do not differ.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a line for each difference and one for the total.")
def reconcile(repair: bool, yes: bool, restart: bool, edits: bool, as_json: bool) -> None:
    """Compare every created or deleted contact with LiveDesk.

    What an agent has edited is not a difference.

    A run that was stopped continues where it was. Exit code: 0 no differences, 1 there are some, 2 not finished.
    """
    parts = current_parts()
    if repair and not yes and not (sys.stdin.isatty() and click.confirm(CONFIRM, err=True)):
        raise click.UsageError("--repair creates contacts in LiveDesk: confirm with --yes.")
    try:
        for difference, is_repaired in _compare(parts, restart, repair):
            if edits or difference.kind is not Kind.EDITED:
                _print(difference, is_repaired, as_json)
        differing = _finish(parts, as_json)
    except KeyboardInterrupt:
        raise NotFinished(f"Stopped. {AGAIN}") from None
    except StoreError as error:
        raise NotFinished(f"Redis cannot be used: {error}. {AGAIN}") from error
    except LiveDeskError as error:
        raise NotFinished(f"{error.cause.title}. {AGAIN}") from error
    if differing:
        raise SystemExit(1)


def _compare(parts: Parts, restart: bool, repair: bool) -> Iterator[tuple[Difference, bool]]:
    """Yield each difference and whether it was repaired; save progress each time."""
    assert parts.livedesk is not None
    progress = (None if restart else parts.store.findings.progress()) or Progress()
    if progress.checked:
        click.echo(f"Continuing after {progress.checked} contacts that an earlier run compared.", err=True)
    reconciler = Reconciler(parts.store, parts.livedesk, wait=partial(wait_for_slot, parts.store))
    states = SETTLED_STATES[SETTLED_STATES.index(progress.state) :]
    counts = parts.store.contacts.counts()
    left = max(0, sum(counts[state] for state in SETTLED_STATES) - progress.checked)
    with click.progressbar(length=left, label="Comparing", file=sys.stderr) as bar:
        for state in states:
            place = progress.place if state is progress.state else Position()
            for contact, difference in reconciler.walk(place, state):
                if difference is not None:
                    yield difference, repair and _repair(parts, difference)
                found = progress.found + (difference is not None and difference.kind is not Kind.EDITED)
                progress = Progress(contact.place, progress.checked + 1, found, state)
                parts.store.findings.save_progress(progress)
                bar.update(1)


def _repair(parts: Parts, difference: Difference) -> bool:
    created = difference.contact
    # Of several identifiers of a person, only the one that LiveDesk had is created again.
    if difference.kind is not Kind.MISSING or created.is_known:
        return False
    source = parts.sources.get(created.source)
    contact = Contact(created.identifier, source.inbox_id if source else None)
    return parts.store.contacts.recreate(created.place.key, created.contact_id, contact)


def _print(difference: Difference, is_repaired: bool, as_json: bool) -> None:
    contact, found = difference.contact, difference.found
    if as_json:
        document: dict[str, Any] = {
            "kind": difference.kind,
            "identifier": contact.identifier,
            "contact_id": int(contact.contact_id) if contact.contact_id else None,
            "found": [int(contact_id) for contact_id in found],
            "fields": list(difference.fields),
            "cause": difference.cause or None,
            "repaired": is_repaired,
        }
        above_bar(json.dumps(document))
        return
    text = WORDS[difference.kind].format(found=", ".join(found))
    details = ", ".join(difference.fields) or difference.cause
    more = f" ({details})" if details else ""
    repaired = "; will be created again" if is_repaired else ""
    identifier = printable(contact.identifier)
    which = f"contact {contact.contact_id}: " if contact.contact_id else ""
    above_bar(f"{difference.kind:<8} {identifier}  {which}{text}{more}{repaired}")


def _finish(parts: Parts, as_json: bool) -> int:
    """Print how many contacts differ, and forget the progress."""
    progress = parts.store.findings.progress() or Progress()
    if as_json:
        click.echo(json.dumps({"compared": progress.checked, "differing": progress.found}))
    else:
        click.echo(f"{progress.checked} compared, {progress.found} differ.")
    parts.store.findings.save_progress(None)
    return progress.found
