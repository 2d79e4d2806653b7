"""Contacts: every change to one, each a Lua script of the same name in ``lua/``, and every read of one.

Lists of contacts are in ``lists``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from worker.errors import StoreError, StoreFull, StoreUnavailable
from worker.model import Accepted, Attempt, AttemptResult, Claim, Contact, Note, NoteCode, State, Status, UpstreamPolicy
from worker.store import keys, record
from worker.store.connection import ask, lines_of, translated
from worker.store.database import Database
from worker.store.durability import Terms, Wait
from worker.store.queue import Queue
from worker.store.record import ContactRecord

#: Attempts kept on a record after the first one.
ATTEMPTS_KEPT = 20
#: A cause that was not seen for this long, in ms, counts as new again.
CAUSE_FRESH_MS = 24 * 3_600_000
#: Causes that are distinguished; any further one is counted as ``other``.
MAX_CAUSES = 500


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a verdict: written, unless the lease was lost; ``new_cause``: nobody saw this cause lately;
    ``turn``: what it changed for all contacts: ``down``, ``misconfigured``, ``inbox``, ``resumed`` or nothing."""

    written: bool
    new_cause: bool = False
    turn: str = ""


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of a wish to forget: ``erased``, or why not: ``gone``, ``busy``. ``contact_id`` is LiveDesk's;
    ``is_unknown``: a create was sent, and nobody knows what became of it."""

    result: str
    contact_id: str = ""
    is_unknown: bool = False


class Contacts:
    def __init__(self, db: Database, queue: Queue, policy: UpstreamPolicy, *, lease_ms: int) -> None:
        self.db = db
        self.queue = queue
        self.policy = policy
        self.lease_ms = lease_ms

    def accept(self, contact: Contact, source: str, notes: tuple[Note, ...] = (), *, bulk: bool = False) -> Accepted:
        """Takes a delivery. When this returns, the contact is in Redis, as safe as ``ACK`` requires, and will be looked
        at. ``bulk``: only when neither new contacts nor retries wait."""
        terms = self.db.terms()
        return self._accept(contact, source, notes, terms, terms.wait, bulk=bulk)

    def accept_all(self, deliveries: Iterable[tuple[Contact, tuple[Note, ...]]], source: str) -> list[Accepted]:
        """Takes a batch, one by one, and waits once, at its end, until all of it is as safe as ``ACK`` requires."""
        terms, lines = self.db.terms(), lines_of(self.db.client)
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
            salt = self.db.salt()
            key = keys.contact_key(contact.identifier, salt)
            answer = self.db.run(
                "accept",
                key,
                salt.decode(),
                contact.identifier,
                source,
                record.dump_data(contact),
                record.fingerprint(contact, salt),
                record.dump_notes(notes),
                self.queue.message(key),
                self.queue.bound,
                self.queue.grace_ms,
                record.dump_finders(contact, salt),
                "bulk" if bulk else "",
                terms.room,
                wait=wait,
            )
            if answer[0] == "full":
                raise StoreFull("too many contacts are open" if terms.room else "Redis's memory is nearly full")
            if answer[0] != "salt":
                return Accepted(Status(answer[0]), State(answer[1]), answer[2] or None)
            self.db.remember_salt(None)
        raise StoreError("the salt keeps changing: is something else emptying this Redis?")

    def claim(self, key: str, token: str, *, asks: bool = True) -> Claim | None:
        """The lease on a contact, or ``None`` when it is closed, gone, somebody else's, its time has not come, or
        LiveDesk must not be asked now.

        With ``asks`` false LiveDesk will not be asked, so neither pace nor pause matter.
        """
        answer = self.db.run(
            "claim",
            key,
            token,
            self.lease_ms,
            self.policy.rate,
            self.policy.look_ups_per_second,
            self.policy.inbox_id or "",
            int(asks),
        )
        if answer[0] != "claimed":
            return None
        self.db.remember_salt(answer[6])  # another one, if somebody has emptied this Redis
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

    def renew(self, claim: Claim) -> bool:
        """Lengthens the lease, counted from now. ``False``: it is lost, stop at once."""
        return bool(self.db.run("renew", claim.key, claim.token, self.lease_ms))

    def finish(self, claim: Claim, verdict: AttemptResult, attempt: Attempt) -> Finished:
        """Ends an attempt, if the lease is still ours."""
        answer = self.db.run(
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
            MAX_CAUSES,
            self.db.finder_of_id(verdict.contact_id),
        )
        return Finished(True, bool(answer[1]), answer[2]) if answer[0] == "done" else Finished(False)

    def retry_now(self, identifier: str, *, who: str = "") -> str:
        """Makes a contact due at once, by a person's wish.

        Returns ``pending`` or ``retrying`` (it is due now), or why not: ``gone``, ``busy``, ``created``.
        """
        answer: list[str] = self.db.run("retry_now", self.db.key_of(identifier), who)
        return answer[-1]

    def discard(self, identifier: str) -> str:
        """Gives a contact up. Returns ``discarded``, or why not: ``gone``, ``busy``, ``created``."""
        answer: list[str] = self.db.run("discard", self.db.key_of(identifier))
        return answer[0]

    def edit(
        self, contact: Contact, notes: tuple[Note, ...] = (), *, who: str = "", before: Contact | None = None
    ) -> str:
        """Sends this for the contact with its identifier, and makes it due at once; returns what ``retry_now`` does, or
        ``changed``: it does not hold ``before``, what the person saw, any more.

        Nothing is counted as a delivery, and the source stays. A delivery with other data takes its place again.
        """
        salt = self.db.salt()
        answer: list[str] = self.db.run(
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

    def forget(self, keep_ms: int) -> int:
        """Removes created contacts that are older than ``keep_ms``, a bounded number at a time. Returns how many."""
        old = self.db.older(keys.state(State.CREATED), keep_ms)
        with translated():
            ids: list[Any] = [self.db.client.hget(keys.contact(key), "contact_id") for key in old]
        finders = [self.db.finder_of_id(contact_id) for contact_id in ids]
        return sum(int(self.db.run("forget", key, keep_ms, finder)) for key, finder in zip(old, finders, strict=True))

    def erase(self, identifier: str) -> Erased:
        """Forgets the contact with this identifier, unless an attempt is running."""
        key = self.db.key_of(identifier)
        with translated():
            contact_id: Any = self.db.client.hget(keys.contact(key), "contact_id")
        answer = self.db.run("erase", key, self.db.finder_of_id(contact_id))
        return Erased(answer[0], answer[1], bool(answer[2])) if answer[0] == "erased" else Erased(answer[0])

    def recreate(self, key: str, contact_id: str, contact: Contact) -> bool:
        """Makes a created contact that LiveDesk does not have any more pending again, with what ``contact`` holds.
        ``False``: it is not created under this id (any more)."""
        fingerprint = record.fingerprint(contact, self.db.salt())
        notes = record.dump_notes((Note("identifier", "LiveDesk no longer had it: created again", NoteCode.RECREATED),))
        finder = self.db.finder_of_id(contact_id)
        return bool(self.db.run("put_back", key, contact_id, record.dump_data(contact), fingerprint, notes, finder))

    def find(self, identifier: str) -> ContactRecord | None:
        """Return the contact with this identifier, or ``None``."""
        salt = self.db.stored_salt()
        return self.read(keys.contact_key(identifier, salt)) if salt else None

    def read(self, key: str) -> ContactRecord | None:
        """Return the contact with this key, or ``None``."""
        with translated():
            fields: Any = self.db.client.hgetall(keys.contact(key))
        return record.load_record(fields) if fields else None

    def read_many(self, wanted: list[str]) -> dict[str, ContactRecord]:
        """Return the contacts with these keys; those that are gone are left out."""
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            for key in wanted:
                pipe.hgetall(keys.contact(key))
            found = pipe.execute()
        return {key: record.load_record(fields) for key, fields in zip(wanted, found, strict=True) if fields}

    def counts(self) -> dict[State, int]:
        """Return how many contacts are in each state."""
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            for state in State:
                pipe.zcard(keys.state(state))
            return dict(zip(State, pipe.execute(), strict=True))
