"""Unusable 2xx answers; the request is executed unless ``commit`` is false."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.livedesk import message
from tests.livedesk.contact import Json
from tests.livedesk.exchange import Exchange
from tests.livedesk.message import HTML, JSON, Answer
from tests.livedesk.modes.menu import contacts_in, execute_if_wanted, mode, send_damaged
from tests.livedesk.rules import Rule, shape_among
from tests.livedesk.wire import head_bytes


@mode(commit=True)
def html_200(exchange: Exchange, rule: Rule) -> None:
    """200 with a page of HTML."""
    execute_if_wanted(exchange, rule)
    exchange.send(Answer(200, message.html_page("Welcome"), HTML))


@mode(commit=True)
def empty_200(exchange: Exchange, rule: Rule) -> None:
    """200 that claims JSON and has no body."""
    execute_if_wanted(exchange, rule)
    exchange.send(Answer(200, b"", JSON))


@mode(commit=True)
def huge_200(exchange: Exchange, rule: Rule) -> None:
    """200 with ``size`` bytes of valid JSON; without ``size``, endless chunks."""
    execute_if_wanted(exchange, rule)
    if rule.size is None:
        exchange.send_raw(head_bytes(200, [("Content-Type", JSON), ("Transfer-Encoding", "chunked")]))
        exchange.send_raw(chunk(HUGE_START))
        while True:
            exchange.send_raw(chunk(HUGE_BLOCK))
    exchange.send_raw(head_bytes(200, [("Content-Type", JSON), ("Content-Length", str(max(rule.size, HUGE_LEAST)))]))
    exchange.send_raw(HUGE_START)
    for start in range(HUGE_LEAST, rule.size, len(HUGE_BLOCK)):
        exchange.send_raw(HUGE_BLOCK[: rule.size - start])
    exchange.note_answered(200)
    exchange.send_raw(HUGE_END)


HUGE_START, HUGE_BLOCK, HUGE_END = b'{"payload": "', b"x" * 65_536, b'"}'
HUGE_LEAST = len(HUGE_START) + len(HUGE_END)


def chunk(block: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(block), block)


@mode(commit=True)
def deep_json_200(exchange: Exchange, rule: Rule) -> None:
    """200 with lists nested ``depth`` deep (default 100,000)."""
    execute_if_wanted(exchange, rule)
    depth = rule.depth or 100_000
    exchange.send(Answer(200, b'{"payload": ' + b"[" * depth + b"]" * depth + b"}", JSON))


WRONG: Mapping[str, Callable[[Any], Any]] = {
    "id_list": lambda body: with_id(body, [1]),
    "id_true": lambda body: with_id(body, True),
    "id_object": lambda body: with_id(body, {"id": 1}),
    "id_negative": lambda body: with_id(body, -1),
    "id_fraction": lambda body: with_id(body, 1.5),
    "id_words": lambda body: with_id(body, "one"),
    "contact_text": lambda body: {"payload": {"contact": "a contact"}},
    "contact_null": lambda body: {"payload": {"contact": None}},
    "payload_text": lambda body: body | {"payload": "a contact"},
    "payload_null": lambda body: body | {"payload": None},
    "payload_number": lambda body: body | {"payload": 1},
    "payload_texts": lambda body: body | {"payload": ["a", "b"]},
    "meta_null": lambda body: body | {"meta": None},
    "top_text": lambda body: "ok",
    "top_list": lambda body: [body],
    "top_null": lambda body: None,
    "top_number": lambda body: 1,
}
"""What wrong_types_200 makes of a healthy body, by shape."""


def with_id(body: Json, wrong: object) -> Json:
    for contact in contacts_in(body):
        contact["id"] = wrong
    return body


@mode(check=lambda rule: shape_among(rule, tuple(WRONG)))
def wrong_types_200(exchange: Exchange, rule: Rule) -> None:
    """The normal answer with one value of the wrong type (``shape``); executed."""
    answer = exchange.execute()
    if answer.is_success and answer.body:
        answer = replace(answer, body=json.dumps(WRONG[rule.shape or "id_list"](answer.payload)).encode())
    exchange.send(answer)


@mode()
def string_id(exchange: Exchange, rule: Rule) -> None:
    """The normal answer with ids as texts of digits."""
    send_damaged(exchange, lambda contact: contact.update(id=str(contact["id"])))


@mode()
def no_id_200(exchange: Exchange, rule: Rule) -> None:
    """The normal answer without ids."""
    send_damaged(exchange, lambda contact: contact.pop("id"))


@mode(check=lambda rule: shape_among(rule, ("garbage", "cut")))
def bad_gzip(exchange: Exchange, rule: Rule) -> None:
    """The normal status with broken gzip (``shape``: ``garbage``, ``cut``)."""
    answer = exchange.execute()
    packed = gzip.compress(answer.body)
    body = packed[: len(packed) // 2] if rule.shape == "cut" else b"this is not gzip"
    exchange.send(replace(answer, body=body, headers=(("Content-Encoding", "gzip"),)))


@mode()
def bad_content_length(exchange: Exchange, rule: Rule) -> None:
    """The normal answer with Content-Length ``length``: any text, or ``short`` (half).

    After ``short`` the connection stays open with the rest of the body in it; after any other it is closed.
    """
    answer = exchange.execute()
    length = rule.length or "short"
    wrong = str(len(answer.body) // 2) if length == "short" else length
    exchange.send(replace(answer, headers=(("Content-Length", wrong),)), closing=length != "short")
