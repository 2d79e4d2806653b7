"""Counts in memory, added to those in Redis now and then."""

import threading
from collections.abc import Mapping

import pytest
import redis

from worker.errors import StoreUnavailable
from worker.process.envelope import Envelope
from worker.store import keys
from worker.store.contacts import Store
from worker.store.counters import Counters
from worker.store.desk import Desk


class MoodyDesk(Desk):
    """A desk that can be told to be away."""

    is_away = False

    def count(self, counted: Mapping[str, int]) -> None:
        if self.is_away:
            raise StoreUnavailable("ConnectionError")
        super().count(counted)


@pytest.fixture
def desk(client: redis.Redis) -> MoodyDesk:
    return MoodyDesk(Store(client, Envelope("@key@"), lease_ms=1))


def counts(client: redis.Redis) -> dict[str, str]:
    found: dict[str, str] = client.hgetall(keys.COUNTS)  # type: ignore[assignment]
    return found


def test_nothing_goes_to_redis_before_a_flush(desk: MoodyDesk, client: redis.Redis) -> None:
    tally = Counters(desk)
    tally.add("refused::no_source")
    tally.add("refused::no_source", 2)
    assert counts(client) == {}
    tally.flush()
    assert counts(client) == {"refused::no_source": "3"}
    tally.flush()
    assert counts(client) == {"refused::no_source": "3"}


def test_a_duration_goes_into_one_bucket_and_the_sum(desk: MoodyDesk, client: redis.Redis) -> None:
    tally = Counters(desk)
    for seconds in (0.0005, 0.001, 0.0011, 0.7, 31.0):
        tally.took("accept", seconds)
    tally.flush()
    assert counts(client) == {
        "accept_ms:1": "2",
        "accept_ms:2": "1",
        "accept_ms:1000": "1",
        "accept_ms:inf": "1",
        "accept_us": "31702600",
    }


def test_what_redis_cannot_take_is_kept(desk: MoodyDesk, client: redis.Redis) -> None:
    tally = Counters(desk)
    tally.add("refused:app:full", 2)
    desk.is_away = True
    tally.flush()
    tally.add("refused:app:full")
    desk.is_away = False
    tally.flush()
    assert counts(client) == {"refused:app:full": "3"}


def test_threads_lose_nothing(desk: MoodyDesk, client: redis.Redis) -> None:
    tally = Counters(desk)

    def work() -> None:
        for number in range(2000):
            tally.add("refused:app:unauthentic")
            if number % 500 == 0:
                tally.flush()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally.flush()
    assert counts(client) == {"refused:app:unauthentic": "8000"}


@pytest.mark.parametrize("is_started", [True, False])
def test_who_stops_adds_what_is_left(is_started: bool, desk: MoodyDesk, client: redis.Redis) -> None:
    tally = Counters(desk)
    if is_started:
        tally.start()
    tally.add("refused:app:bug")
    tally.stop()
    assert counts(client) == {"refused:app:bug": "1"}
