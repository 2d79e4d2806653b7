"""The parts that views and commands work with, joined once for each process (``wsgi``)."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from flask import Flask, current_app

from webhook_app.access import Access
from webhook_app.receiver.delivery_log import DeliveryLog
from webhook_app.receiver.secret_uses import SecretUses
from webhook_app.sources import Source
from worker.livedesk.client import LiveDesk
from worker.retry import RetryPolicy
from worker.store.contacts import Store
from worker.store.counters import Counters
from worker.store.desk import Desk
from worker.store.history import History
from worker.store.lists import Lists
from worker.store.metrics import Metrics
from worker.store.operations import Operations
from worker.store.overview import OverviewReader

#: Where ``create_app`` puts them in ``app.extensions``.
EXTENSION = "livedesk_sync"


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
    def tally(self) -> Counters:
        return Counters(self.desk)

    @cached_property
    def diary(self) -> DeliveryLog:
        return DeliveryLog(self.sources, self.tally, self.store.key)

    @cached_property
    def metrics(self) -> Metrics:
        return Metrics(self.store.client, self.store.policy.rate, self.history.demands)

    @cached_property
    def lists(self) -> Lists:
        return Lists(self.store.client)

    @cached_property
    def situations(self) -> OverviewReader:
        return OverviewReader(self.store.client, self.store.policy.rate)

    @cached_property
    def operations(self) -> Operations:
        return Operations(self.store, self.lists)

    @classmethod
    def of(cls, app: Flask) -> Self:
        """The parts of an application."""
        parts = app.extensions[EXTENSION]
        assert isinstance(parts, cls)
        return parts


def current_parts() -> Parts:
    """The parts of the application that answers the current request."""
    return Parts.of(current_app)
