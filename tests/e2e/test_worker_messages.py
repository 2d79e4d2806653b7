"""Whatever is in the queue, a worker goes on."""

import os
import time
from typing import Any

import pytest

from tests.e2e.conftest import StartSystem
from tests.e2e.system import System, call
from tests.rubbish import RUBBISH
from tests.world import wait_until
from worker.store import keys

HUGE = 50_000_000


def dropped(system: System) -> int:
    """Return what ``/metrics`` says."""
    lines = call("GET", f"{system.stack.url}/metrics").text.splitlines()
    [line] = [line for line in lines if line.startswith("livedesk_sync_messages_dropped_total ")]
    return round(float(line.split()[1]))


def test_a_worker_drops_what_is_not_ours_and_creates_the_contacts_between(start_system: StartSystem) -> None:
    system = start_system(fresh=True)
    [worker] = system.stack.workers
    pid = worker.pid
    everybody = []
    for number, message in enumerate([*RUBBISH.values(), b"[" * HUGE]):
        system.client.lpush(keys.QUEUE, message)
        if number % 8 == 0:
            everybody.append(f"user-{number}")
            system.accept(everybody[-1])
    for identifier in everybody:
        system.wait_for(identifier, "created")
        assert system.record(identifier)["attempts_made"] == 1
    wait_until(lambda: dropped(system) == len(RUBBISH) + 1, "all of it is counted")

    assert worker.is_running
    assert worker.pid == pid
    os.kill(pid, 0)
    log = worker.log_text()
    assert log.count("WARNING worker.process.messages messages dropped") == 1
    assert "Traceback" not in log
    assert "the-key" not in log
    assert system.client.llen(keys.QUEUE) == 0
    system.assert_everybody(everybody)


@pytest.mark.parametrize("reason", ["WRONGTYPE", "no permissions"])
def test_a_queue_that_cannot_be_read_is_reported_and_read_again_later(start_system: StartSystem, reason: str) -> None:
    system = start_system(fresh=True)
    [worker] = system.stack.workers
    if reason == "WRONGTYPE":
        system.client.set(keys.QUEUE, "a string")
    else:
        system.client.acl_setuser("default", enabled=True, commands=["-brpop"])
    wait_until(lambda: "queue unreadable" in worker.log_text(), "the worker says so")
    before = brpops(system)
    time.sleep(3)
    assert brpops(system) - before <= 4
    [line] = [line for line in worker.log_text().splitlines() if "queue unreadable" in line]
    assert " CRITICAL worker.process.messages queue unreadable key={lds}:create error=" in line
    assert reason in line
    assert "Traceback" not in worker.log_text()
    system.accept("ada")

    system.client.acl_setuser("default", enabled=True, commands=["+brpop"])
    system.client.delete(keys.QUEUE)
    system.accept("bob")
    system.wait_for("bob", "created")
    system.make_due("ada")
    system.wait_for("ada", "created")
    assert worker.is_running


def brpops(system: System) -> int:
    """Return how often a queue was read, or should have been."""
    stats: Any = system.client.info("commandstats")
    brpop = stats.get("cmdstat_brpop", {})
    return int(brpop.get("calls", 0)) + int(brpop.get("rejected_calls", 0))
