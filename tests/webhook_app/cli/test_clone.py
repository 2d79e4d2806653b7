"""Commands as the documentation writes them: in a clone, and without sources."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.rig.local import prepare, read_environment
from tests.rig.parts import ROOT, bare_environment
from tests.rig.processes import free_port
from tests.world import make_store
from worker.model import Attempt, AttemptResult, Contact, Origin, State

LIVEDESK = {"LIVEDESK_API_KEY": "key", "LIVEDESK_API_SECRET": "secret"}


def flask(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flask", *arguments]
    return subprocess.run(command, env={**bare_environment(), **env}, cwd=ROOT, capture_output=True, text=True)


#: Runs several commands in one process, which saves a second each, and prints their exit codes and outputs.
SEVERAL = """
import json, sys
from click.testing import CliRunner
from flask.cli import cli
for arguments in map(json.loads, sys.argv[1:]):
    result = CliRunner().invoke(cli, arguments, prog_name="flask")
    print(json.dumps([result.exit_code, result.stdout, result.stderr]))
"""


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def flask_each(*commands: list[str], **env: str) -> list[Ended]:
    """Run ``flask`` with each list of arguments, in one process."""
    run = [sys.executable, "-c", SEVERAL, *map(json.dumps, commands)]
    result = subprocess.run(run, env={**bare_environment(), **env}, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    ended = [Ended(*json.loads(line)) for line in result.stdout.splitlines()]
    assert len(ended) == len(commands)
    return ended


def test_commands_need_no_option_in_a_clone(tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text('[sources.crm]\nverify = "token"\nsecret = "$CRM"\n', encoding="utf-8")
    checked = flask("sources", "check", SOURCES_FILE=str(path), CRM="a-token-of-the-tests")
    assert (checked.returncode, checked.stdout) == (0, "OK: 1 source\n"), checked.stderr
    listed = flask("sources", SOURCES_FILE=str(path))
    assert "address" in listed.stdout
    assert "CRM is not set" in listed.stdout


def test_commands_without_sources_work(client: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    store = make_store(client)
    store.contacts.accept(Contact("ada", 1), Origin("signup"))
    claim = store.contacts.claim(store.key_of("ada"), "token")
    assert claim is not None
    store.contacts.finish(claim, AttemptResult(state=State.FAILED, cause="x"), Attempt(1, 1))
    env = {**LIVEDESK, "REDIS_URL": redis_url}
    people = tmp_path / "people.csv"
    people.write_text("identifier,inbox_id\nbob,1\n", encoding="utf-8")
    *changes, imported, from_crm = flask_each(
        *(["contacts", "retry", "ada"], ["pause"], ["resume"], ["contacts", "show", "ada"]),
        ["import", str(people)],
        ["import", str(people), "--source", "crm"],
        **env,
    )
    for result in changes:
        assert result.returncode == 0, result.stderr
    record = store.contacts.find("ada")
    assert record is not None
    assert record.state is State.RETRYING
    assert (imported.returncode, imported.stdout) == (0, "1 accepted, 0 updated, 0 duplicate, 0 invalid.\n")
    assert from_crm.returncode == 1


@pytest.mark.parametrize(
    "sources", [{}, {"SOURCES_FILE": "/does/not/exist.toml"}, {"WEBHOOK_SECRET": "short"}], ids=["none", "file", "bad"]
)
@pytest.mark.usefixtures("client")
def test_only_commands_that_need_the_sources_report_their_mistakes(redis_url: str, sources: dict[str, str]) -> None:
    env = {**LIVEDESK, **sources, "REDIS_URL": redis_url}
    paused, needs = flask_each(["pause"], ["send-test", "signup"], **env)
    assert paused.returncode == 0
    assert needs.returncode == 1
    assert needs.stderr.startswith("Error: The configuration has mistakes.\n")
    assert "LIVEDESK_INBOX_ID" not in needs.stderr


def test_doctor_reports_mistakes_in_the_sources(redis_url: str) -> None:
    result = flask("doctor", "--no-probe", **LIVEDESK, REDIS_URL=redis_url)
    assert result.returncode == 1
    levels = [line.split()[:2] for line in result.stdout.splitlines()]
    assert levels == [["ok", "settings"], ["failed", "sources"]]


def test_mistakes_in_the_settings_are_still_mistakes() -> None:
    result = flask("pause", LIVEDESK_RATE="fast", **LIVEDESK)
    assert result.returncode == 1
    assert "LIVEDESK_RATE" in result.stderr


def test_without_sources_the_commands_serve_nothing(redis_url: str) -> None:
    code = "import webhook_app.wsgi as it; print(it.app.test_client().post('/webhooks/signup').status_code)"
    env = {**bare_environment(), **LIVEDESK, "REDIS_URL": redis_url, "FLASK_RUN_FROM_CLI": "true"}
    result = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True)
    assert result.stdout == "503\n", result.stderr


def test_the_env_file_of_a_run_has_what_came_from_yours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``make run`` with ``--env-file X``: the command it prints needs nothing else."""
    sources = tmp_path / "sources.toml"
    sources.write_text('[sources.crm]\npreset = "generic-bearer"\nsecrets = ["$CRM", "$CRM_OLD"]\n', encoding="utf-8")
    given = tmp_path / "X"
    awkward = 'it\'s a \\ "token" # with $everything'
    given.write_text(f"CRM=from-the-file-X\nSOURCES_FILE={sources}\nOF_ANOTHER_PROGRAM=1\n", encoding="utf-8")
    monkeypatch.setenv("CRM_OLD", awkward)
    for name in ("PORT", "STAND_IN_PORT", "VALKEY_PORT"):
        monkeypatch.setenv(name, str(free_port()))
    local = prepare(tmp_path / "data", read_environment(given))
    assert local.env_file.stat().st_mode & 0o077 == 0
    result = flask("--env-file", str(local.env_file), "sources", "check")
    assert (result.returncode, result.stdout) == (0, "OK: 1 source\n"), result.stdout + result.stderr
    written = read_environment(local.env_file)
    assert (written["CRM"], written["CRM_OLD"]) == ("from-the-file-X", awkward)
    assert "HOME" not in local.env_file.read_text(encoding="utf-8")
