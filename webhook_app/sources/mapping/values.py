"""Rules that take a value from a payload (see ``rules``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin

from webhook_app.sources.mapping.paths import Path, Scope
from worker.normalise import MAX_URL, as_text


class Rule(Protocol):
    """Finds a field's value in a payload."""

    def value(self, payload: object, scope: Scope, /) -> object: ...


class Place(Protocol):
    """Where a contact can be in a payload."""

    def candidates(self, payload: object, scope: Scope, /) -> Sequence[object]: ...


class Finder(Protocol):
    """Finds all values of a condition or a flag."""

    def values(self, payload: object, scope: Scope, /) -> Sequence[object]: ...


@dataclass(frozen=True, slots=True)
class FirstOf:
    """The first alternative with a usable value, or else the first value."""

    rules: tuple[Rule, ...]

    def value(self, payload: object, scope: Scope) -> object:
        found = None
        for rule in self.rules:
            value = rule.value(payload, scope)
            if scope.usable(value):
                return value
            found = value if found is None else found
        return found


@dataclass(frozen=True, slots=True)
class Join:
    """Parts joined with ``glue``, without those that are missing or blank."""

    rules: tuple[Rule, ...]
    glue: str

    def value(self, payload: object, scope: Scope) -> object:
        texts: list[str] = []
        for rule in self.rules:
            text = as_text(rule.value(payload, scope))
            if text and not text.isspace():
                texts.append(text.strip())
        return self.glue.join(texts) or None


@dataclass(frozen=True, slots=True)
class Prefixed:
    """A prefix and the value of a rule; without either there is no value.

    Without the prefix the ids of two systems could be equal.
    """

    rule: Rule
    prefix: str | Rule

    def value(self, payload: object, scope: Scope) -> object:
        value = self.rule.value(payload, scope)
        text = as_text(value)
        if not text or not scope.usable(value):
            return value
        prefix = self.prefix if isinstance(self.prefix, str) else self._found_prefix(self.prefix, payload, scope)
        return None if prefix is None else prefix + text.strip()

    def _found_prefix(self, rule: Rule, payload: object, scope: Scope) -> str | None:
        text = as_text(rule.value(payload, scope))
        return (text.strip() or None) if text else None


@dataclass(frozen=True, slots=True)
class Replaced:
    """The value of a rule with texts replaced, one after the other."""

    rule: Rule
    pairs: tuple[tuple[str, str], ...]

    def value(self, payload: object, scope: Scope) -> object:
        value = self.rule.value(payload, scope)
        text = as_text(value)
        if text is None:
            return value
        for old, new in self.pairs:
            text = text.replace(old, new)
        return text


@dataclass(frozen=True, slots=True)
class Absolute:
    """A URL that may be relative to another one (RFC 3986, section 5)."""

    rule: Rule
    base: Rule

    def value(self, payload: object, scope: Scope) -> object:
        value = self.rule.value(payload, scope)
        text, base = as_text(value), as_text(self.base.value(payload, scope))
        if not text or text.isspace() or not base or len(text) + len(base) > MAX_URL:
            return value
        try:
            return urljoin(base, text.strip())
        except ValueError:
            return text


@dataclass(frozen=True, slots=True)
class Unless:
    """The value of a rule, unless another rule has the same text, ignoring case."""

    rule: Rule
    other: Rule

    def value(self, payload: object, scope: Scope) -> object:
        value = self.rule.value(payload, scope)
        text, other = as_text(value), as_text(self.other.value(payload, scope))
        same = text is not None and other is not None and text.strip().casefold() == other.strip().casefold()
        return None if same else value


@dataclass(frozen=True, slots=True)
class Header:
    """A header of the delivery. Few senders sign their headers."""

    name: str

    def value(self, _payload: object, scope: Scope) -> object:
        return scope.headers.get(self.name)

    def values(self, payload: object, scope: Scope) -> tuple[object, ...]:
        return (self.value(payload, scope),)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same for every delivery."""

    constant: str | int

    def value(self, _payload: object, _scope: Scope) -> object:
        return self.constant


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether an allowed value is at a path, or with ``exists`` any value or none."""

    place: Path | Header
    allowed: tuple[str | int | float | bool, ...] = ()
    exists: bool | None = None

    def holds(self, payload: object, scope: Scope) -> bool:
        values = self.place.values(payload, scope)
        if self.exists is not None:
            return any(value is not None for value in values) == self.exists
        return any(map(self._allows, values))

    def _allows(self, value: object) -> bool:
        if isinstance(value, str):  # which is only ever equal to a text
            return value in self.allowed
        return any(is_same(value, allowed) for allowed in self.allowed)


def is_same(value: object, allowed: str | int | float | bool) -> bool:
    """Compare as JSON does: ``true`` is not 1."""
    return value == allowed and isinstance(value, bool) == isinstance(allowed, bool)
