"""Operations of every kind, with deliveries, attempts, people and undo in any order.

After each step the keyspace is sound. What nobody has touched since is, after an undo, exactly as it was.
"""

from dataclasses import replace
from secrets import token_hex
from typing import Any, ClassVar

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.examples import examples
from tests.invariants import assert_invariants
from tests.worker.store.office import CONFLICT, CREATED, FAILED, RETRYING, Office
from tests.world import DAY_MS, HOUR_MS
from worker.actions import BulkAction, Command, OperationState
from worker.model import AttemptResult, Contact, Outcome, Signal, State, Unanswered
from worker.store import keys
from worker.store.lists import Filter
from worker.store.operations import NotOpened

PEOPLE = ("ada", "bob", "cyd", "dan")
#: LiveDesk's contact that has a person's address; two have the same one.
OWNERS = {"ada": "11", "bob": "12", "cyd": "12", "dan": "14"}
DOWN = AttemptResult(
    state=State.RETRYING, cause="http_503", delay_ms=HOUR_MS, failures=1, repeats=1, signal=Signal.ERROR
)
RESULTS = {
    "conflict": CONFLICT,
    "failed": FAILED,
    "retrying": RETRYING,
    "down": DOWN,
    "lost": replace(DOWN, unanswered=Unanswered.NOW),
    "created": CREATED,
    "adopted": replace(CREATED, outcome=Outcome.ADOPTED),
    "known": replace(CREATED, outcome=Outcome.KNOWN),
}
person = st.sampled_from(PEOPLE)


class Operations(RuleBasedStateMachine):
    client: ClassVar[redis.Redis]

    @initialize()
    def start(self) -> None:
        self.client.flushall()
        self.office = Office(self.client)
        for name in PEOPLE:
            self.deliver(name, "Ada", name)
            self.attempt(name, "conflict")

    @rule(name=person, called=st.sampled_from(["Ada", "Grace"]), address=st.sampled_from([*PEOPLE, "office"]))
    def deliver(self, name: str, called: str, address: str) -> None:
        self.office.advance(1)
        self.office.accept(Contact(name, 1, called, f"{address}@example.com"))

    @rule(name=person, result=st.sampled_from(list(RESULTS)))
    def attempt(self, name: str, result: str) -> None:
        claim = self.office.store.contacts.claim(self.office.key(name), token_hex(8), sends=False)
        if claim is None:
            return
        ended = RESULTS[result]
        if ended.state is State.CONFLICT:
            ended = replace(ended, owner_id=OWNERS[name])
        if ended.state is State.CREATED:
            ended = replace(ended, contact_id=claim.owner_id or OWNERS[name])
        self.office.finish(claim, ended)

    @rule(name=person)
    def worker_dies(self, name: str) -> None:
        self.office.store.contacts.claim(self.office.key(name), token_hex(8), sends=False)

    @rule(name=person, act=st.sampled_from(["retry_now", "discard", "mark_known", "adopt", "erase", "recreate"]))
    def person_acts(self, name: str, act: str) -> None:
        contacts, key = self.office.store.contacts, self.office.key(name)
        owner = OWNERS[name]
        arguments: dict[str, tuple[Any, ...]] = {
            "mark_known": (owner,), "adopt": (owner,), "recreate": (owner, Contact(name, 1, "Ada")),
        }  # fmt: skip
        getattr(contacts, act)(key, *arguments.get(act, ()))

    @rule(
        action=st.sampled_from(list(BulkAction)),
        wanted=st.sampled_from([Filter(state=state) for state in State] + [Filter(cause="email_taken")]),
        canary=st.booleans(),
    )
    def open(self, action: BulkAction, wanted: Filter, canary: bool) -> None:
        try:
            self.office.open(wanted, action, canary=canary and action is not BulkAction.DISCARD)
        except NotOpened:
            return

    @rule(change=st.sampled_from(list(Command)), number=st.integers(0, 3))
    def change(self, change: Command, number: int) -> None:
        latest = self.office.operations.latest()
        if number < len(latest):
            self.office.operations.command(latest[number].id, change)

    @rule()
    def step(self) -> None:
        self.office.operations.step()

    @rule(action=st.sampled_from(list(BulkAction)))
    def undo_at_once(self, action: BulkAction) -> None:
        """What an operation has changed, and nobody else, is as it was before."""
        if any(other.state.is_active for other in self.office.operations.latest()):
            return
        before = self.records()
        operation_id = self.office.open(Filter(state=State.CONFLICT), action)
        self.office.run()
        moved = self.office.read(operation_id).moved
        operation = self.office.undo(operation_id)
        assert (operation.state, operation.restored) == (OperationState.UNDONE, moved)
        assert self.records() == before

    @rule(ms=st.sampled_from([1, 46_000, HOUR_MS + 1, DAY_MS]))
    def clock(self, ms: int) -> None:
        self.office.advance(ms)

    @rule()
    def forget(self) -> None:
        self.office.store.contacts.forget(DAY_MS)

    def records(self) -> dict[str, dict[str, str]]:
        return {name: self.office.record_of(self.office.key(name)) for name in PEOPLE}

    @invariant()
    def keyspace_is_sound(self) -> None:
        self.client.delete(keys.QUEUE)
        assert_invariants(self.client)

    @invariant()
    def every_contact_of_an_operation_is_counted_once(self) -> None:
        for operation in self.office.operations.latest():
            if operation.action is not BulkAction.DISCARD:
                assert operation.reported <= operation.moved, operation

    @invariant()
    def a_decision_names_whom_to_adopt(self) -> None:
        for fields in self.records().values():
            if fields.get("resolution") == "adopt":
                assert fields.get("owner_id") in OWNERS.values()

    def teardown(self) -> None:
        self.office.store.connections.release()


def test_any_order_of_operations_keeps_the_keyspace_sound(client: redis.Redis) -> None:
    Operations.client = client
    options: Any = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    run_state_machine_as_test(
        Operations, settings=settings(max_examples=examples(25), stateful_step_count=30, **options)
    )
