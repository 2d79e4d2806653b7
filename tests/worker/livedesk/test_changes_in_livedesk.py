"""What LiveDesk has in the end of changes and deletions, over real HTTP, with every answer that can be lost."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from msgspec import structs

from tests.invariants import assert_invariants
from tests.livedesk import Contact as Row
from tests.livedesk import StandIn, serve
from tests.worker.livedesk.test_reconcile_changes import APP, PLAN, Desk
from tests.world import HOUR_MS
from worker.model import Account, Contact, Event, OnDelete, Outcome, State

ADA = structs.replace(PLAN, custom_attributes=None, additional_attributes=None, avatar_url=None)
CALLED = structs.replace(ADA, phone_number="+4915187654321")
ALLOWED = Account(creates_attributes=False, deletes=True)


class Life(Desk):
    """A person in LiveDesk."""

    account = ALLOWED

    def work(self, identifier: str = "ada", account: Account | None = None) -> None:
        """Make attempts, an hour apart, until nothing is left to be sent."""
        for _ in range(10):
            if not self.record(identifier).state.is_open:
                return
            self.advance(HOUR_MS)
            assert self.sync(account or self.account).bring(self.key(identifier)) is not None
        raise AssertionError("it never ends")

    def signs_up(self, contact: Contact = ADA) -> int:
        self.hears(contact)
        return self.there(contact.identifier)

    @property
    def row(self) -> Row:
        [row] = self.standin.contacts()
        return row


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with serve(by_id=True, inbox_ids=(1, 7)) as standin:
        yield standin


@pytest.fixture
def life(client: redis.Redis, running: StandIn) -> Iterator[Life]:
    running.reset()
    yield Life(client, running)
    assert_invariants(client)


# Changes


def test_what_an_agent_edited_survives(life: Life) -> None:
    made = life.signs_up(PLAN)
    life.standin.edit(made, name="Countess", custom_attributes={"vip": True, "plan": "vip"})
    before = len(life.standin.updates())
    life.hears(structs.replace(PLAN, phone_number=CALLED.phone_number, custom_attributes={"plan": "pro", "seats": 4}))
    assert life.standin.updates()[before:] == [{"phone_number": CALLED.phone_number, "custom_attributes": {"seats": 4}}]
    assert (life.row.name, life.row.phone_number) == ("Countess", CALLED.phone_number)
    assert life.row.custom_attributes == {"vip": True, "plan": "vip", "seats": 4}
    assert life.row.additional_attributes == {"city": "Berlin"}


def test_what_the_source_clears_is_cleared_and_an_attribute_becomes_null(life: Life) -> None:
    life.signs_up(PLAN)
    before = len(life.standin.updates())
    bare = structs.replace(ADA, phone_number=None)
    life.hears(bare, cleared=frozenset({"phone_number", "custom_attributes.plan"}))
    assert life.standin.updates()[before:] == [{"phone_number": None, "custom_attributes": {"plan": None}}]
    assert (life.row.phone_number, life.row.name) == (None, ADA.name)
    assert life.row.custom_attributes == {"plan": None, "seats": 3}


@pytest.mark.parametrize(("takes", "updates"), [(True, 0), (False, 1), (None, 1)])
def test_a_request_is_saved_where_the_create_takes_attributes(takes: bool | None, updates: int, life: Life) -> None:
    life.account = Account(creates_attributes=takes)
    life.signs_up(PLAN)
    assert len(life.standin.updates()) == updates
    assert [request.kind for request in life.standin.requests(None)] == ["create"] + ["update"] * updates
    assert ("custom_attributes" in (life.standin.requests("create")[0].body or {})) is (updates == 0)
    assert (life.row.custom_attributes, life.row.additional_attributes) == (
        {"plan": "pro", "seats": 3},
        {"city": "Berlin"},
    )


LOST = ["commit_then_500", "commit_then_hang", "commit_then_reset", "commit_then_close", "commit_then_truncate"]
NOT_DONE = ["reset", "close", "status_500", "html_502", "hang", "garbage", "throttle"]


@pytest.mark.parametrize("mode", [*LOST, *NOT_DONE])
def test_a_change_whose_answer_is_lost_is_sent_again_harmlessly(mode: str, life: Life) -> None:
    life.signs_up()
    life.livedesk.transport.answer_timeout_s = 0.3
    life.standin.behave(mode, on="update", times=1)
    life.hears(CALLED)
    assert life.record().state is State.CREATED
    sent = life.standin.updates()
    assert sent == [{"phone_number": CALLED.phone_number}] * len(sent)
    assert life.row.phone_number == CALLED.phone_number
    assert len(life.standin.ledger()) == 1, "no second create"


def test_a_change_that_an_agent_overtook_after_the_answer_was_lost_is_still_the_sources(life: Life) -> None:
    """The field changed at the source, so that it is the source's value which counts in the end."""
    made = life.signs_up()
    life.standin.behave("commit_then_500", on="update", times=1)
    life.store.contacts.accept(CALLED, APP)
    life.sync(ALLOWED).bring(life.key())
    life.standin.edit(made, name="Countess")
    life.work()
    assert (life.row.name, life.row.phone_number) == ("Countess", CALLED.phone_number)


def test_a_change_reaches_the_contact_that_an_agent_merged_the_person_into(life: Life) -> None:
    made = life.signs_up()
    base = life.standin.add_contact(name="Ada B.").id
    assert life.standin.merge(base, made).identifier == "ada"
    life.hears(CALLED)
    assert (life.record().state, life.record().contact_id) == (State.CREATED, str(base))
    assert (life.row.id, life.row.name, life.row.phone_number) == (base, "Ada B.", CALLED.phone_number)


@pytest.mark.parametrize("merged", [True, False])
def test_a_change_of_a_contact_that_is_gone_is_a_conflict(merged: bool, life: Life) -> None:
    made = life.signs_up()
    if merged:  # into a contact with another identifier, which wins
        life.standin.merge(life.standin.add_contact(identifier="countess").id, made)
    else:
        life.standin.delete_contact(made)
    life.hears(CALLED)
    assert (life.record().state, life.record().cause) == (State.CONFLICT, "contact_gone")
    assert len(life.standin.ledger()) == 1, "an operator decides"


def test_a_stored_value_that_livedesk_refuses_is_named_and_a_retry_works_once_it_is_right(life: Life) -> None:
    made = life.standin.add_contact(identifier="ada", email=ADA.email, phone_number="0151 1234", unchecked=True).id
    life.create(structs.replace(ADA, phone_number=None), made=made)
    life.hears(structs.replace(ADA, phone_number=None, name="Ada King"))
    record = life.record()
    assert (record.state, record.cause) == (State.FAILED, "stored_value_refused")
    assert [note.field for note in record.notes] == ["phone_number"]
    life.standin.edit(made, phone_number="+491511234")
    assert life.store.contacts.retry_now(life.key()) == "retrying"
    life.work()
    assert (life.record().state, life.row.name) == (State.CREATED, "Ada King")


# Deletions


@pytest.mark.parametrize("mode", [*LOST, *NOT_DONE])
def test_a_deletion_whose_answer_is_lost_is_sent_again_harmlessly(mode: str, life: Life) -> None:
    life.signs_up()
    life.livedesk.transport.answer_timeout_s = 0.3
    life.standin.behave(mode, on="delete", times=1)
    life.loses()
    assert life.record().outcome is Outcome.DELETED
    assert life.standin.contacts() == []


def test_a_contact_that_is_online_is_deleted_later(life: Life) -> None:
    made = life.signs_up()
    life.standin.set_online(made)
    life.store.contacts.accept(
        Contact("ada"), replace(APP, on_delete=OnDelete.DELETE), event=Event("user.deleted", is_deletion=True)
    )
    life.sync(ALLOWED).bring(life.key())
    assert (life.record().state, life.record().cause) == (State.RETRYING, "contact_online")
    assert life.record().spent_ms == 0
    life.standin.set_online(made, False)
    life.work()
    assert (life.record().outcome, life.standin.contacts()) == (Outcome.DELETED, [])


ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("unauthorized", {"shape": "not_authorized"}),
    ("forbidden", {}),
    ("method_not_allowed", {}),
]


@pytest.mark.parametrize(("mode", "options"), ANSWERS)
def test_a_key_that_may_no_longer_delete_marks(mode: str, options: dict[str, Any], life: Life) -> None:
    life.signs_up()
    life.standin.behave(mode, on="delete", **options)
    life.loses()
    assert life.record().outcome is Outcome.MARKED
    assert list(life.row.custom_attributes) == ["account_deleted_at"]
    assert life.store.upstream.read().state == "up", "the account is not at fault"


@pytest.mark.parametrize("account", [Account(), Account(deletes=False)])
def test_an_account_that_is_not_known_to_delete_is_not_asked_to(account: Account, life: Life) -> None:
    life.signs_up(PLAN)
    life.account = account
    life.loses()
    assert life.standin.requests("delete") == []
    assert life.record().outcome is Outcome.MARKED
    assert life.row.custom_attributes.keys() == {"plan", "seats", "account_deleted_at"}


@pytest.mark.parametrize("how", [OnDelete.MARK, OnDelete.DELETE])
def test_a_late_signup_brings_nobody_back(how: OnDelete, life: Life) -> None:
    at = 1_795_000_000_000
    life.hears(ADA, event=Event("user.created", at))
    deletion = Event("user.deleted", at + 2, is_deletion=True)
    life.hears(Contact("ada"), replace(APP, on_delete=how), event=deletion)
    before = life.standin.contacts()
    life.hears(ADA, event=Event("user.created", at))
    life.hears(CALLED, event=Event("user.updated", at + 1))
    assert life.record().state is State.DELETED
    assert life.standin.contacts() == before


# Repairs


def test_a_repaired_contact_is_complete_with_the_next_delivery(life: Life) -> None:
    life.standin.delete_contact(life.signs_up(PLAN))
    assert "will be created again" in life.reconcile("--repair", "--yes").stdout
    life.work()
    assert (life.row.identifier, life.row.name, life.row.custom_attributes) == ("ada", "", {})
    life.hears(PLAN)
    assert (life.row.name, life.row.email, life.row.custom_attributes) == (
        PLAN.name,
        PLAN.email,
        PLAN.custom_attributes,
    )
    assert life.difference() is None
