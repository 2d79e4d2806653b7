"""Threads for an event loop, cheaper than those of ``ThreadPoolExecutor``.

Results reach the event loop in batches: it is woken once for all that are finished by then, where
``loop.run_in_executor`` wakes it for each.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any


class Threads:
    """Runs functions for an event loop in ``number`` threads, all started at once."""

    def __init__(self, number: int, name: str) -> None:
        self._jobs: SimpleQueue[tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()
        self._finished: deque[tuple[asyncio.Future[Any], Any, Exception | None]] = deque()
        self._is_woken = False
        for each in range(1, number + 1):
            threading.Thread(target=self._work, name=f"{name}-{each}", daemon=True).start()

    def run(self, function: Callable[..., Any], *arguments: object) -> asyncio.Future[Any]:
        """Call the function in a thread; only the event loop may call this."""
        future = asyncio.get_running_loop().create_future()
        self._jobs.put((future, function, arguments))
        return future

    def _work(self) -> None:
        while True:
            future, function, arguments = self._jobs.get()
            try:
                result, error = function(*arguments), None
            except Exception as raised:  # noqa: BLE001 - raised where the future is awaited
                result, error = None, raised
            self._finished.append((future, result, error))
            if not self._is_woken:
                self._is_woken = True
                with suppress(RuntimeError):  # the event loop has ended, and nobody waits
                    future.get_loop().call_soon_threadsafe(self._deliver)
            del future, result, error  # an idle thread keeps nothing alive

    def _deliver(self) -> None:
        """Hand over what is finished; in the event loop."""
        self._is_woken = False  # before the first is taken: what finishes from now on wakes the loop again
        while self._finished:
            future, result, error = self._finished.popleft()
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
