"""The messages of our scripts are Celery's own: stock workers and tools agree."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection

from tests.rig.parts import ROOT, STAND_IN_ACCOUNT, bare_environment
from tests.rig.processes import (
    LOCALHOST,
    Process,
    free_port,
    has_logged,
)
from tests.rig.valkey import Valkey
from tests.world import wait_until
from worker.app import app
from worker.model import Contact, Origin
from worker.process.envelope import build_envelope
from worker.store import keys
from worker.store.connection import connect
from worker.store.queue import GRACE_MS
from worker.store.store import Store
from worker.tasks import create_contact

#: What ``celery events --dump`` says of a task that has been run.
SUCCEEDED = "task succeeded: worker.create_contact"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "valkey", port=free_port()) as server:
        yield server


@pytest.fixture
def client(valkey: Valkey) -> Iterator[redis.Redis]:
    client = connect(valkey.url, timeout_s=5)
    yield client
    client.close()


@pytest.fixture
def store(client: redis.Redis) -> Store:
    return Store(client, build_envelope(create_contact), lease_ms=1)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Where the stock worker notes what it ran."""
    path = tmp_path / "runs"
    path.touch()
    return path


def celery(name: str, *arguments: str, valkey: Valkey, runs: Path, ready: str, app: str = "stock_app") -> Process:
    """A ``celery`` command with the stock app; ready once it has said so."""
    env = {**bare_environment(), "REDIS_URL": valkey.url, "RUNS": str(runs)}
    command = [sys.executable, "-m", "celery", "--app", f"tests.e2e.{app}", *arguments]
    return Process(name, command, log=runs.with_name(f"{name}.log"), env=env, cwd=ROOT, ready=has_logged(ready))


def stock_worker(valkey: Valkey, runs: Path, *options: str) -> Process:
    arguments = ("worker", "--loglevel", "INFO", *options)
    return celery("stock worker", *arguments, valkey=valkey, runs=runs, ready=" ready.")


def events(valkey: Valkey, runs: Path) -> Process:
    """``celery events``, ready once it has heard a worker's heartbeat."""
    return celery("events", "events", "--dump", valkey=valkey, runs=runs, ready=" heartbeat: ")


def test_a_stock_worker_runs_what_accept_and_sweep_push_and_its_events_show_it(
    valkey: Valkey, client: redis.Redis, store: Store, runs: Path
) -> None:
    with stock_worker(valkey, runs, "-E"), events(valkey, runs) as dump:
        store.contacts.accept(Contact("user-42"), Origin("signup"))
        wait_until(lambda: len(runs.read_text().splitlines()) == 1, "what accept has pushed has been run")
        store.shift_ms = GRACE_MS + 1
        assert store.queue.sweep().handed == 1
        wait_until(lambda: len(runs.read_text().splitlines()) == 2, "what sweep has pushed has been run")
        wait_until(lambda: dump.log_text().count(SUCCEEDED) == 2, "the events show both")

    key = store.key_of("user-42")
    assert [json.loads(line) for line in runs.read_text().splitlines()] == [[[key], {}]] * 2
    assert key in dump.log_text()
    assert client.llen(keys.QUEUE) == 0


def test_our_worker_reports_them_when_its_task_events_are_on(valkey: Valkey, store: Store, runs: Path) -> None:
    nowhere = {"LIVEDESK_BASE_URL": f"http://{LOCALHOST}:{free_port()}"}
    ours = Process(
        "our worker",
        [sys.executable, "-m", "celery", "--app", "worker.app", "worker", "--pool", "threads", "-E"],
        log=runs.with_name("worker.log"),
        env={**bare_environment(), **STAND_IN_ACCOUNT, **nowhere, "REDIS_URL": valkey.url},
        cwd=ROOT,
        ready=has_logged("worker ready"),
    )
    with ours, events(valkey, runs) as dump:
        store.contacts.accept(Contact("user-42"), Origin("signup"))
        wait_until(lambda: SUCCEEDED in dump.log_text(), "the events show the task")


def test_the_envelope_is_what_apply_async_writes(valkey: Valkey, client: redis.Redis) -> None:
    with Connection(valkey.url, transport_options=app.conf.broker_transport_options) as connection:
        publish: Any = create_contact.apply_async
        publish(args=["the-key"], task_id="the-id", connection=connection)
    published = json.loads(str(client.rpop(keys.QUEUE)))
    ours = json.loads(build_envelope(create_contact).message("the-key", "the-id"))

    assert published["properties"].pop("delivery_tag")
    assert ours["properties"].pop("delivery_tag") == "the-id"
    assert ours == published


def test_no_two_messages_have_an_id_in_common(client: redis.Redis, store: Store) -> None:
    for number in range(20):
        store.contacts.accept(Contact(f"user-{number}"), Origin("signup"))
    store.shift_ms = GRACE_MS + 1
    store.queue.sweep()
    store.shift_ms = 2 * (GRACE_MS + 1)
    store.queue.sweep()

    messages: Any = client.lrange(keys.QUEUE, 0, -1)
    envelopes = [json.loads(message) for message in messages]
    assert len(envelopes) == 60
    assert len({envelope["headers"]["id"] for envelope in envelopes}) == 60
    for envelope in envelopes:
        task_id = envelope["headers"]["id"]
        assert envelope["headers"]["root_id"] == task_id
        assert envelope["properties"]["correlation_id"] == task_id
        assert envelope["properties"]["delivery_tag"] == task_id
