"""Limits log lines that anybody can cause, so that nobody fills a disk with them."""

import threading
import time
from collections.abc import Callable, Hashable

#: Equal lines in a minute: enough to see one's own mistakes while setting something up.
BURST = 5
WINDOW_S = 60.0


class LogLimit:
    """Lets a few equal lines pass each minute, and counts the others.

    Callers bound the number of keys. ``clock`` is in seconds.
    """

    def __init__(self, burst: int = BURST, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.burst = burst
        self.clock = clock
        self._windows: dict[Hashable, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def admit(self, key: Hashable) -> int | None:
        """Return how many lines were left out before this one; ``None``: leave it out."""
        now = self.clock()
        with self._lock:
            began, lines = self._windows.get(key, (now, 0))
            left_out = 0
            if now - began >= WINDOW_S:
                left_out = max(0, lines - self.burst)
                began, lines = now, 0
            self._windows[key] = began, lines + 1
        return left_out if lines < self.burst else None
