"""Bodies that are compressed or in another charset."""

import gzip
import json
import socket
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from tests.worker.livedesk.servers import FOREVER_S, Server, answer, read_request, serving
from worker.errors import AnswerUnknown, LiveDeskError
from worker.livedesk.answers import Person
from worker.livedesk.bodies import MAX_ANSWER_BYTES
from worker.livedesk.client import LiveDesk

PEOPLE = {"payload": [{"id": 7, "identifier": "zoë", "name": "Zoë 李"}]}
PLAIN = json.dumps(PEOPLE).encode()
#: The same without escapes.
TEXT = json.dumps(PEOPLE, ensure_ascii=False)
FOUND = [Person("7", "zoë", "Zoë 李")]
JSON = b"application/json"


def deflated(data: bytes) -> bytes:
    """Return deflate without the header of zlib, as some servers send it."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def looked_up(body: bytes, *headers: bytes, status: int = 200) -> list[Person]:
    """What a look-up finds if this is the answer."""

    def behave(connection: socket.socket, server: Server) -> None:
        read_request(connection)
        connection.sendall(answer(status, body, *headers))
        server.stopped.wait(FOREVER_S)

    with serving(behave) as server:
        return LiveDesk(server.url, "key", "secret", timeout_s=5.0).look_up("zoë")


def is_unreadable(call: Callable[[], object]) -> bool:
    with pytest.raises(LiveDeskError) as caught:
        call()
    return (type(caught.value), caught.value.cause.slug) == (AnswerUnknown, "unreadable_answer")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", gzip.compress(PLAIN, mtime=0)),
        (b"GZip", gzip.compress(PLAIN, mtime=0)),
        (b"x-gzip", gzip.compress(PLAIN, mtime=0)),
        (b"identity, gzip", gzip.compress(PLAIN, mtime=0)),
        (b"deflate", zlib.compress(PLAIN)),
        (b"deflate", deflated(PLAIN)),
        (b"gzip, gzip", gzip.compress(gzip.compress(PLAIN, mtime=0), mtime=0)),
        (b"deflate, gzip", gzip.compress(zlib.compress(PLAIN), mtime=0)),
        (b"identity", PLAIN),
        (b"", PLAIN),
        (b"identity", gzip.compress(PLAIN, mtime=0)),
    ],
)
def test_a_compressed_answer_is_read(encoding: bytes, body: bytes) -> None:
    assert looked_up(body, b"Content-Encoding: " + encoding) == FOUND


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", PLAIN),
        (b"gzip", b"\x1f\x8b" + bytes(100)),
        (b"gzip", gzip.compress(PLAIN, mtime=0)[:-9]),
        (b"deflate", zlib.compress(PLAIN)[:-9]),
        (b"br", PLAIN),
        (b"zstd", PLAIN),
        (b"gzip, gzip, gzip, gzip", PLAIN),
        (b"gzip", b""),
    ],
)
def test_what_cannot_be_decompressed_is_unreadable(encoding: bytes, body: bytes) -> None:
    assert is_unreadable(lambda: looked_up(body, b"Content-Encoding: " + encoding))


@pytest.mark.parametrize(("layers", "status"), [(1, 200), (3, 200), (1, 302), (2, 403)])
def test_a_bomb_is_not_blown_up(layers: int, status: int) -> None:
    """Nor that of a redirect, whose body ``requests`` would read by itself."""
    bomb = bytes(100_000_000)
    for _ in range(layers):
        bomb = gzip.compress(bomb, 1)
    headers = (b"Location: /x", b"Content-Encoding: " + b", ".join([b"gzip"] * layers))
    tracemalloc.start()
    try:
        with pytest.raises(LiveDeskError):
            looked_up(bomb, *headers, status=status)
        assert tracemalloc.get_traced_memory()[1] < 10 * MAX_ANSWER_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TEXT.encode("utf-8-sig"), JSON),
        (TEXT.encode("utf-16"), JSON),
        (TEXT.encode("utf-16-le"), JSON),
        (TEXT.encode("utf-16-be"), b"application/json; charset=utf-16"),
        (TEXT.encode("utf-32"), JSON),
        (TEXT.encode("gb18030"), b"application/json; charset=GB18030"),
        (TEXT.encode("gb18030"), b'application/json;charset="gb18030"'),
        (TEXT.encode(), b"application/json; charset=iso-8859-1"),
        (TEXT.encode(), b"application/json; charset=us-ascii"),
        (TEXT.encode(), b"application/json; charset=no-such-charset"),
        (TEXT.encode(), b"application/json; charset="),
        (PLAIN, b"application/json; charset=utf-7"),
        (b"\xef\xbb\xbf" + PLAIN, b"text/html"),
    ],
)
def test_an_answer_in_another_charset_is_read(body: bytes, content_type: bytes) -> None:
    assert looked_up(body, b"Content-Type: " + content_type) == FOUND


def test_latin_1_is_read_where_it_is_declared() -> None:
    body = json.dumps({"payload": [{"id": 7, "identifier": "zoë"}]}, ensure_ascii=False).encode("latin-1")
    for charset in (b"iso-8859-1", b"ISO_8859-15", b"windows-1252", b"latin1"):
        assert looked_up(body, b"Content-Type: application/json; charset=" + charset) == [Person("7", "zoë")]


@pytest.mark.parametrize("charset", [b"idna", b"punycode", b"unicode_escape", b"rot13", b"zlib", b"undefined", b"mbcs"])
def test_what_only_python_calls_a_charset_is_not_one(charset: bytes) -> None:
    body = PLAIN + b" " * 900_000 + b"\xff"
    assert is_unreadable(lambda: looked_up(body, b"Content-Type: application/json; charset=" + charset))
