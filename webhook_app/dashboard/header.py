"""The figures on top of every page: what an operator sees in the first second."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from webhook_app.present.wording import rate
from worker.causes import explain
from worker.errors import StoreError
from worker.model import State
from worker.store.overview import Overview
from worker.store.store import Store
from worker.store.upstream import Upstream as Treated

T = TypeVar("T")


class Reach(StrEnum):
    """Whether contacts get to LiveDesk."""

    UP = "up"
    SLOW = "slow"
    DOWN = "down"
    MISCONFIGURED = "misconfigured"
    PAUSED = "paused"

    @property
    def is_stopped(self) -> bool:
        """Whether nothing but a probe is sent, or not even that."""
        return self not in (Reach.UP, Reach.SLOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """LiveDesk as the workers see it. ``reason`` is a few words of ours, or why an operator has paused the sync;
    nothing that LiveDesk wrote. ``held`` is how many inboxes it does not know."""

    reach: Reach
    since: int | None = None
    reason: str = ""
    next_probe_at: int | None = None
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Times in ms since the epoch, by Redis's clock. Whatever is ``None`` could not be read and is shown as unknown,
    never as 0; but ``oldest_pending_at`` and ``next_due_at`` are also ``None`` where there is nobody to have one."""

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
    #: Requests to LiveDesk per second: what we send now, and what we may; 0 where there is no limit.
    pace: float | None = None
    pace_allowed: float | None = None
    #: How long the backlog takes at this pace; 0 where there is none. ``None`` also while nothing is sent.
    clears_in_ms: int | None = None

    @property
    def was_read(self) -> bool:
        return self.pending is not None

    @property
    def broken(self) -> int:
        """How many contacts need a person."""
        return (self.failed or 0) + (self.conflicts or 0)

    @property
    def open(self) -> int | None:
        """How many contacts are on their way."""
        return None if self.pending is None else self.pending + (self.sending or 0) + (self.retrying or 0)

    @property
    def alarm(self) -> str:
        """What the title of the page says first, where something is broken: ``LiveDesk down, 412 failed``."""
        parts = []
        if self.upstream and self.upstream.reach.is_stopped:
            parts.append("paused" if self.upstream.reach is Reach.PAUSED else f"LiveDesk {self.upstream.reach}")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.conflicts:
            parts.append(f"{self.conflicts:,} {'conflict' if self.conflicts == 1 else 'conflicts'}")
        return ", ".join(parts)

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


def or_unknown(read: Callable[[], T]) -> T | None:
    """What ``read`` gives; ``None`` where Redis could not be asked."""
    try:
        return read()
    except StoreError:
        return None


def read_header(store: Store) -> Header:
    """The figures of this moment. With Redis away all of them are unknown, and no error is raised."""
    return header_of(or_unknown(store.overview.read))


def header_of(situation: Overview | None) -> Header:
    """The header of a situation that was read already; ``None``: it could not be."""
    if situation is None:
        return Header(now=int(time.time() * 1000))
    upstream = upstream_of(situation.upstream)
    counts = situation.counts
    is_moving = not upstream.reach.is_stopped and situation.clear_s is not None
    return Header(
        now=situation.now,
        upstream=upstream,
        pending=counts[State.PENDING],
        oldest_pending_at=situation.oldest_pending,
        sending=counts[State.SENDING],
        retrying=counts[State.RETRYING],
        next_due_at=situation.next_retry,
        failed=counts[State.FAILED],
        failed_last_hour=situation.failed_last_hour,
        conflicts=counts[State.CONFLICT],
        conflicts_last_hour=situation.conflicts_last_hour,
        created=counts[State.CREATED],
        discarded=counts[State.DISCARDED],
        created_per_minute=situation.created_per_minute,
        usual_per_minute=situation.usual_per_minute,
        pace=situation.requests_per_second,
        pace_allowed=situation.upstream.pace,
        clears_in_ms=round((situation.clear_s or 0) * 1000) if is_moving else None,
    )


def upstream_of(treated: Treated) -> Upstream:
    """LiveDesk's state in a few words."""
    held = len(treated.inboxes)
    if treated.paused_at:
        reason = f"by {treated.paused_by}: {treated.paused_why}"
        return Upstream(reach=Reach.PAUSED, since=treated.paused_at, reason=reason, held=held)
    if treated.stop:
        return Upstream(
            reach=Reach(treated.stop),
            since=treated.since,
            reason=explain(treated.cause or "").title,
            next_probe_at=treated.probe_at,
            held=held,
        )
    if treated.pace < treated.rate:
        reason = f"{rate(treated.pace)} of {rate(treated.rate)}/s are sent"
        return Upstream(reach=Reach.SLOW, reason=reason, held=held)
    return Upstream(reach=Reach.UP, held=held)
