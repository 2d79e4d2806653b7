"""Real processes for the end-to-end tests. At the end of each test the whole keyspace is walked (``assert_sound``)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e.system import FAST, SHOP_SECRETS, SOURCES, System
from tests.rig.parts import Stack

#: Starts a system of the test's own: ``start_system(workers=2, env={...})``.
StartSystem = Callable[..., System]


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """For tests that do nothing to the processes."""
    with new_stack(tmp_path_factory.mktemp("shared")) as stack:
        yield stack


@pytest.fixture
def system(shared_stack: Stack) -> Iterator[System]:
    """The shared processes, with an empty Redis and an empty, healthy LiveDesk."""
    with checked(System(shared_stack)) as system:
        system.begin_anew()
        yield system
    ended = [part.name for part in shared_stack.parts if not part.is_running]
    assert not ended, f"these processes did not survive the test: {ended}"


@pytest.fixture
def start_system(tmp_path: Path) -> Iterator[StartSystem]:
    """For tests that kill, pause or reconfigure processes."""
    with ExitStack() as running:

        def start(*, env: dict[str, str] | None = None, workers: int = 1) -> System:
            stack = new_stack(tmp_path, env, workers=workers)
            running.enter_context(stack)
            return running.enter_context(checked(System(stack)))

        yield start


def new_stack(folder: Path, env: Mapping[str, str] | None = None, *, workers: int = 1) -> Stack:
    """A stack with the sources and the policy of these tests, not started yet."""
    sources = folder / "sources.toml"
    sources.write_text(SOURCES)
    given = {**FAST, **SHOP_SECRETS, "SOURCES_FILE": str(sources), **(env or {})}
    return Stack.on_free_ports(folder, given, workers=workers)


@contextmanager
def checked(system: System) -> Iterator[System]:
    """Ends with the walk over the keyspace. Redis must be reachable again by then."""
    try:
        yield system
        system.assert_sound()
    finally:
        system.close()
