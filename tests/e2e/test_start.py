"""Starts of web, worker and commands: .env, mistakes in the settings, missing programs, a quiet log."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.rig.parts import ROOT, STAND_IN_ACCOUNT, _with_our_programs, bare_environment, receiver
from tests.rig.processes import free_port

SETTINGS = {**STAND_IN_ACCOUNT, "WEBHOOK_SECRET": "whsec_dGhlLXNlY3JldC1vZi10aGUtdGVzdHMtMDEyMzQ1"}


def run(*command: str, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=plain", "plain"),
        ("NAME='with $HOME and # and spaces'", "with $HOME and # and spaces"),
        ('NAME="it\'s & quoted"', "it's & quoted"),
        ("NAME=value # a comment", "value"),
        ("export NAME=value\r", "value"),
        ("NAME=", ""),
        ("NAME=a=b;c&d`e`$(f)", "a=b;c&d`e`$(f)"),
        ("# NAME=x", None),
        ("GIVEN=from the file", None),
    ],
)
def test_env_is_read_and_variables_that_are_set_win(tmp_path: Path, line: str, value: str | None) -> None:
    (tmp_path / ".env").write_text(f"OTHER=x\n{line}\nBAD-NAME=x\nno assignment")
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "bin" / "environment", tmp_path / "bin")
    (tmp_path / "bin" / "show").write_text('. "$(dirname "$0")/environment"\nprintf "%s|%s" "${NAME-none}" "$GIVEN"')
    env = _with_our_programs({**bare_environment(), "GIVEN": "before"})
    done = run("/bin/sh", "bin/show", cwd=tmp_path, env=env)
    assert (done.stdout, done.stderr) == (f"{'none' if value is None else value}|before", "")


@pytest.mark.parametrize("name", ["web", "worker"])
def test_with_settings_missing_it_says_so_before_it_listens(tmp_path: Path, name: str) -> None:
    env = _with_our_programs({**bare_environment(), "PORT": str(free_port())})
    done = run(str(ROOT / "bin" / name), cwd=tmp_path, env=env)
    assert done.returncode == 78
    assert "LIVEDESK_API_KEY is not set: set it, or LIVEDESK_API_KEY_FILE." in done.stderr
    assert "Listening" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["web", "worker", "flask"])
def test_without_the_programs_it_says_how_to_install_them(tmp_path: Path, name: str) -> None:
    shutil.copytree(ROOT / "bin", tmp_path / "bin")
    done = run(f"bin/{name}", cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 69
    assert "pip install --require-hashes --requirement requirements.txt" in done.stderr


def test_the_web_process_reads_env_and_logs_in_our_format(tmp_path: Path) -> None:
    lines = {**SETTINGS, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    with receiver(free_port(), env=bare_environment(), log=tmp_path / "web.log", cwd=tmp_path) as web:
        log = web.log_text()
    assert "quite high" not in log
    assert " INFO _granian Listening at: http://127.0.0.1:" in log


def test_flask_reads_env_without_advice(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in SETTINGS.items()))
    done = run(str(ROOT / "bin" / "flask"), "sources", cwd=tmp_path, env=_with_our_programs(bare_environment()))
    assert "signup" in done.stdout
    assert "Tip" not in done.stderr


def test_the_health_check_of_a_container_knows_what_runs(tmp_path: Path) -> None:
    env = _with_our_programs({**bare_environment(), "PORT": str(free_port())})
    commands = {
        "python\0/usr/local/bin/celery\0--app\0worker.app\0worker": "LIVEDESK_API_KEY is not set",
        "python\0/usr/local/bin/granian\0webhook_app.wsgi:app": "Connection refused",
        "docker-init\0--\0bin/worker": "LIVEDESK_API_KEY is not set",
        "python\0-m\0tests.livedesk": "",
    }
    for command, error in commands.items():
        (tmp_path / "cmdline").write_text(command)
        done = run(str(ROOT / "bin" / "health"), str(tmp_path / "cmdline"), cwd=tmp_path, env=env)
        assert (done.returncode == 0) is (error == "")
        assert error in done.stderr
        assert os.access(ROOT / "bin" / "health", os.X_OK)
