"""A Redis that was emptied is noticed, and reported until it is acknowledged."""

import logging
from collections.abc import Callable
from secrets import token_hex
from typing import Any

import pytest
import redis

from tests.world import ADA, CREATED, World, make_store, wait_until
from worker.model import Contact, Origin, Signup, State, Status
from worker.store import keys, watch
from worker.store.store import Store


def emptied_at(client: redis.Redis) -> int:
    return int(client.get(keys.EMPTIED) or 0)


def criticals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]


def by_a_delivery(store: Store) -> None:
    assert store.contacts.accept(ADA, Origin("signup")).status is Status.ACCEPTED


def by_a_batch(store: Store) -> None:
    batch = [Signup(Contact(str(number), 1)) for number in range(3)]
    assert {one.status for one in store.contacts.accept_all(batch, Origin("signup"))} == {Status.ACCEPTED}


def by_a_claim(store: Store) -> None:
    """Another process has accepted somebody since."""
    other = make_store(store.client)
    other.contacts.accept(ADA, Origin("signup"))
    assert store.contacts.claim(other.key_of("ada"), token_hex(8)) is not None


def by_looking(store: Store) -> None:
    store.look_for_loss()


def by_the_readiness_check(store: Store) -> None:
    store.overview.health()


WAYS = [by_a_delivery, by_a_batch, by_a_claim, by_looking, by_the_readiness_check]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_it_is_noticed(way: Callable[[Store], None], client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    store = make_store(client)
    store.contacts.accept(Contact("bob", 1), Origin("signup"))
    assert criticals(caplog) == []
    client.flushall()
    way(store)
    [line] = criticals(caplog)
    assert line.startswith("redis emptied ")
    assert abs(emptied_at(client) - store.now()) < 60_000
    store.look_for_loss()
    assert len(criticals(caplog)) == 1
    stored: Any = client.get(keys.SALT)
    assert store.salt() == stored.encode(), "the salt in use is the one in Redis"


def test_what_was_stored_by_others_is_not_overwritten(client: redis.Redis) -> None:
    """The first who notices says when."""
    stores = [make_store(client) for _ in range(3)]
    for store in stores:
        store.salt()
    client.flushall()
    stores[0].look_for_loss()
    first = emptied_at(client)
    stores[1].shift_ms = 5_000
    stores[1].look_for_loss()
    assert emptied_at(client) == first
    assert {store.salt() for store in stores[:2]} == {stores[0].salt()}


def test_a_switch_to_another_redis_is_noticed(client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    store = make_store(client)
    store.salt()
    client.set(keys.SALT, "another")
    store.look_for_loss()
    assert len(criticals(caplog)) == 1
    assert store.salt() == b"another"


def test_a_first_start_is_no_loss(client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    store = make_store(client)
    store.look_for_loss()
    assert not client.exists(keys.SALT), "looking sets nothing up"
    store.salt()
    store.look_for_loss()
    assert (criticals(caplog), emptied_at(client)) == ([], 0)
    assert "records begin" in caplog.text
    assert abs(int(client.get(keys.SINCE) or 0) - store.now()) < 60_000


def test_a_loss_that_cannot_be_recorded_is_recorded_later(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(client)
    store.salt()
    client.set(keys.SALT, "another")
    client.config_set("maxmemory", 1)
    store.look_for_loss()
    assert emptied_at(client) == 0
    client.config_set("maxmemory", 0)
    store.look_for_loss()
    assert emptied_at(client) > 0


def test_an_attempt_under_way_changes_nothing_afterwards(world: World) -> None:
    world.accept()
    claim = world.claim()
    world.client.flushall()
    assert not world.finish(claim).written
    assert not world.store.contacts.renew(claim)
    assert world.client.keys("*") in ([], [keys.EMPTIED])
    assert world.accept().status is Status.ACCEPTED
    world.finish(world.claim(), CREATED)
    assert world.record().state is State.CREATED


def test_the_watch_notices_it_by_itself(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "INTERVAL_S", 0.05)
    store = make_store(client)
    store.salt()
    store.watch.start()
    client.flushall()
    wait_until(lambda: emptied_at(client) > 0, "it is noticed")
    assert len(criticals(caplog)) == 1
    store.watch.stop()


def test_all_processes_report_it_until_it_is_acknowledged(world: World) -> None:
    world.store.salt()
    world.client.flushall()
    world.store.look_for_loss()
    other = World(world.client)  # another process, which has seen nothing
    ready = other.http.get("/readyz")
    document: Any = ready.json
    assert ready.status_code == 200, "deliveries are accepted"
    assert document["warnings"][0].startswith("Redis was emptied (noticed at 20")
    assert document["records_since"].startswith("20")
    metrics = other.http.get("/metrics").text
    assert "livedesk_sync_redis_emptied 1.0" in metrics
    assert "livedesk_sync_records_since_seconds 1" in metrics
    assert other.store.overview.read().emptied_at == emptied_at(world.client)

    done = other.flask("acknowledge", "--why", "replayed the day")
    assert (done.exit_code, done.output) == (0, "Acknowledged.\n")
    assert other.flask("acknowledge").exit_code == 1
    assert "livedesk_sync_redis_emptied 0.0" in World(world.client).http.get("/metrics").text
    assert World(world.client).http.get("/readyz").json["warnings"] != document["warnings"]  # type: ignore[index]
    assert [entry.did for entry in other.store.audit.page()] == ["acknowledged that Redis was emptied"]
