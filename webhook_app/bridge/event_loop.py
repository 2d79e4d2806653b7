"""The server's event loop, which threads wake only if it may be asleep."""

import asyncio
from asyncio import Handle
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

Ts = TypeVarTuple("Ts")


class EventLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, with fewer system calls when threads hand over much.

    asyncio wakes the loop for each callback: a thread writes to a socket that the loop reads. granian hands over a
    request and its body one after the other, mostly while the loop is at work on others.
    """

    _is_woken = False

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> Handle:
        """Call a function in the loop; wake it unless it will look for callbacks anyway."""
        if self.get_debug():  # where asyncio lets no other thread use call_soon
            return super().call_soon_threadsafe(callback, *args, context=context)
        # First handed over, then looked at: what comes after the loop has reset the flag wakes it again.
        handle = self.call_soon(callback, *args, context=context)
        if not self._is_woken:
            self._is_woken = True
            super().call_soon_threadsafe(self._begin_turn)
        return handle

    def _begin_turn(self) -> None:
        self._is_woken = False
