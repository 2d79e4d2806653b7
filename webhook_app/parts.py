"""The parts that views and commands work with, created once per process."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from flask import current_app
from flask.sansio.app import App

from webhook_app.access import Access
from webhook_app.bearer import is_authorized
from webhook_app.sources import Source
from worker.errors import SettingsError
from worker.livedesk.client import LiveDesk
from worker.model import Account
from worker.retry import RetryPolicy
from worker.store.store import Store

#: The key of the parts in ``app.extensions``.
EXTENSION = "livedesk_sync"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What views and commands work with.

    ``clock`` returns seconds since the epoch. ``livedesk`` answers operators' requests only: commands, and the
    dashboard's comparison of a conflict. ``inbox_id`` and ``public_url`` are LIVEDESK_INBOX_ID and PUBLIC_URL.
    ``metrics_open``: everybody may read the metrics. ``retry`` and ``settle_ms`` are the workers' settings; the
    dashboard predicts the next attempt from them.
    """

    store: Store
    sources: Mapping[str, Source]
    api_token: str | None = None
    metrics_token: str | None = None
    metrics_open: bool = False
    livedesk: LiveDesk | None = None
    inbox_id: int | None = None
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(5_000, 900_000, 72 * 3_600_000))
    settle_ms: int = 60_000
    public_url: str | None = None
    access: Access = field(default_factory=Access)
    clock: Callable[[], float] = time.time

    @classmethod
    def of(cls, app: App) -> Self:
        """Return the parts of an application.

        Raises:
            SettingsError: the configuration has mistakes, and the application has no parts.
        """
        parts = app.extensions[EXTENSION]
        if isinstance(parts, SettingsError):
            raise parts
        assert isinstance(parts, cls)
        return parts

    def shows_figures(self, authorization: str) -> bool:
        """Return whether a request may read the metrics and the details of readiness.

        ``authorization`` is its header. An address proves nothing: a proxy's is that of everybody behind it.
        """
        tokens = (self.metrics_token, self.api_token)
        return self.metrics_open or any(is_authorized(authorization, token) for token in tokens)

    def account(self) -> Account:
        """Return what ``flask doctor`` has found out about the LiveDesk account."""
        return self.store.findings.account(self.livedesk.account) if self.livedesk else Account()


def current_parts() -> Parts:
    """Return the parts of the application that handles the current request or command."""
    return Parts.of(current_app)
