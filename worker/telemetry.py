"""Logs and Sentry, without secrets and without personal data.

What libraries log passes through ``library_logs``.

What is sent to Sentry is selected by an allow list: where and what kind of error it was, and our own causes. Messages
of other exceptions are removed, because they quote addresses, bodies and URLs.
"""

import logging
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.redis import RedisIntegration

from worker import library_logs
from worker.causes import THROTTLED
from worker.errors import LiveDeskError, StoreError
from worker.library_logs import place_of
from worker.log_events import LOGFMT as LOGFMT
from worker.log_events import JsonFormatter as JsonFormatter
from worker.log_events import LogEvent as LogEvent
from worker.log_limit import LogLimit
from worker.model import LogFormat

if TYPE_CHECKING:
    from sentry_sdk.types import Breadcrumb, BreadcrumbHint, Event, Hint

log = logging.getLogger(__name__)

#: Loggers that write one or more messages for each task, which are not even built.
QUIET = ("celery.worker.strategy", "celery.app.trace", "celery.pool", "kombu")
#: Errors whose text is ours and names no person.
PLAIN_ERRORS = frozenset(
    each.__name__ for root in (LiveDeskError, StoreError) for each in (root, *root.__subclasses__())
)
#: What changed for all contacts, by ``Finished.change``: the event of the log, and its reason.
SYNC_CHANGES = {
    "down": ("sync stopped", "LiveDesk is down"),
    "misconfigured": ("sync stopped", "LiveDesk rejects our configuration"),
    "hold": ("sync stopped", "LiveDesk accepts no contacts for now"),
    "inbox": ("inbox stopped", "LiveDesk does not know the inbox, or fails for it"),
    "resumed": ("sync resumed", "LiveDesk answers again"),
}
#: How our own messages to Sentry begin.
PLAIN_MESSAGES = ("Redis emptied: ", "New cause: ", "Sync stopped: ", "Inbox stopped: ")
#: The parts of a Sentry event that are kept, apart from its exceptions.
# fmt: off
EVENT_KEYS = {
    "event_id", "timestamp", "level", "platform", "environment", "release", "sdk", "fingerprint", "logger", "type",
}
TAGS = {"component", "cause", "state", "source"}
CRUMB_KEYS = {"timestamp", "type", "category", "level"}
FRAME_KEYS = {
    "filename", "abs_path", "function", "module", "lineno", "in_app", "context_line", "pre_context", "post_context",
}
# fmt: on

#: Bugs that were reported lately.
_bugs = LogLimit()


def configure_logging(log_format: LogFormat = LogFormat.LOGFMT, level: str = "info") -> None:
    """Write one line per event to standard error; libraries write only what we know."""
    library_logs.guard()
    chosen = max(logging.INFO, logging.getLevelName(level.upper()))
    logging.basicConfig(level=chosen, handlers=[handler(log_format)], force=True)
    for name in ("worker", "webhook_app"):
        logging.getLogger(name).setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def handler(log_format: LogFormat) -> logging.Handler:
    """Return the only handler that writes log lines."""
    made = logging.StreamHandler()
    made.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else logging.Formatter(LOGFMT))
    made.addFilter(library_logs.is_worth_a_line)
    return made


def start_sentry(dsn: str | None, environment: str | None, component: str) -> None:
    """Report errors to Sentry if there is a DSN; ``component``: ``web``, ``worker``."""
    if dsn is None:
        return
    # They import Celery and Flask, which the health check of a worker needs not.
    from sentry_sdk.integrations.celery import CeleryIntegration
    from sentry_sdk.integrations.flask import FlaskIntegration

    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        integrations=[
            FlaskIntegration(),
            CeleryIntegration(),
            RedisIntegration(),
            LoggingIntegration(event_level=None),
        ],
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        server_name="",
        # No request to LiveDesk, to an identity provider or to a sender says what our traces are called.
        trace_propagation_targets=[],
        before_send=scrub_event,
        before_breadcrumb=scrub_breadcrumb,
    )
    sentry_sdk.set_tag("component", component)


def report_bug(error: Exception) -> None:
    """Log an unexpected error by its type and place: its text may quote a sender.

    One that anybody can cause fills neither the log nor Sentry: a few of each minute are reported.
    """
    place = place_of(error)
    left_out = _bugs.admit((type(error).__name__, place))
    if left_out is None:
        return
    log.error(LogEvent("bug", error=type(error).__name__, at=place, left_out=left_out or None))
    sentry_sdk.capture_exception(error)


def report_new_cause(cause: str, state: str) -> None:
    """Send one event for a cause that was not seen lately, not one for each contact."""
    _capture(f"New cause: {cause}", "warning", ["cause", cause], cause=cause, state=state)


def report_emptied() -> None:
    """Log that Redis lost everything, and send an event."""
    reason = "its salt is another one than before, so all records are gone"
    log.critical(LogEvent("redis emptied", reason=reason, effect="acknowledged signups are lost"))
    _capture(f"Redis emptied: {reason}", "fatal", ["redis", "emptied"])


def report_sync_change(change: str, cause: str) -> None:
    """Log what changed for all contacts, and send an event if the sync stopped."""
    event, reason = SYNC_CHANGES[change]
    if change == "resumed" or cause == THROTTLED.slug:
        log.warning(LogEvent(event, reason=reason, cause=cause if change != "resumed" else None))
        return
    log.error(LogEvent(event, reason=reason, cause=cause))
    _capture(f"{event.capitalize()}: {reason} ({cause})", "error", ["sync", change, cause], cause=cause)


def _capture(message: str, level: Any, fingerprint: list[str], **tags: str) -> None:
    with sentry_sdk.new_scope() as scope:
        scope.fingerprint = fingerprint
        for name, value in tags.items():
            scope.set_tag(name, value)
        sentry_sdk.capture_message(message, level=level)


def scrub_event(event: "Event", hint: "Hint") -> "Event | None":
    """Remove everything from a Sentry event that could name a person or a secret."""
    whole: dict[str, Any] = dict(event)
    kept = _only(EVENT_KEYS, whole)
    kept["tags"] = _only(TAGS, whole.get("tags"))
    message = whole.get("message") or ""
    if message.startswith(PLAIN_MESSAGES):
        kept["message"] = message
    kept["exception"] = {"values": [_scrub_exception(value) for value in _values(whole.get("exception"))]}
    kept["breadcrumbs"] = {"values": [_only(CRUMB_KEYS, crumb) for crumb in _values(whole.get("breadcrumbs"))]}
    kept["contexts"] = {"trace": _only({"trace_id", "span_id"}, whole.get("contexts", {}).get("trace"))}
    if "/" not in whole.get("transaction", "/"):
        kept["transaction"] = whole["transaction"]
    return kept  # type: ignore[return-value]  # a dict with an event's keys


def scrub_breadcrumb(crumb: "Breadcrumb", hint: "BreadcrumbHint") -> "Breadcrumb | None":
    """Keep that something happened, and when: the rest may quote people."""
    return _only(CRUMB_KEYS, crumb)


def _only(names: set[str], part: Any) -> dict[str, Any]:
    return {name: part[name] for name in part if name in names} if isinstance(part, dict) else {}


def _values(part: Any) -> list[Any]:
    return part.get("values", []) if isinstance(part, dict) else []


def _scrub_exception(exception: dict[str, Any]) -> dict[str, Any]:
    kept = _only({"type", "module"}, exception)
    kept["mechanism"] = _only({"type", "handled"}, exception.get("mechanism"))
    is_plain = exception.get("module") == StoreError.__module__ and exception.get("type") in PLAIN_ERRORS
    kept["value"] = exception.get("value", "") if is_plain else ""
    frames = (exception.get("stacktrace") or {}).get("frames", [])
    kept["stacktrace"] = {"frames": [_only(FRAME_KEYS, frame) for frame in frames]}
    return kept
