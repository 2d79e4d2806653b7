"""When to try again, and when to give up: pure functions.

Who is at fault (``causes``) decides what a failed attempt costs. If it is the contact's own data, the wait that follows
counts towards ``RETRY_FOR``, and the contact fails once that is used up. If it is LiveDesk or our configuration, the
contact waits as long as it takes, up to ``RETRY_LONGEST`` between two attempts.

If LiveDesk fails for a contact, or refuses it without a reason, again and again while it does the same for others, the
contact may be what it cannot handle, and it is given up after a few attempts.
"""

import random
import re
from dataclasses import dataclass

from worker import causes
from worker.causes import Cause
from worker.errors import AnswerUnknown, LiveDeskError, Misconfigured, Throttled
from worker.model import AttemptResult, Claim, Note, Signal, State

MINUTE_MS = 60_000
#: A longer ``Retry-After`` counts as a mistake.
MAX_RETRY_AFTER_MS = 24 * 3_600_000
#: Failures while others got through, after which a contact is given up.
MAX_SUSPECT = 5
#: What is of one request alone in the words of a refusal: numbers and ids.
IDS = re.compile(r"\b(?=\w*\d)[\w-]+\b")
#: What LiveDesk says about this one contact is contradictory. After ``MISSES_ALLOWED`` times in a row it is a conflict,
#: because only a person can find out more.
UNRESOLVABLE = (
    causes.EXISTS_BUT_NOT_FOUND,
    causes.SEARCH_TOO_MANY_RESULTS,
    causes.SEARCH_PROVES_NOTHING,
    causes.CONTACT_GONE,
)
MISSES_ALLOWED = 5


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of the first wait, of every wait, and of the sum of waits that count."""

    first_ms: int
    longest_ms: int
    budget_ms: int

    def backoff_ms(self, failures: int, rng: random.Random) -> int:
        """Return an exponential backoff with full jitter.

        It is uniform between 0 and first * 2^failures, at most the longest wait. Source: M. Brooker, "Exponential
        Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        return rng.randint(0, self.bound_ms(failures))

    def bound_ms(self, failures: int) -> int:
        """The longest wait before the next attempt after this many failures in a row."""
        bound: int = min(self.longest_ms, self.first_ms * 2 ** min(failures, 30))
        return bound


def after(error: LiveDeskError, claim: Claim, policy: RetryPolicy, now_ms: int, rng: random.Random) -> AttemptResult:
    """Return the result of an attempt that failed with ``error``: wait, or give up."""
    if isinstance(error, Throttled):
        hold_ms = throttle_ms(error, now_ms)
        delay_ms = min(hold_ms, policy.longest_ms)
    else:
        hold_ms, delay_ms = 0, policy.backoff_ms(claim.failures, rng)
    spent_ms = claim.spent_ms + (delay_ms if error.cause.spends_budget else 0)
    if spent_ms >= policy.budget_ms:
        return closed(State.FAILED, error.cause, error)
    repeats = claim.repeats + 1 if claim.cause == error.cause.slug else 1
    if error.cause in UNRESOLVABLE and repeats >= MISSES_ALLOWED:
        return closed(State.CONFLICT, error.cause, error)
    suspect = claim.suspect + _is_suspect(error, claim)
    if suspect >= MAX_SUSPECT:
        return closed(State.FAILED, error.cause if error.cause.signal is Signal.REFUSED else causes.POISONOUS, error)
    return AttemptResult(
        state=State.RETRYING,
        cause=error.cause.slug,
        delay_ms=delay_ms,
        failures=claim.failures + 1,
        repeats=repeats,
        spent_ms=spent_ms,
        status=error.status,
        excerpt=error.excerpt,
        signal=error.cause.signal,
        hold_ms=hold_ms,
        suspect=suspect,
        is_alone=suspect > 0 or (isinstance(error, Throttled) and repeats > 1 and _others_succeeded(claim)),
        asks=isinstance(error, AnswerUnknown | Misconfigured) and error.cause.signal is not Signal.INBOX,
        words=words_of(error, claim) if error.cause.signal is Signal.REFUSED else None,
    )


def words_of(error: LiveDeskError, claim: Claim) -> str:
    """Return what LiveDesk said, without this contact's values, numbers and ids."""
    text = error.excerpt
    values = [value for value in claim.contact.present().values() if isinstance(value, str)]
    for value in sorted(values, key=len, reverse=True):
        text = re.sub(re.escape(value), "…", text, flags=re.IGNORECASE)
    return IDS.sub("…", text)


def postponed(claim: Claim, wait_ms: int, cause: str | None) -> AttemptResult:
    """Wait for the earlier create or for a slot, which counts as no failure."""
    return AttemptResult(
        state=State.RETRYING,
        cause=cause,
        notes=claim.notes,
        delay_ms=wait_ms,
        failures=claim.failures,
        repeats=claim.repeats,
        spent_ms=claim.spent_ms,
        suspect=claim.suspect,
        signal=Signal.POSTPONED,
    )


def closed(
    state: State,
    cause: Cause,
    error: LiveDeskError | None = None,
    *,
    owner_id: str | None = None,
    notes: tuple[Note, ...] = (),
) -> AttemptResult:
    """Return a result that closes the contact until a person retries it."""
    return AttemptResult(
        state=state,
        cause=cause.slug,
        owner_id=owner_id,
        notes=notes,
        status=error.status if error else None,
        excerpt=error.excerpt if error else "",
        signal=cause.signal,
    )


def throttle_ms(error: Throttled, now_ms: int) -> int:
    """Return how long LiveDesk wants no request, in ms.

    That is its ``Retry-After``, otherwise the rest of the minute. Its limits count by the clock's minute (Chatwoot,
    ``config/initializers/rack_attack.rb``).
    """
    if error.retry_after is not None:
        return min(round(error.retry_after * 1000), MAX_RETRY_AFTER_MS)
    return MINUTE_MS - now_ms % MINUTE_MS


def _is_suspect(error: LiveDeskError, claim: Claim) -> bool:
    """Whether LiveDesk failed for this contact alone, and not because of its inbox."""
    is_failure = isinstance(error, AnswerUnknown | Misconfigured) and error.cause.signal is not Signal.INBOX
    if claim.is_inbox_probe or not (is_failure or error.cause.signal is Signal.REFUSED):
        return False
    return _others_succeeded(claim)


def _others_succeeded(claim: Claim) -> bool:
    return claim.failed_at is not None and claim.done_at > claim.failed_at
