"""The same people in several systems: two that issue accounts, and a form."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.conftest import StartSystem
from tests.e2e.system import BEARER, OPERATOR, System, call
from tests.livedesk import Contact
from worker.store import keys

PEOPLE = 200
ACCOUNTS, FORM = ("app", "crm"), "form"
SOURCES = """
[sources.app]
verify = "token"
secret = "$APP_SECRET"

[sources.app.map]
identifier = "$.id"
email = "$.email"
email_verified = "$.verified"
name = "$.name"
phone_number = "$.phone"

[sources.crm]
verify = "token"
secret = "$APP_SECRET"
map = { identifier = "$.id", email = "$.email", name = "$.name", phone_number = "$.phone" }

[sources.form]
verify = "token"
secret = "$APP_SECRET"
identity = "visitor"
map = { identifier = "$.id", email = "$.email", name = "$.name", phone_number = "$.phone" }
"""


@pytest.fixture
def system(start_system: StartSystem, tmp_path_factory: pytest.TempPathFactory) -> System:
    global _sources
    if _sources is None:
        _sources = tmp_path_factory.mktemp("sources") / "sources.toml"
        _sources.write_text(SOURCES)
    secret = BEARER["Authorization"].removeprefix("Bearer ")
    return start_system(env={"SOURCES_FILE": str(_sources), "APP_SECRET": secret})


_sources: Any = None


def send(system: System, source: str, identifier: str, **fields: object) -> dict[str, Any]:
    """Send a delivery of a source, which must be answered 200; return the answer."""
    answer = call("POST", f"{system.stack.url}/webhooks/{source}", json={"id": identifier, **fields}, headers=BEARER)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def audited(system: System) -> list[dict[str, Any]]:
    """Return all entries of the audit log."""
    entries: list[dict[str, Any]] = []
    while True:
        before = f"&before={entries[-1]['id']}" if entries else ""
        page = call("GET", f"{system.stack.url}/api/v1/audit?limit=100{before}", headers=OPERATOR).json()["entries"]
        if not page:
            return entries
        entries += page


def only(system: System) -> Contact:
    [contact] = system.livedesk.contacts()
    return contact


def test_two_hundred_people_in_two_account_sources_and_a_form(system: System) -> None:
    """All 600 deliveries are sent at once, in any order: no operator is needed, and each person is one contact."""
    deliveries = [(source, number) for source in (*ACCOUNTS, FORM) for number in range(PEOPLE)]
    random.Random(1).shuffle(deliveries)

    def deliver(delivery: tuple[str, int]) -> None:
        source, number = delivery
        name = f"Person {number} of the {source}"
        send(system, source, f"{source}-{number}", email=f"person-{number}@example.com", name=name)

    with ThreadPoolExecutor(8) as senders:
        list(senders.map(deliver, deliveries))
    system.drain(timeout_s=120)

    states = {state: system.client.zcard(keys.state(state)) for state in ("created", "conflict", "failed")}
    assert states == {"created": 3 * PEOPLE, "conflict": 0, "failed": 0}
    assert system.livedesk.stats().duplicates == 0
    records = assert_one_contact_each(system, PEOPLE)
    did = Counter((entry["who"], entry["target"]) for entry in audited(system))
    for identifier, record in records.items():
        decided = did["sync", system.key(identifier)]
        if promoted_later(record):
            assert decided == 0, "what was decided is in the audit log under the account's key"
        else:
            assert decided == (record["outcome"] != "created"), record


def promoted_later(record: dict[str, Any]) -> bool:
    """Whether it created the contact, which then got another identifier."""
    return record["outcome"] == "known" and "known" not in {note["code"] for note in record["notes"]}


def test_a_form_first_and_the_account_later(system: System) -> None:
    send(system, FORM, "submission-1", email="ada@example.com", name="Ada")
    form = system.wait_for("submission-1", "created")
    send(system, "app", "user-1", email="Ada@Example.com", name="Ada Lovelace")
    record = system.wait_for("user-1", "created")
    assert (record["outcome"], record["contact_id"]) == ("adopted", form["contact_id"])
    assert only(system).identifier == "user-1"
    assert system.record("submission-1")["outcome"] == "known"
    [entry] = audited(system)
    assert (entry["who"], entry["target"]) == ("sync", system.key("user-1"))
    assert entry["did"] == f"promoted: LiveDesk contact {only(system).id} has this identifier now"
    assert entry["why"] == "it had the same e-mail address, under a visitor's identifier"
    assert [request.status for request in system.livedesk.requests("update")] == [200]


@pytest.mark.parametrize(
    "mode", ["commit_then_reset", "commit_then_500", "reset", "hang", "throttle", "index_race_500"]
)
def test_a_promotion_survives_what_livedesk_does_to_its_request(system: System, mode: str) -> None:
    send(system, FORM, "submission-1", email="ada@example.com", name="Ada")
    system.wait_for("submission-1", "created")
    options = {"retry_after": 1} if mode == "throttle" else {}
    system.livedesk.behave(mode, on="update", times=1, **options)
    send(system, "app", "user-1", email="ada@example.com", name="Ada")
    record = system.wait_for("user-1", "created")
    assert record["outcome"] == "adopted"
    assert "promoted" in [note["code"] for note in record["notes"]]
    assert only(system).identifier == "user-1"
    assert system.record("submission-1")["outcome"] == "known"


def test_a_search_that_lags_behind_makes_nobody_two_contacts(system: System) -> None:
    system.livedesk.behave("search_lag", delay=0.7)
    for number in range(20):
        for source in (FORM, *ACCOUNTS):
            send(system, source, f"{source}-{number}", email=f"person-{number}@example.com")
    system.drain()
    contacts = system.livedesk.contacts()
    assert len(contacts) == 20
    assert {contact.email for contact in contacts} == {f"person-{number}@example.com" for number in range(20)}
    assert system.client.zcard(keys.state("created")) == 60


@pytest.mark.parametrize("mode", ["commit_then_reset", "index_race_500", "html_503"])
def test_people_while_livedesk_misbehaves(system: System, mode: str) -> None:
    """A tenth of all answers is lost or late: still each person is one contact, under an account's identifier.

    If it were a fifth, a contact could fail five times in a row and be suspected of breaking LiveDesk.
    """
    system.livedesk.behave(mode, share=0.1, seed=1, on="any")
    deliveries = [(source, number) for source in (*ACCOUNTS, FORM) for number in range(25)]
    random.Random(2).shuffle(deliveries)
    for source, number in deliveries:
        send(system, source, f"{source}-{number}", email=f"person-{number}@example.com")
    system.drain(timeout_s=120)
    assert_one_contact_each(system, 25)


def assert_one_contact_each(system: System, people: int) -> dict[str, dict[str, Any]]:
    """Check that each person is one contact, and that one record has its identifier: an account's.

    Return all records by identifier.
    """
    found: dict[str, dict[str, Any]] = {}
    contacts = {contact.email: contact for contact in system.livedesk.contacts()}
    assert (len(contacts), len(system.livedesk.contacts())) == (people, people)
    for number in range(people):
        contact = contacts[f"person-{number}@example.com"]
        records = {source: system.record(f"{source}-{number}") for source in (*ACCOUNTS, FORM)}
        assert {record["contact_id"] for record in records.values()} == {contact.id}, records
        own = [source for source, record in records.items() if record["outcome"] != "known"]
        assert [f"{source}-{number}" for source in own] == [contact.identifier], "an account's, and only one"
        assert own != [FORM]
        found |= {f"{source}-{number}": record for source, record in records.items()}
    return found


def test_an_unverified_address_takes_over_nothing(system: System) -> None:
    owner = system.livedesk.add_contact(name="Vera", email="vera@example.com")
    send(system, "app", "mallory", email="vera@example.com", name="Mallory", verified=False)
    record = system.wait_for("mallory", "conflict")
    assert (record["cause"], record["owner_id"]) == ("email_taken", owner.id)
    assert system.livedesk.contacts() == [owner]


def test_a_form_with_somebody_elses_address_changes_nothing(system: System) -> None:
    owner = system.livedesk.add_contact(name="Vera", email="vera@example.com")
    send(system, FORM, "submission-1", email="vera@example.com", name="Mallory", phone="+49301234567")
    record = system.wait_for("submission-1", "created")
    assert (record["outcome"], record["contact_id"]) == ("known", owner.id)
    assert system.livedesk.contacts() == [owner]
    assert system.livedesk.requests("update") == []
    send(system, "app", "vera", email="vera@example.com", name="Vera", verified=True)
    assert system.wait_for("vera", "created")["outcome"] == "adopted"
    assert only(system).identifier == "vera"


def test_a_form_with_an_identifier_that_only_livedesk_knows(system: System) -> None:
    """The app's chat widget has created the contact: nobody is overwritten, nobody is lost in her."""
    jane = system.livedesk.add_contact(identifier="user-77", email="jane@example.com", name="Jane")
    send(system, FORM, "user-77", email="mallory77@example.net", name="Mallory")
    record = system.wait_for("user-77", "conflict")
    assert (record["cause"], record["owner_id"]) == ("identifier_clash", jane.id)
    assert system.livedesk.contacts() == [jane]


@pytest.mark.parametrize("is_form_first", [True, False])
def test_a_form_with_a_real_accounts_identifier(system: System, is_form_first: bool) -> None:
    """Nobody is overwritten, nobody is lost, and the overview shows it."""
    account = ("app", "user-77", {"email": "jane@example.com", "name": "Jane"})
    form = (FORM, "user-77", {"email": "mallory77@example.net", "name": "Mallory", "phone": "+49301234567"})
    first, second = (form, account) if is_form_first else (account, form)
    send(system, first[0], first[1], **first[2])
    system.wait_for("user-77", "created")
    answer = send(system, second[0], second[1], **second[2])
    assert answer["status"] == ("quarantined" if is_form_first else "accepted")
    assert answer["contact_id"] is None
    assert (answer["state"] is None) is (not is_form_first), "a form hears nothing about who exists"
    system.drain()
    contact = only(system)
    assert (contact.email, contact.name) == (first[2]["email"], first[2]["name"])
    [kept] = system.store.quarantine.page()
    assert (kept.source, kept.clash) == (second[0], first[0])
    assert second[2]["email"] in kept.payload
    situation = call("GET", f"{system.stack.url}/api/v1/situation", headers=OPERATOR).json()
    assert [(clash["source"], clash["other"]) for clash in situation["clashes"]] == [(second[0], first[0])]
