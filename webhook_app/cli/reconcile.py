"""``flask reconcile``: what we hold as created is compared with LiveDesk, and what is missing there is put back."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from webhook_app.cli.output import above_bar, printable, sentences
from worker.errors import LiveDeskError, StoreError
from worker.livedesk.reconcile import (
    Difference,
    Kind,
    Reconciler,
    in_turn,
)
from worker.model import Contact, Progress, State

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: What each kind of difference is, in words; ``{found}`` are ids in LiveDesk.
WORDS = {
    Kind.MISSING: "LiveDesk does not have it",
    Kind.MERGED: "it is contact {found} there",
    Kind.DOUBLE: "LiveDesk has it more than once: {found}",
    Kind.DRIFTED: "LiveDesk holds other values",
    Kind.UNCLEAR: "it cannot be told",
}
REPAIR = (
    "What is missing will be created again, with its identifier and inbox alone: the other data were given up when it\n"
    "was created. Whoever was deleted in LiveDesk on purpose comes back. Go on?"
)


class NotFinished(click.ClickException):
    exit_code = 2


def command(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("reconcile")
    @click.option("--repair", is_flag=True, help="Make those that are missing due again.")
    @click.option("--yes", is_flag=True, help="Repair without asking.")
    @click.option("--restart", is_flag=True, help="Begin anew, rather than where the last run was stopped.")
    @click.option("--json", "as_json", is_flag=True, help="A line of JSON for each difference, and one for the sum.")
    def reconcile(repair: bool, yes: bool, restart: bool, as_json: bool) -> None:
        """Compare every contact that we hold as created with LiveDesk.

        A run that was stopped goes on where it was. Exit code: 0 all is as it should be, 1 something is not, 2 it could
        not finish.
        """
        with sentences():
            found = parts()
        if repair and not yes and not (sys.stdin.isatty() and click.confirm(REPAIR, err=True)):
            raise click.UsageError("--repair creates contacts in LiveDesk: say --yes.")
        try:
            for difference, is_repaired in _compare(found, restart, repair):
                _tell(difference, is_repaired, as_json)
            differing = _sum(found, as_json)
        except KeyboardInterrupt:
            raise NotFinished("Stopped. Run it again to go on from here.") from None
        except StoreError as error:
            raise NotFinished(f"Redis cannot be used: {error}. Run it again to go on from here.") from error
        except LiveDeskError as error:
            raise NotFinished(f"{error.cause.title}. Run it again to go on from here.") from error
        if differing:
            raise SystemExit(1)

    return reconcile


def _compare(parts: "Parts", restart: bool, repair: bool) -> Iterator[tuple[Difference, bool]]:
    """Every difference, and whether it was repaired. The place is kept after each contact."""
    assert parts.livedesk is not None
    progress = (None if restart else parts.store.findings.progress()) or Progress()
    if progress.checked:
        click.echo(f"Going on behind {progress.checked} contacts that were compared before.", err=True)
    reconciler = Reconciler(parts.store, parts.livedesk, wait=in_turn(parts.store))
    left = max(0, parts.store.contacts.counts()[State.CREATED] - progress.checked)
    with click.progressbar(length=left, label="Comparing", file=sys.stderr) as bar:
        for held, difference in reconciler.walk(progress.place):
            if difference is not None:
                yield difference, repair and _put_back(parts, difference)
            progress = Progress(held.place, progress.checked + 1, progress.found + (difference is not None))
            parts.store.findings.save_progress(progress)
            bar.update(1)


def _put_back(parts: "Parts", difference: Difference) -> bool:
    held = difference.held
    if difference.kind is not Kind.MISSING:
        return False
    source = parts.sources.get(held.source)
    contact = Contact(held.identifier, source.inbox_id if source else None)
    return parts.store.contacts.recreate(held.place.key, held.contact_id, contact)


def _tell(difference: Difference, is_repaired: bool, as_json: bool) -> None:
    held, found = difference.held, difference.found
    if as_json:
        document: dict[str, Any] = {
            "kind": difference.kind,
            "identifier": held.identifier,
            "contact_id": int(held.contact_id),
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
    repaired = "; it is due again" if is_repaired else ""
    above_bar(f"{difference.kind:<8} {printable(held.identifier)}  contact {held.contact_id}: {text}{more}{repaired}")


def _sum(parts: "Parts", as_json: bool) -> int:
    """Tells how many differ, and lets the next run begin anew."""
    progress = parts.store.findings.progress() or Progress()
    if as_json:
        click.echo(json.dumps({"compared": progress.checked, "differing": progress.found}))
    else:
        click.echo(f"{progress.checked} compared, {progress.found} of them differ.")
    parts.store.findings.save_progress(None)
    return progress.found
