"""What happens after the signup: changes and deletions, against a real store and prepared answers of LiveDesk."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from msgspec import structs

from tests.invariants import assert_invariants
from tests.worker.sync_world import LOST, SETTLE_MS, SyncWorld, refused
from tests.world import ADA, CREATED, LEASE_MS
from worker import causes
from worker.actions import BulkAction
from worker.errors import NotSent, Rejected
from worker.livedesk.answers import Created, Deletion, Person
from worker.model import (
    Accepted,
    Account,
    Attempt,
    AttemptResult,
    Contact,
    Event,
    Identity,
    Note,
    NoteCode,
    OnChange,
    OnConflict,
    OnDelete,
    Origin,
    Outcome,
    Signup,
    State,
    Status,
    UpstreamPolicy,
    Work,
)
from worker.retry import MISSES_ALLOWED
from worker.store import keys
from worker.store.lists import Filter

KING = structs.replace(ADA, name="Ada King")
CALLED = structs.replace(ADA, phone_number="+4915187654321")
GONE = Rejected(causes.CONTACT_GONE, fields=frozenset(), status=404)
#: A time at the source, in ms since the epoch.
NOON = 1_795_000_000_000
ALLOWED = Account(deletes=True, creates_attributes=True)
CHANGE_LANE = 4
SIGNUP = Origin("signup")


class Life(SyncWorld):
    """A person after the signup. Times are ms after noon, by the source's clock."""

    def hears(
        self,
        contact: Contact = KING,
        at: int | None = None,
        *,
        cleared: tuple[str, ...] = (),
        deleted: OnDelete | None = None,
        origin: Origin = SIGNUP,
        **options: Any,
    ) -> Accepted:
        event = Event("user.event", None if at is None else NOON + at, is_deletion=deleted is not None)
        origin = replace(origin, on_delete=deleted or OnDelete.IGNORE)
        contact = Contact(contact.identifier) if deleted else contact
        return self.store.contacts.accept(contact, origin, cleared=frozenset(cleared), event=event, **options)

    def signs_up(self, contact: Contact = ADA, at: int | None = None, **options: Any) -> None:
        self.hears(contact, at, **options)
        self.attempt(create=Created("7", 200))
        assert self.record().state in (State.CREATED, State.PENDING)

    @property
    def ending(self) -> tuple[State, Outcome | None]:
        record = self.record(self.who)
        return record.state, record.outcome

    def said(self) -> list[tuple[Any, ...]]:
        """What LiveDesk was asked since the last call."""
        asked, self.livedesk.asked = self.livedesk.asked, []
        return asked


@pytest.fixture
def life(client: redis.Redis) -> Iterator[Life]:
    life = Life(client)
    yield life
    assert life.livedesk.answers == [], "LiveDesk was not asked all that was expected"
    assert_invariants(client)


# Changes


def test_a_change_is_one_patch_with_what_changed(life: Life) -> None:
    life.signs_up()
    life.said()
    assert life.hears(KING) == Accepted(Status.ACCEPTED, State.PENDING, "7")
    record = life.record()
    assert (record.work, record.changes, record.contact_id) == (Work.UPDATE, ("name",), "7")
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": "Ada King"})]
    record = life.record()
    assert (record.state, record.outcome, record.contact, record.work) == (
        State.CREATED,
        Outcome.UPDATED,
        None,
        Work.CREATE,
    )
    assert [attempt.changed for attempt in record.attempts] == [("name",)]


def test_a_repeat_of_a_change_is_a_duplicate(life: Life) -> None:
    life.signs_up()
    life.hears(KING)
    life.attempt(update=200)
    assert life.hears(KING) == Accepted(Status.DUPLICATE, State.CREATED, "7")
    assert life.sync() is None


def test_a_delivery_that_mentions_less_changes_nothing_else(life: Life) -> None:
    life.signs_up()
    life.said()
    life.hears(Contact("ada", name="Ada King"))
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": "Ada King"})]
    assert life.hears(Contact("ada", email=ADA.email)).status is Status.DUPLICATE


def test_what_is_cleared_at_the_source_is_cleared_in_livedesk(life: Life) -> None:
    life.signs_up()
    life.said()
    life.hears(Contact("ada", name=ADA.name), cleared=("phone_number",))
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"phone_number": None})]
    assert life.hears(Contact("ada"), cleared=("phone_number",)).status is Status.DUPLICATE


def test_a_source_clears_nothing_of_another_source(life: Life) -> None:
    clerk, app = Origin("clerk", id_space="users"), Origin("app", id_space="users")
    life.signs_up(origin=clerk)
    assert life.hears(Contact("ada"), cleared=("phone_number",), origin=app).status is Status.DUPLICATE


def test_each_source_clears_only_what_it_has_sent(life: Life) -> None:
    clerk, app = Origin("clerk", id_space="users"), Origin("app", id_space="users")
    life.signs_up(origin=clerk)
    for name in ("Ada King", "Ada Byron"):  # the second time, the newest delivery is the app's own
        life.hears(Contact("ada", name=name), cleared=("phone_number",), origin=app)
        life.attempt(update=200)
    life.said()
    life.hears(Contact("ada"), cleared=("phone_number", "name"), origin=clerk)
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"phone_number": None})], "the name is the app's now"
    life.hears(Contact("ada", name="Ada Byron", email="ada@byron.example"), origin=clerk)
    life.attempt(update=200)
    life.said()
    life.hears(Contact("ada"), cleared=("name", "email"), origin=app)
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": None})], "both have sent the name"
    assert "senders" in life.fields(), "the e-mail address is Clerk's"
    life.hears(Contact("ada"), cleared=("email",), origin=clerk)
    assert life.record().changes == ("email",)


@pytest.mark.parametrize("at", [None, 5])
def test_the_last_delivery_of_a_person_in_a_batch_wins(at: int | None, life: Life) -> None:
    """The second one is a repeat of what is there, but not after the first one."""
    life.signs_up(at=at)
    event = Event("user.updated", None if at is None else NOON + at)
    batch = [
        Signup(KING, event=event),
        Signup(structs.replace(ADA, identifier="bob"), event=event),
        Signup(ADA, event=event),
    ]
    answers = life.store.contacts.accept_all(batch, SIGNUP)
    assert [answer.status for answer in answers] == [Status.ACCEPTED] * 3
    assert life.record().changes == ()


def test_a_source_that_only_notes_changes_does_not_join_one_that_waits(life: Life) -> None:
    clerk, app = Origin("clerk", id_space="users"), Origin("app", id_space="users", on_change=OnChange.NOTE)
    life.signs_up(origin=clerk)
    life.said()
    life.hears(KING, origin=clerk)
    assert life.hears(CALLED, origin=app).status is Status.DUPLICATE
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": "Ada King"})]


def test_a_person_never_has_more_than_fifty_attributes(life: Life) -> None:
    def plans(letter: str) -> Contact:
        return structs.replace(ADA, custom_attributes={f"{letter}{number}": number for number in range(30)})

    life.signs_up(plans("a"))
    life.attempt(update=200)
    life.hears(plans("b"))
    record = life.record()
    assert record.changes == tuple(f"custom_attributes.{name}" for name in sorted(f"b{number}" for number in range(20)))
    assert record.notes == (Note("custom_attributes", "10 left out: there are more than 50", NoteCode.LEFT_OUT),)
    life.attempt(update=200)
    assert life.hears(plans("b")).status is Status.DUPLICATE


def test_changes_that_wait_become_one(life: Life) -> None:
    life.signs_up()
    life.said()
    life.hears(Contact("ada", name="Ada King"))
    life.hears(Contact("ada", phone_number=CALLED.phone_number))
    life.hears(Contact("ada", name="Countess"))
    assert life.client.zcard(keys.DUE) == 1
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": "Countess", "phone_number": CALLED.phone_number})]


def test_a_change_that_is_taken_back_is_not_sent(life: Life) -> None:
    life.signs_up()
    life.said()
    life.hears(KING)
    life.hears(ADA)
    life.attempt()
    assert life.said() == []
    assert life.ending == (State.CREATED, Outcome.CREATED)


def test_a_change_that_is_taken_back_after_an_attempt_is_sent(life: Life) -> None:
    """Nobody knows whether LiveDesk has executed the first one."""
    life.signs_up()
    life.said()
    life.hears(KING)
    life.attempt(update=LOST)
    life.hears(ADA)
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": "Ada King"}), ("update", "7", {"name": "Ada Lovelace"})]


def test_a_change_whose_answer_is_lost_is_sent_again(life: Life) -> None:
    life.signs_up()
    life.hears(KING)
    life.attempt(update=LOST)
    assert (life.record().state, life.record().unknown_since) == (State.RETRYING, None)
    life.said()
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": "Ada King"})], "without a look-up, and without a wait"


def test_a_change_whose_worker_died_is_sent_again(life: Life) -> None:
    life.signs_up()
    life.hears(KING)
    life.claim()
    life.advance(LEASE_MS + 1)
    life.attempt(update=200)
    assert life.ending == (State.CREATED, Outcome.UPDATED)


def test_data_that_arrives_during_the_create_are_sent_after_it(life: Life) -> None:
    life.hears(ADA)

    def answer() -> Created:
        life.hears(KING)
        return Created("7", 200)

    life.attempt(create=answer)
    assert (life.record().state, life.record().changes) == (State.PENDING, ("name",))
    life.said()
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": "Ada King"})]


def test_data_that_arrives_during_a_change_are_sent_after_it(life: Life) -> None:
    life.signs_up()
    life.hears(KING)

    def answer() -> int:
        life.hears(structs.replace(ADA, name="Countess"))
        return 200

    life.attempt(update=answer)
    life.said()
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": "Countess"})]


def test_data_that_arrive_after_a_lost_create_reach_the_contact_that_it_made(life: Life) -> None:
    life.hears(ADA)
    life.attempt(create=LOST)
    life.hears(KING)
    life.advance(SETTLE_MS)
    life.attempt(look_up=[Person("7", "ada", ADA.name, ADA.email, ADA.phone_number)])
    life.said()
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": "Ada King"})]


def test_a_source_that_only_notes_changes_sends_none(life: Life) -> None:
    note = Origin("form", Identity.VISITOR, on_change=OnChange.NOTE)
    life.signs_up(origin=note)
    assert life.hears(KING, origin=note) == Accepted(Status.DUPLICATE, State.CREATED, "7")
    assert life.record().newer_fields == ("name",)
    assert life.sync() is None


def test_the_inbox_of_a_contact_does_not_change(life: Life) -> None:
    life.signs_up()
    assert life.hears(structs.replace(ADA, inbox_id=5)).status is Status.DUPLICATE


def test_what_was_noted_about_other_fields_stays_noted(life: Life) -> None:
    left_out = Note("avatar_url", "left out: not an http(s) URL", NoteCode.LEFT_OUT)
    cut = Note("name", "cut to 255 characters", NoteCode.ALTERED)
    life.store.contacts.accept(ADA, SIGNUP, (left_out, cut))
    life.attempt(create=Created("7", 200))
    life.hears(Contact("ada", name="Ada King"))
    life.attempt(update=200)
    assert life.record().notes == (left_out,)


# The event's own time


def test_a_stale_event_changes_nothing(life: Life) -> None:
    life.signs_up(at=1000)
    answer = life.hears(KING, at=999)
    assert (answer, answer.is_stale) == (Accepted(Status.DUPLICATE, State.CREATED, "7"), True)


def test_of_equal_times_the_later_arrival_wins(life: Life) -> None:
    life.signs_up(at=1000)
    life.hears(KING, at=1000)
    life.attempt(update=200)
    assert life.hears(ADA, at=1000).status is Status.ACCEPTED
    life.attempt(update=200)


def test_a_stale_event_changes_nothing_that_waits(life: Life) -> None:
    life.hears(KING, at=1000)
    assert life.hears(ADA, at=999).is_stale
    assert life.record().contact == KING


def test_equal_data_of_a_newer_event_make_older_ones_stale(life: Life) -> None:
    life.signs_up(at=1000)
    assert life.hears(ADA, at=3000).status is Status.DUPLICATE
    assert life.hears(KING, at=2000).is_stale


def test_an_event_without_a_time_is_as_new_as_its_arrival(life: Life) -> None:
    life.signs_up(at=1000)
    life.hears(KING)
    life.attempt(update=200)
    assert life.hears(ADA, at=999).is_stale, "the time of the newest event is still known"


def test_a_newer_event_of_an_alias_decides_about_its_fields(life: Life) -> None:
    """Two accounts of one person: of each field that both have, the newest event decides."""
    life.signs_up(at=1000)
    shop = Origin("shop")
    life.hears(Contact("cus_1", 1, email=ADA.email, phone_number=ADA.phone_number), 1000, origin=shop)
    life.who = "cus_1"
    life.attempt(create=refused("email"), owners=[Person("7", "ada", ADA.name, ADA.email, ADA.phone_number)])
    assert life.ending == (State.CREATED, Outcome.KNOWN)
    life.who = "ada"
    life.hears(structs.replace(ADA, name="Ada King", phone_number="+4915100000001"), 5000)
    life.attempt(update=200)
    life.who = "cus_1"
    life.said()
    life.hears(Contact("cus_1", 1, email=ADA.email, phone_number="+4915100000002"), 4000, origin=shop)
    life.attempt()
    assert life.said() == [], "the account's event is newer, and has a phone number"
    life.hears(Contact("cus_1", 1, email=ADA.email, phone_number="+4915100000003"), 6000, origin=shop)
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"phone_number": "+4915100000003"})]
    assert life.ending == (State.CREATED, Outcome.KNOWN)


# What LiveDesk refuses


def test_a_contact_that_is_gone_is_looked_up_and_found(life: Life) -> None:
    life.signs_up()
    life.hears(KING)
    life.said()
    life.expect(update=GONE, look_up=[Person("8", "ada")])
    life.livedesk.answers.append(("update", 200))
    life.sync()
    assert [asked[:2] for asked in life.said()] == [("update", "7"), ("look_up", "ada"), ("update", "8")]
    assert (life.ending, life.record().contact_id) == ((State.CREATED, Outcome.UPDATED), "8")


def test_a_contact_that_is_gone_is_a_conflict_until_an_operator_creates_it_again(life: Life) -> None:
    life.signs_up()
    life.hears(KING)
    life.attempt(update=GONE, look_up=[])
    record = life.record()
    assert (record.state, record.cause, record.contact_id) == (State.CONFLICT, "contact_gone", "7")
    contacts = life.store.contacts
    assert contacts.create_again(life.key(), "8") == "changed"
    assert contacts.create_again(life.key(), "7", who="op") == "retrying"
    life.said()
    life.attempt(create=Created("9", 200))
    assert life.said() == [("create", KING)]
    assert (life.ending, life.record().contact_id) == ((State.CREATED, Outcome.CREATED), "9")


def test_a_contact_that_only_the_search_still_shows_is_tried_again(life: Life) -> None:
    life.signs_up()
    life.hears(KING)
    life.attempt(update=GONE, look_up=[Person("7", "ada")])
    assert (life.record().state, life.record().cause) == (State.RETRYING, "contact_gone")


def test_a_row_that_livedesk_itself_finds_invalid_says_so(life: Life) -> None:
    life.signs_up()
    life.hears(KING)
    life.attempt(update=refused("phone_number"))
    record = life.record()
    assert (record.state, record.cause) == (State.FAILED, "stored_value_refused")
    assert [(note.field, note.code) for note in record.notes] == [("phone_number", NoteCode.DIFFERS)]
    assert life.store.contacts.retry_now(life.key()) == "retrying"
    life.attempt(update=200)
    assert life.ending == (State.CREATED, Outcome.UPDATED)


def test_an_address_that_somebody_else_has_is_a_conflict(life: Life) -> None:
    life.signs_up()
    life.hears(structs.replace(ADA, name="Ada King", email="king@example.com"))
    life.attempt(update=refused("email"), owners=[Person("12", "other", email="king@example.com")])
    record = life.record()
    assert (record.state, record.cause, record.owner_id, record.contact_id) == (
        State.CONFLICT,
        "email_taken",
        "12",
        "7",
    )
    assert life.store.contacts.adopt(life.key(), "12") == "wrong_state"
    assert life.store.contacts.mark_known(life.key(), "12") == "wrong_state"
    assert life.store.contacts.edit(life.key(), KING) == "wrong_state"


@pytest.mark.parametrize("policy", [OnConflict.KNOWN, OnConflict.WITHOUT])
def test_an_address_that_somebody_else_has_is_left_out_by_policy(policy: OnConflict, life: Life) -> None:
    origin = Origin("signup", on_conflict=policy)
    life.signs_up(origin=origin)
    life.hears(structs.replace(ADA, name="Ada King", email="king@example.com"), origin=origin)
    life.said()
    life.expect(update=refused("email"), owners=[Person("12", "other", email="king@example.com")])
    life.livedesk.answers.append(("update", 200))
    life.sync()
    assert life.said()[-1] == ("update", "7", {"name": "Ada King"})
    assert [(note.field, "12" in note.text) for note in life.record().notes] == [("email", True)]


def test_a_phone_number_that_somebody_else_has_is_left_out(life: Life) -> None:
    life.signs_up()
    life.hears(CALLED)
    life.attempt(update=refused("phone_number"), owners=[Person("12", "other", phone_number=CALLED.phone_number)])
    record = life.record()
    assert (record.state, record.outcome) == (State.CREATED, Outcome.CREATED), "nothing was left to send"
    assert "12" in record.notes[0].text


def test_while_livedesk_is_down_a_change_waits(life: Life) -> None:
    life.signs_up()
    life.hears(KING)
    life.attempt(update=NotSent(causes.CONNECT_FAILED))
    record = life.record()
    assert (record.state, record.cause, record.spent_ms) == (State.RETRYING, "connect_failed", 0)
    life.attempt(update=200)


def test_a_discarded_change_stays_so_until_there_is_another_one(life: Life) -> None:
    life.signs_up()
    life.hears(KING)
    life.attempt(update=refused("phone_number"))
    assert life.store.contacts.discard(life.key()) == "discarded"
    assert life.hears(KING).status is Status.DUPLICATE, "a repeat brings it back no more than a retry of its sender"
    assert life.hears(structs.replace(ADA, name="Countess")).status is Status.ACCEPTED
    life.said()
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": "Countess"})]


def test_an_address_that_its_owner_is_giving_up_is_waited_for(life: Life) -> None:
    """Bob's change waits in the queue, and Ada gets the address that he had."""
    bob = Contact("bob", 1, "Bob", "bob@example.com")
    life.signs_up()
    life.who = "bob"
    life.hears(bob)
    life.attempt(create=Created("8", 200))
    life.hears(structs.replace(bob, email="robert@example.com"))
    life.who = "ada"
    life.hears(structs.replace(ADA, email="bob@example.com"))
    life.attempt(update=refused("email"), owners=[Person("8", "bob", "Bob", "bob@example.com")])
    assert (life.record().state, life.record().cause) == (State.RETRYING, "email_taken")
    life.who = "bob"
    life.attempt(update=200)
    life.who = "ada"
    life.attempt(update=200)
    assert life.ending == (State.CREATED, Outcome.UPDATED)


def test_two_people_who_swap_their_addresses_end_with_an_operator(life: Life) -> None:
    life.signs_up()
    life.hears(Contact("bob", 1, "Bob", "bob@example.com"))
    life.who = "bob"
    life.attempt(create=Created("8", 200))
    life.hears(Contact("bob", email=ADA.email))
    life.who = "ada"
    life.hears(Contact("ada", email="bob@example.com"))
    for _ in range(MISSES_ALLOWED):
        life.attempt(update=refused("email"), owners=[Person("8", "bob", "Bob", "bob@example.com")])
        assert life.record().state is State.RETRYING
    life.attempt(update=refused("email"), owners=[Person("8", "bob", "Bob", "bob@example.com")])
    assert (life.record().state, life.record().owner_id) == (State.CONFLICT, "8")


# Attributes

PLAN = structs.replace(ADA, custom_attributes={"plan": "free", "seats": 3}, additional_attributes={"city": "London"})


def test_attributes_follow_the_create_where_it_does_not_take_them(life: Life) -> None:
    life.hears(PLAN)
    life.attempt(create=Created("7", 200))
    assert life.said() == [("create", ADA)]
    life.attempt(update=200)
    sent = {"custom_attributes": {"plan": "free", "seats": 3}, "additional_attributes": {"city": "London"}}
    assert life.said() == [("update", "7", sent)]
    assert life.hears(PLAN).status is Status.DUPLICATE


def test_attributes_ride_along_where_the_create_takes_them(life: Life) -> None:
    life.options["account"] = lambda: ALLOWED
    life.hears(PLAN)
    life.attempt(create=Created("7", 200))
    assert life.said() == [("create", PLAN)]
    assert life.ending == (State.CREATED, Outcome.CREATED)


def test_only_the_attribute_that_changed_is_sent(life: Life) -> None:
    life.options["account"] = lambda: ALLOWED
    life.signs_up(PLAN)
    life.said()
    life.hears(Contact("ada", custom_attributes={"plan": "pro"}), cleared=("custom_attributes.seats",))
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"custom_attributes": {"plan": "pro", "seats": None}})]


# Deletions


def test_a_deleted_person_is_marked(life: Life) -> None:
    life.signs_up()
    life.said()
    assert life.hears(at=5000, deleted=OnDelete.MARK) == Accepted(Status.ACCEPTED, State.PENDING, "7")
    assert (life.record().work, life.record().contact) == (Work.DELETE, None)
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"custom_attributes": {"account_deleted_at": "2026-11-18T11:06:45Z"}})]
    record = life.record()
    assert (record.state, record.outcome, record.contact_id) == (State.DELETED, Outcome.MARKED, "7")
    assert record.event_at == NOON + 5000


def test_no_late_repeat_revives_a_deleted_person(life: Life) -> None:
    life.signs_up(at=1000)
    life.hears(at=5000, deleted=OnDelete.MARK)
    assert life.hears(KING, at=4000).is_stale, "while the deletion waits"
    life.attempt(update=200)
    for late in (ADA, KING):
        for at in (None, 1000, 5000):
            assert life.hears(late, at=at) == Accepted(Status.DUPLICATE, State.DELETED, "7")
    assert life.hears(at=5000, deleted=OnDelete.MARK).status is Status.DUPLICATE
    assert life.sync() is None


def test_an_attribute_that_a_create_without_an_answer_may_have_set_is_cleared(life: Life) -> None:
    life.options["account"] = lambda: ALLOWED
    life.hears(structs.replace(ADA, custom_attributes={"plan": "pro"}))
    life.attempt(create=LOST)
    life.hears(ADA, cleared=("custom_attributes.plan",))
    life.attempt(look_up=[Person("7", "ada", ADA.name, ADA.email, ADA.phone_number)])
    life.said()
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"custom_attributes": {"plan": None}})]


@pytest.mark.parametrize("is_marked_first", [True, False])
def test_who_comes_back_without_a_value_has_none_in_livedesk(is_marked_first: bool, life: Life) -> None:
    life.signs_up(at=1000)
    life.hears(at=2000, deleted=OnDelete.MARK)
    if is_marked_first:
        life.attempt(update=200)
    life.hears(Contact("ada", name="Ada King"), at=3000, cleared=("phone_number",))
    if not is_marked_first:
        life.attempt(update=200)
    life.said()
    life.attempt(update=200)
    changes = {"name": "Ada King", "phone_number": None, "custom_attributes": {"account_deleted_at": None}}
    assert life.said() == [("update", "7", changes)]


@pytest.mark.parametrize("identity", Identity)
def test_another_account_of_a_person_who_was_marked_takes_the_mark_away(identity: Identity, life: Life) -> None:
    life.signs_up(at=1000)
    life.hears(at=2000, deleted=OnDelete.MARK)
    life.attempt(update=200)
    life.who = "crm-1"
    life.hears(structs.replace(ADA, identifier="crm-1"), at=1500, origin=Origin("crm", identity))
    marked = Person("7", "ada", ADA.name, ADA.email, custom_attributes={"account_deleted_at": "2026-11-18T11:06:40Z"})
    life.attempt(create=refused("email"), owners=[marked])
    assert (life.record("crm-1").state is State.PENDING) == (identity is Identity.ACCOUNT)
    if identity is Identity.ACCOUNT:
        life.said()
        life.attempt(update=200)
        assert life.said() == [("update", "7", {"custom_attributes": {"account_deleted_at": None}})]
        assert life.record("crm-1").outcome is Outcome.KNOWN


def test_a_contact_that_a_lost_create_made_stays_while_another_account_has_it(life: Life) -> None:
    life.hears(ADA, at=1000)
    life.attempt(create=LOST)
    life.who = "crm-1"
    life.hears(structs.replace(ADA, identifier="crm-1"), at=500, origin=Origin("crm"))
    life.attempt(create=refused("email"), owners=[Person("7", "ada", ADA.name, ADA.email)])
    life.who = "ada"
    life.hears(at=2000, deleted=OnDelete.MARK)
    life.said()
    life.attempt(look_up=[Person("7", "ada")])
    assert life.said() == [("look_up", "ada")]
    assert life.ending == (State.DELETED, None)
    assert "another source has this person" in life.record().notes[0].text


def test_who_comes_back_to_a_contact_that_another_account_kept_is_looked_up_first(life: Life) -> None:
    life.signs_up(at=1000)
    life.who = "crm-1"
    life.hears(structs.replace(ADA, identifier="crm-1"), at=500, origin=Origin("crm"))
    life.attempt(create=refused("email"), owners=[Person("7", "ada", ADA.name, ADA.email)])
    life.who = "ada"
    life.hears(at=2000, deleted=OnDelete.MARK)
    life.said()
    life.attempt()
    assert (life.said(), life.ending) == ([], (State.DELETED, None)), "it stays for the other account"
    life.hears(ADA, at=3000)
    life.attempt(look_up=[Person("7", "ada", ADA.name, ADA.email)])
    assert life.said() == [("look_up", "ada")], "and nothing is created"
    assert (life.record().state, life.record().contact_id) == (State.CREATED, "7")


def test_a_contact_that_comes_to_light_after_the_deletion_is_marked(life: Life) -> None:
    life.hears(ADA, at=1000)
    asleep = life.store.contacts.claim(life.store.key_of("ada"), "asleep")
    assert asleep is not None
    life.hears(at=2000, deleted=OnDelete.MARK)
    life.advance(600_000)
    life.attempt(look_up=[])
    assert life.record().state is State.DELETED, "no search shows it"
    created = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED)
    assert not life.store.contacts.finish(asleep, created, Attempt(asleep.now, 1, 200, None)).written
    assert life.record().state is State.PENDING
    life.said()
    life.attempt(update=200)
    assert life.said()[0][:2] == ("update", "7")
    assert life.ending == (State.DELETED, Outcome.MARKED)


def test_two_accounts_of_a_person_that_are_deleted_one_after_the_other(life: Life) -> None:
    life.signs_up(at=1000)
    life.hears(at=2000, deleted=OnDelete.MARK)
    life.attempt(update=200)
    life.who = "crm-1"
    life.hears(structs.replace(ADA, identifier="crm-1"), at=3000, origin=Origin("crm"))
    marked = Person("7", "ada", ADA.name, ADA.email, custom_attributes={"account_deleted_at": "2026-11-18T11:06:40Z"})
    life.attempt(create=refused("email"), owners=[marked])
    life.attempt(update=200)
    life.hears(Contact("crm-1"), at=4000, deleted=OnDelete.MARK, origin=Origin("crm"))
    life.attempt(update=200)
    assert life.ending == (State.DELETED, Outcome.MARKED)
    assert life.record("ada").state is State.DELETED
    assert_invariants(life.client)


def test_who_came_back_while_the_create_was_unknown_loses_the_mark(life: Life) -> None:
    life.hears(ADA, at=1000)
    life.attempt(create=LOST)
    life.hears(at=2000, deleted=OnDelete.MARK)
    life.hears(Contact("ada", name="Ada King"), at=3000, cleared=("phone_number",))
    life.attempt(look_up=[Person("7", "ada")], update=200)
    life.said()
    life.attempt(update=200)
    changes = {"name": "Ada King", "phone_number": None, "custom_attributes": {"account_deleted_at": None}}
    assert life.said() == [("update", "7", changes)]


def test_an_alias_that_is_only_known_keeps_nothing_from_livedesk(life: Life) -> None:
    life.signs_up(at=1000)
    life.who = "crm-1"
    life.hears(structs.replace(KING, identifier="crm-1"), at=8000, origin=Origin("crm"))
    life.attempt(create=refused("email"), owners=[Person("7", "ada", ADA.name, ADA.email)])
    life.who = "ada"
    life.hears(KING, at=7000)
    life.said()
    life.attempt(update=200)
    assert life.said() == [("update", "7", {"name": "Ada King"})]


def test_who_came_back_before_livedesk_knew_of_the_deletion_can_change(life: Life) -> None:
    life.signs_up(at=1000)
    life.hears(at=2000, deleted=OnDelete.MARK)
    assert life.hears(ADA, at=3000).status is Status.ACCEPTED
    assert not life.hears(KING, at=3000).is_stale, "of equal times, the later arrival wins"
    life.attempt(update=200)
    life.said()
    life.attempt(update=200)
    [(_, _, changes)] = life.said()
    assert (changes["name"], changes["custom_attributes"]) == ("Ada King", {"account_deleted_at": None})


def test_who_came_back_before_livedesk_knew_of_the_deletion_can_be_deleted_again(life: Life) -> None:
    life.signs_up(at=1000)
    life.hears(at=2000, deleted=OnDelete.MARK)
    life.hears(KING, at=3000)
    assert life.hears(at=4000, deleted=OnDelete.MARK).status is Status.ACCEPTED
    life.attempt(update=200)
    assert life.ending == (State.DELETED, Outcome.MARKED)
    assert life.sync() is None


def test_a_person_who_is_deleted_before_the_signup_arrives_is_never_created(life: Life) -> None:
    assert life.hears(at=5000, deleted=OnDelete.MARK) == Accepted(Status.ACCEPTED, State.DELETED, None)
    assert life.hears(ADA, at=1000) == Accepted(Status.DUPLICATE, State.DELETED, None)
    assert life.hears(ADA).status is Status.DUPLICATE
    assert life.sync() is None


def test_a_person_who_is_deleted_before_the_create_is_never_created(life: Life) -> None:
    life.hears(ADA)
    life.hears(deleted=OnDelete.MARK)
    life.attempt()
    assert life.said() == []
    assert life.ending == (State.DELETED, None)


def test_a_person_who_is_deleted_during_the_create_is_deleted_after_it(life: Life) -> None:
    life.options["account"] = lambda: ALLOWED
    life.hears(ADA)

    def answer() -> Created:
        life.hears(deleted=OnDelete.DELETE)
        return Created("7", 200)

    life.attempt(create=answer)
    assert (life.record().work, life.record().contact) == (Work.DELETE, None)
    life.attempt(delete=Deletion.DELETED)
    assert life.ending == (State.DELETED, Outcome.DELETED)


def test_a_person_whose_create_is_unanswered_is_looked_up_before_the_deletion_ends(life: Life) -> None:
    life.hears(ADA)
    life.attempt(create=LOST)
    life.hears(deleted=OnDelete.MARK)
    life.expect(look_up=[])
    life.sync()
    assert life.record().state is State.RETRYING, "the create may still be under way"
    life.advance(SETTLE_MS)
    life.attempt(look_up=[Person("7", "ada")], update=200)
    assert (life.ending, life.record().contact_id) == ((State.DELETED, Outcome.MARKED), "7")


@pytest.mark.parametrize(
    "answers", [{"delete": Deletion.DELETED}, {"delete": Deletion.GONE, "look_up": []}], ids=["deleted", "gone"]
)
def test_a_deleted_person_is_deleted_where_the_account_allows_it(answers: dict[str, Any], life: Life) -> None:
    life.options["account"] = lambda: ALLOWED
    life.signs_up()
    life.hears(deleted=OnDelete.DELETE)
    life.attempt(**answers)
    record = life.record()
    assert (record.state, record.outcome, record.contact_id) == (State.DELETED, Outcome.DELETED, None)
    assert life.store.lists.search("7") == [], "not found by what LiveDesk no longer has"


def test_a_deleted_person_whose_contact_an_agent_merged_is_deleted_there(life: Life) -> None:
    life.options["account"] = lambda: ALLOWED
    life.signs_up()
    life.hears(deleted=OnDelete.DELETE)
    life.said()
    life.livedesk.answers = [("delete", Deletion.GONE), ("look_up", [Person("8", "ada")]), ("delete", Deletion.DELETED)]
    life.sync()
    assert life.said() == [("delete", "7"), ("look_up", "ada"), ("delete", "8")]
    assert life.ending == (State.DELETED, Outcome.DELETED)


@pytest.mark.parametrize("account", [Account(), Account(deletes=False)])
def test_where_deletion_is_not_known_to_be_allowed_the_person_is_marked(account: Account, life: Life) -> None:
    life.options["account"] = lambda: account
    life.signs_up()
    life.hears(deleted=OnDelete.DELETE)
    life.attempt(update=200)
    assert life.ending == (State.DELETED, Outcome.MARKED)
    assert "not known to allow deletions" in life.record().notes[0].text


def test_a_contact_that_is_online_is_deleted_later(life: Life) -> None:
    life.options["account"] = lambda: ALLOWED
    life.signs_up()
    life.hears(deleted=OnDelete.DELETE)
    life.attempt(delete=Deletion.REFUSED)
    assert (life.record().state, life.record().cause) == (State.RETRYING, "contact_online")
    life.attempt(delete=Deletion.DELETED)


def test_a_contact_that_is_gone_before_the_mark_needs_none(life: Life) -> None:
    life.signs_up()
    life.hears(deleted=OnDelete.MARK)
    life.attempt(update=GONE, look_up=[])
    assert life.ending == (State.DELETED, Outcome.DELETED)


def test_a_person_who_returns_is_no_longer_marked(life: Life) -> None:
    life.signs_up(at=1000)
    life.hears(at=2000, deleted=OnDelete.MARK)
    life.attempt(update=200)
    assert life.hears(Contact("ada", name="Ada King"), at=3000).status is Status.ACCEPTED
    life.said()
    life.attempt(update=200)
    sent = {"name": "Ada King", "custom_attributes": {"account_deleted_at": None}}
    assert life.said() == [("update", "7", sent)]
    assert life.ending == (State.CREATED, Outcome.UPDATED)


def test_a_person_who_returns_after_the_deletion_is_created_again(life: Life) -> None:
    life.options["account"] = lambda: ALLOWED
    life.signs_up(at=1000)
    life.hears(at=2000, deleted=OnDelete.DELETE)
    life.attempt(delete=Deletion.DELETED)
    assert life.hears(KING, at=3000) == Accepted(Status.ACCEPTED, State.PENDING, None)
    life.attempt(create=Created("8", 200))
    assert (life.ending, life.record().contact_id) == ((State.CREATED, Outcome.CREATED), "8")


def test_a_person_who_returns_while_the_deletion_waits_is_created_after_it(life: Life) -> None:
    life.options["account"] = lambda: ALLOWED
    life.signs_up(at=1000)
    life.hears(at=2000, deleted=OnDelete.DELETE)
    life.hears(KING, at=3000)
    life.attempt(delete=Deletion.DELETED)
    assert (life.record().work, life.record().contact) == (Work.CREATE, KING)
    life.attempt(create=Created("8", 200))


def test_a_person_of_whom_there_is_only_an_identifier_can_return(life: Life) -> None:
    life.options |= {"inbox_id": 1, "account": lambda: ALLOWED}
    life.signs_up(Contact("ada"), at=0)
    life.hears(at=1, deleted=OnDelete.DELETE)
    assert life.hears(Contact("ada"), at=2).status is Status.ACCEPTED
    life.attempt(delete=Deletion.DELETED)
    life.attempt(create=Created("8", 200))
    assert life.ending == (State.CREATED, Outcome.CREATED)


def test_a_person_who_returns_under_another_identifier_is_no_longer_marked(life: Life) -> None:
    """LiveDesk has the address under the identifier of the account that was deleted."""
    life.signs_up(at=0)
    life.hears(at=1, deleted=OnDelete.MARK)
    life.attempt(update=200)
    life.said()
    life.who = "ada2"
    life.hears(Contact("ada2", 1, ADA.name, ADA.email), at=2)
    marked = Person("7", "ada", ADA.name, ADA.email, custom_attributes={"account_deleted_at": "2026-11-18T11:06:40Z"})
    life.attempt(create=refused("email"), owners=[marked])
    life.attempt(update=200)
    assert life.said()[-1] == ("update", "7", {"custom_attributes": {"account_deleted_at": None}})
    assert life.ending == (State.CREATED, Outcome.KNOWN)


def test_a_contact_that_another_source_has_is_kept_where_our_create_has_no_answer(life: Life) -> None:
    life.hears(ADA, at=0)
    life.attempt(create=LOST)
    life.who = "cus_1"
    life.hears(Contact("cus_1", 1, email=ADA.email), at=1, origin=Origin("shop"))
    life.attempt(create=refused("email"), owners=[Person("7", "ada", ADA.name, ADA.email)])
    assert life.ending == (State.CREATED, Outcome.KNOWN)
    life.who = "ada"
    life.hears(at=2, deleted=OnDelete.MARK)
    life.attempt(look_up=[Person("7", "ada", ADA.name, ADA.email)])
    assert life.record().state is State.DELETED
    assert life.asked[-1] == "look_up", "LiveDesk's contact was neither marked nor deleted"


def test_a_contact_that_another_source_has_too_is_kept(life: Life) -> None:
    life.signs_up()
    shop = Origin("shop")
    life.who = "cus_1"
    life.hears(Contact("cus_1", 1, email=ADA.email), origin=shop)
    life.attempt(create=refused("email"), owners=[Person("7", "ada", email=ADA.email)])
    life.hears(Contact("cus_1"), deleted=OnDelete.MARK, origin=shop)
    life.said()
    life.attempt()
    assert life.said() == []
    assert (life.ending, life.record(life.who).notes[-1].code) == ((State.DELETED, None), NoteCode.KNOWN)
    life.who = "ada"
    life.hears(deleted=OnDelete.MARK)
    life.attempt(update=200)
    assert life.ending == (State.DELETED, Outcome.MARKED)


def test_a_contact_under_an_identifier_that_we_do_not_know_is_never_deleted(life: Life) -> None:
    life.options["account"] = lambda: ALLOWED
    origin = Origin("signup", on_conflict=OnConflict.KNOWN)
    life.hears(ADA, origin=origin)
    life.attempt(create=refused("email"), owners=[Person("12", "crm-5", ADA.name, ADA.email)])
    assert life.ending == (State.CREATED, Outcome.KNOWN)
    life.hears(deleted=OnDelete.DELETE, origin=origin)
    life.attempt(update=200)
    assert life.ending == (State.DELETED, Outcome.MARKED)
    assert "under another identifier" in life.record().notes[-1].text


def test_an_older_deletion_does_not_delete_a_newer_person(life: Life) -> None:
    life.signs_up(at=2000)
    assert life.hears(at=1999, deleted=OnDelete.MARK).is_stale
    assert life.record().state is State.CREATED


def test_a_deletion_cannot_be_discarded(life: Life) -> None:
    """The person would stay in LiveDesk, and no list would show it."""
    life.signs_up()
    life.hears(deleted=OnDelete.MARK)
    assert life.store.contacts.discard(life.key()) == "wrong_state"
    life.operations.open(BulkAction.DISCARD, Filter(state=State.PENDING), who="ada", why="", total=1)
    life.operations.step()
    assert life.record().state is State.PENDING
    life.attempt(update=200)


def test_tombstones_are_forgotten_like_created_contacts(life: Life) -> None:
    life.hears(deleted=OnDelete.MARK)
    assert life.store.contacts.forget(1000) == 0
    life.advance(1000)
    assert life.store.contacts.forget(1000) == 1
    assert life.client.exists(keys.contact(life.key())) == 0


def test_a_picture_that_is_gone_stays_in_livedesk_and_is_noted(life: Life) -> None:
    life.signs_up()
    life.said()
    life.hears(Contact("ada"), cleared=("avatar_url",))
    life.attempt()
    assert life.said() == []
    assert [note.field for note in life.record().notes] == ["avatar_url"]


# The queue


@pytest.mark.parametrize(("is_change", "handed"), [(False, 13), (True, 7)])
def test_a_new_contact_finds_a_time_within_a_second_whatever_waits(
    is_change: bool, handed: int, client: redis.Redis
) -> None:
    """At 10 requests a second: workers may take times that are 1 s ahead, and new ones need some of them."""
    life = Life(client, UpstreamPolicy(rate=10))
    for number in range(30):
        life.who = f"user-{number}"
        life.hears(Contact(life.who, 1))
        if is_change:
            claim = life.store.contacts.claim(life.key(life.who), "token", sends=False)
            assert claim
            life.store.contacts.finish(claim, replace(CREATED, contact_id=str(number + 1)), Attempt(claim.now, 1, 200))
            life.hears(Contact(life.who, 1, "Ada"))
    life.client.delete(keys.QUEUE)
    life.advance(60_000)
    assert life.store.queue.sweep().handed == handed


def test_changes_wait_behind_new_contacts_and_retries(life: Life) -> None:
    life.signs_up()
    life.hears(KING)
    assert int(life.client.zscore(keys.DUE, life.key()) or 0) // keys.LANE == CHANGE_LANE
    for number in range(3):
        life.hears(Contact(f"new-{number}", 1))
    life.client.delete(keys.QUEUE)
    life.advance(60_000)
    life.store.queue.sweep()
    handed = life.queue()
    assert handed[-1] == life.key()
    assert len(handed) == 4


def test_many_changes_leave_room_in_the_queue(life: Life) -> None:
    for number in range(150):
        life.who = f"user-{number}"
        life.hears(Contact(life.who, 1))
        life.attempt(create=Created(str(number + 1), 200))
        life.hears(Contact(life.who, 1, "Ada"))
    life.client.delete(keys.QUEUE)
    assert life.store.queue.sweep().handed == 100
    life.who = "new"
    life.hears(Contact("new", 1))
    assert len(life.queue()) == 101, "a new contact goes to the queue at once"


def test_what_livedesk_knows_of_a_change_is_logged(life: Life) -> None:
    life.signs_up()
    life.hears(KING, at=1000)
    life.attempt(update=200)
    life.hears(at=2000, deleted=OnDelete.MARK)
    life.attempt(update=200)
    entries: Any = life.client.xrange(keys.CHANGES)
    logged = [(fields["did"], fields["fields"], fields["event"], fields["source"]) for _, fields in entries]
    assert logged == [("updated", "name", "user.event", "signup"), ("marked", "", "user.event", "signup")]
    assert "Ada" not in str(entries)
