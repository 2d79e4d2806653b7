"""What a worker process reports of itself, beside its heartbeat."""

import json
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker import __version__

#: Seconds between two reports, while nothing changes and while something does.
REPORT_EVERY_S = 10.0
REPORT_CHANGE_EVERY_S = 1.0


class Activity:
    """Counts the attempts that run in this process. Threads share it.

    ``name`` is its host and its process id. ``clock`` is in seconds.
    """

    def __init__(self, host: str, pid: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = f"{host}:{pid}"
        self.clock = clock
        self.threads = 0
        self._started_at = self._progress_at = clock()
        self._running = 0
        self._lock = threading.Lock()
        self._reported_at = float("-inf")
        self._reported = -1

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Wrap one attempt."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

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
