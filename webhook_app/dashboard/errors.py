"""What goes wrong under ``/dashboard``, as a page; elsewhere it stays what ``problems`` makes of it."""

from http import HTTPStatus

from flask import Flask, make_response, render_template, request
from werkzeug import Response
from werkzeug.exceptions import HTTPException

from webhook_app.problems import bug, http_problem, store_away
from worker import telemetry
from worker.errors import StoreError

#: Title and advice for what a person may run into; the description of an ``abort`` of ours goes before the advice.
PAGES = {
    400: ("This was not understood", "Go back, reload the page and try again."),
    403: ("You may look, not act", "This is for operators. Sign out, and sign in as one."),
    404: ("There is no such page", "The address may be mistyped, or what it showed is no longer kept."),
    405: ("This address is for forms", "Go to the overview and find the way from there."),
    413: ("This is too large", "Send less at once."),
    500: ("Something went wrong on our side", "It has been logged. Nothing was changed unless a page told you so."),
    503: ("Redis cannot be used right now", "Nothing was changed. Reload this page in a moment."),
}


def register(app: Flask) -> None:
    """Takes the place of the app's handlers, and hands on to them what is not the dashboard's."""
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(StoreError, _store_away)
    app.register_error_handler(Exception, _bug)


def page(status: int, title: str, text: str) -> Response:
    """A page that says what went wrong and leads on. It reads nothing, for reading may be what failed."""
    return make_response(render_template("dashboard/error.html", status=status, title=title, text=text), status)


def is_ours() -> bool:
    """Whether the request is for an address of the dashboard, one that exists or not."""
    return request.path == "/dashboard" or request.path.startswith("/dashboard/")


def _refused(error: HTTPException) -> Response:
    if not is_ours():
        return http_problem(error)
    if error.response is not None or (error.code or 500) < 400:
        return error.get_response()  # a redirect, which routing raises too
    status = error.code or 500
    title, advice = PAGES.get(status, (HTTPStatus(status).phrase, PAGES[400][1]))
    own_words = error.description if error.description != type(error).description else None
    response = page(status, title, own_words or advice)
    response.headers.extend({name: value for name, value in error.get_headers() if name == "Allow"})
    return response


def _store_away(_error: StoreError) -> Response:
    if not is_ours():
        return store_away()
    response = page(503, *PAGES[503])
    response.headers["Retry-After"] = "5"
    return response


def _bug(error: Exception) -> Response:
    if not is_ours():
        return bug(error)
    telemetry.report_bug(error)
    return page(500, *PAGES[500])
