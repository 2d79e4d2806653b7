"""``flask quarantine``: deliveries that made no contact are listed, shown, read again or dropped."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from webhook_app import operator
from webhook_app.cli.filters import acting
from webhook_app.cli.output import (
    columns,
    printable,
    sentences,
    when,
)
from webhook_app.receiver.replay import keys_in, revealed
from webhook_app.receiver.replay import replay as read_again
from webhook_app.sources.body.parse import BadBody
from webhook_app.sources.body.payload_codec import load_payload
from worker.errors import Unmappable
from worker.model import Quarantined, Status

if TYPE_CHECKING:
    from webhook_app.parts import Parts
    from worker.store.store import Store

PAGE = 100
#: What a replay can end with, besides being as unreadable as before.
ENDS = (Status.ACCEPTED, Status.DUPLICATE, Status.IGNORED)


def command(parts: "Callable[[], Parts]") -> click.Group:
    group = click.Group("quarantine", help="Deliveries that were authentic but made no contact.")
    for make in (_list, _show, _replay, _discard):
        group.add_command(make(parts))
    return group


def _list(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("list")
    def command() -> None:
        """List the deliveries, the oldest first."""
        with sentences():
            held = list(_all(parts().store))
        if not held:
            click.echo("There is nothing in quarantine.")
            return
        now = time.time() * 1000
        rows = [(one.entry, one.source, when(one.since, now), _reasons(one.problems)) for one in held]
        for line in columns([("entry", "source", "since", "reasons"), *rows]):
            click.echo(line)

    return command


def _show(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("show")
    @click.argument("entry")
    @click.option("--reveal", is_flag=True, help="Show the values in it, too: they are personal data.")
    @acting
    def command(entry: str, reveal: bool, who: str, why: str) -> None:
        """Show what is wrong with the delivery ENTRY, and what it holds."""
        held = _held(parts, entry)
        click.echo(f"source  {held.source}\nsince   {when(held.since, time.time() * 1000)}\n\nproblems")
        for field, problem in held.problems.items():
            click.echo(f"  {printable(field)}: {printable(problem)}")
        if reveal:
            with sentences():
                operator.reveal_held(parts(), entry, who, why)
            click.echo(f"\npayload\n{revealed(held.payload)}\n\nheaders\n{json.dumps(held.headers, indent=2)}")
            return
        click.echo("\nkeys of the payload")
        for key in sorted(set(keys_in(_loaded(held.payload)))):
            click.echo(f"  {printable(key)}")

    return command


def _replay(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("replay")
    @click.argument("entry", required=False)
    @click.option("--all", "every", is_flag=True, help="All of them.")
    @acting
    def command(entry: str | None, every: bool, who: str, why: str) -> None:
        """Read the delivery ENTRY again, or all of them, with the sources as they are now."""
        if (entry is None) == (not every):
            raise click.UsageError("Give either an ENTRY or --all.")
        with sentences():
            held = [_held(parts, entry)] if entry is not None else list(_all(parts().store))
            did = "replayed a delivery in quarantine" if entry else "replayed the quarantine"
            parts().store.audit.add(who, did, entry or "", why)
            _replay_each(parts(), held)

    return command


def _discard(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("discard")
    @click.argument("entry")
    @acting
    def command(entry: str, who: str, why: str) -> None:
        """Drop the delivery ENTRY for good."""
        _held(parts, entry)
        with sentences():
            operator.release(parts(), entry, who, why)
        click.echo("It is gone.")

    return command


def _replay_each(parts: "Parts", held: list[Quarantined]) -> None:
    """Ends the command with 1 where some stay."""
    ends: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    with click.progressbar(held, label="Reading again", file=sys.stderr) as bar:
        for one in bar:
            try:
                ends[read_again(parts, one)] += 1
            except (Unmappable, BadBody) as error:
                problems = error.problems if isinstance(error, Unmappable) else {"payload": str(error)}
                reasons[f"{one.source}: {_reasons(problems)}"] += 1
    told = ", ".join(f"{ends[end]} {end}" for end in ENDS)
    click.echo(f"{told}, {reasons.total()} still unreadable")
    for reason, count in reasons.most_common():
        click.echo(f"  {count} of {reason}")
    if reasons:
        raise SystemExit(1)


def _held(parts: "Callable[[], Parts]", entry: str) -> Quarantined:
    with sentences():
        held = parts().store.quarantine.read(entry)
    if held is None:
        raise click.ClickException("There is no such entry in quarantine.")
    return held


def _all(store: "Store") -> Iterator[Quarantined]:
    offset = 0
    while page := store.quarantine.page(offset=offset, limit=PAGE):
        yield from page
        offset += PAGE


def _reasons(problems: dict[str, str]) -> str:
    return printable("; ".join(f"{field}: {problem}" for field, problem in problems.items()))


def _loaded(text: str) -> object:
    try:
        return load_payload(text)
    except Unmappable as error:
        raise click.ClickException(f"The payload {error.problems['payload']}.") from error
