"""Workers create again what ``flask reconcile --repair`` finds missing."""

from tests.e2e.system import System
from worker.model import Contact


def test_a_contact_that_was_put_back_is_created_by_a_worker(system: System) -> None:
    system.accept("ada", name="Ada")
    first = system.wait_for("ada", "created")["contact_id"]
    system.livedesk.delete_contact(first)
    assert system.store.contacts.recreate(system.key("ada"), str(first), Contact("ada"))

    record = system.wait_for("ada", "created")
    assert record["contact_id"] != first
    assert [contact.id for contact in system.livedesk.contacts("ada")] == [record["contact_id"]]


def test_a_contact_that_was_there_after_all_is_adopted(system: System) -> None:
    system.accept("ada", name="Ada")
    first = system.wait_for("ada", "created")["contact_id"]
    assert system.store.contacts.recreate(system.key("ada"), str(first), Contact("ada"))
    assert system.wait_for("ada", "created")["outcome"] == "adopted"
    system.assert_one_contact("ada")
