"""When to try next: bounds that hold whatever chance draws."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import causes
from worker.errors import Throttled
from worker.model import Claim, Contact
from worker.retry import (
    LONGEST_RETRY_AFTER_MS,
    MINUTE_MS,
    THROTTLE_JITTER_MS,
    RetryPolicy,
    repeats,
    throttled_ms,
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


def test_a_budget_is_spent_when_it_is_used_up() -> None:
    assert not POLICY.is_spent(POLICY.budget_ms - 1)
    assert POLICY.is_spent(POLICY.budget_ms)


@given(seconds=st.floats(0, LONGEST_RETRY_AFTER_MS / 1000), now=NOW, rng=RANDOMS)
def test_retry_after_is_taken_at_its_word(seconds: float, now: int, rng: random.Random) -> None:
    assert throttled_ms(Throttled(retry_after=seconds), now, rng) == round(seconds * 1000)


@pytest.mark.parametrize("seconds", [86_401, 10**9, 1e300])
def test_retry_after_beyond_a_day_is_taken_for_a_mistake(seconds: float) -> None:
    assert throttled_ms(Throttled(retry_after=seconds), 0, random.Random(0)) == LONGEST_RETRY_AFTER_MS


@given(now=NOW, rng=RANDOMS)
def test_without_retry_after_it_goes_on_early_in_the_next_minute(now: int, rng: random.Random) -> None:
    then = now + throttled_ms(Throttled(), now, rng)
    assert then // MINUTE_MS == now // MINUTE_MS + 1
    assert then % MINUTE_MS <= THROTTLE_JITTER_MS


def test_the_first_tries_of_the_next_minute_are_spread() -> None:
    rng = random.Random(0)
    assert len({throttled_ms(Throttled(), 0, rng) for _ in range(50)}) > 40


@pytest.mark.parametrize(
    ("before", "counted", "cause", "now"),
    [(None, 0, "throttled", 1), ("throttled", 3, "throttled", 4), ("other", 3, "throttled", 1)],
)
def test_only_the_same_cause_in_a_row_is_a_repeat(before: str | None, counted: int, cause: str, now: int) -> None:
    claim = Claim("key", "token", Contact("ada"), "", 0, 0, cause=before, repeats=counted)
    assert repeats(claim, causes.explain(cause)) == now
