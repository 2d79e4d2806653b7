"""What all actions share: the person, the audit log, reasons for refusals."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from webhook_app.parts import Parts
from worker.actions import ACTIONS, Action, may
from worker.errors import SyncError
from worker.model import State, Way
from worker.store.record import ContactRecord


class Reason(StrEnum):
    """Why an action was refused, for programs."""

    GONE = "gone"
    BUSY = "busy"
    CREATED = "created"
    DISCARDED = "discarded"
    DELETED = "deleted"
    CHANGED = "changed"
    NO_OWNER = "no_owner"
    WRONG_STATE = "wrong_state"
    ALREADY = "already"
    PAUSED = "paused"
    NOT_OPENED = "not_opened"
    NO_CLASH = "no_clash"


SENTENCES = {
    Reason.GONE: "There is no such contact.",
    Reason.BUSY: "An attempt is in progress. Nothing was changed; try again in a minute.",
    Reason.CREATED: "This contact is already in LiveDesk. Nothing was changed.",
    Reason.DISCARDED: "This contact is already discarded.",
    Reason.DELETED: "The source has deleted this person. Nothing was changed.",
    Reason.CHANGED: "This contact has changed in the meantime. Nothing was changed; review it again.",
    Reason.NO_OWNER: "No other contact in LiveDesk conflicts with this one. Nothing was changed.",
    Reason.WRONG_STATE: "The state of this contact has changed in the meantime. Nothing was changed; review it again.",
}
#: Why an action is refused in a state; in the others the contact has no conflict.
REASONS = {
    State.SENDING: Reason.BUSY,
    State.CREATED: Reason.CREATED,
    State.DISCARDED: Reason.DISCARDED,
    State.DELETED: Reason.DELETED,
}


NOT_A_CHANGE = "This is not possible with a change or a deletion. Nothing was changed."


class ActionRefused(SyncError):
    """An action was refused and nothing was changed; the text says why."""

    def __init__(self, reason: Reason, sentence: str = "") -> None:
        super().__init__(sentence or SENTENCES[reason])
        self.reason = reason


class InvalidInput(SyncError):
    """Invalid values. ``problems``: a sentence for each field, without the value."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems.items()))
        self.problems = dict(problems)


def require(action: Action, record: ContactRecord) -> None:
    """Refuse an action that the state of this contact does not allow."""
    if record.state not in ACTIONS[action]:
        raise ActionRefused(REASONS.get(record.state, Reason.NO_OWNER))
    if not may(action, record.state, record.work, record.cause):
        raise ActionRefused(Reason.WRONG_STATE, NOT_A_CHANGE)


@dataclass(frozen=True)
class Actions:
    """The actions of one person on one subject, all in the audit log.

    ``who`` is their name, ``way`` how they are known.

    Actions raise ``StoreError`` when Redis cannot be used and ``ActionRefused`` when the state does not allow them.
    """

    parts: Parts
    who: str
    way: Way

    def audit(self, did: str, target: str = "", why: str = "") -> None:
        """Record an action. ``target``: a key or an id. No personal data."""
        self.parts.store.audit.add(self.who, did, target, why, way=self.way)
