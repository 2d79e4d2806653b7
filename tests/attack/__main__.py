"""``python -m tests.attack``: the long forms of the attacks, each with its own Valkey.

Exit status 0: the receiver withstood; 1: it did not.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.attack.fuzz import Attack, attacked_receiver, routes
from tests.attack.soak import soak
from tests.rig.processes import free_port
from tests.rig.valkey import Valkey


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description="Attack a receiver, and judge.")
    parser.add_argument("attack", choices=("fuzz", "soak"), help="hostile requests; or steady load with faults")
    parser.add_argument("--requests", type=int, default=100_000, help="of fuzz (default 100000)")
    parser.add_argument("--seed", type=int, default=1, help="of fuzz (default 1)")
    parser.add_argument("--minutes", type=int, default=60, help="of soak (default 60)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        if options.attack == "soak":
            return report(soak(Path(folder), options.minutes, progress))
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


def progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def report(problems: list[str]) -> int:
    sys.stdout.write("".join(f"FAILED: {problem}\n" for problem in problems) or "It withstood.\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
