"""What is measured of a long fault: the recovery, the pace, and the wait of others."""

from typing import Any

import pytest

from tests.faults.inject import Injected
from tests.faults.outages import MIN_BACKLOG, Outage, busiest_second, is_blocked, others_wait_s, parcels
from tests.faults.plan import RATE, Fault
from tests.faults.sender import Sent
from tests.livedesk import LedgerEntry, RequestRecord


def outage(kind: str, *, backlog: int = 0, drain_s: float = 0.0, sent: Any = ()) -> Outage:
    return Outage(Injected(Fault(0, 5, kind, "livedesk"), 10.0, 15.0), sent, backlog, drain_s)


@pytest.mark.parametrize(
    ("kind", "backlog", "ratio"),
    [("down", 2 * RATE, 3.0), ("unpaid", 2 * RATE, 3.0), ("stall", 2 * RATE, None), ("down", MIN_BACKLOG - 1, None)],
)
def test_a_recovery_is_measured_by_what_the_rate_allows(kind: str, backlog: int, ratio: float | None) -> None:
    assert outage(kind, backlog=backlog, drain_s=6.0).times_ideal == ratio


def test_the_wait_of_others_does_not_count_who_is_blocked() -> None:
    sent = [Sent(parcel, ["200"], 10.0) for parcel in parcels(Fault(0, 1, "firewall", "livedesk"), 1, 8)]
    blocked = [one.parcel.identifier for one in sent if is_blocked(one.parcel.identifier)]
    assert 0 < len(blocked) < len(sent) / 2
    ledger = [
        LedgerEntry(30.0 if one.parcel.identifier in blocked else 12.5, one.parcel.identifier, 1, None, 1)
        for one in sent
    ]
    assert others_wait_s(outage("firewall", sent=sent), ledger) == 2.5
    assert others_wait_s(outage("down", sent=sent), ledger) is None


def test_answers_other_than_200_are_counted() -> None:
    first, second = parcels(Fault(0, 1, "stall", "redis"), 1, 1)
    assert outage("stall", sent=[Sent(first, ["503", "TimeoutError", "200"]), Sent(second, ["200"])]).refused == 2


@pytest.mark.parametrize(("kind", "most"), [("cut", 4), ("delay", 2), ("stop", 2)])
def test_the_busiest_second_leaves_out_what_a_fault_gathers(kind: str, most: int) -> None:
    times = [0.0, 0.6, 1.6, 1.7, 10.0, 10.1, 10.2, 10.9, 30.0]
    requests = [RequestRecord(number, "search", "GET", "/", None, at) for number, at in enumerate(times)]
    faults = [Injected(Fault(0, 1, kind, "worker 1 - livedesk"), 9.0, 10.0)]
    assert busiest_second(requests, faults) == most
