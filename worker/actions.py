"""What people can do with contacts and operations, and in which states.

The pages, the API, the commands and the scripts all use these tables. Standard library only; no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from worker.model import UNIQUE_FIELDS, State, Work


class Action(StrEnum):
    """What a person can do with one contact."""

    RETRY = "retry"
    DISCARD = "discard"
    EDIT = "edit"
    #: Retry without the field that another contact in LiveDesk has.
    LEAVE_OUT = "leave_out"
    #: LiveDesk's contact is this person, and stays as it is.
    KNOWN = "known"
    #: LiveDesk's contact is this person, and gets this identifier.
    ADOPT = "adopt"
    ERASE = "erase"
    #: Create again what LiveDesk no longer has: found by a comparison, or by a change that had nobody to go to.
    RECREATE = "recreate"
    CREATE_AGAIN = "create_again"


_IDLE = frozenset({State.PENDING, State.RETRYING, State.CONFLICT, State.FAILED})
#: The states in which each action is allowed. The pages, the API, the commands and the scripts all use this table.
ACTIONS: Mapping[Action, frozenset[State]] = {
    Action.RETRY: _IDLE | {State.DISCARDED},
    Action.DISCARD: _IDLE,
    Action.EDIT: _IDLE | {State.DISCARDED},
    Action.LEAVE_OUT: frozenset({State.CONFLICT}),
    Action.KNOWN: frozenset({State.CONFLICT}),
    Action.ADOPT: frozenset({State.CONFLICT}),
    # Not while an attempt is running; a contact may stay ``sending`` after its worker died.
    Action.ERASE: frozenset(State),
    Action.RECREATE: frozenset({State.CREATED}),
    Action.CREATE_AGAIN: frozenset({State.CONFLICT}),
}
#: What is not possible with a change or a deletion: there is no data to edit, and the contact in LiveDesk is known.
ONLY_NEW = frozenset({Action.EDIT, Action.KNOWN, Action.ADOPT})


def may(action: Action, state: State, work: Work = Work.CREATE, cause: str | None = None) -> bool:
    """Return whether an action is allowed in this state, for this work and cause."""
    if action is Action.CREATE_AGAIN and (work is not Work.UPDATE or cause != "contact_gone"):
        return False
    if action is Action.DISCARD and work is Work.DELETE:  # the person would stay in LiveDesk, and nobody would see it
        return False
    return state in ACTIONS[action] and (work is Work.CREATE or action not in ONLY_NEW)


class BulkAction(StrEnum):
    """What an operation does with many contacts. The last three resolve conflicts."""

    RETRY = "retry"
    DISCARD = "discard"
    ADOPT = "adopt"
    WITHOUT = "without"
    KNOWN = "known"

    @property
    def eligible(self) -> frozenset[State]:
        """The states that an operation affects; a retry skips contacts never tried."""
        if self is BulkAction.WITHOUT:
            return ACTIONS[Action.LEAVE_OUT]
        return ACTIONS[Action(self)] - ({State.PENDING} if self is BulkAction.RETRY else set())

    @property
    def sends(self) -> bool:
        """Whether it takes attempts, whose results the operation counts."""
        return self in (BulkAction.RETRY, BulkAction.ADOPT, BulkAction.WITHOUT)

    @property
    def resolves(self) -> bool:
        """Whether it resolves conflicts."""
        return self in (BulkAction.ADOPT, BulkAction.WITHOUT, BulkAction.KNOWN)


class Obstacle(StrEnum):
    """Why something cannot be done with a contact, mostly with a conflict."""

    #: It is not known which contact in LiveDesk it conflicts with.
    NO_OWNER = "no_owner"
    #: It is not about a value that another contact has.
    NOT_TAKEN = "not_taken"
    #: The sender says that the e-mail address is not verified: it may be somebody else's.
    UNVERIFIED = "unverified"
    #: It is about a change of a contact that LiveDesk has.
    CHANGE = "change"
    #: The source has deleted the person, and LiveDesk does not know that yet.
    DELETION = "deletion"


class OperationState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    UNDOING = "undoing"
    DONE = "done"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    UNDONE = "undone"

    @property
    def is_active(self) -> bool:
        return self in (OperationState.RUNNING, OperationState.PAUSED, OperationState.UNDOING)


class Command(StrEnum):
    """What a person can do with an operation."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Transition:
    """A command takes an operation from one of these states to another."""

    sources: frozenset[OperationState]
    target: OperationState


TRANSITIONS: Mapping[Command, Transition] = {
    Command.PAUSE: Transition(frozenset({OperationState.RUNNING}), OperationState.PAUSED),
    Command.RESUME: Transition(frozenset({OperationState.PAUSED}), OperationState.RUNNING),
    Command.CANCEL: Transition(frozenset({OperationState.RUNNING, OperationState.PAUSED}), OperationState.CANCELLED),
    Command.UNDO: Transition(
        frozenset(OperationState) - {OperationState.UNDOING, OperationState.UNDONE}, OperationState.UNDOING
    ),
}


#: The causes of conflicts about a value that another contact in LiveDesk has.
TAKEN_CAUSES = tuple(f"{name}_taken" for name in UNIQUE_FIELDS)


def obstacle(
    action: BulkAction,
    cause: str | None,
    *,
    has_owner: bool,
    is_unverified: bool = False,
    work: Work = Work.CREATE,
) -> Obstacle | None:
    """Return why this cannot be done with a contact in an eligible state, or ``None``."""
    if action is BulkAction.DISCARD and work is Work.DELETE:
        return Obstacle.DELETION
    if work is not Work.CREATE and action in (BulkAction.ADOPT, BulkAction.KNOWN):
        return Obstacle.CHANGE
    if action in (BulkAction.ADOPT, BulkAction.WITHOUT) and cause not in TAKEN_CAUSES:
        return Obstacle.NOT_TAKEN
    if action in (BulkAction.ADOPT, BulkAction.KNOWN) and not has_owner:
        return Obstacle.NO_OWNER
    return Obstacle.UNVERIFIED if action is BulkAction.ADOPT and is_unverified else None
