"""Why something that a person wants is not done."""

from collections.abc import Mapping
from enum import StrEnum

from worker.errors import SyncError


class Reason(StrEnum):
    """Why something was not done."""

    GONE = "gone"
    BUSY = "busy"
    CREATED = "created"
    DISCARDED = "discarded"
    CHANGED = "changed"
    NO_OWNER = "no_owner"
    WRONG_STATE = "wrong_state"
    ALREADY = "already"
    PAUSED = "paused"


SENTENCES = {
    Reason.GONE: "There is no such contact.",
    Reason.BUSY: "An attempt is running; nothing was changed. Try again in a minute.",
    Reason.CREATED: "It is created already; nothing was changed.",
    Reason.DISCARDED: "It is discarded already.",
    Reason.CHANGED: "A delivery has brought other data meanwhile; nothing was changed. Look at it again.",
    Reason.NO_OWNER: "No other contact is in its way; nothing was changed.",
}


class ActionRefused(SyncError):
    """It could not be done, and nothing was changed; the text says why."""

    def __init__(self, reason: Reason, sentence: str = "") -> None:
        super().__init__(sentence or SENTENCES[reason])
        self.reason = reason


class InvalidInput(SyncError):
    """What a person wrote cannot be sent. ``problems`` has a sentence for each field; none repeats a value."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems.items()))
        self.problems = dict(problems)
