"""A server that is no longer the primary is left at once, by every thread."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from tests.rig.cluster import Cluster
from tests.rig.processes import LOCALHOST
from tests.rig.sentinel import SERVICE, SentinelCluster, say
from tests.world import wait_until
from worker.errors import StoreError, StoreUnavailable
from worker.store import keys
from worker.store.connection import IS_CLUSTER, IS_MOVING, Connections, Script, connect, translated

SCRIPT = Script("return redis.call('INCR', KEYS[1])", "n")


def test_what_a_replica_refuses_goes_to_the_primary(tmp_path: Path) -> None:
    """In each thread, which has a connection of its own; and no call fails for it."""
    with SentinelCluster(tmp_path) as cluster, ThreadPoolExecutor(1) as other_thread:
        client = connect(cluster.url, timeout_s=5)
        connections = Connections(client)
        assert connections.run(SCRIPT, b"") == [1]
        assert other_thread.submit(connections.run, SCRIPT, b"").result() == [2]

        fail_over(cluster)
        assert connections.run(SCRIPT, b"") == [3]
        assert other_thread.submit(connections.run, SCRIPT, b"", [("INCR", "n")]).result() == [4, 5]
        client.close()


def test_what_another_node_has_is_asked_of_it(tmp_path: Path) -> None:
    """In a cluster, after a failover, and once our slot has been moved key by key."""
    with Cluster(tmp_path) as cluster, connect(f"redis+cluster://{cluster.hosts()}", timeout_s=5) as client:
        connections = Connections(client)
        increase = Script(f"return redis.call('INCR', '{keys.PREFIX}n')", keys.PREFIX)
        assert connections.run(increase, b"") == [1]
        with (
            connect(f"redis://{LOCALHOST}:{cluster.replica.port}", timeout_s=5) as plain,
            pytest.raises(StoreUnavailable, match=re.escape(IS_CLUSTER)),
            translated(),
        ):
            Connections(plain).run(increase, b"")

        assert client.get(f"{keys.PREFIX}n") == "1"
        cluster.fail_over()
        wait_until(lambda: cluster.owner() is cluster.replica, "the replica has taken over")
        assert client.get(f"{keys.PREFIX}n") == "1"
        assert connections.run(increase, b"") == [2]

        cluster.begin_move()
        with pytest.raises(StoreUnavailable, match=IS_MOVING), translated():
            connections.run(increase, b"")
        cluster.end_move()
        assert connections.run(increase, b"") == [3]


def fail_over(cluster: SentinelCluster) -> None:
    """Make the old primary a replica at once; sentinels would wait ten seconds."""
    old = cluster.primary()
    sentinel = cluster.sentinels[0].port or 0
    wait_until(lambda: b"+OK" in say(sentinel, f"SENTINEL FAILOVER {SERVICE}"), "a sentinel knows a good replica")
    wait_until(lambda: old not in cluster.named())
    say(old.port or 0, f"REPLICAOF {LOCALHOST} {cluster.primary().port}")


def test_an_error_keeps_no_arguments_that_redis_quotes(client: redis.Redis) -> None:
    """As where an operator has renamed the command that runs scripts."""
    with pytest.raises(StoreError) as caught, translated():
        Connections(client).send(("RENAMED", "prefix", "lena@example.com"))
    assert str(caught.value).lower() == "unknown command 'renamed'"
