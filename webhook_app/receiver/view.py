"""``POST /webhooks/<source>``: a signup is answered with 200 only after it is stored in Redis.

The exception is a source with ``blocking = false``: see ``fail_open``.
"""

import json
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from webhook_app.parts import Parts, current_parts
from webhook_app.problems import bug, http_problem, problem, store_away
from webhook_app.receiver import fail_open
from webhook_app.receiver.delivery_log import DeliveryLog, NoSource
from webhook_app.receiver.storing import result, store
from webhook_app.sources import Source
from webhook_app.sources.delivery import BadBody, Delivery, Unauthentic, Undecided
from webhook_app.sources.verify.handshakes import Reply
from worker.errors import StoreError, Unmappable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: The key of the delivery log in ``app.extensions``.
EXTENSION = "livedesk_sync_deliveries"
#: If storing took longer than this, the use of the secret is not recorded: that waits for Redis, too.
SLOW_S = 0.5

blueprint = Blueprint("receiver", __name__, url_prefix="/webhooks")


class AcceptedResponse(Response):
    """A 200 that says what became of a delivery; the server gets it in one piece and sends it in one segment."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        super().__init__(json.dumps(document), content_type="application/json")

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response(self.status, self.headers.to_wsgi_list())
        return [self.get_data()]


@blueprint.record
def set_up(state: BlueprintSetupState) -> None:
    parts = Parts.of(state.app)
    state.app.extensions[EXTENSION] = DeliveryLog(parts)


@blueprint.post("/<source>")
def receive(source: str) -> Response:
    """Verify, read and store one delivery. Raises the reason why it is refused."""
    parts, found = current_parts(), _begin(source)
    take = _take if found.blocking else _take_and_fail_open
    response = take(parts, found)
    if isinstance(response, AcceptedResponse):
        _log().accepted(source, response.document, time.perf_counter() - g.began)
    return response


@blueprint.get("/<source>", provide_automatic_options=False)
def verify_address(source: str) -> Response:
    """Answer GET and HEAD, which some senders use to verify an address."""
    found = _begin(source)
    handshake = found.handshake
    if handshake is None or handshake.visit is None:
        raise MethodNotAllowed(["POST"])
    delivery = Delivery(request.headers, b"", request.args, request.method, request.url)
    if handshake.is_signed:
        found.verify(delivery, current_parts().clock())
    return _reply(handshake.visit(delivery))


@blueprint.route("/<source>", methods=["PUT", "PATCH", "DELETE", "OPTIONS"])
def other_method(source: str) -> Response:
    """Refuse other methods here, so that they are logged and counted with the source's other refusals."""
    _begin(source)
    raise MethodNotAllowed(["POST"])


@blueprint.errorhandler(Exception)
def refuse(error: Exception) -> Response:
    """Answer a delivery that is refused, and log why."""
    response = _refusal(error)
    _log().refused((request.view_args or {})["source"], error, response.status_code, time.perf_counter() - g.began)
    return response


def _begin(name: str) -> Source:
    g.began = time.perf_counter()
    source = current_parts().sources.get(name)
    if source is None:
        raise NoSource
    return source


def _log() -> DeliveryLog:
    log: DeliveryLog = current_app.extensions[EXTENSION]
    return log


def _delivery(source: Source) -> Delivery:
    """Read the request's body, up to the source's limit."""
    # One byte more than allowed: werkzeug cuts a chunked body that is too long off without an error.
    request.max_content_length = source.max_bytes + 1
    body = request.get_data(cache=False)
    if len(body) > source.max_bytes:
        raise RequestEntityTooLarge
    return Delivery(request.headers, body, request.args, request.method, request.url if source.needs_url else "")


def _take(parts: Parts, source: Source) -> Response:
    return _take_delivery(parts, source, _delivery(source))


def _take_delivery(parts: Parts, source: Source, delivery: Delivery) -> Response:
    """Verify a delivery and store what is in it.

    Raises:
        SyncError: why the delivery is refused.
    """
    read = source.read(delivery, parts.clock())
    if isinstance(read, Reply):
        return _reply(read)
    began = time.monotonic()
    document = store(parts, source, read.readings)
    if time.monotonic() - began < SLOW_S:
        _log().used_secret(source, read.secret)
    return AcceptedResponse(document)


def _take_and_fail_open(parts: Parts, source: Source) -> Response:
    """For a sender that blocks a signup until we answer: report success even if something fails here."""
    try:
        delivery = _delivery(source)
        return fail_open.retry(lambda: _take_delivery(parts, source, delivery))
    except fail_open.NOT_THE_SENDER:
        raise
    except Exception as error:  # noqa: BLE001 - no error of ours may fail a signup
        fail_open.report(source.name, error)
        return AcceptedResponse(result(fail_open.LOST))


def _refusal(error: Exception) -> Response:
    match error:
        case NoSource():
            return problem(404, "There is no such source.")
        case Unauthentic():
            return problem(401, f"The delivery is not authentic: {error}.", headers={"WWW-Authenticate": "Bearer"})
        case BadBody():
            return problem(error.status, f"{error}.")
        case Unmappable():
            return problem(422, "The delivery does not contain a usable contact.", errors=error.problems)
        case Undecided() | StoreError():
            return store_away("The delivery could not be stored. Please send it again.")
        case HTTPException():
            return http_problem(error)
    return bug(error)


def _reply(reply: Reply) -> Response:
    return Response(reply.body, 200, {"X-Content-Type-Options": "nosniff"}, content_type=reply.content_type)
