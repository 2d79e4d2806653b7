"""A dashboard in a thread, where each role can sign in without a password."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from flask import Blueprint, Flask, redirect, request
from werkzeug import Response
from werkzeug.serving import make_server

from tests.rig.processes import LOCALHOST
from webhook_app.access import Role
from webhook_app.dashboard.session import begin, local_path, needs
from webhook_app.parts import current_parts
from worker.model import Way


@contextmanager
def serve(app: Flask, port: int = 0) -> Iterator[str]:
    """Serve an app, on any port or this one, and return its address.

    ``/dashboard/enter/<role>?next=<page>`` signs in and goes there.
    """
    app.register_blueprint(_way_in())
    server = make_server(LOCALHOST, port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://{LOCALHOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
