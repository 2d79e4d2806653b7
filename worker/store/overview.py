"""The overview: LiveDesk, backlog, last hour, causes, figures for ``/metrics``.

Each method reads, in a pipeline, only what was written when it happened: counters by the minute, indexes by state and
by cause. Times are ms since the epoch on Redis's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from worker import causes
from worker.model import State
from worker.store import keys
from worker.store.connection import translated
from worker.store.counters import MINUTE_MS
from worker.store.database import Database
from worker.store.durability import Health, judge, look
from worker.store.quarantine import Clash, load_clashes
from worker.store.queue import Workers
from worker.store.upstream import Upstream, UpstreamControl

HOUR_MS = 60 * MINUTE_MS
#: The minutes that charts show.
MINUTES = 60
#: Counters by the minute that the flow of the last hour shows.
FLOW = ("accepted", "created", "updated", "marked", "deleted", "retrying", "failed", "conflict")
#: Full minutes that "per minute" is the mean of.
LATELY = 5


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
    deliveries an operator must decide.
    """

    now: int
    upstream: Upstream
    counts: dict[State, int]
    queue: int
    oldest_pending: int | None
    lanes: dict[str, Lane]
    clashes: list[Clash]

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
    """What the header of every page shows."""

    next_retry: int | None
    failed_last_hour: int
    conflicts_last_hour: int
    created_per_minute: float
    usual_per_minute: float
    requests_per_second: float

    @property
    def clear_s(self) -> float | None:
        """How long the backlog takes at the current pace, in seconds."""
        return self.backlog / self.upstream.pace if self.upstream.pace else None


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

    Also ``counters`` since ever by name, when a worker last made progress (``swept_at``), and the share of its memory
    that Redis uses.
    """

    counters: Mapping[str, int]
    oldest_quarantined: int | None
    quarantined: int
    workers: int
    swept_at: int | None
    health: Health
    memory: float | None


class OverviewReader:
    def __init__(self, db: Database, upstream: UpstreamControl) -> None:
        self.db = db
        self.upstream = upstream

    def read(self) -> Overview:
        """Return the current state."""
        now = self.db.now()
        minute = now // MINUTE_MS
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            _queue_standing(pipe)
            pipe.zrange(keys.DUE, keys.LANE, 2 * keys.LANE - 1, byscore=True, offset=0, num=1, withscores=True)
            pipe.zcount(keys.state(State.FAILED), now - HOUR_MS, "+inf")
            pipe.zcount(keys.state(State.CONFLICT), now - HOUR_MS, "+inf")
            for back in range(MINUTES):
                pipe.hmget(keys.minute(minute - back), "created", "ok", "error", "throttled")
            answers: list[Any] = pipe.execute()
        standing, (next_retry, failed, conflicts, *minutes) = self._load_standing(now, answers)
        created = [int(values[0] or 0) for values in minutes]
        requests = [sum(int(value or 0) for value in values[1:]) for values in minutes]
        return Overview(
            **standing,
            next_retry=int(next_retry[0][1] % keys.LANE) if next_retry else None,
            failed_last_hour=failed,
            conflicts_last_hour=conflicts,
            created_per_minute=sum(created[1 : LATELY + 1]) / LATELY,
            usual_per_minute=sum(created[1:]) / (MINUTES - 1),
            requests_per_second=sum(requests[1 : LATELY + 1]) / LATELY / 60,
        )

    def figures(self) -> Figures:
        """Return the current figures and all counters, over all processes and hosts."""
        server = look(self.db.connections)
        now = self.db.now()
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            _queue_standing(pipe)
            pipe.hgetall(keys.COUNTS)
            pipe.zrange(keys.QUARANTINE, 0, 0, withscores=True)
            pipe.zcard(keys.QUARANTINE)
            pipe.zrange(keys.WORKERS, 0, -1, withscores=True)
            answers: list[Any] = pipe.execute()
        standing, (counters, oldest, quarantined, workers) = self._load_standing(now, answers)
        return Figures(
            **standing,
            counters={name: int(number) for name, number in counters.items()},
            oldest_quarantined=_first(oldest),
            quarantined=quarantined,
            workers=len(Workers(now, dict(workers)).alive()),
            swept_at=max((int(at) for _, at in workers), default=None),
            health=judge(server, self.db.requirements, Standing(**standing).backlog),
            memory=int(server.info.get("used_memory", 0)) / server.memory if server.memory else None,
        )

    def health(self) -> Health:
        """Return whether deliveries are accepted, and are as durable as required."""
        server = look(self.db.connections)
        with translated():
            backlog = 0 if server.info.get("loading") else int(self.db.client.zcard(keys.DUE))
        return judge(server, self.db.requirements, backlog)

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
        now = self.db.now()
        with translated():
            listed: Any = self.db.client.zrange(keys.CAUSES, 0, -1, desc=True, withscores=True)
            groups = self._groups([(str(name), int(at)) for name, at in listed])
            current = [group for group in groups if group.waiting or group.last_seen > now - HOUR_MS]
            current.sort(key=lambda group: (-group.waiting, -group.last_seen))
            return self._with_minutes(current[:limit], now // MINUTE_MS)

    def cause_names(self, limit: int = 50) -> list[str]:
        """Return the causes that were seen last."""
        with translated():
            names: Any = self.db.client.zrange(keys.CAUSES, 0, limit - 1, desc=True)
        return list(names)

    def cause(self, name: str) -> Cause | None:
        """Return one cause, or ``None`` where it was never seen."""
        now = self.db.now()
        with translated():
            at: Any = self.db.client.zscore(keys.CAUSES, name)
            if at is None:
                return None
            return self._with_minutes(self._groups([(name, int(at))]), now // MINUTE_MS)[0]

    def _load_standing(self, now: int, answers: list[Any]) -> tuple[dict[str, Any], list[Any]]:
        """Return the fields that ``_queue_standing`` reads, and the answers after them."""
        fields, inboxes, clashes, *rest = answers
        counts = dict(zip(State, rest[: len(State)], strict=True))
        queue, pending, *rest = rest[len(State) :]
        lanes, rest = rest[: 2 * len(keys.LANES)], rest[2 * len(keys.LANES) :]
        standing = {
            "now": now,
            "upstream": self.upstream.load(fields, inboxes),
            "counts": counts,
            "clashes": load_clashes(clashes),
            "queue": queue,
            "oldest_pending": _first(pending),
            "lanes": {name: _lane(name, lanes[2 * at], lanes[2 * at + 1], now) for at, name in enumerate(keys.LANES)},
        }
        return standing, rest

    def _groups(self, listed: list[tuple[str, int]]) -> list[Cause]:
        with self.db.client.pipeline(transaction=False) as pipe:
            for name, _ in listed:
                pipe.zcard(keys.cause(name))
                pipe.pfcount(keys.people(name))
                pipe.hmget(keys.COUNTS, f"cause:{name}", f"since:{name}")
            found = pipe.execute()
        rows = zip(listed, found[::3], found[1::3], found[2::3], strict=True)
        return [
            Cause(
                cause=name,
                waiting=waiting,
                people=max(people, waiting),
                attempts=int(attempts or 0),
                first_seen=int(since) if since else None,
                last_seen=at,
            )
            for (name, at), waiting, people, (attempts, since) in rows
        ]

    def _with_minutes(self, groups: list[Cause], this: int) -> list[Cause]:
        if not groups:
            return []
        fields = [f"cause:{group.cause}" for group in groups]
        with self.db.client.pipeline(transaction=False) as pipe:
            for number in range(this - MINUTES + 1, this + 1):
                pipe.hmget(keys.minute(number), fields)
            found = pipe.execute()
        return [
            replace(group, minutes=tuple(int(values[at] or 0) for values in found)) for at, group in enumerate(groups)
        ]


def _queue_standing(pipe: Any) -> None:
    """Queue the reads that overview and figures share (``_load_standing``)."""
    pipe.hgetall(keys.UPSTREAM)
    pipe.hgetall(keys.INBOXES)
    pipe.hgetall(keys.CLASHES)
    for state in State:
        pipe.zcard(keys.state(state))
    pipe.llen(keys.QUEUE)
    pipe.zrange(keys.state(State.PENDING), 0, 0, withscores=True)
    for lane in keys.LANES.values():
        start, end = lane * keys.LANE, (lane + 1) * keys.LANE - 1
        pipe.zcount(keys.DUE, start, end)
        pipe.zrange(keys.DUE, start, end, byscore=True, offset=0, num=1, withscores=True)


def _lane(name: str, waiting: int, first: list[tuple[str, float]], now: int) -> Lane:
    score = _first(first)
    is_due = score is not None and name != "held"
    return Lane(waiting, max(0, now - (score or 0) % keys.LANE) if is_due else 0)


def _first(found: list[tuple[str, float]]) -> int | None:
    return int(found[0][1]) if found else None
