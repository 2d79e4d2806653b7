"""Lines of the log: one event each, to be read by machines, in either form."""

import json
import logging

from hypothesis import example, given
from hypothesis import strategies as st

from worker.events import JsonFormatter, LogEvent


def record(message: object, *args: object) -> logging.LogRecord:
    return logging.LogRecord("worker.tasks", logging.INFO, __file__, 1, message, args, None)


def test_a_line_is_an_event_and_its_fields() -> None:
    assert (
        str(LogEvent("attempt", key="a", state="created", duration_ms=12))
        == "attempt key=a state=created duration_ms=12"
    )


def test_what_is_not_known_is_left_out() -> None:
    assert str(LogEvent("attempt", cause=None, status=0, source="")) == 'attempt status=0 source=""'


@given(st.text())
@example("one\u2028two")
@example('"')
def test_no_value_makes_a_second_line_or_a_second_field(text: str) -> None:
    line = str(LogEvent("attempt", why=text))
    assert len(line.splitlines()) == 1
    value = line.removeprefix("attempt why=")
    assert (json.loads(value) if value.startswith('"') else value) == text
    assert value.startswith('"') or not set(value) & set(' ="')


def test_as_json_it_is_one_object() -> None:
    document = json.loads(JsonFormatter().format(record(LogEvent("attempt", state="created", duration_ms=12))))
    assert document.pop("time").endswith("+00:00")
    assert document == {
        "level": "INFO",
        "logger": "worker.tasks",
        "event": "attempt",
        "state": "created",
        "duration_ms": 12,
    }


def test_as_json_other_lines_are_events_without_fields() -> None:
    document = json.loads(JsonFormatter().format(record("worker %s", "ready\nor not")))
    assert document["event"] == "worker ready\nor not"


def test_as_json_an_error_keeps_its_traceback() -> None:
    told = record("it failed")
    try:
        raise ValueError
    except ValueError as error:
        told.exc_info = (ValueError, error, error.__traceback__)
    assert "ValueError" in json.loads(JsonFormatter().format(told))["exception"]
