"""A slow Redis is waited for, a silent one is not, and neither stops the others.

The servers stall because they are stopped, as they are while their disk is: what is sent meanwhile waits in the kernel.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import pytest
import redis

from tests.faults.proxy import DELAY, SILENCE, Links
from tests.rig.processes import LOCALHOST, free_port
from tests.rig.valkey import Valkey
from tests.world import make_store, wait_until
from worker.errors import StoreUnavailable
from worker.model import Contact, Origin, Requirements, Signup, State, Status
from worker.store import connection
from worker.store.connection import AGAIN_S, connect
from worker.store.store import Store

#: Far longer than a stall of these tests; and so short that waiting for it is quick.
LONG_S, SHORT_S = 20.0, 0.5
STALL_S = 1.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("slow"), port=free_port()) as server:
        yield server


@pytest.fixture
def store_with(server: Valkey) -> Iterator[Callable[..., Store]]:
    """Return a function that gives a store whose calls wait for so many seconds."""
    clients: list[redis.Redis] = []

    def make(patience_s: float, **options: object) -> Store:
        clients.extend(connect(server.url, timeout_s=seconds) for seconds in (0.2, patience_s))
        store = make_store(clients[-2], lease_ms=1, patient=clients[-1], requirements=Requirements(), **options)
        assert store.contacts.accept(Contact("first", 1), Origin("signup")).state is State.PENDING
        return store

    yield make
    for client in clients:
        client.flushall()
        client.close()


@contextmanager
def stalled(server: Valkey, seconds: float) -> Iterator[None]:
    """Stop the server, and let it continue after so many seconds."""
    server.pause()
    timer = threading.Timer(seconds, server.resume)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def deliver(store: Store, identifier: str = "") -> Status:
    """Deliver somebody new: what was refused may still be stored, once the server continues."""
    return store.contacts.accept(Contact(identifier or token_hex(8), 1), Origin("signup")).status


def refused_after(store: Store, identifier: str = "") -> float:
    """Return how long a delivery waited that was refused."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        deliver(store, identifier)
    return time.monotonic() - began


def test_all_who_meet_a_stall_are_answered(store_with: Callable[..., Store], server: Valkey) -> None:
    """Their connections are new: greeting the server takes as long as the stall, too."""
    store = store_with(LONG_S)
    with ThreadPoolExecutor(16) as senders, stalled(server, STALL_S):
        began = time.monotonic()
        answers = list(senders.map(lambda number: deliver(store, f"user-{number}"), range(16)))
        assert time.monotonic() - began > STALL_S / 2
    assert answers == [Status.ACCEPTED] * 16
    assert store.contacts.counts()[State.PENDING] == 17


def test_a_batch_that_meets_a_stall_is_stored(store_with: Callable[..., Store], server: Valkey) -> None:
    store = store_with(LONG_S)
    with store.connections.within(), stalled(server, STALL_S):
        batch = [Signup(Contact(str(number), 1)) for number in range(100)]
        assert {one.status for one in store.contacts.accept_all(batch, Origin("signup"))} == {Status.ACCEPTED}


def test_the_salt_and_a_signature_are_waited_for_too(store_with: Callable[..., Store], server: Valkey) -> None:
    store = store_with(LONG_S)
    store.remember_salt(None)
    with stalled(server, STALL_S):
        assert store.signed_bodies.bind("otp", "signature", b"{}", 600)


def test_a_redis_that_answers_nobody_counts_as_gone_and_then_nobody_waits(
    store_with: Callable[..., Store], server: Valkey
) -> None:
    store = store_with(SHORT_S)
    server.pause()
    try:
        assert refused_after(store) > SHORT_S - 0.1
        began = time.monotonic()
        for _ in range(3):
            refused_after(store)
        assert time.monotonic() - began < AGAIN_S
    finally:
        server.resume()


def test_a_stall_is_noticed_by_threads_that_never_asked_before(
    store_with: Callable[..., Store], server: Valkey
) -> None:
    """They get a connection that another thread has left, which says nothing about the server."""
    store = store_with(SHORT_S)
    with ThreadPoolExecutor(1) as other:
        other.submit(deliver, store).result()
    server.pause()
    try:
        with ThreadPoolExecutor(1) as another:
            assert another.submit(refused_after, store).result() > SHORT_S - 0.1
        assert store.connections.unresponsive.is_silent
    finally:
        server.resume()


def test_of_many_who_ask_a_redis_that_is_gone_one_waits(
    store_with: Callable[..., Store], server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "AGAIN_S", 0)
    store = store_with(2.0)
    server.pause()
    try:
        refused_after(store)
        with ThreadPoolExecutor(8) as senders:
            waited = sorted(senders.map(lambda number: refused_after(store, f"user-{number}"), range(8)))
    finally:
        server.resume()
    assert waited[-2] < 1.5, "but one of the eight they were refused at once"
    assert waited[-1] > 1.5
    assert deliver(store) is Status.ACCEPTED


def test_who_waits_when_redis_is_back_is_answered_at_once(
    store_with: Callable[..., Store], server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stall longer than a sender waits, and then the end of it."""
    monkeypatch.setattr(connection, "AGAIN_S", 0)
    store = store_with(2.0)
    server.pause()
    timer = threading.Timer(2.5, server.resume)
    timer.start()
    refused_after(store)
    assert deliver(store) is Status.ACCEPTED
    timer.join()
    assert deliver(store, "bob") is Status.ACCEPTED


def test_a_redis_that_is_always_slow_recovers_from_counting_as_gone(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who tries it again must wait as long as everybody, or it would be gone forever."""
    monkeypatch.setattr(connection, "AGAIN_S", 0)
    with Links() as links:
        link = links.to(server.port or 0)
        with connect(f"redis://{LOCALHOST}:{link.port}/0", timeout_s=4) as client:
            store = make_store(client, lease_ms=1)
            deliver(store)
            link.behave(SILENCE)
            refused_after(store)
            link.behave(DELAY, 0.2)
            wait_until(lambda: deliver_again(store), "a new connection, and then an answer")
            assert deliver(store) is Status.ACCEPTED


def test_who_has_less_time_does_not_end_the_waiting_of_others(store_with: Callable[..., Store], server: Valkey) -> None:
    store = store_with(LONG_S)
    with stalled(server, STALL_S), ThreadPoolExecutor(1) as other:
        waiting: Future[Status] = other.submit(deliver, store, "patient")
        with store.connections.within(0.3):
            assert 0.2 < refused_after(store) < STALL_S
        assert deliver(store, "later") is Status.ACCEPTED
        assert waiting.result() is Status.ACCEPTED


def test_all_calls_of_one_delivery_share_its_time(store_with: Callable[..., Store], server: Valkey) -> None:
    store = store_with(LONG_S)
    server.pause()
    try:
        began = time.monotonic()
        with store.connections.within(0.5):
            for _ in range(3):
                refused_after(store)
            assert store.connections.left_s() == 0
        assert time.monotonic() - began < 1.5
        assert store.connections.left_s() == LONG_S
    finally:
        server.resume()


def test_some_threads_remain_for_others(
    store_with: Callable[..., Store], server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ROOM_S", 0.2)
    store = store_with(LONG_S, room=2)
    with ThreadPoolExecutor(2) as senders:
        with stalled(server, 2 * STALL_S):
            waiting = [senders.submit(deliver, store, f"user-{number}") for number in range(2)]
            wait_until(lambda: store.connections.unresponsive.stalled_s() > 0.1)
            assert refused_after(store) < STALL_S
        assert [one.result() for one in waiting] == [Status.ACCEPTED] * 2
        assert deliver(store) is Status.ACCEPTED


def test_a_server_that_the_network_does_not_reach_counts_as_gone_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 0.5)
    with socket.create_server((LOCALHOST, 0), backlog=0) as full:
        port = full.getsockname()[1]
        others = [socket.socket() for _ in range(4)]  # they fill its backlog, and the kernel drops who comes next
        for other in others:
            other.setblocking(False)
            other.connect_ex((LOCALHOST, port))
        with connect(f"redis://{LOCALHOST}:{port}/0", timeout_s=LONG_S) as client:
            store = make_store(client)
            assert 0.4 < refused_after(store) < 5
            assert refused_after(store) < 0.3
        for other in others:
            other.close()


def test_a_connection_that_the_network_has_lost_is_opened_again(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "AGAIN_S", 0)
    with Links() as links:
        link = links.to(server.port or 0)
        with connect(f"redis://{LOCALHOST}:{link.port}/0", timeout_s=1.0) as client:
            store = make_store(client, lease_ms=1)
            with ThreadPoolExecutor(1) as other:
                other.submit(deliver, store).result()
                deliver(store)
                link.behave(SILENCE)
                refused_after(store)
                assert store.connections.unresponsive.is_silent
                opened = link.connections
                refused_after(store)
                other.submit(refused_after, store).result()
                assert link.connections > opened, "not over the connection that may be lost"
            link.behave("ok")
            wait_until(lambda: not store.connections.unresponsive.is_silent or deliver_again(store))


def deliver_again(store: Store) -> bool:
    try:
        return bool(deliver(store))
    except StoreUnavailable:
        return False


def test_the_connection_of_a_thread_that_ended_is_used_by_another(
    store_with: Callable[..., Store], server: Valkey
) -> None:
    """A server ends its idle threads, and starts others for the next burst."""
    store = store_with(LONG_S)
    deliver(store)
    before = len(store.client.client_list())
    for number in range(20):
        thread = threading.Thread(target=deliver, args=(store, f"user-{number}"))
        thread.start()
        thread.join()
    assert len(store.client.client_list()) <= before + 1


def test_a_page_does_not_wait_as_long_as_a_delivery(
    store_with: Callable[..., Store], server: Valkey, tmp_path: Path
) -> None:
    store = store_with(LONG_S)
    with stalled(server, STALL_S):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.overview.read()
        assert time.monotonic() - began < STALL_S
        assert not store.connections.unresponsive.is_silent
        assert deliver(store) is Status.ACCEPTED
