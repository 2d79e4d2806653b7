"""A path into a payload, and the bound on what one delivery may cost."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from webhook_app.sources.delivery import Lookup
from worker.characters import strip
from worker.errors import Unmappable
from worker.normalise import as_text

#: Steps for one delivery, all paths together, and what each element of a batch adds. A filter needs two or three for
#: an element; a step takes up to a microsecond.
MAX_WORK, ELEMENT_WORK = 6_000, 50
#: What ``..`` passes without visiting it costs less: this many members are a step.
PASSED_A_STEP = 16
#: The name or the index of a value in its object or array.
Place = str | int
#: JSON's objects and arrays in Python. (A tuple: ``isinstance`` is slower with a union.)
CONTAINERS = (dict, list)
#: The result where there is no value; ``None`` is a value in JSON.
MISSING: Final = object()


class TooMuchWork(Unmappable):
    """The payload is too large to be searched by these paths."""

    def __init__(self) -> None:
        super().__init__({"payload": "is too large to be searched"})


class Work:
    """The steps ``left`` for one delivery, and results that are used again.

    ``members`` has objects by their ``id()`` with their members by plain name, ``found`` payloads by path and ``id()``
    with what the path finds. Keeping an object keeps its id unique.
    """

    __slots__ = ("found", "left", "members")

    def __init__(self, left: int = MAX_WORK) -> None:
        self.left = left
        self.found: dict[tuple[int | str, int], tuple[object, list[Any]]] = {}
        self.members: dict[int, tuple[object, dict[str, list[Any]]]] = {}

    def spend(self, steps: int = 1) -> None:
        """Take ``steps`` away.

        Raises:
            TooMuchWork: none are left.
        """
        self.left -= steps
        if self.left < 0:
            raise TooMuchWork


def is_usable(value: object) -> bool:
    """Whether this can be a field's value: a number, or text that is not blank."""
    text = value if isinstance(value, str) else as_text(value)
    return text is not None and strip(text) != ""


@dataclass(slots=True)
class Scope:
    """What a rule uses beside the payload.

    The headers, the work that is left, and ``usable``: whether a value is one that is wanted.
    """

    headers: Lookup = field(default_factory=dict[str, str], repr=False)
    work: Work = field(default_factory=Work)
    usable: Callable[[object], bool] = is_usable


#: The places in a value that a selector selects, given the whole payload.
Select = Callable[[Any, Any, Work], Collection[Place]]


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a path; ``step`` is its name or index, if it is only that."""

    select: Select
    descends: bool = False
    step: Place | None = None

    def places(self, values: list[Any], root: Any, work: Work) -> list[tuple[Any, Place]]:
        """Return the places that the segment finds, each with its container."""
        holders = _with_all_below(values, work) if self.descends else values
        return [(holder, place) for holder in holders for place in self.select(holder, root, work)]

    def values(self, values: list[Any], root: Any, work: Work) -> list[Any]:
        """Return the values at the places that the segment finds."""
        holders = _with_all_below(values, work) if self.descends else values
        return [holder[place] for holder in holders for place in self.select(holder, root, work)]


class Path:
    """A compiled path (see ``jsonpath``); a plain one is only walked, by ``steps``.

    ``texts`` are how the path is written up to the end of each segment. What several paths have in common up to a
    filter is searched only once in a payload.
    """

    __slots__ = ("_lead", "_searched", "_tail", "_text", "segments", "steps")

    def __init__(self, segments: tuple[Segment, ...], texts: tuple[str, ...] = ()) -> None:
        searched = [at for at, segment in enumerate(segments) if segment.step is None]
        first, end = (searched[0], searched[-1] + 1) if searched else (len(segments), len(segments))
        self.segments = segments
        self._lead = _steps_of(segments[:first])
        self._searched, self._text = segments[first:end], texts[end - 1] if searched and texts else ""
        self._tail = _steps_of(segments[end:])
        self.steps = None if searched else self._lead

    def value(self, payload: object, scope: Scope) -> object:
        """Return what is found, or ``None``; of several values the first usable one.

        A plain path may return a value of any type, so that a wrong one is noticed.
        """
        if self.steps is not None:
            value = walk(self.steps, payload)
            return None if value is MISSING else value
        for value in self.find(payload, payload, scope.work):
            if scope.usable(value):
                return value
        return None

    def candidates(self, payload: object, scope: Scope) -> list[object]:
        """Return the one object to look for a contact in."""
        return [self.value(payload, scope)]

    def values(self, payload: object, scope: Scope) -> list[object]:
        """Return everything that is found.

        Raises:
            TooMuchWork: the payload is too large to be searched.
        """
        if self.steps is not None:
            value = walk(self.steps, payload)
            return [] if value is MISSING else [value]
        return self.find(payload, payload, scope.work)

    def find(self, value: Any, root: Any, work: Work) -> list[Any]:
        """Return all values that are found in ``value``, a part of the payload ``root``."""
        if self._text and value is root:
            key = (self._text, id(root))
            if (known := work.found.get(key)) is None:
                known = work.found[key] = root, self._search(value, root, work)
            found = known[1]
        else:
            found = self._search(value, root, work)
        if not self._tail or not found:
            return found
        work.spend(len(found))
        inside = []
        for one in found:
            if (below := walk(self._tail, one)) is not MISSING:
                inside.append(below)
        return inside

    def _search(self, value: Any, root: Any, work: Work) -> list[Any]:
        """Return what is found without the last names and indices."""
        work.spend()
        value = walk(self._lead, value)
        if value is MISSING:
            return []
        values = [value]
        for segment in self._searched:
            values = segment.values(values, root, work)
        return values

    def remove(self, payload: Any, work: Work) -> None:
        """Remove what is found; in an array ``None`` takes its place."""
        parents = Path(self.segments[:-1]).find(payload, payload, work)
        for holder, place in self.segments[-1].places(parents, payload, work) if self.segments else ():
            if isinstance(holder, dict):
                holder.pop(place, None)
            else:
                holder[place] = None


class Names(Path):
    """A path of names only: ``$.data.email``. Nearly all paths of a mapping are such."""

    __slots__ = ("_names",)

    def __init__(self, segments: tuple[Segment, ...], texts: tuple[str, ...] = ()) -> None:
        super().__init__(segments, texts)
        self._names = self.steps or ()

    def value(self, payload: Any, _scope: Scope) -> object:
        """Return what is found, or ``None``."""
        for name in self._names:
            if not isinstance(payload, dict):
                return None
            payload = payload.get(name)
        return payload

    def values(self, payload: Any, _scope: Scope) -> list[object]:
        """Return what is found, if it is."""
        for name in self._names:
            if not isinstance(payload, dict) or name not in payload:
                return []
            payload = payload[name]
        return [payload]


class Name(Names):
    """A path of one name: ``$.email``."""

    __slots__ = ("_name",)

    def __init__(self, segments: tuple[Segment, ...], texts: tuple[str, ...] = ()) -> None:
        super().__init__(segments, texts)
        (self._name,) = self._names

    def value(self, payload: Any, _scope: Scope) -> object:
        """Return what is found, or ``None``."""
        return payload.get(self._name) if isinstance(payload, dict) else None


def _steps_of(segments: Iterable[Segment]) -> tuple[Place, ...]:
    return tuple(segment.step for segment in segments if segment.step is not None)


def walk(steps: Iterable[Place], value: Any) -> Any:
    """Return what is at these names and indices, one after the other, or ``MISSING``."""
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step, MISSING)  # no name is an index
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


def places(value: Any) -> Collection[Place]:
    """Return all places in an object or an array; anything else has none."""
    if isinstance(value, dict):
        return value.keys()
    return range(len(value)) if isinstance(value, list) else ()


def _with_all_below(values: list[Any], work: Work) -> list[Any]:
    """Return the values and all containers in them, each before what is in it."""
    found: list[Any] = []
    waiting = values[::-1]
    while waiting:
        value = waiting.pop()
        found.append(value)
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        work.spend(1 + len(inside) // PASSED_A_STEP)
        waiting += [member for member in inside if isinstance(member, CONTAINERS)][::-1]
    return found
