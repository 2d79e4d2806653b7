"""The bridge between an ASGI server and a WSGI application, with a server of our own around it."""

import asyncio
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.validate import validator

import pytest
from flask import Flask, Response, request

from tests.event_loop import run_async
from webhook_app.bridge import Bridge
from webhook_app.bridge.bodies import BodyReader

#: Seconds that a body may take here, and that a test waits for what must happen.
TIMEOUT_S, PATIENCE_S = 0.2, 10
MAX_BYTES = 1000

Headers = list[tuple[bytes, bytes]]


@dataclass
class Exchange:
    """One request, as a server passes it on, and what was sent back.

    After ``parts`` the body ends (``end="whole"``), the connection is lost (``"lost"``), or nothing more arrives
    (``"silent"``).
    """

    parts: list[bytes] = field(default_factory=list)
    end: str = "whole"
    headers: Headers = field(default_factory=list)
    method: str = "POST"
    path: bytes = b"/"
    query: bytes = b""
    version: str = "1.1"
    received: int = 0
    messages: list[Mapping[str, Any]] = field(default_factory=list)
    is_gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "http_version": self.version,
            "method": self.method,
            "scheme": "http",
            "raw_path": self.path,
            "query_string": self.query,
            "headers": [(b"host", b"localhost"), *self.headers],
            "server": ("127.0.0.1", "8000"),
            "client": ("192.0.2.1", "1234"),
        }

    async def receive(self) -> Mapping[str, Any]:
        if self.received < len(self.parts):
            self.received += 1
            is_last = self.received == len(self.parts) and self.end == "whole"
            return {"type": "http.request", "body": self.parts[self.received - 1], "more_body": not is_last}
        if self.end == "silent":
            await asyncio.Event().wait()
        if self.end != "lost":
            await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def answer(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


def bridge(app: WSGIApplication, threads: int = 2, timeout_s: float = TIMEOUT_S, max_held_bytes: int = 0) -> Bridge:
    bodies = BodyReader(timeout_s=timeout_s, max_bytes=MAX_BYTES, max_held_bytes=max_held_bytes)
    return Bridge(app, threads=threads, bodies=bodies)


def run(exchange: Exchange, app: WSGIApplication) -> Exchange:
    async def serve() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await bridge(app)(exchange.scope, exchange.receive, exchange.send)

    run_async(serve())
    return exchange


def sized(*parts: bytes, length: int | None = None, **more: Any) -> Exchange:
    """A request with a ``Content-Length``."""
    total = sum(map(len, parts)) if length is None else length
    return Exchange(list(parts), headers=[(b"content-length", str(total).encode())], **more)


def chunked(*parts: bytes, **more: Any) -> Exchange:
    return Exchange([*parts, b""], headers=[(b"transfer-encoding", b"chunked")], **more)


def flask_app() -> Flask:
    """Answers with the body that it read."""
    app = Flask(__name__, static_folder=None)

    @app.post("/")
    def echo() -> Response:
        request.max_content_length = MAX_BYTES
        return Response(request.get_data(), headers={"X-Length": str(request.content_length)})

    return app


def seen(exchange: Exchange) -> WSGIEnvironment:
    """The environ that the application gets."""
    found: list[WSGIEnvironment] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        found.append(environ)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    run(exchange, app)
    return found[0]


@pytest.mark.parametrize("exchange", [sized(b"one"), sized(b"o", b"ne"), chunked(b"one"), chunked(b"o", b"n", b"e")])
def test_the_application_gets_the_whole_body(exchange: Exchange) -> None:
    assert run(exchange, flask_app()).status == 200
    assert (exchange.body, exchange.answer[b"x-length"]) == (b"one", b"3")
    assert b"connection" not in exchange.answer


@pytest.mark.parametrize(
    "exchange",
    [
        sized(b"one", length=9, end="lost"),
        sized(length=9, end="lost"),
        sized(b"one", length=9),
        chunked(b"one", end="lost"),
        chunked(end="lost"),
    ],
)
def test_a_body_that_is_cut_off_is_refused(exchange: Exchange) -> None:
    assert run(exchange, flask_app()).status == 400
    assert exchange.answer[b"connection"] == b"close"


@pytest.mark.parametrize("exchange", [sized(b"one", length=9, end="silent"), chunked(b"one", end="silent")])
def test_a_body_that_does_not_arrive_in_time_is_refused(exchange: Exchange) -> None:
    assert run(exchange, flask_app()).status == 408
    assert exchange.answer[b"connection"] == b"close"


def test_a_length_above_the_limit_is_refused_before_the_body_is_read() -> None:
    exchange = run(sized(b"x" * 1001), flask_app())
    assert (exchange.status, exchange.received) == (413, 0)


def test_a_chunked_body_is_read_up_to_the_limit() -> None:
    exchange = run(chunked(*[b"x" * 400] * 9), flask_app())
    assert (exchange.status, exchange.received) == (413, 3)
    assert run(chunked(b"x" * 400, b"x" * 600), flask_app()).status == 200


def test_the_oldest_body_is_given_up_when_all_together_are_too_large() -> None:
    slow = [sized(b"x" * 800, length=900, end="silent") for _ in range(6)]

    async def serve() -> list[int]:
        served = bridge(flask_app(), timeout_s=PATIENCE_S, max_held_bytes=4000)
        tasks = [asyncio.create_task(served(one.scope, one.receive, one.send)) for one in slow]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        good = sized(b"one")
        await served(good.scope, good.receive, good.send)
        for task in tasks:
            task.cancel()
        return [good.status, *[one.status for one in slow if one.messages]]

    assert run_async(serve()) == [200, 408]


def test_a_silent_client_holds_no_thread() -> None:
    silent = [sized(length=9, end="silent") for _ in range(20)]

    async def serve() -> int:
        served = bridge(flask_app(), threads=1, timeout_s=PATIENCE_S)
        tasks = [asyncio.create_task(served(one.scope, one.receive, one.send)) for one in silent]
        good = sized(b"one")
        async with asyncio.timeout(PATIENCE_S / 2):
            await served(good.scope, good.receive, good.send)
        for task in tasks:
            task.cancel()
        return good.status

    assert run_async(serve()) == 200


def test_health_is_answered_while_every_thread_waits() -> None:
    released = threading.Event()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            released.wait(PATIENCE_S)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    async def serve() -> int:
        served = bridge(app)
        waiting = [Exchange() for _ in range(3)]
        tasks = [asyncio.create_task(served(one.scope, one.receive, one.send)) for one in waiting]
        health = Exchange(method="GET", path=b"/healthz")
        async with asyncio.timeout(PATIENCE_S / 2):
            await served(health.scope, health.receive, health.send)
        assert not any(task.done() for task in tasks)
        released.set()
        await asyncio.gather(*tasks)
        return health.status

    assert run_async(serve()) == 200


def test_headers_with_an_underscore_are_dropped() -> None:
    headers = [(b"x_forwarded_for", b"203.0.113.9"), (b"x-forwarded-for", b"192.0.2.7"), (b"content_length", b"5")]
    environ = seen(Exchange(headers=headers))
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.7"
    assert "CONTENT_LENGTH" not in environ
    assert "HTTP_X_FORWARDED_FOR" not in seen(Exchange(headers=headers[:1]))


def test_the_environ_is_that_of_wsgi() -> None:
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-type", b"text/html"),
        (b"x-twice", b"a"),
        (b"x-twice", b"b"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"x-name", b"Zo\xc3\xab"),
    ]
    exchange = Exchange(headers=headers, method="PUT", path=b"/a%2Fb/%E2%82%AC/%ff", query=b"q=%2F&r=\xc3\xab")
    environ = seen(exchange)
    assert environ["PATH_INFO"] == b"/a/b/\xe2\x82\xac/\xff".decode("latin-1")
    assert environ["QUERY_STRING"] == b"q=%2F&r=\xc3\xab".decode("latin-1")
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert environ["HTTP_X_TWICE"] == "a,b"
    assert environ["HTTP_COOKIE"] == "a=1;b=2"
    assert environ["HTTP_X_NAME"] == b"Zo\xc3\xab".decode("latin-1")
    assert (environ["REMOTE_ADDR"], environ["SERVER_PORT"]) == ("192.0.2.1", "8000")
    assert environ["wsgi.input"].read() == b""
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert seen(Exchange(version="1"))["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "PATH" not in environ, "the environment of the process"


@pytest.mark.parametrize(
    "exchange",
    [
        sized(b"one"),
        chunked(b"one"),
        sized(b"one", length=9, end="lost"),
        Exchange(method="GET", path=b"/a%20b", query=b"q=1"),
        Exchange(method="HEAD", version="1"),
    ],
)
def test_the_validator_of_wsgi_finds_nothing(exchange: Exchange) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        read = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(read)))])
        return [read]

    assert run(exchange, validator(app)).status == 200


class Pieces:
    """An answer without an end; counts what was taken of it."""

    def __init__(self) -> None:
        self.taken = 0
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.taken += 1
            yield b"line\n"

    def close(self) -> None:
        self.is_closed = True


def test_an_answer_in_pieces_ends_when_the_client_goes_away() -> None:
    pieces = Pieces()

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/csv")])
        return pieces

    class Reader(Exchange):
        async def send(self, message: Mapping[str, Any]) -> None:
            await super().send(message)
            if len(self.messages) == 5:
                self.is_gone.set()

    exchange = run(Reader(method="GET"), app)
    assert exchange.body.startswith(b"line\nline\n")
    assert pieces.is_closed
    assert pieces.taken < 20


def test_an_answer_in_pieces_is_whole_and_closed() -> None:
    app = Flask(__name__, static_folder=None)
    closed = []

    @app.get("/")
    def export() -> Response:
        response = Response((f"{n}\n" for n in range(3)), content_type="text/csv")
        response.call_on_close(lambda: closed.append(True))
        return response

    exchange = run(Exchange(method="GET"), app)
    assert exchange.body == b"0\n1\n2\n"
    assert closed == [True]
    assert exchange.messages[-1].get("more_body", False) is False
