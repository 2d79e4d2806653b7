"""How commands say things: what went wrong, times, columns."""

import datetime
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from webhook_app.operator import ActionRefused, InvalidInput
from worker.errors import SettingsError, StoreError
from worker.store.operations import NotOpened

UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


@contextmanager
def sentences() -> Iterator[None]:
    """What a command cannot help ends it with a sentence, not a traceback."""
    try:
        yield
    except SettingsError as error:
        raise click.ClickException(f"The configuration has mistakes.\n{error}") from error
    except StoreError as error:
        raise click.ClickException(f"Redis cannot be used: {error}") from error
    except (ActionRefused, NotOpened) as error:
        raise click.ClickException(str(error)) from error
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error


def above_bar(line: str, *, err: bool = False) -> None:
    """A line while a progress bar is under way: it takes the bar's place, and the bar comes again below."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    click.echo(line, err=err)


def when(at_ms: int, now_ms: float) -> str:
    """A time, as how long ago it was and in UTC."""
    at = datetime.datetime.fromtimestamp(at_ms / 1000, tz=datetime.UTC)
    return f"{ago((now_ms - at_ms) / 1000)} ({at:%Y-%m-%d %H:%M} UTC)"


def ago(seconds: float) -> str:
    """``3 h ago``, in the largest unit of which there is at least one."""
    for unit, length in UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"


def printable(text: str) -> str:
    """Text of a stranger without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
