"""How requests leave: the proxy, the authorities to trust, where TLS is required.

Proxy and authorities come from variables that other programs read too.
"""

import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from socket import inet_aton
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from worker.errors import SettingsError

#: Read in this order where LIVEDESK_CA_BUNDLE is not set: what requests, curl and OpenSSL read.
CA_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
#: How ``openssl rehash`` names the certificates in a folder.
HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
#: Names that public DNS does not have (RFC 6761, 6762 and 8375, ICANN's .internal, Kubernetes, and routers).
PRIVATE_NAMES = (".localhost", ".local", ".internal", ".home.arpa", ".test", ".svc", ".lan")


def is_public(host: str) -> bool:
    """Whether a host may be outside of your own network, as far as its name says.

    Private are ``localhost``, names without a dot (as in Docker Compose), ``PRIVATE_NAMES``, and addresses that the
    internet does not route. Numbers such as ``2130706433`` are addresses, too.
    """
    name = host.lower().rstrip(".")
    if not name.isascii():  # IDNA knows other dots, and digits, than ASCII's
        return True
    if address := _address(name):
        return address.is_global
    return "." in name and not name.endswith(PRIVATE_NAMES)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    with suppress(ValueError):
        address = ip_address(name.partition("%")[0])
        return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
    with suppress(OSError, ValueError):
        return IPv4Address(inet_aton(name))
    return None


def parse_ca_bundle(text: str) -> Path:
    """Return the path of a PEM file, or of a folder that ``openssl rehash`` prepared.

    Raises:
        ValueError: OpenSSL would not find a certificate there.
    """
    path = Path(text)
    try:
        if not path.is_dir():
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        elif not any(HASHED.fullmatch(each.name) for each in path.iterdir()):
            raise ValueError("names a folder without certificates: run `openssl rehash` in it")
    except ssl.SSLError:
        raise ValueError("names a file without a certificate in PEM format") from None
    except OSError as error:
        raise ValueError(f"names a file or folder that cannot be read ({type(error).__name__})") from None
    return path


def read_proxies(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy for this address, by scheme; it may contain a password.

    That is HTTPS_PROXY or HTTP_PROXY, else ALL_PROXY, unless NO_PROXY lists the host. Each may be in lower case.

    Raises:
        SettingsError: requests cannot be sent through the proxy. The sentence does not repeat its address.
    """
    parts = urlsplit(url)
    if (direct := _variable("no_proxy", environ)) and proxy_bypass_environment(parts.netloc, {"no": direct}):
        return {}
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        if proxy := _variable(name, environ):
            if problem := _problem(proxy):
                raise SettingsError([f"{name.upper()} {problem}."])
            return {parts.scheme: proxy}
    return {}


def _variable(name: str, environ: Mapping[str, str]) -> str:
    return environ.get(name, environ.get(name.upper(), "")).strip()


def _problem(proxy: str) -> str | None:
    """What is wrong with the address of a proxy, as the end of a sentence."""
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host, _ = parts.hostname, parts.port  # validated only when read
    except ValueError:
        return "must be the URL of a proxy, such as http://proxy.example:3128"
    if not host:
        return "must be the URL of a proxy, such as http://proxy.example:3128"
    if parts.scheme in ("socks4", "socks4a", "socks5", "socks5h"):
        return None if find_spec("socks") else "names a SOCKS proxy, which needs PySocks: run `pip install pysocks`"
    return None if parts.scheme in ("http", "https") else "must start with http://, https:// or socks5h://"
