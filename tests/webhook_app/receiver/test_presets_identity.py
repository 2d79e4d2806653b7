"""Two people of several products: both become contacts, whatever ids their products or visitors choose."""

from typing import Any

import pytest
import redis

from tests.deliveries import SECRET, Keys, sample_delivery
from tests.invariants import assert_invariants
from tests.world import World
from worker.model import Identity

#: Products that sign no time, and the app itself.
PRESETS = (
    *("github", "wordpress", "woocommerce", "discourse", "lemonsqueezy", "hubspot-workflow"),
    *("typeform", "tally", "intercom", "segment-identify", "shopify"),
)
SOURCES: dict[str, Any] = {
    **{preset: {"preset": preset, "secret": SECRET} for preset in PRESETS},
    "app": {"verify": "token", "secret": SECRET},
}
#: The first person of each product that counts from 1, and their identifier.
FIRST = {
    "github": ({"member.id": 1, "member.login": "octo"}, "github-1"),
    "wordpress": ({"ID": 1, "data.user_email": "jane@x.example"}, "wp-1"),
    "woocommerce": ({"id": 1, "email": "ann@x.example"}, "woo-1"),
    "discourse": ({"user.id": 1, "user.email": "eve@x.example"}, "discourse-1"),
    "lemonsqueezy": (
        {"data.attributes.customer_id": 1, "data.attributes.user_email": "bob@x.example"},
        "lemonsqueezy-1",
    ),
    "hubspot-workflow": ({"vid": 1, "properties.email.value": "zoe@x.example"}, "hubspot-1"),
}


@pytest.fixture
def world(client: redis.Redis) -> World:
    return World(client, sources=SOURCES)


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys("https://keys.example.com/jwks.json")


def send(world: World, keys: Keys, preset: str, changes: dict[str, Any]) -> dict[str, Any]:
    sent = sample_delivery(preset, keys, changes)
    answer = world.http.post(f"/webhooks/{preset}", data=sent.body, headers=list(sent.headers))  # type: ignore[call-overload]
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.get_json()
    return document


def emails(world: World, *identifiers: str) -> list[str | None]:
    contacts = [world.record(identifier).contact for identifier in identifiers]
    return [contact.email if contact else None for contact in contacts]


def test_the_first_person_of_every_product_becomes_a_contact(world: World, keys: Keys) -> None:
    answers = {preset: send(world, keys, preset, changes) for preset, (changes, _) in FIRST.items()}
    assert {preset: (answer["status"], answer["identifier"]) for preset, answer in answers.items()} == {
        preset: ("accepted", identifier) for preset, (_, identifier) in FIRST.items()
    }
    assert emails(world, "wp-1", "woo-1", "discourse-1") == ["jane@x.example", "ann@x.example", "eve@x.example"]
    assert_invariants(world.client)


def test_two_people_at_one_browser_are_both_contacts(world: World, keys: Keys) -> None:
    for response, email in (("r1", "ana@x.example"), ("r2", "bea@x.example")):
        changes = {"data.responseId": response, "data.respondentId": "shared", "data.fields.3.value": email}
        assert send(world, keys, "tally", changes)["status"] == "accepted"
    assert emails(world, "r1", "r2") == ["ana@x.example", "bea@x.example"]


#: How a visitor claims to be ``user-77``, and the identifier of what they send.
CLAIMS = [
    ("typeform", {"form_response.hidden": {"user_id": "user-77"}}, "a3a12ec67a1365927098a606107fac15"),
    ("tally", {"data.fields.0.label": "user_id", "data.fields.0.value": "user-77"}, "2wgx4n"),
    ("intercom", {"data.item.external_id": "user-77"}, "65537f0b1c0de1ee7ca11e01"),
]


@pytest.mark.parametrize(("preset", "changes", "identifier"), CLAIMS)
def test_a_visitor_does_not_take_the_identifier_of_a_person(
    preset: str, changes: dict[str, Any], identifier: str, world: World, keys: Keys
) -> None:
    assert send(world, keys, preset, changes)["status"] == "accepted"
    token = {"Authorization": f"Bearer {SECRET}"}
    real = {"identifier": "user-77", "email": "real@x.example", "name": "Real"}
    assert world.http.post("/webhooks/app", json=real, headers=token).get_json()["status"] == "accepted"
    assert emails(world, "user-77") == ["real@x.example"]
    assert world.record(identifier).identity is Identity.VISITOR


def test_who_knows_a_public_key_cannot_overwrite_a_person(world: World, keys: Keys) -> None:
    token = {"Authorization": f"Bearer {SECRET}"}
    real = {"identifier": "019mr8mf4r", "email": "real@x.example", "name": "Real"}
    world.http.post("/webhooks/app", json=real, headers=token)
    answer = send(world, keys, "segment-identify", {"traits.email": "mallory@x.example"})
    assert answer == {"status": "accepted", "identifier": "019mr8mf4r", "state": None, "contact_id": None}
    assert emails(world, "019mr8mf4r") == ["real@x.example"]
    assert world.store.quarantine.clashes() == {("segment-identify", "app"): 1}


def test_an_unverified_address_of_a_customer_is_marked(world: World, keys: Keys) -> None:
    for number, is_verified in ((11, True), (12, False)):
        send(world, keys, "shopify", {"id": number, "verified_email": is_verified, "email": f"c{number}@x.example"})
    assert [world.record(identifier).is_unverified for identifier in ("11", "12")] == [False, True]


def test_a_member_of_a_forum_is_verified_with_the_second_event(world: World, keys: Keys) -> None:
    """Until then the address connects the contact with none that LiveDesk has."""
    assert send(world, keys, "discourse", {})["status"] == "accepted"
    assert world.record("discourse-1").is_unverified
    confirmed = {"header:X-Discourse-Event": "user_confirmed_email"}
    assert send(world, keys, "discourse", confirmed)["status"] == "accepted"
    assert not world.record("discourse-1").is_unverified
    assert send(world, keys, "discourse", confirmed)["status"] == "duplicate"
