"""Durability is detected, reported and required; no contact fills up Redis.

The servers belong to this module and are configured to be careless.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
import redis

from tests.rig.processes import free_port
from tests.rig.valkey import Valkey
from tests.world import make_store, wait_until
from worker.errors import StoreFull, StoreUnavailable
from worker.model import Accepted, Ack, Contact, Origin, Quarantined, Requirements, Signup, State, Status
from worker.store import keys
from worker.store.connection import Connections, connect
from worker.store.contacts import GROUP
from worker.store.durability import Server, Wait, announce, judge, look, needed_wait, unmet
from worker.store.store import Store


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Valkey, Valkey]]:
    """A primary and a replica that is in step with it."""
    folder = tmp_path_factory.mktemp("servers")
    with Valkey(folder / "primary", port=free_port(), config={"repl-diskless-sync-delay": "0"}) as primary:
        follow = {"replicaof": f"127.0.0.1 {primary.port}"}
        with Valkey(folder / "replica", port=free_port(), config=follow) as replica:
            yield primary, replica


@pytest.fixture
def primary(servers: tuple[Valkey, Valkey]) -> Iterator[redis.Redis]:
    client = connect(servers[0].url, timeout_s=1)
    client.flushall()
    wait_until(lambda: look(Connections(client)).has_replica)
    # A replica that has just connected may still load its first copy, and acknowledges nothing meanwhile.
    wait_until(lambda: client.flushall() and client.wait(1, 500), "the replica acknowledges writes")
    yield client
    for name, value in {"appendonly": "yes", "appendfsync": "always", "maxmemory": "1gb"}.items():
        client.config_set(name, value)
    client.close()


def store_of(client: redis.Redis, ack: Ack | None = None, **demands: Any) -> Store:
    """A store whose guard looks anew at each delivery."""
    clock = count(0, 10)
    requirements = Requirements(ack, **demands)
    return make_store(client, lease_ms=1, requirements=requirements, clock=lambda: next(clock))


def accept(store: Store, identifier: str = "ada") -> Accepted:
    return store.contacts.accept(Contact(identifier, 1), Origin("signup"))


def commands_of(client: redis.Redis, work: Callable[[], object]) -> list[str]:
    """Return the commands executed meanwhile, except by scripts and connecting."""
    seen: list[str] = []
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]
        work()
        client.echo("that was all")
        for command in monitor.listen():
            name = command["command"].split()[0].upper()
            if name == "ECHO":
                break
            if command["client_type"] != "lua" and name not in ("HELLO", "CLIENT"):
                seen.append(name)
    return seen


# What is given


@pytest.mark.parametrize(
    ("config", "given"),
    [
        ({"appendonly": "no"}, Ack.MEMORY),
        ({"appendfsync": "no"}, Ack.AOF),
        ({"appendfsync": "everysec"}, Ack.AOF),
        ({"appendfsync": "always"}, Ack.FSYNC),
    ],
)
def test_what_a_server_gives_is_found_out(config: dict[str, str], given: Ack, primary: redis.Redis) -> None:
    for name, value in config.items():
        primary.config_set(name, value)
    assert look(Connections(primary)).given is given


def server(*, aof: bool | None = True, fsync: str | None = "everysec", valkey: bool = False, **info: Any) -> Server:
    server: dict[str, Any] = {"redis_version": "7.2.4"} | ({} if aof is None else {"aof_enabled": int(aof)})
    return Server(
        server | ({"valkey_version": "9.1.2"} if valkey else {}) | info, {"appendfsync": fsync} if fsync else {}
    )


@pytest.mark.parametrize(
    ("server", "ack", "waits_for"),
    [
        (server(), None, None),
        (server(), Ack.MEMORY, None),
        (server(), Ack.AOF, None),
        (server(), Ack.FSYNC, "WAITAOF"),
        (server(fsync=None), Ack.FSYNC, "WAITAOF"),
        (server(fsync="always"), Ack.FSYNC, None),
        (server(fsync="always", valkey=True), Ack.FSYNC, None),
        (server(fsync="always"), Ack.REPLICA, "WAIT"),
    ],
)
def test_what_is_not_given_is_waited_for(server: Server, ack: Ack | None, waits_for: str | None) -> None:
    assert unmet(server, ack) is None
    wait = needed_wait(server, ack)
    assert (wait and wait.name) == waits_for


@pytest.mark.parametrize(
    ("server", "ack"),
    [
        (server(aof=False), Ack.AOF),
        (server(aof=False), Ack.FSYNC),
        (server(valkey=True), Ack.FSYNC),  # its WAITAOF answers too soon
        (server(valkey=True, fsync=None), Ack.FSYNC),
        (server(redis_version="7.0.15"), Ack.FSYNC),  # has no WAITAOF
        (Server({}, {}), Ack.FSYNC),
        (server(maxmemory_policy="allkeys-lru"), Ack.AOF),
        (server(connected_slaves=0), Ack.REPLICA),
        (server(connected_slaves=1, slave0={"state": "wait_bgsave"}), Ack.REPLICA),
    ],
)
def test_what_can_never_be_met_is_reported(server: Server, ack: Ack) -> None:
    assert str(unmet(server, ack)).startswith(f"ACK={ack} cannot be met")
    assert unmet(server, ack) in judge(server, Requirements(ack), 0).problems


# What is required


def test_nothing_is_taken_where_it_cannot_be_as_safe_as_required(primary: redis.Redis) -> None:
    primary.config_set("appendonly", "no")
    store = store_of(primary, Ack.FSYNC)
    with pytest.raises(StoreUnavailable, match="appendonly is off"):
        accept(store)
    with pytest.raises(StoreUnavailable, match="appendonly is off"):
        store.contacts.accept_all([Signup(Contact("ada", 1))], Origin("signup"))
    with pytest.raises(StoreUnavailable, match="appendonly is off"):
        store.quarantine.add(Quarantined(source="signup", payload="{}", problems={}, headers={}))
    assert not primary.exists(keys.DUE, keys.QUARANTINE)
    primary.config_set("appendonly", "yes")
    wait_until(lambda: look(Connections(primary)).info["aof_rewrite_in_progress"] == 0)
    assert accept(store).status is Status.ACCEPTED


def test_a_delivery_that_no_replica_confirms_is_not_acknowledged_nor_is_its_repetition(
    primary: redis.Redis, servers: tuple[Valkey, Valkey]
) -> None:
    store = store_of(primary, Ack.REPLICA)
    wait_until(lambda: is_confirmed(store))
    servers[1].pause()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="not on a replica in time"):
                accept(store)
        with pytest.raises(StoreUnavailable, match="not on a replica in time"):
            store.contacts.accept_all([Signup(Contact(name, 1)) for name in ("ada", "bob")], Origin("signup"))
        with pytest.raises(StoreUnavailable, match="not on a replica in time"):
            store.quarantine.add(Quarantined(source="signup", payload="{}", problems={}, headers={}))
    finally:
        servers[1].resume()
    wait_until(lambda: is_confirmed(store))
    assert accept(store).status is Status.DUPLICATE
    assert accept(store, "bob").status is Status.DUPLICATE


def is_confirmed(store: Store) -> bool:
    """Whether the replica keeps up; on a busy machine it may need a moment."""
    with suppress(StoreUnavailable):
        return bool(accept(store, "probe"))
    return False


def test_nothing_is_sent_on_a_lease_that_a_failover_would_lose(
    primary: redis.Redis, servers: tuple[Valkey, Valkey]
) -> None:
    store = store_of(primary, Ack.REPLICA)
    wait_until(lambda: is_confirmed(store))
    accept(store)
    servers[1].pause()
    try:
        with pytest.raises(StoreUnavailable, match="not on a replica in time"):
            store.contacts.claim(store.key_of("ada"), "first")
    finally:
        servers[1].resume()
    wait_until(lambda: is_confirmed(store))
    claim = store.contacts.claim(store.key_of("ada"), "second")
    assert claim is not None
    assert claim.unknown_since is not None, "nobody knows what the first one did"


def test_waiting_costs_no_turn_of_its_own_and_a_batch_waits_once(primary: redis.Redis) -> None:
    now = 0.0
    store = make_store(primary, lease_ms=1, requirements=Requirements(Ack.REPLICA), clock=lambda: now)
    accept(store)
    assert commands_of(primary, lambda: accept(store)) == ["EVALSHA", "SET", "WAIT"]
    batch = [Signup(Contact(str(number), 1)) for number in range(5)]
    assert commands_of(primary, lambda: store.contacts.accept_all(batch, Origin("signup"))) == ["EVALSHA"] * 5 + [
        "SET",
        "WAIT",
    ]
    assert primary.zcard(keys.DUE) == 6


def test_where_the_server_gives_it_nothing_is_waited_for(primary: redis.Redis) -> None:
    now = 0.0
    store = make_store(primary, lease_ms=1, requirements=Requirements(Ack.FSYNC), clock=lambda: now)
    accept(store)
    assert commands_of(primary, lambda: accept(store, "bob")) == ["EVALSHA"]
    now = 1.0
    seen = commands_of(primary, lambda: accept(store, "cleo"))
    assert seen == ["INFO", "INFO", "INFO", "INFO", "EVALSHA"]  # and CONFIG, which MONITOR does not show


def test_a_script_that_redis_does_not_know_is_sent_and_waited_for(primary: redis.Redis) -> None:
    store = store_of(primary, Ack.REPLICA)
    primary.script_flush()
    assert accept(store).status is Status.ACCEPTED
    assert accept(store).status is Status.DUPLICATE


def test_a_batch_survives_a_server_that_forgot_the_script(primary: redis.Redis) -> None:
    store = store_of(primary, Ack.REPLICA)
    batch = [Signup(Contact(str(number), 1)) for number in range(GROUP + 1)]
    primary.script_flush()
    accepted = store.contacts.accept_all(batch, Origin("signup"))
    assert [one.status for one in accepted] == [Status.ACCEPTED] * len(batch)


def test_a_batch_survives_a_redis_that_was_emptied(primary: redis.Redis) -> None:
    store = store_of(primary, Ack.REPLICA)
    accept(store)
    primary.flushall()
    batch = [Signup(Contact(str(number), 1)) for number in range(3)]
    assert {one.status for one in store.contacts.accept_all(batch, Origin("signup"))} == {Status.ACCEPTED}
    assert primary.zcard(keys.DUE) == 3


def test_a_batch_is_written_to_disk_once_for_many(primary: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round trip for each would take the time of the disk: minutes for an import of 100,000 rows."""
    store = store_of(primary, Ack.FSYNC)
    accept(store)
    connection = store.connections.connection()
    packets: list[object] = []
    send = connection.send_packed_command

    def counted(packed: object) -> None:
        packets.append(packed)
        send(packed)

    monkeypatch.setattr(connection, "send_packed_command", counted)
    store.contacts.accept_all([Signup(Contact(str(number), 1)) for number in range(2 * GROUP)], Origin("signup"))
    assert len(packets) <= 3, "two groups, and what the server is asked for durability"


def test_a_batch_whose_connection_was_lost_is_not_acknowledged(primary: redis.Redis) -> None:
    store = store_of(primary, Ack.REPLICA)
    accept(store)

    def batch() -> Iterator[Signup]:
        yield from (Signup(Contact(str(number), 1)) for number in range(GROUP))
        store.connections.connection().disconnect()
        yield Signup(Contact("two", 1))

    with pytest.raises(StoreUnavailable, match="connection was lost"):
        store.contacts.accept_all(batch(), Origin("signup"))


@pytest.mark.parametrize("answer", [0, [0, 3]])
def test_an_answer_below_one_is_no_confirmation(answer: object) -> None:
    with pytest.raises(StoreUnavailable):
        Wait("WAITAOF").check(answer)


# Room


def test_above_the_backlog_new_work_is_refused_and_what_is_known_is_answered(primary: redis.Redis) -> None:
    store = store_of(primary, max_backlog=2)
    accept(store, "ada")
    accept(store, "bob")
    with pytest.raises(StoreFull, match="too many contacts are open"):
        accept(store, "cleo")
    assert accept(store, "ada").status is Status.DUPLICATE
    assert store.contacts.accept(Contact("bob", 1, "Bob"), Origin("signup")).status is Status.ACCEPTED, (
        "newer data of an open contact"
    )
    assert primary.zcard(keys.state(State.PENDING)) == 2
    primary.zpopmin(keys.DUE)
    assert accept(store, "cleo").status is Status.ACCEPTED


def test_near_the_end_of_memory_new_work_is_refused_until_there_is_room(primary: redis.Redis) -> None:
    store = store_of(primary, max_memory=0.5)
    accept(store, "ada")
    primary.config_set("maxmemory", int(primary.info("memory")["used_memory"] * 1.5))
    with pytest.raises(StoreFull, match="memory is nearly full"):
        accept(store, "bob")
    with pytest.raises(StoreFull, match="memory is nearly full"):
        store.quarantine.add(Quarantined(source="signup", payload="{}", problems={}, headers={}))
    assert accept(store, "ada").status is Status.DUPLICATE
    primary.config_set("maxmemory", "1gb")
    assert accept(store, "bob").status is Status.ACCEPTED


# What is reported


WEAK: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"loading": 1}, {}, "loading its data"),
    ({"role": "slave"}, {}, "read-only replica"),
    ({"aof_last_write_status": "err"}, {}, "AOF failed"),
    ({"rdb_last_bgsave_status": "err"}, {"stop-writes-on-bgsave-error": "yes", "save": "60 1"}, "could not save"),
    ({"redis_version": "6.2.6"}, {}, "Redis 6.2.6 is too old: LiveDesk Sync needs 7.0 or newer"),
    ({"min_slaves_good_slaves": 1}, {"min-replicas-to-write": "2"}, "min-replicas-to-write"),
    ({"min_slaves_good_slaves": 0}, {}, "min-replicas-to-write"),
    ({"maxmemory": 100, "used_memory": 100}, {}, "memory is full"),
    ({"maxmemory": 100, "used_memory": 81}, {}, "MAX_MEMORY"),
    ({"total_system_memory": 100, "used_memory": 81}, {}, "MAX_MEMORY"),
]
DOUBTFUL: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({}, {"appendfsync": "everysec"}, "appendfsync is not always"),
    ({"aof_enabled": 0}, {}, "appendonly is off"),
    ({"maxmemory_policy": "allkeys-lru"}, {}, "noeviction"),
    ({"aof_last_bgrewrite_status": "err"}, {}, "rewrite"),
    ({"maxmemory": 100, "used_memory": 75}, {}, "nearly"),
    ({"maxmemory": 0}, {}, "maxmemory is not set"),
]
WELL = {"role": "master", "aof_enabled": 1, "maxmemory": 1000, "used_memory": 1, "maxmemory_policy": "noeviction"}


@pytest.mark.parametrize(("info", "config", "says"), WEAK)
def test_every_weakness_is_named(info: dict[str, Any], config: dict[str, str], says: str) -> None:
    base = {name: value for name, value in WELL.items() if not (name == "maxmemory" and "total_system_memory" in info)}
    health = judge(Server(base | info, {"appendfsync": "always"} | config), Requirements(), 0)
    assert [says in problem for problem in health.problems].count(True) == 1


@pytest.mark.parametrize(("info", "config", "says"), DOUBTFUL)
def test_every_doubt_is_a_warning(info: dict[str, Any], config: dict[str, str], says: str) -> None:
    health = judge(Server(WELL | info, {"appendfsync": "always"} | config), Requirements(), 0)
    assert health.problems == ()
    assert [says in warning for warning in health.warnings] == [True]


@pytest.mark.parametrize(
    ("info", "config", "ack", "says"),
    [
        ({"aof_enabled": 0}, {"appendfsync": "always"}, Ack.MEMORY, "appendonly is off"),
        ({"maxmemory_policy": "allkeys-lru"}, {"appendfsync": "always"}, Ack.MEMORY, "noeviction"),
        ({}, {}, None, "Redis does not reveal its settings (CONFIG GET is refused): it is assumed that"),
    ],
)
def test_what_was_not_required_is_no_problem(
    info: dict[str, Any], config: dict[str, str], ack: Ack | None, says: str
) -> None:
    server = Server(WELL | info, config)
    health = judge(server, Requirements(ack), 0)
    assert (unmet(server, ack), health.problems) == (None, ())
    assert [says in warning for warning in health.warnings] == [True]


def test_a_redis_that_is_too_old_says_so_and_not_that_it_hides_its_settings() -> None:
    """It refuses CONFIG GET with more than one name, which Redis 7.0 introduced."""
    health = judge(Server(WELL | {"redis_version": "6.2.6"}, {}), Requirements(), 0)
    assert health.problems == ("Redis 6.2.6 is too old: LiveDesk Sync needs 7.0 or newer",)
    assert health.warnings == ()
    assert health.server == "Redis 6.2.6"


@pytest.mark.parametrize(
    ("info", "is_too_old"),
    [
        ({"redis_version": "7.0.0"}, False),
        ({"redis_version": "10.0.1"}, False),
        ({"redis_version": "255.255.255"}, False),
        ({"redis_version": "6.3.4"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, False),
        ({}, False),  # INFO is refused
    ],
)
def test_which_versions_are_too_old(info: dict[str, Any], is_too_old: bool) -> None:
    assert Server(info, {}).is_too_old is is_too_old


def test_a_server_that_refuses_info_says_that_nothing_is_known() -> None:
    health = judge(Server({}, {}), Requirements(), 0)
    assert health.problems == ()
    assert health.warnings == (
        "Redis reveals nothing about itself (INFO is refused): version, memory and durability are unknown",
    )


def test_a_full_backlog_is_reported() -> None:
    assert "MAX_BACKLOG" in judge(Server(WELL, {"appendfsync": "always"}), Requirements(max_backlog=5), 5).problems[0]


@pytest.mark.parametrize(
    ("ack", "says", "level"),
    [
        (None, 'ack="not set" guarantee="in the append-only file, but perhaps not on disk yet"', logging.WARNING),
        (Ack.AOF, 'ack=aof guarantee="in the append-only file, but perhaps not on disk yet', logging.WARNING),
        (Ack.REPLICA, "with WAIT: in a replica's memory, too", logging.WARNING),
        (Ack.FSYNC, 'redis problem what="ACK=fsync cannot be met', logging.ERROR),
        (None, 'redis warning what="appendfsync is not always: a power failure loses', logging.WARNING),
    ],
)
def test_what_a_200_means_and_each_weakness_is_logged_at_startup(
    ack: Ack | None, says: str, level: int, primary: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    primary.config_set("appendfsync", "everysec")
    with caplog.at_level(logging.INFO):
        announce(Connections(primary), Requirements(ack))
    assert [record.levelno for record in caplog.records if says in record.getMessage()] == [level]


def test_a_redis_without_weaknesses_is_announced_in_one_line(
    primary: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        announce(Connections(primary), Requirements())
    [line] = caplog.records
    assert (line.levelno, 'guarantee="on disk"' in line.getMessage()) == (logging.INFO, True)
    assert 'redis="Valkey ' in line.getMessage()


def test_a_redis_that_keeps_nothing_on_disk_is_warned_of_at_startup(
    primary: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    primary.config_set("appendonly", "no")
    announce(Connections(primary), Requirements())
    what = 'redis warning what="appendonly is off: when Redis restarts, acknowledged deliveries are lost"'
    assert [what == record.getMessage() for record in caplog.records].count(True) == 1


def test_a_redis_that_is_away_at_start_is_no_reason_not_to_start(caplog: pytest.LogCaptureFixture) -> None:
    announce(Connections(connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1)), Requirements())
    assert "durability unknown" in caplog.text
