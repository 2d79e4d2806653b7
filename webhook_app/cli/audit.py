"""``flask audit``: what operators did and the sync decided, and why."""

from itertools import islice
from typing import Any

import click

from webhook_app.cli.commands import cli, json_option
from webhook_app.cli.contacts import find_key
from webhook_app.cli.output import print_table
from webhook_app.operator import parse_audit_filter
from webhook_app.parts import current_parts
from webhook_app.present import shapes
from webhook_app.present.csv_export import audit_as_csv
from webhook_app.present.masking import masked_text
from webhook_app.present.serializers import serialize, to_json
from webhook_app.present.wording import way_words
from worker.durations import absolute
from worker.model import Way


@cli.command("audit")
@click.option("--who", help="Part of the name of who acted.")
@click.option("--way", type=click.Choice([way.value for way in Way]), help="How who acted is known.")
@click.option("--action", help="Part of what was done, for example: retried.")
@click.option("--contact", help="Only about this contact: its identifier or key.")
@click.option("--since", metavar="TIME", help="Earliest time: 2h (ago), or RFC 3339.")
@click.option("--until", metavar="TIME", help="Latest time.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--csv", "as_csv", is_flag=True, help="Print all entries that match as CSV.")
@json_option
def audit(contact: str | None, limit: int, as_csv: bool, as_json: bool, **fields: Any) -> None:
    """List what operators did and the sync decided, latest first."""
    parts = current_parts()
    key = find_key(parts, contact) if contact else None
    wanted = parse_audit_filter({**fields, "contact": key}, now=int(parts.clock() * 1000))
    if as_csv:
        for text in audit_as_csv(parts, wanted):
            click.echo(text.replace("\r\n", "\n"), nl=False)
        return
    entries = list(islice(parts.store.audit.entries(wanted), limit))
    if as_json:
        for one in entries:
            click.echo(to_json(serialize(one, shapes.AuditEntry)))
    elif entries:
        rows = [
            (absolute(one.at), one.who or "somebody", way_words(one.way), one.did, one.target, masked_text(one.why))
            for one in entries
        ]
        print_table([("when", "who", "known by", "action", "target", "reason"), *rows])
    else:
        click.echo("There are no such entries.")
