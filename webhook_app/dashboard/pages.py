"""The pages, and what is on all of them: the navigation and the header."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Blueprint, current_app, render_template

from webhook_app.access import Role
from webhook_app.dashboard.header import read_header
from webhook_app.dashboard.session import needs
from worker.model import State

if TYPE_CHECKING:
    from webhook_app import Parts


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation: its view, its name, and the letter that goes there after ``g``."""

    endpoint: str
    name: str
    key: str


PLACES = (
    Place("dashboard.start", "Overview", "o"),
    Place("dashboard.contacts", "Contacts", "c"),
    Place("dashboard.operations", "Operations", "p"),
)

#: What a state means to an operator, in the order of a contact's life.
MEANINGS = {
    State.PENDING: "Came in, not tried yet.",
    State.SENDING: "A worker is at it now.",
    State.RETRYING: "Did not get through; tried again by itself.",
    State.CREATED: "In LiveDesk, once.",
    State.CONFLICT: "LiveDesk has somebody else with this e-mail or phone. Needs a person.",
    State.FAILED: "Given up: LiveDesk does not take it as it is. Needs a person.",
    State.DISCARDED: "Put aside by an operator.",
}


def register(views: Blueprint, parts: "Parts") -> None:
    @views.app_context_processor
    def everywhere() -> dict[str, object]:
        macros: Any = current_app.jinja_env.get_template("dashboard/macros.html")
        return {"places": PLACES, "ui": macros.module}

    @views.get("/", strict_slashes=False)
    @needs(Role.VIEWER)
    def start() -> str:
        return render_template("dashboard/start.html", header=read_header(parts.history), meanings=MEANINGS)

    @views.get("/header")
    @needs(Role.VIEWER)
    def header() -> str:
        """The header alone, for pages that are open and keep it fresh."""
        return render_template("dashboard/header.html", header=read_header(parts.history))
