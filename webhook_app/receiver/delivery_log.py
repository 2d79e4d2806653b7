"""What is told of each delivery that was answered: one line of the log, and counts. No personal data, and no name that
a stranger made up.

``accepted`` and ``duplicate`` are counted in Redis with the change itself; all else here, in memory
(``worker.store.counters``).
"""

import json
import logging
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException

from webhook_app.sources.body.parse import BadBody
from webhook_app.sources.verify.delivery import Unauthentic, Undecided
from worker.errors import StoreError, StoreFull, SyncError, Unmappable
from worker.events import LogEvent
from worker.model import Status
from worker.store.counters import Counters

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

#: Why a delivery to a source is refused.
REASONS = (
    *("unauthentic", "undecided", "bad_body", "bad_request", "too_large", "wrong_type", "wrong_method", "unmappable"),
    *("store_away", "full", "bug"),
)
#: Some of them by the HTTP status that says so.
BY_STATUS = {413: "too_large", 415: "wrong_type", 405: "wrong_method"}
COUNTED_BY_REDIS = (Status.ACCEPTED, Status.DUPLICATE)


class NoSource(SyncError):
    """There is no source of the name that was asked for."""


class AcceptedResponse:
    """The answer 200, as short as WSGI lets it be: nearly every delivery ends here."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.status: str = document["status"]
        self.identifier: str | None = document["identifier"]
        self.statuses: list[str] = [result["status"] for result in document.get("results", [document])]
        self.body = json.dumps(document).encode()

    def __call__(self, _environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(self.body)))])
        return [self.body]


class DeliveryLog:
    """``sources`` are the names that may be told; ``key_of`` gives the key of the contact with an identifier."""

    def __init__(self, sources: Container[str], tally: Counters, key_of: Callable[[str], str]) -> None:
        self.sources = sources
        self.tally = tally
        self.key_of = key_of

    def taken(self, source: str, answer: AcceptedResponse, seconds: float) -> None:
        self.tally.took("accept", seconds)
        for status in answer.statuses:
            if status not in COUNTED_BY_REDIS:
                self.tally.add(f"delivery:{source}:{status}")
        if not log.isEnabledFor(logging.DEBUG):  # nearly every delivery ends here, and a line costs a tenth of it
            return
        many = len(answer.statuses)
        log.debug(
            LogEvent(
                "delivery",
                source=source,
                result=answer.status,
                key=self.key_of(answer.identifier) if answer.identifier is not None else None,
                duration_ms=round(seconds * 1000, 1),
                elements=many if many != 1 else None,
            )
        )

    def refused(self, source: str, error: Exception, status: int, seconds: float) -> None:
        known = source if source in self.sources else ""
        reason = reason_of(error)
        self.tally.add(f"refused:{known}:{reason}")
        why = str(error) if isinstance(error, StoreError) else None
        level = logging.WARNING if status >= 500 else logging.INFO
        duration_ms = round(seconds * 1000, 1)
        log.log(
            level,
            LogEvent(
                "delivery",
                source=known,
                result="refused",
                reason=reason,
                status=status,
                duration_ms=duration_ms,
                why=why,
            ),
        )


def reason_of(error: Exception) -> str:
    """Why a delivery was refused: ``no_source`` or one of ``REASONS``."""
    match error:
        case NoSource():
            return "no_source"
        case Unauthentic():
            return "unauthentic"
        case Undecided():
            return "undecided"
        case Unmappable():
            return "unmappable"
        case StoreFull():
            return "full"
        case StoreError():
            return "store_away"
        case BadBody():
            return BY_STATUS.get(error.status, "bad_body")
        case HTTPException():
            return BY_STATUS.get(error.code or 500, "bad_request")
    return "bug"
