"""Filters of lists, operations and the audit log: parsed, and described in words."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from webhook_app.operator.refusals import InvalidInput
from worker.durations import absolute, parse_time
from worker.model import State, Way, Work
from worker.store.audit import AuditFilter
from worker.store.lists import Filter

T = TypeVar("T")


class Read(Protocol):
    def __call__(self, name: str, parse: Callable[[str], T]) -> T | None: ...


#: What contacts wait for, as a filter and in lists.
WORK_NAMES = {Work.CREATE: "new contacts", Work.UPDATE: "changes", Work.DELETE: "deletions"}
#: Characters of a cause or the name of a source.
MAX_NAME = 100
MAX_ATTEMPTS = 1_000_000
#: The first ms of the year 10000, which no time format that we use can express.
MAX_TIME_MS = 253_402_300_800_000


def parse_filter(fields: Mapping[str, Any], now: int) -> Filter:
    """Return the filter in query parameters, command options or JSON; skip "".

    ``since`` and ``until`` are RFC 3339, an age such as ``2h`` (counted back from ``now``), or ms since the epoch.

    Raises:
        InvalidInput: with a sentence for each wrong field.
    """
    problems: dict[str, str] = {}
    read = _reader(fields, problems)
    values: dict[str, Any] = {
        "state": read("state", _parse_state),
        "cause": read("cause", _parse_name),
        "source": read("source", _parse_name),
        "work": read("work", _parse_work),
        "since": read("since", lambda text: _parse_time(text, now)),
        "until": read("until", lambda text: _parse_time(text, now)),
        "attempts": read("attempts", _parse_attempts) or 0,
    }
    if not problems and values["state"] is None and values["cause"] is None:
        problems = {"state": "is required unless a cause is given", "cause": "is required unless a state is given"}
    if problems:
        raise InvalidInput(problems)
    return Filter(**values)


def parse_audit_filter(fields: Mapping[str, Any], now: int) -> AuditFilter:
    """Return the filter of the audit log.

    Its fields are ``who``, ``way``, ``action``, ``contact`` (a key), ``since`` and ``until``, as in ``parse_filter``.

    Raises:
        InvalidInput: with a sentence for each wrong field.
    """
    problems: dict[str, str] = {}
    read = _reader(fields, problems)
    found = AuditFilter(
        who=read("who", _parse_name) or "",
        did=read("action", _parse_name) or "",
        target=read("contact", _parse_name) or "",
        way=read("way", _parse_way) or "",
        since=read("since", lambda text: _parse_time(text, now)),
        until=read("until", lambda text: _parse_time(text, now)),
    )
    if problems:
        raise InvalidInput(problems)
    return found


def _reader(fields: Mapping[str, Any], problems: dict[str, str]) -> Read:
    """Return a function that parses a field, or adds a sentence to ``problems``."""

    def read(name: str, parse: Callable[[str], T]) -> T | None:
        text = str(fields.get(name) or "").strip()
        try:
            return parse(text) if text else None
        except ValueError as error:
            problems[name] = str(error)
            return None

    return read


def describe_filter(wanted: Filter) -> str:
    """``failed, changes, cause email_taken, since 2026-03-01 12:04:05 UTC``."""
    parts = [
        wanted.state.value if wanted.state else "not created",
        WORK_NAMES[wanted.work] if wanted.work else "",
        f"cause {wanted.cause}" if wanted.cause else "",
        f"from {wanted.source}" if wanted.source else "",
        f"since {absolute(wanted.since)}" if wanted.since is not None else "",
        f"until {absolute(wanted.until)}" if wanted.until is not None else "",
        f"at least {wanted.attempts} attempts" if wanted.attempts else "",
    ]
    return ", ".join(part for part in parts if part)


def _parse_state(text: str) -> State:
    if text not in tuple(State):
        raise ValueError(f"must be one of {', '.join(State)}")
    return State(text)


def _parse_work(text: str) -> Work:
    if text not in tuple(Work):
        raise ValueError(f"must be one of {', '.join(Work)}")
    return Work(text)


def _parse_way(text: str) -> Way:
    if text not in tuple(Way):
        raise ValueError(f"must be one of {', '.join(Way)}")
    return Way(text)


def _parse_name(text: str) -> str:
    if len(text) > MAX_NAME:
        raise ValueError(f"must have at most {MAX_NAME} characters")
    return text


def _parse_time(text: str, now: int) -> int:
    at = int(text) if re.fullmatch("[0-9]{1,15}", text) else parse_time(text, now)
    if not 0 <= at < MAX_TIME_MS:
        raise ValueError("must be a time from 1970 to 9999")
    return at


def _parse_attempts(text: str) -> int:
    if not re.fullmatch("[0-9]{1,7}", text) or int(text) > MAX_ATTEMPTS:
        raise ValueError(f"must be a whole number from 0 to {MAX_ATTEMPTS}")
    return int(text)
