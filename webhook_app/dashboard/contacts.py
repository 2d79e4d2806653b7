"""Lists of contacts: by state or cause, filtered, in pages, found by what they are known by, as CSV."""

import re
from typing import TYPE_CHECKING

from flask import Blueprint, abort, redirect, request, url_for
from werkzeug import Response

from webhook_app import operator
from webhook_app.access import Role
from webhook_app.dashboard.filters import AGES, Asked, in_words, read_filter
from webhook_app.dashboard.header import Header
from webhook_app.dashboard.operations import INLINE_MOST
from webhook_app.dashboard.session import acting, needs
from webhook_app.dashboard.view import head, show
from webhook_app.present.csv_export import as_csv
from worker.model import State
from worker.store.lists import MAX_SCANNED, Filter, Page
from worker.store.operations import Action

if TYPE_CHECKING:
    from webhook_app.parts import Parts

ROWS = 50
#: The tabs, in the order of how much they need a person.
TABS = (
    *(State.FAILED, State.CONFLICT, State.RETRYING, State.PENDING, State.SENDING, State.CREATED),
    State.DISCARDED,
)
PLACE = re.compile(r"[0-9]{1,15}:[A-Za-z0-9._]{16}")
#: The longest thing that anybody is looked up by: an identifier or an address has 255 characters.
FIND_LENGTH = 300


def register(views: Blueprint, parts: "Parts") -> None:
    @views.get("/contacts")
    @needs(Role.VIEWER)
    def contacts() -> str:
        header = head(parts)
        asked = read_filter(request.args, header.now, _most_urgent(header))
        after = request.args.get("after")
        page = parts.store.lists.page(asked.filter, after=_place(after), limit=ROWS)
        return show(
            parts,
            "contacts",
            header=header,
            asked=asked,
            page=page,
            is_first=after is None,
            number=_number(parts, asked.filter, page, is_first=after is None),
            filter_words=in_words(asked.filter),
            tabs=_tabs(header, asked),
            causes=_causes(parts, asked),
            sources=_sources(parts, asked),
            ages=[(name, words) for name, (words, *_) in AGES.items()],
            actions=[action for action in Action if _can(action, asked.filter)],
            inline_most=INLINE_MOST,
        )

    @views.post("/contacts/find")
    @needs(Role.VIEWER)
    def contacts_find() -> Response | str:
        """By POST, so that no address of a person is in an address of a page, which logs keep."""
        text = request.form.get("q", "").strip()[:FIND_LENGTH]
        found = find(parts, text) if text else []
        if len(found) == 1:
            return redirect(url_for("dashboard.contact", key=found[0]), 303)
        return show(parts, "found", text=text, rows=parts.store.lists.rows(found))

    @views.get("/contacts.csv")
    @needs(Role.VIEWER)
    def contacts_csv() -> Response:
        return _download(parts, personal=False)

    @views.post("/contacts.csv", endpoint="contacts_csv_personal")
    @needs(Role.OPERATOR)
    def contacts_csv_personal() -> Response:
        return _download(parts, personal=True)


def find(parts: "Parts", text: str) -> list[str]:
    """The keys of whom this text leads to, as it is or, for a phone number, without what people put in between."""
    found = parts.store.lists.search(text)
    if not found and re.fullmatch(r"\+[\d\s().\-/]+", text):
        found = parts.store.lists.search("+" + re.sub(r"\D", "", text))
    return found


def _most_urgent(header: Header) -> State:
    """The list that opens where none is asked for: the first that holds anybody."""
    return next((state for state in TABS if header.count(state)), State.PENDING)


def _place(after: str | None) -> str | None:
    if after is not None and not PLACE.fullmatch(after):
        abort(400, "This is no place in a list.")
    return after


def _number(parts: "Parts", wanted: Filter, page: Page, *, is_first: bool) -> int | None:
    """How many the filter finds; ``None`` where there are too many to look at each of them."""
    if is_first and page.after is None:
        return len(page.rows)
    counted = parts.store.lists.count(wanted, most=MAX_SCANNED)
    return None if counted.at_least else counted.number


def _tabs(header: Header, asked: Asked) -> list[tuple[str, str, int | None, bool]]:
    """A tab counts all in its state, and leads to all of them: so it has no filter."""
    wanted = asked.filter
    return [
        (
            state.value.capitalize(),
            url_for("dashboard.contacts", state=state.value),
            header.count(state),
            wanted.state is state,
        )
        for state in TABS
    ]


def _causes(parts: "Parts", asked: Asked) -> list[tuple[str, str]]:
    return _options(parts.store.overview.cause_names(), asked.filter.cause)


def _sources(parts: "Parts", asked: Asked) -> list[tuple[str, str]]:
    return _options([*parts.sources, "import"], asked.filter.source)


def _options(names: list[str], chosen: str | None) -> list[tuple[str, str]]:
    more = [chosen] if chosen and chosen not in names else []
    return [("", "any"), *((name, name) for name in [*names, *more])]


def _can(action: Action, wanted: Filter) -> bool:
    return wanted.state is None or wanted.state in action.eligible


def _download(parts: "Parts", *, personal: bool) -> Response:
    wanted = read_filter(request.args, parts.store.now()).filter
    lines = as_csv(parts, wanted, reveal=personal)
    if personal:
        operator.reveal_list(parts, wanted, acting())
    else:
        parts.store.audit.add(acting(), f"downloaded a list: {wanted.words()}")
    headers = {"Content-Disposition": 'attachment; filename="contacts.csv"'}
    return Response(lines, 200, headers, content_type="text/csv; charset=utf-8; header=present")
