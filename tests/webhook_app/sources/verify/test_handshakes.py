"""Handshakes are answered as their senders expect, and create nothing."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.doors import NOW, MemoryStore, door

UUID = "890e4665-4dfe-4ab1-b689-ed553bceeed0"
SECRET = "app-secret-of-meta"
#: The vector of Slack's documentation ("Verifying requests from Slack") has this secret.
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK = {
    "scheme": "hmac",
    "header": "X-Slack-Signature",
    "timestamp_header": "X-Slack-Request-Timestamp",
    "prefix": "v0=",
    "template": "v0:{t}:{body}",
}
HUB = {"scheme": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256="}
SOURCES: dict[str, dict[str, Any]] = {
    "plain": {"verify": "token", "secret": SECRET},
    "meta": {"verify": HUB, "secret": SECRET, "handshake": {"name": "meta", "token": "my-verify-token"}},
    "linkedin": {
        "verify": {**HUB, "header": "X-LI-Signature"},
        "secrets": [SECRET, "old-secret"],
        "handshake": "linkedin",
    },
    "slack": {"verify": SLACK, "secret": SLACK_SECRET, "handshake": "slack", "only_if": {"$.type": "event_callback"}},
    "mailchimp": {"verify": {"scheme": "token", "query": "token"}, "secret": SECRET, "handshake": "mailchimp"},
    "woocommerce": {
        "verify": {"scheme": "hmac", "header": "X-WC-Webhook-Signature", "encoding": "base64"},
        "secret": SECRET,
        "handshake": "woocommerce",
    },
    "intercom": {
        "verify": {"scheme": "hmac", "header": "X-Hub-Signature", "hash": "sha1", "prefix": "sha1="},
        "secret": SECRET,
        "handshake": "intercom",
        "test_if": {"$.topic": "ping"},
    },
    "discourse": {
        "verify": {"scheme": "hmac", "header": "X-Discourse-Event-Signature", "prefix": "sha256="},
        "secret": SECRET,
        "only_if": {"header:X-Discourse-Event": ["user_created"]},
        "map": {"identifier": "$.user.id"},
    },
}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def http(store: MemoryStore) -> FlaskClient:
    return door(SOURCES, store)


def signed(body: bytes, digest: str = "sha256") -> str:
    return f"{digest}={hmac.digest(SECRET.encode(), body, digest).hex()}"


# Sources without a handshake


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("source", ["plain", "slack", "woocommerce", "discourse"])
def test_other_methods_are_rejected(http: FlaskClient, source: str, method: str) -> None:
    answer = http.open(f"/webhooks/{source}", method=method, headers={"Authorization": f"Bearer {SECRET}"})
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_unknown_source(http: FlaskClient, method: str) -> None:
    assert http.open("/webhooks/nobody", method=method).status_code == 404


# Meta


def test_meta_gets_its_challenge_back(http: FlaskClient) -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "my-verify-token"}
    answer = http.get("/webhooks/meta", query_string=query)
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "1158201444", "text/plain")


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"hub.challenge": "1"},
        {"hub.verify_token": "my-verify-token"},
        {"hub.challenge": "1", "hub.verify_token": "another-token"},
        {"hub.challenge": "1", "hub.verify_token": ""},
        {"hub.challenge": "1", "hub.verify_token": "é☃"},
        {"hub.challenge": "1", "hub.verify_token": SECRET},
        {"hub.challenge": "1" * 600, "hub.verify_token": "my-verify-token"},
        {"hub.challenge": "1" * 9999, "hub.verify_token": "my-verify-token"},
    ],
)
def test_meta_must_send_the_token(http: FlaskClient, query: dict[str, str]) -> None:
    assert http.get("/webhooks/meta", query_string=query).status_code == 401


def test_what_is_echoed_is_text_and_nothing_else(http: FlaskClient) -> None:
    query = {"hub.challenge": "<script>alert(1)</script>", "hub.verify_token": "my-verify-token"}
    answer = http.get("/webhooks/meta", query_string=query)
    assert answer.mimetype == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


# LinkedIn


def test_linkedin_gets_its_code_signed(http: FlaskClient) -> None:
    answer = http.get("/webhooks/linkedin", query_string={"challengeCode": UUID})
    response = hmac.new(SECRET.encode(), UUID.encode(), hashlib.sha256).hexdigest()
    assert answer.get_json() == {"challengeCode": UUID, "challengeResponse": response}


@pytest.mark.parametrize(
    "code", ["", "a", f"{UUID} ", f"{UUID}\n", "hmacsha256={}", 'hmacsha256={"type": "x"}', UUID[:-1] + "\u0661"]
)
def test_linkedins_secret_signs_only_a_uuid(http: FlaskClient, code: str) -> None:
    """LinkedIn signs deliveries with the same key: anybody could let us forge one."""
    assert http.get("/webhooks/linkedin", query_string={"challengeCode": code}).status_code == 401
    assert http.get("/webhooks/linkedin").status_code == 401


# Slack


def slack(body: bytes, secret: str = SLACK_SECRET, now: int = NOW) -> dict[str, str]:
    code = hmac.digest(secret.encode(), b"v0:%d:%s" % (now, body), "sha256").hex()
    return {"X-Slack-Request-Timestamp": str(now), "X-Slack-Signature": f"v0={code}"}


def test_slack_gets_its_challenge_back(http: FlaskClient, store: MemoryStore) -> None:
    body = json.dumps(
        {"token": "z26uFbvR1xHJEdHE1OQiO6t8", "challenge": "3eZbrw1aB", "type": "url_verification"}
    ).encode()
    answer = http.post("/webhooks/slack", data=body, headers=slack(body), content_type="application/json")
    assert answer.get_json() == {"challenge": "3eZbrw1aB"}
    for headers in ({}, slack(body, "another secret"), slack(body + b" "), slack(body, now=NOW - 301)):
        assert http.post("/webhooks/slack", data=body, headers=headers).status_code == 401
    assert store.taken == {}


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "url_verification"},
        {"type": "url_verification", "challenge": {"a": 1}},
        {"type": "other", "challenge": "a"},
        ["url_verification"],
        "url_verification",
    ],
)
def test_a_delivery_without_a_challenge_is_an_ordinary_one(http: FlaskClient, payload: object) -> None:
    body = json.dumps(payload).encode()
    document = http.post("/webhooks/slack", data=body, headers=slack(body)).get_json()
    assert document["status"] == "ignored"


# Mailchimp


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_mailchimp_can_verify_the_url_with_the_token(http: FlaskClient, method: str) -> None:
    assert http.open(f"/webhooks/mailchimp?token={SECRET}", method=method).status_code == 200
    for query in ("", "?token=", "?token=another-token"):
        assert http.open(f"/webhooks/mailchimp{query}", method=method).status_code == 401


# WooCommerce


def test_woocommerce_pings_without_a_signature(http: FlaskClient, store: MemoryStore) -> None:
    form = "application/x-www-form-urlencoded"
    for content_type in (form, f"{form}; charset=UTF-8"):
        assert http.post("/webhooks/woocommerce", data=b"webhook_id=17", content_type=content_type).status_code == 200
    for body in (
        b"",
        b"webhook_id=",
        b"webhook_id=17&id=5",
        b"webhook_id=x",
        b"webhook_id=17\n",
        b"webhook_id=" + b"1" * 21,
    ):
        assert http.post("/webhooks/woocommerce", data=body, content_type=form).status_code == 401
    assert http.post("/webhooks/woocommerce", data=b"webhook_id=17", content_type="application/json").status_code == 401
    assert http.post("/webhooks/plain", data=b"webhook_id=17", content_type=form).status_code == 401
    assert store.taken == {}


# Intercom, Discourse


def test_intercom_sends_head_and_ping(http: FlaskClient, store: MemoryStore) -> None:
    assert http.head("/webhooks/intercom").status_code == 200
    body = b'{"topic": "ping", "identifier": "5"}'
    headers = {"X-Hub-Signature": signed(body, "sha1")}
    assert http.post("/webhooks/intercom", data=body, headers=headers).get_json()["status"] == "ignored"
    assert http.post("/webhooks/intercom", data=body).status_code == 401
    assert store.taken == {}


def test_discourse_names_its_events_in_a_header(http: FlaskClient, store: MemoryStore) -> None:
    for event, status in [("ping", "ignored"), ("user_confirmed_email", "ignored"), ("user_created", "accepted")]:
        body = b'{"ping": "OK"}' if event == "ping" else b'{"user": {"id": 7}}'
        headers = {"X-Discourse-Event": event, "X-Discourse-Event-Signature": signed(body)}
        assert http.post("/webhooks/discourse", data=body, headers=headers).get_json()["status"] == status
    assert list(store.taken) == ["7"]


def test_handshakes_keep_their_secrets(http: FlaskClient) -> None:
    from webhook_app.sources.config import read_source

    for name, written in SOURCES.items():
        shown = repr(read_source(name, written, {}))
        assert SECRET not in shown
        assert "my-verify-token" not in shown
