"""Replays quarantined deliveries, for example after a mapping was fixed."""

import json
from dataclasses import replace

from webhook_app.parts import Parts
from webhook_app.receiver.view import CLASH, store_delivered
from webhook_app.sources import Source
from webhook_app.sources.body.payload_codec import load_payload
from webhook_app.sources.delivery import BadBody
from webhook_app.sources.source import Delivered
from worker.errors import Unmappable
from worker.model import Contact, Quarantined, Signup


def replay(parts: Parts, quarantined: Quarantined, *, id_prefix: str = "", same_person: bool = False) -> str:
    """Read a delivery with its source's present mapping, store and release it.

    A clash is resolved by an ``id_prefix`` (two people) or by ``same_person``. Returns the status that the receiver
    would have answered: ``accepted``, ``duplicate`` or ``ignored``.

    Raises:
        Unmappable: it still has no usable contact, or its source no longer exists; it stays in quarantine.
        StoreError: Redis is unavailable or full; it stays in quarantine.
    """
    source = prefixed(_source_of(parts, quarantined), id_prefix)
    delivered = _read(source, quarantined)
    if not delivered.is_batch and isinstance(problem := delivered.elements[0].reading, Unmappable):
        raise problem
    stored = store_delivered(parts.store, source, delivered, same_person=same_person)
    if stored.has_clash and not delivered.is_batch:
        raise Unmappable(CLASH)
    parts.store.quarantine.release(quarantined.entry)
    return str(stored.document["status"])


def prefixed(source: Source, id_prefix: str) -> Source:
    """Return a source with one more prefix, unless its own begins with that already."""
    if source.id_prefix.startswith(id_prefix):
        return source
    return replace(source, id_prefix=id_prefix + source.id_prefix)


def contact_in(parts: Parts, quarantined: Quarantined) -> Contact | None:
    """Return the contact that a replay would store; ``None`` for none, or several."""
    try:
        delivered = _read(_source_of(parts, quarantined), quarantined)
    except (Unmappable, BadBody):
        return None
    reading = None if delivered.is_batch else delivered.elements[0].reading
    return reading.contact if isinstance(reading, Signup) else None


def _source_of(parts: Parts, quarantined: Quarantined) -> Source:
    source = parts.sources.get(quarantined.source)
    if source is None:
        raise Unmappable({"source": f"the source {quarantined.source} no longer exists"})
    return source


def _read(source: Source, quarantined: Quarantined) -> Delivered:
    payload = load_payload(quarantined.payload)
    return source.read_again(payload, quarantined.headers, is_element=quarantined.is_element)


def revealed(text: str) -> str:
    """Return a payload with indentation; JSON escapes control characters."""
    try:
        return json.dumps(load_payload(text), indent=2, default=str)
    except (Unmappable, RecursionError):
        return text
