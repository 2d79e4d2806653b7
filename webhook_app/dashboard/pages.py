"""What is on all pages: the navigation, the header, and the parts that they are made of."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Blueprint, current_app, render_template

from webhook_app.access import Role
from webhook_app.dashboard.header import read_header
from webhook_app.dashboard.session import needs

if TYPE_CHECKING:
    from webhook_app.parts import Parts


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
    Place("dashboard.upstream", "LiveDesk", "l"),
    Place("dashboard.sources", "Sources", "s"),
    Place("dashboard.workers", "Workers", "w"),
    Place("dashboard.audit", "Audit", "a"),
)


def register(views: Blueprint, parts: "Parts") -> None:
    @views.app_context_processor
    def everywhere() -> dict[str, object]:
        macros: Any = current_app.jinja_env.get_template("dashboard/macros.html")
        return {"places": PLACES, "ui": macros.module}

    @views.get("/header")
    @needs(Role.VIEWER)
    def header() -> str:
        """The header alone, for pages that are open and keep it fresh."""
        return render_template("dashboard/header.html", header=read_header(parts.store))
