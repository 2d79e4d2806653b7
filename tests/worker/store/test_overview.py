"""How things stand: read from what was written when it happened."""

from collections.abc import Iterator
from secrets import token_hex

import pytest
import redis

from tests.invariants import assert_invariants
from tests.world import make_store
from worker.model import Attempt, AttemptResult, Contact, Outcome, Signal, State, UpstreamPolicy
from worker.store import keys
from worker.store.counters import Total

RATE = 100.0
CREATED = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED)


def failing(cause: str, signal: Signal = Signal.NOTHING, delay_ms: int = 60_000) -> AttemptResult:
    return AttemptResult(state=State.RETRYING, cause=cause, delay_ms=delay_ms, failures=1, repeats=1, signal=signal)


class Bench:
    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.store = make_store(client, policy=UpstreamPolicy(RATE, 6000))

    def bring(self, name: str, *verdicts: AttemptResult) -> None:
        self.store.contacts.accept(Contact(name, 1), "signup")
        for verdict in verdicts:
            self.store.contacts.retry_now(self.store.key_of(name))
            claim = self.store.contacts.claim(self.store.key_of(name), token_hex(8))
            assert claim is not None
            self.store.contacts.finish(claim, verdict, Attempt(claim.now, 1))


@pytest.fixture
def bench(client: redis.Redis) -> Iterator[Bench]:
    yield Bench(client)
    client.delete(keys.QUEUE)
    assert_invariants(client)


def test_an_empty_system_is_up_and_idle(bench: Bench) -> None:
    situation = bench.store.overview.read()
    assert situation.upstream.state == "up"
    assert set(situation.counts.values()) == {0}
    assert (situation.oldest_pending, situation.next_retry, situation.overdue_ms) == (None, None, 0)
    assert (situation.clear_s, situation.requests_per_second) == (0, 0)
    assert bench.store.overview.causes() == []
    assert bench.store.overview.cause("http_500") is None


def test_what_waits_and_what_happened(bench: Bench) -> None:
    bench.bring("ada")
    bench.bring("bob", failing("http_503"))
    bench.bring("cyd", AttemptResult(state=State.FAILED, cause="name_refused"))
    bench.bring("dan", AttemptResult(state=State.CONFLICT, cause="email_taken", owner_id="1"))
    bench.bring("eve", CREATED)
    situation = bench.store.overview.read()
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
    assert situation.clear_s == 2 / RATE
    flow = bench.store.overview.flow()
    assert len(flow) == 60
    total = {name: sum(minute.counts[name] for minute in flow) for name in flow[0].counts}
    assert total == {"accepted": 5, "created": 1, "retrying": 1, "failed": 1, "conflict": 1}


def test_what_is_overdue_shows_that_nobody_sweeps(bench: Bench) -> None:
    bench.store.shift_ms = -90_000
    bench.bring("ada")
    bench.store.shift_ms = 0
    assert 59_000 < bench.store.overview.read().overdue_ms < 70_000


def test_causes_group_contacts(bench: Bench) -> None:
    bench.bring("ada", failing("http_503"), failing("http_503"))
    bench.bring("bob", failing("http_503"))
    bench.bring("cyd", failing("http_503"), CREATED)
    bench.bring("dan", AttemptResult(state=State.FAILED, cause="name_refused"))
    first, second = bench.store.overview.causes()
    assert (first.cause, first.waiting, first.people, first.attempts) == ("http_503", 2, 3, 4)
    assert sum(first.minutes) == 4
    assert first.first_seen is not None
    assert first.first_seen <= first.last_seen
    assert (second.cause, second.waiting) == ("name_refused", 1)
    assert bench.store.overview.cause("http_503") == first


def test_causes_have_a_cap(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.store.contacts.MAX_CAUSES", 2)
    for number in range(4):
        bench.bring(f"person-{number}", failing(f"http_{500 + number}"))
    assert {group.cause: group.waiting for group in bench.store.overview.causes()} == {
        "http_500": 1,
        "http_501": 1,
        "other": 2,
    }


def test_livedesks_state_is_told(bench: Bench) -> None:
    bench.bring("ada", failing("unauthorized", Signal.MISCONFIGURED))
    upstream = bench.store.upstream.read()
    assert (upstream.state, upstream.cause) == ("misconfigured", "unauthorized")
    assert upstream.since is not None
    assert upstream.probe_at is not None
    assert upstream.probe_at > upstream.since
    bench.store.upstream.pause("ada", "a migration")
    upstream = bench.store.upstream.read()
    assert (upstream.state, upstream.paused_by, upstream.paused_why) == ("paused", "ada", "a migration")


def test_a_held_inbox_is_told(bench: Bench) -> None:
    bench.bring("ada", failing("inbox_not_found", Signal.INBOX))
    upstream = bench.store.upstream.read()
    assert upstream.state == "up"
    assert [(held.inbox, held.probes) for held in upstream.inboxes] == [("1", 0)]


def test_a_lowered_pace_is_told(bench: Bench) -> None:
    assert bench.store.upstream.read().pace == RATE
    bench.bring("ada", failing("throttled", Signal.THROTTLED))
    assert bench.store.upstream.read().pace == RATE / 2


def test_what_is_counted_elsewhere_is_added(bench: Bench) -> None:
    bench.store.counters.write({"refused:signup:401": 3, "refused:shop:413": 1})
    bench.store.counters.write({"refused:signup:401": 2})
    assert bench.client.hget(keys.COUNTS, "refused:signup:401") == "5"


def test_tallies_tell_the_last_hour_and_ever(bench: Bench) -> None:
    bench.store.shift_ms = -2 * 3_600_000
    bench.store.counters.write({"refused:signup:401": 3})
    bench.store.shift_ms = 0
    bench.store.counters.write({"refused:signup:401": 2, "elsewhere": 1})
    assert bench.store.counters.totals("refused:", "delivery:") == {"refused:signup:401": Total(5, 2)}


def test_the_flow_of_other_counts(bench: Bench) -> None:
    bench.bring("ada", failing("http_503", Signal.ERROR), CREATED)
    flow = bench.store.overview.flow(names=("ok", "error"))
    assert sum(minute.counts["error"] for minute in flow) == 1
    assert sum(minute.counts["ok"] for minute in flow) == 1


def test_the_audit_tells_who_did_what(bench: Bench) -> None:
    for number in range(3):
        bench.store.audit.add("ada", "retried", f"key-{number}", "it is mended")
    entries = bench.store.audit.page(limit=2)
    assert [(entry.who, entry.did, entry.target, entry.why) for entry in entries] == [
        ("ada", "retried", "key-2", "it is mended"),
        ("ada", "retried", "key-1", "it is mended"),
    ]
    assert [entry.target for entry in bench.store.audit.page(before=entries[-1].id)] == ["key-0"]
