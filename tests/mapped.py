"""What a mapping takes from a payload."""

from webhook_app.sources.mapping.mapping import Mapping
from webhook_app.sources.mapping.paths import Scope

#: Seconds since the epoch.
NOW = 1_795_000_000.0


def mapped(mapping: Mapping, payload: object, scope: Scope | None = None) -> dict[str, object] | None:
    """Return the raw fields that have a value; ``None`` for what is not a signup."""
    raw = mapping.apply(payload, scope or Scope(), NOW)
    return None if raw is None else {name: value for name, value in raw.fields.items() if value is not None}
