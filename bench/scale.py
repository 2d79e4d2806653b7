"""Two of each against one Redis: ``python -m bench scale``.

Two receivers on two ports stand for two hosts, and so do two workers. With enough cores for all, two give nearly twice
the rate of one. With fewer they share the cores, and what must not change is the CPU time per delivery and per contact:
nothing in them waits for, or repeats, what the other one does. Each receiver has as many clients as the other: the
more a process serves at once, the less each delivery costs.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench import sync
from bench.accept import CONNECTIONS, MOST_PER_SECOND, WARM_UP_S, Runs, is_answering, ours, stored_by_us
from bench.machine import BenchError, cores, cpu_seconds, environment, load, say, valkey
from bench.report import Measured, Row, Table, at_least, at_most, median
from tests.rig.parts import ROOT
from tests.rig.processes import Process, free_port, start_together, stop_together
from tests.rig.valkey import Valkey

HOSTS = (1, 2)
#: Connections to each receiver.
PER_HOST = CONNECTIONS // max(HOSTS)
#: Cores that two receivers, their load and Valkey need; with fewer there is no target for rates.
ENOUGH_CORES = 6
RATE_LEAST, CPU_MOST = 1.8, 1.1


@contextmanager
def receivers(hosts: int) -> Iterator[tuple[list[Process], Valkey, list[int]]]:
    """Start the receivers of as many hosts, with one Redis, and warm them up."""
    ports = [free_port() for _ in range(hosts)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, valkey() as server:
        made = [
            Process(
                f"receiver {port}",
                ours(port, 1),
                log=Path(folder) / f"{port}.log",
                cwd=ROOT,
                env=environment(server.url),
                port=port,
                ready=lambda process: is_answering(process.port or 0),
                stop_s=20.0,
            )
            for port in ports
        ]
        try:
            start_together(made)
            for port in ports:
                load(port, f"warm-up {port}", seconds=WARM_UP_S, connections=CONNECTIONS)
            yield made, server, ports
        finally:
            stop_together(made)


def accept(hosts: int, seconds: float) -> dict[str, float]:
    """The rate of all receivers together, and the CPU time per delivery."""
    with receivers(hosts) as (processes, server, ports), ThreadPoolExecutor(hosts) as pool:
        before = stored_by_us(server.url)
        used, used_by_redis = sum(map(cpu_seconds, processes)), cpu_seconds(server)

        def run(port: int) -> dict[str, float]:
            most = round(MOST_PER_SECOND * seconds)
            return load(port, f"run {port}", seconds=seconds, connections=PER_HOST, most=most)

        results = list(pool.map(run, ports))
        count = sum(result["count"] for result in results)
        used = sum(map(cpu_seconds, processes)) - used
        used_by_redis = cpu_seconds(server) - used_by_redis
        if stored_by_us(server.url) - before != count:
            raise BenchError(f"{count:.0f} deliveries were answered, {stored_by_us(server.url) - before} are in Redis")
    rate = sum(result["per_second"] for result in results)
    return {"per_second": rate, "cpu_us": used / count * 1e6, "redis_cpu_us": used_by_redis / count * 1e6}


def measure_all(rounds: int, seconds: float, contacts: int) -> Measured:
    """The whole part."""
    say(f"scale: {rounds} rounds")
    receiving: Runs = defaultdict(list)
    working: Runs = defaultdict(list)
    for _ in range(rounds):
        for hosts in HOSTS:
            receiving[str(hosts)].append(accept(hosts, seconds))
            say("  {} receivers: {per_second:,.0f}/s, CPU {cpu_us:.0f} us".format(hosts, **receiving[str(hosts)][-1]))
            working[str(hosts)].append(sync.measure(sync.ours(hosts, sync.CONCURRENCY), contacts))
    rows = [*compare("receivers", "delivery", receiving), *compare("workers", "contact", working)]
    columns = ["against one Redis", "per second", "CPU of each", "CPU of Valkey"]
    lines = [
        [
            f"{hosts} {what}",
            f"{figure(runs, hosts, 'per_second'):,.0f}",
            f"{figure(runs, hosts, 'cpu_us'):.0f} µs",
            f"{figure(runs, hosts, 'redis_cpu_us'):.0f} µs",
        ]
        for what, runs in (("receivers", receiving), ("workers", working))
        for hosts in HOSTS
    ]
    return Measured(rows, [Table("one and two of each", columns, lines)])


def figure(runs: Runs, hosts: int, name: str) -> float:
    """The median of one figure."""
    return median([run[name] for run in runs[str(hosts)]])


def compare(what: str, each: str, runs: Runs) -> Iterator[Row]:
    """Two of them against one of them."""
    one, two = HOSTS
    rate = figure(runs, two, "per_second") / figure(runs, one, "per_second")
    name = f"rate of two {what}, times that of one"
    if len(cores()) >= ENOUGH_CORES:
        yield at_least(name, rate, RATE_LEAST, "{:.2f}")
    else:
        yield Row(name, f"{rate:.2f}", detail=f"no target on {len(cores())} cores, which they share")
    for part, field in ((what, "cpu_us"), ("Valkey", "redis_cpu_us")):
        ratio = figure(runs, two, field) / figure(runs, one, field)
        yield at_most(f"CPU of {part} per {each}, two against one", ratio, CPU_MOST, "{:.2f}")
