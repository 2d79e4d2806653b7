"""Reads requests, checks their JSON Schema and reports every invalid field."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import request
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from werkzeug.datastructures import MultiDict

from webhook_app.api.schemas import OPERATOR, Schema
from webhook_app.operator import Operator
from webhook_app.parts import current_parts
from worker.durations import parse_time
from worker.model import Way

MAX_BODY_BYTES = 65_536
#: The operator's name in the audit log if the client sends none.
ANONYMOUS = "api"
FORMATS = FormatChecker(formats=())
#: A sentence for each keyword of JSON Schema that we use; ``{}`` is its value. No value of a request is repeated.
SENTENCES = {
    "type": "must be {}",
    "enum": "must be one of {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minProperties": "must have at least {} field",
    "pattern": "must match {}",
    "format": "must be a time like 2026-03-01T12:00:00Z",
}


class InvalidRequest(Exception):
    """The request does not match its schema. ``errors``: a sentence for each field."""

    def __init__(self, errors: Mapping[str, str], status: int = 400) -> None:
        super().__init__()
        self.errors = dict(errors)
        self.status = status


@FORMATS.checks("date-time", raises=ValueError)
def is_time(value: object) -> bool:
    return not isinstance(value, str) or parse_time(value) is not None


def read_query(schema: Schema) -> dict[str, Any]:
    """Return the query parameters.

    Raises:
        InvalidRequest: one is unknown, repeated or does not match the schema.
    """
    given: MultiDict[str, str] = request.args
    repeated = {name: "is given more than once" for name in given if len(given.getlist(name)) > 1}
    if repeated:
        raise InvalidRequest(repeated)
    properties = schema["properties"]
    return _check({name: _typed(text, properties.get(name, {})) for name, text in given.items()}, schema)


def read_body(schema: Schema) -> dict[str, Any]:
    """Return the JSON object of the request; an empty body is an empty object.

    Raises:
        InvalidRequest: it does not match the schema.
        HTTPException: it is too large.
    """
    request.max_content_length = MAX_BODY_BYTES
    data = request.get_data()
    if not data:
        return _check({}, schema)
    if request.mimetype != "application/json":
        raise InvalidRequest({"Content-Type": "must be application/json"}, 415)
    try:
        value = json.loads(data, parse_constant=_reject_constant)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is not text
    except (ValueError, RecursionError) as error:
        raise InvalidRequest({"body": "must be JSON"}) from error
    return _check(value, schema)


def get_operator() -> Operator:
    """Return the person who acts, as the client names them.

    The name is not verified, so it is marked: nobody can take it for somebody who has signed in.
    """
    name = request.headers.get("X-Operator")
    pattern = OPERATOR["schema"]["pattern"]
    if name is not None and not re.fullmatch(pattern, name):
        raise InvalidRequest({"X-Operator": f"must match {pattern}"})
    return Operator(current_parts(), ANONYMOUS if name is None else f"{name} ({ANONYMOUS})", Way.API)


def _check(value: Any, schema: Schema) -> dict[str, Any]:
    errors: dict[str, str] = {}
    for error in Draft202012Validator(schema, format_checker=FORMATS).iter_errors(value):
        for field, sentence in _explain(error):
            errors.setdefault(field, sentence)
    if errors:
        raise InvalidRequest(errors)
    return dict(value)


def _typed(text: str, schema: Schema) -> Any:
    """Parse a query parameter as JSON; the schema rejects what remains text."""
    if schema.get("type") == "integer" and re.fullmatch("-?[0-9]{1,18}", text):
        return int(text)
    if schema.get("type") == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _explain(error: ValidationError) -> Iterator[tuple[str, str]]:
    path = ".".join(str(step) for step in error.absolute_path)
    before = f"{path}." if path else ""
    instance: Any = error.instance
    schema: Any = error.schema
    if error.validator == "required":
        yield from ((f"{before}{name}", "is required") for name in schema["required"] if name not in instance)
    elif error.validator == "additionalProperties":
        unknown = sorted(set(instance) - set(schema["properties"]))
        yield from ((f"{before}{name}"[:100], "is unknown") for name in unknown)
    else:
        allowed: Any = error.validator_value
        text = ", ".join(str(one) for one in allowed if one) if isinstance(allowed, list) else allowed
        yield path or "body", SENTENCES[str(error.validator)].format(text)


def _reject_constant(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")
