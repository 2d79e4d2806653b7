"""Lists of contacts by state or cause, as pages and as CSV; and the search."""

import re
from dataclasses import replace

from flask import abort, redirect, request, url_for
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.dashboard.advice import Step, next_step
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.operations import MAX_INLINE
from webhook_app.dashboard.pages import operator, read_overview, sees_identifiers, show
from webhook_app.dashboard.selection import AGES, select
from webhook_app.dashboard.session import needs
from webhook_app.operator import WORK_NAMES, describe_filter
from webhook_app.parts import Parts, current_parts
from webhook_app.present.csv_export import as_csv
from worker.actions import TAKEN_CAUSES, BulkAction
from worker.causes import explain
from worker.model import State
from worker.store.lists import MAX_SCANNED, Filter, Page, Row
from worker.store.overview import Overview

ROWS = 50
#: The tabs, those that need an operator first.
TABS = (
    *(State.FAILED, State.CONFLICT, State.RETRYING, State.PENDING, State.SENDING, State.CREATED),
    *(State.DISCARDED, State.DELETED),
)
KEY = re.compile(r"[A-Za-z0-9._]{16}")
POSITION = re.compile(r"[0-9]{1,15}:[A-Za-z0-9._]{16}")
#: Characters of a search text: identifiers and addresses have at most 255.
MAX_SEARCH = 300


@blueprint.get("/contacts")
@needs(Role.VIEWER)
def contacts() -> str:
    store, overview = current_parts().store, read_overview()
    counts = overview.counts if overview else {}
    # If the address names no list: the first that is not empty.
    selected = select(request.args, next((state for state in TABS if counts.get(state)), State.PENDING))
    wanted, after = selected.filter, request.args.get("after")
    if after is not None and not POSITION.fullmatch(after):
        abort(400, "'after' is not a position in a list. Start again from the first page.")
    page = store.lists.page(wanted, after=after, limit=ROWS)
    shown = _shown(request.args.get("shown"))
    found = [row.key for row in page.rows]
    return show(
        "contacts",
        selected=selected,
        page=page if shown is None else replace(page, rows=_as_shown(page, shown)),
        moved=[] if shown is None else [key for key in shown if key not in found],
        news=shown is not None and shown != found,
        is_first=after is None,
        number=_number(wanted, page, is_first=after is None),
        filter_words=describe_filter(wanted),
        # Each tab counts every contact in its state, so its link has no filter.
        tabs=[(s.capitalize(), url_for(".contacts", state=s), counts.get(s), wanted.state is s) for s in TABS],
        causes=_options(store.overview.cause_names(), wanted.cause),
        sources=_options([*current_parts().sources, "import"], wanted.source),
        works=[("", "any"), *((work.value, name) for work, name in WORK_NAMES.items())],
        ages=[(name, words) for name, (words, _) in AGES.items()],
        actions=[each for each in BulkAction if not each.resolves and wanted.state in (None, *each.eligible)],
        resolves=wanted.state is State.CONFLICT or (wanted.state is None and wanted.cause in TAKEN_CAUSES),
        max_inline=MAX_INLINE,
        step=_step(wanted.cause, overview),
        is_empty=overview is not None and not any(counts.values()),
    )


@blueprint.post("/contacts/find")
@needs(Role.VIEWER)
def contacts_find() -> Response | str:
    """Find a contact, by POST because logs record addresses but not form values."""
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
    """Return the keys for this value; a phone number may contain punctuation."""
    found = parts.store.lists.search(text)
    if not found and re.fullmatch(r"\+[\d\s().\-/]+", text):
        found = parts.store.lists.search("+" + re.sub(r"\D", "", text))
    return found


def _step(cause: str | None, overview: Overview | None) -> Step:
    """Return what to do about a list; without a cause it is to retry, if that helps."""
    upstream = overview.upstream if overview else None
    if cause is None and upstream and upstream.state == "up":
        return Step.RETRY
    return next_step(explain(cause or ""), upstream)


def _shown(text: str | None) -> list[str] | None:
    """Return the keys that a page shows which refreshes its rows."""
    return None if text is None else [key for key in text.split(",")[:ROWS] if KEY.fullmatch(key)]


def _as_shown(page: Page, shown: list[str]) -> list[Row]:
    """Return these rows in this order, also those that have left the list by now."""
    rows = {row.key: row for row in current_parts().store.lists.rows(shown)} | {row.key: row for row in page.rows}
    return [rows[key] for key in shown if key in rows]


def _number(wanted: Filter, page: Page, *, is_first: bool) -> int | None:
    """Return the number of matches, or ``None`` if there are too many to check."""
    if is_first and page.after is None:
        return len(page.rows)
    counted = current_parts().store.lists.count(wanted, limit=MAX_SCANNED)
    return None if counted.at_least else counted.number


def _options(names: list[str], chosen: str | None) -> list[tuple[str, str]]:
    more = [chosen] if chosen and chosen not in names else []
    return [("", "any"), *((name, name) for name in [*names, *more])]


def _download(*, personal: bool) -> Response:
    wanted = select(request.args).filter
    lines = as_csv(current_parts(), wanted, reveal=personal, mask=not sees_identifiers())
    operator().contacts.export_list(wanted, reveal=personal)
    headers = {"Content-Disposition": 'attachment; filename="contacts.csv"'}
    return Response(lines, 200, headers, content_type="text/csv; charset=utf-8; header=present")
