"""The store of one process: one attribute for each subject in Redis."""

import time
from collections.abc import Callable

import redis

from worker.model import Requirements, UpstreamPolicy
from worker.store.audit import Audit
from worker.store.changes import Changes
from worker.store.contacts import Contacts
from worker.store.counters import Counters
from worker.store.database import Database
from worker.store.findings import Findings
from worker.store.lists import ContactLists
from worker.store.operations import Operations
from worker.store.overview import OverviewReader
from worker.store.quarantine import Quarantine
from worker.store.queue import GRACE_MS, Envelope, Queue
from worker.store.readiness import Readiness
from worker.store.security import RateLimiter, SecretUses, Sessions, SignedBodies
from worker.store.upstream import UpstreamControl
from worker.store.watch import Watch

#: For stores that send nothing to LiveDesk.
UNLIMITED = UpstreamPolicy()


class Store(Database):
    """One for each process; threads may share it.

    Every method raises ``StoreUnavailable``, ``StoreFull`` or ``StoreError``, and has then either done
    everything or nothing. Every change is one Lua script, named like its method. A script may run twice (its answer may
    get lost, and then the caller repeats it): a claim carries its caller's token, a change is tied to the token, the
    rest is harmless to repeat.

    A process that only reads needs no ``envelope``. For the other options see ``Database``.
    """

    def __init__(
        self,
        client: redis.Redis,
        envelope: Envelope | None = None,
        *,
        lease_ms: int = 0,
        grace_ms: int = GRACE_MS,
        policy: UpstreamPolicy = UNLIMITED,
        requirements: Requirements | None = None,
        clock: Callable[[], float] = time.monotonic,
        patient: redis.Redis | None = None,
        room: int | None = None,
    ) -> None:
        template = envelope.template if envelope else ""
        super().__init__(client, requirements, clock, patient=patient, room=room, template=template)
        self.upstream = UpstreamControl(self, policy)
        self.queue = Queue(self, envelope, policy, grace_ms=grace_ms)
        self.counters = Counters(self)
        self.contacts = Contacts(self, self.queue, policy, self.counters, lease_ms=lease_ms)
        self.lists = ContactLists(self)
        self.quarantine = Quarantine(self)
        self.audit = Audit(self)
        self.changes = Changes(self)
        self.operations = Operations(self, self.lists)
        self.readiness = Readiness(self, self.contacts, clock=clock)
        self.overview = OverviewReader(self, self.upstream, self.readiness)
        self.watch = Watch(self)
        self.findings = Findings(self)
        self.rate_limiter = RateLimiter(self)
        self.sessions = Sessions(self)
        self.secret_uses = SecretUses(self)
        self.signed_bodies = SignedBodies(self)
