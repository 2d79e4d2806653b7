"""``blocking = false`` never fails a signup, and reports every one it loses."""

import base64
import hmac
import json
import logging
import time
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.doors import NOW, MemoryStore, door
from webhook_app.receiver import fail_open
from worker import telemetry
from worker.errors import StoreUnavailable

KEY = b"sixteen byte key"
SECRET = "v1,whsec_" + base64.b64encode(KEY).decode()
HOOK: dict[str, Any] = {
    "verify": "standard-webhooks",
    "secret": SECRET,
    "blocking": False,
    "max_bytes": 1000,
    "map": {"identifier": "$.user.id"},
}
BODY = b'{"metadata": {"name": "before-user-created"}, "user": {"id": "ff7fc9ae"}}'
LOST = {"status": "lost", "identifier": None, "state": None, "contact_id": None}


@pytest.fixture(autouse=True)
def reports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is reported to Sentry."""
    sent: list[str] = []
    monkeypatch.setattr(telemetry, "report_new_cause", lambda cause, _state: sent.append(cause))
    monkeypatch.setattr(fail_open, "_reported", {})
    return sent


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fail_open.retry, "__kwdefaults__", {"retry_for_s": 0.05, "retry_every_s": 0.01})


def signed(body: bytes, key: bytes = KEY) -> dict[str, str]:
    code = base64.b64encode(hmac.digest(key, b"msg_1.%d.%s" % (NOW, body), "sha256")).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": str(NOW), "webhook-signature": f"v1,{code}"}


def post(body: bytes = BODY, store: MemoryStore | None = None, blocking: bool = False, **options: Any) -> TestResponse:
    http = door({"hook": {**HOOK, "blocking": blocking}}, store)
    options = {"headers": signed(body), "content_type": "application/json", **options}
    return http.post("/webhooks/hook", data=body, **options)


def assert_well_received(answer: TestResponse) -> None:
    """Assert what Supabase accepts: 200, JSON, and no ``error`` in it."""
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert "error" not in json.loads(answer.data)


def away() -> None:
    raise StoreUnavailable("ConnectionError")


def test_a_stored_signup_is_answered_as_by_any_source(reports: list[str]) -> None:
    answer = post()
    assert_well_received(answer)
    assert answer.get_json()["status"] == "accepted"
    assert reports == []


def test_a_signup_does_not_fail_because_redis_is_unavailable(
    reports: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = post(store=MemoryStore(away))
    assert_well_received(answer)
    assert answer.get_json() == LOST
    assert reports == ["signup_lost_StoreUnavailable"]
    assert "signup lost source=hook error=StoreUnavailable" in caplog.text
    assert "ff7fc9ae" not in caplog.text


def test_storing_is_retried_before_a_signup_is_lost(monkeypatch: pytest.MonkeyPatch, reports: list[str]) -> None:
    monkeypatch.setattr(fail_open.retry, "__kwdefaults__", {"retry_for_s": 60, "retry_every_s": 0.01})
    store = MemoryStore()
    tries = []

    def away_for_a_moment() -> None:
        tries.append(1)
        if len(tries) < 3:
            away()

    store.before = away_for_a_moment
    assert post(store=store).get_json()["status"] == "accepted"
    assert list(store.taken) == ["ff7fc9ae"]
    assert reports == []


def test_retries_end_well_before_the_sender_gives_up() -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        fail_open.retry(away, retry_for_s=0.2, retry_every_s=0.05)
    assert 0.1 < time.monotonic() - began < 1
    assert fail_open.RETRY_FOR_S < 2


@pytest.mark.parametrize(
    ("body", "options", "kind"),
    [
        (b'{"user": {}}', {}, "Unmappable"),
        (b"{", {}, "BadBody"),
        (b"<user/>", {"content_type": "text/plain"}, "WrongType"),
    ],
)
def test_an_invalid_delivery_does_not_fail_a_signup(body: bytes, options: Any, kind: str, reports: list[str]) -> None:
    store = MemoryStore()
    answer = post(body, store, **options)
    assert_well_received(answer)
    assert answer.get_json() == LOST
    assert store.taken == {}
    assert reports == [f"signup_lost_{kind}"]


@pytest.mark.parametrize(
    ("body", "options", "reason"),
    [
        (BODY, {"headers": signed(BODY, b"another key that was rotated")}, "unauthentic"),
        (BODY, {"headers": {**signed(BODY), "webhook-timestamp": "1"}}, "unauthentic"),
        (b"{", {"headers": signed(BODY)}, "unauthentic"),
        (b" " * 1001, {}, "too_large"),
    ],
)
def test_what_anybody_can_send_is_let_through_and_is_not_lost(
    body: bytes, options: Any, reason: str, reports: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    with caplog.at_level(logging.INFO):
        answer = post(body, store, **options)
    assert_well_received(answer)
    assert answer.get_json() == {**LOST, "status": "refused"}
    assert (store.taken, reports) == ({}, [])
    assert [(one.levelname, f"reason={reason}" in one.getMessage()) for one in caplog.records] == [("INFO", True)]
    assert store.counters._counts == {f"refused:hook:{reason}": 1}


def test_a_bug_before_the_signature_is_verified_is_reported_and_not_lost(
    monkeypatch: pytest.MonkeyPatch, reports: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_args: object) -> None:
        raise ZeroDivisionError("with personal data")

    monkeypatch.setattr("webhook_app.sources.source.signature.verify", bug)
    answer = post()
    assert_well_received(answer)
    assert answer.get_json()["status"] == "refused"
    assert reports == []
    assert "bug error=ZeroDivisionError at=" in caplog.text


def test_a_bug_does_not_fail_a_signup_and_is_reported_as_one(caplog: pytest.LogCaptureFixture) -> None:
    def bug() -> None:
        raise ZeroDivisionError("with personal data")

    assert post(store=MemoryStore(bug)).get_json() == LOST
    assert "bug error=ZeroDivisionError at=" in caplog.text
    assert "personal" not in caplog.text


def test_an_unsigned_delivery_is_rejected(reports: list[str]) -> None:
    for headers in ({}, {"webhook-id": "msg_1"}, {"Authorization": f"Bearer {SECRET}"}):
        assert post(headers=headers).status_code == 401
    assert reports == []


def test_sentry_gets_one_report_for_many_losses(reports: list[str], caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        post(store=MemoryStore(away))
    assert len(reports) == 1
    assert caplog.text.count("signup lost source=hook") == 5, "each is logged"


def test_a_blocking_source_fails_the_signup() -> None:
    assert post(store=MemoryStore(away), blocking=True).status_code == 503
    assert post(b'{"user": {}}', blocking=True).status_code == 422
    assert post(headers=signed(BODY, b"another key that was rotated"), blocking=True).status_code == 401


def test_a_delivery_that_was_cut_off_is_rejected_and_not_lost(reports: list[str]) -> None:
    """Anybody can cut a connection off, and nobody waits for the answer."""
    store = MemoryStore()
    length = {"CONTENT_LENGTH": str(len(BODY) + 1)}
    assert post(BODY, store, environ_overrides=length).status_code == 400
    assert (store.taken, reports) == ({}, [])
