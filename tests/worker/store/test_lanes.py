"""The lanes of ``due``: what is handed over first, and an operation on changes alone."""

import redis

from tests.invariants import assert_invariants
from tests.life import GONE, NOON, Life
from tests.world import FAILED, World
from worker.actions import BulkAction
from worker.model import State, Work
from worker.store.lists import Filter


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
