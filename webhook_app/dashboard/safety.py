"""CSRF protection, security headers and compression."""

import gzip

from flask import request
from werkzeug import Response

from webhook_app.dashboard.session import is_csrf_token

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


def protect(response: Response) -> Response:
    """Add the security headers, and compress the page if accepted. Idempotent."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    if response.mimetype == "text/html" and "Content-Encoding" not in response.headers:
        response.vary.add("Accept-Encoding")
        if request.accept_encodings.quality("gzip") > 0 and not response.is_streamed:
            response.set_data(gzip.compress(response.get_data(), 5, mtime=0))
            response.headers["Content-Encoding"] = "gzip"
    return response


def is_own_form() -> bool:
    """Return whether our page sent this, by the browser's header and the token."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    return is_csrf_token(request.form.get("csrf") or request.headers.get("X-CSRF-Token", ""))
