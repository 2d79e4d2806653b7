"""``/api/v1``: what the dashboard shows and does, as JSON, for whoever holds ``API_TOKEN``.

``document``    the OpenAPI document; ``schemas``: what is taken and answered
``asked``       requests are checked against those schemas
``situations``  how things stand: LiveDesk, counts, causes, sources, workers, audit
``contacts``    lists, one contact, and what can be done with it
``operations``  many contacts at once
``quarantine``  deliveries that made no contact

There are no cookies here, and so nothing that another site could abuse. What is done is done by ``actions``.
"""

from typing import TYPE_CHECKING

from flask import Blueprint, request
from werkzeug import Response

from webhook_app.api import (
    contacts,
    operations,
    overview,
    quarantine,
)
from webhook_app.api.answers import answer
from webhook_app.api.by_identifier import is_authorized
from webhook_app.api.document import document
from webhook_app.api.params import Wrong, query
from webhook_app.api.schemas import NOTHING
from webhook_app.operator import ActionRefused, InvalidInput, Reason
from webhook_app.problems import RETRY_AFTER_S, problem
from worker.errors import StoreError
from worker.store.operations import NotOpened

if TYPE_CHECKING:
    from webhook_app.parts import Parts

MODULES = (overview, contacts, operations, quarantine)
DOCUMENT = document({path: methods for module in MODULES for path, methods in module.PATHS.items()})


def blueprint(parts: "Parts") -> Blueprint:
    views = Blueprint("api", __name__, url_prefix="/api/v1")

    # Before every view of this blueprint, so that none can be without it.
    @views.before_request
    def check() -> Response | None:
        if is_authorized(request.headers.get("Authorization", ""), parts.api_token):
            return None
        detail = "Send Authorization: Bearer with the API_TOKEN." if parts.api_token else "API_TOKEN is not set."
        return problem(401, detail, headers={"WWW-Authenticate": "Bearer"})

    @views.after_request
    def keep_private(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        return response

    @views.get("/openapi.json")
    def openapi() -> Response:
        query(NOTHING)
        return answer(DOCUMENT)

    for module in MODULES:
        module.register(views, parts)
    _register_errors(views)
    return views


def _register_errors(views: Blueprint) -> None:
    @views.errorhandler(Wrong)
    def wrong(error: Wrong) -> Response:
        return problem(error.status, "The request is not as it must be.", errors=error.errors)

    @views.errorhandler(InvalidInput)
    def unfit(error: InvalidInput) -> Response:
        return problem(422, "It cannot be read or sent so.", errors=error.problems)

    @views.errorhandler(ActionRefused)
    def not_done(error: ActionRefused) -> Response:
        return problem(404 if error.reason is Reason.GONE else 409, str(error), reason=error.reason)

    @views.errorhandler(NotOpened)
    def not_opened(error: NotOpened) -> Response:
        return problem(409, str(error), reason="not_opened")

    @views.errorhandler(StoreError)
    def store_away(_: StoreError) -> Response:
        return problem(503, "Redis cannot be used now. Try again.", headers={"Retry-After": str(RETRY_AFTER_S)})
