"""Sentry gets new causes and bugs; no personal data or secret is sent or logged."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import checked
from tests.e2e.system import FAST, System, call
from tests.rig.parts import (
    STAND_IN_ACCOUNT,
    TEST_ENV,
    Stack,
    bare_environment,
)
from tests.rig.processes import free_port
from tests.rig.valkey import Valkey
from tests.sentry_sink import Sink, running_sink
from tests.world import wait_until
from worker.store import keys
from worker.store.connection import connect
from worker.store.record import stored

REDIS_PASSWORD = "zq80password"
WHO = "zq81/identifier@here"
PERSON = {
    "identifier": WHO,
    "email": "zq82email@example.com",
    "name": "Zq83name",
    "phone_number": "+493012345678",
    "avatar_url": "https://example.com/zq84avatar.png",
}
#: None of these may be anywhere, in any case. Each is a piece that survives whatever encoding.
BASIC = ":".join([STAND_IN_ACCOUNT["LIVEDESK_API_KEY"], STAND_IN_ACCOUNT["LIVEDESK_API_SECRET"]])
FORBIDDEN = {
    "the Redis password": REDIS_PASSWORD,
    "an identifier": "zq81",
    "an e-mail address": "zq82email",
    "a name": "zq83name",
    "a phone number": "3012345678",
    "an avatar": "zq84avatar",
    "the webhook secret": TEST_ENV["WEBHOOK_SECRET"].removeprefix("whsec_"),
    "the webhook key": base64.b64decode(TEST_ENV["WEBHOOK_SECRET"].removeprefix("whsec_")).decode(),
    "the API token": TEST_ENV["API_TOKEN"],
    "the API key": STAND_IN_ACCOUNT["LIVEDESK_API_KEY"],
    "the API secret": STAND_IN_ACCOUNT["LIVEDESK_API_SECRET"],
    "the Basic header": base64.b64encode(BASIC.encode()).decode(),
    "another's secret": "zq85guess",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Sink]]:
    """A system that reports to the sink, with a Redis that asks for a password."""
    folder = tmp_path_factory.mktemp("sentry")
    with running_sink() as sink, guarded_redis(folder) as redis_url:
        env = {**bare_environment(), **TEST_ENV, **FAST, "REDIS_URL": redis_url, "SENTRY_DSN": sink.dsn}
        env.pop("SOURCES_FILE", None)
        with Stack(folder, env, port=free_port(), stand_in_port=free_port()) as stack:
            yield stack, sink


@pytest.fixture
def system(running: tuple[Stack, Sink]) -> Iterator[System]:
    stack, sink = running
    with checked(System(stack)) as system:
        system.begin_anew()
        sink.envelopes.clear()
        for part in stack.parts:
            part.skip_log()
        yield system


@pytest.fixture
def sink(running: tuple[Stack, Sink]) -> Sink:
    return running[1]


@contextmanager
def guarded_redis(folder: Path) -> Iterator[str]:
    with Valkey(folder / "valkey", port=free_port()) as valkey:
        client = connect(valkey.url, timeout_s=5)
        password = f"+{REDIS_PASSWORD}"
        client.acl_setuser("sync", enabled=True, passwords=password, keys=["*"], channels=["*"], commands=["+@all"])
        client.close()
        yield valkey.url.replace("redis://", f"redis://sync:{REDIS_PASSWORD}@")


def assert_nobody_was_named(system: System, sink: Sink) -> None:
    logs = "".join(part.log.read_text() for part in (system.stack.receiver, *system.stack.workers))
    sent = b"\n".join(sink.envelopes).decode()
    leaks = {what: place for what, text in FORBIDDEN.items() for place in places(text, log=logs, Sentry=sent)}
    assert not leaks, f"{leaks}"


def places(text: str, **contents: str) -> list[str]:
    """In which of the named contents the text is, with the line."""
    return [
        f"{name}: {line}"
        for name, content in contents.items()
        for line in content.splitlines()
        if text.lower() in line.lower()
    ]


def test_a_cause_is_reported_once_and_names_nobody(system: System, sink: Sink) -> None:
    echo = json.dumps({"message": f"{PERSON['email']} {PERSON['name']} {BASIC}", "attributes": []})
    system.livedesk.behave("status", on="create", status=413, body=echo)
    for number in range(5):
        system.accept(**{**PERSON, "identifier": f"{WHO}-{number}"})
    for number in range(5):
        system.wait_for(f"{WHO}-{number}", "failed")

    system.livedesk.clear()
    system.livedesk.behave("unauthorized", on="create", times=1)
    system.livedesk.behave("status", on="create", times=1, status=500, body=echo)
    system.livedesk.behave("commit_then_hang", on="create", times=1)
    system.accept(**{**PERSON, "identifier": f"{WHO}-again"})
    system.wait_for(f"{WHO}-again", "created")
    system.livedesk.add_contact(identifier="somebody-else", email=f"other-{PERSON['email']}")
    system.accept(**{**PERSON, "identifier": f"{WHO}-conflict", "email": f"other-{PERSON['email']}"})
    system.wait_for(f"{WHO}-conflict", "conflict")

    expected = Counter(["http_413", "unauthorized", "http_500", "answer_timeout", "email_taken"])
    wait_until(lambda: sink.causes() >= expected, "every cause is reported")
    assert sink.causes() == expected
    assert not sink.stops(), "LiveDesk answered searches"
    assert_nobody_was_named(system, sink)


@pytest.mark.parametrize(
    ("misbehaviour", "stop"),
    [
        ({"mode": "unauthorized"}, ": LiveDesk rejects our configuration (unauthorized)"),
        ({"mode": "status", "status": 503}, ": LiveDesk is down (http_503)"),
    ],
)
def test_a_stop_is_one_event_however_many_contacts_fail(
    misbehaviour: dict[str, Any], stop: str, system: System, sink: Sink
) -> None:
    """It logs one line, and one at its end; no contact is lost meanwhile."""
    system.livedesk.behave(misbehaviour.pop("mode"), on="any", **misbehaviour)
    for number in range(20):
        system.accept(f"{WHO}-{number}", name=PERSON["name"])
    wait_until(lambda: system.hurry() and sink.stops(), "the stop is reported")
    wait_until(lambda: system.hurry() and probes_failed(system) >= 2, "it was probed twice, in vain")
    health = call("GET", f"{system.stack.url}/readyz").json()
    assert (health["livedesk"]["state"], health["livedesk"]["cause"]) != ("up", None)
    assert health["livedesk"]["probe_at"] > health["livedesk"]["since"]

    system.livedesk.clear()
    system.drain()
    wait_until(lambda: "sync resumed" in system.log(), "the sync has resumed")
    assert sink.stops() == Counter([stop])
    assert system.log().count("sync stopped") == system.log().count("sync resumed") == 1
    assert_nobody_was_named(system, sink)


def probes_failed(system: System) -> int:
    return int(system.client.hget(keys.UPSTREAM, "probes") or 0)


def test_bugs_are_reported_and_name_nobody(system: System, sink: Sink) -> None:
    system.livedesk.behave("throttle", times=1, retry_after=3600)
    system.accept(**PERSON)
    system.wait_for(WHO, "retrying")  # where nobody will touch it
    system.client.delete(keys.UPSTREAM)  # requests may be sent again
    name = keys.contact(system.key(WHO))
    data = str(system.client.hget(name, "data"))

    # What can only be a bug: a record that makes no sense, so that errors quote it.
    system.client.hset(name, stored("state"), str(PERSON["email"]))
    answer = call("GET", f"{system.stack.url}/contacts/{WHO}", headers=operator())
    system.client.hset(name, mapping={stored("state"): "retrying", "data": json.dumps({PERSON["email"]: 1})})
    assert system.store.contacts.retry_now(system.store.key_of(WHO)) == "retrying"
    wait_until(lambda: system.hurry() and "TypeError" in system.log(), "the worker has met it")
    system.client.hset(name, "data", data)

    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "zq8" not in answer.text
    wait_until(lambda: {"ValueError", "TypeError"} <= set(sink.bugs()), f"both are reported: {sink.bugs()}")
    assert_nobody_was_named(system, sink)


def operator() -> dict[str, str]:
    return {"Authorization": f"Bearer {TEST_ENV['API_TOKEN']}"}


def test_bad_deliveries_and_lost_servers_name_nobody(system: System, sink: Sink) -> None:
    url = f"{system.stack.url}/webhooks/signup"
    secret = {"Authorization": f"Bearer {TEST_ENV['WEBHOOK_SECRET']}"}
    assert call("POST", url, json=PERSON, headers={"Authorization": "Bearer zq85guess"}).status_code == 401
    assert call("POST", f"{url}?token=zq85guess", json=PERSON).status_code == 401
    assert call("POST", f"{url}-zq81", json=PERSON, headers=secret).status_code == 404
    assert call("POST", url, data=str(PERSON), headers=secret).status_code == 400
    assert call("POST", url, data=PERSON, headers=secret).status_code == 415
    assert call("POST", url, json={**PERSON, "identifier": [WHO]}, headers=secret).status_code == 422
    assert call("POST", url, json={**PERSON, "phone_number": "zq81"}, headers=secret).status_code == 200
    assert call("GET", f"{system.stack.url}/contacts/zq81", headers=operator()).status_code == 404

    stand_in = system.stack.stand_in
    assert stand_in is not None
    stand_in.stop()
    system.accept(**{**PERSON, "identifier": f"{WHO}-later"})
    wait_until(lambda: system.hurry() and "connect_failed" in sink.causes(), "LiveDesk is missed")
    system.client.client_kill_filter(_type="normal", skipme=True)  # everybody's connection to Redis
    stand_in.start()
    system.drain()
    assert_nobody_was_named(system, sink)
