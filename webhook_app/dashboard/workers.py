"""``/dashboard/workers``: who brings contacts to LiveDesk, and whether they keep up."""

from typing import TYPE_CHECKING

from flask import Blueprint, render_template

from webhook_app.access import Role
from webhook_app.dashboard.header import header_of, or_unknown
from webhook_app.dashboard.session import needs
from worker.process.alive import FRESH_MS

if TYPE_CHECKING:
    from webhook_app.parts import Parts


def register(views: Blueprint, parts: "Parts") -> None:
    @views.get("/workers")
    @needs(Role.VIEWER)
    def workers() -> str:
        situation = or_unknown(parts.store.overview.read)
        return render_template(
            "dashboard/workers.html",
            header=header_of(situation),
            situation=situation,
            workers=or_unknown(parts.store.queue.workers),
            fresh_ms=FRESH_MS,
        )
