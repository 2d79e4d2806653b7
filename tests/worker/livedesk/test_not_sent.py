"""Requests of which LiveDesk received no byte: TLS that fails, and proxies that refuse or fail."""

import socket
import ssl
import struct
import traceback
from collections.abc import Callable

import pytest

from tests.rig.processes import free_port
from tests.worker.livedesk.servers import HOST, Authority, Server, answer, read_request, serving, tunnel
from worker.causes import Fault
from worker.errors import LiveDeskError, Misconfigured, NotSent
from worker.livedesk.checks import check_connection
from worker.livedesk.client import LiveDesk
from worker.model import Contact

ADA = Contact("ada", 1)
ELSEWHERE = "https://livedesk.invalid"
MADE = answer(200, b'{"payload": {"contact": {"id": 7, "identifier": "ada"}}}')

Handler = Callable[[socket.socket, Server], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority")).create()


def error_of(livedesk: LiveDesk) -> LiveDeskError:
    with pytest.raises(LiveDeskError) as caught:
        livedesk.create(ADA)
    return caught.value


def says(text: bytes) -> Handler:
    """Answer the first bytes that come with this, and hang up."""

    def behave(connection: socket.socket, server: Server) -> None:
        connection.recv(65_536)
        connection.sendall(text)

    return behave


def resets(connection: socket.socket, server: Server) -> None:
    """Hang up with RST as soon as something comes."""
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def resets_at_once(connection: socket.socket, server: Server) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


HANDSHAKES: dict[str, Handler] = {
    "plain HTTP": says(answer(400, b"The plain HTTP request was sent to HTTPS port")),
    "another protocol": says(b"220 mail.example ESMTP\r\n"),
    "hangs up": says(b""),
    "hangs up at once": lambda connection, server: None,
    "resets": resets,
    "an alert": says(bytes([21, 3, 3, 0, 2, 2, 40])),
    "unknown name": says(bytes([21, 3, 3, 0, 2, 2, 112])),
    "cut off": says(bytes([22, 3, 3, 0x40, 0])),
}


@pytest.mark.parametrize("behaviour", HANDSHAKES)
def test_a_handshake_that_fails_sends_nothing(behaviour: str) -> None:
    with serving(HANDSHAKES[behaviour]) as server:
        error = error_of(LiveDesk(server.tls_url, "key", "secret", timeout_s=5))
    assert (type(error), error.cause.slug) == (NotSent, "tls_failed")


def test_a_server_with_another_version_of_tls_received_nothing(authority: Authority) -> None:
    context = authority.context()
    context.set_ciphers("AES128-SHA256:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(says(MADE), context) as server:
        error = error_of(LiveDesk(server.tls_url, "key", "secret", ca_bundle=authority.path))
    assert (type(error), error.cause.slug) == (NotSent, "tls_failed")


def test_a_server_that_resets_at_once_received_nothing() -> None:
    """The reset comes while the connection is made, or right after."""
    with serving(resets_at_once) as server:
        error = error_of(LiveDesk(server.tls_url, "key", "secret", timeout_s=5))
    assert isinstance(error, NotSent)
    assert error.cause.slug in ("connect_failed", "tls_failed")


# Proxies


def through(proxy: str, url: str = ELSEWHERE) -> LiveDesk:
    return LiveDesk(url, "key", "secret", timeout_s=5, proxies={"https": proxy, "http": proxy})


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (302, "proxy_refused"),
        (400, "proxy_refused"),
        (403, "proxy_refused"),
        (404, "proxy_refused"),
        (405, "proxy_refused"),
        (407, "proxy_refused"),
        (429, "proxy_refused"),
        (500, "proxy_failed"),
        (502, "proxy_failed"),
        (503, "proxy_failed"),
        (504, "proxy_failed"),
    ],
)
def test_a_proxy_that_does_not_connect_sends_nothing(status: int, cause: str) -> None:
    with serving(says(answer(status, b"<html>no</html>", b"Proxy-Authenticate: Basic"))) as proxy:
        error = error_of(through(proxy.url))
    assert (type(error), error.cause.slug, error.status) == (NotSent, cause, status)


@pytest.mark.parametrize("text", [b"", b"garbage\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_a_proxy_that_is_none_sends_nothing(text: bytes) -> None:
    with serving(says(text)) as proxy:
        error = error_of(through(proxy.url))
    assert (type(error), error.cause.slug) == (NotSent, "proxy_failed")


@pytest.mark.parametrize("url", [ELSEWHERE, "http://livedesk.invalid"])
@pytest.mark.parametrize("host", [HOST, "proxy.invalid"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_sends_nothing(scheme: str, host: str, url: str) -> None:
    error = error_of(through(f"{scheme}://user:hunter2@{host}:{free_port()}", url))
    assert (type(error), error.cause.slug) == (NotSent, "proxy_unreachable")
    assert "hunter2" not in "".join(traceback.format_exception(error))


def test_a_proxy_without_tls_is_not_reached_with_tls() -> None:
    with serving(says(answer(400, b"plain HTTP only"))) as proxy:
        error = error_of(through(proxy.tls_url))
    assert (type(error), error.cause.slug) == (NotSent, "proxy_unreachable")


def test_a_proxy_with_an_untrusted_certificate_gets_no_password(authority: Authority) -> None:
    received: list[bytes] = []
    with serving(lambda connection, _: received.append(read_request(connection)), authority.context()) as proxy:
        error = error_of(through(proxy.tls_url.replace("https://", "https://user:hunter2@")))
    assert (type(error), error.cause.slug) == (NotSent, "proxy_unreachable")
    assert received == []


def test_a_handshake_that_fails_behind_a_proxy_sends_nothing() -> None:
    with (
        serving(HANDSHAKES["an alert"]) as server,
        serving(lambda connection, _: tunnel(connection, server.port)) as proxy,
    ):
        error = error_of(through(proxy.url))
    assert (type(error), error.cause.slug) == (NotSent, "tls_failed")


@pytest.mark.parametrize("proxy_is_secure", [False, True], ids=["http proxy", "https proxy"])
def test_a_proxy_connects_and_gets_its_password(proxy_is_secure: bool, authority: Authority) -> None:
    heads: list[bytes] = []

    def connect(connection: socket.socket, _: Server) -> None:
        tunnel(connection, server.port, heads)

    context = authority.context() if proxy_is_secure else None

    def create(connection: socket.socket, _: Server) -> None:
        read_request(connection)
        connection.sendall(MADE)

    with serving(create, authority.context()) as server, serving(connect, context) as proxy:
        address = (proxy.tls_url if proxy_is_secure else proxy.url).replace("://", "://user:hunter2@")
        livedesk = LiveDesk(server.tls_url, "key", "secret", proxies={"https": address}, ca_bundle=authority.path)
        assert livedesk.create(ADA).contact_id == "7"
    assert b"Proxy-Authorization: Basic dXNlcjpodW50ZXIy" in heads[0]


def test_a_proxy_that_wants_a_password_for_plain_requests() -> None:
    with serving(says(answer(407, b"", b"Proxy-Authenticate: Basic"))) as proxy:
        error = error_of(through(proxy.url, "http://livedesk.invalid"))
    assert (type(error), error.cause.slug) == (Misconfigured, "proxy_refused")


def test_doctor_reports_where_it_ends(authority: Authority) -> None:
    def failed(livedesk: LiveDesk) -> tuple[str, str]:
        result = list(check_connection(livedesk))[-1]
        return result.about, result.text

    with serving(says(answer(403, b""))) as server:
        assert failed(through(server.url)) == ("connection", "The proxy refuses to connect to LiveDesk.")
        livedesk = LiveDesk(server.tls_url, "key", "secret")
        assert failed(livedesk) == ("TLS", "The TLS handshake with LiveDesk fails.")
        assert error_of(livedesk).cause.fault is Fault.LIVEDESK
