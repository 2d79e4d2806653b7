"""Whatever happens to workers, no contact is lost or created twice."""

import os
import signal

import pytest

from tests.e2e.conftest import StartSystem
from tests.e2e.system import System
from tests.world import wait_until
from worker.store import keys

WHO = "user-42"
#: A request to LiveDesk may last long enough for a test to do something meanwhile.
UNHURRIED = {"LIVEDESK_TIMEOUT": "20s"}


@pytest.mark.parametrize(
    ("mode", "options", "outcome"),
    [("commit_then_hang", {}, "adopted"), ("slow", {"delay": 60}, "created")],
    ids=["executed", "not-executed"],
)
def test_a_worker_killed_between_the_create_and_its_end_leaves_one_contact(
    start_system: StartSystem, mode: str, options: dict[str, float], outcome: str
) -> None:
    system = start_system(env=UNHURRIED)
    [worker] = system.stack.workers
    system.livedesk.behave(mode, on="create", times=1, **options)
    system.accept(WHO)
    wait_until(lambda: system.creates(WHO), "the create has been sent")

    worker.kill()
    assert system.record(WHO)["state"] == "sending"
    system.assert_sound()
    worker.start()
    system.hurry()
    assert system.record(WHO)["state"] == "sending", "it was claimed although its worker may still be alive"

    system.make_due(WHO)
    record = system.wait_for(WHO, "created")
    assert record["outcome"] == outcome
    assert record["attempts_made"] >= 2
    system.assert_one_contact(WHO)


def test_a_worker_killed_amid_the_contacts_of_a_message_leaves_one_of_them_uncertain(
    start_system: StartSystem,
) -> None:
    system = start_system(env=UNHURRIED)
    [worker] = system.stack.workers
    worker.stop()
    everybody = [f"{WHO}-{number}" for number in range(10)]
    for identifier in everybody:
        system.accept(identifier)
    system.client.delete(keys.QUEUE)
    message = system.store.queue.envelope.message(" ".join(map(system.key, everybody)), "several")
    system.client.lpush(keys.QUEUE, message)
    system.livedesk.behave("commit_then_hang", on="create", identifier=everybody[6], times=1)
    worker.start()
    wait_until(lambda: system.creates(everybody[6]), "the seventh create has been sent")

    worker.kill()
    assert [system.state(identifier) for identifier in everybody] == ["created"] * 6 + ["sending"] + ["pending"] * 3
    system.assert_sound()
    worker.start()
    system.outlast_leases()
    system.drain()
    system.assert_everybody(everybody)
    for identifier in everybody:
        assert len(system.creates(identifier)) == 1


def test_a_worker_that_is_asked_to_stop_finishes_what_it_has_begun_and_begins_nothing(
    start_system: StartSystem,
) -> None:
    system = start_system(env=UNHURRIED)
    [worker] = system.stack.workers
    system.livedesk.behave("slow", on="create", delay=3)
    everybody = [f"{WHO}-{number}" for number in range(30)]
    for identifier in everybody:
        system.accept(identifier)
    begun = wait_until(lambda: all_threads_busy(system), "every thread of the worker waits for an answer")

    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(15), "it takes longer than an attempt lasts"
    assert worker.exit_code == 0

    for identifier in everybody:
        state = "created" if identifier in begun else "pending"
        assert system.record(identifier)["state"] == state
    assert {request.identifier for request in system.livedesk.requests("create")} == begun
    system.assert_sound()

    system.livedesk.clear()
    worker.start()
    for identifier in everybody:
        system.make_due(identifier)
        system.wait_for(identifier, "created")
        system.assert_one_contact(identifier)
        assert len(system.creates(identifier)) == 1


def test_workers_killed_again_and_again_lose_and_double_nobody(start_system: StartSystem) -> None:
    system = start_system(workers=2)
    system.livedesk.behave("slow", on="create", delay=0.1, share=0.5, seed=1)
    system.livedesk.behave("commit_then_reset", on="create", share=0.5, seed=2)
    everybody = [f"{WHO}-{number}" for number in range(60)]
    for number, identifier in enumerate(everybody):
        system.accept(identifier)
        if number % 20 == 10:
            kill_and_restart(system)
    system.outlast_leases()
    system.drain()
    system.assert_everybody(everybody)


def kill_and_restart(system: System) -> None:
    for worker in system.stack.workers:
        worker.kill()
    for worker in system.stack.workers:
        worker.start()


def test_messages_that_come_twice_or_name_nobody_do_no_harm(start_system: StartSystem) -> None:
    system = start_system(workers=2)
    system.livedesk.behave("slow", on="create", delay=0.3)
    system.accept(WHO)
    key = system.key(WHO)
    for number in range(20):
        system.client.lpush(keys.QUEUE, system.store.queue.envelope.message(key, f"again-{number}"))
    system.client.lpush(keys.QUEUE, system.store.queue.envelope.message("nobody", "stray"))

    system.wait_for(WHO, "created")
    wait_until(lambda: system.client.llen(keys.QUEUE) == 0, "all messages have been read")
    assert len(system.creates(WHO)) == 1
    system.assert_one_contact(WHO)


def test_two_workers_share_the_work_and_nobody_is_sent_twice(start_system: StartSystem) -> None:
    system = start_system(workers=2)
    system.livedesk.behave("slow", on="create", delay=0.1)
    everybody = [f"{WHO}-{number}" for number in range(60)]
    for identifier in everybody:
        system.accept(identifier)
    for identifier in everybody:
        system.wait_for(identifier, "created")
        assert len(system.creates(identifier)) == 1

    assert system.livedesk.stats().duplicates == 0
    assert system.livedesk.stats().overlaps == 0
    for worker in system.stack.workers:
        assert "state=created" in worker.log_text()


def test_a_message_that_was_lost_is_sent_again(start_system: StartSystem) -> None:
    system = start_system()
    [worker] = system.stack.workers
    worker.stop()
    system.accept(WHO)
    assert system.client.delete(keys.QUEUE) == 1
    worker.start()
    assert system.record(WHO)["state"] == "pending"

    system.make_due(WHO)
    record = system.wait_for(WHO, "created")
    assert record["attempts_made"] == 1
    system.assert_one_contact(WHO)


def test_the_sweep_of_a_worker_needs_nobody_to_call_it(start_system: StartSystem) -> None:
    system = start_system()
    [worker] = system.stack.workers
    worker.stop()
    system.accept(WHO)
    system.client.delete(keys.QUEUE)
    system.make_due(WHO)

    worker.start()
    wait_until(lambda: system.record(WHO)["state"] == "created", "the worker's own sweep has found it")
    system.assert_one_contact(WHO)


def all_threads_busy(system: System) -> set[str | None]:
    begun = {request.identifier for request in system.livedesk.requests("create")}
    return begun if len(begun) == 8 else set()


def test_contacts_wait_while_livedesk_cannot_be_reached(start_system: StartSystem) -> None:
    system = start_system()
    stand_in = system.stack.stand_in
    assert stand_in is not None
    stand_in.stop()
    system.accept(WHO)

    record = system.wait_for_attempts(WHO, 3)
    assert (record["state"], record["cause"]) == ("retrying", "connect_failed")
    assert system.client.hget(keys.contact(system.key(WHO)), "spent_ms") == "0"

    stand_in.start()
    system.wait_for(WHO, "created")
    assert len(system.creates(WHO)) == 1
    system.assert_one_contact(WHO)
