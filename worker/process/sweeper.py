"""What runs beside the tasks in every worker process: the sweep, the forgetting, the operations on many contacts, and
the watch over the worker itself.

Each process sweeps for all (docs/adr/0002-sweep-in-every-worker.md): there is no scheduler to fail, and as long as
one worker lives, whatever is due is handed over.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from worker import telemetry
from worker.errors import StoreError
from worker.store.queue import Swept
from worker.store.store import Store
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Seconds between two sweeps, and between two while there is a backlog to hand over.
INTERVAL_S = 1.0
BACKLOG_INTERVAL_S = 0.2
#: Seconds between two rounds of forgetting created contacts that are old.
FORGET_INTERVAL_S = 60.0
#: A worker that starts no task for this long, in seconds, although messages wait, is stuck.
STUCK_AFTER_S = 120.0
#: Exit status of a worker that ends itself because it is stuck (EX_SOFTWARE of sysexits.h).
STUCK_STATUS = 70


def end_process() -> None:
    """At once: a process that is stuck cannot be asked to shut down. Whoever supervises it starts it again."""
    os._exit(STUCK_STATUS)


class Sweeper:
    """Runs in a thread of its own from ``start`` to ``stop``."""

    def __init__(
        self,
        store: Store,
        *,
        name: str,
        keep_created_ms: int,
        stuck_after_s: float = STUCK_AFTER_S,
        on_stuck: Callable[[], None] = end_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.name = name
        self.keep_created_ms = keep_created_ms
        self.stuck_after_s = stuck_after_s
        self.on_stuck = on_stuck
        self.clock = clock
        self.moved_at = clock()
        self.forget_at = clock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def task_started(self) -> None:
        """The worker makes progress."""
        self.moved_at = self.clock()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                swept = self.once()
                pause = BACKLOG_INTERVAL_S if self.store.operations.step() or swept.more else INTERVAL_S
            except StoreError as error:
                log.warning(LogEvent("sweep failed", error=error))
                pause = INTERVAL_S
            except Exception as error:  # noqa: BLE001 - without this thread nothing that is due would be handed over
                telemetry.report_bug(error)
                pause = INTERVAL_S

    def once(self) -> Swept:
        """One round."""
        try:
            swept = self.store.queue.sweep(self.name)
        except StoreError:
            self.moved_at = self.clock()  # without Redis no task can start: that is no fault of this process
            raise
        self._watch(swept.waiting)
        if self.clock() >= self.forget_at:
            forgotten = self.store.contacts.forget(self.keep_created_ms) + self.store.quarantine.prune()
            self.forget_at = self.clock() + (0.0 if forgotten else FORGET_INTERVAL_S)
        return swept

    def _watch(self, waiting: int) -> None:
        """Progress tells whether a worker lives, not its pid: after a lost connection it may hang for ever."""
        if waiting == 0:
            self.moved_at = self.clock()
        elif self.clock() - self.moved_at > self.stuck_after_s:
            log.critical(LogEvent("worker stuck", waiting=waiting, idle_s=round(self.stuck_after_s)))
            self.on_stuck()
