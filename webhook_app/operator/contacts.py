"""One contact: retried, mended, given up, adopted; and what of it and of lists is shown."""

from dataclasses import fields as fields_of
from dataclasses import replace
from secrets import token_hex
from typing import TYPE_CHECKING

from webhook_app.operator.refusals import ActionRefused, InvalidInput, Reason
from worker.errors import Unmappable
from worker.model import Attempt, AttemptResult, Contact, Note, Outcome, Signal, State
from worker.normalise import normalise
from worker.store.lists import Filter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webhook_app.parts import Parts
    from worker.store.history import ContactRecord

#: The fields that a person may mend; the identifier is what makes a contact that contact.
EDITABLE = tuple(field.name for field in fields_of(Contact) if field.name != "identifier")
#: Fields that LiveDesk keeps unique, besides the identifier.
CLASHING = ("email", "phone_number")


def retry(parts: "Parts", key: str, who: str, why: str = "") -> State:
    """Makes a contact due at once, with a fresh retry budget. Returns its new state."""
    answer = parts.store.retry_now(_known(parts, key).identifier, who=who)
    _refuse(answer)
    parts.desk.audit(who, "retried", key, why)
    return State(answer)


def discard(parts: "Parts", key: str, who: str, why: str = "") -> State:
    """Gives a contact up. A person may still retry it. Returns its new state."""
    record = _known(parts, key)
    if record.state is State.DISCARDED:
        raise ActionRefused(Reason.DISCARDED)
    answer = parts.store.discard(record.identifier)
    if answer != State.DISCARDED:
        _refuse(answer)
    parts.desk.audit(who, "discarded", key, why)
    return State.DISCARDED


def edit(
    parts: "Parts",
    key: str,
    fields: "Mapping[str, object]",
    who: str,
    why: str = "",
    *,
    seen: Contact | None = None,
) -> State:
    """Mends fields of a contact (``EDITABLE``; ``None`` leaves one out) and makes it due at once. They are normalised
    as those of a delivery are. ``seen`` is what the person saw, by default what it holds now. Returns its new state.

    Raises:
        InvalidInput: a field cannot be sent. In a delivery it would be left out; a person can mend it.
    """
    record = _known(parts, key)
    if record.contact is None:
        raise ActionRefused(Reason.CREATED)
    before = seen or record.contact
    contact, notes = _mended(parts, record, before, fields)
    answer = parts.store.edit(contact, notes, who=who, before=before)
    _refuse(answer)
    changed = [name for name in EDITABLE if getattr(contact, name) != getattr(before, name)]
    parts.desk.audit(who, f"edited {', '.join(changed)}" if changed else "retried", key, why)
    return State(answer)


def clashing_field(record: "ContactRecord") -> str | None:
    """The field of ours that another contact has in LiveDesk."""
    name = (record.cause or "").removesuffix("_taken")
    return name if name in CLASHING and record.contact and getattr(record.contact, name) else None


def leave_out(parts: "Parts", key: str, who: str, why: str = "") -> State:
    """Sends a conflict without the field that another contact has. Returns its new state."""
    record = _known(parts, key)
    name = clashing_field(record)
    if name is None or record.contact is None or record.state is not State.CONFLICT:
        raise ActionRefused(Reason.NO_OWNER, "No field of it clashes now; nothing was changed.")
    notes = (*record.notes, Note(name, "left out by hand: another contact in LiveDesk has it"))
    answer = parts.store.edit(record.contact.without(name), notes, who=who, before=record.contact)
    _refuse(answer)
    parts.desk.audit(who, f"retried without {name}", key, why)
    return State(answer)


def adopt(parts: "Parts", key: str, who: str, why: str = "", *, contact_id: str | None = None) -> str:
    """Takes a contact in LiveDesk for the person of a conflict: that with this id, else the one that is in its way.
    LiveDesk is not asked, and the contact there keeps what it has. Returns its id."""
    record = _known(parts, key)
    contact_id = contact_id or record.owner_id
    if record.state is not State.CONFLICT or contact_id is None:
        raise ActionRefused(Reason.NO_OWNER)
    _refuse(parts.store.retry_now(record.identifier, who=who))
    claim = parts.store.claim(key, token_hex(8), asks=False)
    if claim is None:  # a worker was faster: it is tried again
        raise ActionRefused(Reason.BUSY)
    verdict = AttemptResult(
        state=State.CREATED,
        contact_id=contact_id,
        outcome=Outcome.ADOPTED,
        notes=(*claim.notes, Note("identifier", "adopted by hand: LiveDesk's contact keeps what it has")),
        signal=Signal.NOTHING,
    )
    if not parts.store.finish(claim, verdict, Attempt(claim.now, 0, trigger=who)).written:
        raise ActionRefused(Reason.BUSY)
    parts.desk.audit(who, f"adopted {contact_id}", key, why)
    return contact_id


def reveal(parts: "Parts", key: str, who: str, why: str = "") -> "ContactRecord":
    """A contact with its personal data, which is noted before they are shown."""
    record = _known(parts, key)
    parts.desk.audit(who, "revealed", key, why)
    return record


def reveal_list(parts: "Parts", wanted: Filter, who: str, why: str = "") -> None:
    """Notes that the personal data of all contacts that a filter finds are shown; to be called before."""
    parts.desk.audit(who, f"revealed a list: {wanted.words()}", why=why)


def _known(parts: "Parts", key: str) -> "ContactRecord":
    record = parts.history.contact_of(key)
    if record is None:
        raise ActionRefused(Reason.GONE)
    return record


def _refuse(answer: str) -> None:
    if answer in tuple(Reason):
        raise ActionRefused(Reason(answer))


def _mended(
    parts: "Parts", record: "ContactRecord", before: Contact, fields: "Mapping[str, object]"
) -> tuple[Contact, tuple[Note, ...]]:
    source = parts.sources.get(record.source)
    problems = dict.fromkeys(set(fields) - set(EDITABLE), "cannot be edited")
    try:
        made, remarks = normalise(
            {"identifier": record.identifier, **{name: fields[name] for name in EDITABLE if name in fields}},
            region=source.region if source else None,
        )
    except Unmappable as error:
        raise InvalidInput(problems | error.problems) from error
    problems |= {
        note.field: note.text.removeprefix("left out: ") for note in remarks if note.text.startswith("left out")
    }
    if problems:
        raise InvalidInput(problems)
    mended = replace(before, **{name: getattr(made, name) for name in fields})
    changed = [name for name in fields if getattr(mended, name) != getattr(before, name)]
    kept = tuple(note for note in record.notes if note.field not in changed)
    return mended, (*kept, *remarks, *(Note(name, "edited by hand") for name in changed))
