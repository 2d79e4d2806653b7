"""What senders hear about changes and deletions, and what is counted."""

import json
import logging
import re
from typing import Any

import pytest
import redis

from tests.invariants import assert_invariants
from tests.rig.parts import ROOT
from tests.world import CREATED, World
from worker.model import State

TOKEN = {"Authorization": "Bearer s3cret-token"}
BEARER: dict[str, Any] = {"verify": "token", "secret": "s3cret-token", "on_invalid": "quarantine"}
SOURCES = {
    "app": {**BEARER, "on_delete": "mark"},
    "ignoring": {**BEARER, "each": "$.events[*]"},
    "form": {**BEARER, "identity": "visitor"},
    "visitors": {**BEARER, "identity": "visitor", "on_delete": "mark", "id_space": "form"},
}
OLD, EARLIER, LATER = "2026-01-01T09:00:00Z", "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"
ADA = {"identifier": "7", "name": "Ada", "email": "ada@example.com"}


@pytest.fixture
def world(client: redis.Redis) -> World:
    return World(client, sources=SOURCES)


def post(world: World, source: str, payload: object) -> dict[str, Any]:
    answer = world.http.post(f"/webhooks/{source}", json=payload, headers=TOKEN)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.get_json()
    return document


def event(kind: str, at: str, **data: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": at, "data": {"identifier": "7", **data}}


def counted(world: World, *prefixes: str) -> dict[str, int]:
    world.store.counters.flush()
    return {name: total.ever for name, total in world.store.counters.totals(*prefixes).items()}


def test_a_change_of_a_created_contact_is_accepted(world: World) -> None:
    world.bring("7", CREATED, source="app", name="Ada", email="ada@example.com")
    answer = post(world, "app", event("user.updated", EARLIER, name="Ada Lovelace"))
    assert (answer["status"], answer["state"], answer["contact_id"]) == ("accepted", "pending", 7)
    assert "reason" not in answer
    assert_invariants(world.client)


def test_a_stale_event_is_a_duplicate_with_its_reason(world: World) -> None:
    post(world, "app", event("user.created", OLD, name="Ada"))
    post(world, "app", event("user.updated", LATER, name="Ada L."))
    answer = post(world, "app", event("user.updated", EARLIER, name="Ada"))
    assert (answer["status"], answer["reason"]) == ("duplicate", "stale")
    assert world.record("7").contact.name == "Ada L."  # type: ignore[union-attr]
    assert post(world, "app", event("user.updated", LATER, name="Ada B."))["status"] == "accepted", "equal: the later"
    assert counted(world, "event:") | {"event:app:stale": 1} == counted(world, "event:")


def test_a_visitor_does_not_hear_that_an_event_is_stale(world: World) -> None:
    post(world, "form", event("form.sent", LATER, name="Ada"))
    answer = post(world, "form", event("form.sent", EARLIER, name="Eve"))
    assert answer == {"status": "accepted", "identifier": "7", "state": None, "contact_id": None}


def test_null_removes_a_field_and_what_is_missing_stays(world: World) -> None:
    post(world, "app", ADA)
    post(world, "app", {"identifier": "7", "name": None})
    contact = world.record("7").contact
    assert contact is not None
    assert (contact.name, contact.email) == (None, "ada@example.com")


def test_a_deletion_is_accepted_and_no_late_event_revives_the_person(world: World) -> None:
    post(world, "app", event("user.created", OLD, name="Ada"))
    answer = post(world, "app", event("user.deleted", LATER))
    assert (answer["status"], answer["identifier"]) == ("accepted", "7")
    before = world.record("7")
    late = post(world, "app", event("user.created", EARLIER, name="Ada"))
    assert (late["status"], late["reason"]) == ("duplicate", "stale")
    assert world.record("7") == before
    assert post(world, "app", event("user.deleted", LATER))["status"] == "duplicate"
    assert_invariants(world.client)


def test_an_ignored_deletion_is_counted_and_says_why(world: World, caplog: pytest.LogCaptureFixture) -> None:
    deleted, created = event("user.deleted", LATER), event("user.created", EARLIER, name="Ada")
    answer = post(world, "form", deleted)
    nobody = {"identifier": None, "state": None, "contact_id": None}
    assert answer == {"status": "ignored", **nobody, "reason": "deletion"}
    with caplog.at_level(logging.DEBUG, "webhook_app.receiver.delivery_log"):
        answer = post(world, "ignoring", {"events": [deleted, created, deleted]})
    assert [result["status"] for result in answer["results"]] == ["ignored", "accepted", "ignored"]
    assert [result.get("reason") for result in answer["results"]] == ["deletion", None, "deletion"]
    assert "result=accepted" in caplog.text
    assert counted(world, "ignored_deletion:") == {"ignored_deletion:form": 1, "ignored_deletion:ignoring": 2}
    assert counted(world, "delivery:") == {
        "delivery:form:ignored": 1,
        "delivery:ignoring:ignored": 2,
        "delivery:ignoring:accepted": 1,
    }
    assert "livedesk_sync_deletions_ignored_total" in world.http.get("/metrics").text


def test_a_clash_is_counted_as_what_was_done_and_not_as_what_a_visitor_hears(world: World) -> None:
    post(world, "app", ADA)
    answer = post(world, "form", {"identifier": "7", "email": "mallory@example.net"})
    assert answer["status"] == "accepted"
    assert counted(world, "delivery:") == {"delivery:app:accepted": 1, "delivery:form:quarantined": 1}


def test_a_deletion_by_a_visitor_does_not_reach_an_account(world: World) -> None:
    world.bring("7", CREATED, source="app", email="ada@example.com")
    post(world, "visitors", event("user.deleted", LATER))
    assert world.record("7").state is State.CREATED
    assert_invariants(world.client)


def test_an_unusable_identifier_of_a_deletion_is_quarantined(world: World) -> None:
    answer = post(world, "app", event("user.deleted", LATER, identifier="undefined"))
    assert (answer["status"], answer["errors"]) == ("quarantined", {"identifier": "a placeholder, not an id"})


def test_the_examples_of_the_documentation_do_what_it_says(world: World) -> None:
    page = (ROOT / "docs" / "sending.md").read_text(encoding="utf-8")
    section = page.partition("## After the signup")[2].partition("\n## ")[0]
    bodies = [json.loads(body) for body in re.findall(r"-d '([^']*)'", section)]
    answers = [post(world, "app", body) for body in bodies]
    told = [
        (body["type"], answer["status"], answer.get("reason")) for body, answer in zip(bodies, answers, strict=True)
    ]
    assert told == [
        ("user.created", "accepted", None),
        ("user.updated", "accepted", None),
        ("user.updated", "duplicate", "stale"),
        ("user.deleted", "accepted", None),
    ]


def test_a_placeholder_is_named_where_the_contact_may_be_elsewhere(world: World) -> None:
    answer = post(world, "app", {"type": "user.created", "identifier": "undefined", "data": {"name": "Ada"}})
    assert answer["errors"] == {"identifier": "a placeholder, not an id"}
