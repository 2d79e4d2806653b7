"""What libraries may write to the log: known messages, and where others came from.

The text of a library's message may quote a URL, a body or an error, and so a person or a secret. ``guard`` therefore
rewrites every record that is not a ``LogEvent`` when it is made, before any handler or Sentry sees it
(docs/adr/0038-libraries-do-not-write.md).
"""

import logging
import re
import sys
import threading
import warnings
from types import TracebackType
from typing import Any, TextIO

from worker.errors import LiveDeskError, StoreError
from worker.log_events import LogEvent

log = logging.getLogger(__name__)

#: Messages that are known, by the first part of the logger's name: a pattern for the whole text before its arguments
#: are inserted, and the event that is logged for it. ``None`` keeps the text; "" drops the message.
KNOWN: dict[str, tuple[tuple[re.Pattern[str], str | None], ...]] = {
    "celery": (
        (re.compile(r"%s ready\."), "celery ready"),
        (re.compile(r"Connected to %s"), "queue connected"),
        (re.compile(r"%s \(%r\)"), "queue connection lost"),
        (re.compile(r"consumer: Cannot connect to %s: %s\.\n%s\n"), "queue unreachable"),
        (re.compile(r"Frequent restarts detected: %r"), "queue connection lost often"),
    ),
    "_granian": (
        (re.compile(r"Starting granian \(main PID: \d+\)"), None),
        (re.compile(r"Listening at: (https?://[\w.:\[\]]+|unix:\S+)"), None),
        (re.compile(r"Spawning worker-\d+ with (PID|TID): \d+"), None),
        (re.compile(r"(Started|Stopping|Stopping old|Stopped|Stopped old|Respawning) worker-\d+"), None),
        (re.compile(r"Killing (old )?worker-\d+ after it refused to gracefully stop"), None),
        (re.compile(r"Unexpected exit from worker-\d+"), None),
        (re.compile(r"Worker crash loop detected, exiting"), None),
        (re.compile(r"Shutting down granian|Granian shutdown completed, see ya!"), None),
        # Its advice about the number of threads, which was measured.
        (re.compile(r".* seems quite high.*", re.DOTALL), ""),
    ),
}
#: Errors whose text is ours and names no person, and the module of more of them.
OUR_ERRORS = (LiveDeskError, StoreError)
OUR_MODULE = "worker.store.tls"
#: Attributes of a record that may quote what the message is about.
QUOTING = ("exc_info", "exc_text", "stack_info")
#: The mark of a record that is not worth a line.
NOISE = "livedesk_sync_noise"

_make_record = logging.LogRecord


def guard() -> None:
    """Let libraries write only through us, in this process."""
    logging.setLogRecordFactory(_record)
    # Otherwise a handler that fails prints the record's arguments.
    logging.raiseExceptions = False
    logging.lastResort = None
    warnings.showwarning = _show_warning
    sys.excepthook = _crashed
    sys.unraisablehook = _failed_unseen
    threading.excepthook = _thread_crashed


def is_worth_a_line(record: logging.LogRecord) -> bool:
    """Filter of our handler: rewrite what did not pass the factory, and drop noise."""
    rewrite(record)
    return not getattr(record, NOISE, False)


def rewrite(record: logging.LogRecord) -> None:
    """Remove from a record all that is not ours. A second time changes nothing."""
    if not isinstance(record.msg, LogEvent):
        record.name = record.name or ""  # ``logging.makeLogRecord`` fills it in later
        event = _known_event(record)
        record.name = _name_of_module(record.name)
        is_noise = event == "" or (event is None and (record.levelno or 0) < logging.WARNING)
        setattr(record, NOISE, is_noise)
        record.msg = _of_library(record, event or "library message")
    record.args = ()
    for name in QUOTING:
        setattr(record, name, None)


def place_of(error: BaseException) -> str | None:
    """Return the file and line that raised an error."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else None


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = _make_record(*args, **kwargs)
    rewrite(record)
    return record


def _known_event(record: logging.LogRecord) -> str | None:
    """Return the event of a known message, "" if it is dropped, or ``None``."""
    text = record.msg if isinstance(record.msg, str) else ""
    for pattern, event in KNOWN.get(record.name.partition(".")[0], ()):
        if pattern.fullmatch(text):
            return text if event is None else event
    return None


def _of_library(record: logging.LogRecord, event: str) -> LogEvent:
    error = _error_in(record)
    if error is None:
        where = f"{record.pathname}:{record.lineno}" if event == "library message" else None
        return LogEvent(event, at=where)
    is_ours = isinstance(error, OUR_ERRORS) or type(error).__module__ == OUR_MODULE
    reason = str(error) if is_ours else None
    return LogEvent(event, error=type(error).__name__, reason=reason, at=place_of(error))


def _error_in(record: logging.LogRecord) -> BaseException | None:
    """Return the error that a message is about, if it has one."""
    args = record.args if isinstance(record.args, tuple) else ()
    raised = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return raised or next((arg for arg in args if isinstance(arg, BaseException)), None)


def _name_of_module(name: str) -> str:
    """Return the longest beginning of a logger's name that is a module's name.

    Nothing else about it is certain: a library may build names from what it works on.
    """
    while name and name not in sys.modules and name not in KNOWN:
        name = name.rpartition(".")[0]
    return name or "library"


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    log.warning(LogEvent("library warning", kind=category.__name__, at=f"{filename}:{lineno}"))


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical(LogEvent("crash", error=kind.__name__, at=place_of(error)))


def _thread_crashed(crash: threading.ExceptHookArgs) -> None:
    place = place_of(crash.exc_value) if crash.exc_value else None
    log.critical(LogEvent("thread crash", error=crash.exc_type.__name__, at=place))


def _failed_unseen(failure: Any) -> None:
    """Log an error that nobody can catch, such as one in a destructor."""
    place = place_of(failure.exc_value) if failure.exc_value else None
    log.error(LogEvent("error ignored", error=failure.exc_type.__name__, at=place))
