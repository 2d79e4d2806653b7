"""``flask workers``: the worker processes, and what each is doing."""

import click
from flask.cli import with_appcontext

from webhook_app.cli.commands import cli, json_option
from webhook_app.cli.output import print_table
from webhook_app.parts import current_parts
from webhook_app.present import serializers
from webhook_app.present.workers import ListedWorker, list_workers
from worker.durations import duration, relative

HEAD = ("PROCESS", "DOING", "THREADS", "LAST ATTEMPT", "RUNNING FOR", "VERSION", "MEMORY", "HEARTBEAT")


@cli.command("workers")
@json_option
@with_appcontext
def workers(as_json: bool) -> None:
    """List the worker processes, and what each is doing.

    Exit code: 0 a worker is running, 1 none is.
    """
    store = current_parts().store
    seen, upstream = store.queue.workers(), store.upstream.read()
    listed = list_workers(seen, upstream)
    if as_json:
        for one in serializers.workers(seen, upstream).workers:
            click.echo(serializers.to_json(one))
    elif listed:
        print_table([HEAD, *(_cells(one, seen.now) for one in listed)])
    if not seen.alive():
        last = f" The last one made progress {relative(seen.last_seen, seen.now)}." if seen.last_seen else ""
        click.echo(f"No worker is running: start bin/worker.{last}", err=True)
        raise SystemExit(1)


def _cells(one: ListedWorker, now: int) -> tuple[str, ...]:
    report, seen = one.report, relative(one.seen_at, now)
    if report is None:
        return (one.name, one.doing, "-", "-", "-", "-", "-", seen)
    return (
        one.name,
        one.doing,
        str(report.threads),
        relative(report.progress_at, now),
        "-" if one.state == "stale" else duration(now - report.started_at),
        report.version,
        f"{report.memory // 1_048_576} MB",
        seen,
    )
