"""While Redis says nothing, one request at a time finds out whether it does again; the others are answered at once.

A thread that waits for Redis waits a second. If every request did, those behind it would wait for their thread, too,
each a second longer than the one before, and senders give up after two.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType

from worker.errors import StoreUnavailable

#: Seconds of waiting that make it an outage. Where Redis refuses at once, nobody waits.
SLOW_S = 0.5
#: Seconds until another request tries.
AGAIN_S = 1.0


class Outage:
    """Shared by the threads of a process. ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._until: float | None = None

    def watching(self) -> "Watch":
        """For ``with``: notes whether what is done inside is kept waiting by Redis.

        Raises:
            StoreUnavailable: somebody was kept waiting a moment ago, so nobody else is to wait now.
        """
        began = self.clock()
        if self._until is not None:
            self._let_one_through(began)
        return Watch(self, began)

    def _let_one_through(self, now: float) -> None:
        with self._lock:
            if self._until is not None and now < self._until:
                raise StoreUnavailable("it did not answer a moment ago")
            self._until = now + AGAIN_S

    def note(self, error: BaseException | None, *, is_slow: bool) -> None:
        """How it went."""
        if error is None:
            self._until = None
        elif is_slow and isinstance(error, StoreUnavailable):
            self._until = self.clock() + AGAIN_S


class Watch:
    """One use of Redis. ``is_slow`` once it is over: it took ``SLOW_S``."""

    __slots__ = ("began", "is_slow", "outage")

    def __init__(self, outage: Outage, began: float) -> None:
        self.outage = outage
        self.began = began
        self.is_slow = False

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.is_slow = self.outage.clock() - self.began >= SLOW_S
        self.outage.note(error, is_slow=self.is_slow)
