"""Deliveries in quarantine are read again, once the mapping that could not read them has been mended."""

import json
from collections.abc import Iterator

from webhook_app.parts import Parts
from webhook_app.receiver.view import store_readings
from webhook_app.sources.body.payload_codec import load_payload
from worker.errors import Unmappable
from worker.model import Quarantined

#: Levels of a payload whose keys are shown.
KEYS_DEEP = 12


def replay(parts: Parts, held: Quarantined) -> str:
    """Reads a delivery with its source as it is now, stores what is in it, and releases it.

    Returns what became of it, as the receiver would have answered: ``accepted``, ``duplicate`` or ``ignored``.

    Raises:
        Unmappable: it still makes no contact, or its source is gone; it stays where it is.
        StoreError: Redis is away or full; it stays where it is.
    """
    source = parts.sources.get(held.source)
    if source is None:
        raise Unmappable({"source": f"there is no source {held.source} any more"})
    result = store_readings(parts.store, source, source.read_payload(load_payload(held.payload), held.headers))
    parts.store.quarantine.release(held.entry)
    return str(result["status"])


def keys_in(payload: object, before: str = "$", levels: int = KEYS_DEEP) -> Iterator[str]:
    """The paths to all values, without numbers of elements, as far down as anybody would read."""
    match payload:
        case dict() if payload and levels:
            for name, value in payload.items():
                yield from keys_in(value, f"{before}.{name}", levels - 1)
        case list() if payload and levels:
            for value in payload:
                yield from keys_in(value, f"{before}[*]", levels - 1)
        case _:
            yield before


def revealed(text: str) -> str:
    """A payload laid out, unless it is nested too deeply for that. JSON escapes what a terminal would obey."""
    try:
        return json.dumps(load_payload(text), indent=2, default=str)
    except (Unmappable, RecursionError):
        return text
