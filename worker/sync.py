"""The algorithm: how one contact gets to LiveDesk exactly once.

LiveDesk has no idempotency keys, and an answer can be lost after the contact was created. Therefore:

1. Claim the contact. The lease is in Redis before the first byte is sent to LiveDesk. If another worker has the lease,
   or LiveDesk is down, or the sync is paused, stop. The claim says when the first request may be sent.
2. If the answer to an earlier create is unknown, look the contact up. Found: adopt it. Absent: a new create may be
   sent, but only after the settle time, when the earlier one can no longer be under way. Inconclusive: neither.
   If ``flask doctor`` found that searches do not find contacts, absent proves nothing, and a person must look
   (``model.Account``). If it found that identifiers are not unique, every contact is looked up before its create.
3. Create the contact.
4. If LiveDesk refuses because a value exists already, find the contact that has it. A contact with the same e-mail
   address is the same person, as far as ``overlap`` says so; a phone number that another contact has is left out.
5. Finish: the result is written in one step, if the lease is still ours.

A worker can die between any two lines. ``due`` then returns the contact when its lease expires, and step 2 repairs the
rest.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any, NamedTuple

from msgspec import structs

from worker import causes, overlap, retry
from worker.causes import Cause, Fault
from worker.changes import CRASHES_ALLOWED, ChangeAttempt
from worker.errors import AnswerUnknown, LiveDeskError, Misconfigured, Rejected, StoreError, Throttled
from worker.livedesk.answers import Created, Person
from worker.livedesk.paced import LeaseLost, LiveDesk, NoSlot, PacedLiveDesk, clues_of
from worker.model import (
    DELETED_AT,
    OPTIONAL_FIELDS,
    UNIQUE_FIELDS,
    Account,
    Attempt,
    AttemptResult,
    Claim,
    Decided,
    Identity,
    Note,
    Outcome,
    Resolution,
    Signal,
    State,
    Unanswered,
    Work,
)
from worker.overlap import Choice, Holder
from worker.retry import RetryPolicy
from worker.store.contacts import Finished, is_usual
from worker.store.fingerprint import chunks_of, with_unknown, without_attributes
from worker.store.merge import MARK
from worker.store.store import Store

#: Seconds for which a result is offered to a Redis that does not accept it.
FINISH_PATIENCE_S = 60.0
#: How long a contact waits while another one gives the same LiveDesk contact its identifier.
TAKE_AGAIN_MS = 2_000


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
        claim = self.store.contacts.claim(key, token_hex(8))
        unwritten = self._attempt(claim, claiming_at) if claim else None
        return self._end(unwritten) if unwritten else None

    def _attempt(self, claim: Claim, claiming_at: float) -> "_Unwritten | None":
        """Steps 2 to 4. ``None``: the lease was lost."""
        livedesk = PacedLiveDesk(self.livedesk, self.store, claim, claiming_at, clock=self.clock, sleep=self.sleep)
        work = _Work(self, claim, livedesk)
        try:
            result = work.attempt()
        except LeaseLost:
            return None
        except NoSlot as full:
            result = work.postponed(full.wait_ms, work.cause)
        except LiveDeskError as error:
            result = work.failed(error)
        took_ms = livedesk.duration_ms()
        began_at = livedesk.now_ms() - took_ms
        attempt = Attempt(
            began_at, took_ms, result.status, result.cause, result.excerpt, claim.trigger or "", result.changed
        )
        return _Unwritten(claim, result, attempt)

    def _end(self, unwritten: "_Unwritten") -> Ended:
        claim, result, attempt = unwritten
        finished = self._finish(claim, result, attempt)
        if finished.change == "ask":
            finished = replace(finished, **self._ask(result))
        return Ended(claim, result, attempt, finished)

    def _ask(self, result: AttemptResult) -> dict[str, Any]:
        """Ask LiveDesk something that is about no contact: is it everybody's trouble?

        Return what changed for all contacts, and why.
        """
        error: LiveDeskError | None = None
        try:
            self._wait_for_slot()
            self.livedesk.ask()
        except LiveDeskError as failure:
            error = failure
        signal = error.cause.signal if error else Signal.OK
        # The same trouble is best known by what happened to the contact.
        cause = result.cause if error is None or signal is result.signal else error.cause.slug
        hold_ms = retry.throttle_ms(error, self.store.now()) if isinstance(error, Throttled) else 0
        change = self.store.upstream.answered(signal, cause, error.status if error else None, hold_ms)
        return {"change": change, "cause": cause}

    def _wait_for_slot(self) -> None:
        while (wait_ms := self.store.upstream.pace()) < 0:
            self.sleep(-wait_ms / 1000)
        self.sleep(wait_ms / 1000)

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


class _Unwritten(NamedTuple):
    """An attempt whose result is not written yet."""

    claim: Claim
    result: AttemptResult
    attempt: Attempt


class Series:
    """Attempts of one thread for several contacts, one after the other.

    A result is written in one round trip with the next claim, if it is a usual one; every other result is written by
    itself, because much may depend on it. ``on_ended`` is called with each attempt once its result is written. Call
    ``end`` after the last contact.
    """

    def __init__(self, sync: Sync, on_ended: Callable[[Ended], object]) -> None:
        self.sync = sync
        self.on_ended = on_ended
        self._unwritten: _Unwritten | None = None

    def bring(self, key: str) -> None:
        """Write the last result, and make one attempt if the contact is due.

        Raises:
            StoreError: the contact could not be claimed. The last result is written nevertheless.
        """
        claiming_at = self.sync.clock()
        claim = self._claim(key)
        self._unwritten = self.sync._attempt(claim, claiming_at) if claim else None
        if self._unwritten and not is_usual(self._unwritten.claim, self._unwritten.result):
            self.end()

    def end(self) -> None:
        """Write the last result."""
        unwritten, self._unwritten = self._unwritten, None
        if unwritten:
            self.on_ended(self.sync._end(unwritten))

    def _claim(self, key: str) -> Claim | None:
        contacts, token = self.sync.store.contacts, token_hex(8)
        if self._unwritten is None:
            return contacts.claim(key, token)
        try:
            finished, claim = contacts.finish_and_claim(*self._unwritten, key, token)
        except StoreError:
            self.end()
            raise
        ended, self._unwritten = Ended(*self._unwritten, finished), None
        self.on_ended(ended)
        if isinstance(claim, StoreError):
            raise claim
        return claim


class _Work:
    """One attempt: steps 2 to 4."""

    def __init__(self, sync: Sync, claim: Claim, livedesk: PacedLiveDesk) -> None:
        self.sync = sync
        self.claim = claim
        self.livedesk = livedesk
        self.contact = claim.contact
        if claim.contact.inbox_id is None:
            self.contact = structs.replace(claim.contact, inbox_id=sync.inbox_id)
        self.notes: list[Note] = list(claim.notes)
        #: What this attempt means for the create whose answer is unknown.
        self.unanswered = Unanswered.KEEP
        #: Why the attempt goes on, if it must be continued later.
        self.cause = claim.cause
        #: The contacts in LiveDesk that searches of this attempt found.
        self.seen: list[Person] = []
        self.searched: set[str] = set()
        self.decided: Decided | None = None
        #: Whether LiveDesk's contact is to lose the mark that its person was deleted.
        self.is_marked = False
        self.account = sync.account()

    def attempt(self) -> AttemptResult:
        if self.claim.work is Work.CREATE:
            return self.bring_new()
        return ChangeAttempt(self.sync.store, self.livedesk, self.claim, self.account, self.sync.settle_ms).attempt()

    def bring_new(self) -> AttemptResult:
        if self.claim.unknown_since is not None:  # step 2
            if self.claim.late_id:
                return self.created(Created(self.claim.late_id, 200), Outcome.CREATED, sent=self.claim.sent)
            if self.claim.crashes >= CRASHES_ALLOWED:
                return self.closed(State.FAILED, causes.WORKER_DIED)
            looked_at = self.livedesk.now_ms()
            found = self.look_up(lost=True)
            if found:
                return self.adopt(found)
            settled_at = self.claim.unknown_since + self.sync.settle_ms
            if looked_at < settled_at:
                wait_ms = max(0, settled_at - self.livedesk.now_ms())
                return self.postponed(wait_ms, self.claim.cause or causes.WORKER_DIED.slug)
            if self.account.finds(self.contact) is False:
                return self.closed(State.CONFLICT, causes.CANNOT_BE_LOOKED_UP)
        elif self.account.unique is False and (found := self.look_up()):
            return self.adopt(found)
        if (field := self.claim.taken_field) and (ended := self.still_taken(field)):
            return ended
        try:
            return self.created(self.create(), Outcome.CREATED)  # step 3
        except Rejected as refusal:
            return self.refused(refusal)  # step 4

    def still_taken(self, field: str) -> AttemptResult | None:
        """Look for the contact that had a value before: most still have it."""
        if not self.owners(field):
            return None
        ended = self.value_refused(field)
        if isinstance(ended, Note):
            self.contact = self.contact.without(field)
            self.notes.append(ended)
            return None
        return ended

    def create(self) -> Created:
        """Step 3: send the create, and record what its answer means for earlier ones."""
        if self.contact.inbox_id is None:
            raise Misconfigured(causes.INBOX_MISSING)
        try:
            return self.livedesk.create(self.contact, with_attributes=self.account.creates_attributes is True)
        except AnswerUnknown:
            self.unanswered = Unanswered.NOW
            raise
        except Rejected:
            self.unanswered = Unanswered.CLEAR
            raise

    def refused(self, refusal: Rejected) -> AttemptResult:
        """Step 4: find who has the refused values; leave out what cannot be sent."""
        while True:
            if "identifier" in refusal.fields:
                return self.identifier_taken(refusal)
            refused = [name for name in OPTIONAL_FIELDS if name in refusal.fields and getattr(self.contact, name)]
            if not refused:
                fields = sorted(refusal.fields)
                if not fields and refusal.cause.fault is Fault.UNKNOWN:
                    return self.failed(refusal)
                cause = causes.refused(fields[0]) if fields else refusal.cause
                return self.closed(State.FAILED, cause, refusal)
            notes: list[Note] = []
            for name in refused:
                if isinstance(ended := self.value_refused(name, refusal), AttemptResult):
                    return ended
                notes.append(ended)
            self.contact = self.contact.without(*refused)
            self.notes += notes
            try:
                return self.created(self.create(), Outcome.CREATED)
            except Rejected as next_refusal:
                refusal = next_refusal

    def identifier_taken(self, refusal: Rejected) -> AttemptResult:
        if found := self.look_up():
            return self.adopt(found)
        return self.failed(LiveDeskError(causes.EXISTS_BUT_NOT_FOUND, status=refusal.status, excerpt=refusal.excerpt))

    def value_refused(self, field: str, refusal: Rejected | None = None) -> AttemptResult | Note:
        """Return what ends the attempt, or a note: the field is left out."""
        if field not in UNIQUE_FIELDS:
            return overlap.left_out(field)
        if self.claim.resolution is Resolution.WITHOUT:  # a look-up would change nothing
            return overlap.left_out(field, "another contact in LiveDesk has it")
        owners = self.owners(field)
        if not owners:
            if field == "email" and self.claim.cause != causes.OWNER_NOT_FOUND.slug:
                # A person twice is worse than to wait: the search may not show yet what another attempt has created.
                waiting = self.postponed(self.sync.settle_ms, causes.OWNER_NOT_FOUND.slug)
                return replace(waiting, status=refusal.status, excerpt=refusal.excerpt) if refusal else waiting
            return overlap.left_out(field)
        if field == "phone_number" and not self.chosen(owners):  # households share phone numbers
            same = [owner for owner in owners if overlap.is_same_person(owner, self.contact)]
            if not same:
                return overlap.left_out(field, overlap.has_it(owners[0].id))
            owners = same
        return self.value_taken(field, owners, refusal)

    def owners(self, field: str) -> list[Person]:
        """Return the contacts in LiveDesk that have this value of ours."""
        value = getattr(self.contact, field)
        seen = [person for person in self.seen if overlap.has_value(person, field, value)]
        if seen or field in self.searched:
            return seen
        if self.claim.cause != causes.OWNER_NOT_FOUND.slug:
            self.cause = causes.taken(field).slug
        owners = self.livedesk.find_owners(field, value)
        self.searched.add(field)
        self.seen += owners
        return owners

    def chosen(self, owners: list[Person]) -> list[Person]:
        """Return the owner that an operator decided to adopt, if it is one of these."""
        is_decided = self.claim.resolution is Resolution.ADOPT
        return [owner for owner in owners if is_decided and owner.id == self.claim.owner_id]

    def value_taken(self, field: str, owners: list[Person], refusal: Rejected | None = None) -> AttemptResult | Note:
        """Do what ``overlap`` decides about the contact that has the value."""
        if chosen := self.chosen(owners):
            owners = chosen
        elif self.claim.resolution is Resolution.ADOPT:  # nobody has decided about this owner
            self.claim = replace(self.claim, resolution=None)
        owner = owners[0]
        if len(owners) == 1 and owner.identifier == self.contact.identifier:
            return self.adopt(owners)
        ours = self.sync.store.contacts.find(owner.identifier) if owner.identifier else None
        holder = overlap.holder_of(owner, ours)
        choice = overlap.decide(self.claim, holder, adopts=self.sync.adopt) if len(owners) == 1 else Choice.ASK
        if choice is Choice.ASK:
            return self.closed(State.CONFLICT, causes.taken(field), refusal, owner_id=owner.id)
        status = 200
        if choice in (Choice.ADOPT, Choice.PROMOTE):
            if not self.sync.store.contacts.take(self.claim, owner.id):
                return self.postponed(TAKE_AGAIN_MS, causes.taken(field).slug)
            try:
                status = self.livedesk.set_identifier(owner.id, self.contact.identifier)
            except (Rejected, Misconfigured) as error:
                return self.not_set(field, owner, error)
        note = self.decide(choice, field, owner.id, holder)
        if choice is Choice.WITHOUT:
            return note
        self.notes.append(note)
        if choice is Choice.KNOWN:
            self.note_mark(owner)
            return self.created(Created(owner.id, status), Outcome.KNOWN)
        return self.adopt([replace(owner, identifier=self.contact.identifier)], status)

    def decide(self, choice: Choice, field: str, owner_id: str, holder: Holder) -> Note:
        """Keep a decision for the audit log, and return the note about it."""
        self.decided = overlap.decided(choice, field, owner_id, holder, self.claim)
        return overlap.note_on(choice, field, owner_id, holder)

    def not_set(self, field: str, owner: Person, error: Rejected | Misconfigured) -> AttemptResult:
        """LiveDesk answered the search, but refuses to set our identifier."""
        if error.cause is causes.CONTACT_GONE and self.claim.cause != error.cause.slug:
            raise error
        if (
            isinstance(error, Rejected) and "identifier" in error.fields
        ):  # it was given to another contact in the meantime
            return self.identifier_taken(error)
        return self.closed(State.CONFLICT, causes.taken(field), error, owner_id=owner.id)

    def look_up(self, *, lost: bool = False) -> list[Person]:
        """Look our identifier up; ``lost``: in what an unanswered create created."""
        if lost:
            is_unique = self.account.unique is not False
            return self.livedesk.look_up_lost(self.contact, settle_ms=self.sync.settle_ms, is_unique=is_unique)
        return self.livedesk.look_up(self.contact.identifier, clues_of(self.contact))

    # Results

    def created(self, created: Created, outcome: Outcome, *, sent: str | None = None) -> AttemptResult:
        """The contact is in LiveDesk. ``sent``: fingerprint of its data, if not ours."""
        return AttemptResult(
            state=State.CREATED,
            contact_id=created.contact_id,
            outcome=outcome,
            notes=(*self.notes, *created.notes),
            status=created.status,
            decided=self.decided,
            sent=self.still_to_send(outcome, sent or self.claim.fingerprint),
        )

    def still_to_send(self, outcome: Outcome, sent: str) -> str | None:
        """Return the fingerprint of what LiveDesk has, if something is still to be sent."""
        takes_attributes = self.account.creates_attributes is True
        if outcome is Outcome.ADOPTED and takes_attributes and self.claim.unknown_since is not None:
            sent = with_unknown(sent, [name for name in chunks_of(sent) if "." in name])
        elif outcome is Outcome.ADOPTED or (outcome is Outcome.CREATED and not takes_attributes):
            sent = without_attributes(sent)
        if self.is_marked:
            sent = with_unknown(sent, [MARK])
        return sent if sent != self.claim.fingerprint else None

    def adopt(self, found: list[Person], status: int = 200) -> AttemptResult:
        """The contact is in LiveDesk. If it is there twice, a person must decide."""
        if len(found) > 1:
            return self.closed(State.CONFLICT, causes.IDENTIFIER_FOUND_TWICE, owner_id=found[0].id)
        if self.claim.is_visitors and overlap.contradicts(found[0], self.claim.contact):
            return self.closed(State.CONFLICT, causes.IDENTIFIER_CLASH, owner_id=found[0].id)
        if self.decided is None:
            self.note_promotion(found[0].id)
        self.notes += overlap.differences(self.contact, found[0])
        self.note_mark(found[0])
        return self.created(Created(found[0].id, status), Outcome.ADOPTED, sent=self.claim.sent)

    def note_mark(self, person: Person) -> None:
        """The contact says that its person was deleted, and here is an account of theirs."""
        self.is_marked = not self.claim.is_visitors and DELETED_AT in person.custom_attributes

    def note_promotion(self, contact_id: str) -> None:
        """Note a promotion by an earlier attempt whose answer was lost."""
        before = self.sync.store.contacts.holder(contact_id)
        if before and before.identity is Identity.VISITOR and not self.claim.is_visitors:
            self.notes.append(self.decide(Choice.PROMOTE, "email", contact_id, Holder.VISITOR))

    def postponed(self, wait_ms: int, cause: str | None) -> AttemptResult:
        return replace(retry.postponed(self.claim, wait_ms, cause), unanswered=self.unanswered)

    def closed(
        self, state: State, cause: Cause, error: LiveDeskError | None = None, *, owner_id: str | None = None
    ) -> AttemptResult:
        result = retry.closed(state, cause, error, owner_id=owner_id)
        return replace(result, notes=tuple(self.notes), unanswered=self.unanswered)

    def failed(self, error: LiveDeskError) -> AttemptResult:
        if error.cause is causes.CANNOT_BE_LOOKED_UP:
            return self.closed(State.CONFLICT, error.cause, error)
        result = retry.after(error, self.claim, self.sync.policy, self.livedesk.now_ms(), self.sync.rng)
        # A field that was left out in this attempt is tried again in the next one.
        notes = self.claim.notes if result.state.is_open else tuple(self.notes)
        return replace(result, notes=notes, unanswered=self.unanswered)
