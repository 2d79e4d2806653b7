"""The Celery task, and the place where a worker's parts are joined."""

import logging
import os
import random
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from celery import signals

from worker import telemetry
from worker.app import app
from worker.errors import SettingsError, StoreError
from worker.livedesk.client import LiveDesk
from worker.model import Account, Outcome, Work
from worker.process.activity import Activity
from worker.process.broker import configure
from worker.process.envelope import build_envelope
from worker.process.messages import MessageReader
from worker.process.sweeper import STUCK_AFTER_S, Sweeper
from worker.settings import EX_CONFIG, Settings, load_proxies, load_settings
from worker.store.connection import connect
from worker.store.counters import CHANGE_BUCKETS_MS, MESSAGES_DROPPED
from worker.store.durability import announce
from worker.store.store import Store
from worker.sync import Ended, Series, Sync
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Seconds that an attempt waits for Redis. Losing the answer to a claim or a result costs a look-up, so this is long,
#: but no longer than the lease's margin.
REDIS_TIMEOUT_S = 10.0
#: How much longer than one request to LiveDesk a lease lasts.
LEASE_MARGIN_S = 10.0
#: How long a worker uses what ``flask doctor`` found out before it reads that again.
ACCOUNT_FRESH_S = 10.0


class KnownAccount:
    """What is known about the LiveDesk account, read again every few seconds.

    Threads may share it. While Redis does not answer, the last known state is returned. ``clock`` is in seconds.
    """

    def __init__(self, store: Store, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.store = store
        self.name = name
        self.clock = clock
        self._known = Account()
        self._fresh_until = float("-inf")

    def __call__(self) -> Account:
        if self.clock() >= self._fresh_until:
            self._fresh_until = self.clock() + ACCOUNT_FRESH_S
            try:
                self._known = self.store.findings.account(self.name)
            except StoreError:
                self._fresh_until = float("-inf")
        return self._known


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker works with."""

    settings: Settings
    store: Store
    sync: Sync
    sweeper: Sweeper
    activity: Activity


_parts: Parts | None = None


@app.task(name="worker.create_contact", ignore_result=True)
def create_contact(keys: str) -> None:
    """Make one attempt for each of these contacts that is due.

    ``keys``: those of their records, with spaces between. A worker that stops begins no further attempt: ``due`` brings
    the contacts back.
    """
    parts = _joined()
    with parts.activity.attempt():
        series = Series(parts.sync, lambda ended: _record(parts, ended))
        for key in keys.split():
            parts.sweeper.task_started()
            parts.activity.progressed()
            _guard(partial(series.bring, key), key)
            if parts.sweeper.is_stopping:
                break
        _guard(series.end)


def _guard(step: Callable[[], None], key: str | None = None) -> None:
    try:
        step()
    except StoreError as error:
        # The contact is still in ``due`` and returns.
        log.warning(LogEvent("attempt skipped", key=key, error=error))
    except Exception as error:  # noqa: BLE001 - Celery would log the error's text, which may contain personal data
        # The lease expires, and the contact returns as if this worker had died.
        telemetry.report_bug(error)


def _record(parts: Parts, ended: Ended) -> None:
    parts.activity.took(ended.attempt.duration_ms)
    _report(ended)
    _time_change(parts.store, ended)


def _time_change(store: Store, ended: Ended) -> None:
    """Count how long LiveDesk lacked a change or a deletion."""
    if ended.finished.written and ended.result.outcome in (Outcome.UPDATED, Outcome.MARKED, Outcome.DELETED):
        ended_at = ended.attempt.at + ended.attempt.duration_ms
        store.counters.took("change", (ended_at - ended.claim.received_at) / 1000, CHANGE_BUCKETS_MS)


def _report(ended: Ended) -> None:
    """Log the attempt.

    ``waited_ms`` is counted from the contact's first delivery, or from that of the change. ``written=no``: the lease
    was lost, or Redis did not accept the result.
    """
    result, attempt, finished = ended.result, ended.attempt, ended.finished
    log.info(
        LogEvent(
            "attempt",
            key=ended.claim.key,
            state=result.state,
            cause=result.cause,
            status=attempt.status,
            duration_ms=attempt.duration_ms,
            waited_ms=attempt.at - ended.claim.received_at,
            number=ended.claim.number,
            source=ended.claim.origin.source,
            trigger=_trigger_kind(attempt.trigger),
            outcome=result.outcome,
            work=ended.claim.work if ended.claim.work is not Work.CREATE else None,
            written=None if finished.written else "no",
        )
    )
    if finished.change:
        telemetry.report_sync_change(finished.change, finished.cause or "")
    elif finished.new_cause and result.cause is not None:
        telemetry.report_new_cause(result.cause, result.state)


def _trigger_kind(trigger: str) -> str | None:
    """Return who triggered an attempt, without a person's name."""
    return (trigger if trigger.startswith("operation ") else "person") if trigger else None


def _joined() -> Parts:
    if _parts is None:
        raise RuntimeError("the task runs in a process that is not one of our workers")
    return _parts


def join(settings: Settings) -> Parts:
    """Return the parts of a worker. Connects to nothing yet."""
    client = connect(settings.redis_url, timeout_s=REDIS_TIMEOUT_S)
    livedesk = join_livedesk(settings, lambda seconds: store.counters.took("livedesk", seconds))
    lease_s = livedesk.request_limit_s + LEASE_MARGIN_S
    envelope = build_envelope(create_contact)
    store = Store(
        client,
        envelope,
        lease_ms=round(lease_s * 1000),
        policy=settings.upstream,
        requirements=settings.requirements,
    )
    sync = Sync(
        store=store,
        livedesk=livedesk,
        policy=settings.retry,
        settle_ms=settings.livedesk_settle_ms,
        adopt=settings.livedesk_adopt,
        inbox_id=settings.livedesk_inbox_id,
        rng=random.SystemRandom(),
        account=KnownAccount(store, livedesk.account),
    )
    activity = Activity(socket.gethostname(), os.getpid())
    sweeper = Sweeper(
        store,
        activity=activity,
        keep_created_ms=settings.keep_created_ms,
        stuck_after_s=max(STUCK_AFTER_S, 3 * lease_s),
    )
    return Parts(settings, store, sync, sweeper, activity)


def join_livedesk(settings: Settings, on_request: Callable[[float], None] = lambda seconds: None) -> LiveDesk:
    """Return LiveDesk's client; commands use it too."""
    url = settings.livedesk_base_url
    return LiveDesk(
        url,
        settings.livedesk_api_key,
        settings.livedesk_api_secret,
        timeout_s=settings.livedesk_timeout_s,
        proxies=load_proxies(url),
        ca_bundle=settings.livedesk_ca_bundle,
        on_request=on_request,
    )


@signals.celeryd_init.connect
def _on_init(conf: Any, **_: Any) -> None:
    """Join the parts when a worker starts, or exit with the mistakes in its settings."""
    global _parts
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EX_CONFIG)
    telemetry.configure_logging(settings.log_format, settings.log_level)
    telemetry.start_sentry(settings.sentry_dsn, settings.sentry_environment, "worker")
    _parts = join(settings)
    counters = _parts.store.counters
    reader = MessageReader(_parts.store.queue.envelope, on_dropped=lambda: counters.add(MESSAGES_DROPPED))
    configure(conf, settings.redis_url, reader)


@signals.setup_logging.connect
def _on_setup_logging(**_: Any) -> None:
    """Keep Celery from configuring the log: ``_on_init`` has done that."""


@signals.worker_ready.connect
def _on_ready(sender: Any, **_: Any) -> None:
    parts = _joined()
    parts.activity.threads = sender.pool.num_processes
    parts.sweeper.start()
    parts.store.counters.start()
    parts.store.watch.start()
    _probe_now(parts.store)
    announce(parts.store.connections, parts.settings.requirements)
    log.info(LogEvent("worker ready"))


@signals.worker_shutting_down.connect
def _on_shutting_down(**_: Any) -> None:
    if _parts is not None:
        _parts.sweeper.stop()


@signals.worker_shutdown.connect
def _on_shutdown(**_: Any) -> None:
    """Write the counters once the last attempts have ended."""
    if _parts is not None:
        _parts.sweeper.leave()
        _parts.store.counters.stop()


def _probe_now(store: Store) -> None:
    """Probe at once, because a restart may follow a corrected configuration."""
    try:
        if store.upstream.probe_now():
            log.warning(LogEvent("probe requested", reason="a worker started while the sync was stopped"))
    except StoreError as error:
        log.warning(LogEvent("probe not requested", error=error))
