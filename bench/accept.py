"""Deliveries per second and their latency, of both receivers, in two layouts.

*Alone on one core*: the receiver has one core to itself, Redis and the load generator have the others, so that what is
measured is the receiver. *All on all cores*: everything shares the machine, the load generator too.

The baseline is the better of gunicorn's sync workers (as many as its documentation recommends) and its threads.
Every run has a fresh Valkey and fresh servers, and is checked: each delivery that was answered must be in Redis.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from bench.machine import BenchError, ask, bound_to, cores, cpu_seconds, environment, load, program, say, valkey
from bench.report import Row, median, spread
from tests.rig.parts import ROOT
from tests.rig.processes import LOCALHOST, Process, free_port
from tests.rig.valkey import Valkey
from worker.store import keys

CONNECTIONS = 32
WARM_UP_S = 0.5
#: Share of the baseline's own best rate at which both are compared for latency.
EQUAL_LOAD = 0.7


@dataclass(frozen=True)
class Layout:
    """Which cores each part runs on; an empty list means any core.

    The target applies where nothing but the receiver limits the rate.
    """

    name: str
    receiver: list[int]
    others: list[int]

    @property
    def is_judged(self) -> bool:
        return bool(self.receiver) or len(cores()) < 2

    @property
    def receiver_cores(self) -> int:
        """How many cores the receiver has: what a worker count depends on."""
        return len(self.receiver or cores()) or 1


def layouts() -> list[Layout]:
    """The layouts that this machine can do."""
    every = cores()
    shared = Layout("all on all cores", [], [])
    return [Layout("alone on one core", every[:1], every[1:]), shared] if len(every) > 1 else [shared]


@dataclass(frozen=True)
class Side:
    """One receiver: how to start it, and how to count the deliveries in its Redis."""

    name: str
    command: Callable[[int, int], list[str]]
    stored: Callable[[str], int]


def ours(port: int, receiver_cores: int, threads: int = 64) -> list[str]:
    """What ships, with one process for each core."""
    settings = [f"WEB_HOST={LOCALHOST}", f"PORT={port}", f"WEB_PROCESSES={receiver_cores}", f"WEB_THREADS={threads}"]
    return ["env", *settings, str(ROOT / "bin" / "web")]


def gunicorn(port: int, *options: str) -> list[str]:
    """The baseline's server."""
    return [program("gunicorn"), "bench.baseline.app:app", "--bind", f"{LOCALHOST}:{port}", *options]


def sync_workers(port: int, receiver_cores: int) -> list[str]:
    """Return 2 x cores + 1, which gunicorn's documentation recommends."""
    return gunicorn(port, "--workers", str(2 * receiver_cores + 1))


def threads(port: int, receiver_cores: int) -> list[str]:
    """The same number of workers, with threads, which keep connections open."""
    return gunicorn(port, "--workers", str(2 * receiver_cores + 1), "--worker-class", "gthread", "--threads", "4")


def stored_by_us(redis_url: str) -> int:
    """Open contacts: each is in ``due`` once."""
    return int(ask(redis_url).zcard(keys.DUE))  # type: ignore[arg-type, unused-ignore]


def stored_by_baseline(redis_url: str) -> int:
    """Celery's messages."""
    return int(ask(redis_url).llen("celery"))  # type: ignore[arg-type, unused-ignore]


OURS = Side("ours", ours, stored_by_us)
BASELINES = (
    Side("gunicorn sync", sync_workers, stored_by_baseline),
    Side("gunicorn gthread", threads, stored_by_baseline),
)


@contextmanager
def serving(side: Side, layout: Layout) -> Iterator[tuple[Process, Valkey, int]]:
    """Start the receiver of one side with its Redis, and warm it up."""
    port = free_port()
    with bound_to(layout.others), valkey() as server, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        process = Process(
            side.name,
            side.command(port, layout.receiver_cores),
            log=Path(folder) / "receiver.log",
            cwd=ROOT,
            env=environment(server.url),
            port=port,
            ready=lambda _: is_answering(port),
            stop_s=20.0,
        )
        with bound_to(layout.receiver):
            process.spawn()
        try:
            process.wait_until_ready()
            time.sleep(WARM_UP_S)  # a server with several workers answers when the first is up
            load(port, "warm-up", seconds=WARM_UP_S, connections=CONNECTIONS)
            yield process, server, port
        finally:
            process.stop()


def is_answering(port: int) -> bool:
    """Whether anything but a failure of the server itself comes back."""
    connection = HTTPConnection(LOCALHOST, port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def measure(side: Side, layout: Layout, seconds: float, rate: float = 0.0, shape: str = "signup") -> dict[str, float]:
    """Measure one run, check it, and add the CPU time per delivery in microseconds.

    Raises:
        BenchError: Redis does not hold what was answered.
    """
    with serving(side, layout) as (process, server, port):
        before = side.stored(server.url)
        used, used_by_redis = cpu_seconds(process), cpu_seconds(server)
        result = load(port, "run", seconds=seconds, connections=CONNECTIONS, rate=rate, shape=shape)
        result["cpu_us"] = (cpu_seconds(process) - used) / result["count"] * 1e6
        result["redis_cpu_us"] = (cpu_seconds(server) - used_by_redis) / result["count"] * 1e6
        stored = side.stored(server.url) - before
        if stored != result["count"]:
            raise BenchError(f"{side.name}: {result['count']:.0f} deliveries were answered, {stored} are in Redis")
    say(
        f"  {layout.name}: {side.name}: {result['per_second']:,.0f}/s, p50 {result['p50']:.1f} ms, "
        f"p99 {result['p99']:.1f} ms, CPU {result['cpu_us']:.0f} us + Redis {result['redis_cpu_us']:.0f} us"
    )
    return result


Runs = dict[str, list[dict[str, float]]]


def interleaved(sides: tuple[Side, ...], layout: Layout, rounds: int, seconds: float, rate: float = 0.0) -> Runs:
    """Measure every side once per round, so that a slow moment affects all."""
    runs: Runs = defaultdict(list)
    for _ in range(rounds):
        for side in sides:
            runs[side.name].append(measure(side, layout, seconds, rate))
    return runs


def clerk_row(layout: Layout, rounds: int, seconds: float) -> Row:
    """Compare the hardest mapping of all presets with the same in plain Python."""
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(measure(OURS, layout, seconds, shape="clerk")["per_second"])
        theirs.append(measure(BASELINES[1], layout, seconds, shape="clerk")["per_second"])
    ratio = median(ours) / median(theirs)
    name = f"accept, {layout.name}: Clerk's deliveries/s"
    return Row(name, spread(ours), spread(theirs), f"{ratio:.1f}", "at least 3.5", ratio >= 3.5)


def column(runs: list[dict[str, float]], name: str) -> list[float]:
    """One figure of every run."""
    return [run[name] for run in runs]


def compare(layout: Layout, rounds: int, seconds: float) -> list[Row]:
    """The rows of one layout."""
    runs = interleaved((OURS, *BASELINES), layout, rounds, seconds)
    best = max(BASELINES, key=lambda side: median(column(runs[side.name], "per_second")))
    us, them = runs[OURS.name], runs[best.name]
    ratio = median(column(us, "per_second")) / median(column(them, "per_second"))
    rate = EQUAL_LOAD * median(column(them, "per_second"))
    slow = interleaved((OURS, best), layout, rounds, seconds, rate)
    p50 = [median(column(slow[side.name], "p50")) for side in (OURS, best)]
    p99 = [median(column(slow[side.name], "p99")) for side in (OURS, best)]
    cpu = [median(column(run, "cpu_us")) for run in (us, them)]
    note = f"the baseline is the better of {' and '.join(side.name for side in BASELINES)}: {best.name}"
    return [
        Row(
            f"accept, {layout.name}: deliveries/s",
            spread(column(us, "per_second")),
            spread(column(them, "per_second")),
            f"{ratio:.1f}",
            "at least 4" if layout.is_judged else "",
            ratio >= 4 if layout.is_judged else None,
            note,
        ),
        Row(
            f"accept, {layout.name}: p99 at {rate:,.0f}/s",
            f"{p99[0]:.1f} ms (p50 {p50[0]:.1f})",
            f"{p99[1]:.1f} ms (p50 {p50[1]:.1f})",
            f"{p99[0] / p99[1]:.2f}",
            "below 1",
            p99[0] < p99[1],
        ),
        Row(
            f"accept, {layout.name}: CPU of the receiver",
            f"{cpu[0]:.0f} us",
            f"{cpu[1]:.0f} us",
            f"{cpu[0] / cpu[1]:.2f}",
        ),
    ]


def rows(rounds: int, seconds: float) -> list[Row]:
    """The whole part of the table."""
    found = []
    for layout in layouts():
        say(f"accept, {layout.name}: {rounds} rounds of {seconds:g} s")
        found += compare(layout, rounds, seconds)
        if layout.is_judged:
            found.append(clerk_row(layout, rounds, seconds))
    return found
