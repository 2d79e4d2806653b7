"""The overview and a cause's page: headline first, and unknown is never 0."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from tests.browser.seed import HOSTILE, bring, build, closed, fill, person, retrying
from tests.clashes import clash
from tests.invariants import assert_invariants
from tests.rig.processes import free_port
from tests.webhook_app.dashboard.test_access import csrf, send
from webhook_app.access import Role
from webhook_app.app import create_app
from webhook_app.parts import Parts
from worker.model import Quarantined, Signal, State
from worker.store import keys
from worker.store.connection import connect
from worker.store.overview import LATELY
from worker.store.store import Store

PASSWORDS = {Role.OPERATOR: "the-operator-of-the-tests", Role.VIEWER: "the-viewer-of-the-tests"}
#: Every page of this kind; what is on them is tested elsewhere.
PAGES = ("", "header", "upstream", "sources", "sources/quarantine", "workers", "audit")


@pytest.fixture
def parts(client: redis.Redis) -> Iterator[Parts]:
    yield build(client)
    client.delete(keys.QUEUE)
    assert_invariants(client)


def enter(parts: Parts, role: Role = Role.OPERATOR) -> FlaskClient:
    """Return a browser that is signed in."""
    door = create_app(parts).test_client()
    assert send(door, "/dashboard/sign-in", {"password": PASSWORDS[role], "name": "Ada"}).status_code == 303
    return door


def words(door: FlaskClient, path: str = "") -> str:
    """Return the visible text of a page."""
    answer = door.get(f"/dashboard/{path}")
    assert answer.status_code == 200
    return plain(answer.text)


def plain(page: str) -> str:
    text = re.sub(r"<[^>]*>", " ", page[page.index("<body") :])
    return " ".join(text.replace("&#39;", "'").split())


def title(door: FlaskClient, path: str = "") -> str:
    found = re.search("<title>(.*)</title>", door.get(f"/dashboard/{path}").text)
    assert found
    return found[1]


class Lonely(Store):
    """A store that has read its salt before Redis became unavailable."""

    def __init__(self, client: redis.Redis, salt: bytes, **options: Any) -> None:
        super().__init__(client, **options)
        self.told = salt

    def salt(self) -> bytes:
        return self.told


def enter_then_lose_redis(parts: Parts) -> FlaskClient:
    """Return a browser that signed in before Redis became unavailable."""
    cookie = enter(parts).get_cookie("livedesk-sync")
    assert cookie is not None
    away = connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1)
    store = Lonely(
        away, parts.store.salt(), envelope=parts.store.queue.envelope, lease_ms=1, policy=parts.store.upstream.policy
    )
    lonely = Parts(store=store, sources=parts.sources, access=parts.access)
    door = create_app(lonely).test_client()
    door.set_cookie("livedesk-sync", cookie.value)
    return door


def test_an_empty_system_shows_the_first_step(parts: Parts) -> None:
    parts.store.queue.sweep("worker-1")
    text = words(enter(parts))
    assert "No signups yet" in text
    assert "send-test signup" in text
    assert "Nothing is broken" in text


def test_all_is_well(parts: Parts) -> None:
    bring(parts.store, person("ada"))
    parts.store.queue.sweep("worker-1")
    door = enter(parts)
    assert "All is well Nothing needs your attention. 1 person is on the way." in words(door)
    assert title(door) == "Overview · LiveDesk Sync"


def test_a_redis_that_was_emptied_is_the_first_news_until_it_is_acknowledged(parts: Parts) -> None:
    parts.store.queue.sweep("worker-1")
    parts.store.client.set(keys.EMPTIED, parts.store.now())
    door = enter(parts)
    assert "Redis was emptied: acknowledged signups are lost" in words(door)
    assert "Redis was emptied" in title(door, "sources")
    assert "Acknowledge" not in words(enter(parts, Role.VIEWER))
    assert send(door, "/dashboard/acknowledge", {}).status_code == 303
    assert "Redis was emptied" not in title(door, "sources")


def test_the_overview_shows_the_quarantine(parts: Parts) -> None:
    parts.store.queue.sweep("worker-1")
    for number in range(2):
        parts.store.quarantine.add(Quarantined(source="shop", payload=f'{{"n": {number}}}', problems={}, headers={}))
    door = enter(parts)
    assert "2 deliveries without a usable contact Everything else is fine." in words(door)
    assert '<a href="/dashboard/sources/quarantine">2 deliveries in quarantine</a>' in door.get("/dashboard/").text


def test_the_overview_shows_clashes_with_both_sources(parts: Parts) -> None:
    parts.store.queue.sweep("worker-1")
    assert "Clashes" not in words(enter(parts))
    for identifier in ("7", "8"):
        clash(parts, identifier)
    door = enter(parts)
    text = words(door)
    assert "2 deliveries clash: shop and signup use the same identifiers Nobody was overwritten." in text
    assert "Their identifiers belong to people of Waiting Actions shop signup 2 Resolve : shop and signup" in text
    assert "without a usable contact" not in text, "a clash has one"
    assert 'href="/dashboard/sources/quarantine?source=shop&amp;other=signup"' in door.get("/dashboard/").text
    assert title(door) == "(2 clashes) Overview · LiveDesk Sync"
    assert "signup 2 Show : shop and signup" in words(enter(parts, Role.VIEWER))
    clash(parts, "9", "signup", "shop")
    assert "3 deliveries clash: 2 pairs of sources use the same identifiers" in words(enter(parts))
    bring(parts.store, person("ada"), closed(State.FAILED, "email_refused"))
    assert "1 person needs an operator. 3 deliveries clash with people of other sources." in words(enter(parts))


def test_clashes_are_read_with_the_overview(parts: Parts) -> None:
    bring(parts.store, person("ada"))
    door = enter(parts)
    without = calls(parts, "hgetall"), calls(parts, "hmget"), calls(parts, "zcard")
    door.get("/dashboard/")
    once = calls(parts, "hgetall"), calls(parts, "hmget"), calls(parts, "zcard")
    clash(parts)
    before = calls(parts, "hgetall"), calls(parts, "hmget"), calls(parts, "zcard")
    door.get("/dashboard/")
    after = calls(parts, "hgetall"), calls(parts, "hmget"), calls(parts, "zcard")
    hashes, fields, sizes = (b - a for a, b in zip(without, once, strict=True))
    of_the_estimate = 1  # the contact that the clash is about is open, too
    expected = [hashes, fields + of_the_estimate, sizes]
    assert [b - a for a, b in zip(before, after, strict=True)] == expected


def test_a_due_time_in_the_past_reads_due(parts: Parts) -> None:
    lost = replace(retrying("http_503", Signal.NOTHING, 503), delay_ms=60_000)
    parts.store.shift_ms = -600_000
    bring(parts.store, person("ada"), lost)
    parts.store.shift_ms = 0
    door = enter(parts)
    assert "Retrying 1 due now" in words(door)
    assert re.search(
        r"<td data-label=\"Next\"><time [^>]* data-due>due</time></td>",
        door.get("/dashboard/contacts?state=retrying").text,
    )
    parts.store.client.hset(keys.UPSTREAM, mapping={"stop": "down", "stop_since": "1", "probe_at": "2"})
    assert "Retrying 1 waiting for LiveDesk" in words(door)


def test_the_headline_without_a_worker(parts: Parts) -> None:
    bring(parts.store, person("ada"))
    parts.store.shift_ms = -60_000
    parts.store.queue.sweep("worker-1")
    parts.store.shift_ms = 0
    assert "No worker is running for 1 min 1 person is waiting. Nothing is lost. Start a worker." in words(enter(parts))


def test_the_headline_when_livedesk_is_down(parts: Parts) -> None:
    fill(parts.store)
    door = enter(parts)
    text = words(door)
    assert re.search(r"LiveDesk is down: LiveDesk answers with an error \(503\) for \d min Caused by LiveDesk\.", text)
    assert "16 people need an operator." in text
    assert "Down for" in text
    assert title(door).startswith("(LiveDesk down, 13 failed, 3 conflicts) ")


def test_the_headline_after_a_recovery_says_for_how_long_livedesk_was_away_and_what_is_left(parts: Parts) -> None:
    parts.store.queue.sweep("worker-1")
    for number in range(5):
        bring(parts.store, person(f"person-{number}"), retrying("http_503", Signal.ERROR, 503))
    door = enter(parts)
    assert "LiveDesk is down" in words(door)
    parts.store.shift_ms = 4 * 60_000
    parts.store.upstream.answered(Signal.OK, None, 200, 0)
    parts.store.queue.sweep("worker-1")
    text = words(door)
    assert re.search(r"LiveDesk is back after 4 min .*5 people are on the way: clears in", text)
    parts.store.shift_ms += 15 * 60_000
    parts.store.queue.sweep("worker-1")
    assert "LiveDesk is back" not in words(door)


def test_many_lost_answers_are_caused_by_livedesk(parts: Parts) -> None:
    for number in range(5):
        bring(parts.store, person(f"person-{number}"), retrying("answer_timeout", Signal.ERROR))
    text = words(enter(parts))
    assert "LiveDesk is down: LiveDesk did not answer in time" in text
    assert "Caused by LiveDesk. 5 people are waiting. Nothing is lost." in text


def test_the_headline_of_a_pause_names_the_operator_and_the_reason(parts: Parts) -> None:
    parts.store.upstream.pause("Grace", HOSTILE)
    answer = enter(parts).get("/dashboard/")
    assert "Sync paused by Grace: &lt;script&gt;" in answer.text
    assert "<title>(paused) " in answer.text
    assert "alert(1)</script>" not in answer.text


def test_a_wrong_api_key_is_caused_by_our_configuration(parts: Parts) -> None:
    bring(parts.store, person("ada"), retrying("unauthorized", Signal.MISCONFIGURED, 401))
    text = words(enter(parts))
    assert "The sync is misconfigured: LiveDesk rejects our API key (401)" in text
    assert "Caused by our configuration. 1 person is waiting. Nothing is lost." in text


def test_the_headline_of_an_unknown_inbox(parts: Parts) -> None:
    bring(parts.store, person("ada", inbox_id=99), retrying("inbox_not_found", Signal.INBOX, 404))
    parts.store.queue.sweep("worker-1")
    text = words(enter(parts))
    assert "LiveDesk does not know inbox 99" in text
    assert "1 held inbox" in text
    assert "Caused by our configuration. 1 person is waiting." in text
    parts.store.queue.sweep("worker-1")
    assert "Retrying 1 waiting for their inbox" in words(enter(parts))


def test_the_headline_of_the_most_frequent_cause(parts: Parts) -> None:
    for name in ("ada", "bob"):
        bring(parts.store, person(name), closed(State.FAILED, "email_refused"))
    bring(parts.store, person("cyd"), closed(State.CONFLICT, "phone_number_taken", owner_id="1"))
    parts.store.queue.sweep("worker-1")
    text = words(enter(parts))
    assert "2 people cannot reach LiveDesk: LiveDesk rejects the e-mail address" in text
    assert "Caused by the contact's data. 1 person more with 1 other cause. 3 people need an operator." in text


def test_only_operators_see_links_to_the_plan(parts: Parts) -> None:
    bring(parts.store, person("ada"), closed(State.FAILED, "email_refused"))
    link = 'href="/dashboard/operations/new?action=retry&amp;cause=email_refused"'
    assert link in enter(parts).get("/dashboard/").text
    assert link not in enter(parts, Role.VIEWER).get("/dashboard/").text
    page = enter(parts).get("/dashboard/causes/email_refused").text
    assert link in page
    assert link.replace("retry", "discard") in page
    assert "?action=" not in enter(parts, Role.VIEWER).get("/dashboard/causes/email_refused").text


def test_a_page_that_polls_learns_of_new_causes(parts: Parts) -> None:
    bring(parts.store, person("ada"), closed(State.FAILED, "email_refused"))
    door = enter(parts)
    assert "shown=email_refused" in door.get("/dashboard/").text
    assert "new cause" not in words(door, "?shown=email_refused")
    bring(parts.store, person("bob"), closed(State.FAILED, "name_refused"))
    assert "Show 1 new cause" in words(door, "?shown=email_refused")
    assert re.search('shown=[^"]*&amp;clashes=0"', door.get("/dashboard/").text)
    clash(parts)
    assert "Show 1 new cause and 1 new clash" in words(door, "?shown=email_refused&clashes=0")
    assert "new clash" not in words(door, "?shown=email_refused&clashes=1")


def test_a_running_operation_is_shown(parts: Parts) -> None:
    fill(parts.store)
    [operation] = parts.store.operations.latest()
    page = enter(parts).get("/dashboard/").text
    assert f'href="/dashboard/operations/{operation.id}"' in page
    assert "Retry 12 people" in page


def test_the_chart_has_a_table_with_the_same_numbers(parts: Parts) -> None:
    fill(parts.store)
    page = enter(parts).get("/dashboard/").text
    chart = page[page.index('class="chart lines"') :]
    assert chart.count('<polyline class="created"') == 1
    assert chart[: chart.index("</details>")].count('<th scope="row">') == 59


def test_one_cause(parts: Parts) -> None:
    for name in ("ada", "bob", "cyd"):
        bring(parts.store, person(name), closed(State.FAILED, "email_refused"))
    bring(parts.store, person("cyd"), retrying("http_500", Signal.NOTHING))
    text = words(enter(parts), "causes/email_refused")
    assert "LiveDesk rejects the e-mail address email_refused" in text
    assert "It does not accept the e-mail address" in text
    assert "What to do. Open one contact" in text
    assert "Waiting now 2 people" in text
    assert "Recovered 1 of 3 people" in text
    assert text.count("needs you") == 2


def test_an_unknown_cause_is_not_found(parts: Parts) -> None:
    answer = enter(parts).get("/dashboard/causes/<script>")
    assert (answer.status_code, "No attempt has failed with this cause." in answer.text) == (404, True)


def test_hostile_text_is_escaped(parts: Parts) -> None:
    fill(parts.store)
    door = enter(parts)
    for path in (*PAGES, "causes/name_refused"):
        text = door.get(f"/dashboard/{path}").text
        assert "alert(1)</script>" not in text
        assert "<img" not in text
        assert ">49" not in text
    assert "&lt;script&gt;alert(1)" in door.get("/dashboard/causes/name_refused").text


@pytest.mark.parametrize("path", PAGES)
def test_what_cannot_be_read_is_unknown_not_zero(parts: Parts, path: str) -> None:
    fill(parts.store)
    answer = enter_then_lose_redis(parts).get(f"/dashboard/{path}")
    assert answer.status_code == 200
    assert answer.text.count("unknown") > 7
    assert not re.search(r">\s*0\s*<", answer.text)


def test_the_time_is_that_of_redis(parts: Parts) -> None:
    assert "As of 1970" not in words(enter(replace(parts, clock=lambda: 0.0)))


PLAN = "operations/new?action=retry&cause=email_refused"


@pytest.mark.parametrize("path", ["", "contacts?state=failed", "contacts/{key}", PLAN, "upstream", "workers"])
def test_a_page_reads_how_things_stand_once(parts: Parts, path: str) -> None:
    key = bring(parts.store, person("ada"), closed(State.FAILED, "email_refused"))
    door = enter(parts)
    before = calls(parts, "llen")
    door.get(f"/dashboard/{path.format(key=key)}")
    assert calls(parts, "llen") - before == 1, "only the overview asks how long the queue is"


def test_a_plan_counts_its_contacts_once(parts: Parts) -> None:
    for name in ("ada", "bob", "cyd"):
        bring(parts.store, person(name), closed(State.FAILED, "email_refused"))
    door = enter(parts)
    before = calls(parts, "hmget")
    door.get(f"/dashboard/{PLAN}")
    assert calls(parts, "hmget") - before == LATELY + 1 + 3, "the minutes of the overview, and each contact"
    form = {"action": "retry", "cause": "email_refused", "expected": "3", "csrf": csrf(door)}
    before = calls(parts, "hmget")
    assert door.post("/dashboard/operations/new", data=form).status_code == 303
    assert calls(parts, "hmget") - before == LATELY + 1 + 3


def test_a_contact_reads_the_last_hour_once(parts: Parts) -> None:
    key = bring(parts.store, person("ada"), closed(State.FAILED, "email_refused"))
    door = enter(parts)
    before = calls(parts, "hmget")
    door.get(f"/dashboard/contacts/{key}")
    assert calls(parts, "hmget") - before == LATELY + 1 + 1, "one more for the contact's aliases"


def calls(parts: Parts, command: str) -> int:
    """Return how often Redis has executed a command."""
    stats: Any = parts.store.client.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {}).get("calls", 0))
