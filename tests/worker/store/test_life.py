"""Changes and deletions of people in any order, with faults, agents and operators; drained, LiveDesk has the newest.

The LiveDesk of this test is the contact book of the stand-in, whose requests end as the test has drawn.
"""

import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.examples import examples
from tests.invariants import assert_invariants
from tests.livedesk import Book
from tests.livedesk.book import Missing, Refused
from tests.worker.store.test_state_machine import LEASE_MS, SETTLE_MS, TIMEOUT_S, Died, profile
from tests.world import make_store
from worker import causes
from worker.errors import AnswerUnknown, NotSent, Rejected
from worker.livedesk.answers import Created, Deletion, Person
from worker.model import Account, Contact, Event, OnDelete, Origin, State, Status, Work
from worker.retry import RetryPolicy
from worker.store import keys
from worker.store.record import ContactRecord
from worker.sync import Sync

PEOPLE = ("ada", "bob")
#: A time at the source, in ms since the epoch; events are at most ``LATEST`` ms later.
NOON, LATEST = 1_795_000_000_000, 6
FIELDS = ("name", "email", "phone_number", "plan")
#: A delivery does not mention a field, says that the person has no value any more, or gives one of two.
SAYS = (None, "", "1", "2")
FAULTS = ("ok", "not_sent", "lost", "never_came", "dies_before", "dies_after", "slow", "before", "after")
SEARCHES = ("ok", "ok", "unreachable", "dies")
#: The attribute of a contact whose person was deleted at the source.
MARK = "account_deleted_at"


def value_of(person: str, name: str, number: str) -> str:
    if name == "email":
        return f"{person}-{number}@example.com"
    if name == "phone_number":
        return f"+1212555{PEOPLE.index(person)}{number:0>3}"
    return f"{person} {number}"


@dataclass(frozen=True)
class Said:
    """An event: at a time of the source or without one, and what it says about each field."""

    at: int | None
    fields: tuple[str | None, ...]

    def contact(self, person: str) -> Contact:
        pairs = zip(FIELDS, self.fields, strict=True)
        values: dict[str, Any] = {name: value_of(person, name, number) for name, number in pairs if number}
        plan = values.pop("plan", None)
        return Contact(person, 1, **values, custom_attributes={"plan": plan} if plan else None)

    @property
    def cleared(self) -> frozenset[str]:
        names = {name for name, number in zip(FIELDS, self.fields, strict=True) if number == ""}
        return frozenset("custom_attributes.plan" if name == "plan" else name for name in names)


EVENTS = st.builds(
    Said,
    st.one_of(st.none(), st.integers(0, LATEST), st.integers(0, LATEST)),
    st.tuples(*(st.sampled_from(SAYS) for _ in FIELDS)),
)


@dataclass
class Edit:
    """What an agent made of a field.

    ``base``: the source's value then. ``is_loose``: a change was on its way, so that it may have replaced the edit, or
    not; with no ``value``, LiveDesk may have anything. ``is_overtaken``: the source has changed the field since.
    """

    value: str | None
    base: str | None
    is_loose: bool
    is_overtaken: bool = False


@dataclass
class Source:
    """What the source says about a person, by the rules of the design."""

    at: int | None = None
    values: dict[str, str] = field(default_factory=dict)
    deleted_at: int | None = None
    #: What agents edited since, and fields of which LiveDesk may have something else.
    edits: dict[str, Edit] = field(default_factory=dict)
    #: An operator dropped something.
    is_vague: bool = False

    def is_stale(self, at: int | None) -> bool:
        if self.deleted_at is not None:
            return at is None or at <= self.deleted_at
        return at is not None and self.at is not None and at < self.at

    def hear(self, person: str, said: Said) -> None:
        if self.is_stale(said.at):
            return
        if self.deleted_at is not None:
            self.deleted_at, self.values = None, {}
            self.loosen()
        if said.at is not None:
            self.at = max(said.at, self.at or 0)
        for name, number in zip(FIELDS, said.fields, strict=True):
            if number is None:
                continue
            value = value_of(person, name, number) if number else None
            if value != self.values.get(name) and name in self.edits:
                self.edits[name].is_overtaken = True
            if value is None:
                self.values.pop(name, None)
            else:
                self.values[name] = value

    def delete(self, at: int) -> None:
        if self.deleted_at is not None:
            self.at = self.deleted_at = max(at, self.deleted_at)
        elif not self.is_stale(at):
            self.at = self.deleted_at = max(at, self.at or 0)
            self.values, self.edits = {}, {}

    def loosen(self) -> None:
        """Nobody knows any more what LiveDesk has."""
        self.edits = {name: Edit(None, self.values.get(name), True) for name in FIELDS}

    def allows(self, name: str, value: str | None) -> bool:
        edit, wanted = self.edits.get(name), self.values.get(name)
        if edit is None:
            return value == wanted
        if edit.is_loose and (value == edit.value or (edit.value is None and wanted in (None, edit.base))):
            return True
        if wanted != edit.base:
            return value == wanted
        return value == edit.value or ((edit.is_overtaken or edit.is_loose) and value == wanted)


@dataclass
class Directory:
    """A LiveDesk whose requests end as the test has drawn.

    ``meanwhile`` is what happens during a request, ``overtake`` what another worker does once the lease has run out.
    """

    now_ms: Callable[[], int]
    meanwhile: Callable[[], None]
    overtake: Callable[[], None]
    request_limit_s: float = TIMEOUT_S + 5
    book: Book = field(default_factory=lambda: Book(seed=0))
    modes: list[str] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)

    def create(self, contact: Contact, *, with_attributes: bool = False) -> Created:
        sent = contact if with_attributes else contact.without("custom_attributes", "additional_attributes")
        made = self._ask(lambda: self.book.create(sent.present()))
        return Created(str(made.id), 200)

    def update(self, contact_id: str, changes: Mapping[str, Any]) -> int:
        self._ask(lambda: self.book.update(contact_id, changes))
        return 200

    def set_identifier(self, contact_id: str, identifier: str) -> int:
        return self.update(contact_id, {"identifier": identifier})

    def delete(self, contact_id: str) -> Deletion:
        with suppress(Rejected):
            self._ask(lambda: self.book.delete(contact_id))
            return Deletion.DELETED
        return Deletion.GONE

    def ask(self) -> None:
        """Nothing that fails here is everybody's trouble."""

    def look_up(self, identifier: str, _before_page: object, _clues: object) -> list[Person]:
        return self._found("identifier", identifier)

    def find_owners(self, name: str, value: str, _before_page: object) -> list[Person]:
        return self._found(name, value)

    def _ask(self, change: Callable[[], Any]) -> Any:
        mode = self.modes.pop() if self.modes else "ok"
        if mode == "dies_before":
            raise Died
        if mode == "not_sent":
            raise NotSent(causes.CONNECT_FAILED)
        if mode == "before":
            self.meanwhile()
        made = None if mode == "never_came" else self._execute(change)
        if mode == "dies_after":
            raise Died
        if mode in ("lost", "never_came"):
            raise AnswerUnknown(causes.CONNECTION_LOST)
        if mode == "after":
            self.meanwhile()
        if mode == "slow":
            self.overtake()
        if isinstance(made, Rejected):
            raise made
        return made

    def _execute(self, change: Callable[[], Any]) -> Any:
        """Return what LiveDesk made of it, or the refusal."""
        try:
            return change()
        except Missing:
            return Rejected(causes.CONTACT_GONE, fields=frozenset(), status=404)
        except Refused as error:
            fields = frozenset(fault.attribute for fault in error.faults)
            return Rejected(causes.http(422), fields=fields, status=422)

    def _found(self, name: str, value: str) -> list[Person]:
        mode = self.searches.pop() if self.searches else "ok"
        if mode == "dies":
            raise Died
        if mode == "unreachable":
            raise AnswerUnknown(causes.http(502), status=502)
        return [
            Person(
                str(one.id),
                one.identifier,
                one.name or None,
                one.email,
                one.phone_number,
                {key: value for key, value in one.custom_attributes.items() if value is not None},
            )
            for one in self.book.contacts()
            if getattr(one, name) == value
        ]


class Life(RuleBasedStateMachine):
    client: redis.Redis

    @initialize(
        on_delete=st.sampled_from((OnDelete.MARK, OnDelete.DELETE)),
        creates_attributes=st.booleans(),
        deletes=st.booleans(),
    )
    def start(self, on_delete: OnDelete, creates_attributes: bool, deletes: bool) -> None:
        self.client.flushall()
        self.store = make_store(self.client)
        self.origin = Origin("app", on_delete=on_delete)
        self.livedesk = Directory(self.store.now, self.meanwhile, self.lease_runs_out)
        self.sync = Sync(
            store=self.store,
            livedesk=self.livedesk,
            policy=RetryPolicy(first_ms=1000, longest_ms=60_000, budget_ms=300_000),
            settle_ms=SETTLE_MS,
            rng=random.Random(0),
            account=lambda: Account(creates_attributes=creates_attributes, deletes=deletes),
            clock=lambda: time.monotonic() + self.store.shift_ms / 1000,
        )
        self.sources: dict[str, Source] = {}
        self.key = ""
        self.planned: list[Callable[[], None]] = []

    # The source

    @rule(person=st.sampled_from(PEOPLE), said=EVENTS)
    def deliver(self, person: str, said: Said) -> None:
        source = self.sources.setdefault(person, Source())
        before = self.record(person)
        event = Event("user.updated", None if said.at is None else NOON + said.at)
        accepted = self.store.contacts.accept(said.contact(person), self.origin, cleared=said.cleared, event=event)
        if before is not None and before.state is State.DISCARDED:
            source.is_vague = True
        if not source.is_vague:
            assert accepted.is_stale == (before is not None and source.is_stale(said.at)), "stale, or not"
        if accepted.is_stale:
            assert accepted.status is Status.DUPLICATE
            assert self.record(person) == before, "a stale event changed something"
        source.hear(person, said)

    @rule(person=st.sampled_from(PEOPLE), at=st.integers(0, LATEST))
    def delete(self, person: str, at: int) -> None:
        source = self.sources.setdefault(person, Source())
        before = self.record(person)
        event = Event("user.deleted", NOON + at, is_deletion=True)
        accepted = self.store.contacts.accept(Contact(person), self.origin, event=event)
        if not source.is_vague and source.deleted_at is None:
            assert accepted.is_stale == (before is not None and source.is_stale(at))
        source.delete(at)

    # Workers

    @rule(
        modes=st.lists(st.sampled_from(FAULTS), max_size=2),
        searches=st.lists(st.sampled_from(SEARCHES), max_size=2),
        said=EVENTS,
        deleted_at=st.one_of(st.none(), st.integers(0, LATEST)),
    )
    def work(self, modes: list[str], searches: list[str], said: Said, deleted_at: int | None) -> None:
        """Make an attempt. During it the person may change, or be deleted."""
        if not self.client.llen(keys.QUEUE):
            self.store.queue.sweep()
        message = self.client.rpop(keys.QUEUE)
        if message is None:
            return
        self.key = str(message).split()[0]
        person = next((one for one in PEOPLE if self.store.key_of(one) == self.key), PEOPLE[0])
        if deleted_at is None:
            self.planned = [lambda: self.deliver(person, said)]
        else:
            self.planned = [lambda: self.delete(person, deleted_at)]
        self.livedesk.modes, self.livedesk.searches = modes, searches
        self.bring(self.key)
        self.livedesk.modes, self.livedesk.searches, self.planned = [], [], []

    def bring(self, key: str) -> None:
        with suppress(Died):
            self.sync.bring(key)

    def meanwhile(self) -> None:
        while self.planned:
            self.planned.pop()()

    def lease_runs_out(self) -> None:
        self.store.shift_ms += LEASE_MS + 1
        self.bring(self.key)

    @rule(person=st.sampled_from(PEOPLE))
    def stray_message(self, person: str) -> None:
        self.bring(self.store.key_of(person))

    @rule(ms=st.sampled_from((1_000, LEASE_MS + 1, SETTLE_MS + 1)))
    def clock(self, ms: int) -> None:
        self.store.shift_ms += ms

    @rule()
    def everything_is_settled(self) -> None:
        self.drain()
        self.everybody_is_true()

    # Agents and operators

    @rule(person=st.sampled_from(PEOPLE), name=st.sampled_from(FIELDS))
    def agent_edits(self, person: str, name: str) -> None:
        record, source = self.record(person), self.sources.get(person)
        contact = next((one for one in self.livedesk.book.contacts() if one.identifier == person), None)
        if source is None or record is None or contact is None:
            return
        value = value_of(person, name, "9")
        self.livedesk.book.update(
            contact.id, {"custom_attributes": {"plan": value}} if name == "plan" else {name: value}
        )
        is_settled = record.state is State.CREATED and (name not in source.edits or not source.edits[name].is_loose)
        source.edits[name] = Edit(value, source.values.get(name), not is_settled)

    @rule(person=st.sampled_from(PEOPLE), is_merged=st.booleans())
    def agent_removes(self, person: str, is_merged: bool) -> None:
        """An agent deletes the contact in LiveDesk, or merges it into another."""
        contact = next((one for one in self.livedesk.book.contacts() if one.identifier == person), None)
        if contact is None:
            return
        if is_merged:
            base = self.livedesk.book.create({"name": "Widget", "phone_number": f"+4930{contact.id:05}"})
            self.livedesk.book.merge(base.id, contact.id)
        else:
            self.livedesk.book.delete(contact.id)
        self.sources[person].loosen()

    @rule(person=st.sampled_from(PEOPLE))
    def retry(self, person: str) -> None:
        self.store.contacts.retry_now(self.store.key_of(person))

    @rule(person=st.sampled_from(PEOPLE))
    def discard(self, person: str) -> None:
        if self.store.contacts.discard(self.store.key_of(person)) == "discarded":
            self.sources[person].is_vague = True

    @rule(person=st.sampled_from(PEOPLE))
    def create_again(self, person: str) -> None:
        record = self.record(person)
        if record is None or record.state is not State.CONFLICT or record.contact_id is None:
            return
        assert record.cause == causes.CONTACT_GONE.slug
        if record.work is Work.UPDATE:
            assert self.store.contacts.create_again(self.store.key_of(person), record.contact_id) == "retrying"
            self.sources[person].loosen()

    # What is always true

    @invariant()
    def keyspace_is_sound(self) -> None:
        if hasattr(self, "store"):
            assert_invariants(self.client)

    @invariant()
    def nobody_is_lost(self) -> None:
        for person in getattr(self, "sources", {}):
            assert self.record(person) is not None, f"{person} is gone (I1)"

    def record(self, person: str) -> ContactRecord | None:
        return self.store.contacts.find(person)

    def teardown(self) -> None:
        if not hasattr(self, "livedesk"):
            return
        try:
            self.drain()
            self.everybody_is_true()
        finally:
            self.store.connections.release()

    def drain(self) -> None:
        """No more faults; operators retry what was closed, and create again what LiveDesk has lost."""
        for _ in range(30):
            self.store.queue.sweep()
            while message := self.client.rpop(keys.QUEUE):
                self.bring(str(message).split()[0])
            waiting = [one for one in self.sources if (record := self.record(one)) and not self.is_settled(record)]
            if not waiting:
                return
            for person in waiting:
                self.create_again(person)
                record = self.record(person)
                if record is not None and record.state in (State.FAILED, State.CONFLICT):
                    self.retry(person)
            self.store.shift_ms += SETTLE_MS + 1

    def is_settled(self, record: ContactRecord) -> bool:
        return record.state in (State.CREATED, State.DELETED, State.DISCARDED)

    def everybody_is_true(self) -> None:
        """I5: LiveDesk has what the newest event of each person says."""
        for person, source in self.sources.items():
            record = self.record(person)
            assert record is not None
            assert self.is_settled(record), f"{person} is still {record.state}: {record.cause}"
            contacts = [one for one in self.livedesk.book.contacts() if one.identifier == person]
            if record.state is State.DELETED:
                assert record.contact is None, "personal data of a deleted person"
                assert all(one.custom_attributes.get(MARK) for one in contacts), f"{person} came back"
            if source.is_vague or record.state is State.DISCARDED:
                continue
            assert (record.state is State.DELETED) == (source.deleted_at is not None), f"{person} is {record.state}"
            for contact in contacts if record.state is State.CREATED else []:
                assert str(contact.id) == record.contact_id or source.edits, "another contact"
                assert not contact.custom_attributes.get(MARK), f"{person} is alive, and marked as deleted"
                has = {
                    "name": contact.name or None,
                    "email": contact.email,
                    "phone_number": contact.phone_number,
                    "plan": contact.custom_attributes.get("plan"),
                }
                for name, value in has.items():
                    assert source.allows(name, value), f"{person}'s {name} is {value}, not {source.values.get(name)}"
            if record.state is State.CREATED and not source.edits:
                assert len(contacts) == 1, f"{person} is created here, and not in LiveDesk"


def test_whatever_happens_after_the_signup_livedesk_has_the_newest(client: redis.Redis) -> None:
    Life.client = client
    run_state_machine_as_test(Life, settings=profile(max_examples=examples(20)))
