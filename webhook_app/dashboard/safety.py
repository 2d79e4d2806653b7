"""What keeps foreign pages from acting here, and our own pages from doing what they need not."""

import gzip
from typing import TYPE_CHECKING

from flask import Blueprint, abort, request, session
from flask.sessions import NullSession
from werkzeug import Response

from webhook_app.dashboard.errors import is_ours, page
from webhook_app.dashboard.session import is_csrf_token

if TYPE_CHECKING:
    from webhook_app.parts import Parts

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
            if response.mimetype == "text/html":
                zip_page(response)
        return response


def is_our_own_form() -> bool:
    """Whether a request that changes something comes from a page of ours: the browser says so, the token agrees."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    return is_csrf_token(request.form.get("csrf") or request.headers.get("X-CSRF-Token", ""))


def zip_page(response: Response) -> None:
    """Pages of lists shrink to a fifth. What a page holds and a stranger must not guess reads otherwise each time."""
    response.vary.add("Accept-Encoding")
    if request.accept_encodings.quality("gzip") > 0 and not response.is_streamed:
        response.set_data(gzip.compress(response.get_data(), 5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
