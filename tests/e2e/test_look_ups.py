"""After a lost answer, in an account where searches find nearly everybody; inboxes that LiveDesk refuses."""

import time

import pytest

from tests.e2e.conftest import StartSystem
from tests.e2e.system import System
from worker.model import Contact, Origin

#: The stand-in needs longer to search so many contacts than the other tests allow.
SLOW = {"LIVEDESK_TIMEOUT": "20s"}
MANY = 200_000


@pytest.fixture
def crowded(start_system: StartSystem) -> System:
    system = start_system(env=SLOW)
    system.livedesk._timeout = 120
    system.livedesk.fill(MANY, oldest_s=3e7, newest_s=3600)
    return system


def searches(system: System) -> int:
    return len(system.livedesk.requests("search"))


#: Short identifiers, which searches find in many other contacts, and what else is known of the person.
SHORT: dict[str, dict[str, str]] = {
    "5": {},
    "42": {"email": "grace@navy.example"},
    "A": {"phone_number": "+4915155566677"},
    "com": {"name": "Grace Hopper"},
}
#: The same, where LiveDesk executes no create.
NOT_EXECUTED: dict[str, dict[str, str]] = {"7": {}, "9": {"email": "ada@navy.example"}}


def test_short_identifiers_in_a_large_account(crowded: System) -> None:
    """All in one account, because filling it takes most of the time."""
    for identifier, values in SHORT.items():
        assert_outcome(crowded, "commit_then_reset", identifier, values, "adopted")
    for identifier, values in NOT_EXECUTED.items():
        assert_outcome(crowded, "reset", identifier, values, "created")


def assert_outcome(system: System, mode: str, identifier: str, values: dict[str, str], outcome: str) -> None:
    """Create somebody whose first create gets no answer: two searches find out what it did."""
    before = searches(system)
    system.livedesk.behave(mode, on="create", times=1)
    system.accept(identifier, **values)
    record = system.wait_for(identifier, "created", timeout_s=60)
    assert record["outcome"] == outcome, identifier
    if outcome == "adopted":
        assert searches(system) - before <= 2, identifier
    system.assert_one_contact(identifier)


def test_an_identifier_of_backslashes_is_a_conflict_at_once(system: System) -> None:
    """The normaliser takes it for a placeholder, unless a source allows it by name."""
    system.livedesk.behave("commit_then_reset", on="create", times=1, identifier="\\")
    system.store.contacts.accept(Contact("\\", 1), Origin("signup"))
    record = system.wait_for("\\", "conflict")
    assert (record["cause"], searches(system)) == ("cannot_be_looked_up", 0)

    system.livedesk.behave("commit_then_reset", on="create", times=1, identifier="\\\\")
    system.store.contacts.accept(Contact("\\\\", 1, email="grace@navy.example"), Origin("signup"))
    assert system.wait_for("\\\\", "created")["outcome"] == "adopted"


def test_later_versions_of_chatwoot_are_understood(system: System) -> None:
    """Their search for a number finds the contact with this id, and ``direction`` does nothing."""
    system.livedesk.behave("newer_search", on="search")
    other = system.livedesk.add_contact(identifier="somebody", name="Somebody", created_at=time.time() - 3600)
    system.livedesk.behave("reset", on="create", times=1)
    system.accept(str(other.id))

    record = system.wait_for(str(other.id), "created")
    assert record["outcome"] == "created"
    system.assert_one_contact(str(other.id))


@pytest.mark.parametrize(
    ("channel", "fields", "cause"),
    [
        ("Channel::Email", {}, "inbox_needs_value"),
        ("Channel::Whatsapp", {"email": "grace@navy.example"}, "inbox_needs_value"),
    ],
)
def test_contacts_of_an_inbox_that_needs_a_value_wait_and_nobody_fails(
    channel: str, fields: dict[str, str], cause: str, system: System
) -> None:
    system.livedesk.set_inbox(7, channel)
    system.accept("held", inbox_id=7, **fields)
    assert system.wait_for("held", "retrying")["cause"] == cause
    assert [one.inbox for one in system.store.upstream.read().inboxes] == ["7"]
    system.accept("another")
    assert system.wait_for("another", "created")["outcome"] == "created"

    system.livedesk.set_inbox(7, "Channel::Api")
    system.store.upstream.probe_now()
    assert system.wait_for("held", "created")["outcome"] == "created"
