"""Notices within a second that Redis was emptied, even if nothing else happens."""

import logging
import threading

from worker import telemetry
from worker.errors import StoreError
from worker.store.database import Database
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

INTERVAL_S = 1.0


class Watch:
    """Runs in a thread of its own from ``start`` to ``stop``."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            try:
                self.db.look_for_loss()
            except StoreError as error:  # others report that Redis is away
                log.debug(LogEvent("watch failed", error=error))
            except Exception as error:  # noqa: BLE001 - without this thread nobody would notice a loss
                telemetry.report_bug(error)
