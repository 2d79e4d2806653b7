"""``/dashboard/audit``: what operators did and the sync decided, and why."""

import re

from flask import request

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.pages import or_unknown, show
from webhook_app.dashboard.session import needs
from webhook_app.parts import current_parts

PAGE = 50
#: The id of an entry of a Redis stream.
ENTRY = re.compile("[0-9]{1,15}-[0-9]{1,15}")


@blueprint.get("/audit")
@needs(Role.VIEWER)
def audit() -> str:
    given = request.args.get("before", "")
    before = given if ENTRY.fullmatch(given) else None
    entries = or_unknown(lambda: current_parts().store.audit.page(before=before, limit=PAGE + 1))
    later = entries[PAGE - 1].id if entries and len(entries) > PAGE else None
    return show("audit", entries=entries and entries[:PAGE], before=before, later=later)
