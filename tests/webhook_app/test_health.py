"""Readiness: deliveries are accepted and durable, as configuration changes."""

import json
import shutil
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from tests.invariants import assert_invariants
from tests.rig.processes import LOCALHOST, free_port
from tests.rig.valkey import Valkey
from tests.world import make_store, wait_until
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
    return create_app(Parts(store=store, sources=sources, metrics_open=True)).test_client()


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


# What a user of Redis may not do, and every other state in which Redis refuses: the probe agrees with a delivery.

USER, PASSWORD = "app", "a-password"


def as_user(durable: Valkey, own: redis.Redis, *rules: str) -> redis.Redis:
    """Return a client of a user with these rules, which may do everything else."""
    admin: Any = own
    admin.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{PASSWORD}", "~*", "&*", "+@all", *rules)
    return connect(durable.url.replace("//", f"//{USER}:{PASSWORD}@"), timeout_s=5)


REFUSING_RULES = [
    ("-@scripting",),
    ("-evalsha",),
    ("-@write",),
    ("-@all", "+@read", "+@connection"),
    ("-@all",),
    ("resetkeys", "~other:*"),
    ("resetkeys", "%R~*"),
    ("-hset",),
    ("-zadd",),
    ("-lpush",),
    ("-get",),
    ("-time",),
]
ACCEPTING_RULES = [(), ("-config",), ("-info",), ("-@admin", "-@dangerous"), ("-eval",), ("resetkeys", "~{lds}:*")]


@pytest.mark.parametrize("rules", REFUSING_RULES, ids=" ".join)
def test_a_user_that_may_not_store_a_delivery_is_not_ready(
    rules: tuple[str, ...], durable: Valkey, own: redis.Redis
) -> None:
    assert deliver(http_of(own), "ada").status_code == 200
    with as_user(durable, own, *rules) as limited:
        http = http_of(limited)
        ready = http.get("/readyz")
        assert ready.status_code == deliver(http, "bob").status_code == 503
        [problem] = json.loads(ready.text)["problems"]
        assert "Redis" in problem
        assert PASSWORD not in ready.text


@pytest.mark.parametrize("rules", ACCEPTING_RULES, ids=" ".join)
def test_a_user_that_may_store_a_delivery_is_ready(rules: tuple[str, ...], durable: Valkey, own: redis.Redis) -> None:
    assert deliver(http_of(own), "ada").status_code == 200  # so that Redis knows the script
    with as_user(durable, own, *rules) as limited:
        http = http_of(limited)
        ready = http.get("/readyz")
        assert (ready.status_code, json.loads(ready.text)["problems"]) == (200, [])
        assert deliver(http, "bob").status_code == 200


def test_a_script_that_redis_does_not_know_and_that_may_not_be_sent(durable: Valkey, own: redis.Redis) -> None:
    own.script_flush()
    with as_user(durable, own, "-eval") as limited:
        http = http_of(limited)
        assert http.get("/readyz").status_code == deliver(http, "bob").status_code == 503


@pytest.mark.parametrize("command", ["-wait", "-set"])
def test_what_ack_needs_is_tried_too(command: str, tmp_path: Path) -> None:
    follow = {"repl-diskless-sync-delay": "0"}
    with (
        Valkey(tmp_path / "primary", port=free_port(), config=follow) as server,
        Valkey(tmp_path / "replica", port=free_port(), config={"replicaof": f"{LOCALHOST} {server.port}"}),
        connect(server.url, timeout_s=5) as admin,
    ):
        wait_until(lambda: admin.set("x", 1) and admin.wait(1, 500), "the replica acknowledges writes")
        admin.delete("x")
        admin.set(keys.SALT, "the-salt")
        for rules, status in (((), 200), ((command,), 503)):
            with as_user(server, admin, *rules) as limited:
                http = http_of(limited, Requirements(Ack.REPLICA))
                wait_until(lambda: http.get("/readyz").status_code == status, f"{rules}: {status}")  # noqa: B023
                assert deliver(http, f"user-{status}").status_code == status


@contextmanager
def full(own: redis.Redis) -> Iterator[None]:
    own.config_set("maxmemory", "1")
    yield
    own.config_set("maxmemory", "1gb")


@contextmanager
def replica(own: redis.Redis) -> Iterator[None]:
    own.replicaof(LOCALHOST, str(free_port()))
    yield
    own.replicaof("NO", "ONE")


@contextmanager
def replica_that_takes_writes(own: redis.Redis) -> Iterator[None]:
    own.config_set("replica-read-only", "no")
    with replica(own):
        yield
    own.config_set("replica-read-only", "yes")


@contextmanager
def cut_off_replica(own: redis.Redis) -> Iterator[None]:
    own.config_set("replica-serve-stale-data", "no")
    with replica(own):
        yield
    own.config_set("replica-serve-stale-data", "yes")


@contextmanager
def lacking_replicas(own: redis.Redis) -> Iterator[None]:
    own.config_set("min-replicas-to-write", "1")
    yield
    own.config_set("min-replicas-to-write", "0")


@contextmanager
def unable_to_save(own: redis.Redis) -> Iterator[None]:
    """A folder has the name of the snapshot."""
    own.config_set("appendonly", "no")
    own.config_set("save", "3600 1")
    blocked = Path(str(own.config_get("dir")["dir"])) / str(own.config_get("dbfilename")["dbfilename"])
    blocked.unlink(missing_ok=True)
    (blocked / "x").mkdir(parents=True)
    own.bgsave()
    wait_until(lambda: own.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot failed")
    yield
    shutil.rmtree(blocked)
    own.bgsave()
    wait_until(lambda: own.info("persistence")["rdb_last_bgsave_status"] == "ok", "a snapshot succeeded")
    own.config_set("save", "")
    blocked.unlink()


@contextmanager
def no_trouble(own: redis.Redis) -> Iterator[None]:
    yield


States = Callable[[redis.Redis], AbstractContextManager[None]]
STATES: list[tuple[States, int]] = [
    (no_trouble, 200),
    (full, 503),
    (replica, 503),
    (replica_that_takes_writes, 200),
    (cut_off_replica, 503),
    (lacking_replicas, 503),
    (unable_to_save, 503),
]


@pytest.mark.parametrize(("state", "status"), STATES, ids=lambda state: getattr(state, "__name__", ""))
def test_the_probe_agrees_with_a_delivery_in_every_state(state: States, status: int, own: redis.Redis) -> None:
    http = http_of(own)
    assert deliver(http, "ada").status_code == http.get("/readyz").status_code == 200
    with state(own):
        ready = http.get("/readyz")
        answers = (ready.status_code, deliver(http, "bob").status_code, http_of(own).get("/readyz").status_code)
        assert answers == (status,) * 3
        assert bool(json.loads(ready.text)["problems"]) is (status == 503)
    wait_until(lambda: http.get("/readyz").status_code == 200, "it is ready again")
    assert deliver(http, "bob").status_code == 200


def test_a_server_that_is_too_old_refuses_deliveries_too(own: redis.Redis) -> None:
    """It answers like Redis 6.2: one section at a time, and CONFIG GET takes one name only."""
    with socketserver.ThreadingTCPServer((LOCALHOST, 0), OldRedis) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with connect(f"redis://{LOCALHOST}:{server.server_address[1]}/0", timeout_s=5) as client:
                http = http_of(client)
                ready = http.get("/readyz")
                assert json.loads(ready.text)["problems"] == [
                    "Redis 6.2.6 is too old: LiveDesk Sync needs 7.0 or newer"
                ]
                assert ready.status_code == deliver(http, "ada").status_code == 503
        finally:
            server.shutdown()
            thread.join()


class OldRedis(socketserver.StreamRequestHandler):
    """Answers what is asked before anything is stored."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2].decode())
            self.wfile.write(self.answer(*words))

    def answer(self, command: str, *args: str) -> bytes:
        match command:
            case "INFO":
                text = "redis_version:6.2.6\r\nrole:master\r\naof_enabled:1\r\nmaxmemory:0\r\n"
                return f"${len(text)}\r\n{text}\r\n".encode()
            case "HELLO":
                return b"%1\r\n+proto\r\n:3\r\n"
            case "CONFIG" if len(args) > 2:
                return b"-ERR Unknown subcommand or wrong number of arguments for 'GET'. Try CONFIG HELP.\r\n"
            case "ZCARD":
                return b":0\r\n"
            case "CLIENT":
                return b"+OK\r\n"
        return b"-ERR not in this test\r\n"


# What it costs


def test_the_probe_leaves_nothing_behind_and_is_seen_by_nobody(own: redis.Redis) -> None:
    http = http_of(own)
    assert deliver(http, "ada").status_code == 200
    before = {name: own.dump(name) for name in own.keys("*")}
    with connect(f"redis://{LOCALHOST}:{own.get_connection_kwargs()['port']}/0", timeout_s=5) as worker:
        taken: list[Any] = []
        own.lpop(keys.QUEUE)
        waiting = threading.Thread(target=lambda: taken.append(worker.brpop([keys.QUEUE], timeout=1)))
        waiting.start()
        for _ in range(5):
            assert http.get("/readyz").status_code == 200
        waiting.join()
        assert taken == [None], "a worker that waits for a message"
    after = {name: own.dump(name) for name in own.keys("*")}
    assert before.keys() - {keys.QUEUE} == after.keys()
    assert_invariants(own)


@pytest.mark.parametrize("trouble", ["-lpush", "-zadd"])
def test_a_probe_that_fails_halfway_leaves_nothing_behind(trouble: str, durable: Valkey, own: redis.Redis) -> None:
    assert deliver(http_of(own), "ada").status_code == 200
    before = set(own.keys("*"))
    with as_user(durable, own, trouble) as limited:
        assert http_of(limited).get("/readyz").status_code == 503
    assert set(own.keys("*")) == before


def test_redis_is_tried_at_most_once_a_second(own: redis.Redis) -> None:
    now = 0.0
    store = make_store(own, requirements=Requirements(), clock=lambda: now)
    http = create_app(Parts(store=store, sources={})).test_client()

    def tried() -> int:
        for _ in range(5):
            assert http.get("/readyz").status_code == 200
        return int(own.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))

    tried()
    before = tried()
    assert tried() == before
    now = 1.0
    assert tried() == before + 1


def test_a_probe_does_not_wait_for_a_redis_that_stalls(durable: Valkey, own: redis.Redis) -> None:
    http = http_of(own)
    assert http.get("/readyz").status_code == 200
    durable.pause()
    try:
        began = monotonic()
        ready = http.get("/readyz")
        assert monotonic() - began < 3
        assert ready.status_code == 200
        assert any("Redis has not answered for" in warning for warning in json.loads(ready.text)["warnings"])
        wait_until(lambda: http.get("/readyz").status_code == 503, "the time of a delivery is over")
    finally:
        durable.resume()
    wait_until(lambda: http.get("/readyz").status_code == 200, "it is ready again")
