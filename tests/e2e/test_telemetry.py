"""Metrics of all processes, and a log line for each attempt and each delivery."""

import json
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import StartSystem
from tests.e2e.system import System, call
from tests.world import wait_until
from worker.store import keys


def figures(system: System) -> dict[tuple[str, ...], float]:
    """Each sample by its name and its labels, the source first."""
    answer = call("GET", f"{system.stack.url}/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *dict(sorted(sample.labels.items(), reverse=True)).values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def lines(log: str, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


def test_receiver_and_workers_tell_what_they_do(start_system: StartSystem) -> None:
    system = start_system(env={"LOG_FORMAT": "json", "LOG_LEVEL": "debug", "WEB_PROCESSES": "2"}, workers=2)
    for number in range(10):
        system.accept(f"zq-{number}@example.com")
    assert call("POST", f"{system.stack.url}/webhooks/signup", json={}).status_code == 401
    system.drain()

    def complete() -> dict[tuple[str, ...], float]:
        found = figures(system)
        whole = (
            ("livedesk_sync_accept_duration_seconds_count",),
            ("livedesk_sync_livedesk_request_duration_seconds_count",),
            ("livedesk_sync_attempts_total", "created"),
        )
        is_whole = [found.get(name) for name in whole] == [10, 10, 10]
        return found if is_whole and found["livedesk_sync_workers",] == 2 else {}

    found = wait_until(complete, "every process has added what it counted, and every worker has swept")
    assert found["livedesk_sync_deliveries_total", "signup", "accepted"] == 10
    assert found["livedesk_sync_deliveries_refused_total", "signup", "unauthentic"] == 1
    assert found["livedesk_sync_attempts_total", "created"] == found["livedesk_sync_contacts", "created"] == 10

    deliveries = lines(system.log(), "delivery")
    attempts = lines(system.log(), "attempt")
    taken = {line["key"] for line in deliveries if line["result"] == "accepted"}
    assert taken == {line["key"] for line in attempts if line["state"] == "created"}
    assert (len(deliveries), len(taken)) == (11, 10)
    assert {"source", "status", "duration_ms", "waited_ms", "number"} <= set(attempts[0])
    assert "@example.com" not in system.log()


def test_a_deploy_loses_no_counts(start_system: StartSystem) -> None:
    system = start_system()
    system.accept("ada")
    system.wait_for("ada", "created")
    assert call("POST", f"{system.stack.url}/webhooks/nowhere", json={}).status_code == 404
    for part in (system.stack.receiver, *system.stack.workers):
        part.stop()
    counts = system.client.hgetall(keys.COUNTS)
    assert counts["refused::no_source"] == "1"
    assert int(counts["accept_us"]) > 0
    assert int(counts["livedesk_us"]) > 0


def test_a_worker_that_is_started_again_probes_at_once(start_system: StartSystem) -> None:
    system = start_system(env={"PROBE_FIRST": "1h", "PROBE_LONGEST": "1h"})
    [worker] = system.stack.workers
    system.livedesk.behave("unauthorized", on="any")
    system.accept("ada")
    wait_until(lambda: "sync stopped" in system.log(), "the sync has stopped")
    assert worker.is_running
    worker.stop()
    system.livedesk.clear()  # the configuration is fixed
    worker.start()
    system.wait_for("ada", "created")
    assert "probe requested" in worker.log_text()
