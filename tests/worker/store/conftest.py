from collections.abc import Iterator

import pytest
import redis

from tests.invariants import assert_invariants
from tests.worker.store.office import Office
from worker.store import keys


@pytest.fixture
def office(client: redis.Redis) -> Iterator[Office]:
    """Contacts and operations, whose keyspace is checked at the end."""
    office = Office(client)
    yield office
    client.delete(keys.QUEUE)
    assert_invariants(client)
