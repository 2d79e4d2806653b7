"""How long something takes, on machines that have other things to do."""

import time
from collections.abc import Callable

#: Seconds that one delivery may cost, whatever is in it. On an idle machine the worst takes less than half of it.
QUICK_S = 0.05


def seconds(run: Callable[[], object], *, tries: int = 5) -> float:
    """Return this thread's shortest time for ``run``, or the first short enough."""
    best = float("inf")
    for _ in range(tries):
        began = time.thread_time()
        run()
        best = min(best, time.thread_time() - began)
        if best < QUICK_S / 2:
            break
    return best
