"""Lists, and operations on many contacts: moved in chunks, told how it went, stopped, undone."""

from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest
import redis

from tests.invariants import assert_invariants
from tests.world import make_store
from worker.model import Attempt, AttemptResult, BulkAction, Command, Contact, OperationState, Outcome, Signal, State
from worker.store import keys
from worker.store.lists import CHUNK, MAX_SCANNED, Filter, Row
from worker.store.operations import MAX_ACTIVE, NotOpened, Operation, Operations

CAUSE = "http_422"
FAILED = AttemptResult(state=State.FAILED, cause=CAUSE, failures=3, repeats=3, spent_ms=9)
CONFLICT = AttemptResult(state=State.CONFLICT, cause="email_taken", owner_id="12")
RETRYING = AttemptResult(
    state=State.RETRYING, cause=CAUSE, delay_ms=3_600_000, failures=1, repeats=1, signal=Signal.NOTHING
)
CREATED = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED)


class Bench:
    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.store = make_store(client)
        self.operations = self.store.operations

    def bring(self, number: int, verdict: AttemptResult, *, source: str = "signup", start: int = 0) -> list[str]:
        """So many contacts whose first attempt ended so. Returns their keys."""
        made = []
        for at in range(start, start + number):
            contact = Contact(f"person-{at}", email=f"person-{at}@example.com", phone_number=f"+4930{at:06}")
            self.store.contacts.accept(contact, source)
            key = self.store.key_of(contact.identifier)
            self.end(key, verdict)
            made.append(key)
        self.client.delete(keys.QUEUE)
        return made

    def end(self, key: str, verdict: AttemptResult) -> None:
        claim = self.store.contacts.claim(key, token_hex(8))
        assert claim is not None
        self.store.contacts.finish(claim, verdict, Attempt(claim.now, 1, None, verdict.cause))

    def open(self, wanted: Filter, action: BulkAction = BulkAction.RETRY, *, canary: bool = False) -> str:
        total = self.store.lists.count(wanted).number
        return self.operations.open(action, wanted, who="ada", why="it is mended", total=total, canary=canary)

    def run(self) -> None:
        for _ in range(20):
            if not self.operations.step():
                return

    def read(self, operation_id: str) -> Operation:
        operation = self.operations.read(operation_id)
        assert operation is not None
        return operation

    def counts(self) -> dict[State, int]:
        return {state: self.client.zcard(keys.state(state)) for state in State if self.client.zcard(keys.state(state))}

    def all_rows(self, wanted: Filter, limit: int = 25) -> list[Row]:
        rows, after = [], None
        while True:
            page = self.store.lists.page(wanted, after=after, limit=limit)
            rows += page.rows
            if page.after is None:
                return rows
            after = page.after


@pytest.fixture
def bench(client: redis.Redis) -> Iterator[Bench]:
    bench = Bench(client)
    yield bench
    client.delete(keys.QUEUE)
    assert_invariants(client)


ALL_FAILED = Filter(state=State.FAILED)


# Lists


def test_pages_show_everybody_once_the_newest_first(bench: Bench) -> None:
    made = bench.bring(60, FAILED)
    rows = bench.all_rows(ALL_FAILED)
    assert sorted(row.key for row in rows) == sorted(made)
    assert [row.at for row in rows] == sorted((row.at for row in rows), reverse=True)


def test_pages_go_on_where_times_are_equal(bench: Bench) -> None:
    made = bench.bring(CHUNK + 20, FAILED)
    for key in made:
        bench.client.zadd(keys.state(State.FAILED), {key: 1_000})
    assert sorted(row.key for row in bench.all_rows(ALL_FAILED, limit=7)) == sorted(made)


def test_a_row_that_leaves_shifts_no_other(bench: Bench) -> None:
    bench.bring(30, FAILED)
    page = bench.store.lists.page(ALL_FAILED, limit=10)
    for row in page.rows:
        bench.store.contacts.discard(bench.store.key_of(row.identifier))
    rest = bench.store.lists.page(ALL_FAILED, after=page.after, limit=100)
    assert len(rest.rows) == 20


def test_a_filter_by_cause_source_attempts_and_time(bench: Bench) -> None:
    bench.bring(3, FAILED)
    bench.bring(2, RETRYING, start=10)
    bench.bring(4, CONFLICT, source="shop", start=20)
    assert len(bench.all_rows(Filter(cause=CAUSE))) == 5
    assert len(bench.all_rows(Filter(cause=CAUSE, state=State.RETRYING))) == 2
    assert len(bench.all_rows(Filter(state=State.CONFLICT, source="shop"))) == 4
    assert bench.all_rows(Filter(state=State.CONFLICT, source="signup")) == []
    assert bench.all_rows(Filter(state=State.FAILED, attempts=2)) == []
    now = bench.store.now()
    assert bench.all_rows(Filter(state=State.FAILED, since=now + 1)) == []
    assert len(bench.all_rows(Filter(state=State.FAILED, until=now, since=now - 60_000))) == 3
    assert bench.store.lists.count(Filter(cause=CAUSE)).number == 5
    assert bench.store.lists.count(Filter(cause=CAUSE, state=State.FAILED)).number == 3
    assert bench.store.lists.count(Filter(cause=CAUSE, state=State.FAILED, attempts=1)).number == 3
    assert bench.store.lists.by_state(Filter(cause=CAUSE)) == ({State.FAILED: 3, State.RETRYING: 2}, False)
    assert bench.store.lists.by_state(Filter(cause=CAUSE, state=State.FAILED)) == ({State.FAILED: 3}, False)
    assert bench.store.lists.by_state(Filter(cause="nobody", state=State.FAILED)) == ({}, False)


def test_a_page_looks_at_a_bounded_number_of_records(bench: Bench) -> None:
    bench.bring(MAX_SCANNED + 5, FAILED)
    page = bench.store.lists.page(Filter(state=State.FAILED, source="nobody"))
    assert (page.rows, page.looked_at) == ([], MAX_SCANNED)
    assert page.after is not None, "and the next one goes on from there"
    assert bench.store.lists.page(Filter(state=State.FAILED, source="nobody"), after=page.after).after is None


def test_a_filter_needs_something_to_go_by() -> None:
    with pytest.raises(ValueError, match="needs a state or a cause"):
        Filter(source="signup")


@pytest.mark.parametrize("fields", [{"state": "gone"}, {"state": "failed", "since": "x"}, {}])
def test_a_filter_that_makes_no_sense(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Filter.load(fields)


def test_a_place_that_is_none(bench: Bench) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        bench.store.lists.page(ALL_FAILED, after="elsewhere")


def test_a_filter_survives_being_written_down() -> None:
    wanted = Filter(state=State.FAILED, cause=CAUSE, source="shop", since=5, until=9, attempts=2)
    assert Filter.load(wanted.dump()) == wanted


def test_a_broken_record_spoils_no_page(bench: Bench) -> None:
    key, other = bench.bring(2, FAILED)
    received = bench.client.hget(keys.contact(key), "received_at")
    bench.client.hset(keys.contact(key), "received_at", "yesterday")
    assert [row.key for row in bench.all_rows(ALL_FAILED)] == [other]
    bench.client.hset(keys.contact(key), "received_at", str(received))


def test_a_contact_is_found_by_all_that_it_is_known_by(bench: Bench) -> None:
    (key,) = bench.bring(1, FAILED)
    for text in ("person-0", "PERSON-0@example.com", "+4930000000", key):
        assert bench.store.lists.search(text) == [key], text
    assert bench.store.lists.search("nobody") == []
    bench.store.contacts.retry_now(bench.store.key_of("person-0"))
    bench.end(key, CREATED)
    assert bench.store.lists.search("7") == [key]
    assert bench.store.lists.search("person-0@example.com") == [], "its address is no longer kept"


def test_all_who_share_an_address_are_found(bench: Bench) -> None:
    made = []
    for number in range(3):
        bench.store.contacts.accept(Contact(f"same-{number}", email="same@example.com"), "signup")
        made.append(bench.store.key_of(f"same-{number}"))
    bench.client.delete(keys.QUEUE)
    assert sorted(bench.store.lists.search("same@example.com")) == sorted(made)


# Operations


def test_a_retry_of_all_makes_them_due_behind_all_others(bench: Bench) -> None:
    made = bench.bring(250, FAILED)
    operation_id = bench.open(ALL_FAILED)
    bench.run()
    operation = bench.read(operation_id)
    assert (operation.moved, operation.skipped, operation.total) == (250, 0, 250)
    assert bench.counts() == {State.RETRYING: 250}
    due: Any = bench.client.zrange(keys.DUE, 0, -1, withscores=True)
    scores: dict[str, float] = dict(due)
    assert set(scores) == set(made)
    assert all(2 * keys.LANE <= score < 3 * keys.LANE for score in scores.values())


def test_it_is_done_when_all_have_told_how_it_went(bench: Bench) -> None:
    made = bench.bring(4, FAILED)
    operation_id = bench.open(ALL_FAILED)
    bench.run()
    assert bench.read(operation_id).state is OperationState.RUNNING
    bench.end(made[0], CREATED)
    bench.end(made[1], FAILED)
    bench.end(made[2], CONFLICT)
    bench.store.contacts.discard(bench.store.key_of("person-3"))
    bench.run()
    operation = bench.read(operation_id)
    assert operation.state is OperationState.DONE
    assert (operation.recovered, operation.same, operation.again, operation.left) == (1, 1, 1, 1)


def test_a_filtered_retry_touches_only_what_the_filter_shows(bench: Bench) -> None:
    bench.bring(3, FAILED)
    bench.bring(2, FAILED, source="shop", start=10)
    bench.bring(2, CONFLICT, start=20)
    operation_id = bench.open(Filter(cause=CAUSE, source="shop"))
    bench.run()
    operation = bench.read(operation_id)
    assert (operation.moved, operation.skipped) == (2, 3)
    assert bench.counts() == {State.FAILED: 3, State.RETRYING: 2, State.CONFLICT: 2}


def test_who_comes_later_is_not_meant(bench: Bench) -> None:
    bench.bring(2, FAILED)
    operation_id = bench.open(ALL_FAILED)
    bench.store.shift_ms += 1000
    bench.bring(1, FAILED, start=10)
    bench.run()
    assert bench.read(operation_id).moved == 2
    assert bench.counts()[State.FAILED] == 1


def test_a_manual_retry_spends_no_automatic_budget(bench: Bench) -> None:
    (key,) = bench.bring(1, FAILED)
    bench.open(ALL_FAILED)
    bench.run()
    claim = bench.store.contacts.claim(key, "token")
    assert claim is not None
    assert (claim.spent_ms, claim.failures) == (0, 0)
    assert claim.trigger is not None
    assert claim.trigger.startswith("operation ")
    bench.store.contacts.finish(claim, FAILED, Attempt(claim.now, 1, None, CAUSE))


def test_undo_puts_back_whoever_was_not_touched(bench: Bench) -> None:
    failed = bench.bring(3, FAILED)
    waiting = bench.bring(2, RETRYING, start=10)
    before = {key: (bench.client.hgetall(keys.contact(key)), bench.client.zscore(keys.DUE, key)) for key in waiting}
    entered = {key: bench.client.zscore(keys.state(State.FAILED), key) for key in failed}
    operation_id = bench.open(Filter(cause=CAUSE))
    bench.run()
    bench.end(failed[0], CREATED)
    assert bench.operations.command(operation_id, Command.UNDO)
    bench.run()
    operation = bench.read(operation_id)
    assert (operation.state, operation.restored) == (OperationState.UNDONE, 4)
    assert bench.counts() == {State.CREATED: 1, State.FAILED: 2, State.RETRYING: 2}
    for key in waiting:
        assert (bench.client.hgetall(keys.contact(key)), bench.client.zscore(keys.DUE, key)) == before[key]
    for key in failed[1:]:
        assert bench.client.zscore(keys.state(State.FAILED), key) == entered[key]
    assert not bench.operations.command(operation_id, Command.UNDO)


def test_a_discard_of_many_can_be_undone(bench: Bench) -> None:
    made = bench.bring(2, CONFLICT)
    before = [bench.client.hgetall(keys.contact(key)) for key in made]
    operation_id = bench.open(Filter(state=State.CONFLICT), BulkAction.DISCARD)
    bench.run()
    assert bench.counts() == {State.DISCARDED: 2}
    assert bench.read(operation_id).state is OperationState.DONE
    assert bench.client.exists(keys.cause("email_taken")) == 0
    bench.operations.command(operation_id, Command.UNDO)
    bench.run()
    assert bench.counts() == {State.CONFLICT: 2}
    assert [bench.client.hgetall(keys.contact(key)) for key in made] == before


def test_a_canary_goes_one_then_ten_then_the_rest(bench: Bench) -> None:
    bench.bring(40, FAILED)
    operation_id = bench.open(ALL_FAILED, canary=True)
    for moved in (1, 11, 40):
        bench.run()
        assert bench.read(operation_id).moved == moved
        for row in bench.all_rows(Filter(state=State.RETRYING)):
            bench.end(row.key, CREATED)
    bench.run()
    assert bench.read(operation_id).state is OperationState.DONE


@pytest.mark.parametrize("goes_well", [0, 1])
def test_a_canary_stops_when_the_same_cause_comes_back(bench: Bench, goes_well: int) -> None:
    bench.bring(40, FAILED)
    operation_id = bench.open(ALL_FAILED, canary=True)
    for _ in range(goes_well):
        bench.run()
        for row in bench.all_rows(Filter(state=State.RETRYING)):
            bench.end(row.key, CREATED)
    bench.run()
    bench.end(bench.all_rows(Filter(state=State.RETRYING))[0].key, FAILED)
    bench.run()
    operation = bench.read(operation_id)
    assert operation.state is OperationState.STOPPED
    assert "came back" in operation.note
    assert bench.counts().get(State.RETRYING) is None, "nobody else is tried"
    assert bench.counts()[State.FAILED] == 40 - goes_well


def test_it_stops_later_too_and_puts_back_the_rest(bench: Bench) -> None:
    made = bench.bring(100, FAILED)
    operation_id = bench.open(ALL_FAILED)
    bench.run()
    for key in made[:10]:
        bench.end(key, FAILED)
    bench.run()
    operation = bench.read(operation_id)
    assert (operation.state, operation.restored) == (OperationState.STOPPED, 90)
    assert bench.counts() == {State.FAILED: 100}


def test_pause_resume_and_cancel(bench: Bench) -> None:
    bench.bring(5, FAILED)
    operation_id = bench.open(ALL_FAILED)
    command = bench.operations.command
    assert command(operation_id, Command.PAUSE)
    assert not command(operation_id, Command.PAUSE)
    bench.run()
    assert bench.read(operation_id).moved == 0
    assert command(operation_id, Command.RESUME)
    assert command(operation_id, Command.CANCEL)
    bench.run()
    assert bench.read(operation_id).moved == 0
    assert bench.read(operation_id).ended_at is not None


def test_another_worker_goes_on_when_the_runner_dies(bench: Bench) -> None:
    bench.bring(150, FAILED)
    operation_id = bench.open(ALL_FAILED)
    dead = Operations(bench.store, bench.store.lists)
    taken = bench.store.run("take_operation", operation=operation_id, token=dead.token, lease_ms=10_000)
    assert taken
    bench.run()
    assert bench.read(operation_id).moved == 0, "it is still the other's"
    bench.store.shift_ms += 10_001
    bench.run()
    assert bench.read(operation_id).moved == 150
    args: dict[str, Any] = {"action": "retry", "states": ["failed"], "min_attempts": 0, "cursor": "", "kept_ms": 1}
    dead_move = bench.store.run("move", operation=operation_id, token=dead.token, lease_ms=1, keys=[], **args)
    assert not dead_move[0]


def test_equal_ones_do_not_run_side_by_side_nor_too_many(bench: Bench) -> None:
    first = bench.open(ALL_FAILED)
    with pytest.raises(NotOpened, match=first):
        bench.open(ALL_FAILED)
    for number in range(MAX_ACTIVE - 1):
        bench.open(Filter(cause=f"cause-{number}"))
    with pytest.raises(NotOpened, match="operations are running"):
        bench.open(Filter(cause="one-more"))
    assert len(bench.operations.latest()) == MAX_ACTIVE


def test_an_operation_that_is_not_there(bench: Bench) -> None:
    assert bench.operations.read("nothing") is None
    assert not bench.operations.command("nothing", Command.CANCEL)
