"""Messages that are not ours, as another program, a person or an attacker might put them into the queue."""

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any

from worker.process.envelope import build_envelope
from worker.tasks import create_contact

ENVELOPE = build_envelope(create_contact)

Change = Callable[[dict[str, Any]], object]


def variant(change: Change, key: str = "the-key") -> str:
    """Return our message for ``key``, after ``change``. Its body is a list while it is changed."""
    message = json.loads(ENVELOPE.message(key, "the-id"))
    message["body"] = json.loads(message["body"])
    change(message)
    if isinstance(message.get("body"), list):
        message["body"] = json.dumps(message["body"])
    return json.dumps(message)


def _set(part: str, **values: object) -> Change:
    return lambda message: message[part].update(values)


def _embed(**values: object) -> Change:
    return lambda message: message["body"][2].update(values)


def _body(body: object) -> Change:
    return lambda message: message.update(body=body)


def _without(*names: str) -> Change:
    return lambda message: [message.pop(name) for name in names]


def _compressed(message: dict[str, Any]) -> None:
    body = zlib.compress(json.dumps(message["body"]).encode())
    message["body"] = base64.b64encode(body).decode()
    message["headers"]["compression"] = "application/x-gzip"
    message["properties"]["body_encoding"] = "base64"


_SIGNATURE: dict[str, Any] = {
    "task": "worker.create_contact",
    "args": ["other"],
    "kwargs": {},
    "options": {},
    "subtask_type": None,
}
_CHANGES: dict[str, Change] = {
    "no headers": _without("headers"),
    "no properties": _without("properties"),
    "no body": _without("body"),
    "no content type": _without("content-type"),
    "nothing but a body": _without("headers", "properties", "content-type", "content-encoding"),
    "headers are a list": lambda message: message.update(headers=[]),
    "headers are text": lambda message: message.update(headers="origin"),
    "headers are null": lambda message: message.update(headers=None),
    "properties are a number": lambda message: message.update(properties=1),
    "properties are empty": lambda message: message.update(properties={}),
    "the body is a number": _body(1),
    "the body is null": _body(None),
    "the body is empty": _body(""),
    "the body is not JSON": _body("not json"),
    "the body is not base64": lambda message: (
        _body("%%%")(message),
        _set("properties", body_encoding="base64")(message),
    ),
    "an unknown encoding of the body": _set("properties", body_encoding="rot13"),
    "the body is an object": _body('{"args": ["the-key"], "kwargs": {}}'),
    "the body is nested": _body("[" * 3000 + "]" * 3000),
    "no arguments": lambda message: message["body"].__setitem__(0, []),
    "two arguments": lambda message: message["body"].__setitem__(0, ["the-key", "the-key"]),
    "an argument that is a number": lambda message: message["body"].__setitem__(0, [5]),
    "an argument that is an object": lambda message: message["body"].__setitem__(0, [{"a": 1}]),
    "an argument that is null": lambda message: message["body"].__setitem__(0, [None]),
    "an argument that is empty": lambda message: message["body"].__setitem__(0, [""]),
    "an argument with a line break": lambda message: message["body"].__setitem__(0, ["a\nb"]),
    "an argument with half a character": lambda message: message["body"].__setitem__(0, ["\ud800"]),
    "a long argument": lambda message: message["body"].__setitem__(0, ["k" * 300]),
    "arguments that are text": lambda message: message["body"].__setitem__(0, "the-key"),
    "keyword arguments": lambda message: message["body"].__setitem__(1, {"key": "the-key"}),
    "a body of two parts": lambda message: message["body"].pop(),
    "a chord": _embed(chord=_SIGNATURE),
    "a callback": _embed(callbacks=[_SIGNATURE]),
    "a chain": _embed(chain=[_SIGNATURE]),
    "callbacks that are text": _embed(callbacks="x"),
    "an unknown task": _set("headers", task="tasks.add"),
    "a task of Celery": _set("headers", task="celery.backend_cleanup"),
    "a task that is a list": _set("headers", task=["worker.create_contact"]),
    "no task": lambda message: message["headers"].pop("task"),
    "no id": lambda message: message["headers"].pop("id"),
    "an id that is an object": _set("headers", id={"a": 1}),
    "two ids": _set("headers", root_id="another"),
    "an ETA in a hundred years": _set("headers", eta="2125-01-01T00:00:00+00:00"),
    "an ETA that is not a time": _set("headers", eta="tomorrow"),
    "an expiry in the past": _set("headers", expires="2001-01-01T00:00:00+00:00"),
    "an expiry that is not a time": _set("headers", expires={"a": 1}),
    "retries that are text": _set("headers", retries="x"),
    "a time limit": _set("headers", timelimit=[1, 1]),
    "a time limit that is text": _set("headers", timelimit="x"),
    "a group": _set("headers", group="g", group_index="x"),
    "stamps": _set("headers", stamped_headers=["x"], stamps={"x": 1}),
    "a compression": _compressed,
    "an unknown compression": _set("headers", compression="x-unknown"),
    "pickle": lambda message: message.update({"content-type": "application/x-python-serialize"}),
    "YAML": lambda message: message.update({"content-type": "application/x-yaml"}),
    "an unknown content type": lambda message: message.update({"content-type": {"a": 1}}),
    "an unknown character set": lambda message: message.update({"content-encoding": "klingon"}),
    "a delivery tag that is a list": _set("properties", delivery_tag=[1]),
    "a delivery tag that is null": _set("properties", delivery_tag=None),
    "a reply address that is an object": _set("properties", reply_to={"a": 1}),
    "another correlation id": _set("properties", correlation_id=7),
    "delivery information that is text": _set("properties", delivery_info="x"),
    "another queue": _set("properties", delivery_info={"exchange": "x", "routing_key": "y"}),
    "a priority": _set("properties", priority="high"),
    "an origin that is a list": _set("headers", origin=[1]),
    "a field of its own": lambda message: message.update(extra=1),
}

#: What each is, and its bytes. None has a key that is a contact's.
RUBBISH: dict[str, bytes] = {
    "nothing": b"",
    "text": b"not json",
    "an empty object": b"{}",
    "an empty list": b"[]",
    "a list of our fields": json.dumps(list(json.loads(ENVELOPE.template))).encode(),
    "null": b"null",
    "a number": b"42",
    "a long number": b"9" * 6000,
    "not a number": b"NaN",
    "JSON in JSON": json.dumps(ENVELOPE.message("the-key", "the-id")).encode(),
    "nested lists": b"[" * 8000,
    "nested objects": b'{"body":' * 3000 + b"1" + b"}" * 3000,
    "binary": bytes(range(256)),
    "UTF-16": ENVELOPE.message("the-key", "the-id").encode("utf-16"),
    "not UTF-8": b'{"body": "\xff\xfe"}',
    "half of ours": ENVELOPE.message("the-key", "the-id").encode()[:200],
    "two of ours": ENVELOPE.message("the-key", "the-id").encode() * 2,
    "gzip of ours": zlib.compress(ENVELOPE.message("the-key", "the-id").encode(), wbits=31),
    "Celery's first protocol": b'{"task": "worker.create_contact", "id": "1", "args": ["the-key"], "kwargs": {}}',
    "our template": ENVELOPE.template.encode(),
    **{name: variant(change).encode() for name, change in _CHANGES.items()},
}
