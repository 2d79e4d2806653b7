"""Deliveries per second and their latency, of all receivers, in two layouts.

*Alone on one core*: the receiver has one core to itself, Redis and the load generator have the others, so that what is
measured is the receiver. *All on all cores*: everything shares the machine, the load generator too.

The tutorial is the better of gunicorn's sync workers (as many as its documentation recommends) and its threads. The
peers (``bench.peers``) are what a Python team would pick instead. Every run has a fresh Valkey and fresh servers, and
is checked: each delivery that was answered must be in Redis.
"""

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Protocol

from bench.machine import (
    BenchError,
    ask,
    bound_to,
    cores,
    cpu_seconds,
    environment,
    load,
    peer,
    program,
    say,
    valkey,
    versions,
)
from bench.report import Measured, Row, Table, at_least, at_most, median, spread
from tests.rig.parts import ROOT
from tests.rig.processes import LOCALHOST, Process, free_port
from tests.rig.valkey import Valkey
from worker.store import keys

CONNECTIONS = 32
WARM_UP_S = 0.5
#: More than any receiver accepts on one core.
MOST_PER_SECOND = 10_000
#: The share of the tutorial's own best rate at which all are compared for latency.
EQUAL_LOAD = 0.7


@dataclass(frozen=True)
class Layout:
    """Which cores each part runs on; an empty list means any core."""

    name: str
    receiver: list[int]
    others: list[int]

    @property
    def receiver_cores(self) -> int:
        """How many cores the receiver has: what a worker count depends on."""
        return len(self.receiver or cores()) or 1


def layouts() -> list[Layout]:
    """The layouts that this machine can do."""
    every = cores()
    shared = Layout("all on all cores", [], [])
    return [Layout("alone on one core", every[:1], every[1:]), shared] if len(every) > 1 else [shared]


class Named(Protocol):
    """A side of whatever part."""

    @property
    def name(self) -> str: ...


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


def uvicorn(module: str) -> Callable[[int, int], list[str]]:
    """A peer on uvicorn, one process for each core.

    It writes no access log, as the others write none.
    """

    def command(port: int, receiver_cores: int) -> list[str]:
        start = [peer("uvicorn"), f"bench.peers.{module}:app", "--host", LOCALHOST, "--port", str(port)]
        return [*start, "--workers", str(receiver_cores), "--no-access-log"]

    return command


def granian(port: int, receiver_cores: int) -> list[str]:
    """A peer on granian's WSGI server, one process for each core."""
    start = [peer("granian"), "bench.peers.flask_dramatiq:app", "--interface", "wsgi", "--host", LOCALHOST]
    return [*start, "--port", str(port), "--workers", str(receiver_cores)]


def stored_by_us(redis_url: str) -> int:
    """Open contacts: each is in ``due`` once."""
    return int(ask(redis_url).zcard(keys.DUE))  # type: ignore[arg-type, unused-ignore]


def length_of(queue: str) -> Callable[[str], int]:
    """The number of messages in a list."""
    return lambda redis_url: int(ask(redis_url).llen(queue))  # type: ignore[arg-type, unused-ignore]


def length_of_stream(name: str) -> Callable[[str], int]:
    """The number of messages in a stream."""
    return lambda redis_url: int(ask(redis_url).xlen(name))  # type: ignore[arg-type, unused-ignore]


OURS = Side("LiveDesk Sync", ours, stored_by_us)
TUTORIALS = (
    Side("tutorial, gunicorn sync", sync_workers, length_of("celery")),
    Side("tutorial, gunicorn gthread", threads, length_of("celery")),
)
PEERS = (
    Side("FastAPI + SAQ, uvicorn", uvicorn("fastapi_saq"), length_of("saq:default:queued")),
    Side("FastAPI + taskiq, uvicorn", uvicorn("fastapi_taskiq"), length_of_stream("taskiq")),
    Side("Flask + dramatiq, granian", granian, length_of("dramatiq:default")),
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
        most = round(MOST_PER_SECOND * seconds)
        result = load(port, "run", seconds=seconds, connections=CONNECTIONS, rate=rate, most=most, shape=shape)
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


def column(runs: list[dict[str, float]], name: str) -> list[float]:
    """One figure of every run."""
    return [run[name] for run in runs]


def best_of(runs: Runs, sides: Sequence[Side]) -> Side:
    """The side that accepted the most."""
    return max(sides, key=lambda side: middle(runs, side, "per_second"))


def middle(runs: Runs, side: Named, name: str) -> float:
    """The median of one figure of a side."""
    return median(column(runs[side.name], name))


def alone(layout: Layout, rounds: int, seconds: float) -> Measured:
    """Compare all sides, first as fast as they can, then at the same rate."""
    sides = (OURS, *TUTORIALS, *PEERS)
    fast = interleaved(sides, layout, rounds, seconds)
    tutorial, best_peer = best_of(fast, TUTORIALS), best_of(fast, PEERS)
    rate = EQUAL_LOAD * middle(fast, tutorial, "per_second")
    at_rate = (OURS, tutorial, *PEERS)
    slow = interleaved(at_rate, layout, rounds, seconds, rate)
    p99 = {side.name: middle(slow, side, "p99") for side in at_rate}
    calmest = min(PEERS, key=lambda side: p99[side.name])
    per_second = {side.name: middle(fast, side, "per_second") for side in sides}
    is_calmer = p99[OURS.name] <= p99[calmest.name]
    rows = [
        versus("accepted per second on one core, times the tutorial's", per_second, tutorial, 5.5),
        versus("accepted per second on one core, times the best peer's", per_second, best_peer, 1.5),
        at_most(
            f"latency (p99) at {rate:,.0f} per second, times the tutorial's",
            p99[OURS.name] / p99[tutorial.name],
            0.2,
            "{:.2f}",
            f"{p99[OURS.name]:.1f} ms against {p99[tutorial.name]:.1f} ms",
        ),
        Row(
            "the same latency in ms, against the lowest of the peers",
            f"{p99[OURS.name]:.1f}",
            f"≤ {p99[calmest.name]:.1f}",
            is_calmer,
            f"that of {calmest.name}",
        ),
        at_most("CPU of the receiver per delivery, in µs", middle(fast, OURS, "cpu_us"), 200, "{:.0f}"),
        at_most("CPU of Valkey per delivery, in µs", middle(fast, OURS, "redis_cpu_us"), 85, "{:.0f}"),
        clerk_row(layout, rounds, seconds, tutorial),
    ]
    columns = ["receiver", "per second (range)", "p99", f"p99 at {rate:,.0f}/s"]
    lines = [
        [
            side.name,
            spread(column(fast[side.name], "per_second")),
            f"{middle(fast, side, 'p99'):.1f} ms",
            f"{p99[side.name]:.1f} ms" if side.name in p99 else "",
            f"{middle(fast, side, 'cpu_us'):.0f} µs",
            f"{middle(fast, side, 'redis_cpu_us'):.0f} µs",
        ]
        for side in sides
    ]
    figures: dict[str, float | str] = {
        "accepted": per_second[OURS.name],
        "times_tutorial": per_second[OURS.name] / per_second[tutorial.name],
        "times_peer": per_second[OURS.name] / per_second[best_peer.name],
        "peer": best_peer.name.partition(",")[0],
        "accept_us": middle(fast, OURS, "cpu_us"),
        "accept_redis_us": middle(fast, OURS, "redis_cpu_us"),
    }
    table = Table(layout.name, [*columns, "CPU of each", "of Valkey"], lines)
    return Measured(rows, [table], figures)


def versus(name: str, per_second: dict[str, float], other: Side, target: float) -> Row:
    """How many times as much as another side we accept."""
    us, them = per_second[OURS.name], per_second[other.name]
    return at_least(name, us / them, target, "{:.2f}", f"{us:,.0f} against {them:,.0f} ({other.name})")


def clerk_row(layout: Layout, rounds: int, seconds: float, tutorial: Side) -> Row:
    """Compare the hardest mapping of all presets with the same in plain Python."""
    runs: Runs = defaultdict(list)
    for _ in range(rounds):
        for side in (OURS, tutorial):
            runs[side.name].append(measure(side, layout, seconds, shape="clerk"))
    per_second = {side.name: middle(runs, side, "per_second") for side in (OURS, tutorial)}
    return versus("Clerk's deliveries accepted per second on one core, times the tutorial's", per_second, tutorial, 4.5)


def shared(layout: Layout, rounds: int, seconds: float) -> Measured:
    """Compare with the tutorial where everything shares all cores."""
    sides = (OURS, *TUTORIALS)
    runs = interleaved(sides, layout, rounds, seconds)
    per_second = {side.name: middle(runs, side, "per_second") for side in sides}
    name = f"accepted per second, all on {len(cores()) or 'all'} cores, times the tutorial's"
    return Measured([versus(name, per_second, best_of(runs, TUTORIALS), 3.0)])


def measure_all(rounds: int, seconds: float) -> Measured:
    """The whole part."""
    *bound, everything = layouts()
    say(f"accept: {rounds} rounds of {seconds:g} s")
    first = alone(bound[0] if bound else everything, rounds, seconds)
    second = shared(everything, rounds, seconds)
    return Measured([*first.rows, *second.rows], first.tables, first.figures)


def about() -> str:
    """The versions of what is compared."""
    ours = versions(sys.executable, ("flask", "granian", "gunicorn", "celery", "redis"))
    theirs = versions(peer("python"), ("fastapi", "uvicorn", "saq", "taskiq", "taskiq-redis", "dramatiq", "redis"))
    return f"{ours}; of the peers: {theirs}"
