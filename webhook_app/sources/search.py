"""JSONPath (RFC 9535) with a bound on the work that a payload can cause.

The library finds; what is ours is that everything it does on the way is counted: each value that it steps on, each
element that a filter judges and what it asks about it, the time that a pattern takes. A payload that asks for too much
is refused.

Two things differ from the standard, so that a payload can neither bring a pattern along nor make one run long: the
pattern of ``match()`` and ``search()`` must stand in the path, and texts above ``MAX_SUBJECT`` match nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import thread_time
from typing import Any, Final, Self

import jsonpath_rfc9535 as jsonpath
import regex
from iregexp_check import check as is_iregexp
from jsonpath_rfc9535.exceptions import JSONPathTypeError
from jsonpath_rfc9535.filter_expressions import (
    Expression,
    FilterContext,
    FunctionExtension,
    RelativeFilterQuery,
    RootFilterQuery,
    StringLiteral,
)
from jsonpath_rfc9535.function_extensions._pattern import map_re
from jsonpath_rfc9535.node import JSONPathNode, JSONPathNodeList
from jsonpath_rfc9535.parse import Parser
from jsonpath_rfc9535.segments import JSONPathChildSegment, JSONPathSegment
from jsonpath_rfc9535.selectors import FilterSelector, IndexSelector, NameSelector
from jsonpath_rfc9535.tokens import Token, TokenStream

from worker.errors import Unmappable

#: Steps that one delivery may cause, all paths together, and what each element of a batch adds. A filter takes about 5
#: for an element; a step takes 1 to 4 microseconds.
MAX_WORK, ELEMENT_WORK = 6_000, 50
#: Levels below where ``..`` begins. Each value that it finds is handed up through as many generators.
MAX_DEPTH = 40
#: What is found where there is nothing; ``None`` is a value in JSON.
MISSING: Final = object()
#: Characters of a text that a pattern is tried on; what can be a contact's field is far shorter.
MAX_SUBJECT = 2048
#: What a second of trying a pattern counts as.
STEPS_A_SECOND = 500_000


class TooMuchWork(Unmappable):
    """The payload holds too much to be searched by these paths."""

    def __init__(self) -> None:
        super().__init__({"payload": "holds too much to be searched"})


class Work:
    """How much work is ``left``, in steps, for one delivery."""

    __slots__ = ("left",)

    def __init__(self, left: int = MAX_WORK) -> None:
        self.left = left

    def spend(self, steps: int = 1) -> None:
        """Takes ``steps`` away.

        Raises:
            TooMuchWork: there are no more of them.
        """
        self.left -= steps
        if self.left < 0:
            raise TooMuchWork


@dataclass(frozen=True, slots=True)
class Search:
    """A query, taken apart: ``plain`` are the names and indices that it begins with, which need only be walked;
    ``rest`` are the segments from the first on that may find several values."""

    query: jsonpath.JSONPathQuery
    plain: tuple[str | int, ...]
    rest: tuple[JSONPathSegment, ...]

    @classmethod
    def of(cls, query: jsonpath.JSONPathQuery) -> Self:
        steps = [_step(segment) for segment in query.segments]
        count = next((at for at, step in enumerate(steps) if step is None), len(steps))
        return cls(query, tuple(step for step in steps[:count] if step is not None), tuple(query.segments[count:]))


def walk(steps: Iterable[str | int], value: object) -> object:
    """What is found at these names and indices one after the other, or ``MISSING``."""
    for step in steps:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(step, int) and isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


def _step(segment: JSONPathSegment) -> str | int | None:
    """The one name or index that a segment is, or ``None``."""
    selector = segment.selectors[0]
    if not isinstance(segment, JSONPathChildSegment) or len(segment.selectors) > 1:
        return None
    if isinstance(selector, NameSelector):
        return selector.name
    return selector.index if isinstance(selector, IndexSelector) else None


def compile_query(text: str) -> Search:
    """The query that ``text`` is.

    Raises:
        jsonpath.JSONPathError, RecursionError: it is none; the message says where.
    """
    return Search.of(_ENVIRONMENT.compile(text))


def find(search: Search, value: object, work: Work) -> Iterator[object]:
    """What ``search`` finds in ``value``; nothing more from where it is nested too deeply to follow.

    Raises:
        TooMuchWork: before it is found.
    """
    try:
        for node in _nodes(search, value, value, work):
            yield node.value
    except (jsonpath.JSONPathError, RecursionError):
        return


def _nodes(search: Search, value: object, root: Any, work: Work) -> Iterable[JSONPathNode]:
    work.spend(len(search.plain))
    value = walk(search.plain, value)
    if value is MISSING:
        return ()
    nodes: Iterable[JSONPathNode] = [_Node(value, root, work)]
    for segment in search.rest:
        nodes = segment.resolve(nodes)
    return nodes


class _Node(JSONPathNode):
    """A value on the way. It does not remember where it was found: nobody asks."""

    __slots__ = ("work",)

    def __init__(self, value: object, root: Any, work: Work) -> None:
        super().__init__(value=value, location=(), parent=None, root=root)
        self.work = work

    def new_child(self, value: object, key: int | str, parent: JSONPathNode | None) -> JSONPathNode:
        self.work.spend()
        return _Node(value, self.root, self.work)


class _Context(FilterContext):
    """What a filter's expression is about, for one element."""

    __slots__ = ("found", "work")

    def __init__(self, current: object, node: _Node, found: dict[int, JSONPathNodeList]) -> None:
        super().__init__(env=_ENVIRONMENT, current=current, root=node.root)
        self.work = node.work
        self.found = found


class _Filter(FilterSelector):
    __slots__ = ()

    def resolve(self, node: Any) -> Iterable[JSONPathNode]:
        value = node.value
        members = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
        found: dict[int, JSONPathNodeList] = {}
        for key, member in members:
            node.work.spend()
            if self.expression.evaluate(_Context(member, node, found)):
                yield node.new_child(member, key, node)


class _Relative(RelativeFilterQuery):
    __slots__ = ("search",)

    def __init__(self, token: Token, query: jsonpath.JSONPathQuery) -> None:
        super().__init__(token, query)
        self.search = Search.of(query)

    def evaluate(self, context: Any) -> object:
        context.work.spend()
        if isinstance(context.current, list | dict):
            return JSONPathNodeList(_nodes(self.search, context.current, context.root, context.work))
        return context.current if self.query.empty() else JSONPathNodeList()


class _Root(RootFilterQuery):
    """A query of the whole payload: it finds the same for every element, and so is made once for all of them."""

    __slots__ = ("search",)

    def __init__(self, token: Token, query: jsonpath.JSONPathQuery) -> None:
        super().__init__(token, query)
        self.search = Search.of(query)

    def evaluate(self, context: Any) -> object:
        context.work.spend()
        found = context.found.get(id(self))
        if found is None:
            found = JSONPathNodeList(_nodes(self.search, context.root, context.root, context.work))
            context.found[id(self)] = found
        return found


class _Pattern(FunctionExtension):
    """``match()`` or ``search()``: a pattern in the notation of RFC 9485, made once."""

    __slots__ = ("is_found",)

    def __init__(self, call: FunctionExtension) -> None:
        super().__init__(call.token, call.name, call.args)
        literal = call.args[1]
        if not isinstance(literal, StringLiteral) or not is_iregexp(literal.value):
            raise JSONPathTypeError(f"{call.name}() needs a pattern (RFC 9485) that is written out", token=call.token)
        pattern = regex.compile(map_re(literal.value), regex.VERSION1)
        self.is_found = pattern.fullmatch if call.name == "match" else pattern.search

    def evaluate(self, context: Any) -> bool:
        subject = self.args[0].evaluate(context)
        if isinstance(subject, JSONPathNodeList):
            subject = subject[0].value if subject else None
        if not isinstance(subject, str) or len(subject) > MAX_SUBJECT:
            return False
        return self._try(subject, context.work)

    def _try(self, subject: str, work: Work) -> bool:
        began = thread_time()
        try:
            return self.is_found(subject, timeout=(work.left + 1) / STEPS_A_SECOND) is not None
        except TimeoutError:
            raise TooMuchWork from None
        finally:
            work.spend(int((thread_time() - began) * STEPS_A_SECOND))


class _Parser(Parser):
    """Makes ours of what takes part in the search."""

    def parse_filter_selector(self, stream: TokenStream) -> FilterSelector:
        made = super().parse_filter_selector(stream)
        return _Filter(env=made.env, token=made.token, expression=made.expression)

    def parse_relative_query(self, stream: TokenStream) -> Expression:
        made: Any = super().parse_relative_query(stream)
        return _Relative(made.token, made.query)

    def parse_root_query(self, stream: TokenStream) -> Expression:
        made: Any = super().parse_root_query(stream)
        return _Root(made.token, made.query)

    def parse_function_extension(self, stream: TokenStream) -> Expression:
        made: Any = super().parse_function_extension(stream)
        return _Pattern(made) if made.name in ("match", "search") else made


class _Environment(jsonpath.JSONPathEnvironment):
    parser_class = _Parser
    max_recursion_depth = MAX_DEPTH


_ENVIRONMENT = _Environment()
