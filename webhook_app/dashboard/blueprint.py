"""The dashboard's blueprint, and the steps before and after each request."""

from flask import Blueprint, abort, request, session
from flask.sessions import NullSession
from werkzeug import Response

from webhook_app.dashboard.errors import page
from webhook_app.dashboard.safety import is_own_form, protect
from webhook_app.front import asks_for_another_host
from webhook_app.parts import current_parts

MAX_FORM_BYTES = 64 * 1024
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

blueprint = Blueprint("dashboard", __name__, url_prefix="/dashboard")
blueprint.after_request(protect)


@blueprint.before_request
def check_host() -> Response | None:
    """Answer only under the name in PUBLIC_URL, and under those of your own network."""
    public_url = current_parts().public_url
    if not asks_for_another_host(request.environ, public_url):
        return None
    return page(
        421,
        "The dashboard has another address",
        f"It is at {public_url}/dashboard/. If you opened that, the proxy in front of it does not pass on Host.",
    )


@blueprint.before_request
def check_access() -> Response | None:
    """Answer at once if the dashboard has no password, or if sessions cannot be read."""
    if request.endpoint == "dashboard.static_file":
        return None
    if not current_parts().access.is_open:
        return page(
            403,
            "The dashboard is disabled",
            "To enable it, set DASHBOARD_PASSWORD (at least 12 characters) for the web process.",
        )
    # The signing secret is in Redis. A process that has read it once recognises sessions without Redis, too.
    if isinstance(session, NullSession):
        return page(503, "Redis is unavailable", "You cannot sign in until it is back. Try again in a moment.")
    return None


@blueprint.before_request
def check_csrf() -> None:
    request.max_content_length = MAX_FORM_BYTES
    if request.method not in SAFE_METHODS and not is_own_form():
        abort(400, "This form has expired, or another site sent it. Go back, reload the page and try again.")
