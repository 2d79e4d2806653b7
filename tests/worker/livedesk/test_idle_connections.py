"""Connections that a busy moment has opened, and that nothing uses any more."""

import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Semaphore
from typing import Any

from tests.worker.livedesk.servers import Server, answer, read_request, serving
from worker.livedesk.client import LiveDesk
from worker.livedesk.connections import IDLE_S, Connection
from worker.model import Contact

ADA = Contact("ada", 1)
MADE = answer(200, b'{"payload": {"contact": {"id": 7, "identifier": "ada"}}}')
PATIENCE_S = 10


def kept_connections(livedesk: LiveDesk) -> list[Connection]:
    """Return the connections in the pool, the one that is used next last."""
    adapter: Any = livedesk.transport.adapter
    (key,) = adapter.poolmanager.pools.keys()
    return [connection for connection in adapter.poolmanager.pools[key].pool.queue if connection is not None]


def test_idle_connections_are_closed_and_not_used_again() -> None:
    together, closed = Barrier(3), Semaphore(0)

    def serve(connection: socket.socket, server: Server) -> None:
        if len(server.connections) <= 3:
            together.wait(PATIENCE_S)
        while read_request(connection):
            connection.sendall(MADE)
        closed.release()

    with serving(serve) as server, ThreadPoolExecutor(3) as threads:
        livedesk = LiveDesk(server.url, "key", "secret")
        list(threads.map(livedesk.create, [ADA] * 3))
        unused, also_unused, busy = kept_connections(livedesk)
        for idle in (unused, also_unused):
            idle.answered_at -= IDLE_S
        livedesk.create(ADA)
        assert len(server.connections) == 3
        assert closed.acquire(timeout=PATIENCE_S)
        assert closed.acquire(timeout=PATIENCE_S)
        busy.answered_at -= IDLE_S
        livedesk.create(ADA)
        assert closed.acquire(timeout=PATIENCE_S)
        assert len(server.connections) == 4
