"""Numbers and charts in words."""

import re

import pytest

from webhook_app.dashboard.static_files import FOLDER
from webhook_app.present import wording
from worker import durations


@pytest.mark.parametrize(
    ("value", "text"), [(None, "unknown"), (0, "0"), (999, "999"), (1204, "1,204"), (1_204_118, "1,204,118")]
)
def test_numbers(value: int | None, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "unknown"), (0, "0"), (9.62, "9.6"), (9.0, "9"), (52.4, "52"), (1204.0, "1,204")]
)
def test_rates(value: float | None, text: str) -> None:
    assert wording.rate(value) == text


def test_a_line_has_a_gap_where_nothing_is_known() -> None:
    assert wording.points([0, 5, None, 10], 30, 12) == ["0.0,11.0 10.0,6.0", "30.0,1.0"]
    assert wording.points([], 30, 12) == []
    assert wording.points([0, 0], 30, 12) == ["0.0,11.0 30.0,11.0"]


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 deliveries"), (1, "1 delivery"), (2, "2 deliveries"), (1204, "1,204 deliveries")]
)
def test_counted_nouns(number: int, text: str) -> None:
    assert wording.counted(number, "delivery", "deliveries") == text
    assert wording.counted(number, "cause") == f"{number:,} cause{'' if number == 1 else 's'}"


def test_the_script_counts_in_the_same_units() -> None:
    script = (FOLDER / "app.js").read_text()
    written = re.findall(r"ms < (\d+e\d+) \? `\$\{Math.floor\(ms / (\d+e\d+)\)\} (\w+)`", script)
    assert [(unit, int(float(length)), int(float(below))) for below, length, unit in written] == list(
        durations.DISPLAY_UNITS
    )
    assert f"${{Math.floor(ms / {durations.DAY_MS // 100_000}e5)}} d" in script
