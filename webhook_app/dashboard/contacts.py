"""Lists of contacts, by state or cause, filtered and in pages; finding one; the lists as CSV."""

import re

from flask import abort, redirect, request, url_for
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.operations import MAX_INLINE
from webhook_app.dashboard.pages import operator, read_overview, show
from webhook_app.dashboard.selection import AGES, Selection, select
from webhook_app.dashboard.session import needs
from webhook_app.operator import describe_filter
from webhook_app.parts import Parts, current_parts
from webhook_app.present.csv_export import as_csv
from worker.model import BulkAction, State
from worker.store.lists import MAX_SCANNED, Filter, Page
from worker.store.overview import Overview

ROWS = 50
#: The tabs, those that need an operator first.
TABS = (
    *(State.FAILED, State.CONFLICT, State.RETRYING, State.PENDING, State.SENDING, State.CREATED),
    State.DISCARDED,
)
POSITION = re.compile(r"[0-9]{1,15}:[A-Za-z0-9._]{16}")
#: Characters of a search text: identifiers and addresses have at most 255.
MAX_SEARCH = 300


@blueprint.get("/contacts")
@needs(Role.VIEWER)
def contacts() -> str:
    parts, overview = current_parts(), read_overview()
    selected = select(request.args, _most_urgent(overview))
    after = request.args.get("after")
    page = parts.store.lists.page(selected.filter, after=_position(after), limit=ROWS)
    return show(
        "contacts",
        selected=selected,
        page=page,
        is_first=after is None,
        number=_number(parts, selected.filter, page, is_first=after is None),
        filter_words=describe_filter(selected.filter),
        tabs=_tabs(overview, selected),
        causes=_options(parts.store.overview.cause_names(), selected.filter.cause),
        sources=_options([*parts.sources, "import"], selected.filter.source),
        ages=[(name, words) for name, (words, _) in AGES.items()],
        actions=[action for action in BulkAction if _can(action, selected.filter)],
        max_inline=MAX_INLINE,
        is_empty=overview is not None and not any(overview.counts.values()),
    )


@blueprint.post("/contacts/find")
@needs(Role.VIEWER)
def contacts_find() -> Response | str:
    """Find one contact. By POST, because logs record addresses, and the search text may be personal data."""
    text = request.form.get("q", "").strip()[:MAX_SEARCH]
    found = find(current_parts(), text) if text else []
    if len(found) == 1:
        return redirect(url_for("dashboard.contact", key=found[0]), 303)
    return show("found", text=text, rows=current_parts().store.lists.rows(found))


@blueprint.get("/contacts.csv")
@needs(Role.VIEWER)
def contacts_csv() -> Response:
    return _download(personal=False)


@blueprint.post("/contacts.csv")
@needs(Role.OPERATOR)
def contacts_csv_personal() -> Response:
    return _download(personal=True)


def find(parts: Parts, text: str) -> list[str]:
    """Return the keys of the contacts with this value. A phone number may contain spaces and punctuation."""
    found = parts.store.lists.search(text)
    if not found and re.fullmatch(r"\+[\d\s().\-/]+", text):
        found = parts.store.lists.search("+" + re.sub(r"\D", "", text))
    return found


def _most_urgent(overview: Overview | None) -> State:
    """Return the list to open if the address names none: the first that is not empty."""
    counts = overview.counts if overview else {}
    return next((state for state in TABS if counts.get(state)), State.PENDING)


def _position(after: str | None) -> str | None:
    if after is not None and not POSITION.fullmatch(after):
        abort(400, "'after' is not a position in a list. Start again from the first page.")
    return after


def _number(parts: Parts, wanted: Filter, page: Page, *, is_first: bool) -> int | None:
    """Return how many contacts match, or ``None`` if there are too many to check each of them."""
    if is_first and page.after is None:
        return len(page.rows)
    counted = parts.store.lists.count(wanted, most=MAX_SCANNED)
    return None if counted.at_least else counted.number


def _tabs(overview: Overview | None, selected: Selection) -> list[tuple[str, str, int | None, bool]]:
    """Return the tabs. Each counts every contact in its state, so its link has no filter."""
    return [
        (
            state.value.capitalize(),
            url_for("dashboard.contacts", state=state.value),
            overview.counts[state] if overview else None,
            selected.filter.state is state,
        )
        for state in TABS
    ]


def _options(names: list[str], chosen: str | None) -> list[tuple[str, str]]:
    more = [chosen] if chosen and chosen not in names else []
    return [("", "any"), *((name, name) for name in [*names, *more])]


def _can(action: BulkAction, wanted: Filter) -> bool:
    return wanted.state is None or wanted.state in action.eligible


def _download(*, personal: bool) -> Response:
    wanted = select(request.args).filter
    lines = as_csv(current_parts(), wanted, reveal=personal)
    operator().contacts.export_list(wanted, reveal=personal)
    headers = {"Content-Disposition": 'attachment; filename="contacts.csv"'}
    return Response(lines, 200, headers, content_type="text/csv; charset=utf-8; header=present")
