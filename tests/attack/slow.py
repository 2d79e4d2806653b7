"""A crowd of silent and trickling clients, and what good clients notice of it."""

import contextlib
import http.client
import resource
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from types import TracebackType
from typing import Self

from tests.rig.processes import LOCALHOST

#: Seconds between two bytes of a trickling client.
TRICKLE_EVERY_S = 2.0
#: Seconds that connecting may take, and any answer to a good client.
CONNECT_S, ANSWER_S = 30, 30
#: Bytes that the kernel keeps for a client that does not read.
SMALL_BUFFER = 2048
POST = b"POST /webhooks/signup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SIGN_IN = b"POST /dashboard/sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
#: What a client sends at first, and what it then sends again and again: nothing, if it is silent.
KINDS: Mapping[str, tuple[bytes, bytes]] = {
    "silent": (b"", b""),
    "head": (POST[:40], b""),
    "trickling head": (POST + b"X-Long: ", b"x"),
    "body": (POST + b"Content-Length: 1000\r\n\r\n", b""),
    "trickling body": (POST + b"Content-Length: 1000\r\n\r\n", b" "),
    "trickling form": (SIGN_IN + b"Content-Length: 1000\r\n\r\n", b"a"),
    "trickling chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "answer": (b"GET /dashboard/sign-in HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2, b""),
}


class Crowd:
    """Slow clients of every kind, who come again when they are sent away."""

    def __init__(self, port: int, number: int) -> None:
        self._port = port
        self._kinds = list(islice(cycle(KINDS.values()), number))
        self._clients: list[socket.socket] = []
        self._is_over = threading.Event()
        self._trickler = threading.Thread(target=self._trickle)

    def __enter__(self) -> Self:
        try:
            for first, _ in self._kinds:
                self._clients.append(self._connect(first))
        except OSError:
            self._leave()
            raise
        self._trickler.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._is_over.set()
        self._trickler.join()
        self._leave()

    def _leave(self) -> None:
        for client in self._clients:
            client.close()

    def _connect(self, first: bytes) -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        client.settimeout(CONNECT_S)
        try:
            client.connect((LOCALHOST, self._port))
        except OSError:
            client.close()
            raise
        client.setblocking(False)
        with contextlib.suppress(OSError):
            client.send(first)
        return client

    def _trickle(self) -> None:
        while not self._is_over.wait(TRICKLE_EVERY_S):
            for number, (first, more) in enumerate(self._kinds):
                try:
                    if more:
                        self._clients[number].send(more)
                except BlockingIOError:
                    pass
                except OSError:
                    self._clients[number].close()
                    with contextlib.suppress(OSError):
                        self._clients[number] = self._connect(first)


@dataclass(frozen=True, slots=True)
class Seen:
    """What good clients notice: the seconds of each answer, by path, in order."""

    seconds: dict[str, list[float]]

    def percentile(self, path: str, share: float) -> float:
        measured = self.seconds[path]
        return measured[min(len(measured) - 1, int(share * len(measured)))]


def good_clients(port: int, token: str, seconds: float, pages: Mapping[str, int]) -> Seen:
    """Send deliveries, and read each page now and then, each on a new connection.

    ``pages`` are the paths to read, each with the status that it must have.

    Raises:
        AssertionError: an answer has another status.
    """
    paths = list(pages)
    taken: dict[str, list[float]] = {path: [] for path in ("/webhooks/signup", *paths)}
    until = time.monotonic() + seconds
    for number, path in enumerate(cycle(paths)):
        if time.monotonic() > until and number >= len(paths):
            break
        for identifier in range(3):
            took = _ask(port, "/webhooks/signup", 200, token, f'{{"identifier": "good-{number}-{identifier}"}}')
            taken["/webhooks/signup"].append(took)
        taken[path].append(_ask(port, path, pages[path]))
    return Seen({path: sorted(times) for path, times in taken.items()})


def _ask(port: int, path: str, status: int, token: str = "", body: str = "") -> float:
    """Send one request, and return the seconds until its answer was read."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=ANSWER_S)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} if body else {}
    connection.request("POST" if body else "GET", path, body or None, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == status, f"{path}: {answer.status}"
    return time.perf_counter() - began


@contextlib.contextmanager
def many_files(number: int) -> Iterator[bool]:
    """Allow this process to open ``number`` files; yield whether that is possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, number)
    if hard != resource.RLIM_INFINITY and wanted > hard:
        yield False
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield True
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
