"""What runs beside the tasks: each round, and the thread that outlives them all."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.invariants import assert_invariants
from tests.world import ENVELOPE
from worker.errors import StoreUnavailable
from worker.model import Attempt, AttemptResult, Contact, Origin, Outcome, State, UpstreamPolicy
from worker.process.activity import Activity
from worker.process.sweeper import FORGET_INTERVAL_S, LOG_EVERY_S, STUCK_STATUS, Sweeper
from worker.store import keys, record
from worker.store.database import MAX_REMOVED
from worker.store.queue import GRACE_MS, Queue, Swept
from worker.store.store import Store

DAY_MS = 86_400_000
AWAY = StoreUnavailable("ConnectionError")


class ScriptedQueue(Queue):
    """A queue whose sweeps have prepared results; after those, the real ones."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, ENVELOPE, UpstreamPolicy(), grace_ms=GRACE_MS)
        self.rounds: list[Swept | Exception] = []
        self.used_up = threading.Event()

    def sweep(self, worker: str = "", report: str = "", keys_per_message: int = 1) -> Swept:
        if not self.rounds:
            self.used_up.set()
            return super().sweep(worker, report, keys_per_message)
        swept = self.rounds.pop(0)
        if isinstance(swept, Exception):
            raise swept
        return swept


class ScriptedStore(Store):
    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client, ENVELOPE, lease_ms=45_000)
        self.queue: ScriptedQueue = ScriptedQueue(self)

    def create(self, identifier: str) -> None:
        """A contact that is created and a day old."""
        self.contacts.accept(Contact(identifier, 1), Origin("signup"))
        claim = self.contacts.claim(record.contact_key(identifier, self.salt()), "token")
        assert claim is not None
        self.contacts.finish(
            claim, AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED), Attempt(1, 1, 200)
        )


class Turned:
    """A clock that only the test turns, in seconds."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def store(client: redis.Redis) -> Iterator[ScriptedStore]:
    yield ScriptedStore(client)
    assert_invariants(client)


@pytest.fixture
def clock() -> Turned:
    return Turned()


@pytest.fixture
def stuck() -> list[str]:
    """Grows by one each time that the sweeper says that its process is stuck."""
    return []


@pytest.fixture
def sweeper(store: ScriptedStore, clock: Turned, stuck: list[str]) -> Sweeper:
    return Sweeper(
        store,
        activity=Activity("host", 7, clock=clock),
        keep_created_ms=DAY_MS,
        stuck_after_s=120,
        on_stuck=lambda: stuck.append("stuck"),
        clock=clock,
    )


def test_a_round_hands_over_what_is_due_and_leaves_a_sign_of_life(
    sweeper: Sweeper, store: ScriptedStore, client: redis.Redis
) -> None:
    store.contacts.accept(Contact("ada", 1), Origin("signup"))
    client.delete(keys.QUEUE)
    store.shift_ms += GRACE_MS
    assert sweeper.once().handed == 1
    assert client.llen(keys.QUEUE) == 1
    assert set(Store(client).queue.workers().seen) == {"host:7"}
    assert sweeper.once().handed == 0


def test_old_contacts_are_forgotten_at_once_and_then_once_a_minute(
    sweeper: Sweeper, store: ScriptedStore, clock: Turned, client: redis.Redis
) -> None:
    def round_leaves(identifier: str) -> bool:
        store.create(identifier)
        store.shift_ms += DAY_MS
        sweeper.once()
        return Store(client).contacts.find(identifier) is not None

    assert not round_leaves("ada")
    sweeper.once()
    assert round_leaves("bob")
    clock.seconds += FORGET_INTERVAL_S - 1
    assert round_leaves("cyd")
    clock.seconds += 1
    assert not round_leaves("dan")
    assert Store(client).contacts.counts()[State.CREATED] == 0


def test_as_long_as_there_is_something_to_forget_every_round_forgets(
    sweeper: Sweeper, store: ScriptedStore, client: redis.Redis
) -> None:
    for number in range(MAX_REMOVED + 1):
        store.create(f"contact-{number}")
    store.shift_ms += DAY_MS
    sweeper.once()
    sweeper.once()
    assert Store(client).contacts.counts()[State.CREATED] == 0


# Is the worker stuck?


def test_a_worker_that_starts_nothing_although_messages_wait_is_stuck(
    sweeper: Sweeper, store: ScriptedStore, clock: Turned, stuck: list[str]
) -> None:
    store.queue.rounds = [Swept(0, 5), Swept(0, 5), Swept(0, 5)]
    sweeper.once()
    clock.seconds += 120
    sweeper.once()
    assert not stuck
    clock.seconds += 1
    sweeper.once()
    assert stuck


def test_a_worker_that_starts_something_is_not_stuck(
    sweeper: Sweeper, store: ScriptedStore, clock: Turned, stuck: list[str]
) -> None:
    store.queue.rounds = [Swept(0, 5), Swept(0, 5)]
    sweeper.once()
    clock.seconds += 100
    sweeper.task_started()
    clock.seconds += 100
    sweeper.once()
    assert not stuck


def test_a_worker_for_which_nothing_waits_is_not_stuck(
    sweeper: Sweeper, store: ScriptedStore, clock: Turned, stuck: list[str]
) -> None:
    store.queue.rounds = [Swept(0, 5), Swept(0, 0), Swept(0, 5)]
    for _ in range(3):
        clock.seconds += 100
        sweeper.once()
    assert not stuck


def test_a_worker_is_not_to_blame_for_the_time_that_redis_was_away(
    sweeper: Sweeper, store: ScriptedStore, clock: Turned, stuck: list[str]
) -> None:
    store.queue.rounds = [Swept(0, 5), AWAY, Swept(0, 5), Swept(0, 5)]
    sweeper.once()
    clock.seconds += 3600
    with pytest.raises(StoreUnavailable):
        sweeper.once()
    clock.seconds += 1
    sweeper.once()
    assert not stuck
    clock.seconds += 121
    sweeper.once()
    assert stuck, "when Redis is back and still nothing starts"


def test_a_process_that_is_stuck_ends_at_once_with_a_status_of_its_own() -> None:
    code = (
        "import atexit; from worker.process.sweeper import end_process; atexit.register(print, 'late'); end_process()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (STUCK_STATUS, "")


# The thread


def test_the_thread_outlives_a_bug_and_an_outage_and_ends_when_stopped(
    sweeper: Sweeper, store: ScriptedStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.queue.rounds = [ZeroDivisionError("ada@example.com"), AWAY]
    sweeper.start()
    assert store.queue.used_up.wait(10)
    sweeper.stop()
    sweeper._thread.join(10)
    assert not sweeper._thread.is_alive()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "ada@example.com" not in caplog.text


@pytest.mark.parametrize("ask", [Sweeper.stop, Sweeper.leave])
def test_a_signal_may_interrupt_the_end(
    ask: Callable[[Sweeper], None], sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``Event.set`` holds a lock that a handler, which runs in the same thread, would wait for."""
    set_event, calls = threading.Event.set, []

    def set_and_be_interrupted(event: threading.Event) -> None:
        calls.append(event)
        if len(calls) == 1:
            sweeper.stop()
        set_event(event)

    monkeypatch.setattr(threading.Event, "set", set_and_be_interrupted)
    ask(sweeper)
    assert (len(calls), sweeper.is_stopping) == (1, True)


def test_an_outage_has_one_line_a_minute_in_the_log(
    sweeper: Sweeper, clock: Turned, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        sweeper._report(AWAY)
    clock.seconds += LOG_EVERY_S
    sweeper._report(AWAY)
    assert [record.getMessage() for record in caplog.records] == ["sweep failed error=ConnectionError"] * 2
