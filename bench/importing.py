"""Rows per second of ``flask import``: ``python -m bench import``.

The file is CSV with the columns of a contact. The clock includes the start of the command, and Redis writes every chunk
to disk before it answers.
"""

import csv
import subprocess
import tempfile
import time
from pathlib import Path

from bench import payload
from bench.accept import stored_by_us
from bench.machine import BenchError, cpu_seconds, environment, say, valkey
from bench.report import Measured, Row, at_least, median
from tests.rig.parts import ROOT

LEAST = 5000


def measure(file: Path, count: int) -> tuple[float, float]:
    """Import the file into an empty Redis.

    Return the rows per second, and Valkey's CPU µs per row.

    Raises:
        BenchError: Redis does not have every row.
    """
    with valkey() as server:
        command = [str(ROOT / "bin" / "flask"), "import", str(file)]
        used, began = cpu_seconds(server), time.perf_counter()
        done = subprocess.run(
            command, cwd=ROOT, env=environment(server.url), capture_output=True, text=True, timeout=300, check=False
        )
        took_s = time.perf_counter() - began
        used = cpu_seconds(server) - used
        if stored_by_us(server.url) != count:
            raise BenchError(f"{stored_by_us(server.url)} of {count} rows were imported: {done.stderr[-500:]}")
    say(f"  {count / took_s:,.0f} rows/s, Redis {used / count * 1e6:.0f} us per row")
    return count / took_s, used / count * 1e6


def measure_all(rounds: int, count: int) -> Measured:
    """The whole part."""
    say(f"import: {rounds} rounds of {count:,} rows")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "people.csv"
        with file.open("w", newline="") as rows:
            writer = csv.DictWriter(rows, list(payload.contact("import", 0)))
            writer.writeheader()
            writer.writerows(payload.contact("import", number) for number in range(count))
        runs = [measure(file, count) for _ in range(rounds)]
    rate, redis_us = (median([run[place] for run in runs]) for place in (0, 1))
    return Measured(
        [
            at_least(f"`flask import` of {count:,} rows, per second", rate, LEAST, "{:,.0f}"),
            Row("CPU of Valkey per imported row, in µs", f"{redis_us:.0f}"),
        ]
    )
