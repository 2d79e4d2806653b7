"""Every screen in every state of LiveDesk: header, overview, pages, readyz, metrics, API and commands agree."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.world import CONFLICT, FAILED, HOUR_MS, RETRYING, DashboardWorld
from webhook_app import cli
from worker.durations import absolute
from worker.model import UpstreamPolicy
from worker.store import keys

TOKEN = "a-token-of-the-tests"
WORDS = 'Subscription expired <b>"now"</b>'
MINUTE_MS = 60_000
#: Nobody may read these while nothing is sent.
NOW = re.compile(r"due now|is due|Retrying now|Adopting LiveDesk's contact now")
#: Nor these while nobody's contacts are sent.
SENDING = re.compile(r"clears in|next in \d|" + NOW.pattern)


def up(world: DashboardWorld, now: int) -> None:
    pass


def slow(world: DashboardWorld, now: int) -> None:
    world.client.hset(keys.UPSTREAM, mapping={"pace": "200", "raised_at": now})


def paused(world: DashboardWorld, now: int) -> None:
    world.store.upstream.pause("Grace", "a migration")


def stopped(world: DashboardWorld, now: int, stop: str, cause: str, **more: Any) -> None:
    fields: Any = {
        "stop": stop,
        "stop_cause": cause,
        "stop_since": now - 5 * MINUTE_MS,
        "probe_at": now + 2 * MINUTE_MS,
    }
    world.client.hset(keys.UPSTREAM, mapping=fields | {"probes": 3} | more)


def down(world: DashboardWorld, now: int) -> None:
    stopped(world, now, "down", "http_503", stop_status="503")


def misconfigured(world: DashboardWorld, now: int) -> None:
    stopped(world, now, "misconfigured", "unauthorized", stop_status="401")


def throttled(world: DashboardWorld, now: int) -> None:
    stopped(world, now, "hold", "throttled", stop_status="429", stop_until=now + 10 * HOUR_MS)


def refused(world: DashboardWorld, now: int) -> None:
    stopped(world, now, "hold", "http_402", stop_status="402", stop_words=WORDS)


def held(world: DashboardWorld, now: int) -> None:
    fields: Any = {"7:since": now - MINUTE_MS, "7:probe_at": now + MINUTE_MS, "7:probes": 1, "7:cause": "http_500"}
    world.client.hset(keys.INBOXES, mapping=fields)
    due: Any = world.client.zrange(keys.DUE, 0, -1)
    for key in due:
        world.client.zadd(keys.DUE, {key: keys.LANES["held"] * keys.LANE + now})


#: The state in the API, in a word on the screens, and what the contacts wait for.
STATES: dict[Callable[[DashboardWorld, int], None], tuple[str, str, str | None]] = {
    up: ("up", "Up", None),
    slow: ("up", "Slow", None),
    paused: ("paused", "Paused", "paused"),
    down: ("down", "Down", "down"),
    misconfigured: ("misconfigured", "Misconfigured", "misconfigured"),
    throttled: ("hold", "On hold", "hold"),
    refused: ("hold", "On hold", "hold"),
    held: ("up", "Up", "inbox"),
}


@pytest.fixture
def world(client: redis.Redis) -> DashboardWorld:
    world = DashboardWorld(client, policy=UpstreamPolicy(rate=1000, inbox_id=7), api_token=TOKEN)
    world.sign_in()
    return world


def seen(page: str) -> str:
    """Return what a person reads of a page."""
    text = re.sub(r"<[^>]*>", " ", page[page.index("<body") :])
    for code, letter in (("&#39;", "'"), ("&#34;", '"'), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(code, letter)
    return " ".join(text.split())


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_all_screens_agree(
    world: DashboardWorld, state: Callable[[DashboardWorld, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # No worker takes the test message of ``flask doctor``, which is not what this test is about.
    monkeypatch.setattr(cli.doctor, "HAND_OVER_S", 0.0)
    failed = world.bring("failed", FAILED)
    conflict = world.bring("conflict", CONFLICT)
    pending, retrying = world.bring("pending"), world.bring("retrying", RETRYING)
    world.store.queue.sweep("worker-1")
    world.client.delete(keys.QUEUE)
    now = world.store.now()
    state(world, now)
    name, word, waits_for = STATES[state]

    pages = {path: world.get(f"/dashboard/{path}") for path in ("", "upstream", "contacts?state=retrying", "workers")}
    pages |= {f"contacts/{key}": world.get(f"/dashboard/contacts/{key}") for key in (pending, retrying)}
    plan = "operations/new?action=retry&cause=email_refused"
    pages["plan"] = world.get(f"/dashboard/{plan}")
    texts = {path: seen(page) for path, page in pages.items()}
    token = {"Authorization": f"Bearer {TOKEN}"}
    overview: Any = world.http.get("/api/v1/situation", headers=token).json
    ready: Any = world.http.get("/readyz").json
    metrics = world.http.get("/metrics").text
    doctor = world.flask("doctor", "--no-probe").output
    retried: Any = world.http.post(f"/api/v1/contacts/{pending}/retry", json={}, headers=token).json
    command = world.flask("contacts", "retry", "retrying").output
    flash = seen(world.send(f"/dashboard/contacts/{failed}/retry", follow_redirects=True).text)

    # The same state everywhere
    for text in texts.values():
        assert re.search(rf"LiveDesk {word}\b", text), "the header"
    assert (overview["upstream"]["state"], ready["livedesk"]["state"]) == (name, name)
    assert retried["waits_for"] == waits_for
    stop = name if name in ("down", "misconfigured", "hold") else "up"
    assert f'livedesk_sync_livedesk_state{{state="{stop}"}} 1.0' in metrics
    assert f"livedesk_sync_paused {float(name == 'paused')}" in metrics
    assert ("sync         Running." in doctor) == (waits_for is None)
    shown: Any = world.http.get(f"/api/v1/contacts/{pending}", headers=token).json
    assert shown["waits_for"] == waits_for
    assert json.loads(world.flask("contacts", "show", "pending", "--json").output)["waits_for"] == waits_for

    # The same words for when contacts go, and nowhere that they go now
    if waits_for is None:
        assert "is due now" in texts[f"contacts/{pending}"]
        assert "Retrying now." in command
        assert re.search(r"sync +Running\. \d people on the way: clears in .+; limited by ", doctor)
        assert "Retrying now" in flash
        assert overview["clear_s"] is not None
        return
    when = {
        "paused": "as soon as an operator resumes the sync",
        "inbox": "as soon as LiveDesk accepts contacts of inbox 7 (next probe",
    }.get(waits_for, "as soon as LiveDesk accepts requests again (next probe")
    for text in (texts[f"contacts/{pending}"], texts[f"contacts/{retrying}"], command, flash):
        assert when in text
        assert not NOW.search(text), NOW.search(text)
    if waits_for == "inbox":
        assert "The contacts of inbox 7 wait: LiveDesk answers with an error (500)" in texts[""]
        assert overview["upstream"]["held_inboxes"][0]["cause"] == "http_500"
        assert "inbox 7" in doctor
        assert "livedesk_sync_livedesk_held_inboxes 1.0" in metrics
        return
    for path in ("", "upstream", "contacts?state=retrying", "workers", "plan"):
        assert not SENDING.search(texts[path]), (path, SENDING.search(texts[path]))
    assert when in texts["plan"]
    assert overview["clear_s"] is None
    if waits_for == "hold":
        said = WORDS if state is refused else f"no requests until {absolute(now + 10 * HOUR_MS)}"
        for text in (texts[""], texts["upstream"], texts[f"contacts/{pending}"], doctor):
            assert said in text
        assert "LiveDesk accepts nothing now" in texts[""]
        if state is refused:  # whatever the status means for one contact
            assert "it refuses everybody alike (402)" in texts[""]
            assert "Caused by the contact's data" not in texts[""].partition("What is broken")[0] + texts["upstream"]
        assert "<b>" not in "".join(page[page.index("<main") :] for page in pages.values())
        assert ready["livedesk"]["words"] == (WORDS if state is refused else None)
        left = re.search(r"livedesk_sync_livedesk_hold_seconds_left ([\d.]+)", metrics)
        assert left
        assert (float(left[1]) > 35_000) == (state is throttled)
    assert conflict
