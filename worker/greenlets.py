"""Runs code that was written for threads in an event loop.

``Greenlets.run`` calls a function in the loop's own thread. Where that would wait, it calls ``wait`` with a future, or
``in_thread`` with a function that blocks: the loop goes on with other work, and returns when there is a result. Each
such call has context variables of its own, as a thread has (docs/adr/0039-deliveries-run-in-the-event-loop.md).
"""

from asyncio import Future
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

P = ParamSpec("P")
T = TypeVar("T")

#: Calls a function in a thread of its own; used in the event loop only.
InThread = Callable[..., "Future[Any]"]
#: Greenlets that are kept for later calls.
MAX_IDLE = 100


class _Guest(greenlet):  # type: ignore[misc]
    """Makes one call after another for an event loop.

    ``in_thread`` is where the present one may block; with ``is_done`` it has returned, or failed with an ``error``.
    """

    in_thread: InThread
    is_done = False
    error: BaseException | None = None

    def run(self, function: Callable[..., Any], arguments: tuple[object, ...]) -> None:
        while True:
            try:
                result = function(*arguments)
            except GreenletExit:  # nobody awaits the result any more
                raise
            except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
                result, self.error = None, error
            self.is_done = True
            del function, arguments
            function, arguments = self.parent.switch(result)


class Greenlets:
    """Makes calls in one event loop.

    ``in_thread`` calls a function in a thread for it.
    """

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread
        #: To make one costs more than most calls.
        self._idle: list[_Guest] = []

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function in this thread, and return its result."""
        if self._idle:
            guest = self._idle.pop()
        else:
            guest = _Guest()
            guest.in_thread = self._in_thread
        guest.gr_context = Context()
        awaited = guest.switch(function, arguments)
        while not guest.is_done:
            try:
                result = await awaited
            except BaseException as error:  # noqa: BLE001 - raised where the guest waits, also if the loop cancels it
                awaited = guest.throw(error)
            else:
                awaited = guest.switch(result)
        failure, guest.error, guest.is_done = guest.error, None, False
        if len(self._idle) < MAX_IDLE:
            self._idle.append(guest)
        if failure is not None:
            raise failure
        returned: T = awaited
        return returned


def is_guest() -> bool:
    """Return whether an event loop runs this: nothing here may block."""
    return isinstance(getcurrent(), _Guest)


def wait(future: "Future[T]") -> T:
    """Return the result of a future of the event loop that runs this."""
    result: T = getcurrent().parent.switch(future)
    return result


def in_thread(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call a function that blocks: here, or in a thread if an event loop runs this.

    It sees the context variables that are set here.
    """
    guest = getcurrent()
    if not isinstance(guest, _Guest):
        return function(*arguments, **options)
    result: T = wait(guest.in_thread(partial(copy_context().run, function, *arguments, **options)))
    return result
