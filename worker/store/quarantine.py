"""The quarantine: authentic deliveries without a usable contact, for a replay."""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from worker.errors import StoreError, StoreFull, TooLargeToKeep
from worker.model import Quarantined
from worker.store import keys
from worker.store.connection import translated
from worker.store.counters import EVICTED, Counters, Total, with_prefix
from worker.store.database import Database

#: How long a delivery is kept, in ms.
KEPT_MS = 14 * 24 * 3_600_000
#: Entries of one share: a source's deliveries without a usable contact, or its clashes with one other source.
MAX_ENTRIES = 1000
#: Bytes of all shares, of one, and of one entry.
MAX_TOTAL_BYTES, MAX_SHARE_BYTES, MAX_ENTRY_BYTES = 64 * 1024**2, 16 * 1024**2, 4 * 1024**2
#: All shares may have this part of what Redis may use, one share and one entry this part of that.
PART_OF_MEMORY, PART_OF_TOTAL, PART_OF_SHARE = 1 / 10, 1 / 4, 1 / 4
#: Bytes that Redis needs for an entry in addition to what is in it.
OVERHEAD_BYTES = 400
#: Entries that one script evicts, so that it holds Redis for about a millisecond, and scripts for one delivery.
MAX_EVICTED, MAX_EVICTIONS = 100, 200
#: The fields of an entry, without its payload; every entry has the first.
FIELDS = ("source", "problems", "headers", "is_element", "clash")
#: How payloads are compressed, before they become text: MessagePack in Lua has no bytes.
ZLIB_LEVEL = 1
#: Bytes of an unpacked payload: more than the largest body as JSON.
MAX_UNPACKED_BYTES = 128 * 1024**2


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


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that the quarantine may have: in all, of one share, and of one entry."""

    total: int
    share: int
    entry: int

    @classmethod
    def of(cls, memory: int) -> "Limits":
        """Return the limits in a Redis that may use ``memory`` bytes; 0: unknown."""
        total = min(MAX_TOTAL_BYTES, int(memory * PART_OF_MEMORY) or MAX_TOTAL_BYTES)
        share = min(MAX_SHARE_BYTES, int(total * PART_OF_TOTAL))
        return cls(total, share, min(MAX_ENTRY_BYTES, int(share * PART_OF_SHARE)))


class Quarantine:
    def __init__(self, db: Database) -> None:
        self.db = db

    def add(self, delivery: Quarantined) -> None:
        """Keep a delivery, once, until it is released, evicted or expires.

        Raises:
            StoreFull: Redis's memory is nearly full, or too many deliveries of this source clash.
            TooLargeToKeep: it has more bytes than is kept of one delivery.
        """
        self.add_all([delivery])

    def add_all(self, deliveries: Iterable[Quarantined]) -> None:
        """Keep some deliveries. Wait for each until it is as durable as ``ACK`` requires.

        A source with too many evicts its own oldest ones, but no clash: each of those is about a person.

        Raises:
            StoreFull: Redis's memory is nearly full, or too many deliveries of this source clash.
            TooLargeToKeep: one has more bytes than is kept of one delivery.
        """
        for delivery in deliveries:
            self._add(delivery)

    def _add(self, delivery: Quarantined) -> None:
        terms = self.db.terms()
        if not terms.room:
            raise StoreFull("Redis's memory is nearly full")
        limits = Limits.of(terms.memory)
        packed = base64.b64encode(zlib.compress(delivery.payload.encode(), ZLIB_LEVEL)).decode()
        problems, headers = json.dumps(delivery.problems), json.dumps(delivery.headers)
        size = len(packed) + len(problems) + len(headers) + OVERHEAD_BYTES
        if size > limits.entry:
            raise TooLargeToKeep("the delivery is too large for the quarantine")
        for _ in range(MAX_EVICTIONS):
            kept = self.db.run(
                "quarantine",
                wait=terms.wait,
                entry=self.db.key_of(f"{delivery.source}\n{delivery.payload}"),
                source=delivery.source,
                packed=packed,
                problems=problems,
                headers=headers,
                is_element=delivery.is_element or None,
                clash=delivery.clash or None,
                share=f"{delivery.source}:{delivery.clash}" if delivery.clash else delivery.source,
                size=size,
                max_entries=MAX_ENTRIES,
                max_bytes=limits.share,
                max_total=limits.total,
                max_evicted=MAX_EVICTED,
            )
            if kept == 1:
                return
            if kept == 0:
                break
        raise StoreFull("the quarantine is full")

    def release(self, entry: str, *, after_ms: int = 0) -> bool:
        """Remove a delivery that is ``after_ms`` old; return whether there was one."""
        return bool(self.db.run("release", entry=entry, after_ms=after_ms))

    def prune(self) -> int:
        """Remove expired deliveries, a bounded number at a time. Return how many."""
        expired = self.db.older(keys.QUARANTINE, KEPT_MS)
        return sum(self.release(entry, after_ms=KEPT_MS) for entry in expired)

    def page(
        self,
        *,
        offset: int = 0,
        limit: int = 100,
        clash: tuple[str, str] | None = None,
        with_payloads: bool = True,
    ) -> list[Quarantined]:
        """Return deliveries, the oldest first; ``clash``: only those of this pair.

        Lists need no payloads, of which a hundred can have a hundred megabytes.
        """
        listed = self._listed(offset, limit, clash)
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            for entry, _ in listed:
                pipe.hmget(keys.quarantined(entry), FIELDS)
            kept = pipe.execute()
        rows = zip(listed, kept, strict=True)
        found = [_load(entry, int(since), values) for (entry, since), values in rows if values[0] is not None]
        return [replace(one, payload=self._payload(one.entry)) for one in found] if with_payloads else found

    def size(self) -> int:
        with translated():
            return int(self.db.client.zcard(keys.QUARANTINE))

    def clashes(self) -> dict[tuple[str, str], int]:
        """Return how many deliveries wait because of a clash, by source and other source."""
        with translated():
            found: Any = self.db.client.hgetall(keys.CLASHES)
        return {clash.pair: clash.waiting for clash in load_clashes(found)}

    def evicted(self) -> dict[str, Total]:
        """Return how many deliveries were evicted, by source."""
        return with_prefix(EVICTED, Counters(self.db).totals(EVICTED))

    def read(self, entry: str) -> Quarantined | None:
        """Return one delivery with its payload, or ``None``."""
        with translated():
            since: Any = self.db.client.zscore(keys.QUARANTINE, entry)
            values: Any = self.db.client.hmget(keys.quarantined(entry), FIELDS)
        if values[0] is None:
            return None
        return replace(_load(entry, int(since or 0), values), payload=self._payload(entry))

    def _payload(self, entry: str) -> str:
        """Return a payload, which an earlier version stored without compression."""
        with translated():
            found: Any = self.db.client.hmget(keys.quarantined(entry), "packed", "payload")
        packed, payload = found
        return _unpack(packed) if packed else payload or ""

    def _listed(self, offset: int, limit: int, clash: tuple[str, str] | None) -> list[tuple[str, float]]:
        """Return entries and when they arrived, the oldest first."""
        last = offset + limit - 1
        with translated():
            if clash is None:
                listed: Any = self.db.client.zrange(keys.QUARANTINE, offset, last, withscores=True)
                return list(listed)
            share = keys.share(":".join(clash))
            if self.db.client.zcard(share) == self.clashes().get(clash, 0):
                return list(self.db.client.zrange(share, offset, last, withscores=True))  # type: ignore[arg-type]
            # An earlier version stored some of them, which are in no share.
            listed = self.db.client.zrange(keys.QUARANTINE, 0, -1, withscores=True)
            return self._clashing(listed, clash)[offset : last + 1]

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


def _load(entry: str, since: int, values: Sequence[str | None]) -> Quarantined:
    source, problems, headers, is_element, clash = values
    return Quarantined(
        source=source or "",
        payload="",
        problems=json.loads(problems or "{}"),
        headers=json.loads(headers or "{}"),
        is_element=is_element is not None,
        clash=clash or "",
        entry=entry,
        since=since,
    )


def _unpack(packed: str) -> str:
    """Return a payload.

    Raises:
        StoreError: it is damaged, or has more bytes than a delivery can have.
    """
    unpacker = zlib.decompressobj()
    try:
        payload = unpacker.decompress(base64.b64decode(packed), MAX_UNPACKED_BYTES)
        if not unpacker.eof:
            raise StoreError("an entry of the quarantine is too large, or cut off")
        return payload.decode()
    except (zlib.error, ValueError):
        pass
    raise StoreError("an entry of the quarantine is damaged")
