"""Contacts per second against the stub, and our Redis round trips per contact.

Both sides run on all cores, beside Redis and the stub: the baseline with Celery's default pool (prefork, one process
for each core), ours with threads. A backlog is laid into Redis first, so that neither side ever waits for work. The
clock runs on the stub's own record of creates, from the time that a fifth of them is done until 95 % are: starting up
and the last few count for nobody. Every run is checked: as many creates as contacts, and nothing left over.
"""

import hashlib
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from redis.client import Monitor

from bench import payload
from bench.accept import Runs, column, middle
from bench.baseline.tasks import celery_app
from bench.baseline.tasks import create_contact as baseline_task
from bench.machine import (
    BenchError,
    ask,
    cores,
    cpu_seconds,
    environment,
    fetch,
    program,
    say,
    stub,
    valkey,
    wait_until,
)
from bench.report import Measured, Row, Table, at_least, at_most, spread
from tests.rig.parts import ROOT
from tests.rig.processes import Process, has_logged
from worker.model import Contact, Origin, State
from worker.process.envelope import build_envelope
from worker.store import keys
from worker.store.connection import connect
from worker.store.database import LUA, source_of
from worker.store.store import Store
from worker.tasks import create_contact

#: Seconds that a run may take.
PATIENCE_S = 120.0
#: Threads of each of our worker processes, and processes for each core: what served best (README).
CONCURRENCY = 4
PROCESSES_PER_CORE = 2
#: Contacts whose commands are counted, and how many are brought before.
COUNTED = 500
WARMING = 100
#: A command that is sent less often than this, per contact, goes by the clock (the sweep) or by the process.
BY_THE_CLOCK = 0.1
#: A process adds its counters once a second, all in one round trip.
COUNTERS = {"hincrby", "expire", "time"}
#: Celery waits for messages with BRPOP; ``accept`` is the bench, laying contacts in; the others open or check a
#: connection.
NOT_OURS = {"brpop", "accept", "hello", "client", "ping", "info", "select", "auth"}
END = "end-of-bench"


@dataclass(frozen=True)
class Side:
    """One side: its processes, how contacts get in, and how many are left."""

    name: str
    processes: int
    command: list[str]
    ready: str
    lay_in: Callable[[str, int], None]
    left: Callable[[str, int], int]


def our_store(redis_url: str) -> Store:
    """Our own write side, as the receiver has it."""
    return Store(connect(redis_url, timeout_s=10), build_envelope(create_contact), lease_ms=60_000)


def our_contact(run: str, number: int) -> Contact:
    """The contact of that number, as the receiver would make it."""
    made = payload.contact(run, number)
    return Contact(
        identifier=made["identifier"],
        name=made["name"],
        email=made["email"],
        phone_number=made["phone_number"],
        avatar_url=made["avatar_url"],
    )


def lay_in_ours(redis_url: str, count: int) -> None:
    """Accept contacts, as the receiver does."""
    store = our_store(redis_url)
    for number in range(count):
        store.contacts.accept(our_contact("sync", number), Origin("signup"))


def left_of_ours(redis_url: str, count: int) -> int:
    """Contacts that are not ``created`` yet."""
    return count - int(ask(redis_url).zcard(keys.state(State.CREATED)))  # type: ignore[arg-type, unused-ignore]


def lay_in_baseline(redis_url: str, count: int) -> None:
    """Publish tasks, as the view does."""
    with celery_app.connection_for_write(redis_url) as connection, celery_app.amqp.Producer(connection) as producer:
        for number in range(count):
            baseline_task.apply_async((payload.contact("sync", number),), producer=producer)


def left_of_baseline(redis_url: str, count: int) -> int:
    """Messages that nobody has acknowledged yet."""
    client = ask(redis_url)
    return int(client.llen("celery")) + int(client.hlen("unacked"))  # type: ignore[arg-type, unused-ignore]


def ours(processes: int, concurrency: int) -> Side:
    """What ships."""
    command = ["env", f"WORKER_CONCURRENCY={concurrency}", str(ROOT / "bin" / "worker")]
    name = f"LiveDesk Sync, {processes} x {concurrency} threads"
    return Side(name, processes, command, "worker ready", lay_in_ours, left_of_ours)


def baseline() -> Side:
    """As the tutorial starts it."""
    command = [program("celery"), "--app", "bench.baseline.tasks", "worker", "--loglevel", "info"]
    return Side("tutorial", 1, command, " ready.", lay_in_baseline, left_of_baseline)


def best_of_ours() -> Side:
    """Ours, as it served best."""
    return ours(max(1, PROCESSES_PER_CORE * len(cores())), CONCURRENCY)


@contextmanager
def working(side: Side, redis_url: str, livedesk_url: str) -> Iterator[list[Process]]:
    """All worker processes of a side, started together and ready."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        env = environment(redis_url, livedesk_url)
        processes = [
            Process(
                f"{side.name} {number}",
                side.command,
                log=Path(folder) / f"worker{number}.log",
                cwd=ROOT,
                env=env,
                ready=has_logged(side.ready),
                stop_s=20.0,
            )
            for number in range(side.processes)
        ]
        try:
            for process in processes:
                process.spawn()
            for process in processes:
                process.wait_until_ready()
            yield processes
        finally:
            for process in processes:
                process.stop()


def measure(side: Side, count: int) -> dict[str, float]:
    """Measure one run and check it: contacts per second, and CPU µs per contact.

    Raises:
        BenchError: there were more or fewer creates than contacts, or some contacts did not get done.
    """
    with valkey() as server, stub() as livedesk:
        side.lay_in(server.url, count)
        with working(side, server.url, livedesk) as processes:
            done = fetch(f"{livedesk}/stats")["creates"]
            used, used_by_redis = -sum(cpu_seconds(process) for process in processes), -cpu_seconds(server)
            wait_until(lambda: fetch(f"{livedesk}/stats")["creates"] >= count, side.name, PATIENCE_S, every=0.25)
            wait_until(lambda: side.left(server.url, count) == 0, f"{side.name}: the last contacts", 10.0)
            used += sum(cpu_seconds(process) for process in processes)
            used_by_redis += cpu_seconds(server)
        creates = fetch(f"{livedesk}/stats")["creates"]
        times: list[float] = fetch(f"{livedesk}/times")
    if creates != count:
        raise BenchError(f"{side.name}: {creates} creates for {count} contacts")
    first, last = count // 5, count * 95 // 100
    per_second = (last - first) / (times[last] - times[first])
    share = 1e6 / (count - done)
    result = {"per_second": per_second, "cpu_us": used * share, "redis_cpu_us": used_by_redis * share}
    say(f"  {side.name}: {per_second:,.0f}/s, CPU {result['cpu_us']:.0f} us + Redis {result['redis_cpu_us']:.0f} us")
    return result


def count_commands(side: Side) -> dict[str, float]:
    """Return the commands per contact that reach Redis, by name.

    Counted once the workers have warmed up: the first use of a script in a process finds that Redis does not know it.
    """
    seen: Counter[str] = Counter()
    with valkey() as server, stub() as livedesk, working(side, server.url, livedesk):
        bring(side, server.url, WARMING)
        with Monitor(ask(server.url).connection_pool) as monitor:  # type: ignore[no-untyped-call]
            bring(side, server.url, WARMING + COUNTED)
            ask(server.url).echo(END)
            while (command := monitor.next_command())["command"] != f"ECHO {END}":
                if command["client_type"] != "lua":
                    seen[name_of(command["command"])] += 1
    return {name: number / COUNTED for name, number in seen.most_common() if name not in NOT_OURS}


def bring(side: Side, redis_url: str, count: int) -> None:
    """Add contacts while workers run, and wait for the last one."""
    side.lay_in(redis_url, count)
    wait_until(lambda: side.left(redis_url, count) == 0, side.name, PATIENCE_S, every=1.0)


def name_of(command: str) -> str:
    """The command, or the script where it is one of ours."""
    words = command.split(" ", 2)
    if words[0] != "EVALSHA":
        return words[0].lower()
    return script_names().get(words[1], f"script {words[1][:8]}")


@cache
def script_names() -> dict[str, str]:
    """Our scripts by their SHA1, as ``Store`` puts them together."""
    template = build_envelope(create_contact).template
    sources = {path.stem: source_of(path.stem, template) for path in LUA.glob("*.lua")}
    return {hashlib.sha1(source.encode()).hexdigest(): name for name, source in sources.items()}  # noqa: S324


def round_trips() -> Row:
    """The row on what we ask of Redis for each contact, beside Celery's own."""
    counts = count_commands(best_of_ours())
    each = {name: number for name, number in counts.items() if number >= BY_THE_CLOCK and name not in COUNTERS}
    rest = sum(counts.values()) - sum(each.values())
    names = ", ".join(f"{name} {number:.2f}" for name, number in each.items())
    detail = f"{names}; sweeps and the like, which go by the clock, came to {rest:.2f} in this run"
    return at_most("Redis round trips per contact", round(sum(each.values()), 2), 2, "{:.2f}", detail)


def measure_all(rounds: int, count: int) -> Measured:
    """The whole part."""
    us, them = best_of_ours(), baseline()
    say(f"sync: {rounds} rounds of {count} contacts")
    runs: Runs = defaultdict(list)
    for _ in range(rounds):
        for side in (us, them):
            runs[side.name].append(measure(side, count))
    rate, theirs = (middle(runs, side, "per_second") for side in (us, them))
    cpu, redis_cpu = middle(runs, us, "cpu_us"), middle(runs, us, "redis_cpu_us")
    rows = [
        at_least(
            f"synced per second on {len(cores()) or 'all'} cores, times the tutorial's",
            rate / theirs,
            3.0,
            "{:.2f}",
            f"{rate:,.0f} against {theirs:,.0f} (Celery's default pool)",
        ),
        at_most("CPU of the workers per contact, in µs", cpu, 900, "{:.0f}"),
        at_most("CPU of Valkey per contact, in µs", redis_cpu, 180, "{:.0f}"),
        round_trips(),
    ]
    lines = [
        [
            side.name,
            spread(column(runs[side.name], "per_second")),
            f"{middle(runs, side, 'cpu_us'):.0f} µs",
            f"{middle(runs, side, 'redis_cpu_us'):.0f} µs",
        ]
        for side in (us, them)
    ]
    columns = ["workers", "per second (range)", "CPU per contact", "CPU of Valkey"]
    figures: dict[str, float | str] = {"synced": rate, "sync_us": cpu, "sync_redis_us": redis_cpu}
    return Measured(rows, [Table("on all cores", columns, lines)], figures)
