"""The contacts that a page is about: its filter, and the age chosen."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import abort

from webhook_app.dashboard.pages import now
from webhook_app.operator import InvalidInput, parse_filter
from worker.model import State
from worker.store.lists import Filter

#: How long contacts have been in their state: words, and what the filter says.
AGES: dict[str, tuple[str, dict[str, str]]] = {
    "": ("any time", {}),
    "1h": ("in the last hour", {"since": "1h"}),
    "24h": ("in the last 24 hours", {"since": "24h"}),
    "7d": ("in the last 7 days", {"since": "7d"}),
    "over-1h": ("more than 1 hour ago", {"until": "1h"}),
    "over-24h": ("more than 24 hours ago", {"until": "24h"}),
    "over-7d": ("more than 7 days ago", {"until": "7d"}),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter, with the times that the chosen age means now, and that age."""

    filter: Filter
    age: str = ""

    def address(self) -> dict[str, str]:
        """Return the query of an address that selects the same contacts later, too."""
        fields = self.filter.dump()
        if self.age:
            fields.pop("since", None)
            fields.pop("until", None)
            fields["age"] = self.age
        return fields


def select(args: Mapping[str, str], default: State | None = None) -> Selection:
    """Return what an address selects; ``default``: if neither state nor cause.

    A filter that is invalid ends the request with 400.
    """
    age = args.get("age", "")
    if age not in AGES:
        abort(400, f"Invalid age. Choose one of: {', '.join(filter(None, AGES))}.")
    fields = {**args, **AGES[age][1]}
    if not fields.get("state") and not fields.get("cause") and default is not None:
        fields["state"] = default.value
    try:
        return Selection(parse_filter(fields, now()), age)
    except InvalidInput as error:
        problems = "; ".join(f"{name} {problem}" for name, problem in error.problems.items())
        abort(400, f"Invalid filter: {problems}.")
