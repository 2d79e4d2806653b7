"""Code that was written for threads waits in an event loop, and holds nobody up."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from tests.event_loop import run_async
from worker import greenlets
from worker.greenlets import Greenlets

NAME: ContextVar[str] = ContextVar("name")


async def as_guest(function: Callable[..., Any], *arguments: object) -> Any:
    with ThreadPoolExecutor(4) as threads:
        loop = asyncio.get_running_loop()
        return await Greenlets(lambda function: loop.run_in_executor(threads, function)).run(function, *arguments)


def test_what_waits_lets_others_run() -> None:
    """And each has context variables of its own, as in a thread."""
    at_once: list[str] = []

    def visit(name: str, gate: "asyncio.Future[str]") -> tuple[str, str, bool]:
        NAME.set(name)
        at_once.append(name)
        answer = greenlets.wait(gate)
        return NAME.get(), answer, greenlets.is_guest()

    async def many() -> None:
        gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        visits = [asyncio.ensure_future(as_guest(visit, name, gate)) for name in "abc"]
        await asyncio.sleep(0.01)
        assert at_once == ["a", "b", "c"]
        gate.set_result("open")
        assert await asyncio.gather(*visits) == [("a", "open", True), ("b", "open", True), ("c", "open", True)]
        assert NAME.get("none") == "none"

    run_async(many())


def test_nothing_remains_of_an_earlier_call() -> None:
    async def twice() -> None:
        ours = Greenlets(lambda _function: asyncio.get_running_loop().create_future())
        await ours.run(NAME.set, "ada")
        with pytest.raises(ZeroDivisionError):
            await ours.run(lambda: 1 // 0)
        assert await ours.run(NAME.get, "none") == "none"

    run_async(twice())


def test_what_blocks_runs_in_a_thread_with_the_same_context() -> None:
    def blocking(number: int, *, more: int) -> tuple[int, str, bool, int]:
        return number + more, NAME.get(), greenlets.is_guest(), threading.get_ident()

    def visit() -> tuple[int, str, bool, int]:
        NAME.set("ada")
        return greenlets.in_thread(blocking, 1, more=2)

    async def once() -> None:
        *found, thread = await as_guest(visit)
        assert found == [3, "ada", False]
        assert thread != threading.get_ident()

    run_async(once())


def test_outside_an_event_loop_it_is_called_as_it_is() -> None:
    assert greenlets.in_thread(threading.get_ident) == threading.get_ident()
    assert not greenlets.is_guest()


def test_errors_are_raised_where_a_thread_would_raise_them() -> None:
    def fail() -> None:
        raise ValueError("in a thread")

    def visit() -> str:
        with pytest.raises(ValueError, match="in a thread"):
            greenlets.in_thread(fail)
        raise KeyError("in the loop")

    async def once() -> None:
        with pytest.raises(KeyError, match="in the loop"):
            await as_guest(visit)

    run_async(once())


def test_what_is_cancelled_tidies_up() -> None:
    tidied: list[bool] = []

    def visit() -> None:
        try:
            greenlets.wait(asyncio.get_running_loop().create_future())
        finally:
            tidied.append(True)

    async def once() -> None:
        task = asyncio.ensure_future(as_guest(visit))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tidied == [True]

    run_async(once())
