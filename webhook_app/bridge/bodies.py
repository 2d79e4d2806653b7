"""Reads request bodies in the event loop: whole, bounded, and within a deadline.

A client that sends slowly holds a connection and the bytes that it sent, and no thread. The bytes of all unfinished
bodies together are bounded, too: above the bound the oldest is given up, so that newcomers are served.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from werkzeug.exceptions import RequestTimeout

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

#: Bytes of unfinished bodies that a process holds, unless one body alone may be larger than a quarter of it.
MAX_HELD_BYTES = 64 * 1024 * 1024


class LateBody(io.RawIOBase):
    """The input of a request whose body was late: reading it answers 408."""

    def readable(self) -> bool:
        return True

    def read(self, _size: int = -1, /) -> NoReturn:
        raise RequestTimeout

    def readinto(self, _buffer: object, /) -> NoReturn:
        raise RequestTimeout


class BodyReader:
    """Reads the bodies of one process.

    ``timeout_s`` is for one body, ``max_bytes`` the most that any request may send, ``max_held_bytes`` for all of them.
    """

    def __init__(self, *, timeout_s: float, max_bytes: int, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self.timeout_s = timeout_s
        self.max_bytes = max_bytes
        self.max_held_bytes = max(max_held_bytes, 4 * max_bytes)
        self._held_bytes = 0
        #: The deadlines of the bodies that are being read, the oldest first.
        self._deadlines: dict[asyncio.Timeout, None] = {}

    async def read(self, environ: dict[str, Any], receive: Receive) -> bool:
        """Put a request's body into its environ; return whether it was read to its end.

        ``wsgi.input`` has fewer bytes than ``CONTENT_LENGTH`` if the connection was lost before the end of the body,
        and also for a chunked body: the application compares them, as it has to on any server. A body whose length is
        above the limit is not read at all: the application refuses it by its length.
        """
        length = int(environ["CONTENT_LENGTH"]) if environ.get("CONTENT_LENGTH") else 0
        is_chunked = environ.pop("HTTP_TRANSFER_ENCODING", None) is not None
        environ["wsgi.input"] = io.BytesIO()
        if not is_chunked and (length == 0 or length > self.max_bytes):
            return length == 0
        parts: list[bytes] = []
        try:
            is_whole = await self._receive(receive, parts, None if is_chunked else length)
        except TimeoutError:
            environ["wsgi.input"], is_whole = LateBody(), False
        else:
            environ["wsgi.input"] = io.BytesIO(b"".join(parts))
        if is_chunked:
            environ["CONTENT_LENGTH"] = str(sum(map(len, parts)) + (not is_whole))
        return is_whole

    async def _receive(self, receive: Receive, parts: list[bytes], length: int | None) -> bool:
        """Append what arrives to ``parts``, and return whether the body is whole.

        Raises:
            TimeoutError: it did not arrive in time, or was given up for others.
        """
        size = 0
        async with asyncio.timeout(self.timeout_s) as deadline:
            self._deadlines[deadline] = None
            try:
                while size != length and size <= self.max_bytes:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return False
                    part = message.get("body", b"")
                    parts.append(part)
                    size += len(part)
                    self._hold(len(part))
                    if not message.get("more_body", False):
                        return length is None or size == length
            finally:
                self._deadlines.pop(deadline, None)
                self._held_bytes -= size
        return size == length

    def _hold(self, size: int) -> None:
        """Count bytes that arrived, and give up the oldest body if there are too many."""
        self._held_bytes += size
        if self._held_bytes > self.max_held_bytes:
            oldest = next(iter(self._deadlines), None)
            if oldest is not None:
                del self._deadlines[oldest]
                oldest.reschedule(0)
