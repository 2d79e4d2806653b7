"""Counts in memory, added to those in Redis now and then."""

import threading
from collections.abc import Mapping

import pytest
import redis

from tests.world import ADA, World
from worker.errors import StoreUnavailable
from worker.model import Contact, Event, OnDelete, Origin, Signup
from worker.store import keys
from worker.store.counters import Counters
from worker.store.store import Store


class MoodyCounters(Counters):
    """Counters whose Redis may be away."""

    is_away = False

    def write(self, counts: Mapping[str, int], totals: Mapping[str, int] | None = None) -> None:
        if self.is_away:
            raise StoreUnavailable("ConnectionError")
        super().write(counts, totals)


@pytest.fixture
def counters(client: redis.Redis) -> MoodyCounters:
    return MoodyCounters(Store(client))


def counts(client: redis.Redis) -> dict[str, str]:
    found: dict[str, str] = client.hgetall(keys.COUNTS)  # type: ignore[assignment]
    return found


def test_nothing_goes_to_redis_before_a_flush(counters: MoodyCounters, client: redis.Redis) -> None:
    counters.add("refused::no_source")
    counters.add("refused::no_source", 2)
    assert counts(client) == {}
    counters.flush()
    assert counts(client) == {"refused::no_source": "3"}
    counters.flush()
    assert counts(client) == {"refused::no_source": "3"}


def test_what_is_stored_is_counted_in_memory(world: World, client: redis.Redis) -> None:
    origin = Origin("shop", on_delete=OnDelete.MARK)
    world.store.contacts.accept(ADA, origin)
    world.store.contacts.accept_all([Signup(ADA), Signup(Contact("bob"))], origin)
    world.store.contacts.accept(Contact("carl"), origin, event=Event(is_deletion=True))
    assert counts(client) == {}
    world.store.counters.flush()
    assert counts(client) == {
        "accepted": "3",
        "delivery:shop:accepted": "3",
        "event:shop:deletion": "1",
        "duplicate": "1",
        "delivery:shop:duplicate": "1",
    }
    assert sum(minute.counts["accepted"] for minute in world.store.overview.flow()) == 3


def test_a_duration_goes_into_one_bucket_and_the_sum(counters: MoodyCounters, client: redis.Redis) -> None:
    for seconds in (0.0005, 0.001, 0.0011, 0.7, 31.0):
        counters.took("accept", seconds)
    counters.flush()
    assert counts(client) == {
        "accept_ms:1": "2",
        "accept_ms:2": "1",
        "accept_ms:1000": "1",
        "accept_ms:inf": "1",
        "accept_us": "31702600",
    }


def test_what_redis_cannot_take_is_kept(counters: MoodyCounters, client: redis.Redis) -> None:
    counters.add("refused:app:full", 2)
    counters.accepted("shop", "accepted", "")
    counters.took("accept", 0.004)
    counters.is_away = True
    counters.flush()
    counters.add("refused:app:full")
    counters.is_away = False
    counters.took("accept", 0.002)
    counters.flush()
    assert counts(client) == {
        "refused:app:full": "3",
        "accepted": "1",
        "delivery:shop:accepted": "1",
        "accept_ms:2": "1",
        "accept_ms:5": "1",
        "accept_us": "6000",
    }


def test_threads_lose_nothing(counters: MoodyCounters, client: redis.Redis) -> None:
    def work() -> None:
        for number in range(2000):
            counters.add("refused:app:unauthentic")
            if number % 500 == 0:
                counters.flush()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counters.flush()
    assert counts(client) == {"refused:app:unauthentic": "8000"}


@pytest.mark.parametrize("is_started", [True, False])
def test_who_stops_adds_what_is_left(is_started: bool, counters: MoodyCounters, client: redis.Redis) -> None:
    if is_started:
        counters.start()
    counters.add("refused:app:bug")
    counters.stop()
    assert counts(client) == {"refused:app:bug": "1"}


def test_a_created_contact_is_counted_in_memory_except_for_the_circuit_breaker(
    world: World, client: redis.Redis
) -> None:
    world.accept()
    assert world.finish(world.claim()).written
    minute = keys.minute(world.now() // 60_000)
    assert (counts(client), client.hgetall(minute)) == ({}, {"ok": "1"})
    assert 0 < int(client.ttl(minute)) <= 25 * 3600
    world.store.counters.flush()
    world.store.counters.flush()
    assert {name: counts(client)[name] for name in ("created", "ok")} == {"created": "1", "ok": "1"}
    assert {name: client.hget(minute, name) for name in ("created", "ok")} == {"created": "1", "ok": "1"}


def test_what_was_created_while_redis_was_away_is_counted_later(counters: MoodyCounters, client: redis.Redis) -> None:
    counters.created()
    counters.is_away = True
    counters.flush()
    counters.is_away = False
    counters.created()
    counters.flush()
    assert counts(client) == {"created": "2", "ok": "2"}
