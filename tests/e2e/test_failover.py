"""After Sentinel promotes a new primary, receiver and worker find it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import checked
from tests.e2e.system import FAST, System, call, stream_of_deliveries
from tests.rig.parts import TEST_ENV, Stack, bare_environment
from tests.rig.processes import free_port
from tests.rig.sentinel import SERVICE, SentinelCluster, say
from tests.world import wait_until
from worker.errors import StoreUnavailable

#: Seconds in which the receiver answers although the primary is gone.
BRISK_S = 3.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelCluster]:
    with SentinelCluster(tmp_path_factory.mktemp("redis"), replicas=2) as cluster:
        yield cluster


@contextmanager
def running(folder: Path, cluster: SentinelCluster, ack: str) -> Iterator[System]:
    """Run a system with an empty Redis, once all servers and sentinels agree."""
    wait_until(cluster.is_ready, "the sentinels agree", timeout_s=60)
    env = {**bare_environment(), **TEST_ENV, **FAST, "REDIS_URL": cluster.url, "ACK": ack}
    stack = Stack(folder, env, cwd=folder, port=free_port(), stand_in_port=free_port(), workers=2)
    with stack, checked(System(stack)) as system:
        system.begin_anew()
        yield system


def has_more_than(items: list[str], number: int) -> bool:
    return len(items) > number


class Slowest:
    """Repeats one delivery; records the answers and the longest wait for one."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.statuses: list[int] = []
        self.seconds = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Slowest":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            began = time.monotonic()
            self.statuses.append(self.system.deliver({"identifier": "the-same-again"}).status_code)
            self.seconds = max(self.seconds, time.monotonic() - began)


@pytest.mark.parametrize("loss", ["kill", "pause"])
def test_nothing_that_a_replica_had_is_lost_with_the_primary(
    tmp_path: Path, cluster: SentinelCluster, loss: str
) -> None:
    with running(tmp_path, cluster, "replica") as system:
        with stream_of_deliveries(system) as acknowledged, Slowest(system) as slowest:
            wait_until(partial(has_more_than, acknowledged, 100), "deliveries are acknowledged")
            lost = cluster.primary()
            getattr(lost, loss)()
            wait_until(lambda: cluster.primary() is not lost, "the sentinels have promoted a replica")
            wait_until(
                partial(has_more_than, acknowledged, len(acknowledged) + 100), "deliveries are acknowledged again"
            )

        assert set(slowest.statuses) == {200, 503}
        assert slowest.seconds < BRISK_S
        assert all(part.is_running for part in (*system.stack.workers, system.stack.receiver))
        wait_until(lambda: call("GET", f"{system.stack.url}/readyz").status_code == 200, "the receiver is ready")
        assert call("GET", f"{system.stack.url}/readyz").json()["ack"]["required"] == "replica"
        if loss == "pause":
            lost.kill()
        known = system.known()
        assert set(acknowledged) <= known, "a delivery was acknowledged, and is lost"
        system.outlast_leases()
        system.drain()
        system.assert_everybody(known)
    cluster.rejoin(lost)


def test_a_primary_that_is_demoted_is_left_at_once(tmp_path: Path, cluster: SentinelCluster) -> None:
    with running(tmp_path, cluster, "fsync") as system:
        system.accept("before")
        system.wait_for("before", "created")
        old = cluster.primary()
        say(cluster.sentinels[0].port or 0, f"SENTINEL FAILOVER {SERVICE}")
        wait_until(lambda: cluster.primary() is not old, "the sentinels have promoted a replica")
        wait_until(lambda: b"role:slave" in say(old.port or 0, "INFO replication"), "the old primary follows it")
        wait_until(lambda: system.deliver({"identifier": "after"}).status_code == 200, "deliveries are taken again")
        wait_until(lambda: swept(system), "our own client has found the primary, too")
        system.wait_for("after", "created")
        assert all(part.is_running for part in (*system.stack.workers, system.stack.receiver)), system.log()
        system.assert_everybody(["before", "after"])


def swept(system: System) -> bool:
    with suppress(StoreUnavailable):
        return system.hurry()
    return False
