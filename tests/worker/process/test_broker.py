"""Celery's connection and ours refuse the same servers, in the same words."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError
from redis import exceptions

from tests.rig.processes import LOCALHOST, free_port
from tests.rig.tls import Authority, Front
from tests.rig.valkey import Valkey
from tests.world import ENVELOPE
from worker.app import app
from worker.errors import StoreUnavailable
from worker.process.broker import configure
from worker.process.messages import MessageReader
from worker.store.connection import connect, translated
from worker.store.tls import TlsError

PASSWORD = "p@ss:w/rd"


def ping_as_we_do(url: str) -> None:
    with connect(url, timeout_s=5) as client:
        client.ping()


def ping_as_celery_does(url: str) -> None:
    """As a worker does when it opens its connection."""
    conf: Any = SimpleNamespace(broker_transport_options=app.conf.broker_transport_options)
    configure(conf, url, MessageReader(ENVELOPE))
    with Connection(
        conf.broker_url, transport=conf.broker_transport, transport_options=conf.broker_transport_options
    ) as connection:
        try:
            connection.connect()
        except OperationalError as error:
            raise error.__cause__ or error from None


BOTH = pytest.mark.parametrize("ping", [ping_as_we_do, ping_as_celery_does])
Ping = Callable[[str], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey"), port=free_port()) as server:
        with connect(server.url, timeout_s=5) as client:
            client.acl_setuser("app", enabled=True, passwords=[f"+{PASSWORD}"], categories=["+@all"], keys=["*"])
        yield server


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def front(server: Valkey, authority: Authority, name: str, **options: Any) -> Front:
    return Front(authority.context(name, **options), (LOCALHOST, server.port or 0))


def url_of(at: Front, *options: str) -> str:
    return f"rediss://app:p%40ss%3Aw%2Frd@localhost:{at.port}?{'&'.join(options)}"


@BOTH
def test_a_private_authority_is_trusted(ping: Ping, server: Valkey, authority: Authority) -> None:
    with front(server, authority, "localhost") as at:
        ping(url_of(at, f"ssl_ca_certs={authority.path}"))


@BOTH
@pytest.mark.parametrize(
    ("name", "days", "is_ours", "reason"),
    [
        ("localhost", 1, False, "unable to get local issuer certificate"),
        ("other.example", 1, True, "Hostname mismatch, certificate is not valid for 'localhost'"),
        ("localhost", -1, True, "certificate has expired"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_named(
    ping: Ping, name: str, days: int, is_ours: bool, reason: str, server: Valkey, authority: Authority
) -> None:
    trusted = [f"ssl_ca_certs={authority.path}"] if is_ours else []
    with front(server, authority, name, for_days=days) as at:
        with pytest.raises(TlsError, match="the certificate of Redis is not trusted: ") as caught:
            ping(url_of(at, *trusted))
        assert reason in str(caught.value)
        assert at.received == b""


@BOTH
def test_what_is_not_verified_on_request(ping: Ping, server: Valkey, authority: Authority) -> None:
    with front(server, authority, "other.example") as at:
        ping(url_of(at, "ssl_cert_reqs=none"))
        ping(url_of(at, "ssl_check_hostname=false", f"ssl_ca_certs={authority.path}"))
        with pytest.raises(TlsError, match="not trusted"):
            ping(url_of(at, "ssl_check_hostname=false"))


@BOTH
def test_a_client_certificate(ping: Ping, server: Valkey, authority: Authority, tmp_path: Path) -> None:
    trusted = f"ssl_ca_certs={authority.path}"
    with front(server, authority, "localhost", asks_clients=True) as at:
        certificate, key = authority.issue("client")
        ping(url_of(at, trusted, f"ssl_certfile={certificate}", f"ssl_keyfile={key}"))
        with pytest.raises(TlsError, match=r"requires? a client certificate"):
            ping(url_of(at, trusted))
        certificate, key = Authority(tmp_path, "stranger").issue("client")
        with pytest.raises(TlsError, match="client certificate"):
            ping(url_of(at, trusted, f"ssl_certfile={certificate}", f"ssl_keyfile={key}"))


@BOTH
def test_a_password_that_is_refused(ping: Ping, server: Valkey) -> None:
    with pytest.raises(exceptions.AuthenticationError):
        ping(server.url.replace("://", "://app:hunter2@"))


def test_the_store_says_why_it_cannot_be_used(server: Valkey) -> None:
    for url, reason in {
        server.url.replace("redis:", "rediss:"): "no TLS connection to Redis: it.* port .* not speak TLS",
        server.url.replace("://", "://app:hunter2@"): "it refused the user or the password in REDIS_URL",
    }.items():
        with connect(url, timeout_s=0.5) as client, pytest.raises(StoreUnavailable, match=reason), translated():
            client.ping()
