"""What every page has: the overview on top, navigation, macros and filters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import current_app, flash, g, redirect, render_template, request
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.dashboard import errors, headline
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.session import csrf_token, current_user, needs
from webhook_app.operator import ActionRefused, Operator, Reason
from webhook_app.parts import current_parts
from webhook_app.present import wording
from webhook_app.present.masking import masked, masked_text
from webhook_app.present.sending import STATE_WORDS, goes_when
from worker.actions import may
from worker.errors import StoreError
from worker.store.overview import Overview

T = TypeVar("T")

#: Characters of the reason that is kept with an action.
MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class NavItem:
    """A navigation entry: its view, its name, and the key that opens it after ``g``."""

    endpoint: str
    name: str
    key: str


NAVIGATION = (
    NavItem("dashboard.start", "Overview", "o"),
    NavItem("dashboard.contacts", "Contacts", "c"),
    NavItem("dashboard.operations", "Operations", "p"),
    NavItem("dashboard.upstream", "LiveDesk", "l"),
    NavItem("dashboard.sources", "Sources", "s"),
    NavItem("dashboard.workers", "Workers", "w"),
    NavItem("dashboard.audit", "Audit", "a"),
)


def show(template: str, **values: Any) -> str:
    """Render a page with the overview on top of it."""
    return render_template(f"dashboard/{template}.html", overview=read_overview(), now=now(), **values)


def read_overview() -> Overview | None:
    """Return the overview, read once per request; ``None`` if Redis is unavailable."""
    if "overview" not in g:
        g.overview = or_unknown(current_parts().store.overview.read)
    found: Overview | None = g.overview
    return found


def now() -> int:
    """Return the time in ms since the epoch: Redis's, or ours if it is unavailable."""
    overview = read_overview()
    return overview.now if overview else int(current_parts().clock() * 1000)


def or_unknown(read: Callable[[], T]) -> T | None:
    """Return what ``read`` returns; ``None`` (unknown, not 0) if Redis is unavailable."""
    try:
        return read()
    except StoreError:
        return None


def reason() -> str:
    """Return the reason in the form, on one line, without control characters."""
    text = request.form.get("why", "")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:MAX_REASON]


def operator() -> Operator:
    """Return what the person who is signed in can do."""
    user = current_user()
    assert user is not None
    return Operator(current_parts(), user.name, user.way)


def shown_identifier(text: str) -> str:
    """Return an identifier; to viewers, one that is an address or a number is masked."""
    return text if sees_identifiers() else masked("identifier", text)


def sees_identifiers() -> bool:
    """Return whether identifiers are shown as they are: an operator needs them."""
    user = current_user()
    return user is not None and user.is_operator


def back(message: str, tone: str = "message") -> Response:
    """Return to the page of the form (its address minus the last part) with a message."""
    flash(message, tone)
    return redirect(request.path.rpartition("/")[0], 303)


@blueprint.errorhandler(ActionRefused)
def action_refused(refusal: ActionRefused) -> Response:
    if refusal.reason is Reason.GONE:
        return errors.page(404, errors.PAGES[404][0], str(refusal))
    return back(str(refusal), "error")


@blueprint.get("/header")
@needs(Role.VIEWER)
def header() -> str:
    """The figures on top of a page, for pages that refresh them."""
    return show("header")


@blueprint.app_context_processor
def template_values() -> dict[str, object]:
    """What every template may use."""
    macros: Any = current_app.jinja_env.get_template("dashboard/macros.html")
    return {
        "user": current_user(),
        "navigation": NAVIGATION,
        "max_reason": MAX_REASON,
        "may": may,
        "ui": macros.module,
        "state_words": STATE_WORDS,
        "goes_when": goes_when,
        "reach": headline.reach,
        "reach_reason": headline.reach_reason,
        "alarm": headline.alarm,
        "on_the_way": headline.on_the_way,
    }


blueprint.add_app_template_global(csrf_token)
blueprint.add_app_template_filter(shown_identifier, "identifier")
blueprint.add_app_template_filter(lambda text, contact=None: masked_text(text or "", contact), "masked_text")
for name, function in wording.FILTERS.items():
    blueprint.add_app_template_filter(function, name)
