"""Batches: all contacts in a delivery are stored before the answer 200."""

import gzip
import json
from typing import Any

import pytest
import redis
from werkzeug.test import TestResponse

from tests.doors import MemoryStore, door
from tests.invariants import assert_invariants
from tests.world import make_store
from webhook_app.app import create_app
from webhook_app.parts import Parts
from webhook_app.sources.body.reader import MAX_ELEMENTS
from webhook_app.sources.config import read_source
from worker.errors import StoreFull, StoreUnavailable
from worker.store.connection import Connections

TOKEN = {"Authorization": "Bearer s3cret-token"}
SOURCE = {"verify": "token", "secret": "s3cret-token", "only_if": {"$.type": "created"}, "body": ["json", "ndjson"]}
SOURCES: dict[str, dict[str, Any]] = {
    "crm": SOURCE,
    "nested": {**SOURCE, "each": "$.events[*].user"},
    "any": {"verify": "token", "secret": "s3cret-token"},
}


def user(identifier: object, **more: object) -> dict[str, object]:
    return {"type": "created", "identifier": identifier, **more}


def result(status: str, identifier: str | None) -> dict[str, object]:
    state = "pending" if identifier else None
    return {"status": status, "identifier": identifier, "state": state, "contact_id": None}


def post(payload: object, source: str = "crm", store: MemoryStore | None = None, **options: Any) -> TestResponse:
    options = {"headers": TOKEN, "content_type": "application/json", **options}
    return door(SOURCES, store).post(f"/webhooks/{source}", data=json.dumps(payload), **options)


def test_each_element_of_an_array_is_a_contact_in_redis(client: redis.Redis) -> None:
    store = make_store(client)
    crm = read_source("crm", SOURCE, {})
    http = create_app(Parts(store=store, sources={"crm": crm})).test_client()
    users = [
        user(number, email=f"{number}@example.com") for number in range(12345678901234567890, 12345678901234567893)
    ]
    answer = http.post("/webhooks/crm", json=users, headers=TOKEN)
    assert answer.status_code == 200
    for identifier in (str(number["identifier"]) for number in users):
        record = store.contacts.find(identifier)
        assert record is not None
        assert record.state == "pending"
    assert_invariants(client)
    again = http.post("/webhooks/crm", json=users, headers=TOKEN)
    assert [one["status"] for one in again.get_json()["results"]] == ["duplicate"] * 3


def test_the_answer_has_the_result_of_the_batch_and_of_each_element() -> None:
    store = MemoryStore()
    answer = post([user("a"), {"type": "deleted"}, user("b"), user("a")], store=store)
    results = [result("accepted", "a"), result("ignored", None), result("accepted", "b"), result("duplicate", "a")]
    assert answer.get_json() == {**result("accepted", "a"), "results": results}
    assert list(store.taken) == ["a", "b"]


@pytest.mark.parametrize(
    ("payload", "first"),
    [
        ([{"type": "deleted"}, user("new")], result("accepted", "new")),
        ([{"type": "deleted"}, user("old")], result("duplicate", "old")),
        ([{"type": "deleted"}, 5, None], result("ignored", None)),
        ([user("old")], result("duplicate", "old")),
    ],
)
def test_the_best_result_of_a_batch_comes_first(payload: list[object], first: dict[str, object]) -> None:
    store = MemoryStore()
    post(user("old"), store=store)
    document = post(payload, store=store).get_json()
    results = document.pop("results")
    assert document == first
    assert len(results) == len(payload)


def test_a_single_delivery_is_answered_without_results() -> None:
    assert post(user("a")).get_json() == result("accepted", "a")
    assert post({"type": "deleted"}).get_json() == result("ignored", None)


@pytest.mark.parametrize(
    "content_type", ["application/x-ndjson", "application/json", "application/json; charset=utf-8"]
)
def test_each_line_is_a_contact(content_type: str) -> None:
    store = MemoryStore()
    lines = "\n".join(json.dumps(user(name)) for name in "abc")
    answer = door(SOURCES, store).post("/webhooks/crm", data=lines + "\n", headers=TOKEN, content_type=content_type)
    assert [one["identifier"] for one in answer.get_json()["results"]] == ["a", "b", "c"]
    assert list(store.taken) == ["a", "b", "c"]


def test_elements_can_be_anywhere() -> None:
    store = MemoryStore()
    answer = post({"events": [{"user": user("a")}, {"user": user("b")}, {"other": 1}]}, "nested", store)
    assert [one["identifier"] for one in answer.get_json()["results"]] == ["a", "b"]
    # Without any, it is the payload itself that is judged: to be ignored, or not to make a contact.
    assert post({"events": []}, "nested", store).get_json() == result("ignored", None)
    assert post(user(None), "nested", store).status_code == 422


def test_elements_without_a_contact_are_rejected_and_the_others_are_stored() -> None:
    store = MemoryStore()
    answer = post([user("a"), user(""), user("b", inbox_id="x"), user("c"), 5], "any", store)
    assert answer.status_code == 422
    assert answer.get_json()["errors"] == {
        "[1].identifier": "missing",
        "[2].inbox_id": "not an inbox id",
        "[4].identifier": "missing",
    }
    assert list(store.taken) == ["a", "c"]


@pytest.mark.parametrize("payload", [[], [[]], [None], ["a"], [[user("a")]], [[[]]]])
def test_elements_that_are_not_objects_have_no_contacts(payload: object) -> None:
    assert post(payload, "any").status_code == 422


def test_too_many_elements_are_too_large() -> None:
    store = MemoryStore()
    assert post([user(number) for number in range(1, MAX_ELEMENTS + 1)], store=store).status_code == 200
    assert len(store.taken) == MAX_ELEMENTS
    more = [user(f"more {number}") for number in range(MAX_ELEMENTS + 1)]
    assert post(more, store=store).status_code == 413
    lines = "\n".join(json.dumps(one) for one in more)
    ndjson = {"headers": TOKEN, "content_type": "application/x-ndjson"}
    assert door(SOURCES, store).post("/webhooks/crm", data=lines, **ndjson).status_code == 413
    assert len(store.taken) == MAX_ELEMENTS


@pytest.mark.parametrize("error", [StoreUnavailable("ConnectionError"), StoreFull("out of memory")], ids=str)
def test_a_batch_that_is_stored_in_part_must_be_sent_again(error: Exception) -> None:
    store = MemoryStore()

    def fail_at_the_third() -> None:
        if len(store.taken) == 2:
            raise error

    store.before = fail_at_the_third
    batch = [user(name) for name in "abcd"]
    answer = post(batch, store=store)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    store.before = lambda: None
    again = post(batch, store=store).get_json()["results"]
    assert [one["status"] for one in again] == ["duplicate", "duplicate", "accepted", "accepted"]


def test_a_batch_that_takes_too_long_must_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connections, "left_s", lambda self: 0.0)
    assert post([user("a")]).status_code == 503


def test_a_compressed_batch_is_unpacked_after_verification() -> None:
    packed = gzip.compress(json.dumps([user("a"), user("b")]).encode())
    http = door(SOURCES)
    options = {"data": packed, "content_type": "application/json"}
    assert http.post("/webhooks/crm", headers={**TOKEN, "Content-Encoding": "gzip"}, **options).status_code == 200
    assert http.post("/webhooks/crm", headers={"Content-Encoding": "gzip"}, **options).status_code == 401
    assert http.post("/webhooks/crm", headers={**TOKEN, "Content-Encoding": "br"}, **options).status_code == 415
    assert http.post("/webhooks/crm", headers=TOKEN, **options).status_code == 400


def test_a_zip_bomb_is_too_large_and_never_unpacked_without_a_signature() -> None:
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    http = door(SOURCES)
    options = {"data": bomb, "content_type": "application/json"}
    assert http.post("/webhooks/crm", headers={**TOKEN, "Content-Encoding": "gzip"}, **options).status_code == 413
    assert http.post("/webhooks/crm", headers={"Content-Encoding": "gzip"}, **options).status_code == 401
