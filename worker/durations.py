"""Durations and points in time, as text for people and for programs.

A duration is an ``int`` in milliseconds; a point in time is milliseconds since the Unix epoch, written in UTC.
"""

import re
from datetime import UTC, datetime

#: The units that a duration may be written with, in ms.
UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
#: How durations are displayed: each unit with its length and the duration from which the next one is used, in ms.
#: ``app.js`` has the same table.
DISPLAY_UNITS = (("s", 1_000, 60_000), ("min", 60_000, 3_600_000), ("h", 3_600_000, 172_800_000))
DAY_MS = 86_400_000
UNKNOWN = "unknown"

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(ms|s|min|m|h|d)?")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_duration(text: str) -> int:
    """Return the ms that ``30`` (seconds), ``1.5s``, ``15m``, ``72h`` or ``90d`` mean.

    Raises:
        ValueError: with a sentence that begins with *must*.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("must be a duration such as 30s, 15m, 72h or 90d")
    milliseconds = round(float(match[1]) * UNITS_MS[match[2] or "s"])
    if milliseconds <= 0:
        raise ValueError("must be longer than zero")
    return milliseconds


def parse_time(text: str, now: int | None = None) -> int:
    """Return the time of an RFC 3339 text; with ``now`` also ``2h`` before now.

    Raises:
        ValueError: with a sentence that begins with *must*.
    """
    if _RFC3339.fullmatch(text):
        try:
            return int(datetime.fromisoformat(text.upper()).timestamp() * 1000)
        except (ValueError, OverflowError):
            raise ValueError("must be a time like 2026-03-01T12:00:00Z") from None
    match = _DURATION.fullmatch(text)
    if now is None or match is None or match[2] is None:
        also = "" if now is None else ", or an age like 90min, 2h or 3d"
        raise ValueError(f"must be a time like 2026-03-01T12:00:00Z{also}")
    return now - parse_duration(text)


def duration(ms: int | None) -> str:
    """``12 s``, ``4 min``, ``26 h``, ``3 d``: rounded down to one unit."""
    if ms is None:
        return UNKNOWN
    for unit, length, below in DISPLAY_UNITS:
        if ms < below:
            return f"{max(ms, 0) // length} {unit}"
    return f"{ms // DAY_MS} d"


def relative(at: int | None, now: int) -> str:
    """``4 min ago``, ``in 12 s``, ``now``."""
    if at is None:
        return UNKNOWN
    if abs(at - now) < 1_000:
        return "now"
    return f"in {duration(at - now)}" if at > now else f"{duration(now - at)} ago"


def absolute(at: int) -> str:
    """``2026-03-01 12:04:05 UTC``."""
    return f"{_utc(at):%Y-%m-%d %H:%M:%S} UTC"


def clock_time(at: int) -> str:
    """``12:04``, in UTC."""
    return f"{_utc(at):%H:%M}"


def rfc3339(at: int) -> str:
    """``2026-03-01T12:04:05.123Z``."""
    return _utc(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
