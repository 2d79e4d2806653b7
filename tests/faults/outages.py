"""Long faults, one at a time, and how the system recovers from each.

Nothing else is broken meanwhile, so that what is measured is due to this fault: how long contacts stayed open after its
end, compared with the time that the rate allows; how deliveries were answered; how long others waited.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.faults import people
from tests.faults.inject import Injected, disturb_links
from tests.faults.plan import LEAD_S, RATE, Fault
from tests.faults.rig import Rig
from tests.faults.sender import Parcel, Sender, Sent
from tests.livedesk import LedgerEntry, RequestRecord

#: One person in this number is one whom the firewall blocks.
BLOCKED = 8
#: Seconds that a sender waits for its answer: longer than a disk stalls, as most senders do.
ANSWER_S = 10.0
#: LiveDesk's words, the same for everybody.
UNPAID = json.dumps({"error": "Your subscription has expired. Please renew it to continue."})
#: A smaller backlog says nothing about the time that a recovery takes.
MIN_BACKLOG = 50
#: Faults during which contacts wait for LiveDesk, and go when it is back.
BACKLOGGED = ("down", "unpaid", "refuse")
#: Seconds that people may wait because of contacts that LiveDesk's firewall blocks.
OTHERS_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Outage:
    """One long fault with its deliveries; ``drain_s`` is from its end until nothing was open, in seconds.

    ``backlog`` is the number of open contacts at its end, ``refused`` of answers other than 200.
    """

    injected: Injected
    sent: Sequence[Sent]
    backlog: int
    drain_s: float

    @property
    def kind(self) -> str:
        return self.injected.fault.kind

    @property
    def refused(self) -> int:
        return sum(answer != "200" for one in self.sent for answer in one.answers)

    @property
    def times_ideal(self) -> float | None:
        """How many times longer than at the full rate the backlog took, if it was one."""
        if self.kind not in BACKLOGGED or self.backlog < MIN_BACKLOG:
            return None
        return self.drain_s * RATE / self.backlog


def parcels(fault: Fault, seed: int, rate: float) -> list[Parcel]:
    """Return the deliveries before and during this fault."""
    number = round(rate * (LEAD_S + fault.lasts))
    names = [_identifier(fault, seed, n) for n in range(number)]
    return [Parcel(n / rate, name, people.bystander(name), n, False) for n, name in enumerate(names)]


def _identifier(fault: Fault, seed: int, n: int) -> str:
    kind = "blocked" if fault.kind == "firewall" and n % BLOCKED == 0 else fault.kind
    return f"{people.CANARY}-{seed}-{kind}-{n}"


def is_blocked(identifier: str) -> bool:
    return "-blocked-" in identifier


def endure(rig: Rig, fault: Fault, seed: int, rate: float, drain: Callable[[], bool]) -> Outage:
    """Deliver, inject the fault and end it, and wait with ``drain`` until nothing is open."""
    sender = Sender(rig.ports, rig.secret, answer_s=ANSWER_S)
    deliveries = parcels(fault, seed, rate)
    sender.start(deliveries)
    rig.over.wait(LEAD_S)
    began = time.time()
    INJECT[fault.kind](rig, fault, deliveries)
    injected, healed = Injected(fault, began, time.time()), time.monotonic()
    backlog = rig.open_contacts()
    sent = sender.join()
    drain()
    return Outage(injected, sent, backlog, time.monotonic() - healed)


def _misbehave(rig: Rig, fault: Fault, rules: Iterable[Mapping[str, object]]) -> None:
    for rule in rules:
        rig.livedesk.behave(**rule)  # type: ignore[arg-type]  # a mode and its options
    rig.over.wait(fault.lasts)
    rig.livedesk.clear()


def down(rig: Rig, fault: Fault, deliveries: Sequence[Parcel]) -> None:
    _misbehave(rig, fault, [{"mode": "html_502"}])


def unpaid(rig: Rig, fault: Fault, deliveries: Sequence[Parcel]) -> None:
    """Every create is refused with the same words."""
    _misbehave(rig, fault, [{"mode": "status", "on": "create", "status": 402, "body": UNPAID}])


def firewall(rig: Rig, fault: Fault, deliveries: Sequence[Parcel]) -> None:
    """Some contacts get the block page of a firewall, all others are let through."""
    blocked = [parcel.identifier for parcel in deliveries if is_blocked(parcel.identifier)]
    page = {"mode": "forbidden", "on": "create", "shape": "html"}
    _misbehave(rig, fault, [{**page, "identifier": identifier} for identifier in blocked])


def refuse(rig: Rig, fault: Fault, deliveries: Sequence[Parcel]) -> None:
    disturb_links(rig, fault)


def stall(rig: Rig, fault: Fault, deliveries: Sequence[Parcel]) -> None:
    """Redis answers nothing, as while its disk does not take a write."""
    with rig.holding(fault.target) as part:
        part.pause()
        rig.over.wait(fault.lasts)
        part.resume()


INJECT: Mapping[str, Callable[[Rig, Fault, Sequence[Parcel]], None]] = {
    "down": down,
    "unpaid": unpaid,
    "firewall": firewall,
    "refuse": refuse,
    "stall": stall,
}


def others_wait_s(outage: Outage, ledger: Sequence[LedgerEntry]) -> float | None:
    """Return the longest time from a delivery to its create, of those whom no firewall blocks."""
    if outage.kind != "firewall":
        return None
    created = {entry.identifier: entry.time for entry in ledger}
    waits = [
        created[one.parcel.identifier] - one.acknowledged
        for one in outage.sent
        if one.acknowledged is not None and one.parcel.identifier in created and not is_blocked(one.parcel.identifier)
    ]
    return max(waits, default=None)


# The pace

#: Faults that gather requests on their way, so that LiveDesk receives them at once: a link that is slow, a worker or
#: Redis that is stopped.
GATHERING = {
    "delay",
    "silence",
    "stop",
    "oversleep",
    "stall",
    "restart",
    "kill",
    "kill primary",
    "stop primary",
    "failover",
}
#: Seconds before and after such a fault that say nothing about the pace.
GATHERED_S = (0.5, 2.0)


def busiest_second(requests: Iterable[RequestRecord], injected: Sequence[Injected]) -> int:
    """Return the most requests that LiveDesk received within a second, apart from what a fault had gathered."""
    gathered = [
        (one.began - GATHERED_S[0], one.healed + GATHERED_S[1]) for one in injected if one.fault.kind in GATHERING
    ]
    times = sorted(request.received for request in requests)
    times = [at for at in times if not any(since <= at <= until for since, until in gathered)]
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most
