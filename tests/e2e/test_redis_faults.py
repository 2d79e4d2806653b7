"""If Redis cannot store, senders get 503 and Retry-After in time.

When Redis has recovered, receiver and worker continue by themselves.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial

import pytest
from redis import RedisError, ResponseError

from tests.e2e.conftest import StartSystem
from tests.e2e.system import OPERATOR, System, call, stream_of_deliveries
from tests.rig.processes import LOCALHOST, Process, free_port
from tests.world import wait_until
from worker.store import keys
from worker.store.connection import connect

WHO = "user-42"
#: Seconds in which the receiver answers although Redis does not: here it waits one (``ACCEPT_TIMEOUT``).
BRISK_S = 2.0

Trouble = Callable[[System], AbstractContextManager[None]]


@contextmanager
def away(system: System) -> Iterator[None]:
    valkey_of(system).kill()
    try:
        yield
    finally:
        valkey_of(system).start()


@contextmanager
def paused(system: System) -> Iterator[None]:
    valkey_of(system).pause()
    try:
        yield
    finally:
        valkey_of(system).resume()


@contextmanager
def loading(system: System) -> Iterator[None]:
    """Redis reads its file, as slowly as the test needs."""
    valkey = valkey_of(system)
    with system.client.pipeline(transaction=False) as pipe:
        for _ in range(60_000):
            pipe.set(keys.SALT, system.store.salt())
        pipe.execute()
    valkey.kill()
    valkey.command += ["--key-load-delay", "20"]  # microseconds for each of them
    valkey.spawn()
    wait_until(lambda: says_that_it_loads(valkey), "Redis reads its file")
    try:
        yield
        assert says_that_it_loads(valkey), "it ended before the test could check anything"
    finally:
        valkey.kill()
        valkey.command = valkey.command[:-2]
        valkey.start()


def says_that_it_loads(valkey: Process) -> bool:
    with suppress(OSError), socket.create_connection((LOCALHOST, valkey.port or 0), timeout=2) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(100).startswith(b"-LOADING")
    return False


@contextmanager
def read_only(system: System) -> Iterator[None]:
    system.client.replicaof(LOCALHOST, free_port())
    try:
        yield
    finally:
        system.client.replicaof("NO", "ONE")


@contextmanager
def a_replica_that_lost_its_master(system: System) -> Iterator[None]:
    system.client.config_set("replica-serve-stale-data", "no")
    with read_only(system):
        yield


@contextmanager
def out_of_memory(system: System) -> Iterator[None]:
    system.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        system.client.config_set("maxmemory", 0)


@contextmanager
def without_replicas(system: System) -> Iterator[None]:
    system.client.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        system.client.config_set("min-replicas-to-write", 0)


@contextmanager
def busy_with_a_script(system: System) -> Iterator[None]:
    system.client.config_set("busy-reply-threshold", 10)
    script = threading.Thread(target=run_for_ever, args=(system.stack.redis_url,))
    script.start()
    wait_until(lambda: is_busy(system), "the script runs")
    try:
        yield
    finally:
        system.client.script_kill()
        script.join()


def is_busy(system: System) -> bool:
    try:
        system.client.ping()
    except ResponseError as error:
        return str(error).startswith("BUSY")
    return False


def run_for_ever(redis_url: str) -> None:
    client = connect(redis_url, timeout_s=60)
    with suppress(RedisError):
        client.eval("while true do end", 0)
    client.close()


TROUBLES = [
    away,
    paused,
    loading,
    read_only,
    a_replica_that_lost_its_master,
    out_of_memory,
    without_replicas,
    busy_with_a_script,
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_a_delivery_that_cannot_be_stored_is_to_come_again(start_system: StartSystem, trouble: Trouble) -> None:
    system = start_system()
    with trouble(system):
        assert_told_to_come_again(system, WHO)
        assert_told_to_come_again(system, WHO)
        assert call("GET", f"{system.stack.url}/contacts/{WHO}", headers=OPERATOR).status_code in (404, 503)
        assert call("GET", f"{system.stack.url}/healthz").status_code == 200
        wait_until(lambda: call("GET", f"{system.stack.url}/readyz").status_code == 503, "it tries once a second")

    wait_until(lambda: system.deliver({"identifier": WHO}).status_code == 200, "the receiver has recovered")
    wait_until(lambda: is_created(system, WHO), "the worker has recovered")
    system.assert_one_contact(WHO)
    wait_until(lambda: call("GET", f"{system.stack.url}/readyz").status_code == 200, "it is ready again")


def assert_told_to_come_again(system: System, identifier: str) -> None:
    began = time.monotonic()
    answer = system.deliver({"identifier": identifier})
    assert time.monotonic() - began < BRISK_S
    assert answer.status_code == 503, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0


def test_many_senders_are_answered_in_time_while_redis_is_silent(start_system: StartSystem) -> None:
    """The receiver has fewer threads."""
    system = start_system()
    system.accept(WHO)
    with paused(system), ThreadPoolExecutor(60) as senders:
        list(senders.map(lambda number: assert_told_to_come_again(system, f"user-{number}"), range(60)))
    wait_until(lambda: system.deliver({"identifier": WHO}).status_code == 200, "the receiver has recovered")


def valkey_of(system: System) -> Process:
    assert system.stack.valkey is not None
    return system.stack.valkey


def is_created(system: System, identifier: str) -> bool:
    """Return whether it is created; if not, make it due, as messages may be lost."""
    assert all(worker.is_running for worker in system.stack.workers), system.log()
    state: str = system.record(identifier)["state"]
    if state == "pending":
        system.make_due(identifier)
        system.hurry()
    return state == "created"


@pytest.mark.parametrize("trouble", [away, paused, read_only, out_of_memory], ids=lambda trouble: trouble.__name__)
def test_an_attempt_that_is_under_way_is_written_down_afterwards(start_system: StartSystem, trouble: Trouble) -> None:
    system = start_system()
    system.livedesk.behave("slow", on="create", delay=0.5)
    system.accept(WHO)
    wait_until(lambda: system.creates(WHO), "the create has been sent")
    with trouble(system):
        wait_until(lambda: system.creates(WHO)[0].finished, "LiveDesk has answered")

    record = system.wait_for(WHO, "created")
    assert (record["outcome"], record["attempts_made"]) == ("created", 1)
    assert len(system.creates(WHO)) == 1
    system.assert_one_contact(WHO)


def test_what_was_accepted_is_brought_home_while_memory_is_full(start_system: StartSystem) -> None:
    system = start_system()
    everybody = [f"{WHO}-{number}" for number in range(20)]
    system.livedesk.behave("html_503", on="create", times=20)
    for identifier in everybody:
        system.accept(identifier)
    with out_of_memory(system):
        assert_told_to_come_again(system, "another")
        system.drain()
    system.assert_everybody(everybody)


def test_a_redis_that_was_emptied_is_noticed_by_all_processes_and_used_at_once(start_system: StartSystem) -> None:
    system = start_system(fresh=True)
    system.stack.receiver.restart()
    system.accept(WHO)
    system.wait_for(WHO, "created")
    wait_until(lambda: "records begin" in system.log() or system.client.exists(keys.SALT), "the salt is known")
    time.sleep(2)  # each process looks once a second
    system.client.flushall()
    wait_until(lambda: system.log().count("redis emptied reason=") >= 2, "receiver and worker say it")
    ready = call("GET", f"{system.stack.url}/readyz")
    assert ready.status_code == 200
    assert "Redis was emptied" in ready.json()["warnings"][0]
    system.accept(WHO)
    assert system.wait_for(WHO, "created")["outcome"] == "adopted"
    assert len(system.livedesk.contacts()) == 1
    assert system.log().count("redis emptied reason=") == 2
    assert all(part.is_running for part in system.stack.parts)


def test_redis_killed_amid_a_stream_of_deliveries_has_what_was_acknowledged(start_system: StartSystem) -> None:
    system = start_system()
    with stream_of_deliveries(system) as acknowledged:
        for killed in (1, 2, 3):
            wait_until(partial(has_more_than, acknowledged, 50 * killed), "deliveries are acknowledged")
            with away(system):
                assert_told_to_come_again(system, "meanwhile")

    known = system.known()
    assert set(acknowledged) <= known
    system.outlast_leases()  # the answer to a claim may have been lost
    system.drain()
    system.assert_everybody(known)


def has_more_than(items: list[str], number: int) -> bool:
    return len(items) > number


# Last, as they need other settings


#: Seconds that a disk stalls, which Redis then waits for, and how many senders do.
STALL_S, SENDERS = 3.0, 50


def test_a_stall_of_redis_is_waited_for_and_pages_are_answered_meanwhile(start_system: StartSystem) -> None:
    system = start_system(env={"ACCEPT_TIMEOUT": "8s"})
    system.accept(WHO)
    with ThreadPoolExecutor(SENDERS) as senders:
        for stall in range(2):
            names = [f"{WHO}-{stall}-{number}" for number in range(SENDERS)]
            timer = threading.Timer(STALL_S, valkey_of(system).resume)
            valkey_of(system).pause()
            timer.start()
            answers = senders.map(lambda name: system.deliver({"identifier": name}).status_code, names)
            began = time.monotonic()
            assert call("GET", f"{system.stack.url}/healthz").status_code == 200
            assert call("GET", f"{system.stack.url}/contacts/{WHO}", headers=OPERATOR).status_code == 503
            assert time.monotonic() - began < STALL_S, "pages do not wait as long"
            assert list(answers) == [200] * SENDERS
            timer.join()
    system.drain()
    system.assert_everybody([WHO, *(f"{WHO}-{stall}-{number}" for stall in range(2) for number in range(SENDERS))])


def test_a_redis_that_is_silent_for_longer_is_given_up_and_used_at_once_when_it_is_back(
    start_system: StartSystem,
) -> None:
    system = start_system(env={"ACCEPT_TIMEOUT": "3s"})
    system.accept(WHO)
    with paused(system):
        with ThreadPoolExecutor(10) as senders:
            began = time.monotonic()
            answers = list(senders.map(lambda number: system.deliver({"identifier": f"user-{number}"}), range(10)))
            assert 2.9 < time.monotonic() - began < 3 + BRISK_S
        assert {answer.status_code for answer in answers} == {503}
        for _ in range(3):  # who comes now is refused at once, except one that tries it again
            began = time.monotonic()
            assert system.deliver({"identifier": WHO}).status_code == 503
        time.sleep(1)
    began = time.monotonic()
    wait_until(lambda: system.deliver({"identifier": WHO}).status_code == 200, "the receiver has recovered")
    assert time.monotonic() - began < BRISK_S
