"""``/dashboard``: what is broken, since when, why, for how many; and one cause."""

from collections import Counter
from functools import partial

from flask import abort, request

from webhook_app.access import Role
from webhook_app.dashboard.advice import next_step
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.headline import headline_of
from webhook_app.dashboard.operations import shares
from webhook_app.dashboard.pages import or_unknown, read_overview, show
from webhook_app.dashboard.session import needs
from webhook_app.parts import current_parts
from webhook_app.present.masking import masked_text
from webhook_app.present.wording import ACTION_WORDS
from worker.actions import TAKEN_CAUSES
from worker.causes import explain
from worker.model import State
from worker.store.lists import Filter
from worker.store.overview import Cause

#: Causes on the overview; contacts in the sample of one cause.
MAX_CAUSES, MAX_SAMPLE = 50, 10
#: Answers of LiveDesk that are quoted: on a cause's page, causes on the overview, and contacts read for
#: each of these.
MAX_WORDS, MAX_QUOTED, MAX_READ = 5, 5, 3
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
        said=_latest_words(causes or []),
        step_of=lambda group: next_step(explain(group.cause), overview.upstream if overview else None),
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
    overview = read_overview()
    return show(
        "cause",
        group=group,
        explained=explain(cause),
        rows=rows,
        step=next_step(explain(cause), overview.upstream if overview else None),
        words_of=_words([row.key for row in rows or []], cause),
        words=ACTION_WORDS,
        resolutions=resolutions,
    )


def _words(found: list[str], cause: str) -> list[tuple[str, int]]:
    """Return what LiveDesk wrote about these contacts, masked, and how often the same."""
    records = or_unknown(lambda: current_parts().store.contacts.read_many(found)) or {}
    latest = [(record.attempts[-1], record.contact) for record in records.values() if record.attempts]
    said = Counter(
        masked_text(attempt.excerpt, contact)
        for attempt, contact in latest
        if attempt.excerpt and attempt.cause == cause
    )
    return said.most_common(MAX_WORDS)


def _latest_words(causes: list[Cause]) -> dict[str, str]:
    """Return what LiveDesk wrote about the latest contact of the largest causes."""
    lists = current_parts().store.lists
    said: dict[str, str] = {}
    for group in [each for each in causes if each.waiting][:MAX_QUOTED]:
        latest = Filter(cause=group.cause)
        rows = or_unknown(partial(lists.page, latest, limit=MAX_READ))
        found = _words([row.key for row in rows.rows] if rows else [], group.cause)
        if found:
            said[group.cause] = found[0][0]
    return said
