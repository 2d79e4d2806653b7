"""``flask pause`` and ``flask resume``: nothing is sent to LiveDesk in between."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from webhook_app import operator
from webhook_app.cli.filters import acting
from webhook_app.cli.output import sentences

if TYPE_CHECKING:
    from webhook_app.parts import Parts


def command(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("pause")
    @acting
    def pause(who: str, why: str) -> None:
        """Send nothing to LiveDesk until somebody resumes. Signups are still taken; they wait."""
        with sentences():
            operator.pause(parts(), who, why)
        click.echo("It is paused.")

    return pause


def resume(parts: "Callable[[], Parts]") -> click.Command:
    @click.command("resume")
    @acting
    def command(who: str, why: str) -> None:
        """End the pause. Where the sync has stopped by itself, LiveDesk is probed at once."""
        with sentences():
            operator.resume(parts(), who, why)
        click.echo("It goes on.")

    return command
