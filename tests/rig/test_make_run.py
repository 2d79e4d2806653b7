"""``make run``: what it prints, how Ctrl-C ends it, why it does not start."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import requests

from tests.livedesk import StandIn
from tests.rig.__main__ import main
from tests.rig.local import exclusive, prepare, read_environment
from tests.rig.parts import ROOT, bare_environment
from tests.rig.processes import LOCALHOST, Process, StartError, free_port, has_logged, is_free
from tests.rig.screen import welcome
from tests.rig.valkey import Valkey
from tests.world import wait_until

pytestmark = pytest.mark.skipif(
    (ROOT / "sources.toml").exists(), reason="your sources.toml replaces the source that make run generates"
)

Run = Callable[..., Process]


@pytest.fixture
def ports() -> dict[str, str]:
    return {name: str(free_port()) for name in ("PORT", "STAND_IN_PORT", "VALKEY_PORT")}


@pytest.fixture
def make_run(tmp_path: Path, ports: dict[str, str]) -> Iterator[Run]:
    """Return ``make run`` in the test's folder, with only ports and ``env`` set."""
    made: list[Process] = []

    def make(**env: str) -> Process:
        process = Process(
            "make run",
            [sys.executable, "-m", "tests.rig", "--data", str(tmp_path / "data"), "--env-file", str(tmp_path / ".env")],
            log=tmp_path / f"run-{len(made)}.log",
            env={**bare_environment(), **ports, **env},
            cwd=ROOT,
            ready=has_logged("Commands   "),
            start_s=60,
            stop_s=30,
        )
        made.append(process)
        return process

    yield make
    for process in made:
        process.stop()


def test_a_folder_from_before_becomes_private(tmp_path: Path) -> None:
    """As a folder of an earlier version, or one created with the usual umask."""
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    (folder / "appendonlydir").mkdir(parents=True, mode=0o755)
    elsewhere.write_text("not ours")
    (folder / "link").symlink_to(elsewhere)
    for name in ("appendonlydir/appendonly.aof.1.incr.aof", "web.log"):
        (folder / name).write_text("ada@example.com")
    for path in (folder, folder / "appendonlydir", folder / "web.log", elsewhere):
        path.chmod(path.stat().st_mode | 0o055)
    before = os.umask(0o022)
    try:
        with exclusive(folder):
            (folder / "later.log").write_text("ada@example.com")
    finally:
        os.umask(before)
    found = {path.name: path.lstat().st_mode & 0o077 for path in (folder, *folder.rglob("*")) if not path.is_symlink()}
    assert len(found) == 6
    assert set(found.values()) == {0}
    assert elsewhere.stat().st_mode & 0o055, "what a link leads to stays as it is"


def printed_commands(text: str) -> list[list[str]]:
    """Return the curl commands on the screen, split as a shell does."""
    joined = text.replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.startswith("  curl ")]


def pasted(command: list[str]) -> requests.Response:
    """Send what curl sends with these arguments."""
    _curl, url, *options = command
    pairs = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in pairs if option == "-H")
    data = next((value for option, value in pairs if option == "-d"), None)
    return requests.request("POST" if data else "GET", url, headers=headers, data=data, timeout=10)


def interrupt(run: Process) -> None:
    """Press Ctrl-C, and check that everything ends in order."""
    os.kill(run.pid, signal.SIGINT)
    assert run.wait(30)
    assert run.exit_code == 0
    assert run.log_text().endswith("Stopped.\n")
    assert "Traceback" not in run.log_text()


def flask(arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flask", *shlex.split(arguments)]
    environment = {**bare_environment(), **env}
    return subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True)


def test_the_printed_commands_work_and_data_survives_the_next_run(
    make_run: Run, tmp_path: Path, ports: dict[str, str]
) -> None:
    first = make_run().start()
    send, look = printed_commands(first.log_text())
    assert pasted(send).json()["status"] == "accepted"
    wait_until(lambda: pasted(look).json()["state"] == "created")
    [stand_in] = re.findall(r"http://\S+/_control/contacts", first.log_text())
    [dashboard, password] = re.findall(r"^Dashboard +(\S+), password (\S+)$", first.log_text(), re.MULTILINE)[0]
    assert requests.get(dashboard, timeout=5).url.startswith(f"{dashboard}/sign-in")
    assert len(password) >= 12
    assert [contact["identifier"] for contact in requests.get(stand_in, timeout=5).json()] == ["ada-1"]
    flask(f"--env-file {tmp_path / 'data/run.env'} retry ada-1")
    interrupt(first)
    assert all(is_free(int(port)) for port in ports.values())

    second = make_run().start()
    assert printed_commands(second.log_text()) == [send, look]
    assert pasted(look).json()["state"] == "created"
    assert pasted(send).json()["status"] == "duplicate"
    assert [contact["identifier"] for contact in requests.get(stand_in, timeout=5).json()] == ["ada-1"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").glob("*-*"))
    StandIn(f"http://{LOCALHOST}:{ports['STAND_IN_PORT']}").behave("hang", on="create")
    send[-1] = send[-1].replace("ada-1", "ada-2")
    assert pasted(send).json()["status"] == "accepted"
    look[1] = look[1].replace("ada-1", "ada-2")
    wait_until(lambda: pasted(look).json()["state"] == "sending")
    interrupt(second)
    assert all(is_free(int(port)) for port in ports.values())


def test_with_your_own_sources_a_command_to_send_a_test_is_printed_and_what_ends_ends_everything(
    make_run: Run, tmp_path: Path, ports: dict[str, str]
) -> None:
    sources = tmp_path / "sources.toml"
    sources.write_text('[sources.shop]\npreset = "shopify"\nsecret = "the-secret-of-the-test"\n')
    run = make_run(SOURCES_FILE=str(sources)).start()
    [line] = re.findall(r"(?m)^  \.venv/bin/flask (.* send-test .*)$", run.log_text())
    sent = flask(line)
    assert sent.stdout.splitlines()[-1].startswith("created: contact ")

    [worker] = re.findall(r"worker started \(pid=(\d+)\)", run.log_text())
    os.kill(int(worker), signal.SIGKILL)
    assert run.wait(30)
    assert run.exit_code == 1
    assert run.log_text().endswith("A process ended, so everything was stopped.\n")
    assert all(is_free(int(port)) for port in ports.values())


def test_when_valkey_ends_everything_stops_and_nothing_is_lost(make_run: Run, ports: dict[str, str]) -> None:
    run = make_run().start()
    send, look = printed_commands(run.log_text())
    assert pasted(send).json()["status"] == "accepted"
    with redis.Redis(port=int(ports["VALKEY_PORT"])) as client:
        client.shutdown(nosave=True)
    assert run.wait(30)
    assert run.exit_code == 1
    assert run.log_text().endswith("Valkey ended, so everything was stopped.\n")
    make_run().start()
    assert pasted(look).json()["identifier"] == "ada-1"


def test_ctrl_c_while_it_starts(make_run: Run, ports: dict[str, str]) -> None:
    run = make_run()
    run.spawn()
    wait_until(lambda: "stand-in LiveDesk | " in run.log_text())
    interrupt(run)
    assert all(is_free(int(port)) for port in ports.values())


Start = Callable[[dict[str, str]], tuple[int, str]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Start:
    """Return ``make run`` in this process, for settings with which it fails."""

    def run(env: dict[str, str]) -> tuple[int, str]:
        arguments = ["--data", str(tmp_path / "data"), "--env-file", str(tmp_path / ".env")]
        monkeypatch.setattr(sys, "argv", ["tests.rig", *arguments])
        monkeypatch.setattr(os, "environ", {**bare_environment(), **env})
        exit_code = main()
        printed = capfd.readouterr()
        return exit_code, printed.out + printed.err

    return run


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
def test_a_wrong_setting_is_one_sentence(
    start: Start, ports: dict[str, str], env: dict[str, str], sentence: str
) -> None:
    exit_code, output = start({**ports, **env})
    assert exit_code == 1
    assert sentence in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("name", ["PORT", "STAND_IN_PORT", "VALKEY_PORT"])
def test_a_port_in_use_is_one_sentence(start: Start, ports: dict[str, str], name: str) -> None:
    with socket.create_server((LOCALHOST, int(ports[name]))):
        exit_code, output = start(ports)
    assert exit_code == 1
    assert output == (f"Port {ports[name]} is in use by another program. Stop that, or set {name} to another port.\n")


def test_a_process_ends_with_the_exit_code(make_run: Run) -> None:
    run = make_run(PORT="eighty")
    run.spawn()
    assert run.wait(30)
    assert run.exit_code == 1
    assert run.log_text() == "PORT must be a port, a number from 1 to 65535.\n"


def test_only_one_run_at_a_time_uses_a_folder(tmp_path: Path) -> None:
    with exclusive(tmp_path), pytest.raises(StartError, match="Another `make run` uses"), exclusive(tmp_path):
        pass


def test_what_you_have_is_not_started(tmp_path: Path) -> None:
    own = {"LIVEDESK_API_KEY": "k", "LIVEDESK_API_SECRET": "s", "LIVEDESK_INBOX_ID": "7", "API_TOKEN": "t" * 16}
    own["DASHBOARD_PASSWORD"] = "p" * 12
    with Valkey(tmp_path / "yours", port=free_port(), config={"appendonly": "no"}) as yours:
        local = prepare(tmp_path, {**own, "REDIS_URL": yours.url, "PORT": str(free_port())})
    assert local.stack.valkey is None
    assert local.stack.stand_in is None
    assert list(local.generated) == ["WEBHOOK_SECRET"]
    screen = welcome(local)
    assert "LiveDesk   the real one" in screen
    assert "Redis      yours\n           appendonly is off" in screen
    assert own["API_TOKEN"] not in screen
    assert own["DASHBOARD_PASSWORD"] not in screen
    port = local.stack.url.rpartition(":")[2]
    written = local.env_file.read_text()
    assert written.splitlines()[-2:] == [f"REDIS_URL={yours.url}", f"WEBHOOK_SECRET_FILE={tmp_path / 'webhook-secret'}"]
    assert f"PORT={port}\n" in written
    assert "LIVEDESK_API_KEY=k\n" in written


def test_the_environment_goes_before_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\nPORT=8000\nAPI_TOKEN='a b $c'\nSENTRY_DSN=\n")
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.delenv("SENTRY_DSN", raising=False)
    found = read_environment(file)
    assert found["PORT"] == "9000"
    assert found["API_TOKEN"] == "a b $c"
    assert "SENTRY_DSN" not in found
