"""The lanes of ``due``: what is handed over first, and an operation on changes alone."""

from dataclasses import replace
from functools import partial

import pytest
import redis
from msgspec import structs

from tests.invariants import assert_invariants
from tests.life import GONE, NOON, Life
from tests.worker.store.simulation import Simulation
from tests.world import ADA, FAILED, HOUR_MS, LEASE_MS, RETRYING, World
from worker.actions import BulkAction, Command
from worker.model import State, Work
from worker.store import keys
from worker.store.lists import Filter
from worker.store.queue import QUEUE_BOUNDS


def test_deletions_go_before_changes_and_both_after_retries(client: redis.Redis) -> None:
    world = World(client)
    changed, gone = Life(world, "changed", "8"), Life(world, "gone", "9")
    for life in (changed, gone):
        life.signs_up()
    changed.changes()
    world.advance(1000)
    gone.is_deleted()
    world.bring("failed", FAILED)
    world.store.contacts.retry_now(world.key("failed"))
    world.store.queue.sweep("worker")
    assert world.queue() == [world.key(name) for name in ("failed", "gone", "changed")]
    assert_invariants(client)


def test_an_operation_moves_only_the_work_of_its_filter(client: redis.Redis) -> None:
    world = World(client)
    world.bring("new-one", FAILED)
    changed = Life(world, "changed", "8")
    changed.signs_up()
    changed.changes(at=NOON)
    changed.ends(FAILED)
    wanted = Filter(state=State.FAILED, work=Work.UPDATE)
    operation = world.operations.open(BulkAction.RETRY, wanted, who="ada", why="", total=1)
    while world.operations.step():
        pass
    found = world.operations.read(operation)
    assert found is not None
    assert (found.filter, found.moved, found.skipped) == (wanted, 1, 1)
    assert [world.record(name).state for name in ("new-one", "changed")] == [State.FAILED, State.RETRYING]
    assert_invariants(client)


def test_a_conflict_of_a_change_is_listed_as_one(client: redis.Redis) -> None:
    world = World(client)
    changed = Life(world)
    changed.signs_up()
    changed.changes()
    changed.ends(GONE)
    [row] = world.lists.page(Filter(cause="contact_gone")).rows
    assert (row.state, row.work, row.contact_id) == (State.CONFLICT, Work.UPDATE, "7")
    assert world.lists.page(Filter(cause="contact_gone", work=Work.CREATE)).rows == []


# The lane of operators

ALL_FAILED = Filter(state=State.FAILED)


def lane_of(world: World, identifier: str = "ada") -> float:
    score = world.due(identifier)
    assert score is not None
    return score // keys.LANE


@pytest.fixture
def crowded(client: redis.Redis) -> Simulation:
    """3,000 imports, 500 retries that are due and 500 new signups; 60 that failed."""
    crowd = Simulation(client)
    crowd.arrive_tried([f"failed-{number}" for number in range(60)], FAILED)
    crowd.arrive_tried([f"retry-{number}" for number in range(500)])
    crowd.turn(HOUR_MS)
    crowd.arrive([f"import-{number}" for number in range(3000)], bulk=True)
    crowd.arrive([f"new-{number}" for number in range(500)])
    crowd.run(3000)
    return crowd


def test_a_canary_is_attempted_within_seconds_whatever_waits(crowded: Simulation) -> None:
    operation = crowded.operations.open(BulkAction.RETRY, ALL_FAILED, who="ada", why="", total=60, canary=True)
    canary = {crowded.key(f"failed-{number}") for number in range(60)}

    def attempted() -> int:
        return len(canary & crowded.attempted.keys())

    assert crowded.run_until(attempted, within_ms=3000)
    assert crowded.run_until(lambda: attempted() >= 11, within_ms=8000)
    crowded.run(10_000)
    assert attempted() == 11, "the other 49 wait behind everybody else"
    found = crowded.operations.read(operation)
    assert found is not None
    assert (found.moved, found.recovered) == (60, 11)
    assert_invariants(crowded.client)


def test_what_an_operator_retries_goes_at_once_and_leaves_new_signups_half_of_the_pace(crowded: Simulation) -> None:
    new = {crowded.key(f"new-{number}") for number in range(500)}
    clicked = {crowded.key(f"failed-{number}") for number in range(60)}
    before = len(new & crowded.attempted.keys())
    for key in clicked:
        crowded.store.contacts.retry_now(key, who="ada")
    crowded.run_until(lambda: clicked & crowded.attempted.keys(), within_ms=2000)
    crowded.run(8000)
    assert 30 <= len(clicked & crowded.attempted.keys()) <= 55
    assert len(new & crowded.attempted.keys()) - before >= 35


@pytest.mark.parametrize("waiting", ["imports", "operators", "retries"])
def test_a_new_signup_waits_for_nobody(client: redis.Redis, waiting: str) -> None:
    crowd = Simulation(client)
    failed = crowd.arrive_tried([f"failed-{number}" for number in range(150)], FAILED)
    if waiting == "retries":
        crowd.arrive_tried([f"retry-{number}" for number in range(200)])
        crowd.turn(HOUR_MS)
    crowd.arrive([f"import-{number}" for number in range(300)], bulk=True)
    if waiting != "imports":
        for key in failed:
            crowd.store.contacts.retry_now(key, who="ada")
    crowd.run(2000)
    for number in range(8):
        [late] = crowd.arrive([f"late-{number}"])
        crowd.run_until(partial(crowd.has_sent, late), within_ms=2000)


def test_the_lane_of_operators_is_bounded(client: redis.Redis) -> None:
    world = World(client)
    for number in range(103):
        world.bring(f"person-{number}", FAILED)
        world.store.contacts.retry_now(world.key(f"person-{number}"))
    assert [lane_of(world, f"person-{number}") for number in (0, 99, 100, 102)] == [6, 6, 1, 1]
    assert_invariants(client)


def test_a_contact_leaves_the_lane_of_operators_with_its_next_attempt(client: redis.Redis) -> None:
    world = World(client)
    world.bring("ada", FAILED)
    world.store.contacts.retry_now(world.key())
    assert lane_of(world) == 6
    world.finish(world.claim(), replace(RETRYING, delay_ms=1))
    assert lane_of(world) == 1
    assert "ahead" not in world.fields()


def test_what_is_paused_meanwhile_stays_in_the_lane_of_operators(client: redis.Redis) -> None:
    world = World(client)
    world.bring("ada", FAILED)
    world.store.contacts.retry_now(world.key())
    world.store.upstream.pause("ada", "")
    assert world.store.contacts.claim(world.key(), "token") is None
    assert lane_of(world) == 6
    assert_invariants(client)


def test_what_an_operator_retries_passes_a_long_queue(client: redis.Redis) -> None:
    world = World(client)
    world.bring("ada", FAILED)
    for number in range(900):
        world.accept(structs.replace(ADA, identifier=f"new-{number}"))
    world.store.queue.sweep("worker")
    assert len(world.queue()) > QUEUE_BOUNDS[2], "the queue is long"
    world.store.contacts.retry_now(world.key())
    world.store.queue.sweep("worker")
    assert world.queue()[0] == world.key()


def test_a_contact_whose_worker_dies_stays_in_the_lane_of_operators(client: redis.Redis) -> None:
    world = World(client)
    world.bring("ada", FAILED)
    world.store.contacts.retry_now(world.key())
    world.claim()
    world.advance(LEASE_MS + 1)
    assert lane_of(world) == 6
    world.finish(world.claim(), replace(RETRYING, delay_ms=1))
    assert lane_of(world) == 1


def test_an_undone_operation_leaves_nobody_in_the_lane_of_operators(client: redis.Redis) -> None:
    world = World(client)
    world.bring("ada", RETRYING)
    operation = world.operations.open(
        BulkAction.RETRY, Filter(state=State.RETRYING), who="a", why="", total=1, canary=True
    )
    world.operations.step()
    assert lane_of(world) == 6
    world.operations.command(operation, Command.UNDO)
    world.operations.step()
    assert lane_of(world) == 1
    assert "ahead" not in world.fields()
    assert_invariants(client)
