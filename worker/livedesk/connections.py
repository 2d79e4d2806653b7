"""Connections to LiveDesk: a deadline over a whole request, a limit in bytes.

``requests`` limits how long a socket waits for its next bytes, so a server that sends one byte a second is never too
slow for it. Here each operation of a socket gets the time that is left for the request, and no more: to resolve the
name, to connect, to shake hands with TLS, to send the body, to read the status, the headers and the body.

Everything about the current request of a thread is in ``current.request``: urllib3 chooses the connection, but it
sends a request and reads its answer in the thread that asked for it.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError

#: The status line and the headers of an answer, with all interim answers before it.
MAX_HEAD_BYTES = 256_000
#: The body of an answer as it is on the wire, which chunks can make longer than it is.
MAX_BODY_BYTES_SENT = 2_000_000
#: Seconds after which an unused connection is closed. Servers and firewalls do so after a minute or more, and a request
#: that meets that moment is lost.
IDLE_S = 30.0

#: One row of ``socket.getaddrinfo``.
Address = tuple[Any, ...]


class Hop(Enum):
    """How far a request has come."""

    NAME = auto()
    CONNECTION = auto()
    PROXY_TLS = auto()
    TUNNEL = auto()
    TLS = auto()
    #: From here on, LiveDesk may have bytes of the request.
    SENT = auto()


class AnswerTooLong(OSError):
    """The answer has more bytes than one of LiveDesk's can have."""


@dataclass(slots=True)
class CurrentRequest:
    """The progress of a request.

    ``deadline`` is when it must be connected, and once it is sent, when the answer must be complete.
    """

    deadline: float
    answer_timeout_s: float
    resolve: "Resolver"
    hop: Hop = Hop.NAME
    via_proxy: bool = False
    #: The status in the last answer, which can be the proxy's.
    status: int | None = None
    bytes_left: int = MAX_HEAD_BYTES

    def time_left(self) -> float:
        """Return the seconds until the deadline.

        Raises:
            TimeoutError: it has passed.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the request has passed")
        return left

    def sending(self) -> None:
        """The next bytes are the request itself: from now on, it is LiveDesk's time."""
        if self.hop is not Hop.SENT:
            self.hop = Hop.SENT
            self.deadline = time.monotonic() + self.answer_timeout_s

    def received(self, size: int) -> int:
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise AnswerTooLong
        return size


class _Current(threading.local):
    request: CurrentRequest


current = _Current()


class Socket(socket.socket):
    """A socket that observes the deadline."""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(current.request.time_left())
        return current.request.received(super().recv_into(buffer, nbytes, flags))

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.settimeout(current.request.time_left())
        super().sendall(data, flags)


class TlsSocket(ssl.SSLSocket):
    """The same with TLS.

    One call of OpenSSL has one timeout, even if it waits for several packets.
    """

    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(current.request.time_left())
        super().do_handshake(block)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(current.request.time_left())
        return current.request.received(super().recv_into(buffer, nbytes, flags))

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive for TLS inside TLS, which a proxy with https:// needs.

        ``ssl`` also calls this for a connection that was reset before the handshake, and then forgets the socket.
        """
        self.settimeout(current.request.time_left())
        try:
            data = super().recv(buflen, flags)
        except OSError:
            if self.version() is None:
                self.close()
            raise
        current.request.received(len(data))
        return data

    def send(self, data: Any, flags: int = 0) -> int:
        """Send one piece; ``sendall`` calls this until everything is sent."""
        self.settimeout(current.request.time_left())
        return super().send(data, flags)


class Resolver:
    """Resolves host names in a thread, because ``getaddrinfo`` cannot be interrupted.

    While a name server does not answer, all requests wait for the same thread, each until its own deadline. The thread
    ends when the system's resolver gives up.
    """

    def __init__(self, getaddrinfo: Callable[..., list[Address]] = socket.getaddrinfo) -> None:
        self.getaddrinfo = getaddrinfo
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[list[Address]]] = {}

    def __call__(self, host: str, port: int, timeout_s: float) -> list[Address]:
        """Return the addresses in ``getaddrinfo``'s form.

        Raises:
            OSError: there are none, or it took longer than ``timeout_s``.
        """
        with self._lock:
            running = self._running.get((host, port))
            if running is None:
                running = self._running[host, port] = Future()
                threading.Thread(target=self._resolve, args=(host, port, running), daemon=True).start()
        return running.result(timeout_s)

    def _resolve(self, host: str, port: int, result: "Future[list[Address]]") -> None:
        try:
            result.set_result(self.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - the waiting threads raise it
            result.set_exception(error)
        finally:
            with self._lock:
                del self._running[host, port]


class FinalResponse(http.client.HTTPResponse):
    """Skips interim answers such as 103; http.client returns all but 100."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 101 < status < 200:
                current.request.status = status
                return version, status, reason
            http.client.parse_headers(self.fp)


class TrackedConnection(HTTPConnection):
    """A connection that records how far the request has come."""

    response_class = FinalResponse
    #: When it was answered last, in seconds of ``time.monotonic``.
    answered_at = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether the next request may use it; urllib3 connects again otherwise."""
        return not self.is_idle() and super().is_connected

    def is_idle(self) -> bool:
        return time.monotonic() - self.answered_at > IDLE_S

    def _tunnel(self) -> None:
        current.request.hop = Hop.TUNNEL
        super()._tunnel()
        current.request.hop = Hop.TLS

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if current.request.hop is not Hop.TUNNEL:
            current.request.sending()
        super().send(data)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        response = super().getresponse()
        current.request.bytes_left += MAX_BODY_BYTES_SENT
        self.answered_at = time.monotonic()
        return response


class Connection(TrackedConnection):
    """The same over ``Socket``."""

    def _new_conn(self) -> socket.socket:
        request = current.request
        request.via_proxy = self.proxy is not None
        try:
            self._dns_host.encode("idna")
        except UnicodeError:
            raise LocationParseError(f"{self._dns_host!r}, label empty or too long") from None
        request.hop = Hop.NAME
        try:
            addresses = request.resolve(self._dns_host, self.port, request.time_left())
        except OSError as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        request.hop = Hop.CONNECTION
        try:
            connected = _connect(addresses, request, self.socket_options or ())
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "Connecting timed out") from error
        except OSError as error:
            raise NewConnectionError(self, "Connecting failed") from error
        request.hop = Hop.TLS
        return connected


class ClosesIdle(HTTPConnectionPool):
    """A pool that closes the connections of a busy moment once they are idle."""

    def _put_conn(self, conn: Any) -> None:
        super()._put_conn(conn)
        if self.pool is None:
            return
        with self.pool.mutex:
            for each in self.pool.queue:
                if each is not None and each.is_idle():
                    each.close()


class TlsConnection(Connection, HTTPSConnection):
    """The same with TLS: ``TlsSocket`` is the ``sslsocket_class`` of its context."""

    def connect(self) -> None:
        super().connect()
        if (
            isinstance(self.sock, TlsSocket) and self.sock.version() is None
        ):  # closed before the handshake, which ``ssl`` then leaves out
            raise ConnectionResetError("closed before the TLS handshake")

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> ssl.SSLSocket:
        current.request.hop = Hop.PROXY_TLS
        return super()._connect_tls_proxy(hostname, sock)


def _connect(addresses: list[Address], request: CurrentRequest, options: Iterable[tuple[Any, ...]]) -> Socket:
    """Connect to the first address that accepts; each may take its share of the time."""
    failure: OSError = OSError("the name has no address")
    for left, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        sock = None
        try:
            sock = Socket(family, kind, protocol)
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(request.time_left() / left)
            sock.connect(address)
            return sock
        except OSError as error:
            failure = error
            if sock is not None:
                sock.close()
    raise failure
