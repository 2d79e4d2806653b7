"""Every change to Redis. Each method is one Lua script of the same name in ``lua/``, and so one atomic step.

Any script may run twice (an answer may get lost, nothing is repeated by the client): a claim carries its caller's
token, a change is tied to the token, the rest is harmless to repeat. Times are Redis's own; ``shift_ms`` turns its
clock in tests.
"""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from worker import keys, record
from worker.durability import Guard, Terms, Wait
from worker.errors import StoreError, StoreFull, StoreUnavailable
from worker.hints import Hint
from worker.model import Accepted, Attempt, Claim, Contact, Note, Quarantined, State, Status, Verdict
from worker.redis_client import Script, ask, lines_of, translated

LUA = Path(__file__).parent / "lua"
SCRIPTS = ("accept", "claim", "renew", "finish", "retry_now", "sweep", "forget", "quarantine", "release")

#: KEYS of the scripts that need others than those of a contact.
KEYS_OF = {
    "sweep": lambda _: keys.for_sweep(),
    "quarantine": keys.for_quarantined,
    "release": keys.for_quarantined,
}

#: How long the queue may get by new contacts, by retries, by bulk work: what comes later in the list never fills the
#: room of what comes before it.
QUEUE_BOUNDS = (1000, 500, 250)
#: Most messages that one sweep hands over, so that the script holds Redis for a few ms only.
SWEEP_MOST = 500
#: How long a handed-over contact is left alone, in ms, before its message counts as lost.
GRACE_MS = 30_000
#: Attempts kept on a record besides the first one.
ATTEMPTS_KEPT = 20
#: A cause that was not seen for this long counts as new again, in ms.
CAUSE_FRESH_MS = 24 * 3_600_000
#: A host without a working worker is remembered for this long, in ms.
WORKER_KEPT_MS = 24 * 3_600_000
#: Created contacts, or deliveries in quarantine, forgotten in one go.
FORGET_MOST = 200
#: Deliveries that the quarantine holds at most, and for how long, in ms.
QUARANTINE_MOST = 1000
QUARANTINE_KEPT_MS = 14 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a verdict: written, unless the lease was lost; ``new_cause``: nobody saw this cause lately."""

    written: bool
    new_cause: bool = False


@dataclass(frozen=True, slots=True)
class Swept:
    """How many contacts a sweep handed over, and how many messages waited before."""

    handed: int
    waiting: int


class Store:
    """The write side. One for each process; threads may share it.

    Every method raises ``StoreUnavailable``, ``StoreFull`` or ``StoreError`` and has then either done all or nothing.
    """

    def __init__(
        self,
        client: redis.Redis,
        hint: Hint,
        *,
        lease_ms: int,
        grace_ms: int = GRACE_MS,
        guard: Guard | None = None,
    ) -> None:
        self.client = client
        self.guard = guard
        self.hint = hint
        self.lease_ms = lease_ms
        self.grace_ms = grace_ms
        self.shift_ms = 0
        common = (LUA / "common.lua").read_text()
        self._scripts = {name: Script(client, common + (LUA / f"{name}.lua").read_text()) for name in SCRIPTS}
        self._salt: str | None = None

    def accept(self, contact: Contact, source: str, notes: tuple[Note, ...] = ()) -> Accepted:
        """Takes a delivery. When this returns, the contact is in Redis, as safe as ``ACK`` requires, and will be looked
        at."""
        terms = self._terms()
        return self._accept(contact, source, notes, terms, terms.wait)

    def accept_all(self, deliveries: Iterable[tuple[Contact, tuple[Note, ...]]], source: str) -> list[Accepted]:
        """Takes a batch, one by one, and waits once, at its end, until all of it is as safe as ``ACK`` requires."""
        terms, lines = self._terms(), lines_of(self.client)
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
        self, contact: Contact, source: str, notes: tuple[Note, ...], terms: Terms, wait: Wait | None = None
    ) -> Accepted:
        for _ in range(3):
            salt = self.salt()
            key = keys.contact_key(contact.identifier, salt.encode())
            answer = self._run(
                "accept",
                key,
                salt,
                contact.identifier,
                source,
                record.dump_data(contact),
                record.fingerprint(contact, salt.encode()),
                record.dump_notes(notes),
                self.hint.message(key, secrets.token_hex(8)),
                QUEUE_BOUNDS[0],
                self.grace_ms,
                terms.room,
                wait=wait,
            )
            if answer[0] == "full":
                raise StoreFull("too many contacts are open" if terms.room else "Redis's memory is nearly full")
            if answer[0] != "salt":
                return Accepted(Status(answer[0]), State(answer[1]), answer[2] or None)
            self._salt = None
        raise StoreError("the salt keeps changing: is something else emptying this Redis?")

    def _terms(self) -> Terms:
        return self.guard.terms() if self.guard else Terms()

    def claim(self, key: str, token: str) -> Claim | None:
        """The lease on a contact, or ``None`` when it is closed, gone, somebody else's, or its time has not come."""
        answer = self._run("claim", key, token, self.lease_ms)
        if answer[0] != "claimed":
            return None
        fields = dict(zip(answer[3::2], answer[4::2], strict=True))
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
        )

    def renew(self, claim: Claim) -> bool:
        """Lengthens the lease, counted from now. ``False``: it is lost, stop at once."""
        return bool(self._run("renew", claim.key, claim.token, self.lease_ms))

    def finish(self, claim: Claim, verdict: Verdict, attempt: Attempt) -> Finished:
        """Ends an attempt, if the lease is still ours."""
        answer = self._run(
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
        )
        return Finished(True, bool(answer[1])) if answer[0] == "done" else Finished(False)

    def retry_now(self, identifier: str) -> str:
        """Makes a contact due at once, by a person's wish.

        Returns ``pending`` or ``retrying`` (it is due now), or why not: ``gone``, ``busy``, ``created``.
        """
        key = keys.contact_key(identifier, self.salt().encode())
        answer: list[str] = self._run("retry_now", key)
        return answer[-1]

    def sweep(self, worker: str = "") -> Swept:
        """Hands over what is due to Celery, as far as the queue has room, and notes that this worker makes progress."""
        sweep_id = secrets.token_hex(8)
        bounds = (SWEEP_MOST, self.grace_ms, *QUEUE_BOUNDS)
        return Swept(*self._run("sweep", "", self.hint.template, sweep_id, *bounds, worker, WORKER_KEPT_MS))

    def forget(self, keep_ms: int) -> int:
        """Removes created contacts that are older than ``keep_ms``, a bounded number at a time. Returns how many."""
        old = self._older(keys.state(State.CREATED), keep_ms)
        return sum(int(self._run("forget", key, keep_ms)) for key in old)

    def quarantine(self, held: Quarantined) -> None:
        """Keeps a delivery that could not be mapped, until it is released or its time is over.

        Raises:
            StoreFull: the quarantine holds as many as it may.
        """
        digest = f"{held.source}\n{held.payload}"
        entry = keys.contact_key(digest, self.salt().encode())
        problems, headers = json.dumps(held.problems), json.dumps(held.headers)
        terms = self._terms()
        if not terms.room:
            raise StoreFull("Redis's memory is nearly full")
        args = (held.source, held.payload, problems, headers, QUARANTINE_MOST)
        if not self._run("quarantine", entry, *args, wait=terms.wait):
            raise StoreFull("the quarantine is full")

    def release(self, entry: str, *, after_ms: int = 0) -> bool:
        """Removes a delivery from the quarantine, if it has been there for ``after_ms``. Returns whether it did."""
        return bool(self._run("release", entry, after_ms))

    def prune_quarantine(self) -> int:
        """Removes deliveries whose time is over, a bounded number at a time. Returns how many."""
        old = self._older(keys.QUARANTINE, QUARANTINE_KEPT_MS)
        return sum(self.release(entry, after_ms=QUARANTINE_KEPT_MS) for entry in old)

    def note_secret(self, source: str, name: str) -> None:
        """Notes that a delivery was proved with this secret just now."""
        with translated():
            self.client.hset(keys.SECRETS, f"{source}:{name}", str(self._now()))

    def salt(self) -> str:
        """The secret of the keyed hash. Made by whoever comes first, then the same for all."""
        if self._salt is None:
            with translated():
                if not self.client.exists(keys.SALT):  # a full Redis refuses even a SET that would change nothing
                    self.client.set(keys.SALT, secrets.token_hex(16), nx=True)
                self._salt = str(self.client.get(keys.SALT))
        return self._salt

    def _now(self) -> int:
        seconds, microseconds = self.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000 + self.shift_ms

    def _older(self, index: str, age_ms: int) -> list[Any]:
        """What has been in a sorted set of times for longer than ``age_ms``, the oldest first."""
        with translated():
            before = self._now() - age_ms
            old: list[Any] = self.client.zrange(index, "-inf", before, byscore=True, offset=0, num=FORGET_MOST)
        return old

    def _run(self, script: str, key: str, *args: str | int, wait: Wait | None = None) -> Any:
        script_keys, script_args = KEYS_OF.get(script, keys.for_contact)(key), (self.shift_ms, key, *args)
        with translated():
            if wait is None:
                return self._scripts[script](script_keys, script_args)
            answer, *_, done = self._scripts[script].then(script_keys, script_args, wait.commands, wait.ms / 1000)
        wait.check(done)
        return answer
