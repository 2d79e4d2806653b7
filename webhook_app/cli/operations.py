"""``flask operations`` for many contacts; ``flask pause`` and ``flask resume``."""

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from webhook_app.cli.commands import Group, audit_options, cli, filter_options, json_option, read_filter
from webhook_app.cli.output import print_table, when
from webhook_app.operator import CHANGES, Operator, Plan, describe_filter
from webhook_app.parts import current_parts
from webhook_app.present import shapes
from webhook_app.present.serializers import serialize, to_dict, to_json
from webhook_app.present.wording import ACTION_WORDS, OBSTACLE_WORDS, counted, describe_undo
from worker.actions import BulkAction, OperationState
from worker.durations import duration
from worker.model import Way
from worker.store.operations import Operation

#: Seconds between two looks at an operation that is waited for.
LOOK_EVERY_S = 1.0
HELP = {
    "pause": "Pause the operation with this ID.",
    "resume": "Resume the operation with this ID.",
    "cancel": "End the operation with this ID, and keep what it has done.",
    "undo": "Undo the operation with this ID, except for contacts that have changed since.",
}

operations = Group("operations", help="Retry or discard many contacts, or resolve conflicts, at once.")
cli.add_command(operations)


@operations.command("list")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@json_option
def list_operations(limit: int, as_json: bool) -> None:
    """List the latest operations."""
    store = current_parts().store
    latest, now = store.operations.latest(limit), store.now()
    if as_json:
        for one in latest:
            click.echo(to_json(serialize(one, shapes.Operation)))
    elif latest:
        header = ("id", "action", "contacts", "state", "moved", "who", "started")
        print_table([header, *(_cells(one, now) for one in latest)])
    else:
        click.echo("There are no operations.")


@operations.command("show")
@click.argument("operation_id", metavar="ID")
@json_option
def show_operation(operation_id: str, as_json: bool) -> None:
    """Show the progress of the operation with this ID."""
    _print(Operator(current_parts(), "", Way.CLI).operations.get(operation_id), as_json)


@operations.command("start")
@click.argument("action", type=click.Choice([action.value for action in BulkAction]))
@filter_options
@click.option("--canary", is_flag=True, help="One contact, then ten, then the rest; stop if the cause is the same.")
@click.option("--dry-run", is_flag=True, help="Only print what it would do.")
@click.option("--yes", is_flag=True, help="Start without confirmation.")
@click.option("--wait", is_flag=True, help="Wait until it ends.")
@json_option
@audit_options
def start_operation(
    action: str, canary: bool, dry_run: bool, yes: bool, wait: bool, as_json: bool, who: str, why: str, **options: Any
) -> None:
    """Act on the contacts in --state or with --cause.

    adopt, without and known resolve conflicts. First prints how many there are, and what happens to them. Exit code: 0
    started (with --wait: done), 1 no contacts, or stopped early, 2 not started.
    """
    operator = Operator(current_parts(), who, Way.CLI)
    plan = operator.operations.plan(BulkAction(action), read_filter(operator.parts, options))
    if not as_json or dry_run:
        click.echo(to_json(serialize(plan, shapes.Plan)) if as_json else _describe(plan))
    if not plan.total:
        raise click.ClickException("No contacts that this would affect.")
    if dry_run:
        return
    if not yes and not (sys.stdin.isatty() and click.confirm("Start?", err=True)):
        raise click.UsageError("Not started: confirm with --yes.")
    operation = operator.operations.start(plan, why, canary=canary)
    if wait:
        operation = _watch(operator, operation)
    _print(operation, as_json)
    if wait and operation.state is not OperationState.DONE:
        raise SystemExit(1)


def _add_change(change: str) -> None:
    @operations.command(change, help=HELP[change])
    @click.argument("operation_id", metavar="ID")
    @json_option
    @audit_options
    def change_operation(operation_id: str, as_json: bool, who: str, why: str) -> None:
        _print(Operator(current_parts(), who, Way.CLI).operations.change(operation_id, change, why), as_json)


for name in CHANGES:
    _add_change(name)


@cli.command("pause")
@audit_options
def pause(who: str, why: str) -> None:
    """Stop sending to LiveDesk until you resume. Signups are still accepted."""
    Operator(current_parts(), who, Way.CLI).sync.pause(why)
    click.echo("Sync paused.")


@cli.command("resume")
@audit_options
def resume(who: str, why: str) -> None:
    """End the pause. If the sync also stopped by itself, probe LiveDesk at once."""
    Operator(current_parts(), who, Way.CLI).sync.resume(why)
    click.echo("Sync resumed.")


@cli.command("acknowledge")
@audit_options
def acknowledge(who: str, why: str) -> None:
    """Stop showing everywhere that Redis was emptied, once you have acted."""
    Operator(current_parts(), who, Way.CLI).sync.acknowledge(why)
    click.echo("Acknowledged.")


@cli.command("sign-out-everyone")
@audit_options
def sign_out_everyone(who: str, why: str) -> None:
    """End all sessions of the dashboard: everybody must sign in again."""
    ended = Operator(current_parts(), who, Way.CLI).access.sign_out_everyone(why)
    click.echo(f"Ended {counted(ended, 'session')}.")


def _watch(operator: Operator, started: Operation, sleep: Callable[[float], None] = time.sleep) -> Operation:
    """Wait until the operation has ended or is paused."""
    now = started
    with click.progressbar(length=started.total, label=started.action.value.capitalize(), file=sys.stderr) as bar:
        done = 0
        while now.state in (OperationState.RUNNING, OperationState.UNDOING):
            sleep(LOOK_EVERY_S)
            now = operator.operations.get(started.id)
            reached = now.reported if now.action.sends else now.moved
            bar.update(reached - done)
            done = reached
    return now


def _describe(plan: Plan) -> str:
    skipped = "".join(f", {number} {state} skipped" for state, number in plan.skipped.items())
    skipped += "".join(f", {number} skipped: {OBSTACLE_WORDS[found]}" for found, number in plan.obstacles.items())
    text = f"{'At least ' if plan.at_least else ''}{counted(plan.total, 'contact')}{skipped}."
    if plan.action.resolves and plan.total:
        text += f" {ACTION_WORDS[plan.action].effect}"
    if plan.takes_ms is None:
        return f"{text} Nothing is sent to LiveDesk now: they will wait."
    return (
        f"{text} Done in about {duration(plan.takes_ms)}, with the contacts that are sent first."
        if plan.takes_ms
        else text
    )


def _cells(one: Operation, now: int) -> tuple[str, ...]:
    moved, started = f"{one.moved} of {one.total}", when(one.created_at, now)
    return one.id, one.action, describe_filter(one.filter), one.state, moved, one.who, started


def _print(one: Operation, as_json: bool) -> None:
    shown = serialize(one, shapes.Operation)
    if as_json:
        click.echo(to_json(shown))
        return
    lines = {**to_dict(shown), "filter": describe_filter(one.filter)}
    print_table([(name, str(value)) for name, value in lines.items() if value not in (None, "")])
    if one.state is OperationState.UNDONE:
        click.echo(describe_undo(one))
