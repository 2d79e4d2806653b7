"""Commands as the documentation writes them: in a clone, and without sources."""

import subprocess
import sys
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
    for arguments in (["contacts", "retry", "ada"], ["pause"], ["resume"], ["contacts", "show", "ada"]):
        result = flask(*arguments, **env)
        assert result.returncode == 0, result.stderr
    record = store.contacts.find("ada")
    assert record is not None
    assert record.state is State.RETRYING
    people = tmp_path / "people.csv"
    people.write_text("identifier,inbox_id\nbob,1\n", encoding="utf-8")
    imported = flask("import", str(people), **env)
    assert (imported.returncode, imported.stdout) == (0, "1 accepted, 0 updated, 0 duplicate, 0 invalid.\n")
    assert flask("import", str(people), "--source", "crm", **env).returncode == 1


@pytest.mark.parametrize(
    "sources", [{}, {"SOURCES_FILE": "/does/not/exist.toml"}, {"WEBHOOK_SECRET": "short"}], ids=["none", "file", "bad"]
)
@pytest.mark.usefixtures("client")
def test_only_commands_that_need_the_sources_report_their_mistakes(redis_url: str, sources: dict[str, str]) -> None:
    env = {**LIVEDESK, **sources, "REDIS_URL": redis_url}
    assert flask("pause", **env).returncode == 0
    needs = flask("send-test", "signup", **env)
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
