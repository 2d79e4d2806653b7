"""The primary button is the advice, for every cause and in every state of LiveDesk."""

import re
from dataclasses import replace
from typing import Any

import pytest
import redis

from tests.world import FAILED, DashboardWorld
from webhook_app.dashboard.advice import Step, next_step
from worker.causes import CAUSES, Cause, http
from worker.store import keys

ROWS = [*CAUSES.values(), *map(http, (302, 402, 409, 500, 503))]
#: How the advice of a cause begins, or what it names, by the step.
ADVICE = {
    Step.RESOLVE: r"Decide whether|mark the contact as known",
    Step.OPEN: r"Open one contact|Search for it|Merge the two|Create the contact again|Compare the two",
    Step.RETRY: r"^Retry",
    Step.WORKERS: r"workers' logs",
    Step.WAIT: r"^(?!Open|Search|Retry|Decide|Merge|Compare|Create)",
}


@pytest.mark.parametrize("cause", ROWS, ids=str)
def test_the_step_is_what_the_advice_says(world: DashboardWorld, cause: Cause) -> None:
    up = world.store.upstream.read()
    assert re.search(ADVICE[next_step(cause, up)], cause.todo), cause.todo
    for stop in ("down", "misconfigured", "hold"):
        assert next_step(cause, replace(up, stop=stop)) is Step.PROBE
        assert next_step(cause, replace(up, stop=stop, paused_at=1)) is Step.RESUME


def test_the_page_of_a_cause_has_one_primary_button(client: redis.Redis) -> None:
    world = DashboardWorld(client)
    world.sign_in()
    key = world.bring("ada", FAILED, excerpt="Email is <b>invalid</b>")
    page = "/dashboard/causes/email_refused"
    assert primary(world.get(page)) == ["Open one of these"]
    assert '<q class="words">Email is &lt;b&gt;invalid&lt;/b&gt;</q>' in world.get(page)
    assert '<q class="words">Email is &lt;b&gt;invalid&lt;/b&gt;</q>' in world.get("/dashboard/")
    fields: Any = {"stop": "down", "stop_cause": "http_503", "stop_since": "1", "probe_at": "2"}
    client.hset(keys.UPSTREAM, mapping=fields)
    for path in (page, f"/dashboard/contacts/{key}", "/dashboard/contacts?cause=email_refused"):
        assert primary(world.get(path)) in ([], ["Probe now"]), path
    assert primary(world.get(page)) == ["Probe now"]
    world.store.upstream.pause("Grace", "a migration")
    assert primary(world.get(page)) == ["Resume the sync"]


def test_the_result_of_a_probe_appears_in_place(client: redis.Redis) -> None:
    world = DashboardWorld(client)
    world.sign_in()
    world.bring("ada")
    now = world.now()
    client.hset(keys.INBOXES, mapping={"9:since": now, "9:probe_at": now, "9:probes": 0})
    fields: Any = {
        "stop": "down",
        "stop_cause": "http_503",
        "stop_since": now - 220_000,
        "probe_at": now + 60_000,
        "probes": 3,
    }
    client.hset(keys.UPSTREAM, mapping=fields)
    answer = world.send("/dashboard/upstream/probe")
    page = answer.headers["Location"]
    assert "Probing LiveDesk…" in world.get(page)
    client.hset(keys.UPSTREAM, mapping={"probes": 4, "probe_at": world.now() + 120_000})
    assert "Still down: LiveDesk answers with an error (503)." in world.get(page)
    client.hdel(keys.UPSTREAM, "stop", "stop_cause", "stop_since", "probe_at", "probes")
    assert "LiveDesk is back after 3 min 40 s" in world.get(page)
    assert "1 person is on the way" in world.get(page)


def primary(page: str) -> list[str]:
    """Return the labels of the blue buttons on a page."""
    found = re.findall(r'class="[^"]*\bprimary\b[^"]*"[^>]*>([^<]*)<', page)
    return [label.strip() for label in found if label.strip() != "Pause now"]
