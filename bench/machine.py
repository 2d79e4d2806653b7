"""What every part needs: fresh servers, cores, CPU time, the load generator."""

import contextlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
import timeit
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import redis

from bench import payload
from tests.rig.parts import ROOT, bare_environment
from tests.rig.processes import (
    LOCALHOST,
    Process,
    answers,
    free_port,
)
from tests.rig.valkey import Valkey

#: The sources of our side, in addition to ``signup``.
SOURCES = Path(__file__).parent / "sources.toml"
#: Where the peers' programs are.
PEERS = ROOT / ".venv" / "peers" / "bin"
ACCOUNT = {
    "LIVEDESK_API_KEY": "bench-key",
    "LIVEDESK_API_SECRET": "bench-secret",
    "LIVEDESK_INBOX_ID": "1",
    "LIVEDESK_RATE": "1000000",  # the stub has no limit, so ours must not be one
    "WEBHOOK_SECRET": payload.SECRET,
}
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


class BenchError(Exception):
    """A run did not do what it had to, so that it has no figure."""


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def program(name: str) -> str:
    """A command that is installed beside this Python."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def peer(name: str) -> str:
    """A command that is installed with the peers (``make bench``).

    Raises:
        BenchError: it is not there.
    """
    path = PEERS / name
    if not path.exists():
        raise BenchError("The peers are not installed: start the bench as `make bench`.")
    return str(path)


def versions(python: str, names: Sequence[str]) -> str:
    """The versions of packages, as text."""
    code = "import sys, importlib.metadata as m; print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
    return subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=True).stdout.strip()


def version_of(valkey_program: Path | str) -> str:
    """The version of a Valkey server."""
    said = subprocess.run([str(valkey_program), "--version"], capture_output=True, text=True, check=True).stdout
    return said.partition("v=")[2].split()[0]


def processor() -> str:
    """The name of the processor, or nothing."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return ""


def python_ms() -> float:
    """Return the ms that this Python takes for a fixed piece of work.

    Machines with the same name differ by a factor of three from day to day. Figures in µs can only be compared with
    those of another run if this was the same.
    """
    return min(timeit.repeat("sum(range(1_000_000))", number=1, repeat=20)) * 1000


def environment(redis_url: str, livedesk_url: str = "http://127.0.0.1:9") -> dict[str, str]:
    """Return an environment with only what a process needs to run."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    addresses = {"REDIS_URL": redis_url, "LIVEDESK_BASE_URL": livedesk_url, "SOURCES_FILE": str(SOURCES)}
    return {**bare_environment(), **ACCOUNT, **addresses, "PATH": path}


@contextlib.contextmanager
def valkey(config: Mapping[str, str] | None = None) -> Iterator[Valkey]:
    """Start a Valkey that syncs every write to disk, the same for both sides."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Valkey(Path(folder) / "valkey", port=free_port(), config=config) as server,
    ):
        yield server


@contextlib.contextmanager
def stub() -> Iterator[str]:
    """The stub of LiveDesk's API; its address."""
    port = free_port()
    url = f"http://{LOCALHOST}:{port}"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [sys.executable, "-m", "bench.stub", str(port)]
        log = Path(folder) / "stub.log"
        with Process("stub", command, log=log, cwd=ROOT, port=port, ready=answers(f"{url}/stats")):
            yield url


def fetch(url: str) -> Any:
    """JSON from the stub."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def ask(url: str) -> "redis.Redis":
    """A client for the bench's own questions."""
    client: redis.Redis = redis.Redis.from_url(url, decode_responses=True, socket_timeout=30)
    return client


def wait_until(done: Callable[[], bool], what: str, seconds: float, every: float = 0.1) -> None:
    """Wait for a condition, or fail by its name."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise BenchError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)


def cores() -> list[int]:
    """Return the cores that we can bind processes to, if the system allows it."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextlib.contextmanager
def bound_to(chosen: list[int]) -> Iterator[None]:
    """Run what starts in this block on these cores only, or on any."""
    if not chosen:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(process: Process) -> float:
    """Return the CPU seconds of a process and its children; NaN without /proc."""
    found = stats_of(process)
    return sum(int(fields[11]) + int(fields[12]) for fields in found) / TICKS if found else float("nan")


def resident_mb(process: Process) -> float:
    """Return the memory of a process and its children in MB; NaN without /proc."""
    found = stats_of(process)
    return sum(int(fields[21]) for fields in found) * PAGE / 1e6 if found else float("nan")


def stats_of(process: Process) -> list[list[str]]:
    """The fields of /proc/<pid>/stat from the state on, of a process and its children.

    Every ``Process`` leads a session, so its children are the ones of its session.
    """
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == process.pid:
                found.append(fields)
    return found


def load(
    port: int,
    run: str,
    *,
    seconds: float,
    connections: int,
    rate: float = 0.0,
    most: int = 40_000,
    shape: str = "signup",
) -> dict[str, float]:
    """Post deliveries from a separate process and return what it measured.

    ``rate`` is in deliveries per second, 0 for as fast as they are answered.

    Raises:
        BenchError: an answer was not what it should be.
    """
    count = round(rate * seconds) if rate else most
    command = [sys.executable, "-m", "bench.load", "--port", str(port), "--run", run, "--count", str(count)]
    command += ["--seconds", str(seconds), "--connections", str(connections), "--rate", str(rate)]
    command += ["--shape", shape]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise BenchError(done.stderr.strip() or f"the load generator ended with {done.returncode}")
    result: dict[str, float] = json.loads(done.stdout)
    return result
