"""The address of Redis (``REDIS_URL``), for our client and for Celery.

    redis://user:password@host:6379/0
    unix://user:password@/path/of/the/socket?db=0
    redis+sentinel://user:password@host:26379,host:26379,host:26379/service/0?sentinel_password=...
    redis+cluster://user:password@host:6379,host:6379,host:6379

``rediss`` instead of ``redis`` is TLS (``tls``). With Sentinel, the hosts are the sentinels, ``service`` is what they
call the primary, and user and password are those of Redis. With a cluster, the hosts are some of its nodes. Ports,
user, password and database may be left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool, UnixDomainSocketConnection
from redis.driver_info import DriverInfo
from redis.retry import Retry

from worker.store import tls
from worker.store.discovery import (
    ClusterNodes,
    DiscoveredConnection,
    DiscoveredTlsConnection,
    Discovery,
    PrimaryMoved,
    Sentinels,
)

MUST_START = "must start with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
MUST_ENCODE = "must be a URL: percent-encode special characters in user, password and path, for example @ as %40"
MUST_NAME_HOST = "must name each host as host or host:port, with a port from 1 to 65535"
#: A name has labels of 1 to 63 characters; an IPv6 address is in brackets.
HOST = re.compile(
    r"(?:\[(?P<ip>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<name>[\w-]{1,63}(?:\.[\w-]{1,63})*\.?))(?::(?P<port>[0-9]{0,5}))?",
    re.ASCII,
)
DATABASE = re.compile(r"[0-9]{1,5}")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")


class Kind(StrEnum):
    """How the server is found. The value is the scheme, without ``s`` for TLS."""

    HOST = "redis"
    SOCKET = "unix"
    SENTINEL = "redis+sentinel"
    CLUSTER = "redis+cluster"


#: Each scheme: the kind, and whether it is TLS.
SCHEMES = {kind.value: (kind, False) for kind in Kind} | {
    kind.replace("redis", "rediss"): (kind, True) for kind in Kind if kind is not Kind.SOCKET
}
DEFAULT_PORTS = {Kind.HOST: 6379, Kind.SENTINEL: 26379, Kind.CLUSTER: 6379}
#: What a connection tells Redis about redis-py, which would otherwise look its version up each time: that takes 1.5 ms.
DRIVER = DriverInfo()


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password of Redis or of the sentinels."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def options(self) -> dict[str, Any]:
        return {"username": self.username, "password": self.password}


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of an address. ``path`` is that of a Unix socket.

    ``tls`` has redis-py's options; without TLS it is ``None``.
    """

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    login: Login = Login()
    sentinel_login: Login = Login()
    tls: Mapping[str, Any] | None = None

    @property
    def label(self) -> str:
        """What the worker logs as the address: without user, password and options."""
        if self.kind is Kind.SOCKET:
            return f"unix://{quote(self.path)}"
        host, port = self.hosts[0]
        scheme = self.kind.value.removeprefix("redis+") if self.tls is None else "rediss"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/{self.db}"

    def pool(self, **options: Any) -> ConnectionPool:
        """Return a pool of connections that retry only what was not executed.

        ``options`` are redis-py's, such as timeouts. By default redis-py sends a command up to ten times, although
        perhaps only its answer was lost.
        """
        options |= {"retry": Retry(NoBackoff(), 1, (PrimaryMoved,)), "retry_on_error": [], "driver_info": DRIVER}
        return ConnectionPool(**self._place(), db=self.db, **self.login.options, **(self.tls or {}), **options)

    def _place(self) -> dict[str, Any]:
        """Return redis-py's options for where the server is."""
        if self.kind is Kind.SOCKET:
            return {"connection_class": UnixDomainSocketConnection, "path": self.path}
        direct = Connection if self.tls is None else tls.TlsConnection
        if self.kind is Kind.HOST:
            return {"connection_class": direct, "host": self.hosts[0][0], "port": self.hosts[0][1]}
        login = self.sentinel_login if self.kind is Kind.SENTINEL else self.login
        asked = {"connection_class": direct, **login.options, **(self.tls or {})}
        discovery: Discovery = ClusterNodes(self.hosts, asked)
        if self.kind is Kind.SENTINEL:
            discovery = Sentinels(self.hosts, asked, self.service)
        found = DiscoveredConnection if self.tls is None else DiscoveredTlsConnection
        return {"connection_class": found, "discovery": discovery}


def parse_address(text: str) -> Address:
    """Return the address in a URL.

    Raises:
        ValueError: it has a mistake. The text is the rest of a sentence about the URL, and does not repeat it.
    """
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme not in SCHEMES:
        raise ValueError(MUST_START)
    kind, is_tls = SCHEMES[scheme]
    parts = _split(text, kind)
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    options = _read_query(parts.query, kind, is_tls=is_tls)
    where = _socket(hosts, parts.path) if kind is Kind.SOCKET else _hosts(hosts, parts.path, kind)
    db = where.pop("db", "")
    if db and "db" in options:
        raise ValueError("names the database twice")
    address = Address(
        kind,
        db=_database(db or options.get("db", "")),
        login=Login(_decoded(username), _decoded(password)),
        sentinel_login=Login(options.get("sentinel_username"), options.get("sentinel_password")),
        tls=tls.read_options(options) if is_tls else None,
        **where,
    )
    if kind is Kind.CLUSTER and address.db:
        raise ValueError("names a database: a cluster has only database 0")
    return address


def _split(text: str, kind: Kind) -> SplitResult:
    try:
        text.encode()
        parts = urlsplit(text)
    except ValueError:  # its message may quote the URL, including a password
        raise ValueError(MUST_ENCODE) from None
    is_cut = kind is not Kind.SOCKET and "@" in text and "@" not in parts.netloc
    if is_cut or "#" in text:
        raise ValueError(MUST_ENCODE)
    if CONTROL.search(text) or re.search(r"\s", parts.netloc):
        raise ValueError("contains a space: remove it, or write it as %20")
    return parts


def _decoded(text: str) -> str | None:
    try:
        return unquote(text, errors="strict") or None
    except UnicodeDecodeError:
        raise ValueError("has percent-encoded bytes that are not UTF-8") from None


def _printable(text: str) -> str:
    decoded = _decoded(text) or ""
    if CONTROL.search(decoded):
        raise ValueError("contains a control character")
    return decoded


def _socket(hosts: str, path: str) -> dict[str, Any]:
    if hosts or len(path) < 2:
        raise ValueError("must be unix:///path, or unix://user:password@/path")
    return {"path": _printable(path)}


def _hosts(hosts: str, path: str, kind: Kind) -> dict[str, Any]:
    """Return what a URL says about hosts, service and database."""
    texts = [hosts] if kind is Kind.HOST else hosts.split(",")
    found = tuple(_host(text, DEFAULT_PORTS[kind]) for text in texts)
    path = path.removeprefix("/")
    if kind is not Kind.SENTINEL:
        return {"hosts": found, "db": path}
    service, _, db = path.partition("/")
    if not service:
        raise ValueError("must be redis+sentinel://host:port,host:port,host:port/service, with /db behind it or not")
    return {"hosts": found, "service": _printable(service), "db": db}


def _host(text: str, default_port: int) -> tuple[str, int]:
    match = HOST.fullmatch(text)
    port = int((match["port"] if match else "") or default_port)
    if match is None or not 0 < port < 65536:
        raise ValueError(MUST_NAME_HOST)
    return match["ip"] or match["name"], port


def _database(text: str) -> int:
    if text and not DATABASE.fullmatch(text):
        raise ValueError("must name the database as a number, for example /0")
    return int(text or 0)


def _read_query(query: str, kind: Kind, *, is_tls: bool) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict") if query else []
    except ValueError:
        raise ValueError("must have options of the form ?name=value&name=value") from None
    allowed = ("db", *(SENTINEL_OPTIONS if kind is Kind.SENTINEL else ()), *(tls.OPTIONS if is_tls else ()))
    options = dict(pairs)
    if not is_tls and any(name in tls.OPTIONS for name in options):
        raise ValueError("has an option for TLS, but no TLS: use rediss://")
    if len(options) < len(pairs) or not options.keys() <= set(allowed):
        raise ValueError(f"has an unknown option, or one twice: the options are {', '.join(allowed)}")
    return options
