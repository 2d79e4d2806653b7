"""Every change to Redis, on a real server: what each script does and leaves."""

import re
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.invariants import assert_invariants
from tests.rig.processes import free_port
from tests.rig.valkey import Valkey
from tests.world import World, make_store
from worker.errors import StoreError, StoreFull, StoreUnavailable
from worker.model import (
    Accepted,
    Account,
    Attempt,
    AttemptResult,
    Claim,
    Contact,
    Note,
    OnChange,
    Origin,
    Outcome,
    Quarantined,
    State,
    Status,
    Unanswered,
)
from worker.store import connection, keys
from worker.store.connection import IDLE_S, connect
from worker.store.contacts import ATTEMPTS_KEPT, CAUSE_FRESH_MS, Erased, Finished
from worker.store.database import MAX_REMOVED
from worker.store.quarantine import KEPT_MS
from worker.store.queue import GRACE_MS, MAX_SWEPT, NEW_BOUND, QUEUE_BOUNDS, WORKER_KEPT_MS, Envelope, Swept
from worker.store.store import Store

LEASE_MS, DAY_MS = 45_000, 86_400_000
ADA = Contact("ada", 1, "Ada Lovelace", "ada@example.com", "+4915112345678", "https://example.com/ada.png")
NEWER = Contact("ada", 1, "Ada King", "ada@example.com", "+4915112345678", "https://example.com/ada.png")
NOTE = Note("name", "shortened")

CREATED = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED, status=200)
RETRYING = AttemptResult(state=State.RETRYING, cause="http_500", delay_ms=5_000, failures=1, repeats=1, spent_ms=5_000)
FAILED = AttemptResult(state=State.FAILED, cause="name_refused", failures=2, repeats=2, spent_ms=9)
CONFLICT = AttemptResult(state=State.CONFLICT, cause="email_taken", owner_id="9", failures=2, repeats=2, spent_ms=9)
DISCARDED = AttemptResult(state=State.DISCARDED)
CLOSED = (CREATED, FAILED, CONFLICT, DISCARDED)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A server that this module may do anything to."""
    config = {"appendonly": "no", "appendfsync": "no"}
    with Valkey(tmp_path_factory.mktemp("own"), port=free_port(), config=config) as server:
        yield server


@pytest.fixture
def own(own_server: Valkey) -> Iterator[World]:
    client = connect(own_server.url, timeout_s=5)
    client.flushall()
    world = World(client)
    yield world
    client.config_set("maxmemory", "0")
    assert_invariants(client)
    client.close()


# accept


def test_a_new_contact_is_pending_and_on_its_way(world: World) -> None:
    before = world.now()
    assert world.accept(ADA, NOTE) == Accepted(Status.ACCEPTED, State.PENDING, None)
    record = world.record()
    assert (record.state, record.source, record.contact, record.notes) == (State.PENDING, "signup", ADA, (NOTE,))
    assert (record.attempts, record.attempts_made) == ([], 0)
    assert before <= record.received_at <= world.now()
    assert world.queue() == [world.key()]
    assert world.due() == record.received_at + GRACE_MS, "left alone while its message is on its way"


@pytest.mark.parametrize("verdict", [None, RETRYING, *CLOSED], ids=lambda verdict: verdict and verdict.state)
def test_the_same_data_again_change_nothing_in_any_state(verdict: AttemptResult | None, world: World) -> None:
    world.accept()
    if verdict is not None:
        world.finish(world.claim(), verdict)
    before = world.snapshot()
    state = verdict.state if verdict else State.PENDING
    contact_id = "7" if state is State.CREATED else None
    assert world.accept() == Accepted(Status.DUPLICATE, state, contact_id)
    assert world.snapshot() == before


def test_another_source_with_the_same_data_changes_nothing(world: World) -> None:
    world.accept()
    assert world.store.contacts.accept(ADA, Origin("shop")).status is Status.DUPLICATE
    assert world.record().source == "signup"


def test_newer_data_of_an_open_contact_take_the_place_of_the_older(world: World) -> None:
    world.accept(ADA, NOTE)
    before = world.due()
    assert world.store.contacts.accept(NEWER, Origin("shop")) == Accepted(Status.ACCEPTED, State.PENDING, None)
    record = world.record()
    assert (record.contact, record.source, record.notes) == (NEWER, "shop", ())
    assert world.queue() == [world.key()], "one message is enough"
    assert world.due() == before


def test_newer_data_do_not_hasten_a_retry(world: World) -> None:
    world.bring(ADA, RETRYING)
    due = world.due()
    assert world.accept(NEWER) == Accepted(Status.ACCEPTED, State.RETRYING, None)
    assert (world.record().contact, world.due(), world.queue()) == (NEWER, due, [])


def test_newer_data_of_a_created_contact_is_reported_but_livedesk_keeps_its_own(world: World) -> None:
    world.bring(ADA, CREATED)
    assert world.accept(NEWER, on_change=OnChange.NOTE) == Accepted(Status.DUPLICATE, State.CREATED, "7")
    record = world.record()
    assert (record.state, record.newer_fields, record.contact) == (State.CREATED, ("name",), None)
    assert record.newer_at is not None
    assert world.queue() == []


def test_the_time_of_newer_data_is_that_of_their_first_delivery(world: World) -> None:
    world.bring(ADA, CREATED)
    world.accept(NEWER, on_change=OnChange.NOTE)
    first = world.record().newer_at
    world.advance(1_000)
    world.accept(NEWER, on_change=OnChange.NOTE)
    assert world.record().newer_at == first


def test_the_data_that_livedesk_has_are_no_newer_ones(world: World) -> None:
    world.bring(ADA, CREATED)
    world.accept(NEWER, on_change=OnChange.NOTE)
    world.accept(ADA, on_change=OnChange.NOTE)
    assert (world.record().newer_fields, world.record().newer_at) == ((), None)


def test_data_that_arrives_during_an_attempt_is_reported_as_newer(world: World) -> None:
    world.accept()
    claim = world.claim()
    assert world.accept(NEWER, on_change=OnChange.NOTE) == Accepted(Status.ACCEPTED, State.SENDING, None)
    world.finish(claim)
    record = world.record()
    assert (record.state, record.newer_fields) == (State.CREATED, ("name",))
    assert world.accept(ADA, on_change=OnChange.NOTE).status is Status.DUPLICATE
    assert world.record().newer_fields == ()


@pytest.mark.parametrize("verdict", [FAILED, CONFLICT], ids=lambda verdict: verdict.state)
def test_data_that_came_while_the_older_were_refused_get_a_try_of_their_own(
    verdict: AttemptResult, world: World
) -> None:
    world.accept()
    claim = world.claim()
    world.accept(NEWER, NOTE)
    world.finish(claim, verdict)
    record = world.record()
    assert (record.state, record.contact, record.notes) == (State.RETRYING, NEWER, (NOTE,))
    assert world.claim().contact == NEWER, "at once"


@pytest.mark.parametrize("verdict", [FAILED, CONFLICT], ids=lambda verdict: verdict.state)
def test_newer_data_of_a_contact_that_was_given_up_are_a_fresh_try(verdict: AttemptResult, world: World) -> None:
    world.accept()
    world.finish(world.claim(), RETRYING)
    world.advance(5_000)
    world.finish(world.claim(), verdict)
    world.client.delete(keys.QUEUE)
    assert world.accept(NEWER) == Accepted(Status.ACCEPTED, State.PENDING, None)
    record = world.record()
    assert (record.contact, record.cause, record.owner_id, record.closed_at) == (NEWER, None, None, None)
    assert world.queue() == [world.key()]
    claim = world.claim()
    assert (claim.failures, claim.repeats, claim.spent_ms, claim.crashes) == (0, 0, 0, 0)


def test_a_fresh_try_does_not_forget_that_an_answer_is_unknown(world: World) -> None:
    world.accept()
    claim = world.claim()
    world.finish(claim, AttemptResult(state=State.FAILED, cause="x", unanswered=Unanswered.NOW))
    world.accept(NEWER)
    assert world.claim().unknown_since is not None


def test_what_a_person_discarded_stays_so_whatever_comes(world: World) -> None:
    world.bring(ADA, DISCARDED)
    before = world.snapshot()
    assert world.accept(NEWER) == Accepted(Status.DUPLICATE, State.DISCARDED, None)
    assert world.snapshot() == before


def test_no_message_is_pushed_beyond_the_bound_of_the_queue(world: World) -> None:
    world.client.rpush(keys.QUEUE, *["another"] * NEW_BOUND)
    world.accept()
    assert world.client.llen(keys.QUEUE) == NEW_BOUND
    due = world.due()
    assert due is not None
    assert due <= world.now(), "it is for the next sweep"


def test_key_names_tell_nothing_about_a_person(world: World) -> None:
    world.accept(Contact("ada@example.com", 1))
    assert not [name for name in world.snapshot() if "ada" in name]


# The salt


def test_every_process_uses_the_same_salt(world: World) -> None:
    world.accept()
    other = make_store(world.client)
    assert other.contacts.accept(ADA, Origin("signup")).status is Status.DUPLICATE


def test_a_redis_that_was_emptied_is_begun_anew(world: World) -> None:
    world.accept()
    old_key = world.key()
    world.client.flushall()
    assert world.accept() == Accepted(Status.ACCEPTED, State.PENDING, None)
    assert world.key() != old_key
    assert world.record().contact == ADA


def test_a_salt_that_keeps_changing_is_an_error_and_nothing_is_written(world: World) -> None:
    class Stale(Store):
        def salt(self) -> bytes:
            return b"of yesterday"

    world.accept()
    before = world.snapshot()
    with pytest.raises(StoreError, match="salt"):
        Stale(world.client, Envelope(""), lease_ms=0).contacts.accept(NEWER, Origin("signup"))
    assert world.snapshot() == before


# claim and renew


def test_a_claim_knows_all_that_an_attempt_needs(world: World) -> None:
    world.accept(ADA, NOTE)
    first = world.claim()
    assert (first.contact, first.notes, first.lease_until) == (ADA, (NOTE,), first.now + LEASE_MS)
    assert (first.unknown_since, first.late_id, first.cause) == (None, None, None)
    world.finish(
        first,
        AttemptResult(
            state=State.RETRYING, cause="http_500", failures=3, repeats=2, spent_ms=9, unanswered=Unanswered.NOW
        ),
    )
    second = world.claim()
    assert (second.cause, second.failures, second.repeats, second.spent_ms) == ("http_500", 3, 2, 9)
    assert second.unknown_since is not None


def test_a_claim_may_be_repeated_by_its_owner(world: World) -> None:
    world.accept()
    first = world.store.contacts.claim(world.key(), "mine")
    before = world.snapshot()
    world.advance(1_000)
    again = world.store.contacts.claim(world.key(), "mine")
    assert first is not None
    assert again is not None
    assert again.lease_until == first.lease_until
    assert world.snapshot() == before


def test_a_lease_belongs_to_one(world: World) -> None:
    world.accept()
    world.claim()
    before = world.snapshot()
    world.advance(LEASE_MS - 1_000)
    assert world.store.contacts.claim(world.key(), "another") is None
    assert world.snapshot() == before


def test_a_lease_that_ran_out_is_taken_over_with_the_answer_unknown(world: World) -> None:
    world.accept()
    first = world.claim()
    world.advance(LEASE_MS + 1_000)
    second = world.claim()
    assert (second.unknown_since, second.crashes) == (first.lease_until, 1)
    assert world.record().attempts_made == 2


def test_of_many_who_claim_at_once_one_gets_it(world: World, redis_url: str) -> None:
    world.accept()
    key, got = world.key(), []

    def claim(token: str) -> None:
        client = connect(redis_url, timeout_s=5)
        got.append(make_store(client).contacts.claim(key, token))
        client.close()

    in_threads(claim, [f"worker-{number}" for number in range(8)])
    assert len([claim for claim in got if claim]) == 1


def test_a_retry_cannot_be_claimed_before_its_time(world: World) -> None:
    world.bring(ADA, RETRYING)
    assert world.store.contacts.claim(world.key(), "early") is None
    world.advance(5_000)
    assert world.claim().cause == "http_500"


@pytest.mark.parametrize("verdict", CLOSED, ids=lambda verdict: verdict.state)
def test_what_is_closed_cannot_be_claimed(verdict: AttemptResult, world: World) -> None:
    world.bring(ADA, verdict)
    assert world.store.contacts.claim(world.key(), "token") is None


def test_what_is_not_there_cannot_be_claimed_and_leaves_no_trace(world: World) -> None:
    world.accept()
    before = world.snapshot()
    assert world.store.contacts.claim(world.key("bob"), "token") is None
    assert world.snapshot() == before


def test_a_lease_is_lengthened_from_now(world: World) -> None:
    world.accept()
    claim = world.claim()
    world.advance(LEASE_MS - 1_000)
    assert world.store.contacts.renew(claim)
    world.advance(LEASE_MS - 1_000)
    assert world.store.contacts.claim(world.key(), "another") is None
    assert int(world.fields()["lease_until"]) > claim.lease_until
    assert world.due() == keys.LANE + int(world.fields()["lease_until"])


def test_a_lease_that_is_lost_cannot_be_renewed(world: World) -> None:
    world.accept()
    claim = world.claim()
    world.advance(LEASE_MS)
    before = world.snapshot()
    assert not world.store.contacts.renew(claim), "it ran out"
    assert world.snapshot() == before
    other = world.claim()
    assert not world.store.contacts.renew(claim), "somebody else has it"
    world.finish(other)
    assert not world.store.contacts.renew(other), "it is finished"


# finish


def test_a_created_contact_keeps_what_idempotency_needs_and_no_personal_data(world: World) -> None:
    world.accept(ADA, NOTE)
    world.finish(world.claim())
    fields = world.fields()
    assert set(fields) == {"identifier", "source", "state", "fingerprint", "received_at", "attempts", "contact_id"}
    told = " ".join(fields.values())
    for value in (ADA.name, ADA.email, ADA.phone_number, ADA.avatar_url):
        assert value is not None
        assert value not in told
    assert world.due() is None
    assert world.client.object("encoding", keys.contact(world.key())) == "listpack", "Redis's compact form"


def test_a_created_contact_reports_what_was_unusual(world: World) -> None:
    world.accept()
    world.finish(world.claim(), RETRYING)
    world.advance(5_000)
    adopted = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.ADOPTED, notes=(NOTE,), status=200)
    claim = world.claim()
    world.finish(claim, adopted)
    record = world.record()
    assert (record.outcome, record.notes, record.attempts_made) == (Outcome.ADOPTED, (NOTE,), 2)
    assert record.closed_at == claim.now + 12
    assert (record.cause, record.next_attempt_at) == (None, None)


def test_a_failed_attempt_sets_the_time_of_the_next(world: World) -> None:
    world.accept()
    world.finish(world.claim(), RETRYING)
    record = world.record()
    assert (record.state, record.cause) == (State.RETRYING, "http_500")
    assert record.next_attempt_at is not None
    assert 4_000 < record.next_attempt_at - world.now() <= 5_000
    assert world.due() == keys.LANE + record.next_attempt_at


@pytest.mark.parametrize("verdict", [FAILED, CONFLICT], ids=lambda verdict: verdict.state)
def test_a_contact_that_is_given_up_keeps_its_data_and_says_why(verdict: AttemptResult, world: World) -> None:
    world.bring(ADA, verdict)
    record = world.record()
    assert (record.state, record.cause, record.owner_id) == (verdict.state, verdict.cause, verdict.owner_id)
    assert record.contact == ADA
    assert record.closed_at is not None
    assert world.due() is None


@pytest.mark.parametrize("verdict", [FAILED, CREATED], ids=lambda verdict: verdict.state)
def test_a_verdict_counts_once(verdict: AttemptResult, world: World) -> None:
    world.accept()
    claim = world.claim()
    assert world.finish(claim, verdict).written
    before = world.snapshot()
    assert not world.finish(claim, CREATED).written
    if verdict is FAILED:
        before[keys.contact(world.key())]["late_id"] = "7"
    assert world.snapshot() == before


@pytest.mark.parametrize("verdict", [RETRYING, FAILED, CONFLICT], ids=lambda verdict: verdict.state)
def test_who_lost_the_lease_changes_nothing(verdict: AttemptResult, world: World) -> None:
    world.accept()
    late = world.claim()
    world.advance(LEASE_MS)
    world.claim()
    before = world.snapshot()
    assert world.finish(late, verdict) == Finished(written=False)
    assert world.snapshot() == before


def test_what_a_late_success_learned_is_kept_beside_the_record(world: World) -> None:
    world.accept()
    late = world.claim()
    world.advance(LEASE_MS)
    world.claim()
    before = world.snapshot()
    assert not world.finish(late, CREATED).written
    before[keys.contact(world.key())]["late_id"] = "7"
    assert world.snapshot() == before
    world.advance(LEASE_MS)
    assert world.claim().late_id == "7"


def test_a_late_success_of_a_contact_that_is_gone_leaves_no_trace(world: World) -> None:
    world.accept()
    claim = world.claim()
    world.client.flushall()
    world.finish(claim)
    assert world.snapshot() == {}


def test_of_many_attempts_the_first_and_the_latest_are_kept(world: World) -> None:
    world.accept()
    for number in range(ATTEMPTS_KEPT + 10):
        claim = world.claim()
        again = AttemptResult(state=State.RETRYING, cause="http_500")
        world.store.contacts.finish(claim, again, Attempt(number, 1, 500, "http_500", "it says why"))
    record = world.record()
    assert [attempt.at for attempt in record.attempts] == [0, *range(10, ATTEMPTS_KEPT + 10)]
    assert record.attempts_made == ATTEMPTS_KEPT + 10


@pytest.mark.parametrize(
    ("before", "after", "is_known"),
    [
        (Unanswered.NOW, Unanswered.KEEP, False),
        (Unanswered.NOW, Unanswered.CLEAR, True),
        (Unanswered.KEEP, Unanswered.KEEP, True),
        (Unanswered.KEEP, Unanswered.NOW, False),
    ],
)
def test_what_is_unknown_stays_so_until_it_is_settled(
    before: Unanswered, after: Unanswered, is_known: bool, world: World
) -> None:
    world.accept()
    for unanswered in (before, after):
        world.finish(world.claim(), AttemptResult(state=State.RETRYING, cause="x", unanswered=unanswered))
    assert (world.claim().unknown_since is None) is is_known


def test_unknown_counts_from_the_end_of_the_attempt(world: World) -> None:
    world.accept()
    claim = world.claim()
    world.advance(30_000)
    world.finish(claim, AttemptResult(state=State.RETRYING, cause="x", unanswered=Unanswered.NOW))
    unknown_since = world.claim().unknown_since
    assert unknown_since is not None
    assert 30_000 <= unknown_since - claim.now < 35_000


def test_a_cause_that_nobody_saw_for_a_day_is_new_again(world: World) -> None:
    turns = (("a", 0, True), ("b", CAUSE_FRESH_MS - 5_000, False), ("c", CAUSE_FRESH_MS + 1, True))
    for identifier, turn, is_new in turns:
        world.advance(turn)
        world.accept(Contact(identifier, 1))
        assert world.finish(world.claim(identifier), RETRYING).new_cause is is_new


# retry_now


def test_a_pending_contact_that_is_retried_stays_pending_and_is_due_before_others(world: World) -> None:
    world.accept()
    assert world.store.contacts.retry_now(world.store.key_of("ada")) == "pending"
    due = world.due()
    assert due is not None
    assert due <= keys.LANES["operator"] * keys.LANE + world.now()


@pytest.mark.parametrize("verdict", [RETRYING, FAILED, CONFLICT, DISCARDED], ids=lambda verdict: verdict.state)
def test_retry_now_gives_a_fresh_budget_at_once(verdict: AttemptResult, world: World) -> None:
    world.bring(ADA, verdict)
    assert world.store.contacts.retry_now(world.store.key_of("ada")) == "retrying"
    record = world.record()
    assert (record.state, record.closed_at, record.owner_id) == (State.RETRYING, None, None)
    assert world.store.queue.sweep().handed == 1
    claim = world.claim()
    assert (claim.failures, claim.repeats, claim.spent_ms, claim.crashes) == (0, 0, 0, 0)


def test_retry_now_does_not_forget_that_an_answer_is_unknown(world: World) -> None:
    world.bring(ADA, AttemptResult(state=State.FAILED, cause="x", unanswered=Unanswered.NOW))
    world.store.contacts.retry_now(world.store.key_of("ada"))
    assert world.claim().unknown_since is not None


def test_retry_now_leaves_a_running_attempt_alone(world: World) -> None:
    world.accept()
    world.claim()
    before = world.snapshot()
    assert world.store.contacts.retry_now(world.store.key_of("ada")) == "busy"
    assert world.snapshot() == before


def test_retry_now_leaves_a_created_contact_alone(world: World) -> None:
    world.bring(ADA, CREATED)
    before = world.snapshot()
    assert world.store.contacts.retry_now(world.store.key_of("ada")) == "created"
    assert world.snapshot() == before


def test_retry_now_reports_a_missing_contact(world: World) -> None:
    assert world.store.contacts.retry_now(world.store.key_of("ada")) == "gone"


# edit


@pytest.mark.parametrize("verdict", [FAILED, CONFLICT, RETRYING])
def test_edit_brings_other_data_and_a_fresh_budget_at_once(verdict: AttemptResult, world: World) -> None:
    world.bring(ADA, verdict)
    assert world.store.contacts.edit(world.store.key_of("ada"), NEWER, (NOTE,), who="bob", before=ADA) == "retrying"
    assert world.store.queue.sweep().handed == 1
    claim = world.claim()
    assert (claim.contact, claim.notes, claim.trigger) == (NEWER, (NOTE,), "bob")
    assert (claim.failures, claim.repeats, claim.spent_ms, claim.crashes) == (0, 0, 0, 0)


def test_edit_of_a_new_contact_leaves_it_pending(world: World) -> None:
    world.accept()
    assert world.store.contacts.edit(world.store.key_of("ada"), NEWER, who="bob", before=ADA) == "pending"
    assert world.claim().contact == NEWER


def test_edit_may_run_twice(world: World) -> None:
    """Its answer may get lost, and the person does it again."""
    world.bring(ADA, FAILED)
    assert [world.store.contacts.edit(world.store.key_of("ada"), NEWER, who="bob", before=ADA) for _ in range(2)] == [
        "retrying"
    ] * 2
    assert world.claim().contact == NEWER


def test_edit_does_not_forget_that_an_answer_is_unknown(world: World) -> None:
    world.bring(ADA, AttemptResult(state=State.FAILED, cause="x", unanswered=Unanswered.NOW))
    world.store.contacts.edit(world.store.key_of("ada"), NEWER, who="bob", before=ADA)
    assert world.claim().unknown_since is not None


@pytest.mark.parametrize(("verdict", "says"), [(None, "busy"), (CREATED, "created")])
def test_edit_leaves_alone_what_is_under_way_or_done(verdict: AttemptResult | None, says: str, world: World) -> None:
    world.accept()
    world.claim() if verdict is None else world.bring(ADA, verdict)
    before = world.snapshot()
    assert world.store.contacts.edit(world.store.key_of("ada"), NEWER, who="bob", before=ADA) == says
    assert world.snapshot() == before


def test_edit_does_not_overwrite_what_came_meanwhile(world: World) -> None:
    world.bring(ADA, FAILED)
    world.accept(NEWER)
    before = world.snapshot()
    assert (
        world.store.contacts.edit(world.store.key_of("ada"), ADA.without("email"), who="bob", before=ADA) == "changed"
    )
    assert world.snapshot() == before


def test_edit_reports_a_missing_contact(world: World) -> None:
    assert world.store.contacts.edit(world.store.key_of("ada"), NEWER) == "gone"


# sweep


def backlog(world: World, *identifiers: str) -> None:
    """New contacts whose messages got lost, oldest first, due now."""
    for identifier in identifiers:
        world.accept(Contact(identifier, 1))
        world.advance(10)
    world.client.delete(keys.QUEUE)
    world.advance(GRACE_MS)


def test_what_is_due_is_handed_over_once_until_its_message_counts_as_lost(world: World) -> None:
    backlog(world, "ada")
    assert world.store.queue.sweep() == Swept(handed=1, waiting=0)
    assert world.store.queue.sweep() == Swept(handed=0, waiting=1)
    assert world.queue() == [world.key()]
    world.client.delete(keys.QUEUE)
    world.advance(GRACE_MS - 1_000)
    assert world.store.queue.sweep() == Swept(handed=0, waiting=0)
    world.advance(1_000)
    assert world.store.queue.sweep() == Swept(handed=1, waiting=0)


@pytest.mark.parametrize("verdict", CLOSED, ids=lambda verdict: verdict.state)
def test_what_is_closed_is_never_handed_over(verdict: AttemptResult, world: World) -> None:
    world.bring(ADA, verdict)
    world.advance(DAY_MS)
    assert world.store.queue.sweep().handed == 0


def test_a_lease_that_ran_out_is_handed_over(world: World) -> None:
    world.accept()
    world.claim()
    world.client.delete(keys.QUEUE)
    world.advance(LEASE_MS - 1_000)
    assert world.store.queue.sweep().handed == 0
    world.advance(1_000)
    assert world.store.queue.sweep().handed == 1


def test_new_contacts_go_before_retries_and_older_before_younger(world: World) -> None:
    world.bring(Contact("old retry", 1), RETRYING)
    world.advance(1_000)
    world.bring(Contact("young retry", 1), RETRYING)
    backlog(world, "old", "young")
    world.store.queue.sweep()
    assert world.queue() == [world.key(identifier) for identifier in ("old", "young", "old retry", "young retry")]


@pytest.mark.parametrize(
    ("waiting", "handed"),
    [
        (0, 4),
        (QUEUE_BOUNDS[2] - 3, 3),
        (QUEUE_BOUNDS[2] - 2, 2),
        (QUEUE_BOUNDS[2], 2),
        (QUEUE_BOUNDS[1] - 1, 1),
        (QUEUE_BOUNDS[1], 0),
    ],
)
def test_retries_never_fill_the_room_of_new_contacts(waiting: int, handed: int, world: World) -> None:
    for identifier in ("retry 1", "retry 2"):
        world.bring(Contact(identifier, 1), RETRYING)
        world.advance(10)
    backlog(world, "new 1", "new 2")
    if waiting:
        world.client.rpush(keys.QUEUE, *["another"] * waiting)
    swept = world.store.queue.sweep()
    assert (swept.handed, swept.waiting, swept.more) == (handed, waiting, handed < 4)
    added = world.queue()[waiting:]
    assert added == [world.key(identifier) for identifier in ("new 1", "new 2", "retry 1", "retry 2")[:handed]]


def test_each_message_has_an_id_of_its_own_and_nothing_else_of_it_is_touched(world: World) -> None:
    world.store.queue._envelope = Envelope(
        '{"origin": "gen7@host", "to": "@nobody@", "key": "@key@", "id": "@id@", "tag": "@id@"}'
    )
    backlog(world, "ada", "bob")
    world.store.queue.sweep()
    messages: Any = world.client.lrange(keys.QUEUE, 0, -1)
    ids = {message.split('"')[-6] for message in messages}
    assert len(ids) == 2
    for message, identifier in zip(reversed(messages), ("ada", "bob"), strict=True):
        assert message.startswith(f'{{"origin": "gen7@host", "to": "@nobody@", "key": "{world.key(identifier)}"')
        assert message.count(message.split('"')[-6]) == 2


def test_a_large_backlog_is_handed_over_in_bounded_steps_that_hold_redis_for_a_moment_only(world: World) -> None:
    for number in range(MAX_SWEPT + 100):
        world.accept(Contact(f"contact-{number}", 1))
    took: list[float] = []
    for _ in range(5):
        world.client.delete(keys.QUEUE)
        world.advance(GRACE_MS)
        began = time.perf_counter()
        assert world.store.queue.sweep().handed == MAX_SWEPT
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05, "the aim is 10 ms; this machine may be busy"


def test_sweeps_at_the_same_time_hand_each_contact_over_once(world: World, redis_url: str) -> None:
    backlog(world, *(f"contact-{number}" for number in range(300)))
    handed: list[int] = []

    def sweep(_: str) -> None:
        client = connect(redis_url, timeout_s=5)
        store = make_store(client)
        store.shift_ms = world.store.shift_ms
        handed.extend(store.queue.sweep().handed for _ in range(3))
        client.close()

    in_threads(sweep, [""] * 6)
    assert sum(handed) == 300
    assert set(Counter(world.queue()).values()) == {1}
    assert len(world.queue()) == 300


def in_threads(do: Callable[[str], None], arguments: list[str]) -> None:
    """All at once, as far as can be."""
    gate = threading.Barrier(len(arguments))

    def run(argument: str) -> None:
        gate.wait()
        do(argument)

    threads = [threading.Thread(target=run, args=(argument,)) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# forget and beat


def test_created_contacts_are_forgotten_when_their_time_is_over(world: World) -> None:
    world.bring(ADA, CREATED)
    world.advance(DAY_MS - 1_000)
    assert world.store.contacts.forget(DAY_MS) == 0
    world.advance(1_000)
    assert world.store.contacts.forget(DAY_MS) == 1
    assert Store(world.client).contacts.find("ada") is None
    assert world.accept() == Accepted(Status.ACCEPTED, State.PENDING, None)


@pytest.mark.parametrize("verdict", [RETRYING, FAILED, CONFLICT, DISCARDED], ids=lambda verdict: verdict.state)
def test_nothing_else_is_forgotten(verdict: AttemptResult, world: World) -> None:
    world.bring(ADA, verdict)
    world.advance(DAY_MS)
    before = world.snapshot()
    assert world.store.contacts.forget(0) == 0
    assert world.snapshot() == before


def test_a_contact_is_looked_at_again_at_the_moment_when_it_is_forgotten(world: World) -> None:
    """Another process may forget and recreate it after the search for old ones."""
    world.bring(ADA, CREATED)
    world.bring(Contact("bob", 1), FAILED)
    before = world.snapshot()
    assert [
        world.store.run(
            "forget", key=world.key(name), state="created", keep_ms=DAY_MS, contact_id="7", contact_finder=""
        )
        for name in ("ada", "bob", "cyd")
    ] == [0, 0, 0]
    assert world.snapshot() == before


def test_an_entry_without_a_record_is_forgotten_too(world: World) -> None:
    """A Redis that evicts records leaves such entries, and they are the first to expire."""
    key = world.bring(ADA, CREATED)
    world.client.delete(keys.contact(key))
    for name in world.client.scan_iter(keys.finders("*")):
        world.client.delete(name)
    world.advance(1)
    assert world.store.contacts.forget(0) == 1
    assert world.counts() == {}


def test_finders_of_earlier_versions_are_removed_too(world: World) -> None:
    """They had a space between them."""
    key = world.bring(ADA)
    stored = str(world.client.hget(keys.contact(key), "finders"))
    email, phone = re.findall(r"[0-9]+:.{8}", stored)
    world.client.hset(keys.contact(key), "finders", f"{email} {phone}")
    assert world.store.contacts.erase(key).result == "erased"
    assert list(world.client.scan_iter(keys.finders("*"))) == []


def test_forgetting_goes_in_bounded_steps(world: World) -> None:
    for number in range(MAX_REMOVED + 1):
        world.bring(Contact(f"contact-{number}", 1), CREATED)
    world.advance(1)
    assert [world.store.contacts.forget(0) for _ in range(3)] == [MAX_REMOVED, 1, 0]


def test_hosts_are_remembered_for_a_day(world: World) -> None:
    world.store.queue.sweep("gone")
    world.advance(WORKER_KEPT_MS - 1_000)
    world.store.queue.sweep("here")
    assert set(Store(world.client).queue.workers().seen) == {"gone", "here"}
    world.advance(2_000)
    world.store.queue.sweep("here")
    assert set(Store(world.client).queue.workers().seen) == {"here"}


# The quarantine

HELD = Quarantined(
    source="shop", payload='{"name": "Ada"}', problems={"identifier": "is missing"}, headers={"X-Topic": "a"}
)


def test_what_is_quarantined_is_kept_as_it_is(world: World) -> None:
    before = world.now()
    world.store.quarantine.add(HELD)
    (held,) = Store(world.client).quarantine.page()
    assert replace(held, entry="", since=0) == HELD
    assert before <= held.since <= world.now()
    assert Store(world.client).quarantine.read(held.entry) == held


def test_the_same_delivery_is_quarantined_once(world: World) -> None:
    world.store.quarantine.add(HELD)
    before = world.snapshot()
    world.advance(1_000)
    world.store.quarantine.add(HELD)
    assert world.snapshot() == before
    world.store.quarantine.add(replace(HELD, source="crm"))
    assert [held.source for held in Store(world.client).quarantine.page()] == ["shop", "crm"]


def test_what_is_released_is_gone(world: World) -> None:
    world.store.quarantine.add(HELD)
    (held,) = Store(world.client).quarantine.page()
    assert world.store.quarantine.release(held.entry)
    assert not world.store.quarantine.release(held.entry)
    assert Store(world.client).quarantine.page() == []
    assert Store(world.client).quarantine.read(held.entry) is None


def test_the_quarantine_is_kept_for_its_time_only(world: World) -> None:
    world.store.quarantine.add(HELD)
    world.advance(KEPT_MS - 1_000)
    world.store.quarantine.add(replace(HELD, source="crm"))
    assert world.store.quarantine.prune() == 0
    world.advance(2_000)
    assert world.store.quarantine.prune() == 1
    assert [held.source for held in Store(world.client).quarantine.page()] == ["crm"]


def test_when_a_secret_was_last_used_is_known(world: World) -> None:
    before = world.now()
    world.store.secret_uses.mark("shop", "SHOP_SECRET")
    (used,) = Store(world.client).secret_uses.read().items()
    assert used[0] == "shop:SHOP_SECRET"
    assert before <= used[1] <= world.now()


# A full Redis


def fill(world: World) -> None:
    """Make Redis refuse commands that need memory, until the limit is lifted."""
    world.client.config_set("maxmemory", "1")


@pytest.mark.parametrize("verdict", [None, RETRYING, FAILED, CONFLICT], ids=lambda verdict: verdict and verdict.state)
def test_a_full_redis_takes_no_delivery_and_writes_no_half_of_it(verdict: AttemptResult | None, own: World) -> None:
    own.accept(ADA, NOTE)
    if verdict is not None:
        own.finish(own.claim(), verdict)
    before = own.snapshot()
    fill(own)
    for contact in (NEWER, Contact("bob", 1)):
        with pytest.raises(StoreFull):
            own.accept(contact)
    assert own.snapshot() == before


@pytest.mark.parametrize("verdict", [CREATED, RETRYING, FAILED, CONFLICT], ids=lambda verdict: verdict.state)
def test_a_full_redis_can_still_be_drained(verdict: AttemptResult, own: World) -> None:
    own.accept()
    own.client.delete(keys.QUEUE)
    own.advance(GRACE_MS)
    fill(own)
    assert own.store.queue.sweep().handed == 1
    claim = own.claim()
    assert own.store.contacts.renew(claim)
    assert own.finish(claim, verdict).written
    assert own.record().state is verdict.state


def test_a_full_redis_brings_back_what_a_dead_worker_held(own: World) -> None:
    own.accept()
    own.claim()
    own.advance(LEASE_MS)
    own.client.delete(keys.QUEUE)
    fill(own)
    assert own.store.queue.sweep().handed == 1
    assert own.claim().crashes == 1


def test_a_full_redis_lets_a_person_retry_and_old_contacts_be_forgotten(own: World) -> None:
    own.bring(ADA, FAILED)
    own.bring(Contact("bob", 1), CREATED)
    own.advance(1)
    fill(own)
    started_anew = make_store(own.client)
    assert started_anew.contacts.retry_now(own.key()) == "retrying"
    assert own.store.contacts.forget(0) == 1


def test_a_full_redis_lets_a_contact_be_erased_and_recreated(own: World) -> None:
    own.bring(ADA, FAILED)
    own.bring(Contact("bob", 1), CREATED)
    fill(own)
    started_anew = make_store(own.client).contacts
    assert started_anew.erase(own.key()) == Erased("erased")
    assert started_anew.recreate(own.key("bob"), "7", Contact("bob"))


# A Redis that is away

CLAIM = Claim("key", "token", ADA, "", 1, 2)
CALLS: dict[str, Callable[[Store], object]] = {
    "accept": lambda store: store.contacts.accept(ADA, Origin("signup")),
    "claim": lambda store: store.contacts.claim("key", "token"),
    "renew": lambda store: store.contacts.renew(CLAIM),
    "finish": lambda store: store.contacts.finish(CLAIM, CREATED, Attempt(1, 1)),
    "retry_now": lambda store: store.contacts.retry_now("key"),
    "edit": lambda store: store.contacts.edit("key", NEWER, who="bob", before=ADA),
    "sweep": lambda store: store.queue.sweep(),
    "probe_now": lambda store: store.upstream.probe_now(),
    "forget": lambda store: store.contacts.forget(0),
    "quarantine": lambda store: store.quarantine.add(HELD),
    "release": lambda store: store.quarantine.release("entry"),
    "prune": lambda store: store.quarantine.prune(),
    "erase": lambda store: store.contacts.erase("key"),
    "recreate": lambda store: store.contacts.recreate("key", "7", ADA),
    "ping": lambda store: store.queue.ping(),
    "save_account": lambda store: store.findings.save_account("name", Account(unique=True)),
    "save_progress": lambda store: store.findings.save_progress(None),
    "mark": lambda store: store.secret_uses.mark("shop", "SHOP_SECRET"),
    "bind": lambda store: store.signed_bodies.bind("otp", "signature", b"{}", 600),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_redis_that_is_away_is_unavailable(call: Callable[[Store], object]) -> None:
    client = connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1)
    with pytest.raises(StoreUnavailable):
        call(make_store(client))


def test_a_redis_that_says_nothing_is_unavailable_in_time(own_server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "AGAIN_S", 0)
    client = connect(own_server.url, timeout_s=0.1)
    client.flushall()
    store = make_store(client)
    store.salt()
    own_server.pause()
    began = time.monotonic()
    try:
        with pytest.raises(StoreUnavailable):
            store.contacts.accept(ADA, Origin("signup"))
    finally:
        own_server.resume()
    assert time.monotonic() - began < 1
    assert store.contacts.retry_now(store.key_of("bob")) == "gone", (
        "the answer that came too late is not taken for this one"
    )
    client.flushall()
    client.close()


def test_a_connection_that_was_closed_while_it_was_idle_is_opened_again(
    own: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_S", 0)
    own.accept()
    for _ in range(2):
        own.client.client_kill_filter(_type="normal", skipme=False)
        assert own.store.contacts.retry_now(own.store.key_of("ada")) == "pending"


def test_a_redis_that_was_restarted_is_used_again(own: World, own_server: Valkey) -> None:
    own.accept()
    own_server.restart()
    time.sleep(IDLE_S)  # a connection that was used a moment ago is not checked
    assert own.accept(Contact("bob", 1)).state is State.PENDING


def test_a_read_only_replica_is_unavailable(own: World) -> None:
    own.accept()
    own.client.replicaof("127.0.0.1", str(free_port()))
    try:
        with pytest.raises(StoreUnavailable):
            own.accept(NEWER)
    finally:
        own.client.replicaof("NO", "ONE")
    assert own.record().contact == ADA


def test_anything_else_that_redis_refuses_is_an_error_of_its_own(world: World) -> None:
    world.client.set(keys.DUE, "not a sorted set")
    with pytest.raises(StoreError, match="WRONGTYPE") as caught:
        world.store.queue.sweep()
    assert type(caught.value) is StoreError
    world.client.flushall()


class HangingUp(socketserver.BaseRequestHandler):
    """Hangs up at once, and counts how often it was called."""

    server: "Counting"

    def handle(self) -> None:
        self.server.calls += 1


class Counting(socketserver.TCPServer):
    calls = 0


def test_a_command_is_never_repeated_behind_our_back() -> None:
    with Counting(("127.0.0.1", 0), HangingUp) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        client = connect(f"redis://127.0.0.1:{server.server_address[1]}/0", timeout_s=1)
        with pytest.raises(StoreUnavailable):
            make_store(client).queue.sweep()
        server.shutdown()
        thread.join()
    assert server.calls == 1


def test_a_password_is_in_no_error() -> None:
    client = connect(f"redis://:hunter2-hunter2@127.0.0.1:{free_port()}/0", timeout_s=1)
    with pytest.raises(StoreUnavailable) as caught:
        make_store(client).queue.sweep()
    assert "hunter2" not in str(caught.value)


def test_a_contact_is_due_even_if_the_queue_is_no_list(world: World) -> None:
    world.client.set(keys.QUEUE, "what another program wrote")
    assert world.accept(ADA).status is Status.ACCEPTED
    assert world.client.zcard(keys.DUE) == 1
    world.client.delete(keys.QUEUE)
    assert world.store.queue.sweep().handed == 1
