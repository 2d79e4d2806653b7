"""A contact's record: the fields of the hash ``{lds}:c:<key>``, and their types.

A field that does not apply is absent. Numbers are decimal text; times are ms since the epoch on Redis's clock. Redis
stores some fields under the short names in ``STORED``; the scripts write them as ``FIELD.<name>``.

===================  ==========================================================================================
``identifier``       as the sender wrote it
``source``           the source of the newest delivery
``identity``         ``visitor`` where anybody can choose the identifier; absent for ``account``
``id_space``         the id spaces that the identifier belongs to, with spaces between; absent where it is ``source``
``on_conflict``      ``model.OnConflict`` of the source; absent for ``ask``, and once ``created``
``unverified``       ``1`` where the sender says that the e-mail address was not verified; absent once ``created``
``resolution``       ``model.Resolution`` for the next attempt; absent once ``created``
``state``            ``model.State``
``data``             JSON object: what is sent to LiveDesk, without the identifier; gone once ``created``
``fingerprint``      four characters for each field of ``data`` (``fingerprint``): detects which fields differ
``notes``            JSON list of ``[field, text, code]``: what was left out or altered; older notes have no code
``received_at``      first delivery
``attempts``         the first attempt and the latest ones, each a line of JSON; only the last one once ``created``
``attempts_made``    their number, including those of workers that died; absent where one attempt ``created`` it
``next_attempt_at``  not before then (``retrying``)
``token``            the lease's owner, until ``lease_until`` (``sending``)
``unknown_since``    a create was sent at that time at the latest, and nobody knows its answer
``late_id``          contact id that a worker learned after it had lost its lease
``failures``         attempts in a row that failed; ``repeats``: those with this same cause
``spent_ms``         retry budget spent
``crashes``          how often a lease expired
``suspect``          how often an attempt failed while LiveDesk answered others
``trigger``          who requested the next attempt, if a person did
``ahead``            ``1`` while an operator waits for the next attempt: it goes before others
``operation``        id of the operation that made it due, until that attempt ends
``anew``             ``1``: the operation has left the fields in ``VOID``, and the next attempt removes them
``undo``             id of the operation that made it ``known``, as long as that can be undone (``created``)
``finders``          the finders of its e-mail address and phone number (``finder``); gone once ``created``
``cause``            why the last attempt did not succeed
``owner_id``         id of the contact in LiveDesk that conflicts with it (``conflict``), or that is to be adopted
``contact_id``       id in LiveDesk; ``outcome``: ``adopted`` where it is (``created``)
``closed_at``        when it was closed; for ``created`` this is the end of the last attempt
``newer``            fingerprint of other data that arrived after ``created``; ``newer_at``: when
``event_at``         when the newest event happened at the source, by the source's clock; of a deletion without it, when
                     it arrived
``event``            what the sender calls that event; gone once closed
``on_change``        ``note`` where the source of the newest delivery changes nothing in LiveDesk; gone once closed
``sent``             fingerprint of what LiveDesk has, where that may not be ``fingerprint``; ``????``: nobody knows
``senders``          which sources sent a field's value, where that is not ``source`` alone (``merge``)
``opened_at``        when a change made it open again
``deletes``          ``mark`` or ``delete``: the source has deleted the person, and LiveDesk does not know that yet
===================  ==========================================================================================
"""

import json
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from worker.model import (
    Attempt,
    Claim,
    Contact,
    Identity,
    Note,
    NoteCode,
    OnConflict,
    OnDelete,
    Origin,
    Outcome,
    Position,
    Resolution,
    Signup,
    State,
    Work,
)
from worker.store.fingerprint import (
    UNKNOWN,
    UNSEEN,
    chunks_of,
    code_of,
    differing_fields,
    differing_values,
    keyed_hash,
    name_of,
)

#: Names of the fields that every created contact has, as Redis stores them: the full ones took a sixth of its memory.
#: Never change them, because records are stored. Records of earlier versions have the full names until they are changed
#: (``lua/earlier.lua``).
STORED = {"identifier": "i", "fingerprint": "f", "received_at": "r", "contact_id": "c", "attempts": "a", "state": "s"}
_NAMES = {short: name for name, short in STORED.items()}
IDENTIFIER, FINGERPRINT = STORED["identifier"], STORED["fingerprint"]

#: What earlier attempts have recorded, which a retry makes void (``begin_anew`` in ``lua/common.lua``).
VOID = frozenset({"closed_at", "owner_id", "failures", "repeats", "spent_ms", "crashes", "suspect"})

#: The states of a contact without data: LiveDesk has it, or never again.
SETTLED_STATES = (State.CREATED, State.DELETED)

#: How many hashes the finders are spread over: few enough in each that Redis stores it in compact form.
BUCKETS = 2**14
#: Characters of a contact's key.
KEY_LENGTH = 16

_ALTERNATIVE = bytes.maketrans(b"+/", b"._")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class ContactRecord:
    """A contact's record; ``contact`` is ``None`` once created and its data deleted."""

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
    #: A create was sent at that time at the latest, and nobody knows its answer.
    unknown_since: int | None = None
    lease_until: int | None = None
    #: Who requested the next attempt, and the operation that it is part of.
    trigger: str = ""
    operation: str | None = None
    failures: int = 0
    spent_ms: int = 0
    identity: Identity = Identity.ACCOUNT
    id_spaces: tuple[str, ...] = ()
    #: The sender says that the e-mail address was not verified.
    is_unverified: bool = False
    #: What an operator decided about a conflict, for the next attempt; ``owner_id`` is the contact to be adopted.
    resolution: Resolution | None = None
    #: The operation that made it known, as long as that can be undone: until then a copy of the data is kept.
    undo: str | None = None
    #: The newest event's own time; of a deleted record, when the person was deleted.
    event_at: int | None = None
    #: What the sender calls the newest event, until it is settled.
    event: str = ""
    #: The fields that are still to be sent to LiveDesk's contact.
    changes: tuple[str, ...] = ()
    #: When a change or a deletion opened it again.
    opened_at: int | None = None
    deletes: OnDelete | None = None
    #: The fields that the source has given a value, each attribute as ``custom_attributes.<name>``.
    known_fields: frozenset[str] = field(default=frozenset(), compare=False)
    #: The fingerprint of the newest data, which stays when the data goes.
    fingerprint: str = field(default="", compare=False, repr=False)

    @property
    def work(self) -> Work:
        """What it waits for, or did when it failed."""
        if self.deletes:
            return Work.DELETE
        return Work.UPDATE if self.contact_id and self.state not in SETTLED_STATES else Work.CREATE


@dataclass(frozen=True, slots=True)
class SettledContact:
    """What remains of a created or deleted contact. ``noted``: the fields with notes.

    ``contact_id`` is empty where LiveDesk has none. ``fingerprint`` is that of what LiveDesk was sent. ``sent_at`` is
    when the last attempt began, or ``None`` without one.
    """

    place: Position
    state: State
    identifier: str
    contact_id: str
    source: str
    fingerprint: str
    noted: frozenset[str]
    salt: bytes = field(repr=False)
    outcome: Outcome | None = None
    sent_at: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether LiveDesk has the person under another identifier."""
        return self.outcome is Outcome.KNOWN

    @property
    def is_bare(self) -> bool:
        """Whether it was sent to LiveDesk without an e-mail address and a phone number."""
        return not differing_values(self.fingerprint, {"email": None, "phone_number": None}, self.salt)

    def differing(self, shown: Mapping[str, object]) -> list[str]:
        """Return the fields that differ in LiveDesk, except those that notes explain.

        ``shown`` are the fields with a value, each attribute as ``custom_attributes.<name>``.
        """
        chunks = chunks_of(self.fingerprint)
        known = [name for name, chunk in chunks.items() if name not in UNSEEN and chunk != UNKNOWN]
        differing = differing_values(self.fingerprint, {name: shown.get(name) for name in known}, self.salt)
        return [name for name in differing if name.partition(".")[0] not in self.noted]


def contact_key(identifier: str, salt: bytes) -> str:
    """Return the key: BLAKE2b (RFC 7693) of the identifier with the salt, 96 bits.

    Base64 with ``.`` and ``_``, so that it fits into a URL, and into a command line, where a leading ``-`` would make
    it an option. The chance that two of ten million contacts share a key is 10^-15.
    """
    return _base64(keyed_hash(identifier, salt, 12))


def finder(name: str, value: str, salt: bytes) -> str:
    """Return ``<bucket>:<field>``, the list of this value: a keyed hash of 62 bits."""
    digest = keyed_hash(f"{name}={value}", salt, 8)
    return f"{int.from_bytes(digest[:2]) % BUCKETS}:{_base64(digest[2:])}"


def _base64(digest: bytes) -> str:
    """Return base64 with ``.`` and ``_``, of a multiple of three bytes."""
    return b2a_base64(digest, newline=False).translate(_ALTERNATIVE).decode()


def split(found: str) -> list[str]:
    """Split what a finder leads to into the contacts' keys."""
    return [found[at : at + KEY_LENGTH] for at in range(0, len(found), KEY_LENGTH)]


def stored(name: str) -> str:
    """Return how Redis stores the name of a field."""
    return STORED.get(name, name)


def names_of(*fields: str) -> list[str]:
    """Return the stored names of these fields, now and in earlier versions."""
    return [*map(stored, fields), *(name for name in fields if name in STORED)]


def named(record: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Return the fields of a stored record by their names, without absent ones."""
    return {_NAMES.get(name, name): value for name, value in record if value is not None}


def valid(fields: dict[str, str]) -> dict[str, str]:
    """Return the fields of a record as they will be when its next attempt begins."""
    if "anew" not in fields:
        return fields
    requested = {"trigger": f"operation {fields['operation']}"} if "operation" in fields else {}
    return {name: value for name, value in fields.items() if name not in VOID} | requested


def new_fields(signup: Signup, origin: Origin, fingerprint: str) -> list[str]:
    """Return names and values of what a delivery gives a new record.

    Without the finders; ``lua/new_contact.lua`` adds them, state and time.
    """
    contact, event = signup.contact, signup.event
    fields = [IDENTIFIER, contact.identifier, "data", dump_data(contact), FINGERPRINT, fingerprint, *origin.fields]
    if signup.notes:
        fields += ("notes", dump_notes(signup.notes) or "")
    if signup.is_unverified:
        fields += ("unverified", "1")
    if event.name:
        fields += ("event", event.name)
    if event.at is not None:
        fields += ("event_at", str(event.at))
    return fields


def dump_data(contact: Contact) -> str:
    data = contact.present()
    del data["identifier"]
    return _encode(data).decode()


def load_contact(identifier: str, data: str) -> Contact:
    return Contact(identifier=identifier, **json.loads(data))


def dump_finders(contact: Contact, salt: bytes) -> str | None:
    """Return the finders of e-mail address and phone, or ``None`` without either."""
    email = finder("email", contact.email.lower(), salt) if contact.email else ""
    phone_number = finder("phone_number", contact.phone_number, salt) if contact.phone_number else ""
    return email + phone_number or None


def findable(text: str) -> Iterator[tuple[str, str]]:
    """Return the fields that find a contact, with ``text`` as each is stored."""
    yield from (("email", text.lower()), ("phone_number", text), ("contact_id", text))


def dump_notes(notes: tuple[Note, ...]) -> str | None:
    return f"[{','.join(map(dump_note, notes))}]" if notes else None


def dump_note(note: Note) -> str:
    parts = [note.field, note.text, note.code] if note.code else [note.field, note.text]
    return json.dumps(parts, separators=(",", ":"))


def load_notes(text: str | None) -> tuple[Note, ...]:
    return tuple(Note(name, words, NoteCode("".join(code))) for name, words, *code in json.loads(text)) if text else ()


def dump_attempt(attempt: Attempt) -> str:
    """Return a short line, because Redis stores up to 64 bytes compactly.

    The fields that an update sent are in the place of the status, which is 200 then: a contact that was updated needs
    no more memory than before.
    """
    status = " ".join(map(code_of, attempt.changed)) or attempt.status
    line: list[Any] = [attempt.at, attempt.duration_ms, status, attempt.cause, attempt.excerpt, attempt.trigger]
    while len(line) > 2 and not line[-1]:
        line.pop()
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def ended_at(lines: str | None) -> int | None:
    """Return when the last attempt ended, or ``None`` without one."""
    if not lines:
        return None
    last = _load_attempt(json.loads(lines.rsplit("\n", 1)[-1]))
    return last.at + last.duration_ms


def load_attempts(lines: str | None) -> list[Attempt]:
    return [_load_attempt(json.loads(line)) for line in lines.split("\n")] if lines else []


def _load_attempt(line: list[Any]) -> Attempt:
    at, duration_ms, status, cause, excerpt, trigger = (*line, None, None, None, None)[:6]
    changed: tuple[str, ...] = ()
    if isinstance(status, str):
        changed, status = tuple(map(name_of, status.split())), 200
    return Attempt(at, duration_ms, status, cause, excerpt or "", trigger or "", changed)


def load_claim(record: Iterable[tuple[str, str]], **lease: Any) -> Claim:
    """Return a claim of this record; ``lease``: the fields that are not stored."""
    fields = named(record)
    counts: dict[str, Any] = {
        name: int(fields.get(name, 0)) for name in ("failures", "repeats", "spent_ms", "crashes", "suspect")
    }
    return Claim(
        contact=load_contact(fields["identifier"], fields.get("data", "{}")),
        fingerprint=fields["fingerprint"],
        unknown_since=int(fields["unknown_since"]) if "unknown_since" in fields else None,
        late_id=fields.get("late_id"),
        cause=fields.get("cause"),
        notes=load_notes(fields.get("notes")),
        failed_at=ended_at(fields.get("attempts")),
        **counts,
        trigger=fields.get("trigger"),
        origin=Origin(
            fields["source"],
            Identity(fields.get("identity", Identity.ACCOUNT)),
            fields.get("id_space", ""),
            OnConflict(fields.get("on_conflict", OnConflict.ASK)),
        ),
        first_at=int(fields["received_at"]),
        received_at=int(fields.get("opened_at", fields["received_at"])),
        number=int(fields["attempts_made"]),
        is_unverified="unverified" in fields,
        resolution=Resolution(fields["resolution"]) if "resolution" in fields else None,
        owner_id=fields.get("owner_id"),
        contact_id=fields.get("contact_id"),
        sent=fields.get("sent"),
        is_known=fields.get("outcome") == Outcome.KNOWN,
        deletes=OnDelete(fields["deletes"]) if "deletes" in fields else None,
        event_at=int(fields["event_at"]) if "event_at" in fields else None,
        **lease,
    )


def load_settled(place: Position, record: Mapping[str, str], salt: bytes) -> SettledContact:
    fields = named(record.items())
    notes = load_notes(fields.get("notes"))
    attempts = load_attempts(fields.get("attempts"))
    return SettledContact(
        place=place,
        state=State(fields["state"]),
        identifier=fields["identifier"],
        contact_id=fields.get("contact_id", ""),
        source=fields["source"],
        fingerprint=fields.get("sent") or fields["fingerprint"],
        noted=frozenset(note.field for note in notes),
        salt=salt,
        outcome=Outcome(fields["outcome"]) if "outcome" in fields else None,
        sent_at=attempts[-1].at if attempts else None,
    )


def load_record(record: Mapping[str, str]) -> ContactRecord:
    fields = valid(named(record.items()))

    def number(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    state = State(fields["state"])
    is_settled = state in SETTLED_STATES
    attempts = load_attempts(fields.get("attempts"))
    ended = attempts[-1].at + attempts[-1].duration_ms if attempts else None
    return ContactRecord(
        identifier=fields["identifier"],
        state=state,
        source=fields["source"],
        received_at=int(fields["received_at"]),
        attempts=attempts,
        attempts_made=int(fields.get("attempts_made", 1 if is_settled and attempts else 0)),
        notes=load_notes(fields.get("notes")),
        contact=load_contact(fields["identifier"], fields["data"]) if "data" in fields else None,
        outcome=_outcome(state, fields.get("outcome"), attempts),
        contact_id=fields.get("contact_id"),
        cause=fields.get("cause"),
        owner_id=fields.get("owner_id"),
        next_attempt_at=number("next_attempt_at"),
        # LiveDesk never had it: the source's clock says when, but not before it arrived here.
        closed_at=(ended or max(int(fields["received_at"]), number("event_at") or 0))
        if is_settled
        else number("closed_at"),
        newer_fields=tuple(differing_fields(fields["fingerprint"], fields["newer"])) if "newer" in fields else (),
        newer_at=number("newer_at"),
        unknown_since=number("unknown_since"),
        lease_until=number("lease_until"),
        trigger=fields.get("trigger", ""),
        operation=fields.get("operation"),
        failures=number("failures") or 0,
        spent_ms=number("spent_ms") or 0,
        identity=Identity(fields.get("identity", Identity.ACCOUNT)),
        id_spaces=tuple(fields.get("id_space", fields["source"]).split()),
        is_unverified="unverified" in fields,
        resolution=Resolution(fields["resolution"]) if "resolution" in fields else None,
        undo=fields.get("undo"),
        event_at=number("event_at"),
        event=fields.get("event", ""),
        changes=tuple(differing_fields(fields["sent"], fields["fingerprint"]))
        if "contact_id" in fields and "sent" in fields
        else (),
        opened_at=number("opened_at"),
        deletes=OnDelete(fields["deletes"]) if "deletes" in fields else None,
        known_fields=frozenset(chunks_of(fields["fingerprint"])),
        fingerprint=fields["fingerprint"],
    )


def _outcome(state: State, stored: str | None, attempts: list[Attempt]) -> Outcome | None:
    """Return how a contact became what it is. Only the unusual is stored."""
    if state is State.CREATED:
        outcome = Outcome(stored or Outcome.CREATED)
        return Outcome.UPDATED if attempts[-1].changed and outcome is not Outcome.KNOWN else outcome
    return Outcome(stored) if stored and state is State.DELETED else None
