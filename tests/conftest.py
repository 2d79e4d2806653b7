"""Fixtures that all tests share: a real Redis server per process, and an empty database per test."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

from tests.invariants import assert_invariants
from tests.rig.valkey import Valkey
from tests.world import World
from worker.store.connection import connect

# No deadlines: a property must hold, however busy the machine is. On CI the examples are the same each time.
hypothesis.settings.register_profile("default", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("default")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Run a Redis server for this process, on a Unix socket: no two processes can want the same port.

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
