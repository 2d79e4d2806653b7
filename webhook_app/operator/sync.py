"""The sync as a whole: paused, resumed, probed."""

from typing import TYPE_CHECKING

from webhook_app.operator.refusals import ActionRefused, Reason

if TYPE_CHECKING:
    from webhook_app.parts import Parts


def pause(parts: "Parts", who: str, why: str = "") -> None:
    """Nothing is sent to LiveDesk until somebody resumes."""
    if not parts.store.pause(who, why):
        raise ActionRefused(Reason.ALREADY, "It is paused already.")
    parts.desk.audit(who, "paused the sync", why=why)


def resume(parts: "Parts", who: str, why: str = "") -> None:
    """Ends a person's pause. Where the sync has stopped by itself, a probe goes at once."""
    if not parts.store.resume():
        raise ActionRefused(Reason.ALREADY, "It is not paused.")
    parts.desk.audit(who, "resumed the sync", why=why)


def probe(parts: "Parts", who: str, why: str = "") -> None:
    """Where the sync has stopped by itself, LiveDesk is probed at once. A person's pause is not ended by that."""
    if parts.situations.upstream().paused_at:
        raise ActionRefused(
            Reason.PAUSED, "Somebody has paused the sync meanwhile: nothing is sent until it is resumed."
        )
    if not parts.store.resume():
        raise ActionRefused(Reason.ALREADY, "LiveDesk is not stopped any more: there is nothing to probe.")
    parts.desk.audit(who, "probed LiveDesk", why=why)
