"""Reads the time of an event, in any form that senders write it in."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime

from worker.normalise import as_text

#: Milliseconds. Events are younger than 2000 and at most a day ahead of our clock; anything else is no event's time.
EARLIEST_MS, AHEAD_MS = 946_684_800_000, 86_400_000
#: Characters of a time.
MAX_TIME = 64
#: Units by size: what is below the first number is in seconds, then in ms, µs and ns; and a ms as a fraction of it.
UNITS = ((10**11, (1000, 1)), (10**14, (1, 1)), (10**17, (1, 1000)), (10**20, (1, 10**6)))

_EPOCH, _MS = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_NUMBER = re.compile(r"[0-9]{9,19}(?:\.[0-9]{1,12})?")
#: ISO 8601 with a time of day; between them T, a space, or nothing but digits. An offset may have a space before it.
_ISO = re.compile(
    r"(?P<day>[0-9]{4}-?[0-9]{2}-?[0-9]{2})[T ]"
    r"(?P<time>[0-9]{2}:?[0-9]{2}(?::?(?P<second>[0-9]{2})(?:[.,][0-9]{1,12})?)?)"
    r" ?(?P<zone>Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?(?:\[[A-Z0-9/_+-]+\])?"
)
#: RFC 5322, also with the names of zones that RFC 2822 calls obsolete.
_MAIL = re.compile(r"(?:[A-Z]{3}, ?)?[0-9]{1,2} [A-Z]{3} [0-9]{4} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?: [A-Z0-9+-]{1,5})?")


def read_time(value: object, now: float) -> int | None:
    """Return a time in ms since the epoch; ``None`` if it cannot be that of an event.

    A time without a zone is in UTC. ``now`` is in seconds since the epoch.
    """
    text = as_text(value)
    if text is None or len(text) > MAX_TIME:
        return None
    text = text.strip()
    at = _from_number(text) if text[:9].isdecimal() else _from_text(text)
    return at if at is not None and EARLIEST_MS <= at <= now * 1000 + AHEAD_MS else None


def _from_number(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text) if "." in text else int(text)
    for limit, (times, parts) in UNITS:
        if number < limit:
            return int(number * times // parts)
    return None


def _from_text(text: str) -> int | None:
    if text[4:5] == "-" and text[10:11] in ("T", " ") and (at := _as_python_reads(text)) is not None:
        return at
    text = text.upper()
    try:
        if match := _ISO.fullmatch(text):
            return _ms(_from_iso(match))
        return _ms(parsedate_to_datetime(text)) if _MAIL.fullmatch(text) else None
    except (ValueError, OverflowError):
        return None


def _as_python_reads(text: str) -> int | None:
    """Return a time in one of the most usual forms of ISO 8601."""
    try:
        return _ms(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _from_iso(match: re.Match[str]) -> datetime:
    zone, time = match["zone"] or "Z", match["time"]
    if match["second"] == "60":  # a leap second, which RFC 3339 allows, is read as the second before it
        start = match.start("second") - match.start("time")
        time = f"{time[:start]}59{time[start + 2 :]}"
    return datetime.fromisoformat(f"{match['day']}T{time}{'Z' if zone in ('UTC', 'GMT') else zone}")


def _ms(at: datetime) -> int:
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MS
