"""Contacts: every read, and every change, by a script of its name in ``lua/``.

Lists of contacts are in ``lists``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import getrandbits
from typing import Any

from msgspec import structs

from worker import causes, greenlets
from worker.actions import ACTIONS, Action
from worker.errors import StoreError, StoreFull, StoreUnavailable
from worker.model import (
    Accepted,
    Attempt,
    AttemptResult,
    Claim,
    Contact,
    Event,
    Note,
    NoteCode,
    OnDelete,
    Origin,
    Outcome,
    Resolution,
    Signal,
    Signup,
    State,
    Status,
    UpstreamPolicy,
    Work,
)
from worker.store import keys, record
from worker.store.connection import translated
from worker.store.counters import Counters
from worker.store.database import Database
from worker.store.durability import Terms, Wait
from worker.store.fingerprint import fingerprint
from worker.store.merge import MARKED, Before, load_before, merge
from worker.store.queue import Queue
from worker.store.record import ContactRecord

#: Attempts kept on a record after the first one.
ATTEMPTS_KEPT = 20
#: Aliases of one contact that are read.
MAX_ALIASES = 100
#: A cause that was not seen for this long, in ms, counts as new again.
CAUSE_FRESH_MS = 24 * 3_600_000
#: Entries of the log of what was decided without an operator.
DECISIONS_KEPT = 10_000
#: Entries of the log of changes and deletions.
CHANGES_KEPT = 10_000
#: Causes that are distinguished; any further one is counted as ``other``.
MAX_CAUSES = 500
#: Deliveries of a batch that are sent in one round trip; about what Redis reads at once (16 KiB).
GROUP = 32
#: How often something is tried again that changed between a read and the script.
MAX_TRIES = 3
#: The same for deliveries, because many of one person may arrive at once.
MAX_ACCEPTS = 20
NO_EVENT = Event()
#: By their names: calling an enumeration takes five times as long.
STATUSES, STATES = {str(one): one for one in Status}, {str(one): one for one in State}
ALLOWED = {action: sorted(states) for action, states in ACTIONS.items()}
KNOWN = Note("identifier", "decided manually: LiveDesk's contact is this person, and keeps its data", NoteCode.KNOWN)
RECREATED = Note("identifier", "LiveDesk no longer had it: created again", NoteCode.RECREATED)


@dataclass(frozen=True, slots=True)
class Finished:
    """The effect of a result.

    Whether it was written (unless the lease was lost), whether its cause is new, and what it changed for all contacts:
    ``down``, ``misconfigured``, ``hold``, ``inbox``, ``resumed`` or nothing, with the ``cause`` of the change. ``ask``:
    LiveDesk is to be asked something that is about no contact.
    """

    written: bool
    new_cause: bool = False
    change: str = ""
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """The result of an erasure: ``erased``, or why not: ``gone`` or ``busy``.

    ``contact_id`` is LiveDesk's; ``is_unknown``: a create was sent, and nobody knows its answer. ``aliases``: how many
    other records of the person were erased, too. ``quarantined``: deliveries in quarantine that were, and
    ``not_searched``: those that nobody had time to search.
    """

    result: str
    contact_id: str = ""
    is_unknown: bool = False
    aliases: int = 0
    quarantined: int = 0
    not_searched: int = 0


@dataclass(frozen=True, slots=True)
class Aliases:
    """The other contacts that are the same one in LiveDesk.

    ``number`` counts all of them; ``records`` has some by key, first the one whose identifier LiveDesk has.
    """

    number: int = 0
    records: Mapping[str, ContactRecord] = field(default_factory=dict)


class Contacts:
    """Every change to a contact, and every read of one.

    Actions of a person return the contact's new state (``mark_known``: ``known``), or why it was not changed: ``gone``,
    ``busy`` (an attempt is running), ``created``, ``discarded``, ``changed`` or ``wrong_state``.
    """

    def __init__(
        self, db: Database, queue: Queue, policy: UpstreamPolicy, counters: Counters, *, lease_ms: int
    ) -> None:
        self.db = db
        self.queue = queue
        self.counters = counters
        self.template = queue.template
        self.policy = policy.arguments()
        self.lease_ms = lease_ms

    # From a delivery to LiveDesk

    def accept(
        self,
        contact: Contact,
        origin: Origin,
        notes: tuple[Note, ...] = (),
        *,
        is_unverified: bool = False,
        cleared: frozenset[str] = frozenset(),
        event: Event = NO_EVENT,
        same_person: bool = False,
        bulk: bool = False,
    ) -> Accepted:
        """Store a contact as ``accept_signup`` does.

        The other arguments are those of ``Signup``.
        """
        signup = Signup(contact, notes, is_unverified, cleared, event)
        return self.accept_signup(signup, origin, same_person=same_person, bulk=bulk)

    def accept_signup(
        self, signup: Signup, origin: Origin, *, same_person: bool = False, bulk: bool = False
    ) -> Accepted:
        """Store a delivery as durably as ``ACK`` requires, so that it is sent to LiveDesk.

        ``same_person``: an operator knows that this is the person who has the identifier, so that there is no clash.
        ``bulk``: only when nothing else is waiting.
        """
        terms = self.db.terms()
        return self._accept(signup, origin, terms, terms.wait, same_person=same_person, bulk=bulk)

    def accept_all(
        self, signups: Iterable[Signup], origin: Origin, *, same_person: bool = False, bulk: bool = False
    ) -> list[Accepted]:
        """Store a batch, then wait once until all of it is as durable as ``ACK`` requires."""
        return greenlets.in_thread(self._accept_all, signups, origin, same_person=same_person, bulk=bulk)

    def _accept_all(
        self, signups: Iterable[Signup], origin: Origin, *, same_person: bool, bulk: bool
    ) -> list[Accepted]:
        """Store a batch over one connection, for which ``WAIT`` speaks."""
        terms, connections = self.db.terms(), self.db.connections
        accepted: list[Accepted] = []
        generations = set()
        for group in _groups(signups):
            accepted += self._accept_each(group, origin, terms, same_person=same_person, bulk=bulk)
            generations.add(connections.generation())
        if terms.wait and accepted:
            with translated():
                terms.wait.check(connections.send(*terms.wait.commands(connections.left_s())))
            # What was sent over an earlier connection may be on another server.
            if generations != {connections.generation()}:
                raise StoreUnavailable("the connection was lost during a batch")
        return accepted

    def try_accepting(self, wait: Wait | None) -> None:
        """Do in Redis what a new contact needs, as durably, and undo it at once.

        Raises:
            StoreError: why a delivery would be refused now.
        """
        for _ in range(MAX_TRIES):
            trial = {"key": "trial", "fields": ("identifier", "", "data", "{}"), "message": "trial"}
            bounds = {"queue_bound": 0, "grace_ms": 0, "is_bulk": False, "max_open": 0, "is_trial": True}
            answer = self.db.run("accept", wait=wait, salt=self.db.salt().decode(), **trial, **bounds)
            if answer[0] != "salt":
                return
            self.db.remember_salt(None)
        raise StoreError("the salt keeps changing: is something else emptying this Redis?")

    def _accept_each(
        self, group: list[Signup], origin: Origin, terms: Terms, *, same_person: bool, bulk: bool
    ) -> list[Accepted]:
        """Store deliveries in one round trip."""
        salt = self.db.salt()
        calls = [self._delivery(one, origin, terms, salt, same_person=same_person, bulk=bulk) for one in group]
        answers = self.db.run_each("accept", calls)
        return [
            self._accepted(answer, origin, terms)
            # Redis was emptied, and the salt is another one; or more is needed.
            or self._accept(signup, origin, terms, same_person=same_person, bulk=bulk)
            for signup, answer in zip(group, answers, strict=True)
        ]

    def _accept(
        self,
        signup: Signup,
        origin: Origin,
        terms: Terms,
        wait: Wait | None = None,
        *,
        same_person: bool,
        bulk: bool,
    ) -> Accepted:
        more: dict[str, object] = {}
        for _ in range(MAX_ACCEPTS):
            salt = self.db.salt()
            delivery = self._delivery(signup, origin, terms, salt, same_person=same_person, bulk=bulk)
            answer = self.db.run_with("accept", delivery | more if more else delivery, wait)
            accepted = self._accepted(answer, origin, terms)
            if accepted is not None:
                return accepted
            if answer[0] == "known":
                more = {"contact_id": answer[1], "contact_finder": self.db.finder_of_id(answer[1])}
            elif answer[0] == "exists":
                more |= _merged(signup, load_before(answer[1:]), origin, salt)
            else:
                self.db.remember_salt(None)
        raise StoreError("the record keeps changing, or the salt: is something else emptying this Redis?")

    def _delivery(
        self, signup: Signup, origin: Origin, terms: Terms, salt: bytes, *, same_person: bool, bulk: bool
    ) -> dict[str, object]:
        """Return the arguments of ``lua/accept.lua``."""
        if self.template is None:
            raise RuntimeError("a store without an envelope only reads")
        if signup.event.is_deletion and origin.on_delete is OnDelete.IGNORE:
            raise ValueError("a source that ignores deletions reads none")
        contact = signup.contact
        return {
            "key": record.contact_key(contact.identifier, salt),
            "salt": salt.decode(),
            "fields": record.new_fields(signup, origin, fingerprint(contact, salt)),
            "finders": record.dump_finders(contact, salt),
            "siblings": origin.siblings or None,
            "deletes": origin.on_delete if signup.event.is_deletion else None,
            "same_person": same_person or None,
            "message_id": f"{getrandbits(64):016x}",  # unique, not secret
            "queue_bound": self.queue.bound,
            "grace_ms": self.queue.grace_ms,
            "is_bulk": bulk,
            "max_open": terms.room,
        }

    def _accepted(self, answer: list[str], origin: Origin, terms: Terms) -> Accepted | None:
        """Read an answer of ``lua/accept.lua``, and count it.

        ``None``: Redis has another salt, or more is needed.

        Raises:
            StoreFull: nothing was stored.
        """
        if answer[0] == "full":
            raise StoreFull("too many contacts are open" if terms.room else "Redis's memory is nearly full")
        if answer[0] == "clash":
            return Accepted(Status.QUARANTINED, State(answer[1]), None, clashes_with=answer[2])
        if answer[0] in ("salt", "known", "exists"):
            return None
        status, state, contact_id, detail = answer
        self.counters.accepted(origin.source, status, detail)
        return Accepted(
            STATUSES[status],
            STATES[state],
            contact_id or None,
            is_update=detail in ("update", "change"),
            is_repeat=detail == "repeat",
            is_stale=detail == "stale",
        )

    def claim(self, key: str, token: str, *, sends: bool = True) -> Claim | None:
        """Take the lease on a contact.

        ``None``: it is closed, gone, leased by another worker, its next attempt is later, or nothing may be sent to
        LiveDesk now. With ``sends`` false nothing will be sent, so neither pace nor pause matter.

        Otherwise the lease is as durable as a delivery: if a failover lost it, the next worker would not know that
        something was sent.

        Raises:
            StoreUnavailable: it may be taken, but is not that durable. Nothing may be sent.
        """
        wait = self.db.terms().wait if sends else None
        return self._claimed(key, token, self.db.run("claim", wait=wait, **self._claim(key, token, sends=sends)))

    def _claim(self, key: str, token: str, *, sends: bool = True) -> dict[str, Any]:
        """Return the arguments of ``lua/claim.lua``."""
        return {"key": key, "token": token, "lease_ms": self.lease_ms, "policy": self.policy, "sends": sends}

    def _claimed(self, key: str, token: str, answer: list[Any]) -> Claim | None:
        """Read an answer of ``lua/claim.lua``."""
        if answer[0] != "claimed":
            return None
        now, lease_until, wait_ms, apart_ms, done_at, is_inbox_probe, salt, *fields = answer[1:]
        self.db.remember_salt(salt)  # another one, if somebody has emptied this Redis
        return record.load_claim(
            zip(fields[::2], fields[1::2], strict=True),
            key=key,
            token=token,
            now=int(now),
            lease_until=int(lease_until),
            wait_ms=int(wait_ms),
            apart_ms=int(apart_ms),
            done_at=int(done_at),
            is_inbox_probe=bool(is_inbox_probe),
        )

    def renew(self, claim: Claim) -> bool:
        """Extend the lease, counted from now. ``False``: it is lost, stop at once."""
        return bool(self.db.run("renew", key=claim.key, token=claim.token, lease_ms=self.lease_ms))

    def take(self, claim: Claim, contact_id: str) -> bool:
        """Reserve a contact in LiveDesk, to give it our identifier."""
        return bool(self.db.run("take", key=claim.key, contact_id=contact_id, lasts_ms=self.lease_ms))

    def finish(self, claim: Claim, result: AttemptResult, attempt: Attempt) -> Finished:
        """End an attempt, if the lease is still ours."""
        if is_usual(claim, result) and self.db.run("finish_created", **self._creation(claim, result, attempt)):
            return self._created()
        return self._finish(claim, result, attempt)

    def finish_and_claim(
        self, claim: Claim, result: AttemptResult, attempt: Attempt, key: str, token: str
    ) -> tuple[Finished, Claim | StoreError | None]:
        """End an attempt whose result ``is_usual``, and claim another contact.

        Both take one round trip. Return the claim, or why it failed.

        Raises:
            StoreError: nobody knows whether the attempt was ended, nor whether the other contact was claimed.
        """
        is_done, answer = self.db.run_both(
            ("finish_created", self._creation(claim, result, attempt)),
            ("claim", self._claim(key, token)),
            self.db.terms().wait,
        )
        finished = self._created() if is_done else self._finish(claim, result, attempt)
        return finished, answer if isinstance(answer, StoreError) else self._claimed(key, token, answer)

    def _created(self) -> Finished:
        self.counters.created()
        return Finished(True)

    def _finish(self, claim: Claim, result: AttemptResult, attempt: Attempt) -> Finished:
        answer = self.db.run(
            "finish",
            key=claim.key,
            token=claim.token,
            fingerprint=claim.fingerprint,
            deletes=claim.deletes,
            result=result,
            attempt=record.dump_attempt(attempt),
            notes=record.dump_notes(result.notes),
            contact_finder=self._finder_of(result.contact_id),
            old_finder=self._finder_of(claim.contact_id),
            inbox=self._inbox_of(claim),
            lease_ms=self.lease_ms,
            policy=self.policy,
            attempts_kept=ATTEMPTS_KEPT,
            cause_fresh_ms=CAUSE_FRESH_MS,
            max_causes=MAX_CAUSES,
            decisions_kept=DECISIONS_KEPT,
            changed=" ".join(result.changed),
            marked=MARKED,
            changes_kept=CHANGES_KEPT,
        )
        return Finished(True, bool(answer[1]), answer[2], result.cause) if answer[0] == "done" else Finished(False)

    def _creation(self, claim: Claim, result: AttemptResult, attempt: Attempt) -> dict[str, Any]:
        """Return the arguments of ``lua/finish_created.lua``."""
        return {
            "key": claim.key,
            "token": claim.token,
            "fingerprint": claim.fingerprint,
            "contact_id": result.contact_id,
            "contact_finder": self._finder_of(result.contact_id),
            "attempt": record.dump_attempt(attempt),
            "notes": record.dump_notes(result.notes),
            "inbox": self._inbox_of(claim),
        }

    def _inbox_of(self, claim: Claim) -> str:
        return str(claim.contact.inbox_id or self.policy["inbox_id"])

    def forget(self, keep_ms: int) -> int:
        """Remove some settled contacts older than ``keep_ms``; return how many."""
        return sum(self._forget(state, keep_ms) for state in record.SETTLED_STATES)

    def _forget(self, state: State, keep_ms: int) -> int:
        expired = self.db.older(keys.state(state), keep_ms)
        with translated():
            ids = [self._contact_id(key) for key in expired]
        return sum(
            int(
                self.db.run(
                    "forget",
                    key=key,
                    state=state,
                    keep_ms=keep_ms,
                    contact_id=one,
                    contact_finder=self._finder_of(one),
                )
            )
            for key, one in zip(expired, ids, strict=True)
        )

    # What a person does

    def retry_now(self, key: str, *, who: str = "") -> str:
        """Make a contact due now, with a fresh retry budget."""
        return _answer(self.db.run("retry_now", key=key, who=who or None, allowed=ALLOWED[Action.RETRY]))

    def discard(self, key: str) -> str:
        """Give a contact up."""
        return _answer(self.db.run("discard", key=key, allowed=ALLOWED[Action.DISCARD]))

    def edit(
        self,
        key: str,
        contact: Contact,
        notes: tuple[Note, ...] = (),
        *,
        who: str = "",
        before: Contact | None = None,
    ) -> str:
        """Replace what is sent for a contact, and make it due now.

        ``before`` is the data that the person saw; if the contact has other data now, the answer is ``changed``. The
        source stays, and nothing is counted as a delivery.
        """
        salt = self.db.salt()
        answer = self.db.run(
            "edit",
            key=key,
            who=who or None,
            data=record.dump_data(contact),
            fingerprint=fingerprint(contact, salt),
            notes=record.dump_notes(notes),
            finders=record.dump_finders(contact, salt),
            before=fingerprint(before, salt) if before else None,
            allowed=ALLOWED[Action.EDIT],
        )
        return _answer(answer)

    def mark_known(self, key: str, contact_id: str, *, who: str = "") -> str:
        """Resolve a conflict: this contact in LiveDesk is the person; leave it as it is."""
        answer = self.db.run(
            "mark_known",
            key=key,
            contact_id=contact_id,
            contact_finder=self.db.finder_of_id(contact_id),
            note=record.dump_note(KNOWN),
            trigger=json.dumps(who, ensure_ascii=False),
            allowed=ALLOWED[Action.KNOWN],
        )
        return _answer(answer)

    def adopt(self, key: str, owner_id: str, *, who: str = "") -> str:
        """Make a conflict due: the next attempt adopts the contact that it conflicts with.

        ``owner_id`` is that contact, as the person saw it.
        """
        return self._resolve(key, Resolution.ADOPT, owner_id, who, Action.ADOPT)

    def leave_out(self, key: str, owner_id: str | None, *, who: str = "") -> str:
        """Make a conflict due: the next attempt leaves out what another contact has."""
        return self._resolve(key, Resolution.WITHOUT, owner_id, who, Action.LEAVE_OUT)

    def _resolve(self, key: str, resolution: Resolution, owner_id: str | None, who: str, action: Action) -> str:
        answer = self.db.run(
            "resolve", key=key, resolution=resolution, owner_id=owner_id, who=who or None, allowed=ALLOWED[action]
        )
        return _answer(answer)

    def create_again(self, key: str, contact_id: str, *, who: str = "") -> str:
        """Make a contact due as a new one, because LiveDesk no longer has it.

        ``contact_id`` is the one that is gone, as the person saw it.
        """
        answer = self.db.run(
            "create_again",
            key=key,
            who=who or None,
            contact_id=contact_id,
            contact_finder=self.db.finder_of_id(contact_id),
            cause=causes.CONTACT_GONE.slug,
        )
        return _answer(answer)

    def recreate(self, key: str, contact_id: str, contact: Contact) -> bool:
        """Make a contact pending again that LiveDesk no longer has, with this data.

        ``False``: it is not created under this id (any more).
        """
        answer = self.db.run(
            "recreate",
            key=key,
            contact_id=contact_id,
            contact_finder=self.db.finder_of_id(contact_id),
            data=record.dump_data(contact),
            fingerprint=fingerprint(contact, self.db.salt()),
            notes=record.dump_notes((RECREATED,)),
            finders=record.dump_finders(contact, self.db.salt()),
            allowed=ALLOWED[Action.RECREATE],
        )
        return bool(answer)

    def erase(self, key: str) -> Erased:
        """Delete a person under all aliases, unless an attempt is running."""
        results = [self._erase(other).result for other in self.aliases(key) if other != key]
        if "busy" in results:  # an account's delivery has opened it again
            return Erased("busy")
        return replace(self._erase(key), aliases=results.count("erased"))

    def _erase(self, key: str) -> Erased:
        contact_id: str | None = None
        for _ in range(MAX_TRIES):
            finder = self._finder_of(contact_id)
            result, *rest = self.db.run("erase", key=key, contact_id=contact_id, contact_finder=finder)
            if result == "erased":
                return Erased(result, rest[0], bool(rest[1]))
            if result != "changed":
                return Erased(result)
            contact_id = rest[0]
        return Erased("busy")

    # Reads

    def find(self, identifier: str) -> ContactRecord | None:
        """Return the contact with this identifier, or ``None``."""
        salt = self.db.stored_salt()
        return self.read(record.contact_key(identifier, salt)) if salt else None

    def read(self, key: str) -> ContactRecord | None:
        """Return the contact with this key, or ``None``."""
        with translated():
            fields: Any = self.db.client.hgetall(keys.contact(key))
        return record.load_record(fields) if fields else None

    def read_many(self, wanted: list[str]) -> dict[str, ContactRecord]:
        """Return the contacts with these keys, without those that are gone."""
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            for key in wanted:
                pipe.hgetall(keys.contact(key))
            found = pipe.execute()
        return {key: record.load_record(fields) for key, fields in zip(wanted, found, strict=True) if fields}

    def holder(self, contact_id: str) -> ContactRecord | None:
        """Return the record whose identifier a contact in LiveDesk has, as far as we know."""
        found = self._found_by(contact_id)
        return self.read(found[-1]) if found else None

    def aliases(self, key: str, contact_id: str | None = None) -> list[str]:
        """Return the keys of all contacts that are the same one in LiveDesk.

        ``contact_id``: its id there, where the record does not know it.
        """
        with translated():
            contact_id = self._contact_id(key) or contact_id
            if not contact_id:
                return [key]
            found: Any = self.db.client.smembers(keys.aliases(contact_id))
        # Earlier versions listed the records of one contact in its finder only.
        return sorted({key, *found, *self._found_by(contact_id)})

    def read_aliases(self, key: str, contact_id: str | None = None) -> Aliases:
        """Return the other contacts that are the same one in LiveDesk."""
        others = [other for other in self.aliases(key, contact_id) if other != key]
        found = self.read_many(others[:MAX_ALIASES]) if others else {}
        ordered = sorted(found.items(), key=lambda pair: (pair[1].outcome is Outcome.KNOWN, pair[1].received_at))
        return Aliases(len(others), dict(ordered))

    def counts(self) -> dict[State, int]:
        """Return how many contacts are in each state."""
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            for state in State:
                pipe.zcard(keys.state(state))
            return dict(zip(State, pipe.execute(), strict=True))

    def _contact_id(self, key: str) -> str | None:
        """Read a contact's id in LiveDesk."""
        names = record.names_of("contact_id")
        values: Any = self.db.client.hmget(keys.contact(key), names)
        return record.named(zip(names, values, strict=True)).get("contact_id")

    def _found_by(self, contact_id: str) -> list[str]:
        """Return the keys that the finder of a contact id leads to."""
        bucket, _, field = self.db.finder_of_id(contact_id).partition(":")
        with translated():
            found: Any = self.db.client.hget(keys.finders(bucket), field)
        return record.split(found or "")

    def _finder_of(self, contact_id: str | None) -> str | None:
        return self.db.finder_of_id(contact_id) if contact_id else None


def is_usual(claim: Claim, result: AttemptResult) -> bool:
    """Return whether ``lua/finish_created.lua`` may end the attempt.

    It declines if something has changed meanwhile.
    """
    is_created = result.state is State.CREATED and result.outcome is Outcome.CREATED and result.signal is Signal.OK
    is_new = claim.work is Work.CREATE and claim.cause is None
    return is_created and is_new and result.sent is None and result.decided is None


def _groups(signups: Iterable[Signup]) -> Iterator[list[Signup]]:
    """Yield groups in which nobody is twice.

    Of two deliveries of one person, the first may take more than one round trip.
    """
    group: dict[str, Signup] = {}
    for signup in signups:
        if signup.contact.identifier in group:
            yield list(group.values())
            group = {}
        group[signup.contact.identifier] = signup
        if len(group) == GROUP:
            yield list(group.values())
            group = {}
    if group:
        yield list(group.values())


def _merged(signup: Signup, before: Before, origin: Origin, salt: bytes) -> dict[str, object]:
    """Return the arguments of ``lua/accept.lua`` about delivery and record as one."""
    merged = merge(signup, before, origin.source, salt)
    as_one = structs.replace(signup, contact=merged.contact, notes=merged.notes)
    return {
        "seen": before.seen,
        "fields": record.new_fields(as_one, origin, merged.fingerprint),
        "finders": record.dump_finders(merged.contact, salt),
        "sent": merged.sent,
        "senders": merged.senders,
    }


def _answer(answer: list[str]) -> str:
    """Return one word for ``{'due', state}``, ``{'refused', state}`` or ``{word}``."""
    if answer[0] != "refused":
        return answer[-1]
    state = State(answer[1])
    named = (State.CREATED, State.DISCARDED, State.DELETED)
    return "busy" if state is State.SENDING else str(state) if state in named else "wrong_state"
