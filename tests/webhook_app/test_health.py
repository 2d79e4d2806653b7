"""Readiness: deliveries are accepted and durable, as configuration changes."""

import json
from collections.abc import Iterator
from itertools import count
from time import monotonic
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from tests.rig.processes import free_port
from tests.rig.valkey import Valkey
from tests.world import make_store
from webhook_app.app import create_app
from webhook_app.parts import Parts
from webhook_app.sources.config import read_source
from worker.model import Ack, Attempt, AttemptResult, Contact, Origin, Requirements, Signal, State, UpstreamPolicy
from worker.store import keys
from worker.store.connection import connect


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Return a server that is configured as production must be."""
    with Valkey(tmp_path_factory.mktemp("durable"), port=free_port()) as server:
        yield server


@pytest.fixture
def own(durable: Valkey) -> Iterator[redis.Redis]:
    client = connect(durable.url, timeout_s=5)
    client.flushall()
    yield client
    client.config_set("appendonly", "yes")
    client.config_set("appendfsync", "always")
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1gb")
    client.config_set("min-replicas-to-write", "0")
    client.close()


SECRET = "a-secret-of-the-tests"
SOURCE = {"verify": "token", "secret": SECRET, "inbox_id": 1, "map": {"identifier": "$.id"}}


def http_of(client: redis.Redis, demands: Requirements | None = None) -> FlaskClient:
    clock = count(0, 10)  # so that Redis is looked at for each delivery
    store = make_store(client, requirements=demands or Requirements(), clock=lambda: next(clock))
    sources = {"app": read_source("app", SOURCE, {})}
    return create_app(Parts(store=store, sources=sources)).test_client()


def deliver(http: FlaskClient, *identifiers: str) -> Any:
    document: Any = [{"id": identifier} for identifier in identifiers]
    headers = {"Authorization": f"Bearer {SECRET}"}
    return http.post("/webhooks/app", json=document if len(document) > 1 else document[0], headers=headers)


def readiness(client: redis.Redis) -> tuple[int, dict[str, Any]]:
    response = http_of(client).get("/readyz")
    assert response.content_type == "application/json"
    return response.status_code, json.loads(response.text)


def test_a_durable_redis_is_ready(own: redis.Redis) -> None:
    store = make_store(own, lease_ms=1)
    store.contacts.accept(Contact("ada", 1), Origin("signup"))
    status, document = readiness(own)
    assert (status, document["status"], document["problems"], document["warnings"]) == (200, "ready", [], [])
    assert (document["contacts"]["pending"], document["contacts"]["created"], document["queue"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("appendonly", "no", "appendonly is off"),
        ("maxmemory-policy", "allkeys-lru", "maxmemory-policy is not noeviction"),
    ],
)
def test_a_redis_that_can_lose_a_delivery_is_ready_unless_ack_is_set(
    name: str, value: str, says: str, own: redis.Redis
) -> None:
    own.config_set(name, value)
    http = http_of(own)
    ready = http.get("/readyz")
    assert (ready.status_code, ready.json["status"], ready.json["problems"]) == (200, "ready", [])  # type: ignore[index]
    assert [warning.startswith(says) for warning in json.loads(ready.text)["warnings"]] == [True]
    assert deliver(http, "ada").status_code == 200
    http = http_of(own, Requirements(Ack.AOF))
    ready = http.get("/readyz")
    assert ready.status_code == 503
    assert ["ACK=aof cannot be met" in problem for problem in json.loads(ready.text)["problems"]] == [True]
    assert deliver(http, "bob").status_code == 503


def test_a_redis_that_lacks_replicas_is_not_ready(own: redis.Redis) -> None:
    own.config_set("min-replicas-to-write", "1")
    status, document = readiness(own)
    assert (status, document["status"]) == (503, "not ready")
    assert [problem.startswith("Redis has fewer replicas than") for problem in document["problems"]] == [True]


def test_a_full_redis_is_not_ready(own: redis.Redis) -> None:
    own.config_set("maxmemory", "1")
    status, document = readiness(own)
    assert status == 503
    assert "Redis's memory is full: it refuses writes" in document["problems"]


def test_free_memory_is_not_a_problem(own: redis.Redis) -> None:
    assert readiness(own)[0] == 200


def test_every_weakness_is_reported(own: redis.Redis) -> None:
    own.config_set("appendonly", "no")
    own.config_set("maxmemory-policy", "volatile-ttl")
    assert len(readiness(own)[1]["warnings"]) == 2


def test_a_second_at_risk_is_a_warning(own: redis.Redis) -> None:
    own.config_set("appendfsync", "everysec")
    status, document = readiness(own)
    assert (status, document["status"], document["problems"]) == (200, "ready", [])
    assert document["warnings"] == ["appendfsync is not always: a power failure loses the last second"]


def test_a_replica_is_not_ready(own: redis.Redis) -> None:
    own.replicaof("127.0.0.1", str(free_port()))
    try:
        status, document = readiness(own)
    finally:
        own.replicaof("NO", "ONE")
    assert status == 503
    assert document["problems"] == ["Redis is a read-only replica"]


def test_without_redis_it_is_not_ready_but_alive() -> None:
    away = connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1)
    status, document = readiness(away)
    assert (status, document["status"]) == (503, "not ready")
    assert document["problems"][0].startswith("Redis cannot be used")
    alive = http_of(away).get("/healthz")
    assert (alive.status_code, alive.json) == (200, {"status": "alive"})


def test_an_unresponsive_redis_is_reported_in_time(durable: Valkey) -> None:
    with connect(durable.url, timeout_s=0.2) as client:
        durable.pause()
        began = monotonic()
        try:
            status, _ = readiness(client)
        finally:
            durable.resume()
    assert status == 503
    assert monotonic() - began < 2


def test_readyz_reports_what_a_200_means(own: redis.Redis) -> None:
    assert readiness(own)[1]["ack"] == {"required": None, "given": "fsync"}
    own.config_set("appendfsync", "everysec")
    assert json.loads(http_of(own, Requirements(Ack.AOF)).get("/readyz").text)["ack"] == {
        "required": "aof",
        "given": "aof",
    }


def test_readyz_reports_livedesk_but_stays_ready(own: redis.Redis) -> None:
    store = make_store(own, policy=UpstreamPolicy(10, inbox_id=7))
    livedesk = readiness(own)[1]["livedesk"]
    assert (livedesk["state"], livedesk["since"], livedesk["held_inboxes"]) == ("up", None, [])
    for identifier, signal, cause in (
        ("ada", Signal.INBOX, "inbox_not_found"),
        ("bob", Signal.MISCONFIGURED, "unauthorized"),
    ):
        store.contacts.accept(Contact(identifier, 7 if identifier == "ada" else 8), Origin("app"))
        claim = store.contacts.claim(store.key_of(identifier), identifier)
        assert claim is not None
        failed = AttemptResult(state=State.RETRYING, cause=cause, signal=signal, delay_ms=1)
        store.contacts.finish(claim, failed, Attempt(claim.now, 1))
    store.upstream.pause("ada@example.com", "a migration")
    status, document = readiness(own)
    livedesk = document["livedesk"]
    assert (status, document["status"]) == (200, "ready")
    assert (livedesk["state"], livedesk["stop"], livedesk["cause"]) == ("paused", "misconfigured", "unauthorized")
    assert livedesk["since"] < livedesk["probe_at"]
    [held] = livedesk["held_inboxes"]
    assert (held["inbox"], held["since"] < held["probe_at"]) == ("7", True)
    assert "ada@example.com" not in json.dumps(document)


@pytest.mark.parametrize(
    ("demands", "says"),
    [
        (Requirements(Ack.REPLICA), "ACK=replica cannot be met"),
        (Requirements(max_backlog=1), "contacts are open (MAX_BACKLOG)"),
        (Requirements(max_memory=0.0001), "of its memory or more (MAX_MEMORY)"),
    ],
)
def test_a_full_redis_answers_503_and_readyz_says_why(demands: Requirements, says: str, own: redis.Redis) -> None:
    deliver(http_of(own), "ada")
    http = http_of(own, demands)
    answer = deliver(http, "bob")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0
    health = http.get("/readyz")
    assert health.status_code == 503
    assert [says in problem for problem in json.loads(health.text)["problems"]] == [True]

    assert own.zcard(keys.DUE) == 1
    assert deliver(http_of(own), "bob").status_code == 200
