"""What runs beside the tasks in a worker: sweeps, expiry, operations, a watchdog.

Every process sweeps (docs/adr/0002-sweep-in-every-worker.md), so there is no scheduler that could fail: as long as one
worker lives, everything that is due is handed over.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from worker import telemetry
from worker.errors import StoreError
from worker.process.activity import Activity
from worker.store.queue import Swept
from worker.store.store import Store
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Seconds between two sweeps, and while there is a backlog.
INTERVAL_S = 1.0
BACKLOG_INTERVAL_S = 0.2
#: Seconds between two removals of what has expired.
FORGET_INTERVAL_S = 60.0
#: Seconds between two lines in the log about sweeps that failed.
LOG_EVERY_S = 60.0
#: A worker that starts no task for this long although messages wait is stuck, in seconds.
STUCK_AFTER_S = 120.0
#: Seconds that a sweep may take when the process ends.
LEAVE_S = 5.0
#: Exit status of a worker that ends itself because it is stuck (EX_SOFTWARE of sysexits.h).
STUCK_STATUS = 70


def end_process() -> None:
    """Exit at once, because a stuck process cannot shut down."""
    os._exit(STUCK_STATUS)


class Sweeper:
    """Runs in its own thread from ``start`` to ``stop``."""

    def __init__(
        self,
        store: Store,
        *,
        activity: Activity,
        keep_created_ms: int,
        stuck_after_s: float = STUCK_AFTER_S,
        on_stuck: Callable[[], None] = end_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.activity = activity
        self.keep_created_ms = keep_created_ms
        self.stuck_after_s = stuck_after_s
        self.on_stuck = on_stuck
        self.clock = clock
        self.progress_at = clock()
        self.forget_at = clock()
        self.log_at = clock()
        self._stopping = threading.Event()
        self._is_asked = False
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end.

        A signal handler may call this, and another signal may interrupt it.
        """
        if not self._is_asked:  # ``Event.set`` waits for ever for the one that it interrupts
            self._is_asked = True
            self._stopping.set()

    def leave(self) -> None:
        """Remove the heartbeat, once the last attempts have ended."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(LEAVE_S)
        try:
            self.store.queue.leave(self.activity.name)
        except StoreError as error:
            log.info(LogEvent("heartbeat not removed", error=error))

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def task_started(self) -> None:
        """Record that the worker makes progress."""
        self.progress_at = self.clock()

    def _run(self) -> None:
        interval_s = 0.0
        while not self._stopping.wait(interval_s):
            interval_s = INTERVAL_S
            try:
                swept = self.once()
                if self.store.operations.step():
                    interval_s = 0.0
                elif swept.more:
                    interval_s = BACKLOG_INTERVAL_S
            except StoreError as error:
                self._report(error)
            except Exception as error:  # noqa: BLE001 - without this thread nothing that is due would be handed over
                telemetry.report_bug(error)

    def _report(self, error: StoreError) -> None:
        """Log the first failure, and then one a minute."""
        if self.clock() >= self.log_at:
            log.warning(LogEvent("sweep failed", error=error))
            self.log_at = self.clock() + LOG_EVERY_S

    def once(self) -> Swept:
        """Sweep, and from time to time remove what has expired."""
        try:
            swept = self.store.queue.sweep(
                self.activity.name, self.activity.report(self.store.now), self.activity.keys_per_message()
            )
        except StoreError:
            self.progress_at = self.clock()  # without Redis no task can start: this process is not to blame
            raise
        self._watch(swept.waiting)
        if self.clock() >= self.forget_at:
            removed = self.store.contacts.forget(self.keep_created_ms) + self.store.quarantine.prune()
            self.forget_at = self.clock() + (0.0 if removed else FORGET_INTERVAL_S)
        return swept

    def _watch(self, waiting: int) -> None:
        """End the process when it makes no progress, such as after a lost connection."""
        if waiting == 0:
            self.progress_at = self.clock()
        elif self.clock() - self.progress_at > self.stuck_after_s:
            log.critical(LogEvent("worker stuck", waiting=waiting, idle_s=round(self.stuck_after_s)))
            self.on_stuck()
