"""``/dashboard``: what is broken, since when, why, for how many; and one cause."""

from flask import abort, request

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.headline import headline_of
from webhook_app.dashboard.operations import shares
from webhook_app.dashboard.pages import or_unknown, read_overview, show
from webhook_app.dashboard.session import needs
from webhook_app.parts import current_parts
from webhook_app.present.wording import ACTION_WORDS
from worker.actions import TAKEN_CAUSES
from worker.causes import explain
from worker.model import State
from worker.store.lists import Filter

#: Causes on the overview; contacts in the sample of one cause.
MAX_CAUSES, MAX_SAMPLE = 50, 10
#: Counters in the chart of the last hour, with their labels.
FLOW = (("accepted", "accepted"), ("created", "created"), ("updated", "changes sent"), ("failed", "failed"))

#: What each state means to an operator, in the order of a contact's life.
MEANINGS = {
    State.PENDING: "Received, or changed at the source; not tried yet.",
    State.SENDING: "A worker is sending it now.",
    State.RETRYING: "Not delivered yet; retried automatically.",
    State.CREATED: "In LiveDesk, exactly once.",
    State.CONFLICT: "Another contact in LiveDesk has its e-mail address, or an agent deleted it there. Needs you.",
    State.FAILED: "Given up: LiveDesk rejects it as it is. Needs you.",
    State.DISCARDED: "Dropped by an operator.",
    State.DELETED: "The source deleted the person. No late repeat creates them again.",
}
#: What waits in each lane.
LANES = {
    "operator": "what operators wait for",
    "new": "new signups",
    "retry": "retries",
    "deletion": "deletions",
    "change": "changes",
    "bulk": "operations and imports",
    "held": "waiting for their inbox",
}


@blueprint.get("/", strict_slashes=False)
@needs(Role.VIEWER)
def start() -> str:
    """Render the overview; a page that polls gets only the number of what is new."""
    parts, overview = current_parts(), read_overview()
    causes = or_unknown(lambda: parts.store.overview.causes(MAX_CAUSES))
    workers = or_unknown(parts.store.queue.workers)
    quarantined = or_unknown(parts.store.quarantine.size)
    operations = or_unknown(parts.store.operations.latest)
    shown = request.args["shown"].split(",") if "shown" in request.args else None
    clashes = len(overview.clashes) if overview else 0
    return show(
        "overview",
        headline=headline_of(overview, causes or [], workers, quarantined or 0) if overview else None,
        causes=causes,
        quarantined=quarantined,
        new_causes=0 if shown is None else sum(group.cause not in shown for group in causes or []),
        new_clashes=max(0, clashes - request.args.get("clashes", clashes, type=int)),
        explain=explain,
        flow=or_unknown(parts.store.overview.flow),
        series=FLOW,
        running=None if operations is None else [each for each in operations if each.state.is_active],
        meanings=MEANINGS,
        lanes=LANES,
        shares=shares,
        taken_causes=TAKEN_CAUSES,
    )


@blueprint.get("/causes/<cause>")
@needs(Role.VIEWER)
def cause(cause: str) -> str:
    """One cause: what it means, what to do, and a sample of its contacts."""
    parts = current_parts()
    group = parts.store.overview.cause(cause) or abort(404, "No attempt has failed with this cause.")
    rows = or_unknown(lambda: parts.store.lists.page(Filter(cause=cause), limit=MAX_SAMPLE).rows)
    resolutions = [action for action in ACTION_WORDS if action.resolves and cause in TAKEN_CAUSES]
    words = {"words": ACTION_WORDS, "resolutions": resolutions}
    return show("cause", group=group, explained=explain(cause), rows=rows, **words)
