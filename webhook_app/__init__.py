"""The door (HTTP in) and the window (JSON and HTML out). Imports ``worker``, never the other way round.

``receiver``       ``POST /webhooks/<source>``: authentic? a contact? safe in Redis? Then 200.
``sources``        who may send, how they sign, and where the contact is in what they send
``contacts``       ``GET /contacts/<identifier>``
``api``            ``/api/v1``: what the dashboard shows and does, as JSON
``actions``        what a person does by hand, for pages, API and commands alike
``shown``          what we know, as JSON; ``table``: contacts as CSV; ``masking``: personal data, hidden
``health``         ``/healthz`` and ``/readyz``
``dashboard``      the pages under ``/dashboard``; who may open them says ``access``
``diary``          what is logged and counted about each delivery
``metrics``        ``/metrics``, for Prometheus
``problems``       every error as RFC 9457 says
``cli``            what an operator does by hand: ``flask doctor``, ``sources``, ``retry``, ...
``quarantine``     deliveries that made no contact, read again
``secret_uses``    when each secret was last used
``configuration``  the settings and the sources, with every mistake in either at once
``wsgi``           joins the parts
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from flask import Flask

from webhook_app import api, cli, contacts, dashboard, health, metrics, problems
from webhook_app.access import Access
from webhook_app.diary import Diary
from webhook_app.receiver import Receiver
from webhook_app.secret_uses import SecretUses
from webhook_app.sources import Source
from worker.desk import Desk
from worker.history import History
from worker.lists import Lists
from worker.livedesk import LiveDesk
from worker.metrics import Metrics
from worker.operations import Operations
from worker.retry import RetryPolicy
from worker.situation import Situations
from worker.store import Store
from worker.tally import Tally


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the views and commands work with. ``clock`` tells seconds since the epoch; signatures have a time.

    ``livedesk`` is for those alone who ask by hand: commands, and the dashboard about a conflict; ``inbox_id`` is
    ``LIVEDESK_INBOX_ID``. ``retry`` and ``settle_ms`` are what the workers go by: the dashboard tells what comes next.
    """

    store: Store
    history: History
    sources: Mapping[str, Source]
    api_token: str | None = None
    metrics_token: str | None = None
    livedesk: LiveDesk | None = None
    inbox_id: int | None = None
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(5_000, 900_000, 72 * 3_600_000))
    settle_ms: int = 60_000
    access: Access = field(default_factory=Access)
    clock: Callable[[], float] = time.time

    @cached_property
    def desk(self) -> Desk:
        return Desk(self.store)

    @cached_property
    def secret_uses(self) -> SecretUses:
        return SecretUses(self.desk)

    @cached_property
    def tally(self) -> Tally:
        return Tally(self.desk)

    @cached_property
    def diary(self) -> Diary:
        return Diary(self.sources, self.tally, self.store.key)

    @cached_property
    def metrics(self) -> Metrics:
        return Metrics(self.store.client, self.store.policy.rate, self.history.demands)

    @cached_property
    def lists(self) -> Lists:
        return Lists(self.store.client)

    @cached_property
    def situations(self) -> Situations:
        return Situations(self.store.client, self.store.policy.rate)

    @cached_property
    def operations(self) -> Operations:
        return Operations(self.store, self.lists)


def create_app(parts: Parts) -> Flask:
    """The WSGI application, from parts that are ready to use."""
    app = Flask(__name__, static_folder=None)
    # An identifier may hold anything, two slashes in a row too.
    app.url_map.merge_slashes = False
    app.url_map.converters["identifier"] = contacts.IdentifierConverter
    problems.register(app)
    app.register_blueprint(contacts.blueprint(parts))
    app.register_blueprint(api.blueprint(parts))
    app.register_blueprint(health.blueprint(parts))
    app.register_blueprint(metrics.blueprint(parts))
    dashboard.register(app, parts)
    cli.register(app, lambda: parts)
    app.wsgi_app = Receiver(parts, app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way to add middleware
    return app
