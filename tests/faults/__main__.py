"""``python -m tests.faults``: inject faults, and print a table of the effects.

Exit status 0: every promise was kept; 1: one was broken; the folder with the evidence is named.
"""

import argparse
import json
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.plan import Plan, make_plan
from tests.faults.report import markdown, plan_text, rows_of, say, spread
from tests.faults.run import Options, Result, run
from tests.faults.sabotage import SABOTAGES
from tests.rig.parts import ROOT


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.faults", description="Break it on purpose, and judge.")
    made.add_argument("--deliveries", type=int, default=5000, help="in each run (default 5000)")
    made.add_argument("--people", type=int, help="whom they are about (default: 60 for each 100 deliveries)")
    made.add_argument("--rate", type=float, default=50.0, help="deliveries per second (default 50)")
    made.add_argument("--seed", type=int, default=1, help="of the first run (default 1)")
    made.add_argument("--seeds", type=int, default=1, help="how many runs, each with the next seed (default 1)")
    made.add_argument("--drain", type=float, default=180.0, help="seconds to the end of all work after all is healed")
    made.add_argument(
        "--failover",
        choices=("thirds", "always", "never"),
        default="thirds",
        help="which runs have a Redis with a replica and sentinels, that fails over (default: every third seed)",
    )
    made.add_argument("--sabotage", choices=sorted(SABOTAGES), help="run it with a bug, which must be found")
    made.add_argument("--plan", action="store_true", help="print what would be done, and do nothing")
    made.add_argument("--json", type=Path, help="write the figures to this file too")
    made.add_argument("--folder", type=Path, default=ROOT / "data" / "faults", help="where runs keep data and logs")
    made.add_argument("--keep", action="store_true", help="keep the folder of a run that broke no promise, too")
    return made


def fails_over(seed: int, wanted: str) -> bool:
    return wanted == "always" or (wanted == "thirds" and seed % 3 == 0)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    people = options.people or max(1, options.deliveries * 3 // 5)
    if not 0 < people <= options.deliveries:
        parser().error("--people must be from 1 to --deliveries")
    plans = [
        make_plan(seed, options.deliveries, people, options.rate, failover=fails_over(seed, options.failover))
        for seed in range(options.seed, options.seed + options.seeds)
    ]
    if options.plan:
        say("\n\n".join(plan_text(plan) for plan in plans))
        return 0
    results = []
    for plan in plans:
        folder = options.folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-seed-{plan.seed}"
        result = run(plan, folder, Options(drain_s=options.drain, sabotage=options.sabotage))
        results.append(result)
        report(result)
        if not result.broken and not options.keep:
            shutil.rmtree(folder)
    say()
    say(markdown(table(results)))
    say()
    say(f"To repeat this: {command(options, plans[0])}")
    if options.json is not None:
        options.json.write_text(json.dumps([figures(result) for result in results], indent=1) + "\n", encoding="utf-8")
    return 1 if any(result.broken for result in results) else 0


def report(result: Result) -> None:
    """Print a line for a run, and which promises it broke."""
    say(
        f"seed {result.seed}: {len(result.injected)} faults, {result.acknowledged} of {result.offered} acknowledged, "
        f"{result.lost} lost, {result.duplicated} duplicated, drained after {result.drain_s:.0f} s"
        + (f", {len(result.broken)} PROMISES BROKEN:" if result.broken else "")
    )
    for sentence in result.broken[:20]:
        say(f"    {sentence}")
    if result.broken:
        say(f"    Logs and data: {result.folder}")


def table(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return the rows of the published table, over all runs."""
    faults = rows_of([injected.fault for result in results for injected in result.injected])
    states = sum((Counter(result.states) for result in results), Counter[str]())
    accepted = [took for result in results for took in result.until_accepted]
    created = [took for result in results for took in result.until_created]
    seeds = f"{results[0].seed} to {results[-1].seed}" if len(results) > 1 else str(results[0].seed)
    return [
        *((name, f"{number:,}") for name, number in sorted(faults.items())),
        ("**faults injected**", f"**{sum(faults.values()):,}**"),
        ("deliveries, and requests that sent them", f"{_sum(results, 'offered')}, {_sum(results, 'tries')}"),
        (
            "deliveries acknowledged, and given up by their sender",
            f"{_sum(results, 'acknowledged')}, {_sum(results, 'given_up')}",
        ),
        ("people acknowledged", _sum(results, "people")),
        *((f"of them {state}", f"{number:,}") for state, number in states.items() if number),
        ("**lost**", f"**{_sum(results, 'lost')}**"),
        ("**created more than once**", f"**{_sum(results, 'duplicated')}**"),
        ("**not what the newest event says**", f"**{_sum(results, 'untrue')}**"),
        (
            "creates sent too late, by a worker stopped in the moment between lease and request",
            _sum(results, "overslept"),
        ),
        ("from a fault's end to the next delivery accepted: median, longest", spread(accepted)),
        ("from a fault's end to the next contact created: median, longest", spread(created)),
        ("from the last fault's end until nothing was open: median, longest", spread([r.drain_s for r in results])),
        ("promises broken", f"{sum(len(result.broken) for result in results)}"),
        ("seeds", seeds),
    ]


def _sum(results: Sequence[Result], name: str) -> str:
    return f"{sum(getattr(result, name) for result in results):,}"


def figures(result: Result) -> dict[str, object]:
    return {
        "seed": result.seed,
        "faults": rows_of([injected.fault for injected in result.injected]),
        **{
            name: getattr(result, name)
            for name in (
                "offered", "tries", "acknowledged", "given_up", "people", "states", "lost", "duplicated", "untrue",
                "overslept", "creates", "until_accepted", "until_created", "drain_s", "outlived", "broken",
            )
        },
    }  # fmt: skip


def command(options: argparse.Namespace, first: Plan) -> str:
    sabotage = f" --sabotage {options.sabotage}" if options.sabotage else ""
    return (
        f"python -m tests.faults --deliveries {options.deliveries} --people {first.people} --rate {options.rate:g} "
        f"--seed {first.seed} --seeds {options.seeds} --failover {options.failover}{sabotage}"
    )


if __name__ == "__main__":
    sys.exit(main())
