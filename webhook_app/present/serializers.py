"""Answers of API, commands and health checks; ``shapes`` has their types."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import asdict, replace

from webhook_app.present import shapes
from webhook_app.present.masking import mask, masked_text
from webhook_app.present.shapes import Masked, Time
from webhook_app.present.wording import explain_clash
from webhook_app.present.workers import ListedWorker, list_workers
from webhook_app.sources import Source
from worker import durations
from worker.model import EDITABLE_FIELDS, Attempt, Contact, Identity, OnConflict, OnDelete, Quarantined, State
from worker.store.changes import Change
from worker.store.contacts import Aliases
from worker.store.counters import CLASH, DELIVERY, EVENT, REFUSED, EventKind, Total, with_prefix
from worker.store.lists import Row
from worker.store.overview import Minute
from worker.store.queue import Workers
from worker.store.record import ContactRecord
from worker.store.upstream import Upstream

T = TypeVar("T")
SETTLED = (State.CREATED, State.DELETED)
E = TypeVar("E", bound=shapes.QuarantineEntry)


def serialize(thing: object, shape: type[T]) -> T:
    """Make an answer from an object whose attributes have the names of the shape's."""
    return msgspec.convert(thing, shape, from_attributes=True, strict=False, dec_hook=_decode)


def to_json(answer: object) -> str:
    """Return an answer as JSON."""
    return msgspec.json.encode(answer, enc_hook=str).decode()


def to_dict(answer: object) -> dict[str, Any]:
    """Return an answer as a dict of what JSON can express."""
    built: dict[str, Any] = msgspec.to_builtins(answer, enc_hook=str, str_keys=True)
    return built


def time(at: int | None) -> Time | None:
    """Return a time in ms since the epoch as RFC 3339."""
    return None if at is None else Time(durations.rfc3339(at))


def row(one: Row) -> shapes.ContactRow:
    """Return a contact in a list; without sort key if no index was read."""
    made = serialize(one, shapes.ContactRow)
    return made if one.at else replace(made, at=None)


def attempt(one: Attempt, contact: Contact | None = None, *, reveal: bool = False) -> shapes.Attempt:
    """An attempt, with the answer of LiveDesk masked unless it is revealed."""
    made = serialize(one, shapes.Attempt)
    excerpt = one.excerpt if reveal else masked_text(one.excerpt, contact)
    return replace(made, excerpt=Masked(excerpt) if excerpt else None, trigger=made.trigger or None)


def record(stored: ContactRecord, *, reveal: bool = False) -> shapes.Record:
    """A contact without its personal data."""
    made = serialize(stored, shapes.Record)
    work = None if stored.state in SETTLED else made.work
    attempts = [attempt(one, stored.contact, reveal=reveal) for one in stored.attempts]
    return replace(made, attempts=attempts, work=work, event=made.event or None)


def change(one: Change) -> shapes.Change:
    made = serialize(one, shapes.Change)
    return replace(made, event=made.event or None)


def contact(
    key: str, stored: ContactRecord, aliases: Aliases, *, waits_for: str | None, reveal: bool
) -> shapes.Contact:
    """A contact with its personal data, which is masked unless it is revealed."""
    shown = stored.contact if reveal or stored.contact is None else mask(stored.contact)
    fields = {name: getattr(shown, name) for name in EDITABLE_FIELDS} if shown else None
    return shapes.Contact(
        **asdict(record(stored, reveal=reveal)),
        key=key,
        waits_for=waits_for,
        fields=fields,
        custom_attributes=dict(shown.custom_attributes) if shown and shown.custom_attributes else None,
        additional_attributes=dict(shown.additional_attributes) if shown and shown.additional_attributes else None,
        aliases=[alias(other, one) for other, one in aliases.records.items()],
        alias_count=aliases.number,
    )


def alias(key: str, stored: ContactRecord) -> shapes.Alias:
    return shapes.Alias(key, stored.identifier, stored.source, stored.identity, stored.outcome)


def minute(one: Minute) -> shapes.Minute:
    return shapes.Minute(at=Time(durations.rfc3339(one.at)), **one.counts)


def _deletion(on_delete: OnDelete, deletes: bool | None) -> Literal["ignored", "marked", "deleted"]:
    if on_delete is OnDelete.IGNORE:
        return "ignored"
    return "deleted" if on_delete is OnDelete.DELETE and deletes else "marked"


def source(
    one: Source,
    used: Mapping[str, int],
    counted: Mapping[str, Total],
    waiting: Mapping[tuple[str, str], int],
    *,
    deletes: bool | None,
) -> shapes.SourceUse:
    """A source, when each of its secrets was last used, and how its deliveries ended.

    ``waiting``: the deliveries that clash, by source and other source. ``deletes``: ``Account.deletes``.
    """
    statuses, reasons = with_prefix(f"{DELIVERY}{one.name}:", counted), with_prefix(f"{REFUSED}{one.name}:", counted)
    return shapes.SourceUse(
        name=one.name,
        address=f"/webhooks/{one.name}",
        preset=one.preset,
        on_invalid=one.on_invalid,
        region=one.region,
        inbox_id=one.inbox_id,
        blocking=one.blocking,
        identity=one.identity,
        id_space=one.origin.space,
        on_conflict=one.on_conflict if one.identity is Identity.ACCOUNT else OnConflict.KNOWN,
        on_change=one.origin.on_change,
        on_delete=one.on_delete,
        deletion=_deletion(one.on_delete, deletes),
        secrets=[shapes.SecretUse(name, time(used.get(f"{one.name}:{name}"))) for name in one.secret_names],
        deliveries=[
            shapes.StatusCount(status=name, ever=n.ever, last_hour=n.last_hour) for name, n in statuses.items()
        ],
        refusals=[shapes.ReasonCount(reason=name, ever=n.ever, last_hour=n.last_hour) for name, n in reasons.items()],
        clashes=[
            shapes.SourceClashes(
                clashes_with=other, waiting=waiting.get((one.name, other), 0), ever=n.ever, last_hour=n.last_hour
            )
            for other, n in with_prefix(f"{CLASH}{one.name}:", counted).items()
        ],
        events=[
            shapes.EventCount(kind=EventKind(kind), ever=n.ever, last_hour=n.last_hour)
            for kind, n in with_prefix(f"{EVENT}{one.name}:", counted).items()
        ],
    )


def quarantined(one: Quarantined) -> shapes.QuarantineEntry:
    """A delivery in quarantine, in a list."""
    return _explained(serialize(one, shapes.QuarantineEntry))


def delivery(one: Quarantined, *, reveal: bool) -> shapes.QuarantinedDelivery:
    """A delivery in quarantine; its payload and headers only if they are revealed."""
    made = _explained(serialize(one, shapes.QuarantinedDelivery))
    return made if reveal else replace(made, payload=None, headers=None)


def _explained(entry: E) -> E:
    """Add the sentence about a clash, if there is one."""
    clash = entry.clash or None
    return replace(entry, clash=clash, explanation=explain_clash(entry.source, clash) if clash else None)


def workers(seen: Workers, upstream: Upstream | None) -> shapes.Workers:
    listed = [_worker(one) for one in list_workers(seen, upstream)]
    return shapes.Workers(now=Time(durations.rfc3339(seen.now)), workers=listed)


def _worker(one: ListedWorker) -> shapes.Worker:
    report = one.report
    seen_at = Time(durations.rfc3339(one.seen_at))
    made = shapes.Worker(one.name, one.host, one.pid, one.state, one.doing, seen_at)
    if report is None:
        return made
    return replace(
        made,
        version=report.version,
        started_at=time(report.started_at),
        progress_at=time(report.progress_at),
        threads=report.threads,
        running=report.running,
        memory_bytes=report.memory,
    )


def _decode(shape: type, value: Any) -> Any:
    if shape is Masked:
        return Masked(masked_text(value))
    if shape is not Time:
        raise NotImplementedError(shape)
    return Time(durations.rfc3339(value))
