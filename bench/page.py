"""The published results, and the pages that are printed from them.

``docs/benchmarks.json`` has the latest result of every part. ``docs/benchmarks.md``, ``docs/scale.md`` and a bullet of
the README are made of it, by the templates in ``bench/pages/``. A test makes them again and compares.
"""

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

from bench.report import HEADINGS, Measured, Row, Table, cells, markdown
from tests.rig.parts import ROOT

RESULTS = Path("docs") / "benchmarks.json"
TEMPLATES = Path(__file__).parent / "pages"
PAGES = ("benchmarks.md", "scale.md")
README = Path("README.md")
COLUMNS = 100
#: The bullet of the README that quotes figures.
QUOTE = Template(
    "- Accepts about $accepted deliveries a second on one core, each on disk before the answer: $times_tutorial times "
    "as many as Flask and Celery in the usual way, and $times_peer times as many as $peer "
    "([benchmarks](docs/benchmarks.md))."
)
BULLET = re.compile(r"^- Accepts about .*\n(?:  .*\n)*", re.MULTILINE)

#: The parts in the order of the page.
ORDER = ("accept", "profile", "sync", "pace", "memory", "import", "dashboard", "ack", "burst", "scale")
Results = dict[str, dict[str, Any]]


def load(root: Path = ROOT) -> Results:
    """Return the latest result of each part, as JSON has it."""
    path = root / RESULTS
    found: Results = json.loads(path.read_text()) if path.exists() else {}
    return found


def publish(part: str, measured: Measured, about: str) -> None:
    """Replace the result of one part, and print the pages anew.

    They are printed once there is a result of every part.
    """
    results = load() | {part: {"about": about, **asdict(measured)}}
    (ROOT / RESULTS).write_text(json.dumps(results, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    if results.keys() >= {*ORDER}:
        write()


def printed(root: Path) -> dict[Path, str]:
    """Return what the pages and the README must be, by path."""
    results = load(root)
    made = {root / "docs" / name: page(name, results) for name in PAGES}
    readme = (root / README).read_text()
    return made | {root / README: BULLET.sub(lambda _: bullet(results), readme, count=1)}


def write() -> None:
    """Print the pages from the results."""
    for path, text in printed(ROOT).items():
        path.write_text(text)


def main() -> int:
    """Print the pages, or with ``--check`` report those that differ from the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description="Print the pages from the results.")
    parser.add_argument("--check", action="store_true", help="change nothing; the exit status is 1 if a page differs")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of README.md and docs/ to check")
    options = parser.parse_args()
    if not options.check:
        write()
        return 0
    differing = [str(path) for path, text in printed(options.root).items() if path.read_text() != text]
    has_quote = BULLET.search((options.root / README).read_text()) is not None
    print(*differing, *([] if has_quote else ["README.md quotes no figures"]), sep="\n")
    return int(bool(differing) or not has_quote)


def page(name: str, results: Results) -> str:
    """Return the text of a page."""
    parts = {part: section(result) for part, result in results.items()}
    return Template((TEMPLATES / name).read_text()).substitute(
        {"targets": targets(results), **parts, **scale(figures_of(results))}
    )


def section(result: dict[str, Any]) -> str:
    """Everything that was measured in one part."""
    return "\n\n".join(filter(None, _blocks(result)))


def _blocks(result: dict[str, Any]) -> Iterator[str]:
    measured = _load(result)
    yield _wrapped(result["about"])
    yield from (markdown(table.columns, table.lines) for table in measured.tables)
    yield "\n".join(
        _wrapped(f"- {_bold(row)}{f' ({row.detail})' if row.detail else ''}", "  ") for row in measured.rows
    )


def _bold(row: Row) -> str:
    return f"{row.name[0].upper()}{row.name[1:]}: **{row.value}**"


def _wrapped(line: str, indent: str = "") -> str:
    return textwrap.fill(line, COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def targets(results: Results) -> str:
    """All figures that have a target, and whether it was met."""
    rows = [row for part in ORDER for row in _load(results[part]).rows if row.target]
    met = sum(row.met is True for row in rows)
    return f"{met} of {len(rows)} targets are met.\n\n{markdown(HEADINGS, [cells(row) for row in rows])}"


def bullet(results: Results) -> str:
    """The bullet of the README."""
    figures = figures_of(results)
    quote = QUOTE.substitute(
        accepted=f"{round(figures['accepted'], -2):,.0f}",
        times_tutorial=f"{figures['times_tutorial']:.1f}",
        times_peer=f"{figures['times_peer']:.1f}",
        peer=figures["peer"],
    )
    return _wrapped(quote, "  ") + "\n"


def figures_of(results: Results) -> dict[str, Any]:
    """The figures of all parts that others quote, by name."""
    return {name: figure for result in results.values() for name, figure in result["figures"].items()}


def scale(figures: dict[str, Any]) -> dict[str, str]:
    """What one of each part carries, and how much of it each load needs."""
    redis_us = figures["accept_redis_us"] + figures["sync_redis_us"]
    computed: dict[str, str] = {
        "accepted": f"{figures['accepted']:,.0f}",
        "synced": f"{figures['synced']:,.0f}",
        "accept_us": f"{figures['accept_us']:.0f}",
        "accept_redis_us": f"{figures['accept_redis_us']:.0f}",
        "sync_us": f"{figures['sync_us']:.0f}",
        "sync_redis_us": f"{figures['sync_redis_us']:.0f}",
        "redis_us": f"{redis_us:.0f}",
        "redis_rate": f"{1e6 / redis_us:,.0f}",
        "created_bytes": f"{figures['created_bytes']:.0f}",
        "pending_bytes": f"{figures['pending_bytes']:.0f}",
    }
    for times in LOADS:
        day = BASE_A_DAY * times
        peak = PEAK * day / 86_400
        load: dict[str, str] = {
            "day": f"{day:,}",
            "mean": _short(day / 86_400),
            "peak": _short(peak),
            "receivers": _share(peak / figures["accepted"]),
            "redis": _share(peak * redis_us / 1e6),
            "memory": f"{_short(day * KEPT_DAYS * figures['created_bytes'] / 1e9)} GB",
            "week": f"{_short(day * 7 * figures['created_bytes'] / 1e9)} GB",
        }
        computed |= {f"{name}_{times}": value for name, value in load.items()}
    computed["under_way"] = f"{BASE_A_DAY * 1000 / 86_400 * 0.2:.0f}"
    return computed


#: The base load of the scale page: signups a day, how much more the busiest minutes bring, and KEEP_CREATED.
BASE_A_DAY, PEAK, KEPT_DAYS = 10_000, 10, 90
LOADS = (1, 10, 100, 1000)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _share(value: float) -> str:
    return f"{value:.1%}" if value < 0.1 else f"{value:.0%}"


def _load(result: dict[str, Any]) -> Measured:
    rows = [Row(**row) for row in result["rows"]]
    return Measured(rows, [Table(**table) for table in result["tables"]], result["figures"])


if __name__ == "__main__":
    sys.exit(main())
