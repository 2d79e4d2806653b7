"""Attempts for several contacts of one message: who is written when, whatever happens between them."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import Mock

import pytest
import redis

from tests.invariants import assert_invariants
from tests.worker.sync_world import LOST, SyncWorld
from tests.world import CREATED, HOUR_MS
from worker.errors import StoreError, StoreUnavailable
from worker.livedesk.answers import Created
from worker.model import Claim, Note, OnConflict, State
from worker.store import keys
from worker.store.database import source_of
from worker.sync import Ended, Series


@pytest.fixture
def world(client: redis.Redis) -> Iterator[SyncWorld]:
    world = SyncWorld(client)
    for name in ("ada", "bob", "cyd"):
        world.submit(name, email=f"{name}@example.com", phone_number=None)
    yield world
    assert world.livedesk.answers == [], "LiveDesk was not asked all that was expected"
    assert_invariants(client)


@pytest.fixture
def ended() -> list[Ended]:
    return []


@pytest.fixture
def series(world: SyncWorld, ended: list[Ended]) -> Series:
    return Series(world.make_sync(), ended.append)


def created(contact_id: str) -> Created:
    return Created(contact_id, 200)


def states(world: SyncWorld) -> list[State]:
    return [world.record(name).state for name in ("ada", "bob", "cyd")]


def calls(client: redis.Redis) -> int:
    stats: dict[str, dict[str, int]] = client.info("commandstats")
    return sum(each["calls"] for name, each in stats.items() if name in ("cmdstat_evalsha", "cmdstat_eval"))


def test_a_result_is_written_with_the_next_claim(world: SyncWorld, series: Series, ended: list[Ended]) -> None:
    seen: list[list[State]] = []

    def answer() -> Created:
        seen.append(states(world))
        return created(str(len(seen)))

    for name in ("ada", "bob", "cyd"):
        world.expect(create=answer)
        series.bring(world.key(name))
    assert [each.claim.contact.identifier for each in ended] == ["ada", "bob"]
    series.end()
    series.end()
    assert seen == [
        [State.SENDING, State.PENDING, State.PENDING],
        [State.CREATED, State.SENDING, State.PENDING],
        [State.CREATED, State.CREATED, State.SENDING],
    ]
    assert states(world) == [State.CREATED] * 3
    assert [world.record(name).contact_id for name in ("ada", "bob", "cyd")] == ["1", "2", "3"]
    assert all(each.finished.written for each in ended)
    assert len(ended) == 3


def test_contacts_that_are_not_due_are_passed_over(world: SyncWorld, series: Series, ended: list[Ended]) -> None:
    world.expect(create=created("1"))
    series.bring(world.key("ada"))
    series.bring("nobody-has-this")
    assert world.record("ada").state is State.CREATED
    series.bring(world.key("ada"))
    world.expect(create=created("2"))
    series.bring(world.key("bob"))
    series.end()
    assert states(world) == [State.CREATED, State.CREATED, State.PENDING]
    assert len(ended) == 2


def test_an_unusual_result_is_written_before_the_next_claim(
    world: SyncWorld, series: Series, ended: list[Ended]
) -> None:
    world.expect(create=LOST)
    series.bring(world.key("ada"))
    assert states(world) == [State.RETRYING, State.PENDING, State.PENDING]
    assert len(ended) == 1
    world.expect(create=created("2"))
    series.bring(world.key("bob"))
    series.end()
    assert states(world) == [State.RETRYING, State.CREATED, State.PENDING]


def test_a_bug_at_one_contact_stops_no_other(world: SyncWorld, series: Series, ended: list[Ended]) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    world.expect(create=created("1"))
    series.bring(world.key("ada"))
    world.expect(create=fail)
    with pytest.raises(ZeroDivisionError):
        series.bring(world.key("bob"))
    world.expect(create=created("3"))
    series.bring(world.key("cyd"))
    series.end()
    assert states(world) == [State.CREATED, State.SENDING, State.CREATED]
    assert len(ended) == 2


def test_newer_data_that_arrives_during_an_attempt_is_sent_afterwards(world: SyncWorld, series: Series) -> None:
    def answer() -> Created:
        world.submit("ada", email="ada@newer.example", phone_number=None)
        return created("1")

    world.expect(create=answer)
    series.bring(world.key("ada"))
    world.expect(create=created("2"))
    series.bring(world.key("bob"))
    series.end()
    assert states(world) == [State.PENDING, State.CREATED, State.PENDING]
    assert world.record("ada").contact_id == "1"
    assert world.record("ada").changes == ("email",)


def test_who_has_lost_the_lease_writes_nothing(world: SyncWorld, series: Series, ended: list[Ended]) -> None:
    def answer() -> Created:
        world.advance(HOUR_MS)
        world.claim("ada")
        return created("1")

    world.expect(create=answer)
    series.bring(world.key("ada"))
    world.expect(create=created("2"))
    series.bring(world.key("bob"))
    series.end()
    assert [each.finished.written for each in ended] == [False, True]
    assert world.fields("ada")["late_id"] == "1"
    assert states(world) == [State.SENDING, State.CREATED, State.PENDING]


def test_while_redis_is_away_the_result_is_kept_and_the_next_contact_left_alone(
    world: SyncWorld, series: Series, ended: list[Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.expect(create=created("1"))
    series.bring(world.key("ada"))

    def fail(*_: object) -> tuple[object, Claim]:
        raise StoreUnavailable("ConnectionError")

    world.contacts.away = 3
    with monkeypatch.context() as patch:
        patch.setattr(world.contacts, "finish_and_claim", fail)
        with pytest.raises(StoreUnavailable):
            series.bring(world.key("bob"))
    assert states(world) == [State.CREATED, State.PENDING, State.PENDING]
    assert [each.finished.written for each in ended] == [True]


def test_the_scripts_of_a_redis_that_has_forgotten_them_are_sent_again(
    world: SyncWorld, series: Series, client: redis.Redis
) -> None:
    for number, name in enumerate(("ada", "bob", "cyd")):
        world.expect(create=created(str(number + 1)))
        client.script_flush()
        series.bring(world.key(name))
    client.script_flush()
    series.end()
    assert states(world) == [State.CREATED] * 3


def test_a_claim_that_fails_beside_a_result_takes_nothing_from_it(
    world: SyncWorld, series: Series, client: redis.Redis, ended: list[Ended]
) -> None:
    world.expect(create=created("1"))
    series.bring(world.key("ada"))
    record = keys.contact(world.key("bob"))
    client.rename(record, "{lds}:elsewhere")
    client.set(record, "no hash")
    with pytest.raises(StoreError):
        series.bring(world.key("bob"))
    client.rename("{lds}:elsewhere", record)
    assert ended[0].finished.written
    assert states(world) == [State.CREATED, State.PENDING, State.PENDING]


def test_three_contacts_take_four_round_trips(world: SyncWorld, series: Series, client: redis.Redis) -> None:
    trips = 0
    send = world.store.connections._send

    def count(*args: object) -> list[object]:
        nonlocal trips
        trips += 1
        return send(*args)  # type: ignore[arg-type]

    world.store.connections._send = count  # type: ignore[method-assign,assignment]
    for script in ("claim", "finish_created"):  # the first use of a script takes two
        client.script_load(source_of(script))
    before = calls(client)
    for number, name in enumerate(("ada", "bob", "cyd")):
        world.expect(create=created(str(number + 1)))
        series.bring(world.key(name))
    series.end()
    assert (trips, calls(client) - before) == (4, 6)


def test_the_short_script_leaves_what_the_long_one_does(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two contacts with everything that a new record can have, each ended by one of the two."""
    left = []
    for name, is_short in (("ada", True), ("bob", False)):
        client.flushdb()
        world = SyncWorld(client)
        world.submit(name, Note("name", "too long"), visitor=True, unverified=True, on_conflict=OnConflict.KNOWN)
        world.advance(1000)
        client.delete(keys.QUEUE)
        claim = world.claim(name)
        with monkeypatch.context() as patch:
            if not is_short:
                patch.setattr("worker.store.contacts.is_usual", lambda *_: False)
            run = Mock(wraps=world.store.contacts.db.run)
            patch.setattr(world.store.contacts.db, "run", run)
            assert world.finish(claim, replace(CREATED, notes=claim.notes)).written
        assert [call.args for call in run.mock_calls] == [("finish_created" if is_short else "finish",)]
        world.store.counters.flush()
        assert_invariants(client)
        left.append(contents(client, world, name))
    assert left[0] == left[1]


def contents(client: redis.Redis, world: SyncWorld, name: str) -> str:
    """Return all keys with their values, without what differs between two contacts and two moments."""
    key, salt = world.key(name), world.store.salt()
    text = json.dumps([world.snapshot(), client.hgetall(keys.COUNTS)], sort_keys=True, default=sorted)
    for own in (key, salt.decode(), world.record(name).fingerprint, world.store.finder_of_id("7").partition(":")[2]):
        text = text.replace(own, "*")
    return re.sub(r"f:\d+|\d{13}(?:\.\d+)?", "*", text).replace(f'"{name}"', "*")
