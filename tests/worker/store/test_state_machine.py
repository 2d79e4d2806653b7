"""Every action and the clock in any order, against a real server.

The LiveDesk of this test keeps no identifier unique on purpose: a second create would show as a second contact.
"""

import random
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec import structs

from tests.examples import examples
from tests.invariants import assert_invariants
from tests.world import make_store
from worker import causes
from worker.errors import AnswerUnknown, Inconclusive, NotSent, Rejected, Throttled
from worker.livedesk.answers import Created, Deletion, Person
from worker.model import Contact, OnChange, Origin, State
from worker.retry import RetryPolicy
from worker.store import keys
from worker.sync import Sync

LEASE_MS, SETTLE_MS, TIMEOUT_S = 45_000, 60_000, 30.0
PEOPLE = ("ada", "bob", "cyd")
CREATE = (
    "ok",
    "not_sent",
    "throttled",
    "lost",
    "never_came",
    "comes_late",
    "dies_before",
    "dies_after",
    "slow",
    "refused",
)
SEARCH = ("ok", "ok", "ok", "unreachable", "cannot_tell", "dies")


class Died(BaseException):
    """The worker was killed: nothing after this in its code happens."""


@dataclass
class ErraticLiveDesk:
    """Treats each request as the test has drawn, and judges every create (I4)."""

    now_ms: Callable[[], int]
    elapse: Callable[[int], None]
    another_worker: Callable[[str], None]
    request_limit_s: float = TIMEOUT_S + 5
    create_modes: list[str] = field(default_factory=list)
    search_modes: list[str] = field(default_factory=list)
    contacts: list[str] = field(default_factory=list)
    on_their_way: list[tuple[int, str]] = field(default_factory=list)
    unanswered: dict[str, int] = field(default_factory=dict)
    seen_absent: dict[str, int] = field(default_factory=dict)

    def create(self, contact: Contact, *, with_attributes: bool = False) -> Created:
        identifier = contact.identifier
        self.judge(identifier)
        mode = self.create_modes.pop() if self.create_modes else "ok"
        if mode == "dies_before":
            self.unanswered[identifier] = self.now_ms()
            raise Died
        if mode == "not_sent":
            raise NotSent(causes.CONNECT_FAILED)
        if mode == "throttled":
            raise Throttled(retry_after=3)
        if mode == "refused":
            raise Rejected(
                causes.http(422), fields=frozenset({"identifier"} if identifier in self.contacts else ()), status=422
            )
        self.unanswered[identifier] = self.now_ms()
        if mode == "comes_late":
            self.on_their_way.append((self.now_ms() + SETTLE_MS - 1, identifier))
            raise AnswerUnknown(causes.ANSWER_TIMEOUT)
        if mode == "never_came":
            raise AnswerUnknown(causes.ANSWER_TIMEOUT)
        self.contacts.append(identifier)
        if mode == "lost":
            raise AnswerUnknown(causes.CONNECTION_LOST)
        if mode == "dies_after":
            raise Died
        if mode == "slow":
            self.elapse(LEASE_MS + 1)
            self.another_worker(identifier)
        self.unanswered.pop(identifier, None)
        return Created(str(len(self.contacts)), 200)

    def judge(self, identifier: str) -> None:
        """Check I4: no create while an earlier one's answer is unknown and may change."""
        sent_at = self.unanswered.get(identifier)
        if sent_at is None:
            return
        absent_at = self.seen_absent.get(identifier, 0)
        assert absent_at >= sent_at + SETTLE_MS, f"a create for {identifier} while an earlier one was unanswered"

    def find_owners(self, field: str, value: str, before_page: object) -> list[Person]:
        raise AssertionError("nobody has an address")

    def set_identifier(self, contact_id: str, identifier: str) -> int:
        raise AssertionError("nobody has an address")

    def update(self, contact_id: str, changes: Mapping[str, Any]) -> int:
        return 200  # test_life has changes

    def delete(self, contact_id: str) -> Deletion:
        raise AssertionError("nobody is deleted")

    def ask(self) -> None:
        """Nothing that fails here is everybody's trouble."""

    def look_up(self, identifier: str, before_page: object, clues: object) -> list[Person]:
        mode = self.search_modes.pop() if self.search_modes else "ok"
        if mode == "unreachable":
            raise AnswerUnknown(causes.http(502), status=502)
        if mode == "cannot_tell":
            raise Inconclusive(causes.SEARCH_IGNORED_QUERY)
        if mode == "dies":
            raise Died
        self.arrive()
        found = [Person(str(at + 1), name) for at, name in enumerate(self.contacts) if name == identifier]
        if not found:
            self.seen_absent[identifier] = self.now_ms()
        return found

    def arrive(self) -> None:
        """Requests that were on their way arrive when they are due."""
        now = self.now_ms()
        self.contacts += [name for when, name in self.on_their_way if when <= now]
        self.on_their_way = [(when, name) for when, name in self.on_their_way if when > now]


class Contacts(RuleBasedStateMachine):
    client: redis.Redis

    @initialize()
    def start(self) -> None:
        self.client.flushall()
        self.store = make_store(self.client)
        self.livedesk = ErraticLiveDesk(self.now_ms, self.turn, self.another_worker)
        self.sync = Sync(
            store=self.store,
            livedesk=self.livedesk,
            policy=RetryPolicy(first_ms=1000, longest_ms=60_000, budget_ms=300_000),
            settle_ms=SETTLE_MS,
            rng=random.Random(0),
            clock=lambda: time.monotonic() + self.store.shift_ms / 1000,
        )
        self.accepted: set[str] = set()

    def now_ms(self) -> int:
        return self.store.now()

    def turn(self, ms: int) -> None:
        self.store.shift_ms += ms

    def key(self, identifier: str) -> str:
        return self.store.key_of(identifier)

    def work(self, key: str) -> None:
        with suppress(Died):
            self.sync.bring(key)

    def another_worker(self, identifier: str) -> None:
        """Take the contact over, because a lease ran out during a request."""
        held = self.store.contacts.claim(self.key(identifier), token_hex(4))
        assert held is not None
        assert held.unknown_since is not None

    @rule(identifier=st.sampled_from(PEOPLE), name=st.sampled_from(("A", "B")))
    def deliver(self, identifier: str, name: str) -> None:
        # What happens after the signup: test_life.
        self.store.contacts.accept(Contact(identifier, 1, name), Origin("signup", on_change=OnChange.NOTE))
        self.accepted.add(identifier)

    @rule(creates=st.lists(st.sampled_from(CREATE), max_size=2), searches=st.lists(st.sampled_from(SEARCH), max_size=2))
    def work_on_message(self, creates: list[str], searches: list[str]) -> None:
        message = self.client.rpop(keys.QUEUE)
        if message is not None:
            self.livedesk.create_modes, self.livedesk.search_modes = creates, searches
            self.work(str(message).split()[0])

    @rule(identifier=st.sampled_from(PEOPLE))
    def stray_message(self, identifier: str) -> None:
        self.livedesk.create_modes, self.livedesk.search_modes = [], []
        self.work(self.key(identifier))

    @rule()
    def sweep(self) -> None:
        self.store.queue.sweep()

    @rule()
    def lose_messages(self) -> None:
        self.client.delete(keys.QUEUE)

    @rule(ms=st.sampled_from((10, 1_000, 30_000, 45_001, 60_000, 600_000)))
    def clock(self, ms: int) -> None:
        self.turn(ms)

    @rule(identifier=st.sampled_from(PEOPLE))
    def retry_now(self, identifier: str) -> None:
        self.store.contacts.retry_now(self.store.key_of(identifier))

    @rule(identifier=st.sampled_from(PEOPLE))
    def discard(self, identifier: str) -> None:
        self.store.contacts.discard(self.store.key_of(identifier))

    @rule(is_paused=st.booleans())
    def pause_or_resume(self, is_paused: bool) -> None:
        if is_paused:
            self.store.upstream.pause("bob", "a migration")
        else:
            self.store.upstream.resume()

    @rule()
    def claim_twice(self) -> None:
        for identifier in self.accepted:
            key = self.key(identifier)
            token = token_hex(4)
            first = self.store.contacts.claim(key, token)
            if first is not None:
                assert self.store.contacts.claim(key, token_hex(4)) is None, "two leases on one contact (I3)"
                again = self.store.contacts.claim(key, token)
                assert again is not None
                assert again.lease_until == first.lease_until
                return

    @invariant()
    def keyspace_is_sound(self) -> None:
        assert_invariants(self.client)

    @invariant()
    def nobody_is_lost_or_doubled(self) -> None:
        """I1 and I5, as far as they apply before everything is drained."""
        for identifier in self.accepted:
            record = self.store.contacts.find(identifier)
            assert record is not None, f"{identifier} was accepted and is gone"
            assert self.livedesk.contacts.count(identifier) <= 1, f"{identifier} was created twice"
            if record.state is State.CREATED:
                assert self.livedesk.contacts.count(identifier) == 1, f"{identifier} is created here, not in LiveDesk"

    def teardown(self) -> None:
        """Drain: LiveDesk is well again, workers work, time goes by.

        Then everybody is there, once.
        """
        if not hasattr(self, "livedesk"):
            return
        self.livedesk.create_modes, self.livedesk.search_modes = [], []
        self.store.upstream.resume()
        for _ in range(40):
            self.store.queue.sweep()
            while message := self.client.rpop(keys.QUEUE):
                self.work(str(message).split()[0])
            self.turn(61_000)
        for identifier in self.accepted:
            record = self.store.contacts.find(identifier)
            assert record is not None
            assert not record.state.is_open, f"{identifier} is still {record.state}"
            if record.state is State.CREATED:
                assert self.livedesk.contacts.count(identifier) == 1
        assert_invariants(self.client)
        self.store.connections.release()


class RepairedContacts(Contacts):
    """Adds deletes in LiveDesk, and recreate, edit, mark_known and erase by a person."""

    @rule(identifier=st.sampled_from(PEOPLE))
    def mark_known(self, identifier: str) -> None:
        """Adopt the contact, which is in LiveDesk from then on at the latest."""
        key, record = self.key(identifier), self.store.contacts.find(identifier)
        answer = self.store.contacts.mark_known(key, "7", who="bob")
        if record is None:
            assert answer == "gone"
        elif record.state is State.CONFLICT:
            assert answer == "known"
            if not self.livedesk.contacts.count(identifier):
                self.livedesk.contacts.append(identifier)
        else:
            assert answer == {State.SENDING: "busy", State.CREATED: "created", State.DISCARDED: "discarded"}.get(
                record.state, "wrong_state"
            )

    @rule(identifier=st.sampled_from(PEOPLE))
    def erase(self, identifier: str) -> None:
        """Erase it here and in LiveDesk, once no request for it is on its way."""
        record = self.store.contacts.find(identifier)
        if record is not None and (record.unknown_since is not None or record.state is State.SENDING):
            return  # an answer that is unknown is forgotten with the record: then a create may follow another one
        erased = self.store.contacts.erase(self.key(identifier))
        if erased.result != "erased":
            assert erased.result == ("gone" if record is None else "busy")
            return
        assert self.store.contacts.find(identifier) is None
        assert record is not None
        assert erased.contact_id == (record.contact_id or "")
        assert not self.store.lists.search(identifier), "it is still found"
        self.accepted.discard(identifier)
        if identifier in self.livedesk.contacts:
            self.livedesk.contacts.remove(identifier)

    @rule(identifier=st.sampled_from(PEOPLE), is_missing=st.booleans())
    def recreate(self, identifier: str, is_missing: bool) -> None:
        """Somebody deleted it in LiveDesk, or a search only did not find it."""
        record = self.store.contacts.find(identifier)
        if record is None or record.state is not State.CREATED:
            return
        assert record.contact_id is not None
        if is_missing:
            self.livedesk.contacts.remove(identifier)
        assert self.store.contacts.recreate(self.key(identifier), record.contact_id, Contact(identifier, 1))

    @rule(identifier=st.sampled_from(PEOPLE), name=st.sampled_from(("A", "C")))
    def edit(self, identifier: str, name: str) -> None:
        record = self.store.contacts.find(identifier)
        if record is not None and record.contact is not None:
            self.store.contacts.edit(
                self.key(identifier), structs.replace(record.contact, name=name), who="bob", before=record.contact
            )


class ImpatientContacts(Contacts):
    """Adds a deliberate bug: a second create before the first one settles."""

    @initialize()
    def start(self) -> None:
        super().start()
        self.sync = replace(self.sync, settle_ms=0)


def test_any_order_of_events_keeps_the_promises(client: redis.Redis) -> None:
    Contacts.client = client
    run_state_machine_as_test(Contacts, settings=profile(max_examples=examples(60)))


def test_a_repair_in_any_order_of_events_keeps_them_too(client: redis.Redis) -> None:
    RepairedContacts.client = client
    run_state_machine_as_test(RepairedContacts, settings=profile(max_examples=examples(20)))


@pytest.mark.parametrize(("machine", "is_found"), [(Contacts, False), (ImpatientContacts, True)])
def test_a_deliberate_bug_is_found(machine: type[Contacts], is_found: bool, client: redis.Redis) -> None:
    """Its steps in order; the machine's own search finds them late, by luck."""
    machine.client = client
    events = machine()
    events.start()
    events.deliver("ada", "A")
    events.work_on_message(["comes_late"], [])
    events.clock(1_000)
    found = pytest.raises(AssertionError, match="while an earlier one was unanswered") if is_found else nullcontext()
    with found:
        events.stray_message("ada")
    events.keyspace_is_sound()


def profile(**options: Any) -> settings:
    return settings(
        stateful_step_count=40, deadline=None, database=None, suppress_health_check=list(HealthCheck), **options
    )
