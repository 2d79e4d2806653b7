"""Rules whose value is yes or no: ``email_verified``.

``rules`` documents how they are written. No answer means unknown, which is not the same as no.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.paths import Scope
from webhook_app.sources.mapping.people import compile_named
from webhook_app.sources.mapping.values import Finder, Header, is_same
from worker.normalise import as_text

MISTAKE = (
    'must be a path to true or false, { path = "...", exists = true }, { path = "...", equals = "verified" }, '
    '{ named = ["..."] }, { header = "..." }, { constant = false }, or a list of these'
)
#: What senders write for yes and no. Numbers come from databases without booleans, texts from forms.
_WORDS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


class Flag(Protocol):
    """Finds yes, no or neither in a payload."""

    def value(self, payload: object, scope: Scope, /) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Truth:
    """The first boolean at a path, also as text or as 1 and 0."""

    place: Finder

    def value(self, payload: object, scope: Scope) -> bool | None:
        for value in self.place.values(payload, scope):
            if (answer := _truth(value)) is not None:
                return answer
        return None


@dataclass(frozen=True, slots=True)
class Equals:
    """Whether an expected value is at a path; unknown if there is none."""

    place: Finder
    expected: tuple[str | int | float | bool, ...]

    def value(self, payload: object, scope: Scope) -> bool | None:
        values = [value for value in self.place.values(payload, scope) if value is not None]
        return any(is_same(value, one) for value in values for one in self.expected) if values else None


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether there is a value, such as a time, or only null or blank text.

    Unknown if the path leads nowhere.
    """

    place: Finder
    exists: bool

    def value(self, payload: object, scope: Scope) -> bool | None:
        values = self.place.values(payload, scope)
        if not values:
            return None
        return any(value is not None and not (isinstance(value, str) and not value.strip()) for value in values) == (
            self.exists
        )


@dataclass(frozen=True, slots=True)
class Always:
    """The same for every delivery."""

    constant: bool

    def value(self, _payload: object, _scope: Scope) -> bool | None:
        return self.constant


@dataclass(frozen=True, slots=True)
class FirstKnown:
    """The first alternative that is not unknown."""

    flags: tuple[Flag, ...]

    def value(self, payload: object, scope: Scope) -> bool | None:
        for flag in self.flags:
            if (answer := flag.value(payload, scope)) is not None:
                return answer
        return None


def compile_flag(written: object) -> Flag:
    """Compile a rule for yes or no.

    Raises:
        ValueError: it is not one; the text says why.
    """
    match written:
        case str():
            return Truth(compile_path(written))
        case list() if written:
            return FirstKnown(tuple(compile_flag(flag) for flag in written))
        case {"header": str() as name, **rest} if name and not rest.keys() - {"exists", "equals"}:
            return _tested(Header(name), rest)
        case {"constant": bool() as constant, **rest} if not rest:
            return Always(constant)
        case {"named": list() as names, **rest} if not rest.keys() - {"exists", "equals"}:
            return _tested(compile_named(names), rest)
        case {"path": str() as path, **rest} if rest and not rest.keys() - {"exists", "equals"}:
            return _tested(compile_path(path), rest)
    raise ValueError(MISTAKE)


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    text = as_text(value)
    return _WORDS.get(text.strip().lower()) if text is not None else None


def _tested(place: Finder, test: Mapping[Any, object]) -> Flag:
    match test:
        case {"exists": bool() as exists, **rest} if not rest:
            return Exists(place, exists)
        case {"equals": expected, **rest} if not rest and (values := _values(expected)):
            return Equals(place, values)
        case {**rest} if not rest:
            return Truth(place)
    raise ValueError(MISTAKE)


def _values(written: Any) -> tuple[str | int | float | bool, ...]:
    """Return one value or a list of values as a tuple, empty if one is not usable."""
    values = written if isinstance(written, list) else [written]
    return tuple(values) if all(isinstance(value, str | int | float | bool) for value in values) else ()
