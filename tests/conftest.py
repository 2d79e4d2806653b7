"""What tests share: a real server for all of them, and an empty database for each."""

import os
from collections.abc import Iterator

import hypothesis
import pytest
import redis

from tests.rig.processes import free_port
from tests.rig.valkey import Valkey
from worker.store.connection import connect

# No deadlines: a property must hold, however busy the machine is. On CI the examples are the same each time.
hypothesis.settings.register_profile("default", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("default")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a port of its own. It need not write to disk: tests that need it to start their own."""
    folder = tmp_path_factory.mktemp("valkey")
    with Valkey(folder, port=free_port(), config={"appendfsync": "no"}) as server:
        yield server.url


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = connect(redis_url, timeout_s=5)
    client.flushall()
    yield client
    client.close()
