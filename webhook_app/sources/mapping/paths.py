"""A path into a payload, compiled once, and what else a rule may look at.

A path is JSONPath (RFC 9535). It cannot run code, and what a filter asks may refer to the whole payload:
``$.data.emails[?@.id == $.data.primary_id].address``. A payload cannot make it run long (see ``search``).
"""

from dataclasses import dataclass, field

from webhook_app.sources.mapping.search import Find, compile_query
from webhook_app.sources.mapping.steps import MISSING, Work, walk
from webhook_app.sources.verify.delivery import Lookup
from worker.normalise import as_text


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule has besides the payload: the delivery's headers, and the work that the delivery may still cause."""

    headers: Lookup = field(default_factory=dict[str, str], repr=False)
    work: Work = field(default_factory=Work)


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path. ``steps`` are the names and indices of a plain one, which needs no more than to be walked."""

    find: Find
    steps: tuple[str | int, ...] | None

    def value(self, payload: object, scope: Scope) -> object:
        """What is found there, or ``None``; of several values the first that can be a field's.

        A plain path may give a value of any type, so that it is noticed when it is a wrong one.
        """
        if self.steps is not None:
            value = walk(self.steps, payload)
            return None if value is MISSING else value
        return next((value for value in self.find(payload, payload, scope.work) if is_usable(value)), None)

    def values(self, payload: object, scope: Scope) -> list[object]:
        """Everything that is found there.

        Raises:
            TooMuchWork: the payload holds too much to be searched.
        """
        if self.steps is not None:
            value = walk(self.steps, payload)
            return [] if value is MISSING else [value]
        return self.find(payload, payload, scope.work)


def compile_path(text: str) -> Path:
    """The path that ``text`` is, with or without ``$.`` before it.

    Raises:
        ValueError: it is not a path; the library's message says where.
    """
    search = compile_query(text)
    return Path(search.find, search.steps)


def is_usable(value: object) -> bool:
    """Whether this can be a field's value: a number, or text that is not blank."""
    text = as_text(value)
    return text is not None and text.strip() != ""
