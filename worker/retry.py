"""When to try next, and when to give up. Pure: what was, and chance, in; a decision out.

Whose fault it was decides what a failed attempt costs:

* LiveDesk's (not reachable, 429, 5xx, timeouts) and ours (401, 403, wrong address): nothing. The contact waits,
  however long.
* the contact's: the wait that follows is taken from its retry budget, ``RETRY_FOR``. When that is spent, it has failed.

A contact for which LiveDesk fails again and again while it answers others is poisonous, and parked after a few tries.
"""

import random
from dataclasses import dataclass

from worker import causes
from worker.causes import Cause
from worker.errors import AnswerUnknown, LiveDeskError, Misconfigured, Throttled
from worker.model import Claim

MINUTE_MS = 60_000
#: A ``Retry-After`` beyond this is taken for a mistake, in ms.
LONGEST_RETRY_AFTER_MS = 24 * 3_600_000
#: After so many failures while LiveDesk answered others, a contact is parked: trying on would only do harm.
SUSPECT_MOST = 5
#: What LiveDesk says about this one contact does not add up. Repeating it that many times in a row makes it a conflict,
#: because only a person can find out more.
UNRESOLVABLE = (causes.EXISTS_BUT_NOT_FOUND, causes.SEARCH_TOO_MANY_RESULTS, causes.CONTACT_GONE)
MISSES_ALLOWED = 5
#: Spread of the first tries after a throttled minute, in ms.
THROTTLE_JITTER_MS = 10_000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``first_ms`` bounds the first wait, ``longest_ms`` every wait, ``budget_ms`` the sum of waits that are
    charged."""

    first_ms: int
    longest_ms: int
    budget_ms: int

    def backoff_ms(self, failures: int, rng: random.Random) -> int:
        """Exponential with full jitter: uniform between 0 and first * 2^failures, at most the longest wait.

        Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        return rng.randint(0, self.bound_ms(failures))

    def bound_ms(self, failures: int) -> int:
        """The longest that the next attempt waits after so many failures in a row."""
        bound: int = min(self.longest_ms, self.first_ms * 2 ** min(failures, 30))
        return bound

    def is_spent(self, spent_ms: int) -> bool:
        return spent_ms >= self.budget_ms


def hold_ms(error: Throttled, now_ms: int) -> int:
    """How long LiveDesk wants no request: ``Retry-After`` exactly as it said; else until the next minute begins, as its
    limits count by the clock's minute (Chatwoot, ``config/initializers/rack_attack.rb``)."""
    if error.retry_after is not None:
        return min(round(error.retry_after * 1000), LONGEST_RETRY_AFTER_MS)
    return MINUTE_MS - now_ms % MINUTE_MS


def throttled_ms(error: Throttled, now_ms: int, rng: random.Random) -> int:
    """When the throttled contact itself comes again. Without a ``Retry-After`` with jitter, so that not all come at
    once."""
    jitter = 0 if error.retry_after is not None else rng.randint(0, THROTTLE_JITTER_MS)
    return hold_ms(error, now_ms) + jitter


def suspect(claim: Claim, error: LiveDeskError) -> int:
    """How often LiveDesk failed for this contact although it answered others meanwhile: it may be what breaks it."""
    if not isinstance(error, AnswerUnknown | Misconfigured):
        return claim.suspect
    answered_others = claim.failed_at is not None and claim.answered_at > claim.failed_at
    return claim.suspect + answered_others


def repeats(claim: Claim, cause: Cause) -> int:
    """How many attempts in a row ended with this cause, this one counted."""
    return claim.repeats + 1 if claim.cause == cause.slug else 1
