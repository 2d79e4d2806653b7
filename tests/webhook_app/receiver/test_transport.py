"""Verified deliveries in the ways that senders really send them, through the presets."""

import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse, encode_multipart

from tests.deliveries import SECRET
from tests.doors import MemoryStore, door
from worker.model import Contact

BEARER = {"Authorization": f"Bearer {SECRET}"}
FORM = "application/x-www-form-urlencoded"
ANA = {"id": "u-1", "email": "ana@x.example", "name": "Ana B."}
ADDED = {
    "action": "added",
    "member": {"id": 77, "login": "octo", "html_url": "https://github.com/octo", "type": "User"},
}
WORDPRESS = {"ID": "12", "data[user_email]": "ann@x.example", "data[display_name]": "Tom &amp; Ann"}


def post(
    preset: str, body: bytes, content_type: str | None, headers: dict[str, str], query: str = "", **source: Any
) -> tuple[TestResponse, dict[str, Contact]]:
    store = MemoryStore()
    http = door({"sender": {"preset": preset, "secret": SECRET, "region": "US", **source}}, store)
    answer = http.post(f"/webhooks/sender/{query}", data=body, headers=headers, content_type=content_type)
    return answer, store.taken


def signed(body: bytes, name: str, algorithm: str = "sha256", prefix: str = "sha256=") -> dict[str, str]:
    return {name: prefix + hmac.new(SECRET.encode(), body, algorithm).hexdigest()}


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain; charset=UTF-8",  # Amazon SNS with raw message delivery
        FORM,  # curl -d
        "application/octet-stream",  # curl --data-binary with another type, an uploaded file
        None,
    ],
)
@pytest.mark.parametrize("preset", ["generic-bearer", "generic-hmac"])
def test_json_of_another_type_is_a_signup(preset: str, content_type: str | None) -> None:
    body = json.dumps(ANA).encode()
    headers = BEARER if preset == "generic-bearer" else signed(body, "X-Webhook-Signature")
    answer, taken = post(preset, body, content_type, headers)
    assert answer.status_code == 200, answer.text
    assert taken["u-1"].email == "ana@x.example"


def test_githubs_form_is_read_and_verified_over_its_raw_bytes() -> None:
    body = urlencode({"payload": json.dumps(ADDED)}).encode()
    event = {"X-GitHub-Event": "member"}
    answer, taken = post("github", body, FORM, {**event, **signed(body, "X-Hub-Signature-256")})
    assert answer.status_code == 200, answer.text
    assert [contact.name for contact in taken.values()] == ["octo"]
    changed = body.replace(b"octo", b"evil")
    answer, taken = post("github", changed, FORM, {**event, **signed(body, "X-Hub-Signature-256")})
    assert (answer.status_code, taken) == (401, {})


def test_wordpress_sends_forms_of_both_kinds() -> None:
    boundary, parts = encode_multipart(WORDPRESS)
    for body, content_type in (
        (parts, f'multipart/form-data; boundary="{boundary}"'),
        (urlencode(WORDPRESS).encode(), FORM),
    ):
        answer, taken = post("wordpress", body, content_type, BEARER)
        assert answer.status_code == 200, answer.text
        (contact,) = taken.values()
        assert (contact.email, contact.name) == ("ann@x.example", "Tom & Ann")


@pytest.mark.parametrize(
    "fields",
    [
        {"identifier": "u-1", "email": "ana@x.example", "subject": "Hi"},  # Mailgun's routes, SendGrid's Inbound Parse
        {"user[id]": "u-1", "user[email]": "ana@x.example"},  # Rails, PHP
    ],
)
def test_a_generic_source_reads_multipart(fields: dict[str, str]) -> None:
    boundary, body = encode_multipart(fields)
    answer, taken = post("generic-bearer", body, f"multipart/form-data; boundary={boundary}", BEARER)
    assert answer.status_code == 200, answer.text
    assert taken["u-1"].email == "ana@x.example"


@pytest.mark.parametrize(
    ("preset", "body", "name"),
    [
        ("wordpress", {"ID": 5, "data": {"user_email": "a@x.example", "display_name": "O&#039;Brien"}}, "O'Brien"),
        ("jotform", {"formID": "1", "submissionID": "5", "rawRequest": None}, "Siobh\u00e1n O'Brien"),
        ("generic-bearer", {"id": "5", "email": "a@x.example", "name": "O&#039;Brien"}, "O&#039;Brien"),
    ],
)
def test_entities_are_decoded_where_the_product_writes_them(preset: str, body: dict[str, Any], name: str) -> None:
    if preset != "jotform":
        _, taken = post(preset, json.dumps(body).encode(), "application/json", BEARER)
    else:
        raw = {"q3_name": {"first": "Siobh&#225;n", "last": "O&#039;Brien"}, "q4_email": "s@x.example"}
        form = urlencode({**body, "rawRequest": json.dumps(raw), "pretty": "Name:Siobh&#225;n O&#039;Brien"}).encode()
        _, taken = post(preset, form, FORM, {}, query=f"?token={SECRET}")
    assert [contact.name for contact in taken.values()] == [name]


def test_the_second_guest_is_not_a_duplicate() -> None:
    """Mixpanel answers 400 to such identifiers, PostHog ignores them."""
    for on_invalid, status in (("reject", 422), ("quarantine", 200)):
        for email in ("a@x.example", "b@x.example"):
            body = json.dumps({"id": "undefined", "email": email}).encode()
            answer, taken = post("generic-bearer", body, "application/json", BEARER, on_invalid=on_invalid)
            assert (answer.status_code, taken) == (status, {})
            assert answer.json is not None
            assert answer.json["errors"] == {"identifier": "a placeholder, not an id"}


def test_a_source_can_allow_a_placeholder() -> None:
    body = json.dumps({"id": "guest", "email": "a@x.example"}).encode()
    answer, taken = post("generic-bearer", body, "application/json", BEARER, allow_identifiers=["guest"])
    assert (answer.status_code, list(taken)) == (200, ["guest"])
