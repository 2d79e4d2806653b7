"""Reads a request's body: all of it, and no more than the source accepts.

A form without its end still looks like a form, and when the sender repeats a delivery that was cut off, the repetition
would be a duplicate. Granian reports a lost connection as the end of the body, so that each kind of body needs its own
proof that it is whole:

``Content-Length``  the body must have that length.
chunked             ``read()`` without a size returns nothing if the last chunk did not arrive. It has no limit, so
                    only a sender whose token is valid is read like that. For any other, the signature over the body is
                    the proof, and reading is bounded.
"""

from flask import Request
from werkzeug.exceptions import LengthRequired, RequestEntityTooLarge

from webhook_app.sources import Source
from webhook_app.sources.delivery import BadBody, Delivery, Unauthentic, Undecided


class CutOff(BadBody):
    """The connection was closed before the end of the body."""

    def __init__(self) -> None:
        super().__init__("the body is missing, or was cut off")


def read_delivery(request: Request, source: Source, now: float) -> Delivery:
    """Return the delivery in a request. ``now`` is in seconds since the epoch.

    Raises:
        CutOff: the body is not whole.
        RequestEntityTooLarge: it has more bytes than the source accepts.
        LengthRequired: it is chunked, and nothing can prove that it is whole.
    """
    args = request.args if request.query_string else {}
    head = Delivery(request.headers, b"", args, request.method, request.url if source.needs_url else "")
    is_chunked = "HTTP_TRANSFER_ENCODING" in request.environ
    body = _chunked(request, source, head, now) if is_chunked else _sized(request, source.max_bytes)
    return Delivery(head.headers, body, head.args, head.method, head.url)


def _sized(request: Request, max_bytes: int) -> bytes:
    """Return a body of the length in ``Content-Length``; without one there is none."""
    size = request.content_length or 0
    if size > max_bytes:
        raise RequestEntityTooLarge
    body = _read(request, size) if size else b""
    if len(body) < size:
        raise CutOff
    return body


def _chunked(request: Request, source: Source, head: Delivery, now: float) -> bytes:
    """Return a chunked body, if the server ends it where the last chunk ends."""
    if "wsgi.input_terminated" not in request.environ:
        raise LengthRequired
    is_trusted = _is_trusted(source, head, now)
    if source.has_token_in_body and not is_trusted:
        raise LengthRequired
    body = _read(request, None if is_trusted else source.max_bytes + 1)
    if len(body) > source.max_bytes:
        raise RequestEntityTooLarge
    if is_trusted and not body:
        raise CutOff
    return body


def _is_trusted(source: Source, head: Delivery, now: float) -> bool:
    """Whether a token proves who sent the delivery, whatever its body is."""
    try:
        source.verify(head, now)
    except (Unauthentic, Undecided):
        return False
    return True


def _read(request: Request, size: int | None) -> bytes:
    """Read ``size`` bytes of the body, or all of it.

    Granian raises nothing if it is cut off; other servers do.
    """
    try:
        body: bytes = request.environ["wsgi.input"].read(*(() if size is None else (size,)))
    except OSError:
        pass
    else:
        return body
    raise CutOff  # raised here so that it has no context
