"""The workers use what ``flask doctor`` has found out about a LiveDesk account."""

import subprocess
import sys

from tests.e2e.conftest import StartSystem
from tests.e2e.system import System
from tests.rig.parts import ROOT
from worker.livedesk.client import LiveDesk
from worker.model import Account

WHO = "user-42"


def doctor(system: System) -> str:
    """Return its output: a warning about deletes, and nothing broken."""
    command = [sys.executable, "-m", "flask", "--app", "webhook_app.wsgi", "doctor", "--yes"]
    env = {**system.stack.env, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, cwd=system.stack.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_where_identifiers_are_not_unique_nobody_is_created_twice(start_system: StartSystem) -> None:
    system = start_system(fresh=True)
    system.livedesk.behave("identifier_not_unique")
    assert "The workers will look up before every create." in doctor(system)

    there = system.livedesk.add_contact(identifier=WHO)
    system.accept(WHO)
    record = system.wait_for(WHO, "created")
    assert (record["outcome"], record["contact_id"]) == ("adopted", there.id)
    assert system.creates(WHO) == []

    system.accept("user-43")
    system.wait_for("user-43", "created")
    system.assert_one_contact("user-43")
    first, second = sorted(
        (
            request
            for kind in ("search", "create")
            for request in system.livedesk.requests(kind)
            if request.identifier == "user-43"
        ),
        key=lambda request: request.received,
    )
    assert (first.kind, second.kind) == ("search", "create")


def test_where_search_does_not_find_nothing_is_sent_after_a_lost_answer(start_system: StartSystem) -> None:
    system = start_system(fresh=True)
    account = LiveDesk(system.stack.livedesk_url, system.stack.env["LIVEDESK_API_KEY"], "").account
    system.store.findings.save_account(account, Account(unique=False, searchable=False, searchable_bare=False))
    system.livedesk.behave("commit_then_500", on="create", times=1)
    system.livedesk.behave("identifier_not_unique")
    system.livedesk.behave("invisible")
    system.accept(WHO)

    assert system.wait_for(WHO, "conflict")["cause"] == "cannot_be_looked_up"
    assert len(system.executed(WHO)) == 1
    assert system.store.contacts.retry_now(system.store.key_of(WHO)) == "retrying"
    assert system.wait_for(WHO, "conflict")["cause"] == "cannot_be_looked_up"
    assert len(system.creates(WHO)) == 1, "however often somebody tries"
