"""Celery's queue in Redis, the sweep that feeds it, the workers that drain it."""

import secrets
from dataclasses import dataclass
from math import ceil
from typing import Any

from worker.model import UpstreamPolicy
from worker.store import keys
from worker.store.connection import translated
from worker.store.database import Database

#: How long the queue may get by each lane, in the order of ``keys.LANES``: none fills the room of an earlier one, and
#: what is in the queue before a new contact is sent within a second or two.
QUEUE_BOUNDS = (1100, 1000, 500, 100, 100, 100)
#: How long the queue may get by new contacts.
NEW_BOUND = QUEUE_BOUNDS[1]
#: New contacts go straight to the queue while it has no more than the pace can use in this time: ``due`` is a better
#: place to wait for longer.
QUEUE_SECONDS = 2
#: Messages of one sweep, so that the script blocks Redis for a few ms only.
MAX_SWEPT = 500
#: How long a contact that was handed over is left alone, in ms, before its message counts as lost.
GRACE_MS = 30_000
#: A worker writes a heartbeat every second; one that is older than this has stopped.
HEARTBEAT_FRESH_MS = 30_000
#: A host without a working worker is remembered for this long, in ms.
WORKER_KEPT_MS = 24 * 3_600_000
KEY_MARK = "@key@"
ID_MARK = "@id@"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Celery's message for a contact, with marks for the key and the message's ids.

    ``worker.process.envelope`` builds it.
    """

    template: str

    def message(self, key: str, message_id: str) -> str:
        return self.template.replace(KEY_MARK, key).replace(ID_MARK, message_id)


@dataclass(frozen=True, slots=True)
class Swept:
    """The contacts handed over, the messages queued before, and whether more are due."""

    handed: int
    waiting: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Workers:
    """When a worker on each host last made progress, and what time it is ``now``."""

    now: int
    seen: dict[str, int]

    def alive(self) -> list[str]:
        """Return the hosts whose last heartbeat is fresh."""
        return [host for host, at in self.seen.items() if self.now - at <= HEARTBEAT_FRESH_MS]


class Queue:
    """``bound`` is how long the queue may get by new contacts."""

    def __init__(self, db: Database, envelope: Envelope | None, policy: UpstreamPolicy, *, grace_ms: int) -> None:
        self.db = db
        self.policy = policy.arguments()
        self.grace_ms = grace_ms
        self.bound = min(NEW_BOUND, ceil(policy.rate * QUEUE_SECONDS) or NEW_BOUND)
        self._envelope = envelope
        self.template = envelope.template if envelope else None

    @property
    def envelope(self) -> Envelope:
        if self._envelope is None:
            raise RuntimeError("a store without an envelope only reads")
        return self._envelope

    def sweep(self, worker: str = "") -> Swept:
        """Hand due contacts over to Celery while there is room, and record progress."""
        handed, waiting, more = self.db.run(
            "sweep",
            template=self.envelope.template,
            grace_ms=self.grace_ms,
            sweep_id=secrets.token_hex(8),
            max_messages=MAX_SWEPT,
            bounds=QUEUE_BOUNDS,
            worker=worker,
            worker_kept_ms=WORKER_KEPT_MS,
            policy=self.policy,
        )
        return Swept(handed, waiting, bool(more))

    def ping(self) -> str | None:
        """Enqueue a message without a contact, to detect a worker; ``None``: no room."""
        message = self.envelope.message(secrets.token_hex(8), secrets.token_hex(8))
        return message if self.db.run("ping", message=message, queue_bound=QUEUE_BOUNDS[-1]) else None

    def length(self) -> int:
        with translated():
            return int(self.db.client.llen(keys.QUEUE))

    def is_waiting(self, message: str) -> bool:
        """Return whether this message is still in the queue."""
        with translated():
            return self.db.client.lpos(keys.QUEUE, message) is not None

    def workers(self) -> Workers:
        """Return the hosts that workers run on."""
        now = self.db.now()
        with translated():
            seen: Any = self.db.client.zrange(keys.WORKERS, 0, -1, withscores=True)
        return Workers(now, {name: int(at) for name, at in seen})
