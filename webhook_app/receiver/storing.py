"""Stores what a delivery contains, and says what became of it: the document that the sender gets."""

import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from webhook_app.parts import Parts
from webhook_app.sources import Source
from webhook_app.sources.source import Reading
from worker.errors import StoreError
from worker.model import Accepted, Contact, Quarantined, Status

T = TypeVar("T")

#: Seconds after which nothing more of a batch is stored. Redis may need another second for the last contact, and some
#: senders wait two. When the sender repeats the batch, what was stored is a duplicate.
BATCH_S = 0.9
#: Which result of a batch comes first in the answer.
RANKS = (Status.ACCEPTED, Status.QUARANTINED, Status.DUPLICATE, Status.IGNORED)


def store(parts: Parts, source: Source, readings: Reading | list[Reading] | Quarantined) -> dict[str, Any]:
    """Store what a delivery contains.

    Raises:
        StoreError: it could not be stored.
    """
    match readings:
        case Quarantined():
            parts.store.quarantine.add(readings)
            return {**result(Status.QUARANTINED), "errors": readings.problems}
        case list():
            return _store_batch(parts, source, readings)
        case None:
            return result(Status.IGNORED)
    contact, notes = readings
    return _result_of(contact, parts.store.contacts.accept(contact, source.name, notes))


def _store_batch(parts: Parts, source: Source, readings: list[Reading]) -> dict[str, Any]:
    """Store a batch. The answer is its first result of the highest rank, and the result of each element.

    Raises:
        StoreError: part of it could not be stored, or not in time; the sender will repeat all of it.
    """
    contacts = [reading for reading in readings if reading is not None]
    accepted = iter(parts.store.contacts.accept_all(_in_time(contacts), source.name))
    results = [
        result(Status.IGNORED) if reading is None else _result_of(reading[0], next(accepted)) for reading in readings
    ]
    best = min(results, key=lambda result: RANKS.index(result["status"]))
    return {**best, "results": results}


def result(status: str, contact: Contact | None = None, accepted: Accepted | None = None) -> dict[str, Any]:
    contact_id = accepted.contact_id if accepted else None
    return {
        "status": status,
        "identifier": contact.identifier if contact else None,
        "state": accepted.state if accepted else None,
        "contact_id": int(contact_id) if contact_id else None,
    }


def _result_of(contact: Contact, accepted: Accepted) -> dict[str, Any]:
    return result(accepted.status, contact, accepted)


def _in_time(deliveries: Iterable[T]) -> Iterator[T]:
    """Yield the deliveries of a batch until its time is over.

    Raises:
        StoreError: the time is over.
    """
    give_up_at = time.monotonic() + BATCH_S
    for delivery in deliveries:
        if time.monotonic() > give_up_at:
            raise StoreError("the batch took too long")
        yield delivery
