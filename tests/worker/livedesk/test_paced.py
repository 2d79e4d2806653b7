"""A request that is late takes a new slot, so that late ones do not add up to more than the rate."""

import time
from typing import Any

import pytest
import redis

from tests.world import ADA, make_store
from worker.livedesk.paced import LATE_S, PUNCTUAL_RATE, PacedLiveDesk
from worker.model import Origin, UpstreamPolicy
from worker.store import keys


class Silent:
    """A LiveDesk that takes anything."""

    request_limit_s = 1.0

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@pytest.mark.parametrize(
    ("rate", "late_s", "slots"),
    [
        (10.0, 0.0, 0),
        (10.0, 3 * LATE_S, 1),
        # Nobody can be on time between slots that are closer than a millisecond.
        (2.0 * PUNCTUAL_RATE, 3 * LATE_S, 0),
        (0.0, 3 * LATE_S, 0),
    ],
)
def test_a_late_request_takes_a_new_slot(client: redis.Redis, rate: float, late_s: float, slots: int) -> None:
    store = make_store(client, policy=UpstreamPolicy(rate))
    store.contacts.accept(ADA, Origin("signup"))
    began = time.monotonic()
    claim = store.contacts.claim(store.key_of(ADA.identifier), "token")
    assert claim
    now = began + late_s

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    livedesk = PacedLiveDesk(Silent(), store, claim, began, clock=lambda: now, sleep=sleep)
    livedesk.create(ADA)
    assert int(client.hget(keys.COUNTS, "extra_requests") or 0) == slots  # type: ignore[arg-type, unused-ignore]
