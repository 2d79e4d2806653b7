"""Reads the keys of a source that form its mapping (see ``rules``)."""

from collections.abc import Mapping as Table

from webhook_app.sources.mapping.answers import Shape
from webhook_app.sources.mapping.attributes import compile_attributes
from webhook_app.sources.mapping.events import EventRules
from webhook_app.sources.mapping.flags import compile_flag
from webhook_app.sources.mapping.mapping import Mapping
from webhook_app.sources.mapping.rules import HEADER, compile_condition, compile_contact, compile_rule, compile_shape
from webhook_app.sources.mapping.values import Condition, Place, Rule
from webhook_app.sources.mistakes import collecting, unknown_keys
from worker.errors import SettingsError
from worker.model import ATTRIBUTE_FIELDS, CONTACT_FIELDS

#: The fields of a contact that have a rule.
FIELDS = tuple(CONTACT_FIELDS)
#: The other keys of ``map``: how a phone number is read, and whether the e-mail address is known to be the person's.
COUNTRY, EMAIL_VERIFIED = "country", "email_verified"
NAMES = (*FIELDS, COUNTRY, EMAIL_VERIFIED)
#: The keys of a source that form its mapping.
KEYS = (
    *("contact", "answers", "map", "only_if", "ignore_if", "test_if"),
    *("event", "event_time", "deleted_if", "absent"),
)
#: What it means that a delivery does not mention a field: nothing, or that the person has no value.
ABSENT = ("keep", "clear")


def read_mapping(entry: Table[str, object]) -> Mapping:
    """Compile the mapping in the keys ``KEYS`` of a source.

    Raises:
        SettingsError: one sentence for each mistake, beginning with the key.
    """
    problems: list[str] = []
    places: list[Place] = []
    rules = _rules(entry, problems)
    only_if, ignore_if, test_if = (_conditions(entry, key, problems) for key in ("only_if", "ignore_if", "test_if"))
    with collecting(problems, "contact: "):
        places += compile_contact(entry.get("contact", "$"))
    events = _events(entry, problems)
    if entry.get("absent", ABSENT[0]) not in ABSENT:
        problems.append('absent: must be "keep" or "clear"')
    if problems:
        raise SettingsError(problems)
    return Mapping(
        rules=rules,
        places=tuple(places),
        only_if=only_if,
        ignore_if=ignore_if + test_if,
        headers=tuple(sorted(_headers({key: entry.get(key) for key in KEYS}))),
        allow_identifiers=_allowed(entry),
        events=events,
        absent_clears=entry.get("absent") == "clear",
    )


def _rules(entry: Table[str, object], problems: list[str]) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    fields = _table(entry, "map", problems)
    problems += [f"map.{problem}" for problem in unknown_keys(fields, NAMES)]
    if "identifier" not in fields:
        problems.append("map.identifier: is missing")
    shape: Shape | None = None
    with collecting(problems, "answers: "):
        shape = compile_shape(entry["answers"]) if "answers" in entry else None
    for field, written in fields.items():
        is_table = field in ATTRIBUTE_FIELDS and isinstance(written, dict)
        with collecting(problems, f"map.{field}{'' if is_table else ': '}"):
            rules[field] = _rule(field, written, shape, absent_clears=entry.get("absent") == "clear")
    return rules


def _rule(field: str, written: object, shape: Shape | None, *, absent_clears: bool) -> Rule:
    if field in ATTRIBUTE_FIELDS:
        return compile_attributes(written, shape, absent_clears=absent_clears)
    return compile_flag(written) if field == EMAIL_VERIFIED else compile_rule(written, shape)


def _events(entry: Table[str, object], problems: list[str]) -> EventRules:
    name: Rule | None = None
    times: list[Rule] = []
    with collecting(problems, "event: "):
        name = compile_rule(entry["event"]) if "event" in entry else None
    with collecting(problems, "event_time: "):
        written = entry.get("event_time", [])
        times += [compile_rule(one) for one in (written if isinstance(written, list) else [written])]
    return EventRules(name, tuple(times), _conditions(entry, "deleted_if", problems))


def _allowed(entry: Table[str, object]) -> frozenset[str]:
    """Return ``allow_identifiers``; ``config`` checks it."""
    written = entry.get("allow_identifiers")
    return frozenset(text for text in written if isinstance(text, str)) if isinstance(written, list) else frozenset()


def _headers(written: object) -> set[str]:
    """Return the names of the headers that rules and conditions use."""
    if isinstance(written, list):
        return {name for item in written for name in _headers(item)}
    if not isinstance(written, dict):
        return set()
    here = {key.removeprefix(HEADER).strip() for key in written if key.startswith(HEADER)}
    own = {written["header"]} if isinstance(written.get("header"), str) else set()
    return here | own | {name for value in written.values() for name in _headers(value)}


def _table(entry: Table[str, object], key: str, problems: list[str]) -> dict[str, object]:
    table = entry.get(key, {})
    if isinstance(table, dict):
        return table
    problems.append(f"{key}: must be a table")
    return {}


def _conditions(entry: Table[str, object], key: str, problems: list[str]) -> tuple[Condition, ...]:
    conditions: list[Condition] = []
    for place, allowed in _table(entry, key, problems).items():
        with collecting(problems, f'{key}."{place}": '):
            conditions.append(compile_condition(place, allowed))
    return tuple(conditions)
