"""Lines of the log that machines read: an event and its fields, written as logfmt or as JSON.

``log.info(LogEvent("attempt", key=key, state=state))``. Fields hold no personal data and no secret; those that are
``None`` are left out.
"""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

#: What logfmt writes as it is: ASCII that can be seen, without ``"`` and ``=``. All else goes between quotes.
PLAIN = re.compile(r"[!#-<>-~]+")


class LogEvent:
    """One event. As text it is logfmt: ``attempt key=... state=created duration_ms=12``."""

    def __init__(self, event: str, **fields: Any) -> None:
        self.event = event
        self.fields = {name: value for name, value in fields.items() if value is not None}

    def __str__(self) -> str:
        return " ".join([self.event, *(f"{name}={_value(value)}" for name, value in self.fields.items())])


def _value(value: object) -> str:
    text = str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339), level, logger, event, and the fields of a ``LogEvent``."""

    def format(self, record: logging.LogRecord) -> str:
        told = record.msg if isinstance(record.msg, LogEvent) else LogEvent(record.getMessage())
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": told.event,
            **told.fields,
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)
