"""Log lines: an event and its fields, as logfmt or as JSON.

``log.info(LogEvent("attempt", key=key, state=state))``
"""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

LOGFMT = "%(asctime)s %(levelname)s %(name)s %(message)s"
#: What logfmt writes without quotes: visible ASCII except ``"`` and ``=``.
PLAIN = re.compile(r"[!#-<>-~]+")


class LogEvent:
    """An event and its fields; as text it is logfmt.

    Fields that are ``None`` are left out. Fields contain no personal data and no secret.
    """

    def __init__(self, event: str, **fields: Any) -> None:
        self.event = event
        self.fields = {name: value for name, value in fields.items() if value is not None}

    def __str__(self) -> str:
        return " ".join([self.event, *(f"{name}={_quoted(value)}" for name, value in self.fields.items())])


def _quoted(value: object) -> str:
    text = str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, event, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        event = record.msg if isinstance(record.msg, LogEvent) else LogEvent(record.getMessage())
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": event.event,
            **event.fields,
        }
        return json.dumps(document, default=str)
