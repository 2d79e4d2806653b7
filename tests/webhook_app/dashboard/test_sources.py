"""The pages about sources, the quarantine, workers and the audit log."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis

from tests.browser.seed import SOURCE, build
from tests.invariants import assert_invariants
from tests.webhook_app.dashboard.test_access import send
from tests.webhook_app.dashboard.test_overview import enter, words
from webhook_app.access import Role
from webhook_app.dashboard import quarantine as module
from webhook_app.operator import quarantine
from webhook_app.parts import Parts
from webhook_app.present.wording import describe_deletion
from webhook_app.sources.config import read_source
from worker import __version__
from worker.model import OnDelete, Quarantined, Way
from worker.process.activity import Activity
from worker.store import keys

#: What reads the deliveries that ``hold`` puts into quarantine.
FIXED: dict[str, Any] = {**SOURCE, "map": {"identifier": "$.uid"}}


@pytest.fixture
def parts(client: redis.Redis) -> Iterator[Parts]:
    yield build(client)
    client.delete(keys.QUEUE)
    assert_invariants(client)


def hold(parts: Parts, payload: object, source: str = "shop") -> str:
    """Put a delivery into quarantine. Return its id."""
    before = {held.entry for held in parts.store.quarantine.page(limit=1000)}
    problems = {"identifier": "missing"}
    parts.store.quarantine.add(Quarantined(source=source, payload=json.dumps(payload), problems=problems, headers={}))
    [entry] = {held.entry for held in parts.store.quarantine.page(limit=1000)} - before
    return entry


def fixed(parts: Parts) -> Parts:
    return replace(parts, sources={**parts.sources, "shop": read_source("shop", FIXED, {})})


def did(parts: Parts) -> list[tuple[str, str, str]]:
    return [
        (entry.who, entry.did, entry.target)
        for entry in parts.store.audit.page()
        if not entry.did.startswith("signed ")
    ]


def test_each_source_with_its_counts(parts: Parts) -> None:
    parts.store.counters.write(
        {"delivery:shop:accepted": 1204, "refused:shop:unauthentic": 31, "delivery:old:ignored": 2}
    )
    parts.store.secret_uses.mark("shop", "secrets number 1")
    text = words(enter(parts), "sources")
    shop = text[text.index("http://localhost/webhooks/shop") :]
    assert "accepted 1,204 1,204" in shop
    assert "invalid signature 31 31" in shop
    assert "secrets number 1 now secrets number 2 never" in shop or "s ago secrets number 2 never" in shop
    assert "old not in the configuration: removed, or the name of an import" in text


def test_deliveries_to_unknown_addresses_have_a_card_with_a_name(parts: Parts) -> None:
    parts.store.counters.write({"refused::no_source": 3})
    text = words(enter(parts), "sources")
    assert "Deliveries to addresses without a source Somebody sent these to" in text
    assert "unknown source 3 3" in text


def test_deliveries_older_than_an_hour_count_in_the_total_only(parts: Parts) -> None:
    parts.store.shift_ms = -2 * 3_600_000
    parts.store.counters.write({"delivery:shop:accepted": 7})
    parts.store.shift_ms = 0
    parts.store.counters.write({"delivery:shop:accepted": 2})
    assert "accepted 2 9" in words(enter(parts), "sources")


def test_without_sources_the_page_shows_the_first_step(parts: Parts) -> None:
    assert "No sources configured" in words(enter(replace(parts, sources={})), "sources")


def test_a_quarantined_delivery_shows_its_keys_but_no_values(parts: Parts) -> None:
    entry = hold(parts, {"uid": 7, "user": {"email": "ada@example.com", "<b>": 1}})
    door = enter(parts, Role.VIEWER)
    assert "identifier: missing" in words(door, "sources/quarantine")
    answer = door.get(f"/dashboard/sources/quarantine/{entry}")
    assert "$.user.email" in answer.text
    assert "$.user.&lt;b&gt;" in answer.text
    assert "ada@example.com" not in answer.text
    assert did(parts) == []


def test_an_operator_reveals_values_and_it_is_audited(parts: Parts) -> None:
    entry = hold(parts, {"uid": 7, "email": "ada@example.com", "bad": "</pre><script>"})
    answer = send(enter(parts), f"/dashboard/sources/quarantine/{entry}/reveal")
    assert "ada@example.com" in answer.text
    assert "</pre><script>" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert did(parts) == [("Ada", "revealed a delivery in quarantine", entry)]


def test_replaying_one_delivery(parts: Parts) -> None:
    entry = hold(parts, {"uid": "ada"})
    still = send(enter(parts), f"/dashboard/sources/quarantine/{entry}/replay", follow_redirects=True)
    assert "Not replayed: identifier missing." in still.text
    assert parts.store.quarantine.size() == 1
    done = send(enter(fixed(parts)), f"/dashboard/sources/quarantine/{entry}/replay", follow_redirects=True)
    assert "Replayed: accepted." in done.text
    assert parts.store.quarantine.size() == 0
    assert parts.store.contacts.find("ada") is not None
    assert did(parts) == [("Ada", "replayed a delivery in quarantine", entry)], "once it is done"


def test_replaying_all_deliveries_in_batches(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_REPLAYED", 3)
    for number in range(5):
        hold(parts, {"uid": f"person-{number}"} if number != 1 else {"nothing": number})
    door = enter(fixed(parts))
    first = send(door, "/dashboard/sources/quarantine/replay", follow_redirects=True)
    assert "2 accepted, 1 still in quarantine. 2 not replayed yet: replay them next." in first.text
    assert "Replay the other 2" in first.text
    second = send(door, "/dashboard/sources/quarantine/replay", {"passed": "1"}, follow_redirects=True)
    assert "2 accepted, 0 still in quarantine. All were replayed." in second.text
    assert parts.store.quarantine.size() == 1
    assert did(parts) == [("Ada", "replayed the quarantine", "")] * 2


def test_discarding_one_delivery(parts: Parts) -> None:
    entry = hold(parts, {"uid": 7})
    door = enter(parts)
    path = f"/dashboard/sources/quarantine/{entry}/discard"
    assert "Delivery discarded." in send(door, path, follow_redirects=True).text
    again = send(door, path)
    assert (again.status_code, "There is no such delivery in quarantine." in again.text) == (404, True)
    assert parts.store.quarantine.size() == 0
    assert did(parts) == [("Ada", "discarded a delivery in quarantine", entry)]
    assert door.get(f"/dashboard/sources/quarantine/{entry}").status_code == 404


@pytest.mark.parametrize("verb", ["reveal", "replay", "discard", ""])
def test_viewers_and_other_sites_are_rejected(parts: Parts, verb: str) -> None:
    entry = hold(parts, {"uid": 7})
    path = f"/dashboard/sources/quarantine/{entry}/{verb}" if verb else "/dashboard/sources/quarantine/replay"
    operator = enter(parts)
    for answer, status in [
        (send(enter(parts, Role.VIEWER), path), 403),
        (operator.post(path), 400),
        (send(operator, path, headers={"Sec-Fetch-Site": "cross-site"}), 400),
    ]:
        assert answer.status_code == status
    assert parts.store.quarantine.size() == 1
    assert did(parts) == []


def test_quarantine_has_pages(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    for number in range(3):
        hold(parts, {"uid": number})
    door = enter(parts)
    assert "1 to 2 of 3, oldest first Next" in words(door, "sources/quarantine")
    assert "Previous 3 to 3 of 3, oldest first" in words(door, "sources/quarantine?offset=2")
    assert "End of list" in words(door, "sources/quarantine?offset=99")
    for nonsense in ("-1", "x", "9" * 30):
        assert door.get(f"/dashboard/sources/quarantine?offset={nonsense}").status_code in (200, 400)
    assert "The quarantine is empty" not in words(door, "sources/quarantine")


def test_workers(parts: Parts) -> None:
    door = enter(parts)
    assert "No worker has been running for a day" in words(door, "workers")
    store = parts.store
    activity = Activity("host-1", 11)
    with activity.attempt():
        store.queue.sweep(activity.name, activity.report(store.now))
    store.queue.sweep("host-1:12", Activity("host-1", 12).report(store.now))
    store.queue.sweep("a-former-version")
    parts.store.shift_ms = -60_000
    parts.store.queue.sweep("<b>host-2")
    parts.store.shift_ms = 0
    text = door.get("/dashboard/workers").text
    former, first, second, stale = text.partition("<tbody>")[2].split("<tr>")[1:]
    assert "a-former-version" in former
    assert "Running" in former
    assert ">11<" in first
    assert "1 attempt running" in first
    assert __version__ in first
    assert ">12<" in second
    assert "Idle" in second
    assert "&lt;b&gt;host-2" in stale
    assert "Stale" in stale
    parts.store.upstream.pause("Ada", "maintenance")
    text = door.get("/dashboard/workers").text
    assert "1 attempt running" in text
    assert "Waiting: the sync is paused" in text


def test_the_audit_has_pages(parts: Parts) -> None:
    door = enter(parts)
    parts.store.audit.db.client.delete(keys.AUDIT)
    assert "Nothing has been done yet" in words(door, "audit")
    for number in range(60):
        parts.store.audit.add("Ada", "retried a contact", f"key-{number}", "<script>", way=Way.PASSWORD)
    first = door.get("/dashboard/audit").text
    assert "key-59" in first
    assert "key-9<" not in first
    assert "<script>alert" not in first
    later = first.partition('rel="next" href="/dashboard/')[2].partition('"')[0]
    assert later
    second = words(door, later.replace("&amp;", "&"))
    assert "key-9 " in second
    assert "key-10" not in second
    for nonsense in ("x", "1-", "%28", "9" * 40):
        assert door.get(f"/dashboard/audit?before={nonsense}").status_code == 200


def test_a_card_says_what_really_happens_and_shows_no_setting_as_it_is_written(parts: Parts) -> None:
    parts.store.counters.write({"delivery:import:accepted": 3, "delivery:shop:duplicate": 1})
    source = replace(parts.sources["shop"], on_delete=OnDelete.DELETE, preset="shopify")
    deleting = replace(parts, sources={"shop": source})
    text = words(enter(deleting), "sources")
    assert "only marked as deleted, until flask doctor finds that it can be deleted" in text
    assert "import people from flask import" in text
    assert "already known 1 1" in text
    assert "Shopify" in text
    page = enter(deleting).get("/dashboard/sources").text
    main = page.partition("<main")[2]
    assert not re.search(r"<code>(ask|known|without|update|note|mark|delete|account|visitor)</code>", main)
    assert '<h2 id="source-1"></h2>' not in main


@pytest.mark.parametrize(
    ("deletes", "end"), [(True, "is deleted"), (False, "does not allow deletions"), (None, "can be deleted")]
)
def test_what_happens_to_a_deletion_depends_on_the_account(deletes: bool | None, end: str) -> None:
    assert describe_deletion(OnDelete.DELETE, deletes).endswith(end)
    assert describe_deletion(OnDelete.MARK, deletes).endswith("is marked as deleted")
    assert describe_deletion(OnDelete.IGNORE, deletes) == "ignored"
