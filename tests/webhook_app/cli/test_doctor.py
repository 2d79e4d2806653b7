"""``flask doctor`` checks every hop in order, and names a broken one with a fix."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import Result

from tests.e2e.system import System
from tests.invariants import assert_invariants
from tests.livedesk import StandIn, serve
from tests.rig.parts import ROOT, Stack
from tests.rig.processes import free_port
from tests.world import make_store
from webhook_app import cli
from webhook_app.access import Access, Provider
from webhook_app.app import create_app
from webhook_app.parts import Parts
from webhook_app.sources.config import read_source
from worker.errors import SettingsError
from worker.livedesk.client import LiveDesk
from worker.model import Account, Attempt, AttemptResult, Contact, Origin, Signal, State
from worker.store import keys
from worker.store.connection import connect
from worker.store.queue import QUEUE_BOUNDS
from worker.store.store import Store

KEY, SECRET = "demo-key", "demo-secret"
SOURCE: dict[str, Any] = {"verify": "token", "secret": "the-secret-of-the-app", "map": {"identifier": "$.id"}}


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with serve(by_id=True) as standin:
        yield standin


@pytest.fixture
def standin(running: StandIn) -> StandIn:
    running.reset()
    return running


@pytest.fixture
def store(client: redis.Redis) -> Iterator[Store]:
    yield make_store(client)
    assert_invariants(client)


@contextmanager
def worker_of(store: Store) -> Iterator[None]:
    """A thread that makes progress and takes messages, like a worker."""
    stop = threading.Event()
    store.queue.sweep("host-1")

    def work() -> None:
        while not stop.wait(0.01):
            store.client.rpop(keys.QUEUE)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def doctor(store: Store, standin: StandIn, *arguments: str, secret: str = SECRET, **options: Any) -> Result:
    parts = {
        "sources": {"app": read_source("app", SOURCE, {})},
        "livedesk": LiveDesk(standin.url, KEY, secret, timeout_s=1.0),
        "inbox_id": 1,
        **options,
    }
    app = create_app(Parts(store=store, **parts))
    return app.test_cli_runner().invoke(args=["doctor", *arguments])


HUBSPOT: dict[str, Any] = {"verify": "hubspot-v3", "secret": "the-secret-of-the-crm", "map": {"identifier": "$.id"}}


def test_it_warns_where_an_address_of_ours_would_follow_the_client(store: Store, standin: StandIn) -> None:
    sources = {"crm": read_source("crm", HUBSPOT, {}), "app": read_source("app", SOURCE, {})}
    provider = Provider(issuer="https://login.example", client_id="us", client_secret="hunter2", viewers=("staff",))
    options: dict[str, Any] = {"sources": sources, "access": Access(provider=provider)}
    output = doctor(store, standin, "--no-probe", **options).output
    warning = "the sign-in with OIDC_ISSUER and the signature of crm depends on the Host header"
    assert warning in " ".join(output.split())
    assert ("WARNING", "address") not in told(doctor(store, standin, "--no-probe")), "nothing needs it"
    fixed = doctor(store, standin, "--no-probe", **options, public_url="https://desk.example.com")
    assert "People and senders use https://desk.example.com." in fixed.output
    assert "TRUSTED_PROXIES is 0 behind a proxy" in fixed.output
    options["access"] = Access(provider=provider, proxies=1)
    assert "TRUSTED_PROXIES" not in doctor(store, standin, "--no-probe", **options, public_url="https://a.test").output


def told(result: Result) -> list[tuple[str, str]]:
    """The level and subject of each line."""
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines() if not line.startswith(" ")]
    return [(level, rest[:12].strip()) for level, rest in lines]


def failed(result: Result) -> list[str]:
    return [about for level, about in told(result) if level == "failed"]


def away() -> Store:
    return make_store(connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1))


@pytest.mark.e2e
def test_a_healthy_system(tmp_path: Path) -> None:
    """Everything with real processes; the workers use the results of the probes."""
    with Stack.on_free_ports(tmp_path, stand_in_options=("--by-id",)) as stack:
        command = [sys.executable, "-m", "flask", "--app", "webhook_app.wsgi", "doctor", "--yes"]
        env = {**stack.env, "PYTHONPATH": str(ROOT)}
        result = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stdout + result.stderr
        lines = [line.split()[:2] for line in result.stdout.splitlines() if not line.startswith(" ")]
        assert [about for level, about in lines if level != "ok"] == ["TLS"]
        assert [about for _, about in lines][:7] == [
            *("settings", "sources", "redis", "durable", "writable", "worker", "hand-over"),
        ]
        assert ["ok", "promise"] in lines
        assert stack.env["LIVEDESK_API_SECRET"] not in result.stdout
        system = System(stack)
        try:
            assert system.livedesk.contacts() == []
            found = Store(system.client).findings.account(
                LiveDesk(stack.livedesk_url, stack.env["LIVEDESK_API_KEY"], "").account
            )
            assert (found.unique, found.searchable, found.searchable_bare) == (True, True, True)
            system.accept("ada")
            assert system.wait_for("ada", "created")["outcome"] == "created"
            system.assert_sound()
        finally:
            system.close()


def test_mistakes_in_the_settings_are_the_first_hop() -> None:
    app = cli.without_parts(SettingsError(["LIVEDESK_API_KEY is not set.", "PORT must be a number."]))
    result = app.test_cli_runner().invoke(args=["doctor"])
    assert result.exit_code == 1
    assert told(result) == [("failed", "settings"), ("failed", "settings")]
    assert "LIVEDESK_API_KEY is not set." in result.stdout


def test_without_redis_livedesk_is_tried_all_the_same(standin: StandIn) -> None:
    result = doctor(away(), standin, "--no-probe")
    assert result.exit_code == 1
    assert failed(result) == ["redis"]
    assert ("ok", "credentials") in told(result)


def test_warnings_about_redis_are_shown(store: Store, standin: StandIn) -> None:
    """The server of these tests keeps no file."""
    with worker_of(store):
        result = doctor(store, standin, "--no-probe")
    assert ("warning", "durable") in told(result)
    assert "appendfsync" in result.stdout


def test_no_worker(store: Store, standin: StandIn) -> None:
    result = doctor(store, standin, "--no-probe")
    assert failed(result) == ["worker"]
    assert "Start bin/worker" in result.stdout


@pytest.mark.parametrize(
    ("signal", "cause", "says"),
    [
        (
            Signal.MISCONFIGURED,
            "unauthorized",
            "The sync is misconfigured: LiveDesk rejects our API key (401) (unauthorized).",
        ),
        (Signal.INBOX, "inbox_not_found", "The contacts of inbox 7 wait: LiveDesk does not know the inbox."),
    ],
)
def test_the_reason_why_contacts_wait_is_shown(
    signal: Signal, cause: str, says: str, store: Store, standin: StandIn
) -> None:
    store.contacts.accept(Contact("ada", 7), Origin("app"))
    claim = store.contacts.claim(store.key_of("ada"), "token")
    assert claim is not None
    failed_so = AttemptResult(state=State.RETRYING, cause=cause, signal=signal, delay_ms=60_000)
    store.contacts.finish(claim, failed_so, Attempt(claim.now, 1))
    with worker_of(store):
        result = doctor(store, standin, "--no-probe")
    assert failed(result) == ["sync"]
    assert says in result.stdout


def test_a_pause_is_shown(store: Store, standin: StandIn) -> None:
    with worker_of(store):
        assert ("ok", "sync") in told(doctor(store, standin, "--no-probe"))
        store.upstream.pause("ada", "a migration")
        assert ("warning", "sync") in told(doctor(store, standin, "--no-probe"))


def test_a_worker_that_takes_nothing(store: Store, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.doctor, "HAND_OVER_S", 0.2)
    store.queue.sweep("host-1")
    result = doctor(store, standin, "--no-probe")
    assert failed(result) == ["hand-over"]


def test_a_queue_that_is_full_is_not_made_longer(store: Store, standin: StandIn, client: redis.Redis) -> None:
    store.queue.sweep("host-1")
    client.lpush(keys.QUEUE, *["{}"] * QUEUE_BOUNDS[-1])
    result = doctor(store, standin, "--no-probe")
    assert ("warning", "hand-over") in told(result)
    assert client.llen(keys.QUEUE) == QUEUE_BOUNDS[-1]
    client.delete(keys.QUEUE)


def test_a_test_message_changes_nothing(store: Store, client: redis.Redis) -> None:
    assert store.queue.ping() is not None
    message = str(client.rpop(keys.QUEUE))
    before = client.dbsize()
    assert store.contacts.claim(message.split()[0], "token") is None
    assert client.dbsize() == before


def test_a_wrong_secret_is_named_and_nothing_is_created(store: Store, standin: StandIn) -> None:
    with worker_of(store):
        result = doctor(store, standin, "--yes", secret="another-secret")
    assert result.exit_code == 1
    assert failed(result) == ["credentials"]
    assert "another-secret" not in result.output
    assert standin.requests("create") == []


@pytest.mark.parametrize("arguments", [["--no-probe"], ["--no-probe", "--yes"], []])
def test_without_consent_nothing_is_created(arguments: list[str], store: Store, standin: StandIn) -> None:
    with worker_of(store):
        result = doctor(store, standin, *arguments)
    assert result.exit_code == 0, result.output
    assert ("warning", "live probes") in told(result)
    assert standin.requests("create") == []


def test_what_was_found_out_is_kept(store: Store, standin: StandIn) -> None:
    standin.behave("identifier_not_unique")
    with worker_of(store):
        result = doctor(store, standin, "--yes")
    assert result.exit_code == 0, "that is dealt with"
    assert ("warning", "unique") in told(result)
    found = store.findings.account(LiveDesk(standin.url, KEY, SECRET).account)
    assert (found.unique, found.searchable) == (False, True)


def deletions(result: Result) -> list[str]:
    """What is said about sources that delete, with what to do."""
    lines = result.stdout.splitlines()
    return [text for at, line in enumerate(lines) if 'on_delete = "delete" of' in line for text in lines[at : at + 2]]


def test_a_source_that_should_delete_is_told_whether_it_can(store: Store, standin: StandIn) -> None:
    sources = {
        "app": read_source("app", {**SOURCE, "deleted_if": {"$.type": "user.deleted"}, "on_delete": "delete"}, {}),
        "shop": read_source("shop", SOURCE, {}),
    }
    with worker_of(store):
        said = deletions(doctor(store, standin, "--no-probe", sources=sources))
        assert "of app marks contacts instead: LiveDesk is not known to let us delete them." in said[0]
        assert said[1].strip() == "-> Run flask doctor --yes."
        standin.behave("unauthorized", on="delete", shape="not_authorized")
        result = doctor(store, standin, "--yes", sources=sources)
        assert result.exit_code == 0, "that is dealt with"
        assert "LiveDesk does not let us delete them." in deletions(result)[0]
        assert "administrator" in deletions(result)[1]
        assert deletions(doctor(store, standin, "--no-probe", sources=sources)) == deletions(result), "it is kept"
        standin.reset()
        assert deletions(doctor(store, standin, "--yes", sources=sources)) == []
        assert deletions(doctor(store, standin, "--no-probe", sources=sources)) == []
    found = store.findings.account(LiveDesk(standin.url, KEY, SECRET).account)
    assert (found.creates_attributes, found.deletes) == (True, True)


def test_an_inbox_that_is_not_there_breaks_it(store: Store, standin: StandIn) -> None:
    with worker_of(store):
        result = doctor(store, standin, "--yes", inbox_id=9)
    assert failed(result) == ["inbox"]
    found = store.findings.account(LiveDesk(standin.url, KEY, SECRET).account)
    assert found == Account(), "probes that broke off tell nothing"


def test_what_cannot_be_kept_is_said(standin: StandIn) -> None:
    result = doctor(away(), standin, "--yes")
    assert failed(result) == ["redis", "saved"]
