"""Every look at Redis: what it tells, and that it changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.rig.processes import free_port
from worker.errors import StoreUnavailable
from worker.model import Ack, Attempt, AttemptResult, Contact, Note, Outcome, Position, State, Unanswered
from worker.process.envelope import Envelope
from worker.store import keys
from worker.store.connection import connect
from worker.store.contacts import Store
from worker.store.history import ContactRecord, History

ADA = Contact("ada", 1, "Ada", "ada@example.com")


@pytest.fixture
def store(client: redis.Redis) -> Store:
    return Store(client, Envelope("@key@ @id@"), lease_ms=45_000)


@pytest.fixture
def history(client: redis.Redis) -> History:
    return History(client)


def attempt(store: Store, identifier: str, verdict: AttemptResult, duration_ms: int = 12) -> int:
    """One attempt at a contact; returns when it began."""
    claim = store.claim(keys.contact_key(identifier, store.salt().encode()), "token")
    assert claim is not None
    store.finish(claim, verdict, Attempt(claim.now, duration_ms, verdict.status, verdict.cause))
    return claim.now


def test_an_empty_redis_knows_nobody(history: History, client: redis.Redis) -> None:
    assert history.contact("ada") is None
    assert set(history.counts().values()) == {0}
    assert history.queue_length() == 0
    assert history.workers().seen == {}
    assert history.quarantine() == []
    assert history.secrets_used() == {}
    assert client.dbsize() == 0, "looking leaves no trace"


def test_somebody_else_is_not_found(history: History, store: Store) -> None:
    store.accept(ADA, "signup")
    for identifier in ("bob", "Ada", "ada ", "", "ada\n"):
        assert history.contact(identifier) is None


def test_a_record_is_told_as_it_is(history: History, store: Store) -> None:
    store.accept(ADA, "signup", (Note("name", "shortened"),))
    record = history.contact("ada")
    assert record is not None
    assert record == ContactRecord(
        identifier="ada",
        state=State.PENDING,
        source="signup",
        received_at=record.received_at,
        attempts=[],
        attempts_made=0,
        notes=(Note("name", "shortened"),),
        contact=ADA,
    )


def test_a_created_contact_is_closed_when_its_last_attempt_ended(history: History, store: Store) -> None:
    store.accept(ADA, "signup")
    began = attempt(
        store, "ada", AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED, status=200)
    )
    record = history.contact("ada")
    assert record is not None
    assert (record.outcome, record.contact_id, record.contact) == (Outcome.CREATED, "7", None)
    assert (record.attempts, record.attempts_made) == ([Attempt(began, 12, 200)], 1)
    assert record.closed_at == began + 12


def test_attempts_of_workers_that_died_count_too(history: History, store: Store) -> None:
    store.accept(ADA, "signup")
    store.claim(keys.contact_key("ada", store.salt().encode()), "of a worker that dies")
    store.shift_ms += 45_000
    attempt(store, "ada", AttemptResult(state=State.RETRYING, cause="http_500", unanswered=Unanswered.NOW))
    record = history.contact("ada")
    assert record is not None
    assert (len(record.attempts), record.attempts_made) == (1, 2)


def test_contacts_are_counted_by_state(history: History, store: Store) -> None:
    verdicts = {
        "b": AttemptResult(state=State.RETRYING, cause="x", delay_ms=1_000),
        "c": AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED),
        "d": AttemptResult(state=State.FAILED, cause="x"),
        "e": AttemptResult(state=State.FAILED, cause="x"),
    }
    for identifier in "abcde":
        store.accept(Contact(identifier, 1), "signup")
    for identifier, verdict in verdicts.items():
        attempt(store, identifier, verdict)
    expected = {State.PENDING: 1, State.RETRYING: 1, State.CREATED: 1, State.FAILED: 2}
    assert history.counts() == {state: expected.get(state, 0) for state in State}
    assert history.queue_length() == 5


def test_workers_are_told_by_host_on_the_clock_of_redis(history: History, store: Store) -> None:
    store.shift_ms = -7_000
    store.sweep("one")
    store.shift_ms = 0
    store.sweep("other")
    workers = history.workers()
    assert {name: round((workers.now - at) / 1000) for name, at in workers.seen.items()} == {"one": 7, "other": 0}


def test_a_server_that_hides_its_configuration_is_judged_by_what_it_tells(client: redis.Redis, redis_url: str) -> None:
    """As managed ones do; this one has no AOF problems and an fsync policy that would earn a warning."""
    client.acl_setuser("limited", enabled=True, passwords=["+limited"], keys=["*"], commands=["+@all", "-config"])
    limited = connect(redis_url.replace("//", "//limited:limited@"), timeout_s=1)
    try:
        health = History(limited).health()
        assert (health.problems, health.given) == ((), Ack.AOF)
        assert (
            "Redis does not tell its settings: whether a power failure loses deliveries is not known" in health.warnings
        )
    finally:
        limited.close()
        client.acl_deluser("limited")
    assert History(client).health().warnings


LOOKS: dict[str, Callable[[History], Any]] = {
    "contact": lambda history: history.contact("ada"),
    "counts": lambda history: history.counts(),
    "queue_length": lambda history: history.queue_length(),
    "workers": lambda history: history.workers(),
    "contacts": lambda history: history.contacts(State.FAILED, Position(), 10),
    "created": lambda history: history.created(Position(), 10),
    "progress": lambda history: history.progress(),
    "account": lambda history: history.account("name"),
    "is_waiting": lambda history: history.is_waiting("message"),
    "now": lambda history: history.now(),
    "server": lambda history: history.server(),
    "health": lambda history: history.health(),
    "quarantine": lambda history: history.quarantine(),
    "quarantined": lambda history: history.quarantined("entry"),
    "secrets_used": lambda history: history.secrets_used(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_redis_that_is_away_is_unavailable(look: Callable[[History], Any]) -> None:
    with pytest.raises(StoreUnavailable):
        look(History(connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1)))
