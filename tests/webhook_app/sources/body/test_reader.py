"""Bodies are parsed by type, unpacked within limits, and split into elements."""

import base64
import gzip
import json
import tracemalloc
import zlib
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from tests.quick import QUICK_S, seconds
from webhook_app.sources.body.reader import (
    FORMATS,
    MAX_BYTES,
    MAX_ELEMENTS,
    Reader,
    format_name,
    gunzip,
    parse_jwt_claims,
)
from webhook_app.sources.delivery import BadBody, Delivery, TooLarge, WrongType
from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.paths import Scope

FORM = "application/x-www-form-urlencoded"
EVERYTHING = Reader(formats=tuple(FORMATS), json_fields=("rawRequest",), each=compile_path("$[*]"))


def read(reader: Reader, body: bytes, content_type: str | None = None, encoding: str | None = None) -> object:
    headers = Headers()
    if content_type is not None:
        headers["Content-Type"] = content_type
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    return reader.read(Delivery(headers, body))


def refused(reader: Reader, *sent: Any) -> BadBody:
    with pytest.raises(BadBody) as caught:
        read(reader, *sent)
    return caught.value


# Types


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("application/json", "json"),
        ("Application/JSON; charset=UTF-8", "json"),
        ("application/cloudevents+json; charset=utf-8", "json"),
        ("text/json", "json"),
        ("application/x-ndjson", "ndjson"),
        ("application/jsonl", "ndjson"),
        (FORM, "form"),
        (f"{FORM};charset=UTF-8", "form"),
        ("multipart/form-data; boundary=b", "multipart"),
        ("application/jwt", "jwt"),
        ("text/plain", ""),
        ("application/json, text/plain", ""),
        ("application/jsonp", ""),
        ("text/x+json", ""),
        ("json", ""),
        (";", ""),
        ("application/json" + " " * 9999, ""),
    ],
)
def test_a_type_announces_a_format(content_type: str, name: str) -> None:
    assert format_name(content_type) == name


@pytest.mark.parametrize("content_type", [None, "", "application/json", "application/json; charset=utf-8"])
def test_json_is_the_default_format(content_type: str | None) -> None:
    assert read(Reader(), b'{"a": 1}', content_type) == {"a": 1}


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/plain; charset=UTF-8", "TEXT/PLAIN", "application/octet-stream", "binary/octet-stream", "*/*"),
        *(FORM, f"{FORM}; charset=UTF-8", "text/javascript", "text/x-json", "application/x-json", "", None),
    ],
)
@pytest.mark.parametrize("body", [b'{"a": 1}', b'\n [{"a": 1}] ', b'\xef\xbb\xbf{ "a": 1}', b"{}", b"[]"])
def test_json_under_another_type_is_read_by_its_content(content_type: str | None, body: bytes) -> None:
    """Senders that do so.

    Amazon SNS sends ``text/plain`` (awsdocs/amazon-sns-developer-guide#27), ``curl -d`` says that it is a form, a
    ``Blob`` without a type has none, and an uploaded file is an octet stream.
    """
    for formats in (("json",), ("json", "form"), ("form", "multipart", "json")):
        assert read(Reader(formats=formats), body, content_type) == json.loads(body.decode("utf-8-sig"))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        *((other, b'{"a": 1}') for other in ("application/xml", "text/html", "application/jwt", "json", "/", "?")),
        *((other, b'{"a": 1}') for other in ("multipart/form-data; boundary=b", "multipart/form-data")),
        ("application/json" + " " * 9999, b'{"a": 1}'),
        ("text/plain", b"a=1&b=2"),
        ("application/xml", b"<a>1</a>"),
        ("text/plain", b"1"),
        (FORM, b"a=1"),
        (FORM, b"other=%7B%22a%22%3A+1%7D&b=2"),
        (FORM, b"[0][a]=1"),
        (FORM, b""),
        ("application/jwt", b"e30.e30.AAAA"),
    ],
)
def test_other_types_are_rejected(content_type: str, body: bytes) -> None:
    error = refused(Reader(), body, content_type)
    assert isinstance(error, WrongType)
    assert error.status == 415
    assert str(error) == "the Content-Type must be application/json"


def multipart(name: str, text: str) -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n--b--\r\n'.encode()


@pytest.mark.parametrize("formats", [("json",), ("json", "form"), ("form", "ndjson")])
@pytest.mark.parametrize(
    "name",
    [
        "payload",  # GitHub unless it is set to JSON; Slack's interactions; Travis CI
        "mandrill_events",  # Mandrill (frain-dev/convoy#1987)
        "data.json",  # Unbounce's webhooks
    ],
)
def test_json_in_the_only_field_of_a_form_is_the_payload(name: str, formats: tuple[str, ...]) -> None:
    text = '{"id": 12345678901234567890, "name": "A & B"}'
    payload = {"id": 12345678901234567890, "name": "A & B"}
    reader = Reader(formats=formats)
    assert read(reader, urlencode({name: text}).encode(), FORM) == payload
    assert read(reader, multipart(name, f"[{text}]"), "multipart/form-data; boundary=b") == [payload]


def test_a_field_called_payload_is_the_payload_beside_others_if_no_form_is_accepted() -> None:
    form = b"payload=%7B%22a%22%3A+1%7D&token=x"
    assert read(Reader(), form, FORM) == {"a": 1}
    assert read(Reader(formats=("json", "form")), form, FORM) == {"payload": '{"a": 1}', "token": "x"}


def test_a_field_that_is_parsed_already_or_is_not_json_stays_a_field() -> None:
    form = urlencode({"rawRequest": '{"a": 1}'}).encode()
    assert read(Reader(formats=("form", "json"), json_fields=("rawRequest",)), form, FORM) == {"rawRequest": {"a": 1}}
    assert read(Reader(formats=("form",)), form, FORM) == {"rawRequest": '{"a": 1}'}
    assert read(Reader(formats=("form", "json")), b'note={"a', FORM) == {"note": '{"a'}
    assert "the field of the form is not JSON" in str(refused(Reader(), b'payload={"a', FORM))


def test_json_that_was_encoded_twice_is_decoded_twice() -> None:
    """As by ``JSON.stringify(JSON.stringify(...))``, or by a client that encodes what is JSON already."""
    for written in ({"a": "\u00e9\n"}, [{"a": 1}]):
        assert read(Reader(), json.dumps(json.dumps(written)).encode(), "application/json") == written
        assert read(Reader(), json.dumps(json.dumps(written, indent=1)).encode()) == written
    assert read(Reader(), b'"text"', "application/json") == "text"
    assert "is not JSON" in str(refused(Reader(), b'"{\\"a"', "application/json"))
    assert "is not UTF-8" in str(refused(Reader(), b'"{\\"\\ud800\\": 1}"', "application/json"))


def test_a_form_is_accepted_in_both_encodings() -> None:
    """WP Webhooks and Zapier switch to multipart when a form has a file."""
    for formats in (("json", "form"), ("multipart",)):
        reader = Reader(formats=formats)
        assert read(reader, multipart("user[email]", "a@x.example"), "multipart/form-data; boundary=b") == {
            "user": {"email": "a@x.example"}
        }
        assert read(reader, b"user[email]=a@x.example", FORM) == {"user": {"email": "a@x.example"}}
        assert read(reader, b"user[email]=a@x.example", "text/plain") == {"user": {"email": "a@x.example"}}
        assert read(reader, b"user[email]=a@x.example") == {"user": {"email": "a@x.example"}}


def test_a_token_under_another_type_is_read_by_its_content() -> None:
    claims = base64.urlsafe_b64encode(b'{"id": 1}').rstrip(b"=")
    for content_type in (None, "text/plain", "application/octet-stream"):
        assert read(Reader(formats=("json", "jwt")), b"eyJ9.%b.AAAA" % claims, content_type) == {"id": 1}


def test_of_several_formats_the_type_chooses() -> None:
    reader = Reader(formats=("form", "json"))
    assert read(reader, b"a=1", FORM) == {"a": "1"}
    assert read(reader, b'{"a": 1}', "application/json") == {"a": 1}
    assert read(reader, b"a=1") == {"a": "1"}
    assert read(reader, b"") == {}
    assert refused(reader, b"1", "application/x-ndjson").status == 415
    assert "application/x-www-form-urlencoded or application/json" in str(refused(reader, b"1", "text/plain"))


def test_json_and_ndjson_are_accepted_under_each_others_types() -> None:
    """Auth0's log streams send lines with any type that was entered in its settings."""
    both = Reader(formats=("json", "ndjson"))
    lines, text = b'{"a": 1}\n{"a": 2}\n', b'{\n"a": 1\n}'
    assert read(both, lines, "application/json") == read(both, lines, "application/x-ndjson") == [{"a": 1}, {"a": 2}]
    assert read(both, text, "application/json") == {"a": 1}
    assert read(Reader(formats=("ndjson",)), lines, "application/json; charset=utf-8") == [{"a": 1}, {"a": 2}]
    assert "line 2" in str(refused(both, b"{}\n{", "application/json"))
    assert "is not JSON" in str(refused(Reader(), lines, "application/json"))


def test_fields_with_json_as_text_are_parsed() -> None:
    reader = Reader(formats=("form", "json"), json_fields=("rawRequest", "other"))
    assert read(reader, b'rawRequest={"id": 12345678901234567890}&a={}', FORM) == {
        "rawRequest": {"id": 12345678901234567890},
        "a": "{}",
    }
    sent = b'[{"rawRequest": "[1]"}, {"rawRequest": [2]}, 3, [{"rawRequest": "4"}]]'
    assert read(reader, sent, "application/json") == [
        {"rawRequest": [1]},
        {"rawRequest": [2]},
        3,
        [{"rawRequest": "4"}],
    ]
    assert "the field rawRequest is not JSON" in str(refused(reader, b"rawRequest={", FORM))
    assert "the field other is not UTF-8" in str(refused(reader, b'{"other": "\\ud800"}', "application/json"))


def test_the_claims_of_a_token_are_the_payload() -> None:
    claims = base64.urlsafe_b64encode(b'{"id": 12345678901234567890, "name": "\xc3\xa9?>"}').rstrip(b"=")
    assert parse_jwt_claims(b"e30." + claims + b".AAAA\n") == {"id": 12345678901234567890, "name": "é?>"}
    for wrong in (b"", b"..", b"a.b", b"a.?.c", b"a.e30.b.c", b"a.e3.c", claims):
        with pytest.raises(BadBody):
            parse_jwt_claims(wrong)


# Packing


@pytest.mark.parametrize("packing", ["gzip", "GZIP", " x-gzip "])
def test_gzip_is_unpacked(packing: str) -> None:
    assert read(Reader(), gzip.compress(b'{"a": 1}', mtime=0), "application/json", packing) == {"a": 1}


@pytest.mark.parametrize("packing", ["", "identity", "Identity", "UTF-8"])
def test_an_uncompressed_body_is_used_as_it_is(packing: str) -> None:
    assert read(Reader(), b'{"a": 1}', "application/json", packing) == {"a": 1}


@pytest.mark.parametrize("packing", ["br", "deflate", "zstd", "gzip, gzip", "compress", "gzip;q=1", "x" * 9999, "é"])
def test_other_encodings_are_rejected(packing: str) -> None:
    assert refused(Reader(), b'{"a": 1}', "application/json", packing).status == 415


def test_a_zip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b" " * 200_000_000, mtime=0)
    assert len(bomb) < MAX_BYTES
    assert seconds(lambda: refused(Reader(), bomb, "application/json", "gzip")) < QUICK_S
    tracemalloc.start()
    error = refused(Reader(), bomb, "application/json", "gzip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(error, TooLarge)
    assert error.status == 413
    assert peak < 8 * MAX_BYTES


def test_the_limit_is_exact() -> None:
    assert gunzip(gzip.compress(b"x" * 100, mtime=0), 100) == b"x" * 100
    with pytest.raises(TooLarge):
        gunzip(gzip.compress(b"x" * 101, mtime=0), 100)


GOOD = gzip.compress(b'{"a": 1}', mtime=0)


@pytest.mark.parametrize(
    "packed",
    [
        *(b"", b"{}", GOOD[:-1], GOOD[:-8], GOOD[:5], GOOD + b"x", GOOD + GOOD, b"\x1f\x8b", zlib.compress(b"{}")),
        *(GOOD[:-5] + bytes([GOOD[-5] ^ 1]) + GOOD[-4:], gzip.compress(b"", mtime=0) * 9999),
    ],
)
def test_malformed_gzip_is_rejected(packed: bytes) -> None:
    assert refused(Reader(), packed, "application/json", "gzip").status == 400


# Batches


@pytest.mark.parametrize(
    ("each", "payload", "elements"),
    [
        (None, {"a": 1}, None),
        (None, "text", None),
        (None, None, None),
        (None, [], None),
        (None, [1, None, [2]], [1, None, [2]]),
        ("$.users[*]", {"users": [{"id": 1}, None, {"id": 2}]}, [{"id": 1}, {"id": 2}]),
        ("$.users[*]", {"users": []}, None),
        ("$.users[*]", {"ping": 1}, None),
        ("$.users[*]", [{"id": 1}], None),
        ("$[*].user", [{"user": {"id": 1}}, {"other": 1}], [{"id": 1}]),
        ("$.entry[*].changes[?@.field == 'x'].value", {"entry": [{"changes": [{"field": "x", "value": 5}]}]}, [5]),
    ],
)
def test_the_elements_of_a_batch(each: str | None, payload: object, elements: list[object] | None) -> None:
    reader = Reader(each=compile_path(each) if each else None)
    assert reader.elements(payload, Scope()) == elements


def test_the_size_of_a_batch_is_limited() -> None:
    for reader, wrap in ((Reader(), list), (Reader(each=compile_path("$.users[*]")), lambda users: {"users": users})):
        elements = reader.elements(wrap([1] * MAX_ELEMENTS), Scope())
        assert elements is not None
        assert len(elements) == MAX_ELEMENTS
        with pytest.raises(TooLarge):
            reader.elements(wrap([1] * (MAX_ELEMENTS + 1)), Scope())


# Anything


TYPES = st.none() | st.sampled_from(["application/json", "application/x-ndjson", FORM, "application/jwt"]) | st.text()
PARTS = st.sampled_from(["multipart/form-data; boundary=b", "multipart/form-data"])
BODIES = (
    st.binary()
    | st.binary().map(gzip.compress)
    | st.sampled_from([b"[" * 999, b'{"rawRequest": "["}', b"rawRequest=[1"])
)


@given(BODIES, TYPES | PARTS, st.none() | st.sampled_from(["gzip", "identity", "br"]) | st.text())
def test_any_bytes_of_any_type_give_data_or_badbody(body: bytes, content_type: str | None, packing: str | None) -> None:
    headers = {"Content-Type": content_type, "Content-Encoding": packing}
    for reader in (EVERYTHING, Reader(), Reader(formats=("multipart",)), Reader(formats=("jwt",))):
        with suppress(BadBody):
            present = {name: value for name, value in headers.items() if value is not None}
            payload = reader.read(Delivery(present, body))
            json.dumps(payload, default=str)
            reader.elements(payload, Scope())
