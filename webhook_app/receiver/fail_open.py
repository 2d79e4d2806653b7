"""Sources with ``blocking = false``: signups never fail because of us (ADR 8).

Supabase's auth hook calls us before it creates a user, and fails the signup unless we answer with success. The
answer is therefore always success; an authentic signup that could not be stored is lost, and reported loudly. Anybody
can send the others: they are counted like the refusals of any source, and nobody is woken up.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from werkzeug.exceptions import HTTPException

from webhook_app.sources import Source
from webhook_app.sources.delivery import Delivery, Unauthentic, Undecided, Unsigned
from worker import telemetry
from worker.errors import StoreError, SyncError
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

T = TypeVar("T")

#: The ``status`` in the answer to a delivery that was lost.
LOST = "lost"
#: The same for one that was not stored because it is not authentic, or cannot be verified now.
REFUSED = "refused"
#: Seconds that Redis may take at most, because the sender gives up after 5.
LIMIT_S = 4.0
#: Seconds in which storing is retried, and between two tries.
RETRY_FOR_S, RETRY_EVERY_S = 1.5, 0.1
#: Seconds between two reports to Sentry about one source.
REPORT_EVERY_S = 60.0
#: Refused as by any other source: without a signature it is not the sender, and no signup waits.
NOT_THE_SENDER = (Unsigned,)

_lock = threading.Lock()
_reported: dict[str, float] = {}


def retry(take: Callable[[], T], *, retry_for_s: float = RETRY_FOR_S, retry_every_s: float = RETRY_EVERY_S) -> T:
    """Call ``take`` until it succeeds, the delivery is at fault, or time is over.

    Raises:
        Exception: what ``take`` raised the last time.
    """
    give_up_at = time.monotonic() + retry_for_s
    while True:
        try:
            return take()
        except StoreError:
            if time.monotonic() + retry_every_s > give_up_at:
                raise
        time.sleep(retry_every_s)


def is_authentic(source: Source, delivery: Delivery | None, error: Exception, now: float) -> bool:
    """Whether the delivery that failed with ``error`` came from the sender.

    Without a ``delivery`` its body was not read. ``now`` is in seconds since the epoch.
    """
    if delivery is None or isinstance(error, Unauthentic | Undecided):
        return False
    try:
        source.verify(delivery, now)
    except Exception:  # noqa: BLE001 - a bug of ours in it proves nothing about the sender either
        return False
    return True


def report(source: str, error: Exception) -> None:
    """Log a signup that was not stored; report to Sentry at most once a minute."""
    kind = type(error).__name__
    if not isinstance(error, SyncError | HTTPException):
        telemetry.report_bug(error)
    log.error(LogEvent("signup lost", source=source, error=kind))
    now = time.monotonic()
    with _lock:
        is_due = now - _reported.get(source, float("-inf")) >= REPORT_EVERY_S
        if is_due:
            _reported[source] = now
    if is_due:
        telemetry.report_new_cause(f"signup_lost_{kind}", LOST)
