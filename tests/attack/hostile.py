"""Hostile requests over raw sockets: broken heads, wrong lengths, bombs, every route and method."""

import gzip
import json
import random
import re
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote

from tests.rig.parts import TEST_ENV
from tests.rig.processes import LOCALHOST

T = TypeVar("T")

#: Connections at the same time.
SENDERS = 8
#: Seconds without an answer after which a request is taken for unfinished, and its connection half closed; and after
#: which a server that does not close it either is taken for stuck.
QUIET_S, STUCK_S = 0.15, 30.0
#: Requests that gave a wrong answer, of which the first are kept.
MAX_EXAMPLES = 20
#: Characters of a request that are shown.
SHOWN = 300

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get", "")
TYPES = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain",
         "application/x-ndjson", "application/json; charset=utf-7", "multipart/form-data", "\xff/\xfe", "")  # fmt: skip
TOKENS = (TEST_ENV["WEBHOOK_SECRET"], TEST_ENV["API_TOKEN"], "wrong", "", "\xff" * 9, "x" * 5000)
VALUES = ("", "0", "-1", "1", "99999999999999999999", "NaN", "null", "true", "[]", "{}", "'", '"', "%", "%00", "%ff",
          "\x00", "../../etc/passwd", "=1+1", "<script>", "a" * 3000, "\u202e", "😀", "ada", "created", "failed",
          "2026-11-29T00:00:00Z", "72h", "1e999", "\ud7ff", "{{7*7}}", "${jndi:x}", "\r\nX: y")  # fmt: skip
NAMES = ("identifier", "email", "phone_number", "name", "state", "cause", "limit", "after", "q", "reveal", "csrf",
         "password", "next", "custom_attributes", "state[]", "__proto__", "identifier", "country", "at")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Session:
    """The cookie of somebody who is signed in to the dashboard, and the secret of their forms."""

    cookie: str
    csrf: str


class Hostile:
    """Makes hostile requests, the same for the same ``seed``.

    ``routes`` are paths with ``<...>`` for a variable. Some requests are those of ``session``.
    """

    def __init__(self, seed: int, routes: Sequence[str], session: Session) -> None:
        self._random = random.Random(seed)
        self._routes = list(routes)
        self._session = session
        self._kinds: list[Callable[[], bytes]] = [
            self.noise, self.broken_head, self.huge_head, self.odd_chunks, self.wrong_length, self.bomb,
            self.any_route, self.any_route, self.any_page, self.any_page, self.damaged_delivery, self.damaged_delivery,
        ]  # fmt: skip

    def requests(self, number: int) -> Iterator[bytes]:
        for _ in range(number):
            request = self._random.choice(self._kinds)()
            yield self.damaged(request) if self._random.random() < 0.1 else request

    def noise(self) -> bytes:
        """Bytes that are no HTTP."""
        return self._random.randbytes(self._random.choice((1, 3, 24, 300, 5000)))

    def broken_head(self) -> bytes:
        """A request line or header that is malformed."""
        lines = self._random.choice(
            (
                b"GET / HTTP/1.1\nHost: x\n\n",
                b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
                b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /%zz?%zz HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET http://other.example/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET //healthz HTTP/1.0\r\n\r\n",
                b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
                b"CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nHost: x\r\nX_Forwarded_For: 1\r\nX-Forwarded-For: \xff,,,\r\n\r\n",
                b"GET /dashboard/sign-in HTTP/1.1\r\nHost: x\r\nCookie: session=\xff\xfe; session=.\r\n\r\n",
                b"GET /dashboard/ HTTP/1.1\r\nHost: x:99999\r\nX-Forwarded-Host: a b\r\nRange: bytes=-1\r\n\r\n",
                b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
                b"POST /webhooks/signup HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
            )
        )
        return lines * self._random.choice((1, 1, 1, 3))

    def huge_head(self) -> bytes:
        """More or longer headers than a server should read."""
        number, length = self._random.choice(((1, 40_000), (1, 9_000), (90, 10), (300, 10), (2, 600_000), (40, 900)))
        headers = "".join(f"X-{n}: {'a' * length}\r\n" for n in range(number))
        path = self._random.choice(("/healthz", f"/webhooks/{'s' * length}", f"/contacts/{'i' * length}"))
        return f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()

    def odd_chunks(self) -> bytes:
        """A chunked body that breaks the rules, or only bends them."""
        body = self._random.choice(
            (
                b"zz\r\nabc\r\n0\r\n\r\n", b"-1\r\na\r\n0\r\n\r\n", b"ffffffffffffffff\r\na", b"5\r\nab", b"0\r\n",
                b"3\r\nabcX\r\n0\r\n\r\n", b"2;ext=" + b"a" * 20_000 + b"\r\n{}\r\n0\r\n\r\n", b"2\n{}\n0\n\n",
                b"2\r\n{}\r\n0\r\nTrailer: " + b"t" * 5000 + b"\r\n\r\n", b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", b"\r\n\r\n",
                b"1\r\na\r\n" * 3000, b"10000\r\n" + b"a" * 65536 + b"\r\n" + b"10000\r\n" * 9,
            )
        )  # fmt: skip
        extra = self._random.choice(
            (b"", b"", b"Content-Length: 2\r\n", b"Transfer-Encoding: gzip\r\n", b"TE: trailers\r\n")
        )
        coding = self._random.choice(
            (b"chunked", b"chunked", b"Chunked", b"chunked, chunked", b"xchunked", b"\x0bchunked")
        )
        return self.head("POST", self.path()) + extra + b"Transfer-Encoding: " + coding + b"\r\n\r\n" + body

    def wrong_length(self) -> bytes:
        """A Content-Length that is not that of the body."""
        length = self._random.choice(("0", "1", "3", "99", "-1", "+2", "2, 2", "2\r\nContent-Length: 3", "0x2", "", " ",
                                      "2 ", "18446744073709551616", "300000", "2_0", "٣"))  # fmt: skip
        return self.head("POST", self.path()) + f"Content-Length: {length}\r\n\r\n".encode() + b"{}"

    def bomb(self) -> bytes:
        """A body that costs more than it weighs."""
        depth = self._random.choice((50, 900, 100_000))
        many = self._random.choice((100, 3000))
        body, kind = self._random.choice(
            (
                (b"[" * depth, "application/json"),
                (b'{"a":' * depth + b"1" + b"}" * depth, "application/json"),
                (b'{"identifier": ' + b"9" * depth + b"}", "application/json"),
                (json.dumps({"identifier": "ada", "name": {"$number": "1E+999999999"}}).encode(), "application/json"),
                (json.dumps({f"k{n}": n for n in range(many)}).encode(), "application/json"),
                (b'{"identifier": "ada", "email": "' + b"a@" * many + b'"}', "application/json"),
                (b'{"identifier": "\\ud800", "name": "\\u0000"}', "application/json"),
                (b"a=1&" * many * 10, "application/x-www-form-urlencoded"),
                (b"%" * many * 10, "application/x-www-form-urlencoded"),
                (b"--b\r\n" * many, "multipart/form-data; boundary=b"),
                (
                    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * many,
                    "multipart/form-data; boundary=b",
                ),
                (b'{"identifier": "ada"}\n' * many, "application/x-ndjson"),
                (b"<!DOCTYPE a [<!ENTITY b 'c'>]>", "application/xml"),
            )
        )
        encoding = ""
        if self._random.random() < 0.4:
            body = gzip.compress(body + b" " * self._random.choice((0, 10_000_000)), 1, mtime=0)
            encoding = self._random.choice(("Content-Encoding: gzip\r\n", "Content-Encoding: gzip, gzip\r\n"))
        return self.request("POST", self.path(), body, kind, encoding)

    def any_route(self) -> bytes:
        """Any method on any route, with strange values in path, query and body."""
        query = ""
        if self._random.random() < 0.6:
            query = "?" + "&".join(f"{self.one(NAMES)}={quote(self.one(VALUES), safe='%')}" for _ in range(3))
        body = b""
        if self._random.random() < 0.5:
            body = self.one((json.dumps(self.document()).encode(), quote(self.one(VALUES)).encode(), b"\xff\x00"))
        return self.request(self.one(METHODS), self.path() + query, body, self.one(TYPES))

    def any_page(self) -> bytes:
        """A page or a form of the dashboard, of somebody who is signed in."""
        fields = [("csrf", self._session.csrf), *((self.one(NAMES), self.one(VALUES)) for _ in range(3))]
        encoded = "&".join(f"{name}={quote(value)}" for name, value in fields)
        pages = [route for route in self._routes if route.startswith("/dashboard") and "sign-out" not in route]
        path, method = self.variables(self.one(pages)), self.one(("GET", "POST"))
        query, body = (f"?{encoded}", b"") if method == "GET" else ("", encoded.encode())
        return self.request(method, path + query, body, TYPES[1], f"Cookie: {self._session.cookie}\r\n")

    def damaged_delivery(self) -> bytes:
        """An authentic delivery whose payload is nearly right."""
        body = bytearray(json.dumps(self.document()).encode())
        for _ in range(self._random.choice((0, 0, 1, 5))):
            body[self._random.randrange(len(body))] = self._random.randrange(256)
        return self.request("POST", "/webhooks/signup", bytes(body), self.one(TYPES), token=TOKENS[0])

    def damaged(self, request: bytes) -> bytes:
        """Change, cut or double some of it."""
        start = self._random.randrange(len(request))
        end = min(len(request), start + self._random.choice((1, 2, 20)))
        middle = self.one((b"", self._random.randbytes(3), request[start:end] * 2, b"\r\n", b"\x00"))
        return request[:start] + middle + self.one((request[end:], b""))

    def document(self) -> object:
        document: dict[str, object] = {self.one(NAMES): self.value(2) for _ in range(self._random.randrange(6))}
        if self._random.random() < 0.7:
            document["identifier"] = self.one(("ada", "zoe", *VALUES))
        return self.one((document, document, document, [document] * 3, self.value(3)))

    def value(self, depth: int) -> object:
        if depth and self._random.random() < 0.3:
            inner = [self.value(depth - 1) for _ in range(3)]
            return self.one((inner, {self.one(NAMES): one for one in inner}))
        return self.one((*VALUES, None, True, 0, -1, 1e308, 10**30, 0.1, "ada@example.com", "+14155550123"))

    def path(self) -> str:
        route = self.one(self._routes) if self._random.random() < 0.7 else "/webhooks/signup"
        return self.variables(route)

    def variables(self, route: str) -> str:
        """Return the route with values for its variables."""
        return re.sub(r"<[^>]*>", lambda _: quote(self.one(VALUES), safe="%/"), route)

    def request(
        self, method: str, path: str, body: bytes, kind: str, headers: str = "", token: str | None = None
    ) -> bytes:
        lines = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        return self.head(method, path, token) + lines.encode("latin-1") + body

    def head(self, method: str, path: str, token: str | None = None) -> bytes:
        token = self.one(TOKENS) if token is None else token
        return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n".encode(
            "latin-1", "replace"
        )

    def one(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)


@dataclass
class Findings:
    """What hostile requests were answered. ``examples`` are requests with a wrong answer."""

    answers: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def failures(self) -> int:
        """Answers that say that the fault is ours, and connections that were left open."""
        return sum(number for answer, number in self.answers.items() if answer in ("stuck",) or answer.startswith("5"))

    @property
    def total(self) -> int:
        return self.answers.total()

    def add(self, request: bytes, statuses: Iterable[str]) -> None:
        for status in statuses:
            self.answers[status] += 1
            if (status == "stuck" or status.startswith("5")) and len(self.examples) < MAX_EXAMPLES:
                self.examples.append(f"{status}: {request[:SHOWN]!r}")


def send_all(port: int, requests: Iterator[bytes], progress: Callable[[Findings], None]) -> Findings:
    """Send the requests over several connections at once, each on its own; report ``progress`` after each."""
    findings, lock = Findings(), threading.Lock()

    def send_some() -> None:
        while True:
            with lock:
                request = next(requests, None)
            if request is None:
                return
            statuses = _answers_to(port, request)
            with lock:
                findings.add(request, statuses)
                progress(findings)

    senders = [threading.Thread(target=send_some) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return findings


def _answers_to(port: int, request: bytes) -> list[str]:
    """Send one request; return the statuses of its answers, or that it has none."""
    with socket.create_connection((LOCALHOST, port), timeout=STUCK_S) as connection:
        try:
            connection.sendall(request)
            received = b""
            if not select.select([connection], [], [], QUIET_S)[0]:
                connection.shutdown(socket.SHUT_WR)
            until = time.monotonic() + STUCK_S
            while time.monotonic() < until and (chunk := connection.recv(65_536)):
                received += chunk
                if not select.select([connection], [], [], 0.0)[0]:
                    break
        except TimeoutError:
            return ["stuck"]
        except OSError:
            return ["closed"]
    return [status.decode() for status in STATUS.findall(received)] or ["closed"]
