"""``/dashboard/workers``: the hosts that workers run on, and whether they keep up."""

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.pages import or_unknown, show
from webhook_app.dashboard.session import needs
from webhook_app.parts import current_parts
from worker.store.queue import HEARTBEAT_FRESH_MS


@blueprint.get("/workers")
@needs(Role.VIEWER)
def workers() -> str:
    return show("workers", workers=or_unknown(current_parts().store.queue.workers), fresh_ms=HEARTBEAT_FRESH_MS)
