"""The container's health check: a worker on this host has a fresh heartbeat."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.rig.processes import free_port
from tests.world import make_store
from worker.process.alive import main
from worker.store.queue import HEARTBEAT_FRESH_MS
from worker.store.store import Store


@pytest.fixture
def store(client: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in {"LIVEDESK_API_KEY": "key", "LIVEDESK_API_SECRET": "secret", "REDIS_URL": redis_url}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    return make_store(client)


def test_a_worker_that_made_progress_is_alive(store: Store) -> None:
    store.queue.sweep(socket.gethostname())
    assert main() is None


def test_a_worker_on_another_host_does_not_count(store: Store) -> None:
    store.queue.sweep("elsewhere")
    assert main() == f"No worker has run on {socket.gethostname()}."


def test_a_worker_that_made_none_lately_is_not_alive(store: Store) -> None:
    store.shift_ms -= HEARTBEAT_FRESH_MS + 5_000
    store.queue.sweep(socket.gethostname())
    assert main() == f"The last heartbeat of the worker on {socket.gethostname()} is 35 s old."


def test_a_heartbeat_counts_for_half_a_minute(store: Store) -> None:
    store.shift_ms -= HEARTBEAT_FRESH_MS - 5_000
    store.queue.sweep(socket.gethostname())
    assert main() is None


def test_without_redis_nobody_is_alive(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert main()


def test_a_mistake_in_the_settings_is_reported(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVEDESK_API_KEY")
    assert main() == "LIVEDESK_API_KEY is not set: set it, or LIVEDESK_API_KEY_FILE."


def test_the_exit_status_reports_it(store: Store) -> None:
    command = [sys.executable, "-m", "worker.process.alive"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[3], env=os.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, f"No worker has run on {socket.gethostname()}.\n")
