"""No library writes text of its own to the log, whatever its logger, level and message."""

import importlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sentry_sink import Sink, running_sink
from worker.library_logs import KNOWN, NOISE, rewrite
from worker.log_events import LogEvent

ROOT = Path(__file__).parents[2]
SECRET = "zq90secret"
SETTINGS = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(ROOT),
    "LIVEDESK_API_KEY": "a-key",
    "LIVEDESK_API_SECRET": "a-secret",
    "LIVEDESK_INBOX_ID": "1",
    "WEBHOOK_SECRET": "whsec_dGhlLXNlY3JldC1vZi10aGUtdGVzdHMtMDEyMzQ1",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}

#: Imports the program with everything that it uses, and lets every logger, and whatever else writes to standard error,
#: write a secret in every way. The secret is the argument; the number of loggers is printed.
INDISCREET = """
import asyncio, importlib, logging, pkgutil, sys, threading, warnings
import worker, webhook_app
for package in (worker, webhook_app):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name not in ("webhook_app.wsgi", "worker.livedesk.socks"):
            importlib.import_module(module.name)
import authlib.integrations.requests_client, celery.bin.celery, celery.apps.worker, celery.worker.consumer
import flask.logging, granian.server.mp, kombu.transport.redis, phonenumbers, redis, urllib3.connectionpool
import werkzeug.serving, werkzeug._internal
from celery import signals
from worker import telemetry
from worker.settings import load_settings

settings = load_settings()
telemetry.configure_logging(settings.log_format, "debug")
telemetry.start_sentry(settings.sentry_dsn, None, "worker")
secret = sys.argv[1]

class Unfriendly:
    def __str__(self):
        raise ValueError(secret)
    __repr__ = __str__

def write_all(logger, makes_records=True):
    try:
        raise ValueError(secret)
    except ValueError as caught:
        error = caught
    for level in range(10, 60, 10):
        logger.setLevel(1)
        logger.log(level, secret)
        logger.log(level, f"%s and {secret}", secret)
        logger.log(level, "%(one)s", {"one": secret})
        logger.log(level, "an error: %r", error)
        logger.log(level, error, exc_info=error, stack_info=True)
        logger.log(level, "%s", Unfriendly())
        logger.log(level, "%d", secret)
        logger.log(level, "it failed", exc_info=error, extra={"person": secret})
        # What celery and granian write, with arguments that hold the secret.
        for known in ("%s ready.", "Connected to %s", "%s (%r)", "Listening at: http://a:1"):
            logger.log(level, known, *([secret] * known.count("%")))
        if makes_records:
            logger.handle(logging.LogRecord(logger.name, level, "a.py", 1, secret, (), (ValueError, error, None)))
            logger.handle(logging.makeLogRecord({"name": logger.name, "levelno": level, "msg": secret}))

names = [name for name in logging.root.manager.loggerDict]
loggers = [logging.getLogger(), *map(logging.getLogger, names), logging.getLogger("a.new.library"),
           logging.getLogger(f"urllib3.{secret}"), logging.getLogger(secret)]
for logger in loggers:
    write_all(logger)
# A library may bring a handler of its own.
alone = logging.getLogger("library.with.handler")
alone.propagate = False
alone.addHandler(logging.StreamHandler(sys.stdout))
write_all(alone, makes_records=False)
warnings.simplefilter("always")
warnings.warn(secret)
warnings.warn_explicit(secret, UserWarning, "a.py", 1)

def crash():
    raise ValueError(secret)

thread = threading.Thread(target=crash)
thread.start()
thread.join()

class Destructed:
    def __del__(self):
        raise ValueError(secret)

Destructed()

async def main():
    asyncio.get_running_loop().call_soon(crash)
    task = asyncio.ensure_future(asyncio.sleep(0))
    await asyncio.sleep(0.01)
    asyncio.get_running_loop().call_exception_handler({"message": secret, "exception": ValueError(secret)})

asyncio.run(main())
import sentry_sdk
try:
    crash()
except ValueError as error:
    telemetry.report_bug(error)
sentry_sdk.flush(10)
print(len(loggers))
crash()
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Sink]:
    """What a process writes, and what it sends to Sentry, in which everything is indiscreet."""
    with running_sink() as sentry:
        done = subprocess.run(
            [sys.executable, "-c", INDISCREET, SECRET],
            cwd=tmp_path_factory.mktemp("indiscreet"),
            env={**SETTINGS, "SENTRY_DSN": sentry.dsn},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    return done, sentry


def test_no_logger_of_any_library_writes_a_secret(written: tuple[subprocess.CompletedProcess[str], Sink]) -> None:
    done, sentry = written
    assert done.returncode == 1, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 100, "many loggers were tried"
    lines = [line for line in (done.stdout + done.stderr).splitlines() if SECRET in line]
    assert lines == []
    assert sentry.envelopes
    assert not any(SECRET.encode() in envelope for envelope in sentry.envelopes)


@pytest.mark.parametrize(
    "line",
    [
        "WARNING urllib3.connectionpool library message ",
        "ERROR redis",
        "WARNING worker.library_logs library warning kind=UserWarning at=",
        "CRITICAL worker.library_logs thread crash error=ValueError at=<string>:",
        "ERROR worker.library_logs error ignored error=ValueError at=<string>:",
        "ERROR asyncio library message error=ValueError at=<string>:",
        "ERROR worker.telemetry bug error=ValueError at=<string>:",
        "CRITICAL worker.library_logs crash error=ValueError at=<string>:",
        "INFO celery.apps.worker celery ready",
    ],
)
def test_what_happened_and_where_is_still_logged(
    line: str, written: tuple[subprocess.CompletedProcess[str], Sink]
) -> None:
    assert line in written[0].stderr


def record(name: str, text: str, *args: object, level: int = logging.INFO) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "/site-packages/library.py", 7, text, args, None)
    rewrite(made)
    return made


@pytest.mark.parametrize(
    ("name", "text", "args", "event"),
    [
        ("celery.apps.worker", "%s ready.", ("celery@host",), "celery ready"),
        ("celery.worker.consumer.connection", "Connected to %s", ("redis://host//",), "queue connected"),
        (
            "celery.worker.consumer.consumer",
            "%s (%r)",
            ("consumer: Connection to broker lost.", ConnectionError(SECRET)),
            "queue connection lost error=ConnectionError",
        ),
        ("_granian", "Listening at: http://0.0.0.0:8000", (), "Listening at: http://0.0.0.0:8000"),
    ],
)
def test_known_messages_keep_their_meaning(name: str, text: str, args: tuple[object, ...], event: str) -> None:
    made = record(name, text, *args)
    assert (str(made.msg), getattr(made, NOISE)) == (event, False)


def test_celery_still_writes_the_messages_that_we_know() -> None:
    consumer: Any = importlib.import_module("celery.worker.consumer.consumer")
    [pattern] = [pattern for pattern, event in KNOWN["celery"] if event == "queue unreachable"]
    assert pattern.fullmatch(consumer.CONNECTION_ERROR)


def test_unknown_messages_are_noise_below_a_warning() -> None:
    assert getattr(record("kombu", "anything"), NOISE)
    assert getattr(record("_granian", "The number of threads seems quite high.", level=logging.WARNING), NOISE)
    made = record("kombu.connection", SECRET, level=logging.WARNING)
    assert (str(made.msg), getattr(made, NOISE)) == ("library message at=/site-packages/library.py:7", False)


def test_our_own_lines_stay_as_they_are() -> None:
    event = LogEvent("attempt", key="a")
    made = logging.LogRecord("worker.tasks", logging.INFO, __file__, 1, event, (), None)
    rewrite(made)
    assert made.msg is event
    assert json.loads(json.dumps(event.fields)) == {"key": "a"}
