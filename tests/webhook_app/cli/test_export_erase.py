"""``flask export`` and ``erase``, and what an export has to do with an import."""

import csv
import io
import json
from typing import cast

import pytest
import redis

from tests.life import NOON, Life
from tests.webhook_app.cli.office import Office
from tests.world import CREATED, FAILED, LEASE_MS
from webhook_app.cli.export import PAGE
from worker.model import Attempt, AttemptResult, Contact, Origin, State, Unanswered
from worker.store import keys
from worker.store.contacts import Erased

LOST = AttemptResult(state=State.RETRYING, cause="answer_timeout", delay_ms=10**6, unanswered=Unanswered.NOW)


# Export


def test_everything_is_exported(office: Office) -> None:
    office.bring(Contact("ada", name="Ada"), CREATED)
    office.bring(Contact("bob", name="=1+1"), FAILED)
    office.store.contacts.accept(Contact("cyd", 3, "Cyd", phone_number="+4915112345678"), Origin("app"))
    result = office.flask("export")
    assert result.exit_code == 0
    rows = {row["identifier"]: row for row in csv.DictReader(io.StringIO(result.stdout))}
    assert {name: row["state"] for name, row in rows.items()} == {"ada": "created", "bob": "failed", "cyd": "pending"}
    assert (rows["ada"]["contact_id"], rows["ada"]["name"]) == ("7", "")
    assert (rows["bob"]["name"], rows["bob"]["cause"]) == ("'=1+1", "email_refused")
    assert (rows["cyd"]["phone_number"], rows["cyd"]["inbox_id"]) == ("+4915112345678", "3")


def test_json_lines_are_exported_as_the_api_shows_them(office: Office) -> None:
    office.bring(Contact("ädä", name="Ada"), FAILED)
    [line] = office.flask("export", "--format", "jsonl").stdout.splitlines()
    row = json.loads(line)
    assert (row["identifier"], row["name"], row["email"], row["state"]) == ("ädä", "Ada", None, "failed")
    assert row["attempts"][0]["cause"] == "email_refused"


def test_only_some_states_are_exported(office: Office) -> None:
    office.bring(Contact("ada"), CREATED)
    office.bring(Contact("bob"), FAILED)
    office.store.contacts.accept(Contact("cyd"), Origin("app"))
    lines = office.flask("export", "--state", "failed", "--state", "pending", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["identifier"] for line in lines] == ["bob", "cyd"]


def test_all_pages_are_exported(office: Office) -> None:
    for number in range(PAGE + 3):
        office.store.contacts.accept(Contact(f"user-{number}"), Origin("app"))
    rows = list(csv.DictReader(io.StringIO(office.flask("export").stdout)))
    assert len({row["identifier"] for row in rows}) == len(rows) == PAGE + 3


@pytest.mark.parametrize(("form", "name"), [("csv", "people.csv"), ("jsonl", "people.jsonl")])
def test_what_was_exported_can_be_imported(form: str, name: str, office: Office) -> None:
    people = [
        Contact("=ada", 3, "-Ada", "ada@example.com", "+4915112345678", "https://example.com/a.png"),
        Contact("bob", None, 'B"o,b'),
        Contact("'cyd", custom_attributes={"plan": "pro", "seats": 3, "is_trial": True}),
    ]
    for contact in people:
        office.store.contacts.accept(contact, Origin("app"))
    text = office.flask("export", "--format", form).stdout
    office.client.flushall()
    assert office.take(text, name=name).stdout == "3 accepted, 0 updated, 0 duplicate, 0 invalid.\n"
    assert [office.contact(contact.identifier) for contact in people] == people


@pytest.mark.parametrize(("form", "name"), [("csv", "people.csv"), ("jsonl", "people.jsonl")])
def test_an_import_of_an_export_brings_no_deleted_person_back(form: str, name: str, office: Office) -> None:
    Life(office).is_deleted()
    text = office.flask("export", "--format", form).stdout
    office.client.flushall()
    assert office.take(text, name=name).stdout == "0 accepted, 0 updated, 0 duplicate, 1 ignored, 0 invalid.\n"
    assert office.store.contacts.find("ada") is None


@pytest.mark.parametrize(("form", "name"), [("csv", "people.csv"), ("jsonl", "people.jsonl")])
def test_an_old_export_does_not_overwrite_what_is_newer(form: str, name: str, office: Office) -> None:
    ada = Life(office)
    ada.changes(at=NOON, name="Ada")
    text = office.flask("export", "--format", form).stdout
    ada.changes(at=NOON + 1000, name="Ada King")
    assert office.take(text, name=name).exit_code == 0
    assert office.contact("ada").name == "Ada King"


# Erase


def test_a_person_is_forgotten(office: Office) -> None:
    office.bring(Contact("ada", name="Ada"), CREATED)
    result = office.flask("erase", "ada")
    assert result.exit_code == 0
    assert "will create a new contact" in result.stdout
    assert "LiveDesk still has contact 7" in result.stdout
    assert "The answer to a create request was lost" not in result.stdout
    assert "Redis's append-only file has the data until Redis rewrites it: add --rewrite-aof" in result.stdout
    assert office.store.contacts.find("ada") is None
    assert set(office.store.contacts.counts().values()) == {0}
    assert office.client.zcard(keys.DUE) == 0


@pytest.mark.parametrize("verdict", [FAILED, LOST, AttemptResult(state=State.CONFLICT, cause="x", owner_id="9"), None])
def test_whatever_the_state_nothing_stays(verdict: AttemptResult | None, office: Office, client: redis.Redis) -> None:
    office.store.salt()
    before = client.dbsize()
    if verdict is None:
        office.store.contacts.accept(Contact("ada", name="Ada"), Origin("app"))
    else:
        office.bring(Contact("ada", name="Ada"), verdict)
    assert office.flask("erase", "ada").exit_code == 0
    names = cast(list[str], client.keys())
    counts = [name for name in names if name.startswith((keys.COUNTS, keys.minute(""), keys.people("")))]
    client.delete(keys.QUEUE, keys.CAUSES, keys.UPSTREAM, keys.FAILING, keys.AUDIT, *counts)
    assert client.dbsize() == before


def test_the_append_only_file_is_rewritten_on_request(office: Office) -> None:
    office.bring(Contact("ada", name="Ada"), CREATED)
    result = office.flask("erase", "ada", "--rewrite-aof", "--also", "ada@example.com")
    assert result.exit_code == 0
    assert "Backups and the files of replicas keep it" in result.stdout


def test_an_answer_that_is_unknown_is_said(office: Office) -> None:
    office.bring(Contact("ada"), LOST)
    assert "The answer to a create request was lost" in office.flask("erase", "ada").stdout


def test_a_contact_is_not_erased_during_an_attempt(office: Office) -> None:
    office.store.contacts.accept(Contact("ada"), Origin("app"))
    claim = office.store.contacts.claim(office.key("ada"), "token")
    assert claim is not None
    result = office.flask("erase", "ada")
    assert result.exit_code == 1
    assert "An attempt is in progress" in result.stderr
    assert office.record("ada").state is State.SENDING
    office.store.shift_ms += LEASE_MS
    assert office.store.contacts.erase(office.store.key_of("ada")) == Erased("erased", "", True), "its worker has died"
    assert not office.store.contacts.renew(claim)
    assert not office.store.contacts.finish(claim, CREATED, Attempt(1, 1)).written, "a late answer brings nobody back"
    assert office.store.contacts.find("ada") is None
    assert office.store.contacts.erase(office.store.key_of("ada")) == Erased("gone")


def test_a_contact_cannot_be_erased_twice(office: Office) -> None:
    result = office.flask("erase", "ada")
    assert result.exit_code == 1
    assert "There is no such contact." in result.stderr


def test_who_was_forgotten_is_new(office: Office) -> None:
    office.bring(Contact("ada"), CREATED)
    office.flask("erase", "ada")
    assert office.store.contacts.accept(Contact("ada"), Origin("app")).status == "accepted"


def test_exports_are_audited(office: Office) -> None:
    office.flask("export")
    office.flask("export", "--state", "failed", "--who", "joan")
    assert [(entry.who, entry.did) for entry in office.store.audit.page()] == [
        ("joan", "exported 0 contacts: failed"),
        ("command line", "exported 0 contacts: all"),
    ]
