"""The time to clear, against a drain by the real sweep and algorithm with a turned clock."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import redis

from tests.invariants import assert_invariants
from tests.world import CONFLICT, RETRYING, World
from worker import causes
from worker.errors import Rejected
from worker.estimate import Limit
from worker.livedesk.answers import Created, Person
from worker.model import AttemptResult, Contact, Signal, Unanswered, UpstreamPolicy
from worker.retry import RetryPolicy
from worker.store import keys
from worker.sync import Sync

RATE, LOOK_UPS = 10.0, 100.0
SETTLE_MS = 1000
#: The share by which an estimate may be wrong.
WRONG = 0.2

LOST = replace(RETRYING, cause="answer_timeout", delay_ms=1, unanswered=Unanswered.NOW)


class Office:
    """A LiveDesk that answers at once. Contacts whose names say so are taken by somebody else, or there already."""

    request_limit_s = 35.0

    def create(self, contact: Contact, *, with_attributes: bool = False) -> Created:
        if contact.email and "taken" in contact.email:
            raise Rejected(causes.http(422), fields=frozenset({"email"}), status=422, excerpt="has already been taken")
        return Created("7", 200)

    def look_up(self, identifier: str, before_page: object, clues: object) -> list[Person]:
        return []

    def find_owners(self, field: str, value: str, before_page: object) -> list[Person]:
        return [Person("8", "somebody-else", None, value)]

    def set_identifier(self, contact_id: str, identifier: str) -> int:
        return 200

    def update(self, contact_id: str, changes: Mapping[str, Any]) -> int:
        return 200

    def delete(self, contact_id: str) -> Any:
        raise AssertionError

    def ask(self) -> None:
        """It answers."""


class Drain(World):
    """An installation whose clock moves by what the attempts wait for."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client, policy=UpstreamPolicy(RATE, LOOK_UPS, probe_longest_ms=10_000))
        self.seconds = 0.0
        self.sync = Sync(
            store=self.store,
            livedesk=Office(),
            policy=RetryPolicy(1000, 60_000, 100_000),
            settle_ms=SETTLE_MS,
            rng=random.Random(1),
            clock=lambda: self.seconds,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.advance(seconds * 1000)

    def many(self, name: str, number: int, *results: AttemptResult) -> None:
        for each in range(number):
            contact = Contact(f"{name}-{each}", 1, email=f"{name}-{each}@example.com")
            self.bring(contact, *results) if results else self.accept(contact)

    def turn(self) -> None:
        """Let one worker sweep and bring what it is handed."""
        self.store.queue.sweep("worker")
        while message := self.client.rpop(keys.QUEUE):
            self.sync.bring(str(message).split()[0])

    def second(self) -> None:
        """Let one worker run for a second."""
        until = self.seconds + 1
        while self.seconds < until:
            self.turn()
            self.sleep(0.2)
        self.store.counters.flush()

    def until_clear(self) -> float:
        """Return the seconds until nothing is due any more."""
        began = self.store.now()
        while self.client.zcard(keys.DUE):
            self.second()
            assert self.store.now() - began < 7_200_000
        return (self.store.now() - began) / 1000


@pytest.fixture
def drain(client: redis.Redis) -> Iterator[Drain]:
    drain = Drain(client)
    drain.store.queue.sweep("worker")
    yield drain
    assert_invariants(client)


def only_new(drain: Drain) -> None:
    drain.many("ada", 300)


def lost_answers(drain: Drain) -> None:
    drain.many("ada", 60, LOST)


def some_lost_answers(drain: Drain) -> None:
    drain.many("ada", 150)
    drain.many("bob", 50, LOST)


def conflicts_again(drain: Drain) -> None:
    drain.many("taken", 60, CONFLICT)
    for number in range(60):
        drain.store.contacts.retry_now(drain.key(f"taken-{number}"))


def after_a_stop(drain: Drain) -> None:
    drain.many("eve", 5, replace(RETRYING, signal=Signal.ERROR, delay_ms=1))
    drain.many("ada", 150)
    assert drain.store.upstream.read().stop == "down"
    drain.turn()  # what waited in the queue since before
    drain.sleep(6)
    drain.turn()
    drain.store.counters.flush()
    assert drain.store.upstream.read().state == "up"


def later_ones(drain: Drain) -> None:
    drain.many("ada", 50)
    drain.many("bob", 5, replace(RETRYING, delay_ms=90_000))


MIXES: dict[Callable[[Drain], None], Limit] = {
    only_new: Limit.RATE,
    lost_answers: Limit.LOOK_UPS,
    some_lost_answers: Limit.LOOK_UPS,
    conflicts_again: Limit.LOOK_UPS,
    after_a_stop: Limit.LOWERED,
    later_ones: Limit.RATE,
}


@pytest.mark.parametrize("mix", MIXES, ids=lambda mix: mix.__name__)
def test_the_time_to_clear_is_right(drain: Drain, mix: Callable[[Drain], None]) -> None:
    mix(drain)
    overview = drain.store.overview.read()
    took = drain.until_clear()
    assert overview.limit is MIXES[mix]
    assert overview.clear_s is not None
    assert abs(overview.clear_s - took) <= WRONG * took + 1


def test_a_few_contacts_of_a_lane_are_looked_at_too(drain: Drain) -> None:
    drain.many("ada", 300)
    drain.many("bob", 5, LOST)
    planned = drain.store.overview.read().planned
    assert sum(each.load.contacts for each in planned) == pytest.approx(305)
    assert sum(each.load.look_ups for each in planned) == pytest.approx(5)


def test_conflicts_that_nobody_foresaw_are_expected_after_a_minute(drain: Drain) -> None:
    for part in range(70):
        drain.many(f"taken-{part}", 2)
        drain.many(f"ada-{part}", 4)
    for _ in range(20):
        drain.second()
    overview = drain.store.overview.read()
    took = drain.until_clear()
    assert overview.limit is Limit.LOOK_UPS
    assert overview.clear_s is not None
    assert abs(overview.clear_s - took) <= WRONG * took + 1
