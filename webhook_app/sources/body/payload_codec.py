"""Writes payloads for the quarantine and reads them back, without secrets."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from webhook_app.sources.delivery import BadBody, TooLarge
from webhook_app.sources.mapping.paths import Path, TooMuchWork, Work
from worker.errors import Unmappable

#: Python's JSON has no exact fractions: a ``Decimal`` is written as an object with this one name.
NUMBER = "$number"
#: If a sender uses such a name, it is stored with one more ``$``.
_LIKE_NUMBER = re.compile(r"\$+number")
#: Steps to look for secrets: enough for ``$..password`` in any body of up to some megabytes.
SECRETS_WORK = 100_000


def dump_payload(payload: object, secret_fields: Sequence[Path]) -> str:
    """Return the payload as JSON, without what is at ``secret_fields``.

    The payload itself is changed.

    Raises:
        BadBody: it cannot be written, or not be searched for secrets to its end.
    """
    try:
        for path in secret_fields:
            path.remove(payload, Work(SECRETS_WORK))
        _escape(payload)
        # Parsed data has no circles, and looking for them takes a quarter of the time.
        return json.dumps(payload, default=_dump_number, check_circular=False, separators=(",", ":"))
    except TooMuchWork:
        problem: BadBody = TooLarge("the body is too large to be stored")
    except RecursionError:
        problem = BadBody("the body is nested too deeply to be stored")
    raise problem


def load_payload(text: str) -> object:
    """Return the payload that ``dump_payload`` wrote, with exact numbers.

    Raises:
        Unmappable: it is nested too deeply to be read here.
    """
    try:
        return json.loads(text, object_hook=_load_number)
    except RecursionError:
        pass
    raise Unmappable({"payload": "is nested too deeply"})


def _dump_number(value: object) -> object:
    if isinstance(value, Decimal):
        return {NUMBER: str(value)}
    raise TypeError(f"a payload cannot contain a {type(value).__name__}")


def _escape(payload: object) -> None:
    """Rename what a sender wrote like our numbers, so that it is not read as one."""
    containers = [payload]
    while containers:
        one = containers.pop()
        if isinstance(one, dict):
            if len(one) == 1 and _LIKE_NUMBER.fullmatch(name := next(iter(one))):
                one[f"${name}"] = one.pop(name)
            containers += one.values()
        elif isinstance(one, list):
            containers += one


def _load_number(found: dict[str, Any]) -> object:
    name = next(iter(found), "")
    if len(found) != 1 or not _LIKE_NUMBER.fullmatch(name):
        return found
    if name != NUMBER:
        return {name[1:]: found[name]}
    try:
        return Decimal(found[NUMBER])
    except (InvalidOperation, TypeError, ValueError):
        return found  # an object of the sender that an earlier version stored
