"""``python -m bench``: measure and print the table; see ``README.md`` here."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import accept, ack, burst, choices, dashboard, memory, pace, sync
from bench.machine import BenchError, cores, say
from bench.report import Row, table
from tests.rig.processes import StartError

PARTS = ("accept", "sync", "memory", "dashboard")
#: Measurements that are not part of the table.
EXTRAS = ("servers", "pools", "ack", "burst", "pace")
RESULTS = Path(__file__).parent / "results"


def measure(part: str, rounds: int, quick: bool) -> list[Row]:
    """The rows of one part."""
    seconds, contacts, many = (1.5, 1500, 20_000) if quick else (3.0, 4000, 200_000)
    measures: dict[str, Callable[[], list[Row]]] = {
        "accept": lambda: accept.rows(rounds, seconds),
        "sync": lambda: sync.rows(rounds, contacts),
        "memory": lambda: memory.rows(many),
        "servers": lambda: choices.servers(rounds, seconds),
        "pools": lambda: choices.pools(rounds, contacts),
        "ack": lambda: ack.rows(rounds, seconds),
        "dashboard": lambda: dashboard.rows(100_000 if quick else 1_000_000),
        "pace": lambda: pace.rows(rounds),
        "burst": lambda: burst.rows(10_000 if quick else 100_000),
    }
    return measures[part]()


def machine() -> str:
    """Describe the machine, and warn if it has other work to do."""
    number = os.cpu_count() or 1
    busy = os.getloadavg()[0]
    text = f"{len(cores()) or number} cores, Python {platform.python_version()}"
    return text if busy < number / 2 else f"{text}, NOT IDLE (load {busy:.1f} before the start)"


def save(rows: list[Row], about: str) -> Path:
    """Keep the table as JSON, named by the time."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    return path


def main() -> int:
    """Exit status 0: every target met; 1: some were not; 2: not measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure LiveDesk Sync on this machine.")
    what = f"{', '.join(PARTS)} (all of them by default); {', '.join(EXTRAS)}"
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS, *EXTRAS], metavar="part", help=what)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each side; their median counts (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="shorter runs, three rounds: for a first impression")
    parser.add_argument("--json", action="store_true", help="also write the table to bench/results/")
    options = parser.parse_args()
    rounds = min(options.rounds, 3) if options.quick else options.rounds
    about = f"{machine()}, {rounds} rounds: medians (lowest to highest)"
    rows: list[Row] = []
    try:
        for part in options.parts or PARTS:
            rows += measure(part, rounds, options.quick)
    except (BenchError, StartError) as error:
        say(f"bench: {error}")
        return 2
    print(f"{about}\n\n{table(rows)}")
    if options.json:
        say(f"written to {save(rows, about)}")
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
