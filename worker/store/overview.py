"""How things stand, at a glance: LiveDesk, the backlog, the last hour, the causes. Nothing here changes anything.

Each method reads, in a pipeline, only what was written when it happened: counts by the minute, indexes by state and by
cause. Times are ms since the epoch on Redis's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import redis

from worker.model import State
from worker.store import keys
from worker.store.connection import translated

#: Beginnings of counts: ``delivery:<source>:<status>``, ``refused:<source>:<reason>``.
DELIVERY, REFUSED = "delivery:", "refused:"
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
#: The minutes that charts show.
MINUTES = 60
#: What is counted by the minute, and shown in the flow of the last hour.
FLOW = ("accepted", "created", "retrying", "failed", "conflict")
#: Minutes, besides the one that has just begun, that "per minute" is the mean of.
LATELY = 5


@dataclass(frozen=True, slots=True)
class HeldInbox:
    """An inbox that LiveDesk does not know; ``inbox`` is empty for contacts that have none."""

    inbox: str
    since: int
    probe_at: int
    probes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How LiveDesk is treated now. ``stop`` is ``down``, ``misconfigured`` or nothing; an operator's pause goes before.

    ``pace`` and ``rate`` are requests a second; ``slot`` is when the next one may go.
    """

    stop: str | None
    cause: str | None
    status: str | None
    since: int | None
    probe_at: int | None
    probes: int
    paused_at: int | None
    paused_by: str | None
    paused_why: str | None
    pace: float
    rate: float
    slot: int | None
    answered_at: int | None
    inboxes: tuple[HeldInbox, ...]

    @property
    def state(self) -> str:
        """``paused`` (by an operator), ``down``, ``misconfigured`` or ``up``."""
        return "paused" if self.paused_at else self.stop or "up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the head of every page shows. ``overdue_ms`` is how long the first that is due has waited to be handed over;
    ``clear_s`` how long the backlog takes at the present pace, in seconds."""

    now: int
    upstream: Upstream
    counts: dict[State, int]
    queue: int
    oldest_pending: int | None
    next_retry: int | None
    overdue_ms: int
    failed_last_hour: int
    conflicts_last_hour: int
    created_per_minute: float
    usual_per_minute: float
    requests_per_second: float
    clear_s: float | None


@dataclass(frozen=True, slots=True)
class Minute:
    """What happened in one minute, which began at ``at``, by the names of ``FLOW``."""

    at: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something happened: since ever, and in the last hour."""

    ever: int
    last_hour: int


def under(beginning: str, tallies: Mapping[str, Tally]) -> dict[str, Tally]:
    """Those whose names begin so, by the rest of their names."""
    return {name.removeprefix(beginning): tally for name, tally in tallies.items() if name.startswith(beginning)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A group of contacts that failed alike. ``waiting`` counts those that are not created yet, ``people`` all that it
    hit since it was new, ``attempts`` all that ended so; ``minutes`` those of the last hour by the minute."""

    cause: str
    waiting: int
    people: int
    attempts: int
    first_seen: int | None
    last_seen: int
    minutes: tuple[int, ...] = ()


class OverviewReader:
    """``rate`` is the limit of the settings, in requests a second. Every method raises ``StoreUnavailable`` or
    ``StoreError``."""

    def __init__(self, client: redis.Redis, rate: float) -> None:
        self.client = client
        self.rate = rate

    def now(self) -> int:
        with translated():
            seconds, microseconds = self.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def upstream(self) -> Upstream:
        with translated(), self.client.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.UPSTREAM)
            pipe.hgetall(keys.INBOXES)
            fields, inboxes = pipe.execute()
        return read_upstream(fields, inboxes, self.rate)

    def read(self) -> Overview:
        """How things stand now."""
        now = self.now()
        minute = now // MINUTE_MS
        retries = keys.LANE  # where the lane of retries begins
        with translated(), self.client.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.UPSTREAM)
            pipe.hgetall(keys.INBOXES)
            for state in State:
                pipe.zcard(keys.state(state))
            pipe.llen(keys.QUEUE)
            pipe.zrange(keys.state(State.PENDING), 0, 0, withscores=True)
            pipe.zrange(keys.DUE, retries, 2 * retries - 1, byscore=True, offset=0, num=1, withscores=True)
            for lane in keys.SWEPT_LANES:
                pipe.zrange(keys.DUE, lane, lane + keys.LANE - 1, byscore=True, offset=0, num=1, withscores=True)
            pipe.zcount(keys.state(State.FAILED), now - HOUR_MS, "+inf")
            pipe.zcount(keys.state(State.CONFLICT), now - HOUR_MS, "+inf")
            for back in range(MINUTES):
                pipe.hmget(keys.minute(minute - back), "created", "well", "fault", "throttled")
            answers: list[Any] = pipe.execute()
        return _situation(now, self.rate, answers)

    def flow(self, minutes: int = MINUTES, names: tuple[str, ...] = FLOW) -> list[Minute]:
        """The last minutes, the oldest first; the last one has only begun. ``names`` are counts."""
        this = self.now() // MINUTE_MS
        numbers = range(this - minutes + 1, this + 1)
        with translated(), self.client.pipeline(transaction=False) as pipe:
            for number in numbers:
                pipe.hmget(keys.minute(number), names)
            found = pipe.execute()
        return [
            Minute(number * MINUTE_MS, {name: int(value or 0) for name, value in zip(names, values, strict=True)})
            for number, values in zip(numbers, found, strict=True)
        ]

    def tallies(self, *beginnings: str) -> dict[str, Tally]:
        """What is counted under names that begin so, by name: since ever and in the last hour."""
        this = self.now() // MINUTE_MS
        with translated(), self.client.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.COUNTS)
            for back in range(MINUTES):
                pipe.hgetall(keys.minute(this - back))
            ever, *minutes = pipe.execute()
        return {
            name: Tally(int(number), sum(int(minute.get(name, 0)) for minute in minutes))
            for name, number in sorted(ever.items())
            if name.startswith(beginnings)
        }

    def causes(self, most: int = 50) -> list[Cause]:
        """The causes of contacts that are not created, or that were seen in the last hour; of most contacts first."""
        now = self.now()
        with translated():
            listed: Any = self.client.zrange(keys.CAUSES, 0, -1, desc=True, withscores=True)
            groups = self._groups([(str(name), int(at)) for name, at in listed])
            current = [group for group in groups if group.waiting or group.last_seen > now - HOUR_MS]
            current.sort(key=lambda group: (-group.waiting, -group.last_seen))
            return self._with_minutes(current[:most], now // MINUTE_MS)

    def cause_names(self, most: int = 50) -> list[str]:
        """The causes that were seen last."""
        with translated():
            names: Any = self.client.zrange(keys.CAUSES, 0, most - 1, desc=True)
        return list(names)

    def cause(self, name: str) -> Cause | None:
        """One cause, or ``None`` where it was never seen."""
        now = self.now()
        with translated():
            at: Any = self.client.zscore(keys.CAUSES, name)
            if at is None:
                return None
            return self._with_minutes(self._groups([(name, int(at))]), now // MINUTE_MS)[0]

    def _groups(self, listed: list[tuple[str, int]]) -> list[Cause]:
        with self.client.pipeline(transaction=False) as pipe:
            for name, _ in listed:
                pipe.zcard(keys.cause(name))
                pipe.pfcount(keys.people(name))
                pipe.hmget(keys.COUNTS, f"cause:{name}", f"since:{name}")
            found = pipe.execute()
        return [
            Cause(
                cause=name,
                waiting=waiting,
                people=max(people, waiting),
                attempts=int(attempts or 0),
                first_seen=int(since) if since else None,
                last_seen=at,
            )
            for (name, at), waiting, people, (attempts, since) in zip(
                listed, found[::3], found[1::3], found[2::3], strict=True
            )
        ]

    def _with_minutes(self, groups: list[Cause], this: int) -> list[Cause]:
        if not groups:
            return []
        fields = [f"cause:{group.cause}" for group in groups]
        with self.client.pipeline(transaction=False) as pipe:
            for number in range(this - MINUTES + 1, this + 1):
                pipe.hmget(keys.minute(number), fields)
            found = pipe.execute()
        return [
            replace(group, minutes=tuple(int(values[at] or 0) for values in found)) for at, group in enumerate(groups)
        ]


def overdue_ms(now: int, lanes: list[list[tuple[str, float]]]) -> int:
    """How long the first that is due has waited to be handed over, given the first of each lane with its score."""
    return max([0, *(now - int(score % keys.LANE) for lane in lanes for _, score in lane)])


def read_upstream(fields: dict[str, str], inboxes: dict[str, str], rate: float) -> Upstream:
    """LiveDesk's state, from the hashes ``upstream`` and ``inboxes``."""

    def number(name: str) -> int | None:
        return int(float(fields[name])) if name in fields else None

    held = tuple(
        HeldInbox(
            inbox,
            int(inboxes[f"{inbox}:since"]),
            int(float(inboxes.get(f"{inbox}:probe_at", 0))),
            int(inboxes.get(f"{inbox}:probes", 0)),
        )
        for inbox in sorted(name.removesuffix(":since") for name in inboxes if name.endswith(":since"))
    )
    return Upstream(
        stop=fields.get("stop"),
        cause=fields.get("stop_cause"),
        status=fields.get("stop_status") or None,
        since=number("stop_since"),
        probe_at=number("probe_at"),
        probes=number("probes") or 0,
        paused_at=number("paused_at"),
        paused_by=fields.get("paused_by"),
        paused_why=fields.get("paused_why"),
        pace=min(rate, float(fields.get("pace", rate))),
        rate=rate,
        slot=number("slot"),
        answered_at=number("answered_at"),
        inboxes=held,
    )


def _situation(now: int, rate: float, answers: list[Any]) -> Overview:
    fields, inboxes, *rest = answers
    upstream = read_upstream(fields, inboxes, rate)
    counts = dict(zip(State, rest[: len(State)], strict=True))
    queue, oldest, next_retry, *more = rest[len(State) :]
    lanes, (failed, conflicts), minutes = more[:3], more[3:5], more[5:]
    created = [int(minute[0] or 0) for minute in minutes]
    requests = [sum(int(value or 0) for value in minute[1:]) for minute in minutes]
    backlog = counts[State.PENDING] + sum(counts[state] for state in (State.SENDING, State.RETRYING))
    return Overview(
        now=now,
        upstream=upstream,
        counts=counts,
        queue=queue,
        oldest_pending=int(oldest[0][1]) if oldest else None,
        next_retry=int(next_retry[0][1] % keys.LANE) if next_retry else None,
        overdue_ms=overdue_ms(now, lanes),
        failed_last_hour=failed,
        conflicts_last_hour=conflicts,
        created_per_minute=sum(created[1 : LATELY + 1]) / LATELY,
        usual_per_minute=sum(created[1:]) / (MINUTES - 1),
        requests_per_second=sum(requests[1 : LATELY + 1]) / LATELY / 60,
        clear_s=backlog / upstream.pace if upstream.pace else None,
    )
