"""The algorithm step by step, with a real store and prepared answers of LiveDesk."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.invariants import assert_invariants
from tests.worker.sync_world import LOST, SETTLE_MS, THERE, FlakyContacts, SyncWorld, refused
from tests.world import ADA, HOUR_MS, LEASE_MS
from worker import causes
from worker.causes import Cause
from worker.changes import CRASHES_ALLOWED
from worker.errors import (
    AnswerUnknown,
    Inconclusive,
    LiveDeskError,
    Misconfigured,
    NotSent,
    Rejected,
    StoreError,
    StoreFull,
    StoreUnavailable,
    Throttled,
)
from worker.livedesk.answers import Created, Person
from worker.model import Account, Attempt, Claim, Contact, Note, NoteCode, Outcome, State, UpstreamPolicy
from worker.retry import MISSES_ALLOWED, RetryPolicy
from worker.sync import FINISH_PATIENCE_S


@pytest.fixture
def world(client: redis.Redis) -> Iterator[SyncWorld]:
    world = SyncWorld(client)
    yield world
    assert world.livedesk.answers == [], "LiveDesk was not asked all that was expected"
    assert_invariants(client)


# Step 1: the claim


def test_a_contact_is_created_at_the_first_attempt(world: SyncWorld) -> None:
    world.accept()
    ended = world.attempt(create=Created("7", 200))
    record = world.record()
    assert ended.finished.written
    assert (record.state, record.outcome, record.contact_id) == (State.CREATED, Outcome.CREATED, "7")
    assert [(attempt.status, attempt.cause) for attempt in record.attempts] == [(200, None)]
    assert record.attempts_made == 1
    assert record.contact is None, "the personal data is gone"
    assert world.livedesk.asked == [("create", ADA)]


def test_the_lease_is_in_redis_before_a_byte_goes_to_livedesk(world: SyncWorld) -> None:
    seen: list[State] = []

    def answer() -> Created:
        seen.append(world.record().state)
        return Created("7", 200)

    world.accept()
    world.attempt(create=answer)
    assert seen == [State.SENDING]


def test_without_a_claim_nothing_is_sent(world: SyncWorld) -> None:
    assert world.sync() is None, "it is gone"
    world.accept()
    world.claim()
    assert world.sync() is None, "somebody else has it"
    world.advance(LEASE_MS + 1)
    world.expect(look_up=NotSent(causes.CONNECT_FAILED))
    world.sync()
    assert world.sync() is None, "its time has not come"
    world.attempt(look_up=[THERE])
    assert world.sync() is None, "it is created"
    assert world.asked == ["look_up", "look_up"]


def test_without_redis_nothing_is_sent(world: SyncWorld) -> None:
    class NoContacts(FlakyContacts):
        def claim(self, key: str, token: str, *, sends: bool = True) -> Claim | None:
            raise StoreUnavailable("ConnectionError")

    world.accept()
    world.store.contacts = NoContacts(
        world.store, world.store.queue, UpstreamPolicy(), world.store.counters, lease_ms=LEASE_MS
    )
    with pytest.raises(StoreUnavailable):
        world.sync()


def test_a_contact_that_names_no_inbox_goes_to_the_one_of_the_settings(world: SyncWorld) -> None:
    world.options["inbox_id"] = 407
    world.accept(Contact("ada"))
    world.attempt(create=Created("7", 200))
    assert world.livedesk.asked == [("create", Contact("ada", 407))]


def test_a_contact_that_names_an_inbox_goes_there(world: SyncWorld) -> None:
    world.options["inbox_id"] = 407
    world.accept(Contact("ada", 5))
    world.attempt(create=Created("7", 200))
    assert world.livedesk.asked == [("create", Contact("ada", 5))]


def test_without_any_inbox_a_contact_waits_untouched(world: SyncWorld) -> None:
    world.accept(Contact("ada"))
    ended = world.attempt()
    assert (ended.result.state, ended.result.cause, ended.result.spent_ms) == (State.RETRYING, "inbox_missing", 0)
    world.options["inbox_id"] = 407
    assert world.attempt(create=Created("7", 200)).result.state is State.CREATED


# Step 2: an answer that nobody knows


def test_after_a_lost_answer_the_contact_is_looked_up_and_adopted(world: SyncWorld) -> None:
    world.accept()
    assert world.attempt(create=LOST).result.cause == "answer_timeout"
    world.attempt(look_up=[THERE])
    record = world.record()
    assert (record.state, record.outcome, record.contact_id) == (State.CREATED, Outcome.ADOPTED, "7")
    assert world.asked == ["create", "look_up"]


def test_after_a_worker_died_the_contact_is_looked_up(world: SyncWorld) -> None:
    world.accept()
    world.claim()
    world.attempt(look_up=[THERE])
    assert world.record().state is State.CREATED


def test_absent_before_the_settle_time_means_wait_and_counts_nothing(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=LOST)
    world.advance(2_000)
    world.expect(look_up=Inconclusive(causes.SEARCH_IGNORED_QUERY))
    assert world.sync() is not None
    world.advance(3_000)
    world.expect(look_up=[])
    ended = world.sync()
    assert ended is not None
    verdict = ended.result
    assert (verdict.state, verdict.cause) == (State.RETRYING, "search_ignored_query")
    assert (verdict.failures, verdict.repeats, verdict.spent_ms) == (2, 1, 0), "as they were"
    due = world.record().next_attempt_at
    assert due is not None
    assert 0 <= due - (world.field("unknown_since") + SETTLE_MS) < 5_000
    assert world.sync() is None, "not before then"


def test_absent_after_the_settle_time_means_create_again(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=LOST)
    world.advance(SETTLE_MS)
    world.attempt(look_up=[], create=Created("7", 200))
    assert world.record().outcome is Outcome.CREATED
    assert world.asked == ["create", "look_up", "create"]


def test_a_look_up_that_began_before_the_settle_time_does_not_count_however_long_it_took(world: SyncWorld) -> None:
    """The earlier create may have been executed between LiveDesk's search and answer."""

    def slowly() -> list[Person]:
        world.advance(2_000)
        return []

    world.accept()
    world.attempt(create=LOST)
    world.advance(SETTLE_MS - 1_000)
    world.expect(look_up=slowly)
    assert world.sync() is not None
    assert world.record().state is State.RETRYING
    assert world.asked == ["create", "look_up"]
    world.attempt(look_up=[THERE])


@pytest.mark.parametrize(
    "error", [Inconclusive(causes.SEARCH_IGNORED_QUERY), AnswerUnknown(causes.http(502)), refused(status=400)], ids=str
)
def test_a_look_up_that_cannot_tell_is_not_the_same_as_absent(error: LiveDeskError, world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=LOST)
    assert world.attempt(look_up=error).result.cause == error.cause.slug
    world.attempt(look_up=[THERE])
    assert world.asked == ["create", "look_up", "look_up"]


def test_found_twice_is_a_conflict(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=LOST)
    world.attempt(look_up=[THERE, Person("8", "ada")])
    record = world.record()
    assert (record.state, record.cause, record.owner_id) == (State.CONFLICT, "identifier_found_twice", "7")


@pytest.mark.parametrize(
    "error", [NotSent(causes.CONNECT_FAILED), Throttled(), Misconfigured(causes.UNAUTHORIZED)], ids=str
)
def test_a_create_that_was_not_executed_leaves_the_earlier_one_unknown(error: LiveDeskError, world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=LOST)
    world.attempt(look_up=[], create=error, **({"ask": error} if isinstance(error, Misconfigured) else {}))
    world.attempt(look_up=[THERE])


def test_a_refusal_settles_the_earlier_create(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=LOST)
    world.attempt(look_up=[], create=refused("email"), owners=NotSent(causes.CONNECT_FAILED))
    world.attempt(create=Created("7", 200))


def test_the_id_from_a_late_success_is_used_without_a_request(world: SyncWorld) -> None:
    def too_late() -> Created:
        world.advance(LEASE_MS + 1)
        world.claim()
        return Created("7", 200)

    world.accept()
    ended = world.attempt(create=too_late)
    assert not ended.finished.written
    assert world.record().state is State.SENDING, "the other worker's"
    world.attempt()
    record = world.record()
    assert (record.state, record.outcome, record.contact_id) == (State.CREATED, Outcome.CREATED, "7")
    assert world.asked == ["create"]


def test_a_contact_that_outlived_some_workers_is_still_tried(world: SyncWorld) -> None:
    world.accept()
    for _ in range(CRASHES_ALLOWED - 1):
        world.a_worker_dies()
    world.attempt(look_up=[THERE])
    assert (world.record().state, world.record().attempts_made) == (State.CREATED, CRASHES_ALLOWED)


def test_a_contact_that_outlived_too_many_workers_has_failed_and_is_left_alone(world: SyncWorld) -> None:
    world.accept()
    for _ in range(CRASHES_ALLOWED):
        world.a_worker_dies()
    world.attempt()
    assert (world.record().state, world.record().cause) == (State.FAILED, "worker_died")


# Step 4: something of it is there already


def test_an_identifier_that_is_taken_is_adopted(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=refused("identifier"), look_up=[THERE])
    record = world.record()
    assert (record.state, record.outcome, record.contact_id) == (State.CREATED, Outcome.ADOPTED, "7")
    assert record.notes == ()


def test_values_that_differ_in_livedesk_are_noted(world: SyncWorld) -> None:
    world.accept(ADA, Note("avatar_url", "from the sender"))
    world.attempt(
        create=refused("identifier", "email"), look_up=[Person("7", "ada", None, "other@example.com", ADA.phone_number)]
    )
    assert world.record().notes == (
        Note("avatar_url", "from the sender"),
        Note("name", "LiveDesk has none", NoteCode.DIFFERS),
        Note("email", "LiveDesk has another value", NoteCode.DIFFERS),
    )


def test_letter_case_is_no_difference(world: SyncWorld) -> None:
    world.accept()
    world.attempt(
        create=refused("identifier"), look_up=[Person("7", "ada", "ADA LOVELACE", "Ada@Example.com", ADA.phone_number)]
    )
    assert not world.record().notes


def test_taken_but_never_found_is_a_conflict_after_the_allowed_misses(world: SyncWorld) -> None:
    world.accept()
    for _ in range(MISSES_ALLOWED - 1):
        world.attempt(create=refused("identifier"), look_up=[])
        assert (world.record().state, world.record().cause) == (State.RETRYING, "exists_but_not_found")
        assert world.field("spent_ms") == 0
    world.attempt(create=refused("identifier"), look_up=[])
    record = world.record()
    assert (record.state, record.cause) == (State.CONFLICT, "exists_but_not_found")
    assert (record.attempts[-1].status, record.attempts[-1].excerpt) == (422, "it says why")


def test_only_misses_in_a_row_count(world: SyncWorld) -> None:
    world.accept()
    for _ in range(MISSES_ALLOWED - 1):
        world.attempt(create=refused("identifier"), look_up=[])
    world.attempt(create=NotSent(causes.CONNECT_FAILED))
    world.attempt(create=refused("identifier"), look_up=[])
    assert world.record().state is State.RETRYING


def test_taken_and_found_twice_is_a_conflict(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=refused("identifier"), look_up=[THERE, Person("8", "ada")])
    assert (world.record().state, world.record().cause) == (State.CONFLICT, "identifier_found_twice")


@pytest.mark.parametrize("field", ["email", "phone_number"])
def test_the_owner_of_an_address_without_an_identifier_is_adopted(field: str, world: SyncWorld) -> None:
    owner = Person("9", None, ADA.name, "ada@example.com", "+4915112345678")
    world.accept()
    world.attempt(create=refused(field), owners=[owner], set_identifier=200)
    record = world.record()
    assert (record.state, record.outcome, record.contact_id) == (State.CREATED, Outcome.ADOPTED, "9")
    assert record.notes == (Note(field, "adopted the contact that had this value and no identifier", NoteCode.ADOPTED),)
    assert world.livedesk.asked[1:] == [("owners", field, getattr(ADA, field)), ("set_identifier", "9", "ada")]


def test_an_owner_that_has_our_identifier_is_adopted_as_it_is(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=refused("email"), owners=[THERE])
    assert (world.record().state, world.record().contact_id) == (State.CREATED, "7")


@pytest.mark.parametrize(
    ("owners", "adopt"),
    [
        ([Person("9", "bob")], True),
        ([Person("9", "Ada")], True),
        ([Person("9", None), Person("10", None)], True),
        ([Person("9", None)], False),
    ],
)
def test_an_address_of_another_contact_is_a_conflict_that_names_the_owner(
    owners: list[Person], adopt: bool, world: SyncWorld
) -> None:
    world.options["adopt"] = adopt
    world.accept()
    world.attempt(create=refused("email"), owners=owners)
    record = world.record()
    assert (record.state, record.cause, record.owner_id) == (State.CONFLICT, "email_taken", "9")
    assert record.attempts[-1].status == 422


def test_an_owner_that_cannot_be_changed_is_a_conflict(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=refused("email"), owners=[Person("9", None)], set_identifier=refused("phone_number"))
    assert (world.record().state, world.record().cause, world.record().owner_id) == (State.CONFLICT, "email_taken", "9")


def test_an_owner_that_is_gone_meanwhile_means_try_again(world: SyncWorld) -> None:
    gone = Rejected(causes.CONTACT_GONE, fields=frozenset(), status=404)
    world.accept()
    ended = world.attempt(create=refused("email"), owners=[Person("9", None)], set_identifier=gone)
    assert (ended.result.state, ended.result.cause) == (State.RETRYING, "contact_gone")
    assert ended.result.spent_ms == 0, "that is LiveDesk's fault"
    world.attempt(create=Created("7", 200))


def test_an_owner_that_is_gone_twice_is_a_conflict_that_names_it(world: SyncWorld) -> None:
    gone = Rejected(causes.CONTACT_GONE, fields=frozenset(), status=404)
    world.accept()
    for _ in range(2):
        assert world.record().state.is_open
        world.attempt(create=refused("email"), owners=[Person("9", None)], set_identifier=gone)
    record = world.record()
    assert (record.state, record.cause, record.owner_id) == (State.CONFLICT, "email_taken", "9")


def test_a_search_that_always_finds_too_many_is_a_conflict_after_the_allowed_misses(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=LOST)
    for _ in range(MISSES_ALLOWED):
        assert world.record().state.is_open
        world.attempt(look_up=Inconclusive(causes.SEARCH_TOO_MANY_RESULTS))
    assert (world.record().state, world.record().cause) == (State.CONFLICT, "search_too_many_results")
    assert world.store.contacts.retry_now(world.store.key_of("ada")) == "retrying"
    world.attempt(look_up=[THERE])
    assert world.record().outcome is Outcome.ADOPTED, "a retry still knows that an answer is missing"


def test_a_lost_answer_to_an_adoption_is_found_out_by_trying_again(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=refused("email"), owners=[Person("9", None)], set_identifier=LOST)
    assert world.record().state is State.RETRYING
    world.attempt(create=refused("email", "identifier"), look_up=[Person("9", "ada")])
    assert world.record().contact_id == "9"


def test_a_phone_number_that_nobody_has_is_left_out_and_noted(world: SyncWorld) -> None:
    world.accept()
    world.expect(create=refused("phone_number"), owners=[])
    world.attempt(create=Created("7", 200))
    assert world.livedesk.asked[-1] == ("create", ADA.without("phone_number"))
    assert world.record().notes == (Note("phone_number", "left out: LiveDesk did not accept it", NoteCode.LEFT_OUT),)


def test_an_email_address_that_nobody_has_even_after_the_settle_time_is_left_out(world: SyncWorld) -> None:
    world.accept()
    ended = world.attempt(create=refused("email"), owners=[])
    assert (ended.result.state, ended.result.cause, ended.result.delay_ms) == (
        *(State.RETRYING, "owner_not_found"),
        SETTLE_MS,
    )
    assert (world.record().attempts[-1].status, world.record().attempts[-1].excerpt) == (422, "it says why")
    assert (world.record().notes, world.field("spent_ms"), world.field("failures")) == ((), 0, 0)
    world.expect(create=refused("email"), owners=[])
    world.attempt(create=Created("7", 200))
    assert world.livedesk.asked[-1] == ("create", ADA.without("email"))
    assert world.record().notes == (Note("email", "left out: LiveDesk did not accept it", NoteCode.LEFT_OUT),)


def test_an_owner_whom_the_search_shows_only_later_is_the_same_person(world: SyncWorld) -> None:
    """Two deliveries of one person at the same time, and a search that lags behind: no second contact."""
    world.accept()
    world.attempt(create=refused("email"), owners=[])
    world.attempt(create=refused("email"), owners=[Person("9", None, ADA.name, ADA.email)], set_identifier=200)
    assert (world.record().outcome, world.record().contact_id) == (Outcome.ADOPTED, "9")


def test_fields_are_left_out_one_after_the_other_and_the_contact_is_not_lost(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=refused("email"), owners=[])
    for refusal in (refused("name", "avatar_url"), refused("email"), refused("phone_number")):
        world.expect(create=refusal)
        if "name" not in refusal.fields:
            world.expect(owners=[])
    world.attempt(create=Created("7", 200))
    assert world.livedesk.asked[-1] == ("create", Contact("ada", 1))
    assert [note.field for note in world.record().notes] == ["name", "avatar_url", "email", "phone_number"]


def test_what_was_left_out_is_noted_once_however_many_attempts_it_takes(world: SyncWorld) -> None:
    world.accept()
    world.expect(create=refused("name"))
    world.attempt(create=LOST)
    assert not world.record().notes
    world.expect(look_up=[], create=refused("name"))
    world.attempt(create=Created("7", 200))
    assert [note.field for note in world.record().notes] == ["name"]


@pytest.mark.parametrize(
    ("refusal", "cause"),
    [
        (refused("inbox_id"), "inbox_id_refused"),
        (refused(status=413), "http_413"),
    ],
)
def test_a_contact_that_livedesk_rejects_fails_with_the_field_named(
    refusal: Rejected, cause: str, world: SyncWorld
) -> None:
    world.accept()
    world.attempt(create=refusal)
    record = world.record()
    assert (record.state, record.cause) == (State.FAILED, cause)
    assert (record.attempts[-1].status, record.attempts[-1].excerpt) == (refusal.status, "it says why")


def test_a_refusal_of_a_field_that_was_not_sent_does_not_repeat_the_request(world: SyncWorld) -> None:
    world.accept(Contact("ada", 1))
    world.attempt(create=refused("email"))
    assert (world.record().state, world.record().cause) == (State.FAILED, "email_refused")


def test_an_attempt_ends_however_often_everything_is_refused(world: SyncWorld) -> None:
    everything = refused("name", "email", "phone_number", "avatar_url")
    world.accept()
    world.attempt(create=everything, owners=[])
    world.expect(create=everything, owners=[])
    world.expect(owners=[])
    world.attempt(create=everything)
    assert (world.record().state, world.record().cause) == (State.FAILED, "avatar_url_refused")


# The lease


def test_the_lease_is_renewed_before_a_request_that_it_might_not_outlast(world: SyncWorld) -> None:
    def slowly() -> list[Person]:
        world.advance(20_000)
        return []

    def answer() -> Created:
        left.append(world.field("lease_until") - world.store.now())
        return Created("7", 200)

    left: list[int] = []
    world.accept()
    world.attempt(create=LOST)
    world.attempt(look_up=slowly, create=answer)
    assert LEASE_MS - 5_000 < left[0] <= LEASE_MS
    assert world.record().state is State.CREATED


def test_a_lease_that_has_time_left_is_not_renewed(world: SyncWorld) -> None:
    def slowly() -> list[Person]:
        world.advance(20_000)
        return []

    world.accept()
    world.attempt(create=refused("email"), owners=[Person("9", None)], set_identifier=LOST)
    assert world.contacts.renewals == 0
    world.attempt(create=LOST)
    world.expect(look_up=slowly, create=refused("name"))
    world.attempt(create=Created("7", 200))
    assert world.contacts.renewals == 1


def test_after_losing_the_lease_nothing_more_is_sent_or_written(world: SyncWorld) -> None:
    def far_too_slowly() -> list[Person]:
        world.advance(LEASE_MS + 1)
        world.claim()
        return []

    world.accept()
    world.attempt(create=LOST)
    world.advance(HOUR_MS)
    world.expect(look_up=far_too_slowly)
    before = world.record().attempts
    assert world.sync() is None
    assert world.asked == ["create", "look_up"]
    assert (world.record().state, world.record().attempts) == (State.SENDING, before)


def test_a_claim_that_arrives_after_its_lease_sends_nothing(world: SyncWorld) -> None:
    """The process was stopped meanwhile, and another worker created the contact."""

    def oversleep() -> None:
        world.advance(LEASE_MS + 1)
        world.contacts.claimed = lambda: None
        world.claim()

    world.accept()
    world.contacts.claimed = oversleep
    assert world.sync() is None
    assert world.asked == []


def test_a_result_after_the_lease_is_not_written(world: SyncWorld) -> None:
    def too_late() -> LiveDeskError:
        world.advance(LEASE_MS + 1)
        world.claim()
        return refused("inbox_id")

    world.accept()
    ended = world.attempt(create=too_late)
    assert (ended.result.state, ended.finished.written) == (State.FAILED, False)
    assert world.record().state is State.SENDING


# Whose fault it was (I6)


@pytest.mark.parametrize(
    "error",
    [
        NotSent(causes.CONNECT_FAILED),
        Throttled(),
        Misconfigured(causes.UNAUTHORIZED),
        AnswerUnknown(causes.http(500)),
    ],
    ids=str,
)
def test_faults_of_livedesk_or_ours_spend_nothing_however_often(error: LiveDeskError, world: SyncWorld) -> None:
    world.options["policy"] = RetryPolicy(first_ms=1000, longest_ms=60_000, budget_ms=1)
    world.accept()
    world.attempt(create=error, **({"ask": error} if isinstance(error, Misconfigured) else {}))
    again = "look_up" if isinstance(error, AnswerUnknown) else "create"
    alone = {Throttled: 0, Misconfigured: 1}.get(type(error))
    for failures in range(2, 9):
        world.attempt(**{again: error})
        assert (world.record().state, world.record().cause) == (State.RETRYING, error.cause.slug)
        assert (world.field("repeats"), world.field("spent_ms")) == (failures, 0)
        assert world.field("failures") == (failures if alone is None else alone), "no wait of its own, but everybody's"


@pytest.mark.parametrize("cause", [causes.SEARCH_IGNORED_QUERY, causes.SEARCH_REFUSED], ids=str)
def test_while_no_search_can_tell_a_contact_waits_at_no_cost(cause: Cause, world: SyncWorld) -> None:
    world.options["policy"] = RetryPolicy(first_ms=1000, longest_ms=60_000, budget_ms=1)
    world.accept()
    world.attempt(create=LOST)
    waits = [world.attempt(look_up=Inconclusive(cause)).result.delay_ms for _ in range(8)]
    assert waits[-1] == 60_000
    assert (world.record().state, world.record().cause, world.field("spent_ms")) == (State.RETRYING, cause.slug, 0)
    world.attempt(look_up=[THERE])


def test_the_contacts_own_faults_spend_its_budget_until_it_has_failed(world: SyncWorld) -> None:
    world.options["policy"] = RetryPolicy(first_ms=1000, longest_ms=60_000, budget_ms=5_000)
    world.accept()
    world.attempt(create=LOST)
    world.attempt(look_up=refused(status=413))
    assert (world.record().state, world.field("spent_ms")) == (State.RETRYING, 2_000)
    world.attempt(look_up=refused(status=413))
    assert (world.record().state, world.record().cause) == (State.FAILED, "http_413")


def test_waits_grow_and_are_bounded(world: SyncWorld) -> None:
    world.accept()
    waits = [world.attempt(create=NotSent(causes.CONNECT_FAILED)).result.delay_ms for _ in range(8)]
    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]


def test_retry_after_is_followed_to_the_millisecond(world: SyncWorld) -> None:
    world.accept()
    assert world.attempt(create=Throttled(retry_after=7.25)).result.delay_ms == 7_250


def test_an_attempt_records_the_answer_and_the_duration(world: SyncWorld) -> None:
    def slowly() -> LiveDeskError:
        world.advance(1_234)
        return AnswerUnknown(causes.http(502), status=502, excerpt="Bad Gateway")

    world.accept()
    ended = world.attempt(create=slowly)
    assert world.record().attempts == [Attempt(ended.claim.now, 1_234, 502, "http_502", "Bad Gateway")]


def test_a_cause_is_new_once(world: SyncWorld) -> None:
    world.accept()
    assert world.attempt(create=NotSent(causes.CONNECT_FAILED)).finished.new_cause
    assert not world.attempt(create=NotSent(causes.CONNECT_FAILED)).finished.new_cause
    unauthorized = Misconfigured(causes.UNAUTHORIZED)
    assert world.attempt(create=unauthorized, ask=unauthorized).finished.new_cause


# Step 5: the finish


@pytest.mark.parametrize("error", [StoreUnavailable("ConnectionError"), StoreFull("Redis is out of memory")], ids=str)
def test_an_answer_waits_for_redis(error: StoreError, world: SyncWorld) -> None:
    world.accept()
    world.contacts.away, world.contacts.error = 2, error
    assert world.attempt(create=Created("7", 200)).finished.written
    assert world.record().state is State.CREATED
    assert world.asked == ["create"]


def test_an_answer_that_redis_never_accepts_costs_a_look_up(world: SyncWorld) -> None:
    world.accept()
    world.contacts.away = 1_000
    began = world.seconds
    assert not world.attempt(create=Created("7", 200)).finished.written
    waited = world.seconds - began - HOUR_MS / 1000
    assert FINISH_PATIENCE_S <= waited < FINISH_PATIENCE_S + 2
    world.contacts.away = 0
    world.attempt(look_up=[THERE])
    assert world.record().state is State.CREATED
    assert world.asked == ["create", "look_up"]


# What is known about the account


def known(**answers: bool) -> dict[str, Any]:
    return {"account": lambda: Account(**answers)}


def test_where_identifiers_are_not_unique_every_create_is_preceded_by_a_look_up(world: SyncWorld) -> None:
    world.options = known(unique=False, searchable=True, searchable_bare=True)
    world.accept()
    assert world.attempt(look_up=[], create=Created("7", 200)).finished.written
    assert world.record().outcome is Outcome.CREATED


def test_where_identifiers_are_not_unique_a_contact_that_is_there_is_adopted(world: SyncWorld) -> None:
    world.options = known(unique=False)
    world.accept()
    world.attempt(look_up=[THERE])
    assert (world.record().outcome, world.record().contact_id) == (Outcome.ADOPTED, "7")


def test_where_identifiers_are_not_unique_a_look_up_that_cannot_tell_is_not_absent(world: SyncWorld) -> None:
    world.options = known(unique=False)
    world.accept()
    world.attempt(look_up=Inconclusive(causes.SEARCH_IGNORED_QUERY))
    assert (world.record().state, world.record().cause) == (State.RETRYING, "search_ignored_query")


def test_where_search_does_not_find_nothing_is_created_after_an_unknown_answer(world: SyncWorld) -> None:
    world.options = known(unique=True, searchable=False, searchable_bare=False)
    world.accept()
    world.attempt(create=LOST)
    world.attempt(look_up=[])
    assert (world.record().state, world.record().cause) == (State.CONFLICT, "cannot_be_looked_up")


def test_where_search_does_not_find_the_settle_time_is_waited_for_first(world: SyncWorld) -> None:
    world.options = known(searchable=False)
    world.accept()
    world.attempt(create=LOST)
    world.advance(1000)
    world.expect(look_up=[])
    world.sync()
    assert world.record().state is State.RETRYING
    world.attempt(look_up=[THERE])
    assert world.record().outcome is Outcome.ADOPTED, "what a search finds all the same is adopted"


def test_where_search_does_not_find_a_first_create_is_sent_all_the_same(world: SyncWorld) -> None:
    world.options = known(unique=True, searchable=False)
    world.accept()
    world.attempt(create=Created("7", 200))
    assert world.record().outcome is Outcome.CREATED


@pytest.mark.parametrize(
    ("contact", "state"), [(ADA, State.CREATED), (Contact("ada", 1, "Ada"), State.CONFLICT)], ids=["address", "bare"]
)
def test_where_search_finds_only_contacts_with_an_address(world: SyncWorld, contact: Contact, state: State) -> None:
    world.options = known(unique=True, searchable=True, searchable_bare=False)
    world.accept(contact)
    world.attempt(create=LOST)
    world.attempt(look_up=[], **({"create": Created("7", 200)} if state is State.CREATED else {}))
    assert world.record().state is state


def test_after_doctor_found_search_working_a_retry_creates_the_contact(world: SyncWorld) -> None:
    world.options = known(searchable=False)
    world.accept()
    world.attempt(create=LOST)
    world.attempt(look_up=[])
    world.options = known(searchable=True)
    assert world.store.contacts.retry_now(world.store.key_of("ada")) == "retrying"
    world.attempt(look_up=[], create=Created("7", 200))
    assert world.record().state is State.CREATED


# Look-ups know what was sent


def test_a_look_up_after_a_lost_answer_knows_the_values_and_the_times_of_the_create(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=LOST)
    world.attempt(look_up=[], create=LOST)
    clues = world.livedesk.clues[-1]
    assert (clues.email, clues.phone_number, clues.name) == (ADA.email, ADA.phone_number, ADA.name)
    assert clues.is_proof, "LiveDesk refuses the same identifier again"
    assert 0 <= (clues.oldest_ms or 0) - 2 * HOUR_MS < 5_000, "nothing was sent before the first delivery"
    assert 0 <= clues.newest_ms - (HOUR_MS - SETTLE_MS) < 5_000, "and nothing arrives after the settle time"


def test_before_the_settle_time_the_create_can_still_arrive(world: SyncWorld) -> None:
    world.accept()
    world.expect(create=LOST)
    world.sync()
    world.advance(5_000)
    world.expect(look_up=[])
    world.sync()
    assert world.livedesk.clues[-1].newest_ms == 0


def test_values_that_changed_since_the_create_are_no_clues(world: SyncWorld) -> None:
    world.submit("ada")
    world.attempt(create=LOST)
    world.submit("ada", email="new@example.com")
    world.attempt(look_up=[THERE])
    assert world.livedesk.clues[-1].email is None
    assert world.livedesk.clues[-1].phone_number == ADA.phone_number


def test_where_identifiers_are_not_unique_an_address_proves_nothing(world: SyncWorld) -> None:
    world.options["account"] = lambda: Account(unique=False)
    world.accept()
    world.attempt(look_up=[], create=LOST)
    world.attempt(look_up=[], create=Created("7", 200))
    assert [clues.is_proof for clues in world.livedesk.clues] == [False, False]


def test_a_taken_identifier_is_looked_up_without_a_time(world: SyncWorld) -> None:
    """Its contact may be years old."""
    world.accept()
    world.attempt(create=refused("identifier"), look_up=[THERE])
    [clues] = world.livedesk.clues
    assert (clues.email, clues.oldest_ms, clues.is_proof) == (ADA.email, None, False)


def test_a_contact_that_cannot_be_searched_is_a_conflict_at_once(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=LOST)
    ended = world.attempt(look_up=Inconclusive(causes.CANNOT_BE_LOOKED_UP))
    assert (world.record().state, world.record().cause) == (State.CONFLICT, "cannot_be_looked_up")
    assert ended.result.spent_ms == 0
    assert world.store.contacts.retry_now(world.store.key_of("ada")) == "retrying"
    world.attempt(look_up=[THERE])
    assert world.record().state is State.CREATED, "nothing was forgotten"


def test_a_search_that_proves_nothing_is_repeated_and_then_a_conflict(world: SyncWorld) -> None:
    world.accept()
    world.attempt(create=LOST)
    for _ in range(5):
        assert world.record().state is State.RETRYING
        world.attempt(look_up=Inconclusive(causes.SEARCH_PROVES_NOTHING))
    assert (world.record().state, world.record().cause) == (State.CONFLICT, "search_proves_nothing")
