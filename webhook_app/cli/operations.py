"""``flask operations``: many contacts are retried or discarded, and that is watched, stopped and undone."""

import json
import sys
import time
from collections.abc import Callable
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
from webhook_app.present import serializers, shapes
from worker.model import BulkAction, OperationState
from worker.store.operations import Operation

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: Seconds between two looks at an operation that is waited for.
LOOK_EVERY_S = 1.0
TURNS = {
    "pause": (OperationState.PAUSED, "Hold the operation with this ID until it is resumed."),
    "resume": (OperationState.RUNNING, "Go on with the operation with this ID."),
    "cancel": (OperationState.CANCELLED, "End the operation with this ID; what it has done stays."),
    "undo": (OperationState.UNDOING, "Put back those contacts of the operation that nobody has touched since."),
}


def command(parts: "Callable[[], Parts]") -> click.Group:
    group = click.Group("operations", help="Many contacts at once, retried or discarded by the workers.")
    for make in (_list, _show, _start):
        group.add_command(make(parts))
    for name in TURNS:
        group.add_command(_turn(parts, name))
    return group


def _list(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("list")
    @click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
    @click.option("--json", "as_json", is_flag=True, help="A line of JSON for each.")
    def command(limit: int, as_json: bool) -> None:
        """List the latest operations."""
        with sentences():
            found = parts()
            latest, now = found.store.operations.latest(limit), found.store.now()
        if as_json:
            for one in latest:
                click.echo(serializers.to_json(serializers.serialize(one, shapes.Operation)))
            return
        if not latest:
            click.echo("There are none.")
            return
        rows = [_cells(one, now) for one in latest]
        for line in columns([("id", "action", "contacts", "state", "moved", "who", "begun"), *rows]):
            click.echo(printable(line))

    return command


def _show(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("show")
    @click.argument("operation_id", metavar="ID")
    @click.option("--json", "as_json", is_flag=True)
    def command(operation_id: str, as_json: bool) -> None:
        """Show how the operation with this ID goes."""
        with sentences():
            _tell(operator.Operator(parts(), "").operations.get(operation_id), as_json)

    return command


def _start(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("start")
    @click.argument("action", type=click.Choice([action.value for action in BulkAction]))
    @filtered
    @click.option("--canary", is_flag=True, help="One first, then ten, then the rest, while it goes well.")
    @click.option("--dry-run", is_flag=True, help="Only tell what it would do.")
    @click.option("--yes", is_flag=True, help="Begin without asking.")
    @click.option("--wait", is_flag=True, help="Stay until it has ended.")
    @click.option("--json", "as_json", is_flag=True)
    @acting
    def command(
        action: str,
        canary: bool,
        dry_run: bool,
        yes: bool,
        wait: bool,
        as_json: bool,
        who: str,
        why: str,
        **options: Any,
    ) -> None:
        """Retry or discard the contacts that are in --state or failed with --cause.

        Tells first how many there are. Exit code: 0 it has begun (with --wait: it is done), 1 there is nothing to
        do, or it stopped before its end, 2 nothing was begun.
        """
        wanted = filter_of(options)
        with sentences():
            found = parts()
            preview = operator.Operator(found, who).operations.plan(BulkAction(action), wanted)
            if not as_json or dry_run:
                click.echo(
                    serializers.to_json(serializers.serialize(preview, shapes.Plan)) if as_json else _previewed(preview)
                )
            if not preview.total:
                raise click.ClickException("There is nothing to do.")
            if dry_run:
                return
            if not yes and not (sys.stdin.isatty() and click.confirm("Begin?", err=True)):
                raise click.UsageError("Nothing was begun: say --yes.")
            begun = operator.Operator(found, who).operations.start(preview, why, canary=canary)
            ended = _watch(found, begun) if wait else begun
            _tell(ended, as_json)
        if wait and ended.state is not OperationState.DONE:
            raise SystemExit(1)

    return command


def _turn(parts: "Callable[[], Parts]", name: str) -> click.Command:
    to, told = TURNS[name]

    @click.command(name, help=told)
    @click.argument("operation_id", metavar="ID")
    @click.option("--json", "as_json", is_flag=True)
    @acting
    def command(operation_id: str, as_json: bool, who: str, why: str) -> None:
        with sentences():
            _tell(operator.turn(parts(), operation_id, to, who, why), as_json)

    return command


def _watch(parts: "Parts", begun: Operation, sleep: Callable[[float], None] = time.sleep) -> Operation:
    """Waits until the operation has ended, or somebody holds it."""
    now = begun
    with click.progressbar(length=begun.total, label=begun.action.value.capitalize(), file=sys.stderr) as bar:
        done = 0
        while now.state in (OperationState.RUNNING, OperationState.UNDOING):
            sleep(LOOK_EVERY_S)
            now = operator.Operator(parts, "").operations.get(begun.id)
            reached = now.moved if now.action is BulkAction.DISCARD else now.told
            bar.update(reached - done)
            done = reached
    return now


def _previewed(preview: operator.Plan) -> str:
    more = "At least " if preview.at_least else ""
    skipped = "".join(f", {number} {state} are left alone" for state, number in preview.skipped.items())
    told = f"{more}{preview.total} contacts{skipped}."
    if preview.takes_ms is None:
        return f"{told} Nothing is sent to LiveDesk now: they will wait."
    return f"{told} About {preview.takes_ms / 1000:.0f} s at the present pace." if preview.takes_ms else told


def _cells(one: Operation, now: int) -> tuple[str, ...]:
    moved = f"{one.moved} of {one.total}"
    return one.id, one.action, _filter(one), one.state, moved, one.who, when(one.created_at, now)


def _tell(one: Operation, as_json: bool) -> None:
    document = serializers.to_dict(serializers.serialize(one, shapes.Operation))
    if as_json:
        click.echo(json.dumps(document))
        return
    lines = {**document, "filter": _filter(one)}
    for line in columns([(name, printable(str(value))) for name, value in lines.items() if value not in (None, "")]):
        click.echo(line)


def _filter(one: Operation) -> str:
    return " ".join(
        f"{name}={value}"
        for name, value in serializers.to_dict(serializers.serialize(one.filter, shapes.Filter)).items()
        if value
    )
