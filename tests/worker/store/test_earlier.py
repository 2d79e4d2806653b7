"""Records of earlier versions, which have the full names of all fields, are read and changed like others."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from tests.invariants import assert_invariants
from tests.worker.store.office import Office
from tests.world import ADA, CONFLICT, CREATED, FAILED, HOUR_MS, RETRYING
from worker.actions import BulkAction
from worker.model import AttemptResult, Contact, Event, OnDelete, Origin, Outcome, State, Status
from worker.store import keys, record
from worker.store.lists import Filter

UPDATED = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.UPDATED, status=200, changed=("name",))


def age(office: Office) -> None:
    """Give all records the names of an earlier version."""
    names: Any = [*office.client.scan_iter(keys.contact("*")), *office.client.scan_iter(keys.was("*"))]
    for name in names:
        fields: Any = office.client.hgetall(name)
        full_names: Any = record.named(fields.items())
        office.client.hdel(name, *fields)
        office.client.hset(name, mapping=full_names)


def is_earlier(office: Office) -> bool:
    return bool(office.client.hexists(keys.contact(office.key()), "identifier"))


def test_an_open_contact_is_brought_to_livedesk(office: Office) -> None:
    office.accept()
    age(office)
    assert office.record().contact == ADA
    claim = office.claim()
    assert claim.contact == ADA
    assert not is_earlier(office)
    assert_invariants(office.client)
    age(office)  # an earlier version claimed it
    assert office.finish(claim, RETRYING).written
    age(office)
    office.advance(HOUR_MS)
    assert office.finish(office.claim(), CREATED).written
    assert office.record().contact_id == "7"
    assert not is_earlier(office)
    assert_invariants(office.client)


def test_a_created_contact_is_known_and_changed(office: Office) -> None:
    office.bring(ADA, CREATED)
    age(office)
    assert office.accept().status is Status.DUPLICATE
    age(office)
    assert office.accept(structs.replace(ADA, name="Ada King")).is_update
    assert office.record().changes == ("name",)
    age(office)
    assert office.finish(office.claim(), UPDATED).written
    assert (office.record().state, office.record().changes) == (State.CREATED, ())
    assert_invariants(office.client)


def test_a_deletion_finds_the_contact(office: Office) -> None:
    office.bring(ADA, CREATED)
    age(office)
    origin = Origin("signup", on_delete=OnDelete.MARK)
    office.store.contacts.accept(Contact("ada"), origin, event=Event(is_deletion=True))
    assert office.record().deletes is OnDelete.MARK
    assert office.claim().contact_id == "7"
    assert_invariants(office.client)


@pytest.mark.parametrize("result", [CREATED, FAILED, CONFLICT, RETRYING], ids=lambda result: result.state)
def test_lists_and_searches_show_it_as_before(result: AttemptResult, office: Office) -> None:
    key = office.bring(ADA, result)
    wanted = Filter(state=result.state)
    before = office.record(), office.lists.page(wanted).rows, office.store.contacts.aliases(key)
    age(office)
    assert (office.record(), office.lists.page(wanted).rows, office.store.contacts.aliases(key)) == before
    assert office.lists.search("ada") == [key]


ACTIONS: dict[str, Callable[[Office, str], object]] = {
    "retry": lambda office, key: office.store.contacts.retry_now(key),
    "discard": lambda office, key: office.store.contacts.discard(key),
    "edit": lambda office, key: office.store.contacts.edit(key, structs.replace(ADA, name="Ada King"), before=ADA),
    "adopt": lambda office, key: office.store.contacts.adopt(key, "12"),
    "known": lambda office, key: office.store.contacts.mark_known(key, "12"),
    "erase": lambda office, key: office.store.contacts.erase(key).result,
}


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_of_a_person_has_the_same_result(action: str, office: Office) -> None:
    key = office.bring(ADA, CONFLICT)
    age(office)
    assert ACTIONS[action](office, key) in ("retrying", "discarded", "known", "erased")
    assert_invariants(office.client)


@pytest.mark.parametrize("action", [BulkAction.RETRY, BulkAction.DISCARD, BulkAction.KNOWN, BulkAction.ADOPT])
def test_an_operation_moves_and_restores_it(action: BulkAction, office: Office) -> None:
    office.bring(ADA, CONFLICT)
    before = office.fields()
    age(office)
    opened = office.open(Filter(state=State.CONFLICT), action)
    office.run()
    assert office.record().state is not State.CONFLICT
    assert_invariants(office.client)
    age(office)
    office.undo(opened)
    assert office.fields() == before
    assert_invariants(office.client)


def test_a_created_contact_expires(office: Office) -> None:
    office.bring(ADA, CREATED)
    age(office)
    office.advance(HOUR_MS)
    assert office.store.contacts.forget(HOUR_MS) == 1
    assert list(office.client.scan_iter(keys.finders("*"))) == []
    assert_invariants(office.client)
