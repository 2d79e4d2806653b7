"""The algorithm: how one contact gets to LiveDesk exactly once.

LiveDesk has no idempotency keys, and an answer can be lost after the contact was created. Therefore:

1. Claim the contact. The lease is in Redis before the first byte is sent to LiveDesk. If another worker has the lease,
   or LiveDesk is down, or the sync is paused, stop. The claim says when the first request may be sent.
2. If the answer to an earlier create is unknown, look the contact up. Found: adopt it. Absent: a new create may be
   sent, but only after the settle time, when the earlier one can no longer be under way. Inconclusive: neither.
   If ``flask doctor`` found that searches do not find contacts, absent proves nothing, and a person must look
   (``model.Account``). If it found that identifiers are not unique, every contact is looked up before its create.
3. Create the contact.
4. If LiveDesk refuses because a value exists already, find the contact that has it. Adopt it, or report a conflict.
5. Finish: the result is written in one step, if the lease is still ours.

A worker can die between any two lines. ``due`` then returns the contact when its lease expires, and step 2 repairs the
rest.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from secrets import token_hex

from worker import causes, retry
from worker.causes import Cause
from worker.errors import AnswerUnknown, LiveDeskError, Misconfigured, Rejected, StoreError
from worker.livedesk.answers import Created, Person
from worker.livedesk.paced import LeaseLost, LiveDesk, NoSlot, PacedLiveDesk
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

#: Workers that may die while sending one contact before it fails: it may be what kills them.
CRASHES_ALLOWED = 10
#: Seconds for which a result is offered to a Redis that does not accept it.
FINISH_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What one call of ``bring`` did. ``finished`` says whether it was written."""

    claim: Claim
    result: AttemptResult
    attempt: Attempt
    finished: Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """What the algorithm works with.

    ``inbox_id`` is the inbox of contacts that name none. It is applied at the attempt, so that contacts that wait
    because of a wrong inbox use the corrected one. ``account`` returns what is known about the LiveDesk account.
    ``clock`` is in seconds and only measures durations.
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
        """Make one attempt, if the contact is due and not leased: otherwise ``None``."""
        claiming_at = self.clock()
        claim = self.store.contacts.claim(key, token_hex(8))  # step 1
        if claim is None:
            return None
        livedesk = PacedLiveDesk(self.livedesk, self.store, claim, claiming_at, clock=self.clock, sleep=self.sleep)
        work = _Work(self, claim, livedesk)
        try:
            result = work.attempt()
        except LeaseLost:
            return None
        except NoSlot as full:
            result = work.postponed(full.wait_ms, claim.cause)
        except LiveDeskError as error:
            result = work.failed(error)
        took_ms = livedesk.duration_ms()
        began_at = livedesk.now_ms() - took_ms
        attempt = Attempt(began_at, took_ms, result.status, result.cause, result.excerpt, claim.trigger or "")
        return Ended(claim, result, attempt, self._finish(claim, result, attempt))

    def _finish(self, claim: Claim, result: AttemptResult, attempt: Attempt) -> Finished:
        """Step 5. LiveDesk's answer is worth waiting for Redis: losing it costs a look-up."""
        give_up_at = self.clock() + FINISH_PATIENCE_S
        while True:
            try:
                return self.store.contacts.finish(claim, result, attempt)
            except StoreError:
                if self.clock() > give_up_at:
                    return Finished(written=False)
                self.sleep(0.5)


class _Work:
    """One attempt: steps 2 to 4."""

    def __init__(self, sync: Sync, claim: Claim, livedesk: PacedLiveDesk) -> None:
        self.sync = sync
        self.claim = claim
        self.livedesk = livedesk
        self.contact = replace(claim.contact, inbox_id=claim.contact.inbox_id or sync.inbox_id)
        self.notes: list[Note] = list(claim.notes)
        #: What this attempt means for the create whose answer is unknown.
        self.unanswered = Unanswered.KEEP

    def attempt(self) -> AttemptResult:
        account = self.sync.account()
        if self.claim.unknown_since is not None:  # step 2
            if self.claim.late_id:
                return self.created(Created(self.claim.late_id, 200), Outcome.CREATED)
            if self.claim.crashes >= CRASHES_ALLOWED:
                return self.closed(State.FAILED, causes.WORKER_DIED)
            looked_at = self.livedesk.now_ms()
            found = self.look_up()
            if found:
                return self.adopt(found)
            settled_at = self.claim.unknown_since + self.sync.settle_ms
            if looked_at < settled_at:
                wait_ms = max(0, settled_at - self.livedesk.now_ms())
                return self.postponed(wait_ms, self.claim.cause or causes.WORKER_DIED.slug)
            if account.finds(self.contact) is False:
                return self.closed(State.CONFLICT, causes.CANNOT_BE_LOOKED_UP)
        elif account.unique is False and (found := self.look_up()):
            return self.adopt(found)
        try:
            return self.created(self.create(), Outcome.CREATED)  # step 3
        except Rejected as refusal:
            return self.refused(refusal)  # step 4

    def create(self) -> Created:
        """Step 3: send the create, and record what its answer means for earlier ones."""
        if self.contact.inbox_id is None:
            raise Misconfigured(causes.INBOX_MISSING)
        try:
            return self.livedesk.create(self.contact)
        except AnswerUnknown:
            self.unanswered = Unanswered.NOW
            raise
        except Rejected:
            self.unanswered = Unanswered.CLEAR
            raise

    def refused(self, refusal: Rejected) -> AttemptResult:
        """Step 4: find who has the refused value, or leave it out."""
        while True:
            if "identifier" in refusal.fields:
                return self.identifier_taken(refusal)
            refused = [name for name in OPTIONAL_FIELDS if name in refusal.fields and getattr(self.contact, name)]
            for name in UNIQUE_FIELDS:
                if name in refused and (owners := self.livedesk.find_owners(name, getattr(self.contact, name))):
                    return self.value_taken(name, owners, refusal)
            if not refused:
                fields = sorted(refusal.fields)
                cause = causes.refused(fields[0]) if fields else refusal.cause
                return self.closed(State.FAILED, cause, refusal)
            self.contact = self.contact.without(*refused)
            self.notes += [Note(name, "left out: LiveDesk did not accept it", NoteCode.LEFT_OUT) for name in refused]
            try:
                return self.created(self.create(), Outcome.CREATED)
            except Rejected as next_refusal:
                refusal = next_refusal

    def identifier_taken(self, refusal: Rejected) -> AttemptResult:
        if found := self.look_up():
            return self.adopt(found)
        return self.failed(LiveDeskError(causes.EXISTS_BUT_NOT_FOUND, status=refusal.status, excerpt=refusal.excerpt))

    def value_taken(self, field: str, owners: list[Person], refusal: Rejected) -> AttemptResult:
        """Adopt the contact that has the value if that is safe, or report a conflict."""
        owner = owners[0]
        if len(owners) == 1 and owner.identifier == self.contact.identifier:
            return self.adopt(owners)
        if len(owners) > 1 or owner.identifier is not None or not self.sync.adopt:
            return self.closed(State.CONFLICT, causes.taken(field), refusal, owner_id=owner.id)
        try:
            status = self.livedesk.set_identifier(owner.id, self.contact.identifier)
        except Rejected as error:
            if error.cause is causes.CONTACT_GONE:
                raise
            if "identifier" in error.fields:  # it was given to another contact in the meantime
                return self.identifier_taken(error)
            return self.closed(State.CONFLICT, causes.taken(field), error, owner_id=owner.id)
        self.notes.append(Note(field, "adopted the contact that had this value and no identifier", NoteCode.ADOPTED))
        return self.adopt([replace(owner, identifier=self.contact.identifier)], status)

    def look_up(self) -> list[Person]:
        return self.livedesk.look_up(self.contact.identifier)

    # Results

    def created(self, created: Created, outcome: Outcome) -> AttemptResult:
        return AttemptResult(
            state=State.CREATED,
            contact_id=created.contact_id,
            outcome=outcome,
            notes=(*self.notes, *created.notes),
            status=created.status,
        )

    def adopt(self, found: list[Person], status: int = 200) -> AttemptResult:
        """The contact is in LiveDesk. If it is there twice, a person must decide."""
        if len(found) > 1:
            return self.closed(State.CONFLICT, causes.IDENTIFIER_FOUND_TWICE, owner_id=found[0].id)
        self.notes += differences(self.contact, found[0])
        return self.created(Created(found[0].id, status), Outcome.ADOPTED)

    def postponed(self, wait_ms: int, cause: str | None) -> AttemptResult:
        """Wait for the earlier create or for a slot, which counts as no failure."""
        return AttemptResult(
            state=State.RETRYING,
            cause=cause,
            notes=tuple(self.notes),
            delay_ms=wait_ms,
            unanswered=self.unanswered,
            failures=self.claim.failures,
            repeats=self.claim.repeats,
            spent_ms=self.claim.spent_ms,
            suspect=self.claim.suspect,
            signal=Signal.POSTPONED,
        )

    def closed(
        self, state: State, cause: Cause, error: LiveDeskError | None = None, *, owner_id: str | None = None
    ) -> AttemptResult:
        result = retry.closed(state, cause, error, owner_id=owner_id)
        return replace(result, notes=tuple(self.notes), unanswered=self.unanswered)

    def failed(self, error: LiveDeskError) -> AttemptResult:
        result = retry.after(error, self.claim, self.sync.policy, self.livedesk.now_ms(), self.sync.rng)
        # A field that was left out in this attempt is tried again in the next one.
        notes = self.claim.notes if result.state.is_open else tuple(self.notes)
        return replace(result, notes=notes, unanswered=self.unanswered)


def differences(contact: Contact, person: Person) -> list[Note]:
    """Return a note for each field that has another value in LiveDesk."""
    pairs = {name: (getattr(contact, name), getattr(person, name)) for name in ("name", "email", "phone_number")}
    return [
        Note(name, "LiveDesk has another value" if theirs else "LiveDesk has none", NoteCode.DIFFERS)
        for name, (ours, theirs) in pairs.items()
        if ours is not None and (theirs or "").lower() != ours.lower()
    ]
