"""Errors as problem documents (RFC 9457), which repeat nothing of a request."""

import json
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from worker import telemetry
from worker.errors import StoreError

#: Seconds after which a sender may try again when Redis was away or full.
RETRY_AFTER_S = 10


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None, **members: Any) -> Response:
    """Return the answer for an error; ``members`` are added to the document."""
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return Response(json.dumps(document), status, headers, content_type="application/problem+json")


def store_away(detail: str = "Redis is unavailable. Try again later.") -> Response:
    """Answer 503 while Redis is unavailable or full, never 4xx."""
    return problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def register(app: Flask) -> None:
    """Answer every error of the application with a problem document."""
    app.register_error_handler(HTTPException, http_problem)
    app.register_error_handler(StoreError, lambda _error: store_away())
    app.register_error_handler(Exception, bug)


def http_problem(error: HTTPException) -> Response:
    """Return the answer for an unknown URL, a wrong method, a body too large."""
    status = error.code or 500
    details = {
        404: "There is nothing at this URL.",
        405: "This URL does not support this method.",
        408: "The body did not arrive in time.",
        411: "The request has no Content-Length.",
        413: "The body is too large.",
    }
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    return problem(
        status, details.get(status, HTTPStatus(status).description or "The request is invalid."), headers=headers
    )


def bug(error: Exception) -> Response:
    """Return the answer for an unexpected error, and report it to Sentry."""
    telemetry.report_bug(error)
    return problem(500, "Something went wrong on our side.")
