"""``/dashboard/workers``: the worker processes, and what each does."""

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.pages import or_unknown, read_overview, show
from webhook_app.dashboard.session import needs
from webhook_app.parts import current_parts
from webhook_app.present.workers import list_workers
from worker.store.queue import HEARTBEAT_FRESH_MS


@blueprint.get("/workers")
@needs(Role.VIEWER)
def workers() -> str:
    overview, seen = read_overview(), or_unknown(current_parts().store.queue.workers)
    listed = list_workers(seen, overview.upstream if overview else None) if seen else []
    return show("workers", workers=seen, listed=listed, fresh_ms=HEARTBEAT_FRESH_MS)
