"""``python -m tests.attack``: the long forms of the attacks, each with its own Valkey.

``fuzz`` sends hostile requests, ``slow`` has slow clients beside good ones, ``soak`` is a steady load with faults.

Exit status 0: the receiver withstood; 1: it did not.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.attack.fuzz import Attack, attacked_receiver, routes
from tests.attack.slow import Crowd, good_clients, many_files
from tests.attack.soak import soak
from tests.rig.parts import TEST_ENV
from tests.rig.processes import free_port
from tests.rig.valkey import Valkey

#: Slow clients of ``slow``, the paths that good clients read meanwhile, and the seconds for 99 of 100 requests.
CROWDS, PAGES, P99_S = (0, 8, 64, 2000), {"/healthz": 200, "/dashboard/sign-in": 200, "/readyz": 200}, 1.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description="Attack a receiver, and judge.")
    parser.add_argument("attack", choices=("fuzz", "slow", "soak"))
    parser.add_argument("--requests", type=int, default=100_000, help="of fuzz (default 100000)")
    parser.add_argument("--seed", type=int, default=1, help="of fuzz (default 1)")
    parser.add_argument("--seconds", type=int, default=20, help="of slow, for each number of clients (default 20)")
    parser.add_argument("--minutes", type=int, default=60, help="of soak (default 60)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        if options.attack == "soak":
            return report(soak(Path(folder), options.minutes, progress))
        if options.attack == "slow":
            return report(slow(Path(folder), options.seconds))
        return report(fuzz(Path(folder), options.requests, options.seed))


def fuzz(folder: Path, number: int, seed: int) -> list[str]:
    """Send hostile requests; return what must not be, in sentences."""
    with (
        Valkey(folder / "valkey", port=free_port(), log=folder / "valkey.log") as valkey,
        attacked_receiver(valkey.url, folder) as process,
    ):
        attack = Attack(process, routes(valkey.url), number=number, seed=seed)
        findings = attack.run(progress)
        progress(attack.line(findings))
        progress(f"memory: {attack.memory_mb[0]:.0f} MB warm, {attack.memory_mb[-1]:.0f} MB at the end")
        return attack.problems(findings)


def slow(folder: Path, seconds: int) -> list[str]:
    """Measure good clients beside slow ones; return what must not be, in sentences."""
    problems = []
    with (
        many_files(2 * max(CROWDS)) as is_possible,
        Valkey(folder / "valkey", port=free_port(), log=folder / "valkey.log") as valkey,
        attacked_receiver(valkey.url, folder, WEB_THREADS="4") as process,
    ):
        assert process.port is not None
        for number in CROWDS if is_possible else CROWDS[:-1]:
            with Crowd(process.port, number):
                seen = good_clients(process.port, TEST_ENV["WEBHOOK_SECRET"], seconds, PAGES)
            times = {path: seen.percentile(path, 0.99) for path in seen.seconds}
            measured = ", ".join(f"{path} {time * 1000:.0f} ms" for path, time in times.items())
            progress(f"{number} slow clients, 99 of 100 answered within: {measured}")
            problems += [f"{path} took {time:.2f} s beside {number}" for path, time in times.items() if time > P99_S]
        if "Traceback" in process.log_text():
            problems.append("the receiver's log has a traceback")
    return problems if is_possible else [*problems, f"`ulimit -Hn` allows fewer than {2 * max(CROWDS)} open files"]


def progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def report(problems: list[str]) -> int:
    sys.stdout.write("".join(f"FAILED: {problem}\n" for problem in problems) or "It withstood.\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
