"""EngageLab's callbacks through the receiver: URL checks, mixed batches, signatures used again."""

import json
import time
from typing import Any

import pytest
import redis
from werkzeug.test import TestResponse

from tests.deliveries import NOW, SECRET, callback_id, sample
from tests.invariants import assert_invariants
from tests.world import World
from webhook_app.sources.body.reader import MAX_BYTES, MAX_ELEMENTS
from worker.model import Contact, State, Work
from worker.store import keys

SOURCES: dict[str, dict[str, Any]] = {
    "otp": {"preset": "engagelab-otp", "secret": SECRET},
    "sms": {"preset": "engagelab-sms", "secret": SECRET},
    "whatsapp": {"preset": "engagelab-whatsapp", "secret": SECRET},
    "otp2": {"preset": "engagelab-otp", "secret": SECRET},
    "lenient": {"preset": "engagelab-otp", "secret": SECRET, "verify": {"one_body": False}},
}
#: What curl sends with ``-d``.
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def world(client: redis.Redis) -> World:
    return World(client, sources=SOURCES, clock=lambda: NOW)


def post(world: World, source: str, rows: list[Any], header: str | None = None) -> TestResponse:
    """Send a batch as EngageLab does, with a new nonce unless a header is given."""
    body = json.dumps({"total": len(rows), "rows": rows})
    if source == "whatsapp":
        return world.http.post(f"/webhooks/{source}?token={SECRET}", data=body, content_type="application/json")
    headers = {"X-CALLBACK-ID": header or callback_id(str(time.monotonic_ns()))}
    return world.http.post(f"/webhooks/{source}", data=body, headers=headers, content_type="application/json")


def rows(preset: str, event: str) -> list[Any]:
    found: list[Any] = sample(preset, event)["body"]["rows"]
    return found


def verified(number: int, **more: object) -> dict[str, Any]:
    return {"to": f"+120255501{number:02}", "itime": NOW, "status": {"message_status": "verified"}, **more}


def contact(world: World, identifier: str) -> Contact:
    """Return what is stored; nothing of it was left out."""
    record = world.store.contacts.find(identifier)
    assert record is not None
    assert record.contact is not None
    assert record.notes == ()
    return record.contact


def statuses(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200
    document = answer.get_json()
    return [result["status"] for result in document.get("results", [document])]


# The check of the URL, and what it must not do


@pytest.mark.parametrize("source", SOURCES)
def test_the_check_of_the_url_is_answered_and_stores_nothing(world: World, source: str) -> None:
    """``curl -X POST <url> -d '{}'``, or ``-d ''`` in older documentation, unsigned: engagelab.com/docs."""
    before = set(world.client.scan_iter())
    for body in ("{}", "", " { } \n"):
        for content_type in (FORM, "application/json", None):
            answer = world.http.post(f"/webhooks/{source}", data=body, content_type=content_type)
            assert (answer.status_code, answer.text) == (200, "{}")
    assert set(world.client.scan_iter()) == before


@pytest.mark.parametrize("source", SOURCES)
def test_a_text_is_sent_back(world: World, source: str) -> None:
    answer = world.http.post(f"/webhooks/{source}", json={"echostr": "a7Kd93_x"})
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "a7Kd93_x", "text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("source", ["otp", "sms", "whatsapp"])
def test_anything_else_without_a_proof_is_rejected(world: World, source: str) -> None:
    for body in (
        '{"echostr": "<script>"}',
        '{"echostr": ""}',
        '{"echostr": "' + "a" * 65 + '"}',
        '{"echostr": 12345678}',
        '{"echostr": "12345678", "rows": []}',
        '{"total": 0, "rows": []}',
        "[]",
        "{}{}",
        "null",
    ):
        answer = world.http.post(f"/webhooks/{source}", data=body, content_type="application/json")
        assert answer.status_code == 401, body


# Batches


@pytest.mark.parametrize(
    ("source", "preset", "identifier", "expected"),
    [
        ("otp", "engagelab-otp", "u-2041", "iiiAiiii"),
        ("sms", "engagelab-sms", "+12025550145", "iAi"),
        ("whatsapp", "engagelab-whatsapp", "+12025550147", "iiAii"),
    ],
)
def test_the_rows_that_are_no_signups_are_ignored(
    world: World, source: str, preset: str, identifier: str, expected: str
) -> None:
    words = {"i": "ignored", "A": "accepted"}
    assert statuses(post(world, source, rows(preset, "batch"))) == [words[letter] for letter in expected]
    assert contact(world, identifier).phone_number is not None
    assert world.client.zcard(keys.QUARANTINE) == 0
    assert_invariants(world.client)


@pytest.mark.parametrize("source", ["otp", "sms", "whatsapp"])
def test_a_batch_without_signups_is_ignored(world: World, source: str) -> None:
    batches: list[list[Any]] = [[], [{}], [None], [{"server": "otp", "itime": NOW}]]
    for sent in batches:
        assert set(statuses(post(world, source, sent))) == {"ignored"}
    assert world.client.zcard(keys.QUARANTINE) == 0


@pytest.mark.parametrize("event", ["received", "reply", "order"])
def test_a_person_who_writes_to_a_whatsapp_number_is_a_contact_once(world: World, event: str) -> None:
    assert statuses(post(world, "whatsapp", rows("engagelab-whatsapp", event))) == ["accepted"]
    assert (
        statuses(post(world, "whatsapp", rows("engagelab-whatsapp", "batch")))
        == ["ignored"] * 2 + ["duplicate"] + ["ignored"] * 2
    )
    found = contact(world, "+12025550147")
    assert (found.name, found.phone_number) == ("Noor Haddad", "+12025550147")


def test_a_deleted_message_is_no_deleted_person(world: World) -> None:
    (row,) = rows("engagelab-whatsapp", "received")
    deleted = {**row, "response": {**row["response"], "event": "deleted"}}
    assert statuses(post(world, "whatsapp", [deleted])) == ["ignored"]


def test_the_person_is_the_apps_user_or_else_what_was_verified(world: World) -> None:
    sent = [
        verified(1, custom_args={"user_id": 17, "name": "Ada"}),
        verified(2, custom_args={"userId": "u-18"}),
        verified(3, custom_args={"order_id": "A-1"}),
        verified(4),
        {**verified(5), "to": "Eva@Example.com"},
    ]
    assert statuses(post(world, "otp", sent)) == ["accepted"] * 5
    found = [contact(world, one) for one in ("17", "u-18", "+12025550103", "+12025550104", "Eva@Example.com")]
    assert [(one.phone_number, one.email, one.name) for one in found] == [
        ("+12025550101", None, "Ada"),
        ("+12025550102", None, None),
        ("+12025550103", None, None),
        ("+12025550104", None, None),
        (None, "eva@example.com", None),
    ]


def test_a_full_batch_fits(world: World) -> None:
    """As many rows as are accepted, of the size of EngageLab's: more than most sources accept."""
    row = rows("engagelab-otp", "batch")[1]
    sent = [{**row, "padding": "x" * 400}] * (MAX_ELEMENTS - 1) + [verified(6)]
    assert len(json.dumps(sent)) > MAX_BYTES
    began = time.monotonic()
    assert statuses(post(world, "otp", sent)) == ["ignored"] * (MAX_ELEMENTS - 1) + ["accepted"]
    assert time.monotonic() - began < 3, "EngageLab waits for 3 seconds"


# Signatures that are used again


def test_a_signature_is_accepted_with_one_body_only(world: World) -> None:
    header = callback_id("n-1")
    assert statuses(post(world, "otp", [verified(1)], header)) == ["accepted"]
    assert statuses(post(world, "otp", [verified(1)], header)) == ["duplicate"], "the sender repeats a delivery"
    forged = post(world, "otp", [verified(2)], header)
    assert forged.status_code == 401
    assert "came with another body before" in forged.get_json()["detail"]
    assert world.store.contacts.find("+12025550102") is None
    assert statuses(post(world, "otp", [verified(2)], callback_id("n-2"))) == ["accepted"]


def test_a_delivery_without_signups_uses_its_signature_too(world: World) -> None:
    header = callback_id("n-1")
    assert statuses(post(world, "otp", rows("engagelab-otp", "batch")[:2], header)) == ["ignored", "ignored"]
    assert post(world, "otp", [verified(2)], header).status_code == 401


def test_the_same_signature_written_otherwise_is_the_same(world: World) -> None:
    header = callback_id("n-1")
    assert statuses(post(world, "otp", [verified(1)], header)) == ["accepted"]
    for other in (
        header.replace("nonce=n-1;username=livedesk", "nonce=n-1live;username=desk"),
        header.replace("signature=", "signature= "),
        "; ".join(reversed(header.split(";"))),
        header[:-64] + header[-64:].upper(),
    ):
        assert post(world, "otp", [verified(2)], other).status_code == 401


def test_a_signature_is_bound_for_as_long_as_it_is_valid(world: World) -> None:
    post(world, "otp", [verified(1)], callback_id("n-1", now=NOW + 300))
    (name,) = world.client.scan_iter(keys.signed("*"))
    assert 590_000 < world.client.pttl(name) <= 600_000
    assert "n-1" not in name
    assert_invariants(world.client)


def test_each_source_binds_its_own(world: World) -> None:
    header = callback_id("n-1")
    assert statuses(post(world, "otp", [verified(1)], header)) == ["accepted"]
    assert statuses(post(world, "otp2", [verified(2)], header)) == ["accepted"]


def test_a_source_can_allow_several_bodies(world: World) -> None:
    header = callback_id("n-1")
    for number in (1, 2):
        assert statuses(post(world, "lenient", [verified(number)], header)) == ["accepted"]
    assert list(world.client.scan_iter(keys.signed("*"))) == []


def test_a_delivery_that_is_refused_binds_nothing(world: World) -> None:
    for header in (callback_id("n-1", secret="another_secret"), callback_id("n-1", now=NOW - 301)):
        assert post(world, "otp", [verified(1)], header).status_code == 401
    answer = world.http.post("/webhooks/otp", data="{oh", headers={"X-CALLBACK-ID": callback_id("n-1")})
    assert answer.status_code in (400, 415)
    assert list(world.client.scan_iter(keys.signed("*"))) == []
    assert statuses(post(world, "otp", [verified(1)], callback_id("n-1"))) == ["accepted"]


# One person, several of EngageLab's products


def numbered(world: World, source: str, number: str, name: str = "Noor") -> TestResponse:
    """Send the signup of this product, about a person with this number."""
    if source == "otp":
        return post(world, "otp", [{**verified(0), "to": number, "custom_args": {"name": name}}])
    if source == "sms":
        return post(world, "sms", [{"response": {"event": "uplink_message", "response_data": {"from": number}}}])
    contact = {"profile": {"name": name}, "wa_id": number.removeprefix("+")}
    return post(world, "whatsapp", [{"response": {"event": "received", "response_data": {"contact": contact}}}])


@pytest.mark.parametrize("order", [("otp", "sms", "whatsapp"), ("whatsapp", "sms", "otp"), ("sms", "otp", "whatsapp")])
def test_a_number_is_one_person_in_all_products(world: World, order: tuple[str, ...]) -> None:
    answers = [statuses(numbered(world, source, "+12025550147")) for source in order]
    assert answers[0] == ["accepted"]
    assert world.store.contacts.counts()[State.PENDING] == 1
    assert world.client.zcard(keys.QUARANTINE) == 0
    assert_invariants(world.client)


def test_a_message_under_a_false_name_changes_no_account(world: World) -> None:
    numbered(world, "otp", "+12025550147", "Noor")
    numbered(world, "whatsapp", "+12025550147", "Your bank")
    assert contact(world, "+12025550147").name == "Noor"


def test_another_verified_number_changes_the_contact_unless_it_is_older(world: World) -> None:
    def verify(number: int, seconds: int) -> list[str]:
        return statuses(post(world, "otp", [verified(number, custom_args={"user_id": 17}, itime=NOW + seconds)]))

    assert verify(1, 0) == ["accepted"]
    world.finish(world.claim("17"))
    assert verify(2, 60) == ["accepted"]
    assert verify(3, 30) == ["duplicate"]
    record = world.store.contacts.find("17")
    assert record is not None
    assert (record.work, record.event, record.changes) == (Work.UPDATE, "verified", ("phone_number",))
    assert contact(world, "17").phone_number == "+12025550102"
