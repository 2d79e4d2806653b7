"""``POST /webhooks/<source>``: answers 200 only after the signup is stored.

The exception is a source with ``blocking = false``: see ``fail_open``.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from wsgiref.types import StartResponse, WSGIEnvironment

import msgspec
from flask import Blueprint, Request, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState
from flask.globals import app_ctx
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestTimeout

from webhook_app.light_flask import Late
from webhook_app.parts import Parts
from webhook_app.problems import bug, http_problem, problem, store_away
from webhook_app.receiver import fail_open
from webhook_app.receiver.delivery_log import BUG, IGNORED_DELETION, DeliveryLog, LongerPath, NoSource, reason_of
from webhook_app.receiver.request_body import CutOff, read_delivery
from webhook_app.sources import Source
from webhook_app.sources.delivery import BadBody, Delivery, Unauthentic, Undecided
from webhook_app.sources.source import Delivered, Element, problems_in
from webhook_app.sources.verify.callback_id import Reusable
from webhook_app.sources.verify.handshakes import Reply
from worker import telemetry
from worker.errors import StoreError, TooLargeToKeep, Unmappable
from worker.model import Accepted, Contact, Identity, Quarantined, Signup, Status
from worker.store.store import Store

T = TypeVar("T")

#: The key of the delivery log in ``app.extensions``.
EXTENSION = "livedesk_sync_deliveries"
#: Which result of a batch comes first in the answer.
RANKS = (Status.ACCEPTED, Status.QUARANTINED, Status.DUPLICATE, Status.IGNORED)


class Reason(StrEnum):
    """Why a delivery changed nothing, where its status does not say so."""

    #: A newer event arrived before it.
    STALE = "stale"
    #: The source ignores deletions.
    DELETION = "deletion"


#: The problem of a delivery whose identifier is another person's.
CLASH = {"identifier": "belongs to another person, of another source"}
#: If storing took longer than this, the use of the secret is not recorded: that waits for Redis, too.
SLOW_S = 0.5

JSON = "application/json"
_encode = msgspec.json.Encoder().encode
blueprint = Blueprint("receiver", __name__, url_prefix="/webhooks")


class AcceptedResponse(Late, Response):
    """The answer 200, which the server gets in one piece and sends in one segment.

    ``counted`` has what was done with each element, of which a visitor's answer tells less.
    """

    #: The attributes that it has by itself.
    OWN = frozenset({"document", "counted", "body"})

    def __init__(self, document: dict[str, Any], counted: tuple[str, ...]) -> None:
        self.document, self.counted, self.body = document, counted, _dump(document)

    def _complete(self) -> None:
        Response.__init__(self, self.body, content_type=JSON)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self.__dict__.keys() != self.OWN:  # somebody has read it, and perhaps changed it
            return super().__call__(environ, start_response)
        start_response("200 OK", [("Content-Type", JSON), ("Content-Length", str(len(self.body)))])
        return [self.body]


@dataclass(slots=True)
class Stored:
    """The answer to a delivery, what was done with its elements, and if one clashed."""

    document: dict[str, Any]
    counted: tuple[str, ...]
    has_clash: bool


@dataclass(slots=True)
class Judged:
    """The result of an element, how it is counted, and what of it is quarantined."""

    result: dict[str, Any]
    counted: str
    kept: Quarantined | None = None


@blueprint.record
def set_up(state: BlueprintSetupState) -> None:
    state.app.extensions[EXTENSION] = DeliveryLog(Parts.of(state.app))


@blueprint.post("/<source>", provide_automatic_options=False)
@blueprint.post("/<source>/", provide_automatic_options=False)
def receive(source: str) -> Response:
    """Verify, read and store one delivery. Raises the reason why it is refused.

    Addresses often end with a slash; a redirect would lose the body.
    """
    log, found, began = _begin(source)
    take, limit_s = (_take, None) if found.blocking else (_take_and_fail_open, fail_open.LIMIT_S)
    with log.parts.store.connections.within(limit_s):
        response = take(log, found)
    if isinstance(response, AcceptedResponse):
        log.accepted(source, response.document, response.counted, time.perf_counter() - began)
    return response


@blueprint.get("/<source>", provide_automatic_options=False)
@blueprint.get("/<source>/", provide_automatic_options=False)
def verify_address(source: str) -> Response:
    """Answer GET and HEAD, which some senders use to verify an address."""
    log, found, _began = _begin(source)
    handshake = found.handshake
    if handshake is None or handshake.visit is None:
        raise MethodNotAllowed(["POST"])
    delivery = Delivery(request.headers, b"", request.args, request.method, request.url)
    if handshake.is_signed:
        found.verify(delivery, log.parts.clock())
    return _reply(handshake.visit(delivery))


@blueprint.route("/<source>", methods=["PUT", "PATCH", "DELETE", "OPTIONS"])
@blueprint.route("/<source>/", methods=["PUT", "PATCH", "DELETE", "OPTIONS"])
def other_method(source: str) -> Response:
    """Refuse other methods, logged and counted like the source's other refusals."""
    _begin(source)
    raise MethodNotAllowed(["POST"])


@blueprint.route("/<path:source>", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def longer_path(source: str) -> Response:
    """Refuse a path that goes on after the source."""
    _begin(source.partition("/")[0])
    raise LongerPath


@blueprint.errorhandler(Exception)
def refuse(error: Exception) -> Response:
    """Answer a delivery that is refused, and log why."""
    response = _refusal(error)
    log: DeliveryLog = current_app.extensions[EXTENSION]
    log.refused((request.view_args or {})["source"], error, response.status_code, time.perf_counter() - g.began)
    return response


def _begin(name: str) -> tuple[DeliveryLog, Source, float]:
    context = app_ctx._get_current_object()  # type: ignore[attr-defined] # each use of Flask's proxies takes a µs
    began = context.g.began = time.perf_counter()
    log: DeliveryLog = context.app.extensions[EXTENSION]
    source = log.parts.sources.get(name)
    if source is None:
        raise NoSource
    return log, source, began


def _request() -> Request:
    """Return the request itself, and not Flask's proxy of it."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]
    return found


def _take(log: DeliveryLog, source: Source) -> Response:
    return _take_delivery(log, source, read_delivery(_request(), source))


def _take_delivery(log: DeliveryLog, source: Source, delivery: Delivery) -> Response:
    """Verify a delivery and store what is in it.

    Raises:
        SyncError: why the delivery is refused.
    """
    read = source.read(delivery, log.parts.clock())
    if isinstance(read, Reply):
        return _reply(read)
    began = time.monotonic()
    if (signature := source.reusable_signature(delivery)) is not None:
        _bind(log.parts.store, source, signature, delivery.body)
    stored = store_delivered(log.parts.store, source, read)
    if time.monotonic() - began < SLOW_S:
        log.used_secret(source, read.secret)
    return AcceptedResponse(stored.document, stored.counted)


def _bind(store: Store, source: Source, reusable: Reusable, body: bytes) -> None:
    """Accept one body for a signature that does not cover it.

    Raises:
        Unauthentic: the signature came with another body before.
    """
    if not store.signed_bodies.bind(source.name, reusable.signature, body, reusable.valid_s):
        raise Unauthentic("the signature came with another body before")


def _take_and_fail_open(log: DeliveryLog, source: Source) -> Response:
    """Answer with success even if something fails here, or the signature is wrong."""
    delivery, now = None, log.parts.clock()
    try:
        delivery = whole = read_delivery(_request(), source)
        return fail_open.retry(lambda: _take_delivery(log, source, whole))
    except (*fail_open.NOT_THE_SENDER, CutOff, RequestTimeout):
        raise
    except Exception as error:  # noqa: BLE001 - no error of ours may fail a signup
        if fail_open.is_authentic(source, delivery, error, now):
            fail_open.report(source.name, error)
            return AcceptedResponse(_result(fail_open.LOST), (fail_open.LOST,))
        return _let_pass(log, source, error)


def _let_pass(log: DeliveryLog, source: Source, error: Exception) -> Response:
    """Answer with success what anybody could have sent, and record it as refused."""
    response = Response(_dump(_result(fail_open.REFUSED)), 200, content_type=JSON)
    if reason_of(error) == BUG:
        telemetry.report_bug(error)
    log.refused(source.name, error, response.status_code, time.perf_counter() - g.began)
    return response


def store_delivered(store: Store, source: Source, delivered: Delivered, *, same_person: bool = False) -> Stored:
    """Store what a delivery contains, and return the answer.

    What has no usable contact, or clashes, is quarantined (``same_person``: nothing clashes). The answer about a batch
    has its best result, and that of each element.

    Raises:
        StoreError: part of it could not be stored, or not in time; the sender will repeat all of it.
        Unmappable: the source rejects some elements of a batch; the others are stored.
    """
    signups = [one.reading for one in delivered.elements if isinstance(one.reading, Signup)]
    contacts, origin = store.contacts, source.origin
    if delivered.is_batch:
        accepted = contacts.accept_all(_in_time(store, signups), origin, same_person=same_person)
    else:
        accepted = [contacts.accept_signup(signup, origin, same_person=same_person) for signup in signups]
    remaining = iter(accepted)
    judged = [_judge(source, delivered, element, remaining) for element in delivered.elements]
    kept = [one.kept for one in judged if one.kept is not None]
    if kept:
        store.quarantine.add_all(_in_time(store, kept))
    has_clash = bool(kept) and any(one.clash for one in kept)
    if not delivered.is_batch:
        return Stored(judged[0].result, (judged[0].counted,), has_clash)
    if source.on_invalid == "reject" and (problems := problems_in(delivered)):
        raise Unmappable(problems)
    counted = tuple([one.counted for one in judged])
    results = [one.result for one in judged]
    best = min(results, key=lambda result: RANKS.index(result["status"]))
    return Stored({**best, "results": results}, counted, has_clash)


def _judge(source: Source, delivered: Delivered, element: Element, accepted: Iterator[Accepted]) -> Judged:
    """Return what happened to an element.

    If it has a contact, the next of ``accepted`` is its result.
    """
    match element.reading:
        case Signup(contact):
            result = next(accepted)
            clash = result.clashes_with
            kept = source.quarantined(delivered, element, CLASH, clash) if clash else None
            return Judged(_result_of(source, contact, result), result.status, kept)
        case None:
            counted = IGNORED_DELETION if element.is_ignored_deletion else Status.IGNORED
            return Judged(_ignored(element), counted)
        case Unmappable() as error:
            is_kept = source.on_invalid != "reject"
            kept = source.quarantined(delivered, element, error.problems) if is_kept else None
            return Judged({**_result(Status.QUARANTINED), "errors": error.problems}, Status.QUARANTINED, kept)


def _dump(document: dict[str, Any]) -> bytes:
    """Return JSON with spaces, as the documentation shows it."""
    return msgspec.json.format(_encode(document), indent=0)


def _result(status: str, contact: Contact | None = None, accepted: Accepted | None = None) -> dict[str, Any]:
    contact_id = accepted.contact_id if accepted else None
    return {
        "status": status,
        "identifier": contact.identifier if contact else None,
        "state": accepted.state if accepted else None,
        "contact_id": int(contact_id) if contact_id else None,
    }


def _ignored(element: Element) -> dict[str, Any]:
    """Return the answer about what is not stored, with the reason if it is a deletion."""
    result = _result(Status.IGNORED)
    return {**result, "reason": Reason.DELETION} if element.is_ignored_deletion else result


def _result_of(source: Source, contact: Contact, accepted: Accepted) -> dict[str, Any]:
    """Return the answer about a contact; a visitor's reveals nothing about who exists."""
    if source.identity is Identity.ACCOUNT:
        result = _result(accepted.status, contact, accepted)
        if accepted.is_stale:
            return {**result, "reason": Reason.STALE}
        return {**result, "errors": CLASH} if accepted.clashes_with else result
    return _result(Status.DUPLICATE if accepted.is_repeat else Status.ACCEPTED, contact)


def _in_time(store: Store, deliveries: Iterable[T]) -> Iterator[T]:
    """Yield the deliveries of a batch until the sender's time is over.

    When the sender repeats the batch, what was stored is a duplicate.

    Raises:
        StoreError: the time is over.
    """
    for delivery in deliveries:
        if not store.connections.left_s():
            raise StoreError("the batch took too long")
        yield delivery


def _refusal(error: Exception) -> Response:
    match error:
        case LongerPath():
            return problem(404, "The URL must end after the name of the source.")
        case NoSource():
            return problem(404, "There is no such source.")
        case Unauthentic():
            return problem(401, f"The delivery is not authentic: {error}.", headers={"WWW-Authenticate": "Bearer"})
        case BadBody():
            return problem(error.status, f"{error}.")
        case Unmappable():
            return problem(422, "The delivery does not contain a usable contact.", errors=error.problems)
        case Undecided():
            return store_away(f"The delivery cannot be verified now: {error}. Please send it again.")
        case TooLargeToKeep():
            return problem(413, f"{error}.")
        case StoreError():
            return store_away("The delivery could not be stored. Please send it again.")
        case HTTPException():
            return http_problem(error)
    return bug(error)


def _reply(reply: Reply) -> Response:
    return Response(reply.body, 200, {"X-Content-Type-Options": "nosniff"}, content_type=reply.content_type)
