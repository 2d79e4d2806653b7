"""Hostile requests: never a 500 or a traceback, and nothing is half-written.

Most of it goes over raw sockets: no well-behaved client would send it.
"""

import base64
import hmac
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.system import OPERATOR, SHOP_SECRETS, System, call
from tests.rig.parts import TEST_ENV
from worker.model import State
from worker.store import keys

SECRET = TEST_ENV["WEBHOOK_SECRET"]
BEARER = f"Authorization: Bearer {SECRET}"
JSON = "Content-Type: application/json"
GOOD = b'{"identifier": "good"}'
#: What must be in no answer.
INSIDES = (b"Traceback", b'File "', b"werkzeug", b"granian.", b"Error:", SECRET.encode())

FEW = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Answer:
    """``status`` 0: the server hung up without one."""

    status: int
    body: bytes = b""
    content_type: str = ""


@pytest.fixture
def door(system: System) -> Iterator[System]:
    """The shared system, whose receiver is healthy afterwards and logged no bug."""
    before = len(system.stack.receiver.log_text())
    yield system
    assert send(system, request(GOOD)).status == 200
    log = system.stack.receiver.log_text()[before:]
    for sign in ("bug:", "Traceback", "Unexpected exit", "panicked", "Respawning"):
        assert sign not in log, log


def request(body: bytes = GOOD, *headers: str | bytes, target: str | bytes = "/webhooks/signup") -> bytes:
    """An authentic delivery by its secret.

    Headers given here come after the usual ones.
    """
    usual = ["Host: localhost", BEARER, JSON, f"Content-Length: {len(body)}"]
    return bare("POST", target, *usual, *headers) + body


def bare(method: str, target: str | bytes, *headers: str | bytes, version: str = "HTTP/1.1") -> bytes:
    lines = [b" ".join([method.encode(), as_bytes(target), version.encode()]), *map(as_bytes, headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def send(system: System, *pieces: bytes) -> Answer:
    """What is answered to these bytes, which must be civil."""
    address = ("127.0.0.1", system.stack.receiver.port or 0)
    with socket.create_connection(address, timeout=20) as connection:
        with suppress(OSError):  # it may have heard enough
            for piece in pieces:
                connection.sendall(piece)
        answer = read_answer(connection)
    assert_civil(answer)
    return answer


def read_answer(connection: socket.socket) -> Answer:
    response = HTTPResponse(connection)
    try:
        response.begin()
        return Answer(response.status, response.read(), response.headers.get("Content-Type", ""))
    except TimeoutError:
        raise AssertionError("no answer, and no hang-up either") from None
    except (HTTPException, OSError):
        return Answer(0)
    finally:
        response.close()


def assert_civil(answer: Answer) -> None:
    assert answer.status < 500, answer
    for inside in INSIDES:
        assert inside not in answer.body, answer
    if answer.status >= 400 and answer.body:
        assert answer.content_type == "application/problem+json"
        assert json.loads(answer.body)["status"] == answer.status


# Bodies


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b" ", 400),
        (b"{", 400),
        (b'{"identifier": "a"', 400),
        (b'{"identifier": "a', 400),
        (b'{"identifier": "a\\', 400),
        (b'{"identifier": "\\u12', 400),
        (b'{"identifier": "\xc3', 400),
        (b'{"identifier": "a"} {"identifier": "b"}', 400),
        (b"\x00" * 100, 400),
        (b"\xff\xfe{\x00}\x00", 400),
        ('{"identifier": "a"}'.encode("utf-16"), 400),
        ('{"identifier": "a"}'.encode("utf-32"), 400),
        (b'{"identifier": "\x00"}', 400),
        (b'{"identifier": "a\xed\xa0\x80"}', 400),
        (b"[" * 200_000, 413),
        (b'{"a":' * 40_000, 413),
        (b'{"identifier": "a", "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 413),
        (b'{"identifier": ' + b"[" * 500 + b"]" * 500 + b"}", 422),
        (b'{"identifier": NaN}', 400),
        (b'{"identifier": Infinity}', 400),
        (b'{"identifier": ' + b"9" * 5_000 + b"}", 400),
        (b'{"identifier": 1e9999999999999999999}', 400),
        (b'{"identifier": 1e400}', 200),
        (b'{"identifier": ' + b"9" * 300 + b"}", 422),
        (b'{"identifier": "a\\u0000b"}', 422),
        (b'{"identifier": "a\\ud83d"}', 422),
        (b'{"identifier": "\\udc00\\ud800"}', 422),
        (b'{"identifier": ""}', 422),
        (b'{"identifier": "\\u2003 "}', 422),
        (b'{"identifier": true}', 422),
        (b"null", 422),
        (b"true", 422),
        (b"[]", 422),
        (b'"identifier"', 422),
        (b"12", 422),
        (b"{}", 422),
        (b'{"data": {"data": {"identifier": "a"}}}', 422),
        (b'{"__proto__": {"identifier": "a"}, "constructor": 1}', 422),
        (b'\xef\xbb\xbf{"identifier": "a"}', 200),
        (b'{"identifier": "a", "name": "\\u0000\\ud83d", "email": "\\u0000@b.c", "phone_number": "\\ud83d"}', 200),
        (b'{"identifier": "a", "name": "' + b"x" * 200_000 + b'"}', 200),
        (b'{"identifier": "a"' + b', "k": 1' * 20_000 + b"}", 200),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else str(value),
)
def test_a_strange_body(door: System, body: bytes, status: int) -> None:
    assert send(door, request(body)).status == status
    if status != 200:
        assert door.known() == set()


@pytest.mark.parametrize(
    ("written", "identifier"),
    [
        (b"9007199254740993", "9007199254740993"),
        (b"-9007199254740993", "-9007199254740993"),
        (b"123456789012345678901234567890", "123456789012345678901234567890"),
        (b"0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
    ],
)
def test_a_number_beyond_what_a_double_holds_keeps_its_digits(door: System, written: bytes, identifier: str) -> None:
    answer = send(door, request(b'{"identifier": %b}' % written))
    assert json.loads(answer.body)["identifier"] == identifier
    door.wait_for(identifier, "created")
    door.assert_one_contact(identifier)


def test_of_equal_names_the_last_one_counts_everywhere(door: System) -> None:
    answer = send(door, request(b'{"identifier": "first", "identifier": "last", "data": {"identifier": "inner"}}'))
    assert json.loads(answer.body)["identifier"] == "last"
    assert door.known() == {"last"}


TEXTS = (
    st.text(max_size=300)
    | st.text(st.characters(categories=["Cc", "Cs", "Cf", "Zs"]), max_size=10)
    | st.from_regex(r"\+?[0-9]{0,16}|[^@]{0,9}@[^@]{0,9}|https?://[^/]{0,9}/?", fullmatch=True)
)
SCALARS = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
NESTED = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
#: Any JSON, and text more often than the rest.
ANYTHING = st.one_of(TEXTS, SCALARS, NESTED)


@pytest.mark.parametrize("fields", [["identifier"], ["name", "email", "phone_number", "avatar_url"]], ids=str)
def test_what_is_taken_can_be_brought_home_whatever_is_in_its_fields(door: System, fields: list[str]) -> None:
    @FEW
    @given(st.fixed_dictionaries(dict.fromkeys(fields, ANYTHING)))
    def deliver(values: dict[str, object]) -> None:
        document = {"identifier": f"user-{time.monotonic_ns()}", **values}
        answer = send(door, request(json.dumps(document).encode()))
        assert answer.status in ((200, 422) if "identifier" in values else (200,))

    deliver()
    door.drain()
    states = {state: door.client.zcard(keys.state(state)) for state in State}
    # A conflict is one of two random contacts with the same address. What LiveDesk would refuse was left out before.
    assert states[State.CREATED] + states[State.CONFLICT] == len(door.known()) > 0
    assert door.livedesk.stats().faults == 0


@FEW
@given(value=ANYTHING)
def test_an_inbox_is_a_number_or_the_delivery_is_refused(door: System, value: object) -> None:
    answer = send(door, request(json.dumps({"identifier": "a", "inbox_id": value}).encode()))
    assert answer.status in (200, 422)


@FEW
@given(body=st.binary(max_size=300))
def test_any_bytes_as_a_body(door: System, body: bytes) -> None:
    assert send(door, request(body)).status in (200, 400, 422)


@FEW
@given(cut=st.integers(0, 120), junk=st.binary(max_size=5))
def test_a_body_cut_anywhere_and_damaged(door: System, cut: int, junk: bytes) -> None:
    whole = json.dumps({"type": "user.created", "data": {"identifier": "ü\u0000", "email": "a@b.c", "n": [1.5, None]}})
    assert send(door, request(whole.encode()[:cut] + junk)).status in (200, 400, 422)


# Sizes

TEN_MB = 10 * 1024 * 1024


def chunked(body: bytes, size: int = 65_536) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


CHUNKED_HEAD = bare("POST", "/webhooks/signup", "Host: localhost", BEARER, JSON, "Transfer-Encoding: chunked")


def test_a_body_of_10_mb_is_refused_by_its_length_before_it_is_read(door: System) -> None:
    assert send(door, request(b" " * TEN_MB)).status == 413


@pytest.mark.parametrize("size", [TEN_MB, 300 * 1024], ids=["10-MB", "300-KB"])
@pytest.mark.parametrize("filler", [b" ", b"x"], ids=["JSON", "not-JSON"])
def test_a_chunked_body_is_bounded_too(door: System, size: int, filler: bytes) -> None:
    assert send(door, CHUNKED_HEAD, *chunked(GOOD + filler * size)).status == 413
    assert door.known() == set()


def test_a_chunked_body_within_the_bounds_is_taken(door: System) -> None:
    assert send(door, CHUNKED_HEAD, *chunked(GOOD + b" " * 100_000, 1000)).status == 200


def test_the_bound_is_exact(door: System) -> None:
    assert send(door, request(GOOD.ljust(256 * 1024))).status == 200
    assert send(door, request(GOOD.ljust(256 * 1024 + 1))).status == 413
    assert send(door, CHUNKED_HEAD, *chunked(GOOD.ljust(256 * 1024))).status == 200
    assert send(door, CHUNKED_HEAD, *chunked(GOOD.ljust(256 * 1024 + 1))).status == 413


@pytest.mark.parametrize(
    "pieces",
    [
        [request(GOOD)[:-5]],
        [request(GOOD)[:40]],
        [CHUNKED_HEAD, b"16\r\n" + GOOD[:10]],
        [CHUNKED_HEAD, b"a\r\n" + GOOD[:10] + b"\r\n"],
        [CHUNKED_HEAD],
        [b""],
    ],
    ids=["in-the-body", "in-the-head", "in-a-chunk", "before-the-last-chunk", "before-a-body", "at-once"],
)
def test_a_sender_that_leaves_in_the_middle_has_sent_nothing(door: System, pieces: list[bytes]) -> None:
    address = ("127.0.0.1", door.stack.receiver.port or 0)
    with socket.create_connection(address, timeout=20) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        assert_civil(read_answer(connection))
    assert send(door, request(b'{"identifier": "next"}')).status == 200
    assert door.known() == {"next"}


# HTTP


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/plain", 200),
        ("application/x-www-form-urlencoded", 200),
        ("text/html", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/xml", 415),
        ("application/jsonx", 415),
        ("json", 415),
        ("/", 415),
        ("application/json; charset=utf-16", 200),
        ("application/json;;;=;", 200),
        ("APPLICATION/JSON", 200),
        ("application/vnd.api+json", 200),
        ("", 200),
        ("application/json; a=" + "b" * 5_000, 415),
    ],
)
def test_content_types(door: System, content_type: str, status: int) -> None:
    head = bare(
        "POST", "/webhooks/signup", "Host: x", BEARER, f"Content-Length: {len(GOOD)}", f"Content-Type: {content_type}"
    )
    assert send(door, head + GOOD).status == status


#: Requests whose HTTP is wrong or odd. Some are refused, some are hung up on, and some pass.
ODD_HTTP = {
    "no-host": bare("POST", "/webhooks/signup", BEARER, JSON, "Content-Length: 22") + GOOD,
    "two-hosts": request(GOOD, "Host: elsewhere"),
    "empty-host": bare("POST", "/webhooks/signup", "Host:", BEARER, JSON, "Content-Length: 22") + GOOD,
    "odd-host": bare("POST", "/webhooks/signup", "Host: a b/\\@:99999", BEARER, JSON, "Content-Length: 22") + GOOD,
    "obs-fold": request(GOOD, "X-Folded: a\r\n b\r\n\tc"),
    "a-space-before-the-colon": request(GOOD, "X-Space : a"),
    "no-colon": request(GOOD, "nothing"),
    "no-name": request(GOOD, ": a"),
    "bytes-as-content-type": request(GOOD, b"Content-Type: \xff\xfe"),
    "bytes-in-a-header": request(GOOD, b"X-Bytes: \xff\xfe\x80\xc3\x28"),
    "nul-in-a-header": request(GOOD, b"X-Nul: a\x00b"),
    "newline-in-a-header": request(GOOD, b"X-Line: a\nb: c"),
    "bytes-in-a-name": request(GOOD, b"X-\xff\xfe: a"),
    "many-headers": request(GOOD, *(f"X-{number}: a" for number in range(2_000))),
    "a-huge-header": request(GOOD, "X-Huge: " + "a" * 1_000_000),
    "a-huge-name": request(GOOD, "X-" + "a" * 100_000 + ": b"),
    "two-lengths": request(GOOD, "Content-Length: 5"),
    "the-same-length-twice": request(GOOD, "Content-Length: 22"),
    "length-and-chunks": request(GOOD, "Transfer-Encoding: chunked"),
    "chunks-and-length": bare(
        "POST", "/webhooks/signup", "Host: x", BEARER, JSON, "Transfer-Encoding: chunked", "Content-Length: 3"
    )
    + b"".join(chunked(GOOD)),
    "an-unknown-encoding": bare("POST", "/webhooks/signup", "Host: x", BEARER, "Transfer-Encoding: xchunked") + GOOD,
    "chunked-twice": bare("POST", "/webhooks/signup", "Host: x", BEARER, "Transfer-Encoding: chunked, chunked")
    + b"".join(chunked(GOOD)),
    "gzip-and-chunked": bare("POST", "/webhooks/signup", "Host: x", BEARER, "Transfer-Encoding: gzip, chunked")
    + b"".join(chunked(GOOD)),
    "a-negative-chunk": CHUNKED_HEAD + b"-1\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "a-chunk-of-no-size": CHUNKED_HEAD + b"\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "a-chunk-of-words": CHUNKED_HEAD + b"zz\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "a-chunk-beyond-64-bit": CHUNKED_HEAD + b"f" * 17 + b"\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "a-chunk-that-is-longer": CHUNKED_HEAD + b"5\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "a-long-chunk-extension": CHUNKED_HEAD + b"16;" + b"a" * 100_000 + b"\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "trailers": CHUNKED_HEAD + b"16\r\n" + GOOD + b"\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
    "gzip-that-is-none": request(GOOD, "Content-Encoding: gzip"),
    "expect-something-else": request(GOOD, "Expect: the-unexpected"),
    "upgrade": request(GOOD, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: a"),
    "h2c": request(GOOD, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 30,
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 100 + b"\r\n\r\n",
    "not-http": b"hello\r\n\r\n",
    "http-0.9": b"GET /\r\n\r\n",
    "http-1.0": bare("POST", "/webhooks/signup", BEARER, JSON, "Content-Length: 22", version="HTTP/1.0") + GOOD,
    "http-9.9": bare("POST", "/webhooks/signup", BEARER, version="HTTP/9.9"),
    "no-version": b"POST /webhooks/signup\r\n\r\n",
    "a-method-of-its-own": bare("BREW", "/webhooks/signup", "Host: x", BEARER),
    "connect": bare("CONNECT", "localhost:80", "Host: x", BEARER),
    "options-star": bare("OPTIONS", "*", "Host: x"),
    "trace": bare("TRACE", "/webhooks/signup", "Host: x", BEARER),
    "get": bare("GET", "/webhooks/signup", "Host: x", BEARER),
    "head": bare("HEAD", "/contacts/a", "Host: x", "Authorization: Bearer nobody"),
    "put": bare("PUT", "/webhooks/signup", "Host: x", BEARER, "Content-Length: 0"),
    "method-override": request(GOOD, "X-HTTP-Method-Override: DELETE"),
    "absolute": request(GOOD, target="http://elsewhere.example/webhooks/signup"),
    "no-slash": request(GOOD, target="webhooks/signup"),
    "a-fragment": request(GOOD, target="/webhooks/signup#x"),
    "bytes-in-the-path": request(GOOD, target=b"/webhooks/\xff\xfe"),
    "a-space-in-the-path": request(GOOD, target=b"/webhooks/sign up"),
    "bytes-in-the-query": request(GOOD, target=b"/webhooks/signup?a=\xff&%ff=%00&&=&a[]=1"),
    "a-huge-query": request(GOOD, target="/webhooks/signup?" + "a=b&" * 10_000),
}


@pytest.mark.parametrize("raw", ODD_HTTP.values(), ids=ODD_HTTP)
def test_odd_http(door: System, raw: bytes) -> None:
    address = ("127.0.0.1", door.stack.receiver.port or 0)
    with socket.create_connection(address, timeout=20) as connection:
        with suppress(OSError):
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
        assert_civil(read_answer(connection))
    assert door.known() <= {"good"}


@pytest.mark.parametrize("length", ["-1", "abc", "", "+22", "0x16", "22, 22", "1e1", "9" * 40, "٢٢".encode(), "2 2"])
def test_a_wrong_content_length_brings_nothing_in(door: System, length: str | bytes) -> None:
    head = bare("POST", "/webhooks/signup", "Host: x", BEARER, JSON, b"Content-Length: " + as_bytes(length))
    assert send(door, head + GOOD).status in (0, 400, 411, 413)
    assert door.known() == set()


def test_requests_in_a_row_on_one_connection_are_answered_in_turn(door: System) -> None:
    bodies = [b'{"identifier": "%d"}' % number for number in range(1, 4)]
    address = ("127.0.0.1", door.stack.receiver.port or 0)
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(b"".join(map(request, bodies)))
        received = b""
        while received.count(b"HTTP/1.1 200") < 3 or not received.endswith(b"}"):
            received += connection.recv(65_536)
    assert re.findall(rb'"identifier": ?"(\d)"', received) == [b"1", b"2", b"3"]


# Proof


def standard(
    body: bytes = GOOD, *, name: str = "msg_1", at: float | None = None, signed: bytes | None = None, **given: str
) -> bytes:
    """Return a delivery with a valid Standard Webhooks signature, or with overrides."""
    stamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    message = f"{name}.{stamp}.".encode() + (body if signed is None else signed)
    right = "v1," + base64.b64encode(hmac.digest(key, message, "sha256")).decode()
    headers = {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": right}
    headers |= {f"webhook-{key}": value for key, value in given.items()}
    lines = [f"{key}: {value}".encode("latin-1", "replace") for key, value in headers.items()]
    return bare("POST", "/webhooks/signup", "Host: x", JSON, f"Content-Length: {len(body)}", *lines) + body


def test_the_right_signature_passes(door: System) -> None:
    assert send(door, standard()).status == 200
    assert send(door, standard(name="a-b" * 100)).status == 200
    assert send(door, standard(name="a.b")).status == 401, "an id must not contain what separates it from the rest"


@pytest.mark.parametrize(
    "raw",
    [
        standard(signed=b'{"identifier": "bad!"}'),
        standard(at=1_600_000_000),
        standard(at=4_000_000_000),
        *(standard(id=name) for name in ("", "msg_2", "\xff", "x" * 5_000, ".")),
        *(
            standard(timestamp=stamp)
            for stamp in ("", "0", "-1", "1e9", "nan", "inf", "12.5", "0x10", "9" * 30, "²³", "\xb2", "now", "1 2")
        ),
        *(
            standard(signature=signature)
            for signature in (
                "",
                "v1",
                "v1,",
                ",",
                "v1,====",
                "v1,%%%",
                "v1,AAAA",
                "v0,AAAA v2,AAAA",
                "v1a," + "A" * 88,
                "v1,\xff\xfe",
                "v1," + "A" * 44,
                " ".join(["v1,AAAA"] * 500),
                "v1," + "A" * 100_000,
                "sha256=" + "0" * 64,
                '{"v1": "AAAA"}',
                "v1,AAAA\tv1,BBBB",
            )
        ),
    ],
)
def test_a_signature_malformed_in_any_way_proves_nothing(door: System, raw: bytes) -> None:
    assert send(door, raw).status in (400, 401, 431)
    assert door.known() == set()


@FEW
@given(signature=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=200))
def test_any_text_as_a_signature_proves_nothing(door: System, signature: str) -> None:
    assert send(door, standard(signature=signature)).status in (0, 400, 401)


@pytest.mark.parametrize(
    "header",
    [
        "Authorization:",
        "Authorization: Bearer",
        "Authorization: Bearer ",
        "Authorization: Bearer guess",
        f"Authorization: Basic {SECRET}",
        f"Authorization: Bearer {SECRET}x",
        f"Authorization: Bearer {SECRET[:-1]}",
        f"Authorization: Bearer {SECRET} {SECRET}",
        f"Authorization: Bearer {SECRET.swapcase()}",
        "Authorization: Bearer " + "x" * 10_000,
        "Authorization: Bearer \xff\xfe",
        b"Authorization: Bearer \xe2\x82\xac",
        f"X-Authorization: Bearer {SECRET}",
    ],
)
def test_a_token_that_is_not_the_secret_proves_nothing(door: System, header: str | bytes) -> None:
    head = bare("POST", "/webhooks/signup", "Host: x", JSON, f"Content-Length: {len(GOOD)}", header)
    assert send(door, head + GOOD).status == 401
    assert door.known() == set()


@pytest.mark.parametrize("order", [("right", "wrong"), ("wrong", "right")])
def test_two_signature_headers_are_no_way_around(door: System, order: tuple[str, str]) -> None:
    """A valid one may count in any position, but only for this body."""
    right = standard()
    line = next(line for line in right.split(b"\r\n") if line.startswith(b"webhook-signature"))
    lines = {"right": line, "wrong": b"webhook-signature: v1,AAAA"}
    both = right.replace(line, b"\r\n".join(lines[which] for which in order))
    assert send(door, both).status in (200, 401)
    assert send(door, both.replace(b"good", b"evil")).status == 401
    assert door.known() <= {"good"}


@pytest.mark.parametrize(
    "signature", ["", "=", "A" * 43, "A" * 44, "A" * 45, "\xff", "A" * 100_000, "0" * 64, "AAAA,AAAA", "sha256=AAAA"]
)
def test_a_signature_over_the_raw_body_malformed_in_any_way_proves_nothing(door: System, signature: str) -> None:
    head = bare(
        "POST", "/webhooks/shop", "Host: x", JSON, f"Content-Length: {len(GOOD)}", f"X-Shop-Signature: {signature}"
    )
    assert send(door, head + GOOD).status in (401, 431)
    assert door.known() == set()


def test_the_signature_of_another_source_proves_nothing(door: System) -> None:
    assert send(door, standard().replace(b"/webhooks/signup", b"/webhooks/shop")).status == 401
    signature = base64.b64encode(hmac.digest(SHOP_SECRETS["SHOP_SECRET"].encode(), GOOD, "sha256")).decode()
    head = bare(
        "POST", "/webhooks/signup", "Host: x", JSON, f"Content-Length: {len(GOOD)}", f"X-Shop-Signature: {signature}"
    )
    assert send(door, head + GOOD).status == 401
    assert door.known() == set()


# Addresses


def test_a_slash_at_the_end_of_an_address_is_forgiven(door: System) -> None:
    assert send(door, request(target="/webhooks/signup/")).status == 200
    assert door.known() == {"good"}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        ".",
        "..",
        "../signup",
        "..%2fsignup",
        "%2e%2e",
        "%00",
        "signup%00",
        "signup%0a",
        "signup%20",
        "signup//",
        "signup%2f%2f",
        "SIGNUP",
        "signup;x=1",
        "signup.json",
        "%ff",
        "%",
        "%zz",
        "%F0%9F%92%A9",
        "%ed%a0%80",
        "__class__",
        "{{7*7}}",
        "x" * 20_000,
    ],
    ids=lambda name: repr(name[:20]),
)
def test_a_source_that_does_not_exist_is_not_found(door: System, name: str) -> None:
    assert send(door, request(target=f"/webhooks/{name}")).status in (0, 400, 404, 405, 414, 431)
    assert door.known() == set()


HOSTILE_IDENTIFIERS = [
    "%2f",
    "a%2fb",
    "/",
    "//a//",
    "..",
    "%2e%2e%2f",
    "%00",
    "a%00b",
    "%0d%0aSet-Cookie:%20a=b",
    "%ff",
    "%c3%28",
    "%ed%a0%80",
    "%",
    "%zz",
    "*",
    "%7blds%7d:due",
    "x" * 8_000,
    "%F0%9F%92%A9" * 500,
    "x" * 200_000,
    "{{7*7}}",
    "a?b#c",
]


@pytest.mark.parametrize("identifier", HOSTILE_IDENTIFIERS, ids=lambda name: repr(name[:20]))
def test_a_contact_with_a_hostile_identifier_is_not_found(door: System, identifier: str) -> None:
    assert send(door, request(b'{"identifier": "somebody"}')).status == 200
    operator = f"Authorization: {OPERATOR['Authorization']}"
    known = send(door, bare("GET", f"/contacts/{identifier}", "Host: x", operator))
    assert known.status in (0, 400, 404, 414, 431)
    unknown = send(door, bare("GET", f"/contacts/{identifier}", "Host: x"))
    assert unknown.status in (0, 400, 401, 404, 414, 431)


@FEW
@given(identifier=st.binary(min_size=1, max_size=60))
def test_any_bytes_as_an_identifier_in_an_address(door: System, identifier: bytes) -> None:
    escaped = "".join(f"%{byte:02x}" for byte in identifier)
    operator = f"Authorization: {OPERATOR['Authorization']}"
    assert send(door, bare("GET", f"/contacts/{escaped}", "Host: x", operator)).status in (400, 404)


@pytest.mark.parametrize("token", ["", "guess", "\xff", TEST_ENV["API_TOKEN"] + "x", TEST_ENV["WEBHOOK_SECRET"]])
def test_a_record_is_shown_to_nobody_without_the_token(door: System, token: str) -> None:
    assert send(door, request(b'{"identifier": "somebody"}')).status == 200
    answer = send(door, bare("GET", "/contacts/somebody", "Host: x", f"Authorization: Bearer {token}"))
    assert answer.status == 401
    assert b"somebody" not in answer.body


def test_many_who_send_nothing_keep_nobody_out(door: System) -> None:
    """Idle and half-sent connections do not block threads forever."""
    address = ("127.0.0.1", door.stack.receiver.port or 0)
    idle = [socket.create_connection(address, timeout=20) for _ in range(100)]
    try:
        for connection in idle[:50]:
            connection.sendall(request(GOOD)[:30])
        began = time.monotonic()
        assert call("GET", f"{door.stack.url}/healthz").status_code == 200
        assert time.monotonic() - began < 5
    finally:
        for connection in idle:
            connection.close()
