"""Signups that are not held up by a fault of ours: see ``blocking`` and ADR 8.

Supabase's auth hook asks us before it creates a user and fails the signup unless we answer well. A source that says
``blocking = false`` is answered well whatever happens; what could not be stored is lost then, loudly.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from werkzeug.exceptions import HTTPException

from webhook_app.sources.verify.delivery import Undecided, Unsigned
from worker import telemetry
from worker.errors import StoreError, SyncError

log = logging.getLogger(__name__)

T = TypeVar("T")

#: The ``status`` that such a delivery is answered with.
LOST = "lost"
#: Seconds for which storing is tried again, and between two tries. The sender gives up after 5.
PATIENCE_S, PAUSE_S = 1.5, 0.1
#: Seconds between two reports to Sentry about one source.
REPORT_EVERY_S = 60.0
#: Refused like by any other source: whoever did not even try to sign is not the sender, and nobody waits.
NOT_THE_SENDER = (Unsigned,)

_lock = threading.Lock()
_reported: dict[str, float] = {}


def patiently(take: Callable[[], T], *, patience_s: float = PATIENCE_S, pause_s: float = PAUSE_S) -> T:
    """What ``take`` gives, which is tried again while only we are to blame and there is time.

    Raises:
        Exception: what ``take`` raised the last time.
    """
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            return take()
        except (StoreError, Undecided):
            if time.monotonic() + pause_s > give_up_at:
                raise
        time.sleep(pause_s)


def report(source: str, error: Exception) -> None:
    """Logs, and now and then reports to Sentry that a signup went through and is not stored."""
    kind = type(error).__name__
    if not isinstance(error, SyncError | HTTPException):
        telemetry.report_bug(error)
    log.error("source=%s a signup was let through and is lost: %s", source, kind)
    now = time.monotonic()
    with _lock:
        is_due = now - _reported.get(source, float("-inf")) >= REPORT_EVERY_S
        if is_due:
            _reported[source] = now
    if is_due:
        telemetry.report_new_cause(f"signup_lost_{kind}", LOST)
