"""Steps into a payload, and a bound on how many of them one delivery may cause."""

from collections.abc import Collection, Iterable
from typing import Any, Final

from worker.errors import Unmappable

#: Steps for one delivery, all paths together, and what each element of a batch adds. A filter takes two or three for an
#: element; a step takes up to a microsecond.
MAX_WORK, ELEMENT_WORK = 6_000, 50
#: Where something is in an object or an array: its name or its index.
Place = str | int
#: What JSON's objects and arrays are here. (As a tuple: making a union takes longer than asking for one.)
CONTAINERS = (dict, list)
#: What is found where there is nothing; ``None`` is a value in JSON.
MISSING: Final = object()


class TooMuchWork(Unmappable):
    """The payload holds too much to be searched by these paths."""

    def __init__(self) -> None:
        super().__init__({"payload": "holds too much to be searched"})


class Work:
    """How much work is ``left``, in steps, for one delivery, and what was ``found`` that need not be looked for again.

    What is ``found`` goes by the ids of the function that found it and of the payload.
    """

    __slots__ = ("found", "left")

    def __init__(self, left: int = MAX_WORK) -> None:
        self.left = left
        self.found: dict[tuple[int, int], list[Any]] = {}

    def spend(self, steps: int = 1) -> None:
        """Takes ``steps`` away.

        Raises:
            TooMuchWork: there are no more of them.
        """
        self.left -= steps
        if self.left < 0:
            raise TooMuchWork


def walk(steps: Iterable[Place], value: Any) -> Any:
    """What is found at these names and indices one after the other, or ``MISSING``."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict):
                return MISSING
            value = value.get(step, MISSING)
        elif isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


def members(value: Any) -> Collection[Any]:
    """What an object or an array holds; anything else holds nothing."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def places(value: Any) -> Collection[Place]:
    """All places in an object or an array; in anything else there are none."""
    if isinstance(value, dict):
        return value.keys()
    return range(len(value)) if isinstance(value, list) else ()
