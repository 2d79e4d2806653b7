"""Logs and Sentry, without secrets and without personal data.

What leaves this process is chosen by a list of what may, not by a list of what may not: an event keeps where and what
kind of error it was, and our own causes. Messages of foreign exceptions go, for they quote addresses, bodies and URLs.
"""

import logging
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.redis import RedisIntegration

from worker.errors import LiveDeskError, StoreUnavailable
from worker.events import JsonFormatter, LogEvent
from worker.model import LogFormat
from worker.settings import Settings

if TYPE_CHECKING:
    from sentry_sdk.types import Breadcrumb, BreadcrumbHint, Event, Hint

log = logging.getLogger(__name__)

LOGFMT = "%(asctime)s %(levelname)s %(name)s %(message)s"
#: Loggers that say for each message what our own line says better, or that quote URLs.
QUIET = ("celery.worker.strategy", "celery.app.trace", "celery.pool", "urllib3", "kombu")
#: Errors whose text is ours and names no person.
PLAIN_ERRORS = (LiveDeskError.__module__, StoreUnavailable.__module__)
#: What changed for all contacts, by ``Finished.turn``.
TURNS = {
    "down": "stopped: LiveDesk is down",
    "misconfigured": "stopped: LiveDesk does not let us in",
    "inbox": "stopped for one inbox: LiveDesk does not know it",
}
#: How the messages that are ours begin.
PLAIN_MESSAGES = ("New cause: ", "Sync ")
#: What an event keeps besides its exceptions.
EVENT_KEYS = (
    "event_id",
    "timestamp",
    "level",
    "platform",
    "environment",
    "release",
    "sdk",
    "fingerprint",
    "logger",
    "type",
)
TAGS = ("component", "cause", "state", "source")
CRUMB_KEYS = ("timestamp", "type", "category", "level")
FRAME_KEYS = (
    "filename",
    "abs_path",
    "function",
    "module",
    "lineno",
    "in_app",
    "context_line",
    "pre_context",
    "post_context",
)


def configure_logging(log_format: LogFormat = LogFormat.LOGFMT, level: str = "info") -> None:
    """One line an event on standard error. Other people's loggers say no more than ``info``."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else logging.Formatter(LOGFMT))
    logging.basicConfig(level=max(logging.INFO, logging.getLevelName(level.upper())), handlers=[handler], force=True)
    for name in ("worker", "webhook_app"):
        logging.getLogger(name).setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def start_sentry(settings: Settings, component: str) -> None:
    """Reports errors to Sentry where ``SENTRY_DSN`` is set; ``component`` is ``web`` or ``worker``."""
    if settings.sentry_dsn is None:
        return
    sentry_sdk.init(
        dsn=settings.sentry_dsn,
        environment=settings.sentry_environment,
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
        before_send=scrub_event,
        before_breadcrumb=scrub_breadcrumb,
    )
    sentry_sdk.set_tag("component", component)


def report_bug(error: Exception) -> None:
    """An error that nobody planned for. Its text may quote what a sender wrote: only its kind and place are logged."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "an unknown place"
    log.error("bug: %s at %s", type(error).__name__, place)
    sentry_sdk.capture_exception(error)


def report_new_cause(cause: str, state: str) -> None:
    """One event for a cause that was not seen lately, not one for each contact."""
    with sentry_sdk.new_scope() as scope:
        scope.fingerprint = ["cause", cause]
        scope.set_tag("cause", cause)
        scope.set_tag("state", state)
        sentry_sdk.capture_message(f"New cause: {cause}", level="warning")


def report_turn(turn: str, cause: str) -> None:
    """What changed for all contacts: one line, and one event where it is bad news."""
    if turn == "resumed":
        log.warning(LogEvent("sync resumed: LiveDesk answers again"))
        return
    log.error(LogEvent(f"sync {TURNS[turn]}", cause=cause))
    with sentry_sdk.new_scope() as scope:
        scope.fingerprint = ["turn", turn, cause]
        scope.set_tag("cause", cause)
        sentry_sdk.capture_message(f"Sync {TURNS[turn]} ({cause})", level="error")


def scrub_event(event: "Event", hint: "Hint") -> "Event | None":
    """The event with nothing in it that could name a person or a secret."""
    kept: Any = {name: event[name] for name in EVENT_KEYS if name in event}  # type: ignore[literal-required]
    tags: Any = event.get("tags")
    kept["tags"] = {name: tags[name] for name in TAGS if name in tags} if isinstance(tags, dict) else {}
    message = event.get("message") or ""
    if message.startswith(PLAIN_MESSAGES):
        kept["message"] = message
    kept["exception"] = {"values": [_scrub_exception(value) for value in _values(event.get("exception"))]}
    kept["breadcrumbs"] = {"values": [scrub_breadcrumb(crumb, {}) for crumb in _values(event.get("breadcrumbs"))]}
    trace = event.get("contexts", {}).get("trace", {})
    kept["contexts"] = {"trace": {name: trace[name] for name in ("trace_id", "span_id") if name in trace}}
    if "transaction" in event and "/" not in event["transaction"]:
        kept["transaction"] = event["transaction"]
    return kept  # type: ignore[no-any-return]


def scrub_breadcrumb(crumb: "Breadcrumb", hint: "BreadcrumbHint") -> "Breadcrumb | None":
    """That something happened, and when; commands, URLs and messages carry what people wrote."""
    return {name: crumb[name] for name in CRUMB_KEYS if name in crumb}


def _values(part: Any) -> list[Any]:
    return part.get("values", []) if isinstance(part, dict) else []


def _scrub_exception(exception: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: exception[name] for name in ("type", "module", "mechanism") if name in exception}
    kept["value"] = exception.get("value", "") if exception.get("module") in PLAIN_ERRORS else ""
    frames = (exception.get("stacktrace") or {}).get("frames", [])
    kept["stacktrace"] = {"frames": [{name: frame[name] for name in FRAME_KEYS if name in frame} for frame in frames]}
    return kept
