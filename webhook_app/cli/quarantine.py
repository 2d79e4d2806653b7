"""``flask quarantine``: deliveries without a usable contact."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping

import click

from webhook_app.cli.commands import Group, audit_options, cli
from webhook_app.cli.output import print_table, printable, when
from webhook_app.operator import InvalidInput, Operator
from webhook_app.parts import Parts, current_parts
from webhook_app.receiver.replay import keys_in, revealed
from webhook_app.sources.body.payload_codec import load_payload
from worker.errors import Unmappable
from worker.model import Quarantined, Status

PAGE = 100
#: How a replay can end if the delivery has a usable contact.
STATUSES = (Status.ACCEPTED, Status.DUPLICATE, Status.IGNORED)

quarantine = Group("quarantine", help="Deliveries with a valid signature and no usable contact.")
cli.add_command(quarantine)


@quarantine.command("list")
def list_entries() -> None:
    """List the deliveries, oldest first."""
    parts = current_parts()
    now = parts.store.now()
    rows = [(one.entry, one.source, when(one.since, now), _describe(one.problems)) for one in _all(parts)]
    if rows:
        print_table([("entry", "source", "since", "problems"), *rows])
    else:
        click.echo("The quarantine is empty.")


@quarantine.command("show")
@click.argument("entry")
@click.option("--reveal", is_flag=True, help="Show the values too, which are personal data; this is audited.")
@audit_options
def show_entry(entry: str, reveal: bool, who: str, why: str) -> None:
    """Show the problems of the delivery ENTRY and what it contains."""
    operator = Operator(current_parts(), who)
    found = operator.quarantine.reveal(entry, why) if reveal else operator.quarantine.get(entry)
    click.echo(f"source  {found.source}\nsince   {when(found.since, operator.parts.store.now())}\n\nproblems")
    for field, problem in found.problems.items():
        click.echo(f"  {printable(field)}: {printable(problem)}")
    if reveal:
        click.echo(f"\npayload\n{revealed(found.payload)}\n\nheaders\n{json.dumps(found.headers, indent=2)}")
        return
    click.echo("\nkeys of the payload")
    try:
        for key in sorted(set(keys_in(load_payload(found.payload)))):
            click.echo(f"  {printable(key)}")
    except Unmappable as error:
        raise click.ClickException(f"The payload {error.problems['payload']}.") from error


@quarantine.command("replay")
@click.argument("entry", required=False)
@click.option("--all", "everything", is_flag=True, help="Replay all deliveries.")
@audit_options
def replay(entry: str | None, everything: bool, who: str, why: str) -> None:
    """Replay the delivery ENTRY, or all, with the sources as configured now.

    Exit code: 0 all have a usable contact now, 1 some do not.
    """
    if (entry is None) != everything:
        raise click.UsageError("Give either an ENTRY or --all.")
    operator = Operator(current_parts(), who)
    deliveries = list(_all(operator.parts)) if entry is None else [operator.quarantine.get(entry)]
    did = "replayed the quarantine" if entry is None else "replayed a delivery in quarantine"
    operator.quarantine.audit(did, entry or "", why)
    _replay_each(operator, deliveries)


@quarantine.command("discard")
@click.argument("entry")
@audit_options
def discard(entry: str, who: str, why: str) -> None:
    """Delete the delivery ENTRY."""
    Operator(current_parts(), who).quarantine.discard(entry, why)
    click.echo("Deleted.")


def _replay_each(operator: Operator, deliveries: list[Quarantined]) -> None:
    statuses: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    with click.progressbar(deliveries, label="Replaying", file=sys.stderr) as bar:
        for one in bar:
            try:
                statuses[operator.quarantine.replay_one(one)] += 1
            except InvalidInput as error:
                problems[f"{one.source}: {_describe(error.problems)}"] += 1
    counts = ", ".join(f"{statuses[status]} {status}" for status in STATUSES)
    click.echo(f"{counts}, {problems.total()} still in quarantine")
    for problem, count in problems.most_common():
        click.echo(f"  {count} of {printable(problem)}")
    if problems:
        raise SystemExit(1)


def _all(parts: Parts) -> Iterator[Quarantined]:
    offset = 0
    while page := parts.store.quarantine.page(offset=offset, limit=PAGE):
        yield from page
        offset += PAGE


def _describe(problems: Mapping[str, str]) -> str:
    return "; ".join(f"{field}: {problem}" for field, problem in problems.items())
