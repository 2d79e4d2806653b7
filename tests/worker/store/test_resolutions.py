"""Conflicts resolved in bulk: adopted, created without the field, known; and undone."""

from dataclasses import replace
from typing import Any

import pytest

from tests.invariants import assert_invariants
from tests.worker.store.office import CONFLICT, CREATED, FAILED, Office
from tests.world import HOUR_MS
from worker.actions import BulkAction, OperationState
from worker.model import (
    AttemptResult,
    Contact,
    Identity,
    NoteCode,
    Origin,
    Outcome,
    Resolution,
    Signal,
    State,
    Unanswered,
)
from worker.store import keys
from worker.store.lists import Filter

TAKEN = Filter(state=State.CONFLICT, cause="email_taken")
ADOPTED = replace(CREATED, contact_id="12", outcome=Outcome.ADOPTED)
DOWN = AttemptResult(
    state=State.RETRYING, cause="http_503", delay_ms=HOUR_MS, failures=1, repeats=1, signal=Signal.ERROR
)
RESOLUTIONS = {BulkAction.ADOPT: Resolution.ADOPT, BulkAction.WITHOUT: Resolution.WITHOUT}
sent = pytest.mark.parametrize("action", RESOLUTIONS)
resolved = pytest.mark.parametrize("action", [*RESOLUTIONS, BulkAction.KNOWN])


def everything(office: Office) -> dict[str, Any]:
    """Return the keyspace without the operations and what counts events."""
    shown = office.snapshot()
    return {name: value for name, value in shown.items() if not name.startswith((keys.OPERATIONS, keys.operation("")))}


# What each action does


@sent
def test_the_next_attempt_carries_the_decision_out(office: Office, action: BulkAction) -> None:
    (key,) = office.bring_many(1, CONFLICT)
    office.open(TAKEN, action)
    office.run()
    claim = office.claim("person-0", sends=False)
    assert claim.resolution is RESOLUTIONS[action]
    assert claim.owner_id == ("12" if action is BulkAction.ADOPT else None)
    assert (claim.spent_ms, claim.failures) == (0, 0), "with a fresh retry budget"
    assert claim.contact.email, "the worker leaves the field out, so that an undo has it"
    office.finish(claim, ADOPTED)
    assert office.state(key) is State.CREATED


def test_a_known_contact_is_created_at_once_and_nothing_is_sent(office: Office) -> None:
    (key,) = office.bring_many(1, CONFLICT)
    operation_id = office.open(TAKEN, BulkAction.KNOWN)
    office.run()
    record = office.record("person-0")
    assert (record.state, record.outcome, record.contact_id) == (State.CREATED, Outcome.KNOWN, "12")
    assert record.contact is None
    assert [note.code for note in record.notes] == [NoteCode.KNOWN]
    assert record.attempts[-1].trigger == f"operation {operation_id}"
    assert office.due("person-0") is None
    assert office.lists.search("12") == [key]
    assert office.lists.search("person-0@example.com") == []
    operation = office.read(operation_id)
    assert (operation.state, operation.recovered) == (OperationState.DONE, 1)


@pytest.mark.parametrize(
    ("action", "moved"), [(BulkAction.ADOPT, {"owned"}), (BulkAction.WITHOUT, {"owned", "ownerless"}),
                          (BulkAction.KNOWN, {"owned", "twice"})]
)  # fmt: skip
def test_conflicts_that_an_action_does_not_resolve_are_skipped(
    office: Office, action: BulkAction, moved: set[str]
) -> None:
    """Neither without an owner, nor where it is not about a value that another contact has."""
    office.bring("owned", CONFLICT, email="a@example.com")
    office.bring("ownerless", replace(CONFLICT, owner_id=None), email="b@example.com")
    office.bring("twice", replace(CONFLICT, cause="identifier_found_twice"), email="c@example.com")
    office.bring("neither", replace(CONFLICT, cause="cannot_be_looked_up", owner_id=None))
    operation_id = office.open(Filter(state=State.CONFLICT), action)
    office.run()
    operation = office.read(operation_id)
    assert (operation.moved, operation.skipped) == (len(moved), 4 - len(moved))
    left = {row.identifier for row in office.all_rows(Filter(state=State.CONFLICT))}
    assert left == {"owned", "ownerless", "twice", "neither"} - moved


def test_nobody_is_adopted_in_bulk_on_an_unverified_address(office: Office) -> None:
    """It may be another person's, whose LiveDesk contact would get the identifier."""
    mallory, ada = office.bring_many(2, CONFLICT)
    office.client.hset(keys.contact(mallory), "unverified", "1")
    office.open(TAKEN, BulkAction.ADOPT)
    office.run()
    assert (office.state(mallory), office.state(ada)) == (State.CONFLICT, State.RETRYING)
    office.open(TAKEN, BulkAction.WITHOUT)
    office.run()
    assert office.state(mallory) is State.RETRYING


@resolved
def test_only_conflicts_are_resolved(office: Office, action: BulkAction) -> None:
    office.bring_many(2, replace(FAILED, cause="email_taken"))
    operation_id = office.open(Filter(cause="email_taken"), action)
    office.run()
    assert (office.read(operation_id).moved, office.counts()) == (0, {State.FAILED: 2})


def test_a_conflict_that_has_changed_between_the_look_and_the_script_is_skipped(office: Office) -> None:
    """Another contact in LiveDesk has the address by now: nobody has decided about that one."""
    (key,) = office.bring_many(1, CONFLICT)
    operation_id = office.open(TAKEN, BulkAction.KNOWN)
    run = office.store.run

    def watched(script: str, **args: Any) -> Any:
        if script == "move":
            office.client.hset(keys.contact(key), "owner_id", "13")
        return run(script, **args)

    office.store.run = watched  # type: ignore[method-assign]
    office.run()
    assert (office.read(operation_id).skipped, office.state(key)) == (1, State.CONFLICT)


# What becomes of a decision


@sent
def test_a_decision_stays_while_livedesk_is_down(office: Office, action: BulkAction) -> None:
    office.bring_many(1, CONFLICT)
    operation_id = office.open(TAKEN, action)
    office.run()
    office.finish(office.claim("person-0", sends=False), DOWN)
    office.run()
    operation = office.read(operation_id)
    assert (operation.state, operation.reported) == (OperationState.RUNNING, 0), "LiveDesk has not answered it"
    office.advance(HOUR_MS)
    claim = office.claim("person-0", sends=False)
    assert claim.resolution is RESOLUTIONS[action]
    assert claim.owner_id == ("12" if action is BulkAction.ADOPT else None)
    office.finish(claim, ADOPTED)
    office.run()
    operation = office.read(operation_id)
    assert (operation.state, operation.recovered) == (OperationState.DONE, 1)


@sent
@pytest.mark.parametrize("result", [CONFLICT, FAILED])
def test_a_decision_is_used_up_by_an_answer(office: Office, action: BulkAction, result: AttemptResult) -> None:
    (key,) = office.bring_many(1, CONFLICT)
    office.open(TAKEN, action)
    office.run()
    office.end(key, result)
    assert "resolution" not in office.record_of(key)
    office.store.contacts.retry_now(key)
    claim = office.claim("person-0", sends=False)
    assert (claim.resolution, claim.owner_id) == (None, None)


@pytest.mark.parametrize(("email", "stays"), [("person-0@example.com", True), ("other@example.com", False)])
def test_a_decision_is_void_once_the_address_is_another(office: Office, email: str, stays: bool) -> None:
    """A stranger may have the new one. A new name changes nothing."""
    office.bring_many(1, CONFLICT)
    office.open(TAKEN, BulkAction.ADOPT)
    office.run()
    office.accept(Contact("person-0", 1, "New Name", email, "+4930000000"))
    assert (office.claim("person-0", sends=False).resolution is not None) is stays


def test_a_conflict_of_older_data_ends_the_decision(office: Office) -> None:
    """The attempt found another owner meanwhile; the newer data is tried without the decision."""
    office.bring_many(1, CONFLICT)
    office.open(TAKEN, BulkAction.ADOPT)
    office.run()
    claim = office.claim("person-0", sends=False)
    office.accept(Contact("person-0", 1, "New Name", "person-0@example.com", "+4930000000"))
    office.finish(claim, replace(CONFLICT, owner_id="13"))
    claim = office.claim("person-0", sends=False)
    assert claim.resolution is None


# Undo


@resolved
def test_undo_leaves_no_trace_of_what_was_not_tried(office: Office, action: BulkAction) -> None:
    made = office.bring_many(3, replace(CONFLICT, failures=2, repeats=2, spent_ms=9, suspect=1))
    office.client.hset(keys.contact(made[0]), "crashes", "2")
    before = everything(office)
    operation_id = office.open(TAKEN, action)
    office.run()
    assert office.operations.undoable(operation_id) == 3
    assert everything(office) != before
    operation = office.undo(operation_id)
    assert (operation.state, operation.restored, operation.reported) == (OperationState.UNDONE, 3, 3)
    assert everything(office) == before
    assert office.operations.undoable(operation_id) == 0


def test_undo_restores_what_else_a_known_contact_had(office: Office) -> None:
    """Many attempts, notes, an unknown answer: all that the page of a conflict shows."""
    key = office.bring("ada", *[CONFLICT] * 25, email="ada@example.com", excerpt="Email has already been taken")
    office.client.hset(keys.contact(key), mapping={"unknown_since": "5", "unverified": "1", "on_conflict": "ask"})
    before = office.record_of(key)
    assert before["attempts"].count("\n") > 10
    operation_id = office.open(TAKEN, BulkAction.KNOWN)
    office.run()
    assert "email_taken" not in str(office.record_of(key))
    office.undo(operation_id)
    assert office.record_of(key) == before
    assert office.client.ttl(keys.contact(key)) == -1, "it does not expire with the operation"
    assert office.lists.search("ada@example.com") == [key]


@sent
def test_undo_takes_back_what_livedesk_could_not_answer(office: Office, action: BulkAction) -> None:
    (key,) = office.bring_many(1, CONFLICT)
    before = office.record_of(key)
    operation_id = office.open(TAKEN, action)
    office.run()
    office.end(key, DOWN)
    assert office.undo(operation_id).restored == 1
    after = office.record_of(key)
    assert {name: after[name] for name in ("state", "cause", "owner_id", "closed_at", "data")} == {
        name: before[name] for name in ("state", "cause", "owner_id", "closed_at", "data")
    }
    assert "resolution" not in after
    assert office.client.zcard(keys.cause("http_503")) == 0


def test_undo_leaves_alone_what_may_be_in_livedesk(office: Office) -> None:
    """The answer to the create was lost. It is looked up, and not decided again."""
    (key,) = office.bring_many(1, CONFLICT)
    operation_id = office.open(TAKEN, BulkAction.WITHOUT)
    office.run()
    office.end(key, replace(DOWN, unanswered=Unanswered.NOW))
    operation = office.undo(operation_id)
    assert (operation.restored, operation.left) == (0, 1)
    assert office.state(key) is State.RETRYING
    assert "resolution" not in office.record_of(key)


@sent
def test_undo_says_how_many_are_in_livedesk(office: Office, action: BulkAction) -> None:
    made = office.bring_many(5, CONFLICT)
    operation_id = office.open(TAKEN, action)
    office.run()
    for key in made[:2]:
        office.end(key, ADOPTED)
    operation = office.undo(operation_id)
    assert (operation.recovered, operation.restored, operation.moved) == (2, 3, 5)
    assert office.counts() == {State.CREATED: 2, State.CONFLICT: 3}


@resolved
def test_undo_leaves_alone_what_a_delivery_has_changed(office: Office, action: BulkAction) -> None:
    (key,) = office.bring_many(1, CONFLICT)
    operation_id = office.open(TAKEN, action)
    office.run()
    state = office.state(key)
    office.accept(Contact("person-0", 1, "New Name", "person-0@example.com"))
    operation = office.undo(operation_id)
    assert (operation.state, operation.restored) == (OperationState.UNDONE, 0)
    assert office.state(key) is (State.PENDING if action is BulkAction.KNOWN else state)
    assert "resolution" not in office.record_of(key), "and nobody is adopted any more"
    assert not office.client.exists(keys.was(key))


@resolved
def test_undo_leaves_alone_what_a_person_has_changed(office: Office, action: BulkAction) -> None:
    (key,) = office.bring_many(1, CONFLICT)
    operation_id = office.open(TAKEN, action)
    office.run()
    if action is BulkAction.KNOWN:
        assert office.store.contacts.recreate(key, "12", Contact("person-0", 1, "Ada"))
    else:
        office.store.contacts.retry_now(key)
    before = everything(office)
    assert office.undo(operation_id).restored == 0
    assert everything(office) == before


def test_undo_withdraws_a_decision_during_its_attempt(office: Office) -> None:
    """The attempt goes on, but another one, after it failed, does not adopt anybody."""
    office.bring_many(1, CONFLICT)
    operation_id = office.open(TAKEN, BulkAction.ADOPT)
    office.run()
    claim = office.claim("person-0", sends=False)
    office.undo(operation_id)
    office.finish(claim, DOWN)
    office.advance(HOUR_MS)
    assert office.claim("person-0", sends=False).resolution is None
    assert office.read(operation_id).again == 1, "and it is counted"


@pytest.mark.parametrize("action", [BulkAction.RETRY, BulkAction.DISCARD])
def test_undo_restores_a_decision(office: Office, action: BulkAction) -> None:
    (key,) = office.bring_many(1, CONFLICT)
    office.store.contacts.adopt(key, "12")
    office.end(key, DOWN)
    before = everything(office)
    operation_id = office.open(Filter(state=State.RETRYING), action)
    office.run()
    assert office.undo(operation_id).restored == 1
    assert everything(office) == before


def test_undo_of_a_retry_leaves_a_decision_alone(office: Office) -> None:
    (key,) = office.bring_many(1, CONFLICT)
    office.store.contacts.adopt(key, "12")
    office.end(key, DOWN)
    operation_id = office.open(Filter(state=State.RETRYING))
    office.run()
    office.accept(Contact("person-0", 1, "New Name", "person-0@example.com", "+4930000000"))
    assert office.undo(operation_id).restored == 0
    assert office.record_of(key)["resolution"] == "adopt"


def test_undo_keeps_the_aliases_of_the_others(office: Office) -> None:
    """Two of our contacts are the same one in LiveDesk, and one of them is restored."""
    owner = office.bring("owner", ADOPTED, email="a@example.com")
    key = office.bring("ada", CONFLICT, email="a@example.com")
    before = everything(office)
    operation_id = office.open(TAKEN, BulkAction.KNOWN)
    office.run()
    assert sorted(office.lists.search("12")) == sorted([owner, key])
    office.undo(operation_id)
    assert office.lists.search("12") == [owner]
    assert {**everything(office), keys.aliases("12"): None} == {**before, keys.aliases("12"): None}


def test_another_operation_takes_a_contact_over(office: Office) -> None:
    """Then only that one can be undone for it."""
    (key,) = office.bring_many(1, CONFLICT)
    first = office.open(TAKEN, BulkAction.ADOPT)
    office.run()
    second = office.open(Filter(state=State.RETRYING), BulkAction.DISCARD)
    office.run()
    assert (office.operations.undoable(first), office.operations.undoable(second)) == (0, 1)
    assert office.undo(first).restored == 0
    assert office.undo(second).restored == 1
    assert office.state(key) is State.RETRYING


# Personal data


@resolved
@pytest.mark.parametrize("is_tried", [False, True])
def test_erasing_a_person_leaves_no_trace_anywhere(office: Office, action: BulkAction, is_tried: bool) -> None:
    office.bring_many(1, replace(CONFLICT, owner_id="13"), start=7)
    zoe = Contact("zoe-1", 1, "Zoe Quill", "zoe@example.com", "+4915112345678", "https://example.com/zoe.png")
    key = office.bring(zoe, CONFLICT)
    operation_id = office.open(TAKEN, action)
    office.run()
    if is_tried and action is not BulkAction.KNOWN:
        office.end(key, ADOPTED)
    assert office.store.contacts.erase(key).result == "erased"
    written = repr(office.snapshot())
    for trace in (key, "zoe", "Quill", "4915112345678"):
        assert trace not in written, trace
    assert office.undo(operation_id).restored == 1, "and an undo does not bring anybody back"
    assert "Quill" not in repr(office.snapshot())
    assert office.record_of(key) == {}


def test_an_account_that_opens_a_known_visitor_deletes_the_copy(office: Office) -> None:
    """Its next attempt ends what an undo could restore, and nobody would delete the copy."""
    zoe = Contact("zoe-1", 1, "Zoe Quill", "zoe@example.com")
    office.store.contacts.accept(zoe, Origin("form", Identity.VISITOR))
    key = office.key("zoe-1")
    office.end(key, CONFLICT)
    operation_id = office.open(TAKEN, BulkAction.KNOWN)
    office.run()
    office.store.contacts.accept(zoe, Origin("app", id_space="form"))
    assert_invariants(office.client)
    assert office.operations.undoable(operation_id) == 0
    office.end(key, ADOPTED)
    assert office.store.contacts.erase(key).result == "erased"
    office.client.delete(keys.QUEUE)
    assert not [trace for trace in (key, "zoe", "Quill") if trace in repr(office.snapshot())]


def test_a_created_contact_that_expires_takes_its_copy_with_it(office: Office) -> None:
    (key,) = office.bring_many(1, CONFLICT)
    operation_id = office.open(TAKEN, BulkAction.KNOWN)
    office.run()
    office.advance(HOUR_MS)
    assert office.store.contacts.forget(HOUR_MS - 1) == 1
    assert not office.client.exists(keys.was(key))
    assert office.operations.undoable(operation_id) == 0


def test_copies_expire_with_the_operation(office: Office) -> None:
    (key,) = office.bring_many(1, CONFLICT)
    operation_id = office.open(TAKEN, BulkAction.KNOWN)
    office.run()
    longest = office.client.pttl(keys.operation(operation_id))
    assert 0 < office.client.pttl(keys.was(key)) <= longest + 1000


def test_undo_after_the_copies_have_expired_changes_nothing(office: Office) -> None:
    (key,) = office.bring_many(1, CONFLICT)
    operation_id = office.open(TAKEN, BulkAction.KNOWN)
    office.run()
    office.client.delete(keys.was(key))
    assert office.undo(operation_id).restored == 0
    assert office.state(key) is State.CREATED


# Two thousand


#: So many commands of a script take about 5 ms: nothing else is answered meanwhile.
MOST_COMMANDS = 1200


def commands_per_script(office: Office) -> float:
    """Return how many commands a script has run on average since the figures were reset."""
    figures: Any = office.client.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): figure["calls"] for name, figure in figures.items()}
    scripts = calls.pop("evalsha")
    return float(sum(calls.values()) / scripts)


def bring_conflicts(office: Office, number: int) -> list[str]:
    """Bring conflicts, each with an owner of its own and with a long answer of LiveDesk's."""
    excerpt = '{"message": "Email has already been taken", "attributes": ["email"]}' * 3
    made = []
    for at in range(number):
        person = Contact(f"person-{at}", 1, "Ada Lovelace", f"person-{at}@example.com", f"+4930{at:06}")
        made.append(office.bring(person, replace(CONFLICT, owner_id=str(1000 + at), excerpt=excerpt)))
    return made


@pytest.mark.parametrize(("action", "steps"), [(BulkAction.ADOPT, (1, 11, 2000)), (BulkAction.WITHOUT, (1, 11, 2000))])
def test_two_thousand_conflicts_with_a_canary_and_undone(
    office: Office, action: BulkAction, steps: tuple[int, ...]
) -> None:
    made = office.bring_many(2000, CONFLICT)
    others = office.bring_many(5, replace(CONFLICT, cause="phone_number_taken"), start=3000)
    before = {key: office.record_of(key) for key in made}
    operation_id = office.open(TAKEN, action, canary=True)
    for step in steps:
        office.run()
        assert office.read(operation_id).moved == step
        if step < 2000:
            for row in office.all_rows(Filter(state=State.RETRYING)):
                office.end(row.key, ADOPTED)
    operation = office.undo(operation_id)
    assert (operation.state, operation.restored, operation.recovered) == (OperationState.UNDONE, 1989, 11)
    in_livedesk = [key for key in made if office.state(key) is State.CREATED]
    assert len(in_livedesk) == 11
    assert all(office.record_of(key) == before[key] for key in set(made) - set(in_livedesk))
    assert all(office.state(key) is State.CONFLICT for key in others)
    assert office.operations.undoable(operation_id) == 0


def test_two_thousand_known_contacts_and_undone_without_blocking_redis(office: Office) -> None:
    made = bring_conflicts(office, 2000)
    before = everything(office)
    office.client.config_resetstat()
    operation_id = office.open(TAKEN, BulkAction.KNOWN, canary=True)
    office.run()
    operation = office.read(operation_id)
    assert (operation.state, operation.moved, operation.recovered) == (OperationState.DONE, 2000, 2000)
    assert office.counts() == {State.CREATED: 2000}
    assert office.operations.undoable(operation_id) == 2000
    assert commands_per_script(office) < MOST_COMMANDS
    office.client.config_resetstat()
    operation = office.undo(operation_id)
    assert (operation.state, operation.restored, operation.recovered) == (OperationState.UNDONE, 2000, 0)
    assert commands_per_script(office) < MOST_COMMANDS
    assert everything(office) == before
    assert len(made) == office.counts()[State.CONFLICT]


@sent
def test_a_canary_stops_when_the_same_conflict_comes_back(office: Office, action: BulkAction) -> None:
    made = office.bring_many(40, CONFLICT)
    operation_id = office.open(TAKEN, action, canary=True)
    office.run()
    office.end(made[0], CONFLICT)
    office.run()
    operation = office.read(operation_id)
    assert (operation.state, operation.moved, operation.same) == (OperationState.STOPPED, 1, 1)
    assert office.counts() == {State.CONFLICT: 40}


@sent
def test_a_conflict_that_comes_back_after_an_outage_recurs_too(office: Office, action: BulkAction) -> None:
    made = office.bring_many(40, CONFLICT)
    operation_id = office.open(TAKEN, action, canary=True)
    office.run()
    office.end(made[0], DOWN)
    office.advance(HOUR_MS)
    office.end(made[0], CONFLICT)
    office.run()
    operation = office.read(operation_id)
    assert (operation.state, operation.moved, operation.same) == (OperationState.STOPPED, 1, 1)


@resolved
def test_a_worker_that_dies_is_followed_by_another(office: Office, action: BulkAction) -> None:
    """The script ran, but its answer was lost: the next worker runs the same chunk again."""
    office.bring_many(3, CONFLICT)
    operation_id = office.open(TAKEN, action)
    run = office.store.run
    ran: list[str] = []

    def twice(script: str, **args: Any) -> Any:
        answer = run(script, **args)
        if script in ("move", "restore"):
            ran.append(script)
            assert run(script, **args)[:2] in ([1, 0], [0]), "the second run does nothing"
        return answer

    office.store.run = twice  # type: ignore[method-assign]
    office.run()
    assert office.read(operation_id).moved == 3
    assert office.undo(operation_id).restored == 3
    assert set(ran) == {"move", "restore"}
    assert office.counts() == {State.CONFLICT: 3}
