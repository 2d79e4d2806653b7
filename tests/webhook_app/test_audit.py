"""The audit log: what is in it, its filters, and CSV; on the page, in the API and as a command."""

import csv
import io
import json
from collections.abc import Iterator

import pytest
import redis

from tests.world import FAILED, DashboardWorld
from webhook_app.access import Role
from worker.model import Way
from worker.store import keys

TOKEN = "the-token-of-the-api-123"
PAGE = "/dashboard/audit"


@pytest.fixture
def world(client: redis.Redis) -> Iterator[DashboardWorld]:
    world = DashboardWorld(client, api_token=TOKEN)
    world.sign_in(Role.OPERATOR)
    yield world
    client.delete(keys.QUEUE)


@pytest.fixture
def filled(world: DashboardWorld) -> DashboardWorld:
    world.client.delete(keys.AUDIT)
    audit = world.store.audit
    audit.add("Ada", "retried", "key-1_of.contact", "it is fixed", way=Way.PASSWORD)
    audit.add("Grace (api)", "discarded", "key-1_of.contact", way=Way.API)
    audit.add("ada", "paused the sync", why="=1+1", way=Way.PASSWORD)
    for number in range(1200):
        audit.add("nightly", "exported 5 contacts: all", why=str(number), way=Way.PASSWORD)
    return world


def did(world: DashboardWorld, query: str) -> list[str]:
    """Return what the API lists."""
    answer = world.http.get(f"/api/v1/audit?{query}", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.text
    return [entry["did"] for entry in json.loads(answer.text)["entries"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("who=ADA", ["paused the sync", "retried"]),
        ("action=sync", ["paused the sync"]),
        ("contact=key-1_of.contact", ["discarded", "retried"]),
        ("contact=key-1_of.contact&who=grace", ["discarded"]),
        ("who=ada&until=2020-01-01T00:00:00Z", []),
        ("who=ada&since=2020-01-01T00:00:00Z", ["paused the sync", "retried"]),
        ("who=nobody", []),
        ("way=api", ["discarded"]),
        ("way=password&who=ada", ["paused the sync", "retried"]),
        ("way=provider", []),
    ],
)
def test_filters(filled: DashboardWorld, query: str, found: list[str]) -> None:
    query = query.replace("key-1_of.contact", "key.1_of.contact")
    for entry in filled.store.audit.page(limit=2000):
        if entry.target:
            filled.store.audit.add(entry.who, entry.did, "key.1_of.contact", way=Way(entry.way))
    assert sorted(set(did(filled, query))) == found
    page = filled.get(f"{PAGE}?{query}")
    assert all(f"<td>{one}</td>" in page for one in found)
    assert ("No such entries" in page) is (not found)


def test_pages_of_a_filter_follow_one_another(filled: DashboardWorld) -> None:
    first = filled.get(f"{PAGE}?who=nightly")
    assert first.count("<td>nightly</td>") == 50
    assert "who=nightly" in first.partition('rel="next"')[2][:200]


def test_csv_has_all_entries_and_no_formula(filled: DashboardWorld) -> None:
    page = filled.http.get(f"{PAGE}.csv")
    rows = list(csv.reader(io.StringIO(page.text)))
    assert rows[0] == ["id", "at", "who", "did", "target", "why", "way"]
    assert len(rows) == 1 + 1203
    assert rows[-3 + 2][2:] == ["Ada", "retried", "key-1_of.contact", "it is fixed", "password"]
    assert "'=1+1" in rows[-3]
    api = filled.http.get("/api/v1/audit.csv?who=ada", headers={"Authorization": f"Bearer {TOKEN}"})
    assert len(api.text.splitlines()) == 3
    printed = filled.flask("audit", "--who", "ada", "--csv")
    assert (printed.exit_code, len(printed.output.splitlines())) == (0, 3)


def test_the_command_and_the_page_find_a_contact_by_its_identifier(world: DashboardWorld) -> None:
    key = world.bring("ada-1", FAILED)
    world.send(f"/dashboard/contacts/{key}/retry", {"why": "fixed"})
    printed = world.flask("audit", "--contact", "ada-1")
    assert ("retried" in printed.output, "signed in" in printed.output) == (True, False)
    found = world.send(PAGE, {"contact": "ada-1", "since": "2h"})
    assert (found.status_code, found.location) == (303, f"{PAGE}?contact={key}&since=2h"), "no identifier in an address"
    assert "<td>retried</td>" in world.get(found.location)
    assert world.flask("audit", "--who", "nobody").output == "There are no such entries.\n"


@pytest.mark.parametrize(("name", "value"), [("since", "soon"), ("way", "guessing")])
def test_an_invalid_filter_is_refused(world: DashboardWorld, name: str, value: str) -> None:
    world.get(f"{PAGE}?{name}={value}", 400)
    answer = world.http.get(f"/api/v1/audit?{name}={value}", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code in (400, 422)
    assert world.flask("audit", f"--{name}", value).exit_code == 2


def test_each_entry_says_how_the_person_is_known(world: DashboardWorld) -> None:
    world.client.delete(keys.AUDIT)
    key = world.bring("ada-1", FAILED)
    world.send(f"/dashboard/contacts/{key}/retry", {"why": "fixed"})
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Operator": "ada@example.com"}
    world.http.post("/api/v1/upstream/pause", json={}, headers=headers)
    world.flask("resume", "--who", "ada@example.com")
    found = [(entry.who, entry.way) for entry in reversed(world.store.audit.page())]
    assert found == [("Ada the operator", "password"), ("ada@example.com (api)", "api"), ("ada@example.com", "cli")]
    page = world.get(PAGE)
    for who, words in [
        ("Ada the operator", "password"),
        ("ada@example.com (api)", "API"),
        ("ada@example.com", "command line"),
    ]:
        assert f"<td>{who}</td><td>{words}</td>" in page
    sent = world.send(PAGE, {"way": "cli"})
    assert sent.location == f"{PAGE}?way=cli"
    filtered = world.get(sent.location)
    assert (filtered.count("<td>command line</td>"), filtered.count("<td>API</td>")) == (1, 0)
    assert '<option value="cli" selected>' in filtered
    assert "resumed" in world.flask("audit", "--way", "cli").output
    assert world.flask("audit", "--way", "sync").output == "There are no such entries.\n"
    assert "ada@example.com command line resumed the sync" in " ".join(world.flask("audit").output.split())


def test_entries_of_earlier_versions_are_readable(world: DashboardWorld) -> None:
    world.client.xadd(keys.AUDIT, {"who": "ci (api)", "did": "retried", "target": "", "why": ""})
    assert "<td>ci (api)</td><td>–</td><td>retried</td>" in world.get(PAGE)
    assert world.store.audit.page(limit=1)[0].way == ""
    assert "ci (api)" in world.flask("audit").output


def test_actions_are_worded_alike(world: DashboardWorld) -> None:
    world.bring("ada-1", FAILED)
    auth = {"Authorization": f"Bearer {TOKEN}"}
    form = {"action": "retry", "filter": {"state": "failed"}, "canary": True}
    started = json.loads(world.http.post("/api/v1/operations", json=form, headers=auth).text)["id"]
    for change in ("pause", "resume", "cancel", "undo"):
        world.http.post(f"/api/v1/operations/{started}/{change}", headers=auth)
    world.flask("pause")
    world.flask("resume")
    world.flask("export")
    assert [entry.did for entry in reversed(world.store.audit.page())] == [
        "signed in",
        "retried 1 contact: failed, with a canary",
        *("paused the operation", "resumed the operation", "cancelled the operation", "undid the operation"),
        *("paused the sync", "resumed the sync", "exported 1 contact: all"),
    ]
