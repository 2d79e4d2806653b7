"""``python -m bench burst``: many deliveries at once, while a worker runs.

Nobody must slow down as the backlog grows, and neither receiver nor worker must grow with it: what is waiting is in
Redis. Each tenth is sent by a load generator of its own, with requests that were built before its clock started.
"""

import tempfile
from pathlib import Path

from bench.accept import CONNECTIONS, WARM_UP_S, is_answering, ours, stored_by_us
from bench.machine import BenchError, ask, environment, load, resident_mb, say, stub, valkey
from bench.report import Measured, at_least, at_most
from tests.rig.parts import ROOT
from tests.rig.processes import Process, free_port, has_logged
from worker.model import State
from worker.store import keys

PARTS = 10
#: MB that a process may grow by, and the share of the first tenth's rate that the last must have.
GROWTH_MOST, RATE_LEAST = 30.0, 0.7


def measure_all(count: int) -> Measured:
    """The rate of each tenth, and the memory of receiver and worker before and after."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, valkey() as server, stub() as livedesk:
        folder, port = Path(name), free_port()
        env = environment(server.url, livedesk)
        web = Process(
            "receiver",
            ours(port, 1),
            log=folder / "receiver.log",
            cwd=ROOT,
            env=env,
            port=port,
            ready=lambda _: is_answering(port),
            stop_s=20.0,
        )
        command = [str(ROOT / "bin" / "worker")]
        log, ready = folder / "worker.log", has_logged("worker ready")
        with web, Process("worker", command, log=log, cwd=ROOT, env=env, ready=ready, stop_s=45.0) as worker:
            load(port, "warm-up", seconds=WARM_UP_S, connections=CONNECTIONS)
            before = {part.name: resident_mb(part) for part in (web, worker)}
            known = stored(server.url)
            rates = [tenth(port, number, count // PARTS) for number in range(PARTS)]
            taken = stored(server.url) - known
            if taken != count // PARTS * PARTS:
                raise BenchError(f"{count} deliveries were answered, {taken} are in Redis")
            after = {part.name: resident_mb(part) for part in (web, worker)}
            open_now = stored_by_us(server.url)
    slowest = min(rates)
    detail = f"of each tenth: {', '.join(f'{rate:,.0f}' for rate in rates)}; {open_now:,} still open at the end"
    first = f"burst of {count:,}"
    found = [
        at_least(f"{first}: slowest tenth, as a share of the first", slowest / rates[0], RATE_LEAST, "{:.2f}", detail)
    ]
    for part, mb in after.items():
        name = f"{first}: growth of the {part}, in MB"
        found.append(at_most(name, mb - before[part], GROWTH_MOST, "{:.0f}", f"from {before[part]:.0f} to {mb:.0f} MB"))
    return Measured(found)


def tenth(port: int, number: int, count: int) -> float:
    """Deliveries per second of one part."""
    result = load(port, f"burst-{number}", seconds=120.0, connections=CONNECTIONS, most=count)
    if result["count"] != count:
        raise BenchError(f"part {number}: {result['count']:.0f} of {count} were sent in time")
    say(f"  part {number + 1}: {result['per_second']:,.0f}/s")
    return result["per_second"]


def stored(redis_url: str) -> int:
    """Contacts that Redis has, in whatever state."""
    with ask(redis_url).pipeline(transaction=True) as pipe:
        for state in State:
            pipe.zcard(keys.state(state))
        return sum(pipe.execute())
