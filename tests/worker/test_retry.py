"""When to try next: bounds that hold whatever chance draws."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import causes, retry
from worker.causes import Cause
from worker.errors import AnswerUnknown, LiveDeskError, Misconfigured, NotSent, Rejected, Throttled
from worker.model import AttemptResult, Claim, Contact, State
from worker.retry import (
    MAX_RETRY_AFTER_MS,
    MAX_SUSPECT,
    MINUTE_MS,
    MISSES_ALLOWED,
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
def test_everybody_waits_for_retry_after_and_the_contact_never_longer_than_others(
    seconds: float, now: int, rng: random.Random
) -> None:
    decision = wait(Throttled(retry_after=seconds), now, rng)
    assert decision.hold_ms == round(seconds * 1000)
    assert decision.delay_ms == min(decision.hold_ms, POLICY.longest_ms)


@pytest.mark.parametrize("seconds", [86_401, 10**9, 1e300])
def test_retry_after_beyond_a_day_counts_as_a_mistake(seconds: float) -> None:
    assert wait(Throttled(retry_after=seconds)).hold_ms == MAX_RETRY_AFTER_MS


@given(now=NOW, rng=RANDOMS)
def test_without_retry_after_it_is_tried_in_the_next_minute(now: int, rng: random.Random) -> None:
    assert now + wait(Throttled(), now, rng).hold_ms == (now // MINUTE_MS + 1) * MINUTE_MS


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
    ("error", "done_at", "suspect"),
    [
        (AnswerUnknown(causes.http(500)), 9, 3),
        (Misconfigured(causes.FORBIDDEN), 9, 3),
        (AnswerUnknown(causes.http(500)), 7, 2),
        (NotSent(causes.CONNECT_FAILED), 9, 2),
    ],
    ids=str,
)
def test_a_contact_is_suspect_if_livedesk_answered_others_since(
    error: LiveDeskError, done_at: int, suspect: int
) -> None:
    assert wait(error, done_at=done_at, failed_at=8, suspect=2).suspect == suspect


def test_a_contact_that_livedesk_alone_fails_for_is_given_up() -> None:
    error = AnswerUnknown(causes.http(500))
    decision = after(error, done_at=9, failed_at=8, suspect=MAX_SUSPECT - 1)
    assert (decision.state, decision.cause) == (State.FAILED, "poisonous")


def test_a_429_for_one_contact_alone_is_not_everybodys() -> None:
    error = Throttled(retry_after=600)
    assert not wait(error, done_at=9, failed_at=8).is_alone, "the first one may be everybody's"
    assert not wait(error, done_at=7, failed_at=8, cause="throttled", repeats=1).is_alone, "nobody got through since"
    assert wait(error, done_at=9, failed_at=8, cause="throttled", repeats=1).is_alone
    assert wait(error, done_at=9, failed_at=8, cause="throttled", repeats=9, suspect=3).suspect == 3, "never given up"


def refused(status: int = 402, words: str = "Subscription expired") -> Rejected:
    return Rejected(causes.http(status), fields=frozenset(), status=status, excerpt=words)


@pytest.mark.parametrize("status", [400, 402, 406, 409, 410, 421, 422, 423, 425, 426, 451, 499])
def test_a_refusal_without_a_reason_waits_and_costs_nothing(status: int) -> None:
    decision = wait(refused(status), done_at=7, failed_at=8)
    assert (decision.spent_ms, decision.suspect, decision.words) == (0, 0, "Subscription expired")


def test_a_contact_that_is_refused_while_others_are_accepted_is_given_up_with_its_own_cause() -> None:
    decision = after(refused(), done_at=9, failed_at=8, suspect=MAX_SUSPECT - 1)
    assert (decision.state, decision.cause) == (State.FAILED, "http_402")


def test_the_words_of_a_refusal_contain_nothing_of_one_contact_or_request() -> None:
    contact = Contact("u-17", name="Zoë", email="zoe@example.com")
    said = "Zoë <ZOE@example.com> (u-17) is not in your plan. Request 4f2a-99, ray 88c1f0e2."
    claim = Claim("key", "token", contact, "", 0, 0)
    assert retry.words_of(refused(words=said), claim) == "… <…> (…) is not in your plan. Request …, ray …."


@pytest.mark.parametrize(
    "error", [AnswerUnknown(causes.http(500)), Misconfigured(causes.FORBIDDEN), refused()], ids=str
)
def test_the_probe_of_a_held_inbox_is_never_suspect(error: LiveDeskError) -> None:
    assert wait(error, done_at=9, failed_at=8, suspect=2, is_inbox_probe=True).suspect == 2


def test_a_wrong_inbox_is_never_the_contacts_fault() -> None:
    assert wait(Misconfigured(causes.INBOX_NOT_FOUND), done_at=9, failed_at=8, suspect=MAX_SUSPECT - 1).suspect == 4
