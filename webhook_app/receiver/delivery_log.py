"""Logs and counts every answered delivery, without personal data.

What is stored is counted by the store (``counters.Counters.accepted``), everything else here.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from werkzeug.exceptions import HTTPException

from webhook_app.parts import Parts
from webhook_app.sources import Source
from webhook_app.sources.delivery import BadBody, Unauthentic, Undecided, UnknownKey
from worker.errors import StoreError, StoreFull, SyncError, TooLargeToKeep, Unmappable
from worker.log_limit import LogLimit
from worker.model import Status
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: The reason of a refusal that is our fault.
BUG = "bug"
#: Why a delivery to a source is refused.
REASONS = (
    *("unauthentic", "unknown_key", "undecided", "bad_body", "bad_request", "too_large", "too_slow", "wrong_type"),
    "wrong_method",
    *("unmappable", "store_away", "full", BUG),
)
#: The reasons that an HTTP status expresses.
BY_STATUS = {408: "too_slow", 413: "too_large", 415: "wrong_type", 405: "wrong_method"}
#: What was done with a deletion of a source that ignores them, and its counter: ``ignored_deletion:<source>``.
IGNORED_DELETION = "ignored_deletion"
COUNTED_BY_STORE = (Status.ACCEPTED, Status.DUPLICATE)
#: Seconds between two records of the use of one secret.
RECORD_SECRET_EVERY_S = 60.0


class NoSource(SyncError):
    """There is no source with this name."""


class LongerPath(NoSource):
    """The URL goes on after the name of a source."""


#: The reasons of errors: of those that fit, the first.
BY_ERROR: tuple[tuple[type[Exception], str], ...] = (
    (NoSource, "no_source"),
    (Unauthentic, "unauthentic"),
    (UnknownKey, "unknown_key"),
    (Undecided, "undecided"),
    (Unmappable, "unmappable"),
    (TooLargeToKeep, "too_large"),
    (StoreFull, "full"),
    (StoreError, "store_away"),
)


class DeliveryLog:
    """What is recorded about deliveries. ``clock`` is in seconds."""

    def __init__(self, parts: Parts, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.parts = parts
        self.clock = clock
        self._recorded: dict[tuple[str, int], float] = {}
        self._limit = LogLimit(clock=clock)

    def accepted(self, source: str, document: dict[str, Any], counted: Sequence[str], seconds: float) -> None:
        """Record a delivery that was answered with 200 and this document.

        ``counted`` has what was done with each element.
        """
        counters = self.parts.store.counters
        counters.took("accept", seconds)
        for done in counted:
            if done == IGNORED_DELETION:
                counters.add(f"{IGNORED_DELETION}:{source}")
                counters.add(f"delivery:{source}:{Status.IGNORED}")
            elif done not in COUNTED_BY_STORE:
                counters.add(f"delivery:{source}:{done}")
        if not log.isEnabledFor(logging.DEBUG):  # a log line costs a tenth of a delivery
            return
        identifier, elements = document["identifier"], len(counted)
        log.debug(
            LogEvent(
                "delivery",
                source=source,
                result=document["status"],
                reason=document.get("reason"),
                key=self.parts.store.key_of(identifier) if identifier is not None else None,
                duration_ms=round(seconds * 1000, 1),
                elements=elements if elements != 1 else None,
            )
        )

    def refused(self, source: str, error: Exception, status: int, seconds: float) -> None:
        """Record a delivery that was refused.

        All are counted; of equal lines the log has a few each minute, and the number of the others (``left_out``).
        """
        known = source if source in self.parts.sources else ""
        reason = reason_of(error)
        self.parts.store.counters.add(f"refused:{known}:{reason}")
        left_out = self._limit.admit((known, reason))
        if left_out is None:
            return
        is_ours = status >= 500 and not isinstance(error, UnknownKey)
        log.log(
            logging.WARNING if is_ours else logging.INFO,
            LogEvent(
                "delivery",
                source=known,
                result="refused",
                reason=reason,
                status=status,
                duration_ms=round(seconds * 1000, 1),
                why=str(error) if isinstance(error, StoreError) else None,
                left_out=left_out or None,
            ),
        )

    def used_secret(self, source: Source, secret: int) -> None:
        """Record that the secret with this number verified a delivery just now."""
        key, now = (source.name, secret), self.clock()
        is_recent = now - self._recorded.get(key, -RECORD_SECRET_EVERY_S) < RECORD_SECRET_EVERY_S
        if is_recent or secret >= len(source.secret_names):
            return
        self._recorded[key] = now
        try:
            self.parts.store.secret_uses.mark(source.name, source.secret_names[secret])
        except StoreError as error:
            log.warning(LogEvent("secret use not recorded", source=source.name, error=error))


def reason_of(error: Exception) -> str:
    """Return why a delivery was refused: ``no_source`` or one of ``REASONS``."""
    match error:
        case BadBody():
            return BY_STATUS.get(error.status, "bad_body")
        case HTTPException():
            return BY_STATUS.get(error.code or 500, "bad_request")
    return next((reason for kind, reason in BY_ERROR if isinstance(error, kind)), BUG)
