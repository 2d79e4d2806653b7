"""JSONPath (RFC 9535) made into functions, with a bound on the work that a payload can cause.

The library reads a query and says what is wrong with it. What it read becomes functions within functions, once; these
run over every delivery. All that a payload can make them do is counted: each value that they step on, each element that
a filter judges and what it asks about it (see ``filters``), the time that a pattern takes. A payload that asks for too
much is refused.

Two things differ from the standard, so that a payload can neither bring a pattern along nor make one run long: the
pattern of ``match()`` and ``search()`` must stand in the path, and long texts match nothing.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jsonpath_rfc9535 as jsonpath
from jsonpath_rfc9535.segments import JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath_rfc9535.selectors import (
    FilterSelector,
    IndexSelector,
    JSONPathSelector,
    NameSelector,
    SliceSelector,
    WildcardSelector,
)

from webhook_app.sources.mapping import filters
from webhook_app.sources.mapping.steps import (
    CONTAINERS,
    MISSING,
    Place,
    Work,
    members,
    places,
    walk,
)

#: What ``..`` passes by on its way, without stepping on it, costs less: so many are a step.
PASSED_A_STEP = 16

#: What is found in a value, given the whole payload as well. Raises ``TooMuchWork`` before it is found.
Find = Callable[[Any, Any, Work], list[Any]]
#: Takes what is found in a payload out of it. Raises ``TooMuchWork`` before anything is.
Remove = Callable[[Any, Work], None]
#: The places in a value that a selector means.
Select = Callable[[Any, Any, Work], Collection[Place]]
#: The places in some values that a segment means, each with the object or array that has it.
FindPlaces = Callable[[list[Any], Any, Work], list[tuple[Any, Place]]]


@dataclass(frozen=True, slots=True)
class Search:
    """A query, ready to be used. ``steps`` are the names and indices of a plain one, which finds one value at most and
    need only be walked."""

    find: Find
    steps: tuple[str | int, ...] | None


def compile_query(text: str) -> Search:
    """The query that ``text`` is, with or without ``$.`` before it.

    Raises:
        ValueError: it is none that we take; the library's message says where.
    """
    with _naming(text):
        return make_search(_parsed(text))


def make_search(query: jsonpath.JSONPathQuery) -> Search:
    """The names and indices that a query begins with are walked; only from there on may there be several values.

    Raises:
        jsonpath.JSONPathError: it asks for something that we do not take.
    """
    steps = [_step(segment) for segment in query.segments]
    count = next((at for at, step in enumerate(steps) if step is None), len(steps))
    plain = tuple(step for step in steps[:count] if step is not None)
    rest = [_segment(segment) for segment in query.segments[count:]]

    def find(value: Any, root: Any, work: Work) -> list[Any]:
        work.spend()
        value = walk(plain, value)
        values = [] if value is MISSING else [value]
        for find_places in rest:
            values = [holder[place] for holder, place in find_places(values, root, work)]
        return values

    return Search(find, None if rest else plain)


def compile_removal(text: str) -> Remove:
    """A function that takes what the query ``text`` finds out of a payload. Arrays keep their places: ``None`` is put
    there.

    Raises:
        ValueError: it is no query that we take, or means all of the payload.
    """
    with _naming(text):
        query = _parsed(text)
        if not query.segments:
            raise ValueError(f"{text!r} is all of the payload")
        return _removal(query)


def _removal(query: jsonpath.JSONPathQuery) -> Remove:
    way = make_search(jsonpath.JSONPathQuery(env=query.env, segments=query.segments[:-1]))
    find_places = _segment(query.segments[-1])

    def remove(payload: Any, work: Work) -> None:
        for holder, place in find_places(way.find(payload, payload, work), payload, work):
            if isinstance(holder, dict):
                holder.pop(place, None)
            else:
                holder[place] = None

    return remove


def _parsed(text: str) -> jsonpath.JSONPathQuery:
    if not text.startswith("$"):
        text = f"${text}" if text.startswith("[") else f"$.{text}"
    return jsonpath.compile(text)


@contextmanager
def _naming(text: str) -> Iterator[None]:
    """Says of an error what text it is about."""
    try:
        yield
    except (jsonpath.JSONPathError, RecursionError) as error:
        raise ValueError(f"{text!r} is not a JSONPath: {error}") from error


def _step(segment: JSONPathSegment) -> str | int | None:
    """The one name or index that a segment is, or ``None``."""
    selector = segment.selectors[0]
    if isinstance(segment, JSONPathRecursiveDescentSegment) or len(segment.selectors) > 1:
        return None
    if isinstance(selector, NameSelector):
        return selector.name
    return selector.index if isinstance(selector, IndexSelector) else None


def _segment(segment: JSONPathSegment) -> FindPlaces:
    selects = [_selector(selector) for selector in segment.selectors]
    goes_down = isinstance(segment, JSONPathRecursiveDescentSegment)

    def find_places(values: list[Any], root: Any, work: Work) -> list[tuple[Any, Place]]:
        holders = _with_all_below(values, work) if goes_down else values
        return [(holder, place) for holder in holders for select in selects for place in select(holder, root, work)]

    return find_places


def _with_all_below(values: list[Any], work: Work) -> list[Any]:
    """The values and all objects and arrays in them, each before what is in it."""
    found: list[Any] = []
    waiting = values[::-1]
    while waiting:
        value = waiting.pop()
        found.append(value)
        inside = members(value)
        work.spend(1 + len(inside) // PASSED_A_STEP)
        waiting += [member for member in inside if isinstance(member, CONTAINERS)][::-1]
    return found


def _selector(selector: JSONPathSelector) -> Select:
    match selector:
        case NameSelector(name=name):
            return _selects_name(name)
        case IndexSelector(index=index):
            return _selects_index(index)
        case SliceSelector(slice=part):
            return _selects_slice(part)
        case FilterSelector(expression=expression):
            return _selects_where(filters.make_test(expression, make_search))
    assert isinstance(selector, WildcardSelector)
    return _select_all


def _selects_name(name: str) -> Select:
    def select(value: Any, _root: Any, work: Work) -> Collection[Place]:
        work.spend()
        return (name,) if isinstance(value, dict) and name in value else ()

    return select


def _selects_index(index: int) -> Select:
    def select(value: Any, _root: Any, work: Work) -> Collection[Place]:
        work.spend()
        return (index,) if isinstance(value, list) and -len(value) <= index < len(value) else ()

    return select


def _selects_slice(part: slice) -> Select:
    def select(value: Any, _root: Any, work: Work) -> Collection[Place]:
        found = range(*part.indices(len(value))) if isinstance(value, list) and part.step != 0 else ()
        work.spend(1 + len(found))
        return found

    return select


def _select_all(value: Any, _root: Any, work: Work) -> Collection[Place]:
    found = places(value)
    work.spend(1 + len(found))
    return found


def _selects_where(holds: filters.Test) -> Select:
    def select(value: Any, root: Any, work: Work) -> Collection[Place]:
        candidates = places(value)
        work.spend(1 + len(candidates))
        return [place for place in candidates if holds(value[place], root, work)]

    return select
