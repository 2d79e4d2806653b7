"""Reads a request's body: all of it, and no more than the source accepts.

A form without its end still looks like a form, and when the sender repeats a delivery that was cut off, the repetition
would be a duplicate. So a body that is shorter than its ``Content-Length`` is refused. ``webhook_app.bridge`` gives a
chunked body a length, too; another server that does not cannot be used for one.
"""

from functools import lru_cache
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Request
from werkzeug.exceptions import LengthRequired, RequestEntityTooLarge
from werkzeug.sansio.utils import get_content_length

from webhook_app.sources import Source
from webhook_app.sources.delivery import BadBody, Delivery


class CutOff(BadBody):
    """The connection was closed before the end of the body."""

    def __init__(self) -> None:
        super().__init__("the body is missing, or was cut off")


class SentHeaders:
    """The headers in a WSGI environ: werkzeug's take three times as long to look up."""

    __slots__ = ("environ",)

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ

    def get(self, name: str) -> str | None:
        """Return the header with this name, in any case, or ``None``."""
        value: str | None = self.environ.get(_environ_key(name))
        return value


@lru_cache
def _environ_key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def read_delivery(request: Request, source: Source) -> Delivery:
    """Return the delivery in a request.

    Raises:
        CutOff: the body is not whole.
        RequestEntityTooLarge: it has more bytes than the source accepts.
        LengthRequired: the server does not know its length.
        RequestTimeout: it did not arrive in time.
    """
    environ = request.environ
    args = request.args if environ.get("QUERY_STRING") else {}
    url = request.url if source.needs_url else ""
    body = _read_body(environ, source.max_bytes)
    return Delivery(SentHeaders(environ), body, args, environ["REQUEST_METHOD"].upper(), url)


def _read_body(environ: WSGIEnvironment, max_bytes: int) -> bytes:
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise LengthRequired
    size = get_content_length(environ.get("CONTENT_LENGTH")) or 0
    if size > max_bytes:
        raise RequestEntityTooLarge
    try:
        body: bytes = environ["wsgi.input"].read(size) if size else b""
    except OSError:  # of other servers than ours
        body = b""
    if len(body) < size:
        raise CutOff
    return body
