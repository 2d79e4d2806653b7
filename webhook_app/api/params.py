"""What a request asks for, checked against the schema that the document shows; every wrong field is named at once."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from flask import request
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from werkzeug.datastructures import MultiDict

from webhook_app.api.schemas import Schema
from worker.model import State
from worker.store.lists import Filter

#: Bytes of a body.
BODY_MOST = 65_536
#: Who acts, where nobody is named.
NOBODY = "api"
WHO = re.compile(r"[A-Za-z0-9._@+-]{1,64}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
FORMATS = FormatChecker(formats=())
#: A sentence for each keyword of JSON Schema that we use; ``{}`` is what stands there. No value is repeated.
SENTENCES = {
    "type": "must be {}",
    "enum": "must be one of {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minProperties": "must name at least {}",
    "pattern": "must match {}",
    "format": "must be a time like 2026-03-01T12:00:00Z",
}


class Wrong(Exception):
    """The request is not as the document says. ``errors`` has a sentence for each wrong field."""

    def __init__(self, errors: Mapping[str, str], status: int = 400) -> None:
        super().__init__()
        self.errors = dict(errors)
        self.status = status


@FORMATS.checks("date-time")
def is_time(value: object) -> bool:
    return not isinstance(value, str) or to_ms(value) is not None


def to_ms(text: str) -> int | None:
    """An RFC 3339 time as ms since the epoch; ``None``: it is none."""
    if not RFC3339.fullmatch(text):
        return None
    try:
        return int(datetime.fromisoformat(text.upper()).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def query(schema: Schema) -> dict[str, Any]:
    """The parameters of the address.

    Raises:
        Wrong: one is unknown, there twice, or not as it must be.
    """
    given: MultiDict[str, str] = request.args
    twice = {name: "is given more than once" for name in given if len(given.getlist(name)) > 1}
    if twice:
        raise Wrong(twice)
    properties = schema["properties"]
    return checked({name: _typed(text, properties.get(name, {})) for name, text in given.items()}, schema)


def body(schema: Schema) -> dict[str, Any]:
    """The JSON object that was sent; an empty body is an empty object.

    Raises:
        Wrong: it is not as it must be.
        HTTPException: it is too large.
    """
    request.max_content_length = BODY_MOST
    data = request.get_data()
    if not data:
        return checked({}, schema)
    if request.mimetype != "application/json":
        raise Wrong({"Content-Type": "must be application/json"}, 415)
    try:
        value = json.loads(data, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise Wrong({"body": "must be JSON"}) from error
    return checked(value, schema)


def checked(value: Any, schema: Schema) -> dict[str, Any]:
    errors: dict[str, str] = {}
    for error in Draft202012Validator(schema, format_checker=FORMATS).iter_errors(value):
        for field, sentence in _told(error):
            errors.setdefault(field, sentence)
    if errors:
        raise Wrong(errors)
    return dict(value)


def who() -> str:
    """Who acts: as the caller says, marked so that nobody takes it for somebody who has signed in."""
    name = request.headers.get("X-Operator")
    if name is None:
        return NOBODY
    if not WHO.fullmatch(name):
        raise Wrong({"X-Operator": f"must match {WHO.pattern}"})
    return f"{name} ({NOBODY})"


def filter_of(fields: Mapping[str, Any]) -> Filter:
    """
    Raises:
        Wrong: it would be a filter of all contacts.
    """
    if "state" not in fields and "cause" not in fields:
        raise Wrong({"state": "give a state, a cause or both", "cause": "give a state, a cause or both"}, 422)
    return Filter(
        state=State(fields["state"]) if "state" in fields else None,
        cause=fields.get("cause"),
        source=fields.get("source"),
        since=to_ms(fields["since"]) if "since" in fields else None,
        until=to_ms(fields["until"]) if "until" in fields else None,
        attempts=int(fields.get("attempts", 0)),
    )


def _typed(text: str, schema: Schema) -> Any:
    """A parameter as the JSON that it stands for; what cannot be that stays text, and is refused for it."""
    if schema.get("type") == "integer" and re.fullmatch("-?[0-9]{1,18}", text):
        return int(text)
    if schema.get("type") == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _told(error: ValidationError) -> Iterator[tuple[str, str]]:
    path = ".".join(str(step) for step in error.absolute_path)
    before = f"{path}." if path else ""
    instance: Any = error.instance
    schema: Any = error.schema
    if error.validator == "required":
        yield from ((f"{before}{name}", "is missing") for name in schema["required"] if name not in instance)
    elif error.validator == "additionalProperties":
        unknown = sorted(set(instance) - set(schema["properties"]))
        yield from ((f"{before}{name}"[:100], "is not known here") for name in unknown)
    else:
        wanted: Any = error.validator_value
        told = ", ".join(str(one) for one in wanted if one) if isinstance(wanted, list) else wanted
        yield path or "body", SENTENCES[str(error.validator)].format(told)


def _no_number(_: str) -> None:
    raise ValueError("no JSON")
