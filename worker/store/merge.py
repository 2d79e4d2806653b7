"""What a delivery changes in the record of a person who is known already.

A field that the delivery does not mention stays as it is, and so does one that another source filled in, unless the
delivery has another value for it.
"""

from dataclasses import dataclass
from typing import Any

from worker.model import ATTRIBUTE_FIELDS, DELETED_AT, Contact, Note, Outcome, Signup, State
from worker.store.fingerprint import (
    UNKNOWN,
    chunks_of,
    differing_fields,
    dump_chunks,
    fingerprint,
    values_of,
    with_unknown,
)
from worker.store.record import load_contact, load_notes

#: The attribute of a deleted person in fingerprints.
MARK = f"custom_attributes.{DELETED_AT}"
#: What LiveDesk has of a person who was marked as deleted and is back: the mark, and data that nobody knows.
MARKED = dump_chunks({MARK: UNKNOWN})


@dataclass(frozen=True, slots=True)
class Before:
    """A record as ``lua/accept.lua`` found it; ``seen`` identifies this version of it.

    ``is_unknown``: a create was sent, or may have been, and nobody knows its answer.
    """

    seen: str
    state: State
    fingerprint: str
    sent: str
    data: str
    notes: str
    contact_id: str
    source: str
    outcome: str
    is_unknown: bool


def load_before(fields: list[str]) -> Before:
    """Read the answer ``exists`` of ``lua/accept.lua``."""
    seen, state, fingerprint, sent, data, notes, contact_id, source, outcome, is_unknown = fields
    return Before(seen, State(state), fingerprint, sent, data, notes, contact_id, source, outcome, is_unknown == "1")


@dataclass(frozen=True, slots=True)
class Merged:
    """What the record becomes: see ``record`` for ``fingerprint`` and ``sent``."""

    contact: Contact
    notes: tuple[Note, ...]
    fingerprint: str
    sent: str | None


def merge(signup: Signup, before: Before, source: str, salt: bytes) -> Merged:
    """Return what the record becomes with this delivery of ``source``."""
    theirs = chunks_of(fingerprint(signup.contact, salt))
    chunks = chunks_of(before.fingerprint)
    values = values_of(load_contact(signup.contact.identifier, before.data or "{}"))
    cleared = signup.cleared if source == before.source else frozenset()
    if before.contact_id and "inbox_id" in chunks:  # LiveDesk keeps a contact in its inbox
        theirs.pop("inbox_id", None)
    chunks = {name: chunk for name, chunk in {**chunks, **theirs}.items() if name not in cleared or name in theirs}
    values = {name: value for name, value in {**values, **values_of(signup.contact)}.items() if name in chunks}
    after = dump_chunks(chunks)
    said = {name.partition(".")[0] for name in (*theirs, *cleared, *(note.field for note in signup.notes))}
    notes = (*(note for note in load_notes(before.notes) if note.field not in said), *signup.notes)
    sent = _sent(before, after)
    if sent == MARKED:  # what the person had before may still be there
        sent = with_unknown(sent, signup.cleared)
    return Merged(_contact(signup.contact.identifier, values), notes, after, sent)


def _sent(before: Before, after: str) -> str | None:
    """Return what LiveDesk has or may have, if that differs from what it should."""
    if before.state is State.DELETED:
        return MARKED if before.outcome == Outcome.MARKED else None
    is_in_livedesk = before.contact_id or (before.is_unknown and not chunks_of(before.fingerprint))
    if is_in_livedesk and before.state.is_open and not before.sent:  # back before LiveDesk knows of the deletion
        return MARKED
    if not before.contact_id and not before.is_unknown:
        return None
    if before.contact_id and before.state in (State.PENDING, State.CREATED):
        return before.sent or before.fingerprint
    if not before.sent:
        return before.fingerprint if after != before.fingerprint else None
    # An attempt may have sent what it was to send, and LiveDesk may have it or not.
    unsure = dict.fromkeys(differing_fields(before.sent, before.fingerprint), UNKNOWN)
    return dump_chunks({**chunks_of(before.sent), **unsure})


def _contact(identifier: str, values: dict[str, object]) -> Contact:
    """Return the contact with these values (``fingerprint.values_of``)."""
    fields: dict[str, Any] = {}
    for name, value in values.items():
        field, _, attribute = name.partition(".")
        if field in ATTRIBUTE_FIELDS:
            fields.setdefault(field, {})[attribute] = value
        else:
            fields[name] = value
    return Contact(identifier, **fields)
