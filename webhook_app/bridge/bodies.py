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
    """Reads the bodies of one process, in its event loop.

    ``timeout_s`` is for one body, ``max_bytes`` the most that any request may send, ``max_held_bytes`` for all of them.
    """

    def __init__(self, *, timeout_s: float, max_bytes: int, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self.timeout_s = timeout_s
        self.max_bytes = max_bytes
        self.max_held_bytes = max(max_held_bytes, 4 * max_bytes)
        self._held_bytes = 0
        #: The tasks that read a body, the oldest first, and until when; 0: it was given up.
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def read(self, environ: dict[str, Any], receive: Receive) -> bool:
        """Put a request's body into its environ; return whether it was read to its end.

        ``wsgi.input`` has fewer bytes than ``CONTENT_LENGTH`` if the connection was lost before the end of the body,
        and also for a chunked body: the application compares them, as it has to on any server. A body whose length is
        above the limit is not read at all: the application refuses it by its length.
        """
        length = int(environ.get("CONTENT_LENGTH") or 0)
        is_chunked = environ.pop("HTTP_TRANSFER_ENCODING", None) is not None
        if not is_chunked and (length == 0 or length > self.max_bytes):
            environ["wsgi.input"] = io.BytesIO()
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
        task = self._begin()
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
        except asyncio.CancelledError:
            if self._reading[task] or task.uncancel():
                raise
            raise TimeoutError from None
        finally:
            del self._reading[task]
            self._held_bytes -= size
        return size == length

    def _begin(self) -> "asyncio.Task[Any]":
        """Give this task its time.

        There is one timer for all: a timer of its own (``asyncio.timeout``) costs each request 4 µs. The loop is
        remembered, because each question for it is a system call before Python 3.12.
        """
        loop = self._loop
        task = asyncio.current_task(loop) if loop else None
        if loop is None or task is None:
            loop = self._loop = asyncio.get_running_loop()
            task = asyncio.current_task()
            assert task is not None
        self._reading[task] = loop.time() + self.timeout_s
        if self._timer is None:
            self._timer = loop.call_later(self.timeout_s, self._expire)
        return task

    def _expire(self) -> None:
        """Give up what is late, and look again when the next one will be."""
        loop = asyncio.get_running_loop()
        self._timer = None
        for task, until in self._reading.items():
            if until > loop.time():
                self._timer = loop.call_at(until, self._expire)
                return
            self._give_up(task)

    def _hold(self, size: int) -> None:
        """Count bytes that arrived, and give up the oldest body if there are too many."""
        self._held_bytes += size
        if self._held_bytes > self.max_held_bytes:
            oldest = next((task for task, until in self._reading.items() if until), None)
            if oldest is not None:
                self._give_up(oldest)

    def _give_up(self, task: "asyncio.Task[Any]") -> None:
        if self._reading[task]:
            self._reading[task] = 0.0
            task.cancel()
