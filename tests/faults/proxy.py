"""A TCP proxy between a process and a server, which can fail as networks do.

All links of a run live on the event loop of one thread (``Links``). Any thread may set how a ``Link`` behaves
from now on; connections that lost data do not survive it, as they would not in TCP.
"""

import asyncio
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Self

from tests.rig.processes import LOCALHOST, free_port

CHUNK = 65_536
#: Makes ``close`` send RST instead of FIN.
LINGER_NOT = struct.pack("ii", 1, 0)
#: Seconds between two tries to listen again on a port that somebody has got meanwhile.
LISTEN_AGAIN_S = 0.1

OK, CUT, DELAY, RESET, SILENCE, REFUSE = "ok", "cut", "delay", "reset", "silence", "refuse"


class Link:
    """Listens on ``port`` and forwards to ``target``, in one of these modes.

    * ``ok``: forwards everything, in both directions.
    * ``cut``: what is connected is reset, new connections are refused.
    * ``delay``: each piece of data takes ``by_s`` seconds longer than it always does (``always_s``).
    * ``reset``: requests go through, and in the middle of the answer both sides are reset.
    * ``silence``: drops everything, without closing connections.
    * ``refuse``: what is connected is reset; new connections are accepted, and closed before they bring anything, as
      by a server that refuses a TLS handshake.
    """

    def __init__(self, links: "Links", target: int, always_s: float = 0.0, tls: ssl.SSLContext | None = None) -> None:
        self.links = links
        self.target = target
        self.always_s = always_s
        self.tls = tls
        self.port = free_port()
        self.mode = OK
        self.by_s = 0.0
        #: How many pieces of answers have got through.
        self.answers = 0
        #: When each connection to the target was opened, and from which port of ours.
        self.opened: list[tuple[float, int]] = []
        self._server: asyncio.Server | None = None
        self._pairs: set[_Pair] = set()

    def behave(self, mode: str, by_s: float = 0.0) -> None:
        """Behave like this until the next call."""
        self.links.run(self._behave(mode, by_s))

    def reset_all(self) -> None:
        """Reset the present connections; new ones behave as before."""
        self.links.call(self._reset_all)

    @property
    def connections(self) -> int:
        return len(self._pairs)

    @property
    def awaited(self) -> int:
        """The number of clients that wait for an answer."""
        return sum(pair.is_awaited for pair in list(self._pairs))

    async def _behave(self, mode: str, by_s: float) -> None:
        before, self.mode, self.by_s = self.mode, mode, by_s
        is_otherwise = (mode == REFUSE) != (before == REFUSE)
        if self._server is not None and (mode == CUT or is_otherwise):
            self._server.close()
            self._server = None
            self._reset_all()
        if mode != CUT:
            await self.listen()
        if mode == OK:
            for pair in [pair for pair in self._pairs if pair.lost_data]:
                pair.reset()

    async def listen(self) -> None:
        while self._server is None:
            try:
                tls = None if self.mode == REFUSE else self.tls
                self._server = await asyncio.start_server(self._serve, LOCALHOST, self.port, backlog=512, ssl=tls)
            except OSError:  # a connection that somebody opened has this number for now
                await asyncio.sleep(LISTEN_AGAIN_S)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._reset_all()

    def _reset_all(self) -> None:
        for pair in list(self._pairs):
            pair.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == REFUSE:
            writer.close()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(LOCALHOST, self.target)
        except OSError:
            _reset(writer)
            return
        self.opened.append((time.time(), far_writer.get_extra_info("sockname")[1]))
        pair = _Pair(self, writer, far_writer)
        self._pairs.add(pair)
        try:
            await asyncio.gather(pair.pump(reader, far_writer, is_answer=False), pair.pump(far_reader, writer))
        finally:
            self._pairs.discard(pair)


class _Pair:
    """A client's connection, and the one to the server that belongs to it."""

    def __init__(self, link: Link, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.link = link
        self.ends = (near, far)
        self.lost_data = False
        self.is_awaited = False

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool = True) -> None:
        with suppress(OSError, AttributeError):  # as in ``_reset``
            while data := await reader.read(CHUNK):
                self.is_awaited = not is_answer
                takes_s = self.link.always_s + (self.link.by_s if self.link.mode == DELAY else 0.0)
                if takes_s:
                    await asyncio.sleep(takes_s)
                if self.link.mode == SILENCE or self.lost_data:
                    self.lost_data = True
                    continue
                if self.link.mode == RESET and is_answer:
                    writer.write(data[: len(data) // 2])
                    await writer.drain()
                    self.reset()
                    return
                writer.write(data)
                await writer.drain()
                self.link.answers += is_answer
        if self.link.mode == SILENCE:
            await self._until_heard()
        for end in self.ends:
            with suppress(AttributeError):
                end.close()

    async def _until_heard(self) -> None:
        """Wait for the end of the silence, which hides closed connections, too."""
        while self.link.mode == SILENCE:
            await asyncio.sleep(0.02)

    def reset(self) -> None:
        for end in self.ends:
            _reset(end)


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, AttributeError):  # a TLS transport that was aborted has forgotten its connection
        wire: socket.socket | None = writer.get_extra_info("socket")
        if wire is not None and wire.fileno() >= 0:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    with suppress(AttributeError):
        writer.transport.abort()


class Links:
    """The event loop of the links, in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.links: list[Link] = []
        self._thread = threading.Thread(target=self.loop.run_forever, name="links", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for link in self.links:
            self.call(link.close)
        self.run(_finish_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def to(self, target: int, *, always_s: float = 0.0, tls: ssl.SSLContext | None = None) -> Link:
        """Return a new link to a local port; ``always_s`` delays all data, in seconds.

        ``tls``: clients must use TLS, which ends here.
        """
        link = Link(self, target, always_s, tls)
        self.links.append(link)
        self.run(link.listen())
        return link

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run on the loop, called from another thread, and wait until it is done."""
        asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def call(self, work: Callable[[], None]) -> None:
        async def called() -> None:
            work()

        self.run(called())


async def _finish_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
