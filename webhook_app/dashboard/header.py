"""The figures on top of every page: what an operator sees in the first second."""

import time
from dataclasses import dataclass
from enum import StrEnum

from worker.errors import StoreError
from worker.history import History
from worker.model import State


class Reach(StrEnum):
    """Whether contacts get to LiveDesk."""

    UP = "up"
    SLOW = "slow"
    DOWN = "down"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """LiveDesk as the workers see it. ``reason`` is a few words: a status, a count; nothing that LiveDesk wrote."""

    reach: Reach
    since: int | None = None
    reason: str = ""
    next_probe_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Times in ms since the epoch. Whatever is ``None`` could not be read and is shown as unknown, never as 0; but
    ``oldest_pending_at`` and ``next_due_at`` are also ``None`` where there is nobody to have one."""

    now: int
    upstream: Upstream | None = None
    pending: int | None = None
    oldest_pending_at: int | None = None
    sending: int | None = None
    retrying: int | None = None
    next_due_at: int | None = None
    failed: int | None = None
    failed_last_hour: int | None = None
    conflicts: int | None = None
    conflicts_last_hour: int | None = None
    created: int | None = None
    discarded: int | None = None
    created_per_minute: float | None = None
    usual_per_minute: float | None = None
    #: Requests to LiveDesk per second: what we send now, and what we may.
    pace: float | None = None
    pace_allowed: float | None = None
    #: How long the backlog takes at this pace; 0 where there is none.
    clears_in_ms: int | None = None

    @property
    def was_read(self) -> bool:
        return self.pending is not None

    @property
    def broken(self) -> int:
        """What the title of the page counts."""
        return (self.failed or 0) + (self.conflicts or 0)

    def count(self, state: State) -> int | None:
        """How many contacts are in a state."""
        counts = {
            State.PENDING: self.pending,
            State.SENDING: self.sending,
            State.RETRYING: self.retrying,
            State.CREATED: self.created,
            State.CONFLICT: self.conflicts,
            State.FAILED: self.failed,
            State.DISCARDED: self.discarded,
        }
        return counts[state]

    @property
    def is_empty(self) -> bool:
        """Nothing ever came in, or all of it is forgotten."""
        return self.was_read and not any(self.count(state) for state in State)


def read_header(history: History) -> Header:
    """The figures of this moment. With Redis away all of them are unknown, and no error is raised."""
    now = int(time.time() * 1000)
    try:
        counts = history.counts()
    except StoreError:
        return Header(now=now)
    return Header(
        now=now,
        pending=counts[State.PENDING],
        sending=counts[State.SENDING],
        retrying=counts[State.RETRYING],
        failed=counts[State.FAILED],
        conflicts=counts[State.CONFLICT],
        created=counts[State.CREATED],
        discarded=counts[State.DISCARDED],
    )
