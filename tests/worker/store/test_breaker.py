"""Stops, holds and held inboxes: whose trouble it is, and how it ends."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from msgspec import structs

from tests.invariants import assert_invariants
from tests.worker.store.test_upstream import CREATED, FIRST_MS, LONGEST_MS, RATE, Office, failing
from worker.model import AttemptResult, Contact, Origin, Outcome, Signal, State, Unanswered
from worker.store import keys

LOST = failing(Signal.ERROR, "http_500", asks=True, status=500)
FORBIDDEN = failing(Signal.MISCONFIGURED, "forbidden", asks=True, status=403)
UNPAID = failing(Signal.REFUSED, "http_402", status=402, words="Subscription expired")
OK = (Signal.OK, None, None, 0)


def throttled(hold_ms: int) -> AttemptResult:
    return failing(Signal.THROTTLED, "throttled", status=429, hold_ms=hold_ms)


@pytest.fixture
def office(client: redis.Redis) -> Iterator[Office]:
    office = Office(client)
    yield office
    office.client.delete(keys.QUEUE)
    assert_invariants(client)


# One contact's refusal is not everybody's


def test_before_the_sync_stops_a_worker_asks_something_that_is_about_no_contact(office: Office) -> None:
    assert office.attempt(FORBIDDEN).change == "ask"
    assert office.attempt(FORBIDDEN).change == "", "one worker asks"
    assert office.store.upstream.answered(Signal.MISCONFIGURED, "forbidden", 403, 0) == "misconfigured"
    stop = office.store.upstream.read()
    assert (stop.state, stop.cause, stop.status) == ("misconfigured", "forbidden", "403")


def test_refusals_of_contacts_alone_stop_nobody_and_cost_few_questions(office: Office) -> None:
    changes = []
    for _ in range(25):
        changes.append(office.attempt(FORBIDDEN).change)
        if changes[-1] == "ask":
            assert office.store.upstream.answered(*OK) == ""
    assert changes.count("ask") <= 3, "an answer counts for ten seconds"
    assert office.attempt().change == ""
    assert office.store.upstream.read().state == "up"


def test_failures_of_contacts_alone_stop_nobody(office: Office) -> None:
    changes = [office.attempt(LOST).change for _ in range(5)]
    assert changes == ["", "", "", "", "ask"]
    assert office.store.upstream.answered(*OK) == ""
    assert office.attempt().change == ""


def test_failures_of_all_stop_the_sync_once_the_question_fails_too(office: Office) -> None:
    for _ in range(5):
        office.attempt(LOST)
    assert office.store.upstream.answered(Signal.ERROR, "http_500", 500, 0) == "down"


def test_a_question_that_nobody_answers_is_asked_again(office: Office) -> None:
    """Its worker died."""
    assert office.attempt(FORBIDDEN).change == "ask"
    office.advance(50_000)
    assert office.attempt(FORBIDDEN).change == "ask"


def test_a_probe_that_is_refused_alone_ends_the_stop(office: Office) -> None:
    """LiveDesk is back, and the first contact that probes is one that it refuses."""
    office.go_down()
    office.advance(FIRST_MS)
    assert office.finish(office.must_claim(), FORBIDDEN).change == "ask"
    assert office.store.upstream.answered(*OK) == "resumed"
    assert office.attempt().change == ""


def test_without_a_byte_sent_nothing_needs_to_be_asked(office: Office) -> None:
    refused = failing(Signal.ERROR, "connect_failed")
    assert [office.attempt(refused).change for _ in range(5)][-1] == "down"


# Holds


def test_a_429_holds_everybody_visibly_until_it_ends(office: Office) -> None:
    assert office.attempt(throttled(60_000)).change == "hold"
    hold = office.store.upstream.read()
    assert (hold.state, hold.cause, hold.until) == ("hold", "throttled", (hold.since or 0) + 60_000)
    assert office.try_claim() is None
    office.advance(59_000)
    assert office.handed() == 0
    office.advance(1_001)
    assert office.handed() == 1, "one contact shows whether it is over"
    assert office.finish(office.must_claim()).change == "resumed"
    assert float(office.upstream()["pace"]) == RATE / 2


def test_a_long_retry_after_is_probed_after_some_minutes(office: Office) -> None:
    office.attempt(throttled(24 * 3_600_000))
    office.advance(179_000)
    assert office.try_claim() is None
    office.advance(1000)
    assert office.finish(office.must_claim(), throttled(24 * 3_600_000)).change == ""
    assert office.try_claim() is None
    office.advance(LONGEST_MS)
    assert office.attempt().change == "resumed"


def test_resume_frees_everybody_at_once(office: Office) -> None:
    first, second = office.arrive(), office.arrive()
    office.attempt(throttled(600_000), first)
    assert office.try_claim(second) is None
    assert office.store.upstream.resume()
    assert office.finish(office.must_claim(second)).change == "resumed"
    assert office.handed() == 1
    assert office.try_claim(first) is not None, "also the one that got the 429"


def test_a_contact_that_is_limited_alone_holds_nobody(office: Office) -> None:
    assert office.attempt(replace(throttled(600_000), is_alone=True)).change == ""
    assert office.attempt().change == ""


def test_the_same_words_for_many_in_a_row_hold_the_sync_and_are_quoted(office: Office) -> None:
    burnt = [office.arrive() for _ in range(5)]
    assert [office.attempt(UNPAID, key).change for key in burnt] == ["", "", "", "", "hold"]
    hold = office.store.upstream.read()
    assert (hold.state, hold.cause, hold.status, hold.words) == ("hold", "http_402", "402", "Subscription expired")
    assert office.try_claim() is None
    assert {office.state(key) for key in burnt} == {State.RETRYING}
    office.advance(FIRST_MS)
    assert office.finish(office.must_claim(), UNPAID).change == ""
    office.advance(2 * FIRST_MS)
    assert office.attempt().change == "resumed"


@pytest.mark.parametrize(
    "other", [replace(UNPAID, words="Bad e-mail"), replace(UNPAID, cause="http_406"), CREATED], ids=str
)
def test_other_words_and_good_answers_begin_the_row_anew(office: Office, other: AttemptResult) -> None:
    for _ in range(4):
        office.attempt(UNPAID)
    office.attempt(other)
    for _ in range(4):
        assert office.attempt(UNPAID).change == ""


def test_contacts_that_are_refused_on_purpose_hold_the_others_for_a_moment_only(office: Office) -> None:
    hostile = [office.arrive() for _ in range(25)]
    good = [office.arrive() for _ in range(5)]
    for key in hostile[:5]:
        office.attempt(UNPAID, key)
    waiting, waited_ms = [*hostile[5:], *good], 0
    while office.store.upstream.read().state == "hold":
        office.advance(1000)
        waited_ms += 1000
        claims = [claim for key in list(waiting) if (claim := office.try_claim(key))]
        for claim in claims:
            waiting.remove(claim.key)
        for claim in claims:
            office.finish(claim, CREATED if claim.key in good else UNPAID)
    assert waited_ms < 90_000


# Inboxes


def test_an_inbox_that_livedesk_fails_for_alone_is_held(office: Office) -> None:
    bad = [office.arrive(inbox_id=9) for _ in range(4)]
    assert office.attempt(LOST, bad[0]).change == ""
    office.attempt()
    assert office.attempt(LOST, bad[1]).change == ""
    assert office.attempt(LOST, bad[2]).change == "inbox"
    (held,) = office.store.upstream.read().inboxes
    assert (held.inbox, held.cause) == ("9", "http_500")
    assert office.try_claim(bad[3]) is None
    assert office.attempt().change == "", "those of other inboxes go on"
    office.advance(FIRST_MS)
    probe = office.must_claim(bad[3])
    assert probe.is_inbox_probe
    office.finish(probe, LOST)
    assert office.store.upstream.read().inboxes[0].probes == 1
    office.advance(2 * FIRST_MS)
    assert office.finish(office.must_claim(bad[3])).change == "resumed"
    assert office.store.upstream.read().inboxes == ()


def test_the_only_inbox_is_never_held_because_of_failures(office: Office) -> None:
    office.attempt()
    for _ in range(4):
        assert office.attempt(LOST).change == ""
    assert office.store.upstream.read().inboxes == ()


def test_one_contact_does_not_hold_its_inbox(office: Office) -> None:
    key = office.arrive(inbox_id=9)
    for _ in range(8):
        office.attempt(LOST, key)
        office.attempt()
    assert office.store.upstream.read().inboxes == ()


def test_a_change_does_not_free_an_inbox(office: Office) -> None:
    """It shows nothing about the inbox."""
    contact = Contact("ada", inbox_id=9, name="Ada")
    office.store.contacts.accept(contact, Origin("signup"))
    office.attempt(key=office.key("ada"))
    office.attempt(failing(Signal.INBOX, "inbox_not_found"), office.arrive(inbox_id=9))
    office.store.contacts.accept(structs.replace(contact, name="Grace"), Origin("signup"))
    assert office.attempt(replace(CREATED, outcome=Outcome.UPDATED), office.key("ada")).change == ""
    assert len(office.store.upstream.read().inboxes) == 1


# Recovery


def test_after_a_stop_the_pace_doubles_every_second(office: Office) -> None:
    office.go_down()
    office.advance(FIRST_MS)
    office.finish(office.must_claim())
    for _ in range(5):
        office.attempt()
    assert "pace" not in office.upstream(), "at the full rate after some seconds"


def test_what_failed_while_the_sync_was_stopped_is_due_when_it_resumes(office: Office) -> None:
    office.go_down()
    probe = office.arrive()
    for _ in range(4):
        office.advance(LONGEST_MS)
        office.finish(office.must_claim(probe), replace(failing(Signal.ERROR), delay_ms=900_000))
    assert office.fields_of(probe).get("failures", "0") == "0", "its own waits do not grow"
    office.advance(LONGEST_MS)
    assert office.finish(office.must_claim()).change == "resumed"
    assert office.handed() >= 1
    assert office.try_claim(probe) is not None


def test_look_ups_do_not_use_up_the_pace_of_others(client: redis.Redis) -> None:
    """Sixty look-ups a minute, and ten requests a second: of 20 s, the look-ups leave nearly all."""
    office = Office(client)
    lost = [office.arrive() for _ in range(60)]
    for key in lost:
        claim = office.store.contacts.claim(key, f"t-{key}", sends=False)
        assert claim is not None
        office.finish(claim, replace(failing(Signal.NOTHING), unanswered=Unanswered.NOW))
    office.advance(10)
    created, looked_up = 0, 0
    for _ in range(200):
        for key in lost[:5]:
            if claim := office.try_claim(key):
                looked_up += 1
                lost.remove(key)
                office.finish(claim)
        while claim := office.try_claim():
            created += 1
            office.finish(claim)
        office.advance(100)
    assert created >= 0.8 * 10 * 20 - 2 * looked_up
    assert looked_up >= 0.8 * 20
