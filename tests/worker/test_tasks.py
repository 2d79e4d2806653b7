"""The task: several contacts of one message, in a worker that goes on or stops."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.invariants import assert_invariants
from tests.worker.sync_world import SyncWorld
from worker import tasks
from worker.livedesk.answers import Created
from worker.model import State
from worker.process.activity import Activity
from worker.process.sweeper import Sweeper

EVERYBODY = ("ada", "bob", "cyd")


@pytest.fixture
def world(client: redis.Redis) -> Iterator[SyncWorld]:
    world = SyncWorld(client)
    for name in EVERYBODY:
        world.submit(name, email=f"{name}@example.com", phone_number=None)
    yield world
    assert world.livedesk.answers == [], "LiveDesk was not asked all that was expected"
    assert_invariants(client)


@pytest.fixture
def parts(world: SyncWorld, monkeypatch: pytest.MonkeyPatch) -> tasks.Parts:
    activity = Activity("host", 7)
    sweeper = Sweeper(world.store, activity=activity, keep_created_ms=1)
    settings: Any = None
    made = tasks.Parts(settings, world.store, world.make_sync(), sweeper, activity)
    monkeypatch.setattr(tasks, "_parts", made)
    return made


def run(world: SyncWorld) -> list[State]:
    tasks.create_contact(" ".join(map(world.key, EVERYBODY)))
    return [world.record(name).state for name in EVERYBODY]


@pytest.mark.usefixtures("parts")
def test_each_contact_of_a_message_is_logged(world: SyncWorld, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        world.expect(create=Created(str(number), 200))
    with caplog.at_level(logging.INFO):
        assert run(world) == [State.CREATED] * 3
    lines = [record.getMessage() for record in caplog.records if record.name == "worker.tasks"]
    assert [line.split()[:3] for line in lines] == [
        ["attempt", f"key={world.key(name)}", "state=created"] for name in EVERYBODY
    ]


@pytest.mark.usefixtures("parts")
def test_a_bug_at_one_contact_leaves_the_others_alone(world: SyncWorld, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ZeroDivisionError("ada@example.com")

    world.expect(create=Created("1", 200))
    world.expect(create=fail)
    world.expect(create=Created("3", 200))
    assert run(world) == [State.CREATED, State.SENDING, State.CREATED]
    assert "bug error=ZeroDivisionError" in caplog.text
    assert "ada@example.com" not in "".join(record.getMessage() for record in caplog.records)


def test_a_worker_that_stops_ends_its_attempt_and_begins_no_other(world: SyncWorld, parts: tasks.Parts) -> None:
    def stop() -> Created:
        parts.sweeper.stop()
        return Created("1", 200)

    world.expect(create=stop)
    assert run(world) == [State.CREATED, State.PENDING, State.PENDING]
    assert world.due("bob") is not None
