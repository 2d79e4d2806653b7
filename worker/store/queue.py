"""Celery's queue in Redis, the sweep that feeds it, the workers that drain it."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import msgspec

from worker.model import UpstreamPolicy
from worker.store import keys
from worker.store.connection import translated
from worker.store.database import Database

#: How many contacts the messages in the queue may name, by each lane in the order of ``keys.LANES``: none fills the
#: room of an earlier one, and what is in the queue before a new contact is sent within a second or two.
QUEUE_BOUNDS = (1100, 1000, 500, 100, 100, 100)
#: How long the queue may get by the messages that deliveries add, one for each new contact. With more, all workers are
#: busy, and the sweep writes fewer messages for the same contacts. It is above what changes and bulk work may take.
NEW_BOUND = QUEUE_BOUNDS[-1] + 20
#: New contacts go straight to the queue while it has no more than the pace can use in this time: ``due`` is a better
#: place to wait for longer.
QUEUE_SECONDS = 2
#: Contacts of one sweep, so that the script blocks Redis for a few ms only.
MAX_SWEPT = 500
#: How many contacts a message may name (docs/adr/0040-a-message-names-several-contacts.md).
KEYS_PER_MESSAGE = 20
#: Up to this rate, in requests a second, it names one: workers have the time for that.
UNHURRIED_RATE = 200.0
#: How long a contact that was handed over is left alone, in ms, before its message counts as lost.
GRACE_MS = 30_000
#: A worker writes a heartbeat every second; one that is older than this has stopped.
HEARTBEAT_FRESH_MS = 30_000
#: The member of ``keys.WORKERS`` for workers that have stopped as they should.
STOPPED = "-"
#: A worker that has died is remembered for this long, in ms.
WORKER_KEPT_MS = 24 * 3_600_000
KEY_MARK = "@key@"
ID_MARK = "@id@"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Celery's message, with marks for the keys of contacts and the message's ids.

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
class WorkerReport:
    """What a worker process says about itself (``process.activity``).

    Times are in ms. ``running`` counts attempts, ``progress_at`` is when one last began or ended, and ``memory`` is the
    most that the process has used, in bytes.
    """

    version: str
    started_at: int
    progress_at: int
    threads: int
    running: int
    memory: int


@dataclass(frozen=True, slots=True)
class Workers:
    """When each worker last sent a heartbeat, and what time it is ``now``.

    A worker is called by its host and its process id. Former versions gave only the host, and no report. ``stopped_at``
    is when one last stopped as it should, which removes its heartbeat.
    """

    now: int
    seen: dict[str, int]
    reports: dict[str, WorkerReport] = field(default_factory=dict)
    stopped_at: int | None = None

    def alive(self) -> list[str]:
        """Return the workers whose last heartbeat is fresh."""
        return [name for name in self.seen if self.is_alive(name)]

    def is_alive(self, name: str) -> bool:
        return self.now - self.seen[name] <= HEARTBEAT_FRESH_MS

    @property
    def last_seen(self) -> int | None:
        """When any worker last made progress."""
        stopped = () if self.stopped_at is None else (self.stopped_at,)
        return max((*self.seen.values(), *stopped), default=None)


def load_workers(now: int, heartbeats: Sequence[tuple[str, float]], reports: Mapping[str, str]) -> Workers:
    """Return the workers from ``keys.WORKERS`` and ``keys.WORKER_REPORTS``."""
    seen = {name: int(at) for name, at in heartbeats}
    stopped_at = seen.pop(STOPPED, None)
    known = {name: report for name, text in reports.items() if name in seen and (report := _load_report(text))}
    return Workers(now, seen, known, stopped_at)


def _load_report(text: str) -> WorkerReport | None:
    """Return ``None`` for the report of another version that has other fields."""
    try:
        return msgspec.json.decode(text, type=WorkerReport)
    except msgspec.MsgspecError:
        return None


def host_and_pid(name: str) -> tuple[str, int | None]:
    """Return what a worker's name consists of."""
    host, colon, pid = name.rpartition(":")
    return (host, int(pid)) if colon and pid.isdecimal() else (name, None)


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

    def sweep(self, worker: str = "", report: str = "", keys_per_message: int = 1) -> Swept:
        """Hand due contacts over to Celery while there is room, and record progress.

        ``report`` is a ``WorkerReport`` as JSON, if there is news. ``keys_per_message``: how many contacts a message
        may name, where many are due.
        """
        handed, waiting, more = self.db.run(
            "sweep",
            template=self.envelope.template,
            grace_ms=self.grace_ms,
            sweep_id=secrets.token_hex(8),
            max_handed=MAX_SWEPT,
            keys_per_message=1 if 0 < self.policy["rate"] <= UNHURRIED_RATE else keys_per_message,
            bounds=QUEUE_BOUNDS,
            worker=worker,
            report=report,
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

    def leave(self, worker: str) -> None:
        """Remove the heartbeat of a worker that stops."""
        now = self.db.now()
        with translated(), self.db.client.pipeline() as pipe:
            pipe.zrem(keys.WORKERS, worker)
            pipe.hdel(keys.WORKER_REPORTS, worker)
            pipe.zadd(keys.WORKERS, {STOPPED: now})
            pipe.execute()

    def workers(self) -> Workers:
        """Return the workers that have sent a heartbeat lately."""
        now = self.db.now()
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            pipe.zrange(keys.WORKERS, 0, -1, withscores=True)
            pipe.hgetall(keys.WORKER_REPORTS)
            heartbeats, reports = pipe.execute()
        return load_workers(now, heartbeats, reports)
