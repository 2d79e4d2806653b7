"""Durations and times, as they are read and written."""

import pytest

from worker import durations

S, MIN, H, D = 1_000, 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        *((None, "unknown"), (-5, "0 s"), (0, "0 s"), (S - 1, "0 s"), (59 * S, "59 s"), (MIN, "1 min")),
        *((MIN * 60 - 1, "59 min"), (H, "1 h"), (48 * H - 1, "47 h"), (48 * H, "2 d"), (400 * D, "400 d")),
    ],
)
def test_lengths_of_time(ms: int | None, text: str) -> None:
    assert durations.duration(ms) == text


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
    assert durations.relative(at, D) == text


def test_times_as_they_are() -> None:
    assert durations.absolute(1_772_366_645_123) == "2026-03-01 12:04:05 UTC"
    assert durations.rfc3339(1_772_366_645_123) == "2026-03-01T12:04:05.123Z"


@pytest.mark.parametrize(
    ("text", "ms"), [("30", 30 * S), ("1.5s", 1500), ("15m", 15 * MIN), ("90min", 90 * MIN), ("3d", 3 * D)]
)
def test_a_duration_is_read(text: str, ms: int) -> None:
    assert durations.parse_duration(text) == ms


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5 weeks", "0"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be "):
        durations.parse_duration(text)


def test_a_time_is_read_as_rfc_3339_or_as_an_age() -> None:
    assert durations.parse_time("2026-03-01T12:04:05.123Z") == 1_772_366_645_123
    assert durations.parse_time("2h", now=10 * H) == 8 * H


@pytest.mark.parametrize(
    ("text", "now"), [("2026-02-30T12:00:00Z", 0), ("yesterday", 0), ("2h", None), ("2", 0), ("0s", 0)]
)
def test_what_is_no_time_is_refused(text: str, now: int | None) -> None:
    with pytest.raises(ValueError, match=r"^must be "):
        durations.parse_time(text, now)
