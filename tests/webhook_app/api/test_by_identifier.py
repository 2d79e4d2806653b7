"""``GET /contacts/<identifier>``: for any identifier, with the token."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.invariants import assert_invariants
from tests.rig.processes import free_port
from tests.rig.valkey import Valkey
from tests.world import make_store
from webhook_app.app import create_app
from webhook_app.bearer import is_authorized
from webhook_app.parts import Parts
from webhook_app.present.serializers import time
from worker.model import Attempt, AttemptResult, Contact, Note, OnChange, Origin, Outcome, State
from worker.store.connection import connect
from worker.store.store import Store

TOKEN = "open-sesame-open"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
STRANGE = [
    "a/b",
    "/a",
    "a/",
    "//",
    "a//b",
    "..",
    "../contacts/ada",
    "a/../ada",
    ".",
    "https://example.com/?q=ada#top",
    "a b",
    "a+b",
    "a%2Fb",
    "100%",
    "müller@例え.jp",
    "🔑",
    "<script>",
    "a;b,c&d=e",
    'a"b\\c',
    "healthz",
    "{lds}:salt",
]


def http_of(client: redis.Redis, token: str | None = TOKEN) -> FlaskClient:
    store = make_store(client)
    return create_app(Parts(store=store, sources={}, api_token=token)).test_client()


@pytest.fixture
def store(client: redis.Redis) -> Iterator[Store]:
    yield make_store(client)
    assert_invariants(client)


@pytest.fixture
def http(client: redis.Redis) -> FlaskClient:
    return http_of(client)


def finish(store: Store, verdict: AttemptResult, attempt: Attempt) -> None:
    claim = store.contacts.claim(store.key_of("ada"), f"token-{attempt.at}")
    assert claim is not None
    store.contacts.finish(claim, verdict, attempt)


def shown(http: FlaskClient, identifier: str = "ada") -> dict[str, Any]:
    response = http.get(f"/contacts/{quote(identifier, safe='')}", headers=BEARER)
    assert (response.status_code, response.content_type) == (200, "application/json")
    document: dict[str, Any] = json.loads(response.text)
    return document


def assert_problem(response: TestResponse, status: int) -> None:
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert json.loads(response.text)["status"] == status


def test_a_contact_that_waits_is_shown(http: FlaskClient, store: Store) -> None:
    store.contacts.accept(
        Contact("ada", 1, "Ada"), Origin("signup"), (Note("email", "left out: it is not an address"),)
    )
    document = shown(http)
    received_at = document.pop("received_at")
    assert RFC3339.fullmatch(received_at)
    assert document == {
        "identifier": "ada",
        "state": "pending",
        "outcome": None,
        "contact_id": None,
        "cause": None,
        "owner_id": None,
        "notes": [{"field": "email", "text": "left out: it is not an address", "code": ""}],
        "attempts": [],
        "attempts_made": 0,
        "next_attempt_at": None,
        "source": "signup",
        "identity": "account",
        "id_spaces": ["signup"],
        "closed_at": None,
        "newer_fields": [],
        "newer_at": None,
        "work": "create",
        "changes": [],
        "opened_at": None,
        "event": None,
        "event_at": None,
        "deletes": None,
    }


def test_a_contact_that_is_retried_is_shown_with_its_attempts(http: FlaskClient, store: Store) -> None:
    store.contacts.accept(Contact("ada", 1), Origin("signup"))
    again = AttemptResult(state=State.RETRYING, cause="http_502", delay_ms=5_000)
    finish(store, again, Attempt(1_795_000_000_000, 1_234, 502, "http_502", "Bad Gateway"))
    document = shown(http)
    assert (document["state"], document["cause"], document["attempts_made"]) == ("retrying", "http_502", 1)
    assert document["attempts"] == [
        {
            "at": "2026-11-18T11:06:40.000Z",
            "duration_ms": 1_234,
            "status": 502,
            "cause": "http_502",
            "excerpt": "Bad Gateway",
            "trigger": None,
            "changed": [],
        }
    ]
    assert RFC3339.fullmatch(document["next_attempt_at"])


def test_a_contact_that_is_created_is_shown_with_its_id_as_a_number(http: FlaskClient, store: Store) -> None:
    store.contacts.accept(Contact("ada", 1, "Ada"), Origin("signup"))
    adopted = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.ADOPTED, status=200)
    finish(store, adopted, Attempt(1_795_000_000_000, 500, 200))
    store.contacts.accept(Contact("ada", 1, "Ada King"), Origin("signup", on_change=OnChange.NOTE))
    document = shown(http)
    assert (document["state"], document["outcome"], document["contact_id"]) == ("created", "adopted", 7)
    assert document["closed_at"] == "2026-11-18T11:06:40.500Z"
    assert document["newer_fields"] == ["name"]
    assert RFC3339.fullmatch(document["newer_at"])


def test_a_conflict_is_shown_with_who_is_in_the_way(http: FlaskClient, store: Store) -> None:
    store.contacts.accept(Contact("ada", 1), Origin("signup"))
    finish(
        store, AttemptResult(state=State.CONFLICT, cause="email_taken", owner_id="9"), Attempt(1, 1, 422, "email_taken")
    )
    document = shown(http)
    assert (document["state"], document["cause"], document["owner_id"]) == ("conflict", "email_taken", 9)


@pytest.mark.parametrize("identifier", STRANGE)
def test_an_identifier_may_contain_anything(identifier: str, http: FlaskClient, store: Store) -> None:
    assert_problem(http.get(f"/contacts/{quote(identifier, safe='')}", headers=BEARER), 404)
    store.contacts.accept(Contact("ada", 1), Origin("signup"))
    store.contacts.accept(Contact(identifier, 1), Origin("signup"))
    assert shown(http, identifier)["identifier"] == identifier


@pytest.mark.parametrize("path", ["/contacts/nobody", "/contacts/Ada", "/contacts/%FF%FE", "/contacts/", "/contacts"])
def test_an_unknown_contact_is_not_found(path: str, http: FlaskClient, store: Store) -> None:
    store.contacts.accept(Contact("ada", 1), Origin("signup"))
    assert_problem(http.get(path, headers=BEARER), 404)


def test_an_empty_redis_has_no_contacts(http: FlaskClient) -> None:
    assert_problem(http.get("/contacts/ada", headers=BEARER), 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_contact_can_only_be_looked_at(method: str, http: FlaskClient) -> None:
    assert_problem(http.open("/contacts/ada", method=method, headers=BEARER), 405)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN.upper()}"},
        {"Authorization": "Bearer ünïcode"},
    ],
)
def test_without_the_token_nothing_is_revealed(headers: dict[str, str], http: FlaskClient, store: Store) -> None:
    store.contacts.accept(Contact("ada", 1), Origin("signup"))
    there, nobody = (http.get(f"/contacts/{name}", headers=headers) for name in ("ada", "nobody"))
    assert_problem(there, 401)
    assert there.headers["WWW-Authenticate"] == "Bearer"
    assert there.data == nobody.data, "not even whether there is such a contact"


@pytest.mark.parametrize("identifier", ["ada", *STRANGE])
def test_by_post_the_identifier_is_in_no_address(identifier: str, client: redis.Redis) -> None:
    http = http_of(client)
    make_store(client).contacts.accept(Contact(identifier, 1), Origin("signup"))
    path = "/api/v1/contacts/by-identifier"
    posted = http.post(path, json={"identifier": identifier}, headers=BEARER)
    assert posted.status_code == 200
    assert posted.json == http.get(f"/contacts/{quote(identifier, safe='')}", headers=BEARER).json
    assert_problem(http.post(path, json={"identifier": "nobody"}, headers=BEARER), 404)
    assert_problem(http.post(path, json={"identifier": identifier}), 401)


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_the_token_opens(header: str) -> None:
    assert is_authorized(header, TOKEN)


def test_a_token_beyond_ascii_opens_too() -> None:
    """A header's bytes come as Latin-1."""
    assert is_authorized("Bearer " + "schlüssel-schlüssel🔑".encode().decode("latin-1"), "schlüssel-schlüssel🔑")


@pytest.mark.parametrize("headers", [{}, BEARER, {"Authorization": "Bearer None"}, {"Authorization": "Bearer "}])
def test_without_a_token_of_its_own_it_stays_closed(headers: dict[str, str], client: redis.Redis) -> None:
    response = http_of(client, token=None).get("/contacts/ada", headers=headers)
    assert_problem(response, 401)
    assert "API_TOKEN" in response.text


def test_an_unresponsive_redis_is_reported_in_time(tmp_path: Path) -> None:
    with Valkey(tmp_path, port=free_port(), config={"appendonly": "no"}) as server:
        http = http_of(connect(server.url, timeout_s=0.1))
        assert_problem(http.get("/contacts/ada", headers=BEARER), 404)
        server.pause()
        began = monotonic()
        response = http.get("/contacts/ada", headers=BEARER)
        took = monotonic() - began
        server.resume()
    assert_problem(response, 503)
    assert response.headers["Retry-After"] == "10"
    assert took < 1


@pytest.mark.parametrize(
    ("ms", "text"),
    [(None, None), (0, "1970-01-01T00:00:00.000Z"), (1_795_000_000_007, "2026-11-18T11:06:40.007Z")],
)
def test_times_are_rfc_3339(ms: int | None, text: str | None) -> None:
    assert time(ms) == text
