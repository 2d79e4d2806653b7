"""What leaves the process names the error and its place, but no person or secret."""

import gzip
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from hypothesis import example, given
from hypothesis import strategies as st

from worker import telemetry
from worker.log_limit import BURST, LogLimit
from worker.telemetry import (
    CRUMB_KEYS,
    EVENT_KEYS,
    FRAME_KEYS,
    JsonFormatter,
    LogEvent,
    report_bug,
    report_emptied,
    report_sync_change,
    scrub_breadcrumb,
    scrub_event,
    start_sentry,
)

ADA = "ada@example.com"
ROOT = Path(__file__).parents[2]

FRAME = {
    "filename": "livedesk.py",
    "function": "create",
    "module": "worker.livedesk.client",
    "lineno": 7,
    "in_app": True,
}
CRUMB = {"timestamp": "2026-11-22T12:00:00Z", "type": "redis", "category": "redis", "level": "info"}
ABOUT_THE_ERROR = {
    "event_id": "0123",
    "timestamp": "2026-11-22T12:00:00Z",
    "level": "error",
    "platform": "python",
    "environment": "production",
    "tags": {"component": "web"},
    "logger": "worker.sync",
}
#: With personal data in every place where Sentry's own integrations put some.
EVENT: Any = {
    **ABOUT_THE_ERROR,
    "message": f"cannot reach {ADA}",
    "logentry": {"message": "about %s", "params": [ADA], "formatted": f"about {ADA}"},
    "transaction": f"/contacts/{ADA}",
    "server_name": ADA,
    "user": {"email": ADA, "ip_address": "192.0.2.7"},
    "request": {
        "url": f"http://localhost/contacts/{ADA}",
        "query_string": f"q={ADA}",
        "headers": {"Authorization": ADA},
        "cookies": {"session": ADA},
        "data": {"email": ADA},
        "env": {"REMOTE_ADDR": ADA},
    },
    "extra": {"sys.argv": ["flask", "retry", ADA], "celery-job": {"args": [ADA]}},
    "modules": {ADA: "1.0"},
    "spans": [{"description": f"GET {ADA}"}],
    "threads": {"values": [{"name": ADA, "stacktrace": {"frames": [{"vars": {"email": ADA}}]}}]},
    "contexts": {
        "trace": {"trace_id": "aa", "span_id": "bb", "description": ADA, "data": {"url": ADA}},
        "runtime": {"name": ADA},
    },
    "breadcrumbs": {"values": [{**CRUMB, "message": f"HSET {ADA}", "data": {"url": f"/?q={ADA}"}}]},
    "exception": {
        "values": [
            {
                "type": "ConnectionError",
                "module": "requests.exceptions",
                "value": f"Max retries exceeded with url: /?q={ADA}",
                "mechanism": {"type": "generic", "handled": True},
                "stacktrace": {"frames": [{**FRAME, "vars": {"contact": ADA, "self": f"<LiveDesk {ADA}>"}}]},
            }
        ]
    },
}


def test_equal_bugs_are_reported_a_few_times_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(telemetry, "_bugs", LogLimit())
    sent: list[Exception] = []
    monkeypatch.setattr("sentry_sdk.capture_exception", sent.append)
    for _ in range(100):
        report_bug(ValueError(ADA))
    assert (len(sent), len(caplog.records)) == (BURST, BURST)


def test_an_event_keeps_nothing_that_names_a_person() -> None:
    assert ADA not in json.dumps(scrub_event(EVENT, {}))


def test_an_event_keeps_what_and_where_it_was() -> None:
    kept: Any = scrub_event(EVENT, {})
    assert {name: kept[name] for name in ABOUT_THE_ERROR} == ABOUT_THE_ERROR
    (exception,) = kept["exception"]["values"]
    assert (exception["type"], exception["module"]) == ("ConnectionError", "requests.exceptions")
    assert exception["stacktrace"]["frames"] == [FRAME]
    assert kept["breadcrumbs"]["values"] == [CRUMB]
    assert kept["contexts"] == {"trace": {"trace_id": "aa", "span_id": "bb"}}


def test_our_own_messages_are_kept() -> None:
    error = {"type": "AnswerUnknown", "module": "worker.errors", "value": "http_500"}
    event: Any = {
        "message": "New cause: http_500",
        "transaction": "worker.create_contact",
        "exception": {"values": [error]},
    }
    kept: Any = scrub_event(event, {})
    assert (kept["message"], kept["transaction"]) == ("New cause: http_500", "worker.create_contact")
    assert kept["exception"]["values"][0]["value"] == "http_500"


NESTED = st.recursive(
    st.just(ADA), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def anything_but(*names: str) -> st.SearchStrategy[Any]:
    """A dictionary full of personal data under any names but those that may be kept."""
    return st.dictionaries(st.text(max_size=12).filter(lambda name: name not in names), NESTED, max_size=4)


EVENTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("request", "user", "extra", "logentry", "threads", "spans", "server_name", "modules"), NESTED),
        "message": st.just(f"to {ADA}"),
        "transaction": st.just(f"/contacts/{ADA}"),
        "contexts": st.dictionaries(st.just("trace") | st.text(max_size=5), anything_but("trace_id", "span_id")),
        "breadcrumbs": st.fixed_dictionaries({"values": st.lists(anything_but(*CRUMB_KEYS), max_size=3)}),
        "exception": st.fixed_dictionaries(
            {
                "values": st.lists(
                    st.fixed_dictionaries(
                        {"value": st.just(ADA), "thread_id": NESTED},
                        optional={
                            "module": st.sampled_from(["requests.exceptions", "builtins"]),
                            "stacktrace": st.none()
                            | st.fixed_dictionaries({"frames": st.lists(anything_but(*FRAME_KEYS), max_size=3)}),
                        },
                    ),
                    max_size=3,
                )
            }
        ),
    },
)


@given(EVENTS, anything_but(*EVENT_KEYS, "message", "transaction", "contexts", "breadcrumbs", "exception"))
def test_personal_data_is_removed_wherever_it_is(event: Any, more: Any) -> None:
    assert ADA not in json.dumps(scrub_event(more | event, {}))


@given(anything_but(*CRUMB_KEYS))
def test_a_breadcrumb_says_that_something_happened_and_nothing_else(crumb: Any) -> None:
    assert scrub_breadcrumb({**crumb, **CRUMB}, {}) == CRUMB


def test_a_bug_is_logged_by_its_kind_and_place(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError(ADA)
    except ValueError as error:
        report_bug(error)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"bug error=ValueError at={__file__}:")
    assert ADA not in caplog.text


def test_a_bug_without_a_place_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    report_bug(ValueError(ADA))
    assert caplog.messages == ["bug error=ValueError"]


def test_a_stop_is_one_loud_line(caplog: pytest.LogCaptureFixture) -> None:
    report_sync_change("misconfigured", "unauthorized")
    report_sync_change("resumed", "")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", 'sync stopped reason="LiveDesk rejects our configuration" cause=unauthorized'),
        ("WARNING", 'sync resumed reason="LiveDesk answers again"'),
    ]


def test_an_emptied_redis_is_the_loudest_line_and_sentry_gets_its_words(caplog: pytest.LogCaptureFixture) -> None:
    report_emptied()
    [record] = caplog.records
    assert (record.levelname, record.getMessage().startswith("redis emptied ")) == ("CRITICAL", True)
    told: dict[str, Any] = {"message": "Redis emptied: all records are gone", "level": "fatal"}
    kept = scrub_event(told, {})  # type: ignore[arg-type]
    assert kept is not None
    assert (kept["message"], kept["level"]) == (told["message"], "fatal")


def test_the_log_is_json_if_configured() -> None:
    code = "from worker import telemetry, model; import logging; "
    code += "telemetry.configure_logging(model.LogFormat.JSON); telemetry.report_sync_change('down', 'http_503')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    document = json.loads(done.stderr)
    assert (document["event"], document["reason"], document["cause"]) == (
        "sync stopped",
        "LiveDesk is down",
        "http_503",
    )


def test_without_a_dsn_sentry_is_not_started() -> None:
    start_sentry(None, "production", "web")
    assert not sentry_sdk.get_client().is_active()


class Ingest(HTTPServer):
    """Takes what Sentry's own library sends, and keeps it as text."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), IngestHandler)
        self.envelopes: list[str] = []


class IngestHandler(BaseHTTPRequestHandler):
    server: Ingest

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers.get("Content-Encoding") == "gzip"
        self.server.envelopes.append((gzip.decompress(body) if packed else body).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, template: str, *values: object) -> None:
        """Say nothing."""


@pytest.fixture
def ingest() -> Iterator[Ingest]:
    with Ingest() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


#: A process that does all that it can to tell Sentry and its log about a person, who is named in its arguments.
INDISCREET = """
import sys
import sentry_sdk
from worker import telemetry
from worker.errors import StoreUnavailable
from worker.settings import load_settings

telemetry.configure_logging()
settings = load_settings()
telemetry.start_sentry(settings.sentry_dsn, settings.sentry_environment, "worker")
person = sys.argv[1]
sentry_sdk.set_user({"email": person})
sentry_sdk.set_context("person", {"email": person})
sentry_sdk.add_breadcrumb(message=person)
try:
    try:
        raise ValueError(person)
    except ValueError as error:
        raise StoreUnavailable("ConnectionError") from error
except StoreUnavailable as error:
    telemetry.report_bug(error)
telemetry.report_new_cause("http_500", "retrying")
sentry_sdk.flush(10)
"""


def test_sentry_receives_bugs_and_new_causes_but_no_personal_data(ingest: Ingest) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "LIVEDESK_API_KEY": "hunter2-key",
        "LIVEDESK_API_SECRET": "hunter2-secret",
        "SENTRY_DSN": f"http://public@127.0.0.1:{ingest.server_address[1]}/1",
        "SENTRY_ENVIRONMENT": "test",
    }
    command = [sys.executable, "-c", INDISCREET, ADA]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True)
    sent = "\n".join(ingest.envelopes)
    assert ADA not in sent + done.stderr
    assert "hunter2" not in sent + done.stderr
    bug, cause = (event_in(envelope) for envelope in ingest.envelopes)
    assert [error["type"] for error in bug["exception"]["values"]] == ["ValueError", "StoreUnavailable"]
    assert cause["message"] == "New cause: http_500"
    assert (bug["tags"]["component"], cause["tags"]["state"], cause["environment"]) == ("worker", "retrying", "test")
    assert "ERROR worker.telemetry bug error=StoreUnavailable at=<string>:" in done.stderr


#: A process that sends requests as our clients do: with requests, and with urllib. Its argument is the address.
OUTGOING = """
import sys, urllib.request
import requests
from worker import telemetry

telemetry.start_sentry("http://public@127.0.0.1:1/1", None, "web")
requests.get(sys.argv[1], timeout=5)
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=5)
"""


class Listener(HTTPServer):
    """Records the names of the headers of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ListenerHandler)
        self.headers: list[set[str]] = []


class ListenerHandler(IngestHandler):
    server: Listener  # type: ignore[assignment]

    def do_GET(self) -> None:
        self.server.headers.append({name.lower() for name in self.headers})
        self.send_response(200)
        self.end_headers()


def test_other_systems_hear_nothing_of_sentry() -> None:
    with Listener() as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{other.server_address[1]}/"
        try:
            env = {"PATH": os.environ["PATH"]}
            subprocess.run([sys.executable, "-c", OUTGOING, url], cwd=ROOT, env=env, timeout=60, check=True)
        finally:
            other.shutdown()
            thread.join()
    assert len(other.headers) == 2
    assert not any({"sentry-trace", "baggage", "traceparent"} & names for names in other.headers)


def event_in(envelope: str) -> Any:
    """Return the event: an envelope has a header line, then two lines for each item."""
    return json.loads(envelope.splitlines()[2])


# Lines of the log


def record(message: object, *args: object) -> logging.LogRecord:
    return logging.LogRecord("worker.tasks", logging.INFO, __file__, 1, message, args, None)


def test_a_line_is_an_event_and_its_fields() -> None:
    assert (
        str(LogEvent("attempt", key="a", state="created", duration_ms=12))
        == "attempt key=a state=created duration_ms=12"
    )


def test_unknown_fields_are_left_out() -> None:
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
