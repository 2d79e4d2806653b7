"""The life of a contact, from the signup to its deletion. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from webhook_app.present.masking import masked_text
from webhook_app.present.sending import Sentence
from webhook_app.present.wording import field_labels, way_words
from worker.causes import explain
from worker.model import Attempt, Outcome, State, Way, Work
from worker.store.audit import AuditEntry
from worker.store.changes import Change
from worker.store.record import ContactRecord

#: What a successful attempt did, by the outcome.
RESULTS = {
    Outcome.CREATED: "Created in LiveDesk",
    Outcome.ADOPTED: "Adopted: LiveDesk's contact has this identifier now",
    Outcome.KNOWN: "Known in LiveDesk under another identifier",
    Outcome.UPDATED: "Change sent",
    Outcome.MARKED: "Marked as deleted in LiveDesk",
    Outcome.DELETED: "Deleted in LiveDesk",
    None: "Deletion noted: LiveDesk did not have to change anything",
}
AUTOMATIC = "automatic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened to a contact.

    ``at`` is ``None`` where the time is no longer stored. ``who`` did it: a source, a person or the sync. ``detail``
    is a sentence as in ``explanation``, ``excerpt`` what LiveDesk answered.
    """

    at: int | None
    what: str
    who: str = AUTOMATIC
    detail: Sentence = field(default_factory=list)
    excerpt: str = ""
    is_failure: bool = False


#: A moment after the time that orders it.
Placed = tuple[int, Moment]


def timeline_of(record: ContactRecord, changes: list[Change], audited: list[AuditEntry]) -> list[Moment]:
    """Return what happened, oldest first.

    ``changes`` are those of this contact, the latest first.
    """
    placed = [
        *_signup(record, changes),
        *_changes(record, changes),
        *_attempts(record, changes),
        *(
            (one.at, Moment(at=one.at, what=one.did.capitalize(), who=_person(one), detail=[masked_text(one.why)]))
            for one in audited
        ),
    ]
    return [moment for _, moment in sorted(placed, key=lambda pair: pair[0])]


def _person(entry: AuditEntry) -> str:
    """``ada@example.com (identity provider)``."""
    way = way_words(entry.way)
    return f"{entry.who} ({way})" if way and entry.way not in (Way.SYNC, Way.API) else entry.who


def _signup(record: ContactRecord, changes: list[Change]) -> Iterator[Placed]:
    at = record.received_at
    if record.state is State.DELETED and not record.attempts and not changes:
        yield at, Moment(at=at, what="Deletion received", who=record.source, detail=_event("", record.event_at))
        return
    # The source of a record is that of its newest delivery.
    is_first = record.opened_at is None and record.newer_at is None and not changes
    yield at, Moment(at=at, what="Signup received", who=record.source if is_first else "")
    tried = record.attempts[:-1] if record.state is State.DELETED else record.attempts
    is_forgotten = not any(attempt.cause is None and not attempt.changed for attempt in tried)
    if record.contact_id and is_forgotten and (record.opened_at is not None or changes):
        yield at, Moment(at=None, what=_there(record), detail=["The time is no longer stored."])


def _there(record: ContactRecord) -> str:
    return f"In LiveDesk as contact {record.contact_id}" if record.contact_id else "Sent to LiveDesk"


def _changes(record: ContactRecord, changes: list[Change]) -> Iterator[Placed]:
    """Yield the later deliveries, and what was sent before the last attempt."""
    for change in changes:
        if change.arrived_at is not None:
            what = _received(change.fields) if change.outcome is Outcome.UPDATED else "Deletion received"
            detail = _event(change.event, change.event_at)
            yield change.arrived_at, Moment(at=change.arrived_at, what=what, who=change.source, detail=detail)
        if change is not _last_sent(record, changes):
            yield change.at, Moment(at=change.at, what=_result(change.outcome, change.fields))
    at = record.opened_at
    if at is not None and record.work is not Work.CREATE:
        what = "Deletion received" if record.work is Work.DELETE else _named(_received(record.changes), record.changes)
        yield at, Moment(at=at, what=what, who=record.source, detail=_event(record.event, record.event_at))
    if record.newer_at is not None:
        what = _named("Newer data received and not sent", record.newer_fields)
        yield record.newer_at, Moment(at=record.newer_at, what=what, detail=["LiveDesk keeps its own values."])


def _received(fields: tuple[str, ...]) -> str:
    """The attributes of a signup follow its create, where LiveDesk takes none there."""
    is_attributes = fields and all("." in name for name in fields)
    return "Attributes received" if is_attributes else "Change received"


def _event(name: str, at: int | None) -> Sentence:
    """``user.updated, which happened 3 min ago at the source``."""
    if at is None:
        return [f"{name}."] if name else []
    return [f"{name}, which happened " if name else "It happened ", at, " at the source."]


def _last_sent(record: ContactRecord, changes: list[Change]) -> Change | None:
    """Return the change that the last attempt sent, so that it is shown once."""
    is_settled = record.state in (State.CREATED, State.DELETED)
    is_sent = is_settled and record.attempts and changes and changes[0].outcome is record.outcome
    return changes[0] if is_sent and changes[0].at >= record.attempts[-1].at else None


def _attempts(record: ContactRecord, changes: list[Change]) -> Iterator[Placed]:
    gone = record.attempts_made - len(record.attempts)
    for number, attempt in enumerate(record.attempts):
        is_last = number == len(record.attempts) - 1
        yield attempt.at, _attempt(record, attempt, is_last=is_last)
        if number == 0 and gone > 0 and not is_last:
            yield attempt.at, Moment(at=None, what=f"{gone:,} attempts between these are no longer stored", who="")


def _attempt(record: ContactRecord, attempt: Attempt, *, is_last: bool) -> Moment:
    who = attempt.trigger or AUTOMATIC
    if attempt.cause:
        what = f"Attempt failed: {explain(attempt.cause).title}"
    elif attempt.changed:
        what = _result(Outcome.UPDATED, attempt.changed)
    elif is_last and record.state in (State.CREATED, State.DELETED):
        what = _result(record.outcome)
    else:
        what = _there(record) if attempt.status else "Attempt postponed"
    status = f"Status {attempt.status}" if attempt.status else "No answer" if attempt.cause else "Nothing was sent"
    detail: Sentence = [f"{status}, {attempt.duration_ms:,} ms."]
    return Moment(
        at=attempt.at, what=what, who=who, detail=detail, excerpt=attempt.excerpt, is_failure=bool(attempt.cause)
    )


def _result(outcome: Outcome | None, fields: tuple[str, ...] = ()) -> str:
    return _named(RESULTS[outcome], fields)


def _named(what: str, fields: tuple[str, ...]) -> str:
    return f"{what}: {field_labels(fields)}" if fields else what
