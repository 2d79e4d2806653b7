"""The person is in LiveDesk already: wholly, in part, or as somebody else."""

import json
from typing import Any

import pytest

from tests.e2e.system import System
from tests.livedesk import Contact

WHO = "user-42"
ADA = {"name": "Ada", "email": "ada@example.com", "phone_number": "+49301234567"}


def test_a_contact_that_has_the_identifier_is_adopted(system: System) -> None:
    there = system.livedesk.add_contact(identifier=WHO, name="Ada King", email="ada@example.com")
    system.accept(WHO, **ADA)

    record = system.wait_for(WHO, "created")
    assert (record["outcome"], record["contact_id"]) == ("adopted", there.id)
    assert record["notes"] == [
        {"field": "name", "text": "LiveDesk has another value", "code": "differs"},
        {"field": "phone_number", "text": "LiveDesk has none", "code": "differs"},
    ]
    assert system.executed(WHO) == []
    system.assert_one_contact(WHO)


def test_a_contact_that_has_the_address_and_no_identifier_is_adopted(system: System) -> None:
    owner = owner_of(system, "email")
    system.accept(WHO, **ADA)

    record = system.wait_for(WHO, "created")
    assert (record["outcome"], record["contact_id"]) == ("adopted", owner.id)
    assert {
        "field": "email",
        "text": "adopted the contact that had this value and no identifier",
        "code": "adopted",
    } in record["notes"]
    assert len(system.livedesk.requests("update")) == 1
    assert system.executed(WHO) == []
    system.assert_one_contact(WHO)


@pytest.mark.parametrize("language", ["zh", "de"])
def test_it_is_adopted_in_whatever_language_livedesk_answers(system: System, language: str) -> None:
    owner = owner_of(system, "email")
    system.livedesk.behave("localised", language=language)
    system.accept(WHO, **ADA)

    assert system.wait_for(WHO, "created")["contact_id"] == owner.id
    system.assert_one_contact(WHO)


@pytest.mark.parametrize("identifier", [None, "somebody-else"])
def test_a_phone_number_of_another_contact_is_left_out(system: System, identifier: str | None) -> None:
    owner = owner_of(system, "phone_number", identifier=identifier)
    system.accept(WHO, **ADA)

    record = system.wait_for(WHO, "created")
    note = {"field": "phone_number", "text": f"left out: LiveDesk contact {owner.id} has it", "code": "left_out"}
    assert (record["outcome"], record["notes"]) == ("created", [note])
    assert owner in system.livedesk.contacts()
    assert len(system.creates(WHO)) == 2
    # A second one if no request was left for the create: the next attempt looks again whose number it is.
    assert len(system.livedesk.requests("search")) in (1, 2)
    assert len(system.livedesk.contacts(WHO)) == 1


def test_a_contact_that_has_the_address_and_another_identifier_is_a_conflict(system: System) -> None:
    owner = owner_of(system, "email", identifier="somebody-else")
    system.accept(WHO, **ADA)

    record = system.wait_for(WHO, "conflict")
    assert (record["cause"], record["owner_id"]) == ("email_taken", owner.id)
    assert "has already been taken" in record["attempts"][-1]["excerpt"]
    assert system.livedesk.contacts("somebody-else") == [owner]
    assert system.executed(WHO) == []


def owner_of(system: System, field: str, **more: str | None) -> Contact:
    fields: dict[str, Any] = {"name": "Somebody", field: ADA[field], **more}
    return system.livedesk.add_contact(**fields)


def test_a_conflict_that_was_cleared_up_is_created_on_retry(system: System) -> None:
    owner = owner_of(system, "email", identifier="somebody-else")
    system.accept(WHO, **ADA)
    system.wait_for(WHO, "conflict")

    system.livedesk.delete_contact(owner.id)
    assert system.store.contacts.retry_now(system.store.key_of(WHO)) == "retrying"
    assert system.wait_for(WHO, "created")["outcome"] == "created"
    system.assert_one_contact(WHO)


def test_newer_data_give_a_conflict_another_try(system: System) -> None:
    owner_of(system, "email", identifier="somebody-else")
    system.accept(WHO, **ADA)
    system.wait_for(WHO, "conflict")

    system.accept(WHO, **{**ADA, "email": "countess@example.com"})
    assert system.wait_for(WHO, "created")["outcome"] == "created"
    system.assert_one_contact(WHO)


def test_an_identifier_that_two_contacts_have_is_a_conflict(system: System) -> None:
    for _ in range(2):
        system.livedesk.add_contact(identifier=WHO, unchecked=True)
    system.accept(WHO)

    record = system.wait_for(WHO, "conflict")
    assert record["cause"] == "identifier_found_twice"
    assert record["owner_id"] is not None
    assert system.executed(WHO) == []


@pytest.mark.parametrize("field", ["email", "phone_number", "name", "avatar_url"])
def test_an_optional_field_that_livedesk_refuses_is_left_out_and_noted(system: System, field: str) -> None:
    body = json.dumps({"message": f"{field} is not to its taste", "attributes": [field]})
    # An address whose owner no search shows is tried once more after the settle time.
    system.livedesk.behave("status", on="create", times=2 if field == "email" else 1, status=422, body=body)
    system.accept(WHO, **ADA, avatar_url="https://example.com/a.png")

    record = system.wait_for(WHO, "created")
    assert record["outcome"] == "created"
    assert record["notes"] == [{"field": field, "text": "left out: LiveDesk did not accept it", "code": "left_out"}]
    system.assert_one_contact(WHO)
    [contact] = system.livedesk.contacts(WHO)
    assert {name: getattr(contact, name) or None for name in ADA} == {
        name: None if name == field else value for name, value in ADA.items()
    }


def test_a_field_that_no_livedesk_would_take_is_left_out_before(system: System) -> None:
    system.accept(WHO, email="not an address", phone_number="12", name="Ada")

    record = system.wait_for(WHO, "created")
    assert {note["field"] for note in record["notes"]} == {"email", "phone_number"}
    assert len(system.creates(WHO)) == 1
    system.assert_one_contact(WHO)
