"""What each level of ``ACK`` costs: ``python -m bench ack``.

The receiver is what ships, with one process, on any core; Redis has the settings that the level is usually had with.
The latency is that of one sender that waits for each answer, the rate that of 32 connections.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.accept import CONNECTIONS, WARM_UP_S, Runs, column, is_answering, ours
from bench.machine import environment, load, say
from bench.report import Measured, Table, median, spread
from tests.rig.parts import ROOT
from tests.rig.processes import LOCALHOST, Process, free_port
from tests.rig.sentinel import say as say_to
from tests.rig.valkey import Valkey


@dataclass(frozen=True)
class Level:
    """A level, the settings of Redis, and whether a replica follows."""

    name: str
    ack: str
    config: dict[str, str] = field(default_factory=dict)
    has_replica: bool = False


LEVELS = (
    Level("`memory`, `appendonly no`", "memory", {"appendonly": "no"}),
    Level("`aof`, `appendfsync everysec`", "aof", {"appendfsync": "everysec"}),
    Level("`fsync`, `appendfsync always`", "fsync"),
    Level("`replica`, `WAIT` with `appendfsync everysec`", "replica", {"appendfsync": "everysec"}, has_replica=True),
    Level("`replica`, `WAIT` with `appendfsync always`", "replica", has_replica=True),
)


@contextmanager
def serving(level: Level) -> Iterator[int]:
    """The port of a receiver for this level, warmed up."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, port = Path(name), free_port()
        config = {"repl-diskless-sync-delay": "0", **level.config}
        with Valkey(folder / "valkey", port=free_port(), config=config) as server, following(folder, server, level):
            process = Process(
                "receiver",
                ours(port, 1),
                log=folder / "receiver.log",
                cwd=ROOT,
                env={**environment(server.url), "ACK": level.ack},
                port=port,
                ready=lambda _: is_answering(port),
                stop_s=20.0,
            )
            with process:
                load(port, "warm-up", seconds=WARM_UP_S, connections=CONNECTIONS)
                yield port


@contextmanager
def following(folder: Path, server: Valkey, level: Level) -> Iterator[None]:
    """A replica in step, where the level wants one."""
    if not level.has_replica:
        yield
        return
    follow = {**level.config, "replicaof": f"{LOCALHOST} {server.port}"}
    replica = Valkey(folder / "replica", port=free_port(), config=follow)
    replica.ready = lambda _: b"state=online" in say_to(server.port or 0, "INFO replication")
    with replica:
        yield


def measure_all(rounds: int, seconds: float) -> Measured:
    """One line for each level."""
    say(f"ack: {rounds} rounds of {seconds:g} s")
    one: Runs = defaultdict(list)
    many: Runs = defaultdict(list)
    for _ in range(rounds):
        for level in LEVELS:
            with serving(level) as port:
                one[level.name].append(load(port, "one", seconds=seconds, connections=1))
                many[level.name].append(load(port, "many", seconds=seconds, connections=CONNECTIONS))
            say(f"  {level.name}: p50 {one[level.name][-1]['p50']:.2f} ms, {many[level.name][-1]['per_second']:,.0f}/s")
    lines = [
        [
            level.name,
            f"{median(column(one[level.name], 'p50')):.2f} ms",
            f"{median(column(one[level.name], 'p99')):.2f} ms",
            spread(column(many[level.name], "per_second")),
        ]
        for level in LEVELS
    ]
    columns = ["level", "p50, one connection", "p99", f"accepted per second over {CONNECTIONS} connections"]
    return Measured([], [Table("each level of ACK", columns, lines)])
