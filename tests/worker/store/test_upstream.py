"""Pace, breaker and pause: what all workers know about LiveDesk together, through a real server."""

from collections.abc import Iterator
from itertools import count

import pytest
import redis

from tests.invariants import assert_invariants
from tests.world import make_store
from worker.model import Attempt, AttemptResult, Claim, Contact, Outcome, Signal, State, UpstreamPolicy
from worker.store import keys
from worker.store.contacts import Finished

RATE = 10.0
LEASE_MS = 45_000
FIRST_MS, LONGEST_MS = 5_000, 300_000
CREATED = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED)


def failing(signal: Signal, cause: str = "http_503", **options: object) -> AttemptResult:
    return AttemptResult(state=State.RETRYING, cause=cause, signal=signal, delay_ms=1, failures=1, repeats=1, **options)  # type: ignore[arg-type]


class Bench:
    """A store with a pace, and contacts that come and go."""

    def __init__(self, client: redis.Redis, rate: float = RATE) -> None:
        self.client = client
        policy = UpstreamPolicy(rate, 60.0, FIRST_MS, LONGEST_MS, inbox_id=1)
        self.store = make_store(client, policy=policy)
        self.numbers = count(1)

    def accept(self, inbox_id: int | None = None) -> str:
        contact = Contact(f"person-{next(self.numbers)}", inbox_id=inbox_id, name="Ada")
        self.store.contacts.accept(contact, "signup")
        self.client.delete(keys.QUEUE)
        return self.store.key_of(contact.identifier)

    def claim(self, key: str | None = None) -> Claim | None:
        key = key or self.accept()
        return self.store.contacts.claim(key, f"token-{next(self.numbers)}")

    def must_claim(self, key: str | None = None) -> Claim:
        claim = self.claim(key)
        assert claim is not None
        return claim

    def finish(self, claim: Claim, verdict: AttemptResult = CREATED) -> Finished:
        return self.store.contacts.finish(claim, verdict, Attempt(claim.now, 12, verdict.status, verdict.cause))

    def attempt(self, verdict: AttemptResult = CREATED, key: str | None = None) -> Finished:
        self.turn(1000)
        return self.finish(self.must_claim(key), verdict)

    def go_down(self) -> None:
        for _ in range(5):
            self.attempt(failing(Signal.ERROR))
        assert self.upstream()["stop"] == "down"

    def turn(self, ms: int) -> None:
        self.store.shift_ms += ms

    def upstream(self) -> dict[str, str]:
        fields: dict[str, str] = self.client.hgetall(keys.UPSTREAM)  # type: ignore[assignment]
        return fields

    def handed(self) -> int:
        """How many contacts a sweep hands over now."""
        self.client.delete(keys.QUEUE)
        return self.store.queue.sweep().handed


@pytest.fixture
def bench(client: redis.Redis) -> Iterator[Bench]:
    bench = Bench(client)
    yield bench
    bench.client.delete(keys.QUEUE)
    assert_invariants(client)


# Pace


def test_requests_get_their_times_one_after_the_other(bench: Bench) -> None:
    waits = [bench.must_claim().wait_ms for _ in range(5)]
    apart = 1000 / RATE
    for number, wait in enumerate(waits):
        assert number * apart - 50 <= wait <= number * apart * 1.02 + 1, waits


def test_what_finds_no_room_within_a_second_goes_back_to_due(bench: Bench) -> None:
    claims = [bench.claim() for _ in range(30)]
    given = [claim.wait_ms for claim in claims if claim]
    assert len(given) <= RATE + 1
    assert max(given) <= 1000
    assert claims[-1] is None
    assert bench.client.zcard(keys.DUE) == 30, "nobody is lost"
    bench.turn(1100)
    assert bench.handed() > 0, "and they come again"


def test_a_second_never_sees_more_requests_than_the_rate(client: redis.Redis) -> None:
    bench = Bench(client, rate=50)
    granted: list[int] = []
    for _ in range(60):
        while claim := bench.claim():
            granted.append(claim.now + claim.wait_ms)
        bench.turn(100)
    window = max(sum(at <= other < at + 1000 for other in granted) for at in granted)
    assert window <= 50
    assert len(granted) >= 0.97 * 50 * (granted[-1] - granted[0]) / 1000, "and hardly any is left unused"


def test_without_a_limit_nobody_waits(client: redis.Redis) -> None:
    bench = Bench(client, rate=0)
    assert [bench.must_claim().wait_ms for _ in range(50)] == [0] * 50
    assert bench.store.upstream.pace(look_up=True) == 0


def test_a_look_up_has_a_limit_of_its_own(bench: Bench) -> None:
    assert bench.store.upstream.pace(look_up=True) <= 1
    assert -1100 <= bench.store.upstream.pace(look_up=True) < -1000, "sixty a minute: not within a second"
    assert bench.store.upstream.pace(look_up=False) >= 0, "but there is room for other requests"


def test_an_unknown_answer_pays_for_a_look_up_and_a_create(bench: Bench) -> None:
    key = bench.accept()
    bench.must_claim(key)
    bench.turn(LEASE_MS + 1)
    assert bench.must_claim(key).wait_ms == 0
    assert 150 <= bench.must_claim().wait_ms <= 210, "two requests are on their way"


def test_a_429_halves_the_pace_for_all_and_good_answers_raise_it_slowly(bench: Bench) -> None:
    assert "pace" not in bench.upstream()
    bench.attempt(failing(Signal.THROTTLED, "throttled", hold_ms=3000))
    assert float(bench.upstream()["pace"]) == RATE / 2
    assert bench.claim() is None, "Retry-After holds for everybody"
    bench.turn(3000)
    assert bench.claim() is not None
    paces = []
    for _ in range(20):
        bench.attempt()
        paces.append(float(bench.upstream().get("pace", RATE)))
    assert paces == sorted(paces)
    assert paces[0] <= RATE / 2 * 1.2
    assert paces[-1] == RATE


def test_many_429s_at_once_are_one(bench: Bench) -> None:
    bench.turn(1000)
    claims = [bench.must_claim() for _ in range(4)]
    for claim in claims:
        bench.finish(claim, failing(Signal.THROTTLED, "throttled", hold_ms=10))
    assert float(bench.upstream()["pace"]) == RATE / 2


def test_the_pace_has_a_floor(bench: Bench) -> None:
    for _ in range(20):
        bench.attempt(failing(Signal.THROTTLED, "throttled", hold_ms=10))
        bench.turn(100_000)
    assert float(bench.upstream()["pace"]) == pytest.approx(RATE / 64, rel=0.01)


def test_a_sweep_hands_over_no_more_than_the_pace_can_use(bench: Bench) -> None:
    for _ in range(50):
        bench.accept()
    bench.turn(60_000)
    swept = bench.store.queue.sweep()
    assert RATE <= swept.handed <= 1.3 * RATE
    assert swept.more
    swept = bench.store.queue.sweep()
    assert swept.handed <= 1, "there is enough in the queue"
    assert swept.more


def test_a_new_contact_waits_behind_those_that_are_due(bench: Bench) -> None:
    bench.accept()
    bench.turn(60_000)
    bench.store.contacts.accept(Contact("late"), "signup")
    assert bench.client.llen(keys.QUEUE) == 0
    assert bench.handed() == 2


# Breaker


def test_a_few_contacts_in_a_row_open_the_breaker(bench: Bench) -> None:
    for _ in range(4):
        assert bench.attempt(failing(Signal.ERROR)).turn == ""
    assert bench.attempt(failing(Signal.ERROR)).turn == "down"
    assert bench.claim() is None
    up = bench.upstream()
    assert (up["stop"], up["stop_cause"]) == ("down", "http_503")


def test_an_answer_between_begins_the_row_anew(bench: Bench) -> None:
    for _ in range(4):
        bench.attempt(failing(Signal.ERROR))
    bench.attempt()
    for _ in range(4):
        assert bench.attempt(failing(Signal.ERROR)).turn == ""


def test_one_contact_alone_never_opens_it(bench: Bench) -> None:
    key = bench.accept()
    for number in range(30):
        bench.turn(120_000)
        assert bench.attempt(failing(Signal.ERROR), key).turn == "", number


def test_half_of_many_opens_it_though_others_succeed(bench: Bench) -> None:
    turns = []
    for number in range(30):
        verdict = failing(Signal.ERROR) if number % 2 else CREATED
        claim = bench.must_claim()
        turns.append(bench.finish(claim, verdict).turn)
        bench.turn(100)
        if turns[-1]:
            break
    assert turns[-1] == "down"
    assert len(turns) >= 20


def test_while_it_is_open_deliveries_are_taken_and_one_probe_goes_at_a_time(bench: Bench) -> None:
    bench.go_down()
    for _ in range(3):
        bench.accept()
    bench.turn(FIRST_MS - 1000)
    assert bench.handed() == 0, "not yet"
    bench.turn(1000)
    assert bench.handed() == 1
    probe = bench.must_claim()
    assert bench.claim() is None, "one at a time"
    assert bench.handed() == 0
    bench.finish(probe, failing(Signal.ERROR))
    assert bench.claim() is None
    bench.turn(FIRST_MS + 1000)
    assert bench.claim() is None, "the wait has doubled"
    bench.turn(FIRST_MS)
    assert bench.finish(bench.must_claim()).turn == "resumed"
    assert "stop" not in bench.upstream()


def test_the_wait_for_a_probe_has_a_bound(bench: Bench) -> None:
    bench.go_down()
    for _ in range(12):
        bench.turn(LONGEST_MS)
        bench.finish(bench.must_claim(), failing(Signal.ERROR))
    bench.turn(LONGEST_MS)
    assert bench.claim() is not None


def test_a_probe_whose_worker_dies_does_not_hold_it_open_for_ever(bench: Bench) -> None:
    bench.go_down()
    bench.turn(FIRST_MS)
    bench.must_claim()
    bench.turn(LEASE_MS - 5000)
    assert bench.claim() is None
    bench.turn(5000)
    assert bench.claim() is not None


def test_a_probe_that_told_nothing_is_followed_by_another_at_once(bench: Bench) -> None:
    bench.go_down()
    bench.turn(FIRST_MS)
    bench.finish(bench.must_claim(), failing(Signal.POSTPONED))
    assert bench.claim() is not None


def test_a_late_answer_of_before_does_not_close_it(bench: Bench) -> None:
    early = bench.must_claim()
    bench.go_down()
    assert bench.finish(early).turn == ""
    assert bench.upstream()["stop"] == "down"


def test_after_a_stop_the_pace_begins_low(bench: Bench) -> None:
    bench.go_down()
    bench.turn(FIRST_MS)
    bench.finish(bench.must_claim())
    assert float(bench.upstream()["pace"]) <= RATE / 10


def test_a_suspect_contact_does_not_open_it(bench: Bench) -> None:
    for _ in range(10):
        assert bench.attempt(failing(Signal.ERROR, suspect=1)).turn == ""


# Pause


def test_a_wrong_key_pauses_all_at_once_and_a_probe_resumes(bench: Bench) -> None:
    finished = bench.attempt(failing(Signal.MISCONFIGURED, "unauthorized", status=401))
    assert finished.turn == "misconfigured"
    up = bench.upstream()
    assert (up["stop"], up["stop_cause"], up["stop_status"]) == ("misconfigured", "unauthorized", "401")
    assert bench.claim() is None
    bench.turn(FIRST_MS)
    assert bench.finish(bench.must_claim(), failing(Signal.MISCONFIGURED, "unauthorized")).turn == "", "told once"
    bench.turn(4 * FIRST_MS)
    assert bench.attempt().turn == "resumed"


def test_a_wrong_inbox_pauses_its_own_contacts_alone(bench: Bench) -> None:
    key = bench.accept(inbox_id=9)
    assert bench.attempt(failing(Signal.INBOX, "inbox_not_found"), key).turn == "inbox"
    others = [bench.accept(inbox_id=9) for _ in range(3)]
    assert [bench.claim(other) for other in others] == [None] * 3
    assert bench.claim() is not None, "those of another inbox go on"
    assert bench.handed() == 0, "those that wait for it do not stand in the way of others"
    bench.turn(FIRST_MS)
    assert bench.handed() > 0, "one of them tries"
    bench.turn(1000)
    probe = bench.must_claim(others[0])
    bench.turn(1000)
    assert bench.claim(others[1]) is None
    assert bench.finish(probe).turn == "resumed"
    bench.store.queue.sweep()
    bench.turn(31_000)
    assert bench.handed() == 3, "and then all"
    assert bench.client.hlen(keys.INBOXES) == 0


def test_an_inbox_that_stays_wrong_is_told_once_and_tried_less_and_less(bench: Bench) -> None:
    key = bench.accept(inbox_id=9)
    bench.attempt(failing(Signal.INBOX, "inbox_not_found"), key)
    bench.turn(FIRST_MS + 1000)
    assert bench.finish(bench.must_claim(key), failing(Signal.INBOX, "inbox_not_found")).turn == ""
    bench.turn(FIRST_MS + 1000)
    assert bench.claim(key) is None
    bench.turn(FIRST_MS)
    assert bench.claim(key) is not None


def test_contacts_without_an_inbox_go_on_once_the_settings_name_one(client: redis.Redis) -> None:
    bench = Bench(client)
    without = make_store(client, policy=UpstreamPolicy(RATE))
    key = bench.accept()
    claim = without.contacts.claim(key, "token")
    assert claim is not None
    without.contacts.finish(claim, failing(Signal.INBOX, "inbox_missing"), Attempt(claim.now, 1))
    assert without.queue.sweep().handed == 0
    bench.turn(1000)
    assert bench.handed() == 1


def test_an_operator_pauses_and_resumes(bench: Bench) -> None:
    key = bench.accept()
    assert bench.store.upstream.pause("ada", "a migration")
    assert not bench.store.upstream.pause("bob", "again")
    up = bench.upstream()
    assert (up["paused_by"], up["paused_why"]) == ("ada", "a migration")
    bench.turn(60_000)
    assert bench.handed() == 0
    assert bench.claim(key) is None
    assert bench.store.upstream.resume()
    assert not bench.store.upstream.resume()
    assert bench.handed() == 1
    assert bench.claim(key) is not None


def test_an_operators_resume_probes_at_once(bench: Bench) -> None:
    bench.attempt(failing(Signal.MISCONFIGURED, "unauthorized"))
    bench.accept()
    assert bench.store.upstream.resume()
    assert bench.claim() is not None


def test_a_worker_that_starts_probes_at_once_whatever_is_stopped(bench: Bench) -> None:
    assert not bench.store.upstream.probe_now()
    bench.attempt(failing(Signal.MISCONFIGURED, "unauthorized"))
    assert bench.claim() is None
    assert bench.store.upstream.probe_now()
    probe = bench.must_claim()
    assert bench.store.upstream.probe_now()
    assert bench.claim() is None, "one probe at a time"
    assert bench.finish(probe).turn == "resumed"


def test_a_worker_that_starts_probes_a_held_inbox(bench: Bench) -> None:
    key = bench.accept(inbox_id=9)
    bench.attempt(failing(Signal.INBOX, "inbox_not_found"), key)
    bench.turn(100)
    assert bench.claim(key) is None
    assert bench.store.upstream.probe_now()
    assert bench.claim(key) is not None


def test_a_worker_that_starts_ends_no_operators_pause(bench: Bench) -> None:
    bench.attempt(failing(Signal.MISCONFIGURED, "unauthorized"))
    bench.store.upstream.pause("ada", "a migration")
    assert bench.store.upstream.probe_now()
    assert bench.claim() is None


def test_an_operators_pause_and_its_end_are_a_line_each(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        bench.store.upstream.pause("ada@example.com", "a migration")
    for _ in range(2):
        bench.store.upstream.resume()
    assert caplog.messages == ["sync paused by=operator", "sync resumed by=operator"]


def test_what_is_done_by_hand_without_livedesk_needs_no_pace(bench: Bench) -> None:
    key = bench.accept()
    bench.store.upstream.pause("ada", "")
    assert bench.store.contacts.claim(key, "by hand", sends=False) is not None
