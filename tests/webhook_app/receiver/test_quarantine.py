"""The quarantine stores and replays unusable deliveries, without secrets."""

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from tests.invariants import assert_invariants
from tests.world import make_store
from webhook_app.app import create_app
from webhook_app.parts import Parts
from webhook_app.receiver.delivery_log import RECORD_SECRET_EVERY_S, DeliveryLog
from webhook_app.receiver.replay import replay
from webhook_app.sources.body.payload_codec import dump_payload, load_payload
from webhook_app.sources.config import read_source
from worker.errors import Unmappable
from worker.model import Quarantined, State
from worker.store import quarantine

SECRET = "a-secret-of-the-tests"
HEADERS = {"Authorization": f"Bearer {SECRET}"}
SOURCE: dict[str, Any] = {
    "verify": "token",
    "secrets": ["an-older-secret-of-the-tests", SECRET],
    "inbox_id": 1,
    "secret_fields": ["$.password", "$..token"],
    "map": {"identifier": "$.user.id", "name": {"header": "X-Name"}},
}
FIXED = {**SOURCE, "map": {"identifier": "$.uid", "name": {"header": "X-Name"}}}


@pytest.fixture
def parts(client: redis.Redis) -> Iterator[Parts]:
    yield parts_with(client, SOURCE)
    assert_invariants(client)


def parts_with(client: redis.Redis, written: dict[str, Any]) -> Parts:
    store = make_store(client, lease_ms=1000)
    return Parts(store=store, sources={"app": read_source("app", written, {})})


def door(parts: Parts) -> FlaskClient:
    return create_app(parts).test_client()


def post(parts: Parts, document: object, **headers: str) -> Any:
    return door(parts).post("/webhooks/app", json=document, headers={**HEADERS, **headers})


def test_a_delivery_without_a_contact_is_quarantined_and_answered_200(parts: Parts) -> None:
    answer = post(parts, {"uid": 7})
    assert (answer.status_code, answer.json["status"]) == (200, "quarantined")
    assert answer.json["errors"] == {"identifier": "missing"}
    [held] = parts.store.quarantine.page()
    assert (held.source, held.problems) == ("app", {"identifier": "missing"})


def test_the_same_delivery_is_quarantined_once(parts: Parts) -> None:
    post(parts, {"uid": 7})
    post(parts, {"uid": 7})
    assert len(parts.store.quarantine.page()) == 1


def test_secrets_are_not_stored(parts: Parts, client: redis.Redis) -> None:
    post(parts, {"uid": 7, "password": "hunter2", "list": [{"token": "t0p"}, {"token": "s3cret"}]})
    [held] = parts.store.quarantine.page()
    assert json.loads(held.payload) == {"uid": 7, "list": [{}, {}]}


def post_text(parts: Parts, body: str) -> int:
    answer = door(parts).post("/webhooks/app", data=body, content_type="application/json", headers=HEADERS)
    return answer.status_code


def test_secrets_are_not_stored_at_any_depth(parts: Parts) -> None:
    body = '{"a":' * 900 + '{"token": "s3cret"}' + "}" * 900
    assert post_text(parts, body) == 200
    [held] = parts.store.quarantine.page()
    assert held.payload == body.replace('"token": "s3cret"', "")


@pytest.mark.parametrize("levels", [*range(900, 1000, 7), *range(960, 1000)])
def test_a_deeply_nested_delivery_is_quarantined_or_rejected(parts: Parts, levels: int) -> None:
    body = '{"a":' * levels + "1" + "}" * levels
    status = post_text(parts, body)
    held = [replayed(parts, held) for held in parts.store.quarantine.page()]
    assert (status, held) in [(200, [{"identifier": "missing"}]), (400, [])]


def replayed(parts: Parts, held: Quarantined) -> dict[str, str]:
    with pytest.raises(Unmappable) as caught:
        replay(parts, held)
    return caught.value.problems


def test_a_delivery_too_large_to_search_for_secrets_is_rejected(client: redis.Redis) -> None:
    parts = parts_with(client, {**SOURCE, "secret_fields": ["$..a..a..token"]})
    payload: dict[str, Any] = {f"k{number}": number for number in range(10_000)}
    for _ in range(100):
        payload = {"a": payload}
    assert post(parts, payload).status_code == 413
    assert parts.store.quarantine.page() == []


def test_an_unauthentic_delivery_is_not_stored(parts: Parts) -> None:
    assert door(parts).post("/webhooks/app", json={"uid": 7}).status_code == 401
    assert parts.store.quarantine.page() == []


def test_a_fixed_mapping_replays_a_delivery_with_its_headers(parts: Parts, client: redis.Redis) -> None:
    post(parts, {"uid": 12345678901234567890}, **{"X-Name": "Ada"})
    fixed = parts_with(client, FIXED)
    [held] = fixed.store.quarantine.page()
    assert replay(fixed, held) == "accepted"
    record = fixed.store.contacts.find("12345678901234567890")
    assert record is not None
    assert record.state is State.PENDING
    assert record.contact is not None
    assert record.contact.name == "Ada"
    assert fixed.store.quarantine.page() == []


def test_a_delivery_that_still_has_no_contact_stays(parts: Parts) -> None:
    post(parts, {"uid": 7})
    [held] = parts.store.quarantine.page()
    with pytest.raises(Unmappable):
        replay(parts, held)
    assert parts.store.quarantine.page() == [held]


def test_a_delivery_of_a_removed_source_stays(parts: Parts, client: redis.Redis) -> None:
    post(parts, {"uid": 7})
    [held] = parts.store.quarantine.page()
    without = Parts(store=parts.store, sources={})
    with pytest.raises(Unmappable, match="the source app no longer exists"):
        replay(without, held)
    assert parts.store.quarantine.read(held.entry) == held


def test_a_full_quarantine_evicts_and_rejects_nothing(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_ENTRIES", 1)
    assert post(parts, {"uid": 1}).status_code == 200
    assert post(parts, {"uid": 2}).status_code == 200
    assert [one.payload for one in parts.store.quarantine.page()] == ['{"uid":2}']


def test_a_delivery_too_large_for_the_quarantine_is_rejected_with_413(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_ENTRY_BYTES", 100)
    answer = post(parts, {"uid": 1})
    assert (answer.status_code, answer.content_type) == (413, "application/problem+json")
    assert "too large for the quarantine" in answer.text


def test_a_small_body_that_unpacks_to_a_large_one_is_kept_small(parts: Parts, client: redis.Redis) -> None:
    body = gzip.compress(json.dumps({"uid": 250_000 * "x"}).encode())
    sent = {**HEADERS, "Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert door(parts).post("/webhooks/app", data=body, headers=sent).status_code == 200
    assert int(client.hget("{lds}:quarantine_bytes", "app")) < 2_000  # type: ignore[arg-type]


def test_one_bad_element_of_a_batch_is_quarantined_and_the_others_are_stored(parts: Parts) -> None:
    answer = post(parts, [{"user": {"id": 1}}, {"uid": 2}, {"user": {"id": 3}}])
    assert answer.json["status"] == "accepted"
    assert [one["status"] for one in answer.json["results"]] == ["accepted", "quarantined", "accepted"]
    assert parts.store.contacts.find("1")
    assert parts.store.contacts.find("3")
    [kept] = parts.store.quarantine.page()
    assert kept.is_element
    assert load_payload(kept.payload) == {"uid": 2}
    assert list(kept.problems) == ["identifier"]


def test_a_rejecting_source_stores_nothing(client: redis.Redis) -> None:
    parts = parts_with(client, {**SOURCE, "on_invalid": "reject"})
    assert post(parts, {"uid": 7}).status_code == 422
    assert parts.store.quarantine.page() == []


def test_the_use_of_a_secret_is_recorded(parts: Parts) -> None:
    post(parts, {"user": {"id": 1}})
    assert list(parts.store.secret_uses.read()) == ["app:secrets number 2"]


def test_the_use_of_a_secret_is_recorded_once_a_minute(client: redis.Redis) -> None:
    parts = parts_with(client, SOURCE)
    now = 0.0
    log = DeliveryLog(parts, clock=lambda: now)
    log.used_secret(parts.sources["app"], 1)
    client.delete("{lds}:secrets")
    log.used_secret(parts.sources["app"], 1)
    assert parts.store.secret_uses.read() == {}
    now = RECORD_SECRET_EVERY_S
    log.used_secret(parts.sources["app"], 1)
    assert list(parts.store.secret_uses.read()) == ["app:secrets number 2"]


NAMES = st.text() | st.sampled_from(["$number", "$$number"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_a_payload_survives_the_quarantine_unchanged(payload: object) -> None:
    before = repr(payload)
    assert repr(load_payload(dump_payload(payload, ()))) == before


def test_what_a_sender_wrote_like_our_number_is_an_object_at_the_replay_too(parts: Parts) -> None:
    identifier: dict[str, object] = {"$number": "1E+30"}
    assert post(parts, {"user": {"id": identifier}}).json["status"] == "quarantined"
    [held] = parts.store.quarantine.page()
    with pytest.raises(Unmappable):
        replay(parts, held)
    assert load_payload(held.payload) == {"user": {"id": identifier}}


def test_entries_of_an_earlier_version_are_readable() -> None:
    assert load_payload('{"$number": "x"}') == {"$number": "x"}
    assert load_payload('{"$number": "1.50"}') == Decimal("1.50")
