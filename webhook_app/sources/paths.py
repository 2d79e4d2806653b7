"""A path into a payload, compiled once, and what else a rule may look at.

A path is JSONPath (RFC 9535). It cannot run code, and what a filter asks may refer to the whole payload:
``$.data.emails[?@.id == $.data.primary_id].address``. A payload cannot make it run long (see ``search``).

Numbers in a payload are ``int`` or ``Decimal`` (see ``body``); a filter cannot order a ``Decimal``, only compare it for
being equal.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import jsonpath_rfc9535 as jsonpath

from webhook_app.sources.proof import Lookup
from webhook_app.sources.search import MISSING, Search, Work, compile_query, find, walk
from worker.normalise import as_text


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule has besides the payload: the delivery's headers, and the work that the delivery may still cause."""

    headers: Lookup = field(default_factory=dict[str, str], repr=False)
    work: Work = field(default_factory=Work)


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path. ``steps`` are the names and indices of a plain one, which needs no more than to be walked."""

    search: Search
    steps: tuple[str | int, ...] | None

    def value(self, payload: object, scope: Scope) -> object:
        """What is found there, or ``None``; of several values the first that can be a field's.

        A plain path may give a value of any type, so that it is noticed when it is a wrong one.
        """
        if self.steps is not None:
            return _found(self.steps, payload)
        return next((value for value in self.values(payload, scope) if is_usable(value)), None)

    def values(self, payload: object, scope: Scope) -> Iterable[object]:
        """Everything that is found there; nothing more from where the payload is nested too deeply to follow."""
        if self.steps is not None:
            return (_found(self.steps, payload),)
        return find(self.search, payload, scope.work) if isinstance(payload, dict | list) else ()


def compile_path(text: str) -> Path:
    """The path that ``text`` is, with or without ``$.`` before it.

    Raises:
        ValueError: it is not a path; the library's message says where.
    """
    if not text.startswith("$"):
        text = f"${text}" if text.startswith("[") else f"$.{text}"
    try:
        search = compile_query(text)
    except (jsonpath.JSONPathError, RecursionError) as error:
        raise ValueError(f"{text!r} is not a JSONPath: {error}") from error
    return Path(search, None if search.rest else search.plain)


def is_usable(value: object) -> bool:
    """Whether this can be a field's value: a number, or text that is not blank."""
    text = as_text(value)
    return text is not None and text.strip() != ""


def _found(steps: tuple[str | int, ...], payload: object) -> object:
    value = walk(steps, payload)
    return None if value is MISSING else value
