"""Compiles the rules of a mapping, as written in a sources file or a preset.

In a sources file::

    email = "$.data.email"                                          # a path; "data.email" is the same
    email = ["$.data.email", "$.data.emails[0]"]                    # the first that has a usable value
    name = { join = ["$.first_name", "$.last_name"], with = " " }   # missing parts are skipped
    identifier = { header = "X-Customer-Id" }                       # a header of the delivery
    inbox_id = { constant = 407 }

For senders without a fixed shape, ``people`` has rules that know what is common::

    contact = { find = "person" }                     # the object of the person in an event of any shape
    identifier = { find = "id" }                      # the person's id, never the event's
    email = { named = ["email", "e-mail address"] }   # the first of these names, without case and punctuation
    name = { named = ["first", "given"], in = "$.name" }

A table with a ``path`` (or a list of alternatives) can change the value that it finds, in this order::

    { path = "$.name", unless_equal = "$.email" }          # no value, if the other rule has the same text
    { path = "$.avatar", replace = { "{size}" = "240" } }  # replace texts
    { path = "$.avatar", base = { header = "X-Site" } }    # resolve a relative URL
    { path = "$.id", prefix = "shop-" }                    # add a prefix: text, or a rule; without a prefix
                                                           # there is no value

Three keys are about what happened; their rules begin at the whole payload. ``event`` is the sender's name for it,
``event_time`` when it happened (``times``), or a list: the first that is a time. ``deleted_if`` has conditions, all of
which hold if the person was deleted::

    event = "$.type"
    event_time = "$.timestamp"
    deleted_if = { "$.type" = "user.deleted" }

Attributes have a rule each, or are taken from an object as they are::

    custom_attributes = { plan = "$.plan.name", seats = "$.plan.seats" }
    additional_attributes = "$.traits"

Two keys of ``map`` are not fields of a contact. ``country`` (ISO 3166-1) is the country of a phone number without a
country code. ``email_verified`` is yes or no; no answer means unknown::

    country = "$.address.country_code"
    email_verified = "$.email_verified"                                # true, "true" or 1; false, "false" or 0
    email_verified = { path = "$.email_confirmed_at", exists = true }  # no if it is null or blank text
    email_verified = { path = "$.email.status", equals = "verified" }  # or a list of values
    email_verified = { constant = false }                              # also { header = "..." }, { named = [...] },
                                                                       # and a list: the first that is known

A form's ``answers`` say where its answers are (see ``answers``); each has a label, a type and a value. The defaults are
shown; with an object in place of a list, its names are the labels. Then a rule can name what the person is asked for,
or the label of a question::

    answers = "$.fields"
    answers = { at = "$.fields", label = "$.label", type = "$.type", value = "$.value" }
    answers = { at = "$.answers", id = "$.field.id", questions = "$.form.fields[*]" }  # with "id" and "title"
    answers = { at = "$.data", summary = "$.pretty" }                # a text like "Name:Ana, E-mail:a@example.com"
    email = { answer = "email" }                   # or "name", "phone_number", "country"
    name = { label = "Wie heissen Sie?" }

A condition (``only_if``, ``ignore_if``, ``test_if``, ``deleted_if``) is a path, or ``header:`` and the name of a
header, and the values that it may have: a string, number or boolean, a list of them, ``{ exists = true }`` (anything
but null) or ``{ exists = false }``.
"""

from collections.abc import Mapping as Table
from collections.abc import Sequence
from typing import Any

from webhook_app.sources.mapping.answers import ANSWERS, Answered, Labelled, Shape
from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.paths import Path
from webhook_app.sources.mapping.people import Person, PersonId, compile_named
from webhook_app.sources.mapping.values import (
    Absolute,
    Condition,
    Constant,
    FirstOf,
    Header,
    Join,
    Place,
    Prefixed,
    Replaced,
    Rule,
    Unless,
)
from webhook_app.sources.mistakes import unknown_keys
from worker.errors import SettingsError

#: The beginning of a condition about a header.
HEADER = "header:"
#: The changes that a rule can make to a value.
TREATMENTS = frozenset({"unless_equal", "replace", "base", "prefix"})
#: The keys of ``answers``.
SHAPE_KEYS = ("at", "label", "type", "value", "id", "questions", "summary")


def compile_rule(written: object, shape: Shape | None = None) -> Rule:
    """Compile a rule of a sources file or a preset; ``shape`` is the form's.

    Raises:
        ValueError: it is not a rule; the text says why.
    """
    match written:
        case str():
            return compile_path(written)
        case list() if written:
            return FirstOf(tuple(compile_rule(rule, shape) for rule in written))
        case {"join": list() as parts, **rest} if (
            parts and rest.keys() <= {"with"} and isinstance(rest.get("with", ""), str)
        ):
            return Join(tuple(compile_rule(part, shape) for part in parts), str(rest.get("with", " ")))
        case {"path": str() | list() as path, **rest} if rest.keys() <= TREATMENTS:
            return _treated(compile_rule(path, shape), rest)
        case {"header": str() as name, **rest} if name and not rest:
            return Header(name)
        case {"constant": str() | int() as constant, **rest} if not rest and not isinstance(constant, bool):
            return Constant(constant)
        case {"answer": str() as subject, **rest} if not rest:
            return _answered(subject, shape)
        case {"label": str() as label, **rest} if not rest:
            return Labelled(_needed(shape), label)
        case dict() if (rule := _common(written)) is not None:
            return rule
    raise ValueError(
        'must be a path, a list of alternatives, { join = [...], with = " " }, { path = "..." } with or without '
        '"unless_equal", "replace", "base" and "prefix", { header = "..." }, { constant = "..." }, '
        '{ named = ["..."] }, { answer = "email" } or { label = "..." }'
    )


def _common(written: Table[str, object]) -> Rule | None:
    """Compile a rule that knows what is common, if it is one."""
    match written:
        case {"find": "id", **rest} if not rest:
            return PersonId()
        case {"named": list() as names, **rest} if rest.keys() <= {"in"} and isinstance(rest.get("in", ""), str):
            return compile_named(names, str(rest.get("in", "")))
    return None


def _answered(subject: str, shape: Shape | None) -> Rule:
    if subject not in ANSWERS:
        raise ValueError(f"answer must be one of {', '.join(ANSWERS)}")
    return Answered(_needed(shape), subject)


def _needed(shape: Shape | None) -> Shape:
    if shape is None:
        raise ValueError('"answer" and "label" need the key "answers" of the source')
    return shape


def compile_shape(written: object) -> Shape:
    """Compile the key ``answers``: a path, or a table with ``SHAPE_KEYS``.

    Raises:
        ValueError: there is no path to the answers, or something is not a path.
        SettingsError: there are unknown keys.
    """
    table = {"at": written} if isinstance(written, str) else written
    if not isinstance(table, dict) or not isinstance(table.get("at"), str):
        raise ValueError('must be the path to the answers, or a table with it as "at"')
    if problems := unknown_keys(table, SHAPE_KEYS):
        raise SettingsError(problems)
    labels = table.get("label", "$.label")
    return Shape(
        at=compile_path(table["at"]),
        labels=tuple(compile_rule(label) for label in (labels if isinstance(labels, list) else [labels])),
        type=compile_rule(table.get("type", "$.type")),
        value=compile_rule(table.get("value", "$.value")),
        id=compile_rule(table["id"]) if "id" in table else None,
        questions=tuple(compile_places(table["questions"])) if "questions" in table else (),
        summary=compile_rule(table["summary"]) if "summary" in table else None,
    )


def _treated(rule: Rule, treatments: Table[Any, object]) -> Rule:
    if "unless_equal" in treatments:
        rule = Unless(rule, compile_rule(treatments["unless_equal"]))
    if "replace" in treatments:
        rule = Replaced(rule, _replacements(treatments["replace"]))
    if "base" in treatments:
        rule = Absolute(rule, compile_rule(treatments["base"]))
    if "prefix" in treatments:
        prefix = treatments["prefix"]
        rule = Prefixed(rule, prefix if isinstance(prefix, str) else compile_rule(prefix))
    return rule


def _replacements(written: object) -> tuple[tuple[str, str], ...]:
    pairs = tuple(written.items()) if isinstance(written, dict) else ()
    if not pairs or not all(old and isinstance(new, str) for old, new in pairs):
        raise ValueError('replace must be a table of strings, like { "{size}" = "240" }')
    return pairs


def compile_condition(place: str, allowed: object) -> Condition:
    """Compile one line of ``only_if``: a path or a header, and its valid values.

    Raises:
        ValueError: it is not a path, or there are no values.
    """
    where: Path | Header = Header(name) if (name := _header_name(place)) else compile_path(place)
    match allowed:
        case {"exists": bool() as exists, **rest} if not rest:
            return Condition(where, exists=exists)
    written = allowed if isinstance(allowed, list) else [allowed]
    values = tuple(value for value in written if isinstance(value, str | int | float | bool))
    if not values or len(values) < len(written):
        raise ValueError("must be a string, number or boolean, a list of them, or { exists = true } or false")
    return Condition(where, values)


def _header_name(place: str) -> str:
    """Return the name of the header in a condition, or ``""`` if it is a path."""
    if not place.startswith(HEADER):
        return ""
    name = place.removeprefix(HEADER).strip()
    if not name:
        raise ValueError(f"{HEADER} must be followed by the name of a header")
    return name


def compile_contact(written: object) -> Sequence[Place]:
    """Compile what is under ``contact``: a path, a list of paths, or ``find``.

    Raises:
        ValueError: one of them is not a path.
    """
    if written == {"find": "person"}:
        return (Person(),)
    if isinstance(written, dict):
        raise ValueError('must be a path, a list of paths, or { find = "person" }')
    return compile_places(written)


def compile_places(written: object) -> list[Path]:
    """Compile one path or a list of paths.

    Raises:
        ValueError: one of them is not a path.
    """
    paths = written if isinstance(written, list) else [written]
    places = [compile_path(path) for path in paths if isinstance(path, str)]
    if not places or len(places) < len(paths):
        raise ValueError("must be a path, or a list of paths")
    return places
