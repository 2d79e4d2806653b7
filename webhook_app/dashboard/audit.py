"""``/dashboard/audit``: who did what by hand, to whom and why."""

import re
from typing import TYPE_CHECKING

from flask import Blueprint, render_template, request

from webhook_app.access import Role
from webhook_app.dashboard.header import or_unknown, read_header
from webhook_app.dashboard.session import needs

if TYPE_CHECKING:
    from webhook_app.parts import Parts

PAGE = 50
#: The id of an entry, as Redis makes it.
ENTRY = re.compile("[0-9]{1,15}-[0-9]{1,15}")


def register(views: Blueprint, parts: "Parts") -> None:
    @views.get("/audit")
    @needs(Role.VIEWER)
    def audit() -> str:
        given = request.args.get("before", "")
        before = given if ENTRY.fullmatch(given) else None
        entries = or_unknown(lambda: parts.store.audit.page(before=before, limit=PAGE + 1))
        return render_template(
            "dashboard/audit.html",
            header=read_header(parts.store),
            entries=entries[:PAGE] if entries else entries,
            before=before,
            later=entries[PAGE - 1].id if entries and len(entries) > PAGE else None,
        )
