"""The filter of a list as options, for the commands that take one, and who asks."""

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from worker.durations import parse_time
from worker.model import State
from worker.store.lists import Filter

AGE = re.compile(r"(\d{1,6})(s|min|h|d)")
UNITS_MS = {"s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
F = TypeVar("F", bound=Callable[..., Any])


class When(click.ParamType[int]):
    """A time as RFC 3339, or as how long ago it was; ms since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if age := AGE.fullmatch(value):
            return int(time.time() * 1000) - int(age[1]) * UNITS_MS[age[2]]
        try:
            return parse_time(value)
        except ValueError:
            self.fail("say 2026-03-01T12:00:00Z, or 90min, 2h, 3d for so long ago", param, ctx)


def filtered(command: F) -> F:
    """Adds the options of ``filter_of``."""
    options = (
        click.option("--state", type=click.Choice([state.value for state in State])),
        click.option("--cause"),
        click.option("--source"),
        click.option("--since", type=When(), help="In its state or cause since then: 2h, or RFC 3339."),
        click.option("--until", type=When(), help="The same, up to then."),
        click.option("--attempts", type=click.IntRange(0), default=0, help="So many at least."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def filter_of(options: dict[str, Any]) -> Filter:
    """
    Raises:
        click.UsageError: it would be a filter of all contacts.
    """
    if not options["state"] and not options["cause"]:
        raise click.UsageError("Give --state, --cause or both.")
    state = State(options["state"]) if options["state"] else None
    names = ("cause", "source", "since", "until", "attempts")
    return Filter(state=state, **{name: options[name] for name in names})


def acting(command: F) -> F:
    """Adds who asks, and why."""
    command = click.option("--why", default="", help="For the audit. No personal data, please.")(command)
    return click.option("--who", default="command line", help="For the audit: who asks.")(command)
