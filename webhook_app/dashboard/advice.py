"""Which button is the advice: one rule for all pages. Pure."""

from enum import StrEnum

from worker import causes
from worker.actions import TAKEN_CAUSES
from worker.causes import Cause, Fault
from worker.store.upstream import Upstream


class Step(StrEnum):
    """What an operator should do next about the contacts of a cause."""

    #: Resume the sync, which an operator has paused.
    RESUME = "resume"
    #: Ask LiveDesk again now. Nothing else helps while it accepts nothing.
    PROBE = "probe"
    #: Decide who is who: compare, adopt, and the like.
    RESOLVE = "resolve"
    #: Open one contact and read what LiveDesk answered.
    OPEN = "open"
    RETRY = "retry"
    #: Look at the workers.
    WORKERS = "workers"
    #: Nothing: contacts are sent automatically.
    WAIT = "wait"


#: The causes whose advice does not follow from whose fault it is.
OWN_STEPS = {
    causes.PHONE_NUMBER_TAKEN: Step.RETRY,
    causes.WORKER_DIED: Step.WORKERS,
    causes.IDENTIFIER_FOUND_TWICE: Step.OPEN,
    causes.CONTACT_GONE: Step.OPEN,
}
#: How the advice to look at the contacts begins.
LOOK = ("Open one contact", "Search for it in LiveDesk")


def next_step(cause: Cause, upstream: Upstream | None) -> Step:
    """Return what to do about the contacts of a cause, as LiveDesk is now."""
    if upstream and upstream.paused_at:
        return Step.RESUME
    if upstream and (upstream.stop or cause.slug in {held.cause for held in upstream.inboxes}):
        return Step.PROBE
    if own := OWN_STEPS.get(cause):
        return own
    if cause.slug in TAKEN_CAUSES:
        return Step.RESOLVE
    return Step.OPEN if cause.fault is Fault.CONTACT or cause.todo.startswith(LOOK) else Step.WAIT
