"""What a worker process reports, how often, and who reads it."""

import json

from tests.world import World
from worker import __version__
from worker.process.activity import REPORT_EVERY_S, Activity
from worker.store import keys
from worker.store.queue import KEYS_PER_MESSAGE, WORKER_KEPT_MS, WorkerReport, Workers


class Turned:
    """A clock that only the test turns, in seconds."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_report_says_what_runs_since_when_and_in_which_version() -> None:
    clock = Turned()
    activity = Activity("host", 7, clock=clock)
    activity.threads = 8
    clock.seconds += 60
    with activity.attempt(), activity.attempt():
        clock.seconds += 5
        report = json.loads(activity.report(lambda: 1_000_000))
    assert activity.name == "host:7"
    assert report.pop("memory") > 1_000_000
    assert report == {
        "version": __version__,
        "started_at": 1_000_000 - 65_000,
        "progress_at": 1_000_000 - 5_000,
        "threads": 8,
        "running": 2,
    }


def test_reports_are_written_now_and_then_and_soon_after_a_change() -> None:
    clock = Turned()
    activity = Activity("host", 7, clock=clock)

    def is_due() -> bool:
        return activity.report(lambda: 0) != ""

    assert [is_due(), is_due()] == [True, False]
    clock.seconds += 1
    assert not is_due()
    with activity.attempt():
        assert [is_due(), is_due()] == [True, False]
    assert not is_due(), "at most once a second"
    clock.seconds += 1
    assert is_due()
    clock.seconds += REPORT_EVERY_S
    assert is_due()


def test_an_attempt_that_fails_has_ended() -> None:
    activity = Activity("host", 7)
    try:
        with activity.attempt():
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert json.loads(activity.report(lambda: 0))["running"] == 0


def test_each_process_has_a_row_and_former_versions_too(world: World) -> None:
    queue = world.store.queue
    queue.sweep("host:7", Activity("host", 7).report(world.store.now))
    queue.sweep("host:8")
    queue.sweep("former")
    world.client.hset(keys.WORKER_REPORTS, "host:8", '{"of": "another version"}')
    workers = queue.workers()
    assert set(workers.seen) == set(workers.alive()) == {"host:7", "host:8", "former"}
    assert list(workers.reports) == ["host:7"]
    assert isinstance(workers.reports["host:7"], WorkerReport)


def test_a_worker_that_stops_leaves_the_time_of_its_last_progress(world: World) -> None:
    queue = world.store.queue
    queue.sweep("host:7", Activity("host", 7).report(world.store.now))
    queue.leave("host:7")
    workers = queue.workers()
    assert (workers.seen, workers.reports, workers.alive()) == ({}, {}, [])
    assert workers.last_seen is not None
    assert workers.last_seen <= world.now()
    assert Workers(0, {}).last_seen is None
    assert world.store.overview.figures().workers == 0


def test_a_worker_that_was_killed_is_forgotten_with_its_report(world: World) -> None:
    queue = world.store.queue
    queue.sweep("host:7", Activity("host", 7).report(world.store.now))
    world.store.shift_ms += WORKER_KEPT_MS + 1
    queue.sweep("host:8", Activity("host", 8).report(world.store.now))
    assert list(queue.workers().seen) == ["host:8"]
    assert world.client.hkeys(keys.WORKER_REPORTS) == ["host:8"]


def test_a_message_names_as_many_contacts_as_livedesk_answers_in_half_a_second() -> None:
    activity = Activity("host", 7)
    assert activity.keys_per_message() == 1, "nothing is known yet"

    def after_many(duration_ms: int) -> int:
        for _ in range(100):
            activity.took(duration_ms)
        return activity.keys_per_message()

    assert [after_many(ms) for ms in (1000, 240, 100, 0, 30_000)] == [1, 2, 4, KEYS_PER_MESSAGE, 1]


def test_each_attempt_of_several_is_progress() -> None:
    clock = Turned()
    activity = Activity("host", 7, clock=clock)
    with activity.attempt():
        clock.seconds += 60
        activity.progressed()
        clock.seconds += 1
        report = json.loads(activity.report(lambda: 1_000_000))
    assert report["progress_at"] == 1_000_000 - 1_000
