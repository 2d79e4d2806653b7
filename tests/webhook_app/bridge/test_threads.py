"""The threads of the bridge."""

import asyncio
import threading

import pytest

from tests.event_loop import run_async
from webhook_app.bridge.threads import Threads

PATIENCE_S = 10


def test_results_and_errors_reach_who_waits() -> None:
    async def ask() -> list[object]:
        threads = Threads(4, "test")
        calls = [threads.run(int, text) for text in ("1", "x", "3")]
        return list(await asyncio.gather(*calls, return_exceptions=True))

    one, error, three = run_async(ask())
    assert (one, three) == (1, 3)
    assert isinstance(error, ValueError)


def test_threads_start_when_they_are_needed_and_no_more_than_allowed() -> None:
    released = threading.Event()

    async def ask() -> tuple[int, int]:
        threads = Threads(3, "needed")
        for _ in range(5):
            await threads.run(int)
        few = running()
        calls = [threads.run(released.wait, PATIENCE_S) for _ in range(9)]
        await asyncio.sleep(0)
        many = running()
        released.set()
        assert all(await asyncio.gather(*calls))
        return few, many

    def running() -> int:
        return sum(thread.name.startswith("needed-") for thread in threading.enumerate())

    few, many = run_async(ask())
    assert few == 1
    assert many == 3


def test_a_result_that_nobody_waits_for_is_dropped() -> None:
    released = threading.Event()

    async def ask() -> int:
        threads = Threads(1, "test")
        given_up = threads.run(released.wait, PATIENCE_S)
        given_up.cancel()
        released.set()
        return int(await threads.run(int, "7"))

    assert run_async(ask()) == 7


@pytest.mark.parametrize("number", [1, 8])
def test_many_calls_are_all_answered(number: int) -> None:
    async def ask() -> list[int]:
        threads = Threads(number, "test")
        return list(await asyncio.gather(*[threads.run(abs, -n) for n in range(2000)]))

    assert run_async(ask()) == list(range(2000))
