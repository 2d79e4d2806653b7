"""What a delivery changes in the record of a person who is known already.

A field that the delivery does not mention stays as it is, and so does one that only other sources filled in, unless
the delivery has another value for it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from worker.attributes import MAX_ATTRIBUTES, too_many
from worker.model import ATTRIBUTE_FIELDS, DELETED_AT, Contact, Note, Outcome, Signup, State
from worker.store.fingerprint import (
    UNKNOWN,
    chunks_of,
    code_of,
    differing_fields,
    dump_chunks,
    fingerprint,
    name_of,
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
    senders: str = ""


def load_before(fields: list[str]) -> Before:
    """Read the answer ``exists`` of ``lua/accept.lua``."""
    seen, state, fingerprint, sent, data, notes, contact_id, source, outcome, is_unknown, senders = fields
    return Before(
        seen, State(state), fingerprint, sent, data, notes, contact_id, source, outcome, is_unknown == "1", senders
    )


@dataclass(frozen=True, slots=True)
class Merged:
    """What the record becomes: see ``record`` for all but ``contact`` and ``notes``."""

    contact: Contact
    notes: tuple[Note, ...]
    fingerprint: str
    sent: str | None
    senders: str | None


def merge(signup: Signup, before: Before, source: str, salt: bytes) -> Merged:
    """Return what the record becomes with this delivery of ``source``."""
    new, hashed = values_of(signup.contact), chunks_of(fingerprint(signup.contact, salt))
    theirs = {name: hashed[name] for name in new}
    chunks = chunks_of(before.fingerprint)
    values = values_of(load_contact(signup.contact.identifier, before.data or "{}"))
    senders = {name: frozenset({before.source}) for name in chunks} | _load_senders(before.senders)
    cleared = {name for name in signup.cleared if source in senders.get(name, ())}
    if before.contact_id and "inbox_id" in chunks:  # LiveDesk keeps a contact in its inbox
        theirs.pop("inbox_id", None)
    senders |= {
        name: frozenset({source}) | (senders.get(name, frozenset()) if chunks.get(name) == chunk else frozenset())
        for name, chunk in theirs.items()
    }
    chunks = {name: chunk for name, chunk in {**chunks, **theirs}.items() if name not in cleared or name in theirs}
    crowded = _leave_out_crowded(chunks)
    values = {name: value for name, value in {**values, **new}.items() if name in chunks}
    after = dump_chunks(chunks)
    new_notes = (*signup.notes, *crowded)
    said = {name.partition(".")[0] for name in (*theirs, *cleared, *(note.field for note in new_notes))}
    notes = (*(note for note in load_notes(before.notes) if note.field not in said), *new_notes)
    sent = _sent(before, after)
    if sent == MARKED:  # what the person had before may still be there
        sent = with_unknown(sent, signup.cleared)
    others = _dump_senders({name: who for name, who in senders.items() if name in chunks and who != {source}})
    return Merged(_contact(signup.contact.identifier, values), notes, after, sent, others)


def _leave_out_crowded(chunks: dict[str, str]) -> list[Note]:
    """Leave out the attributes for which there is no room; those of before come first."""
    notes = []
    for kind in ATTRIBUTE_FIELDS:
        crowded = [name for name in chunks if name.startswith(f"{kind}.")][MAX_ATTRIBUTES:]
        for name in crowded:
            del chunks[name]
        if crowded:
            notes.append(too_many(kind, len(crowded)))
    return notes


def _dump_senders(senders: Mapping[str, Collection[str]]) -> str | None:
    """Return the names of sources for each field, like ``p=clerk,shop``."""
    return " ".join(f"{code_of(name)}={','.join(sorted(who))}" for name, who in sorted(senders.items())) or None


def _load_senders(text: str) -> dict[str, frozenset[str]]:
    pairs = (one.split("=") for one in text.split())
    return {name_of(code): frozenset(who.split(",")) for code, who in pairs}


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
