"""The shapes of what API, commands and health checks answer.

The OpenAPI document is generated from these msgspec structs; ``serializers`` makes them from what is stored. A value
that is absent or could not be read is null.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, field

from worker.model import BulkAction, OperationState, Outcome, State, Status


class Time(str):
    """A time as RFC 3339, in UTC."""


Count = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
Key = Annotated[
    str, Meta(description="The id of the contact here.", extra_json_schema={"pattern": "^[A-Za-z0-9._]{16}$"})
]


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """The base of all shapes."""


class ContactRow(Answer):
    """A contact in a list."""

    key: Key
    identifier: str
    state: State
    source: str
    cause: str | None
    attempts_made: Count
    received_at: Time
    at: Annotated[Time | None, Meta(description="Sort key: when it entered its state or last failed with the cause.")]
    next_attempt_at: Time | None
    contact_id: int | None
    owner_id: int | None
    is_unknown: Annotated[bool, Meta(description="The answer to a create request for it was lost.")] = field(
        name="unknown"
    )


class Note(Answer):
    """What was done with a field of a contact, and why."""

    field: str
    text: str


class Attempt(Answer):
    """One attempt to create a contact in LiveDesk."""

    at: Time
    duration_ms: int
    status: int | None
    cause: str | None
    excerpt: str | None
    trigger: Annotated[str | None, Meta(description="Who requested it; null if it was automatic.")]


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
    received_at: Time
    closed_at: Time | None
    newer_fields: list[str]
    newer_at: Time | None


class Fields(Answer):
    name: str | None
    email: str | None
    phone_number: str | None
    avatar_url: str | None
    inbox_id: int | None


class Contact(Record):
    """A contact."""

    key: Key
    fields: Annotated[Fields | None, Meta(description="Masked unless revealed; null once the contact is created.")]


class ContactPage(Answer):
    contacts: list[ContactRow]
    after: Annotated[str | None, Meta(description="Where the next page begins. A page may have fewer rows than asked.")]
    matching: Annotated[Count | None, Meta(description="Null on later pages, and if it would be slow to count.")]


class FoundContacts(Answer):
    contacts: list[ContactRow]


class ContactState(Answer):
    """The state of a contact after a change."""

    key: Key
    state: State


class AdoptedContact(Answer):
    """A conflict that was resolved by adopting a contact in LiveDesk."""

    key: Key
    state: State
    contact_id: int


class HeldInbox(Answer):
    """An inbox that LiveDesk does not know; its contacts wait."""

    inbox: str
    since: Time
    probe_at: Time
    probes: Count


class Reachability(Answer):
    """Whether LiveDesk can be reached, and how fast requests are sent."""

    state: Annotated[str, Meta(extra_json_schema={"enum": ["up", "paused", "down", "misconfigured"]})]
    stop: Annotated[str | None, Meta(description="Why the sync stopped by itself: down or misconfigured.")]
    cause: str | None
    status: int | None
    since: Time | None
    probe_at: Time | None
    probes: Count
    paused_at: Time | None
    pace: Annotated[float, Meta(description="Requests per second at present.")]
    rate: Annotated[float, Meta(description="The limit in requests per second; 0 is none.")]
    answered_at: Time | None
    inboxes: list[HeldInbox] = field(name="held_inboxes")


class Upstream(Reachability):
    """LiveDesk as the workers see it, and who paused the sync."""

    paused_by: str | None
    paused_why: str | None


class Situation(Answer):
    """The state of the sync at a glance."""

    now: Time
    upstream: Upstream
    counts: dict[State, Count] = field(name="contacts")
    queue: Count
    oldest_pending: Time | None = field(name="oldest_pending_at")
    next_retry: Time | None = field(name="next_retry_at")
    overdue_ms: Count
    failed_last_hour: Count
    conflicts_last_hour: Count
    created_per_minute: float
    usual_per_minute: float
    requests_per_second: float
    clear_s: float | None


class Minute(Answer):
    at: Time
    accepted: Count
    created: Count
    retrying: Count
    failed: Count
    conflict: Count


class Flow(Answer):
    minutes: list[Minute]


class Cause(Answer):
    """Contacts that fail for the same reason."""

    cause: str
    waiting: Count
    people: Count
    attempts: Count
    first_seen: Time | None = field(name="first_seen_at")
    last_seen: Time = field(name="last_seen_at")
    minutes: Annotated[list[Count], Meta(description="Failed attempts per minute of the last hour, oldest first.")]


class Causes(Answer):
    causes: list[Cause]


class Filter(Answer):
    """Which contacts an operation is about."""

    state: State | None
    cause: str | None
    source: str | None
    since: Time | None
    until: Time | None
    attempts: Count


class Operation(Answer):
    """An operation on many contacts."""

    id: Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9a-f]{12}$"})]
    action: BulkAction
    filter: Filter
    state: OperationState
    who: str
    why: str
    canary: bool
    created_at: Time
    ended_at: Time | None
    note: str
    total: Count
    moved: Count
    skipped: Count
    recovered: Count
    same: Count
    again: Count
    left: Count
    restored: Count


class Operations(Answer):
    operations: list[Operation]


class Plan(Answer):
    """What an operation would do."""

    total: Count = field(name="eligible")
    skipped: dict[State, Count]
    at_least: Annotated[bool, Meta(description="Not all contacts were counted.")]
    pace: float
    finish_s: Annotated[float | None, Meta(description="Null while nothing is sent to LiveDesk.")]


class QuarantineEntry(Answer):
    """A delivery in quarantine."""

    entry: Key
    source: str
    since: Time
    problems: dict[str, str]


class QuarantinedDelivery(QuarantineEntry):
    """A delivery in quarantine with what was received."""

    payload: Annotated[str | None, Meta(description="JSON, as text. Null unless revealed.")] = None
    headers: dict[str, str] | None = None


class Quarantine(Answer):
    deliveries: list[QuarantineEntry]


class Replayed(Answer):
    status: Status


class SecretUse(Answer):
    """A secret of a source."""

    name: str
    last_used_at: Time | None


class StatusCount(Answer):
    """How many deliveries ended with a status."""

    status: str
    ever: Count
    last_hour: Count


class ReasonCount(Answer):
    """How many deliveries were rejected for a reason."""

    reason: str
    ever: Count
    last_hour: Count


class SourceUse(Answer):
    """A source and its deliveries."""

    name: str
    address: str
    preset: str | None
    on_invalid: str
    region: str | None
    inbox_id: int | None
    blocking: bool
    secrets: list[SecretUse]
    deliveries: list[StatusCount]
    refusals: list[ReasonCount]


class Sources(Answer):
    sources: list[SourceUse]


class Worker(Answer):
    name: str
    seen_at: Time


class Workers(Answer):
    """When a worker on each host last made progress."""

    now: Time
    workers: list[Worker]


class AuditEntry(Answer):
    """What a person did manually."""

    id: str
    at: Time
    who: str
    did: str
    target: str
    why: str


class Audit(Answer):
    entries: list[AuditEntry]
