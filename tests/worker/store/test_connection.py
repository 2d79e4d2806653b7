"""A primary that has become a replica is left at once, by every thread."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.rig.processes import LOCALHOST
from tests.rig.sentinel import SERVICE, SentinelCluster, say
from tests.world import wait_until
from worker.store.connection import Connections, Script, connect

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


def fail_over(cluster: SentinelCluster) -> None:
    """Make the old primary a replica at once; sentinels would wait ten seconds."""
    old = cluster.primary()
    say(cluster.sentinels[0].port or 0, f"SENTINEL FAILOVER {SERVICE}")
    wait_until(lambda: old not in cluster.named())
    say(old.port or 0, f"REPLICAOF {LOCALHOST} {cluster.primary().port}")
