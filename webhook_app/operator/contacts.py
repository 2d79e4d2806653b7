"""One contact: retry, edit, discard, resolve a conflict, erase, reveal its data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from msgspec import structs

from webhook_app.operator.filters import describe_filter
from webhook_app.operator.refusals import ActionRefused, Actions, InvalidInput, Reason, require
from webhook_app.operator.traces import person_of, remove_traces
from worker.actions import Action, BulkAction, Obstacle, obstacle
from worker.errors import Unmappable
from worker.model import EDITABLE_FIELDS, UNIQUE_FIELDS, Contact, Note, NoteCode, Outcome, State, Work
from worker.normalise import normalise
from worker.store.contacts import Erased
from worker.store.lists import Filter
from worker.store.record import ContactRecord

#: Seconds that a request searches the quarantine for a person at most.
MAX_SEARCH_S = 3.0
#: Why a conflict is not resolved in some way.
OBSTACLES = {
    Obstacle.NO_OWNER: "It is not known which contact in LiveDesk this one conflicts with. Nothing was changed.",
    Obstacle.NOT_TAKEN: "No other contact has its e-mail address or phone number. Nothing was changed.",
    Obstacle.DELETION: "The source has deleted this person: a deletion cannot be discarded. Nothing was changed.",
    Obstacle.CHANGE: "LiveDesk has this contact already: only a change of it was refused. Nothing was changed.",
}


def clashing_field(record: ContactRecord) -> str | None:
    """Return the field that another contact in LiveDesk shares, or ``None``."""
    name = (record.cause or "").removesuffix("_taken")
    return name if name in UNIQUE_FIELDS and record.contact and getattr(record.contact, name) else None


class ContactActions(Actions):
    """Actions on one contact. Those that make it due again return its new state."""

    def get(self, key: str) -> ContactRecord:
        """Return the record with this key."""
        record = self.parts.store.contacts.read(key)
        if record is None:
            raise ActionRefused(Reason.GONE)
        return record

    def retry(self, key: str, why: str = "") -> State:
        """Make a contact due now, with a fresh retry budget."""
        state = _state_or_refuse(self.parts.store.contacts.retry_now(key, who=self.who))
        self.audit("retried", key, why)
        return state

    def discard(self, key: str, why: str = "") -> State:
        """Give a contact up. It can still be retried."""
        record = self.get(key)
        require(Action.DISCARD, record)
        state = _state_or_refuse(self.parts.store.contacts.discard(key), State.DISCARDED)
        self.audit("discarded the change" if record.work is Work.UPDATE else "discarded", key, why)
        return state

    def edit(self, key: str, fields: Mapping[str, object], why: str = "", *, seen: Contact | None = None) -> State:
        """Change fields of a contact and make it due now. ``None`` removes a field.

        Values are normalised like those of a delivery. ``seen`` is the contact that the person saw; if it has changed
        since, the edit is refused.

        Raises:
            InvalidInput: LiveDesk would not accept a value. A delivery would leave it out; a person can correct it.
        """
        record = self.get(key)
        require(Action.EDIT, record)
        assert record.contact is not None
        before = seen or record.contact
        contact, notes = self._edited(record, before, fields)
        state = _state_or_refuse(self.parts.store.contacts.edit(key, contact, notes, who=self.who, before=before))
        changed = [name for name in EDITABLE_FIELDS if getattr(contact, name) != getattr(before, name)]
        self.audit(f"edited {', '.join(changed)}" if changed else "retried", key, why)
        return state

    def leave_out(self, key: str, why: str = "") -> State:
        """Retry a conflict without the field that another contact in LiveDesk has."""
        record = self.get(key)
        require(Action.LEAVE_OUT, record)
        name = clashing_field(record)
        if name is None or record.contact is None:
            raise ActionRefused(Reason.NO_OWNER, "No field of this contact is in conflict now. Nothing was changed.")
        answer = self._leave_out(key, name, record.contact, record)
        state = _state_or_refuse(answer)
        self.audit(f"retried without {name}", key, why)
        return state

    def _leave_out(self, key: str, name: str, contact: Contact, record: ContactRecord) -> str:
        contacts = self.parts.store.contacts
        if record.work is Work.UPDATE:  # what LiveDesk has stays
            return contacts.leave_out(key, record.owner_id, who=self.who)
        notes = (*record.notes, Note(name, "left out manually: another contact in LiveDesk has it", NoteCode.LEFT_OUT))
        return contacts.edit(key, contact.without(name), notes, who=self.who, before=contact)

    def create_again(self, key: str, why: str = "") -> State:
        """Create a contact again that LiveDesk no longer had when a change was to be sent."""
        record = self.get(key)
        require(Action.CREATE_AGAIN, record)
        state = _state_or_refuse(self.parts.store.contacts.create_again(key, record.contact_id or "", who=self.who))
        self.audit(f"created again, because contact {record.contact_id} is gone", key, why)
        return state

    def adopt(self, key: str, why: str = "") -> State:
        """Make a conflict due: its next attempt adopts the contact that it conflicts with."""
        record = self.get(key)
        require(Action.ADOPT, record)
        found = obstacle(BulkAction.ADOPT, record.cause, has_owner=record.owner_id is not None)
        if found or record.owner_id is None:
            raise ActionRefused(Reason.NO_OWNER, OBSTACLES[found or Obstacle.NO_OWNER])
        state = _state_or_refuse(self.parts.store.contacts.adopt(key, record.owner_id, who=self.who))
        self.audit(f"decided to adopt contact {record.owner_id}", key, why)
        return state

    def mark_known(self, key: str, why: str = "", *, contact_id: str | None = None) -> str:
        """Resolve a conflict: this LiveDesk contact is the person; by default the owner.

        LiveDesk is not contacted, and its contact stays as it is. Return its id.
        """
        record = self.get(key)
        require(Action.KNOWN, record)
        contact_id = contact_id or record.owner_id
        if contact_id is None:
            raise ActionRefused(Reason.NO_OWNER, OBSTACLES[Obstacle.NO_OWNER])
        answer = self.parts.store.contacts.mark_known(key, contact_id, who=self.who)
        if answer != Outcome.KNOWN:  # it has changed since it was read
            raise ActionRefused(Reason(answer))
        self.audit(f"marked as known: contact {contact_id}", key, why)
        return contact_id

    def erase(
        self, key: str, why: str = "", *, also: Sequence[str] = (), limit_s: float | None = MAX_SEARCH_S
    ) -> Erased:
        """Delete a contact and its aliases from Redis. LiveDesk keeps its own contact.

        Deliveries in quarantine with the person's identifiers, e-mail address or phone number are deleted, too.
        ``also`` are more addresses and numbers to look for. The search takes ``limit_s`` seconds at most.
        """
        store = self.parts.store
        found = store.contacts.read(key)
        records = [*([found] if found else []), *store.contacts.read_aliases(key).records.values()]
        person = person_of(records, also, store.salt())
        erased = store.contacts.erase(key)
        if erased.result != "erased":
            raise ActionRefused(Reason(erased.result))
        traces = remove_traces(self.parts, person, limit_s)
        aliases = f"{erased.aliases} alias{'es' if erased.aliases > 1 else ''}"
        with_ = [aliases] if erased.aliases else []
        with_ += [f"{traces.removed} in quarantine"] if traces.removed else []
        self.audit(f"erased, with {' and '.join(with_)}" if with_ else "erased", key, why)
        return replace(erased, quarantined=traces.removed, not_searched=traces.not_searched)

    def reveal(self, key: str, why: str = "") -> ContactRecord:
        """Return a contact whose personal data is about to be displayed."""
        record = self.get(key)
        self.audit("revealed", key, why)
        return record

    def export_list(self, wanted: Filter, why: str = "", *, reveal: bool = False) -> None:
        """Record that a list is exported, or displayed with personal data (``reveal``)."""
        self.audit(f"{'revealed' if reveal else 'exported'} a list: {describe_filter(wanted)}", why=why)

    def _edited(
        self, record: ContactRecord, before: Contact, fields: Mapping[str, object]
    ) -> tuple[Contact, tuple[Note, ...]]:
        source = self.parts.sources.get(record.source)
        problems = dict.fromkeys(set(fields) - set(EDITABLE_FIELDS), "cannot be edited")
        try:
            made = normalise(
                {"identifier": record.identifier, **{name: fields[name] for name in EDITABLE_FIELDS if name in fields}},
                region=source.region if source else None,
                allow_identifiers=(record.identifier,),
                strict=True,
            )
        except Unmappable as error:
            raise InvalidInput(problems | error.problems) from error
        if problems:
            raise InvalidInput(problems)
        edited = structs.replace(before, **{name: getattr(made.contact, name) for name in fields})
        changed = [name for name in fields if getattr(edited, name) != getattr(before, name)]
        kept = tuple(note for note in record.notes if note.field not in changed)
        return edited, (*kept, *made.notes, *(Note(name, "edited manually", NoteCode.EDITED) for name in changed))


def _state_or_refuse(answer: str, *allowed: State) -> State:
    """Return the state from the store, or raise its reason for a refusal."""
    if answer in tuple(Reason) and answer not in allowed:
        raise ActionRefused(Reason(answer))
    return State(answer)
