"""What keeps foreign pages from acting here, and our own pages from doing what they need not."""

import hmac
from typing import TYPE_CHECKING

from flask import Blueprint, abort, request, session
from flask.sessions import NullSession
from werkzeug import Response

from webhook_app.dashboard.errors import is_ours, page

if TYPE_CHECKING:
    from webhook_app import Parts

#: Most bytes of a form.
MOST_BYTES = 64 * 1024
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def register(views: Blueprint, parts: "Parts") -> None:
    @views.before_request
    def closed() -> Response | None:
        if parts.access.is_open or request.endpoint == "dashboard.static_file":
            return None
        return page(
            403,
            "The dashboard is closed",
            "It opens once the environment of the web process has a DASHBOARD_PASSWORD, of at least 12 characters.",
        )

    @views.before_request
    def no_session() -> Response | None:
        # The secret of the sessions is in Redis; a process that has read it once knows people without it, too.
        if request.endpoint == "dashboard.static_file" or not isinstance(session, NullSession):
            return None
        return page(503, "Redis cannot be reached", "Nobody can sign in without it. Try again in a moment.")

    @views.before_request
    def csrf() -> None:
        request.max_content_length = MOST_BYTES
        if request.method not in SAFE_METHODS and not is_our_own_form():
            abort(400, "This form is too old, or came from another site. Go back, reload the page and try again.")

    @views.after_app_request
    def headers(response: Response) -> Response:
        if is_ours():
            response.headers.update(HEADERS)
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def is_our_own_form() -> bool:
    """Whether a request that changes something comes from a page of ours: the browser says so, the token agrees."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    given = request.form.get("csrf") or request.headers.get("X-CSRF-Token", "")
    expected = session.get("csrf", "")
    return bool(expected) and hmac.compare_digest(given.encode(errors="replace"), expected.encode())
