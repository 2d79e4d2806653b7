"""The algorithm: how one contact gets to LiveDesk, once.

LiveDesk knows no idempotency key, and an answer may get lost after the contact was created. So:

1. Claim the contact. The lease is in Redis before a byte goes to LiveDesk; who cannot have it leaves, and so does
   everybody while LiveDesk must not be asked. The claim names the time of the first request.
2. If the answer to an earlier create is unknown, look the contact up. Found: adopt it. Absent: a new create may be
   sent only after the settle time, when the earlier one can no longer be on its way. A look-up that cannot tell
   counts as neither. Where a search is known not to find contacts (``model.Account``), nobody can tell any more, and a
   person must look; where LiveDesk is known not to keep identifiers unique, every contact is looked up first.
3. Create the contact.
4. Refused, because something of it is there already: find that contact, and adopt it or report the conflict.
5. Finish: what came of it is written in one step, if the lease is still ours.

A worker may die between any two lines: ``due`` brings the contact back when the lease runs out, and step 2 does the
rest.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from secrets import token_hex

from worker import causes, retry
from worker.causes import Cause
from worker.errors import AnswerUnknown, LiveDeskError, Misconfigured, Rejected, StoreError, Throttled
from worker.livedesk.client import CONNECT_TIMEOUT_S, Created, LiveDesk, Person
from worker.model import (
    OPTIONAL_FIELDS,
    UNIQUE_FIELDS,
    Account,
    Attempt,
    AttemptResult,
    Claim,
    Contact,
    Note,
    NoteCode,
    Outcome,
    Signal,
    State,
    Unanswered,
)
from worker.retry import RetryPolicy
from worker.store.contacts import Finished
from worker.store.store import Store

#: How many workers one contact may outlive before it has failed: it may be what kills them.
CRASHES_ALLOWED = 10
#: A request that comes later than its time, in seconds, would crowd those after it: it gets another time, so often.
LATE_S, PACE_TRIES = 0.01, 5
#: How long, in seconds, a verdict is offered to a Redis that does not take it, before it is given up.
FINISH_PATIENCE_S = 60.0


class LeaseLost(Exception):
    """Somebody else has the contact now: stop, and change nothing."""


class Paced(Exception):
    """There is no room for another request within a second: the contact waits in ``due``, no worker sleeps for it."""

    def __init__(self, again_ms: int) -> None:
        super().__init__()
        self.again_ms = again_ms


@dataclass(frozen=True, slots=True)
class Ended:
    """What one call of ``bring`` did; it is not ``written`` where the lease was lost or Redis stayed away."""

    claim: Claim
    verdict: AttemptResult
    attempt: Attempt
    finished: Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """The parts that the algorithm works with.

    ``inbox_id`` is the inbox of contacts that name none: it is looked at only now, so that those that wait for a wrong
    one to be mended get the right one. ``account`` tells what is known about LiveDesk's account, by default nothing.
    ``clock`` is in seconds and only measures how long things take.
    """

    store: Store
    livedesk: LiveDesk
    policy: RetryPolicy
    settle_ms: int
    adopt: bool = True
    inbox_id: int | None = None
    rng: random.Random
    account: Callable[[], Account] = Account
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def bring(self, key: str) -> Ended | None:
        """Makes one attempt to bring a contact to LiveDesk. ``None``: it was not to be had, or not needed."""
        asked_at = self.clock()
        claim = self.store.contacts.claim(key, token_hex(8))  # step 1
        if claim is None:
            return None
        work = _Work(self, claim, asked_at)
        try:
            verdict = work.attempt()
        except LeaseLost:
            return None
        except Paced as paced:
            verdict = work.postponed(paced.again_ms, claim.cause)
        except LiveDeskError as error:
            verdict = work.failed(error)
        trigger = claim.trigger or ""
        attempt = Attempt(work.began_ms(), work.duration_ms(), verdict.status, verdict.cause, verdict.excerpt, trigger)
        finished = self._finish(claim, verdict, attempt)
        return Ended(claim, verdict, attempt, finished)

    def _finish(self, claim: Claim, verdict: AttemptResult, attempt: Attempt) -> Finished:
        """Step 5. An answer of LiveDesk's is worth waiting for Redis; what is lost here costs a look-up."""
        give_up_at = self.clock() + FINISH_PATIENCE_S
        while True:
            try:
                return self.store.contacts.finish(claim, verdict, attempt)
            except StoreError:
                if self.clock() > give_up_at:
                    return Finished(written=False)
                self.sleep(0.5)


class _Work:
    """One attempt: steps 2 to 4, and the lease that they have to keep."""

    def __init__(self, sync: Sync, claim: Claim, asked_at: float) -> None:
        self.sync = sync
        self.claim = claim
        self.contact = replace(claim.contact, inbox_id=claim.contact.inbox_id or sync.inbox_id)
        self.notes: list[Note] = list(claim.notes)
        #: When the first request went.
        self.began: float | None = None
        #: The claim was made (``claim.now``) after it was asked for and before its answer was read; this process may
        #: have been stopped in between. So the lease is counted from the one, and Redis's time from the other.
        self.claimed_at = sync.clock()
        self.lease_ends = asked_at + (claim.lease_until - claim.now) / 1000
        #: When the requests that came with the claim may go: one, and where a look-up comes first another.
        number = 1 if claim.unknown_since is None else 2
        self.slots = [asked_at + (claim.wait_ms + nth * claim.apart_ms) / 1000 for nth in range(number)]
        #: What this attempt means for the create whose answer is unknown.
        self.unanswered = Unanswered.KEEP

    def duration_ms(self) -> int:
        return 0 if self.began is None else round((self.sync.clock() - self.began) * 1000)

    def began_ms(self) -> int:
        return self.now_ms() - self.duration_ms()

    def now_ms(self) -> int:
        """Redis's time, or a little less."""
        return self.claim.now + round((self.sync.clock() - self.claimed_at) * 1000)

    def attempt(self) -> AttemptResult:
        account = self.sync.account()
        if self.claim.unknown_since is not None:  # step 2
            if self.claim.late_id:
                return self.created(Created(self.claim.late_id, 200), Outcome.CREATED)
            if self.claim.crashes >= CRASHES_ALLOWED:
                return self.closed(State.FAILED, causes.WORKER_DIED)
            looked_at = self.now_ms()
            found = self.look_up()
            if found:
                return self.adopt(found)
            settled_at = self.claim.unknown_since + self.sync.settle_ms
            if looked_at < settled_at:
                return self.postponed(max(0, settled_at - self.now_ms()), self.claim.cause or causes.WORKER_DIED.slug)
            if account.finds(self.contact) is False:  # it may be there all the same
                return self.closed(State.CONFLICT, causes.CANNOT_BE_LOOKED_UP)
        elif account.unique is False and (found := self.look_up()):
            return self.adopt(found)
        try:
            return self.created(self.create(), Outcome.CREATED)  # step 3
        except Rejected as refusal:
            return self.refused(refusal)  # step 4

    def create(self) -> Created:
        """Step 3: sends the create, and remembers what its answer says about earlier ones."""
        if self.contact.inbox_id is None:
            raise Misconfigured(causes.INBOX_MISSING)
        self.prepare()
        try:
            return self.sync.livedesk.create(self.contact)
        except AnswerUnknown:
            self.unanswered = Unanswered.NOW
            raise
        except Rejected:
            self.unanswered = Unanswered.CLEAR
            raise

    def refused(self, refusal: Rejected) -> AttemptResult:
        """Step 4: LiveDesk will not have the contact. Its identifier, or an address of it, may be there already."""
        while True:
            if "identifier" in refusal.fields:
                return self.identifier_taken(refusal)
            taken = [field for field in UNIQUE_FIELDS if field in refusal.fields and getattr(self.contact, field)]
            for field in taken:
                owners = self.owners(field)
                if owners:
                    return self.address_taken(field, owners, refusal)
            optional = [field for field in OPTIONAL_FIELDS if field in refusal.fields and getattr(self.contact, field)]
            if not optional:
                return self.rejected(refusal)
            self.leave_out(optional)
            try:
                return self.created(self.create(), Outcome.CREATED)
            except Rejected as next_refusal:
                refusal = next_refusal

    def identifier_taken(self, refusal: Rejected) -> AttemptResult:
        found = self.look_up()
        if found:
            return self.adopt(found)
        return self.failed(LiveDeskError(causes.EXISTS_BUT_NOT_FOUND, status=refusal.status, excerpt=refusal.excerpt))

    def address_taken(self, field: str, owners: list[Person], refusal: Rejected) -> AttemptResult:
        """The e-mail address or phone number belongs to another contact: ours by all we know, or a conflict."""
        owner = owners[0]
        if len(owners) == 1 and owner.identifier == self.contact.identifier:
            return self.adopt(owners)
        if len(owners) > 1 or owner.identifier is not None or not self.sync.adopt:
            return self.closed(
                State.CONFLICT, causes.taken(field), owner_id=owner.id, status=refusal.status, excerpt=refusal.excerpt
            )
        self.prepare()
        try:
            status = self.sync.livedesk.set_identifier(owner.id, self.contact.identifier)
        except Rejected as error:
            if error.cause is causes.CONTACT_GONE:
                raise
            if "identifier" in error.fields:  # somebody else has got it meanwhile
                return self.identifier_taken(error)
            return self.closed(
                State.CONFLICT, causes.taken(field), owner_id=owner.id, status=error.status, excerpt=error.excerpt
            )
        self.notes.append(Note(field, "adopted the contact that had it and no identifier", NoteCode.ADOPTED))
        return self.adopt([replace(owner, identifier=self.contact.identifier)], status)

    def look_up(self) -> list[Person]:
        self.prepare(look_up=True)
        return self.sync.livedesk.look_up(self.contact.identifier, self.turn_page)

    def owners(self, field: str) -> list[Person]:
        self.prepare(look_up=True)
        return self.sync.livedesk.owners(field, getattr(self.contact, field), self.turn_page)

    def turn_page(self) -> None:
        self.prepare(look_up=True)

    def leave_out(self, fields: list[str]) -> None:
        self.contact = self.contact.without(*fields)
        self.notes += [Note(field, "left out: LiveDesk did not take it", NoteCode.LEFT_OUT) for field in fields]

    def prepare(self, *, look_up: bool = False) -> None:
        """Before every request: it has its time by the pace, and the lease outlasts it."""
        for _ in range(PACE_TRIES):
            at = self.slots.pop(0) if self.slots else self.slot(look_up)
            self.sync.sleep(max(0.0, at - self.sync.clock()))
            if not self.sync.store.upstream.policy.rate or self.sync.clock() - at <= LATE_S:
                break
        self.keep_lease()
        if self.began is None:
            self.began = self.sync.clock()

    def slot(self, look_up: bool) -> float:
        """When another request may go."""
        asked_at = self.sync.clock()
        wait_ms = self.sync.store.upstream.pace(look_up=look_up)
        if wait_ms < 0:
            raise Paced(-wait_ms)
        return asked_at + wait_ms / 1000

    def keep_lease(self) -> None:
        """The lease must outlast the request, else somebody else could start while it is under way."""
        needed = CONNECT_TIMEOUT_S + self.sync.livedesk.timeout_s
        if self.sync.clock() + needed <= self.lease_ends:
            return
        asked_at = self.sync.clock()
        if not self.sync.store.contacts.renew(self.claim):
            raise LeaseLost
        self.lease_ends = asked_at + self.sync.store.contacts.lease_ms / 1000

    # The ends

    def created(self, made: Created, outcome: Outcome) -> AttemptResult:
        return AttemptResult(
            state=State.CREATED,
            contact_id=made.contact_id,
            outcome=outcome,
            notes=(*self.notes, *made.notes),
            status=made.status,
        )

    def adopt(self, found: list[Person], status: int = 200) -> AttemptResult:
        """The contact is in LiveDesk already. Twice would mean that it is broken there, and a person must look."""
        if len(found) > 1:
            return self.closed(State.CONFLICT, causes.IDENTIFIER_FOUND_TWICE, owner_id=found[0].id)
        self.notes += differences(self.contact, found[0])
        return self.created(Created(found[0].id, status), Outcome.ADOPTED)

    def postponed(self, delay_ms: int, cause: str | None) -> AttemptResult:
        """It cannot go on now: an earlier create may still be executed, or there is no room by the pace. That is no
        failure: nothing is counted."""
        return AttemptResult(
            state=State.RETRYING,
            cause=cause,
            notes=tuple(self.notes),
            delay_ms=delay_ms,
            unanswered=self.unanswered,
            failures=self.claim.failures,
            repeats=self.claim.repeats,
            spent_ms=self.claim.spent_ms,
            suspect=self.claim.suspect,
            signal=Signal.POSTPONED,
        )

    def closed(
        self, state: State, cause: Cause, *, owner_id: str | None = None, status: int | None = None, excerpt: str = ""
    ) -> AttemptResult:
        return AttemptResult(
            state=state,
            cause=cause.slug,
            owner_id=owner_id,
            notes=tuple(self.notes),
            unanswered=self.unanswered,
            status=status,
            excerpt=excerpt,
            signal=cause.signal,
        )

    def rejected(self, refusal: Rejected) -> AttemptResult:
        fields = sorted(refusal.fields)
        cause = causes.refused(fields[0]) if fields else refusal.cause
        return self.closed(State.FAILED, cause, status=refusal.status, excerpt=refusal.excerpt)

    def failed(self, error: LiveDeskError) -> AttemptResult:
        """The attempt failed: wait, and charge the wait to the contact where it is to blame."""
        policy = self.sync.policy
        if isinstance(error, Throttled):
            delay_ms = retry.throttled_ms(error, self.now_ms(), self.sync.rng)
        else:
            delay_ms = policy.backoff_ms(self.claim.failures, self.sync.rng)
        spent_ms = self.claim.spent_ms + (delay_ms if error.cause.spends_budget else 0)
        if policy.is_spent(spent_ms):
            return self.closed(State.FAILED, error.cause, status=error.status, excerpt=error.excerpt)
        repeats = retry.repeats(self.claim, error.cause)
        if error.cause in retry.UNRESOLVABLE and repeats >= retry.MISSES_ALLOWED:
            return self.closed(State.CONFLICT, error.cause, status=error.status, excerpt=error.excerpt)
        suspect = retry.suspect(self.claim, error)
        if suspect >= retry.SUSPECT_MOST:
            return self.closed(State.FAILED, causes.POISONOUS, status=error.status, excerpt=error.excerpt)
        return AttemptResult(
            state=State.RETRYING,
            cause=error.cause.slug,
            notes=self.claim.notes,
            delay_ms=delay_ms,
            unanswered=self.unanswered,
            failures=self.claim.failures + 1,
            repeats=repeats,
            spent_ms=spent_ms,
            status=error.status,
            excerpt=error.excerpt,
            signal=error.cause.signal,
            hold_ms=retry.hold_ms(error, self.now_ms()) if isinstance(error, Throttled) else 0,
            suspect=suspect,
        )


def differences(contact: Contact, person: Person) -> list[Note]:
    """A note for each field of ours that LiveDesk holds otherwise. LiveDesk keeps what it has."""
    pairs = {name: (getattr(contact, name), getattr(person, name)) for name in ("name", "email", "phone_number")}
    return [
        Note(name, "LiveDesk holds another value" if theirs else "LiveDesk holds none", NoteCode.DIFFERS)
        for name, (ours, theirs) in pairs.items()
        if ours is not None and (theirs or "").lower() != ours.lower()
    ]
