"""The address that visitors ask for, and theirs, also behind proxies.

A client may send any ``Host`` and any ``X-Forwarded-*``. What is believed:

``Host``               only without ``PUBLIC_URL``. With it, links, redirects, signed URLs and ``Secure`` cookies follow
                       ``PUBLIC_URL``, and pages refuse other names (``asks_for_another_host``).
``X-Forwarded-For``    the value that the outermost of ``TRUSTED_PROXIES`` has written, if it is an address.
``X-Forwarded-Proto``  the same, if it is ``http`` or ``https``, and only without ``PUBLIC_URL``.

``X-Forwarded-Host``, ``-Port`` and ``-Prefix``, ``Forwarded`` and ``X-Real-IP`` are never read.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from worker.outbound import is_public

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: Where the environment of a request has the ``Host`` that the client sent.
SENT_HOST = "livedesk_sync.sent_host"
#: ``192.0.2.7``, ``192.0.2.7:1234``, ``2001:db8::1``, ``[2001:db8::1]``, ``[2001:db8::1]:1234``.
_ADDRESS = re.compile(
    r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?|(?P<bare>[0-9A-Fa-f:.]+(?:%.*)?)"
)
#: A name or an address, and perhaps a port.
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]*))(?::[0-9]{0,5})?")


class Front:
    """WSGI middleware that puts the addresses that we believe into the environment."""

    def __init__(self, app: WSGIApp, *, proxies: int = 0, public_url: str | None = None) -> None:
        self.app = app
        self.proxies = proxies
        self.public = urlsplit(public_url) if public_url else None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[SENT_HOST] = environ.get("HTTP_HOST", "")
        if self.proxies:
            self._believe_proxies(environ)
        if self.public:
            environ["wsgi.url_scheme"], environ["HTTP_HOST"] = self.public.scheme, self.public.netloc
        return self.app(environ, start_response)

    def _believe_proxies(self, environ: dict[str, Any]) -> None:
        if address := read_address(self._by_proxy(environ, "HTTP_X_FORWARDED_FOR")):
            environ["REMOTE_ADDR"] = address
        scheme = self._by_proxy(environ, "HTTP_X_FORWARDED_PROTO").lower()
        if scheme in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme

    def _by_proxy(self, environ: dict[str, Any], name: str) -> str:
        """Return what the outermost trusted proxy wrote into a header, or ``""``."""
        values = environ.get(name, "").split(",")
        return values[-self.proxies].strip() if self.proxies <= len(values) else ""


def read_address(text: str) -> str:
    """Return the IP address in a value of ``X-Forwarded-For``, or ``""``."""
    match = _ADDRESS.fullmatch(text.strip('" '))
    address = next(filter(None, match.groups()), "") if match else ""
    try:
        return str(ip_address(address.partition("%")[0]))
    except ValueError:
        return ""


def asks_for_another_host(environ: dict[str, Any], public_url: str | None) -> bool:
    """Whether a page is requested under a name that an attacker's DNS may lead here.

    Addresses, and names of your own network, are those of proxies that do not pass ``Host`` on, and of port forwarding.
    """
    if public_url is None:
        return False
    match = _HOST.fullmatch(environ.get(SENT_HOST, ""))
    if match is None:
        return True
    if match["six"] or match["name"].lower().rstrip(".") == urlsplit(public_url).hostname:
        return False
    return is_public(match["name"]) and not read_address(match["name"])
