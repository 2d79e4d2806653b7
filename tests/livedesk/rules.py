"""When and how to misbehave: the rules that tests set over HTTP.

A rule is a JSON object. It applies to the requests that ``on``, ``identifier`` and ``share`` select, ``times`` times
or until it is cleared. The first rule that applies wins.
"""

import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from tests.livedesk.contact import MESSAGES
from tests.livedesk.message import ERROR_SHAPES, Request

ON = ("create", "search", "update", "read", "delete", "any")


class BadRule(Exception):
    """The rule is invalid; the text says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One requested misbehaviour.

    The package docstring explains the options of each mode.
    """

    mode: str
    on: str = "any"
    times: int | None = None
    identifier: str | None = None
    share: float = 1.0
    seed: int | None = None
    commit: bool = False
    delay: float | None = None
    status: int | None = None
    retry_after: float | str | None = None
    as_date: bool = False
    shape: str | None = None
    size: int | None = None
    depth: int | None = None
    location: str | None = None
    body: str | None = None
    content_type: str | None = None
    language: str | None = None
    echo: str | None = None
    length: str | None = None


NUMBER = (int, float)
TYPES: Mapping[str, tuple[type, ...]] = {
    "mode": (str,),
    "on": (str,),
    "times": (int, type(None)),
    "identifier": (str, type(None)),
    "share": NUMBER,
    "seed": (int, type(None)),
    "commit": (bool,),
    "delay": (*NUMBER, type(None)),
    "status": (int, type(None)),
    "retry_after": (*NUMBER, str, type(None)),
    "as_date": (bool,),
    "size": (int, type(None)),
    "depth": (int, type(None)),
}
"""The types of the options; the others are text or null."""

RANGES: Mapping[str, tuple[float, float]] = {
    "times": (1, 1e9),
    "share": (0, 1),
    "delay": (0, 86_400),
    "status": (200, 599),
    "size": (0, 1e12),
    "depth": (1, 5e6),
}


def rule_of(params: Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]]) -> Rule:
    """Make a rule of a JSON object; ``defaults`` has the default options of each mode."""
    mode = params.get("mode")
    if not isinstance(mode, str) or mode not in defaults:
        raise BadRule(f"mode must be one of: {', '.join(sorted(defaults))}.")
    known = {field.name for field in fields(Rule)}
    for name, value in params.items():
        if name not in known:
            raise BadRule(f"There is no option {name!r}.")
        check_option(name, value)
    check_words(params)
    return Rule(**{**defaults[mode], **params})


def check_option(name: str, value: object) -> None:
    types = TYPES.get(name, (str, type(None)))
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise BadRule(f"{name} has the wrong type.")
    low, high = RANGES.get(name, (float("-inf"), float("inf")))
    if isinstance(value, int | float) and not low <= value <= high:
        raise BadRule(f"{name} must be from {low:g} to {high:g}.")


def check_words(params: Mapping[str, Any]) -> None:
    """Check the options that have a list of values.

    Each mode checks its ``shape`` itself.
    """
    for name, words in (("on", ON), ("language", tuple(MESSAGES))):
        if params.get(name) is not None and params[name] not in words:
            raise BadRule(f"{name} must be one of: {', '.join(words)}.")


def shape_among(rule: Rule, shapes: tuple[str, ...] = ERROR_SHAPES) -> None:
    """Refuse a rule whose ``shape`` its mode does not have."""
    if rule.shape is not None and rule.shape not in shapes:
        raise BadRule(f"shape must be one of: {', '.join(shapes)}.")


def _is_chosen(rule: Rule, seen: Counter[tuple[str, str | None]], about: tuple[str, str | None]) -> bool:
    """Whether a request is in the rule's share.

    With a seed these are the same again, in whatever order the requests of several people arrive.
    """
    if rule.share >= 1 or rule.seed is None:
        return random.random() < rule.share
    seen[about] += 1
    return random.Random(f"{rule.seed} {about} {seen[about]}").random() < rule.share


class Rulebook:
    """The active rules, oldest first; safe to use from many threads."""

    def __init__(self, *, filters: frozenset[str] = frozenset()) -> None:
        """``filters``: the modes whose ``identifier`` selects contacts, not requests."""
        self._filters = filters
        self._lock = threading.Lock()
        #: Each with how many requests it has selected, by their kind and identifier.
        self._active: dict[int, tuple[Rule, Counter[tuple[str, str | None]]]] = {}
        self._left: dict[int, int | None] = {}
        self._last = 0

    def add(self, rule: Rule) -> int:
        with self._lock:
            self._last += 1
            self._active[self._last] = (rule, Counter())
            self._left[self._last] = rule.times
            return self._last

    def clear(self) -> None:
        with self._lock:
            self._active.clear()
            self._left.clear()

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [{"id": key, **asdict(rule), "left": self._left[key]} for key, (rule, _) in self._active.items()]

    def pick(self, request: Request, identifier: str | None) -> Rule | None:
        """Return the rule for this request about ``identifier``, counted down.

        ``None``: behave normally.
        """
        with self._lock:
            for key, (rule, seen) in self._active.items():
                if self._selects(rule, request, identifier) and _is_chosen(rule, seen, (request.kind, identifier)):
                    self._count_down(key)
                    return rule
        return None

    def _selects(self, rule: Rule, request: Request, identifier: str | None) -> bool:
        if rule.on not in ("any", request.kind):
            return False
        return rule.identifier is None or rule.mode in self._filters or rule.identifier == identifier

    def _count_down(self, key: int) -> None:
        left = self._left[key]
        if left is None:
            return
        self._left[key] = left - 1
        if left == 1:
            del self._active[key], self._left[key]
