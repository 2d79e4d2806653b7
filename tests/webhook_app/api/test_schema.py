"""The API matches its OpenAPI document, by requests that schemathesis generates."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings

from tests.api import BEARER, ApiWorld, populated
from tests.invariants import assert_invariants
from webhook_app.api import DOCUMENT

if TYPE_CHECKING:
    from schemathesis import Case

ENDPOINTS = [
    (path, method) for path, methods in DOCUMENT["paths"].items() for method in methods if method != "parameters"
]
CONFIG = {
    "generation": {"database": "none"},
    # What fits its schema may still be impossible: a filter of all contacts, an address that is none.
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]}},
}


@pytest.fixture
def world(client: redis.Redis) -> Iterator[ApiWorld]:
    world = populated(client)
    yield world
    assert_invariants(client)


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize(("path", "method"), ENDPOINTS)
def test_it_answers_as_its_document_says(path: str, method: str, mode: str, world: ApiWorld) -> None:
    # Here, because every process that collects tests would import it, for a second.
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.config import SchemathesisConfig

    config = SchemathesisConfig.from_dict(CONFIG)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", world.app, config=config, headers=BEARER)

    # Most of what is asked about is there.
    @schema.hook
    def map_path_parameters(_context: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        for name, known in world.known.items():
            if mode == "positive" and parameters and name in parameters:
                number = sum(map(ord, parameters[name]))
                parameters[name] = known[number % len(known)] if number % 3 else parameters[name]
        return parameters

    @given(case=schema[path][method].as_strategy(generation_mode=GenerationMode(mode)).filter(is_sent))
    @settings(max_examples=10, suppress_health_check=list(HealthCheck))
    def ask(case: "Case[Any]") -> None:
        case.call_and_validate(headers=BEARER)

    ask()


def is_sent(case: "Case[Any]") -> bool:
    """Return whether all query values are sent: an empty list leaves nothing."""
    return all(value not in ([], {}) for value in case.query.values())
