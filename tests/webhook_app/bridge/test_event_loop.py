"""The server's event loop: it is woken once for many callbacks, and for none of them too late."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from granian import loops

import webhook_app.server  # noqa: F401 - registers it
from webhook_app.bridge.event_loop import EventLoop

#: Callbacks of a thread; seconds until one that was forgotten is noticed.
CALLS, PATIENCE_S = 2000, 10.0


class CountingLoop(EventLoop):
    """Counts how often it is woken."""

    wakes = 0

    def _write_to_self(self) -> None:
        self.wakes += 1
        super()._write_to_self()  # type: ignore[misc]


@pytest.fixture
def loop() -> Iterator[CountingLoop]:
    made = CountingLoop()
    yield made
    made.close()


def run(loop: CountingLoop, work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine, in a thread, as ``tests.event_loop`` does."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(loop.run_until_complete, work).result()


def test_threads_wake_a_busy_loop_once(loop: CountingLoop) -> None:
    called: list[int] = []

    def hand_over() -> None:
        for number in range(CALLS):
            loop.call_soon_threadsafe(called.append, number)

    async def work() -> None:
        for _ in range(2):
            thread = threading.Thread(target=hand_over)
            thread.start()
            thread.join()  # the loop does nothing else meanwhile
            await asyncio.sleep(0)

    run(loop, work())
    assert called == [*range(CALLS), *range(CALLS)]
    assert loop.wakes == 2


@pytest.mark.parametrize("is_debug", [False, True])
def test_every_callback_wakes_a_loop_that_waits(loop: CountingLoop, is_debug: bool) -> None:
    loop.set_debug(is_debug)
    late = []

    def hand_over() -> None:
        for _ in range(CALLS):
            is_called = threading.Event()
            loop.call_soon_threadsafe(is_called.set)
            if not is_called.wait(PATIENCE_S):
                late.append(True)
                break

    async def wait() -> None:
        await asyncio.gather(*(asyncio.to_thread(hand_over) for _ in range(3)))

    run(loop, wait())
    assert not late


def test_a_closed_loop_takes_no_callbacks() -> None:
    loop = EventLoop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon_threadsafe(print)


def test_the_server_runs_this_loop() -> None:
    loop = loops.get("auto")
    loop.close()
    assert isinstance(loop, EventLoop)
