"""``/dashboard/audit``: what operators did and the sync decided, and why."""

import re
from collections.abc import Mapping

from flask import abort, redirect, request, url_for
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.contacts import MAX_SEARCH, find
from webhook_app.dashboard.pages import now, or_unknown, show
from webhook_app.dashboard.session import needs
from webhook_app.operator import InvalidInput, parse_audit_filter
from webhook_app.parts import current_parts
from webhook_app.present.csv_export import audit_as_csv
from webhook_app.present.wording import WAY_WORDS
from worker.store.audit import AuditFilter

PAGE = 50
#: The id of an entry of a Redis stream.
ENTRY = re.compile("[0-9]{1,15}-[0-9]{1,15}")
#: A contact's key, which is in the log also after the contact was erased.
KEY = re.compile("[A-Za-z0-9._]{16}")
#: The values of the filter by how somebody is known.
WAYS = [("", "any way"), *WAY_WORDS.items()]
FIELDS = ("who", "way", "action", "contact", "since", "until")


@blueprint.get("/audit")
@needs(Role.VIEWER)
def audit() -> str:
    given = request.args.get("before", "")
    before = given if ENTRY.fullmatch(given) else None
    wanted, fields = _wanted(request.args), _fields(request.args)
    store = current_parts().store
    entries = or_unknown(lambda: store.audit.page(before=before, limit=PAGE + 1, wanted=wanted))
    later = entries[PAGE - 1].id if entries and len(entries) > PAGE else None
    entries = entries and entries[:PAGE]
    return show("audit", entries=entries, before=before, later=later, fields=fields, ways=WAYS)


@blueprint.post("/audit")
@needs(Role.VIEWER)
def audit_find() -> Response:
    """Filter by POST, and replace an identifier by the contact's key.

    Logs record addresses, where no identifier must appear.
    """
    fields, contact = _fields(request.form), request.form.get("contact", "").strip()[:MAX_SEARCH]
    if contact:
        found = find(current_parts(), contact)
        fields["contact"] = found[0] if found else contact if KEY.fullmatch(contact) else "unknown"
    return redirect(url_for("dashboard.audit", **fields), 303)  # type: ignore[arg-type]


@blueprint.get("/audit.csv")
@needs(Role.VIEWER)
def audit_csv() -> Response:
    lines = audit_as_csv(current_parts(), _wanted(request.args))
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return Response(lines, 200, headers, content_type="text/csv; charset=utf-8; header=present")


def _fields(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given[name].strip() for name in FIELDS if given.get(name, "").strip()}


def _wanted(given: Mapping[str, str]) -> AuditFilter:
    """Return the filter in an address; one that is invalid ends the request with 400."""
    try:
        return parse_audit_filter(_fields(given), now())
    except InvalidInput as error:
        problems = "; ".join(f"{name} {problem}" for name, problem in error.problems.items())
        abort(400, f"Invalid filter: {problems}.")
