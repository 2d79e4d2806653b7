"""``flask quarantine``: deliveries without a usable contact, and clashes."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping

import click

from webhook_app.cli.commands import Group, audit_options, cli
from webhook_app.cli.output import print_table, printable, when
from webhook_app.operator import SAME_PERSON, UNDECIDED, Decision, InvalidInput, Operator
from webhook_app.parts import Parts, current_parts
from webhook_app.present.masking import masked_text
from webhook_app.present.wording import clashing, evictions, explain_clash
from webhook_app.receiver.replay import revealed
from webhook_app.sources.body.keys import keys_in
from webhook_app.sources.body.payload_codec import load_payload
from worker.errors import Unmappable
from worker.model import Quarantined, Status, Way

PAGE = 100
#: How a replay can end if the delivery has a usable contact.
STATUSES = (Status.ACCEPTED, Status.DUPLICATE, Status.IGNORED)

#: How to resolve a clash.
RESOLVE = """\
Two people:      flask quarantine replay {what} --two-people {source}-
The same person: flask quarantine replay {what} --same-person"""

quarantine = Group("quarantine", help="Deliveries with a valid signature and no usable contact, or that clash.")
cli.add_command(quarantine)
clash_option = click.option(
    "--clash", nargs=2, metavar="SOURCE OTHER", help="Only deliveries of SOURCE with identifiers of people of OTHER."
)


@quarantine.command("list")
@clash_option
def list_entries(clash: tuple[str, str] | None) -> None:
    """List the deliveries, oldest first, and how to resolve clashes."""
    parts = current_parts()
    now = parts.store.now()
    rows = [(one.entry, one.source, when(one.since, now), _problems(one)) for one in _all(parts, clash)]
    for sentence in evictions(parts.store.quarantine.evicted()):
        click.echo(f"{sentence}\n")
    if not rows:
        click.echo("There are no such clashes." if clash else "The quarantine is empty.")
        return
    print_table([("entry", "source", "since", "problems"), *rows])
    for (source, other), number in parts.store.quarantine.clashes().items():
        if clash in (None, (source, other)):
            click.echo(f"\n{clashing(number)}: {source} uses identifiers of people of {other}.")
            click.echo(RESOLVE.format(what=f"--clash {source} {other}", source=source))


@quarantine.command("show")
@click.argument("entry")
@click.option("--reveal", is_flag=True, help="Show the values too, which are personal data; this is audited.")
@audit_options
def show_entry(entry: str, reveal: bool, who: str, why: str) -> None:
    """Show the problems of the delivery ENTRY and what it contains."""
    operator = Operator(current_parts(), who, Way.CLI)
    found = operator.quarantine.reveal(entry, why) if reveal else operator.quarantine.get(entry)
    click.echo(f"source  {found.source}\nsince   {when(found.since, operator.parts.store.now())}\n")
    if found.clash:
        click.echo(f"{explain_clash(found.source, found.clash)}\n")
        click.echo(f"{RESOLVE.format(what=entry, source=found.source)}\n")
    click.echo("problems")
    for field, problem in found.problems.items():
        told = f"{field}: {problem}"
        click.echo(f"  {printable(told if reveal else masked_text(told))}")
    if reveal:
        click.echo(f"\npayload\n{revealed(found.payload)}\n\nheaders\n{json.dumps(found.headers, indent=2)}")
        return
    click.echo("\nkeys of the payload")
    try:
        for key in sorted(set(keys_in(load_payload(found.payload)))):
            click.echo(f"  {printable(masked_text(key))}")
    except Unmappable as error:
        raise click.ClickException(f"The payload {error.problems['payload']}.") from error


@quarantine.command("replay")
@click.argument("entry", required=False)
@click.option("--all", "everything", is_flag=True, help="Replay all deliveries.")
@clash_option
@click.option("--two-people", "id_prefix", metavar="PREFIX", help="A clash: put PREFIX before the identifier.")
@click.option("--same-person", is_flag=True, help="A clash: the delivery is about the person of the other source.")
@audit_options
def replay(
    entry: str | None,
    everything: bool,
    clash: tuple[str, str] | None,
    id_prefix: str | None,
    same_person: bool,
    who: str,
    why: str,
) -> None:
    """Replay the delivery ENTRY, or all, with the sources as configured now.

    --two-people or --same-person resolves a clash. Exit code: 0 all have a usable contact now, 1 some do not.
    """
    if sum((entry is not None, everything, clash is not None)) != 1:
        raise click.UsageError("Give either an ENTRY, --clash or --all.")
    decision = _decision(id_prefix, same_person)
    if decision and everything:
        raise click.UsageError("Only clashes need a decision: give an ENTRY or --clash.")
    operator = Operator(current_parts(), who, Way.CLI)
    deliveries = list(_all(operator.parts, clash)) if entry is None else [operator.quarantine.get(entry)]
    for one in deliveries:
        operator.quarantine.require_clash(one, decision)
    operator.quarantine.audit_replay(entry or "", clash, why, decision)
    _replay_each(operator, deliveries, decision)


@quarantine.command("discard")
@click.argument("entry")
@audit_options
def discard(entry: str, who: str, why: str) -> None:
    """Delete the delivery ENTRY."""
    Operator(current_parts(), who, Way.CLI).quarantine.discard(entry, why)
    click.echo("Deleted.")


def _decision(id_prefix: str | None, same_person: bool) -> Decision:
    if same_person and id_prefix is not None:
        raise click.UsageError("Give either --two-people or --same-person.")
    if same_person:
        return SAME_PERSON
    return UNDECIDED if id_prefix is None else Decision.two_people(id_prefix)


def _replay_each(operator: Operator, deliveries: list[Quarantined], decision: Decision) -> None:
    statuses: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    with click.progressbar(deliveries, label="Replaying", file=sys.stderr) as bar:
        for listed in bar:
            if (one := operator.parts.store.quarantine.read(listed.entry)) is None:  # evicted meanwhile
                continue
            try:
                statuses[operator.quarantine.replay_one(one, decision)] += 1
            except InvalidInput as error:
                problems[f"{one.source}: {_describe(error.problems)}"] += 1
    counts = ", ".join(f"{statuses[status]} {status}" for status in STATUSES)
    click.echo(f"{counts}, {problems.total()} still in quarantine")
    for problem, count in problems.most_common():
        click.echo(f"  {count} of {printable(problem)}")
    for pair in sorted({(one.source, one.clash) for one in deliveries if decision}):
        click.echo(operator.quarantine.advice(pair, decision))
    if problems:
        raise SystemExit(1)


def _all(parts: Parts, clash: tuple[str, str] | None = None) -> Iterator[Quarantined]:
    offset = 0
    while page := parts.store.quarantine.page(offset=offset, limit=PAGE, clash=clash, with_payloads=False):
        yield from page
        offset += PAGE


def _problems(one: Quarantined) -> str:
    return f"clashes with {one.clash}" if one.clash else _describe(one.problems)


def _describe(problems: Mapping[str, str]) -> str:
    return masked_text("; ".join(f"{field}: {problem}" for field, problem in problems.items()))
