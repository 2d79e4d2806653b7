"""When to try next: bounds that hold whatever chance draws."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import causes, retry
from worker.causes import Cause
from worker.errors import AnswerUnknown, LiveDeskError, Misconfigured, NotSent, Throttled
from worker.model import AttemptResult, Claim, Contact, State
from worker.retry import (
    MAX_RETRY_AFTER_MS,
    MAX_SUSPECT,
    MINUTE_MS,
    MISSES_ALLOWED,
    THROTTLE_JITTER_MS,
    UNRESOLVABLE,
    RetryPolicy,
)

POLICY = RetryPolicy(first_ms=5_000, longest_ms=900_000, budget_ms=3_600_000)
RANDOMS = st.integers().map(random.Random)
NOW = st.integers(0, 10**14)


@given(failures=st.integers(0, 10**9), rng=RANDOMS)
def test_a_wait_is_within_its_bounds_after_any_number_of_failures(failures: int, rng: random.Random) -> None:
    wait = POLICY.backoff_ms(failures, rng)
    assert 0 <= wait <= POLICY.longest_ms
    assert wait <= POLICY.first_ms * 2 ** min(failures, 20)


@pytest.mark.parametrize(("failures", "bound"), [(0, 5_000), (1, 10_000), (7, 640_000), (8, 900_000), (10**9, 900_000)])
def test_waits_are_spread_over_the_whole_range(failures: int, bound: int) -> None:
    rng = random.Random(0)
    waits = [POLICY.backoff_ms(failures, rng) for _ in range(300)]
    assert min(waits) < bound * 0.05
    assert bound * 0.95 < max(waits) <= bound


def after(error: LiveDeskError, now: int = 0, rng: random.Random | None = None, **fields: Any) -> AttemptResult:
    claim = Claim("key", "token", Contact("ada"), "", 0, 0, **fields)
    return retry.after(error, claim, POLICY, now, rng or random.Random(0))


def wait(error: LiveDeskError, now: int = 0, rng: random.Random | None = None, **fields: Any) -> AttemptResult:
    decision = after(error, now, rng, **fields)
    assert decision.state is State.RETRYING
    return decision


def test_a_budget_is_spent_when_it_is_used_up() -> None:
    wait(NotSent(causes.CONNECT_FAILED), spent_ms=POLICY.budget_ms - 1)
    given_up = after(NotSent(causes.CONNECT_FAILED), spent_ms=POLICY.budget_ms)
    assert (given_up.state, given_up.cause) == (State.FAILED, "connect_failed")


@given(seconds=st.floats(0, MAX_RETRY_AFTER_MS / 1000), now=NOW, rng=RANDOMS)
def test_retry_after_is_followed_exactly(seconds: float, now: int, rng: random.Random) -> None:
    decision = wait(Throttled(retry_after=seconds), now, rng)
    assert decision.delay_ms == decision.hold_ms == round(seconds * 1000)


@pytest.mark.parametrize("seconds", [86_401, 10**9, 1e300])
def test_retry_after_beyond_a_day_counts_as_a_mistake(seconds: float) -> None:
    assert wait(Throttled(retry_after=seconds)).delay_ms == MAX_RETRY_AFTER_MS


@given(now=NOW, rng=RANDOMS)
def test_without_retry_after_it_is_tried_early_in_the_next_minute(now: int, rng: random.Random) -> None:
    decision = wait(Throttled(), now, rng)
    then = now + decision.delay_ms
    assert then // MINUTE_MS == now // MINUTE_MS + 1
    assert then % MINUTE_MS <= THROTTLE_JITTER_MS
    assert now + decision.hold_ms == (now // MINUTE_MS + 1) * MINUTE_MS


def test_the_first_tries_of_the_next_minute_are_spread() -> None:
    rng = random.Random(0)
    assert len({wait(Throttled(), 0, rng).delay_ms for _ in range(50)}) > 40


@pytest.mark.parametrize(("before", "counted", "now"), [(None, 0, 1), ("connect_failed", 3, 4), ("throttled", 3, 1)])
def test_only_the_same_cause_in_a_row_is_a_repeat(before: str | None, counted: int, now: int) -> None:
    assert wait(NotSent(causes.CONNECT_FAILED), cause=before, repeats=counted).repeats == now


@pytest.mark.parametrize("cause", UNRESOLVABLE, ids=str)
def test_what_livedesk_contradicts_itself_about_is_a_conflict_after_some_misses(cause: Cause) -> None:
    error = LiveDeskError(cause)
    wait(error, cause=cause.slug, repeats=MISSES_ALLOWED - 2)
    given_up = after(error, cause=cause.slug, repeats=MISSES_ALLOWED - 1)
    assert (given_up.state, given_up.cause) == (State.CONFLICT, cause.slug)


@pytest.mark.parametrize(
    ("error", "answered_at", "suspect"),
    [
        (AnswerUnknown(causes.http(500)), 9, 3),
        (Misconfigured(causes.FORBIDDEN), 9, 3),
        (AnswerUnknown(causes.http(500)), 7, 2),
        (NotSent(causes.CONNECT_FAILED), 9, 2),
    ],
    ids=str,
)
def test_a_contact_is_suspect_if_livedesk_answered_others_since(
    error: LiveDeskError, answered_at: int, suspect: int
) -> None:
    assert wait(error, answered_at=answered_at, failed_at=8, suspect=2).suspect == suspect


def test_a_contact_that_livedesk_alone_fails_for_is_given_up() -> None:
    error = AnswerUnknown(causes.http(500))
    decision = after(error, answered_at=9, failed_at=8, suspect=MAX_SUSPECT - 1)
    assert (decision.state, decision.cause) == (State.FAILED, "poisonous")
