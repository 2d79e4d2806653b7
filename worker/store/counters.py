"""Counters of frequent events, added to those in Redis once a second.

Counting waits for nothing. A process that is killed loses what it has counted since the last flush; whatever must be
exact is counted by the scripts, together with the change itself.
"""

import logging
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from worker import telemetry
from worker.errors import StoreError
from worker.store import keys
from worker.store.connection import translated
from worker.store.database import Database
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Prefixes of counters: ``delivery:<source>:<status>``, ``refused:<source>:<reason>``, ``clash:<source>:<other>``,
#: ``event:<source>:<EventKind>``, and ``evicted:<source>``.
DELIVERY, REFUSED, CLASH, EVENT, EVICTED = "delivery:", "refused:", "clash:", "event:", "evicted:"
#: Messages in Celery's queue that were not ours.
MESSAGES_DROPPED = "messages_dropped"
#: Seconds between two flushes.
FLUSH_EVERY_S = 1.0
MINUTE_MS = 60_000
MINUTES_PER_HOUR = 60
#: The upper bounds of the buckets for durations, in ms; anything longer is counted in ``inf``.
BUCKETS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000)
#: The same for changes, which wait behind new signups: from 100 ms to a day.
CHANGE_BUCKETS_MS = (100, 500, 1000, 5000, 30_000, 60_000, 300_000, 1_800_000, 3_600_000, 21_600_000, 86_400_000)


class EventKind(StrEnum):
    """What a delivery says about a person who was known already (``lua/accept.lua``)."""

    #: LiveDesk has the person already.
    CHANGE = "change"
    DELETION = "deletion"
    #: A newer event arrived before it.
    STALE = "stale"


EVENTS = frozenset(EventKind)


@dataclass(frozen=True, slots=True)
class Total:
    """How often something happened: since ever, and in the last hour."""

    ever: int
    last_hour: int


def with_prefix(prefix: str, totals: Mapping[str, Total]) -> dict[str, Total]:
    """Return those whose names have this prefix, by the rest of their names."""
    return {name.removeprefix(prefix): total for name, total in totals.items() if name.startswith(prefix)}


class Counters:
    """The counters of a process, thread-safe. Names are bounded: none is removed.

    A duration goes into one bucket of ``<name>_ms:<upper bound>``, and in µs into the sum ``<name>_us``.
    """

    def __init__(self, db: Database) -> None:
        self.db = db
        self._counts: Counter[str] = Counter()
        #: Each delivery's source, status and detail, and by their names the bounds of durations, and these in seconds.
        #: They are counted when they are flushed: all together take a fraction of the time.
        self._accepted: list[tuple[str, str, str]] = []
        self._durations: dict[str, tuple[tuple[int, ...], list[float]]] = {}
        #: What a script has counted in its minute, and not in total.
        self._totals: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="counters", daemon=True)

    def add(self, name: str, number: int = 1) -> None:
        with self._lock:
            self._counts[name] += number

    def accepted(self, source: str, status: str, detail: str) -> None:
        """Count a delivery that is stored, by the answer of ``lua/accept.lua``."""
        with self._lock:
            self._accepted.append((source, status, detail))

    def created(self) -> None:
        """Count an attempt that ``lua/finish_created.lua`` has ended."""
        with self._lock:
            self._counts["created"] += 1
            self._totals["ok"] += 1

    def took(self, name: str, seconds: float, bounds: tuple[int, ...] = BUCKETS_MS) -> None:
        """Count a duration."""
        with self._lock:
            known = self._durations.get(name)
            if known is None:
                known = self._durations[name] = bounds, []
            known[1].append(seconds)

    def start(self) -> None:
        """Flush once a second, in a thread of its own, until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """Flush what is left."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    def flush(self) -> None:
        """Add the new counts to Redis, or keep them while Redis is unavailable."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            accepted, self._accepted = self._accepted, []
            durations, self._durations = self._durations, {}
            totals, self._totals = self._totals, Counter()
        _count_accepted(counts, accepted)
        for name, (bounds, seconds) in durations.items():
            _count_durations(counts, name, seconds, bounds)
        if not counts:
            return
        try:
            self.write(counts, totals)
        except StoreError as error:
            log.info(LogEvent("counters delayed", error=error))
            with self._lock:
                self._counts.update(counts)
                self._totals.update(totals)

    def write(self, counts: Mapping[str, int], totals: Mapping[str, int] | None = None) -> None:
        """Add ``counts`` to the totals and to this minute, and ``totals`` to the former."""
        self.db.run("add_counts", counts=counts, totals=totals or {})

    def totals(self, *prefixes: str) -> dict[str, Total]:
        """Return the counters whose names have one of these prefixes, by name."""
        this = self.db.now() // MINUTE_MS
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.COUNTS)
            for back in range(MINUTES_PER_HOUR):
                pipe.hgetall(keys.minute(this - back))
            ever, *minutes = pipe.execute()
        return {
            name: Total(int(number), sum(int(minute.get(name, 0)) for minute in minutes))
            for name, number in sorted(ever.items())
            if name.startswith(prefixes)
        }

    def _run(self) -> None:
        while not self._stopping.wait(FLUSH_EVERY_S):
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 - without this thread nothing more would be counted
                telemetry.report_bug(error)


def _count_accepted(counts: Counter[str], accepted: list[tuple[str, str, str]]) -> None:
    for (source, status, detail), number in Counter(accepted).items():
        counts[status] += number
        counts[f"{DELIVERY}{source}:{status}"] += number
        if detail in EVENTS:
            counts[f"{EVENT}{source}:{detail}"] += number


def _count_durations(counts: Counter[str], name: str, seconds: list[float], bounds: tuple[int, ...]) -> None:
    seconds.sort()
    below = 0
    for bound in (*bounds, inf):
        until = bisect_right(seconds, bound / 1000)
        if until > below:
            counts[f"{name}_ms:{bound}"] += until - below
        below = until
    counts[f"{name}_us"] += round(sum(seconds) * 1_000_000)
