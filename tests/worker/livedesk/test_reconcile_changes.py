"""``flask reconcile`` after the signup: edits of agents, changes under way, deletions."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from msgspec import structs

from tests.invariants import assert_invariants
from tests.livedesk import StandIn, serve
from tests.worker.livedesk.test_reconcile import ADA, Office
from worker.livedesk.reconcile import SKEW_MS, Kind, Reconciler
from worker.model import Account, Contact, Event, OnChange, OnDelete, Origin, Outcome, Position, Progress, State
from worker.retry import RetryPolicy
from worker.sync import Sync

PLAN = structs.replace(ADA, custom_attributes={"plan": "pro", "seats": 3}, additional_attributes={"city": "Berlin"})
APP = Origin("app")


class Desk(Office):
    """An office whose changes and deletions reach LiveDesk as a worker sends them."""

    def hears(self, contact: Contact, origin: Origin = APP, **options: Any) -> None:
        """A delivery arrives, and is sent."""
        self.store.contacts.accept(contact, origin, **options)
        self.work(contact.identifier)

    def work(self, identifier: str = "ada", account: Account | None = None) -> None:
        """Make attempts until nothing is left to be sent."""
        sync = self.sync(account or Account(creates_attributes=False, deletes=True))
        while self.record(identifier).state.is_open:
            self.advance(1000)
            assert sync.bring(self.key(identifier)) is not None

    def sync(self, account: Account) -> Sync:
        """Return what makes the attempts."""
        return Sync(
            store=self.store,
            livedesk=self.livedesk,
            policy=RetryPolicy(1000, 60_000, 100_000),
            settle_ms=0,
            rng=random.Random(1),
            account=lambda: account,
        )

    def loses(self, identifier: str = "ada", how: OnDelete = OnDelete.DELETE) -> None:
        """The source deletes the person."""
        deletion = Event("user.deleted", is_deletion=True)
        self.hears(Contact(identifier), replace(APP, on_delete=how), event=deletion)
        assert self.record(identifier).state is State.DELETED

    def deleted(self) -> dict[str, Kind | None]:
        """Return how each deleted contact differs, by identifier."""
        walk = self.reconciler().walk(Position(), State.DELETED)
        return {contact.identifier: difference.kind if difference else None for contact, difference in walk}

    def there(self, identifier: str = "ada") -> int:
        [contact] = self.standin.contacts(identifier)
        return contact.id


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with serve(inbox_ids=(1, 7), by_id=True) as standin:
        yield standin


@pytest.fixture
def desk(client: redis.Redis, running: StandIn) -> Iterator[Desk]:
    running.reset()
    yield Desk(client, running)
    assert_invariants(client)


# Edits of agents


EDITS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"name": "Ada L."}, ("name",)),
    ({"name": None}, ("name",)),
    ({"email": "countess@example.com", "phone_number": None}, ("email", "phone_number")),
    ({"custom_attributes": {"plan": "free"}}, ("custom_attributes.plan",)),
    ({"custom_attributes": {"seats": None}}, ("custom_attributes.seats",)),
    ({"additional_attributes": {"city": "Paris"}}, ("additional_attributes.city",)),
    ({"custom_attributes": {"vip": True}, "additional_attributes": {"country": "DE"}}, ()),
]


@pytest.mark.parametrize(("edit", "fields"), EDITS)
def test_what_an_agent_edits_is_no_difference(edit: dict[str, Any], fields: tuple[str, ...], desk: Desk) -> None:
    desk.hears(PLAN)
    assert desk.difference() is None
    desk.standin.edit(desk.there(), **edit)
    difference = desk.difference()
    assert (difference and (difference.kind, difference.fields)) == ((Kind.EDITED, fields) if fields else None)
    result = desk.reconcile()
    assert (result.exit_code, result.stdout) == (0, "1 compared, 0 differ.\n")


def test_edits_are_listed_on_request(desk: Desk) -> None:
    desk.hears(PLAN)
    made = desk.there()
    desk.standin.edit(made, name="Ada L.", custom_attributes={"plan": "free"})
    result = desk.reconcile("--edits")
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            f"edited   ada  contact {made}: edited in LiveDesk (name, custom_attributes.plan)",
            "1 compared, 0 differ.",
        ],
    )
    edited, total = map(json.loads, desk.reconcile("--edits", "--json").stdout.splitlines())
    assert (edited["kind"], edited["fields"]) == ("edited", ["name", "custom_attributes.plan"])
    assert total == {"compared": 1, "differing": 0}
    assert "Ada L." not in result.stdout, "no values"


def test_the_newest_values_that_were_sent_are_compared(desk: Desk) -> None:
    desk.hears(PLAN)
    desk.hears(structs.replace(PLAN, name="Ada King", custom_attributes={"plan": "free"}))
    assert desk.record().outcome is Outcome.UPDATED
    assert desk.difference() is None
    desk.standin.edit(desk.there(), name=PLAN.name)
    difference = desk.difference()
    assert difference is not None
    assert (difference.kind, difference.fields) == (Kind.EDITED, ("name",)), "back to what was sent first"


def test_a_value_that_livedesk_refused_is_no_edit(desk: Desk) -> None:
    desk.hears(ADA)
    desk.standin.add_contact(identifier="bob", phone_number="+4930123456")
    desk.hears(structs.replace(ADA, phone_number="+4930123456"))
    assert desk.standin.contacts("ada")[0].phone_number == ADA.phone_number
    assert desk.difference() is None


def test_what_only_this_side_noted_is_no_edit(desk: Desk) -> None:
    desk.hears(ADA)
    desk.store.contacts.accept(structs.replace(ADA, name="Ada King"), replace(APP, on_change=OnChange.NOTE))
    assert desk.record().newer_fields == ("name",)
    assert desk.difference() is None, "LiveDesk has what it was sent"


def test_what_another_source_of_the_person_changed_is_no_edit(desk: Desk) -> None:
    desk.hears(ADA)
    other = Contact("other-1", 1, "Ada King", ADA.email)
    desk.hears(other, Origin("other"))
    assert desk.record("other-1").outcome is Outcome.KNOWN
    desk.hears(structs.replace(other, name="Ada Byron"), Origin("other"))
    assert desk.standin.contacts("ada")[0].name == "Ada Byron"
    assert desk.kinds() == {"ada": None, "other-1": None}
    desk.standin.edit(desk.there(), phone_number=None)
    assert desk.kinds()["ada"] is Kind.EDITED


# Changes under way


def test_a_contact_with_a_change_under_way_is_skipped(desk: Desk) -> None:
    desk.hears(ADA)
    desk.standin.edit(desk.there(), name="Ada L.")
    desk.store.contacts.accept(structs.replace(ADA, name="Ada King"), APP)
    assert desk.walk() == []
    desk.work()
    assert desk.kinds() == {"ada": None}


def changes(desk: Desk) -> None:
    desk.store.contacts.accept(structs.replace(ADA, name="Ada King"), APP)


def changes_and_is_sent(desk: Desk) -> None:
    desk.hears(structs.replace(ADA, name="Ada King"))


def is_deleted(desk: Desk) -> None:
    desk.loses()


@pytest.mark.parametrize("happens", [changes, changes_and_is_sent, is_deleted])
def test_what_happens_while_it_is_compared_is_no_difference(happens: Callable[[Desk], None], desk: Desk) -> None:
    """Its record was read before, and LiveDesk is asked after."""
    desk.hears(ADA)
    reconciler = Reconciler(desk.store, desk.livedesk, wait=lambda: happens(desk))
    if happens is changes:
        desk.standin.edit(desk.there(), name="Ada L.")
    [(contact, difference)] = reconciler.walk(Position())
    assert (contact.identifier, difference) == ("ada", None)


def test_a_contact_that_is_gone_is_missing_until_a_change_finds_that_out(desk: Desk) -> None:
    desk.hears(ADA)
    desk.standin.delete_contact(desk.there())
    assert desk.kinds() == {"ada": Kind.MISSING}
    desk.hears(structs.replace(ADA, name="Ada King"))
    assert (desk.record().state, desk.record().cause) == (State.CONFLICT, "contact_gone")
    assert desk.kinds() == {}, "an operator decides"


# Deletions


def test_a_contact_that_was_deleted_is_gone(desk: Desk) -> None:
    desk.hears(ADA)
    desk.loses()
    assert desk.standin.contacts() == []
    assert desk.deleted() == {"ada": None}
    assert desk.reconcile().stdout == "1 compared, 0 differ.\n"


def test_a_contact_that_livedesk_did_not_delete(desk: Desk) -> None:
    desk.store.shift_ms = -SKEW_MS
    desk.hears(ADA)
    made = desk.there()
    desk.store.shift_ms = SKEW_MS
    desk.standin.behave("status", on="delete", status=200, body="")
    desk.loses()
    assert desk.deleted() == {"ada": Kind.KEPT}
    result = desk.reconcile()
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "kept     ada  deleted at the source, but still in LiveDesk",
        "1 compared, 1 differ.",
    ]
    assert json.loads(desk.reconcile("--json").stdout.splitlines()[0]) == {
        "kind": "kept",
        "identifier": "ada",
        "contact_id": None,
        "found": [made],
        "fields": [],
        "cause": None,
        "repaired": False,
    }


def test_somebody_who_was_added_again_is_no_difference(desk: Desk) -> None:
    """LiveDesk's widget creates a contact with the same identifier once the person signs in."""
    desk.store.shift_ms = -3 * SKEW_MS
    desk.hears(ADA)
    desk.loses()
    desk.standin.add_contact(identifier="ada", name="Ada")
    assert desk.deleted() == {"ada": None}


def test_a_contact_that_was_marked_has_the_mark(desk: Desk) -> None:
    desk.hears(ADA)
    desk.loses(how=OnDelete.MARK)
    made = desk.there()
    assert desk.deleted() == {"ada": None}
    desk.standin.edit(made, name="Ada L.")
    assert desk.deleted() == {"ada": None}, "an edit"
    desk.standin.edit(made, custom_attributes={"account_deleted_at": None})
    assert desk.deleted() == {"ada": Kind.UNMARKED}
    line = f"unmarked ada  contact {made}: deleted at the source, but not marked in LiveDesk"
    assert desk.reconcile().stdout.splitlines() == [line, "1 compared, 1 differ."]
    assert desk.reconcile("--repair", "--yes").stdout.splitlines() == [line, "1 compared, 1 differ."]


def test_a_mark_that_livedesk_dropped(desk: Desk) -> None:
    desk.hears(ADA)
    desk.standin.behave("attributes_not_stored", on="update")
    desk.loses(how=OnDelete.MARK)
    assert desk.deleted() == {"ada": Kind.UNMARKED}


def test_a_marked_contact_may_be_merged_or_deleted(desk: Desk) -> None:
    desk.hears(ADA)
    desk.loses(how=OnDelete.MARK)
    base = desk.standin.add_contact(identifier="countess")
    desk.standin.merge(base.id, desk.there())
    assert desk.deleted() == {"ada": None}, "the identifier is gone, and with it what could be compared"
    desk.standin.delete_contact(base.id)
    assert desk.deleted() == {"ada": None}


def test_a_person_whom_livedesk_never_had_is_not_looked_up(desk: Desk) -> None:
    desk.loses()
    assert desk.record().outcome is None
    assert desk.deleted() == {"ada": None}
    assert desk.standin.requests(None) == []


def test_a_search_that_cannot_tell_is_unclear(desk: Desk) -> None:
    desk.hears(ADA)
    desk.loses()
    desk.standin.behave("endless_pages")
    assert desk.deleted() == {"ada": Kind.UNCLEAR}


def test_the_deleted_come_after_the_created_and_a_stopped_run_continues_there(desk: Desk) -> None:
    for number in range(4):
        desk.hears(Contact(f"user-{number}", 1, email=f"user-{number}@example.com"))
        if number % 2:
            desk.loses(f"user-{number}", OnDelete.MARK)
    assert desk.reconcile().stdout == "4 compared, 0 differ.\n"
    first, second = [contact for contact, _ in desk.reconciler().walk(Position(), State.DELETED)]
    desk.store.findings.save_progress(Progress(first.place, 3, 0, State.DELETED))
    assert desk.store.findings.progress() == Progress(first.place, 3, 0, State.DELETED)
    searches = len(desk.standin.requests("search"))
    assert desk.reconcile().stdout == "4 compared, 0 differ.\n"
    assert [one.identifier for one in desk.standin.requests("search")[searches:]] == [second.identifier]


def test_the_progress_of_an_earlier_version_is_read(desk: Desk) -> None:
    desk.hears(ADA)
    [contact] = [contact for contact, _ in desk.walk()]
    desk.store.findings.save_progress(Progress(contact.place, 1, 0))
    desk.client.hdel("{lds}:reconcile", "state")
    assert desk.store.findings.progress() == Progress(contact.place, 1, 0, State.CREATED)


def test_a_repair_brings_nobody_back_who_was_deleted(desk: Desk) -> None:
    desk.hears(ADA)
    desk.loses()
    assert desk.reconcile("--repair", "--yes").exit_code == 0
    assert desk.record().state is State.DELETED
    desk.work()
    assert desk.standin.contacts() == []
