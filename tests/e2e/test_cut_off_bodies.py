"""A body that was cut off is refused, and nothing of it is stored.

The real server, over raw sockets. A sender that hears nothing sends again, and must not hear ``duplicate``. Connections
end in the middle of a body when a sender is killed, when a proxy gives up (nginx's ``client_body_timeout``, a load
balancer's idle timeout), or when a stream fails that a client sends in chunks, because it does not know the length
(undici in Node.js, ``http.Client`` in Go).
"""

import gzip
import socket
import zlib
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import redis

from tests.rig.parts import TEST_ENV, bare_environment, receiver
from tests.rig.processes import LOCALHOST, Process, free_port
from worker.store import keys
from worker.store.store import Store

TOKEN = "a-token-of-these-tests"
SOURCES = f"""
[sources.bearer]
preset = "generic-bearer"
secret = "{TOKEN}"

[sources.query]
verify = {{ scheme = "token", query = "token" }}
secret = "{TOKEN}"
body = ["form", "multipart", "ndjson"]

[sources.basic]
verify = "basic"
secret = "shop:{TOKEN}"
body = "form"

[sources.field]
verify = {{ scheme = "token", field = "$.key" }}
secret = "{TOKEN}"
body = "form"
max_bytes = 1000
"""
FORM = "application/x-www-form-urlencoded"
HOW: dict[str, tuple[str, str]] = {
    "bearer": ("bearer", f"Authorization: Bearer {TOKEN}"),
    "query": (f"query?token={TOKEN}", "X-Nothing: 1"),
    "basic": ("basic", "Authorization: Basic c2hvcDphLXRva2VuLW9mLXRoZXNlLXRlc3Rz"),
}
ZOE = urlencode({"identifier": "zoe", "id": "zoe", "email": "zoe@example.com", "name": "Zoe"}).encode()
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="identifier"\r\n\r\nzoe\r\n'
    b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\nzoe@example.com\r\n--b--\r\n'
)
LINES = b'{"identifier": "zoe"}\n{"identifier": "yan"}\n'


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("receiver")
    (folder / "sources.toml").write_text(SOURCES)
    env = {**bare_environment(), **TEST_ENV, "REDIS_URL": redis_url, "LIVEDESK_INBOX_ID": "1"}
    env |= {"DASHBOARD_PASSWORD": "a-password-of-these-tests"}
    env |= {"LIVEDESK_API_KEY": "key", "LIVEDESK_API_SECRET": "secret", "SOURCES_FILE": str(folder / "sources.toml")}
    with receiver(free_port(), env=env, log=folder / "receiver.log", cwd=folder) as process:
        yield process


def head(how: str, *headers: str, content_type: str = FORM) -> bytes:
    path, proof = HOW[how]
    lines = [f"POST /webhooks/{path} HTTP/1.1", "Host: localhost", proof, f"Content-Type: {content_type}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def send(server: Process, request: bytes, *, closes: bool) -> int:
    """Send a request, and return the status; with ``closes`` no more can follow."""
    assert server.port is not None
    with socket.create_connection((LOCALHOST, server.port), timeout=10) as connection:
        connection.sendall(request)
        if closes:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while b"\r\n" not in answer:
            received = connection.recv(4096)
            assert received, "no answer"
            answer += received
    return int(answer.split(b" ", 2)[1])


def is_empty(client: redis.Redis) -> bool:
    return not client.exists(keys.DUE, keys.QUARANTINE)


CHUNKED = "Transfer-Encoding: chunked"
CUT_OFF = {
    "after 50 of 200 bytes": head("bearer", "Content-Length: 200") + ZOE[:50],
    "before the first byte": head("bearer", "Content-Length: 200"),
    "one byte before the end": head("bearer", f"Content-Length: {len(ZOE)}") + ZOE[:-1],
    "with a token in the query": head("query", "Content-Length: 200") + ZOE,
    "with Basic": head("basic", "Content-Length: 200") + ZOE,
    "inside a chunk": head("bearer", CHUNKED) + b"ff\r\n" + ZOE,
    "between chunks": head("basic", CHUNKED) + chunk(ZOE[:30]) + chunk(ZOE[30:]),
    "inside the size of a chunk": head("query", CHUNKED) + chunk(ZOE) + b"1",
    "after a malformed size": head("bearer", CHUNKED) + chunk(ZOE) + b"zz\r\n",
    "before the end of the last chunk": head("bearer", CHUNKED) + chunk(ZOE) + b"0\r\n",
    "inside a multipart body": head("query", "Content-Length: 900", content_type="multipart/form-data; boundary=b")
    + MULTIPART,
    "between lines": head("query", CHUNKED, content_type="application/x-ndjson") + chunk(LINES[:22]),
    "inside gzip": head("bearer", CHUNKED, "Content-Encoding: gzip") + chunk(gzip.compress(ZOE)[:-9]),
    "of a body that is whole without its chunks": head("bearer", CHUNKED, content_type="application/json")
    + chunk(b'{"id": "zoe", "email": "zoe@example.com"}'),
}


@pytest.mark.parametrize("where", CUT_OFF)
def test_a_body_that_is_cut_off_is_refused(where: str, server: Process, client: redis.Redis) -> None:
    assert send(server, CUT_OFF[where], closes=True) == 400
    assert is_empty(client)


def truncated(data: bytes, content_type: str, *headers: str) -> bytes:
    """A request whose body was cut off before it was sent, so that its length is right."""
    return head("query", f"Content-Length: {len(data)}", *headers, content_type=content_type) + data


WHOLE_REQUESTS = {
    "multipart without the last boundary": truncated(MULTIPART[:-6], "multipart/form-data; boundary=b"),
    "a form that ends inside an escape": truncated(ZOE + b"%2", FORM),
    "a form that ends with the start of an escape": truncated(ZOE + b"%", FORM),
    "a form that ends inside a character": truncated(ZOE + b"%C3", FORM),
    "lines that end inside an object": truncated(LINES[:-5], "application/x-ndjson"),
    "gzip without its end": truncated(gzip.compress(ZOE)[:-8], FORM, "Content-Encoding: gzip"),
    "gzip without a block": truncated(
        zlib.compressobj(wbits=31).compress(ZOE) + b"\x1f\x8b", FORM, "Content-Encoding: gzip"
    ),
}


@pytest.mark.parametrize("what", WHOLE_REQUESTS)
def test_a_format_that_knows_its_end_is_refused_without_it(what: str, server: Process, client: redis.Redis) -> None:
    assert send(server, WHOLE_REQUESTS[what], closes=False) == 400
    assert is_empty(client)


@pytest.mark.parametrize(
    "request_",
    [
        head("bearer", f"Content-Length: {len(ZOE)}") + ZOE,
        head("bearer", CHUNKED) + chunk(ZOE) + chunk(b""),
        head("query", CHUNKED) + chunk(ZOE[:20]) + chunk(ZOE[20:]) + b"0\r\nX-Trailer: 1\r\n\r\n",
        head("basic", CHUNKED) + chunk(ZOE) + chunk(b""),
    ],
    ids=["by its length", "in one chunk", "in two chunks and a trailer", "with Basic"],
)
def test_a_whole_body_is_stored(request_: bytes, server: Process, client: redis.Redis) -> None:
    assert send(server, request_, closes=False) == 200
    record = Store(client).contacts.find("zoe")
    assert record is not None
    assert record.contact is not None
    assert record.contact.email == "zoe@example.com"


def test_a_chunked_form_with_its_token_inside_is_stored_if_it_is_whole(server: Process, client: redis.Redis) -> None:
    body = ZOE + b"&key=" + TOKEN.encode()
    start = f"POST /webhooks/field HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n{CHUNKED}\r\n\r\n".encode()
    assert send(server, start + chunk(body), closes=True) == 400
    assert is_empty(client)
    assert send(server, start + chunk(body) + chunk(b""), closes=False) == 200


def test_a_stranger_cannot_send_chunks_without_end(server: Process) -> None:
    start = f"POST /webhooks/bearer HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n{CHUNKED}\r\n\r\n".encode()
    assert send(server, start + chunk(b"a" * 300_000), closes=False) == 413
    assert send(server, start + chunk(ZOE) + chunk(b""), closes=False) == 401


def test_a_form_of_the_dashboard_that_is_cut_off_is_refused(server: Process) -> None:
    start = f"POST /dashboard/sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
    assert send(server, f"{start}Content-Length: 200\r\n\r\nname=ada".encode(), closes=True) == 400
    assert send(server, f"{start}{CHUNKED}\r\n\r\n8\r\nname=ada\r\n".encode(), closes=True) == 400


def test_a_length_above_every_limit_is_refused_at_once(server: Process) -> None:
    start = f"POST /webhooks/bearer HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
    assert send(server, f"{start}Content-Length: 300000\r\n\r\n".encode(), closes=False) == 413
