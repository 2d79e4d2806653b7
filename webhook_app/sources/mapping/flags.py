"""Rules whose value is yes or no: ``email_verified``.

``rules`` documents how they are written. No answer means unknown, which is not the same as no.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.mapping import Header, is_same
from webhook_app.sources.mapping.paths import Path, Scope

#: What senders write for yes and no. Numbers come from databases without booleans, texts from forms.
_WORDS = {"true": True, "false": False, "1": True, "0": False}


class Flag(Protocol):
    """Finds yes, no or neither in a payload."""

    def value(self, payload: object, scope: Scope, /) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Truth:
    """The first boolean at a path, also as text or as 1 and 0."""

    place: Path | Header

    def value(self, payload: object, scope: Scope) -> bool | None:
        answers = (_WORDS.get(str(value).strip().lower()) for value in self.place.values(payload, scope))
        return next((answer for answer in answers if answer is not None), None)


@dataclass(frozen=True, slots=True)
class Equals:
    """Whether an expected value is at a path; unknown if there is none."""

    place: Path | Header
    expected: tuple[str | int | float | bool, ...]

    def value(self, payload: object, scope: Scope) -> bool | None:
        values = [value for value in self.place.values(payload, scope) if value is not None]
        return any(is_same(value, one) for value in values for one in self.expected) if values else None


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether a value is at a path, such as a time; null and blank text are none."""

    place: Path | Header
    exists: bool

    def value(self, payload: object, scope: Scope) -> bool | None:
        values = self.place.values(payload, scope)
        found = any(value is not None and not (isinstance(value, str) and not value.strip()) for value in values)
        return found == self.exists


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
        answers = (flag.value(payload, scope) for flag in self.flags)
        return next((answer for answer in answers if answer is not None), None)


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
        case {"header": str() as name, **rest} if name and not rest:
            return Truth(Header(name))
        case {"constant": bool() as constant, **rest} if not rest:
            return Always(constant)
        case {"path": str() as path, "exists": bool() as exists, **rest} if not rest:
            return Exists(compile_path(path), exists)
        case {"path": str() as path, "equals": expected, **rest} if not rest and (values := _values(expected)):
            return Equals(compile_path(path), values)
    raise ValueError(
        'must be a path to true or false, { path = "...", exists = true }, { path = "...", equals = "verified" }, '
        '{ header = "..." }, { constant = false }, or a list of these'
    )


def _values(written: Any) -> tuple[str | int | float | bool, ...]:
    """Return one value or a list of values as a tuple, empty if one is not usable."""
    values = written if isinstance(written, list) else [written]
    return tuple(values) if all(isinstance(value, str | int | float | bool) for value in values) else ()
