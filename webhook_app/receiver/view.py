"""``POST /webhooks/<source>``: signups come in. They are answered with 200 only once they are safe in Redis.

The one exception is a source that says ``blocking = false``: see ``let_through``.
"""

import time
from typing import TYPE_CHECKING, Any, TypeVar

from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from webhook_app.problems import bug, http_problem, problem, store_away
from webhook_app.receiver import fail_open
from webhook_app.receiver.delivery_log import AcceptedResponse, NoSource
from webhook_app.sources.body.parse import BadBody
from webhook_app.sources.body.payload_codec import dump_payload
from webhook_app.sources.source import Reading
from webhook_app.sources.verify.delivery import (
    Delivery,
    Lookup,
    Unauthentic,
    Undecided,
)
from webhook_app.sources.verify.handshakes import Reply
from worker.errors import StoreError, Unmappable
from worker.model import Accepted, Contact, Quarantined, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from webhook_app.parts import Parts
    from webhook_app.sources import Source

T = TypeVar("T")

PREFIX = "/webhooks/"
#: Seconds after which nothing more of a batch is stored; Redis may take another one for the last, and some senders wait
#: for two. What is stored by then is a duplicate next time.
BATCH_S = 0.9
#: Where storing took so many seconds, the use of the secret is not noted besides: that waits for Redis, too.
SLOW_S = 0.5
#: Which of the results of a batch is told first.
RANKS = (Status.ACCEPTED, Status.QUARANTINED, Status.DUPLICATE, Status.IGNORED)


class Receiver:
    """Answers what is sent to ``/webhooks/``, and hands all else on to the app behind it.

    It stands in front of Flask, as WSGI middleware: finding the view and building Flask's contexts takes a third of the
    time that a delivery costs (docs/adr/0009-the-receiver-stands-before-flask.md).
    """

    def __init__(self, parts: "Parts", behind: "WSGIApplication") -> None:
        self.parts = parts
        self.behind = behind

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        path: str = environ["PATH_INFO"]
        if not path.startswith(PREFIX):
            return self.behind(environ, start_response)
        began = time.perf_counter()
        name = path.removeprefix(PREFIX)
        response: WSGIApplication
        try:
            response = self._answer(name, Request(environ))
            if isinstance(response, AcceptedResponse):
                self.parts.diary.taken(name, response, time.perf_counter() - began)
        except Exception as error:  # noqa: BLE001 - a sender is told of a bug, too, and nothing of it
            response = _refusal(error)
            self.parts.diary.refused(name, error, response.status_code, time.perf_counter() - began)
        return response(environ, start_response)

    def _answer(self, name: str, request: Request) -> "WSGIApplication":
        """Raises whatever the delivery is refused for."""
        source = self.parts.sources.get(name)
        if source is None:
            raise NoSource
        answer = _post if request.method == "POST" else _visit
        return answer(self.parts, source, request)


def _post(parts: "Parts", source: "Source", request: Request) -> "WSGIApplication":
    if not source.blocking:
        return _post_without_blocking(parts, source, request)
    return _take(parts, source, _delivery(source, request))


def _delivery(source: "Source", request: Request) -> Delivery:
    """The request, as far as the source wants to see it."""
    # One more than it may have: a chunked body that is too long is not refused by werkzeug, but cut off in silence.
    request.max_content_length = source.max_bytes + 1
    body = request.get_data(cache=False)
    if len(body) > source.max_bytes:
        raise RequestEntityTooLarge
    return Delivery(request.headers, body, request.args, request.method, request.url if source.needs_url else "")


def _take(parts: "Parts", source: "Source", delivery: Delivery) -> "WSGIApplication":
    """Authentic? Contacts? Safe? Then the answer.

    Raises:
        SyncError: why the delivery is refused.
    """
    handshake = source.handshake
    if handshake and handshake.ping and (reply := handshake.ping(delivery)):
        return _reply(reply)
    secret = source.verify(delivery, parts.clock())
    payload = source.payload(delivery)
    if handshake and handshake.challenge and (reply := handshake.challenge(payload)):
        return _reply(reply)
    began = time.monotonic()
    result = _read_and_store(parts, source, payload, delivery.headers)
    if time.monotonic() - began < SLOW_S:
        parts.secret_uses.note(source, secret)
    return AcceptedResponse(result)


def _read_and_store(parts: "Parts", source: "Source", payload: object, headers: Lookup) -> dict[str, Any]:
    """What became of a payload. What makes no contact goes into quarantine, unless the source rejects it."""
    try:
        readings = source.read_all(payload, headers)
    except Unmappable as error:
        if source.on_invalid == "reject":
            raise
        kept = dump_payload(payload, source.secret_fields)
        needed = {name: value for name in source.mapping.headers if (value := headers.get(name)) is not None}
        parts.desk.quarantine(Quarantined(source=source.name, payload=kept, problems=error.problems, headers=needed))
        return {**_result(Status.QUARANTINED, None, None), "errors": error.problems}
    if isinstance(readings, list):
        return store_all(parts, source, readings)
    return _store(parts, source, readings)


def _post_without_blocking(parts: "Parts", source: "Source", request: Request) -> "WSGIApplication":
    """For a sender that keeps somebody waiting who signs up: nothing that goes wrong here is told to it."""
    try:
        delivery = _delivery(source, request)
        return fail_open.patiently(lambda: _take(parts, source, delivery))
    except fail_open.NOT_THE_SENDER:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not fail a signup
        fail_open.report(source.name, error)
        return AcceptedResponse(_result(fail_open.LOST, None, None))


def _visit(parts: "Parts", source: "Source", request: Request) -> Response:
    """GET and HEAD, for senders that try an address before they use it."""
    handshake = source.handshake
    if handshake is None or handshake.visit is None or request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(["POST"])
    delivery = Delivery(request.headers, b"", request.args, request.method, request.url)
    if handshake.is_signed:
        source.verify(delivery, parts.clock())
    return _reply(handshake.visit(delivery))


def _refusal(error: Exception) -> Response:
    """What a sender is told that sent something wrong, or should send it again."""
    match error:
        case NoSource():
            return problem(404, "There is no such source.")
        case Unauthentic():
            return problem(401, f"The delivery is not authentic: {error}.", headers={"WWW-Authenticate": "Bearer"})
        case BadBody():
            return problem(error.status, f"{error}.")
        case Unmappable():
            return problem(422, "The delivery does not make a contact.", errors=error.problems)
        case Undecided() | StoreError():
            return store_away()
        case HTTPException():
            return http_problem(error)
    return bug(error)


def store_all(parts: "Parts", source: "Source", readings: list[Reading]) -> dict[str, Any]:
    """What became of a batch: of its first element of the highest rank, and of each.

    Raises:
        StoreError: not all of it could be stored, or not in time; the sender will repeat all of it.
    """
    contacts = [reading for reading in readings if reading is not None]
    taken = iter(parts.store.accept_all(_in_time(contacts), source.name))
    results = [
        _result(Status.IGNORED, None, None) if reading is None else _result_of(reading[0], next(taken))
        for reading in readings
    ]
    best = min(results, key=lambda result: RANKS.index(result["status"]))
    return {**best, "results": results}


def _in_time(deliveries: "Iterable[T]") -> "Iterator[T]":
    """The deliveries of a batch, as long as there is time.

    Raises:
        StoreUnavailable: there is none left.
    """
    give_up_at = time.monotonic() + BATCH_S
    for delivery in deliveries:
        if time.monotonic() > give_up_at:
            raise StoreError("the batch took too long")
        yield delivery


def _store(parts: "Parts", source: "Source", reading: Reading) -> dict[str, Any]:
    if reading is None:
        return _result(Status.IGNORED, None, None)
    contact, notes = reading
    return _result_of(contact, parts.store.accept(contact, source.name, notes))


def _result_of(contact: Contact, accepted: Accepted) -> dict[str, Any]:
    return _result(accepted.status, contact, accepted)


def _result(status: str, contact: Contact | None, accepted: Accepted | None) -> dict[str, Any]:
    contact_id = accepted.contact_id if accepted else None
    return {
        "status": status,
        "identifier": contact.identifier if contact else None,
        "state": accepted.state if accepted else None,
        "contact_id": int(contact_id) if contact_id else None,
    }


def _reply(reply: Reply) -> Response:
    return Response(reply.body, 200, {"X-Content-Type-Options": "nosniff"}, content_type=reply.content_type)
