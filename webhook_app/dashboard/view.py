"""What the pages about contacts and operations have in common."""

from typing import TYPE_CHECKING, Any

from flask import render_template, request

from webhook_app.dashboard.header import Header, read_header

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: The longest reason that is kept with what somebody did.
WHY_LENGTH = 200


def head(parts: "Parts") -> Header:
    """The figures on top of a page."""
    return read_header(parts.store)


def show(parts: "Parts", template: str, **values: Any) -> str:
    """A page with the header on top of it."""
    header = values.pop("header", None) or head(parts)
    return render_template(f"dashboard/{template}.html", header=header, now=header.now, **values)


def why() -> str:
    """Why somebody does what a form asks for, in their words, fit to be kept."""
    text = request.form.get("why", "")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:WHY_LENGTH]
