"""A dashboard with a page that shows every part that pages are made of, in each of its states; for the tests alone."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from flask import Blueprint, flash, redirect, render_template, request, url_for
from jinja2 import ChoiceLoader, FileSystemLoader
from werkzeug import Response

from tests.browser.serving import serve
from webhook_app.access import Access, Provider, Role
from webhook_app.app import create_app
from webhook_app.dashboard.header import Header, Reach, Upstream
from webhook_app.dashboard.session import begin, needs
from webhook_app.parts import Parts
from worker.store.queue import Envelope
from worker.store.store import Store

HERE = Path(__file__).resolve().parent
#: What a sender might write.
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"{{ 7*7 }}"


def busy_header() -> Header:
    """LiveDesk is down, and a lot waits."""
    now = int(time.time() * 1000)
    upstream = Upstream(
        reach=Reach.DOWN, since=now - 380_000, reason="LiveDesk answers with an error (503)", next_probe_at=now + 18_000
    )
    return Header(
        now=now,
        upstream=upstream,
        pending=1204,
        oldest_pending_at=now - 250_000,
        sending=8,
        retrying=8412,
        next_due_at=now + 9_000,
        failed=412,
        failed_last_hour=38,
        conflicts=3,
        conflicts_last_hour=0,
        created=1_204_118,
        discarded=17,
        created_per_minute=52.4,
        usual_per_minute=60.2,
        pace=9.6,
        pace_allowed=10.0,
        clears_in_ms=840_000,
    )


@contextmanager
def specimen(client: redis.Redis) -> Iterator[str]:
    """Serves it; gives its address, at ``/dashboard/specimen``. ``/dashboard/specimen/enter`` signs in."""
    store = Store(client, Envelope("@key@ @id@"), lease_ms=45_000)
    provider = Provider(issuer="https://login.example", client_id="us", client_secret="secret", viewers=("staff",))
    access = Access(operator_password="the-operator-of-the-tests", provider=provider)
    app = create_app(Parts(store=store, sources={}, access=access))
    assert app.jinja_loader is not None
    app.jinja_loader = ChoiceLoader([app.jinja_loader, FileSystemLoader(HERE / "templates")])
    app.register_blueprint(_views())
    with serve(app) as url:
        yield url


def _views() -> Blueprint:
    views = Blueprint("specimen", __name__, url_prefix="/dashboard/specimen")

    @views.get("/enter")
    @needs(None)
    def enter() -> Response:
        begin("Ada Lovelace", Role.OPERATOR, time.time())
        flash("412 contacts are due now.")
        flash("3 contacts could not be discarded: an attempt is running.", "error")
        return redirect(url_for("specimen.show"))

    @views.get("/")
    @needs(Role.VIEWER)
    def show() -> str:
        header = busy_header()
        values = [4, 9, 12, None, 30, 41, 38, 22, 10, 0, 3, 7]
        labels = [f"12:{minute:02}" for minute in range(0, 60, 5)]
        return render_template(
            "specimen.html", header=header, values=values, labels=labels, hostile=HOSTILE, args=request.args
        )

    return views
