"""The plan is a function of the seed, and leaves nothing out."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.outages import INJECT
from tests.faults.people import NO_ADDRESS, email, owner_of_address, shares_address, signup
from tests.faults.plan import (
    FAILOVERS,
    OTHER_FAULTS,
    OUTAGES,
    PROCESS_FAULTS,
    RECEIVERS,
    REDIS,
    WORKERS,
    is_buried,
    make_plan,
)
from tests.livedesk import MODES
from tests.livedesk.rules import rule_of

DEFAULTS = {name: mode.defaults for name, mode in MODES.items()}


def test_the_same_seed_makes_the_same_plan() -> None:
    assert make_plan(7, 1000, 600, 50) == make_plan(7, 1000, 600, 50)
    assert make_plan(7, 1000, 600, 50) != make_plan(8, 1000, 600, 50)


@given(st.integers(0, 10_000))
def test_everybody_signs_up_and_every_version_follows_from_the_one_before(seed: int) -> None:
    plan = make_plan(seed, 300, 200, 50)
    assert len(plan.deliveries) == 300
    assert {delivery.person for delivery in plan.deliveries} == set(range(200))
    newest: Counter[int] = Counter()
    for delivery in plan.deliveries:
        assert delivery.version <= newest[delivery.person]
        newest[delivery.person] = max(newest[delivery.person], delivery.version + 1)


@given(st.integers(0, 10_000))
def test_the_events_of_a_person_have_times_and_a_deletion_has_one_of_its_own(seed: int) -> None:
    plan = make_plan(seed, 900, 200, 50)
    events = {(one.person, one.version): (one.happened, one.deletes) for one in plan.deliveries}
    for (person, version), (happened, deletes) in events.items():
        before = events.get((person, version - 1))
        if before is not None:
            is_apart = deletes or before[1]
            assert before[0] < happened if is_apart else before[0] <= happened
    assert any(deletes for _, deletes in events.values())
    assert len({(person, at) for (person, _), (at, _) in events.items()}) < len(events), "some happen at the same time"


@given(st.integers(0, 10_000))
def test_a_long_run_has_every_kind_of_fault_and_every_misbehaviour(seed: int) -> None:
    plan = make_plan(seed, 100, 60, 1)
    assert {fault.options["mode"] for fault in plan.lanes[3]} == set(MODES)
    kinds = {fault.kind for fault in plan.faults}
    assert kinds >= {kind for kind, _ in (*PROCESS_FAULTS, *OTHER_FAULTS)} | {"oversleep"}
    assert not kinds & {kind for kind, _ in FAILOVERS}


@given(st.integers(0, 10_000))
def test_a_redis_that_fails_over_suffers_nothing_else(seed: int) -> None:
    plan = make_plan(seed, 100, 60, 1, failover=True)
    assert {fault.kind for fault in plan.lanes[4]} == {kind for kind, _ in FAILOVERS}
    assert not [fault for lane in plan.lanes[:4] for fault in lane if fault.sort == "redis"]


@given(st.integers(0, 10_000))
def test_who_is_buried_gets_a_deletion_and_then_the_signup_without_its_time(seed: int) -> None:
    plan = make_plan(seed, 900, 200, 50)
    buried = [one for one in plan.deliveries if is_buried(one.person)]
    for person in {one.person for one in buried}:
        lives = [(one.version, one.deletes, one.timeless) for one in buried if one.person == person]
        assert lives == [(0, False, False), (1, True, False), *[(0, False, True)] * len(lives)][: len(lives)]
    assert any(one.timeless for one in buried)
    assert not any(one.timeless for one in plan.deliveries if one not in buried)


@pytest.mark.parametrize("failover", [True, False])
def test_a_few_seeds_have_every_outage(failover: bool) -> None:
    plans = [make_plan(seed, 100, 60, 50, failover=failover, outages=2) for seed in range(5)]
    kinds = {kind for kind, (target, _) in OUTAGES.items() if not failover or target != REDIS}
    assert {fault.kind for plan in plans for fault in plan.outages} == kinds == {*INJECT} & kinds
    assert all(len({fault.kind for fault in plan.outages}) == 2 for plan in plans)
    assert make_plan(1, 100, 60, 50, outages=0).outages == ()


@given(st.integers(0, 10_000))
def test_the_faults_of_a_lane_follow_one_another_within_the_run(seed: int) -> None:
    plan = make_plan(seed, 100, 60, 5, failover=True)
    for lane in plan.lanes[:2]:
        for earlier, later in pairwise(lane):
            assert earlier.at + earlier.lasts <= later.at
        assert lane[-1].at + lane[-1].lasts <= plan.duration


@given(st.integers(0, 10_000))
def test_who_oversleeps_is_left_alone_and_with_an_even_seed_the_first_of_each_live_on(seed: int) -> None:
    plan = make_plan(seed, 100, 60, 2.5)
    processes, _, sleepers, _ = plan.lanes
    for sleeper in sleepers:
        for fault in processes:
            overlaps = fault.at < sleeper.at + sleeper.lasts and sleeper.at < fault.at + fault.lasts
            assert not (fault.target == sleeper.target and overlaps)
    harmed = {fault.target for fault in processes if fault.kind in ("kill", "deploy")}
    if seed % 2 == 0:
        assert not harmed & {RECEIVERS[0], WORKERS[0]}


@given(st.integers(0, 1000))
def test_the_stand_in_understands_every_misbehaviour(seed: int) -> None:
    for fault in make_plan(seed, 100, 60, 50).lanes[3]:
        on = {"on": fault.target} if fault.target else {}
        rule = rule_of({**on, **fault.options}, DEFAULTS)
        MODES[rule.mode].check(rule)


@pytest.mark.parametrize("person", [owner for owner in range(500) if shares_address(owner + 1)])
def test_an_address_that_is_shared_is_the_owners_first_one(person: int) -> None:
    assert owner_of_address(person + 1) == person
    assert email(1, person, 0) == email(1, person + 1, 3)
    assert email(1, person, 0) is not None


def test_versions_differ_and_some_people_have_no_address() -> None:
    assert signup(1, 3, 0) != signup(1, 3, 1)
    assert signup(1, 3, 2) == signup(1, 3, 2)
    assert "email" not in signup(1, 5 + NO_ADDRESS, 0)
