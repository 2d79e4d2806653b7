"""Messages that name several contacts: only where many are due, and within the bounds of the queue."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.invariants import assert_invariants
from tests.world import FAILED, World
from worker.model import Contact, Origin, Signup, UpstreamPolicy
from worker.store import keys
from worker.store.queue import GRACE_MS, KEYS_PER_MESSAGE, MAX_SWEPT, QUEUE_BOUNDS, UNHURRIED_RATE


@pytest.fixture
def world(client: redis.Redis) -> Iterator[World]:
    world = World(client)
    yield world
    assert_invariants(client)


def due(world: World, number: int, *, name: str = "contact", bulk: bool = False) -> list[str]:
    """Return the keys of so many contacts that are due now, the oldest first. The queue is empty."""
    signups = [Signup(Contact(f"{name}-{at}", 1)) for at in range(number)]
    world.store.contacts.accept_all(signups, Origin("signup"), bulk=bulk)
    world.client.delete(keys.QUEUE)
    world.advance(GRACE_MS)
    return [world.key(signup.contact.identifier) for signup in signups]


def messages(world: World) -> list[list[str]]:
    """Return the keys that each message in the queue names, next one first."""
    found: Any = world.client.lrange(keys.QUEUE, 0, -1)
    return [message.split()[:-1] for message in reversed(found)]


def sweep(world: World) -> int:
    return world.store.queue.sweep("host:7", keys_per_message=KEYS_PER_MESSAGE).handed


def test_where_few_are_due_each_has_a_message(world: World) -> None:
    wanted = due(world, 49)
    assert sweep(world) == 49
    assert sorted(messages(world)) == sorted([key] for key in wanted)


def test_where_many_are_due_they_share_messages_enough_for_all_threads(world: World) -> None:
    wanted = due(world, 110)
    assert sweep(world) == 110
    assert [len(message) for message in messages(world)] == [4] * 27 + [2]
    assert sorted(key for message in messages(world) for key in message) == sorted(wanted)


def test_a_message_names_no_more_than_the_sweep_is_told(world: World) -> None:
    due(world, MAX_SWEPT)
    assert world.store.queue.sweep("host:7", keys_per_message=3).handed == MAX_SWEPT
    assert max(map(len, messages(world))) == 3
    world.client.delete(keys.QUEUE)
    world.advance(GRACE_MS)
    assert sweep(world) == MAX_SWEPT
    assert [len(message) for message in messages(world)] == [KEYS_PER_MESSAGE] * (MAX_SWEPT // KEYS_PER_MESSAGE)


def test_while_many_messages_wait_a_message_names_as_many_as_it_may(world: World) -> None:
    due(world, MAX_SWEPT + 45)
    assert sweep(world) == MAX_SWEPT
    assert len(messages(world)) == 25
    assert sweep(world) == 45, "nothing else is due"
    assert [len(message) for message in messages(world)][-3:] == [20, 20, 5]


def test_room_for_a_few_is_left_until_a_whole_message_fits(world: World) -> None:
    due(world, QUEUE_BOUNDS[1] + 100)
    for _ in range(2):
        sweep(world)
    assert sweep(world) == 0
    world.client.rpop(keys.QUEUE, 2)
    assert sweep(world) == 2 * KEYS_PER_MESSAGE
    assert {len(message) for message in messages(world)} == {KEYS_PER_MESSAGE}


@pytest.mark.parametrize(("rate", "is_shared"), [(UNHURRIED_RATE, False), (UNHURRIED_RATE + 1, True)])
def test_at_a_low_rate_each_contact_has_a_message(client: redis.Redis, rate: float, is_shared: bool) -> None:
    world = World(client, policy=UpstreamPolicy(rate))
    due(world, 300)
    assert sweep(world) >= UNHURRIED_RATE
    assert (max(map(len, messages(world))) > 1) is is_shared


def test_what_an_operator_waits_for_shares_no_message(world: World) -> None:
    for number in range(60):
        world.bring(f"failed-{number}", FAILED)
        world.store.contacts.retry_now(world.key(f"failed-{number}"))
    assert sweep(world) == 60
    assert {len(message) for message in messages(world)} == {1}


def test_the_queue_has_no_more_contacts_than_its_bound(world: World) -> None:
    due(world, QUEUE_BOUNDS[1] + 300)
    handed = [sweep(world) for _ in range(4)]
    assert handed[0] == MAX_SWEPT
    assert sum(handed) <= QUEUE_BOUNDS[1]
    assert sum(map(len, messages(world))) == sum(handed)
    assert handed[-1] == 0
    world.client.rpop(keys.QUEUE, 10)
    assert 0 < sweep(world) <= 10 * KEYS_PER_MESSAGE


def test_bulk_work_waits_while_messages_name_as_many_as_it_may_add(world: World) -> None:
    due(world, MAX_SWEPT)
    assert sweep(world) == MAX_SWEPT
    due_bulk = due(world, 40, name="bulk", bulk=True)
    assert len(due_bulk) == 40
    world.client.delete(keys.QUEUE)
    assert sweep(world) == MAX_SWEPT  # the new contacts, whose messages were lost
    assert len(messages(world)) < QUEUE_BOUNDS[-1]
    assert sweep(world) == 0


def test_the_bound_counts_messages_again_once_those_that_name_several_are_read(world: World) -> None:
    due(world, 2 * MAX_SWEPT + 100)
    assert sweep(world) == MAX_SWEPT
    world.client.rpop(keys.QUEUE, len(messages(world)) - 1)
    assert world.store.queue.sweep().handed == MAX_SWEPT
    assert world.store.queue.sweep().handed == 100
    assert [len(message) for message in messages(world)] == [KEYS_PER_MESSAGE] + [1] * (MAX_SWEPT + 100)


def test_while_the_sync_is_stopped_a_message_names_one_contact(world: World) -> None:
    due(world, MAX_SWEPT)
    world.client.hset(keys.UPSTREAM, mapping={"stop": "down", "stop_cause": "http_503", "probe_at": 0})
    assert sweep(world) == 1
    assert [len(message) for message in messages(world)] == [1]
