"""Decide which column is which field, before the first row is read.

A column that is neither used nor ignored stops the import: it may be a field that is spelled differently.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from webhook_app.cli.imports.advice import find_problems
from webhook_app.cli.imports.formats import Format, fold
from webhook_app.cli.imports.reading import BadFile
from webhook_app.cli.imports.suggestions import closest
from webhook_app.sources.mapping.entry import NAMES, read_mapping
from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.mapping import Mapping as ContactMapping
from worker.attributes import is_name
from worker.errors import SettingsError
from worker.model import ATTRIBUTE_FIELDS, State

#: Columns by which the files of ``flask export`` are recognised; their other columns are known too.
OWN_EXPORT = frozenset({"identifier", "state", "source", "attempts_made", "received_at"})
#: When somebody changed last: a row never overwrites what is newer.
EVENT_TIME = "event_time"
#: What a column can be, beside an attribute.
TARGETS = (*NAMES, EVENT_TIME)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say about columns: ``maps`` are pairs of a column and a field."""

    format: Format | None = None
    maps: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    ignores_unknown: bool = False
    allow_identifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """How a row becomes the raw fields of a contact.

    ``cells`` are the position and the key of each CSV column that is used. ``used`` names the columns of each field,
    ``unused`` those that are ignored although nobody asked for it. The cells of ``json_keys`` are JSON. With
    ``ignores_unreachable``, somebody without an e-mail address and a phone number is not a contact. ``is_own_export``:
    the file is from ``flask export``, so that identifiers have their prefix already.
    """

    mapping: ContactMapping
    cells: tuple[tuple[int, str], ...] = ()
    width: int = 0
    used: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    json_keys: frozenset[str] = frozenset()
    ignores_unreachable: bool = False
    is_own_export: bool = False


class Columns:
    """The columns of a file, and which of them are used.

    ``nested`` has the paths below the keys of JSON that are objects or lists, with the last key of each.
    """

    def __init__(self, names: Sequence[str], is_json: bool, nested: Mapping[str, Mapping[str, str]]) -> None:
        self.names = names
        self.nested = nested
        self.is_json = is_json
        self.keys = [name if is_json else fold(name) for name in names]
        self.used: set[str] = set()
        self.by_field: dict[str, list[str]] = {}
        self.problems: list[str] = []

    def key(self, name: str) -> str:
        return name if self.is_json else fold(name)

    def repeated(self) -> list[str]:
        return sorted(key for key in self.used if self.keys.count(key) > 1)

    def cells(self, *, whole: bool) -> tuple[tuple[int, str], ...]:
        """Return where the columns that are used are, or with ``whole`` all of them."""
        used = () if self.is_json else (key for key in dict.fromkeys(self.keys) if key and (whole or key in self.used))
        return tuple((self.keys.index(key), key) for key in used)

    def use(self, name: str, contact_field: str = "") -> str | None:
        """Return the path of a column, or ``None`` if the file does not have it."""
        if name.startswith("$"):
            root = compile_path(name).segments[0].step
            if not (self.is_json or root is None or root in self.keys):
                return None
            self.used.add(str(root))
            path = name
        elif self.key(name) in self.keys:
            self.used.add(self.key(name))
            path = f"$[{json.dumps(self.key(name), ensure_ascii=False)}]"
            name = self.names[self.keys.index(self.key(name))]
        else:
            return None
        if contact_field and name not in self.by_field.setdefault(contact_field, []):
            self.by_field[contact_field].append(name)
        return path


def make_plan(
    names: Sequence[str], wanted: Wanted, *, is_json: bool, nested: Mapping[str, Mapping[str, str]] | None = None
) -> Plan:
    """Return the plan for a file with these columns or keys, and paths below keys.

    Raises:
        BadFile: a column is unknown, missing or repeated; the text names all of them.
    """
    columns = Columns(names, is_json, nested or {})
    rules = _rules(columns, wanted)
    product = wanted.format
    is_form = product is not None and product.is_form
    entry: dict[str, object] = {"map": rules, **({"answers": {"at": "$"}} if is_form else {})}
    if wanted.allow_identifiers:
        entry["allow_identifiers"] = list(wanted.allow_identifiers)
    entry |= {key: _conditions(columns, getattr(product, key, {})) for key in ("only_if", "ignore_if")}
    is_own_export = set(columns.keys) >= OWN_EXPORT
    if is_own_export:
        entry["ignore_if"] = _conditions(columns, {"state": State.DELETED.value})
        rules.setdefault(EVENT_TIME, columns.use("event_at") or [])
    if EVENT_TIME in rules:
        entry[EVENT_TIME] = rules.pop(EVENT_TIME)
    unknown = _unknown(columns, wanted)
    if problems := find_problems(columns, rules, unknown, wanted):
        raise BadFile("\n".join(problems))
    try:
        mapping = read_mapping(entry)
    except SettingsError as error:
        raise BadFile("\n".join(error.problems)) from error
    return Plan(
        mapping=mapping,
        cells=columns.cells(whole=is_form),
        width=len(names),
        used=columns.by_field,
        unused=tuple(unknown),
        json_keys=frozenset(product.json_columns if product else ATTRIBUTE_FIELDS if is_own_export else ()),
        ignores_unreachable=product is not None and product.ignores_unreachable,
        is_own_export=is_own_export,
    )


def _rules(columns: Columns, wanted: Wanted) -> dict[str, object]:
    """Return the rules for which the file has columns, as ``read_mapping`` reads them."""
    mapped = _mapped(columns, wanted.maps)
    defaults: Mapping[str, object] = wanted.format.map if wanted.format else {name: name for name in TARGETS}
    rules: dict[str, object] = {}
    for name, written in {**defaults, **_attributes(columns), **mapped}.items():
        found = _found(written, partial(columns.use, contact_field=name))
        if found is not None:
            _put(rules, name, found)
        if isinstance(found, dict) and "answer" in found:
            columns.by_field[name] = ["the question for it"]
    return rules


def _attributes(columns: Columns) -> dict[str, str]:
    """Return the columns that are named like an attribute: ``custom_attributes.plan``."""
    return {name: name for name in columns.names if is_attribute(name)}


def _put(rules: dict[str, object], name: str, rule: object) -> None:
    """Add a rule for a field, or for an attribute in place of their object."""
    if not is_attribute(name):
        rules[name] = rule
        return
    kind, _, attribute = name.partition(".")
    table = rules.get(kind)
    rules[kind] = {**(table if isinstance(table, dict) else {}), attribute: rule}


def is_attribute(name: str) -> bool:
    """Whether this is a valid name of an attribute of a contact, with its kind."""
    kind, _, attribute = name.partition(".")
    return kind in ATTRIBUTE_FIELDS and is_name(attribute)


def _mapped(columns: Columns, maps: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Return the rules of ``--map``, and note its mistakes."""
    parts: dict[str, list[str]] = {}
    for column, contact_field in maps:
        if contact_field not in TARGETS and not is_attribute(contact_field):
            columns.problems.append(f"--map {column}={contact_field}: unknown field{closest(contact_field, TARGETS)}")
        elif (place := _place(columns, column)) is None:
            columns.problems.append(f"--map {column}={contact_field}: no such column{closest(column, columns.names)}")
        else:
            parts.setdefault(contact_field, []).append(place)
    return {name: found[0] if len(found) == 1 else {"join": found} for name, found in parts.items()}


def _place(columns: Columns, column: str) -> str | None:
    """Return the column, or in JSON the path, that ``--map`` names."""
    if columns.key(column) in columns.keys:
        return column
    if not columns.is_json:
        return None
    try:
        path = compile_path(column)
    except ValueError:
        return None
    is_there = path.steps is None or str(path.steps[0]) in columns.keys
    return (column if column.startswith("$") else f"$.{column}") if is_there else None


def _found(written: object, use: Callable[[str], object]) -> Any:
    """Return a rule without the columns that are not there, or ``None``."""
    match written:
        case str():
            return use(written)
        case list():
            found = [rule for part in written if (rule := _found(part, use)) is not None]
            return found or None
        case {"join": list() as parts, **rest}:
            joined = [rule for part in parts if (rule := _found(part, use)) is not None]
            return {"join": joined, **rest} if joined else None
        case {"path": path, **rest}:
            rule, others = (
                _found(path, use),
                {name: _found(rest[name], use) for name in ("unless_equal",) if name in rest},
            )
            return None if rule is None else {"path": rule, **rest, **others}
    return written


def _conditions(columns: Columns, written: Mapping[str, object]) -> dict[str, object]:
    return {path: value for name, value in written.items() if (path := columns.use(name)) is not None}


def _unknown(columns: Columns, wanted: Wanted) -> list[str]:
    """Return the columns that are neither used nor ignored."""
    known = {*columns.used, *map(columns.key, wanted.ignored), ""}
    if wanted.format:
        known |= {key for key in columns.keys if fold(key) in wanted.format.known}
    if set(columns.keys) >= OWN_EXPORT or (wanted.format and wanted.format.is_form):
        return []
    if not wanted.format:
        known |= set(TARGETS)  # replaced by --map
    return [name for name, key in zip(columns.names, columns.keys, strict=True) if key not in known]
