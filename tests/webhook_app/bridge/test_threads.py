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


def test_all_threads_start_at_once_and_stay() -> None:
    def running() -> list[str]:
        return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("early-"))

    async def ask() -> None:
        threads = Threads(3, "early")
        assert running() == ["early-1", "early-2", "early-3"]
        await asyncio.gather(*[threads.run(int) for _ in range(9)])

    run_async(ask())
    assert running() == ["early-1", "early-2", "early-3"]


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
