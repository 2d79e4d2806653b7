"""How things stand: read from what was written when it happened."""

from collections.abc import Iterator

import pytest
import redis

from tests.invariants import assert_invariants
from tests.world import World
from worker.estimate import Limit
from worker.model import AttemptResult, Outcome, Signal, State, UpstreamPolicy, Way
from worker.store import keys
from worker.store.counters import Total

RATE = 100.0
CREATED = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED)


def failing(cause: str, signal: Signal = Signal.NOTHING, delay_ms: int = 60_000) -> AttemptResult:
    return AttemptResult(state=State.RETRYING, cause=cause, delay_ms=delay_ms, failures=1, repeats=1, signal=signal)


@pytest.fixture
def world(client: redis.Redis) -> Iterator[World]:
    yield World(client, policy=UpstreamPolicy(RATE, 6000))
    client.delete(keys.QUEUE)
    assert_invariants(client)


def test_an_empty_system_is_up_and_idle(world: World) -> None:
    situation = world.store.overview.read()
    assert situation.upstream.state == "up"
    assert set(situation.counts.values()) == {0}
    assert (situation.oldest_pending, situation.next_retry, situation.overdue_ms) == (None, None, 0)
    assert (situation.clear_s, situation.requests_per_second) == (0, 0)
    assert world.store.overview.causes() == []
    assert world.store.overview.cause("http_500") is None


def test_what_waits_and_what_happened(world: World) -> None:
    world.bring("ada")
    world.bring("bob", failing("http_503"))
    world.bring("cyd", AttemptResult(state=State.FAILED, cause="name_refused"))
    world.bring("dan", AttemptResult(state=State.CONFLICT, cause="email_taken", owner_id="1"))
    world.bring("eve", CREATED)
    situation = world.store.overview.read()
    assert {state: number for state, number in situation.counts.items() if number} == {
        State.PENDING: 1,
        State.RETRYING: 1,
        State.FAILED: 1,
        State.CONFLICT: 1,
        State.CREATED: 1,
    }
    assert situation.oldest_pending is not None
    assert 0 <= situation.now - situation.oldest_pending < 10_000
    assert situation.next_retry is not None
    assert 50_000 < situation.next_retry - situation.now <= 60_000
    assert (situation.failed_last_hour, situation.conflicts_last_hour) == (1, 1)
    assert situation.clear_s is None, "no worker runs"
    world.store.queue.sweep("worker")
    situation = world.store.overview.read()
    assert situation.clear_s is not None
    assert 59 < situation.clear_s < 61
    assert (situation.later, situation.later_until, situation.limit) == (1, situation.next_retry, Limit.RATE)
    world.store.counters.flush()
    flow = world.store.overview.flow()
    assert len(flow) == 60
    total = {name: sum(minute.counts[name] for minute in flow) for name in flow[0].counts}
    happened = {"accepted": 5, "created": 1, "retrying": 1, "failed": 1, "conflict": 1}
    assert total == {**happened, "updated": 0, "marked": 0, "deleted": 0}


def test_what_is_overdue_shows_that_nobody_sweeps(world: World) -> None:
    world.store.shift_ms = -90_000
    world.bring("ada")
    world.store.shift_ms = 0
    assert 59_000 < world.store.overview.read().overdue_ms < 70_000


def test_causes_group_contacts(world: World) -> None:
    world.bring("ada", failing("http_503"), failing("http_503"))
    world.bring("bob", failing("http_503"))
    world.bring("cyd", failing("http_503"), CREATED)
    world.bring("dan", AttemptResult(state=State.FAILED, cause="name_refused"))
    first, second = world.store.overview.causes()
    assert (first.cause, first.waiting, first.people, first.attempts) == ("http_503", 2, 3, 4)
    assert sum(first.minutes) == 4
    assert first.first_seen is not None
    assert first.first_seen <= first.last_seen
    assert (second.cause, second.waiting) == ("name_refused", 1)
    assert world.store.overview.cause("http_503") == first


def test_causes_have_a_cap(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.store.contacts.MAX_CAUSES", 2)
    for number in range(4):
        world.bring(f"person-{number}", failing(f"http_{500 + number}"))
    assert {group.cause: group.waiting for group in world.store.overview.causes()} == {
        "http_500": 1,
        "http_501": 1,
        "other": 2,
    }


def test_livedesks_state_is_reported(world: World) -> None:
    world.bring("ada", failing("unauthorized", Signal.MISCONFIGURED))
    upstream = world.store.upstream.read()
    assert (upstream.state, upstream.cause) == ("misconfigured", "unauthorized")
    assert upstream.since is not None
    assert upstream.probe_at is not None
    assert upstream.probe_at > upstream.since
    world.store.upstream.pause("ada", "a migration")
    upstream = world.store.upstream.read()
    assert (upstream.state, upstream.paused_by, upstream.paused_why) == ("paused", "ada", "a migration")


def test_an_unknown_inbox_is_reported(world: World) -> None:
    world.bring("ada", failing("inbox_not_found", Signal.INBOX))
    upstream = world.store.upstream.read()
    assert upstream.state == "up"
    assert [(held.inbox, held.probes) for held in upstream.inboxes] == [("1", 0)]


def test_a_lowered_pace_is_reported(world: World) -> None:
    assert world.store.upstream.read().pace == RATE
    world.bring("ada", failing("throttled", Signal.THROTTLED))
    assert world.store.upstream.read().pace == RATE / 2


def test_what_is_counted_elsewhere_is_added(world: World) -> None:
    world.store.counters.write({"refused:signup:401": 3, "refused:shop:413": 1})
    world.store.counters.write({"refused:signup:401": 2})
    assert world.client.hget(keys.COUNTS, "refused:signup:401") == "5"


def test_tallies_tell_the_last_hour_and_ever(world: World) -> None:
    world.store.shift_ms = -2 * 3_600_000
    world.store.counters.write({"refused:signup:401": 3})
    world.store.shift_ms = 0
    world.store.counters.write({"refused:signup:401": 2, "elsewhere": 1})
    assert world.store.counters.totals("refused:", "delivery:") == {"refused:signup:401": Total(5, 2)}


def test_the_flow_of_other_counts(world: World) -> None:
    world.bring("ada", failing("http_503", Signal.ERROR), CREATED)
    flow = world.store.overview.flow(names=("ok", "error"))
    assert sum(minute.counts["error"] for minute in flow) == 1
    assert sum(minute.counts["ok"] for minute in flow) == 1


def test_the_audit_log_records_who_did_what(world: World) -> None:
    for number in range(3):
        world.store.audit.add("ada", "retried", f"key-{number}", "it is fixed", way=Way.PASSWORD)
    entries = world.store.audit.page(limit=2)
    assert [(entry.who, entry.did, entry.target, entry.why) for entry in entries] == [
        ("ada", "retried", "key-2", "it is fixed"),
        ("ada", "retried", "key-1", "it is fixed"),
    ]
    assert [entry.target for entry in world.store.audit.page(before=entries[-1].id)] == ["key-0"]
