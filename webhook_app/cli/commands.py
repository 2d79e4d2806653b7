"""The group that all commands are in, and the options that several of them share.

Exit codes: 0 done; 1 not found, refused or failed; 2 wrong usage. A command with others says so in its help.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from flask.cli import AppGroup

from webhook_app.operator import ActionRefused, InvalidInput, parse_filter
from webhook_app.parts import Parts
from worker.errors import SettingsError, StoreError
from worker.model import State, Work
from worker.store.lists import Filter

F = TypeVar("F", bound=Callable[..., Any])


@contextmanager
def sentences() -> Iterator[None]:
    """End a command with a sentence instead of a traceback on an expected error."""
    try:
        yield
    except SettingsError as error:
        raise click.ClickException(f"The configuration has mistakes.\n{error}") from error
    except StoreError as error:
        raise click.ClickException(f"Redis cannot be used: {error}") from error
    except ActionRefused as error:
        raise click.ClickException(str(error)) from error
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error


class Command(click.Command):
    """A command whose expected errors are sentences."""

    def invoke(self, ctx: click.Context) -> Any:
        with sentences():
            return super().invoke(ctx)


class Group(AppGroup):
    """A group that lists its commands if somebody asks for one that does not exist."""

    command_class = Command

    def invoke(self, ctx: click.Context) -> Any:
        with sentences():
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(
                f"{error.format_message()} The commands are: {', '.join(self.commands)}.", ctx
            ) from error


#: The commands that we add to ``flask``.
cli = Group("livedesk-sync")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one line for each item.")


def filter_options(command: F) -> F:
    """Add the options of ``read_filter``.

    Times are when a contact entered its state or failed with the cause.
    """
    options = (
        click.option("--state", type=click.Choice([state.value for state in State])),
        click.option("--cause", help="Only contacts that last failed with this cause."),
        click.option("--source", help="Only contacts from this source."),
        click.option("--work", type=click.Choice([work.value for work in Work]), help="What is to be sent."),
        click.option("--since", metavar="TIME", help="Earliest time: 2h (ago), or RFC 3339."),
        click.option("--until", metavar="TIME", help="Latest time."),
        click.option("--attempts", type=click.IntRange(0), help="Minimum number of attempts."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_filter(parts: Parts, options: dict[str, Any]) -> Filter:
    """Return the filter that the options describe."""
    if not options["state"] and not options["cause"]:
        raise click.UsageError("Give --state, --cause or both.")
    return parse_filter(options, now=int(parts.clock() * 1000))


def audit_options(command: F) -> F:
    """Add who acts, and why."""
    command = click.option("--why", default="", help="The reason, for the audit log; no personal data.")(command)
    return click.option("--who", default="command line", help="Your name, for the audit log.")(command)
