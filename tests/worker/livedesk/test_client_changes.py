"""Changes and deletions by the LiveDesk client: what is sent, what answers mean."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.livedesk import StandIn, serve
from tests.worker.livedesk.test_client import ADA, RawServer, answer, client_of, listening, refusal_of
from worker.errors import AnswerUnknown, LiveDeskError, Misconfigured, Rejected, Throttled
from worker.livedesk.answers import Deletion, Person
from worker.livedesk.client import LiveDesk
from worker.model import Attribute, Contact

PLAN: dict[str, Attribute] = {"plan": "pro", "seats": 3, "trial": False, "rate": 0.5}


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with serve(by_id=True) as standin:
        yield standin


@pytest.fixture
def standin(running: StandIn) -> StandIn:
    running.reset()
    return running


@pytest.fixture
def livedesk(standin: StandIn) -> LiveDesk:
    return client_of(standin.url)


@pytest.fixture
def server() -> Iterator[RawServer]:
    with listening(RawServer()) as server:
        yield server


# What is sent


def test_an_update_sends_the_changes_and_nothing_else(server: RawServer) -> None:
    server.answer = answer(200, b'{"payload": {"id": 7}}')
    changes = {"name": "Ada", "phone_number": None, "custom_attributes": {"plan": "pro", "seats": None}}
    assert client_of(server.url).update("7", changes) == 200
    (sent,) = server.received
    assert sent.target == "/api/v2/accounts/contacts/7"
    assert json.loads(sent.body) == changes


@pytest.mark.parametrize(("with_attributes", "extra"), [(False, {}), (True, {"custom_attributes": PLAN})])
def test_a_create_sends_attributes_only_where_the_account_takes_them(
    with_attributes: bool, extra: dict[str, Any], server: RawServer
) -> None:
    server.answer = answer(200, b'{"payload": {"contact": {"id": 7, "identifier": "ada"}}}')
    contact = Contact("ada", 1, "Ada", custom_attributes=PLAN)
    client_of(server.url).create(contact, with_attributes=with_attributes)
    assert json.loads(server.received[0].body) == {"identifier": "ada", "inbox_id": 1, "name": "Ada", **extra}


# What happens in LiveDesk


def test_an_update_changes_fields_clears_them_and_merges_attributes(standin: StandIn, livedesk: LiveDesk) -> None:
    made = standin.add_contact(
        identifier="ada", name="Ada", email="ada@example.com", custom_attributes={"plan": "free", "vip": True}
    )
    changes = {"name": "Ada L.", "email": None, "custom_attributes": PLAN}
    assert livedesk.update(str(made.id), changes) == 200
    (after,) = standin.contacts("ada")
    assert (after.name, after.email) == ("Ada L.", None)
    assert after.custom_attributes == {**PLAN, "vip": True}


def test_attributes_are_read_as_they_are_typed_without_those_that_we_never_send(
    standin: StandIn, livedesk: LiveDesk
) -> None:
    made = standin.add_contact(
        identifier="ada",
        name="Ada",
        custom_attributes={**PLAN, "none": None, "tags": ["a"]},
        additional_attributes={"city": "Berlin", "company_name": "Engines", "social_profiles": {"github": "ada"}},
    )
    more: dict[str, Attribute] = {"city": "Berlin", "company_name": "Engines"}
    person = Person(str(made.id), "ada", "Ada", custom_attributes=PLAN, additional_attributes=more)
    assert livedesk.look_up("ada") == [person]
    assert person.company == "Engines"
    assert [type(value) for value in livedesk.look_up("ada")[0].custom_attributes.values()] == [str, int, bool, float]


def test_a_create_returns_the_contact_as_livedesk_shows_it(livedesk: LiveDesk) -> None:
    shown = livedesk.create(Contact("ada", 1, custom_attributes=PLAN), with_attributes=True).shown
    assert shown is not None
    assert shown.custom_attributes == PLAN


# What the answers mean


def test_a_contact_that_is_gone_cannot_be_changed(livedesk: LiveDesk) -> None:
    error = refusal_of(lambda: livedesk.update("4711", {"name": "Ada"}))
    assert (type(error), error.cause.slug, error.status) == (Rejected, "contact_gone", 404)


def test_a_refusal_can_name_a_field_that_was_not_sent(standin: StandIn, livedesk: LiveDesk) -> None:
    made = standin.add_contact(identifier="ada", phone_number="0151 1234", unchecked=True)
    error = refusal_of(lambda: livedesk.update(str(made.id), {"name": "Ada"}))
    assert isinstance(error, Rejected)
    assert error.fields == {"phone_number"}
    assert standin.contacts("ada")[0].name == "", "nothing was changed"


def test_a_refusal_names_each_value_that_is_taken(standin: StandIn, livedesk: LiveDesk) -> None:
    standin.add_contact(identifier="ada", email="ada@example.com", phone_number="+4915112345678")
    made = standin.add_contact(email="countess@example.com")
    changes = {name: getattr(ADA, name) for name in ("identifier", "email", "phone_number")}
    error = refusal_of(lambda: livedesk.update(str(made.id), changes))
    assert isinstance(error, Rejected)
    assert error.fields == changes.keys()


#: mode and options, what it counts as, the cause.
UPDATES: list[tuple[str, dict[str, Any], type[LiveDeskError], str]] = [
    ("commit_then_hang", {}, AnswerUnknown, "answer_timeout"),
    ("reset", {}, AnswerUnknown, "connection_lost"),
    ("commit_then_close", {}, AnswerUnknown, "connection_lost"),
    ("html_502", {}, AnswerUnknown, "http_502"),
    ("html_200", {}, AnswerUnknown, "unreadable_answer"),
    ("wrong_types_200", {"shape": "top_list"}, AnswerUnknown, "unreadable_answer"),
    ("status", {"status": 422, "body": "{"}, AnswerUnknown, "unreadable_answer"),
    ("throttle", {}, Throttled, "throttled"),
    ("unauthorized", {}, Misconfigured, "unauthorized"),
    ("forbidden", {}, Misconfigured, "forbidden"),
    ("redirect", {}, Misconfigured, "redirected"),
    ("method_not_allowed", {}, Rejected, "http_405"),
    ("not_found", {"shape": "html"}, Misconfigured, "create_path_not_found"),
    ("not_found", {"shape": "rails"}, Misconfigured, "create_path_not_found"),
    ("not_found", {}, Rejected, "contact_gone"),
]


@pytest.mark.parametrize(("mode", "options", "kind", "cause"), UPDATES)
def test_what_an_answer_to_an_update_counts_as(
    mode: str, options: dict[str, Any], kind: type[LiveDeskError], cause: str, standin: StandIn, livedesk: LiveDesk
) -> None:
    made = standin.add_contact(identifier="ada")
    standin.behave(mode, on="update", **options)
    error = refusal_of(lambda: livedesk.update(str(made.id), {"name": "Ada"}))
    assert (type(error), error.cause.slug) == (kind, cause)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"id": 7, "name": "Ada"}', b'{"payload": {"id": "7"}}'])
def test_any_answer_that_contradicts_nothing_confirms_an_update(body: bytes, server: RawServer) -> None:
    """LiveDesk's pages do not show the answer, so its form is not known."""
    server.answer = answer(200, body)
    assert client_of(server.url).update("7", {"name": "Ada"}) == 200


def test_an_answer_about_another_contact_confirms_nothing(server: RawServer) -> None:
    server.answer = answer(200, b'{"payload": {"id": 8}}')
    error = refusal_of(lambda: client_of(server.url).update("7", {"name": "Ada"}))
    assert (type(error), error.cause.slug) == (AnswerUnknown, "answer_for_another_contact")


# Deletions


def test_a_contact_is_deleted_once(standin: StandIn, livedesk: LiveDesk) -> None:
    made = str(standin.add_contact(identifier="ada", name="Ada").id)
    assert livedesk.read(made) == Person(made, "ada", "Ada")
    assert livedesk.delete(made) is Deletion.DELETED
    assert standin.contacts() == []
    assert livedesk.read(made) is None
    assert livedesk.delete(made) is Deletion.GONE


@pytest.mark.parametrize(
    ("mode", "options", "result"),
    [
        ("not_found", {}, Deletion.GONE),
        ("not_found", {"shape": "rails"}, Deletion.NOT_ALLOWED),
        ("not_found", {"shape": "html"}, Deletion.NOT_ALLOWED),
        ("method_not_allowed", {}, Deletion.NOT_ALLOWED),
        ("forbidden", {}, Deletion.NOT_ALLOWED),
        ("unauthorized", {"shape": "not_authorized"}, Deletion.NOT_ALLOWED),
        ("status", {"status": 422, "body": '{"message": "Ada is Online, please try again later"}'}, Deletion.REFUSED),
        ("status", {"status": 204, "body": ""}, Deletion.DELETED),
    ],
)
def test_what_an_answer_to_a_deletion_means(
    mode: str, options: dict[str, Any], result: Deletion, standin: StandIn, livedesk: LiveDesk
) -> None:
    standin.behave(mode, **options)
    assert livedesk.delete("1") is result


@pytest.mark.parametrize("mode", ["not_found", "method_not_allowed", "forbidden", "unauthorized"])
def test_what_livedesk_does_not_let_us_read_is_no_error(mode: str, standin: StandIn, livedesk: LiveDesk) -> None:
    standin.behave(mode)
    assert livedesk.read("1") is None


@pytest.mark.parametrize(
    ("mode", "cause"), [("status_500", "http_500"), ("reset", "connection_lost"), ("throttle", "throttled")]
)
def test_a_contact_that_may_or_may_not_be_deleted(mode: str, cause: str, standin: StandIn, livedesk: LiveDesk) -> None:
    standin.behave(mode)
    assert refusal_of(lambda: livedesk.read("1")).cause.slug == cause
    assert refusal_of(lambda: livedesk.delete("1")).cause.slug == cause
