"""Every change to a contact, and to how LiveDesk is treated. Each method is one Lua script of the same name in
``lua/``, and so one atomic step.

Any script may run twice (an answer may get lost, nothing is repeated by the client): a claim carries its caller's
token, a change is tied to the token, the rest is harmless to repeat. Times are Redis's own; ``shift_ms`` turns its
clock in tests.
"""

import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Any

import redis

from worker.errors import StoreError, StoreFull, StoreUnavailable
from worker.events import LogEvent
from worker.model import (
    Accepted,
    Attempt,
    AttemptResult,
    Claim,
    Contact,
    Note,
    State,
    Status,
)
from worker.process.envelope import Envelope
from worker.store import keys, record
from worker.store.connection import ask, lines_of, translated
from worker.store.durability import Guard, Terms, Wait
from worker.store.scripts import Scripts
from worker.store.upstream import UpstreamPolicy

log = logging.getLogger(__name__)

#: How long the queue may get by new contacts, by retries, by bulk work: what comes later in the list never fills the
#: room of what comes before it.
QUEUE_BOUNDS = (1000, 500, 250)
#: New contacts go right into the queue while it is no longer than what the pace can use in so many seconds: what waits
#: longer waits better in ``due``.
QUEUE_SECONDS = 2
#: Most messages that one sweep hands over, so that the script holds Redis for a few ms only.
SWEEP_MOST = 500
#: How long a handed-over contact is left alone, in ms, before its message counts as lost.
GRACE_MS = 30_000
#: Attempts kept on a record besides the first one.
ATTEMPTS_KEPT = 20
#: A cause that was not seen for this long counts as new again, in ms.
CAUSE_FRESH_MS = 24 * 3_600_000
#: Causes that are told apart; what comes on top is ``other``.
CAUSES_MOST = 500
#: A host without a working worker is remembered for this long, in ms.
WORKER_KEPT_MS = 24 * 3_600_000
#: Created contacts, or deliveries in quarantine, forgotten in one go.
FORGET_MOST = 200
#: For stores that ask LiveDesk nothing.
UNLIMITED = UpstreamPolicy()


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a verdict: written, unless the lease was lost; ``new_cause``: nobody saw this cause lately;
    ``turn``: what it changed for all contacts: ``down``, ``misconfigured``, ``inbox``, ``resumed`` or nothing."""

    written: bool
    new_cause: bool = False
    turn: str = ""


@dataclass(frozen=True, slots=True)
class Swept:
    """How many contacts a sweep handed over, how many messages waited before, and whether more contacts are due."""

    handed: int
    waiting: int
    more: bool = False


class Store:
    """The write side; ``Desk`` has what is not about contacts. One for each process; threads may share it.

    Every method raises ``StoreUnavailable``, ``StoreFull`` or ``StoreError`` and has then either done all or nothing.
    """

    def __init__(
        self,
        client: redis.Redis,
        hint: Envelope,
        *,
        lease_ms: int,
        grace_ms: int = GRACE_MS,
        policy: UpstreamPolicy = UNLIMITED,
        guard: Guard | None = None,
    ) -> None:
        self.client = client
        self.guard = guard
        self.hint = hint
        self.policy = policy
        self.lease_ms = lease_ms
        self.grace_ms = grace_ms
        self.shift_ms = 0
        self._queue_bound = min(QUEUE_BOUNDS[0], ceil(policy.rate * QUEUE_SECONDS) or QUEUE_BOUNDS[0])
        self._scripts = Scripts(client)
        self._salt: str | None = None

    def accept(self, contact: Contact, source: str, notes: tuple[Note, ...] = (), *, bulk: bool = False) -> Accepted:
        """Takes a delivery. When this returns, the contact is in Redis, as safe as ``ACK`` requires, and will be looked
        at. ``bulk``: only when neither new contacts nor retries wait."""
        terms = self.terms()
        return self._accept(contact, source, notes, terms, terms.wait, bulk=bulk)

    def accept_all(self, deliveries: Iterable[tuple[Contact, tuple[Note, ...]]], source: str) -> list[Accepted]:
        """Takes a batch, one by one, and waits once, at its end, until all of it is as safe as ``ACK`` requires."""
        terms, lines = self.terms(), lines_of(self.client)
        taken, sockets = [], []
        for contact, notes in deliveries:
            taken.append(self._accept(contact, source, notes, terms))
            sockets.append(lines.socket())
        if terms.wait and taken:
            with translated():
                terms.wait.check(ask(lines, terms.wait.commands, terms.wait.ms / 1000)[-1])
            # What went over an earlier connection may have gone to another server.
            if any(socket is not lines.socket() for socket in sockets):
                raise StoreUnavailable("the connection was lost amid a batch")
        return taken

    def _accept(
        self,
        contact: Contact,
        source: str,
        notes: tuple[Note, ...],
        terms: Terms,
        wait: Wait | None = None,
        *,
        bulk: bool = False,
    ) -> Accepted:
        for _ in range(3):
            salt = self.salt()
            key = keys.contact_key(contact.identifier, salt.encode())
            answer = self.run(
                "accept",
                key,
                salt,
                contact.identifier,
                source,
                record.dump_data(contact),
                record.fingerprint(contact, salt.encode()),
                record.dump_notes(notes),
                self.hint.message(key, secrets.token_hex(8)),
                self._queue_bound,
                self.grace_ms,
                record.dump_finders(contact, salt.encode()),
                "bulk" if bulk else "",
                terms.room,
                wait=wait,
            )
            if answer[0] == "full":
                raise StoreFull("too many contacts are open" if terms.room else "Redis's memory is nearly full")
            if answer[0] != "salt":
                return Accepted(Status(answer[0]), State(answer[1]), answer[2] or None)
            self._salt = None
        raise StoreError("the salt keeps changing: is something else emptying this Redis?")

    def terms(self) -> Terms:
        """What has to be so for a delivery to be taken."""
        return self.guard.terms() if self.guard else Terms()

    def claim(self, key: str, token: str, *, asks: bool = True) -> Claim | None:
        """The lease on a contact, or ``None`` when it is closed, gone, somebody else's, its time has not come, or
        LiveDesk must not be asked now.

        With ``asks`` false LiveDesk will not be asked, so neither pace nor pause matter.
        """
        answer = self.run("claim", key, token, self.lease_ms, *self._rates(), self.policy.inbox_id or "", int(asks))
        if answer[0] != "claimed":
            return None
        self._salt = answer[6]  # another one, if somebody has emptied this Redis
        fields = dict(zip(answer[7::2], answer[8::2], strict=True))
        return Claim(
            key=key,
            token=token,
            contact=record.load_contact(fields["identifier"], fields["data"]),
            fingerprint=fields["fingerprint"],
            now=int(answer[1]),
            lease_until=int(answer[2]),
            unknown_since=int(fields["unknown_since"]) if "unknown_since" in fields else None,
            late_id=fields.get("late_id"),
            cause=fields.get("cause"),
            failures=int(fields.get("failures", 0)),
            repeats=int(fields.get("repeats", 0)),
            spent_ms=int(fields.get("spent_ms", 0)),
            crashes=int(fields.get("crashes", 0)),
            notes=record.load_notes(fields.get("notes")),
            wait_ms=int(answer[3]),
            apart_ms=int(answer[4]),
            answered_at=int(answer[5]),
            failed_at=record.ended_at(fields.get("attempts")),
            suspect=int(fields.get("suspect", 0)),
            trigger=fields.get("trigger"),
            source=fields["source"],
            received_at=int(fields["received_at"]),
            number=int(fields["attempts_made"]),
        )

    def pace(self, *, look_up: bool) -> int:
        """When the next request to LiveDesk may go, besides the one that a claim is good for: in so many ms. A negative
        number: not within a second; ask again after so many ms."""
        return int(self.run("pace", "", *self._rates(), int(look_up)))

    def pause(self, who: str, why: str) -> bool:
        """Nothing is sent to LiveDesk until ``resume``. ``False``: it was paused already."""
        is_new = bool(self.run("pause", "", who, why))
        if is_new:
            log.warning(LogEvent("sync paused by an operator"))
        return is_new

    def resume(self) -> bool:
        """Ends an operator's pause; where the sync stopped by itself, a probe goes at once. ``False``: it was not."""
        was_stopped = bool(self.run("resume", ""))
        if was_stopped:
            log.warning(LogEvent("sync let go on by an operator"))
        return was_stopped

    def probe_now(self) -> bool:
        """Where the sync stopped by itself, or an inbox is held, the next probe goes at once. ``False``: nothing is."""
        return bool(self.run("probe_now", ""))

    def renew(self, claim: Claim) -> bool:
        """Lengthens the lease, counted from now. ``False``: it is lost, stop at once."""
        return bool(self.run("renew", claim.key, claim.token, self.lease_ms))

    def finish(self, claim: Claim, verdict: AttemptResult, attempt: Attempt) -> Finished:
        """Ends an attempt, if the lease is still ours."""
        answer = self.run(
            "finish",
            claim.key,
            claim.token,
            claim.fingerprint,
            record.dump_attempt(attempt),
            verdict.state.value,
            verdict.cause or "",
            verdict.contact_id or "",
            verdict.outcome.value if verdict.outcome else "",
            record.dump_notes(verdict.notes),
            verdict.owner_id or "",
            verdict.delay_ms,
            verdict.unanswered.value,
            verdict.failures,
            verdict.repeats,
            verdict.spent_ms,
            ATTEMPTS_KEPT,
            CAUSE_FRESH_MS,
            verdict.suspect,
            verdict.signal.value,
            "" if verdict.status is None else verdict.status,
            verdict.hold_ms,
            self.policy.rate,
            self.policy.probe_first_ms,
            self.policy.probe_longest_ms,
            claim.contact.inbox_id or self.policy.inbox_id or "",
            CAUSES_MOST,
            self.finder_of_id(verdict.contact_id),
        )
        return Finished(True, bool(answer[1]), answer[2]) if answer[0] == "done" else Finished(False)

    def retry_now(self, identifier: str, *, who: str = "") -> str:
        """Makes a contact due at once, by a person's wish.

        Returns ``pending`` or ``retrying`` (it is due now), or why not: ``gone``, ``busy``, ``created``.
        """
        answer: list[str] = self.run("retry_now", self.key(identifier), who)
        return answer[-1]

    def discard(self, identifier: str) -> str:
        """Gives a contact up. Returns ``discarded``, or why not: ``gone``, ``busy``, ``created``."""
        answer: list[str] = self.run("discard", self.key(identifier))
        return answer[0]

    def edit(
        self, contact: Contact, notes: tuple[Note, ...] = (), *, who: str = "", before: Contact | None = None
    ) -> str:
        """Sends this for the contact with its identifier, and makes it due at once; returns what ``retry_now`` does, or
        ``changed``: it does not hold ``before``, what the person saw, any more.

        Nothing is counted as a delivery, and the source stays. A delivery with other data takes its place again.
        """
        salt = self.salt().encode()
        answer: list[str] = self.run(
            "edit",
            keys.contact_key(contact.identifier, salt),
            who,
            record.dump_data(contact),
            record.fingerprint(contact, salt),
            record.dump_notes(notes),
            record.dump_finders(contact, salt),
            record.fingerprint(before, salt) if before else "",
        )
        return answer[-1]

    def sweep(self, worker: str = "") -> Swept:
        """Hands over what is due to Celery, as far as the queue has room, and notes that this worker makes progress."""
        sweep_id = secrets.token_hex(8)
        bounds = (SWEEP_MOST, self.grace_ms, *QUEUE_BOUNDS)
        args = (*bounds, worker, WORKER_KEPT_MS, self.policy.rate, self.policy.inbox_id or "")
        handed, waiting, more = self.run("sweep", "", self.hint.template, sweep_id, *args)
        return Swept(handed, waiting, bool(more))

    def forget(self, keep_ms: int) -> int:
        """Removes created contacts that are older than ``keep_ms``, a bounded number at a time. Returns how many."""
        old = self.older(keys.state(State.CREATED), keep_ms)
        with translated():
            ids: list[Any] = [self.client.hget(keys.contact(key), "contact_id") for key in old]
        finders = [self.finder_of_id(contact_id) for contact_id in ids]
        return sum(int(self.run("forget", key, keep_ms, finder)) for key, finder in zip(old, finders, strict=True))

    def key(self, identifier: str) -> str:
        """The key of the contact with this identifier."""
        return keys.contact_key(identifier, self.salt().encode())

    def salt(self) -> str:
        """The secret of the keyed hash. Made by whoever comes first, then the same for all."""
        if self._salt is None:
            with translated():
                if not self.client.exists(keys.SALT):  # a full Redis refuses even a SET that would change nothing
                    self.client.set(keys.SALT, secrets.token_hex(16), nx=True)
                self._salt = str(self.client.get(keys.SALT))
        return self._salt

    def finder_of_id(self, contact_id: str | None) -> str:
        """By which a contact is found that has this id in LiveDesk; empty without one."""
        return keys.finder("contact_id", contact_id, self.salt().encode()) if contact_id else ""

    def _rates(self) -> tuple[float, float]:
        """Requests and look-ups a second."""
        return self.policy.rate, self.policy.look_ups_per_minute / 60

    def now(self) -> int:
        """Redis's time, in ms since the epoch."""
        seconds, microseconds = self.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000 + self.shift_ms

    def older(self, index: str, age_ms: int) -> list[Any]:
        """What has been in a sorted set of times for longer than ``age_ms``, the oldest first."""
        with translated():
            before = self.now() - age_ms
            old: list[Any] = self.client.zrange(index, "-inf", before, byscore=True, offset=0, num=FORGET_MOST)
        return old

    def run(self, script: str, key: str, *args: str | float, wait: Wait | None = None) -> Any:
        """What a script of ours returns; ``key`` names what it changes. ``wait``: until it is as safe as that says."""
        return self._scripts.run(script, key, (self.shift_ms, key, *args), wait)
