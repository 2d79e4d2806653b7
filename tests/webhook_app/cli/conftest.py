from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.invariants import assert_invariants
from tests.webhook_app.cli.office import Office


@pytest.fixture
def office(client: redis.Redis, tmp_path: Path) -> Iterator[Office]:
    yield Office(client, tmp_path)
    assert_invariants(client)
