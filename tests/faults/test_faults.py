"""The short form of ``make faults``: one seed, about a minute.

And the sabotages still fit the code.
"""

import sys
from pathlib import Path

import pytest

from tests.faults.plan import RECEIVERS, WORKERS, make_plan
from tests.faults.run import Options, run
from tests.faults.sabotage import SABOTAGES, sabotaged

#: Even, so that a receiver and a worker live through all of it, and their leaks would show.
SEED = 2


@pytest.mark.skipif(sys.platform != "linux", reason="wrong clocks and leaks need Linux")
def test_whatever_fails_nobody_is_lost_and_nobody_is_created_twice(tmp_path: Path) -> None:
    plan = make_plan(SEED, deliveries=600, people=400, rate=40)
    result = run(plan, tmp_path, Options(quiet=True))
    assert result.broken == []
    assert result.offered == 600
    assert result.acknowledged > 500
    assert len(result.injected) > 50
    assert {RECEIVERS[0], WORKERS[0]} <= set(result.outlived)


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_sabotage_is_one_line_of_the_present_code(name: str, tmp_path: Path) -> None:
    """``python -m tests.faults --sabotage NAME`` has to find it; that takes minutes."""
    file, line, _ = SABOTAGES[name]
    copy = sabotaged(name, tmp_path) / "worker" / file
    assert line not in copy.read_text(encoding="utf-8")
    compile(copy.read_text(encoding="utf-8"), str(copy), "exec") if file.endswith(".py") else None
