"""The ASGI application that runs a WSGI application, in greenlets or in threads."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

from webhook_app.bridge.bodies import BodyReader, Receive
from webhook_app.bridge.environ import REMEMBERED_NAMES, build_environ
from webhook_app.bridge.threads import Threads
from worker.greenlets import Greenlets

Write = Callable[[bytes], None]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Headers = list[tuple[str, str]]
#: As ASGI sends them: names are in lower case.
SentHeaders = list[tuple[bytes, bytes]]

#: Answered by a thread of its own, so that it is answered while Redis keeps all others waiting.
HEALTH_PATH = "/healthz"
#: Statuses whose answer has no body.
WITHOUT_BODY = (204, 304)


class Answer:
    """An answer: in one ``body``, or in ``pieces`` that are made while it is sent."""

    __slots__ = ("body", "headers", "pieces", "status", "written")

    def __init__(self) -> None:
        self.status = 500
        self.headers: SentHeaders = []
        self.body = b""
        self.pieces: Iterable[bytes] | None = None
        #: What the application wrote instead of returning it.
        self.written: list[bytes] = []

    def start(self, status: str, headers: Headers, _exc_info: object = None) -> Write:
        """Note status and headers: WSGI's ``start_response``."""
        self.status = int(status[:3])
        self.headers = [(_sent_name(name), value.encode("latin-1")) for name, value in headers]
        return self.written.append

    def is_short(self) -> bool:
        """Return whether it is known how long it is."""
        return self.status in WITHOUT_BODY or any(name == b"content-length" for name, _ in self.headers)


@lru_cache(REMEMBERED_NAMES)
def _sent_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _never(_environ: WSGIEnvironment) -> bool:
    return False


class Bridge:
    """Runs ``app`` in ``threads`` threads, each request after its body was read.

    Requests that are ``quick`` run in the event loop, where ``worker.greenlets`` lets them wait.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        threads: int,
        bodies: BodyReader,
        quick: Callable[[WSGIEnvironment], bool] = _never,
    ) -> None:
        self._app = app
        self._bodies = bodies
        self._is_quick = quick
        self._threads = Threads(threads, "request")
        self._greenlets = Greenlets(self._threads.run)
        self._health_thread = Threads(1, "health")

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        environ = build_environ(scope)
        is_read = await self._bodies.read(environ, receive)
        answer: Answer
        if self._is_quick(environ):
            answer = await self._greenlets.run(self._answer, environ)
        else:
            threads = self._health_thread if environ["PATH_INFO"] == HEALTH_PATH else self._threads
            answer = await threads.run(self._answer, environ)
        if not is_read:
            answer.headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if answer.pieces is not None:
            await self._send_pieces(answer.pieces, receive, send)
        await send({"type": "http.response.body", "body": answer.body})

    def _answer(self, environ: dict[str, Any]) -> Answer:
        """Run the application, in a thread or in a greenlet."""
        answer = Answer()
        pieces = self._app(environ, answer.start)
        if not answer.is_short():
            answer.pieces = pieces
            return answer
        try:
            answer.body = b"".join([*pieces, *answer.written])
        finally:
            _close(pieces)
        return answer

    async def _send_pieces(self, pieces: Iterable[bytes], receive: Receive, send: Send) -> None:
        """Send the pieces as fast as the client reads them, until it goes away."""
        run = self._threads.run
        gone = asyncio.ensure_future(_wait_for_disconnect(receive))
        try:
            iterator = await run(iter, pieces)
            while not gone.done() and (piece := await run(_next, iterator)) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            gone.cancel()
            await run(_close, pieces)


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


def _close(pieces: Iterable[bytes]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
