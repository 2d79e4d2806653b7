"""``/dashboard``: what is broken, since when, whose fault and how many people it hits; and one cause by itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Blueprint, abort, render_template, request

from webhook_app.access import Role
from webhook_app.dashboard.header import Header, Reach, header_of, or_unknown, read_header
from webhook_app.dashboard.session import needs
from webhook_app.present.wording import people
from worker.causes import Fault, explain
from worker.model import State
from worker.process.alive import FRESH_MS
from worker.store.lists import Filter
from worker.store.overview import Cause, Overview
from worker.store.queue import Workers
from worker.store.upstream import Upstream

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: Causes that are shown; and contacts as a sample of one.
CAUSES_SHOWN, SAMPLE = 50, 10
#: What the flow of the last hour draws.
FLOW = ("accepted", "created", "failed")

#: What a state means to an operator, in the order of a contact's life.
MEANINGS = {
    State.PENDING: "Came in, not tried yet.",
    State.SENDING: "A worker is at it now.",
    State.RETRYING: "Did not get through; tried again by itself.",
    State.CREATED: "In LiveDesk, once.",
    State.CONFLICT: "LiveDesk has somebody else with this e-mail or phone. Needs a person.",
    State.FAILED: "Given up: LiveDesk does not take it as it is. Needs a person.",
    State.DISCARDED: "Put aside by an operator.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The first thing that an operator reads. ``since`` is in ms; ``rest`` are sentences that follow."""

    tone: str
    what: str
    since: int | None = None
    rest: tuple[str, ...] = ()


def register(views: Blueprint, parts: "Parts") -> None:
    @views.get("/", strict_slashes=False)
    @needs(Role.VIEWER)
    def start() -> str:
        situation = or_unknown(parts.store.overview.read)
        causes = or_unknown(lambda: parts.store.overview.causes(CAUSES_SHOWN))
        workers = or_unknown(parts.store.queue.workers)
        operations = or_unknown(parts.store.operations.latest)
        quarantined = or_unknown(parts.store.quarantine.size)
        # Which causes the page that polls has: it gets no new rows by itself, but is told that there are some.
        shown = request.args.get("shown", "").split(",")
        is_poll = "shown" in request.args
        return render_template(
            "dashboard/overview.html",
            header=header_of(situation),
            verdict=verdict_of(situation, causes or [], workers, quarantined or 0),
            causes=causes,
            quarantined=quarantined,
            new_causes=sum(group.cause not in shown for group in causes or []) if is_poll else 0,
            explain=explain,
            flow=or_unknown(parts.store.overview.flow),
            series=FLOW,
            running=None if operations is None else [each for each in operations if each.state.is_active],
            meanings=MEANINGS,
        )

    @views.get("/causes/<cause>")
    @needs(Role.VIEWER)
    def cause(cause: str) -> str:
        group = parts.store.overview.cause(cause)
        if group is None:
            abort(404, "No attempt has ended with this cause.")
        return render_template(
            "dashboard/cause.html",
            header=read_header(parts.store),
            group=group,
            explained=explain(cause),
            rows=or_unknown(lambda: parts.store.lists.page(Filter(cause=cause), limit=SAMPLE).rows),
        )


def verdict_of(
    situation: Overview | None, causes: list[Cause], workers: Workers | None, quarantined: int = 0
) -> Verdict | None:
    """What to say first; ``None`` where the situation is unknown. What stops everybody goes before what stops some."""
    if situation is None:
        return None
    header = header_of(situation)
    upstream = situation.upstream
    waiting = f"{people(header.open or 0)} {'waits' if header.open == 1 else 'wait'}; nothing is lost."
    if header.upstream and header.upstream.reach.is_stopped:
        return _stopped(header, upstream, waiting)
    seen = workers.seen.values() if workers else []
    if workers and all(workers.now - at > FRESH_MS for at in seen):
        return Verdict(
            tone="bad",
            what="No worker has been running",
            since=max(seen, default=None),
            rest=("The fault is ours.", waiting, "Start a worker: everything else follows.", *_besides(header)),
        )
    if upstream.inboxes:
        named = ", ".join(held.inbox or "(none set)" for held in upstream.inboxes)
        explained = explain("inbox_not_found")
        held = sum(group.waiting for group in causes if group.cause == "inbox_not_found")
        return Verdict(
            tone="bad",
            what=f"LiveDesk does not know inbox {named}",
            since=min(held.since for held in upstream.inboxes),
            rest=(
                explained.fault.sentence,
                f"{people(held)} {'waits' if held == 1 else 'wait'}.",
                explained.meaning,
                explained.todo,
                *_besides(header),
            ),
        )
    groups = [group for group in causes if group.waiting]
    if groups:
        return _of_causes(header, groups)
    if header.broken:
        return Verdict(tone="warn", what=f"{people(header.broken)} did not get to LiveDesk", rest=_besides(header))
    if quarantined:
        made = f"{quarantined:,} {'delivery' if quarantined == 1 else 'deliveries'} made no contact"
        return Verdict(tone="warn", what=made, rest=("Everybody else is well.", *_still_open(header)))
    return Verdict(tone="good", what="All is well", rest=("Nobody needs you.", *_still_open(header)))


def _stopped(header: Header, upstream: Upstream, waiting: str) -> Verdict:
    if upstream.paused_at:
        return Verdict(
            tone="warn",
            what=f"{upstream.paused_by} has paused the sync: {upstream.paused_why}",
            since=upstream.paused_at,
            rest=("Nothing is sent to LiveDesk until somebody resumes it.", waiting, *_besides(header)),
        )
    explained = explain(upstream.cause or "")
    is_down = upstream.stop == Reach.DOWN
    what = "LiveDesk is down" if is_down else "We are misconfigured"
    # One lost answer tells little; so many that the breaker opened are LiveDesk's.
    fault = Fault.LIVEDESK if is_down and explained.fault is Fault.UNKNOWN else explained.fault
    return Verdict(
        tone="bad",
        what=f"{what}: {explained.title}",
        since=upstream.since,
        rest=(fault.sentence, waiting, explained.todo, *_besides(header)),
    )


def _of_causes(header: Header, groups: list[Cause]) -> Verdict:
    """What most of those wait for that did not get through, and how many others there are."""
    most = groups[0]
    explained = explain(most.cause)
    total = sum(group.waiting for group in groups)
    others = len(groups) - 1
    more = f"{people(total - most.waiting)} more by {others} other {'cause' if others == 1 else 'causes'}."
    return Verdict(
        tone="bad" if header.broken else "warn",
        what=f"{people(most.waiting)} cannot get to LiveDesk: {explained.title}",
        since=most.first_seen,
        rest=(explained.fault.sentence, *((more,) if others else ()), *_besides(header)),
    )


def _besides(header: Header) -> tuple[str, ...]:
    """Who waits for a person to act."""
    if not header.broken:
        return ()
    return (f"{people(header.broken)} {'needs' if header.broken == 1 else 'need'} a person to act.",)


def _still_open(header: Header) -> tuple[str, ...]:
    if not header.open:
        return ()
    return (f"{people(header.open)} {'is' if header.open == 1 else 'are'} on the way.",)
