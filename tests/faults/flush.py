"""A Redis that is flushed in the middle: what it had acknowledged is lost, and nothing else.

That loss cannot be helped. Demanded is:

* it is reported: a line of the level ``critical`` in the log of a receiver or a worker;
* a delivery whose request began after the flush is kept, and LiveDesk has its contact once;
* a contact that LiveDesk had before, delivered again, is found there and not created again;
* no identifier is created twice, also where Redis forgot that a create was under way;
* the invariants hold, and after a while nothing is open.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults import people
from tests.faults.inject import Injected
from tests.faults.plan import REDIS, Fault
from tests.faults.rig import Rig
from tests.faults.sender import Parcel, Sender, Sent
from tests.livedesk import Contact, LedgerEntry

#: New people of whom Redis is flushed in the middle; how many a second.
NEW, RATE = 120, 80.0
#: How many of LiveDesk's contacts are delivered again.
OLD = 40
#: How a line of a log says that it is critical.
CRITICAL = " CRITICAL "


@dataclass(frozen=True, slots=True)
class Flushed:
    """What happened around a flush. ``again``: deliveries after it, of everybody, and of ``old`` contacts."""

    injected: Injected
    sent: Sequence[Sent]
    again: Sequence[Sent]
    old: frozenset[str]
    is_reported: bool

    @property
    def identifiers(self) -> list[str]:
        return sorted({one.parcel.identifier for one in (*self.sent, *self.again)})

    @property
    def kept(self) -> set[str]:
        """Who was acknowledged by a request that began after the flush."""
        return {
            one.parcel.identifier
            for one in (*self.sent, *self.again)
            if one.acknowledged is not None and one.tried is not None and one.tried > self.injected.healed
        }

    @property
    def lost(self) -> int:
        """How many deliveries Redis had acknowledged when it was flushed, of those that were sent here."""
        return sum(one.acknowledged is not None and one.acknowledged < self.injected.began for one in self.sent)


def flush(rig: Rig, seed: int, old: Sequence[str], drain: Callable[[], bool]) -> Flushed:
    """Flush Redis while people sign up; then deliver all of them again, and ``old`` ones."""
    logs = [*rig.stack.receivers, *rig.stack.workers]
    for part in logs:
        part.skip_log()
    names = [f"{people.CANARY}-{seed}-flushed-{n}" for n in range(NEW)]
    sender = Sender(rig.ports, rig.secret, answer_s=10.0)
    sender.start([_parcel(n, name) for n, name in enumerate(names)])
    rig.over.wait(NEW / RATE / 2)
    began = time.time()
    rig.client.flushall()
    injected = Injected(Fault(0, 0, "flush", REDIS), began, time.time())
    sent = list(sender.join())
    sender.start([_parcel(n, name) for n, name in enumerate([*names, *old])])
    again = sender.join()
    drain()
    is_reported = any(CRITICAL in part.log_text() for part in logs)
    return Flushed(injected, sent, again, frozenset(old), is_reported)


def _parcel(n: int, identifier: str) -> Parcel:
    return Parcel(n / RATE, identifier, people.bystander(identifier), n, False)


def broken_by(
    flushed: Flushed,
    records: Mapping[str, Mapping[str, Any] | None],
    ledger: Sequence[LedgerEntry],
    contacts: Sequence[Contact],
) -> list[str]:
    """Return each promise that was not kept, as a sentence."""
    broken = [] if flushed.is_reported else ["Redis was flushed, and no log says so with the level critical"]
    creates = Counter(entry.identifier for entry in ledger)
    found = Counter(contact.identifier for contact in contacts)
    ids = {contact.identifier: contact.id for contact in contacts}
    kept = flushed.kept
    for identifier in flushed.identifiers:
        record = records.get(identifier)
        if creates[identifier] > 1 or found[identifier] > 1:
            broken.append(f"{identifier}: created more than once, around the flush")
        if record is None and identifier in kept:
            broken.append(f"{identifier}: acknowledged after the flush, and nothing is known of them")
        elif record is not None and (record["state"] != "created" or record["contact_id"] != ids.get(identifier)):
            broken.append(f"{identifier}: {record['state']} as contact {record['contact_id']} after the flush")
    return broken
