"""Real processes for the end-to-end tests.

After each test the whole keyspace is checked (``assert_sound``).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.system import FAST, SHOP_SECRETS, SOURCES, System
from tests.rig.parts import Stack
from tests.rig.processes import StartError, stop_together

#: Gives a system to kill, pause or reconfigure: ``start_system(workers=2, env={...})``.
StartSystem = Callable[..., System]


class Stacks:
    """The last stack, reused by the next test with equal settings: starts are slow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started = 0
        self._wanted: tuple[Mapping[str, str], int] | None = None
        self._stack: Stack | None = None

    def get(self, env: Mapping[str, str], workers: int = 1) -> Stack:
        """Return a running stack with these settings, repaired after the last test."""
        if self._stack is not None and self._wanted == (env, workers):
            with suppress(StartError):
                return revive(self._stack)
        self.stop()
        self.started += 1
        folder = self.folder / str(self.started)
        folder.mkdir()
        self._stack, self._wanted = new_stack(folder, env, workers=workers), (env, workers)
        return self._stack.start()

    def stop(self) -> None:
        if self._stack is not None:
            self._stack.stop()


def revive(stack: Stack) -> Stack:
    """Let every part run, with a log that begins here."""
    for part in stack.parts:
        if part.is_running:
            part.resume()
            part.skip_log()
        else:
            part.start()
    return stack


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    stacks = Stacks(tmp_path_factory.mktemp("stacks"))
    yield stacks
    stacks.stop()


@pytest.fixture
def system(stacks: Stacks) -> Iterator[System]:
    """A system with empty Redis and LiveDesk, for tests that harm no process."""
    stack = stacks.get({})
    with checked(System(stack)) as system:
        system.begin_anew()
        yield system
    ended = [part.name for part in stack.parts if not part.is_running]
    assert not ended, f"these processes did not survive the test: {ended}"


@pytest.fixture
def start_system(stacks: Stacks) -> Iterator[StartSystem]:
    """Return a function that gives an empty system, for tests that harm processes.

    ``fresh``: with workers that remember nothing.
    """
    with ExitStack() as running:

        def start(*, env: dict[str, str] | None = None, workers: int = 1, fresh: bool = False) -> System:
            system = running.enter_context(checked(System(stacks.get(env or {}, workers))))
            if fresh:  # what the last test left must not be what they begin with
                stop_together(system.stack.workers)
            system.begin_anew()
            if fresh:
                revive(system.stack)
            return system

        yield start


def new_stack(folder: Path, env: Mapping[str, str] | None = None, *, workers: int = 1) -> Stack:
    """Return a stack with these sources and settings, not started yet."""
    sources = folder / "sources.toml"
    sources.write_text(SOURCES)
    given = {**FAST, **SHOP_SECRETS, "SOURCES_FILE": str(sources), **(env or {})}
    return Stack.on_free_ports(folder, given, workers=workers)


@contextmanager
def checked(system: System) -> Iterator[System]:
    """Check the keyspace at the end. Redis must be reachable by then."""
    try:
        yield system
        system.assert_sound()
    finally:
        system.close()
