"""A dashboard with a page that shows every component in each of its states."""

import time
from pathlib import Path

import redis
from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from jinja2 import ChoiceLoader, FileSystemLoader
from werkzeug import Response

from tests.world import make_store
from webhook_app.access import Access, Provider, Role
from webhook_app.app import create_app
from webhook_app.dashboard.session import begin, needs
from webhook_app.parts import Parts, current_parts
from worker.estimate import Limits, Usual
from worker.model import State, Way
from worker.store.overview import Lane, Overview
from worker.store.upstream import Upstream

HERE = Path(__file__).resolve().parent
#: What a sender may send.
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"{{ 7*7 }}"


def busy_overview() -> Overview:
    """Return an overview in which LiveDesk is down and many contacts wait."""
    now = int(time.time() * 1000)
    upstream = Upstream(
        stop="down",
        cause="http_503",
        status="503",
        until=None,
        words=None,
        since=now - 380_000,
        probe_at=now + 18_000,
        probes=3,
        paused_at=None,
        paused_by=None,
        paused_why=None,
        pace=9.6,
        rate=10.0,
        slot=None,
        answered_at=now - 400_000,
        inboxes=(),
    )
    counts = dict(zip(State, (1204, 8, 8412, 1_204_118, 3, 412, 17, 5), strict=True))
    return Overview(
        now=now,
        upstream=upstream,
        counts=counts,
        queue=12,
        oldest_pending=now - 250_000,
        next_retry=now + 9_000,
        lanes={"new": Lane(1, 0)},
        clashes=[],
        failed_last_hour=38,
        conflicts_last_hour=0,
        created_per_minute=52.4,
        usual_per_minute=60.2,
        requests_per_second=9.6,
        alive=2,
        limits=Limits(pace=9.6, rate=10.0, look_ups=100 / 60),
        usual=Usual(),
        planned=[],
    )


def specimen(client: redis.Redis) -> Flask:
    """Return the application.

    ``/dashboard/specimen`` is the page, ``/dashboard/specimen/enter`` signs in.
    """
    store = make_store(client)
    provider = Provider(issuer="https://login.example", client_id="us", client_secret="secret", viewers=("staff",))
    access = Access(operator_password="the-operator-of-the-tests", provider=provider)
    app = create_app(Parts(store=store, sources={}, access=access))
    assert app.jinja_loader is not None
    app.jinja_loader = ChoiceLoader([app.jinja_loader, FileSystemLoader(HERE / "templates")])
    app.register_blueprint(_views())
    return app


def _views() -> Blueprint:
    views = Blueprint("specimen", __name__, url_prefix="/dashboard/specimen")

    @views.get("/enter")
    @needs(None)
    def enter() -> Response:
        begin(current_parts(), "Ada Lovelace", Role.OPERATOR, Way.PASSWORD)
        flash("412 contacts are due now.")
        flash("3 contacts could not be discarded: an attempt is running.", "error")
        return redirect(url_for("specimen.show"))

    @views.get("/")
    @needs(Role.VIEWER)
    def show() -> str:
        overview = busy_overview()
        values = [4, 9, 12, None, 30, 41, 38, 22, 10, 0, 3, 7]
        labels = [f"12:{minute:02}" for minute in range(0, 60, 5)]
        return render_template(
            "specimen.html",
            overview=overview,
            now=overview.now,
            values=values,
            labels=labels,
            hostile=HOSTILE,
            args=request.args,
        )

    return views
