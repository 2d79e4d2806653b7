"""The rig that starts, stops and breaks processes for end-to-end tests."""

import fcntl
import os
import signal
import socket
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import requests

from tests.rig.parts import ROOT, TEST_ENV, Stack
from tests.rig.processes import (
    LOCALHOST,
    Probe,
    Process,
    StartError,
    answers,
    free_port,
    has_logged,
    is_running,
)
from tests.rig.valkey import Valkey
from tests.world import wait_until

Script = Callable[..., Process]
SAYS_READY = has_logged("ready")


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    """Makes processes of Python text; all are gone when the test ends."""
    made: list[Process] = []

    def make(text: str, *, ready: Probe = SAYS_READY, port: int | None = None, start_s: float = 10) -> Process:
        command = [sys.executable, "-u", "-c", textwrap.dedent(text)]
        process = Process("thing", command, log=tmp_path / f"{len(made)}.log", ready=ready, port=port, start_s=start_s)
        made.append(process)
        return process

    yield make
    for process in made:
        process.kill()


WEB_SERVER = (
    "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port={port}, bind='{host}')"
)
#: Locks its file as long as it lives.
HOLDER = (
    "import fcntl, sys, time; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); "
    "print('ready', flush=True); time.sleep(600)"
)
#: Ignores SIGTERM and has a child.
STUBBORN = """
    import signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", {holder!r}, {locked!r}])
    time.sleep(600)
"""


@pytest.fixture
def locked(tmp_path: Path) -> str:
    """A file for a ``HOLDER`` to lock."""
    path = tmp_path / "locked"
    path.touch()
    return str(path)


def is_locked(path: str) -> bool:
    with Path(path).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_start_waits_until_it_is_ready_and_stop_sends_sigterm_first(script: Script) -> None:
    polite = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        time.sleep(0.2)
        print("ready")
        time.sleep(600)
    """
    process = script(polite).start()
    assert "ready" in process.log_text()
    process.stop()
    assert process.exit_code == 7
    assert not process.is_running


def test_a_process_that_ends_at_once_is_reported_with_its_last_lines(script: Script) -> None:
    process = script("import sys; print('reading the settings'); sys.exit('PORT must be a number.')")
    with pytest.raises(StartError, match=r"The thing ended at once, with exit code 1(.|\n)*PORT must be a number"):
        process.start()


def test_a_process_that_is_never_ready_is_killed_and_reported(script: Script) -> None:
    process = script("import time; print('thinking'); time.sleep(600)", start_s=0.3)
    with pytest.raises(StartError, match=r"not ready within 0\.3 s(.|\n)*thinking"):
        process.start()
    assert process.exit_code == -signal.SIGKILL


def test_a_command_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="The thing cannot be run: No such file or directory: no-such-program"):
        Process("thing", ["no-such-program"], log=tmp_path / "log").start()


def test_a_port_in_use_is_reported_before_its_server_is_mistaken_for_ours(script: Script) -> None:
    with socket.create_server((LOCALHOST, 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(StartError, match=f"Port {port}, which the thing needs, is in use by another program"):
            script("print('ready')", port=port, ready=is_running).start()


def test_stop_kills_a_process_that_ignores_sigterm_and_its_children(script: Script, locked: str) -> None:
    process = script(STUBBORN.format(holder=HOLDER, locked=locked)).start()
    assert is_locked(locked)
    process.stop(timeout_s=0.2)
    assert process.exit_code == -signal.SIGKILL
    wait_until(lambda: not is_locked(locked))


def test_the_children_of_a_dead_process_are_killed(script: Script, locked: str) -> None:
    process = script(STUBBORN.format(holder=HOLDER, locked=locked)).start()
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not process.is_running)
    wait_until(lambda: not is_locked(locked))


def test_kill_start_again_pause_and_resume(script: Script) -> None:
    port = free_port()
    url = f"http://{LOCALHOST}:{port}/"
    process = script(WEB_SERVER.format(port=port, host=LOCALHOST), ready=answers(url), port=port).start()
    process.kill()
    assert process.exit_code == -signal.SIGKILL
    process.start()
    assert process.is_running
    process.pause()
    with pytest.raises(requests.Timeout):
        requests.get(url, timeout=0.3)
    process.resume()
    assert requests.get(url, timeout=5).status_code == 200


def test_a_paused_process_can_be_stopped(script: Script) -> None:
    process = script("import time; print('ready'); time.sleep(600)").start()
    process.pause()
    process.stop()
    assert process.exit_code == -signal.SIGTERM


def test_nothing_outlives_a_parent_that_was_killed(script: Script, locked: str) -> None:
    parent = script(f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        from tests.rig.processes import Process, has_logged
        command = [sys.executable, "-c", {HOLDER!r}, {locked!r}]
        Process("child", command, log=Path({locked!r} + ".log"), ready=has_logged("ready")).start()
        print("ready")
        time.sleep(600)
    """).start()
    assert is_locked(locked)
    os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: not is_locked(locked))


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "valkey", port=free_port()) as server:
        yield server


def connect(server: Valkey) -> "redis.Redis":
    return redis.Redis.from_url(server.url, decode_responses=True)


def test_valkey_keeps_what_it_acknowledged_after_kill_9(valkey: Valkey) -> None:
    with connect(valkey) as client:
        for number in range(100):
            client.set(f"key-{number}", "value")
    valkey.kill()
    valkey.start()
    with connect(valkey) as client:
        assert client.dbsize() == 100


def test_valkey_is_as_durable_as_production_must_be(valkey: Valkey) -> None:
    with connect(valkey) as client:
        found = client.config_get("append*", "maxmemory-policy", "save", "bind")
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "bind": LOCALHOST,
    }
    assert wanted.items() <= found.items()


def test_valkey_takes_other_settings_and_a_unix_socket(tmp_path: Path) -> None:
    config = {"appendfsync": "no", "maxmemory": "50mb"}
    with Valkey(tmp_path / "valkey", unix_socket=tmp_path / "s", config=config) as server, connect(server) as client:
        assert client.config_get("appendfsync") == {"appendfsync": "no"}
        assert client.config_get("port") == {"port": "0"}


def test_a_paused_valkey_does_not_answer(valkey: Valkey) -> None:
    valkey.pause()
    assert not valkey.answers_ping()
    valkey.resume()
    assert valkey.answers_ping()


def test_valkey_with_unreadable_data_says_what_to_do(valkey: Valkey) -> None:
    with connect(valkey) as client:
        client.set("key", "value")
    valkey.stop()
    [data] = (valkey.folder / "appendonlydir").glob("*.incr.aof")
    data.write_bytes(b"*3\r\n$3\r\nSET\r\n" + b"garbage" * 50)
    with pytest.raises(StartError, match=r"Valkey cannot read its data in .*valkey-check-aof --fix"):
        valkey.start()


def test_two_systems_run_side_by_side_with_as_many_processes_as_wanted(tmp_path: Path) -> None:
    with Stack.on_free_ports(tmp_path / "a", receivers=2) as a, Stack.on_free_ports(tmp_path / "b", workers=2) as b:
        assert len(b.workers) == 2
        for stack, identifier in ((a, "ada"), (b, "bob")):
            send(stack, identifier)
            wait_until(lambda: state_of(stack, identifier) == "created")  # noqa: B023  # called at once
            contacts = requests.get(f"{stack.livedesk_url}/_control/contacts", timeout=5).json()
            assert [contact["identifier"] for contact in contacts] == [identifier]
        first, second = a.receivers
        assert first is a.receiver
        assert (first.name, second.name) == ("receiver 1", "receiver 2")
        first.stop()
        send(a, "eve", f"http://{LOCALHOST}:{second.port}")


def send(stack: Stack, identifier: str, url: str | None = None) -> None:
    answer = requests.post(
        f"{url or stack.url}/webhooks/signup",
        json={"identifier": identifier},
        headers={"Authorization": f"Bearer {TEST_ENV['WEBHOOK_SECRET']}"},
        timeout=5,
    )
    assert answer.status_code == 200


def state_of(stack: Stack, identifier: str) -> str:
    headers = {"Authorization": f"Bearer {TEST_ENV['API_TOKEN']}"}
    state: str = requests.get(f"{stack.url}/contacts/{identifier}", headers=headers, timeout=5).json()["state"]
    return state
