"""What is probably a mistake in a sources file, though every source can be read.

Numbers of two systems that can be equal, paths that find nothing in the preset's own sample, secrets in the file.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from itertools import combinations
from typing import Any

from webhook_app.sources.body.keys import keys_in
from webhook_app.sources.credentials import named_secrets
from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.paths import Scope, walk
from webhook_app.sources.mapping.rules import HEADER
from webhook_app.sources.sample import NoSample, contact_in, payload_of, read_sample
from webhook_app.sources.source import Source
from worker.errors import SyncError
from worker.model import ATTRIBUTE_FIELDS, Event, Identity, OnConflict

#: An identifier that ends in a number, such as ``42`` or ``wp-42``: the prefix, and the number.
_NUMBERED = re.compile(r"(.*?)([0-9]{1,12})", re.DOTALL)


def find_warnings(tables: Mapping[str, Any], sources: Mapping[str, Source]) -> list[str]:
    """Return one sentence for each, as ``[sources.<name>] <key>: ...``.

    ``tables`` are the sources as written, ``sources`` those that could be read.
    """
    found = [*_equal_numbers(sources), *_mixed_classes(sources)]
    for name, table in tables.items():
        if isinstance(table, dict):
            about = [*_written_secrets(table)]
            if name in sources:
                about += [*_without_effect(table, sources[name])]
                about += [*_chosen_identifier(table, sources[name]), *_paths_without_value(table, sources[name])]
            found += [f"[sources.{name}] {sentence}" for sentence in about]
    return found


def _equal_numbers(sources: Mapping[str, Source]) -> Iterator[str]:
    """Two sources whose identifiers are numbers after the same prefix."""
    numbered = {name: prefix for name, source in sources.items() if (prefix := _number_prefix(source)) is not None}
    for one, other in combinations(numbered, 2):
        is_equal = numbered[one] == numbered[other] and sources[one].origin.space != sources[other].origin.space
        if is_equal:
            yield (
                f"[sources.{other}] id_prefix: the ids of this source and of [sources.{one}] are numbers, and two "
                f'people can have the same; set id_prefix = "{other}-", or the same id_space in both if one system '
                "issues them"
            )


def _number_prefix(source: Source) -> str | None:
    """Return what precedes the numbers in a source's ids, or ``None``."""
    if source.preset is None:
        return None
    try:
        contact = contact_in(source, read_sample(source.preset))
    except NoSample:
        return None
    match = _NUMBERED.fullmatch(contact.identifier) if contact else None
    return match[1] if match and match[1] in ("", source.id_prefix) else None


def _mixed_classes(sources: Mapping[str, Source]) -> Iterator[str]:
    """A visitor's source that has the id space of an account's."""
    accounts = {source.origin.space for source in sources.values() if source.identity is Identity.ACCOUNT}
    for name, source in sources.items():
        if source.identity is Identity.VISITOR and source.origin.space in accounts:
            yield (
                f"[sources.{name}] id_space: a visitor can choose these identifiers, and passes for the person of the "
                "account with the same one; without id_space such deliveries are clashes"
            )


def _without_effect(table: Mapping[str, Any], source: Source) -> Iterator[str]:
    """A key that says nothing about this source."""
    if source.identity is Identity.VISITOR and table.get("on_conflict", OnConflict.KNOWN) != OnConflict.KNOWN:
        yield 'on_conflict: has no effect, because a visitor never changes a contact in LiveDesk; it is "known"'
    if "on_delete" in table and not source.mapping.events.deleted_if:
        yield 'on_delete: has no effect, because nothing says which deliveries are deletions; set "deleted_if"'


def _written_secrets(table: Mapping[str, Any]) -> Iterator[str]:
    for name, text in named_secrets(table).items():
        if isinstance(text, str) and not text.startswith("$"):
            yield f'{name} is written into the file; put it into the environment, and write "$NAME"'


def _chosen_identifier(table: Mapping[str, Any], source: Source) -> Iterator[str]:
    """An identifier of a visitor's that is mapped from elsewhere."""
    if source.identity is Identity.VISITOR and "identifier" in _table(table, "map") and "identity" not in table:
        yield (
            "map.identifier: a visitor can choose it, and one that is an account's clashes; "
            'set identity = "visitor" if that is meant, or identity = "account" if only your own system can send it'
        )


def _paths_without_value(table: Mapping[str, Any], source: Source) -> Iterator[str]:
    """Paths of the file that find nothing in the preset's sample."""
    if source.preset is None:
        return
    with suppress(SyncError):
        sample = read_sample(source.preset)
        payload = payload_of(source, sample)
        payload = payload[0] if isinstance(payload, list) and payload else payload
        scope = Scope(sample.headers)
        contact, _ = source.mapping.contact(payload, scope)
        for path in _paths_in(table.get("contact")):
            yield from _no_value("contact", path, source.preset, payload, scope)
        for field, written in _fields(_table(table, "map")).items():
            if _value(source, field, contact, scope) is None:
                for path in _paths_in(written):
                    yield from _no_value(f"map.{field}", path, source.preset, contact, scope)
        for key, path in _event_paths(
            table, source.mapping.events.read(payload, scope, time.time(), is_deletion=False)
        ):
            yield from _no_value(key, path, source.preset, payload, scope)
        for key in ("only_if", "ignore_if", "test_if", "deleted_if"):
            for place, allowed in _table(table, key).items():
                if not place.startswith(HEADER) and allowed != {"exists": False}:
                    yield from _no_value(f'{key}."{place}"', place, source.preset, payload, scope)


def _event_paths(table: Mapping[str, Any], event: Event) -> Iterator[tuple[str, str]]:
    """Yield the paths to the name and the time of an event that have not found one."""
    for key, found in (("event", event.name), ("event_time", event.at)):
        if not found:
            yield from ((key, path) for path in _paths_in(table.get(key)))


def _fields(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules in ``map``, those of attributes as ``custom_attributes.plan``."""
    found = {name: rule for name, rule in written.items() if name not in ATTRIBUTE_FIELDS or not isinstance(rule, dict)}
    for kind in ATTRIBUTE_FIELDS:
        found |= {f"{kind}.{name}": rule for name, rule in _table(written, kind).items()}
    return found


def _value(source: Source, field: str, contact: object, scope: Scope) -> object:
    """Return what the rule of a field or an attribute finds in the contact."""
    kind, _, name = field.partition(".")
    value = source.mapping.rules[kind].value(contact, scope)
    return value.get(name) if name and isinstance(value, dict) else value


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    written = table.get(key)
    return written if isinstance(written, dict) else {}


def _paths_in(written: object) -> Iterator[str]:
    """Yield the paths in a rule as written."""
    match written:
        case str():
            yield written
        case list():
            for one in written:
                yield from _paths_in(one)
        case {"path": path}:
            yield from _paths_in(path)
        case {"join": parts}:
            yield from _paths_in(parts)


def _no_value(key: str, written: str, preset: str, payload: object, scope: Scope) -> Iterator[str]:
    """Yield a sentence if a path finds nothing, and not because it is free.

    Filters depend on the user's own data, and so does what is in an empty object, such as ``metadata``.
    """
    path = compile_path(written)
    if path.steps is None or path.values(payload, scope) or _is_free(path.steps, payload):
        return
    text = written if written.startswith("$") else f"$.{written}"
    depth = text.count(".")
    known = {".".join(one.split(".")[: depth + 1]) for one in keys_in(payload) if one.count(".") >= depth}
    close = get_close_matches(text, known, n=1)
    suggestion = f"; did you mean {close[0]}?" if close else ""
    yield f"{key}: {written} finds nothing in the sample of the preset {preset}{suggestion}"


def _is_free(steps: tuple[str | int, ...], payload: object) -> bool:
    """Whether a path goes through an empty object or null."""
    return any(walk(steps[:length], payload) in ({}, None) for length in range(1, len(steps)))
