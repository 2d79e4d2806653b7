"""How times, numbers and charts are put. ``None`` is never 0: it is what could not be read, and is called unknown."""

from collections.abc import Sequence

from flask import Blueprint

from webhook_app.parts import Parts
from worker.durations import UNKNOWN, absolute, clock_time, duration, relative, rfc3339


def register(views: Blueprint, _parts: Parts) -> None:
    for word in (number, rate, duration, relative, absolute, clock_time, people, points, bars):
        views.add_app_template_filter(word)
    views.add_app_template_filter(rfc3339, "machine_time")


def number(value: float | None) -> str:
    """``1,204``."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """``9.6``, ``52``, ``1,204``: one decimal where it matters."""
    if value is None:
        return UNKNOWN
    return f"{value:,.1f}".removesuffix(".0") if value < 10 else f"{value:,.0f}"


def points(values: Sequence[float | None], width: int, height: int, most: float = 0) -> list[str]:
    """Each unbroken stretch of a line as the ``points`` of an SVG polyline; what is unknown is a gap. ``most`` is the
    value at the top, by default the greatest."""
    most = most or max((value for value in values if value is not None), default=0) or 1
    step = width / max(len(values) - 1, 1)
    lines: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            lines[-1].append(f"{place * step:.1f},{height - 1 - (height - 2) * value / most:.1f}")
    return [" ".join(line) for line in lines if line]


def bars(values: Sequence[float | None], width: int, height: int) -> list[tuple[str, str, str, str]]:
    """``x``, ``y``, width and height of the bar of each value; what is unknown has none."""
    most = max((value for value in values if value is not None), default=0) or 1
    step = width / max(len(values), 1)
    return [
        (
            f"{place * step:.1f}",
            f"{height - height * value / most:.1f}",
            f"{step * 0.8:.1f}",
            f"{height * value / most:.1f}",
        )
        for place, value in enumerate(values)
        if value is not None
    ]


def people(count: int) -> str:
    """``1 person``, ``1,204 people``."""
    return f"{count:,} {'person' if count == 1 else 'people'}"
