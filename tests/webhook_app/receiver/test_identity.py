"""What senders hear about identifiers that are known, and what happens to a clash."""

from typing import Any

import pytest
import redis

from tests.invariants import assert_invariants
from tests.world import CREATED, World
from webhook_app.receiver.replay import replay
from worker.errors import Unmappable
from worker.model import Identity, State

TOKEN = {"Authorization": "Bearer s3cret-token"}
BEARER: dict[str, Any] = {"verify": "token", "secret": "s3cret-token", "on_invalid": "quarantine"}
SOURCES = {
    "app": BEARER,
    "shop": {**BEARER, "map": {"identifier": "$.id", "email": "$.email"}},
    "numbered": {**BEARER, "id_prefix": "wp-"},
    "form": {**BEARER, "identity": "visitor"},
    "strict": {**BEARER, "on_invalid": "reject"},
}
ADA = {"identifier": "7", "name": "Ada", "email": "ada@example.com"}
BOB = {"identifier": "7", "id": "7", "name": "Bob", "email": "bob@example.com"}


@pytest.fixture
def world(client: redis.Redis) -> World:
    return World(client, sources=SOURCES)


def post(world: World, source: str, payload: object, status: int = 200) -> dict[str, Any]:
    answer = world.http.post(f"/webhooks/{source}", json=payload, headers=TOKEN)
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.get_json()
    return document


def test_two_people_under_one_identifier_are_both_kept(world: World) -> None:
    post(world, "app", ADA)
    answer = post(world, "shop", BOB)
    assert answer["status"] == "quarantined"
    assert "another person" in answer["errors"]["identifier"]
    assert (answer["state"], answer["contact_id"]) == ("pending", None)
    [kept] = world.store.quarantine.page()
    assert (kept.source, kept.clash) == ("shop", "app")
    assert world.record("7").contact.email == "ada@example.com"  # type: ignore[union-attr]
    assert world.store.quarantine.clashes() == {("shop", "app"): 1}
    assert_invariants(world.client)


def test_an_answer_to_a_visitor_is_the_same_whoever_exists(world: World) -> None:
    world.bring("7", CREATED, source="app", email="ada@example.com")
    world.bring("8", source="app", email="eve@example.com")
    seen = [
        post(world, "form", {"identifier": identifier, "email": "mallory@example.net"})
        for identifier in ("7", "8", "nobody")
    ]
    seen.append(post(world, "form", {"identifier": "7", "email": "ada@example.com"}))
    for answer, identifier in zip(seen, ("7", "8", "nobody", "7"), strict=True):
        assert answer == {"status": "accepted", "identifier": identifier, "state": None, "contact_id": None}
    repeated = post(world, "form", {"identifier": "nobody", "email": "mallory@example.net"})
    assert repeated == {"status": "duplicate", "identifier": "nobody", "state": None, "contact_id": None}
    assert [one.clash for one in world.store.quarantine.page()] == ["app", "app"]


def test_an_account_hears_state_and_contact_id(world: World) -> None:
    world.bring("7", CREATED, source="app", email="ada@example.com")
    answer = post(world, "app", {"identifier": "7", "email": "ada@example.com"})
    assert answer == {"status": "duplicate", "identifier": "7", "state": "created", "contact_id": 7}


def test_a_form_that_was_first_takes_nobodys_identifier(world: World) -> None:
    post(world, "form", {"identifier": "user-77", "email": "mallory@example.net", "name": "Mallory"})
    assert post(world, "app", {**ADA, "identifier": "user-77"})["status"] == "quarantined"
    [kept] = world.store.quarantine.page()
    assert (kept.source, kept.clash) == ("app", "form")
    assert replay(world.parts, kept, id_prefix="app-") == "accepted"
    assert world.record("app-user-77").identity is Identity.ACCOUNT
    assert world.record("user-77").identity is Identity.VISITOR


def test_a_clash_in_a_batch_is_quarantined_alone(world: World) -> None:
    post(world, "app", ADA)
    answer = post(world, "shop", [{"id": "1", "email": "x@example.com"}, BOB, {"email": "y@example.com"}])
    assert [one["status"] for one in answer["results"]] == ["accepted", "quarantined", "quarantined"]
    kept = sorted(world.store.quarantine.page(), key=lambda one: one.clash, reverse=True)
    assert [(one.clash, one.is_element) for one in kept] == [("app", True), ("", True)]
    assert "bob@example.com" in kept[0].payload
    assert "x@example.com" not in kept[0].payload


@pytest.mark.parametrize("source", ["app", "strict"])
def test_the_good_elements_of_a_batch_are_stored(source: str, world: World) -> None:
    batch = [{"identifier": "a"}, {"identifier": ""}, {"identifier": "b"}]
    answer = post(world, source, batch, 200 if source == "app" else 422)
    assert world.record("a").state is world.record("b").state is State.PENDING
    if source == "strict":
        assert answer["errors"] == {"[1].identifier": "missing"}
        assert world.store.quarantine.page() == []


# Resolving a clash


def test_two_people_a_prefix_tells_them_apart(world: World) -> None:
    post(world, "app", ADA)
    post(world, "shop", BOB)
    [kept] = world.store.quarantine.page()
    with pytest.raises(Unmappable, match="another person"):
        replay(world.parts, kept)
    assert world.store.quarantine.size() == 1, "a replay that clashes loses nothing"
    assert replay(world.parts, kept, id_prefix="shop-") == "accepted"
    assert world.record("shop-7").contact.email == "bob@example.com"  # type: ignore[union-attr]
    assert world.store.quarantine.clashes() == {}
    assert world.store.quarantine.size() == 0


def test_the_same_person_is_let_through(world: World) -> None:
    post(world, "app", ADA)
    post(world, "shop", BOB)
    [kept] = world.store.quarantine.page()
    assert replay(world.parts, kept, same_person=True) == "accepted"
    assert world.record("7").id_spaces == ("app", "shop")
    assert world.record("7").contact.email == "bob@example.com"  # type: ignore[union-attr]
    assert post(world, "shop", {**BOB, "email": "bob@example.org"})["status"] == "accepted"
    assert world.store.quarantine.size() == 0


def test_an_element_of_a_batch_is_replayed_as_one(world: World) -> None:
    post(world, "app", ADA)
    post(world, "shop", [BOB])
    [kept] = world.store.quarantine.page()
    assert replay(world.parts, kept, id_prefix="shop-") == "accepted"
    assert world.record("shop-7").state is State.PENDING


def test_a_prefix_precedes_every_identifier(world: World) -> None:
    post(world, "app", {"identifier": 1})
    assert post(world, "numbered", {"identifier": 1})["identifier"] == "wp-1"
    answer = post(world, "numbered", {"identifier": "x" * 255})
    assert answer["errors"] == {"identifier": "longer than 255 characters with its prefix"}
