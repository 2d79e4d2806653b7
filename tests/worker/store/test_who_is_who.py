"""People who are known to several sources, in any order of events, with faults.

The sources: an app and Clerk, which share their ids; a shop that counts from 1, too; a form and a newsletter that
anybody can fill in. Mallory types other people's ids into the form. LiveDesk already has Cyd, without an identifier,
and Dan, under one that nobody here knows.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec import structs

from tests.examples import examples
from tests.invariants import assert_invariants
from tests.worker.store.test_state_machine import LEASE_MS, SETTLE_MS, TIMEOUT_S, Died, profile
from tests.world import make_store
from worker import causes
from worker.actions import BulkAction, Command, obstacle
from worker.errors import AnswerUnknown, NotSent, Rejected
from worker.livedesk.answers import Created, Deletion, Person
from worker.model import (
    Accepted,
    Contact,
    Identity,
    OnChange,
    OnConflict,
    Origin,
    Outcome,
    Quarantined,
    State,
    Status,
    Work,
)
from worker.retry import RetryPolicy
from worker.store import keys
from worker.store.lists import Filter
from worker.store.operations import NotOpened
from worker.store.record import ContactRecord
from worker.sync import Sync

ORIGINS = {
    "app": Origin("app"),
    "clerk": Origin("clerk", id_space="app"),
    "shop": Origin("shop"),
    "form": Origin("form", Identity.VISITOR, on_change=OnChange.NOTE),
    "newsletter": Origin("newsletter", Identity.VISITOR, on_change=OnChange.NOTE),
    "crm": Origin("crm", on_conflict=OnConflict.KNOWN),
    "billing": Origin("billing", on_conflict=OnConflict.WITHOUT),
}
#: What the first machine sends: no source that decides about conflicts by itself.
ASKING = ("app", "clerk", "shop", "form", "newsletter")
PEOPLE = ("ada", "bob", "cyd", "dan")
#: The ids of the app, and of the shop.
APP_IDS = {"ada": "1", "bob": "2", "cyd": "3", "dan": "4"}
SHOP_IDS = {"ada": "2", "bob": "1", "cyd": "s-3", "dan": "s-4"}
#: Cyd and Dan share a phone.
PHONES = {"ada": "+12125550101", "bob": "+12125550102", "cyd": "+12125550103", "dan": "+12125550103"}
#: What LiveDesk's contact of Dan has as its identifier.
LEGACY = "legacy-9"
FAULTS = ("ok", "ok", "not_sent", "lost", "never_came", "dies_before", "dies_after")


def identifier_of(source: str, person: str) -> str:
    if source in ("app", "clerk"):
        return APP_IDS[person]
    return SHOP_IDS[person] if source == "shop" else f"{source}-{person}"


def address(person: str) -> str:
    return f"{person}@example.com"


@dataclass
class Directory:
    """A LiveDesk that keeps identifiers, e-mail addresses and phone numbers unique.

    ``modes`` says how the next requests that change something end.
    """

    now_ms: Callable[[], int]
    request_limit_s: float = TIMEOUT_S + 5
    modes: list[str] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)
    people: dict[str, Person] = field(default_factory=dict)
    #: The identifier that each contact was created with.
    creates: dict[str, str] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(100))
    #: What other workers do before this one's request arrives, and once its lease has run out.
    meanwhile: Callable[[], None] = lambda: None
    overtake: Callable[[], None] = lambda: None

    def create(self, contact: Contact, *, with_attributes: bool = False) -> Created:
        mode = self._mode()
        values = contact.present()
        taken = {name for name in ("identifier", "email", "phone_number") if self.owners(name, values.get(name))}
        if taken and mode in ("ok", "slow"):
            self._end(mode)
            raise Rejected(causes.http(422), fields=frozenset(taken), status=422)
        contact_id = str(next(self.ids))
        if not taken and mode in ("ok", "lost", "dies_after", "slow"):
            self.creates[contact_id] = contact.identifier
            self.people[contact_id] = Person(
                contact_id, contact.identifier, contact.name, contact.email, contact.phone_number
            )
        self._end(mode)
        return Created(contact_id, 200)

    def set_identifier(self, contact_id: str, identifier: str) -> int:
        mode = self._mode()
        if mode in ("ok", "slow") and self.owners("identifier", identifier):
            self._end(mode)
            raise Rejected(causes.http(422), fields=frozenset({"identifier"}), status=422)
        if mode in ("ok", "lost", "dies_after", "slow") and not self.owners("identifier", identifier):
            self.people[contact_id] = replace(self.people[contact_id], identifier=identifier)
        self._end(mode)
        return 200

    def update(self, contact_id: str, changes: Mapping[str, Any]) -> int:
        mode = self._mode()
        if contact_id not in self.people:
            raise Rejected(causes.CONTACT_GONE, fields=frozenset(), status=404)
        taken = {name for name in ("email", "phone_number") if self.owners(name, changes.get(name))}
        if mode in ("ok", "slow") and taken:
            self._end(mode)
            raise Rejected(causes.http(422), fields=frozenset(taken), status=422)
        if mode in ("ok", "lost", "dies_after", "slow") and not taken:
            self.people[contact_id] = replace(self.people[contact_id], **changes)
        self._end(mode)
        return 200

    def delete(self, contact_id: str) -> Deletion:
        raise AssertionError("nobody is deleted")

    def ask(self) -> None:
        """Nothing that fails here is everybody's trouble."""

    def look_up(self, identifier: str, _before_page: object, _clues: object) -> list[Person]:
        self._search()
        return self.owners("identifier", identifier)

    def find_owners(self, name: str, value: str, _before_page: object) -> list[Person]:
        self._search()
        return self.owners(name, value)

    def owners(self, name: str, value: object) -> list[Person]:
        return [person for person in self.people.values() if value is not None and getattr(person, name) == value]

    def _search(self) -> None:
        mode = self.searches.pop() if self.searches else "ok"
        if mode == "dies":
            raise Died
        if mode == "unreachable":
            raise AnswerUnknown(causes.http(502), status=502)
        if mode == "meanwhile":
            self.meanwhile()

    def _mode(self) -> str:
        mode = self.modes.pop() if self.modes else "ok"
        if mode == "dies_before":
            raise Died
        if mode == "not_sent":
            raise NotSent(causes.CONNECT_FAILED)
        if mode == "meanwhile":
            self.meanwhile()
            return "ok"
        return mode

    def _end(self, mode: str) -> None:
        if mode == "dies_after":
            raise Died
        if mode == "slow":
            self.overtake()
        if mode in ("lost", "never_came"):
            raise AnswerUnknown(causes.CONNECTION_LOST)


class Systems(RuleBasedStateMachine):
    client: redis.Redis

    @initialize()
    def start(self) -> None:
        self.client.flushall()
        self.store = make_store(self.client)
        self.livedesk = Directory(self.store.now)
        self.livedesk.people["1"] = Person("1", None, "Cyd", "cyd@example.com")
        self.livedesk.people["2"] = Person("2", LEGACY, "Dan", "dan@example.com")
        self.sync = Sync(
            store=self.store,
            livedesk=self.livedesk,
            policy=RetryPolicy(first_ms=1000, longest_ms=60_000, budget_ms=300_000),
            settle_ms=SETTLE_MS,
            rng=random.Random(0),
            clock=lambda: time.monotonic() + self.store.shift_ms / 1000,
        )
        #: Whose each accepted identifier is.
        self.whose: dict[str, str] = {}
        #: Deliveries in quarantine: source, identifier, person, contact.
        self.clashing: list[tuple[str, str, Contact]] = []
        #: Contacts that somebody deleted in LiveDesk.
        self.gone: set[str] = set()

    def bring(self, key: str) -> None:
        with suppress(Died):
            self.sync.bring(key)

    @rule(
        source=st.sampled_from(ASKING),
        person=st.sampled_from(PEOPLE),
        has_email=st.sampled_from((True, True, True, False)),
        has_phone=st.booleans(),
        name=st.sampled_from(("A", "B")),
    )
    def deliver(self, source: str, person: str, has_email: bool, has_phone: bool, name: str) -> None:
        contact = Contact(
            identifier_of(source, person),
            1,
            name,
            address(person) if has_email else None,
            PHONES[person] if has_phone else None,
        )
        self.take(source, person, contact)

    @rule(person=st.sampled_from(PEOPLE))
    def type_ones_own_id(self, person: str) -> None:
        self.take("newsletter", person, Contact(APP_IDS[person], 1, "N", address(person)))

    @rule(identifier=st.sampled_from(("1", "2", "shop-1", LEGACY)))
    def type_an_id_into_the_form(self, identifier: str) -> None:
        self.take("form", "mallory", Contact(identifier, 1, "Mallory", address("mallory")))

    def take(self, source: str, person: str, contact: Contact, *, is_unverified: bool = False) -> Accepted:
        origin, before = ORIGINS[source], self.store.contacts.find(contact.identifier)
        accepted = self.store.contacts.accept(contact, origin, is_unverified=is_unverified)
        after = self.store.contacts.find(contact.identifier)
        assert after is not None or accepted.clashes_with
        if accepted.clashes_with:
            assert before == after, "a clash changed somebody's record"
            self.store.quarantine.add(
                Quarantined(
                    source=source,
                    payload=f"{source} {contact}",
                    problems={"identifier": "clash"},
                    headers={},
                    clash=accepted.clashes_with,
                )
            )
            if (source, person, contact) not in self.clashing:
                self.clashing.append((source, person, contact))
            return accepted
        owner = self.whose.setdefault(contact.identifier, person)
        assert owner == person, f"{person} was answered {accepted.status} because of {owner} (I8)"
        if before is not None and origin.identity is Identity.VISITOR and before.identity is Identity.ACCOUNT:
            assert accepted.status is Status.DUPLICATE
            assert shown(before) == shown(after), "a visitor changed an account's data (I8)"
        return accepted

    @rule()
    def two_people(self) -> None:
        """An operator separates the oldest clash by a prefix."""
        if not self.clashing:
            return
        source, person, contact = self.clashing.pop(0)
        # Mallory may have typed the first one, too.
        renamed = [
            structs.replace(contact, identifier=f"{prefix}-{contact.identifier}") for prefix in (source, f"{source}-2")
        ]
        free = next(one for one in renamed if self.whose.get(one.identifier, person) == person)
        assert not self.take(source, person, free).clashes_with
        [entry] = [one.entry for one in self.store.quarantine.page() if one.payload == f"{source} {contact}"]
        assert self.store.quarantine.release(entry)

    @rule(modes=st.lists(st.sampled_from(FAULTS), max_size=2))
    def work_on_message(self, modes: list[str]) -> None:
        self.work(modes)

    def work(self, modes: list[str]) -> None:
        message = self.client.rpop(keys.QUEUE)
        if message is not None:
            self.livedesk.modes = modes
            self.bring(str(message).split()[0])

    @rule()
    def sweep(self) -> None:
        self.store.queue.sweep()

    @rule(ms=st.sampled_from((1_000, 45_001, 61_000)))
    def clock(self, ms: int) -> None:
        self.store.shift_ms += ms

    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        """Erase a contact here and in LiveDesk: all its aliases go."""
        if not self.whose:
            return
        identifier = data.draw(st.sampled_from(sorted(self.whose)))
        record, person = self.store.contacts.find(identifier), self.whose[identifier]
        assert record is not None
        if record.state is not State.CREATED or record.contact_id in self.gone:
            return
        key = self.store.key_of(record.identifier)
        erased = [self.store.contacts.read(one) for one in self.store.contacts.aliases(key)]
        assert self.store.contacts.erase(key).result == "erased"
        for one in erased:
            assert one is not None
            assert self.whose[one.identifier] == person, "erased somebody else"
            assert self.store.contacts.find(one.identifier) is None
            del self.whose[one.identifier]
        assert record.contact_id is not None
        gone = self.livedesk.people.pop(record.contact_id)
        self.livedesk.creates.pop(record.contact_id, None)
        self.gone.add(record.contact_id)
        assert gone.email in (None, address(person))

    @invariant()
    def keyspace_is_sound(self) -> None:
        assert_invariants(self.client)

    @invariant()
    def nobody_is_lost(self) -> None:
        for identifier in self.whose:
            assert self.store.contacts.find(identifier) is not None, f"{identifier} was accepted and is gone (I1)"
        assert self.store.quarantine.size() == len(self.clashing)

    def teardown(self) -> None:
        """Drain without faults. Then everybody is in LiveDesk, once, and under the best identifier."""
        if not hasattr(self, "livedesk"):
            return
        try:
            self.drain()
            self.everybody_is_in_livedesk()
            self.keyspace_is_sound()
        finally:
            self.store.connections.release()

    def drain(self) -> None:
        self.livedesk.modes = []
        for _ in range(40):
            self.store.queue.sweep()
            while message := self.client.rpop(keys.QUEUE):
                self.bring(str(message).split()[0])
            self.store.shift_ms += 61_000

    def everybody_is_in_livedesk(self) -> None:
        creates = list(self.livedesk.creates.values())
        assert len(creates) == len(set(creates)), "created twice (I5)"
        if "2" in self.livedesk.people:
            assert self.livedesk.people["2"].identifier == LEGACY, "an unknown identifier was replaced"
        linked: dict[str, list[ContactRecord]] = {}
        undecided: set[str | None] = set()
        for identifier, person in self.whose.items():
            record = self.store.contacts.find(identifier)
            assert record is not None
            self.is_in_livedesk(record, person)
            if record.contact_id:
                linked.setdefault(record.contact_id, []).append(record)
            elif self.is_changed_visitor(record, person):
                undecided.add(record.owner_id)
        for contact_id, records in linked.items():
            own = [one for one in records if one.outcome is not Outcome.KNOWN]
            assert len(own) == 1 or (not own and contact_id in {"1", "2", *undecided}), (
                "one record has the contact's identifier"
            )
            if own and any(one.identity is Identity.ACCOUNT for one in records):
                assert own[0].identity is Identity.ACCOUNT, "a visitor's identifier was not promoted"

    def is_in_livedesk(self, record: ContactRecord, person: str) -> None:
        if record.state is State.CONFLICT:
            if self.is_changed_visitor(record, person) or self.is_change(record, person):
                return
            is_typed = record.identifier == LEGACY and record.cause == causes.IDENTIFIER_CLASH.slug
            assert person == "dan" or is_typed, f"{record.identifier} of {person} waits for an operator"
            assert record.owner_id == "2"
            return
        assert record.state is State.CREATED, f"{record.identifier} is {record.state}: {record.cause}"
        assert record.contact_id is not None
        contact = self.livedesk.people[record.contact_id]
        assert contact.email in (None, address(person))
        if record.outcome is Outcome.KNOWN:
            assert contact.identifier != record.identifier
        else:
            assert contact.identifier == record.identifier
        if record.identity is Identity.VISITOR and contact.id in ("1", "2"):
            assert record.outcome is Outcome.KNOWN, "a visitor adopted a contact"

    def is_change(self, record: ContactRecord, person: str) -> bool:
        """Whether a contact without an e-mail address is to get the one that another contact of the person has."""
        owner = self.livedesk.people.get(record.owner_id or "")
        is_same = owner is None or owner.email == address(person)
        return record.contact_id is not None and is_same and record.cause == causes.EMAIL_TAKEN.slug

    def is_changed_visitor(self, record: ContactRecord, person: str) -> bool:
        """Whether a visitor's address changed between a create and the look-up after its lost answer.

        The contact found then has none of the new values. Anybody can have chosen the identifier, so a person decides.
        """
        owner = self.livedesk.people.get(record.owner_id or "")
        is_own = owner is not None and owner.identifier == record.identifier and owner.email in (None, address(person))
        return is_own and record.identity is Identity.VISITOR and record.cause == causes.IDENTIFIER_CLASH.slug


class AttendedSystems(Systems):
    """Adds operators, sources that decide about conflicts by themselves, and addresses that are not verified.

    The operators know everybody: they say that two are the same person only where that is so.
    """

    @initialize()
    def start(self) -> None:
        super().start()
        self.livedesk.meanwhile, self.livedesk.overtake = self.another_worker, self.lease_runs_out
        #: Whom an operator, a policy or a discard may have left with more or less than one contact.
        self.decided: set[str] = set()

    @rule(
        source=st.sampled_from(("app", "shop", "crm", "billing")),
        person=st.sampled_from(PEOPLE),
        has_phone=st.booleans(),
        is_unverified=st.booleans(),
    )
    def deliver_unverified(self, source: str, person: str, has_phone: bool, is_unverified: bool) -> None:
        phone = PHONES[person] if has_phone else None
        contact = Contact(identifier_of(source, person), 1, "A", address(person), phone)
        if not self.take(source, person, contact, is_unverified=is_unverified).clashes_with and is_unverified:
            self.decided.add(contact.identifier)

    def another_worker(self) -> None:
        self.store.queue.sweep()
        while message := self.client.rpop(keys.QUEUE):
            self.bring(str(message).split()[0])

    def lease_runs_out(self) -> None:
        self.store.shift_ms += LEASE_MS + 1
        self.another_worker()

    @rule(
        modes=st.lists(st.sampled_from(("meanwhile", "slow", *FAULTS)), max_size=3),
        searches=st.lists(st.sampled_from(("ok", "unreachable", "dies", "meanwhile")), max_size=2),
    )
    def work_concurrently(self, modes: list[str], searches: list[str]) -> None:
        self.livedesk.searches = searches
        self.work(modes)
        self.livedesk.searches = []

    @rule(data=st.data(), how=st.sampled_from(("adopt", "known", "leave_out")))
    def resolve(self, data: st.DataObject, how: str) -> None:
        """An operator resolves one conflict."""
        record = self.draw(data, State.CONFLICT)
        if record is None or record.owner_id is None or not self.is_same_person(record):
            return
        key, contacts = self.store.key_of(record.identifier), self.store.contacts
        is_taken = obstacle(BulkAction.WITHOUT, record.cause, has_owner=True) is None
        if (how != "known" and not is_taken) or (how != "leave_out" and record.work is not Work.CREATE):
            return
        self.decided.add(record.identifier)
        if how == "known":
            assert contacts.mark_known(key, record.owner_id) == "known"
        elif how == "adopt":
            assert contacts.adopt(key, record.owner_id) == "retrying"
        else:
            assert contacts.leave_out(key, record.owner_id) == "retrying"

    @rule(action=st.sampled_from((BulkAction.ADOPT, BulkAction.WITHOUT, BulkAction.KNOWN, BulkAction.RETRY)))
    def resolve_many(self, action: BulkAction) -> None:
        """An operator starts an operation on all conflicts, if all are of the same person."""
        conflicts = [record for record in self.records() if record.state is State.CONFLICT]
        if action is not BulkAction.RETRY and not all(self.is_same_person(record) for record in conflicts):
            return
        with suppress(NotOpened):
            self.store.operations.open(action, Filter(state=State.CONFLICT), who="ada", why="known", total=9)
            self.decided |= {record.identifier for record in conflicts}

    @rule()
    def step(self) -> None:
        self.store.operations.step()

    @rule(number=st.integers(0, 2))
    def undo(self, number: int) -> None:
        latest = self.store.operations.latest()
        if number < len(latest):
            self.store.operations.command(latest[number].id, Command.UNDO)

    @rule(data=st.data(), state=st.sampled_from(list(State)))
    def retry(self, data: st.DataObject, state: State) -> None:
        record = self.draw(data, state)
        if record is not None:
            self.store.contacts.retry_now(self.store.key_of(record.identifier))

    @rule(data=st.data(), state=st.sampled_from((State.PENDING, State.RETRYING, State.CONFLICT)))
    def discard(self, data: st.DataObject, state: State) -> None:
        record = self.draw(data, state)
        if record is not None:
            self.store.contacts.discard(self.store.key_of(record.identifier))
            self.decided.add(record.identifier)

    def records(self) -> list[ContactRecord]:
        found = (self.store.contacts.find(identifier) for identifier in sorted(self.whose))
        return [record for record in found if record is not None]

    def draw(self, data: st.DataObject, state: State) -> ContactRecord | None:
        found = [record for record in self.records() if record.state is state]
        return data.draw(st.sampled_from(found)) if found else None

    def is_same_person(self, record: ContactRecord) -> bool:
        owner = self.livedesk.people.get(record.owner_id or "")
        return owner is not None and owner.email == address(self.whose[record.identifier])

    def drain(self) -> None:
        for _ in range(10):
            self.store.operations.step()
        super().drain()

    def everybody_is_in_livedesk(self) -> None:
        creates = list(self.livedesk.creates.values())
        assert len(creates) == len(set(creates)), "created twice (I5)"
        records = {record.identifier: record for record in self.records()}
        for record in records.values():
            self.is_in_livedesk(record, self.whose[record.identifier])
        for contact in self.livedesk.people.values():
            own = records.get(contact.identifier or "")
            linked = [one for one in records.values() if one.contact_id == contact.id]
            if own is not None and own.state is State.CREATED:
                assert own.contact_id == contact.id, "the record of an identifier leads to another contact"
                assert own.outcome is not Outcome.KNOWN, "the contact has the identifier of a record that is only known"
            others = [one for one in linked if one is not own]
            # A change that was given up does not say how the contact became known.
            is_known = all(one.outcome is Outcome.KNOWN or one.state is not State.CREATED for one in others)
            assert is_known, "two records have the contact's identifier"
            if own is None and linked:
                assert contact.id in ("1", "2"), "whose contact is it?"

    def is_in_livedesk(self, record: ContactRecord, person: str) -> None:
        if record.state is State.DISCARDED:
            assert record.identifier in self.decided
        elif record.state is State.CONFLICT:
            if not (self.is_changed_visitor(record, person) or self.is_change(record, person)):
                assert person in ("dan", "mallory") or record.identifier in self.decided, record
        elif record.contact_id in self.gone:  # an operation made it known after somebody had deleted that contact
            assert record.outcome is Outcome.KNOWN
            assert record.identifier in self.decided
        else:
            super().is_in_livedesk(record, person)


def shown(record: ContactRecord | None) -> tuple[Contact | None, str, State] | None:
    return (record.contact, record.source, record.state) if record else None


def test_everybody_is_one_contact_whatever_the_order(client: redis.Redis) -> None:
    Systems.client = client
    run_state_machine_as_test(Systems, settings=profile(max_examples=examples(12)))


def test_operators_decide_at_any_time(client: redis.Redis) -> None:
    AttendedSystems.client = client
    run_state_machine_as_test(AttendedSystems, settings=profile(max_examples=examples(10)))


def test_two_systems_that_count_from_one(client: redis.Redis) -> None:
    """The steps of the machine that its search finds by luck only."""
    Systems.client = client
    systems: Any = Systems()
    systems.start()
    systems.type_an_id_into_the_form(LEGACY)
    for source in ("form", "app", "shop", "clerk", "newsletter"):
        for person in PEOPLE:
            systems.deliver(source, person, True, True, "A")
    systems.type_an_id_into_the_form("1")
    assert len(systems.clashing) == 3  # ada and bob of the shop, and Mallory
    for _ in range(3):
        systems.two_people()
    systems.nobody_is_lost()
    systems.teardown()
    contacts = [person for person in systems.livedesk.people.values() if person.email]
    assert len(contacts) == len({person.email for person in contacts}) == 5
