"""``make run`` as a developer meets it: what it prints, what Ctrl-C does, and what it says when it cannot start."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import requests

from tests.rig.local import prepare, read_environment, sole_use
from tests.rig.parts import ROOT, bare_environment
from tests.rig.processes import (
    LOCALHOST,
    Process,
    StartError,
    free_port,
    has_logged,
    is_free,
)
from tests.rig.screen import welcome
from tests.rig.valkey import Valkey

pytestmark = pytest.mark.skipif(
    (ROOT / "sources.toml").exists(), reason="your sources.toml takes the place of the source that make run makes"
)

Run = Callable[..., Process]


@pytest.fixture
def ports() -> dict[str, str]:
    return {name: str(free_port()) for name in ("PORT", "STAND_IN_PORT", "VALKEY_PORT")}


@pytest.fixture
def make_run(tmp_path: Path, ports: dict[str, str]) -> Iterator[Run]:
    """Makes ``make run`` in a folder of the test's own, with an environment that has nothing but ports and ``env``."""
    made: list[Process] = []

    def make(**env: str) -> Process:
        process = Process(
            "make run",
            [sys.executable, "-m", "tests.rig", "--data", str(tmp_path / "data"), "--env-file", str(tmp_path / ".env")],
            log=tmp_path / f"run-{len(made)}.log",
            env={**bare_environment(), **ports, **env},
            cwd=ROOT,
            ready=has_logged("Ctrl-C stops everything"),
            start_s=60,
            stop_s=30,
        )
        made.append(process)
        return process

    yield make
    for process in made:
        process.kill()


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def address(ports: dict[str, str]) -> str:
    return f"http://{LOCALHOST}:{ports['PORT']}"


def printed_commands(text: str) -> list[list[str]]:
    """The curl lines on the screen, as a shell takes them apart."""
    joined = text.replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.startswith("  curl ")]


def pasted(command: list[str]) -> requests.Response:
    """Does what curl does with these arguments."""
    _curl, url, *options = command
    pairs = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in pairs if option == "-H")
    data = next((value for option, value in pairs if option == "-d"), None)
    return requests.request("POST" if data else "GET", url, headers=headers, data=data, timeout=10)


def test_the_printed_lines_work_and_a_second_run_goes_on(make_run: Run, tmp_path: Path) -> None:
    first = make_run().start()
    send, look = printed_commands(first.log_text())
    assert pasted(send).json()["status"] == "accepted"
    wait_until(lambda: pasted(look).json()["state"] == "created")
    [stand_in] = re.findall(r"http://\S+/_control/contacts", first.log_text())
    [dashboard, password] = re.findall(r"^Dashboard +(\S+), password (\S+)$", first.log_text(), re.MULTILINE)[0]
    assert requests.get(dashboard, timeout=5).url.startswith(f"{dashboard}/sign-in")
    assert len(password) >= 12
    assert [contact["identifier"] for contact in requests.get(stand_in, timeout=5).json()] == ["ada-1"]
    flask = [sys.executable, "-m", "flask", "--env-file", str(tmp_path / "data/run.env"), "--app", "webhook_app.wsgi"]
    subprocess.run([*flask, "retry", "ada-1"], env=bare_environment(), cwd=ROOT, check=True)
    os.kill(first.pid, signal.SIGINT)
    assert first.wait(30)
    assert first.exit_code == 0
    stops = re.findall(r"Stopping the ([\w -]+)\.", first.log_text())
    assert stops == ["receiver", "worker", "stand-in LiveDesk", "Valkey server"]
    assert "Traceback" not in first.log_text()

    second = make_run().start()
    assert printed_commands(second.log_text()) == [send, look]
    assert pasted(look).json()["state"] == "created"
    assert pasted(send).json()["status"] == "duplicate"
    second.stop()
    assert second.exit_code == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").glob("*-*"))


def test_what_dies_is_started_again_and_nothing_is_lost(make_run: Run, ports: dict[str, str]) -> None:
    run = make_run().start()
    send, look = printed_commands(run.log_text())
    pasted(send)
    with redis.Redis(port=int(ports["VALKEY_PORT"])) as client:
        client.shutdown(nosave=True)
    wait_until(lambda: "The Valkey server ended with exit code 0. It will be started again" in run.log_text())
    wait_until(lambda: requests.get(f"{address(ports)}/readyz", timeout=5).status_code == 200)
    assert pasted(look).json()["identifier"] == "ada-1"


def test_ctrl_c_while_it_starts(make_run: Run, ports: dict[str, str]) -> None:
    run = make_run()
    run.spawn()
    wait_until(lambda: "Starting the worker" in run.log_text())
    os.kill(run.pid, signal.SIGINT)
    assert run.wait(30)
    assert run.exit_code == 0
    assert "Traceback" not in run.log_text()
    assert all(is_free(int(port)) for port in ports.values())


def test_a_second_ctrl_c_does_not_wait(make_run: Run, ports: dict[str, str]) -> None:
    run = make_run().start()
    os.kill(run.pid, signal.SIGINT)
    wait_until(lambda: "Stopping the receiver" in run.log_text())
    os.kill(run.pid, signal.SIGINT)
    assert run.wait(2)
    assert run.exit_code == 0
    assert "Traceback" not in run.log_text()
    assert all(is_free(int(port)) for port in ports.values())


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"PORT": "eighty"}, "PORT must be a port, a number from 1 to 65535."),
        ({"LIVEDESK_API_KEY": "key"}, "LIVEDESK_API_SECRET is not set: set it, or LIVEDESK_API_SECRET_FILE."),
        ({"LIVEDESK_TIMEOUT": "soon"}, "LIVEDESK_TIMEOUT must be a duration such as 30s, 15m, 72h or 90d."),
        ({"SOURCES_FILE": "nowhere.toml"}, "nowhere.toml"),
        ({"WEB_THREADS": "many"}, "WEB_THREADS must be a number from 1 to 1000."),
        ({"WORKER_CONCURRENCY": "0"}, "WORKER_CONCURRENCY must be a number from 1 to 1000."),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "The Redis that REDIS_URL names cannot be used: ConnectionError."),
    ],
)
def test_a_wrong_setting_is_one_sentence(make_run: Run, env: dict[str, str], sentence: str) -> None:
    run = make_run(**env)
    run.spawn()
    assert run.wait(30)
    assert run.exit_code == 1
    assert sentence in run.log_text()
    assert len(run.log_text().splitlines()) == 1


@pytest.mark.parametrize("name", ["PORT", "STAND_IN_PORT", "VALKEY_PORT"])
def test_a_taken_port_is_one_sentence(make_run: Run, ports: dict[str, str], name: str) -> None:
    with socket.create_server((LOCALHOST, int(ports[name]))):
        run = make_run()
        run.spawn()
        assert run.wait(30)
    assert run.exit_code == 1
    assert run.log_text() == (
        f"Port {ports[name]} is taken by another program. Stop that, or choose another port with {name}.\n"
    )


def test_a_folder_is_used_by_one_run_at_a_time(tmp_path: Path) -> None:
    with sole_use(tmp_path), pytest.raises(StartError, match="Another `make run` is using"), sole_use(tmp_path):
        pass


def test_what_you_have_is_not_started(tmp_path: Path) -> None:
    own = {"LIVEDESK_API_KEY": "k", "LIVEDESK_API_SECRET": "s", "LIVEDESK_INBOX_ID": "7", "API_TOKEN": "t" * 16}
    own["DASHBOARD_PASSWORD"] = "p" * 12
    with Valkey(tmp_path / "yours", port=free_port(), config={"appendonly": "no"}) as yours:
        local = prepare(tmp_path, {**own, "REDIS_URL": yours.url, "PORT": str(free_port())})
    assert local.stack.valkey is None
    assert local.stack.stand_in is None
    assert list(local.made) == ["WEBHOOK_SECRET"]
    screen = welcome(local)
    assert "LiveDesk   the real one" in screen
    assert "Redis      yours\n           appendonly is off" in screen
    assert own["API_TOKEN"] not in screen
    assert own["DASHBOARD_PASSWORD"] not in screen
    port = local.stack.url.rpartition(":")[2]
    assert local.env_file.read_text() == f"PORT={port}\nWEBHOOK_SECRET_FILE={tmp_path / 'webhook-secret'}\n"


def test_with_sources_of_your_own_a_line_to_send_a_test_is_printed(
    make_run: Run, tmp_path: Path, ports: dict[str, str]
) -> None:
    (tmp_path / "sources.toml").write_text('[sources.shop]\npreset = "shopify"\nsecret = "the-secret-of-the-test"\n')
    run = make_run(SOURCES_FILE=str(tmp_path / "sources.toml")).start()
    [line] = re.findall(r"(?m)^  \.venv/bin/flask (.* send-test .*)$", run.log_text())
    env = {**bare_environment(), "SOURCES_FILE": str(tmp_path / "sources.toml")}
    sent = subprocess.run(
        [sys.executable, "-m", "flask", *shlex.split(line)], env=env, cwd=ROOT, check=True, capture_output=True
    )
    assert sent.stdout.splitlines()[-1].startswith(b"created: contact ")


def test_the_environment_goes_before_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\nPORT=8000\nAPI_TOKEN='a b $c'\nSENTRY_DSN=\n")
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.delenv("SENTRY_DSN", raising=False)
    found = read_environment(file)
    assert found["PORT"] == "9000"
    assert found["API_TOKEN"] == "a b $c"
    assert "SENTRY_DSN" not in found
