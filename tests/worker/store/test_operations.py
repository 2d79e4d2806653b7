"""Lists and operations: moved in chunks, results counted, stopped, undone."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.worker.store.office import CAUSE, CONFLICT, CREATED, FAILED, RETRYING, Office
from worker.actions import BulkAction, Command, OperationState
from worker.model import Attempt, Contact, Origin, State
from worker.store import keys
from worker.store.lists import CHUNK, MAX_SCANNED, Filter
from worker.store.operations import MAX_ACTIVE, NotOpened, Operations
from worker.store.record import stored

ALL_FAILED = Filter(state=State.FAILED)


# Lists


def test_pages_show_everybody_once_the_newest_first(office: Office) -> None:
    made = office.bring_many(60, FAILED)
    rows = office.all_rows(ALL_FAILED)
    assert sorted(row.key for row in rows) == sorted(made)
    assert [row.at for row in rows] == sorted((row.at for row in rows), reverse=True)


def test_pages_go_on_where_times_are_equal(office: Office) -> None:
    made = office.bring_many(CHUNK + 20, FAILED)
    for key in made:
        office.client.zadd(keys.state(State.FAILED), {key: 1_000})
    assert sorted(row.key for row in office.all_rows(ALL_FAILED, limit=7)) == sorted(made)


def test_a_row_that_leaves_shifts_no_other(office: Office) -> None:
    office.bring_many(30, FAILED)
    page = office.store.lists.page(ALL_FAILED, limit=10)
    for row in page.rows:
        office.store.contacts.discard(office.store.key_of(row.identifier))
    rest = office.store.lists.page(ALL_FAILED, after=page.after, limit=100)
    assert len(rest.rows) == 20


def test_a_filter_by_cause_source_attempts_and_time(office: Office) -> None:
    office.bring_many(3, FAILED)
    office.bring_many(2, RETRYING, start=10)
    office.bring_many(4, CONFLICT, source="shop", start=20)
    assert len(office.all_rows(Filter(cause=CAUSE))) == 5
    assert len(office.all_rows(Filter(cause=CAUSE, state=State.RETRYING))) == 2
    assert len(office.all_rows(Filter(state=State.CONFLICT, source="shop"))) == 4
    assert office.all_rows(Filter(state=State.CONFLICT, source="signup")) == []
    assert office.all_rows(Filter(state=State.FAILED, attempts=2)) == []
    now = office.store.now()
    assert office.all_rows(Filter(state=State.FAILED, since=now + 1)) == []
    assert len(office.all_rows(Filter(state=State.FAILED, until=now, since=now - 60_000))) == 3
    assert office.store.lists.count(Filter(cause=CAUSE)).number == 5
    assert office.store.lists.count(Filter(cause=CAUSE, state=State.FAILED)).number == 3
    assert office.store.lists.count(Filter(cause=CAUSE, state=State.FAILED, attempts=1)).number == 3
    assert office.store.lists.by_state(Filter(cause=CAUSE)) == ({State.FAILED: 3, State.RETRYING: 2}, False)
    assert office.store.lists.by_state(Filter(cause=CAUSE, state=State.FAILED)) == ({State.FAILED: 3}, False)
    assert office.store.lists.by_state(Filter(cause="nobody", state=State.FAILED)) == ({}, False)


def test_a_page_looks_at_a_bounded_number_of_records(office: Office) -> None:
    office.bring_many(MAX_SCANNED + 5, FAILED)
    page = office.store.lists.page(Filter(state=State.FAILED, source="nobody"))
    assert (page.rows, page.looked_at) == ([], MAX_SCANNED)
    assert page.after is not None, "and the next page continues from there"
    assert office.store.lists.page(Filter(state=State.FAILED, source="nobody"), after=page.after).after is None


def test_a_filter_needs_something_to_go_by() -> None:
    with pytest.raises(ValueError, match="needs a state or a cause"):
        Filter(source="signup")


@pytest.mark.parametrize("fields", [{"state": "gone"}, {"state": "failed", "since": "x"}, {}])
def test_a_filter_that_makes_no_sense(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Filter.load(fields)


def test_a_place_that_is_none(office: Office) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        office.store.lists.page(ALL_FAILED, after="elsewhere")


def test_a_filter_survives_being_written_down() -> None:
    wanted = Filter(state=State.FAILED, cause=CAUSE, source="shop", since=5, until=9, attempts=2)
    assert Filter.load(wanted.dump()) == wanted


def test_a_broken_record_spoils_no_page(office: Office) -> None:
    key, other = office.bring_many(2, FAILED)
    received_at = stored("received_at")
    received = office.client.hget(keys.contact(key), received_at)
    office.client.hset(keys.contact(key), received_at, "yesterday")
    assert [row.key for row in office.all_rows(ALL_FAILED)] == [other]
    office.client.hset(keys.contact(key), received_at, str(received))


def test_a_contact_is_found_by_all_that_it_is_known_by(office: Office) -> None:
    (key,) = office.bring_many(1, FAILED)
    for text in ("person-0", "PERSON-0@example.com", "+4930000000", key):
        assert office.store.lists.search(text) == [key], text
    assert office.store.lists.search("nobody") == []
    office.store.contacts.retry_now(office.store.key_of("person-0"))
    office.end(key, CREATED)
    assert office.store.lists.search("7") == [key]
    assert office.store.lists.search("person-0@example.com") == [], "its address is no longer kept"


def test_all_who_share_an_address_are_found(office: Office) -> None:
    made = []
    for number in range(3):
        office.store.contacts.accept(Contact(f"same-{number}", email="same@example.com"), Origin("signup"))
        made.append(office.store.key_of(f"same-{number}"))
    office.client.delete(keys.QUEUE)
    assert sorted(office.store.lists.search("same@example.com")) == sorted(made)


# Operations


def test_a_retry_of_all_makes_them_due_behind_all_others(office: Office) -> None:
    made = office.bring_many(250, FAILED)
    operation_id = office.open(ALL_FAILED)
    office.run()
    operation = office.read(operation_id)
    assert (operation.moved, operation.skipped, operation.total) == (250, 0, 250)
    assert office.counts() == {State.RETRYING: 250}
    due: Any = office.client.zrange(keys.DUE, 0, -1, withscores=True)
    scores: dict[str, float] = dict(due)
    assert set(scores) == set(made)
    assert all(2 * keys.LANE <= score < 3 * keys.LANE for score in scores.values())


def test_it_is_done_when_every_contact_has_a_result(office: Office) -> None:
    made = office.bring_many(4, FAILED)
    operation_id = office.open(ALL_FAILED)
    office.run()
    assert office.read(operation_id).state is OperationState.RUNNING
    office.end(made[0], CREATED)
    office.end(made[1], FAILED)
    office.end(made[2], CONFLICT)
    office.store.contacts.discard(office.store.key_of("person-3"))
    office.run()
    operation = office.read(operation_id)
    assert operation.state is OperationState.DONE
    assert (operation.recovered, operation.same, operation.again, operation.left) == (1, 1, 1, 1)


def test_a_filtered_retry_touches_only_what_the_filter_shows(office: Office) -> None:
    office.bring_many(3, FAILED)
    office.bring_many(2, FAILED, source="shop", start=10)
    office.bring_many(2, CONFLICT, start=20)
    operation_id = office.open(Filter(cause=CAUSE, source="shop"))
    office.run()
    operation = office.read(operation_id)
    assert (operation.moved, operation.skipped) == (2, 3)
    assert office.counts() == {State.FAILED: 3, State.RETRYING: 2, State.CONFLICT: 2}


def test_who_comes_later_is_not_meant(office: Office) -> None:
    office.bring_many(2, FAILED)
    operation_id = office.open(ALL_FAILED)
    office.store.shift_ms += 1000
    office.bring_many(1, FAILED, start=10)
    office.run()
    assert office.read(operation_id).moved == 2
    assert office.counts()[State.FAILED] == 1


def test_a_manual_retry_spends_no_automatic_budget(office: Office) -> None:
    (key,) = office.bring_many(1, FAILED)
    office.open(ALL_FAILED)
    office.run()
    claim = office.store.contacts.claim(key, "token")
    assert claim is not None
    assert (claim.spent_ms, claim.failures) == (0, 0)
    assert claim.trigger is not None
    assert claim.trigger.startswith("operation ")
    office.store.contacts.finish(claim, FAILED, Attempt(claim.now, 1, None, CAUSE))


def test_a_retry_leaves_what_the_attempts_recorded_until_the_next_one(office: Office) -> None:
    (key,) = office.bring_many(1, FAILED)
    before = office.record_of(key)
    operation_id = office.open(ALL_FAILED)
    office.run()
    kept = office.record_of(key)
    assert kept == before | {"state": "retrying", "operation": operation_id, "anew": "1"}
    record = office.record("person-0")
    assert (record.failures, record.spent_ms, record.closed_at) == (0, 0, None)
    assert (record.cause, record.trigger) == (CAUSE, f"operation {operation_id}")
    assert office.store.contacts.claim(key, "token") is not None
    assert not {"anew", "failures", "repeats", "spent_ms", "closed_at"} & office.record_of(key).keys()


def test_a_retry_of_conflicts_hides_whom_they_conflict_with(office: Office) -> None:
    office.bring_many(1, CONFLICT)
    operation_id = office.open(Filter(state=State.CONFLICT))
    office.run()
    (row,) = office.all_rows(Filter(state=State.RETRYING))
    assert row.owner_id is None
    office.undo(operation_id)
    (row,) = office.all_rows(Filter(state=State.CONFLICT))
    assert row.owner_id == "12"


def test_undo_restores_what_waits_for_livedesk(office: Office) -> None:
    (key,) = office.bring_many(1, FAILED)
    before = office.record_of(key)
    operation_id = office.open(ALL_FAILED)
    office.run()
    office.store.upstream.pause("ada", "LiveDesk is down")
    assert office.store.contacts.claim(key, "token") is None
    assert office.undo(operation_id).restored == 1
    assert office.record_of(key) == before


@pytest.mark.parametrize("happens", ["delivery", "edit", "retry"])
def test_undo_leaves_a_contact_with_other_data_or_a_new_attempt(office: Office, happens: str) -> None:
    (key,) = office.bring_many(1, FAILED)
    operation_id = office.open(ALL_FAILED)
    office.run()
    contact = Contact("person-0", 1, "Ada King", "person-0@example.com")
    if happens == "delivery":
        office.accept(contact)
        assert office.record("person-0").trigger == f"operation {operation_id}"
    elif happens == "edit":
        office.store.contacts.edit(key, contact)
    else:
        office.store.contacts.retry_now(key)
    assert not {"anew", "failures", "spent_ms", "closed_at"} & office.record_of(key).keys()
    operation = office.undo(operation_id)
    assert (operation.restored, operation.left) == (0, 1)
    assert office.counts() == {State.RETRYING: 1}


def test_two_retries_of_the_same_contacts_can_be_undone(office: Office) -> None:
    (key,) = office.bring_many(1, FAILED)
    office.open(ALL_FAILED)
    office.run()
    second = office.open(Filter(state=State.RETRYING))
    office.run()
    record = office.record("person-0")
    assert (record.operation, record.failures) == (second, 0)
    assert office.undo(second).restored == 1
    record = office.record("person-0")
    assert (record.state, record.operation, record.failures, record.spent_ms) == (State.RETRYING, None, 0, 0)
    claim = office.store.contacts.claim(key, "token")
    assert claim is not None
    assert (claim.failures, claim.spent_ms) == (0, 0)


def test_undo_restores_contacts_that_nobody_changed(office: Office) -> None:
    failed = office.bring_many(3, FAILED)
    waiting = office.bring_many(2, RETRYING, start=10)
    before = {key: (office.client.hgetall(keys.contact(key)), office.client.zscore(keys.DUE, key)) for key in waiting}
    entered = {key: office.client.zscore(keys.state(State.FAILED), key) for key in failed}
    operation_id = office.open(Filter(cause=CAUSE))
    office.run()
    office.end(failed[0], CREATED)
    assert office.operations.command(operation_id, Command.UNDO)
    office.run()
    operation = office.read(operation_id)
    assert (operation.state, operation.restored) == (OperationState.UNDONE, 4)
    assert office.counts() == {State.CREATED: 1, State.FAILED: 2, State.RETRYING: 2}
    for key in waiting:
        assert (office.client.hgetall(keys.contact(key)), office.client.zscore(keys.DUE, key)) == before[key]
    for key in failed[1:]:
        assert office.client.zscore(keys.state(State.FAILED), key) == entered[key]
    assert not office.operations.command(operation_id, Command.UNDO)


def test_a_discard_of_many_can_be_undone(office: Office) -> None:
    made = office.bring_many(2, CONFLICT)
    before = [office.client.hgetall(keys.contact(key)) for key in made]
    operation_id = office.open(Filter(state=State.CONFLICT), BulkAction.DISCARD)
    office.run()
    assert office.counts() == {State.DISCARDED: 2}
    assert office.read(operation_id).state is OperationState.DONE
    assert office.client.exists(keys.cause("email_taken")) == 0
    office.operations.command(operation_id, Command.UNDO)
    office.run()
    assert office.counts() == {State.CONFLICT: 2}
    assert [office.client.hgetall(keys.contact(key)) for key in made] == before


def test_a_canary_goes_one_then_ten_then_the_rest(office: Office) -> None:
    office.bring_many(40, FAILED)
    operation_id = office.open(ALL_FAILED, canary=True)
    for moved in (1, 11, 40):
        office.run()
        assert office.read(operation_id).moved == moved
        for row in office.all_rows(Filter(state=State.RETRYING)):
            office.end(row.key, CREATED)
    office.run()
    assert office.read(operation_id).state is OperationState.DONE


@pytest.mark.parametrize("goes_well", [0, 1])
def test_a_canary_stops_when_the_same_cause_comes_back(office: Office, goes_well: int) -> None:
    office.bring_many(40, FAILED)
    operation_id = office.open(ALL_FAILED, canary=True)
    for _ in range(goes_well):
        office.run()
        for row in office.all_rows(Filter(state=State.RETRYING)):
            office.end(row.key, CREATED)
    office.run()
    office.end(office.all_rows(Filter(state=State.RETRYING))[0].key, FAILED)
    office.run()
    operation = office.read(operation_id)
    assert operation.state is OperationState.STOPPED
    assert "recurred" in operation.note
    assert office.counts().get(State.RETRYING) is None, "nobody else is tried"
    assert office.counts()[State.FAILED] == 40 - goes_well


def test_it_stops_later_too_and_puts_back_the_rest(office: Office) -> None:
    made = office.bring_many(100, FAILED)
    operation_id = office.open(ALL_FAILED)
    office.run()
    for key in made[:10]:
        office.end(key, FAILED)
    office.run()
    operation = office.read(operation_id)
    assert (operation.state, operation.restored) == (OperationState.STOPPED, 90)
    assert office.counts() == {State.FAILED: 100}


def test_pause_resume_and_cancel(office: Office) -> None:
    office.bring_many(5, FAILED)
    operation_id = office.open(ALL_FAILED)
    command = office.operations.command
    assert command(operation_id, Command.PAUSE)
    assert not command(operation_id, Command.PAUSE)
    office.run()
    assert office.read(operation_id).moved == 0
    assert command(operation_id, Command.RESUME)
    assert command(operation_id, Command.CANCEL)
    office.run()
    assert office.read(operation_id).moved == 0
    assert office.read(operation_id).ended_at is not None


def test_another_worker_goes_on_when_the_runner_dies(office: Office) -> None:
    office.bring_many(150, FAILED)
    operation_id = office.open(ALL_FAILED)
    dead = Operations(office.store, office.store.lists)
    taken = office.store.run("take_operation", operation=operation_id, token=dead.token, lease_ms=10_000)
    assert taken
    office.run()
    assert office.read(operation_id).moved == 0, "it is still the other's"
    office.store.shift_ms += 10_001
    office.run()
    assert office.read(operation_id).moved == 150
    args: dict[str, Any] = {"action": "retry", "states": ["failed"], "min_attempts": 0, "cursor": "", "kept_ms": 1}
    dead_move = office.store.run("move", operation=operation_id, token=dead.token, lease_ms=1, keys=[], **args)
    assert not dead_move[0]


def test_operations_that_an_earlier_version_started_continue(office: Office) -> None:
    """It kept no set of active operations, and could be running, pausing or undoing some during the upgrade."""
    office.bring_many(3, FAILED)
    office.bring_many(2, CONFLICT, start=3)
    office.bring("person-5", RETRYING)
    undone = office.open(Filter(state=State.CONFLICT), BulkAction.DISCARD)
    office.run()
    assert office.operations.command(undone, Command.UNDO)
    running, paused = office.open(ALL_FAILED), office.open(Filter(state=State.RETRYING))
    assert office.operations.command(paused, Command.PAUSE)
    office.store.run("take_operation", operation=running, token="of the earlier version", lease_ms=10_000)
    office.client.delete(keys.ACTIVE_OPERATIONS)

    upgraded = Operations(office.store, office.store.lists)
    upgraded.step()
    assert office.client.smembers(keys.ACTIVE_OPERATIONS) == {running, paused}
    assert office.read(undone).state is OperationState.UNDONE
    assert office.counts()[State.CONFLICT] == 2
    office.advance(10_001)  # the lease of the earlier version's worker
    upgraded.step()
    assert office.read(running).moved == 3


def test_equal_ones_do_not_run_side_by_side_nor_too_many(office: Office) -> None:
    first = office.open(ALL_FAILED)
    with pytest.raises(NotOpened, match=first):
        office.open(ALL_FAILED)
    for number in range(MAX_ACTIVE - 1):
        office.open(Filter(cause=f"cause-{number}"))
    with pytest.raises(NotOpened, match="operations are running"):
        office.open(Filter(cause="one-more"))
    assert len(office.operations.latest()) == MAX_ACTIVE


def test_an_operation_that_is_not_there(office: Office) -> None:
    assert office.operations.read("nothing") is None
    assert not office.operations.command("nothing", Command.CANCEL)


def test_an_undo_goes_on_after_an_empty_page(office: Office) -> None:
    """Redis returns such pages while a large hash shrinks."""
    key = office.bring("ada", FAILED)
    operation_id = office.open(Filter(state=State.FAILED), BulkAction.DISCARD)
    office.run()
    client = office.operations.db.client
    pages: Iterator[tuple[int, dict[str, str]]] = iter([(5, {}), (9, {})])

    class Shrinking:
        def hscan(self, name: str, cursor: int, count: int) -> Any:
            return next(pages, None) or client.hscan(name, 0, count=count)

        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

    office.operations.db.client = Shrinking()  # type: ignore[assignment]
    try:
        assert office.undo(operation_id).restored == 1
    finally:
        office.operations.db.client = client
    assert office.state(key) is State.FAILED
