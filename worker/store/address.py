"""The address of Redis, which Sentinel may move, for our client and Celery's.

    redis+sentinel://user:password@host:26379,host:26379,host:26379/service/0?sentinel_password=...

The hosts are the sentinels, ``service`` is what they call the primary; port (26379), user, password and database (0)
may be left out. User and password are Redis's; the sentinels' own password, if they require one, is at the end.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

SCHEME = "redis+sentinel"
PORT = 26379
#: Seconds that one sentinel is given to answer: there are others, and somebody is waiting.
SENTINEL_TIMEOUT_S = 0.25


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """The parts of a Sentinel address."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    db: int
    username: str | None
    password: str | None = field(repr=False)
    sentinel_password: str | None = field(repr=False)

    @property
    def sentinel_options(self) -> dict[str, Any]:
        """How redis-py's ``Sentinel`` is to speak to the sentinels themselves."""
        timeouts = {"socket_timeout": SENTINEL_TIMEOUT_S, "socket_connect_timeout": SENTINEL_TIMEOUT_S}
        return timeouts | ({"password": self.sentinel_password} if self.sentinel_password else {})


def is_sentinel(url: str) -> bool:
    return url.startswith(f"{SCHEME}://")


def parse_sentinel(url: str) -> SentinelAddress:
    """The address in ``url``.

    Raises:
        ValueError: it cannot be read as one; the text does not repeat it.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("must be a URL") from None
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    service, _, db = parts.path.strip("/").partition("/")
    options = parse_qs(parts.query)
    if not service or not hosts or not (db or "0").isdecimal() or set(options) - {"sentinel_password"}:
        raise ValueError(f"must be {SCHEME}://host:port,host:port,host:port/service, with /db behind it or not")
    return SentinelAddress(
        sentinels=tuple(_host(text) for text in hosts.split(",")),
        service=unquote(service),
        db=int(db or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_password=options.get("sentinel_password", [None])[0],
    )


def _host(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must name each sentinel as host:port") from None
    if not host:
        raise ValueError("must name each sentinel as host:port")
    return host, port or PORT


def broker(url: str) -> tuple[str, dict[str, Any]]:
    """Return the address as kombu writes it, and its transport options.

    With Sentinel there is one address per sentinel, separated by ``;``; a Unix socket has a scheme of its own.
    """
    if url.startswith("unix://"):
        path, _, query = url.removeprefix("unix://").partition("?")
        return f"redis+socket://{path}?virtual_host={parse_qs(query).get('db', ['0'])[0]}", {}
    if not is_sentinel(url):
        return url, {}
    address = parse_sentinel(url)
    login = f"{quote(address.username or '', safe='')}:{quote(address.password, safe='')}@" if address.password else ""
    urls = [f"sentinel://{login}{_bracketed(host)}:{port}/{address.db}" for host, port in address.sentinels]
    return ";".join(urls), {"master_name": address.service, "sentinel_kwargs": address.sentinel_options}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
