"""Deliveries on their way into quarantine and back: what is kept of a payload, exactly and without secrets."""

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from webhook_app.sources.body.parse import BadBody, TooLarge
from webhook_app.sources.mapping.search import Remove
from webhook_app.sources.mapping.steps import TooMuchWork, Work
from worker.errors import Unmappable

#: JSON has no exact fractions in Python: a ``Decimal`` is written as an object with this one name.
NUMBER = "$number"
#: Steps to look for secrets: enough for ``$..password`` in anything that ``body`` reads, up to some megabytes.
SECRETS_WORK = 100_000


def dump_payload(payload: object, secret_fields: Sequence[Remove]) -> str:
    """The payload as JSON, without what is found at ``secret_fields``: passwords, tokens, private metadata.

    Raises:
        BadBody: it cannot be written, or cannot be searched to its end for secrets.
    """
    try:
        for remove in secret_fields:
            remove(payload, Work(SECRETS_WORK))
        # What was parsed has no circles, and looking for them takes a quarter of the time.
        return json.dumps(payload, default=_dump_number, check_circular=False, separators=(",", ":"))
    except TooMuchWork:
        problem: BadBody = TooLarge("the body holds too much to be kept")
    except RecursionError:
        problem = BadBody("the body is nested too deeply to be kept")
    raise problem


def load_payload(text: str) -> object:
    """The payload that ``dump_payload`` wrote, every number as it was.

    Raises:
        Unmappable: it is nested too deeply to be read from where this is called.
    """
    try:
        return json.loads(text, object_hook=_load_number)
    except RecursionError:
        pass
    raise Unmappable({"payload": "is nested too deeply"})


def _dump_number(value: object) -> object:
    if isinstance(value, Decimal):
        return {NUMBER: str(value)}
    raise TypeError(f"a payload cannot hold a {type(value).__name__}")


def _load_number(found: dict[str, Any]) -> object:
    if found.keys() != {NUMBER}:
        return found
    try:
        return Decimal(found[NUMBER])
    except (InvalidOperation, TypeError, ValueError):
        return found  # a sender wrote that
