"""The page of LiveDesk: its state, and pause, resume and probe."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from tests.browser.seed import HOSTILE, bring, build, fill, person, retrying
from tests.invariants import assert_invariants
from tests.webhook_app.dashboard.test_access import send
from tests.webhook_app.dashboard.test_overview import enter, enter_then_lose_redis, words
from webhook_app.access import Role
from webhook_app.parts import Parts
from worker.livedesk.client import LiveDesk
from worker.model import Account, Signal
from worker.store import keys


@pytest.fixture
def parts(client: redis.Redis) -> Iterator[Parts]:
    yield build(client)
    client.delete(keys.QUEUE)
    assert_invariants(client)


def did(parts: Parts) -> list[tuple[str, str, str]]:
    return [
        (entry.who, entry.did, entry.why) for entry in parts.store.audit.page() if not entry.did.startswith("signed ")
    ]


def test_an_operator_pauses_and_resumes(parts: Parts) -> None:
    door = enter(parts)
    answer = send(door, "/dashboard/upstream/pause", {"why": f" a  {HOSTILE} "}, follow_redirects=True)
    assert "Sync paused." in answer.text
    assert "alert(1)</script>" not in answer.text
    paused = parts.store.upstream.read()
    assert (paused.state, paused.paused_by, paused.paused_why) == ("paused", "Ada", f"a {HOSTILE}")
    again = send(door, "/dashboard/upstream/pause", {"why": "me too"}, follow_redirects=True)
    assert "The sync is already paused." in again.text
    assert "Sync resumed." in send(door, "/dashboard/upstream/resume", follow_redirects=True).text
    assert parts.store.upstream.read().state == "up"
    assert "The sync is not paused." in send(door, "/dashboard/upstream/resume", follow_redirects=True).text
    assert did(parts) == [("Ada", "resumed the sync", ""), ("Ada", "paused the sync", f"a {HOSTILE}")]


def test_a_pause_needs_a_reason(parts: Parts) -> None:
    answer = send(enter(parts), "/dashboard/upstream/pause", {"why": "  "})
    assert (answer.status_code, "A pause needs a reason" in answer.text) == (400, True)
    assert parts.store.upstream.read().state == "up"
    send(enter(parts), "/dashboard/upstream/pause", {"why": "x" * 5000})
    assert len(parts.store.upstream.read().paused_why or "") == 200


def test_an_operator_probes_now(parts: Parts) -> None:
    bring(parts.store, person("ada"), retrying("unauthorized", Signal.MISCONFIGURED, 401))
    door = enter(parts)
    before = parts.store.upstream.read().probe_at
    assert "Probing LiveDesk…" in send(door, "/dashboard/upstream/probe", follow_redirects=True).text
    after = parts.store.upstream.read().probe_at
    assert before is not None
    assert after is not None
    assert after < before
    assert did(parts) == [("Ada", "probed LiveDesk", "")]


def test_a_probe_does_not_end_a_pause(parts: Parts) -> None:
    bring(parts.store, person("ada"), retrying("unauthorized", Signal.MISCONFIGURED, 401))
    parts.store.upstream.pause("Grace", "a migration")
    assert "The sync is paused" in send(enter(parts), "/dashboard/upstream/probe", follow_redirects=True).text
    assert parts.store.upstream.read().state == "paused"
    assert did(parts) == []


def test_there_is_nothing_to_probe_while_livedesk_is_up(parts: Parts) -> None:
    assert "nothing to probe" in send(enter(parts), "/dashboard/upstream/probe", follow_redirects=True).text


@pytest.mark.parametrize("verb", ["pause", "resume", "probe"])
def test_viewers_and_other_sites_are_rejected(parts: Parts, verb: str) -> None:
    parts.store.upstream.pause("Grace", "a migration")
    path, form = f"/dashboard/upstream/{verb}", {"why": "because"}
    assert send(enter(parts, Role.VIEWER), path, form).status_code == 403
    operator = enter(parts)
    assert operator.post(path, data=form).status_code == 400
    assert send(operator, path, form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 400
    assert operator.get(path).status_code == 405
    assert parts.store.upstream.read().paused_by == "Grace"
    assert did(parts) == []


@pytest.mark.parametrize("verb", ["pause", "resume", "probe"])
def test_without_redis_the_page_says_that_nothing_was_changed(parts: Parts, verb: str) -> None:
    answer = send(enter_then_lose_redis(parts), f"/dashboard/upstream/{verb}", {"why": "because"})
    assert (answer.status_code, "Nothing was changed." in answer.text) == (503, True)


def test_the_page_of_livedesk(parts: Parts) -> None:
    fill(parts.store)
    text = words(enter(parts), "upstream")
    assert "LiveDesk answers with an error (503) HTTP 503" in text
    assert "5 failed so far" in text
    assert "Held inboxes" in text
    assert "99" in text[text.index("Held inboxes") : text.index("Answers in the last hour")]
    assert "Latest attempts" in text
    assert "Another contact has this e-mail address" in text
    assert "Not tested yet" in text


def test_a_lowered_pace_is_explained(parts: Parts) -> None:
    bring(parts.store, person("ada"), retrying("throttled", Signal.THROTTLED, 429))
    parts.store.client.hdel(keys.UPSTREAM, "stop")
    text = words(enter(parts), "upstream")
    assert "Limits 5 of 10/s" in text
    assert "Why it is lower LiveDesk answered 429 (too many requests)" in text
    assert "Slow" in text


def test_the_results_of_flask_doctor(parts: Parts) -> None:
    livedesk = LiveDesk("http://127.0.0.1:9", "key", "secret")
    parts.store.findings.save_account(livedesk.account, Account(False, True, True, deletes=False))
    text = words(enter(replace(parts, livedesk=livedesk)), "upstream")
    assert "Identifiers are unique no Search finds new contacts yes" in text
    assert "Creates take attributes unknown Contacts can be deleted no" in text
    assert "Each person becomes one contact, unless" in text
