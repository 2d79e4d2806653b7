"""How times, numbers and charts are put."""

import re

import pytest

from webhook_app.dashboard.static_files import FOLDER
from webhook_app.present import wording

S, MIN, H, D = 1_000, 60_000, 3_600_000, 86_400_000


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


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        *((None, "unknown"), (-5, "0 s"), (0, "0 s"), (S - 1, "0 s"), (59 * S, "59 s"), (MIN, "1 min")),
        *((MIN * 60 - 1, "59 min"), (H, "1 h"), (48 * H - 1, "47 h"), (48 * H, "2 d"), (400 * D, "400 d")),
    ],
)
def test_lengths_of_time(ms: int | None, text: str) -> None:
    assert wording.duration(ms) == text


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, "unknown"),
        (D, "now"),
        (D + S, "in 1 s"),
        (D - S, "1 s ago"),
        (D + H, "in 1 h"),
        (D - 3 * MIN, "3 min ago"),
    ],
)
def test_times_from_now(at: int | None, text: str) -> None:
    assert wording.relative(at, D) == text


def test_times_as_they_are() -> None:
    assert wording.absolute(1_772_366_645_123) == "2026-03-01 12:04:05 UTC"
    assert wording.machine_time(1_772_366_645_123) == "2026-03-01T12:04:05.123Z"


def test_the_script_counts_in_the_same_units() -> None:
    script = (FOLDER / "app.js").read_text()
    written = re.findall(r"ms < (\d+e\d+) \? `\$\{Math.floor\(ms / (\d+e\d+)\)\} (\w+)`", script)
    assert [(unit, int(float(length)), int(float(below))) for below, length, unit in written] == list(wording.UNITS)
    assert f"${{Math.floor(ms / {wording.DAY_MS // 100_000}e5)}} d" in script


def test_a_line_has_a_gap_where_nothing_is_known() -> None:
    assert wording.points([0, 5, None, 10], 30, 12) == ["0.0,11.0 10.0,6.0", "30.0,1.0"]
    assert wording.points([], 30, 12) == []
    assert wording.points([0, 0], 30, 12) == ["0.0,11.0 30.0,11.0"]


def test_a_bar_is_as_high_as_its_value() -> None:
    assert wording.bars([5, None, 10], 30, 10) == [("0.0", "5.0", "8.0", "5.0"), ("20.0", "0.0", "8.0", "10.0")]
    assert wording.bars([0], 30, 10) == [("0.0", "10.0", "24.0", "0.0")]
