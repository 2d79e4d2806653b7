"""Pace, breaker and pause: what workers share about LiveDesk, on a real server."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import redis

from tests.invariants import assert_invariants
from tests.world import World, make_store
from worker.model import Attempt, AttemptResult, Claim, Contact, Origin, Outcome, Signal, State, UpstreamPolicy
from worker.store import keys, record
from worker.store.contacts import Finished

RATE = 10.0
LEASE_MS = 45_000
FIRST_MS, LONGEST_MS = 5_000, 300_000
CREATED = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED)


def failing(signal: Signal, cause: str = "http_503", **options: object) -> AttemptResult:
    return AttemptResult(state=State.RETRYING, cause=cause, signal=signal, delay_ms=1, failures=1, repeats=1, **options)  # type: ignore[arg-type]


class Office(World):
    """A store with a pace, and contacts that arrive and are brought to LiveDesk."""

    def __init__(self, client: redis.Redis, rate: float = RATE) -> None:
        super().__init__(client, policy=UpstreamPolicy(rate, 60.0, FIRST_MS, LONGEST_MS, inbox_id=1))
        self.numbers = count(1)

    def arrive(self, inbox_id: int | None = None) -> str:
        contact = Contact(f"person-{next(self.numbers)}", inbox_id=inbox_id, name="Ada")
        self.store.contacts.accept(contact, Origin("signup"))
        self.client.delete(keys.QUEUE)
        return self.store.key_of(contact.identifier)

    def try_claim(self, key: str | None = None) -> Claim | None:
        key = key or self.arrive()
        return self.store.contacts.claim(key, f"token-{next(self.numbers)}")

    def must_claim(self, key: str | None = None) -> Claim:
        claim = self.try_claim(key)
        assert claim is not None
        return claim

    def attempt(self, verdict: AttemptResult = CREATED, key: str | None = None) -> Finished:
        self.advance(1000)
        return self.finish(self.must_claim(key), verdict)

    def go_down(self) -> None:
        for _ in range(5):
            self.attempt(failing(Signal.ERROR))
        assert self.upstream()["stop"] == "down"

    def fields_of(self, key: str) -> dict[str, str]:
        fields: Any = self.client.hgetall(keys.contact(key))
        return record.named(fields.items())

    def handed(self) -> int:
        """How many contacts a sweep hands over now."""
        self.client.delete(keys.QUEUE)
        return self.store.queue.sweep().handed


@pytest.fixture
def office(client: redis.Redis) -> Iterator[Office]:
    office = Office(client)
    yield office
    office.client.delete(keys.QUEUE)
    assert_invariants(client)


# Pace


def test_requests_get_their_times_one_after_the_other(office: Office) -> None:
    waits = [office.must_claim().wait_ms for _ in range(5)]
    apart = 1000 / RATE
    for number, wait in enumerate(waits):
        assert number * apart - 50 <= wait <= number * apart * 1.02 + 1, waits


def test_what_finds_no_room_within_a_second_goes_back_to_due(office: Office) -> None:
    claims = [office.try_claim() for _ in range(40)]
    given = [claim.wait_ms for claim in claims if claim]
    took_s = (max(claim.now for claim in claims if claim) - min(claim.now for claim in claims if claim)) / 1000
    assert len(given) <= RATE * (1 + took_s) + 1
    assert max(given) <= 1000
    assert claims[-1] is None
    assert office.client.zcard(keys.DUE) == 40, "nobody is lost"
    office.advance(1100)
    assert office.handed() > 0, "and they are handed over again"


def test_a_second_never_sees_more_requests_than_the_rate(client: redis.Redis) -> None:
    office = Office(client, rate=50)
    granted: list[int] = []
    late_ms = 0
    for _ in range(60):
        while claim := office.try_claim():
            # On a busy machine it is asked for late: then the slots before that are over.
            late_ms += max(0, claim.now - granted[-1]) if granted else 0
            granted.append(claim.now + claim.wait_ms)
        office.advance(100)
    window = max(sum(at <= other < at + 1000 for other in granted) for at in granted)
    assert window <= 50
    seconds = (granted[-1] - granted[0] - late_ms) / 1000
    assert len(granted) >= 0.98 * 50 * seconds, "and hardly any is left unused"


def test_without_a_limit_nobody_waits(client: redis.Redis) -> None:
    office = Office(client, rate=0)
    assert [office.must_claim().wait_ms for _ in range(50)] == [0] * 50
    assert office.store.upstream.pace(look_up=True) == 0


def test_a_look_up_has_a_limit_of_its_own(office: Office) -> None:
    assert office.store.upstream.pace(look_up=True) <= 1
    again = office.store.upstream.pace(look_up=True)
    assert -600 <= again < -400, "sixty a minute: it comes back half a second before its turn"
    assert office.store.upstream.pace(look_up=False) >= 0, "but there is room for other requests"


def test_an_unknown_answer_pays_for_a_look_up_and_a_create(office: Office) -> None:
    key = office.arrive()
    office.must_claim(key)
    office.advance(LEASE_MS + 1)
    assert office.must_claim(key).wait_ms == 0
    assert 150 <= office.must_claim().wait_ms <= 210, "two requests are on their way"


def test_a_429_halves_the_pace_for_all_and_good_answers_raise_it_slowly(office: Office) -> None:
    assert "pace" not in office.upstream()
    office.attempt(failing(Signal.THROTTLED, "throttled", hold_ms=3000))
    assert float(office.upstream()["pace"]) == RATE / 2
    assert office.try_claim() is None, "Retry-After applies to all contacts"
    office.advance(3000)
    assert office.finish(office.must_claim()).change == "resumed"
    paces = []
    for _ in range(20):
        office.attempt()
        paces.append(float(office.upstream().get("pace", RATE)))
    assert paces == sorted(paces)
    assert paces[0] <= RATE / 2 * 1.2
    assert paces[-1] == RATE


def test_many_429s_at_once_are_one(office: Office) -> None:
    office.advance(1000)
    claims = [office.must_claim() for _ in range(4)]
    for claim in claims:
        office.finish(claim, failing(Signal.THROTTLED, "throttled", hold_ms=10))
    assert float(office.upstream()["pace"]) == RATE / 2


def test_the_pace_has_a_floor(office: Office) -> None:
    for _ in range(20):
        office.attempt(failing(Signal.THROTTLED, "throttled", hold_ms=10))
        office.advance(400_000)
    assert float(office.upstream()["pace"]) == pytest.approx(RATE / 64, rel=0.01)


def test_a_sweep_hands_over_no_more_than_the_pace_can_use(office: Office) -> None:
    for _ in range(50):
        office.arrive()
    office.advance(60_000)
    swept = office.store.queue.sweep()
    assert RATE <= swept.handed <= 1.3 * RATE
    assert swept.more
    swept = office.store.queue.sweep()
    assert swept.handed <= 1, "there is enough in the queue"
    assert swept.more


def test_a_new_contact_waits_behind_those_that_are_due(office: Office) -> None:
    office.arrive()
    office.advance(60_000)
    office.store.contacts.accept(Contact("late"), Origin("signup"))
    assert office.client.llen(keys.QUEUE) == 0
    assert office.handed() == 2


# Breaker


def test_a_few_contacts_in_a_row_open_the_breaker(office: Office) -> None:
    for _ in range(4):
        assert office.attempt(failing(Signal.ERROR)).change == ""
    assert office.attempt(failing(Signal.ERROR)).change == "down"
    assert office.try_claim() is None
    up = office.upstream()
    assert (up["stop"], up["stop_cause"]) == ("down", "http_503")


def test_an_answer_between_begins_the_row_anew(office: Office) -> None:
    for _ in range(4):
        office.attempt(failing(Signal.ERROR))
    office.attempt()
    for _ in range(4):
        assert office.attempt(failing(Signal.ERROR)).change == ""


def test_one_contact_alone_never_opens_it(office: Office) -> None:
    key = office.arrive()
    for number in range(30):
        office.advance(120_000)
        assert office.attempt(failing(Signal.ERROR), key).change == "", number


def test_half_of_many_opens_it_though_others_succeed(office: Office) -> None:
    turns = []
    for number in range(30):
        verdict = failing(Signal.ERROR) if number % 2 else CREATED
        claim = office.must_claim()
        turns.append(office.finish(claim, verdict).change)
        office.advance(100)
        if turns[-1]:
            break
    assert turns[-1] == "down"
    assert len(turns) >= 20


def test_while_it_is_open_deliveries_are_taken_and_one_probe_goes_at_a_time(office: Office) -> None:
    office.go_down()
    for _ in range(3):
        office.arrive()
    office.advance(FIRST_MS - 1000)
    assert office.handed() == 0, "not yet"
    office.advance(1000)
    assert office.handed() == 1
    probe = office.must_claim()
    assert office.try_claim() is None, "one at a time"
    assert office.handed() == 0
    office.finish(probe, failing(Signal.ERROR))
    assert office.try_claim() is None
    office.advance(FIRST_MS + 1000)
    assert office.try_claim() is None, "the wait has grown"
    office.advance(FIRST_MS)
    assert office.finish(office.must_claim()).change == "resumed"
    assert "stop" not in office.upstream()


def test_the_wait_for_a_probe_has_a_bound(office: Office) -> None:
    office.go_down()
    for _ in range(12):
        office.advance(LONGEST_MS)
        office.finish(office.must_claim(), failing(Signal.ERROR))
    office.advance(LONGEST_MS)
    assert office.try_claim() is not None


def test_who_waits_learns_that_it_is_back_after_a_quarter_of_the_absence_at_most(office: Office) -> None:
    office.go_down()
    away_ms = 0
    while away_ms < 4 * FIRST_MS:
        wait_ms = int(office.upstream()["probe_at"]) - office.store.now()
        assert wait_ms <= FIRST_MS + away_ms / 4 + 50, "but for the time that the test takes"
        office.advance(wait_ms)
        away_ms += wait_ms
        office.finish(office.must_claim(), failing(Signal.ERROR))


def test_a_probe_whose_worker_dies_does_not_hold_it_open_for_ever(office: Office) -> None:
    office.go_down()
    office.advance(FIRST_MS)
    office.must_claim()
    office.advance(LEASE_MS - 5000)
    assert office.try_claim() is None
    office.advance(5000)
    assert office.try_claim() is not None


def test_an_inconclusive_probe_is_followed_by_another_at_once(office: Office) -> None:
    office.go_down()
    office.advance(FIRST_MS)
    office.finish(office.must_claim(), failing(Signal.POSTPONED))
    assert office.try_claim() is not None


def test_a_late_answer_of_before_does_not_close_it(office: Office) -> None:
    early = office.must_claim()
    office.go_down()
    assert office.finish(early).change == ""
    assert office.upstream()["stop"] == "down"


def test_after_a_stop_the_pace_begins_low(office: Office) -> None:
    office.go_down()
    office.advance(FIRST_MS)
    office.finish(office.must_claim())
    assert float(office.upstream()["pace"]) <= RATE / 2


def test_a_suspect_contact_does_not_open_it(office: Office) -> None:
    for _ in range(10):
        assert office.attempt(failing(Signal.ERROR, is_alone=True)).change == ""


# Pause


def test_a_wrong_key_pauses_all_at_once_and_a_probe_resumes(office: Office) -> None:
    finished = office.attempt(failing(Signal.MISCONFIGURED, "unauthorized", status=401))
    assert finished.change == "misconfigured"
    up = office.upstream()
    assert (up["stop"], up["stop_cause"], up["stop_status"]) == ("misconfigured", "unauthorized", "401")
    assert office.try_claim() is None
    office.advance(FIRST_MS)
    assert office.finish(office.must_claim(), failing(Signal.MISCONFIGURED, "unauthorized")).change == "", (
        "reported once"
    )
    office.advance(4 * FIRST_MS)
    assert office.attempt().change == "resumed"


def test_a_wrong_inbox_pauses_its_own_contacts_alone(office: Office) -> None:
    key = office.arrive(inbox_id=9)
    assert office.attempt(failing(Signal.INBOX, "inbox_not_found"), key).change == "inbox"
    others = [office.arrive(inbox_id=9) for _ in range(3)]
    assert [office.try_claim(other) for other in others] == [None] * 3
    assert office.try_claim() is not None, "those of another inbox go on"
    assert office.handed() == 0, "contacts that wait for it do not block others"
    office.advance(FIRST_MS)
    assert office.handed() > 0, "one of them tries"
    office.advance(1000)
    probe = office.must_claim(others[0])
    office.advance(1000)
    assert office.try_claim(others[1]) is None
    assert office.finish(probe).change == "resumed"
    office.store.queue.sweep()
    office.advance(31_000)
    assert office.handed() == 3, "and then all"
    assert office.client.hlen(keys.INBOXES) == 0


def test_a_contact_whose_next_attempt_is_later_does_not_wait_for_a_free_inbox_for_ever(office: Office) -> None:
    """Two create in one inbox at a time: one is refused, and the other one shows that it is there."""
    late, good = office.arrive(inbox_id=9), office.arrive(inbox_id=9)
    claims = office.must_claim(late), office.must_claim(good)
    refusal = replace(failing(Signal.INBOX, "inbox_not_found"), delay_ms=60_000)
    assert office.finish(claims[0], refusal).change == "inbox"
    assert office.finish(claims[1]).change == "resumed"
    office.store.queue.sweep()
    assert office.handed() == 0, "its next attempt is later"
    office.advance(60_001)
    assert office.handed() == 1
    assert office.try_claim(late) is not None


def test_an_inbox_that_stays_wrong_is_reported_once_and_tried_less_and_less(office: Office) -> None:
    key = office.arrive(inbox_id=9)
    office.attempt(failing(Signal.INBOX, "inbox_not_found"), key)
    office.advance(FIRST_MS + 1000)
    assert office.finish(office.must_claim(key), failing(Signal.INBOX, "inbox_not_found")).change == ""
    office.advance(FIRST_MS + 1000)
    assert office.try_claim(key) is None
    office.advance(FIRST_MS)
    assert office.try_claim(key) is not None


def test_contacts_without_an_inbox_go_on_once_the_settings_name_one(client: redis.Redis) -> None:
    office = Office(client)
    without = make_store(client, policy=UpstreamPolicy(RATE))
    key = office.arrive()
    claim = without.contacts.claim(key, "token")
    assert claim is not None
    without.contacts.finish(claim, failing(Signal.INBOX, "inbox_missing"), Attempt(claim.now, 1))
    assert without.queue.sweep().handed == 0
    office.advance(1000)
    assert office.handed() == 1


def test_an_operator_pauses_and_resumes(office: Office) -> None:
    key = office.arrive()
    assert office.store.upstream.pause("ada", "a migration")
    assert not office.store.upstream.pause("bob", "again")
    up = office.upstream()
    assert (up["paused_by"], up["paused_why"]) == ("ada", "a migration")
    office.advance(60_000)
    assert office.handed() == 0
    assert office.try_claim(key) is None
    assert office.store.upstream.resume()
    assert not office.store.upstream.resume()
    assert office.handed() == 1
    assert office.try_claim(key) is not None


def test_an_operators_resume_probes_at_once(office: Office) -> None:
    office.attempt(failing(Signal.MISCONFIGURED, "unauthorized"))
    office.arrive()
    assert office.store.upstream.resume()
    assert office.try_claim() is not None


def test_a_worker_that_starts_probes_at_once_whatever_is_stopped(office: Office) -> None:
    assert not office.store.upstream.probe_now()
    office.attempt(failing(Signal.MISCONFIGURED, "unauthorized"))
    assert office.try_claim() is None
    assert office.store.upstream.probe_now()
    probe = office.must_claim()
    assert office.store.upstream.probe_now()
    assert office.try_claim() is None, "one probe at a time"
    assert office.finish(probe).change == "resumed"


def test_a_worker_that_starts_probes_an_unknown_inbox(office: Office) -> None:
    key = office.arrive(inbox_id=9)
    office.attempt(failing(Signal.INBOX, "inbox_not_found"), key)
    office.advance(100)
    assert office.try_claim(key) is None
    assert office.store.upstream.probe_now()
    assert office.try_claim(key) is not None


def test_a_worker_that_starts_ends_no_operators_pause(office: Office) -> None:
    office.attempt(failing(Signal.MISCONFIGURED, "unauthorized"))
    office.store.upstream.pause("ada", "a migration")
    assert office.store.upstream.probe_now()
    assert office.try_claim() is None


def test_an_operators_pause_and_its_end_are_a_line_each(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        office.store.upstream.pause("ada@example.com", "a migration")
    for _ in range(2):
        office.store.upstream.resume()
    assert caplog.messages == ["sync paused by=operator", "sync resumed by=operator"]


def test_what_is_done_by_hand_without_livedesk_needs_no_pace(office: Office) -> None:
    key = office.arrive()
    office.store.upstream.pause("ada", "")
    assert office.store.contacts.claim(key, "manually", sends=False) is not None
