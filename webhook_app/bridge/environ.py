"""Makes the WSGI environ of an ASGI request (PEP 3333), without its body."""

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

#: Names of headers whose environ key is remembered: clients can invent any number of names.
REMEMBERED_NAMES = 256
CONSTANT = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


def build_environ(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environ of a request; ``CONTENT_LENGTH`` is as sent.

    WSGI cannot tell ``X_Forwarded_For`` from ``X-Forwarded-For``, which a proxy sets. Anybody can send the first, so
    every header with an underscore in its name is dropped, as nginx and Apache do.
    """
    path: bytes = scope["raw_path"]
    version: str = scope["http_version"]
    environ = {
        **CONSTANT,
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": "HTTP/1.0" if version == "1" else f"HTTP/{version}",
        "wsgi.url_scheme": scope["scheme"],
    }
    environ["SERVER_NAME"], environ["SERVER_PORT"] = scope["server"]
    environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = scope["client"]
    for name, value in scope["headers"]:
        key = _environ_key(name)
        if key not in environ:
            environ[key] = value.decode("latin-1")
        elif key.startswith("HTTP_"):
            environ[key] += (";" if key == "HTTP_COOKIE" else ",") + value.decode("latin-1")
    environ.pop("", None)
    return environ


@lru_cache(REMEMBERED_NAMES)
def _environ_key(name: bytes) -> str:
    """Return the key of a header, empty for one that is dropped."""
    if b"_" in name:
        return ""
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
