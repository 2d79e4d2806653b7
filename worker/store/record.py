"""How a contact's record is written down: the fields of the hash ``{lds}:c:<key>``, and their types.

A field that does not apply is absent. Numbers are decimal text; times are ms since the epoch on Redis's clock.

===================  ==========================================================================================
``identifier``       as the sender gave it
``source``           the source of the newest delivery
``state``            ``model.State``
``data``             JSON object: what is sent to LiveDesk besides the identifier; gone once ``created``
``fingerprint``      four characters for each field of ``data``: tells whether a delivery brings other data, and where
``notes``            JSON list of ``[field, text, code]``: what was left out or altered; older ones have no code
``received_at``      first delivery
``attempts``         the first attempt and the latest ones, each a line of JSON; the last one only once ``created``
``attempts_made``    how many there were, those of workers that died included; absent where ``created`` took one
``next_attempt_at``  not before then (``retrying``)
``token``            the lease's owner, until ``lease_until`` (``sending``)
``unknown_since``    a create was sent at that time at the latest, and nobody knows its answer
``late_id``          contact id that a worker learned after it had lost its lease
``failures``         attempts in a row that failed; ``repeats``: those with this same cause
``spent_ms``         retry budget spent
``crashes``          how often a lease ran out
``suspect``          how often an attempt failed although LiveDesk answered others meanwhile
``trigger``          who asked for the next attempt, if a person did
``operation``        id of the operation that made it due, until that attempt ends
``finders``          where it is noted by e-mail address and phone number (``keys.finder``); gone once ``created``
``cause``            why the last attempt did not succeed
``owner_id``         id of the contact that is in the way (``conflict``)
``contact_id``       id in LiveDesk; ``outcome``: ``adopted`` where it is (``created``)
``closed_at``        when it was given up; for ``created`` the end of the last attempt tells
``newer``            fingerprint of other data that came after ``created``; ``newer_at``: when
===================  ==========================================================================================
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from worker.model import Attempt, Contact, Note, NoteCode, Outcome, Position, State
from worker.store import keys

#: The fields of ``data`` in the order of the fingerprint, and how many characters each has there.
DATA_FIELDS = ("inbox_id", "name", "email", "phone_number", "avatar_url")
CHUNK = 4
#: How a field that is not there looks in a fingerprint.
ABSENT = "-" * CHUNK


@dataclass(frozen=True, slots=True)
class ContactRecord:
    """What we know about one contact. ``contact`` is ``None`` once it is created and its data are gone."""

    identifier: str
    state: State
    source: str
    received_at: int
    attempts: list[Attempt]
    attempts_made: int
    notes: tuple[Note, ...]
    contact: Contact | None
    outcome: Outcome | None = None
    contact_id: str | None = None
    cause: str | None = None
    owner_id: str | None = None
    next_attempt_at: int | None = None
    closed_at: int | None = None
    newer_fields: tuple[str, ...] = ()
    newer_at: int | None = None
    #: Since when the answer to a create is unknown.
    unknown_since: int | None = None
    lease_until: int | None = None
    #: Who asked for the next attempt, and the operation that it is part of.
    trigger: str = ""
    operation: str | None = None
    failures: int = 0
    spent_ms: int = 0


@dataclass(frozen=True, slots=True)
class CreatedContact:
    """What is left of a created contact. ``noted`` are the fields that it has notes about."""

    place: Position
    identifier: str
    contact_id: str
    source: str
    fingerprint: str
    noted: frozenset[str]
    salt: bytes = field(repr=False)

    @property
    def is_bare(self) -> bool:
        """Whether it was brought to LiveDesk without e-mail address and phone number."""
        return not differing_values(self.fingerprint, {"email": None, "phone_number": None}, self.salt)

    def differing(self, shown: Mapping[str, str | None]) -> list[str]:
        """The fields that LiveDesk shows with other values than we brought there. What the notes tell is no news."""
        differing = differing_values(self.fingerprint, shown, self.salt)
        return [name for name in differing if name not in self.noted]


def dump_data(contact: Contact) -> str:
    data = contact.present()
    del data["identifier"]
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def load_contact(identifier: str, data: str) -> Contact:
    return Contact(identifier=identifier, **json.loads(data))


def fingerprint(contact: Contact, salt: bytes) -> str:
    """24 bits of a keyed hash for each field: two contacts differ in a field if its four characters differ."""
    return "".join(_chunk(name, getattr(contact, name), salt) for name in DATA_FIELDS)


def _chunk(name: str, value: object, salt: bytes) -> str:
    if value is None:
        return ABSENT
    digest = blake2b(f"{name}={value}".encode(), key=salt, digest_size=3).digest()
    return urlsafe_b64encode(digest).decode()


def differing_fields(before: str, after: str) -> list[str]:
    """The fields in which two fingerprints differ."""
    chunks = range(0, CHUNK * len(DATA_FIELDS), CHUNK)
    return [
        name for name, at in zip(DATA_FIELDS, chunks, strict=True) if before[at : at + CHUNK] != after[at : at + CHUNK]
    ]


def dump_finders(contact: Contact, salt: bytes) -> str:
    """Where a contact is noted by its addresses, so that it is found by them without their standing in a key's name."""
    values = {"email": (contact.email or "").lower(), "phone_number": contact.phone_number or ""}
    return " ".join(keys.finder(name, value, salt) for name, value in values.items() if value)


def findable(text: str) -> Iterator[tuple[str, str]]:
    """The fields by which a contact is found, with ``text`` as each of them is written there."""
    yield from (("email", text.lower()), ("phone_number", text), ("contact_id", text))


def differing_values(fingerprint: str, values: Mapping[str, str | None], salt: bytes) -> list[str]:
    """The fields of ``values`` that hold something else than the data that this fingerprint was taken of; fields that
    were not there are not looked at."""
    chunks = dict(
        zip(DATA_FIELDS, (fingerprint[at : at + CHUNK] for at in range(0, len(fingerprint), CHUNK)), strict=True)
    )
    return [name for name, value in values.items() if chunks[name] not in (ABSENT, _chunk(name, value, salt))]


def dump_notes(notes: tuple[Note, ...]) -> str:
    return json.dumps([_dump_note(note) for note in notes], separators=(",", ":")) if notes else ""


def _dump_note(note: Note) -> list[str]:
    return [note.field, note.text, note.code] if note.code else [note.field, note.text]


def load_notes(text: str | None) -> tuple[Note, ...]:
    return tuple(Note(name, words, NoteCode("".join(code))) for name, words, *code in json.loads(text or "[]"))


def dump_attempt(attempt: Attempt) -> str:
    """Short on purpose: up to 64 bytes Redis keeps the record of a created contact in its compact form."""
    line: list[Any] = [attempt.at, attempt.duration_ms, attempt.status, attempt.cause, attempt.excerpt, attempt.trigger]
    while len(line) > 2 and not line[-1]:
        line.pop()
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def ended_at(lines: str | None) -> int | None:
    """When the last attempt ended, or ``None`` where there was none."""
    if not lines:
        return None
    last = _load_attempt(json.loads(lines.rsplit("\n", 1)[-1]))
    return last.at + last.duration_ms


def load_attempts(lines: str | None) -> list[Attempt]:
    return [_load_attempt(json.loads(line)) for line in lines.split("\n")] if lines else []


def _load_attempt(line: list[Any]) -> Attempt:
    at, duration_ms, status, cause, excerpt, trigger = (*line, None, None, None, None)[:6]
    return Attempt(at, duration_ms, status, cause, excerpt or "", trigger or "")


def load_created(place: Position, fields: dict[str, str], salt: bytes) -> CreatedContact:
    notes = load_notes(fields.get("notes"))
    return CreatedContact(
        place=place,
        identifier=fields["identifier"],
        contact_id=fields["contact_id"],
        source=fields["source"],
        fingerprint=fields["fingerprint"],
        noted=frozenset(note.field for note in notes),
        salt=salt,
    )


def load_record(fields: dict[str, str]) -> ContactRecord:
    def number(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    state = State(fields["state"])
    attempts = load_attempts(fields.get("attempts"))
    return ContactRecord(
        identifier=fields["identifier"],
        state=state,
        source=fields["source"],
        received_at=int(fields["received_at"]),
        attempts=attempts,
        attempts_made=int(fields.get("attempts_made", 1 if state is State.CREATED else 0)),
        notes=load_notes(fields.get("notes")),
        contact=load_contact(fields["identifier"], fields["data"]) if "data" in fields else None,
        outcome=Outcome(fields.get("outcome", Outcome.CREATED)) if state is State.CREATED else None,
        contact_id=fields.get("contact_id"),
        cause=fields.get("cause"),
        owner_id=fields.get("owner_id"),
        next_attempt_at=number("next_attempt_at"),
        closed_at=attempts[-1].at + attempts[-1].duration_ms if state is State.CREATED else number("closed_at"),
        newer_fields=tuple(differing_fields(fields["fingerprint"], fields["newer"])) if "newer" in fields else (),
        newer_at=number("newer_at"),
        unknown_since=number("unknown_since"),
        lease_until=number("lease_until"),
        trigger=fields.get("trigger", ""),
        operation=fields.get("operation"),
        failures=number("failures") or 0,
        spent_ms=number("spent_ms") or 0,
    )
