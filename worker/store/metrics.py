"""What Prometheus is told, as it is in Redis: the truth over all processes and hosts, whichever is asked.

A look is two pipelines, of what was written when it happened. Times are ms since the epoch on Redis's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis

from worker.model import Requirements, State
from worker.store import keys
from worker.store.connection import translated
from worker.store.durability import Health, judge, look
from worker.store.overview import Upstream, overdue_ms, read_upstream

#: Ms after which a worker that makes no progress is not counted any more.
FRESH_MS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """``counts`` are those since ever, by name. ``swept_at`` is when a worker last made progress, ``oldest_...`` when
    the one came that has waited longest. ``memory`` is the share of its memory that Redis uses."""

    now: int
    counts: Mapping[str, int]
    upstream: Upstream
    contacts: dict[State, int]
    queue: int
    overdue_ms: int
    oldest_pending: int | None
    oldest_quarantined: int | None
    quarantined: int
    workers: int
    swept_at: int | None
    health: Health
    memory: float | None


class Metrics:
    """``rate`` is the limit of the settings, in requests a second."""

    def __init__(self, client: redis.Redis, rate: float, demands: Requirements) -> None:
        self.client = client
        self.rate = rate
        self.demands = demands

    def read(self) -> Figures:
        """How things stand now, and what has been counted.

        Raises:
            StoreError: Redis is away, or cannot tell.
        """
        server = look(self.client)
        with translated(), self.client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.hgetall(keys.COUNTS)
            pipe.hgetall(keys.UPSTREAM)
            pipe.hgetall(keys.INBOXES)
            for state in State:
                pipe.zcard(keys.state(state))
            pipe.llen(keys.QUEUE)
            pipe.zrange(keys.state(State.PENDING), 0, 0, withscores=True)
            pipe.zrange(keys.QUARANTINE, 0, 0, withscores=True)
            pipe.zcard(keys.QUARANTINE)
            pipe.zrange(keys.WORKERS, 0, -1, withscores=True)
            for lane in keys.SWEPT_LANES:
                pipe.zrange(keys.DUE, lane, lane + keys.LANE - 1, byscore=True, offset=0, num=1, withscores=True)
            answers: list[Any] = pipe.execute()
        (seconds, microseconds), counts, upstream, inboxes, *rest = answers
        now = int(seconds) * 1000 + int(microseconds) // 1000
        contacts = dict(zip(State, rest[: len(State)], strict=True))
        queue, pending, held, quarantined, workers, *lanes = rest[len(State) :]
        backlog = sum(number for state, number in contacts.items() if state.is_open)
        return Figures(
            now=now,
            counts={name: int(number) for name, number in counts.items()},
            upstream=read_upstream(upstream, inboxes, self.rate),
            contacts=contacts,
            queue=queue,
            overdue_ms=overdue_ms(now, lanes),
            oldest_pending=_first(pending),
            oldest_quarantined=_first(held),
            quarantined=quarantined,
            workers=sum(now - at <= FRESH_MS for _, at in workers),
            swept_at=max((int(at) for _, at in workers), default=None),
            health=judge(server, self.demands, backlog),
            memory=int(server.info.get("used_memory", 0)) / server.memory if server.memory else None,
        )


def _first(found: list[tuple[str, float]]) -> int | None:
    return int(found[0][1]) if found else None
