"""Who is who: what happens when LiveDesk has a contact's e-mail address already.

Pure functions: ``sync`` finds out who has the address, and does what ``decide`` returns. What is decided without an
operator is noted on the record and written to the audit log.
"""

from enum import StrEnum

from worker.characters import lower_ascii
from worker.livedesk.answers import Person
from worker.model import (
    CONTACT_FIELDS,
    UNIQUE_FIELDS,
    Claim,
    Contact,
    Decided,
    Identity,
    Note,
    NoteCode,
    OnConflict,
    Resolution,
)
from worker.store.record import ContactRecord


class Holder(StrEnum):
    """Whose identifier the contact in LiveDesk has, in words for notes."""

    NOBODY = "without an identifier"
    VISITOR = "under a visitor's identifier"
    ACCOUNT = "under an account's identifier"
    #: No record of ours has this identifier.
    STRANGER = "under an identifier that no source sent"


class Choice(StrEnum):
    """What to do about the address."""

    #: LiveDesk's contact gets our identifier.
    ADOPT = "adopt"
    #: Our identifier replaces that of a visitor.
    PROMOTE = "promote"
    #: LiveDesk's contact is the same person, and stays as it is.
    KNOWN = "known"
    #: The contact is created without the address.
    WITHOUT = "without"
    #: An operator decides.
    ASK = "ask"


BY_POLICY = {OnConflict.ASK: Choice.ASK, OnConflict.KNOWN: Choice.KNOWN, OnConflict.WITHOUT: Choice.WITHOUT}


def has_value(person: Person, field: str, value: str | None) -> bool:
    """Whether a contact in LiveDesk has this value, in any case."""
    return value is not None and lower_ascii(getattr(person, field) or "") == lower_ascii(value)


def is_same_person(person: Person, contact: Contact) -> bool:
    """Whether a contact in LiveDesk has our identifier or e-mail address."""
    return person.identifier == contact.identifier or has_value(person, "email", contact.email)


def contradicts(person: Person, contact: Contact) -> bool:
    """Whether LiveDesk has an address or a number, and none is that of this contact."""
    theirs = [name for name in UNIQUE_FIELDS if getattr(person, name)]
    return bool(theirs) and not any(has_value(person, name, getattr(contact, name)) for name in theirs)


def holder_of(person: Person, ours: ContactRecord | None) -> Holder:
    """Return whose identifier a contact in LiveDesk has; ``ours``: the record with it.

    A visitor may have typed it: then it is still somebody else's, and an account must not replace it.
    """
    if person.identifier is None:
        return Holder.NOBODY
    if ours is None:
        return Holder.STRANGER
    if ours.identity is not Identity.VISITOR:
        return Holder.ACCOUNT
    is_other = contradicts(person, ours.contact) if ours.contact else ours.contact_id != person.id
    return Holder.STRANGER if is_other else Holder.VISITOR


def decide(claim: Claim, holder: Holder, *, adopts: bool) -> Choice:
    """Return what to do when a single contact in LiveDesk has the address.

    ``adopts``: contacts without an identifier may be adopted (``LIVEDESK_ADOPT``). An operator's resolution comes
    first, but a visitor's identifier never replaces an account's.
    """
    if claim.resolution is Resolution.WITHOUT:
        return Choice.WITHOUT
    if claim.resolution is Resolution.ADOPT and not (claim.is_visitors and holder is Holder.ACCOUNT):
        return Choice.PROMOTE if holder is Holder.VISITOR and not claim.is_visitors else Choice.ADOPT
    if claim.is_visitors or holder is Holder.ACCOUNT:
        return Choice.KNOWN
    if holder is Holder.VISITOR and not claim.is_unverified:
        return Choice.PROMOTE
    if holder is Holder.NOBODY and adopts and not claim.is_unverified:
        return Choice.ADOPT
    return BY_POLICY[claim.origin.on_conflict]


def has_it(owner_id: str) -> str:
    return f"LiveDesk contact {owner_id} has it"


def left_out(field: str, reason: str = "LiveDesk did not accept it") -> Note:
    """Return the note on a field that LiveDesk refused."""
    return Note(field, f"left out: {reason}", NoteCode.LEFT_OUT)


def note_on(choice: Choice, field: str, owner_id: str, holder: Holder) -> Note:
    """Return the note that says what was done about a field, and why."""
    match choice:
        case Choice.ADOPT if holder is Holder.NOBODY:
            return Note(field, "adopted the contact that had this value and no identifier", NoteCode.ADOPTED)
        case Choice.ADOPT | Choice.PROMOTE:
            code = NoteCode.PROMOTED if choice is Choice.PROMOTE else NoteCode.ADOPTED
            return Note(field, f"LiveDesk contact {owner_id} had it {holder}: it has this identifier now", code)
        case Choice.KNOWN:
            return Note(field, f"{has_it(owner_id)} {holder}: the same person", NoteCode.KNOWN)
    return left_out(field, has_it(owner_id))


def decided(choice: Choice, field: str, owner_id: str, holder: Holder, claim: Claim) -> Decided:
    """Return what the audit log says about the choice."""
    label = CONTACT_FIELDS[field].label
    did = {
        Choice.ADOPT: f"adopted LiveDesk contact {owner_id}",
        Choice.PROMOTE: f"promoted: LiveDesk contact {owner_id} has this identifier now",
        Choice.KNOWN: f"linked to LiveDesk contact {owner_id} as known",
    }.get(choice, f"created without the {label}, which LiveDesk contact {owner_id} has")
    why = f"it had the same {label}, {holder}"
    if claim.resolution is not None:
        why += "; an operator decided"
    elif _is_by_policy(choice, holder, claim):
        why += f"; on_conflict is {claim.origin.on_conflict}"
    return Decided(choice, did, why)


def _is_by_policy(choice: Choice, holder: Holder, claim: Claim) -> bool:
    is_open = not claim.is_visitors and holder is not Holder.ACCOUNT
    return is_open and choice in (Choice.KNOWN, Choice.WITHOUT)


def differences(contact: Contact, person: Person) -> list[Note]:
    """Return a note for each field that has another value in LiveDesk."""
    pairs = {name: (getattr(contact, name), getattr(person, name)) for name in ("name", "email", "phone_number")}
    return [
        Note(name, "LiveDesk has another value" if theirs else "LiveDesk has none", NoteCode.DIFFERS)
        for name, (ours, theirs) in pairs.items()
        if ours is not None and (theirs or "").lower() != ours.lower()
    ]
