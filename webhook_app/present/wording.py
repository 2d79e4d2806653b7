"""Numbers, counted nouns and charts in words; ``None`` is *unknown*, never 0."""

from collections.abc import Callable, Sequence
from typing import Any

from worker.durations import UNKNOWN, absolute, clock_time, duration, relative, rfc3339


def number(value: float | None) -> str:
    """``1,204``."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """``9.6``, ``52``, ``1,204``: one decimal below 10."""
    if value is None:
        return UNKNOWN
    return f"{value:,.1f}".removesuffix(".0") if value < 10 else f"{value:,.0f}"


def counted(number: int, singular: str, plural: str = "") -> str:
    """``1 delivery``, ``1,204 deliveries``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def people(number: int) -> str:
    """``1 person``, ``1,204 people``."""
    return counted(number, "person", "people")


def points(values: Sequence[float | None], width: int, height: int, top: float = 0) -> list[str]:
    """Return each unbroken stretch as an SVG polyline; unknown values are gaps.

    ``top`` is the value at the upper edge, by default the greatest.
    """
    top = top or max((value for value in values if value is not None), default=0) or 1
    step = width / max(len(values) - 1, 1)
    lines: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            lines[-1].append(f"{index * step:.1f},{height - 1 - (height - 2) * value / top:.1f}")
    return [" ".join(line) for line in lines if line]


#: The filters of the templates, by name.
FILTERS: dict[str, Callable[..., Any]] = {
    **{each.__name__: each for each in (number, rate, counted, people, points)},
    **{each.__name__: each for each in (duration, relative, absolute, clock_time)},
    "machine_time": rfc3339,
}
