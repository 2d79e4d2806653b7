"""Whose address and whose host are believed: what a client sends, a proxy or the settings."""

import base64
import hashlib
import hmac
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
from werkzeug.test import TestResponse

from tests.provider import CLIENT_ID, CLIENT_SECRET, running_provider
from tests.world import DashboardWorld
from webhook_app.access import Access, Provider
from webhook_app.cli import send_test
from webhook_app.front import Front, asks_for_another_host, read_address
from webhook_app.sources.delivery import Delivery

PUBLIC_URL = "https://desk.example.com"
SECRET = "the-secret-of-the-crm-123"
CRM: dict[str, Any] = {"verify": "hubspot-v3", "secret": SECRET, "map": {"identifier": "$.id"}}
#: What a client may send to mislead us.
LIES = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Port": "99",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "host=evil.example;proto=http",
}
WITHOUT_HOST = {name: value for name, value in LIES.items() if name != "Host"}


def seen(environ: dict[str, Any], **options: Any) -> tuple[str, str, str]:
    """Return address, scheme and host that the application gets."""
    found: dict[str, Any] = {}

    def app(environ: dict[str, Any], _start: object) -> list[bytes]:
        found.update(environ)
        return []

    given = {"REMOTE_ADDR": "10.0.0.9", "wsgi.url_scheme": "http", "HTTP_HOST": "sent.example", **environ}
    Front(app, **options)(given, lambda *_: None)
    return found["REMOTE_ADDR"], found["wsgi.url_scheme"], found["HTTP_HOST"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        *(("192.0.2.7", "192.0.2.7"), ("192.0.2.7:51234", "192.0.2.7"), ('"192.0.2.7:1"', "192.0.2.7")),
        *(("2001:db8::1", "2001:db8::1"), ("[2001:db8::1]", "2001:db8::1"), ("[2001:DB8::1]:443", "2001:db8::1")),
        *(('"[2001:db8::1]:443"', "2001:db8::1"), ("fe80::1%eth0", "fe80::1"), ("::ffff:192.0.2.7", "::ffff:c000:207")),
        *(("unknown", ""), ("_hidden", ""), ("", ""), ("192.0.2", ""), ("192.0.2.7:", ""), ("192.0.2.7:x", "")),
        *(("[2001:db8::1", ""), ("192.0.2.7 evil", ""), ("desk.example.com", ""), ("192.0.2.7\n", ""), ("٧.٧.٧.٧", "")),
    ],
)
def test_addresses_in_the_header(text: str, address: str) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    ("proxies", "header", "address"),
    [
        (0, "192.0.2.7", "10.0.0.9"),
        (1, "192.0.2.7", "192.0.2.7"),
        (1, "203.0.113.1, 192.0.2.7:99", "192.0.2.7"),
        (2, "203.0.113.1,192.0.2.7:99 , 10.1.1.1", "192.0.2.7"),
        (2, "192.0.2.7", "10.0.0.9"),
        (1, "192.0.2.7, unknown", "10.0.0.9"),
        (1, "192.0.2.7,", "10.0.0.9"),
        (1, "", "10.0.0.9"),
    ],
)
def test_the_value_that_counts_is_that_of_the_outermost_proxy(proxies: int, header: str, address: str) -> None:
    assert seen({"HTTP_X_FORWARDED_FOR": header}, proxies=proxies)[0] == address


@pytest.mark.parametrize(
    ("proxies", "header", "scheme"),
    [(0, "https", "http"), (1, "https", "https"), (1, "HTTPS", "https"), (1, "https, http", "http"), (1, "ws", "http")],
)
def test_the_scheme_is_believed_of_a_proxy_only(proxies: int, header: str, scheme: str) -> None:
    assert seen({"HTTP_X_FORWARDED_PROTO": header}, proxies=proxies)[1] == scheme


def test_the_public_url_beats_what_anybody_sends() -> None:
    headers = {"HTTP_X_FORWARDED_PROTO": "http", "HTTP_X_FORWARDED_HOST": "evil.example"}
    for proxies in (0, 1):
        assert seen(headers, proxies=proxies, public_url=PUBLIC_URL)[1:] == ("https", "desk.example.com")


@pytest.mark.parametrize(
    ("host", "is_other"),
    [
        *(("desk.example.com", False), ("DESK.example.com:443", False), ("desk.example.com.", False), ("", False)),
        *(("evil.example", True), ("desk.example.com.evil.example", True), ("notdesk.example.com", True)),
        *(("127.0.0.1:8000", False), ("192.0.2.7", False), ("[::1]:8000", False), ("localhost", False)),
        *(("web:8000", False), ("web.internal", False), ("8.8.8.8.nip.io", True), ("user@desk.example.com", True)),
        *(("desk.example.com:x", True), ("desk。example", True), ("a b", False)),
    ],
)
def test_which_hosts_a_page_has(host: str, is_other: bool) -> None:
    assert asks_for_another_host({"livedesk_sync.sent_host": host}, PUBLIC_URL) is is_other
    assert not asks_for_another_host({"livedesk_sync.sent_host": host}, None)


# The whole application


class BehindProxy(DashboardWorld):
    """An installation with PUBLIC_URL behind one proxy."""

    def __init__(self, client: redis.Redis, provider: Provider | None = None) -> None:
        access = Access(operator_password="an-operator-password", provider=provider, proxies=1)
        super().__init__(client, access=access, public_url=PUBLIC_URL, sources={"crm": CRM})


@pytest.fixture
def world(client: redis.Redis) -> BehindProxy:
    return BehindProxy(client)


def cookie_of(response: TestResponse) -> str:
    return next(value for name, value in response.headers if name == "Set-Cookie")


@pytest.mark.parametrize("headers", [{}, WITHOUT_HOST, {"Host": "127.0.0.1:8000"}])
def test_the_cookie_is_secure_whatever_the_proxy_or_the_client_says(
    world: BehindProxy, headers: dict[str, str]
) -> None:
    cookie = cookie_of(world.http.get("/dashboard/sign-in", headers=headers))
    assert cookie.startswith("__Host-livedesk-sync=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))


def test_pages_are_refused_under_a_foreign_name_and_the_rest_is_not(world: BehindProxy) -> None:
    lies = {"headers": LIES}
    for path in ("/dashboard/", "/dashboard/sign-in", "/dashboard/contacts"):
        answer = world.http.get(path, **lies)
        assert (answer.status_code, f"{PUBLIC_URL}/dashboard/" in answer.text) == (421, True)
        assert "Set-Cookie" not in answer.headers
    assert world.http.post("/dashboard/sign-in", data={"password": "x"}, **lies).status_code == 421
    assert world.http.get("/healthz", **lies).status_code == 200
    assert world.http.get("/api/v1/situation", **lies).status_code == 401
    assert world.http.post("/webhooks/crm", data="{}", **lies).status_code == 401


def test_addresses_to_copy_follow_the_public_url(world: BehindProxy) -> None:
    https = {"base_url": "https://desk.example.com"}
    page = world.http.get("/dashboard/sign-in", **https).text
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    form = {"csrf": found[1], "password": "an-operator-password"}
    assert world.http.post("/dashboard/sign-in", data=form, **https).status_code == 303
    page = world.http.get("/dashboard/sources", **https, headers=WITHOUT_HOST).text
    assert f"{PUBLIC_URL}/webhooks/crm" in page
    assert "evil" not in page
    assert f"POST {PUBLIC_URL}/webhooks/" in world.flask("sources", env={"WEBHOOK_SECRET": "w" * 24}).output


def test_the_provider_returns_to_the_public_url(client: redis.Redis) -> None:
    with running_provider() as running:
        ours = Provider(
            issuer=running.url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, operators=("ada@example.com",)
        )
        world = BehindProxy(client, provider=ours)
        for headers in ({}, WITHOUT_HOST, {"Host": "10.0.0.1"}):
            gone = world.http.get("/dashboard/sign-in/provider", headers=headers)
            asked = parse_qs(urlsplit(gone.location).query)
            assert asked["redirect_uri"] == [f"{PUBLIC_URL}/dashboard/sign-in/provider/answer"]


def test_a_signed_url_is_the_public_one(world: BehindProxy) -> None:
    body, now = b'{"id": "ada"}', int(world.parts.clock() * 1000)
    signed = f"POST{PUBLIC_URL}/webhooks/crm?a=b".encode() + body + str(now).encode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), signed, hashlib.sha256)).decode()
    headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": str(now)}

    def status(query: str, lies: dict[str, str]) -> int:
        sent = {"headers": {**headers, **lies}, "content_type": "application/json"}
        return world.http.post(f"/webhooks/crm?{query}", data=body, **sent).status_code

    for lies in (LIES, {"Host": "10.0.0.1:8000"}, {}):
        assert status("a=b", lies) == 200
    assert status("a=c", {}) == 401


def test_a_test_delivery_is_signed_for_the_public_url_and_sent_here(
    world: BehindProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, str]] = []

    def post(delivery: Delivery, url: str) -> tuple[int, bytes]:
        world.parts.sources["crm"].verify(delivery, world.parts.clock())
        sent.append((delivery.url, url))
        return 401, b""

    monkeypatch.setattr(send_test, "_post", post)
    world.flask("send-test", "crm", "--port", "8123")
    assert sent == [(f"{PUBLIC_URL}/webhooks/crm", "http://127.0.0.1:8123/webhooks/crm")]


@pytest.mark.parametrize("url", ["http://desk.example.com", "http://8.8.8.8", "ftp://localhost"])
def test_a_test_delivery_goes_to_a_public_host_with_tls_only(world: BehindProxy, url: str) -> None:
    result = world.flask("send-test", "crm", "--url", url)
    assert (result.exit_code, "--url must start with http" in result.output) == (2, True)
