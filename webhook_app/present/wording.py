"""How times, numbers and charts are put. ``None`` is never 0: it is what could not be read, and is called unknown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask import Blueprint

if TYPE_CHECKING:
    from webhook_app.parts import Parts

UNKNOWN = "unknown"
#: Each unit with its length in ms, and up to how much is counted in it. app.js has the same.
UNITS = (("s", 1_000, 60_000), ("min", 60_000, 3_600_000), ("h", 3_600_000, 172_800_000))
DAY_MS = 86_400_000


def register(views: Blueprint, _parts: "Parts") -> None:
    for word in (number, rate, duration, relative, absolute, machine_time, clock_time, people, points, bars):
        views.add_app_template_filter(word)


def number(value: float | None) -> str:
    """``1,204``."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """``9.6``, ``52``, ``1,204``: one decimal where it matters."""
    if value is None:
        return UNKNOWN
    return f"{value:,.1f}".removesuffix(".0") if value < 10 else f"{value:,.0f}"


def duration(ms: int | None) -> str:
    """``12 s``, ``4 min``, ``26 h``, ``3 d``: rounded down to one unit."""
    if ms is None:
        return UNKNOWN
    for unit, length, below in UNITS:
        if ms < below:
            return f"{max(ms, 0) // length} {unit}"
    return f"{ms // DAY_MS} d"


def relative(at: int | None, now: int) -> str:
    """``4 min ago``, ``in 12 s``, ``now``; ``at`` and ``now`` in ms since the epoch."""
    if at is None:
        return UNKNOWN
    if abs(at - now) < 1_000:
        return "now"
    return f"in {duration(at - now)}" if at > now else f"{duration(now - at)} ago"


def absolute(at: int) -> str:
    """``2026-03-01 12:04:05 UTC``, for a person."""
    return f"{_utc(at):%Y-%m-%d %H:%M:%S} UTC"


def machine_time(at: int) -> str:
    """RFC 3339, for the ``datetime`` of a ``<time>``."""
    return _utc(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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


def clock_time(at: int) -> str:
    """``12:04``, in UTC: the minute of a chart."""
    return f"{_utc(at):%H:%M}"


def people(count: int) -> str:
    """``1 person``, ``1,204 people``."""
    return f"{count:,} {'person' if count == 1 else 'people'}"


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
