"""Actions of a person: recorded by name, refused with a reason, planned once."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.world import CONFLICT, CREATED, DISCARDED, FAILED, RETRYING, World
from webhook_app.operator import ActionRefused, InvalidInput, Operator, Plan, Reason
from worker.actions import Action, BulkAction, Obstacle, may
from worker.model import AttemptResult, State, Way
from worker.store import keys
from worker.store.lists import Filter

ALL_FAILED = Filter(state=State.FAILED)


@pytest.fixture
def operator(world: World) -> Operator:
    return Operator(world.parts, "ada", Way.CLI)


def audited(world: World) -> list[tuple[str, str, str, str]]:
    return [(one.who, one.did, one.target, one.why) for one in world.store.audit.page()]


def plan_of(operator: Operator, action: BulkAction = BulkAction.RETRY, wanted: Filter = ALL_FAILED) -> Plan:
    return operator.operations.plan(action, wanted)


def test_an_action_is_recorded_with_who_did_it_and_why(operator: Operator, world: World) -> None:
    key = world.bring("eve", FAILED)
    assert operator.contacts.retry(key, "fixed") is State.RETRYING
    assert operator.contacts.discard(key) is State.DISCARDED
    assert audited(world) == [("ada", "discarded", key, ""), ("ada", "retried", key, "fixed")]


def test_a_refusal_has_a_reason_and_is_not_recorded(operator: Operator, world: World) -> None:
    created, conflict = world.bring("joan", CREATED), world.bring("eve", CONFLICT)
    failed = world.bring("ida", FAILED)
    refusals: dict[Reason, Callable[[], object]] = {
        Reason.GONE: lambda: operator.contacts.retry("A" * 16),
        Reason.CREATED: lambda: operator.contacts.retry(created),
        Reason.NO_OWNER: lambda: operator.contacts.adopt(failed),
        Reason.ALREADY: operator.sync.resume,
    }
    for reason, act in refusals.items():
        with pytest.raises(ActionRefused) as caught:
            act()
        assert caught.value.reason is reason
        assert str(caught.value).endswith(".")
    with pytest.raises(InvalidInput) as invalid:
        operator.contacts.edit(conflict, {"email": "nobody"})
    assert invalid.value.problems.keys() == {"email"}
    assert audited(world) == []


RESULTS = {
    State.PENDING: (),
    State.RETRYING: (RETRYING,),
    State.FAILED: (FAILED,),
    State.CONFLICT: (CONFLICT,),
    State.CREATED: (CREATED,),
    State.DISCARDED: (DISCARDED,),
}


@pytest.mark.parametrize(
    "action", [Action.RETRY, Action.DISCARD, Action.EDIT, Action.LEAVE_OUT, Action.ADOPT, Action.KNOWN]
)
@pytest.mark.parametrize("state", RESULTS)
def test_an_action_is_allowed_in_the_states_of_the_table(
    state: State, action: Action, operator: Operator, world: World
) -> None:
    key = world.bring("eve", *RESULTS[state], email="eve@example.com")
    assert operator.contacts.get(key).state is state
    acts: dict[Action, Callable[[], object]] = {
        Action.RETRY: lambda: operator.contacts.retry(key),
        Action.DISCARD: lambda: operator.contacts.discard(key),
        Action.EDIT: lambda: operator.contacts.edit(key, {"name": "Eve"}),
        Action.LEAVE_OUT: lambda: operator.contacts.leave_out(key),
        Action.ADOPT: lambda: operator.contacts.adopt(key),
        Action.KNOWN: lambda: operator.contacts.mark_known(key),
    }
    if may(action, state):
        acts[action]()
        assert len(audited(world)) == 1
    else:
        with pytest.raises(ActionRefused):
            acts[action]()
        assert operator.contacts.get(key).state is state
        assert audited(world) == []


def test_a_plan_says_how_many_and_how_long(operator: Operator, world: World) -> None:
    for number in range(3):
        world.bring(f"person-{number}", FAILED)
    world.bring("eve", replace(CONFLICT, cause=FAILED.cause))
    plan = plan_of(operator, wanted=Filter(cause=FAILED.cause))
    assert plan.eligible == {State.FAILED: 3, State.CONFLICT: 1}
    assert (plan.total, plan.matched, plan.skipped, plan.at_least) == (4, 4, {}, False)
    assert plan_of(operator, BulkAction.DISCARD).takes_ms == 0
    operator.sync.pause()
    assert plan_of(operator).takes_ms is None


def test_an_operation_starts_with_the_number_that_was_planned(operator: Operator, world: World) -> None:
    for number in range(3):
        world.bring(f"person-{number}", FAILED)
    plan = plan_of(operator)
    world.bring("late", FAILED)
    operation = operator.operations.start(plan, "fixed")
    assert (operation.total, operation.who, operation.why) == (3, "ada", "fixed")
    assert audited(world) == [("ada", "retried 3 contacts: failed", f"operation {operation.id}", "fixed")]


def test_starting_an_operation_does_not_count_again(operator: Operator, world: World) -> None:
    world.bring("eve", FAILED)
    plan = plan_of(operator, wanted=Filter(state=State.FAILED, source="signup"))
    before = world.client.info("commandstats")
    operator.operations.start(plan)
    after = world.client.info("commandstats")
    for command in ("hmget", "zcount"):
        name = f"cmdstat_{command}"
        calls = [stats.get(name, {"calls": 0})["calls"] for stats in (before, after)]
        assert calls[0] == calls[1], command


@pytest.mark.parametrize(("expected", "has_drifted"), [(10, False), (11, False), (9, True), (12, True), (0, True)])
def test_a_plan_notices_that_many_more_or_fewer_match_now(
    expected: int, has_drifted: bool, operator: Operator, world: World
) -> None:
    for number in range(10):
        world.bring(f"person-{number}", FAILED)
    assert plan_of(operator).has_drifted(expected) is has_drifted


def test_decisions_about_conflicts_are_recorded(operator: Operator, world: World) -> None:
    known, adopted = world.bring("ada", CONFLICT), world.bring("eve", CONFLICT)
    assert operator.contacts.mark_known(known, "it is her", contact_id="77") == "77"
    assert operator.contacts.adopt(adopted) is State.RETRYING
    assert audited(world) == [
        ("ada", "decided to adopt contact 12", adopted, ""),
        ("ada", "marked as known: contact 77", known, "it is her"),
    ]


@pytest.mark.parametrize(
    ("result", "refused"),
    [
        (replace(CONFLICT, owner_id=None), {"adopt", "mark_known"}),
        (replace(CONFLICT, cause="identifier_found_twice"), {"adopt", "leave_out"}),
    ],
)
def test_a_conflict_is_resolved_only_where_it_is_clear_with_whom(
    result: AttemptResult, refused: set[str], operator: Operator, world: World
) -> None:
    for name in ("adopt", "mark_known", "leave_out"):
        key = world.bring(f"of-{name}", result, email=f"{name}@example.com")
        act = getattr(operator.contacts, name)
        if name in refused:
            with pytest.raises(ActionRefused, match="Nothing was changed") as caught:
                act(key)
            assert caught.value.reason is Reason.NO_OWNER
            assert operator.contacts.get(key).state is State.CONFLICT
        else:
            act(key)


def test_plans_of_resolutions_say_how_many_are_skipped_and_why(operator: Operator, world: World) -> None:
    world.bring("owned", CONFLICT)
    world.bring("ownerless", replace(CONFLICT, owner_id=None))
    world.bring("twice", replace(CONFLICT, cause="identifier_found_twice"))
    world.bring("failed", replace(FAILED, cause=CONFLICT.cause))
    everybody = Filter(state=State.CONFLICT)
    adopt, without, known = operator.operations.plans(
        [BulkAction.ADOPT, BulkAction.WITHOUT, BulkAction.KNOWN], everybody
    )
    assert (adopt.total, adopt.obstacles) == (1, {Obstacle.NO_OWNER: 1, Obstacle.NOT_TAKEN: 1})
    assert (without.total, without.obstacles) == (2, {Obstacle.NOT_TAKEN: 1})
    assert (known.total, known.obstacles, known.takes_ms) == (2, {Obstacle.NO_OWNER: 1}, 0)
    assert {plan.matched for plan in (adopt, without, known)} == {3}
    by_cause = operator.operations.plan(BulkAction.ADOPT, Filter(cause=CONFLICT.cause))
    assert (by_cause.total, by_cause.skipped) == (1, {State.FAILED: 1})
    assert operator.operations.plan(BulkAction.RETRY, everybody).total == 3
    world.client.hset(keys.contact(world.key("owned")), "unverified", "1")
    adopt = operator.operations.plan(BulkAction.ADOPT, everybody)
    assert (adopt.total, adopt.obstacles[Obstacle.UNVERIFIED]) == (0, 1)
