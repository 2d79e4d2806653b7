"""What happens after the signup, from the webhook to LiveDesk's contact."""

import time

from tests.e2e.system import System
from tests.livedesk.contact import Contact
from tests.world import wait_until

ADA = {"identifier": "ada", "name": "Ada Lovelace", "email": "ada@example.com", "phone_number": "+493012345"}
MORNING, NOON, EVENING = (f"2026-06-01T{hour}:00:00Z" for hour in ("08", "12", "20"))


def only(system: System, identifier: str = "ada") -> Contact:
    [contact] = system.livedesk.contacts(identifier)
    return contact


def settled(system: System, identifier: str = "ada") -> Contact:
    """Wait until nothing is open, and return LiveDesk's contact."""
    system.drain()
    return only(system, identifier)


def test_a_change_reaches_livedesk_and_an_agents_edit_survives_it(system: System) -> None:
    system.report("user.created", MORNING, **ADA)
    contact = settled(system)
    system.livedesk.edit(contact.id, name="Countess of Lovelace")
    answer = system.report("user.updated", NOON, **{**ADA, "phone_number": "+493054321"})
    assert (answer["status"], answer["contact_id"]) == ("accepted", contact.id)
    contact = settled(system)
    assert (contact.name, contact.phone_number) == ("Countess of Lovelace", "+493054321")
    assert system.livedesk.updates(contact.id) == [{"phone_number": "+493054321"}]
    record = system.record("ada")
    assert (record["state"], record["outcome"]) == ("created", "updated")


def test_a_late_event_and_a_repeat_change_nothing(system: System) -> None:
    system.report("user.created", MORNING, **ADA)
    settled(system)
    system.report("user.updated", EVENING, **{**ADA, "name": "Ada King"})
    settled(system)
    for at, name in ((NOON, "Ada Byron"), (EVENING, "Ada King"), (MORNING, "Ada Lovelace")):
        assert system.report("user.updated", at, **{**ADA, "name": name})["status"] == "duplicate"
    assert settled(system).name == "Ada King"
    assert len(system.livedesk.updates()) == 1


def test_a_change_whose_answer_is_lost_is_sent_again_harmlessly(system: System) -> None:
    system.report("user.created", MORNING, **ADA)
    contact = settled(system)
    system.livedesk.behave("commit_then_hang", on="update", times=1)
    system.report("user.updated", NOON, **{**ADA, "name": "Ada King"})
    contact = settled(system)
    assert contact.name == "Ada King"
    assert system.livedesk.updates(contact.id) == [{"name": "Ada King"}] * 2
    assert "answer_timeout" in system.causes()
    system.assert_one_contact("ada")


def test_nothing_revives_a_deleted_person(system: System) -> None:
    system.report("user.created", MORNING, **ADA)
    contact = settled(system)
    assert system.report("user.deleted", NOON, identifier="ada")["status"] == "accepted"
    contact = settled(system)
    assert contact.custom_attributes == {"account_deleted_at": "2026-06-01T12:00:00Z"}
    assert system.record("ada")["state"] == "deleted"
    assert system.report("user.created", MORNING, **ADA)["status"] == "duplicate"
    assert system.report("user.updated", NOON, **{**ADA, "name": "Ada King"})["status"] == "duplicate"
    assert settled(system) == contact


def test_a_deletion_that_overtakes_the_signup_wins(system: System) -> None:
    system.report("user.deleted", NOON, identifier="ada")
    assert system.report("user.created", MORNING, **ADA)["status"] == "duplicate"
    system.drain()
    assert system.livedesk.contacts("ada") == []


def test_attributes_are_sent_after_the_create(system: System) -> None:
    system.report("user.created", MORNING, **ADA, custom_attributes={"plan": "pro", "seats": 5, "beta": True})
    contact = settled(system)
    assert contact.custom_attributes == {"plan": "pro", "seats": 5, "beta": True}
    system.livedesk.edit(contact.id, custom_attributes={"seats": 7})
    system.report("user.updated", NOON, identifier="ada", custom_attributes={"plan": "free", "seats": 5, "beta": True})
    assert settled(system).custom_attributes == {"plan": "free", "seats": 7, "beta": True}


def test_a_merged_contact_is_found_again_and_a_deleted_one_is_a_conflict(system: System) -> None:
    system.report("user.created", MORNING, **ADA)
    system.report("user.created", MORNING, identifier="bob", name="Bob")
    system.drain()
    ada, bob = only(system), only(system, "bob")
    other = system.livedesk.add_contact(name="Ada of the chat")
    system.livedesk.merge(other.id, ada.id)
    system.livedesk.delete_contact(bob.id)
    system.report("user.updated", NOON, **{**ADA, "name": "Ada King"})
    system.report("user.updated", NOON, identifier="bob", name="Robert")
    assert settled(system).id == other.id
    assert only(system).name == "Ada King"
    record = system.record("bob")
    assert (record["state"], record["cause"]) == ("conflict", "contact_gone")


def test_a_burst_of_changes_does_not_delay_a_signup(system: System) -> None:
    people = [f"user-{number}" for number in range(300)]
    for identifier in people:
        system.report("user.created", MORNING, identifier=identifier, name="before")
    system.drain()
    for identifier in people:
        system.report("user.updated", NOON, identifier=identifier, name="after")
    began = time.monotonic()
    system.report("user.created", NOON, identifier="new", name="Grace")
    wait_until(lambda: system.livedesk.contacts("new"), "the signup overtakes the changes")
    waiting = int(system.client.zcard("{lds}:due"))
    assert waiting, f"the changes were all sent within {time.monotonic() - began:.1f} s"
    system.drain()
    names = {contact.identifier: contact.name for contact in system.livedesk.contacts()}
    assert names == {**dict.fromkeys(people, "after"), "new": "Grace"}
