"""How commands print times, tables and text that others wrote."""

import sys
from collections.abc import Sequence

import click

from worker.durations import absolute, relative


def above_bar(line: str, *, err: bool = False) -> None:
    """Print a line above the progress bar, which is drawn again below it."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    click.echo(line, err=err)


def when(at: int, now: int) -> str:
    """``3 h ago (2026-03-01 12:04:05 UTC)``; times in ms since the epoch."""
    return f"{relative(at, now)} ({absolute(at)})"


def printable(text: str) -> str:
    """Replace what a terminal would interpret."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def print_table(rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Print rows, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(indent + printable("  ".join(cells).rstrip()))
