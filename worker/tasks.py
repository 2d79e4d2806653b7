"""Where the worker's parts are joined: settings, Redis, LiveDesk, the algorithm and the sweeper."""

import logging
import random
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from celery import signals

from worker import telemetry
from worker.app import app
from worker.errors import SettingsError, StoreError
from worker.events import LogEvent
from worker.livedesk.account import KnownAccount
from worker.livedesk.client import CONNECT_TIMEOUT_S, LiveDesk
from worker.model import Requirements
from worker.process.envelope import build_envelope
from worker.process.sweeper import STUCK_AFTER_S, Sweeper
from worker.settings import Settings, load_settings
from worker.store.address import broker
from worker.store.connection import connect
from worker.store.durability import announce
from worker.store.store import Store
from worker.sync import Ended, Sync

log = logging.getLogger(__name__)

#: Seconds that a worker waits for Redis.
REDIS_TIMEOUT_S = 5.0
#: How much longer than one request to LiveDesk a lease lasts, in seconds.
LEASE_MARGIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Parts:
    sync: Sync
    sweeper: Sweeper
    store: Store
    demands: Requirements


_parts: Parts | None = None


@app.task(name="worker.create_contact", ignore_result=True)
def create_contact(key: str) -> None:
    """Looks at one contact, and brings it to LiveDesk if that is to be done now. ``key`` names its record."""
    parts = _joined()
    parts.sweeper.task_started()
    try:
        ended = parts.sync.bring(key)
    except StoreError as error:
        # The contact is still in ``due`` and comes back.
        log.warning("key=%s left as it is: %s", key, error)
        return
    except Exception as error:  # noqa: BLE001 - Celery would log the error's text, which may hold personal data
        # The lease runs out, and the contact comes back as if this worker had died.
        telemetry.report_bug(error)
        return
    if ended is not None:
        _report(ended)


def _kind_of(trigger: str) -> str | None:
    """Who asked for an attempt, without the name: an operation, a person, or nobody."""
    return (trigger if trigger.startswith("operation ") else "person") if trigger else None


def _report(ended: Ended) -> None:
    """``waited_ms`` is since the contact was first heard of; not ``written``: the lease was lost, or Redis stayed
    away."""
    verdict, attempt, finished = ended.verdict, ended.attempt, ended.finished
    log.info(
        LogEvent(
            "attempt",
            key=ended.claim.key,
            state=verdict.state,
            cause=verdict.cause,
            status=attempt.status,
            duration_ms=attempt.duration_ms,
            waited_ms=attempt.at - ended.claim.received_at,
            number=ended.claim.number,
            source=ended.claim.source,
            trigger=_kind_of(attempt.trigger),
            outcome=verdict.outcome,
            written=None if finished.written else "no",
        )
    )
    if finished.turn:
        telemetry.report_turn(finished.turn, verdict.cause or "")
    elif finished.new_cause and verdict.cause is not None:
        telemetry.report_new_cause(verdict.cause, verdict.state)


def _joined() -> Parts:
    if _parts is None:
        raise RuntimeError("the task runs in a process that is not one of our workers")
    return _parts


def join(settings: Settings) -> Parts:
    """The parts of a worker, as the settings say. Talks to nobody yet."""
    lease_ms = round((CONNECT_TIMEOUT_S + settings.livedesk_timeout_s + LEASE_MARGIN_S) * 1000)
    client = connect(settings.redis_url, timeout_s=REDIS_TIMEOUT_S)
    store = Store(client, build_envelope(create_contact), lease_ms=lease_ms, policy=settings.upstream)
    livedesk = join_livedesk(settings, lambda seconds: store.counters.took("livedesk", seconds))
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
    sweeper = Sweeper(
        store,
        name=socket.gethostname(),
        keep_created_ms=settings.keep_created_ms,
        stuck_after_s=max(STUCK_AFTER_S, 3 * lease_ms / 1000),
    )
    return Parts(sync, sweeper, store, settings.requirements)


def join_livedesk(settings: Settings, took: Callable[[float], None] = lambda seconds: None) -> LiveDesk:
    """LiveDesk's client as the settings say; the commands use it too. ``took`` is told the seconds of each request."""
    return LiveDesk(
        settings.livedesk_base_url,
        settings.livedesk_api_key,
        settings.livedesk_api_secret,
        timeout_s=settings.livedesk_timeout_s,
        proxies=_proxies(settings.livedesk_base_url),
        took=took,
    )


def _proxies(url: str) -> dict[str, str]:
    """The proxies of the environment (``HTTPS_PROXY`` and its like), unless ``NO_PROXY`` excepts LiveDesk's host."""
    return {} if proxy_bypass(urlsplit(url).netloc) else getproxies()


@signals.celeryd_init.connect
def _on_init(conf: Any, **_: Any) -> None:
    """A worker starts: its settings, or one sentence for each mistake in them."""
    global _parts
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(str(error))
    conf.broker_url, options = broker(settings.redis_url)
    conf.broker_transport_options = {**conf.broker_transport_options, **options}
    telemetry.configure_logging(settings.log_format, settings.log_level)
    telemetry.start_sentry(settings, "worker")
    _parts = join(settings)


@signals.setup_logging.connect
def _on_setup_logging(**_: Any) -> None:
    """Celery leaves the log as it is: a worker has set it up by now (``_on_init``)."""


@signals.worker_ready.connect
def _on_ready(**_: Any) -> None:
    parts = _joined()
    parts.sweeper.start()
    parts.store.counters.start()
    _probe_now(parts.sync.store)
    announce(parts.sync.store.client, parts.demands)
    log.info("worker ready")


@signals.worker_shutting_down.connect
def _on_shutting_down(**_: Any) -> None:
    if _parts is not None:
        _parts.sweeper.stop()


@signals.worker_shutdown.connect
def _on_shutdown(**_: Any) -> None:
    """The last attempts have ended."""
    if _parts is not None:
        _parts.store.counters.stop()


def _probe_now(store: Store) -> None:
    """Whoever mended the configuration has started its worker again, and need not wait for the next probe."""
    try:
        if store.upstream.probe_now():
            log.warning(LogEvent("the sync is stopped: a probe goes at once"))
    except StoreError as error:
        log.warning("no probe at start: %s", error)
