"""Deliveries on their way into quarantine and back: what is kept of a payload, exactly and without secrets."""

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import jsonpath_rfc9535 as jsonpath

#: JSON has no exact fractions in Python: a ``Decimal`` is written as an object with this one name.
NUMBER = "$number"


def dump_payload(payload: object, secret_fields: Sequence[jsonpath.JSONPathQuery]) -> str:
    """The payload as JSON, without what is found at ``secret_fields``: passwords, tokens, private metadata."""
    for query in secret_fields:
        _remove(query, payload)
    return json.dumps(payload, default=_dump_number, separators=(",", ":"))


def load_payload(text: str) -> object:
    """The payload that ``dump_payload`` wrote, every number as it was."""
    return json.loads(text, object_hook=_load_number)


def _remove(query: jsonpath.JSONPathQuery, payload: object) -> None:
    """What is deeper goes first, and later elements of a list before earlier ones, so that every place stays true."""
    if not isinstance(payload, dict | list):
        return
    places = [node.location for node in query.finditer(payload)]
    for *parents, last in sorted(places, key=lambda place: (len(place), place[-1:] and str(place[-1])), reverse=True):
        _without(payload, parents, last)


def _without(payload: Any, parents: Sequence[str | int], last: str | int) -> None:
    for step in parents:
        payload = payload[step]
    if isinstance(payload, dict):
        payload.pop(last, None)
    elif isinstance(last, int):
        payload[last] = None  # a list keeps its places


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
