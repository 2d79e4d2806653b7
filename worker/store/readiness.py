"""Whether a delivery would be accepted now, which is found out by trying."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from worker.durations import rfc3339
from worker.errors import StoreError, StoreUnavailable
from worker.store import keys
from worker.store.connection import translated
from worker.store.contacts import Contacts
from worker.store.database import Database
from worker.store.durability import LOOK_EVERY_S, Health, judge, look, needed_wait, unmet

#: Seconds that a caller waits for a trial. With ``ACK=fsync`` under ``everysec`` a trial takes 1.1 s.
PATIENCE_S = 1.5
#: Seconds without an answer from Redis that are worth a warning.
SLOW_S = 0.5

EMPTIED = (
    "Redis was emptied (noticed at {}): signups that were acknowledged before and are not in LiveDesk are lost. Send "
    "them again, then run flask acknowledge"
)


class Readiness:
    """Tries at most once a second; ``clock`` is in seconds.

    A trial runs in a thread of its own, because it waits for a slow Redis as long as a delivery does, and a health
    check does not. Meanwhile the last result stands, as deliveries wait.
    """

    def __init__(self, db: Database, contacts: Contacts, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.db = db
        self.contacts = contacts
        self.clock = clock
        self._seen: tuple[float, Health] | None = None
        self._trial: Future[Health] | None = None
        self._lock = threading.Lock()

    def check(self) -> Health:
        """Return whether deliveries are accepted, and are as durable as required.

        Raises:
            StoreUnavailable: Redis cannot be reached, or does not answer.
        """
        seen = self._seen
        if seen is not None and self.clock() - seen[0] < LOOK_EVERY_S:
            return seen[1]
        trial = self._begin()
        try:
            return trial.result(PATIENCE_S)
        except TimeoutError:
            return self._meanwhile()

    def is_stalled(self) -> bool:
        """Return whether Redis answers nobody now."""
        return self.db.connections.unresponsive.stalled_s() > SLOW_S

    def _begin(self) -> "Future[Health]":
        """Return the trial that is running, or a new one."""
        with self._lock:
            if self._trial is None or self._trial.done():
                self._trial = Future()
                threading.Thread(target=self._run, args=(self._trial,), name="readiness", daemon=True).start()
            return self._trial

    def _run(self, trial: "Future[Health]") -> None:
        try:
            health = self._examine()
        except Exception as error:  # noqa: BLE001 - the caller gets it
            self._seen = None
            trial.set_exception(error)
        else:
            self._seen = self.clock(), health
            trial.set_result(health)

    def _examine(self) -> Health:
        required, connections = self.db.requirements, self.db.connections
        server = look(connections)
        if server.info.get("loading"):
            return judge(server, required, 0)
        with translated():
            backlog, emptied_at, since = connections.ask(
                ("ZCARD", keys.DUE), ("GET", keys.EMPTIED), ("GET", keys.SINCE)
            )
        refusal = None
        if unmet(server, required.ack) is None:
            try:
                self.contacts.try_accepting(needed_wait(server, required.ack))
            except StoreError as error:
                refusal = str(error)
        health = judge(server, required, backlog if isinstance(backlog, int) else 0, refusal)
        warnings = (
            (EMPTIED.format(rfc3339(int(emptied_at))), *health.warnings) if _is_text(emptied_at) else health.warnings
        )
        return replace(health, warnings=warnings, since=int(since) if _is_text(since) else None)

    def _meanwhile(self) -> Health:
        """Return what is true while a trial waits for Redis."""
        seen, unresponsive = self._seen, self.db.connections.unresponsive
        waited_s = unresponsive.stalled_s()
        if seen is None or unresponsive.is_silent:
            raise StoreUnavailable("it does not answer")
        if waited_s < SLOW_S:
            return seen[1]
        slow = f"Redis has not answered for {waited_s:.0f} s: deliveries wait for it, for {unresponsive.patience_s:g} s"
        return replace(seen[1], warnings=(f"{slow} at most (ACCEPT_TIMEOUT)", *seen[1].warnings))


def _is_text(answer: object) -> bool:
    """Return whether it is neither absent nor an error."""
    return isinstance(answer, str)
