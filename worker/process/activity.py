"""What a worker process reports of itself, beside its heartbeat."""

import json
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker import __version__
from worker.store.queue import KEYS_PER_MESSAGE

#: Seconds between two reports, while nothing changes and while something does.
REPORT_EVERY_S = 10.0
REPORT_CHANGE_EVERY_S = 1.0
#: How many attempts follow each other in one thread: as many as LiveDesk answers in this time, in ms.
SERIES_MS = 500
#: How much the latest attempt counts for how long one takes.
WEIGHT = 0.1


class Activity:
    """Counts the attempts that run in this process.

    Each thread makes one at a time; threads share this.

    ``name`` is its host and its process id. ``clock`` is in seconds.
    """

    def __init__(self, host: str, pid: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = f"{host}:{pid}"
        self.clock = clock
        self.threads = 0
        self._started_at = self._progress_at = clock()
        self._running = 0
        #: How long an attempt takes lately, in ms.
        self._takes_ms = float(SERIES_MS)
        self._lock = threading.Lock()
        self._reported_at = float("-inf")
        self._reported = -1

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Wrap one attempt, or several that follow each other."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def progressed(self) -> None:
        """Record that an attempt begins."""
        self._progress_at = self.clock()

    def took(self, duration_ms: int) -> None:
        """Record how long LiveDesk took for an attempt."""
        self._takes_ms += WEIGHT * (duration_ms - self._takes_ms)

    def keys_per_message(self) -> int:
        """Return how many contacts a message may name.

        One, while nothing is known or LiveDesk is slow: threads share the work better.
        """
        return max(1, min(KEYS_PER_MESSAGE, int(SERIES_MS / max(1.0, self._takes_ms))))

    def report(self, read_time: Callable[[], int]) -> str:
        """Return a report, or ``""`` if none is due. ``read_time``: Redis's clock in ms."""
        running, waited_s = self._running, self.clock() - self._reported_at
        if waited_s < (REPORT_EVERY_S if running == self._reported else REPORT_CHANGE_EVERY_S):
            return ""
        now = read_time()
        self._reported_at, self._reported = self.clock(), running
        return json.dumps(
            {
                "version": __version__,
                "started_at": self._in_ms(now, self._started_at),
                "progress_at": self._in_ms(now, self._progress_at),
                "threads": self.threads,
                "running": running,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                * (1 if sys.platform == "darwin" else 1024),
            }
        )

    def _in_ms(self, now: int, at: float) -> int:
        return now - round((self.clock() - at) * 1000)

    def _count(self, change: int) -> None:
        with self._lock:
            self._running += change
            self._progress_at = self.clock()
