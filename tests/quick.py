"""How long something takes, on machines that are slow, or have other things to do."""

import json
import time
from collections.abc import Callable

#: Seconds that one delivery may cost, whatever is in it. On an idle machine the worst takes a quarter of it.
QUICK_S = 0.05
#: A large body, and the seconds that reading it takes on a usual machine.
BODY, USUAL_S = b"[" + b'{"id":"x","email":"a@b.c"},' * 8_000 + b"{}]", 0.0025


def seconds(run: Callable[[], object], *, tries: int = 5) -> float:
    """Return this thread's shortest time for ``run``, or the first short enough.

    On a slow machine it is the time that a usual one would take, by the time of similar work: a machine whose memory is
    slow is not slow at everything.
    """
    best = float("inf")
    for _ in range(tries):
        slowness = max(1.0, _once(_usual_work) / USUAL_S)
        best = min(best, _once(run) / slowness)
        if best < QUICK_S / 2:
            break
    return best


def _usual_work() -> None:
    assert all({**one}.keys() <= {"id", "email"} for one in json.loads(BODY))


def _once(run: Callable[[], object]) -> float:
    began = time.thread_time()
    run()
    return time.thread_time() - began
