"""What happens often is counted in this process, and added to the counts in Redis every few seconds.

Counting waits for nobody. A process that is killed loses what it has counted since the last time; whatever must be
exact is counted by the scripts, with the change itself.
"""

import logging
import threading
from bisect import bisect_left
from collections import Counter

from worker import telemetry
from worker.errors import StoreError
from worker.store.desk import Desk

log = logging.getLogger(__name__)

#: Seconds between two additions to Redis.
FLUSH_EVERY_S = 5.0
#: The upper bounds of the buckets that durations are counted in, in ms; what takes longer is counted in ``inf``.
BUCKETS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000)


class Counters:
    """One for each process; threads may share it. Names come from a bounded vocabulary: nothing here forgets one.

    A duration goes into one bucket of ``<name>_ms:<upper bound>``, and in µs into the sum ``<name>_us``.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tally", daemon=True)

    def add(self, name: str, number: int = 1) -> None:
        with self._lock:
            self._counts[name] += number

    def took(self, name: str, seconds: float) -> None:
        at = bisect_left(BUCKETS_MS, seconds * 1000)
        bound = BUCKETS_MS[at] if at < len(BUCKETS_MS) else "inf"
        with self._lock:
            self._counts[f"{name}_ms:{bound}"] += 1
            self._counts[f"{name}_us"] += round(seconds * 1_000_000)

    def start(self) -> None:
        """Adds to Redis every few seconds, in a thread of its own, until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """Adds what is left."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    def flush(self) -> None:
        """Adds to Redis what was counted since the last time. While Redis cannot take it, it is kept."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            self.desk.count(counts)
        except StoreError as error:
            log.info("counts are kept until Redis takes them: %s", error)
            with self._lock:
                self._counts.update(counts)

    def _run(self) -> None:
        while not self._stopping.wait(FLUSH_EVERY_S):
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 - without this thread nothing more would be counted
                telemetry.report_bug(error)
