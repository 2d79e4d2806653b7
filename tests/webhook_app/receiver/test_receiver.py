"""The receiver: the answers, and what is stored before them."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.invariants import assert_invariants
from tests.rig.processes import free_port
from tests.world import make_store
from webhook_app.app import create_app
from webhook_app.parts import Parts
from webhook_app.sources import load_sources
from worker.errors import StoreFull, StoreUnavailable
from worker.model import Accepted, Attempt, AttemptResult, Origin, Outcome, Signup, State, UpstreamPolicy
from worker.store import keys
from worker.store.connection import connect
from worker.store.contacts import Contacts
from worker.store.store import Store

SECRET = "open-sesame-open"
BEARER = {"Authorization": f"Bearer {SECRET}"}
#: With `on_invalid` as the tests need it, whatever the default is.
SOURCES = """
[sources.signup]
verify = "token"
secret = "$SIGNUP_SECRET"
region = "DE"
inbox_id = 407
max_bytes = 2000
on_invalid = "reject"

[sources.crm]
verify = "token"
secret = "$SIGNUP_SECRET"
only_if = { "$.type" = "user.created" }
"""
ADA = {"identifier": "ada", "name": "Ada", "email": "Ada@Example.com", "phone_number": "0151 12345678"}


class BrokenContacts(Contacts):
    """Contacts whose ``accept_signup`` raises an error."""

    error: Exception

    def accept_signup(self, signup: Signup, origin: Origin, **options: Any) -> Accepted:
        raise self.error


def broken(client: redis.Redis, error: Exception) -> Store:
    store = Store(client)
    contacts = BrokenContacts(store, store.queue, UpstreamPolicy(), store.counters, lease_ms=0)
    contacts.error = error
    store.contacts = contacts
    return store


@dataclass
class Door:
    """The application, with short helpers for tests."""

    client: redis.Redis
    store: Store
    http: FlaskClient
    sources_file: Path

    def post(self, payload: object = ADA, source: str = "signup", **options: Any) -> TestResponse:
        options = {"headers": BEARER, "content_type": "application/json", **options}
        return self.http.post(f"/webhooks/{source}", data=json.dumps(payload), **options)

    def record(self, identifier: str) -> Any:
        return Store(self.client).contacts.find(identifier)

    def with_store(self, store: Store) -> "Door":
        return Door(self.client, store, http_of(store, self.sources_file), self.sources_file)


def http_of(store: Store, sources_file: Path) -> FlaskClient:
    sources = load_sources(sources_file, None, {"SIGNUP_SECRET": SECRET})
    return create_app(Parts(store=store, sources=sources)).test_client()


@pytest.fixture
def door(client: redis.Redis, tmp_path: Path) -> Iterator[Door]:
    file = tmp_path / "sources.toml"
    file.write_text(SOURCES)
    store = make_store(client)
    yield Door(client, store, http_of(store, file), file)
    assert_invariants(client)


def problem_of(response: TestResponse, status: int) -> dict[str, Any]:
    """Return the problem document (RFC 9457), which must repeat nothing that was sent."""
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = json.loads(response.text)
    assert document["type"] == "about:blank"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"].endswith(".")
    for secret in (SECRET, "Ada", "example.com", "12345678"):
        assert secret not in response.text
    return document


# Accepted deliveries are answered with exactly 200


def test_a_signup_is_stored_before_the_answer(door: Door) -> None:
    response = door.post()
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.json == {"status": "accepted", "identifier": "ada", "state": "pending", "contact_id": None}
    record = door.record("ada")
    assert (record.state, record.source) == (State.PENDING, "signup")
    assert record.contact.phone_number == "+4915112345678"
    assert record.contact.inbox_id == 407
    assert door.client.llen(keys.QUEUE) == 1


def test_a_repeated_delivery_is_a_duplicate(door: Door) -> None:
    door.post()
    assert door.post().json == {"status": "duplicate", "identifier": "ada", "state": "pending", "contact_id": None}
    assert door.client.llen(keys.QUEUE) == 1


def test_the_answer_for_a_created_contact_has_its_id_as_a_number(door: Door) -> None:
    door.post()
    claim = door.store.contacts.claim(door.store.key_of("ada"), "token")
    assert claim is not None
    created = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED, status=200)
    door.store.contacts.finish(claim, created, Attempt(claim.now, 1, 200))
    assert door.post().json == {"status": "duplicate", "identifier": "ada", "state": "created", "contact_id": 7}


def test_a_number_becomes_a_text_identifier(door: Door) -> None:
    assert door.post({"identifier": 12345678901234567890}).json["identifier"] == "12345678901234567890"  # type: ignore[index]


def test_an_invalid_optional_field_is_noted_and_not_rejected(door: Door) -> None:
    assert door.post({**ADA, "email": "at"}).status_code == 200
    assert [note.field for note in door.record("ada").notes] == ["email"]


def test_a_delivery_that_is_not_a_signup_is_ignored(door: Door) -> None:
    response = door.post({"type": "user.banned", "identifier": "ada"}, "crm")
    assert response.status_code == 200
    assert response.json == {"status": "ignored", "identifier": None, "state": None, "contact_id": None}
    assert door.record("ada") is None


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "application/cloudevents+json", "", None]
)
def test_json_is_accepted_under_any_of_its_types_or_none(content_type: str | None, door: Door) -> None:
    assert door.post(content_type=content_type).status_code == 200


# Rejected deliveries


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong-wrong-wrong"},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": f"Bearer {SECRET}x"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer ünïcode"},
    ],
)
def test_an_unauthentic_delivery_gets_401_and_stores_nothing(headers: dict[str, str], door: Door) -> None:
    response = door.post(headers=headers)
    problem_of(response, 401)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert door.record("ada") is None


def test_the_body_is_not_parsed_before_verification(door: Door) -> None:
    response = door.http.post("/webhooks/signup", data=b"\xff{", content_type="text/plain")
    problem_of(response, 401)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[1, 2", b'{"identifier": NaN}', b"[" * 1500])
def test_a_body_that_is_not_json_is_a_bad_request(body: bytes, door: Door) -> None:
    response = door.http.post("/webhooks/signup", data=body, headers=BEARER, content_type="application/json")
    problem_of(response, 400)


@pytest.mark.parametrize("source", ["unknown", "Signup", "sign%20up", "%F0%9F%94%91", "signup%2F.."])
def test_an_unknown_source_is_not_found(source: str, door: Door) -> None:
    problem_of(door.post(source=source), 404)


@pytest.mark.parametrize(
    "path", ["/", "/webhooks", "/webhooks/", "//webhooks/signup", "/webhooks//signup", "/favicon.ico"]
)
def test_other_urls_are_not_found(path: str, door: Door) -> None:
    problem_of(door.http.post(path, json=ADA, headers=BEARER), 404)


def test_a_slash_at_the_end_is_forgiven(door: Door) -> None:
    """A redirect would lose the body, as Django's ``APPEND_SLASH`` does."""
    path = "/webhooks/signup/"
    response = door.http.post(path, json=ADA, headers=BEARER)
    assert (response.status_code, response.history) == (200, ())
    assert door.record("ada").source == "signup"
    problem_of(door.http.get(path), 405)
    problem_of(door.http.post(path, json=ADA), 401)
    problem_of(door.http.post(path.replace("signup", "sign-up"), json=ADA, headers=BEARER), 404)


@pytest.mark.parametrize("rest", ["ada", "//", "ada/"])
def test_a_path_that_goes_on_says_so(rest: str, door: Door) -> None:
    document = problem_of(door.http.post(f"/webhooks/signup/{rest}", json=ADA, headers=BEARER), 404)
    assert document["detail"] == "The URL must end after the name of the source."
    assert problem_of(door.http.post(f"/webhooks/sign-up/{rest}", json=ADA), 404)["detail"] != document["detail"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_post_is_allowed(method: str, door: Door) -> None:
    response = door.http.open("/webhooks/signup", method=method, headers=BEARER)
    problem_of(response, 405)
    assert "POST" in response.headers["Allow"]


def test_a_body_that_is_too_large_is_rejected(door: Door) -> None:
    fits = {"identifier": "ada", "x": "x" * (2000 - len('{"identifier": "ada", "x": ""}'))}
    assert door.post(fits).status_code == 200
    problem_of(door.post({**fits, "x": fits["x"] + "x"}), 413)


def test_a_chunked_body_needs_a_server_that_knows_its_length(door: Door) -> None:
    response = door.http.post(
        "/webhooks/signup",
        input_stream=io.BytesIO(b"{}"),
        headers={**BEARER, "Transfer-Encoding": "chunked"},
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )
    problem_of(response, 411)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"identifier: Ada"),
        ("text/html", b"<p>Ada</p>"),
        ("text/html", b'{"identifier": "Ada"}'),
        ("multipart/form-data", b'{"identifier": "Ada"}'),
        ("application/xml", b'{"identifier": "Ada"}'),
        ("application/xml", b'<?xml version="1.0"?><name>Ada</name>'),
        ("application/x-www-form-urlencoded", b"identifier=Ada"),
    ],
)
def test_other_types_are_rejected(content_type: str, body: bytes, door: Door) -> None:
    problem_of(door.http.post("/webhooks/signup", data=body, headers=BEARER, content_type=content_type), 415)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"name": "Ada"}, "identifier"),
        ({"identifier": ""}, "identifier"),
        ({"identifier": ["Ada"]}, "identifier"),
        ({"identifier": "Ada\x00"}, "identifier"),
        ({"identifier": "Ada" * 100}, "identifier"),
        ({"identifier": "ada", "inbox_id": "Ada"}, "inbox_id"),
        ([], "identifier"),
        ("Ada", "identifier"),
        (None, "identifier"),
    ],
)
def test_a_rejection_names_every_invalid_field(payload: object, field: str, door: Door) -> None:
    document = problem_of(door.post(payload), 422)
    assert list(document["errors"]) == [field]


# Errors that are not the sender's: never 2xx, never 4xx


@pytest.mark.parametrize("error", [StoreUnavailable("ConnectionError"), StoreFull("Redis is out of memory")], ids=str)
def test_a_delivery_that_cannot_be_stored_must_be_sent_again(error: Exception, door: Door) -> None:
    store = broken(door.client, error)
    response = door.with_store(store).post()
    problem_of(response, 503)
    assert response.headers["Retry-After"] == "10"


def test_without_redis_the_answer_comes_within_the_connection_timeout(door: Door) -> None:
    away = connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1)
    problem_of(door.with_store(make_store(away)).post(), 503)


def test_a_bug_is_a_500_that_reveals_nothing_of_the_delivery(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    store = broken(door.client, KeyError("Ada@Example.com"))
    with caplog.at_level(logging.DEBUG):
        problem_of(door.with_store(store).post(), 500)
    assert "bug error=KeyError at=" in caplog.text
    assert "Ada" not in caplog.text


def test_logs_contain_nothing_of_a_delivery(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    store = broken(door.client, StoreUnavailable("ConnectionError"))
    with caplog.at_level(logging.DEBUG):
        door.post()
        door.post({"name": "Ada"})
        door.post(headers={"Authorization": "Bearer Ada-Ada-Ada"})
        door.with_store(store).post()
    assert "reason=store_away" in caplog.text
    for secret in (SECRET, "Ada", "example.com", "12345678"):
        assert secret not in caplog.text
