"""The overview: LiveDesk, backlog, last hour, causes, figures for ``/metrics``.

Each method reads, in one round trip or two, only what was written when it happened: counters by the minute, indexes by
state and by cause. Times are ms since the epoch on Redis's clock.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from worker import causes
from worker.estimate import (
    GAIN,
    RAMP_FROM,
    RAMP_GAIN,
    Limit,
    Limits,
    Load,
    Planned,
    Usual,
    bottleneck,
    clear_ms,
    in_order,
    load_of,
    send_ms,
)
from worker.model import State
from worker.store import keys
from worker.store.connection import translated
from worker.store.counters import MINUTE_MS
from worker.store.database import Database
from worker.store.durability import Health
from worker.store.quarantine import Clash, load_clashes
from worker.store.queue import Workers, load_workers
from worker.store.readiness import Readiness
from worker.store.upstream import Upstream, UpstreamControl

HOUR_MS = 60 * MINUTE_MS
#: The minutes that charts show.
MINUTES = 60
#: Counters by the minute that the flow of the last hour shows.
FLOW = ("accepted", "created", "updated", "marked", "deleted", "retrying", "failed", "conflict")
#: Full minutes that "per minute" is the mean of.
LATELY = 5
#: Counters by the minute that the overview reads: results, what attempts said about LiveDesk, requests in all, and the
#: requests and look-ups that were not foreseen when a contact was claimed (``lua/pace.lua``).
ENDED = ("created", "updated", "marked", "deleted", "retrying", "failed", "conflict")
ANSWERED = ("ok", "error", "throttled")
MINUTE = (*ENDED, *ANSWERED, "requests", "look_ups", "extra_requests", "extra_look_ups", "look_ups_denied")
#: The lanes in the order in which they are sent.
LANES = list(keys.LANES)
LANE_NUMBERS = list(keys.LANES.values())
#: The place of each lane in that order, and of the lane of retries among them.
PLACES = {lane: place for place, lane in enumerate(LANE_NUMBERS)}
RETRY = LANES.index("retry")
#: Contacts that are looked at to estimate what is still to be sent.
SAMPLE = 48
#: Fewer results than this say nothing about what a contact usually takes.
ENOUGH = 20
#: The arguments of ``lua/overview.lua``.
QUESTION: dict[str, Any] = {
    "states": list(State),
    "lanes": LANE_NUMBERS,
    "recent_ms": HOUR_MS,
    "minutes": MINUTES,
    "latest": LATELY + 1,
    "counters": MINUTE,
}
#: Workers that reach less than this share of what is allowed are what contacts wait for.
BUSY_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Lane:
    """How many contacts wait, and for how long the first one that is due has done so."""

    waiting: int
    overdue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The current state, for the overview and for ``/metrics``.

    ``lanes`` are named as in ``keys.LANES``; ``oldest_pending`` is when the contact arrived, or was changed, that waits
    longest for its first attempt. ``clashes`` are the pairs of sources for whose
    deliveries an operator must decide. ``emptied_at`` is when somebody noticed that Redis had lost everything, until
    that is acknowledged; ``records_since`` is when it was set up, unless an earlier version did that.
    """

    now: int
    upstream: Upstream
    counts: dict[State, int]
    queue: int
    oldest_pending: int | None
    lanes: dict[str, Lane]
    clashes: list[Clash]
    emptied_at: int | None = None
    records_since: int | None = None

    @property
    def overdue_ms(self) -> int:
        """How long the first contact that is due has waited to be handed over."""
        return max(lane.overdue_ms for lane in self.lanes.values())

    @property
    def waiting(self) -> dict[str, int]:
        """The number of open contacts by lane."""
        return {name: lane.waiting for name, lane in self.lanes.items()}

    @property
    def clashing(self) -> int:
        """The number of deliveries that clash."""
        return sum(clash.waiting for clash in self.clashes)

    @property
    def backlog(self) -> int:
        """The number of open contacts."""
        return sum(number for state, number in self.counts.items() if state.is_open)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview(Standing):
    """What the header of every page shows.

    ``planned`` are the loads of the open contacts, without those that wait for their inbox; ``alive`` is how many hosts
    have a worker.
    """

    next_retry: int | None
    failed_last_hour: int
    conflicts_last_hour: int
    created_per_minute: float
    usual_per_minute: float
    requests_per_second: float
    alive: int
    limits: Limits
    usual: Usual
    planned: Sequence[Planned]

    @property
    def held(self) -> int:
        """The number of contacts that wait for their inbox, nobody knows how long."""
        return self.waiting.get("held", 0)

    @property
    def is_sending(self) -> bool:
        return self.upstream.state == "up" and self.alive > 0

    @property
    def later(self) -> int:
        """The number of contacts whose next attempt is later."""
        return round(sum(each.load.contacts for each in self.planned if each.at > self.now))

    @property
    def later_until(self) -> int | None:
        """When the last one of them is due."""
        return max((each.at for each in self.planned if each.at > self.now), default=None)

    @property
    def due_ms(self) -> int | None:
        """How long it takes to send what is due now; ``None``: unknown."""
        return send_ms(self.due_before(), self.limits) if self.is_sending else None

    @property
    def clear_ms(self) -> int | None:
        """How long until all are sent, without those that wait for their inbox."""
        return self.clear_if_sending_ms if self.is_sending or not self.planned else None

    @property
    def clear_if_sending_ms(self) -> int | None:
        """The same, counted from when contacts are sent again."""
        wait = max(0, (self.upstream.slot or 0) - self.now) if self.planned else 0
        takes = clear_ms(self.planned, self.limits, self.now)
        return None if takes is None else wait + takes

    @property
    def clear_s(self) -> float | None:
        """``clear_ms`` in seconds."""
        return None if self.clear_ms is None else self.clear_ms / 1000

    @property
    def limit(self) -> Limit:
        """What keeps contacts from being sent faster."""
        if self.upstream.paused_at:
            return Limit.PAUSED
        if self.upstream.stop:
            return Limit.STOPPED
        if not self.backlog:
            return Limit.NONE
        if not self.alive:
            return Limit.NO_WORKER
        due = self.due_before()
        return bottleneck(due, self.limits) if due else Limit.LATER

    def due_before(self, lane: str | None = None) -> list[Load]:
        """Return what is due and goes before contacts that enter this lane now."""
        last = LANES.index(lane) if lane else len(LANES)
        return in_order(each for each in self.planned if each.at <= self.now and each.lane <= last)


@dataclass(frozen=True, slots=True)
class Minute:
    """What happened in one minute, which began at ``at``, by the names of ``FLOW``."""

    at: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A group of contacts that failed with the same cause.

    ``waiting`` counts those that are not created yet, ``people`` all that it affected since it was new, ``attempts``
    all that ended with it; ``minutes`` those of the last hour by the minute.
    """

    cause: str
    waiting: int
    people: int
    attempts: int
    first_seen: int | None
    last_seen: int
    minutes: tuple[int, ...] = ()

    @property
    def explanation(self) -> causes.Cause:
        return causes.explain(self.cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures(Standing):
    """What ``/metrics`` reports.

    Also ``counters`` since ever by name, and when a worker last made progress (``swept_at``).
    """

    counters: Mapping[str, int]
    oldest_quarantined: int | None
    quarantined: int
    workers: int
    swept_at: int | None
    health: Health


class OverviewReader:
    def __init__(self, db: Database, upstream: UpstreamControl, readiness: Readiness) -> None:
        self.db = db
        self.upstream = upstream
        self.readiness = readiness

    def read(self) -> Overview:
        """Return the current state."""
        standing, read = self._read(SAMPLE)
        minutes = [_counters(values) for values in read.counters]
        lately, usual = minutes[1:], _usual(minutes)
        state = Standing(**standing)
        retry = read.lanes[RETRY][1]
        return Overview(
            **standing,
            next_retry=int(float(retry) % keys.LANE) if retry else None,
            failed_last_hour=read.ended[0],
            conflicts_last_hour=read.ended[1],
            created_per_minute=sum(each["created"] for each in lately) / LATELY,
            usual_per_minute=sum(map(int, read.created[1:])) / (MINUTES - 1),
            requests_per_second=sum(_requests(each) for each in lately) / LATELY / 60,
            alive=len(read.workers().alive()),
            limits=self._limits(state, minutes),
            usual=usual,
            planned=_planned(state, usual, read.sample),
        )

    def _limits(self, state: Standing, minutes: list[dict[str, int]]) -> Limits:
        upstream, look_ups = state.upstream, self.upstream.policy.look_ups_per_minute / 60
        will_ramp = upstream.stop is not None and upstream.cause != causes.THROTTLED.slug
        pace = max(upstream.rate * RAMP_FROM, min(1, upstream.rate)) if will_ramp else upstream.pace
        gain = RAMP_GAIN if will_ramp or upstream.is_ramping else GAIN
        limits = Limits(pace=pace, rate=upstream.rate, look_ups=look_ups, gain=gain)
        return replace(limits, reached=_reached(state, minutes, look_ups))

    def figures(self) -> Figures:
        """Return the current figures and all counters, over all processes and hosts."""
        health = self.readiness.check()
        standing, read = self._read(0)
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.COUNTS)
            pipe.zrange(keys.QUARANTINE, 0, 0, withscores=True)
            pipe.zcard(keys.QUARANTINE)
            counters, oldest, quarantined = pipe.execute()
        workers = read.workers()
        return Figures(
            **standing,
            counters={name: int(number) for name, number in counters.items()},
            oldest_quarantined=int(oldest[0][1]) if oldest else None,
            quarantined=quarantined,
            workers=len(workers.alive()),
            swept_at=workers.last_seen,
            health=health,
        )

    def health(self) -> Health:
        """Return whether deliveries are accepted, and are as durable as required."""
        return self.readiness.check()

    def flow(self, minutes: int = MINUTES, names: tuple[str, ...] = FLOW) -> list[Minute]:
        """Return the counters ``names`` by minute, oldest first; the last is incomplete."""
        this = self.db.now() // MINUTE_MS
        numbers = range(this - minutes + 1, this + 1)
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            for number in numbers:
                pipe.hmget(keys.minute(number), names)
            found = pipe.execute()
        return [
            Minute(number * MINUTE_MS, {name: int(value or 0) for name, value in zip(names, values, strict=True)})
            for number, values in zip(numbers, found, strict=True)
        ]

    def causes(self, limit: int = 50) -> list[Cause]:
        """Return causes of contacts not created, or of the last hour, largest first."""
        return self._causes(limit, None)

    def cause_names(self, limit: int = 50) -> list[str]:
        """Return the causes that were seen last."""
        with translated():
            names: Any = self.db.client.zrange(keys.CAUSES, 0, limit - 1, desc=True)
        return list(names)

    def cause(self, name: str) -> Cause | None:
        """Return one cause, or ``None`` where it was never seen."""
        return next(iter(self._causes(1, name)), None)

    def _causes(self, limit: int, name: str | None) -> list[Cause]:
        with self.db.connections.within(self.db.page_s):
            found = self.db.run("read_causes", cause=name, recent_ms=HOUR_MS, limit=limit, minutes=MINUTES)
        return [_load_cause(*each) for each in found]

    def _read(self, size: int) -> tuple[dict[str, Any], "_Read"]:
        """Return the fields of ``Standing``, and all that the script has read."""
        with self.db.connections.within(self.db.page_s):
            read = _Read(*self.db.run("overview", size=size, **QUESTION))
        emptied_at, records_since = read.marks
        standing = {
            "now": read.now,
            "upstream": self.upstream.load(_pairs(read.upstream), _pairs(read.inboxes)),
            "counts": dict(zip(State, read.counts, strict=True)),
            "clashes": load_clashes(_pairs(read.clashes)),
            "emptied_at": int(emptied_at) if emptied_at else None,
            "records_since": int(records_since) if records_since else None,
            "queue": read.queue,
            "oldest_pending": int(float(read.oldest_pending)) if read.oldest_pending else None,
            "lanes": {
                name: _lane(name, waiting, score, read.now)
                for name, (waiting, score) in zip(keys.LANES, read.lanes, strict=True)
            },
        }
        return standing, read


class _Read(NamedTuple):
    """What ``lua/overview.lua`` returns."""

    now: int
    upstream: list[str]
    inboxes: list[str]
    clashes: list[str]
    marks: list[str | None]
    counts: list[int]
    queue: int
    oldest_pending: str | None
    lanes: list[tuple[int, str | None]]
    ended: list[int]
    heartbeats: list[str]
    created: list[str | int]
    counters: list[list[str | None]]
    sample: list[int]

    def workers(self) -> Workers:
        names = zip(self.heartbeats[::2], map(float, self.heartbeats[1::2]), strict=True)
        return load_workers(self.now, list(names), {})


def _pairs(flat: list[str]) -> dict[str, str]:
    """Return a hash that a script has read."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _counters(values: list[str | None]) -> dict[str, int]:
    return {name: int(value or 0) for name, value in zip(MINUTE, values, strict=True)}


def _planned(state: Standing, usual: Usual, sample: list[int]) -> list[Planned]:
    """Return what the open contacts take, of which only some are looked at."""
    waiting = {keys.LANES[name]: number for name, number in state.waiting.items()}
    looked_at = Counter(sample[::3])
    found = iter(sample)
    return [
        Planned(
            max(state.now, at),
            PLACES[lane],
            load_of(waiting[lane] / looked_at[lane], is_looked_up=bool(is_looked_up), usual=usual),
        )
        for lane, at, is_looked_up in zip(found, found, found, strict=True)
    ]


def _load_cause(
    name: str, seen: int, waiting: int, people: int, attempts: int, since: int | None, counted: list[int]
) -> Cause:
    minutes = [0] * MINUTES
    for back, number in zip(counted[::2], counted[1::2], strict=True):
        minutes[MINUTES - 1 - back] = number
    return Cause(
        cause=name,
        waiting=waiting,
        people=max(people, waiting),
        attempts=attempts,
        first_seen=since,
        last_seen=seen,
        minutes=tuple(minutes),
    )


def _usual(minutes: list[dict[str, int]]) -> Usual:
    """Return what contacts took lately beyond what was foreseen."""
    total = {name: sum(each[name] for each in minutes) for name in MINUTE}
    tried = sum(total[name] for name in ENDED) + total["look_ups_denied"]
    if tried < ENOUGH:
        return Usual()
    look_ups = total["extra_look_ups"] + total["look_ups_denied"]
    return Usual(look_ups=min(1.0, look_ups / tried), requests=total["extra_requests"] / tried)


def _requests(minute: Mapping[str, int]) -> int:
    """Return the requests of a minute: every attempt has at least one."""
    return max(minute["requests"], sum(minute[name] for name in ANSWERED))


def _reached(state: Standing, minutes: list[dict[str, int]], look_ups: float) -> float | None:
    """Return what the workers reached, if contacts waited for them all the time.

    It is in requests per second. ``look_ups``: how many are allowed per second.
    """
    last, upstream = minutes[1], state.upstream
    since = state.now - state.now % MINUTE_MS - MINUTE_MS
    was_busy = state.overdue_ms > state.now - since and _requests(last) >= ENOUGH
    if not was_busy or upstream.state != "up" or upstream.pace < upstream.rate:
        return None
    reached = _requests(last) / 60
    is_less = reached < BUSY_SHARE * upstream.rate and last["look_ups"] / 60 < BUSY_SHARE * look_ups
    return reached if is_less or not upstream.rate else None


def _lane(name: str, waiting: int, score: str | None, now: int) -> Lane:
    is_due = score is not None and name != "held"
    return Lane(waiting, max(0, now - int(float(score or 0) % keys.LANE)) if is_due else 0)
