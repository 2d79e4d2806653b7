"""The measurements behind ``bin/web``, ``bin/worker`` and their defaults.

``python -m bench servers`` serves our receiver with each WSGI server, ``python -m bench pools`` runs our workers with
other numbers of processes and threads. Neither is part of the table, and neither has a target.
"""

from collections import defaultdict
from importlib.util import find_spec

from bench.accept import Runs, Side, column, interleaved, layouts, ours, stored_by_us
from bench.machine import cores, program, say
from bench.report import Measured, Row, median, spread
from bench.sync import measure
from bench.sync import ours as worker_side
from tests.rig.processes import LOCALHOST

THREADS = (2, 4, 8, 16, 32)
#: Processes for each core, and threads of each.
POOLS = ((1, 8), (1, 16), (2, 4), (2, 8), (3, 4), (4, 4))


def granian(number: int) -> Side:
    """granian with that many threads in each process."""
    return Side(f"granian, {number} threads", lambda port, cores: ours(port, cores, number), stored_by_us)


def gunicorn(name: str, *options: str) -> Side:
    """Our receiver under gunicorn, one process for each core."""

    def command(port: int, receiver_cores: int) -> list[str]:
        start = [program("gunicorn"), "webhook_app.wsgi:app", "--bind", f"{LOCALHOST}:{port}"]
        return [*start, "--workers", str(receiver_cores), *options]

    return Side(f"gunicorn {name}", command, stored_by_us)


def servers(rounds: int, seconds: float) -> Measured:
    """Our receiver on every server, in every layout."""
    sides = [granian(number) for number in THREADS]
    sides.append(gunicorn("gthread, 8 threads", "--worker-class", "gthread", "--threads", "8"))
    if find_spec("gevent"):
        sides.append(gunicorn("gevent", "--worker-class", "gevent"))
    found = []
    for layout in layouts():
        say(f"servers, {layout.name}: {rounds} rounds of {seconds:g} s")
        runs = interleaved(tuple(sides), layout, rounds, seconds)
        found += [server_row(f"{layout.name}: {side.name}", runs[side.name]) for side in sides]
    return Measured(found)


def server_row(name: str, runs: list[dict[str, float]]) -> Row:
    """One server: deliveries per second, and the p99 and CPU that came with it."""
    p99, cpu = median(column(runs, "p99")), median(column(runs, "cpu_us"))
    return Row(name, f"{spread(column(runs, 'per_second'))}/s, p99 {p99:.0f} ms, {cpu:.0f} us")


def pools(rounds: int, count: int) -> Measured:
    """Our workers in several shapes."""
    sides = [worker_side(processes * max(1, len(cores())), threads) for processes, threads in POOLS]
    say(f"pools: {rounds} rounds of {count} contacts")
    runs: Runs = defaultdict(list)
    for _ in range(rounds):
        for side in sides:
            runs[side.name].append(measure(side, count))
    rows = [
        Row(
            side.name,
            f"{spread(column(runs[side.name], 'per_second'))}/s, {median(column(runs[side.name], 'cpu_us')):.0f} us",
        )
        for side in sides
    ]
    return Measured(rows)
