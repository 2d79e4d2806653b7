"""The raw connection: answers as bytes, bodies from the socket, ways to break it."""

import contextlib
import os
import select
import socket
import struct
from email.message import Message
from email.utils import formatdate
from http import HTTPStatus
from io import BufferedIOBase

from tests.livedesk.message import Answer

MAX_BODY = 8 << 20
"""The longest request body, in bytes; a longer one is answered 413."""

NO_BODY = (204, 304)


class BadBody(Exception):
    """The request's body cannot be read.

    ``status`` is the answer, or ``None`` if the client has left.
    """

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


def phrase_of(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def head_bytes(status: int, headers: list[tuple[str, str]]) -> bytes:
    """Return the status line and the headers, including the empty line."""
    lines = [f"HTTP/1.1 {status} {phrase_of(status)}", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}".replace("\r", " ").replace("\n", " ") for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")


def answer_bytes(answer: Answer, *, without_body: bool = False, closing: bool = False) -> bytes:
    """Return an answer as bytes.

    A header that the answer already has is not added again.
    """
    headers = [("Content-Type", answer.content_type)] if answer.content_type else []
    headers += answer.headers
    named = {name.lower() for name, _ in headers}
    if "content-length" not in named and "transfer-encoding" not in named and answer.status not in NO_BODY:
        headers.append(("Content-Length", str(len(answer.body))))
    if closing:
        headers.append(("Connection", "close"))
    return head_bytes(answer.status, headers) + (b"" if without_body or answer.status in NO_BODY else answer.body)


def read_body(stream: BufferedIOBase, headers: Message) -> bytes:
    """The body of a request, by its length or in chunks."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return read_chunks(stream)
    length = headers.get("Content-Length", "0").strip()
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise BadBody(400)
    return read_exactly(stream, int(length))


def read_exactly(stream: BufferedIOBase, size: int) -> bytes:
    if size > MAX_BODY:
        raise BadBody(413)
    body = stream.read(size)
    if len(body) < size:
        raise BadBody(None)
    return body


def read_chunks(stream: BufferedIOBase) -> bytes:
    """A chunked body; its trailers are read and dropped."""
    body = bytearray()
    while size := chunk_size(stream.readline(1026)):
        body += read_exactly(stream, size)
        if len(body) > MAX_BODY:
            raise BadBody(413)
        stream.readline(3)
    while stream.readline(65537).strip():
        pass
    return bytes(body)


def chunk_size(line: bytes) -> int:
    """The size in the line before a chunk, extensions dropped."""
    if not line:
        raise BadBody(None)
    digits = line.split(b";")[0].strip()
    if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
        raise BadBody(400)
    return int(digits, 16)


class Wire:
    """One client's socket while one request of it is being answered."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, raw: bytes) -> None:
        """Send everything.

        Raises OSError if the client has left or does not read for a minute.
        """
        self._connection.sendall(raw)

    def peer_left(self) -> bool:
        """Whether the client has closed its side.

        Unread bytes of a next request hide that.
        """
        try:
            poll = select.poll()
            poll.register(self._connection, select.POLLIN)
            return bool(poll.poll(0)) and self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except (OSError, ValueError):
            return True

    def reset(self) -> None:
        """Break the connection so that the client's next read fails with ECONNRESET.

        A zero linger makes close send RST. The descriptor is closed here, because the server's own
        close would send a FIN first.
        """
        with contextlib.suppress(OSError):
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self._connection.detach())
