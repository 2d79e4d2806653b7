"""Replays quarantined deliveries, for example after a mapping was fixed."""

import json
from collections.abc import Iterator

from webhook_app.parts import Parts
from webhook_app.receiver.view import store_readings
from webhook_app.sources.body.payload_codec import load_payload
from worker.errors import Unmappable
from worker.model import Quarantined

#: Levels of a payload whose keys are listed.
KEYS_DEEP = 12


def replay(parts: Parts, quarantined: Quarantined) -> str:
    """Read a delivery with its source's present mapping, store and release it.

    Returns the status that the receiver would have answered: ``accepted``, ``duplicate`` or ``ignored``.

    Raises:
        Unmappable: it still has no usable contact, or its source no longer exists; it stays in quarantine.
        StoreError: Redis is unavailable or full; it stays in quarantine.
    """
    source = parts.sources.get(quarantined.source)
    if source is None:
        raise Unmappable({"source": f"the source {quarantined.source} no longer exists"})
    readings = source.read_payload(load_payload(quarantined.payload), quarantined.headers)
    result = store_readings(parts.store, source, readings)
    parts.store.quarantine.release(quarantined.entry)
    return str(result["status"])


def keys_in(payload: object, before: str = "$", levels: int = KEYS_DEEP) -> Iterator[str]:
    """Yield the paths to all values, with ``[*]`` for every element of an array."""
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
    """Return a payload with indentation; JSON escapes control characters."""
    try:
        return json.dumps(load_payload(text), indent=2, default=str)
    except (Unmappable, RecursionError):
        return text
