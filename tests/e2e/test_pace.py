"""All workers together keep to LIVEDESK_RATE, and use it."""

from bisect import bisect_left

from tests.e2e.conftest import StartSystem

RATE = 20
PEOPLE = 240
#: What a busy machine may add: requests come later at LiveDesk than they were sent. `python -m bench pace` measures
#: exactly, on a machine that is idle.
TOLERANCE = 1.15


def test_four_workers_use_the_rate_and_do_not_exceed_it(start_system: StartSystem) -> None:
    system = start_system(workers=4, env={"LIVEDESK_RATE": str(RATE)})
    everybody = [f"person-{number}" for number in range(PEOPLE)]
    for identifier in everybody:
        system.accept(identifier)
    system.drain(timeout_s=60)
    times = sorted(request.received for request in system.livedesk.requests("create"))
    assert len(times) == PEOPLE
    busiest = max(bisect_left(times, at + 1) - number for number, at in enumerate(times))
    assert busiest <= RATE * TOLERANCE
    assert (PEOPLE - 1) / (times[-1] - times[0]) >= RATE / TOLERANCE
    system.assert_everybody(everybody)


def test_a_429_slows_all_workers_down(start_system: StartSystem) -> None:
    system = start_system(workers=2, env={"LIVEDESK_RATE": str(RATE)})
    system.livedesk.behave("throttle", on="create", times=1, retry_after=2)
    for number in range(20):
        system.accept(f"person-{number}")
    system.drain(timeout_s=60)
    requests = sorted(system.livedesk.requests("create"), key=lambda request: request.received)
    refused = next(request for request in requests if request.status == 429)
    under_way = [request for request in requests if refused.received < request.received < refused.received + 1.9]
    assert len(under_way) <= RATE, "only what had its time already"
    assert not [request for request in under_way if request.received > refused.received + 1.1], "nobody else"
