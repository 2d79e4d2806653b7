"""Compiles paths: the part of JSONPath (RFC 9535) that mappings need (ADR 19).

A path has names, indices, ``*`` and ``..``, and filters: ``[?@.type == 'email']``. A filter knows ``==`` and ``!=``,
``&&``, ``||``, ``!`` and parentheses, the existence of a path (``@.id``, ``$.data.id``), ``match()``, ``search()`` and
``value()``. Patterns are literals, and run in RE2, so that no text can make one run long.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import re2

from webhook_app.sources.mapping.paths import (
    CONTAINERS,
    MISSING,
    Name,
    Names,
    Path,
    Place,
    Segment,
    Select,
    Work,
    places,
    walk,
)

#: Characters of a text that a pattern is tried on (a contact's fields are far shorter), and that count as a step.
MAX_SUBJECT, CHARS_A_STEP = 2048, 64
#: Levels of parentheses and filters in filters.
MAX_NESTING = 16

#: One value of an element, given the whole payload: ``MISSING``, or for a condition whether it holds.
Value = Callable[[Any, Any, Work], Any]

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<string> '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" )
      | (?P<number> -?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]+)? )
      | (?P<name> [A-Za-z_\x80-\U0010ffff][0-9A-Za-z_\x80-\U0010ffff]* )
      | (?P<sign> \.\. | && | \|\| | [=!]= | [][$@.*(),?!] )
      | (?P<end> $ ) )""",
    re.VERBOSE | re.DOTALL,
)
_NAMED_VALUES = {"true": True, "false": False, "null": None}


def compile_path(text: str) -> Path:
    """Compile a path, with or without ``$.`` before it.

    Raises:
        ValueError: it is not a path, or has something in it that we do not support; the message says where.
    """
    whole = text if text.startswith("$") else f"${text}" if text.startswith("[") else f"$.{text}"
    parser = _Parser(text, whole)
    parser.need("$")
    path = parser.path()
    if parser.kind != "end":
        parser.fail("this is not part of a path")
    return path


class _Parser:
    """Recursive descent over the grammar of RFC 9535, appendix A."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self.at = self.end = self.levels = 0
        self.advance()

    def fail(self, problem: str) -> NoReturn:
        at = self.at - (len(self.text) - len(self.name))
        raise ValueError(f"{self.name!r} is not a supported JSONPath: {problem} at character {max(at, 0)}")

    def advance(self) -> str:
        """Read the next ``kind`` and ``token``; return the text of the last token."""
        last, self.at = self.text[self.at : self.end].strip(), self.end
        match = _TOKEN.match(self.text, self.end)
        if match is None or match.lastgroup is None:
            self.fail(f"unexpected {self.text[self.at :].strip()[:1]!r}")
        self.kind, self.token, self.end = match.lastgroup, match[match.lastgroup], match.end()
        return last

    def take(self, *signs: str) -> str:
        """Return the token and advance if it is one of these, else return ``""``."""
        return self.advance() if self.kind == "sign" and self.token in signs else ""

    def need(self, sign: str) -> None:
        if not self.take(sign):
            self.fail(f"expected {sign!r}")

    def path(self) -> Path:
        segments: list[Segment] = []
        texts: list[str] = []
        start = self.at
        while sign := self.take(".", "..", "["):
            descends = sign == ".."
            if sign == "[" or (descends and self.take("[")):
                segments.append(self.bracketed(descends))
            elif self.take("*"):
                segments.append(Segment(_all, descends))
            elif self.kind == "name":
                segments.append(_step(self.advance(), descends))
            else:
                self.fail("expected a name")
            texts.append(self.text[start : self.at])
        is_plain = all(isinstance(segment.step, str) for segment in segments)
        kind = Path if not is_plain else Name if len(segments) == 1 else Names
        return kind(tuple(segments), tuple(texts))

    def bracketed(self, descends: bool) -> Segment:
        if self.take("*"):
            segment = Segment(_all, descends)
        elif self.take("?"):
            segment = Segment(_where(self.either()), descends)
        elif self.kind == "string":
            segment = _step(self.string(), descends)
        elif self.kind == "number" and re.fullmatch("0|-?[1-9][0-9]*", self.token):
            segment = _step(int(self.advance()), descends)
        else:
            self.fail("expected a name, an index, '*' or '?'")
        self.need("]")
        return segment

    def string(self) -> str:
        written = self.advance()
        if written.startswith("'"):
            inner = re.sub(r"""\\.|\"""", lambda part: {"\\'": "'", '"': '\\"'}.get(part[0], part[0]), written[1:-1])
            written = f'"{inner}"'
        try:
            return str(json.loads(written))
        except ValueError:
            self.fail("not a string")

    def either(self) -> Value:
        self.levels += 1
        if self.levels > MAX_NESTING:
            self.fail("nested too deeply")
        holds = self.both()
        while self.take("||"):
            holds = _or(holds, self.both())
        self.levels -= 1
        return holds

    def both(self) -> Value:
        holds = self.condition()
        while self.take("&&"):
            holds = _and(holds, self.condition())
        return holds

    def condition(self) -> Value:
        is_negated = bool(self.take("!"))
        holds: Value | None
        if self.take("("):
            holds = self.either()
            self.need(")")
        else:
            holds, value = self.operand()
            if not is_negated and (sign := self.take("==", "!=")):
                holds = _Comparison(self.comparable(value), self.comparable(self.operand()[1]), sign == "!=")
        if holds is None:
            self.fail("this must be compared with something")
        return _not(holds) if is_negated else holds

    def comparable(self, value: Value | None) -> Value:
        return value or self.fail("this cannot be compared")

    def operand(self) -> tuple[Value | None, Value | None]:
        """Return the operand as a condition and as a value, as far as it is one."""
        if self.kind == "string":
            return None, _Constant(self.string())
        if self.kind == "number":
            return None, _Constant(Decimal(self.advance()))
        if self.kind == "name":
            return self.named(self.advance())
        sign = self.take("@", "$") or self.fail("expected a value")
        path = self.path()
        find = path.find if sign == "@" else _find_once(path)
        return find, None if path.steps is None else _Walk(path.steps, from_root=sign == "$")

    def named(self, name: str) -> tuple[Value | None, Value | None]:
        if not self.take("("):
            return None, _Constant(_NAMED_VALUES[name]) if name in _NAMED_VALUES else self.fail(f"unknown {name}")
        find, value = self.operand()
        result: tuple[Value | None, Value | None]
        if name == "value":
            result = None, _only(find or self.fail("value() needs a path"))
        elif name in ("match", "search"):
            self.need(",")
            pattern = self.pattern()
            tries = pattern.fullmatch if name == "match" else pattern.search
            result = _matches(self.comparable(value), tries), None
        else:
            self.fail(f"unknown function {name}()")
        self.need(")")
        return result

    def pattern(self) -> Any:
        options = re2.Options()
        options.log_errors = False
        try:
            return re2.compile(self.string() if self.kind == "string" else self.fail("expected a literal"), options)
        except re2.error:
            self.fail("RE2 does not support this pattern,")


def _step(step: Place, descends: bool) -> Segment:
    found = (step,)

    def select_name(value: Any, _root: Any, work: Work) -> Collection[Place]:
        work.spend()
        return found if isinstance(value, dict) and step in value else ()

    def select_index(value: Any, _root: Any, work: Work) -> Collection[Place]:
        work.spend()
        return found if walk(found, value) is not MISSING else ()

    select = select_name if isinstance(step, str) else select_index
    return Segment(select, descends, None if descends else step)


def _all(value: Any, _root: Any, work: Work) -> Collection[Place]:
    found = places(value)
    work.spend(1 + len(found))
    return found


def _where(holds: Value) -> Select:
    """Select the elements for which a condition holds."""
    if isinstance(holds, _Comparison) and (name := holds.simple_name()) is not None:
        return _where_member(name, holds.right, holds.is_negated)

    def select(value: Any, root: Any, work: Work) -> Collection[Place]:
        return [place for place, element in _elements(value, work, 1) if holds(element, root, work)]

    return select


def _where_member(name: str, fixed: Value, is_negated: bool) -> Select:
    """Select the elements with a member that is equal to what is the same for all.

    With ``is_negated`` those whose member is not. Most filters are such; the work is what ``_where`` spends on it.
    """

    def select(value: Any, root: Any, work: Work) -> Collection[Place]:
        other = fixed(value, root, work)
        found: list[Place] = []
        for place, element in _elements(value, work, 2):
            if isinstance(element, dict) and name in element:
                member = element[name]
                is_same = member == other if isinstance(member, str) else is_equal(member, other)
            else:
                is_same = other is MISSING
            if is_same is not is_negated:
                found.append(place)
        return found

    return select


def _elements(value: Any, work: Work, steps: int) -> Iterable[tuple[Place, Any]]:
    """Return elements, each with its place; each costs ``steps``."""
    if not isinstance(value, CONTAINERS):
        work.spend()
        return ()
    work.spend(1 + steps * len(value))
    return value.items() if isinstance(value, dict) else enumerate(value)


@dataclass(frozen=True, slots=True)
class _Constant:
    """The same for all elements."""

    constant: object

    def __call__(self, _value: Any, _root: Any, _work: Work) -> Any:
        return self.constant


@dataclass(frozen=True, slots=True)
class _Walk:
    """What is at a plain path in an element, or in the whole payload."""

    steps: tuple[Place, ...]
    from_root: bool

    def __call__(self, value: Any, root: Any, _work: Work) -> Any:
        return walk(self.steps, root if self.from_root else value)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Whether two values are equal, or with ``is_negated`` are not."""

    left: Value
    right: Value
    is_negated: bool

    def __call__(self, value: Any, root: Any, work: Work) -> bool:
        work.spend()
        left, right = self.left(value, root, work), self.right(value, root, work)
        is_same = left == right if isinstance(left, str) else is_equal(left, right)
        return bool(is_same) is not self.is_negated

    def simple_name(self) -> str | None:
        """Return the name of the member that is compared with what is the same for all."""
        match self.left, self.right:
            case _Walk((str() as name,), from_root=False), _Constant() | _Walk(from_root=True):
                return name
        return None


def _find_once(path: Path) -> Value:
    """Search once for all elements: a path from the root finds the same for each."""

    def find(_value: Any, root: Any, work: Work) -> list[Any]:
        key = (id(path), id(root))
        if key not in work.found:
            work.found[key] = root, path.find(root, root, work)
        return work.found[key][1]

    return find


def _only(find: Value) -> Value:
    def only(value: Any, root: Any, work: Work) -> Any:
        found = find(value, root, work)
        return found[0] if len(found) == 1 else MISSING

    return only


def _not(holds: Value) -> Value:
    return lambda value, root, work: not holds(value, root, work)


def _and(left: Value, right: Value) -> Value:
    return lambda value, root, work: left(value, root, work) and right(value, root, work)


def _or(left: Value, right: Value) -> Value:
    return lambda value, root, work: left(value, root, work) or right(value, root, work)


def is_equal(left: Any, right: Any) -> bool:
    """Compare as JSON does: ``true`` is not 1; what is nested too deeply differs."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    try:
        return bool(left == right)
    except RecursionError:
        return False


def _matches(subject: Value, is_found: Callable[[str], object]) -> Value:
    def holds(value: Any, root: Any, work: Work) -> bool:
        text = subject(value, root, work)
        is_tried = isinstance(text, str) and len(text) <= MAX_SUBJECT
        work.spend(1 + len(text) // CHARS_A_STEP if is_tried else 1)
        try:
            return is_tried and is_found(text) is not None
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON allows
            return False

    return holds
