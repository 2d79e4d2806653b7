"""What the parts measure, and how it is printed: as text and as Markdown."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One figure.

    ``met`` is ``None`` if there is no ``target``; ``detail`` says how the figure came about.
    """

    name: str
    value: str
    target: str = ""
    met: bool | None = None
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """Figures side by side, such as those of all receivers."""

    title: str
    columns: list[str]
    lines: list[list[str]]


@dataclass(frozen=True)
class Measured:
    """The result of one part.

    ``figures`` are what the README and the scale page quote and compute with, by name.
    """

    rows: list[Row]
    tables: list[Table] = field(default_factory=list)
    figures: dict[str, float | str] = field(default_factory=dict)


def at_least(name: str, value: float, target: float, unit: str = "{:.1f}", detail: str = "") -> Row:
    """A figure that should be high; ``unit`` is the format of both numbers."""
    return Row(name, unit.format(value), f"≥ {unit.format(target)}", value >= target, detail)


def at_most(name: str, value: float, target: float, unit: str = "{:.1f}", detail: str = "") -> Row:
    """A figure that should be low."""
    return Row(name, unit.format(value), f"≤ {unit.format(target)}", value <= target, detail)


def median(values: Sequence[float]) -> float:
    """The median, so that one disturbed run does not count."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """The median with the lowest and the highest run, as text."""
    return f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


HEADINGS = ["figure", "measured", "target", "met"]
VERDICTS = {True: "yes", False: "NO", None: ""}


def cells(row: Row) -> list[str]:
    return [row.name, row.value, row.target, VERDICTS[row.met]]


def text(measured: Measured) -> str:
    """Everything as text, the details below the figures."""
    parts = [_columns([HEADINGS, *map(cells, measured.rows)])] if measured.rows else []
    parts += [f"{table.title}\n{_columns([table.columns, *table.lines])}" for table in measured.tables]
    details = [f"* {row.name}: {row.detail}" for row in measured.rows if row.detail]
    return "\n\n".join([*parts, "\n".join(details)] if details else parts)


def _columns(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    padded.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(padded)


def markdown(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    written = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in written)
