"""``/api/v1``: answers, actions and refusals; nothing without the token."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from werkzeug.test import TestResponse

from tests.api import BEARER, TOKEN, ApiWorld, populated
from tests.invariants import assert_invariants
from tests.rig.processes import free_port
from tests.rig.valkey import Valkey
from tests.world import CONFLICT, CREATED, FAILED, RETRYING
from webhook_app.api import DOCUMENT
from webhook_app.present.csv_export import CHUNK, INCOMPLETE, as_csv
from worker import __version__
from worker.actions import BulkAction
from worker.model import Contact, Note, NoteCode, Origin, Outcome, Quarantined, Resolution, State, Way
from worker.process.activity import Activity
from worker.store import keys
from worker.store.connection import connect
from worker.store.lists import Filter
from worker.store.record import ContactRecord

ADA = {"name": "Ada Lovelace", "email": "ada@example.com", "phone_number": "+4930123456"}
NO_KEY = "A" * 16


class Api:
    """A client that acts as ada."""

    def __init__(self, world: ApiWorld) -> None:
        self.world = world
        self.http = world.app.test_client()
        self.headers = {**BEARER, "X-Operator": "ada"}

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.http.get(f"/api/v1{path}", headers=self.headers, **options)

    def post(self, path: str, document: Any = None) -> TestResponse:
        return self.http.post(f"/api/v1{path}", headers=self.headers, json=document if document is not None else {})

    def patch(self, path: str, document: Any) -> TestResponse:
        return self.http.patch(f"/api/v1{path}", headers=self.headers, json=document)

    def record(self, key: str) -> ContactRecord:
        record = self.world.store.contacts.read(key)
        assert record is not None
        return record

    def found(self, text: str) -> list[str]:
        return [row["key"] for row in document_of(self.post("/contacts/find", {"text": text}))["contacts"]]

    def audited(self) -> list[tuple[str, str, str, str]]:
        return [(one.who, one.did, one.target, one.why) for one in self.world.store.audit.page()]


@pytest.fixture
def world(client: redis.Redis) -> Iterator[ApiWorld]:
    yield ApiWorld(client)
    assert_invariants(client)


@pytest.fixture
def api(world: ApiWorld) -> Api:
    return Api(world)


def document_of(response: TestResponse, status: int = 200) -> dict[str, Any]:
    assert (response.status_code, response.content_type) == (status, "application/json"), response.text
    document: dict[str, Any] = json.loads(response.text)
    return document


def problem_of(response: TestResponse, status: int) -> dict[str, Any]:
    assert (response.status_code, response.content_type) == (status, "application/problem+json"), response.text
    document: dict[str, Any] = json.loads(response.text)
    assert document["status"] == status
    return document


def addresses(world: ApiWorld) -> list[tuple[str, str]]:
    """Every address of the API with each of its methods."""
    return [
        (rule.rule, method)
        for rule in world.app.url_map.iter_rules()
        if rule.rule.startswith("/api")
        for method in (rule.methods or ())
    ]


def test_every_address_is_in_the_document_and_no_other(world: ApiWorld) -> None:
    documented = {
        (f"/api/v1{path}".replace("{", "<").replace("}", ">"), method.upper())
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
        if method != "parameters"
    }
    assert {(rule, method) for rule, method in addresses(world) if method not in ("HEAD", "OPTIONS")} == documented


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
def test_nothing_is_answered_or_done_without_the_token(headers: dict[str, str], client: redis.Redis) -> None:
    world = populated(client)
    before = client.dbsize(), world.store.contacts.counts()
    http = world.app.test_client()
    asked = addresses(world)
    assert len(asked) > 40
    for rule, method in asked:
        path = rule
        for name, known in world.known.items():
            path = path.replace(f"<{name}>", known[0])
        response = http.open(path, method=method, headers=headers)
        assert response.status_code == 401, (rule, method)
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (client.dbsize(), world.store.contacts.counts()) == before


def test_without_a_token_of_its_own_it_stays_closed(client: redis.Redis) -> None:
    http = ApiWorld(client, token=None).app.test_client()
    for headers in ({}, {"Authorization": "Bearer None"}, {"Authorization": "Bearer "}):
        assert "API_TOKEN is not set" in problem_of(http.get("/api/v1/situation", headers=headers), 401)["detail"]


def test_no_cookie_is_set_and_nothing_is_cached(api: Api) -> None:
    response = api.get("/situation")
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers


def test_an_unavailable_redis_is_reported(tmp_path: Path) -> None:
    with Valkey(tmp_path, port=free_port(), config={"appendonly": "no"}) as server:
        api = Api(ApiWorld(connect(server.url, timeout_s=0.1)))
        api.get("/situation")
        server.pause()
        responses = [
            api.get("/situation"),
            api.get("/contacts.csv?state=failed"),
            api.post(f"/contacts/{NO_KEY}/retry"),
        ]
        server.resume()
    for response in responses:
        problem_of(response, 503)
        assert response.headers["Retry-After"] == "10"


# How things stand


def test_the_situation_has_counts_and_livedesk(api: Api) -> None:
    api.world.bring("ada", FAILED)
    api.world.bring("eve", CONFLICT)
    api.world.bring("ida")
    document = document_of(api.get("/situation"))
    assert {state: number for state, number in document["contacts"].items() if number} == {
        "pending": 1,
        "conflict": 1,
        "failed": 1,
    }
    assert (document["failed_last_hour"], document["conflicts_last_hour"]) == (1, 1)
    assert document["upstream"]["state"] == "up"
    assert document["upstream"] == document_of(api.get("/upstream"))


def test_causes_count_contacts(api: Api) -> None:
    api.world.bring("ada", FAILED)
    api.world.bring("mary", FAILED)
    api.world.bring("eve", CONFLICT)
    causes = document_of(api.get("/causes"))["causes"]
    assert [(cause["cause"], cause["waiting"]) for cause in causes] == [("email_refused", 2), ("email_taken", 1)]
    assert causes[0]["explanation"]["title"] == "LiveDesk rejects the e-mail address"
    assert (causes[0]["explanation"]["fault"], causes[0]["explanation"]["spends_budget"]) == ("contact", True)
    assert document_of(api.get("/causes/email_refused")) == causes[0]
    assert sum(causes[0]["minutes"]) == 2
    problem_of(api.get("/causes/unheard_of"), 404)


def test_the_flow_has_the_last_hour(api: Api) -> None:
    api.world.bring("ada", FAILED)
    minutes = document_of(api.get("/flow"))["minutes"]
    assert len(minutes) == 60
    assert sum(minute["failed"] for minute in minutes) == 1


def test_livedesk_is_paused_and_resumed(api: Api) -> None:
    paused = document_of(api.post("/upstream/pause", {"why": "they move house"}))
    assert (paused["state"], paused["paused_by"], paused["paused_why"]) == ("paused", "ada (api)", "they move house")
    assert problem_of(api.post("/upstream/pause"), 409)["reason"] == "already"
    assert document_of(api.post("/upstream/resume"))["state"] == "up"
    assert problem_of(api.post("/upstream/resume"), 409)["reason"] == "already"
    assert api.audited() == [
        ("ada (api)", "resumed the sync", "", ""),
        ("ada (api)", "paused the sync", "", "they move house"),
    ]


def test_sources_have_the_last_use_of_secrets(api: Api) -> None:
    api.world.store.secret_uses.mark("signup", "secret")
    (source,) = document_of(api.get("/sources"))["sources"]
    assert (source["name"], source["address"], source["region"]) == ("signup", "/webhooks/signup", "DE")
    assert [secret["name"] for secret in source["secrets"]] == ["secret"]
    assert source["secrets"][0]["last_used_at"]


def test_sources_count_deliveries_by_result(api: Api) -> None:
    store = api.world.store
    (before,) = document_of(api.get("/sources"))["sources"]
    store.shift_ms -= 2 * 3_600_000
    store.counters.write({"delivery:signup:ignored": 7, "delivery:sign:ignored": 1})
    store.shift_ms += 2 * 3_600_000
    store.counters.write({"delivery:signup:ignored": 2, "refused:signup:unauthentic": 3})
    (source,) = document_of(api.get("/sources"))["sources"]
    new = [one for one in source["deliveries"] if one not in before["deliveries"]]
    assert new == [{"status": "ignored", "ever": 9, "last_hour": 2}]
    assert source["refusals"] == [{"reason": "unauthentic", "ever": 3, "last_hour": 3}]


def test_workers_are_listed(api: Api) -> None:
    api.world.store.queue.sweep("host-1")
    activity = Activity("host-2", 7)
    api.world.store.queue.sweep(activity.name, activity.report(api.world.store.now))
    former, worker = document_of(api.get("/workers"))["workers"]
    assert (former["name"], former["host"], former["pid"], former["version"]) == ("host-1", "host-1", None, None)
    assert (worker["name"], worker["host"], worker["pid"]) == ("host-2:7", "host-2", 7)
    assert (worker["state"], worker["doing"], worker["running"]) == ("running", "idle", 0)
    assert worker["version"] == __version__


def test_the_audit_log_has_pages(api: Api) -> None:
    for number in range(3):
        api.world.store.audit.add("ada", "retry", f"key-{number}", way=Way.PASSWORD)
    first = document_of(api.get("/audit?limit=2"))["entries"]
    assert [entry["target"] for entry in first] == ["key-2", "key-1"]
    rest = document_of(api.get(f"/audit?limit=2&before={first[-1]['id']}"))["entries"]
    assert [entry["target"] for entry in rest] == ["key-0"]


# Contacts


def test_a_list_has_what_its_filter_matches(api: Api) -> None:
    api.world.bring("ada", FAILED)
    api.world.bring("mary", FAILED, source="shop")
    api.world.bring("eve", CONFLICT)
    found = document_of(api.get("/contacts?state=failed"))
    assert [row["identifier"] for row in found["contacts"]] == ["mary", "ada"]
    assert (found["after"], found["matching"]) == (None, 2)
    for query, names in {
        "state=failed&source=shop": ["mary"],
        "cause=email_taken": ["eve"],
        "cause=email_taken&state=failed": [],
        "state=failed&attempts=2": [],
        "state=failed&until=2001-01-01T00:00:00Z": [],
        "state=failed&since=2001-01-01T00:00:00%2B02:00": ["mary", "ada"],
    }.items():
        rows = document_of(api.get(f"/contacts?{query}"))["contacts"]
        assert [row["identifier"] for row in rows] == names, query


def test_a_list_has_pages(api: Api) -> None:
    for number in range(5):
        api.world.bring(f"person-{number}", FAILED)
    seen: list[str] = []
    after: Any = ""
    pages = 0
    while after is not None:
        page = document_of(api.get("/contacts?state=failed&limit=2" + (f"&after={after}" if after else "")))
        seen += [row["identifier"] for row in page["contacts"]]
        after, pages = page["after"], pages + 1
    assert sorted(seen) == [f"person-{number}" for number in range(5)]
    assert pages == 3


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("state=lost", {"state"}),
        ("state=failed&limit=0", {"limit"}),
        ("state=failed&limit=1001", {"limit"}),
        ("state=failed&limit=two&attempts=-1&colour=red", {"limit", "attempts", "colour"}),
        ("state=failed&since=yesterday&until=2026-13-01T00:00:00Z", {"since", "until"}),
        ("state=failed&after=begin", {"after"}),
        ("state=failed&state=pending", {"state"}),
        ("state=failed&cause=", {"cause"}),
    ],
)
def test_each_wrong_parameter_is_named(query: str, wrong: set[str], api: Api) -> None:
    document = problem_of(api.get(f"/contacts?{query}"), 400)
    assert set(document["errors"]) == wrong
    assert "yesterday" not in str(document)


def test_a_filter_of_all_contacts_is_rejected(api: Api) -> None:
    for path in ("/contacts", "/contacts.csv", "/contacts?source=signup"):
        assert set(problem_of(api.get(path), 422)["errors"]) == {"state", "cause"}


@pytest.mark.parametrize("path", ["/situation", "/audit", "/operations", "/openapi.json", f"/contacts/{NO_KEY}"])
def test_an_unknown_parameter_is_refused(path: str, api: Api) -> None:
    assert problem_of(api.get(f"{path}?colour=red"), 400)["errors"] == {"colour": "is unknown"}


@pytest.mark.parametrize("identifier", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\tx", 'a"b\n,c', "müller"])
def test_csv_has_the_whole_list_and_no_formula(identifier: str, api: Api) -> None:
    for number in range(3):
        api.world.bring(f"person-{number}", FAILED)
    key = api.world.bring(identifier, FAILED)
    response = api.get("/contacts.csv?state=failed")
    assert (response.status_code, response.content_type) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert len(rows) == 4
    (row,) = [row for row in rows if row["key"] == key]
    assert row["identifier"].removeprefix("'") == identifier
    assert row["identifier"][0] not in "=+-@\t"
    assert (row["state"], row["cause"], row["attempts_made"], row["owner_id"]) == ("failed", "email_refused", "1", "")


def test_csv_has_personal_data_only_if_revealed_and_audited(api: Api) -> None:
    api.world.bring("ada", FAILED, **ADA)
    api.world.bring("mary", FAILED, name="=Mary")
    assert "ada@example.com" not in api.get("/contacts.csv?state=failed").text
    assert api.audited() == []
    revealed = api.get("/contacts.csv?state=failed&reveal=true").text
    mary, ada = csv.DictReader(io.StringIO(revealed, newline=""))
    assert {name: ada[name].removeprefix("'") for name in ADA} == ADA
    assert (mary["name"], mary["email"]) == ("'=Mary", "")
    assert api.audited() == [("ada (api)", "revealed a list: failed", "", "")]


def test_an_incomplete_csv_says_so(tmp_path: Path) -> None:
    with Valkey(tmp_path, port=free_port(), config={"appendonly": "no"}) as server:
        world = ApiWorld(connect(server.url, timeout_s=0.2))
        for number in range(CHUNK + 1):
            world.store.contacts.accept(Contact(f"person-{number}", 1), Origin("signup"))
        lines = as_csv(world.parts, Filter(state=State.PENDING))
        next(lines)
        assert next(lines).count("\r\n") == CHUNK
        server.pause()
        rest = "".join(lines)
        server.resume()
    assert rest == f"{INCOMPLETE}\r\n"


def test_a_list_is_csv_if_the_client_accepts_only_csv(api: Api) -> None:
    api.headers["Accept"] = "text/csv"
    api.world.bring("ada", FAILED)
    assert api.get("/contacts?state=failed&limit=1").text == api.get("/contacts.csv?state=failed").text
    api.headers["Accept"] = "*/*"
    document_of(api.get("/contacts?state=failed"))


@pytest.mark.parametrize("text", ["ada", "ADA@example.com", "+4930123456"])
def test_a_contact_is_found_by_what_is_known_of_it(text: str, api: Api) -> None:
    key = api.world.bring("ada", FAILED, **ADA)
    assert api.found(text) == [key]
    assert api.found(f"{text}x") == []


def test_a_contact_is_masked_unless_revealed_and_audited(api: Api) -> None:
    key = api.world.bring("ada", FAILED, **ADA)
    shown = document_of(api.get(f"/contacts/{key}"))
    assert (shown["key"], shown["identifier"], shown["state"], shown["attempts_made"]) == (key, "ada", "failed", 1)
    assert shown["attempts"][0]["cause"] == "email_refused"
    for value in ADA.values():
        assert value not in str(shown)
    assert shown["fields"]["email"] == "a***@e***.com"
    assert api.audited() == []
    revealed = document_of(api.get(f"/contacts/{key}?reveal=true"))["fields"]
    assert {name: revealed[name] for name in ADA} == ADA
    assert api.audited() == [("ada (api)", "revealed", key, "")]
    problem_of(api.get(f"/contacts/{NO_KEY}"), 404)
    problem_of(api.get(f"/contacts/{NO_KEY}?reveal=true"), 404)


def test_a_retry_is_audited_with_who_requested_it(api: Api) -> None:
    key = api.world.bring("ada", FAILED)
    assert document_of(api.post(f"/contacts/{key}/retry", {"why": "fixed"})) == {
        "key": key,
        "state": "retrying",
        "waits_for": None,
    }
    claim = api.world.store.contacts.claim(key, "token")
    assert claim is not None
    assert claim.trigger == "ada (api)"
    assert api.audited() == [("ada (api)", "retried", key, "fixed")]
    assert problem_of(api.post(f"/contacts/{key}/retry"), 409)["reason"] == "busy"


@pytest.mark.parametrize("action", ["retry", "discard", "adopt", "known", "leave-out"])
def test_a_refused_action_is_not_audited(action: str, api: Api) -> None:
    created = api.world.bring("joan", CREATED)
    problem_of(api.post(f"/contacts/{NO_KEY}/{action}"), 404)
    assert problem_of(api.post(f"/contacts/{created}/{action}"), 409)["reason"] in ("created", "no_owner")
    assert api.record(created).state is State.CREATED
    assert api.audited() == []


def test_a_contact_is_discarded_once(api: Api) -> None:
    key = api.world.bring("ada", FAILED)
    assert document_of(api.post(f"/contacts/{key}/discard"))["state"] == "discarded"
    assert problem_of(api.post(f"/contacts/{key}/discard"), 409)["reason"] == "discarded"
    assert api.audited() == [("ada (api)", "discarded", key, "")]


def test_a_conflict_is_marked_as_known(api: Api) -> None:
    key = api.world.bring("eve", CONFLICT, email="eve@example.com")
    known = document_of(api.post(f"/contacts/{key}/known", {"why": "it is her"}))
    assert known == {"key": key, "state": "created", "contact_id": 12}
    record = api.record(key)
    assert (record.state, record.outcome, record.contact_id) == (State.CREATED, Outcome.KNOWN, "12")
    assert record.contact is None, "the personal data have gone"
    assert record.attempts[-1].trigger == "ada (api)"
    assert api.found("12") == [key]
    assert api.audited() == [("ada (api)", "marked as known: contact 12", key, "it is her")]


def test_another_contact_is_known_where_it_is_named(api: Api) -> None:
    key = api.world.bring("eve", CONFLICT)
    assert set(problem_of(api.post(f"/contacts/{key}/known", {"contact_id": "7"}), 400)["errors"]) == {"contact_id"}
    assert document_of(api.post(f"/contacts/{key}/known", {"contact_id": 77}))["contact_id"] == 77


def test_a_known_contact_says_nothing_about_livedesk(api: Api, client: redis.Redis) -> None:
    key = api.world.bring("eve", CONFLICT)
    before = client.hget(keys.COUNTS, "ok")
    document_of(api.post(f"/contacts/{key}/known"))
    assert client.hget(keys.COUNTS, "ok") == before


def test_the_conflicting_contact_is_adopted_by_the_next_attempt(api: Api) -> None:
    key = api.world.bring("eve", CONFLICT, email="eve@example.com")
    assert document_of(api.post(f"/contacts/{key}/adopt", {"why": "it is her"})) == {
        "key": key,
        "state": "retrying",
        "waits_for": None,
    }
    claim = api.world.claim("eve")
    assert (claim.resolution, claim.owner_id, claim.trigger) == (Resolution.ADOPT, "12", "ada (api)")
    assert api.audited() == [("ada (api)", "decided to adopt contact 12", key, "it is her")]


def test_adopt_no_longer_takes_a_contact_id(api: Api) -> None:
    """Clients must notice that adopt has another meaning: it closed our record, and nothing was sent."""
    key = api.world.bring("eve", CONFLICT)
    problem = problem_of(api.post(f"/contacts/{key}/adopt", {"contact_id": 77}), 400)
    assert problem["errors"] == {"contact_id": "is unknown"}
    assert api.record(key).state is State.CONFLICT


def test_a_conflict_is_sent_without_the_field(api: Api) -> None:
    key = api.world.bring("eve", CONFLICT, email="eve@example.com", name="Eve")
    assert document_of(api.post(f"/contacts/{key}/leave-out"))["state"] == "retrying"
    assert api.world.claim("eve").contact == Contact("eve", 1, "Eve")
    assert api.audited() == [("ada (api)", "retried without email", key, "")]


@pytest.mark.parametrize("action", ["adopt", "without", "known"])
def test_conflicts_are_resolved_in_bulk(api: Api, action: str) -> None:
    is_sent = action != "known"
    api.world.bring("eve", CONFLICT)
    api.world.bring("mary", replace(CONFLICT, cause="identifier_found_twice", owner_id=None))
    start = {"action": action, "filter": {"state": "conflict"}, "canary": True}
    plan = document_of(api.post("/operations", {**start, "dry_run": True}))
    assert (plan["eligible"], plan["skipped"]) == (1, {})
    assert plan["obstacles"] == {"not_taken" if is_sent else "no_owner": 1}
    begun = document_of(api.post("/operations", start), 201)
    for _ in range(3):
        api.world.operations.step()
    now = document_of(api.get(f"/operations/{begun['id']}"))
    assert (now["moved"], now["recovered"], now["state"]) == ((1, 0, "running") if is_sent else (1, 1, "done"))
    document_of(api.post(f"/operations/{begun['id']}/undo"))
    for _ in range(3):
        api.world.operations.step()
    now = document_of(api.get(f"/operations/{begun['id']}"))
    assert (now["state"], now["restored"], now["recovered"]) == ("undone", 1, 0)
    assert api.world.counts() == {State.CONFLICT: 2}


# Edit and retry


@pytest.mark.parametrize("verdict", [FAILED, CONFLICT, RETRYING, None])
def test_an_edit_is_normalised_and_retried_at_once(verdict: Any, api: Api) -> None:
    key = api.world.bring("ada", verdict, name="Ada", email="ada@exmaple.com")
    fields = {"email": " Ada@Example.COM ", "phone_number": "030 123456"}
    state = document_of(api.patch(f"/contacts/{key}", {"fields": fields, "why": "typo"}))["state"]
    record = api.record(key)
    assert record.state == state == ("pending" if verdict is None else "retrying")
    assert record.contact == Contact("ada", 1, "Ada", "ada@example.com", "+4930123456")
    claim = api.world.store.contacts.claim(key, "token")
    assert claim is not None
    assert (claim.trigger, claim.contact) == ("ada (api)", record.contact)
    assert [row["key"] for row in document_of(api.post("/contacts/find", {"text": "ada@example.com"}))["contacts"]] == [
        key
    ]
    assert document_of(api.post("/contacts/find", {"text": "ada@exmaple.com"}))["contacts"] == []
    assert api.audited() == [("ada (api)", "edited email, phone_number", key, "typo")]


def test_a_discarded_contact_can_be_edited(api: Api) -> None:
    key = api.world.bring("ada", FAILED, email="ada@example.com")
    api.post(f"/contacts/{key}/discard")
    assert document_of(api.patch(f"/contacts/{key}", {"fields": {"email": None}}))["state"] == "retrying"
    assert api.record(key).contact == Contact("ada", 1)


def test_notes_about_other_fields_stay(api: Api) -> None:
    notes = (Note("email", "left out: it is not an address"), Note("name", "cut to 255 characters"))
    api.world.store.contacts.accept(Contact("ada", 1, "Ada"), Origin("signup"), notes)
    key = api.world.store.key_of("ada")
    document_of(api.patch(f"/contacts/{key}", {"fields": {"email": "ada@example.com"}}))
    assert api.record(key).notes == (notes[1], Note("email", "edited manually", NoteCode.EDITED))


def test_invalid_values_are_rejected_by_field(api: Api) -> None:
    key = api.world.bring("ada", FAILED, **ADA)
    before = api.record(key)
    fields = {"email": "nobody", "phone_number": "12", "avatar_url": "javascript:alert(1)", "name": "Ada King"}
    errors = problem_of(api.patch(f"/contacts/{key}", {"fields": fields}), 422)["errors"]
    assert set(errors) == {"email", "phone_number", "avatar_url"}
    assert api.record(key) == before
    assert api.audited() == []


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ({}, {"fields"}),
        ({"fields": {}}, {"fields"}),
        ({"fields": {"identifier": "eve"}}, {"fields.identifier"}),
        ({"fields": {"email": 5, "inbox_id": 0}, "extra": 1}, {"fields.email", "fields.inbox_id", "extra"}),
        ([], {"body"}),
    ],
)
def test_each_wrong_field_of_a_body_is_named(document: Any, wrong: set[str], api: Api) -> None:
    key = api.world.bring("ada", FAILED)
    assert set(problem_of(api.patch(f"/contacts/{key}", document), 400)["errors"]) == wrong


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        ("{", "application/json", 400),
        ("[" * 30_000, "application/json", 400),
        ('{"fields": {"name": NaN}}', "application/json", 400),
        ('{"fields": {"name": "\\ud800"}}', "application/json", 400),
        ('{"fields": {"inbox_id": ' + "9" * 5000 + "}}", "application/json", 400),
        ("fields=1", "application/x-www-form-urlencoded", 415),
        (" " * 70_000, "application/json", 413),
    ],
)
def test_an_invalid_body_is_rejected(data: str, content_type: str, status: int, api: Api) -> None:
    key = api.world.bring("ada", FAILED)
    response = api.http.patch(f"/api/v1/contacts/{key}", headers=api.headers, data=data, content_type=content_type)
    problem_of(response, status)


def test_newer_data_of_a_delivery_is_not_overwritten(api: Api) -> None:
    """A delivery may arrive between read and write: here, with the earlier data."""
    key = api.world.bring("ada", FAILED, email="ada@example.com")
    before = api.record(key).contact
    assert before is not None
    api.world.store.contacts.accept(Contact("ada", 1, "Ada King", "ada@example.com"), Origin("signup"))
    assert api.world.store.contacts.edit(key, before.without("email"), before=before) == "changed"
    assert api.record(key).contact == Contact("ada", 1, "Ada King", "ada@example.com")


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "operation 1", "ä"])
def test_who_acts_is_a_name(name: str, api: Api) -> None:
    key = api.world.bring("ada", FAILED)
    api.headers["X-Operator"] = name
    assert set(problem_of(api.post(f"/contacts/{key}/retry"), 400)["errors"]) == {"X-Operator"}
    del api.headers["X-Operator"]
    document_of(api.post(f"/contacts/{key}/retry"))
    assert api.audited() == [("api", "retried", key, "")]


# Operations


def start(api: Api, **more: Any) -> dict[str, Any]:
    return {"action": "retry", "filter": {"state": "failed"}, **more}


def test_an_operation_is_planned_started_and_changed(api: Api) -> None:
    for number in range(3):
        api.world.bring(f"person-{number}", FAILED)
    preview = document_of(api.post("/operations", start(api, dry_run=True)))
    assert (preview["eligible"], preview["skipped"], preview["at_least"]) == (3, {}, False)
    assert document_of(api.get("/operations"))["operations"] == []
    response = api.post("/operations", start(api, why="fixed", canary=True))
    begun = document_of(response, 201)
    assert response.headers["Location"] == f"/api/v1/operations/{begun['id']}"
    assert (begun["total"], begun["who"], begun["why"], begun["canary"]) == (3, "ada (api)", "fixed", True)
    assert begun["filter"]["state"] == "failed"
    assert problem_of(api.post("/operations", start(api)), 409)["reason"] == "not_opened"
    path = f"/operations/{begun['id']}"
    for turn, state in {"pause": "paused", "resume": "running", "cancel": "cancelled"}.items():
        assert document_of(api.post(f"{path}/{turn}"))["state"] == state
        assert document_of(api.get(path))["state"] == state
    assert problem_of(api.post(f"{path}/resume"), 409)["reason"] == "wrong_state"
    assert document_of(api.post(f"{path}/undo"))["state"] == "undoing"
    assert [did for _, did, _, _ in api.audited()][::-1] == [
        *("retried 3 contacts: failed, with a canary", "paused the operation", "resumed the operation"),
        *("cancelled the operation", "undid the operation"),
    ]
    problem_of(api.get("/operations/0123456789ab"), 404)
    problem_of(api.post("/operations/0123456789ab/pause"), 404)


def test_a_plan_counts_skipped_contacts(api: Api) -> None:
    api.world.bring("ada", FAILED)
    key = api.world.bring("mary", FAILED)
    api.world.store.contacts.retry_now(api.world.store.key_of("mary"))
    assert api.world.store.contacts.claim(key, "token")
    wanted = {"cause": "email_refused"}
    preview = document_of(api.post("/operations", {"action": "retry", "filter": wanted, "dry_run": True}))
    assert (preview["eligible"], preview["skipped"]) == (1, {"sending": 1})


def test_a_plan_counts_contacts_whose_state_does_not_allow_it(api: Api) -> None:
    api.world.bring("joan", CREATED)
    wanted = {"state": "created"}
    preview = document_of(api.post("/operations", {"action": "discard", "filter": wanted, "dry_run": True}))
    assert (preview["eligible"], preview["skipped"], preview["finish_s"]) == (0, {"created": 1}, 0)


def test_while_the_sync_is_paused_the_end_of_an_operation_is_unknown(api: Api) -> None:
    api.world.bring("ada", FAILED)
    api.post("/upstream/pause")
    assert document_of(api.post("/operations", start(api, dry_run=True)))["finish_s"] is None


@pytest.mark.parametrize(
    ("document", "status", "wrong"),
    [
        ({}, 400, {"action", "filter"}),
        (
            {"action": "erase", "filter": {"state": "lost", "attempts": "3"}},
            400,
            {"action", "filter.state", "filter.attempts"},
        ),
        ({"action": "discard", "filter": {"state": "failed"}, "canary": True}, 422, {"canary"}),
        ({"action": "retry", "filter": {}}, 422, {"state", "cause"}),
        ({"action": "retry", "filter": {"state": "failed"}, "canary": "yes"}, 400, {"canary"}),
    ],
)
def test_an_invalid_operation_is_rejected(document: Any, status: int, wrong: set[str], api: Api) -> None:
    assert set(problem_of(api.post("/operations", document), status)["errors"]) == wrong


# Quarantine


def hold(api: Api, payload: str) -> str:
    api.world.store.quarantine.add(
        Quarantined(source="signup", payload=payload, problems={"identifier": "missing"}, headers={"x-kind": "signup"})
    )
    return next(one.entry for one in api.world.store.quarantine.page() if one.payload == payload)


def test_a_delivery_in_quarantine_is_shown_without_its_payload_unless_revealed(api: Api) -> None:
    entry = hold(api, '{"mail": "ada@example.com"}')
    (listed,) = document_of(api.get("/quarantine"))["deliveries"]
    assert (listed["entry"], listed["problems"]) == (entry, {"identifier": "missing"})
    shown = document_of(api.get(f"/quarantine/{entry}"))
    assert (shown["payload"], shown["headers"]) == (None, None)
    revealed = document_of(api.get(f"/quarantine/{entry}?reveal=true"))
    assert (json.loads(revealed["payload"]), revealed["headers"]) == ({"mail": "ada@example.com"}, {"x-kind": "signup"})
    assert api.audited() == [("ada (api)", "revealed a delivery in quarantine", entry, "")]


def test_a_delivery_in_quarantine_is_replayed(api: Api) -> None:
    entry = hold(api, '{"id": "ada", "mail": "ada@example.com"}')
    assert document_of(api.post(f"/quarantine/{entry}/replay")) == {"status": "accepted", "advice": None}
    assert api.record(api.world.store.key_of("ada")).contact == Contact("ada", None, None, "ada@example.com")
    problem_of(api.get(f"/quarantine/{entry}"), 404)
    assert [did for _, did, _, _ in api.audited()] == ["replayed a delivery in quarantine"]


def test_a_delivery_without_a_usable_contact_stays(api: Api) -> None:
    entry = hold(api, '{"id": null}')
    assert problem_of(api.post(f"/quarantine/{entry}/replay"), 422)["errors"] == {"identifier": "missing"}
    document_of(api.get(f"/quarantine/{entry}"))
    assert api.audited() == []


def test_a_delivery_in_quarantine_is_deleted(api: Api) -> None:
    entry = hold(api, "{}")
    path = f"/api/v1/quarantine/{entry}"
    response = api.http.delete(path, headers=api.headers)
    assert (response.status_code, response.data) == (204, b"")
    problem_of(api.http.delete(path, headers=api.headers), 404)
    assert [did for _, did, _, _ in api.audited()] == ["discarded a delivery in quarantine"]


def test_what_an_operation_would_do_is_what_it_does(api: Api) -> None:
    """The plan counts by the same rule as the script that moves contacts."""
    for name, verdict in {"ada": FAILED, "eve": CONFLICT, "mary": RETRYING, "joan": CREATED, "ida": None}.items():
        api.world.bring(name, verdict)
    for state in State:
        operations = api.world.store.operations
        for action in BulkAction:
            previewed = document_of(
                api.post("/operations", {"action": action, "filter": {"state": state}, "dry_run": True})
            )
            begun = operations.open(action, Filter(state=state), who="", why="", total=0)
            for _ in range(5):
                operations.step()
            operation = operations.read(begun)
            assert operation is not None
            assert operation.moved == previewed["eligible"], (state, action)
            document_of(api.post(f"/operations/{begun}/undo"))
            for _ in range(5):
                operations.step()
