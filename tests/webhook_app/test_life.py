"""Changes and deletions in the API, the commands, CSV and metrics."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from click.testing import Result
from prometheus_client.parser import text_string_to_metric_families

from tests.api import BEARER, SOURCE, ApiWorld
from tests.invariants import assert_invariants
from tests.life import GONE, NOON, Life
from tests.world import World
from webhook_app.metrics import PREFIX
from worker import tasks
from worker.model import Attempt, AttemptResult, OnDelete, Outcome, State, Work
from worker.store.contacts import Finished
from worker.store.lists import Filter
from worker.sync import Ended

DELIVERED = "a-secret-of-our-own"
SENDER = {**SOURCE, "event": "$.type", "event_time": "$.at", "deleted_if": {"$.type": "gone"}, "on_delete": "mark"}


@pytest.fixture
def world(client: redis.Redis) -> Iterator[ApiWorld]:
    yield ApiWorld(client)
    assert_invariants(client)


@pytest.fixture
def ada(world: ApiWorld) -> Life:
    ada = Life(world)
    ada.signs_up()
    return ada


def ask(world: ApiWorld, path: str, method: str = "GET", **options: Any) -> Any:
    answer = world.http.open(path, method=method, headers=BEARER, **options)
    assert answer.status_code == 200, answer.text
    return answer.json


def run(world: ApiWorld, *arguments: str) -> Result:
    result = world.flask(*arguments)
    assert result.exit_code == 0, result.output
    return result


# The API


def test_a_change_that_waits_is_told(ada: Life, world: ApiWorld) -> None:
    ada.changes("name", name=None, custom_attributes={"plan": "enterprise"})
    document = ask(world, "/contacts/ada")
    assert (document["state"], document["work"], document["contact_id"]) == ("pending", "update", 7)
    assert document["changes"] == ["name", "phone_number", "custom_attributes.plan"]
    assert (document["event"], document["event_at"]) == ("user.updated", "2026-01-01T12:00:00.000Z")
    assert document["opened_at"] is not None
    assert ask(world, f"/api/v1/contacts/{ada.key}")["custom_attributes"] == {"plan": "e***"}
    revealed = ask(world, f"/api/v1/contacts/{ada.key}?reveal=true")
    assert revealed["custom_attributes"] == {"plan": "enterprise"}


def test_a_change_that_was_sent_is_told(ada: Life, world: ApiWorld) -> None:
    ada.changes()
    ada.sent("phone_number")
    document = ask(world, "/contacts/ada")
    assert (document["state"], document["outcome"], document["work"]) == ("created", "updated", None)
    assert document["attempts"][-1]["changed"] == ["phone_number"]
    [change] = ask(world, "/api/v1/changes")["changes"]
    assert (change["key"], change["outcome"], change["fields"]) == (ada.key, "updated", ["phone_number"])
    assert (change["event"], change["event_at"]) == ("user.updated", "2026-01-01T12:00:00.000Z")
    assert (change["source"], change["contact_id"]) == ("signup", 7)
    assert change["arrived_at"] <= change["at"]


def test_a_deletion_is_told(ada: Life, world: ApiWorld) -> None:
    ada.is_deleted(OnDelete.DELETE)
    document = ask(world, "/contacts/ada")
    assert (document["work"], document["deletes"]) == ("delete", "delete")
    ada.buried(Outcome.DELETED)
    document = ask(world, "/contacts/ada")
    assert (document["state"], document["outcome"], document["work"]) == ("deleted", "deleted", None)
    assert document["event_at"] == "2026-01-01T12:00:00.001Z"


def test_the_last_hour_tells_changes_from_signups(ada: Life, world: ApiWorld) -> None:
    ada.changes()
    ada.sent("phone_number")
    ada.is_deleted()
    ada.buried(Outcome.MARKED)
    world.store.counters.flush()
    minutes = ask(world, "/api/v1/flow")["minutes"]
    totals = {name: sum(minute[name] for minute in minutes) for name in ("created", "updated", "marked", "deleted")}
    assert totals == {"created": 1, "updated": 1, "marked": 1, "deleted": 0}


def test_the_log_of_changes_has_pages(ada: Life, world: ApiWorld) -> None:
    bob = Life(world, "bob", "8")
    bob.signs_up()
    for number in range(4):
        for life in (ada, bob):
            life.changes(at=NOON + number, phone_number=f"+491511234567{number}")
            life.sent("phone_number")
    first = ask(world, f"/api/v1/changes?key={ada.key}&limit=3")["changes"]
    rest = ask(world, f"/api/v1/changes?key={ada.key}&before={first[-1]['id']}")["changes"]
    times = [one["event_at"] for one in first + rest]
    assert times == [f"2026-01-01T12:00:00.00{number}Z" for number in (3, 2, 1, 0)]
    assert len(ask(world, "/api/v1/changes")["changes"]) == 8


def test_lists_can_be_filtered_by_work(ada: Life, world: ApiWorld) -> None:
    world.bring("new-one")
    ada.changes()
    for work, names in {"create": ["new-one"], "update": ["ada"], "delete": []}.items():
        page = ask(world, f"/api/v1/contacts?state=pending&work={work}")
        assert [(row["identifier"], row["work"]) for row in page["contacts"]] == [(name, work) for name in names]
        assert page["matching"] is None
    assert world.store.lists.count(Filter(state=State.PENDING, work=Work.UPDATE)).number == 1
    assert Filter.load(Filter(state=State.PENDING, work=Work.UPDATE).dump()).work is Work.UPDATE


def test_a_contact_that_is_gone_is_created_again(ada: Life, world: ApiWorld) -> None:
    ada.changes()
    ada.ends(GONE)
    made = ask(world, f"/api/v1/contacts/{ada.key}/create-again", "POST", json={})
    assert made == {"key": ada.key, "state": "retrying", "waits_for": None}
    refused = world.http.post(f"/api/v1/contacts/{ada.key}/create-again", headers=BEARER, json={})
    assert refused.status_code == 409


def test_the_situation_tells_changes_from_signups(ada: Life, world: ApiWorld) -> None:
    ada.changes()
    world.bring("new-one")
    waiting = ask(world, "/api/v1/situation")["waiting"]
    assert waiting == {"new": 1, "retry": 0, "deletion": 0, "change": 1, "bulk": 0, "held": 0, "operator": 0}
    assert list(waiting)[:5] == ["operator", "new", "retry", "deletion", "change"], "the order in which they are sent"


# CSV and export


def test_csv_says_what_is_to_be_sent(ada: Life, world: ApiWorld) -> None:
    ada.changes(custom_attributes={"plan": "pro", "seats": 3})
    text = world.http.get("/api/v1/contacts.csv?state=pending&reveal=true", headers=BEARER).text
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["work"], row["contact_id"]) == ("update", "7")
    assert json.loads(row["custom_attributes"]) == {"plan": "pro", "seats": 3}


def test_an_export_has_attributes_and_events(ada: Life, world: ApiWorld) -> None:
    ada.changes(custom_attributes={"plan": "pro"})
    [row] = csv.DictReader(io.StringIO(run(world, "export").stdout))
    assert (row["work"], row["event"], row["event_at"]) == ("update", "user.updated", "2026-01-01T12:00:00.000Z")
    assert json.loads(row["custom_attributes"]) == {"plan": "pro"}
    assert "changes" not in row, "a list"


# Commands


def test_commands_tell_changes(ada: Life, world: ApiWorld) -> None:
    ada.changes()
    ada.sent("phone_number")
    ada.changes(at=NOON + 1, name="Ada King", custom_attributes={"plan": "enterprise"})
    shown = run(world, "contacts", "show", "ada").stdout
    told = dict(line.split(None, 1) for line in shown.splitlines())
    assert (told["work"], told["changes"]) == ("update", "name, custom_attributes.plan")
    assert told["custom_attributes.plan"] == "e***"
    assert "phone number" in told["updated"]
    header, row = run(world, "contacts", "list", "--state", "pending", "--work", "update").stdout.splitlines()
    assert header.split()[3] == "work"
    assert row.split()[3] == "update"


def test_a_command_creates_a_contact_again(ada: Life, world: ApiWorld) -> None:
    ada.changes()
    ada.ends(GONE)
    assert run(world, "contacts", "create-again", "ada").stdout == "Creating the contact again now.\n"
    assert world.record().work is Work.CREATE
    assert world.flask("contacts", "create-again", "ada").exit_code == 1


# Metrics


def figures(world: World) -> dict[tuple[str, ...], float]:
    world.store.counters.flush()
    # Label values follow the name, source first.
    return {
        (sample.name.removeprefix(PREFIX), *dict(sorted(sample.labels.items(), reverse=True)).values()): sample.value
        for family in text_string_to_metric_families(world.http.get("/metrics").text)
        for sample in family.samples
    }


def test_what_waits_is_measured_by_lane(ada: Life, world: ApiWorld) -> None:
    world.bring("new-one")
    ada.changes()
    gone = Life(world, "gone", "9")
    gone.signs_up()
    world.advance(-60_000)
    gone.is_deleted()
    world.advance(60_000)
    found = figures(world)
    assert [found["waiting", lane] for lane in ("new", "retry", "deletion", "change")] == [1, 0, 1, 1]
    assert 59 < found["lane_overdue_seconds", "deletion"] < 70
    assert found["lane_overdue_seconds", "change"] < 10
    assert found["overdue_seconds",] == found["lane_overdue_seconds", "deletion"]


def test_what_livedesk_has_is_counted(ada: Life, world: ApiWorld) -> None:
    assert [figures(world)["attempts_total", outcome] for outcome in ("updated", "marked", "deleted")] == [0, 0, 0]
    ada.changes()
    ada.sent("phone_number")
    ada.is_deleted()
    ada.buried(Outcome.MARKED)
    found = figures(world)
    assert [found["attempts_total", outcome] for outcome in ("updated", "marked", "deleted")] == [1, 1, 0]
    assert found["contacts", "deleted"] == 1


def test_the_events_of_each_source_are_counted(client: redis.Redis) -> None:
    world = World(client, sources={"signup": SENDER})
    steps = [("new", "a@example.com", 1), ("old", "b@example.com", 3), ("stale", "c@example.com", 2), ("gone", None, 4)]
    for kind, mail, minute in steps:
        if kind == "old":
            world.finish(world.claim())
        document = {"id": "ada", "mail": mail, "type": kind, "at": f"2026-01-01T12:0{minute}:00Z"}
        headers = {"Authorization": f"Bearer {DELIVERED}"}
        assert world.http.post("/webhooks/signup", json=document, headers=headers).status_code == 200
    found = figures(world)
    kinds = {kind: found["events_total", "signup", kind] for kind in ("change", "deletion", "stale")}
    assert kinds == {"change": 1, "deletion": 1, "stale": 1}


def test_how_long_a_change_took_is_measured(ada: Life, world: ApiWorld) -> None:
    ada.changes()
    claim = world.claim()
    took = Attempt(claim.received_at + 2_000, 500, 200)
    for outcome in (Outcome.UPDATED, Outcome.CREATED):
        result = AttemptResult(state=State.CREATED, contact_id="7", outcome=outcome)
        tasks._time_change(world.store, Ended(claim, result, took, Finished(written=True)))
    found = figures(world)
    assert (found["change_duration_seconds_count",], found["change_duration_seconds_sum",]) == (1, 2.5)
    assert [found["change_duration_seconds_bucket", bound] for bound in ("1.0", "5.0")] == [0, 1]
