"""One connection to Redis for everything that an event loop runs.

A command is sent at once if no other waits for its answer. Else those that arise in one turn of the loop are sent
together, and answered in their order; a server that writes to disk before it answers does so once for all of them.
redis-py opens the connection, in a thread because that blocks: TLS, logins and finding the server are its business.
From then on the loop reads and writes the socket.
"""

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

import hiredis
from redis import exceptions
from redis.connection import DefaultParser

#: Commands of one connection that may wait for their answers. Each is a delivery, of which 1,000 take 30 MB.
MAX_WAITING = 2000
#: Seconds between two looks whose time is over.
EXPIRE_EVERY_S = 0.05
#: Commands that are sent together. More would let Redis and us wait for each other in turn.
GROUP = 8
#: Bytes that are read at once.
READ_BYTES = 65536
#: What a socket raises that has nothing to read, or no room to write, now.
NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
NOTHING = object()


class TooManyWait(exceptions.TimeoutError):
    """Redis does not answer, and as many wait for it as may."""


class Pipe:
    """A connection that an event loop shares.

    ``make`` returns one that is not open yet. ``answered`` is called when it is, and whenever the server answers.
    ``is_over``: nothing more may be sent, use another one. Only the event loop that created it may use it.
    """

    def __init__(self, make: Callable[[], Any], answered: Callable[[], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.is_over = False
        self._make = make
        self._answered = answered
        self._connection: Any = None
        self._socket: Any = None
        self._reader = hiredis.Reader(encoding="utf-8", replyError=DefaultParser.parse_error, notEnoughData=NOTHING)
        self._buffer = bytearray(READ_BYTES)
        #: Who waits, in the order of the commands, and until when. An answer that comes too late is dropped.
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._unsent: list[bytes] = []
        #: Whether the connection is open, and has room.
        self._can_send = False
        self._timer: asyncio.TimerHandle | None = None
        threading.Thread(target=self._open, name="redis-pipe", daemon=True).start()

    def send(self, command: bytes, limit_s: float) -> "asyncio.Future[Any]":
        """Send a packed command; the future gets its answer, or Redis's error as result.

        Raises:
            TooManyWait: it is not sent.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise TooManyWait("Redis does not answer, and many wait for it")
        future = self.loop.create_future()
        self._waiting.append((future, monotonic() + limit_s))
        self._unsent.append(command)
        if not self._can_send:
            pass
        elif len(self._waiting) == 1 or len(self._unsent) >= GROUP:
            self._flush()
        elif len(self._unsent) == 1:
            self.loop.call_soon(self._flush)
        if self._timer is None:
            self._timer = self.loop.call_later(EXPIRE_EVERY_S, self._expire)
        return future

    def retire(self) -> None:
        """Close it, once nobody waits for an answer any more."""
        self.is_over = True
        if all(future.done() for future, _ in self._waiting):
            self._lose(exceptions.ConnectionError("closed"))

    def _open(self) -> None:
        """Open the connection; in a thread."""
        connection, error = None, None
        try:
            connection = self._make()
            connection.connect()
        except Exception as raised:  # noqa: BLE001 - raised where the answers are awaited
            error = raised
        try:
            self.loop.call_soon_threadsafe(self._begin, connection, error)
        except RuntimeError:  # the event loop has ended
            if connection is not None:
                connection.disconnect()

    def _begin(self, connection: Any, error: Exception | None) -> None:
        self._connection = connection
        if error is not None:
            self._lose(error)
            return
        self._answered()
        self._socket = connection._sock
        self._socket.setblocking(False)
        self.loop.add_reader(self._socket.fileno(), self._read)
        self._can_send = True
        self._flush()
        if self.is_over:
            self.retire()

    def _flush(self) -> None:
        """Send what is unsent, as far as there is room."""
        if not self._can_send or not self._unsent:
            return
        data = b"".join(self._unsent)
        try:
            sent = self._socket.send(data)
        except NOT_NOW:
            sent = 0
        except OSError as error:
            self._lose(exceptions.ConnectionError(f"Error while writing to socket: {error.args}"))
            return
        self._unsent = [data[sent:]] if sent < len(data) else []
        if self._unsent:
            self._can_send = False
            self.loop.add_writer(self._socket.fileno(), self._go_on)

    def _go_on(self) -> None:
        """Send the rest, now that there is room."""
        self.loop.remove_writer(self._socket.fileno())
        self._can_send = True
        self._flush()

    def _read(self) -> None:
        try:
            self._feed(self._socket.recv_into(self._buffer))
            while isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
                self._feed(self._socket.recv_into(self._buffer))
        except NOT_NOW:
            pass
        except (OSError, IndexError, UnicodeError, hiredis.HiredisError) as error:  # IndexError: nobody asked for it
            self._lose(exceptions.ConnectionError(f"Error while reading from socket: {error.args}"))

    def _feed(self, size: int) -> None:
        """Hand over the answers that are whole, now that so many more bytes were read."""
        if not size:
            raise ConnectionResetError("Connection closed by server.")
        self._reader.feed(self._buffer, 0, size)  # type: ignore[arg-type] # takes any buffer
        while (answer := self._reader.gets()) is not NOTHING:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_result(answer)
        self._answered()
        if self.is_over:
            self.retire()

    def _expire(self) -> None:
        """End the waiting of those whose time is over, and use the connection no longer.

        The network may have lost it. What others wait for may still arrive.
        """
        now = monotonic()
        for future, until in self._waiting:
            if until <= now and not future.done():
                future.set_exception(exceptions.TimeoutError("Timeout reading from socket"))
                self.is_over = True
        self._timer = self.loop.call_later(EXPIRE_EVERY_S, self._expire) if self._waiting else None
        if self.is_over:
            self.retire()

    def _lose(self, error: Exception) -> None:
        """Close it, and end all waiting."""
        self.is_over = True
        if self._socket is not None:
            self.loop.remove_reader(self._socket.fileno())
            self.loop.remove_writer(self._socket.fileno())
            self._socket, self._can_send = None, False
        if self._connection is not None:
            self._connection.disconnect()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            if not future.done():
                future.set_exception(error)
