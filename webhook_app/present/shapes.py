"""The shapes of what API, commands and health checks answer.

The OpenAPI document is generated from these msgspec structs; ``serializers`` makes them from what is stored. A value
that is absent or could not be read is null.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from worker.actions import BulkAction, Obstacle, OperationState
from worker.causes import Fault
from worker.estimate import Limit
from worker.model import (
    EDITABLE_FIELDS,
    Identity,
    NoteCode,
    OnChange,
    OnConflict,
    OnDelete,
    Outcome,
    State,
    Status,
    Work,
)
from worker.store.counters import EventKind


class Time(str):
    """A time as RFC 3339, in UTC."""


class Masked(str):
    """Text of LiveDesk, a sender or a person, with addresses and numbers masked."""


Count = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
Key = Annotated[
    str, Meta(description="The id of the contact here.", extra_json_schema={"pattern": "^[A-Za-z0-9._]{16}$"})
]


#: The data of a contact: every field that a person can edit.
Fields = Annotated[
    dict[str, str | int | None],
    Meta(
        extra_json_schema={
            "properties": {name: {"type": ["string", "integer", "null"]} for name in EDITABLE_FIELDS},
            "required": list(EDITABLE_FIELDS),
            "additionalProperties": False,
        }
    ),
]


Attributes = dict[str, str | int | float | bool]
TODO = "What is to be sent: a new contact, a change or a deletion; null once LiveDesk has everything."


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """The base of all shapes."""


class ContactRow(Answer):
    """A contact in a list."""

    key: Key
    identifier: str
    state: State
    cause: str | None
    source: str
    attempts_made: Count
    received_at: Time
    at: Annotated[Time | None, Meta(description="Sort key: when it entered its state or last failed with the cause.")]
    next_attempt_at: Time | None
    contact_id: int | None
    owner_id: int | None
    is_unknown: Annotated[bool, Meta(description="The answer to a create request for it was lost.")] = field(
        name="unknown"
    )
    work: Annotated[Work | None, Meta(description=TODO)]


class Note(Answer):
    field: Masked
    text: Masked
    code: NoteCode


class Attempt(Answer):
    """One attempt to bring a contact, a change or a deletion to LiveDesk."""

    at: Time
    duration_ms: int
    status: int | None
    cause: str | None
    excerpt: Annotated[Masked | None, Meta(description="What LiveDesk answered; masked unless revealed.")]
    trigger: Annotated[str | None, Meta(description="Who requested it; null if it was automatic.")]
    changed: Annotated[
        list[str], Meta(description="The fields that an update sent; an attribute is `custom_attributes.<name>`.")
    ]


class Record(Answer):
    """A contact without its personal data."""

    identifier: str
    state: State
    outcome: Outcome | None
    contact_id: int | None
    cause: str | None
    owner_id: Annotated[int | None, Meta(description="The contact in LiveDesk that it conflicts with.")]
    notes: list[Note]
    attempts: list[Attempt]
    attempts_made: Count
    next_attempt_at: Time | None
    source: str
    identity: Annotated[Identity, Meta(description="Who can choose the identifier: the account system, or a visitor.")]
    id_spaces: Annotated[list[str], Meta(description="The id spaces that the identifier belongs to.")]
    received_at: Time
    closed_at: Time | None
    newer_fields: list[str]
    newer_at: Time | None
    work: Annotated[Work | None, Meta(description=TODO)]
    changes: Annotated[list[str], Meta(description="The fields that are still to be sent to LiveDesk's contact.")]
    opened_at: Annotated[Time | None, Meta(description="When that change or deletion arrived.")]
    event: Annotated[Masked | None, Meta(description="The sender's name of the newest event, while it is to be sent.")]
    event_at: Annotated[
        Time | None, Meta(description="When the newest event happened at the source; of a deletion: when it was.")
    ]
    deletes: Annotated[OnDelete | None, Meta(description="What is to become of LiveDesk's contact.")]


class Change(Answer):
    """A change or a deletion that LiveDesk has."""

    id: str
    at: Annotated[Time, Meta(description="When LiveDesk had it.")]
    key: Key
    outcome: Annotated[Outcome, Meta(description="`updated`, `marked` or `deleted`.")]
    source: str
    event: Annotated[Masked | None, Meta(description="The sender's name of the event.")]
    event_at: Annotated[Time | None, Meta(description="When it happened at the source, by its clock.")]
    arrived_at: Time | None
    fields: Annotated[list[str], Meta(description="What was sent; an attribute is `custom_attributes.<name>`.")]
    contact_id: int | None


class Alias(Answer):
    """Another contact here that is the same contact in LiveDesk."""

    key: Key
    identifier: str
    source: str
    identity: Identity
    outcome: Annotated[Outcome | None, Meta(description="`known`, unless LiveDesk has this identifier.")]


WAITS_FOR = (
    "Why it is not sent now: the sync is `paused`, `down`, `misconfigured` or on `hold`, or its `inbox` is held; null "
    "if nothing keeps it."
)


class Contact(Record):
    """A contact."""

    key: Key
    waits_for: Annotated[str | None, Meta(description=WAITS_FOR)]
    aliases: Annotated[
        list[Alias], Meta(description="At most 100; if LiveDesk has the identifier of one, it is first.")
    ]
    alias_count: Count
    fields: Annotated[Fields | None, Meta(description="Masked unless revealed; null once the contact is created.")]
    custom_attributes: Annotated[Attributes | None, Meta(description="The same.")]
    additional_attributes: Annotated[Attributes | None, Meta(description="The same.")]


class ContactPage(Answer):
    contacts: list[ContactRow]
    after: Annotated[str | None, Meta(description="Where the next page begins. A page may have fewer rows than limit.")]
    matching: Annotated[Count | None, Meta(description="Null on later pages, and if it would be slow to count.")]


class ContactState(Answer):
    key: Key
    state: State
    waits_for: Annotated[str | None, Meta(description=WAITS_FOR)] = None


class ErasedContact(Answer):
    key: Key
    contact_id: Annotated[int | None, Meta(description="The contact in LiveDesk, which keeps it.")]
    aliases: Annotated[Count, Meta(description="How many aliases were erased, too.")]
    is_unknown: Annotated[bool, Meta(description="A create request was sent, and its answer is unknown.")] = field(
        name="unknown"
    )
    quarantined: Annotated[Count, Meta(description="How many deliveries in quarantine were deleted, too.")] = 0
    not_searched: Annotated[Count, Meta(description="How many there was no time to search.")] = 0


class KnownContact(Answer):
    key: Key
    state: State
    contact_id: int


class HeldInbox(Answer):
    """An inbox that LiveDesk does not know, or fails for; its contacts wait."""

    inbox: str
    since: Time
    probe_at: Time
    probes: Count
    cause: str


class Reachability(Answer):
    """Whether LiveDesk can be reached, and how fast requests are sent."""

    state: Annotated[str, Meta(extra_json_schema={"enum": ["up", "paused", "down", "misconfigured", "hold"]})]
    stop: Annotated[str | None, Meta(description="Why the sync stopped by itself: down, misconfigured or hold.")]
    cause: str | None
    status: int | None
    since: Time | None
    until: Annotated[Time | None, Meta(description="When LiveDesk wants requests again, if it said so.")]
    words: Annotated[Masked | None, Meta(description="What LiveDesk answers to every contact, word for word.")]
    probe_at: Time | None
    probes: Count
    paused_at: Time | None
    pace: Annotated[float, Meta(description="Requests per second at present.")]
    rate: Annotated[float, Meta(description="The limit in requests per second; 0 means no limit.")]
    answered_at: Time | None
    inboxes: list[HeldInbox] = field(name="held_inboxes")


class Upstream(Reachability):
    """LiveDesk as the workers see it, and who paused the sync."""

    paused_by: str | None
    paused_why: Masked | None


class Clash(Answer):
    """Deliveries that wait because two sources use one identifier for two people."""

    source: Annotated[str, Meta(description="The source of the deliveries.")]
    other: Annotated[str, Meta(description="The source whose people have their identifiers.")]
    waiting: Count


CLEAR = (
    "Seconds until everything is sent, estimated from the pace, look-ups and later attempts; null if that is unknown, "
    "and while nothing is sent."
)
LIMIT = (
    "What keeps contacts from being sent faster: `rate` (LIVEDESK_RATE), `lowered` (the pace rises again after a 429 "
    "or a stop), `look_ups` (LIVEDESK_LOOK_UPS), `workers` (all are busy), `no_worker`, `paused`, `stopped`, `later` "
    "(no contact is due now), `none`."
)


class Situation(Answer):
    """The state of the sync at a glance."""

    now: Time
    upstream: Upstream
    counts: dict[State, Count] = field(name="contacts")
    queue: Count
    oldest_pending: Time | None = field(name="oldest_pending_at")
    next_retry: Time | None = field(name="next_retry_at")
    overdue_ms: Count
    waiting: Annotated[
        dict[str, Count], Meta(description="Contacts to be sent, by the lane in which they wait, the first one first.")
    ]
    failed_last_hour: Count
    conflicts_last_hour: Count
    created_per_minute: float
    usual_per_minute: float
    requests_per_second: float
    clear_s: Annotated[float | None, Meta(description=CLEAR)]
    limit: Annotated[Limit, Meta(description=LIMIT)]
    later: Annotated[Count, Meta(description="Contacts whose next attempt is later; estimated if there are many.")]
    later_until: Annotated[Time | None, Meta(description="When the last of them is due.")]
    held: Annotated[Count, Meta(description="Contacts that wait for their inbox, and are not part of clear_s.")]
    clashes: list[Clash]


class Minute(Answer):
    at: Time
    accepted: Count
    created: Count
    updated: Annotated[Count, Meta(description="Changes that were sent.")]
    marked: Annotated[Count, Meta(description="Contacts marked as deleted.")]
    deleted: Annotated[Count, Meta(description="Contacts deleted in LiveDesk.")]
    retrying: Count
    failed: Count
    conflict: Count


class CauseExplanation(Answer):
    """What a cause means. ``docs/causes.md`` lists all of them."""

    title: str
    fault: Fault
    spends_budget: Annotated[bool, Meta(description="Whether waits after it count towards RETRY_FOR.")]
    meaning: str
    todo: str


class Cause(Answer):
    """Contacts that fail for the same reason."""

    cause: str
    explanation: CauseExplanation
    waiting: Count
    people: Count
    attempts: Count
    first_seen: Time | None = field(name="first_seen_at")
    last_seen: Time = field(name="last_seen_at")
    minutes: Annotated[list[Count], Meta(description="Failed attempts per minute of the last hour, oldest first.")]


class Filter(Answer):
    state: State | None
    cause: str | None
    source: str | None
    since: Time | None
    until: Time | None
    attempts: Count
    work: Work | None


class Operation(Answer):
    id: Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9a-f]{12}$"})]
    action: BulkAction
    filter: Filter
    state: OperationState
    who: str
    why: Masked
    canary: bool
    created_at: Time
    ended_at: Time | None
    note: str
    total: Count
    moved: Count
    skipped: Count
    recovered: Annotated[Count, Meta(description="Now in LiveDesk; an undo leaves these as they are.")]
    same: Count
    again: Count
    left: Annotated[Count, Meta(description="Changed by somebody else in the meantime.")]
    restored: Annotated[Count, Meta(description="Undone.")]


class Plan(Answer):
    """What an operation would do."""

    total: Count = field(name="eligible")
    skipped: Annotated[dict[State, Count], Meta(description="Contacts whose state does not allow it.")]
    obstacles: Annotated[dict[Obstacle, Count], Meta(description="Conflicts that it does not resolve, by reason.")]
    at_least: Annotated[bool, Meta(description="Not all contacts were counted.")]
    pace: float
    finish_s: Annotated[
        float | None,
        Meta(description="Until all are sent, with those that go first. Null while nothing is sent to LiveDesk."),
    ]


class QuarantineEntry(Answer):
    entry: Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Za-z0-9._]{16}$"})]
    source: str
    since: Time
    problems: dict[str, Masked]
    clash: Annotated[
        str | None, Meta(description="The source whose person has the identifier, if the delivery clashes.")
    ] = field(name="clashes_with")
    explanation: Annotated[str | None, Meta(description="A sentence about the clash.")] = None


class QuarantinedDelivery(QuarantineEntry):
    """A delivery in quarantine with what was received."""

    payload: Annotated[str | None, Meta(description="JSON, as text. Null unless revealed.")] = None
    headers: dict[str, str] | None = None


class Replayed(Answer):
    status: Status
    advice: Annotated[str | None, Meta(description="How the clash does not recur.")] = None


class ReplayedClash(Answer):
    """The result of one request, which replays at most 100 deliveries."""

    statuses: Annotated[dict[Status, Count], Meta(description="How many ended with each status.")]
    failed: Annotated[Count, Meta(description="How many are still in quarantine: skip them in the next request.")]
    remaining: Annotated[Count, Meta(description="How many were not replayed yet.")]
    advice: str | None


class SecretUse(Answer):
    name: str
    last_used_at: Time | None


class StatusCount(Answer):
    status: str
    ever: Count
    last_hour: Count


class ReasonCount(Answer):
    reason: str
    ever: Count
    last_hour: Count


class EventCount(Answer):
    kind: EventKind
    ever: Count
    last_hour: Count


class SourceClashes(Answer):
    """Deliveries of a source that clash with people of another."""

    clashes_with: str
    waiting: Count
    ever: Count
    last_hour: Count


class SourceUse(Answer):
    name: str
    address: str
    preset: str | None
    on_invalid: str
    region: str | None
    inbox_id: int | None
    blocking: bool
    identity: Identity
    id_space: str
    on_conflict: OnConflict
    on_change: OnChange
    on_delete: OnDelete
    deletion: Annotated[
        Literal["ignored", "marked", "deleted"],
        Meta(description="What really happens: contacts are deleted only where LiveDesk allows it."),
    ]
    secrets: list[SecretUse]
    deliveries: list[StatusCount]
    refusals: list[ReasonCount]
    clashes: list[SourceClashes]
    events: Annotated[list[EventCount], Meta(description="Deliveries about people who were known already.")]


class Worker(Answer):
    """A worker process. Former versions report only their host, and no process id."""

    name: Annotated[str, Meta(description="Host and process id.")]
    host: str
    pid: int | None
    state: Annotated[str, Meta(description="`running`, or `stale` without a heartbeat in the last 30 s.")]
    doing: Annotated[str, Meta(description="In words, such as `3 attempts running`, `idle`, `waiting: ...`.")]
    seen_at: Annotated[Time, Meta(description="When it sent its last heartbeat.")]
    version: str | None = None
    started_at: Time | None = None
    progress_at: Annotated[Time | None, Meta(description="When an attempt last began or ended.")] = None
    threads: int | None = None
    running: Annotated[int | None, Meta(description="Attempts at this moment.")] = None
    memory_bytes: Annotated[int | None, Meta(description="The most memory that it has used.")] = None


class Workers(Answer):
    now: Time
    workers: list[Worker]


class AuditEntry(Answer):
    id: str
    at: Time
    who: str
    did: str
    target: str
    why: Masked
    way: str
