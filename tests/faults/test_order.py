"""Results that were written too late."""

from tests.faults.order import late_results


def line(key: str, number: int, *, waited_ms: int, duration_ms: int = 300, more: str = "") -> str:
    return (
        f"2026-11-25 18:31:19,477 INFO worker.tasks attempt key={key} state=created status=200 "
        f"duration_ms={duration_ms} waited_ms={waited_ms} number={number} source=signup outcome=created{more}"
    )


def test_attempts_that_follow_each_other_are_right() -> None:
    lines = [line("a", 2, waited_ms=17_000), line("a", 1, waited_ms=70), line("b", 1, waited_ms=20_000)]
    assert late_results([*lines, "2026-11-25 18:31:19,477 INFO worker.tasks worker ready"]) == []


def test_a_result_that_was_written_after_a_later_one_is_found() -> None:
    lines = [line("a", 1, waited_ms=70, duration_ms=21_000), line("a", 2, waited_ms=17_000)]
    assert late_results(lines) == ["a: the result of attempt 1 was written after that of attempt 2"]


def test_a_late_result_that_was_not_written_is_right() -> None:
    assert late_results([line("a", 2, waited_ms=9), line("a", 1, waited_ms=900, more=" written=no")]) == []


def test_changes_and_contacts_that_begin_anew_are_not_compared() -> None:
    lines = [line("a", 2, waited_ms=9), line("a", 1, waited_ms=900, more=" work=change")]
    assert late_results([*lines, line("b", 3, waited_ms=9), line("b", 1, waited_ms=900)], spared=["b"]) == []
