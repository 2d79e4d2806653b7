"""``python -m bench.stub PORT``: a cheap stub of LiveDesk's API.

One process, one thread, one epoll loop; it shares the machine with what is measured, so nothing here is general. It
answers at once, on kept-alive and on new connections alike:

``POST /api/v2/accounts/contacts``      200, the contact with a new id and the identifier that was sent
``GET  /api/v2/accounts/contacts...``   200, an empty list (``/search?q=`` too)
``PATCH /api/v2/accounts/contacts/<id>`` 200, without the contact
``GET  /stats``                         200, ``{"creates", "lookups", "connections"}``
``GET  /times``                         200, when each create came, in seconds of this process's clock
``POST /reset``                         200, and the counts start again
"""

import json
import re
import select
import socket
import sys
import time
from dataclasses import dataclass, field

CONTACTS = b"/api/v2/accounts/contacts"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_IDENTIFIER = re.compile(rb'"identifier"\s*:\s*("(?:[^"\\]|\\.)*")')

_HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
_CREATED = (
    b'{"payload":{"contact":{"additional_attributes":{},"availability_status":"offline","email":null,"id":%d,'
    b'"name":"Bench","phone_number":null,"blocked":false,"identifier":%s,"thumbnail":"","custom_attributes":{},'
    b'"created_at":1767225600,"contact_inboxes":[]},"contact_inbox":{"inbox":{"id":1},"source_id":"bench-%d"}}}'
)
_NOBODY = b'{"meta":{"count":0,"current_page":1},"payload":[]}'


@dataclass
class Counts:
    """What the stub has seen since it started or was reset."""

    lookups: int = 0
    connections: int = 0
    times: list[float] = field(default_factory=list)

    def as_json(self) -> bytes:
        """The counts for ``GET /stats``."""
        numbers = {"creates": len(self.times), "lookups": self.lookups, "connections": self.connections}
        return json.dumps(numbers).encode()


def answer(method: bytes, target: bytes, body: bytes, counts: Counts) -> bytes:
    """The whole response to one request."""
    if method == b"POST" and target == CONTACTS:
        counts.times.append(time.perf_counter())
        found = _IDENTIFIER.search(body)
        number = len(counts.times)
        return response(b"200 OK", _CREATED % (number, found[1] if found else b"null", number))
    if method == b"PATCH" and target.startswith(CONTACTS):
        return response(b"200 OK", b"{}")
    if method == b"GET" and target.startswith(CONTACTS):
        counts.lookups += 1
        return response(b"200 OK", _NOBODY)
    if method == b"GET" and target == b"/stats":
        return response(b"200 OK", counts.as_json())
    if method == b"GET" and target == b"/times":
        return response(b"200 OK", json.dumps(counts.times).encode())
    if method == b"POST" and target == b"/reset":
        counts.lookups = counts.connections = 0
        counts.times.clear()
        return response(b"200 OK", b"{}")
    return response(b"404 Not Found", b'{"error":"no such path"}')


def response(status: bytes, content: bytes) -> bytes:
    """A response with a length, so that the connection can stay open."""
    return _HEAD % (status, len(content)) + content


def take_request(received: bytes) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Method, target, body and what follows; ``None`` while the request is incomplete."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    length_found = _LENGTH.search(received, 0, end)
    start, stop = end + 4, end + 4 + (int(length_found[1]) if length_found else 0)
    if len(received) < stop:
        return None
    method, target, _ = received.split(b" ", 2)
    return method, target, received[start:stop], received[stop:]


class Stub:
    """The loop: accept, read, answer, until the process is stopped."""

    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.listener.setblocking(False)
        self.poller = select.epoll()
        self.poller.register(self.listener.fileno(), select.EPOLLIN)
        self.clients: dict[int, socket.socket] = {}
        self.partial: dict[int, bytes] = {}
        self.counts = Counts()

    def run(self) -> None:
        """Serve for ever."""
        listening = self.listener.fileno()
        while True:
            for number, _ in self.poller.poll():
                if number == listening:
                    self.accept()
                else:
                    self.serve(number)

    def accept(self) -> None:
        """Take every connection that waits."""
        while True:
            try:
                client, _ = self.listener.accept()
            except BlockingIOError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.counts.connections += 1
            self.clients[client.fileno()] = client
            self.poller.register(client.fileno(), select.EPOLLIN)

    def serve(self, number: int) -> None:
        """Answer every complete request of one connection; keep the rest."""
        client = self.clients[number]
        try:
            chunk = client.recv(65536)
            if not chunk:
                self.drop(number)
                return
            received = self.partial.pop(number, b"") + chunk
            while taken := take_request(received):
                method, target, body, received = taken
                client.sendall(answer(method, target, body, self.counts))
        except OSError:
            self.drop(number)
            return
        if received:
            self.partial[number] = received

    def drop(self, number: int) -> None:
        """Forget a connection. Closing takes it out of epoll as well."""
        self.partial.pop(number, None)
        self.clients.pop(number).close()


if __name__ == "__main__":
    Stub(int(sys.argv[1])).run()
