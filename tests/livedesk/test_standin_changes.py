"""The stand-in changes, deletes and merges contacts as Chatwoot does.

The expected answers are those of Chatwoot's own tests, ``contacts_controller_spec.rb`` in
``spec/controllers/api/v1/accounts`` (https://github.com/chatwoot/chatwoot). Where a test rests on the code alone, it
names the file.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.livedesk import StandIn, StandInError, serve
from tests.livedesk.test_standin import AUTH, ROOT, Api

#: The contact and the update of Chatwoot's spec.
ATTRIBUTES = {"test": "test", "test1": "test1"}
UPDATE: dict[str, Any] = {"name": "Test Blub", "custom_attributes": {"test": "new test", "test2": "test2"}}


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with serve(seed=1, by_id=True) as running:
        yield running
        assert running.stats().faults == 0


@pytest.fixture
def api(standin: StandIn) -> Iterator[Api]:
    with requests.Session() as session:
        session.trust_env = False
        yield Api(standin, session)


# Creates


def test_a_create_stores_attributes(api: Api) -> None:
    made = api.create(custom_attributes=ATTRIBUTES, additional_attributes={"company_name": "Company 1"})
    contact = made.json()["payload"]["contact"]
    assert contact["custom_attributes"] == ATTRIBUTES
    assert contact["additional_attributes"] == {"company_name": "Company 1"}


def test_a_name_that_is_too_long_is_refused(api: Api) -> None:
    refused = api.create(name="test" * 999)
    assert (refused.status_code, refused.json()["message"]) == (422, "Name is too long (maximum is 255 characters)")


@pytest.mark.parametrize("on", ["create", "update"])
def test_attributes_can_be_dropped_silently(on: str, api: Api, standin: StandIn) -> None:
    standin.behave("attributes_not_stored", on=on)
    made = api.create(custom_attributes=ATTRIBUTES)
    assert made.status_code == 200
    assert standin.contacts()[0].custom_attributes == ({} if on == "create" else ATTRIBUTES)
    assert api.update(1, **UPDATE).json()["payload"]["name"] == "Test Blub"
    expected = UPDATE["custom_attributes"] if on == "create" else ATTRIBUTES
    assert standin.contacts()[0].custom_attributes == expected


# Updates


def test_an_update_merges_attributes_without_overwriting_the_others(api: Api, standin: StandIn) -> None:
    api.create(custom_attributes=ATTRIBUTES)
    updated = api.update(1, **UPDATE)
    payload = updated.json()["payload"]
    assert (updated.status_code, payload["name"], payload["identifier"]) == (200, "Test Blub", "u-1")
    assert payload["custom_attributes"] == {"test": "new test", "test1": "test1", "test2": "test2"}


def test_an_update_can_be_one_that_replaces_attributes(api: Api, standin: StandIn) -> None:
    standin.behave("attributes_not_merged")
    api.create(custom_attributes=ATTRIBUTES, additional_attributes={"city": "Berlin"})
    api.update(1, **UPDATE)
    (after,) = standin.contacts()
    assert after.custom_attributes == UPDATE["custom_attributes"]
    assert after.additional_attributes == {"city": "Berlin"}, "of a kind that was not sent"


def test_an_attribute_that_is_null_is_stored_as_null(api: Api) -> None:
    """Ruby's ``Hash#merge``, in ``contact_custom_attributes`` of ``contacts_controller.rb``."""
    api.create(custom_attributes=ATTRIBUTES)
    payload = api.update(1, custom_attributes={"test": None}).json()["payload"]
    assert payload["custom_attributes"] == {"test": None, "test1": "test1"}
    assert api.update(1, custom_attributes=None).json()["payload"] == payload, "null is no attributes"


def test_a_field_that_is_null_is_cleared_and_an_avatar_is_not(api: Api, standin: StandIn) -> None:
    """``process_avatar_from_url`` of ``contacts_controller.rb`` does nothing without an address."""
    api.create(phone_number="+12000000", avatar_url="http://example.com/avatar.png")
    payload = api.update(1, email=None, phone_number=None, name=None, avatar_url=None).json()["payload"]
    assert (payload["email"], payload["phone_number"], payload["name"]) == (None, None, None)
    assert standin.contacts()[0].avatar_url == "http://example.com/avatar.png"
    api.update(1, avatar_url="http://example.com/other.png")
    assert standin.contacts()[0].avatar_url == "http://example.com/other.png"


def test_a_contact_of_another_account_cannot_be_updated(api: Api) -> None:
    assert api.update(99, **UPDATE).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"), [("email", "TEST1@example.com"), ("phone_number", "+12000000"), ("identifier", "taken")]
)
def test_a_value_that_another_contact_has_is_refused(field: str, value: str, api: Api, standin: StandIn) -> None:
    standin.add_contact(identifier="taken", email="test1@example.com", phone_number="+12000000")
    api.create()
    refused = api.update(2, **UPDATE, **{field: value})
    assert (refused.status_code, refused.json()["attributes"]) == (422, [field])
    assert standin.contacts("u-1")[0].name == "Alice", "all or nothing"


def test_a_value_that_was_stored_before_the_rules_can_refuse_any_update(api: Api, standin: StandIn) -> None:
    """The whole row is validated (devlikeapro/waha#1206)."""
    standin.add_contact(identifier="old", phone_number="0123", unchecked=True)
    refused = api.update(1, custom_attributes=ATTRIBUTES)
    assert (refused.status_code, refused.json()["attributes"]) == (422, ["phone_number"])
    assert api.update(1, custom_attributes=ATTRIBUTES, phone_number=None).status_code == 200


def test_a_contact_is_blocked_and_unblocked(api: Api) -> None:
    api.create()
    assert api.update(1, blocked=True).json()["payload"]["blocked"] is True
    assert api.update(1, blocked=False).json()["payload"]["blocked"] is False


def test_unknown_fields_and_the_inbox_change_nothing(api: Api, standin: StandIn) -> None:
    api.create()
    (before,) = standin.contacts()
    assert api.update(1, colour="red", inbox_id=2, source_id="s", id=7).status_code == 200
    assert standin.contacts() == [before]


def test_each_update_is_recorded_with_its_body(api: Api, standin: StandIn) -> None:
    api.create()
    api.create(identifier="u-2", email="bob@example.com")
    api.update(1, **UPDATE)
    api.update(2, name="Bob")
    api.update(2, email="alice@example.com")
    standin.behave("commit_then_reset", times=1)
    with pytest.raises(requests.ConnectionError):
        api.update(1, name="A.")
    standin.behave("reset", times=1)
    with pytest.raises(requests.ConnectionError):
        api.update(1, name="never executed")
    assert standin.updates(1) == [UPDATE, {"name": "A."}]
    assert standin.updates() == [UPDATE, {"name": "Bob"}, {"name": "A."}], "what was refused or lost is not among them"
    assert [record.body for record in standin.requests("update")][-1] == {"name": "never executed"}


def test_an_agent_edits_a_contact(api: Api, standin: StandIn) -> None:
    api.create(custom_attributes=ATTRIBUTES)
    edited = standin.edit(1, name="Alice L.", custom_attributes={"vip": True})
    assert (edited.name, edited.email) == ("Alice L.", "alice@example.com")
    assert edited.custom_attributes == {**ATTRIBUTES, "vip": True}
    assert standin.updates() == [], "nobody sent that to the API"
    with pytest.raises(StandInError, match="Email Invalid email"):
        standin.edit(1, email="no")


# Deletions


def test_an_administrator_deletes_a_contact(api: Api, standin: StandIn) -> None:
    api.create()
    assert api.call("DELETE", "/1").status_code == 200
    assert standin.contacts() == []
    assert [api.call("DELETE", "/1").status_code, api.update(1, name="A").status_code] == [404, 404]
    done = [record for record in standin.requests("delete") if record.executed]
    assert [record.contact_id for record in done] == [1]


def test_a_contact_who_is_online_is_not_deleted(api: Api, standin: StandIn) -> None:
    api.create(name="alice L.")
    standin.set_online(1)
    assert api.call("GET", "/1").json()["payload"]["availability_status"] == "online"
    refused = api.call("DELETE", "/1")
    assert (refused.status_code, refused.json()) == (422, {"message": "Alice l. is Online, please try again later"})
    api.update(1, name=None)
    assert api.call("DELETE", "/1").status_code == 500, "nil has no method capitalize"
    standin.set_online(1, False)
    assert api.call("DELETE", "/1").status_code == 200


def test_an_agent_may_not_delete(api: Api, standin: StandIn) -> None:
    api.create()
    standin.behave("unauthorized", on="delete", shape="not_authorized")
    refused = api.call("DELETE", "/1")
    assert (refused.status_code, refused.json()) == (401, {"error": "You are not authorized to do this action"})
    assert api.update(1, name="A").status_code == 200
    assert len(standin.contacts()) == 1


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE", "GET"])
def test_nobody_else_gets_in(method: str, api: Api, standin: StandIn) -> None:
    api.create()
    assert api.call(method, "/1", json=UPDATE, auth=("demo-key", "wrong")).status_code == 401
    assert standin.contacts()[0].name == "Alice"


# Merges


def test_the_base_wins_and_the_mergee_is_gone(api: Api, standin: StandIn) -> None:
    """``merge_and_remove_mergee_contact`` of ``app/actions/contact_merge_action.rb``: ``deep_merge``."""
    base = standin.add_contact(
        identifier="base", name="Base", custom_attributes={"val_test": "old", "val_empty": None, "deep": {"a": 1}}
    )
    mergee = standin.add_contact(
        identifier="mergee",
        name="Mergee",
        email="mergee@example.com",
        phone_number="+12212345",
        custom_attributes={"val_test": "new", "val_new": "new", "val_empty": "filled", "deep": {"a": 2, "b": 3}},
    )
    merged = standin.merge(base.id, mergee.id)
    assert (merged.identifier, merged.name) == ("base", "Base")
    assert (merged.email, merged.phone_number) == ("mergee@example.com", "+12212345"), "the gaps are filled"
    assert merged.custom_attributes == {
        "val_test": "old",
        "val_new": "new",
        "val_empty": None,
        "deep": {"a": 1, "b": 3},
    }
    assert api.update(mergee.id, name="A").status_code == 404
    assert api.found("mergee") == ["base"], "found by the e-mail address; the identifier has vanished"


# On its own


@contextmanager
def on_its_own(path: Path) -> Iterator[StandIn]:
    """Run the stand-in as a process, which is killed in the end."""
    command = [sys.executable, "-m", "tests.livedesk", "--port", "0", "--quiet", "--file", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield StandIn(process.stdout.readline().rsplit(" ", 1)[1].strip())
        finally:
            process.kill()


def test_a_file_keeps_the_contacts_for_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "contacts.jsonl"
    began_ms, ids = time.time() * 1000, []
    for number in range(3):
        with on_its_own(path) as standin:
            assert [contact.name for contact in standin.contacts()] == ["after"] * number
            person = {"inbox_id": 1, "identifier": f"u-{number}", "name": "before"}
            made = requests.post(standin.contacts_url, json=person, auth=AUTH, timeout=3).json()
            ids.append(made["payload"]["contact"]["id"])
            requests.patch(f"{standin.contacts_url}/{ids[-1]}", json={"name": "after"}, auth=AUTH, timeout=3)
    assert began_ms <= ids[0] < ids[1] < ids[2], "no run uses the ids of another one again"
    with path.open("a") as file:
        file.write('[1, {"cut')
    with on_its_own(path) as standin:
        assert [contact.id for contact in standin.contacts()] == ids
        standin.delete_contact(ids[0])
    with on_its_own(path) as standin:
        assert [contact.id for contact in standin.contacts()] == ids[1:]
        assert path.stat().st_mode & 0o077 == 0, "personal data"
        standin.reset()
    assert path.read_text() == ""
