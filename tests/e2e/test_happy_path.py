"""A signup comes in and one LiveDesk contact comes out."""

import base64
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import requests
from standardwebhooks import Webhook

from tests.e2e.system import BEARER, SHOP_SECRETS, System, call
from tests.rig.parts import TEST_ENV

ADA = {
    "identifier": "user/42",
    "name": "Ada Lovelace",
    "email": "Ada@Example.com",
    "phone_number": "+49 30 1234567",
    "avatar_url": "https://example.com/ada.png",
}


def test_a_signup_with_a_standard_webhooks_signature_becomes_a_contact(system: System) -> None:
    body = json.dumps({"type": "user.created", "timestamp": "2026-01-01T00:00:00Z", "data": ADA})
    now = datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(TEST_ENV["WEBHOOK_SECRET"]).sign("msg_1", now, body),
    }
    answer = call("POST", f"{system.stack.url}/webhooks/signup", data=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {"status": "accepted", "identifier": "user/42", "state": "pending", "contact_id": None}

    system.wait_for("user/42", "created")
    system.assert_one_contact("user/42")


def test_a_signup_with_the_shared_secret_becomes_a_contact_as_it_was_sent(system: System) -> None:
    system.accept(**ADA)

    record = system.wait_for("user/42", "created")
    system.assert_one_contact("user/42")
    assert record["outcome"] == "created"
    assert record["notes"] == []
    [attempt] = record["attempts"]
    assert attempt["status"] == 200
    [contact] = system.livedesk.contacts("user/42")
    assert (contact.name, contact.email, contact.phone_number) == ("Ada Lovelace", "ada@example.com", "+49301234567")


def test_a_contact_goes_to_the_inbox_of_the_settings_unless_it_names_one(system: System) -> None:
    system.accept("by default")
    system.accept("by name", inbox_id=1)
    for identifier in ("by default", "by name"):
        system.wait_for(identifier, "created")
        [contact] = system.livedesk.contacts(identifier)
        assert [link.inbox_id for link in contact.links] == [1]


@pytest.mark.parametrize("secret", SHOP_SECRETS.values(), ids=SHOP_SECRETS)
def test_a_signup_with_a_signature_over_the_raw_body_becomes_a_contact(system: System, secret: str) -> None:
    payload = {
        "event": "customer.created",
        "customer": {
            "id": 7,
            "first_name": "Ada",
            "last_name": "Lovelace",
            "emails": [{"address": "old@example.com"}, {"address": "ada@example.com", "primary": True}],
            "phone": "030 1234567",
        },
    }
    body = json.dumps(payload, indent=2).encode()
    signature = base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
    headers = {"Content-Type": "application/json", "X-Shop-Signature": signature}
    answer = call("POST", f"{system.stack.url}/webhooks/shop", data=body, headers=headers)
    assert answer.json()["identifier"] == "shop-7"

    system.wait_for("shop-7", "created")
    system.assert_one_contact("shop-7")
    [contact] = system.livedesk.contacts("shop-7")
    assert (contact.name, contact.email, contact.phone_number) == ("Ada Lovelace", "ada@example.com", "+49301234567")


def test_a_delivery_that_is_no_signup_is_ignored(system: System) -> None:
    body = b'{"event": "order.created", "customer": {"id": 7}}'
    signature = base64.b64encode(hmac.digest(SHOP_SECRETS["SHOP_SECRET"].encode(), body, "sha256")).decode()
    headers = {"Content-Type": "application/json", "X-Shop-Signature": signature}
    answer = call("POST", f"{system.stack.url}/webhooks/shop", data=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ignored"
    assert system.known() == set()


def test_a_repeated_delivery_is_a_duplicate_and_returns_the_id(system: System) -> None:
    system.accept(**ADA)
    created = system.wait_for("user/42", "created")

    answer = system.deliver(ADA)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "duplicate",
        "identifier": "user/42",
        "state": "created",
        "contact_id": created["contact_id"],
    }
    assert len(system.creates("user/42")) == 1


def test_other_data_after_the_creation_are_sent_and_create_nobody(system: System) -> None:
    system.accept(**ADA)
    contact_id = system.wait_for("user/42", "created")["contact_id"]

    answer = system.deliver({**ADA, "name": "Ada King"}).json()
    assert (answer["status"], answer["contact_id"]) == ("accepted", contact_id)
    system.wait_for("user/42", "created")
    [contact] = system.livedesk.contacts("user/42")
    assert (contact.id, contact.name) == (contact_id, "Ada King")
    assert len(system.creates("user/42")) == 1


def test_50_concurrent_deliveries_of_one_identifier_give_one_create(system: System) -> None:
    def deliver(number: int) -> requests.Response:
        """Send it again after a 503, as senders do: ACCEPT_TIMEOUT is short here, and the machine may be busy."""
        contact = {**ADA, "name": f"Ada {number}"}
        answer, repeats = system.deliver(contact), 0
        while answer.status_code == 503 and repeats < 20:
            answer, repeats = system.deliver(contact), repeats + 1
        return answer

    with ThreadPoolExecutor(50) as senders:
        answers = list(senders.map(deliver, range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["identifier"] for answer in answers} == {"user/42"}

    system.wait_for("user/42", "created")
    assert len(system.creates("user/42")) == 1
    system.assert_one_contact("user/42")


def test_50_concurrent_repeats_of_one_delivery_are_accepted_once(system: System) -> None:
    with ThreadPoolExecutor(50) as senders:
        statuses = list(senders.map(lambda _: system.deliver(ADA).json()["status"], range(50)))
    assert sorted(statuses) == ["accepted"] + ["duplicate"] * 49

    system.wait_for("user/42", "created")
    assert len(system.creates("user/42")) == 1


@pytest.mark.parametrize(
    "identifier",
    ["a b", "100%", "a%2Fb", "../etc", "//x//", "Zoë 中 👩‍🚀", "a\\b", "?q=1&x#y", "O'Brien; --", "x" * 255],
    ids=["space", "percent", "encoded", "dots", "slashes", "unicode", "backslash", "query", "quote", "long"],
)
def test_identifiers_may_hold_anything(system: System, identifier: str) -> None:
    system.livedesk.behave("commit_then_500", on="create", times=1)  # so that it is looked up, too
    system.accept(identifier)

    record = system.wait_for(identifier, "created")
    assert record["identifier"] == identifier
    assert record["outcome"] == "adopted"
    system.assert_one_contact(identifier)


def test_a_number_keeps_every_digit(system: System) -> None:
    answer = call(
        "POST",
        f"{system.stack.url}/webhooks/signup",
        data=b'{"identifier": 9007199254740993}',
        headers=BEARER | {"Content-Type": "application/json"},
    )
    assert answer.json()["identifier"] == "9007199254740993"

    system.wait_for("9007199254740993", "created")
    system.assert_one_contact("9007199254740993")


def test_a_delivery_that_is_not_authentic_leaves_no_trace(system: System) -> None:
    answer = call("POST", f"{system.stack.url}/webhooks/signup", json=ADA, headers={"Authorization": "Bearer guess"})
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert system.known() == set()
