"""Error pages for everything under ``/dashboard``; elsewhere ``problems`` answers."""

from http import HTTPStatus

from flask import Flask, make_response, render_template, request
from werkzeug import Response
from werkzeug.exceptions import HTTPException

from webhook_app.dashboard.safety import protect
from webhook_app.dashboard.session import is_ours
from webhook_app.problems import bug, http_problem, store_away
from worker import telemetry
from worker.errors import StoreError

#: Title and advice by status; the description of our own ``abort`` replaces the advice.
PAGES = {
    400: ("Invalid request", "Go back, reload the page and try again."),
    403: ("Operators only", "You are signed in as a viewer. Sign out, then sign in with the operator password."),
    404: ("Page not found", "The address may be mistyped, or the data on this page has expired."),
    405: ("This address only accepts forms", "Start again from the overview."),
    413: ("Request too large", "Send less at once."),
    500: ("Something went wrong on our side", "The error was logged. Check on the overview what was changed."),
    503: ("Redis is unavailable", "Nothing was changed. Reload this page in a moment."),
}


def init_app(app: Flask) -> None:
    """Replace the app's handlers. They still answer what is not the dashboard's."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(StoreError, _store_error)
    app.register_error_handler(Exception, _bug)


def page(status: int, title: str, text: str) -> Response:
    """Render an error page without Redis, because that may be what failed."""
    html = render_template("dashboard/error.html", status=status, title=title, text=text)
    return protect(make_response(html, status))


def _http_error(error: HTTPException) -> Response:
    if not is_ours(request.path):
        return http_problem(error)
    if error.response is not None or (error.code or 500) < 400:
        return error.get_response()  # a redirect, which routing raises too
    status = error.code or 500
    title, advice = PAGES.get(status, (HTTPStatus(status).phrase, PAGES[400][1]))
    description = error.description if error.description != type(error).description else None
    response = page(status, title, description or advice)
    response.headers.extend({name: value for name, value in error.get_headers() if name == "Allow"})
    return response


def _store_error(_error: StoreError) -> Response:
    if not is_ours(request.path):
        return store_away()
    response = page(503, *PAGES[503])
    response.headers["Retry-After"] = "5"
    return response


def _bug(error: Exception) -> Response:
    if not is_ours(request.path):
        return bug(error)
    telemetry.report_bug(error)
    return page(500, *PAGES[500])
