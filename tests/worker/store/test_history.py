"""Every read of Redis: what it returns, and that it changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.rig.processes import free_port
from tests.world import make_store
from worker.errors import StoreUnavailable
from worker.model import Ack, Attempt, AttemptResult, Contact, Note, Origin, Outcome, Position, State, Unanswered
from worker.store.connection import connect
from worker.store.record import ContactRecord
from worker.store.store import Store

ADA = Contact("ada", 1, "Ada", "ada@example.com")


@pytest.fixture
def store(client: redis.Redis) -> Store:
    return make_store(client)


def attempt(store: Store, identifier: str, verdict: AttemptResult, duration_ms: int = 12) -> int:
    """One attempt at a contact; returns when it began."""
    claim = store.contacts.claim(store.key_of(identifier), "token")
    assert claim is not None
    store.contacts.finish(claim, verdict, Attempt(claim.now, duration_ms, verdict.status, verdict.cause))
    return claim.now


def test_an_empty_redis_knows_nobody(store: Store, client: redis.Redis) -> None:
    assert store.contacts.find("ada") is None
    assert set(store.contacts.counts().values()) == {0}
    assert store.queue.length() == 0
    assert store.queue.workers().seen == {}
    assert store.quarantine.page() == []
    assert store.secret_uses.read() == {}
    assert client.dbsize() == 0, "looking leaves no trace"


def test_somebody_else_is_not_found(store: Store) -> None:
    store.contacts.accept(ADA, Origin("signup"))
    for identifier in ("bob", "Ada", "ada ", "", "ada\n"):
        assert store.contacts.find(identifier) is None


def test_a_record_is_returned_as_it_is(store: Store) -> None:
    store.contacts.accept(ADA, Origin("signup"), (Note("name", "shortened"),))
    record = store.contacts.find("ada")
    assert record is not None
    assert record == ContactRecord(
        identifier="ada",
        state=State.PENDING,
        source="signup",
        received_at=record.received_at,
        attempts=[],
        attempts_made=0,
        notes=(Note("name", "shortened"),),
        id_spaces=("signup",),
        contact=ADA,
    )


def test_a_created_contact_is_closed_when_its_last_attempt_ended(store: Store) -> None:
    store.contacts.accept(ADA, Origin("signup"))
    began = attempt(
        store, "ada", AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED, status=200)
    )
    record = store.contacts.find("ada")
    assert record is not None
    assert (record.outcome, record.contact_id, record.contact) == (Outcome.CREATED, "7", None)
    assert (record.attempts, record.attempts_made) == ([Attempt(began, 12, 200)], 1)
    assert record.closed_at == began + 12


def test_attempts_of_workers_that_died_count_too(store: Store) -> None:
    store.contacts.accept(ADA, Origin("signup"))
    store.contacts.claim(store.key_of("ada"), "of a worker that dies")
    store.shift_ms += 45_000
    attempt(store, "ada", AttemptResult(state=State.RETRYING, cause="http_500", unanswered=Unanswered.NOW))
    record = store.contacts.find("ada")
    assert record is not None
    assert (len(record.attempts), record.attempts_made) == (1, 2)


def test_contacts_are_counted_by_state(store: Store) -> None:
    verdicts = {
        "b": AttemptResult(state=State.RETRYING, cause="x", delay_ms=1_000),
        "c": AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED),
        "d": AttemptResult(state=State.FAILED, cause="x"),
        "e": AttemptResult(state=State.FAILED, cause="x"),
    }
    for identifier in "abcde":
        store.contacts.accept(Contact(identifier, 1), Origin("signup"))
    for identifier, verdict in verdicts.items():
        attempt(store, identifier, verdict)
    expected = {State.PENDING: 1, State.RETRYING: 1, State.CREATED: 1, State.FAILED: 2}
    assert store.contacts.counts() == {state: expected.get(state, 0) for state in State}
    assert store.queue.length() == 5


def test_workers_are_listed_by_host_on_the_clock_of_redis(store: Store) -> None:
    store.shift_ms = -7_000
    store.queue.sweep("one")
    store.shift_ms = 0
    store.queue.sweep("other")
    workers = store.queue.workers()
    assert {name: round((workers.now - at) / 1000) for name, at in workers.seen.items()} == {"one": 7, "other": 0}


def test_a_server_that_hides_its_configuration_is_judged_by_the_rest(client: redis.Redis, redis_url: str) -> None:
    """Managed servers do; this one has no AOF problems, but a weak fsync policy."""
    client.acl_setuser("limited", enabled=True, passwords=["+limited"], keys=["*"], commands=["+@all", "-config"])
    limited = connect(redis_url.replace("//", "//limited:limited@"), timeout_s=1)
    try:
        health = Store(limited).overview.health()
        assert (health.problems, health.given) == ((), Ack.AOF)
        assert (
            "Redis does not reveal its settings (CONFIG GET is refused): it is assumed that a power failure loses the "
            "last second" in health.warnings
        )
    finally:
        limited.close()
        client.acl_deluser("limited")
    assert Store(client).overview.health().warnings


LOOKS: dict[str, Callable[[Store], Any]] = {
    "contact": lambda store: store.contacts.find("ada"),
    "counts": lambda store: store.contacts.counts(),
    "queue_length": lambda store: store.queue.length(),
    "workers": lambda store: store.queue.workers(),
    "contacts": lambda store: store.lists.in_state(State.FAILED, Position(), 10),
    "settled": lambda store: store.lists.settled(State.CREATED, Position(), 10),
    "is_still": lambda store: store.lists.is_still(State.CREATED, Position()),
    "progress": lambda store: store.findings.progress(),
    "account": lambda store: store.findings.account("name"),
    "is_waiting": lambda store: store.queue.is_waiting("message"),
    "now": lambda store: store.now(),
    "health": lambda store: store.overview.health(),
    "quarantine": lambda store: store.quarantine.page(),
    "quarantined": lambda store: store.quarantine.read("entry"),
    "secrets_used": lambda store: store.secret_uses.read(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_redis_that_is_away_is_unavailable(look: Callable[[Store], Any]) -> None:
    with pytest.raises(StoreUnavailable):
        look(Store(connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1)))
