"""A few equal lines pass each minute; the others are counted."""

from worker.log_limit import BURST, WINDOW_S, LogLimit


def test_a_few_equal_lines_pass_each_minute_and_the_others_are_counted() -> None:
    now = 0.0
    limit = LogLimit(clock=lambda: now)
    assert [limit.admit("a") for _ in range(BURST + 3)] == [0] * BURST + [None] * 3
    assert limit.admit("b") == 0
    now = WINDOW_S - 1
    assert limit.admit("a") is None
    now = WINDOW_S
    assert [limit.admit("a") for _ in range(2)] == [4, 0]
