"""Inboxes of other types than API: what the stand-in answers is what Chatwoot's source does.

Chatwoot at v4.10.0: ``app/builders/contact_inbox_builder.rb`` (which value is the ``source_id``, which types raise),
``app/models/contact_inbox.rb`` and ``lib/regex_helper.rb`` (which ones are valid),
``app/controllers/concerns/request_exception_handler.rb`` (the bodies).
"""

from collections.abc import Iterator

import pytest
import requests

from tests.livedesk import Book, StandIn, serve
from tests.livedesk.inbox import ParameterMissing, Unsupported

ADA = {"identifier": "ada", "name": "Ada", "email": "Ada@example.com", "phone_number": "+4915112345678"}


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with serve() as standin:
        yield standin


def create(standin: StandIn, channel: str, **fields: object) -> requests.Response:
    standin.set_inbox(7, channel)
    return requests.post(
        standin.contacts_url, json={"inbox_id": 7, **fields}, auth=("demo-key", "demo-secret"), timeout=10
    )


@pytest.mark.parametrize(
    ("channel", "source_id"),
    [
        ("Channel::Email", "ada@example.com"),
        ("Channel::Whatsapp", "4915112345678"),
        ("Channel::Sms", "+4915112345678"),
        ("Channel::TwilioSms", "+4915112345678"),
    ],
)
def test_other_channels_identify_a_contact_by_a_value_of_theirs(channel: str, source_id: str, standin: StandIn) -> None:
    answer = create(standin, channel, **ADA)
    assert answer.status_code == 200
    inbox = answer.json()["payload"]["contact_inbox"]
    assert (inbox["source_id"], inbox["inbox"]["channel_type"]) == (source_id, channel)


@pytest.mark.parametrize("channel", ["Channel::Api", "Channel::WebWidget"])
def test_anonymous_channels_identify_a_contact_by_a_uuid(channel: str, standin: StandIn) -> None:
    answer = create(standin, channel, identifier="ada")
    assert len(answer.json()["payload"]["contact_inbox"]["source_id"]) == 36


@pytest.mark.parametrize(
    ("channel", "what"),
    [
        ("Channel::Email", "contact email"),
        ("Channel::Whatsapp", "contact phone number"),
        ("Channel::Sms", "contact phone number"),
        ("Channel::TwilioSms", "contact phone number"),
    ],
)
def test_without_that_value_a_parameter_is_missing_and_nothing_is_created(
    channel: str, what: str, standin: StandIn
) -> None:
    answer = create(standin, channel, identifier="ada")
    assert answer.status_code == 422
    assert answer.json() == {"error": f"param is missing or the value is empty: {what}"}
    assert standin.contacts() == []


@pytest.mark.parametrize(
    "channel", ["Channel::Telegram", "Channel::Line", "Channel::FacebookPage", "Channel::Instagram", "Channel::Tiktok"]
)
def test_the_api_cannot_create_contacts_in_inboxes_of_other_types(channel: str, standin: StandIn) -> None:
    answer = create(standin, channel, **ADA)
    assert (answer.status_code, answer.json()) == (500, {"status": 500, "error": "Internal Server Error"})
    assert standin.contacts() == []


def test_a_number_with_a_prefix_is_no_whatsapp_address(standin: StandIn) -> None:
    """The format of phone numbers is not anchored at its start, that of the ``source_id`` is."""
    answer = create(standin, "Channel::Whatsapp", identifier="ada", phone_number="tel:+8613812345678")
    assert answer.status_code == 422
    assert answer.json()["attributes"] == ["source_id"]
    assert answer.json()["message"].startswith("Source invalid source id for whatsapp inbox. valid Regex ")
    assert standin.contacts() == []


@pytest.mark.parametrize(
    ("channel", "status"), [("Channel::Whatsapp", 422), ("Channel::Sms", 200), ("Channel::Api", 500)]
)
def test_a_source_id_of_another_contact(channel: str, status: int, standin: StandIn) -> None:
    """Chatwoot gives its owner another one, which for WhatsApp is not valid, and raises for API channels."""
    standin.set_inbox(7, channel)
    standin.add_contact(identifier="old", inbox_id=7, source_id="4915112345678", phone_number="+4915100000000")
    answer = create(standin, channel, identifier="ada", source_id="4915112345678")
    assert answer.status_code == status
    assert len(standin.contacts("ada")) == (status == 200)
    if status == 422:
        assert answer.json()["attributes"] == ["source_id"]


def test_a_book_has_its_inboxes() -> None:
    book = Book([1])
    book.channels |= {2: "Channel::Email", 3: "Channel::Line"}
    with pytest.raises(ParameterMissing, match="contact email"):
        book.create({"inbox_id": 2, "identifier": "a"})
    with pytest.raises(Unsupported):
        book.create({"inbox_id": 3, "identifier": "a", "email": "a@example.com"})
    assert len(book) == 0


# Searches of later versions


def test_a_number_finds_the_contact_with_this_id(standin: StandIn) -> None:
    """``contacts_controller.rb#search_conditions`` at 01a9b2c: ``contacts.id = :contact_id``."""
    other = standin.add_contact(identifier="someone")
    assert found(standin, str(other.id)) == []
    standin.behave("newer_search")
    assert found(standin, str(other.id)) == ["someone"]
    assert found(standin, f"0{other.id}") == ["someone"], "it is read as a number"


def test_other_addresses_are_searched_and_companies_are_not(standin: StandIn) -> None:
    """The same place: ``contact_emails.email ILIKE :search``."""
    company = {"company_name": "Navy"}
    standin.add_contact(identifier="a", other_emails=["grace@navy.example"], additional_attributes=company)
    assert (found(standin, "GRACE@"), found(standin, "Navy")) == ([], ["a"])
    standin.behave("newer_search")
    assert (found(standin, "GRACE@"), found(standin, "Navy")) == (["a"], ["a"])
    assert found(standin, "Navy", page="2") == []


def test_contacts_without_any_identification_are_found(standin: StandIn) -> None:
    """The same place: it does not begin with ``resolved_contacts``."""
    standin.add_contact(name="Visitor")
    assert found(standin, "Visitor") == []
    standin.behave("newer_search")
    assert found(standin, "Visitor") == [None]


def test_chatwoot_sorts_by_a_minus_and_ignores_the_direction(standin: StandIn) -> None:
    """The gem procore-sift 1.0.0, ``lib/sift/sort.rb``: the direction comes from the name of the field."""
    for number in range(3):
        standin.add_contact(identifier=f"u{number}", created_at=1000 + number)
    documented = {"sort": "created_at", "direction": "desc"}
    assert found(standin, "u", **documented) == ["u2", "u1", "u0"]
    for mode in ("chatwoot_sort", "newer_search"):
        standin.clear()
        standin.behave(mode)
        assert found(standin, "u", **documented) == ["u0", "u1", "u2"]
        assert found(standin, "u", sort="-created_at") == ["u2", "u1", "u0"]


def test_a_large_book_searches_like_a_small_one(standin: StandIn) -> None:
    standin.fill(6_000, oldest_s=60_000, newest_s=600)
    standin.add_contact(identifier="A%b_c", name="X")
    assert found(standin, "a%B_c", sort="created_at", direction="desc") == [], "identifiers are compared by case"
    assert found(standin, "A%b_c", sort="created_at", direction="desc") == ["A%b_c"]
    newest = found(standin, "crm-", sort="created_at", direction="desc")
    assert newest == [f"crm-{number}" for number in range(6_000, 5_985, -1)]
    assert found(standin, "crm-", sort="created_at", direction="asc", page="400")[-1] == "crm-6000"


def found(standin: StandIn, q: str, **params: str) -> list[str | None]:
    answer = requests.get(standin.contacts_url, params={"q": q, **params}, auth=("demo-key", "demo-secret"), timeout=10)
    return [row["identifier"] for row in answer.json()["payload"]]
