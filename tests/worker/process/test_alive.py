"""The health check: the workers on this host, or one of them, have fresh heartbeats."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.rig.processes import free_port
from tests.world import make_store
from worker.process.alive import main
from worker.store.queue import HEARTBEAT_FRESH_MS
from worker.store.store import Store

HOST = socket.gethostname()
#: A worker that hangs: its process is there. And one that was killed: no process has this id.
HERE, GONE = os.getpid(), 2**22 + 1


@pytest.fixture
def store(client: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in {"LIVEDESK_API_KEY": "key", "LIVEDESK_API_SECRET": "secret", "REDIS_URL": redis_url}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    return make_store(client)


@pytest.fixture
def neighbour() -> Iterator[int]:
    """The id of another process."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def beat(store: Store, pid: int, age_ms: int = 0, host: str = HOST) -> None:
    store.shift_ms -= age_ms
    store.queue.sweep(f"{host}:{pid}")
    store.shift_ms += age_ms


def test_a_worker_that_made_progress_is_alive(store: Store) -> None:
    beat(store, HERE)
    assert main() is None
    assert main([str(HERE)]) is None


def test_a_worker_on_another_host_does_not_count(store: Store) -> None:
    beat(store, HERE, host="elsewhere")
    assert main() == f"No worker has run on {HOST}."
    assert main([str(HERE)]) == f"Process {HERE} on {HOST} is no worker that has run."


def test_a_worker_that_made_none_lately_is_not_alive(store: Store) -> None:
    beat(store, HERE, HEARTBEAT_FRESH_MS + 5_000)
    for problem in (main(), main([str(HERE)])):
        assert f"The last heartbeat of worker {HOST}:{HERE} is 3" in (problem or "")


def test_a_heartbeat_counts_for_half_a_minute(store: Store) -> None:
    beat(store, HERE, HEARTBEAT_FRESH_MS - 5_000)
    assert main() is None


def test_one_of_two_workers_on_a_host_that_hangs_is_found(store: Store, neighbour: int) -> None:
    beat(store, HERE)
    beat(store, neighbour, HEARTBEAT_FRESH_MS + 5_000)
    for problem in (main(), main([str(neighbour)])):
        assert f"The last heartbeat of worker {HOST}:{neighbour} is 3" in (problem or "")
    assert main([str(HERE)]) is None


def test_a_worker_that_was_killed_is_its_supervisors_business(store: Store) -> None:
    beat(store, GONE, HEARTBEAT_FRESH_MS + 5_000)
    assert f"The last heartbeat of worker {HOST}:{GONE} is 3" in (main() or ""), "there is no other"
    beat(store, HERE)
    assert main() is None
    assert main([str(GONE)]) == f"There is no process {GONE}."


def test_a_worker_that_stops_leaves_nothing(store: Store) -> None:
    beat(store, HERE)
    store.queue.leave(f"{HOST}:{HERE}")
    assert main() == f"No worker has run on {HOST}."


def test_the_heartbeat_of_a_former_version_counts(store: Store) -> None:
    store.queue.sweep(HOST)
    assert main() is None


def test_without_redis_nothing_is_known_and_nobody_is_restarted(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert main() is None
    assert capsys.readouterr().err == "Not checked: Redis cannot be used (ConnectionError). The workers wait for it.\n"
    assert main([str(GONE)]) == f"There is no process {GONE}."


def test_a_mistake_in_the_settings_is_reported(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVEDESK_API_KEY")
    assert main() == "LIVEDESK_API_KEY is not set: set it, or LIVEDESK_API_KEY_FILE."


@pytest.mark.parametrize("arguments", [["x"], ["-1"], ["1", "2"]])
def test_other_arguments_are_refused(arguments: list[str], store: Store) -> None:
    assert main(arguments) == "Usage: python -m worker.process.alive [PID]"


def test_the_exit_status_reports_it_without_loading_celery(store: Store) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "worker.process.alive"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[3], env=os.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"No worker has run on {HOST}.")
    for library in ("celery", "kombu", "flask", "requests"):
        assert f" {library}\n" not in done.stderr, library
