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

from tests.faults.outages import parcels
from tests.faults.plan import Plan, make_plan, outages_of
from tests.faults.report import name_of, plan_text, say
from tests.faults.run import Options, Result, run
from tests.faults.sabotage import SABOTAGES
from tests.faults.tables import tables, write
from tests.rig.parts import ROOT

#: Runs of so many deliveries have time for outages.
MANY = 2000


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.faults", description="Break it on purpose, and judge.")
    made.add_argument("--deliveries", type=int, default=5000, help="in each run (default 5000)")
    made.add_argument("--people", type=int, help="whom they are about (default: half as many)")
    made.add_argument("--rate", type=float, default=50.0, help="deliveries per second (default 50)")
    made.add_argument("--seed", type=int, default=1, help="of the first run (default 1)")
    made.add_argument("--seeds", type=int, default=1, help="how many runs, each with the next seed (default 1)")
    made.add_argument("--outages", type=int, help="long faults in each run (default 2, none below 2000 deliveries)")
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
    made.add_argument("--table", type=Path, help="write the tables into this page: docs/faults.md")
    made.add_argument("--folder", type=Path, default=ROOT / "data" / "faults", help="where runs keep data and logs")
    made.add_argument("--keep", action="store_true", help="keep the folder of a run that broke no promise, too")
    return made


def fails_over(seed: int, wanted: str) -> bool:
    return wanted == "always" or (wanted == "thirds" and seed % 3 == 0)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    people = options.people or max(1, options.deliveries // 2)
    if not 0 < people <= options.deliveries:
        parser().error("--people must be from 1 to --deliveries")
    plans = [plan_of(options, seed, people) for seed in range(options.seed, options.seed + options.seeds)]
    if options.plan:
        say("\n\n".join(plan_text(plan) for plan in plans))
        return 0
    results = []
    for plan in plans:
        folder = options.folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-seed-{plan.seed}"
        result = run(plan, folder, Options(drain_s=options.drain, sabotage=options.sabotage))
        results.append(result)
        report(result, command(options, plan, 1))
        if not result.broken and not options.keep:
            shutil.rmtree(folder)
    say()
    text = tables(results, command(options, plans[0]))
    say(text)
    if options.table is not None:
        write(options.table, text)
    if options.json is not None:
        options.json.write_text(json.dumps([figures(result) for result in results], indent=1) + "\n", encoding="utf-8")
    return 1 if any(result.broken for result in results) else 0


def plan_of(options: argparse.Namespace, seed: int, people: int) -> Plan:
    """Return a plan with so many deliveries, those during outages included."""
    failover = fails_over(seed, options.failover)
    default = 2 if options.deliveries >= MANY else 0
    number = default if options.outages is None else options.outages
    apart = sum(len(parcels(fault, seed, options.rate)) for fault in outages_of(seed, number, failover=failover))
    return make_plan(
        seed, max(people, options.deliveries - apart), people, options.rate, failover=failover, outages=number
    )


def report(result: Result, again: str) -> None:
    """Print a line for a run; of a broken promise also what it was, and the command that repeats it."""
    verdict = f"{len(result.broken)} PROMISES BROKEN" if result.broken else "all promises kept"
    ratios = [f"{one.times_ideal:.1f}" for one in result.outages if one.times_ideal is not None]
    say(
        f"seed {result.seed}: {verdict}; {len(result.injected)} faults, amid {sum(result.amid)} creates; "
        f"{result.acknowledged} of {result.offered} acknowledged, {result.lost} lost, {result.duplicated} duplicated; "
        f"drained after {result.drain_s:.0f} s"
        + (f", outages after {', '.join(ratios)} times the ideal" if ratios else "")
        + f"; took {result.took_s:.0f} s"
    )
    for sentence in result.broken[:20]:
        say(f"    {sentence}")
    if result.broken:
        say(f"    Logs and data: {result.folder}")
        say(f"    To repeat it: {again}")


def figures(result: Result) -> dict[str, object]:
    return {
        "seed": result.seed,
        "faults": Counter(name_of(injected.fault) for injected in result.injected),
        "outages": [(one.kind, one.backlog, one.drain_s, one.times_ideal, one.refused) for one in result.outages],
        **{
            name: getattr(result, name)
            for name in (
                "offered", "tries", "acknowledged", "given_up", "people", "states", "lost", "duplicated", "untrue",
                "overslept", "creates", "amid", "until_accepted", "until_created", "drain_s", "others_wait",
                "busiest_second", "took_s", "outlived", "broken",
            )
        },
    }  # fmt: skip


def command(options: argparse.Namespace, first: Plan, seeds: int | None = None) -> str:
    failover = "" if options.failover == parser().get_default("failover") else f" --failover {options.failover}"
    outages = "" if options.outages is None else f" --outages {options.outages}"
    sabotage = f" --sabotage {options.sabotage}" if options.sabotage else ""
    return (
        f"python -m tests.faults --deliveries {options.deliveries} --people {first.people} --rate {options.rate:g} "
        f"--seed {first.seed} --seeds {seeds or options.seeds}{failover}{outages}{sabotage}"
    )


if __name__ == "__main__":
    sys.exit(main())
