"""Which contacts a list or an operation is about: read from an address, and put in words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flask import abort

from worker.durations import absolute
from worker.model import State
from worker.store.lists import Filter

HOUR_MS = 3_600_000
#: How long ago a contact entered its state: words, and the bounds of that in ms.
AGES: dict[str, tuple[str, int | None, int | None]] = {
    "": ("any age", None, None),
    "1h": ("last hour", HOUR_MS, None),
    "24h": ("last 24 hours", 24 * HOUR_MS, None),
    "7d": ("last 7 days", 168 * HOUR_MS, None),
    "over-1h": ("older than 1 hour", None, HOUR_MS),
    "over-24h": ("older than 24 hours", None, 24 * HOUR_MS),
    "over-7d": ("older than 7 days", None, 168 * HOUR_MS),
}
NUMBER = re.compile(r"[0-9]{1,15}")
#: Characters of a cause or source. What is longer names none.
NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter, and the age as it was asked for: the filter itself has times, which stay as they are."""

    filter: Filter
    age: str = ""

    def address(self) -> dict[str, str]:
        """What an address says to mean the same, now and later."""
        fields = self.filter.dump()
        if self.age:
            fields.pop("since", None)
            fields.pop("until", None)
            fields["age"] = self.age
        return fields


def read_filter(args: Mapping[str, str], now: int, default: State | None = None) -> Asked:
    """The filter that an address asks for; ``default`` is the state where it names neither state nor cause.

    A filter that makes no sense ends the request with 400.
    """
    fields = {name: args.get(name, "").strip()[:NAME_LENGTH] for name in ("state", "cause", "source")}
    for name in ("since", "until", "attempts"):
        fields[name] = args.get(name, "").strip()
        if fields[name] and not NUMBER.fullmatch(fields[name]):
            abort(400, f"{name.capitalize()} must be a whole number.")
    age = args.get("age", "")
    if age not in AGES:
        abort(400, "There is no such age.")
    _, newer, older = AGES[age]
    if newer is not None:
        fields["since"] = str(now - newer)
    if older is not None:
        fields["until"] = str(now - older)
    if not fields["state"] and not fields["cause"] and default is not None:
        fields["state"] = default.value
    try:
        return Asked(Filter.load(fields), age)
    except ValueError:
        abort(400, "A list needs a state that there is, or a cause.")


def in_words(wanted: Filter) -> str:
    """``failed, cause email_taken, from shop, since 2026-03-01 12:04:05 UTC``."""
    parts = [
        wanted.state.value if wanted.state else "not created",
        f"cause {wanted.cause}" if wanted.cause else "",
        f"from {wanted.source}" if wanted.source else "",
        f"since {_time(wanted.since)}" if wanted.since is not None else "",
        f"until {_time(wanted.until)}" if wanted.until is not None else "",
        f"{wanted.attempts} attempts or more" if wanted.attempts else "",
    ]
    return ", ".join(part for part in parts if part)


def _time(at: int) -> str:
    try:
        return absolute(at)
    except (OverflowError, ValueError):  # beyond the year 9999
        return "a time that never comes"
