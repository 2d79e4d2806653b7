"""What the API shows of what we know. Times are RFC 3339 in UTC; what could not be read or is not there is null."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from webhook_app.operator import Plan
from webhook_app.present.masking import masked
from worker import durations
from worker.model import Attempt, Contact, Quarantined, State
from worker.store.history import Audited, ContactRecord, Workers
from worker.store.lists import Filter, Row
from worker.store.operations import Operation
from worker.store.overview import (
    Cause,
    Minute,
    Overview,
    Tally,
    Upstream,
)

Document = dict[str, Any]
#: What an operation counts.
COUNTED = ("total", "moved", "skipped", "recovered", "same", "again", "left", "restored")


def row(one: Row) -> Document:
    return {
        "key": one.key,
        "identifier": one.identifier,
        "state": one.state,
        "source": one.source,
        "cause": one.cause,
        "attempts_made": one.attempts_made,
        "received_at": rfc3339(one.received_at),
        "at": rfc3339(one.at or None),
        "next_attempt_at": rfc3339(one.next_attempt_at),
        "contact_id": _number(one.contact_id),
        "owner_id": _number(one.owner_id),
        "unknown": one.is_unknown,
    }


def contact(key: str, record: ContactRecord, *, reveal: bool) -> Document:
    shown = as_json(record)
    attempts = [
        {**attempt, "trigger": kept.trigger or None}
        for attempt, kept in zip(shown["attempts"], record.attempts, strict=True)
    ]
    return {
        "key": key,
        **shown,
        "attempts": attempts,
        "fields": fields(record.contact, reveal=reveal) if record.contact else None,
    }


def fields(held: Contact, *, reveal: bool) -> Document:
    values = asdict(held)
    del values["identifier"]
    if reveal:
        return values
    return {name: masked(name, value) if isinstance(value, str) else value for name, value in values.items()}


def upstream(now: Upstream) -> Document:
    return {
        "state": now.state,
        "cause": now.cause,
        "status": _number(now.status),
        "since": rfc3339(now.since),
        "probe_at": rfc3339(now.probe_at),
        "probes": now.probes,
        "paused_at": rfc3339(now.paused_at),
        "paused_by": now.paused_by,
        "paused_why": now.paused_why,
        "pace": now.pace,
        "rate": now.rate,
        "answered_at": rfc3339(now.answered_at),
        "held_inboxes": [
            {"inbox": one.inbox, "since": rfc3339(one.since), "probe_at": rfc3339(one.probe_at), "probes": one.probes}
            for one in now.inboxes
        ],
    }


def situation(now: Overview) -> Document:
    return {
        "now": rfc3339(now.now),
        "upstream": upstream(now.upstream),
        "contacts": {state.value: now.counts[state] for state in State},
        "queue": now.queue,
        "oldest_pending_at": rfc3339(now.oldest_pending),
        "next_retry_at": rfc3339(now.next_retry),
        "overdue_ms": now.overdue_ms,
        "failed_last_hour": now.failed_last_hour,
        "conflicts_last_hour": now.conflicts_last_hour,
        "created_per_minute": now.created_per_minute,
        "usual_per_minute": now.usual_per_minute,
        "requests_per_second": now.requests_per_second,
        "clear_s": now.clear_s,
    }


def minute(one: Minute) -> Document:
    return {"at": rfc3339(one.at), **one.counts}


def cause(group: Cause) -> Document:
    return {
        "cause": group.cause,
        "waiting": group.waiting,
        "people": group.people,
        "attempts": group.attempts,
        "first_seen_at": rfc3339(group.first_seen),
        "last_seen_at": rfc3339(group.last_seen),
        "minutes": list(group.minutes),
    }


def tallies(what: str, counted: Mapping[str, Tally]) -> list[Document]:
    """How often each ``what`` happened, since ever and in the last hour."""
    return [{what: name, **asdict(tally)} for name, tally in counted.items()]


def operation(one: Operation) -> Document:
    return {
        "id": one.id,
        "action": one.action,
        "filter": filtered(one.filter),
        "state": one.state,
        "who": one.who,
        "why": one.why,
        "canary": one.canary,
        "created_at": rfc3339(one.created_at),
        "ended_at": rfc3339(one.ended_at),
        "note": one.note,
        **{name: getattr(one, name) for name in COUNTED},
    }


def plan(one: Plan) -> Document:
    return {
        "eligible": one.total,
        "skipped": one.skipped,
        "at_least": one.at_least,
        "pace": one.pace,
        "finish_s": None if one.takes_ms is None else one.takes_ms / 1000,
    }


def filtered(wanted: Filter) -> Document:
    return {
        "state": wanted.state,
        "cause": wanted.cause,
        "source": wanted.source,
        "since": rfc3339(wanted.since),
        "until": rfc3339(wanted.until),
        "attempts": wanted.attempts,
    }


def held(one: Quarantined) -> Document:
    return {"entry": one.entry, "source": one.source, "since": rfc3339(one.since), "problems": one.problems}


def workers(seen: Workers) -> Document:
    return {
        "now": rfc3339(seen.now),
        "workers": [{"name": name, "seen_at": rfc3339(at)} for name, at in sorted(seen.seen.items())],
    }


def audited(entry: Audited) -> Document:
    return {**asdict(entry), "at": rfc3339(entry.at)}


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def as_json(record: ContactRecord) -> dict[str, Any]:
    """The record as the API shows it; times are RFC 3339 in UTC."""
    return {
        "identifier": record.identifier,
        "state": record.state,
        "outcome": record.outcome,
        "contact_id": int(record.contact_id) if record.contact_id else None,
        "cause": record.cause,
        "owner_id": int(record.owner_id) if record.owner_id else None,
        "notes": [{"field": note.field, "text": note.text} for note in record.notes],
        "attempts": [_attempt(attempt) for attempt in record.attempts],
        "attempts_made": record.attempts_made,
        "next_attempt_at": rfc3339(record.next_attempt_at),
        "source": record.source,
        "received_at": rfc3339(record.received_at),
        "closed_at": rfc3339(record.closed_at),
        "newer_fields": list(record.newer_fields),
        "newer_at": rfc3339(record.newer_at),
    }


def rfc3339(ms: int | None) -> str | None:
    return None if ms is None else durations.rfc3339(ms)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": rfc3339(attempt.at),
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "cause": attempt.cause,
        "excerpt": attempt.excerpt or None,
    }
