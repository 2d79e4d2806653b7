"""While Redis says nothing, one request at a time waits for it."""

import pytest

from webhook_app.outage import AGAIN_S, SLOW_S, Outage
from worker.errors import StoreFull, StoreUnavailable, SyncError, Unmappable


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def use(outage: Outage, clock: Clock, *, took: float = 0.0, error: Exception | None = None) -> str:
    """What became of a use of Redis: ``done``, ``failed``, or ``refused`` without being tried."""
    tried = False
    try:
        with outage.watching():
            tried = True
            clock.now += took
            if error is not None:
                raise error
    except SyncError:
        return "failed" if tried else "refused"
    return "done"


TIMEOUT = StoreUnavailable("TimeoutError")


def test_after_a_long_wait_one_at_a_time_tries_again() -> None:
    clock = Clock()
    outage = Outage(clock)
    assert use(outage, clock, took=1.0, error=TIMEOUT) == "failed"
    assert use(outage, clock) == "refused"
    clock.now += AGAIN_S
    with outage.watching():
        assert use(outage, clock) == "refused"
        clock.now += AGAIN_S - 0.01
        assert use(outage, clock) == "refused"
    assert use(outage, clock) == "done"


def test_a_long_wait_that_ends_well_is_none() -> None:
    clock = Clock()
    outage = Outage(clock)
    assert use(outage, clock, took=1.0) == "done"
    assert use(outage, clock) == "done"


@pytest.mark.parametrize(
    ("took", "error"),
    [
        (0.0, StoreUnavailable("ConnectionError")),
        (SLOW_S - 0.01, StoreUnavailable("ConnectionError")),
        (1.0, StoreFull("Redis is out of memory")),
        (1.0, Unmappable({"identifier": "missing"})),
    ],
)
def test_what_keeps_nobody_waiting_is_tried_every_time(took: float, error: Exception) -> None:
    clock = Clock()
    outage = Outage(clock)
    for _ in range(3):
        assert use(outage, clock, took=took, error=error) == "failed"
    assert use(outage, clock) == "done"


def test_it_goes_on_trying() -> None:
    clock = Clock()
    outage = Outage(clock)
    for _ in range(5):
        assert use(outage, clock, took=1.0, error=TIMEOUT) == "failed"
        assert use(outage, clock) == "refused"
        clock.now += AGAIN_S
    assert use(outage, clock) == "done"
    assert use(outage, clock) == "done"
