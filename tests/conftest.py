"""Shared fixtures: a real Redis per process, and an empty database per test."""

import gc
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis
from flask import Flask
from jinja2 import FileSystemBytecodeCache
from xdist.scheduler import LoadScopeScheduling

from tests.invariants import assert_invariants
from tests.rig.valkey import Valkey
from tests.world import World
from worker.store.connection import connect

# No deadlines: a property must hold, however busy the machine is. On CI the examples are the same each time.
hypothesis.settings.register_profile("default", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("default")

#: Folders whose tests start real processes, for seconds each.
END_TO_END = ("browser", "e2e", "faults", "rig")
#: Other files whose tests share what takes seconds to set up or to import.
SHARING = ("tests/worker/livedesk/test_search.py", "tests/webhook_app/api/test_schema.py")

# While tests are imported and collected, nothing is garbage; after that, what exists stays until the end. Each process
# would look through it several times, for half a second each.
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Look for garbage from now on, but not among the tests."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests."""
    for item in items:
        if folder_of(item.nodeid) in END_TO_END:
            item.add_marker("e2e")


def folder_of(nodeid: str) -> str:
    """Return the folder in ``tests`` that a test is in, or its file."""
    return nodeid.split("/", 2)[1]


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Runs the slow tests of one file in one process, where they share processes and browsers.

    pytest-xdist 3.8 does not group tests by a mark with pytest 9.2: https://github.com/pytest-dev/pytest-xdist/issues/1386
    """

    def _split_scope(self, nodeid: str) -> str:
        """Return the file of a test that shares; others are distributed one by one."""
        file = nodeid.partition("::")[0]
        return file if folder_of(nodeid) in END_TO_END or file in SHARING else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


# All processes and runs share compiled templates, in a folder for temporary files: this saves half of the time of page
# tests.
Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": FileSystemBytecodeCache()}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seconds that each folder's tests took, over all processes."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = Path(report.nodeid.partition("::")[0]).parent.relative_to("tests")
                seconds["/".join(folder.parts[:2]) or "others"] += report.duration
    spent = ", ".join(f"{folder} {number:.0f}" for folder, number in sorted(seconds.items()))
    terminalreporter.write_line(f"seconds by folder: {spent}")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Run a Redis for this process, on a Unix socket, so that no ports collide.

    It does not wait for the disk. Tests that depend on the disk, or on TCP, start a server of their own.
    """
    config = {"appendfsync": "no"}
    # Not in pytest's folder: the path of a socket must be shorter than about 100 characters.
    with (
        tempfile.TemporaryDirectory(prefix="livedesk-") as folder,
        Valkey(Path(folder), unix_socket=Path(folder) / "redis.sock", config=config) as server,
    ):
        yield server.url


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Return a client of an empty database."""
    client = connect(redis_url, timeout_s=5)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def world(client: redis.Redis) -> Iterator[World]:
    """Return an empty installation; at the end of the test the invariants must hold."""
    yield World(client)
    assert_invariants(client)
