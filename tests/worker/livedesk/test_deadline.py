"""One deadline over a whole request, whatever the server does with its time."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from threading import Event, Thread
from typing import Any

import pytest

from tests.worker.livedesk.servers import FOREVER_S, HOST, Authority, Server, answer, read_request, serving, tunnel
from worker.errors import AnswerUnknown, LiveDeskError, NotSent
from worker.livedesk.bodies import MAX_ANSWER_BYTES
from worker.livedesk.client import LiveDesk
from worker.livedesk.connections import MAX_HEAD_BYTES, Resolver
from worker.model import Contact

TIMEOUT_S = 0.6
#: To connect, where that is not what the test is about.
CONNECT_S = 5.0
#: A busy machine is late. Without a deadline, none of these servers ever lets go.
LATE_S = 3.0
ADA = Contact("ada", 1)
#: Larger than the buffers of two sockets.
BIG = Contact("big", 1, custom_attributes={"text": "x" * 9_000_000})
MADE = answer(200, b'{"payload": {"contact": {"id": 7, "identifier": "ada"}}}')

Behaviour = Callable[[socket.socket, Server], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority")).create()


def livedesk(url: str, **options: Any) -> LiveDesk:
    return LiveDesk(url, "key", "secret", **{"timeout_s": TIMEOUT_S, "connect_timeout_s": CONNECT_S, **options})


def outcome(client: LiveDesk, contact: Contact = ADA) -> tuple[type[LiveDeskError], str, float]:
    """What a create ends with: the error, its cause, and the seconds that it took."""
    began = time.monotonic()
    with pytest.raises(LiveDeskError) as caught:
        client.create(contact, with_attributes=True)
    return type(caught.value), caught.value.cause.slug, time.monotonic() - began


def drip(data: bytes, *, head: bytes = b"") -> Behaviour:
    """Answer at once with ``head``, then with a byte every 50 ms, again and again."""

    def behave(connection: socket.socket, server: Server) -> None:
        read_request(connection)
        connection.sendall(head)
        for byte in repeat(data):
            for each in byte:
                connection.sendall(bytes([each]))
                if server.stopped.wait(0.05):
                    return

    return behave


def flood(data: bytes, *, head: bytes = b"") -> Behaviour:
    """Answer with ``head``, then with the same bytes, as fast as possible."""

    def behave(connection: socket.socket, server: Server) -> None:
        read_request(connection)
        connection.sendall(head)
        while not server.stopped.is_set():
            connection.sendall(data * 100)

    return behave


def silent(connection: socket.socket, server: Server) -> None:
    """Read nothing, and answer nothing."""
    server.stopped.wait(FOREVER_S)


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SLOW: dict[str, Behaviour] = {
    "no answer": silent,
    "status line": drip(b"HTTP/1.1 200 " + b"O" * 60_000),
    "header": drip(b"X-Slow: " + b"y" * 60_000, head=OK),
    "headers": drip(b"X: y\r\n", head=OK),
    "interim answers": drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early hints": drip(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "body": drip(b" ", head=OK + b"Content-Length: 100000\r\n\r\n"),
    "body without length": drip(b" ", head=OK + b"\r\n"),
    "chunks": drip(b"1\r\nx\r\n", head=CHUNKED),
    "size of a chunk": drip(b"0" * 60_000, head=CHUNKED),
    "trailers": drip(b"X: y\r\n", head=CHUNKED + b"0\r\n"),
    "body of an error": drip(b" ", head=b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100000\r\n\r\n"),
    "body of a redirect": drip(b" ", head=b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 100000\r\n\r\n"),
}


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("behaviour", SLOW)
def test_a_slow_answer_is_given_up_at_the_deadline(behaviour: str, secure: bool, authority: Authority) -> None:
    with serving(SLOW[behaviour], authority.context() if secure else None) as server:
        client = livedesk(server.tls_url if secure else server.url, ca_bundle=authority.path)
        kind, cause, took_s = outcome(client)
    assert (kind, cause) == (AnswerUnknown, "answer_timeout")
    assert took_s < TIMEOUT_S + LATE_S


@pytest.mark.parametrize("behaviour", ["header", "body"])
def test_a_connection_that_is_used_again_has_the_same_deadline(behaviour: str, authority: Authority) -> None:
    def first_good(connection: socket.socket, server: Server) -> None:
        read_request(connection)
        connection.sendall(MADE)
        SLOW[behaviour](connection, server)

    for context in (None, authority.context()):
        with serving(first_good, context) as server:
            client = livedesk(server.tls_url if context else server.url, ca_bundle=authority.path)
            assert client.create(ADA).contact_id == "7"
            kind, cause, took_s = outcome(client)
        assert (kind, cause) == (AnswerUnknown, "answer_timeout")
        assert len(server.connections) == 1
        assert took_s < TIMEOUT_S + LATE_S


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_server_that_does_not_read_is_given_up_at_the_deadline(secure: bool, authority: Authority) -> None:
    with serving(silent, authority.context() if secure else None) as server:
        client = livedesk(server.tls_url if secure else server.url, ca_bundle=authority.path)
        kind, cause, took_s = outcome(client, BIG)
    assert (kind, cause) == (AnswerUnknown, "answer_timeout")
    assert took_s < TIMEOUT_S + LATE_S


def test_a_server_that_reads_slowly_is_given_up_at_the_deadline(authority: Authority) -> None:
    def sip(connection: socket.socket, server: Server) -> None:
        while not server.stopped.wait(0.05):
            connection.recv(20_000)

    for context in (None, authority.context()):
        with serving(sip, context) as server:
            client = livedesk(server.tls_url if context else server.url, ca_bundle=authority.path)
            kind, cause, took_s = outcome(client, BIG)
        assert (kind, cause) == (AnswerUnknown, "answer_timeout")
        assert took_s < TIMEOUT_S + LATE_S


ENDLESS: dict[str, Behaviour] = {
    "headers": flood(b"X: y\r\n", head=OK),
    "a header": flood(b"y" * 1000, head=OK + b"X: "),
    "long headers": flood(b"X: " + b"y" * 50_000 + b"\r\n", head=OK),
    "continue": flood(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "interim answers": flood(b"HTTP/1.1 102 Processing\r\n\r\n"),
    "interim headers": flood(b"X: y\r\n", head=b"HTTP/1.1 100 Continue\r\n"),
    "body": flood(b" " * 1000, head=OK + b"\r\n"),
    "chunks": flood(b"1\r\n \r\n", head=CHUNKED),
    "extension of a chunk": flood(b"y" * 1000, head=CHUNKED + b"1;"),
    "trailers": flood(b"X: y\r\n", head=CHUNKED + b"0\r\n"),
    "body of a redirect": flood(b" " * 1000, head=b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"),
}


@pytest.mark.parametrize("behaviour", ENDLESS)
def test_an_endless_answer_is_given_up_after_some_bytes(behaviour: str) -> None:
    with serving(ENDLESS[behaviour]) as server:
        client = livedesk(server.url, timeout_s=20.0)
        _, cause, took_s = outcome(client)
    assert cause == ("redirected" if "redirect" in behaviour else "unreadable_answer")
    assert took_s < 10.0
    assert MAX_HEAD_BYTES < MAX_ANSWER_BYTES


def test_an_interim_answer_is_not_the_answer() -> None:
    def hint(connection: socket.socket, server: Server) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + MADE)

    with serving(hint) as server:
        assert livedesk(server.url).create(ADA).contact_id == "7"


def test_a_redirect_is_not_followed_however_often() -> None:
    def redirect(connection: socket.socket, server: Server) -> None:
        read_request(connection)
        connection.sendall(answer(307, b"", b"Location: /api/v2/accounts/contacts"))
        server.stopped.wait(FOREVER_S)

    with serving(redirect) as server:
        assert outcome(livedesk(server.url))[1] == "redirected"
    assert len(server.connections) == 1


# Before the request is sent


def test_a_name_that_takes_too_long_sends_nothing() -> None:
    """A look-up of a name cannot be interrupted: all requests wait for one thread."""
    released, asked = Event(), []

    def hang(host: str, port: int, **options: Any) -> list[Any]:
        asked.append(host)
        released.wait(FOREVER_S)
        return socket.getaddrinfo(HOST, port, **options)

    client = livedesk("http://slow.invalid", connect_timeout_s=TIMEOUT_S, resolve=Resolver(hang))
    threads = [Thread(target=outcome, args=(client,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    kind, cause, took_s = outcome(client)
    for thread in threads:
        thread.join(FOREVER_S)
    released.set()
    assert (kind, cause) == (NotSent, "name_not_resolved")
    assert took_s < TIMEOUT_S + LATE_S
    assert asked == ["slow.invalid"]


def test_a_name_with_an_address_that_does_not_answer_is_tried_at_the_next() -> None:
    def behave(connection: socket.socket, server: Server) -> None:
        read_request(connection)
        connection.sendall(MADE)

    with serving(behave) as server, unreachable() as port:
        rows = [*socket.getaddrinfo(HOST, port, type=socket.SOCK_STREAM)] * 2
        rows += socket.getaddrinfo(HOST, server.port, type=socket.SOCK_STREAM)
        client = livedesk("http://livedesk.invalid", resolve=Resolver(lambda *_, **__: rows))
        assert client.create(ADA).contact_id == "7"


def test_a_slow_handshake_sends_nothing() -> None:
    def drip_bytes(connection: socket.socket, server: Server) -> None:
        connection.recv(65_536)
        for byte in b"\x16\x03\x03\x40\x00\x02" + bytes(16_000):
            connection.sendall(bytes([byte]))
            if server.stopped.wait(0.05):
                return

    for behaviour in (silent, drip_bytes):
        with serving(behaviour) as server:
            kind, cause, took_s = outcome(livedesk(server.tls_url, connect_timeout_s=TIMEOUT_S))
        assert (kind, cause) == (NotSent, "connect_timeout")
        assert took_s < TIMEOUT_S + LATE_S


@pytest.mark.parametrize("behaviour", [silent, drip(b"HTTP/1.1 200 OK" + b"k" * 60_000), drip(b"X: y\r\n", head=OK)])
def test_a_slow_proxy_sends_nothing(behaviour: Behaviour) -> None:
    with serving(behaviour) as proxy:
        kind, cause, took_s = outcome(
            livedesk("https://livedesk.invalid", proxies={"https": proxy.url}, connect_timeout_s=TIMEOUT_S)
        )
    assert (kind, cause) == (NotSent, "connect_timeout")
    assert took_s < TIMEOUT_S + LATE_S


@pytest.mark.parametrize("proxy_is_secure", [False, True], ids=["http proxy", "https proxy"])
def test_the_deadline_is_the_same_through_a_proxy(proxy_is_secure: bool, authority: Authority) -> None:
    with serving(SLOW["header"], authority.context()) as server:
        context = authority.context() if proxy_is_secure else None
        with serving(lambda connection, _: tunnel(connection, server.port), context) as proxy:
            proxies = {"https": proxy.tls_url if proxy_is_secure else proxy.url}
            client = livedesk(server.tls_url, ca_bundle=authority.path, proxies=proxies)
            kind, cause, took_s = outcome(client)
    assert (kind, cause) == (AnswerUnknown, "answer_timeout")
    assert took_s < TIMEOUT_S + LATE_S
    assert len(proxy.connections) == 1


def test_a_host_that_accepts_no_connection_in_time_received_nothing() -> None:
    with unreachable() as port:
        kind, cause, took_s = outcome(livedesk(f"http://{HOST}:{port}", connect_timeout_s=TIMEOUT_S))
    assert (kind, cause) == (NotSent, "connect_timeout")
    assert took_s < TIMEOUT_S + LATE_S


@contextmanager
def unreachable() -> Iterator[int]:
    """A port whose listener has a full queue, so that nobody else can connect."""
    with socket.create_server((HOST, 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(3):
            other = stack.enter_context(socket.socket())
            other.setblocking(False)
            with suppress(BlockingIOError):
                other.connect(listener.getsockname())
        yield listener.getsockname()[1]
