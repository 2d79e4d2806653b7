"""The terms of LiveDesk Sync as types. No I/O.

``Contact``, ``Signup`` and ``Event`` are made of every delivery, so they are structs of msgspec: a frozen dataclass
takes ten times as long to make.

Times are milliseconds since the Unix epoch (``int``) unless a name says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from operator import attrgetter
from typing import Annotated, Any, Self, get_type_hints

from msgspec import Struct, structs

#: Contacts that may be open by default: they use about 0.8 GB of Redis's memory.
MAX_BACKLOG = 1_000_000


class Ack(StrEnum):
    """What Redis has done with a delivery before its sender receives 200."""

    MEMORY = "memory"
    #: Passed to the operating system: it survives a crash of the server.
    AOF = "aof"
    #: On disk: it survives a power failure.
    FSYNC = "fsync"
    #: Also in the memory of another server: it survives the loss of the machine.
    REPLICA = "replica"


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a delivery needs to be accepted.

    Durability, the share of Redis's memory that may be in use, and how many contacts may be open.
    """

    ack: Ack | None = None
    max_memory: float = 0.8
    max_backlog: int = MAX_BACKLOG


@dataclass(frozen=True, slots=True)
class UpstreamPolicy:
    """How requests to LiveDesk are limited, and how it is probed.

    ``rate``: requests a second, 0 for no limit. ``look_ups_per_minute``: Chatwoot allows 100 searches a minute
    (``rack_attack.rb``, ``RATE_LIMIT_CONTACT_SEARCH``). The wait for a probe grows from ``probe_first_ms`` to
    ``probe_longest_ms``. ``inbox_id`` is for contacts that name none.
    """

    rate: float = 0.0
    look_ups_per_minute: float = 100.0
    probe_first_ms: int = 5_000
    probe_longest_ms: int = 300_000
    inbox_id: int | None = None

    def arguments(self) -> dict[str, Any]:
        """Return what the scripts read (``lua/upstream.lua``)."""
        return {
            "rate": self.rate,
            "look_ups_per_second": self.look_ups_per_minute / 60,
            "probe_first_ms": self.probe_first_ms,
            "probe_longest_ms": self.probe_longest_ms,
            "inbox_id": str(self.inbox_id or ""),
        }


class Way(StrEnum):
    """How the audit log knows who acted. Only ``PROVIDER`` has verified the name."""

    PASSWORD = "password"  # noqa: S105 - not one
    PROVIDER = "provider"
    API = "api"
    CLI = "cli"
    SYNC = "sync"


class LogFormat(StrEnum):
    """The format of log lines: for people and machines, or for machines only."""

    LOGFMT = "logfmt"
    JSON = "json"


class State(StrEnum):
    """The state of a contact. The first three are open: something is still to be sent."""

    PENDING = "pending"
    SENDING = "sending"
    RETRYING = "retrying"
    CREATED = "created"
    CONFLICT = "conflict"
    FAILED = "failed"
    DISCARDED = "discarded"
    #: The source has deleted the person. The record is a tombstone: no late repeat revives it.
    DELETED = "deleted"

    @property
    def is_open(self) -> bool:
        return self in OPEN_STATES


OPEN_STATES = frozenset({State.PENDING, State.SENDING, State.RETRYING})


class Work(StrEnum):
    """What an open contact waits for."""

    CREATE = "create"
    #: LiveDesk has the contact, and the source has other data.
    UPDATE = "update"
    #: The source has deleted the person.
    DELETE = "delete"


class Outcome(StrEnum):
    """How a contact became ``created`` or ``deleted``."""

    CREATED = "created"
    #: LiveDesk had the person already, and its contact has our identifier now.
    ADOPTED = "adopted"
    #: LiveDesk has the person under another identifier: the two are aliases of one contact.
    KNOWN = "known"
    #: LiveDesk has received a later change.
    UPDATED = "updated"
    #: The source has deleted the person, and LiveDesk's contact says so.
    MARKED = "marked"
    #: The source has deleted the person, and so did LiveDesk.
    DELETED = "deleted"


#: A custom or additional attribute of a contact.
Attribute = str | int | float | bool


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """What there is to know about a field of ``Contact``.

    ``is_personal``: hidden unless somebody reveals it. ``is_optional``: left out when LiveDesk does not accept it;
    losing it never loses the contact. ``is_unique``: LiveDesk allows a value only once.
    """

    label: str
    is_personal: bool = False
    is_optional: bool = False
    is_editable: bool = True
    is_unique: bool = False


def _personal(label: str, *, is_unique: bool = False) -> FieldInfo:
    return FieldInfo(label, is_personal=True, is_optional=True, is_unique=is_unique)


def _attributes(label: str) -> FieldInfo:
    return FieldInfo(label, is_personal=True, is_optional=True, is_editable=False)


class Contact(Struct, frozen=True):
    """The person as LiveDesk should know them, normalised and ready to send.

    ``identifier`` is the idempotency key. An optional field is a non-empty string or ``None``, never ``""``
    (LiveDesk keeps an index over ``""``: livedesk-api, create contact). Attributes are a non-empty mapping or ``None``.
    A new field also needs a function in ``normalise``.
    """

    identifier: Annotated[str, FieldInfo("identifier", is_editable=False)]
    inbox_id: Annotated[int | None, FieldInfo("inbox")] = None
    name: Annotated[str | None, _personal("name")] = None
    email: Annotated[str | None, _personal("e-mail address", is_unique=True)] = None
    phone_number: Annotated[str | None, _personal("phone number", is_unique=True)] = None
    avatar_url: Annotated[str | None, _personal("avatar URL")] = None
    custom_attributes: Annotated[Mapping[str, Attribute] | None, _attributes("custom attributes")] = None
    additional_attributes: Annotated[Mapping[str, Attribute] | None, _attributes("additional attributes")] = None

    def present(self) -> dict[str, Any]:
        """Return the fields with a value, named and ordered as in LiveDesk's create."""
        values = zip(CONTACT_FIELDS, _values_of(self), strict=True)
        return {name: value for name, value in values if value is not None}

    def without(self, *names: str) -> Self:
        """Return the same contact without these optional fields."""
        left_out: dict[str, Any] = {name: None for name in names if getattr(self, name) is not None}
        return structs.replace(self, **left_out) if left_out else self


#: Every field of a contact, in the order of LiveDesk's create request.
CONTACT_FIELDS: Mapping[str, FieldInfo] = {
    name: annotated.__metadata__[0] for name, annotated in get_type_hints(Contact, include_extras=True).items()
}
_values_of = attrgetter(*CONTACT_FIELDS)
OPTIONAL_FIELDS = tuple(name for name, info in CONTACT_FIELDS.items() if info.is_optional)
PERSONAL_FIELDS = tuple(name for name, info in CONTACT_FIELDS.items() if info.is_personal)
EDITABLE_FIELDS = tuple(name for name, info in CONTACT_FIELDS.items() if info.is_editable)
UNIQUE_FIELDS = tuple(name for name, info in CONTACT_FIELDS.items() if info.is_unique)
#: The fields whose value is a mapping, which LiveDesk merges key by key.
ATTRIBUTE_FIELDS = ("custom_attributes", "additional_attributes")
#: The custom attribute that says when the source deleted the person; no source can map it.
DELETED_AT = "account_deleted_at"


class NoteCode(StrEnum):
    """What a note is about, for programs. Notes of older records have none."""

    NONE = ""
    #: The value could not be used.
    LEFT_OUT = "left_out"
    #: The value was changed so that it can be used.
    ALTERED = "altered"
    EDITED = "edited"
    ADOPTED = "adopted"
    #: LiveDesk has the person under another identifier.
    KNOWN = "known"
    #: The identifier replaced that of a visitor.
    PROMOTED = "promoted"
    #: LiveDesk has another value, or none.
    DIFFERS = "differs"
    RECREATED = "recreated"


@dataclass(frozen=True, slots=True)
class Note:
    """A remark about a contact: which field, what was done, and why.

    ``text`` contains no personal data, so that notes may outlive the contact's data.
    """

    field: str
    text: str
    code: NoteCode = NoteCode.NONE


class Event(Struct, frozen=True):
    """What happened at the source.

    ``name`` is the sender's, ``at`` when it happened, in ms since the epoch. ``is_deletion``: the person was deleted.
    """

    name: str = ""
    at: int | None = None
    is_deletion: bool = False


class Signup(Struct, frozen=True):
    """What a source reads in a delivery: a contact, and notes about what was changed.

    ``is_unverified``: the sender says that the e-mail address was not verified. ``cleared``: the fields that the person
    has no value for (any more), which is more than not to mention them; an attribute is ``custom_attributes.<name>``.
    The contact of a deletion has only an identifier.
    """

    contact: Contact
    notes: tuple[Note, ...] = ()
    is_unverified: bool = False
    cleared: frozenset[str] = frozenset()
    event: Event = Event()


class Identity(StrEnum):
    """Who can choose the identifiers that a source sends."""

    #: Only the system that issues them.
    ACCOUNT = "account"
    #: Anybody who fills in a form, or who has a public key.
    VISITOR = "visitor"


class OnConflict(StrEnum):
    """What to do when LiveDesk has an e-mail address under an unknown identifier."""

    #: An operator decides.
    ASK = "ask"
    #: It is the same person: LiveDesk's contact stays as it is.
    KNOWN = "known"
    #: It is another person, who is created without the address.
    WITHOUT = "without"


class Resolution(StrEnum):
    """How an operator resolves a conflict with the next attempt."""

    #: LiveDesk's contact gets our identifier.
    ADOPT = "adopt"
    #: The contact is created without the field.
    WITHOUT = "without"


class OnChange(StrEnum):
    """What to do when the source changes a person whom LiveDesk has already."""

    #: LiveDesk's contact gets what has changed.
    UPDATE = "update"
    #: The record says that newer data arrived.
    NOTE = "note"


class OnDelete(StrEnum):
    """What to do when the source deletes a person."""

    IGNORE = "ignore"
    #: LiveDesk's contact gets the custom attribute ``account_deleted_at``.
    MARK = "mark"
    #: LiveDesk's contact is deleted, where the account allows it.
    DELETE = "delete"


@dataclass(frozen=True)
class Origin:
    """Where a contact comes from: the source, and what its identifiers mean.

    Sources that take their identifiers from the same system have the same ``id_space``; empty means the source's own.
    ``siblings`` are the sources with this id space, whose records may be older than it.
    """

    source: str
    identity: Identity = Identity.ACCOUNT
    id_space: str = ""
    on_conflict: OnConflict = OnConflict.ASK
    siblings: tuple[str, ...] = ()
    on_change: OnChange = OnChange.UPDATE
    on_delete: OnDelete = OnDelete.IGNORE

    @property
    def space(self) -> str:
        """The id space: its own has the name of the source."""
        return self.id_space or self.source

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names and values of what a new record says about it: only the unusual."""
        unusual = {
            "id_space": self.id_space if self.id_space != self.source else "",
            "identity": self.identity if self.identity is not Identity.ACCOUNT else "",
            "on_conflict": self.on_conflict if self.on_conflict is not OnConflict.ASK else "",
            "on_change": self.on_change if self.on_change is not OnChange.UPDATE else "",
        }
        return ("source", self.source, *(part for pair in unusual.items() if pair[1] for part in pair))


class Status(StrEnum):
    """What the receiver answers about a delivery."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"


@dataclass(slots=True)
class Accepted:
    """The result of a delivery that is now stored, or that clashes.

    ``is_update``: it changed the data of a contact that was known already. ``is_repeat``: a source of the same id space
    has sent exactly this before. ``is_stale``: a newer event arrived first, so that nothing changed. ``clashes_with``:
    the source whose person has this identifier already; then the status is ``quarantined``, and nothing was stored.
    """

    status: Status
    state: State
    contact_id: str | None
    is_update: bool = field(default=False, compare=False)
    is_repeat: bool = field(default=False, compare=False)
    is_stale: bool = field(default=False, compare=False)
    clashes_with: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a contact until ``lease_until``, with all its data.

    ``now`` and ``lease_until`` are Redis's time. ``unknown_since``: an earlier create was sent at that time at the
    latest, and nobody knows its answer. ``late_id`` is a contact id that a worker learned after it had lost its lease.
    ``wait_ms`` is the wait before the first request, by the pace, and ``apart_ms`` the time from that to the next one.
    ``done_at`` is when LiveDesk last did for any contact what is to be done for this one, ``failed_at`` when this
    contact's last attempt ended; ``suspect`` counts the attempts that failed while others succeeded.
    ``is_inbox_probe``: its inbox is held, and it shows whether that still has to be. ``trigger`` is who requested this
    attempt, if a person did. ``first_at`` is the time of the first delivery, before which nothing was sent, and
    ``received_at`` the same, or of the change to be sent,
    ``origin`` where the data comes from; ``number`` counts the attempts, including this one. ``is_unverified``: see
    ``Signup``. ``resolution`` is what an operator decided about a conflict, for this attempt; ``owner_id`` is the
    contact in LiveDesk to be adopted. ``contact_id`` is the one to be changed, ``sent`` the fingerprint of what it has
    (``record``), and ``is_known`` says that it has another identifier; ``deletes``: the source has deleted the person,
    at ``event_at``.
    """

    key: str
    token: str
    contact: Contact
    fingerprint: str
    now: int
    lease_until: int
    unknown_since: int | None = None
    late_id: str | None = None
    cause: str | None = None
    failures: int = 0
    repeats: int = 0
    spent_ms: int = 0
    crashes: int = 0
    notes: tuple[Note, ...] = ()
    wait_ms: int = 0
    apart_ms: int = 0
    done_at: int = 0
    is_inbox_probe: bool = False
    failed_at: int | None = None
    suspect: int = 0
    trigger: str | None = None
    origin: Origin = Origin("")
    first_at: int = 0
    received_at: int = 0
    number: int = 1
    is_unverified: bool = False
    resolution: Resolution | None = None
    owner_id: str | None = None
    contact_id: str | None = None
    sent: str | None = None
    is_known: bool = False
    deletes: OnDelete | None = None
    event_at: int | None = None

    @property
    def work(self) -> Work:
        if self.deletes:
            return Work.DELETE
        return Work.UPDATE if self.contact_id else Work.CREATE

    @property
    def is_visitors(self) -> bool:
        """Whether anybody can have chosen the identifier."""
        return self.origin.identity is Identity.VISITOR

    @property
    def taken_field(self) -> str | None:
        """The value whose owner is looked for first: the last attempt ended with it."""
        if self.resolution is Resolution.WITHOUT or self.work is not Work.CREATE:
            return None
        return next(
            (name for name in UNIQUE_FIELDS if self.cause == f"{name}_taken" and getattr(self.contact, name)), None
        )

    @property
    def looks_first(self) -> bool:
        """Whether a look-up comes first; ``claim`` reserves time for two requests."""
        is_unknown = self.unknown_since is not None and self.contact_id is None
        return is_unknown or self.taken_field is not None


class Signal(StrEnum):
    """What an attempt says about LiveDesk, for all contacts.

    It answers, it fails, it wants fewer requests, it rejects our configuration, it does not know the inbox, it refuses
    in words that may be about everybody, or nothing. ``postponed``: nothing was attempted after all.
    """

    OK = "ok"
    ERROR = "error"
    THROTTLED = "throttled"
    MISCONFIGURED = "misconfigured"
    INBOX = "inbox"
    REFUSED = "refused"
    NOTHING = "nothing"
    POSTPONED = "postponed"


class Unanswered(StrEnum):
    """The effect on an unanswered create: from now on, as before, or no longer one."""

    NOW = "now"
    KEEP = "keep"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided without an operator about a person whom LiveDesk has already.

    For the audit log: no personal data. ``choice`` is what the counter is called (``overlap.Choice``).
    """

    choice: str
    did: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """How an attempt ended. Which of the other fields are used depends on the state.

    ``sent`` is the fingerprint of what LiveDesk has now, where that is not what the claim has; ``changed`` names the
    fields that an update sent. ``suspect`` counts the failures while LiveDesk did the same for others. ``is_alone``:
    what happened is not everybody's trouble. ``asks``: it may be, but first LiveDesk is asked something that is about
    no contact. ``words`` is what it said, without what is this contact's.
    """

    state: State
    cause: str | None = None
    contact_id: str | None = None
    outcome: Outcome | None = None
    owner_id: str | None = None
    notes: tuple[Note, ...] = ()
    delay_ms: int = 0
    unanswered: Unanswered = Unanswered.KEEP
    failures: int = 0
    repeats: int = 0
    spent_ms: int = 0
    status: int | None = None
    excerpt: str = ""
    signal: Signal = Signal.OK
    hold_ms: int = 0
    suspect: int = 0
    is_alone: bool = False
    asks: bool = False
    words: str | None = None
    decided: Decided | None = None
    sent: str | None = None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """An authentic delivery without a usable contact, minus its secret fields.

    ``payload`` is JSON, ``headers`` are those that the mapping reads, ``problems`` has a sentence for each wrong field.
    ``is_element``: it is one element of a batch. ``clash`` is the other source of an identifier that two sources use
    for two people. The store sets ``entry`` and ``since``.
    """

    source: str
    payload: str
    problems: dict[str, str]
    headers: dict[str, str]
    is_element: bool = False
    clash: str = ""
    entry: str = ""
    since: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """What probes found out about the LiveDesk account; ``None``: not probed.

    ``unique``: a second create with the same identifier is refused, and the refusal names the identifier.
    ``searchable``: a search finds a contact by its identifier; ``searchable_bare``: even without an e-mail address and
    a phone number. ``creates_attributes``: the create takes attributes; ``deletes``: contacts can be deleted.
    """

    unique: bool | None = None
    searchable: bool | None = None
    searchable_bare: bool | None = None
    creates_attributes: bool | None = None
    deletes: bool | None = None
    probed_at: int | None = None

    def finds(self, contact: Contact) -> bool | None:
        """Return whether a search finds this contact once it exists."""
        return self.searchable if contact.email or contact.phone_number else self.searchable_bare


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a list by time: after this contact, which entered it at ``at``."""

    at: int = 0
    key: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The contacts compared up to ``place``, and the differences found.

    The created ones come first, then the deleted ones.
    """

    place: Position = Position()
    checked: int = 0
    found: int = 0
    state: State = State.CREATED


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to bring a contact to LiveDesk: when it began and how long it took.

    ``status`` is the last HTTP status; ``cause`` is ``None`` if the attempt succeeded. ``trigger`` is who requested it,
    if a person did. ``changed`` names the fields that an update sent.
    """

    at: int
    duration_ms: int
    status: int | None = None
    cause: str | None = None
    excerpt: str = ""
    trigger: str = ""
    changed: tuple[str, ...] = ()
