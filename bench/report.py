"""Figures and how they are printed."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table; ``met`` is ``None`` if there is no ``target``."""

    name: str
    ours: str
    baseline: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None
    note: str = ""


HEADINGS = ("", "ours", "baseline", "ratio", "target", "met")


def median(values: Sequence[float]) -> float:
    """The median, so that one disturbed run does not count."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """The median with the lowest and the highest run, as text."""
    return f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def table(rows: Sequence[Row]) -> str:
    """The rows as a text table, with their notes below it."""
    verdicts = {True: "yes", False: "NO", None: ""}
    lines = [HEADINGS] + [(r.name, r.ours, r.baseline, r.ratio, r.target, verdicts[r.met]) for r in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"* {row.name}: {row.note}" for row in rows if row.note]
    return "\n".join([*text, "", *notes] if notes else text)
