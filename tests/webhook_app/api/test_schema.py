"""The API matches its OpenAPI document, by requests that schemathesis generates."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings

from tests.api import BEARER, ApiWorld, populate
from tests.invariants import assert_invariants
from webhook_app.api import DOCUMENT
from worker.store import keys
from worker.store.connection import connect

if TYPE_CHECKING:
    from schemathesis import Case
    from schemathesis.specs.openapi.schemas import OpenApiSchema

ENDPOINTS = [
    (path, method) for path, methods in DOCUMENT["paths"].items() for method in methods if method != "parameters"
]
MODES = ("positive", "negative")
CONFIG = {
    "generation": {"database": "none"},
    # What fits its schema may still be impossible: a filter of all contacts, an address that is none.
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]}},
}


@pytest.fixture(scope="module")
def installation(redis_url: str) -> Iterator[ApiWorld]:
    """Return the installation of all tests, as schemathesis reads the code of an application, for a second."""
    with connect(redis_url, timeout_s=5) as client:
        yield ApiWorld(client)


@pytest.fixture
def world(client: redis.Redis, installation: ApiWorld) -> Iterator[ApiWorld]:
    client.set(keys.SALT, installation.store.salt())
    yield populate(installation)
    assert_invariants(client)


@pytest.fixture(scope="module")
def schemas(installation: ApiWorld) -> "dict[str, OpenApiSchema]":
    """Return the document for each mode."""
    # Here, because every process that collects tests would import it, for a second.
    import schemathesis
    from schemathesis.config import SchemathesisConfig

    def read(mode: str) -> "OpenApiSchema":
        config = SchemathesisConfig.from_dict(CONFIG)
        address = "/api/v1/openapi.json"
        schema = schemathesis.openapi.from_wsgi(address, installation.app, config=config, headers=BEARER)

        # Most of what is asked about is there.
        @schema.hook
        def map_path_parameters(_context: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
            for name, known in installation.known.items():
                if mode == "positive" and parameters and name in parameters:
                    number = sum(map(ord, parameters[name]))
                    parameters[name] = known[number % len(known)] if number % 3 else parameters[name]
            return parameters

        return schema

    return {mode: read(mode) for mode in MODES}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("path", "method"), ENDPOINTS)
@pytest.mark.usefixtures("world")
def test_it_answers_as_its_document_says(
    path: str, method: str, mode: str, schemas: "dict[str, OpenApiSchema]"
) -> None:
    from schemathesis import GenerationMode

    cases = schemas[mode][path][method].as_strategy(generation_mode=GenerationMode(mode))

    @given(case=cases.filter(is_sent))
    @settings(max_examples=10, suppress_health_check=list(HealthCheck))
    def ask(case: "Case[Any]") -> None:
        case.call_and_validate(headers=BEARER)

    ask()


def is_sent(case: "Case[Any]") -> bool:
    """Return whether all query values are sent: an empty list leaves nothing."""
    return all(value not in ([], {}) for value in case.query.values())
