"""What happens after the signup: how changes and deletions get to LiveDesk.

A change is one PATCH with what changed at the source since we last sent it, so that what an agent edited survives. It
may be sent twice: nothing needs to be looked up when its answer is lost. Several records may be one contact in LiveDesk
(aliases): of each field the newest event decides, and the contact is marked or deleted once none of them lives.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from worker import causes, overlap, retry
from worker.causes import Cause, Fault
from worker.errors import LiveDeskError, Rejected
from worker.livedesk.answers import Deletion, Person
from worker.livedesk.paced import PacedLiveDesk, clues_of
from worker.model import (
    DELETED_AT,
    Account,
    AttemptResult,
    Claim,
    Contact,
    Note,
    NoteCode,
    OnConflict,
    OnDelete,
    Outcome,
    Resolution,
    State,
    Unanswered,
    Work,
)
from worker.store.fingerprint import differing_fields, values_of
from worker.store.record import ContactRecord
from worker.store.store import Store

#: Workers that may die while sending one contact before it fails: it may be what kills them.
CRASHES_ALLOWED = 10
#: What a deletion is noted with, where it ends differently.
KEPT = Note("identifier", "LiveDesk keeps the contact: another source has this person, too", NoteCode.KNOWN)
NOT_OURS = Note("identifier", "marked as deleted: LiveDesk has the person under another identifier", NoteCode.ALTERED)
MARKED_INSTEAD = Note(
    "identifier", "marked as deleted: this LiveDesk account is not known to allow deletions", NoteCode.ALTERED
)
#: Chatwoot ignores a picture without an address (``ContactsController#process_avatar_from_url``).
PICTURE_STAYS = Note("avatar_url", "the person has no picture any more, but LiveDesk removes none", NoteCode.DIFFERS)


@dataclass(slots=True)
class ChangeAttempt:
    """One attempt to tell LiveDesk about a change or a deletion.

    ``account`` is what is known about the LiveDesk account; ``settle_ms`` is how long a create can be under way.
    """

    store: Store
    livedesk: PacedLiveDesk
    claim: Claim
    account: Account
    settle_ms: int
    notes: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        # What LiveDesk says about its contact is asked anew.
        self.notes += [note for note in self.claim.notes if note.code is not NoteCode.DIFFERS]

    def attempt(self) -> AttemptResult:
        """Make the attempt.

        Raises:
            LiveDeskError: LiveDesk did not answer, or could not.
        """
        if self.claim.crashes >= CRASHES_ALLOWED:
            return self._closed(State.FAILED, causes.WORKER_DIED)
        return self._delete() if self.claim.work is Work.DELETE else self._update()

    # Changes

    def _update(self) -> AttemptResult:
        contact_id, names = self.claim.contact_id or "", self._changed()
        while names:
            try:
                status = self.livedesk.update(contact_id, body_of(self.claim.contact, names))
                return self._updated(contact_id, names, status)
            except Rejected as refusal:
                if refusal.cause is causes.CONTACT_GONE:
                    found = self._find_again(contact_id, refusal)
                    if found is None:
                        return self._closed(State.CONFLICT, causes.CONTACT_GONE, refusal)
                    contact_id = found
                    continue
                ended = self._refused(refusal, names)
                if isinstance(ended, AttemptResult):
                    return ended
                names = ended
        return self._updated(contact_id, [], None)

    def _changed(self) -> list[str]:
        """Return what changed at the source, unless a newer event of an alias has it."""
        names = differing_fields(self.claim.sent or self.claim.fingerprint, self.claim.fingerprint)
        newer = {name for alias in self._newer_aliases() for name in alias.known_fields}
        self.notes += [
            Note(name.partition(".")[0], "a newer event of another source has another value", NoteCode.DIFFERS)
            for name in names
            if name in newer
        ]
        unchangeable = {"inbox_id"}
        if "avatar_url" in names and self.claim.contact.avatar_url is None:
            unchangeable.add("avatar_url")
            self.notes.append(PICTURE_STAYS)
        return [name for name in names if name not in newer | unchangeable]

    def _newer_aliases(self) -> Iterable[ContactRecord]:
        """Return the living aliases whose newest event is newer than this one.

        An alias that is only known has sent nothing, unless it changed since.
        """
        at = self.claim.event_at
        return [
            alias
            for alias in self._aliases()
            if at is not None and (alias.event_at or 0) > at
            if alias.outcome is not Outcome.KNOWN or any(attempt.changed for attempt in alias.attempts)
        ]

    def _aliases(self, contact_id: str | None = None) -> list[ContactRecord]:
        records = self.store.contacts.read_aliases(self.claim.key, contact_id).records.values()
        return [record for record in records if record.state is not State.DELETED and record.deletes is None]

    def _refused(self, refusal: Rejected, names: list[str]) -> AttemptResult | list[str]:
        """Return what can still be sent, or what ends the attempt."""
        ours = [name for name in names if name.partition(".")[0] in refusal.fields]
        if not ours:
            return self._row_refused(refusal)
        for name in ours:
            note = self._taken(name, refusal) if name in ("email", "phone_number") else overlap.left_out(name)
            if isinstance(note, AttemptResult):
                return note
            self.notes.append(note)
        return [name for name in names if name not in ours]

    def _row_refused(self, refusal: Rejected) -> AttemptResult:
        """LiveDesk validates the whole contact again, and refuses what we did not send."""
        if not refusal.fields:
            if refusal.cause.fault is Fault.UNKNOWN:
                raise refusal
            return self._closed(State.FAILED, refusal.cause, refusal)
        self.notes += [
            Note(name, "LiveDesk refuses the value that its contact has already", NoteCode.DIFFERS)
            for name in sorted(refusal.fields)
        ]
        return self._closed(State.FAILED, causes.STORED_VALUE_REFUSED, refusal)

    def _taken(self, name: str, refusal: Rejected) -> AttemptResult | Note:
        """Find who has the value; an e-mail address may need an operator's decision."""
        value = getattr(self.claim.contact, name)
        if value is None or self.claim.resolution is Resolution.WITHOUT:
            return overlap.left_out(name)
        owners = [one for one in self.livedesk.find_owners(name, value) if one.id != self.claim.contact_id]
        if not owners:
            return overlap.left_out(name)
        if name == "email" and self.claim.repeats < retry.MISSES_ALLOWED and self._gives_up(owners[0], name):
            raise LiveDeskError(causes.taken(name), status=refusal.status, excerpt=refusal.excerpt)
        asks = self.claim.origin.on_conflict is OnConflict.ASK and not self.claim.is_visitors
        if name == "email" and asks:
            return self._closed(State.CONFLICT, causes.taken(name), refusal, owner_id=owners[0].id)
        return overlap.left_out(name, overlap.has_it(owners[0].id))

    def _gives_up(self, owner: Person, name: str) -> bool:
        """Whether a change of the owner waits that frees the value."""
        record = self.store.contacts.find(owner.identifier) if owner.identifier else None
        return record is not None and record.state.is_open and name in record.changes

    def _find_again(self, gone: str, refusal: Rejected | None) -> str | None:
        """Return the contact that has the person now: it was merged, or created again.

        Raises:
            LiveDeskError: the search still shows the contact that is gone, or more than one.
        """
        aliases = [alias.identifier for alias in self._aliases()]
        for identifier in dict.fromkeys([self.claim.contact.identifier, *aliases]):
            if found := self.livedesk.look_up(identifier, clues_of(self.claim.contact)):
                if len(found) > 1 or found[0].id == gone:
                    raise LiveDeskError(causes.CONTACT_GONE, status=404, excerpt=refusal.excerpt if refusal else "")
                return found[0].id
        return None

    def _updated(self, contact_id: str, names: list[str], status: int | None) -> AttemptResult:
        return AttemptResult(
            state=State.CREATED,
            contact_id=contact_id,
            outcome=Outcome.UPDATED,
            notes=tuple(dict.fromkeys(self.notes)),
            status=status,
            changed=tuple(names),
        )

    # Deletions

    def _delete(self) -> AttemptResult:
        contact_id = self.claim.contact_id or self.claim.late_id
        if contact_id is None and self.claim.unknown_since is not None:
            looked_at = self.livedesk.now_ms()
            found = self.livedesk.look_up_lost(self.claim.contact, settle_ms=self.settle_ms, is_unique=False)
            settled_at = self.claim.unknown_since + self.settle_ms
            if not found and looked_at < settled_at:
                wait_ms = max(0, settled_at - self.livedesk.now_ms())
                return retry.postponed(self.claim, wait_ms, self.claim.cause or causes.WORKER_DIED.slug)
            contact_id = found[0].id if found else None
        if contact_id is None:
            return self._deleted(None, None)
        if self._aliases(contact_id):
            self.notes.append(KEPT)
            # It may have our identifier: who comes back is looked up first.
            return replace(self._deleted(None, None), unanswered=Unanswered.NOW)
        if self.claim.deletes is OnDelete.DELETE and self.account.deletes and not self.claim.is_known:
            deletion = self.livedesk.delete(contact_id)
            if deletion is Deletion.GONE and (merged := self._find_again(contact_id, None)):
                deletion = self.livedesk.delete(merged)
            if deletion is Deletion.REFUSED:
                raise LiveDeskError(causes.CONTACT_ONLINE, status=422)
            if deletion is not Deletion.NOT_ALLOWED:
                return self._deleted(Outcome.DELETED, contact_id, 404 if deletion is Deletion.GONE else 200)
        if self.claim.deletes is OnDelete.DELETE:
            self.notes.append(NOT_OURS if self.claim.is_known else MARKED_INSTEAD)
        return self._mark(contact_id)

    def _mark(self, contact_id: str) -> AttemptResult:
        at = datetime.fromtimestamp((self.claim.event_at or self.livedesk.now_ms()) / 1000, UTC)
        mark = {"custom_attributes": {DELETED_AT: at.isoformat(timespec="seconds").replace("+00:00", "Z")}}
        try:
            return self._deleted(Outcome.MARKED, contact_id, self.livedesk.update(contact_id, mark))
        except Rejected as refusal:
            if refusal.cause is not causes.CONTACT_GONE:
                return self._row_refused(refusal)
            found = self._find_again(contact_id, refusal)
            if found is None:
                return self._deleted(Outcome.DELETED, contact_id, refusal.status)
        return self._deleted(Outcome.MARKED, found, self.livedesk.update(found, mark))

    def _deleted(self, outcome: Outcome | None, contact_id: str | None, status: int | None = None) -> AttemptResult:
        return AttemptResult(
            state=State.DELETED, contact_id=contact_id, outcome=outcome, notes=tuple(self.notes), status=status
        )

    def _closed(
        self, state: State, cause: Cause, error: LiveDeskError | None = None, *, owner_id: str | None = None
    ) -> AttemptResult:
        return retry.closed(state, cause, error, owner_id=owner_id, notes=tuple(dict.fromkeys(self.notes)))


def body_of(contact: Contact, names: Iterable[str]) -> dict[str, Any]:
    """Return the body of the PATCH: ``null`` where the person has no value any more."""
    values = values_of(contact)
    body: dict[str, Any] = {}
    for name in names:
        field_name, dot, attribute = name.partition(".")
        if dot:
            body.setdefault(field_name, {})[attribute] = values.get(name)
        else:
            body[name] = values.get(name)
    return body
