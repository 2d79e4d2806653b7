"""How long something takes, on machines that are slow, or have other things to do."""

import time
from collections.abc import Callable

#: Seconds that one delivery may cost, whatever is in it. On an idle machine the worst takes less than half of it.
QUICK_S = 0.05
#: A piece of work, and the seconds that it takes at most on a machine that is not slow.
WORK, USUAL_S = range(100_000), 0.002


def seconds(run: Callable[[], object], *, tries: int = 5) -> float:
    """Return this thread's shortest time for ``run``, or the first short enough.

    On a slow machine it is the time that a usual one would take.
    """
    slowness = max(1.0, _shortest(lambda: sum(WORK), tries) / USUAL_S)
    return _shortest(run, tries, QUICK_S / 2) / slowness


def _shortest(run: Callable[[], object], tries: int, enough_s: float = 0.0) -> float:
    best = float("inf")
    for _ in range(tries):
        began = time.thread_time()
        run()
        best = min(best, time.thread_time() - began)
        if best < enough_s:
            break
    return best
