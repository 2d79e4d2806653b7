"""A dashboard in a thread, where each role can sign in without a password."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from flask import Blueprint, Flask, redirect, request
from werkzeug import Response
from werkzeug.exceptions import NotFound
from werkzeug.serving import make_server

from tests.rig.processes import LOCALHOST
from webhook_app.access import Role
from webhook_app.dashboard.session import begin, local_path, needs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
from webhook_app.parts import current_parts
from worker.model import Way


class Server:
    """Serves one app after the other on the same port: any, or this one. Without an app it answers 404."""

    def __init__(self, port: int = 0) -> None:
        self._app: WSGIApplication = NotFound()
        self._server = make_server(LOCALHOST, port, self, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return self._app(environ, start_response)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextmanager
    def serving(self, app: Flask) -> Iterator[str]:
        """Serve this app, and return the address.

        ``/dashboard/enter/<role>?next=<page>`` signs in and goes there.
        """
        app.register_blueprint(_way_in())
        self._app = app
        try:
            yield f"http://{LOCALHOST}:{self._server.server_port}"
        finally:
            self._app = NotFound()


@contextmanager
def serve(app: Flask, port: int = 0) -> Iterator[str]:
    """Serve an app on a port of its own, and return its address, as ``Server.serving`` does."""
    with Server(port) as server, server.serving(app) as url:
        yield url


def enter(page: str, role: Role = Role.OPERATOR) -> str:
    """Return the address that signs in and goes to a page."""
    return f"/dashboard/enter/{role}?next={quote(page)}"


def _way_in() -> Blueprint:
    views = Blueprint("way_in", __name__, url_prefix="/dashboard/enter")

    @views.get("/<role>")
    @needs(None)
    def enter(role: str) -> Response:
        begin(current_parts(), "Ada Lovelace", Role(role), Way.PASSWORD)
        return redirect(local_path(request.args.get("next")))

    return views
