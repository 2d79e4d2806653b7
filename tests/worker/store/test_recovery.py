"""How long it takes from the end of a fault until nobody waits, with the real store, sweep and algorithm."""

from dataclasses import replace

import pytest
import redis

from tests.invariants import assert_invariants
from tests.worker.store.test_estimates import RATE, Drain, Office
from worker import causes
from worker.errors import NotSent
from worker.livedesk.answers import Created
from worker.model import Contact


class Interrupted(Office):
    """A LiveDesk that cannot be reached for a while. ``created``: when it created each contact, in ms."""

    def __init__(self, drain: Drain) -> None:
        self.drain = drain
        self.is_down = True
        self.created: list[int] = []

    def create(self, contact: Contact, *, with_attributes: bool = False) -> Created:
        if self.is_down:
            raise NotSent(causes.CONNECT_FAILED)
        self.created.append(self.drain.store.now())
        return super().create(contact, with_attributes=with_attributes)


@pytest.mark.parametrize(("contacts", "seconds"), [(300, 120), (30, 4)])
def test_after_an_outage_a_backlog_is_sent_within_twice_the_ideal_time(
    client: redis.Redis, contacts: int, seconds: int
) -> None:
    drain = Drain(client)
    livedesk = Interrupted(drain)
    drain.sync = replace(drain.sync, livedesk=livedesk)
    drain.many("ada", contacts)
    for _ in range(seconds):
        drain.second()
    assert drain.store.upstream.read().stop == "down"
    livedesk.is_down = False
    took = drain.until_clear()
    ideal = contacts / RATE
    assert took <= 2 * ideal, f"{took:.0f} s instead of {ideal:.0f} s"
    busiest = max(sum(at <= other < at + 1000 for other in livedesk.created) for at in livedesk.created)
    assert busiest <= RATE, "no stampede"
    assert_invariants(client)
