"""A person's actions on one contact: the table, and the scripts that follow it."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from tests.world import ADA, CONFLICT, CREATED, DISCARDED, FAILED, RETRYING, World
from worker.actions import ACTIONS, TRANSITIONS, Action, BulkAction, Command, OperationState, may
from worker.model import Contact, Note, NoteCode, Outcome, Resolution, State
from worker.store import keys
from worker.store.contacts import KNOWN, Erased
from worker.store.lists import Filter

RESULTS = {
    State.RETRYING: RETRYING,
    State.CREATED: CREATED,
    State.CONFLICT: CONFLICT,
    State.FAILED: FAILED,
    State.DISCARDED: DISCARDED,
}
REFUSED = {State.SENDING: "busy", State.CREATED: "created", State.DISCARDED: "discarded"}


def bring_to(world: World, state: State) -> str:
    """Return the key of a contact in this state."""
    if state not in RESULTS:
        world.accept(ADA)
        if state is State.SENDING:
            world.claim("ada", sends=False)
        return world.key("ada")
    return world.bring(ADA, RESULTS[state])


ACTS: dict[Action, Callable[[World, str], object]] = {
    Action.RETRY: lambda world, key: world.store.contacts.retry_now(key),
    Action.DISCARD: lambda world, key: world.store.contacts.discard(key),
    Action.EDIT: lambda world, key: world.store.contacts.edit(key, ADA),
    Action.ADOPT: lambda world, key: world.store.contacts.adopt(key, "12"),
    Action.KNOWN: lambda world, key: world.store.contacts.mark_known(key, "12"),
}
DONE = {Action.DISCARD: {"discarded"}, Action.KNOWN: {"known"}}


@pytest.mark.parametrize("state", [one for one in State if one is not State.DELETED])
@pytest.mark.parametrize("action", ACTS)
def test_the_scripts_allow_what_the_table_says(action: Action, state: State, world: World) -> None:
    answer = ACTS[action](world, bring_to(world, state))
    if may(action, state):
        assert answer in DONE.get(action, {"pending", "retrying"})
    else:
        assert answer == REFUSED.get(state, "wrong_state")
        assert world.record("ada").state is state


@pytest.mark.parametrize("state", [one for one in State if one is not State.DELETED])
def test_only_what_is_created_is_recreated(state: State, world: World) -> None:
    key = bring_to(world, state)
    assert world.store.contacts.recreate(key, "7", ADA) is may(Action.RECREATE, state)


@pytest.mark.parametrize("state", [one for one in State if one is not State.DELETED])
def test_a_contact_is_erased_in_every_state_but_not_during_an_attempt(state: State, world: World) -> None:
    key = bring_to(world, state)
    if state is State.SENDING:
        assert world.store.contacts.erase(key) == Erased("busy")
        world.advance(world.store.contacts.lease_ms)
    erased = world.store.contacts.erase(key)
    assert erased == Erased("erased", "7" if state is State.CREATED else "", state is State.SENDING)
    assert world.store.contacts.erase(key) == Erased("gone")
    assert world.store.lists.search("ada@example.com") == world.store.lists.search("7") == []


def test_every_action_has_states_and_bulk_actions_are_a_part_of_them() -> None:
    assert set(ACTIONS) == set(Action)
    for action in BulkAction:
        assert action.eligible <= ACTIONS[Action.LEAVE_OUT if action is BulkAction.WITHOUT else Action(action)]


def test_every_command_ends_in_a_state_that_does_not_allow_it_again() -> None:
    assert set(TRANSITIONS) == set(Command)
    for transition in TRANSITIONS.values():
        assert transition.target not in transition.sources
        assert transition.sources <= set(OperationState)


def test_a_known_contact_is_created_with_a_note_and_an_attempt_of_the_person(world: World) -> None:
    earlier = Note("name", "cut to 255 characters", NoteCode.ALTERED)
    key = world.bring(ADA, CONFLICT, notes=(earlier,))
    assert world.store.contacts.mark_known(key, "12", who='"ada" %s') == "known"
    record = world.record("ada")
    assert (record.state, record.outcome, record.contact_id) == (State.CREATED, Outcome.KNOWN, "12")
    assert record.notes == (earlier, KNOWN)
    assert (record.contact, record.cause, record.owner_id) == (None, None, None), "personal data is gone"
    assert (record.attempts_made, record.attempts[-1].trigger) == (2, '"ada" %s')
    assert abs(world.store.now() - record.attempts[-1].at) < 10_000
    assert world.store.lists.search("12") == [key]
    assert world.store.lists.search("ada@example.com") == []
    assert world.client.zscore(keys.DUE, key) is None


def test_deciding_twice_changes_nothing_more(world: World) -> None:
    key = world.bring(ADA, CONFLICT)
    assert [world.store.contacts.mark_known(key, number) for number in ("12", "13")] == ["known", "created"]
    assert world.store.contacts.adopt(key, "12") == "created"
    assert world.record("ada").contact_id == "12"
    assert world.store.contacts.mark_known("nobody", "12") == world.store.contacts.adopt("nobody", "12") == "gone"


def test_the_attempt_after_an_adoption_knows_whom_to_adopt(world: World) -> None:
    key = world.bring(ADA, CONFLICT)
    assert world.store.contacts.adopt(key, "12", who="ada") == "retrying"
    claim = world.claim("ada")
    assert (claim.resolution, claim.owner_id, claim.trigger) == (Resolution.ADOPT, "12", "ada")
    assert (claim.failures, claim.spent_ms) == (0, 0)
    assert world.queue() == [], "it is swept like every retry"


def test_nobody_else_is_adopted_than_the_person_saw(world: World) -> None:
    key = world.bring(ADA, CONFLICT)
    assert world.store.contacts.adopt(key, "13") == "changed"
    assert world.record("ada").state is State.CONFLICT


@pytest.mark.parametrize(("action", "stays"), [(Action.RETRY, True), (Action.EDIT, True), (Action.DISCARD, False)])
def test_a_decision_stays_unless_the_contact_is_given_up(action: Action, stays: bool, world: World) -> None:
    """Retry only makes the attempt sooner, for example after LiveDesk was down."""
    key = world.bring(ADA, CONFLICT)
    world.store.contacts.adopt(key, "12")
    ACTS[action](world, key)
    world.store.contacts.retry_now(key)
    claim = world.claim("ada")
    assert (claim.resolution, claim.owner_id) == ((Resolution.ADOPT, "12") if stays else (None, None))


def test_a_decision_is_void_once_a_person_changes_the_address(world: World) -> None:
    key = world.bring(ADA, CONFLICT)
    world.store.contacts.adopt(key, "12")
    world.store.contacts.edit(key, structs.replace(ADA, email="other@example.com"))
    assert world.claim("ada").resolution is None


def test_a_contact_whose_attempt_is_running_is_not_resolved(world: World) -> None:
    key = world.bring(ADA, CONFLICT)
    world.store.contacts.retry_now(key)
    claim = world.claim("ada", sends=False)
    assert world.store.contacts.mark_known(key, "12") == world.store.contacts.adopt(key, "12") == "busy"
    assert world.finish(claim).written
    assert world.record("ada").contact_id == "7"


def test_a_contact_of_an_operation_is_resolved_after_its_attempt(world: World) -> None:
    """The operation counts the attempt that found the conflict, not what the person decided."""
    key = world.bring(ADA, CONFLICT)
    operations = world.store.operations
    opened = operations.open(BulkAction.RETRY, Filter(state=State.CONFLICT), who="", why="", total=1)
    operations.step()
    assert world.store.contacts.mark_known(key, "12") == "wrong_state", "it is due again"
    world.finish(world.claim("ada", sends=False), CONFLICT)
    assert world.store.contacts.mark_known(key, "12") == "known"
    operation = operations.read(opened)
    assert operation is not None
    assert (operation.moved, operation.reported) == (1, 1)


def test_what_is_created_while_somebody_erases_it_leaves_no_finder_behind(world: World) -> None:
    """The first call finds no contact id; the script notices, and a second has it."""
    key = world.bring(Contact("ada", 1), CREATED)
    calls: list[object] = []
    run = world.store.run

    def watched(script: str, **args: Any) -> object:
        calls.append(args["contact_id"])
        return run(script, **args)

    world.store.run = watched  # type: ignore[method-assign]
    assert world.store.contacts.erase(key) == Erased("erased", "7")
    assert calls == [None, "7"]
    assert world.store.lists.search("7") == []
