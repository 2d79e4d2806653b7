"""How well ``LIVEDESK_RATE`` is kept and used: ``python -m bench pace``.

Four worker processes share a backlog; the clock is the stub's. The busiest second must not have more requests than the
rate, and at least 98 % of the rate should be used.
"""

from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor

from bench.machine import fetch, say, stub, valkey, wait_until
from bench.report import Measured, at_least, at_most, median
from bench.sync import Side, lay_in_ours, left_of_ours, working
from tests.rig.parts import ROOT

RATES = (10, 50)
WORKERS, SECONDS = 4, 20
USED_LEAST = 0.98


def measure(rate: int) -> tuple[int, float]:
    """Requests in the busiest second, and the share of the rate that was used."""
    command = ["env", f"LIVEDESK_RATE={rate}", str(ROOT / "bin" / "worker")]
    side = Side(f"{rate}/s", WORKERS, command, "worker ready", lay_in_ours, left_of_ours)
    count = rate * SECONDS
    with valkey() as server, stub() as livedesk:
        with working(side, server.url, livedesk):
            side.lay_in(server.url, count)  # once the workers have started, which keeps all cores busy
            wait_until(lambda: fetch(f"{livedesk}/stats")["creates"] >= count, side.name, 3.0 * SECONDS, every=0.5)
        times: list[float] = fetch(f"{livedesk}/times")
    busiest = max(bisect_left(times, at + 1.0) - number for number, at in enumerate(times))
    # From when all of them have contacts, to when the backlog is nearly gone: contacts must be waiting all the time.
    first, last = count // 4, count * 95 // 100
    used = (last - first) / (times[last] - times[first]) / rate
    say(f"  {side.name}: {busiest} in the busiest second, {used:.1%} used")
    return busiest, used


def measure_all(rounds: int) -> Measured:
    """Two rows for each rate: the worst of all rounds, and the median.

    All rates are measured at the same time.
    """
    say(f"pace: {WORKERS} workers at {' and '.join(map(str, RATES))}/s, {rounds} rounds")
    rows = []
    with ThreadPoolExecutor(len(RATES)) as pool:
        every = [list(pool.map(measure, RATES)) for _ in range(rounds)]
    for rate, runs in zip(RATES, zip(*every, strict=True), strict=True):
        busiest, used = max(run[0] for run in runs), median([run[1] for run in runs])
        name = f"`LIVEDESK_RATE={rate}` with {WORKERS} workers"
        rows.append(at_least(f"{name}: used", used, USED_LEAST, "{:.1%}"))
        rows.append(at_most(f"{name}: requests in the busiest second", busiest, rate, "{:.0f}"))
    return Measured(rows)
