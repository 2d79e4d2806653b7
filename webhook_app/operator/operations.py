"""Many contacts at once: what that would do, and how it is begun and turned."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from webhook_app.operator.refusals import ActionRefused, InvalidInput, Reason
from worker.model import State
from worker.store.lists import Filter
from worker.store.operations import Action, Operation, OperationState

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: What turning an operation is called in the audit.
WAYS = {
    OperationState.PAUSED: "pause",
    OperationState.RUNNING: "resume",
    OperationState.CANCELLED: "cancel",
    OperationState.UNDOING: "undo",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an operation would do now. ``skipped`` counts those that it would leave alone, by their state;
    ``at_least``: not all were looked at. ``pace`` is in requests a second; ``finish_s`` is how long it takes at that
    pace, in seconds, once new signups and other retries are through, or ``None`` where nothing is sent now."""

    eligible: int
    skipped: dict[State, int]
    at_least: bool
    pace: float
    finish_s: float | None


def preview(parts: "Parts", action: Action, wanted: Filter) -> Preview:
    """What an operation on these contacts would do now; nothing is changed."""
    counted, at_least = parts.lists.by_state(wanted)
    eligible = sum(number for state, number in counted.items() if state in action.eligible)
    upstream = parts.situations.upstream()
    finish_s = None
    if action is Action.DISCARD:
        finish_s = 0.0
    elif upstream.state == "up" and upstream.pace:
        finish_s = eligible / upstream.pace
    return Preview(
        eligible=eligible,
        skipped={state: number for state, number in counted.items() if state not in action.eligible},
        at_least=at_least,
        pace=upstream.pace,
        finish_s=finish_s,
    )


def start(
    parts: "Parts", action: Action, wanted: Filter, who: str, why: str = "", *, canary: bool = False
) -> Operation:
    """Begins an operation on the contacts that the filter finds now.

    Raises:
        NotOpened: an equal one is running, or too many are.
        InvalidInput: a canary waits for how its attempts go, and who is discarded has none.
    """
    if canary and action is Action.DISCARD:
        raise InvalidInput({"canary": "is for retries"})
    total = preview(parts, action, wanted).eligible
    operation_id = parts.operations.open(action, wanted, who=who, why=why, total=total, canary=canary)
    parts.desk.audit(who, f"{action} {total}: {wanted.words()}", f"operation {operation_id}", why)
    return operation(parts, operation_id)


def turn(parts: "Parts", operation_id: str, to: OperationState, who: str, why: str = "") -> Operation:
    """Pauses, resumes, cancels or undoes an operation."""
    before = operation(parts, operation_id)
    if not parts.operations.turn(operation_id, to):
        raise ActionRefused(Reason.WRONG_STATE, f"The operation is {before.state}: that cannot be done with it now.")
    parts.desk.audit(who, WAYS[to], f"operation {operation_id}", why)
    return operation(parts, operation_id)


def operation(parts: "Parts", operation_id: str) -> Operation:
    found = parts.operations.read(operation_id)
    if found is None:
        raise ActionRefused(Reason.GONE, "There is no such operation.")
    return found
