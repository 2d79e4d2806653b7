"""The quarantine: authentic deliveries without a usable contact, for a replay."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.errors import StoreFull
from worker.model import Quarantined
from worker.store import keys
from worker.store.connection import translated
from worker.store.database import Database

#: Clashes of one pair of sources, and deliveries that do not clash, that are kept at most; and how long, in ms.
MAX_ENTRIES = 1000
KEPT_MS = 14 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Clash:
    """Two sources that use one identifier for two people.

    ``waiting`` deliveries of ``source`` are in quarantine, because their identifiers belong to people of ``other``.
    """

    source: str
    other: str
    waiting: int

    @property
    def pair(self) -> tuple[str, str]:
        return self.source, self.other


class Quarantine:
    def __init__(self, db: Database) -> None:
        self.db = db

    def add(self, delivery: Quarantined) -> None:
        """Keep a delivery, once, until it is released or expires.

        Raises:
            StoreFull: Redis's memory is nearly full, or the quarantine is.
        """
        self.add_all([delivery])

    def add_all(self, deliveries: Iterable[Quarantined]) -> None:
        """Keep some deliveries. Wait for each until it is as durable as ``ACK`` requires.

        Raises:
            StoreFull: Redis's memory is nearly full, or the quarantine is.
        """
        for delivery in deliveries:
            terms = self.db.terms()
            if not terms.room:
                raise StoreFull("Redis's memory is nearly full")
            is_kept = self.db.run(
                "quarantine",
                wait=terms.wait,
                entry=self.db.key_of(f"{delivery.source}\n{delivery.payload}"),
                source=delivery.source,
                payload=delivery.payload,
                problems=json.dumps(delivery.problems),
                headers=json.dumps(delivery.headers),
                is_element=delivery.is_element or None,
                clash=delivery.clash or None,
                max_entries=MAX_ENTRIES,
            )
            if not is_kept:
                raise StoreFull("the quarantine is full")

    def release(self, entry: str, *, after_ms: int = 0) -> bool:
        """Remove a delivery that is ``after_ms`` old; return whether there was one."""
        return bool(self.db.run("release", entry=entry, after_ms=after_ms))

    def prune(self) -> int:
        """Remove expired deliveries, a bounded number at a time. Return how many."""
        expired = self.db.older(keys.QUARANTINE, KEPT_MS)
        return sum(self.release(entry, after_ms=KEPT_MS) for entry in expired)

    def page(self, *, offset: int = 0, limit: int = 100, clash: tuple[str, str] | None = None) -> list[Quarantined]:
        """Return deliveries, the oldest first; ``clash``: only those of this pair."""
        first, last = (0, -1) if clash else (offset, offset + limit - 1)
        with translated():
            found: Any = self.db.client.zrange(keys.QUARANTINE, first, last, withscores=True)
            if clash:
                found = self._clashing(found, clash)[offset : offset + limit]
            with self.db.client.pipeline(transaction=False) as pipe:
                for entry, _ in found:
                    pipe.hgetall(keys.quarantined(entry))
                kept = pipe.execute()
        rows = zip(found, kept, strict=True)
        return [_load(entry, int(since), fields) for (entry, since), fields in rows if fields]

    def size(self) -> int:
        with translated():
            return int(self.db.client.zcard(keys.QUARANTINE))

    def clashes(self) -> dict[tuple[str, str], int]:
        """Return how many deliveries wait because of a clash, by source and other source."""
        with translated():
            found: Any = self.db.client.hgetall(keys.CLASHES)
        return {clash.pair: clash.waiting for clash in load_clashes(found)}

    def read(self, entry: str) -> Quarantined | None:
        """Return one delivery, or ``None``."""
        with translated():
            since: Any = self.db.client.zscore(keys.QUARANTINE, entry)
            fields: Any = self.db.client.hgetall(keys.quarantined(entry))
        return _load(entry, int(since or 0), fields) if fields else None

    def _clashing(self, listed: list[tuple[str, float]], clash: tuple[str, str]) -> list[tuple[str, float]]:
        """Return those of a clash."""
        with self.db.client.pipeline(transaction=False) as pipe:
            for entry, _ in listed:
                pipe.hmget(keys.quarantined(entry), "source", "clash")
            pairs = pipe.execute()
        return [one for one, pair in zip(listed, pairs, strict=True) if tuple(pair) == clash]


def load_clashes(found: Mapping[str, str]) -> list[Clash]:
    """Return the clashes in ``keys.CLASHES``, by the names of the sources."""
    pairs = ((pair.split(" "), int(waiting)) for pair, waiting in sorted(found.items()))
    return [Clash(source, other, waiting) for (source, other), waiting in pairs]


def _load(entry: str, since: int, fields: dict[str, str]) -> Quarantined:
    return Quarantined(
        source=fields["source"],
        payload=fields["payload"],
        problems=json.loads(fields["problems"]),
        headers=json.loads(fields["headers"]),
        is_element="is_element" in fields,
        clash=fields.get("clash", ""),
        entry=entry,
        since=since,
    )
