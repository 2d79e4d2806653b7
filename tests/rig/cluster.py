"""A Valkey cluster: three primaries, and a replica of the one that has our keys."""

from pathlib import Path
from typing import Any, Self

import redis

from tests.rig.processes import LOCALHOST, free_port, start_together, stop_together
from tests.rig.sentinel import say
from tests.rig.valkey import Valkey
from tests.world import wait_until
from worker.store import keys
from worker.store.discovery import SLOT

SLOTS = 16384
#: Milliseconds without an answer after which a node counts as down: short, so that tests need not wait.
NODE_TIMEOUT_MS = "1000"


class Cluster:
    """Nodes, each a ``Process`` that a test may kill or restart.

    As a context manager it runs for the block.
    """

    def __init__(self, folder: Path) -> None:
        self.nodes = []
        for number in range(4):
            config = {
                "cluster-enabled": "yes",
                "cluster-node-timeout": NODE_TIMEOUT_MS,
                "cluster-port": str(free_port()),
                "repl-diskless-sync-delay": "0",
            }
            self.nodes.append(Valkey(folder / f"node-{number}", port=free_port(), config=config))
        self.primaries, self.replica = self.nodes[:3], self.nodes[3]

    def hosts(self) -> str:
        """Return the hosts as a URL has them; the first one does not have our keys."""
        return ",".join(f"{LOCALHOST}:{node.port}" for node in self.nodes if node is not self.first_owner)

    @property
    def first_owner(self) -> Valkey:
        return self.primaries[sum(_first_slot(number) <= SLOT for number in (1, 2))]

    def owner(self) -> Valkey:
        """Return the node that has our keys now."""
        return next(node for node in self.nodes if node.is_running and b"MOVED" not in self._ask_for_our_key(node))

    def is_ready(self) -> bool:
        """Return whether every node knows who has which slots, and the replica is in step."""
        infos = [say(node.port or 0, "CLUSTER INFO") for node in self.nodes if node.is_running]
        in_step = b"master_link_status:up" in say(self.replica.port or 0, "INFO replication")
        return in_step and all(b"cluster_state:ok" in info for info in infos)

    def fail_over(self) -> None:
        """Make the replica the primary, as an operator does before maintenance."""
        command(self.replica, "CLUSTER", "FAILOVER")

    def begin_move(self) -> None:
        """Begin to move our slot to another primary, key by key."""
        self._move_from, self._move_to = (
            self.owner(),
            next(each for each in self.primaries if each is not self.first_owner),
        )
        command(self._move_to, "CLUSTER", "SETSLOT", SLOT, "IMPORTING", command(self._move_from, "CLUSTER", "MYID"))
        command(self._move_from, "CLUSTER", "SETSLOT", SLOT, "MIGRATING", command(self._move_to, "CLUSTER", "MYID"))

    def end_move(self) -> None:
        """Move the keys, fewer than a hundred, and tell both nodes."""
        with redis.Redis(port=self._move_from.port or 0) as client:
            names: list[Any] = client.execute_command("CLUSTER", "GETKEYSINSLOT", str(SLOT), "100")
            client.migrate(LOCALHOST, self._move_to.port or 0, names, 0, 5000)
        for node in (self._move_to, self._move_from):
            command(node, "CLUSTER", "SETSLOT", SLOT, "NODE", command(self._move_to, "CLUSTER", "MYID"))

    def start(self) -> Self:
        """Start the nodes, and wait until all know each other.

        Raises:
            StartError: one did not start. The others are stopped again.
        """
        try:
            start_together(self.nodes)
            self._join()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        stop_together(self.nodes)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _join(self) -> None:
        for number, node in enumerate(self.primaries):
            command(node, "CLUSTER", "ADDSLOTSRANGE", _first_slot(number), _first_slot(number + 1) - 1)
            command(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            bus = node.command[node.command.index("--cluster-port") + 1]
            command(self.nodes[0], "CLUSTER", "MEET", LOCALHOST, node.port, bus)
        owner = command(self.first_owner, "CLUSTER", "MYID")
        wait_until(lambda: owner in command(self.replica, "CLUSTER", "NODES"), "the replica knows its primary")
        command(self.replica, "CLUSTER", "REPLICATE", owner)
        wait_until(self.is_ready, "the cluster is ready", timeout_s=60)

    def _ask_for_our_key(self, node: Valkey) -> bytes:
        return say(node.port or 0, f"GET {keys.SALT}") or b"MOVED"


def command(node: Valkey, *words: object) -> str:
    """Return a node's answer."""
    with redis.Redis(port=node.port or 0, decode_responses=True) as client:
        return str(client.execute_command(*map(str, words)))


def _first_slot(number: int) -> int:
    return number * SLOTS // 3
