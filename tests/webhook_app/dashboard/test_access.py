"""Signing in, sessions, roles, and protection against other sites."""

import gzip
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.invariants import assert_invariants
from tests.quick import seconds
from tests.world import ENVELOPE, QuickAccess, make_store
from webhook_app.access import Access, Provider, Role
from webhook_app.app import create_app
from webhook_app.dashboard import session as sessions
from webhook_app.dashboard.safety import POLICY
from webhook_app.dashboard.session import local_path
from webhook_app.dashboard.sign_in import MAX_RECORDED, network
from webhook_app.parts import Parts
from worker.errors import StoreUnavailable
from worker.model import Way
from worker.store import keys
from worker.store.audit import MAX_FAILED
from worker.store.security import KNOWN_MS, MAX_OVERALL, MAX_SIGN_INS, OVERALL_MS, SIGN_INS_MS, Sessions
from worker.store.store import Store

PASSWORDS = {Role.OPERATOR: "an-operator-password", Role.VIEWER: "a-viewer-password"}
#: With the slow key of sessions, for the tests of that key.
REAL_ACCESS = Access(operator_password=PASSWORDS[Role.OPERATOR], viewer_password=PASSWORDS[Role.VIEWER])
ACCESS = QuickAccess(operator_password=PASSWORDS[Role.OPERATOR], viewer_password=PASSWORDS[Role.VIEWER])
TOKEN = re.compile(r'name="csrf" value="([^"]+)"')

#: Makes a browser of its own on one web process: ``open_door(access=..., store=...)``.
OpenDoor = Callable[..., FlaskClient]


@pytest.fixture
def store(client: redis.Redis) -> Iterator[Store]:
    yield make_store(client)
    assert_invariants(client)


@pytest.fixture
def open_door(client: redis.Redis, store: Store) -> OpenDoor:
    def open_door(access: Access = ACCESS, store: Store = store) -> FlaskClient:
        app = create_app(Parts(store=store, sources={}, access=access))
        add_forms(app)
        return app.test_client()

    return open_door


@pytest.fixture
def door(open_door: OpenDoor) -> FlaskClient:
    return open_door()


def add_forms(app: Flask) -> None:
    """Add a form for operators, and one for viewers."""
    for role in Role:
        app.add_url_rule(
            f"/dashboard/{role}-form", f"dashboard.{role}", sessions.needs(role)(lambda: "done"), methods=["POST"]
        )


def csrf(door: FlaskClient) -> str:
    page = door.get("/dashboard/sign-in", follow_redirects=True)
    found = TOKEN.search(page.text)
    assert found
    return found[1]


def send(door: FlaskClient, path: str, form: dict[str, str] | None = None, **options: Any) -> TestResponse:
    """Send a form as one of our pages does."""
    return door.post(path, data={"csrf": csrf(door), **(form or {})}, **options)


def sign_in(door: FlaskClient, password: str = PASSWORDS[Role.OPERATOR], **form: str) -> TestResponse:
    return send(door, "/dashboard/sign-in", {"password": password, **form})


def is_in(door: FlaskClient) -> bool:
    return door.get("/dashboard/").status_code == 200


def cookie_of(response: TestResponse) -> str:
    return next(value for name, value in response.headers if name == "Set-Cookie")


def test_every_view_names_the_role_it_needs(door: FlaskClient) -> None:
    app = door.application
    views = {rule.endpoint: app.view_functions[rule.endpoint] for rule in app.url_map.iter_rules()}
    ours = {name: view for name, view in views.items() if name.startswith("dashboard.")}
    assert len(ours) > 8
    assert not [name for name, view in ours.items() if not hasattr(view, "needed_role")]
    addresses = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/dashboard")]
    assert {rule.endpoint for rule in addresses} == ours.keys(), "the address and the name of a view tell the same"
    open_to_all = {name for name, view in ours.items() if getattr(view, "needed_role", None) is None}
    assert open_to_all == {
        *("dashboard.sign_in", "dashboard.sign_in_by_password", "dashboard.sign_out", "dashboard.static_file"),
        *("dashboard.sign_in_by_provider", "dashboard.provider_answered"),
    }


def test_without_a_password_the_dashboard_is_disabled(open_door: OpenDoor) -> None:
    door = open_door(access=Access())
    for path in ("/dashboard/", "/dashboard/sign-in", "/dashboard/header"):
        page = door.get(path)
        assert (page.status_code, "DASHBOARD_PASSWORD" in page.text) == (403, True)
    assert door.post("/dashboard/sign-in", data={"password": ""}).status_code == 403


@pytest.mark.parametrize("role", Role)
def test_each_password_gives_its_role(door: FlaskClient, role: Role) -> None:
    assert not is_in(door)
    assert sign_in(door, PASSWORDS[role], name="Zoë").status_code == 303
    page = door.get("/dashboard/").text
    assert "Zoë" in page
    assert role in page


@pytest.mark.parametrize("access", [ACCESS, QuickAccess(operator_password=PASSWORDS[Role.OPERATOR])])
@pytest.mark.parametrize("password", ["", "wrong", "an-operator-passwor", "an-operator-password ", "\udcff", "ü" * 99])
def test_a_wrong_password_is_rejected(open_door: OpenDoor, access: Access, password: str) -> None:
    door = open_door(access=access)
    answer = sign_in(door, password.encode(errors="replace").decode())
    assert (answer.status_code, "Wrong password." in answer.text) == (403, True)
    assert not is_in(door)
    assert 'value="A &#34;b&#34;"' in sign_in(door, "wrong", name='A "b"').text, "what else was typed is still there"


def test_a_viewer_cannot_act(door: FlaskClient) -> None:
    sign_in(door, PASSWORDS[Role.VIEWER])
    assert send(door, "/dashboard/viewer-form").text == "done"
    refused = send(door, "/dashboard/operator-form")
    assert (refused.status_code, refused.content_type) == (403, "text/html; charset=utf-8")
    sign_in(door, PASSWORDS[Role.OPERATOR])


def test_sign_in_leads_back_to_the_requested_page(door: FlaskClient) -> None:
    asked = door.get("/dashboard/?state=failed")
    assert (asked.status_code, asked.location) == (303, "/dashboard/sign-in?next=/dashboard/?state%3Dfailed")
    assert sign_in(door, next="/dashboard/?state=failed").location == "/dashboard/?state=failed"
    poll = FlaskClient(door.application).get("/dashboard/header", headers={"HX-Request": "true"})
    assert poll.status_code == 401, "a page that is open is not replaced by the sign-in page"


@pytest.mark.parametrize(
    "address",
    [
        *("https://evil.example/", "//evil.example/dashboard", "/\\evil.example", "/dashboardx", "javascript:alert(1)"),
        *("/dashboard/\\..\\\\evil.example", "https:/dashboard", "/contacts/1", "http://localhost.evil/dashboard/", ""),
    ],
)
def test_redirects_never_leave_the_dashboard(door: FlaskClient, address: str) -> None:
    with door.application.test_request_context("/dashboard/"):
        assert local_path(address) == "/dashboard/"


@pytest.mark.parametrize("address", ["/dashboard", "/dashboard/", "/dashboard/upstream", "/dashboard/causes/x?a=b%26c"])
def test_redirects_keep_the_requested_page(door: FlaskClient, address: str) -> None:
    with door.application.test_request_context("/dashboard/"):
        assert local_path(address) == address


def test_the_cookie_is_http_only_and_same_site(door: FlaskClient) -> None:
    cookie = cookie_of(sign_in(door))
    assert cookie.startswith("livedesk-sync=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie


def test_over_tls_the_cookie_is_bound_to_this_host(open_door: OpenDoor) -> None:
    tls = {"X-Forwarded-Proto": "https"}
    plain = open_door()
    answer = plain.post("/dashboard/sign-in", data={"csrf": csrf(plain)}, headers=tls)
    assert "Secure" not in str(answer.headers), "without a proxy, a client may claim anything"
    behind = open_door(access=QuickAccess(operator_password="an-operator-password", proxies=1))
    cookie = cookie_of(behind.get("/dashboard/sign-in", headers=tls))
    assert cookie.startswith("__Host-livedesk-sync=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


def test_a_session_is_valid_in_every_process(open_door: OpenDoor) -> None:
    first, second = open_door(access=REAL_ACCESS), open_door(access=REAL_ACCESS)
    sign_in(first)
    cookie = first.get_cookie("livedesk-sync")
    assert cookie is not None
    second.set_cookie("livedesk-sync", cookie.value)
    assert is_in(second)


@pytest.mark.parametrize(
    "access",
    [
        Access(operator_password="another-password-now", viewer_password=PASSWORDS[Role.VIEWER]),
        Access(operator_password=PASSWORDS[Role.OPERATOR], viewer_password="another-password-now"),
        Access(operator_password=PASSWORDS[Role.OPERATOR]),
    ],
)
def test_a_changed_password_ends_all_sessions(open_door: OpenDoor, access: Access) -> None:
    before, after = open_door(access=REAL_ACCESS), open_door(access=access)
    sign_in(before)
    cookie = before.get_cookie("livedesk-sync")
    assert cookie is not None
    after.set_cookie("livedesk-sync", cookie.value)
    assert not is_in(after)


def test_a_session_of_another_installation_is_invalid(open_door: OpenDoor, client: redis.Redis) -> None:
    elsewhere = open_door(access=REAL_ACCESS)
    sign_in(elsewhere)
    cookie = elsewhere.get_cookie("livedesk-sync")
    assert cookie is not None
    client.flushall()
    here = open_door(access=REAL_ACCESS, store=make_store(client))
    here.set_cookie("livedesk-sync", cookie.value)
    assert not is_in(here)


def test_a_session_expires_after_a_working_day(client: redis.Redis, store: Store) -> None:
    time = Clock()
    parts = Parts(store=store, sources={}, access=ACCESS, clock=time)
    door = create_app(parts).test_client()
    sign_in(door)
    time.now += sessions.SESSION_S
    assert is_in(door)
    time.now += 1
    assert not is_in(door)
    assert sign_in(door).status_code == 303


def test_signing_out(door: FlaskClient) -> None:
    sign_in(door)
    answer = send(door, "/dashboard/sign-out", follow_redirects=True)
    assert "You are signed out." in answer.text
    assert not is_in(door)


def copy_of(door: FlaskClient) -> FlaskClient:
    """Return a browser with a copy of this one's cookie."""
    copy, cookie = FlaskClient(door.application, door.response_wrapper), door.get_cookie("livedesk-sync")
    assert cookie is not None
    copy.set_cookie("livedesk-sync", cookie.value)
    return copy


def test_a_copied_cookie_is_worth_nothing_after_signing_out(open_door: OpenDoor) -> None:
    door, another = open_door(), open_door()
    for one in (door, another):
        sign_in(one)
    copy = copy_of(door)
    assert is_in(copy)
    send(door, "/dashboard/sign-out")
    assert not is_in(copy)
    assert copy.post("/dashboard/operator-form", data={"csrf": "x"}).status_code == 400
    assert send(copy, "/dashboard/operator-form").status_code == 303
    assert is_in(another)


def test_signing_in_again_ends_the_session_before(door: FlaskClient) -> None:
    sign_in(door, PASSWORDS[Role.VIEWER])
    copy = copy_of(door)
    sign_in(door)
    assert (is_in(door), is_in(copy)) == (True, False)


def test_signing_everyone_out(open_door: OpenDoor, store: Store) -> None:
    doors = open_door(), open_door()
    for door in doors:
        sign_in(door)
    printed = (
        doors[0].application.test_cli_runner().invoke(args=["sign-out-everyone", "--who", "Ada", "--why", "theft"])
    )
    assert printed.output == "Ended 2 sessions.\n"
    assert [is_in(door) for door in doors] == [False, False]
    (entry,) = store.audit.page(limit=1)
    assert (entry.who, entry.did, entry.why) == ("Ada", "signed everyone out", "theft")


def test_a_cookie_that_redis_does_not_list_is_no_session(door: FlaskClient, client: redis.Redis) -> None:
    """As after a failover that lost the sign-in, or with a cookie of an earlier version."""
    sign_in(door)
    client.delete(keys.SESSIONS)
    assert not is_in(door)


def test_ended_sessions_are_forgotten(store: Store, client: redis.Redis) -> None:
    store.sessions.begin("one", 1000)
    store.sessions.begin("two", 5000)
    store.shift_ms = 2000
    store.sessions.begin("three", 1000)
    assert client.zrange(keys.SESSIONS, 0, -1) == ["three", "two"]


class CannotReadSessions(Sessions):
    """As while Redis is unavailable."""

    def is_open(self, session_id: str) -> bool:
        raise StoreUnavailable("ConnectionError")

    def end(self, session_id: str) -> None:
        raise StoreUnavailable("ConnectionError")


def test_without_redis_a_session_goes_on_and_a_sign_out_says_what_it_cannot_do(door: FlaskClient, store: Store) -> None:
    sign_in(door)
    copy = copy_of(door)
    before, store.sessions = store.sessions, CannotReadSessions(store)
    assert is_in(door)
    answer = send(door, "/dashboard/sign-out", follow_redirects=True)
    assert "copies of its cookie remain valid" in answer.text
    assert (is_in(door), is_in(copy)) == (False, True)
    store.sessions = before
    store.sessions.end_all()
    assert not is_in(copy)


def test_signing_in_starts_a_new_session(door: FlaskClient) -> None:
    before = csrf(door)
    sign_in(door)
    assert door.post("/dashboard/sign-out", data={"csrf": before}).status_code == 400


def test_csrf_tokens_differ_in_each_response_and_all_are_valid(door: FlaskClient) -> None:
    sign_in(door)
    first, second = csrf(door), csrf(door)
    assert first != second
    for token in (first, second):
        assert door.post("/dashboard/operator-form", data={"csrf": token}).text == "done"
    for wrong in (first[:48] + second[48:], first[:-2], first + "00", "zz" * 48, ""):
        assert door.post("/dashboard/operator-form", data={"csrf": wrong}).status_code == 400


def test_pages_are_compressed_on_request(door: FlaskClient) -> None:
    sign_in(door)
    plain = door.get("/dashboard/")
    zipped = door.get("/dashboard/", headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in zipped.headers["Vary"]
    assert int(zipped.headers["Content-Length"]) == len(zipped.data) < len(plain.data) / 2
    assert "Overview" in gzip.decompress(zipped.data).decode()


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({}, {}),
        ({}, {"csrf": ""}),
        ({}, {"csrf": "guessed"}),
        ({"Sec-Fetch-Site": "cross-site"}, None),
        ({"Sec-Fetch-Site": "same-site"}, None),
        ({"Sec-Fetch-Site": "none"}, None),
    ],
)
@pytest.mark.parametrize("path", ["operator-form", "sign-out", "sign-in"])
def test_a_form_from_another_site_is_rejected(
    door: FlaskClient, path: str, headers: dict[str, str], form: dict[str, str] | None
) -> None:
    sign_in(door)
    given = {"csrf": csrf(door)} if form is None else form
    answer = door.post(f"/dashboard/{path}", data=given, headers=headers)
    assert (answer.status_code, answer.content_type) == (400, "text/html; charset=utf-8")
    assert is_in(door)


def test_our_own_forms_are_accepted(door: FlaskClient) -> None:
    sign_in(door)
    same = {"Sec-Fetch-Site": "same-origin"}
    assert send(door, "/dashboard/operator-form", headers=same).text == "done"
    assert door.post("/dashboard/operator-form", headers={"X-CSRF-Token": csrf(door)}).text == "done"


def test_a_form_that_is_too_large_is_rejected(door: FlaskClient) -> None:
    sign_in(door)
    answer = send(door, "/dashboard/operator-form", {"much": "x" * 70_000})
    assert (answer.status_code, answer.content_type) == (413, "text/html; charset=utf-8")


def test_attempts_are_counted_across_processes(open_door: OpenDoor, store: Store, client: redis.Redis) -> None:
    doors = open_door(), open_door()
    for number in range(MAX_SIGN_INS):
        assert sign_in(doors[number % 2], "wrong").status_code == 403
    for door in doors:
        answer = sign_in(door)
        assert (answer.status_code, 270 < int(answer.headers["Retry-After"]) <= 300) == (429, True)
        assert "Too many failed sign-ins. Try again in 5 min." in answer.text
        assert not is_in(door)
    assert not [name for name in client.scan_iter() if "127.0.0.1" in name]
    store.shift_ms = SIGN_INS_MS
    assert sign_in(doors[0]).status_code == 303


def test_only_failed_sign_ins_count(open_door: OpenDoor, store: Store) -> None:
    door = open_door()
    for _ in range(2 * MAX_SIGN_INS):
        assert sign_in(door).status_code == 303
    for _ in range(MAX_SIGN_INS - 1):
        assert sign_in(open_door(), "wrong").status_code == 403
    assert sign_in(open_door()).status_code == 303, "one more may be tried"
    assert sign_in(open_door(), "wrong").status_code == 403, "and a right one resets nothing"
    store.shift_ms = 60_000
    answer = sign_in(open_door())
    assert (answer.status_code, "Too many failed sign-ins. Try again in " in answer.text) == (429, True)
    assert 200 < int(answer.headers["Retry-After"]) <= 240


def test_sign_ins_are_in_the_audit_log(open_door: OpenDoor, store: Store, client: redis.Redis) -> None:
    door = open_door()
    sign_in(door, name="Zoë")
    send(door, "/dashboard/sign-out")
    for _ in range(MAX_SIGN_INS + 5):
        sign_in(open_door(), "wrong", name="my-secret-password")
    entries = [(entry.who, entry.did, entry.why, entry.way) for entry in reversed(store.audit.page())]
    assert entries == [
        ("Zoë", "signed in", "operator", "password"),
        ("Zoë", "signed out", "", "password"),
        ("", "failed to sign in", "", "password"),
        ("", "failed to sign in 10 times within 5 min: locked out", "", "password"),
    ]
    recorded = str(client.xrange(keys.FAILED_SIGN_INS))
    assert "127.0.0.1" not in recorded
    assert "my-secret-password" not in recorded


def behind_a_proxy(open_door: OpenDoor) -> Callable[..., TestResponse]:
    """Return a function that signs in from an address."""
    door = open_door(access=QuickAccess(operator_password=PASSWORDS[Role.OPERATOR], proxies=1))
    form = {"csrf": csrf(door), "password": "wrong"}

    def attempt(address: str, **more: str) -> TestResponse:
        headers = {"X-Forwarded-For": address}
        return door.post("/dashboard/sign-in", data={**form, **more}, headers=headers)

    return attempt


def test_many_addresses_together_have_a_limit_that_locks_out_no_operator(open_door: OpenDoor, store: Store) -> None:
    attempt = behind_a_proxy(open_door)
    right = {"password": PASSWORDS[Role.OPERATOR]}
    assert behind_a_proxy(open_door)("192.0.2.1", **right).status_code == 303
    store.shift_ms += OVERALL_MS
    addresses = [f"2001:db8:0:{number:x}::1" for number in range(MAX_OVERALL)]
    assert [attempt(address).status_code for address in addresses] == [403] * MAX_OVERALL
    refused = attempt("198.51.100.1", **right)
    assert (refused.status_code, 0 < int(refused.headers["Retry-After"]) <= 60) == (429, True)
    assert "Too many failed sign-ins from other addresses. Try again in" in refused.text
    assert behind_a_proxy(open_door)("192.0.2.1", **right).status_code == 303, "an operator signed in from here before"
    assert attempt("198.51.100.2").status_code == 429, "which is no room for anybody else"
    store.shift_ms += OVERALL_MS
    assert attempt("198.51.100.1").status_code == 403, "a minute later"


def test_an_address_is_known_for_30_days_and_has_its_own_limit(store: Store) -> None:
    limiter = store.rate_limiter
    known = limiter.try_sign_in("192.0.2.1")
    limiter.forgive(known, succeeded=True)
    limiter.forgive(limiter.try_sign_in("192.0.2.2"), succeeded=False)
    ttl: Any = store.client.pttl(keys.known_address(known.address))
    assert 0 <= KNOWN_MS - ttl < 60_000
    for number in range(MAX_OVERALL):
        limiter.try_sign_in(f"198.51.100.{number}")
    assert limiter.try_sign_in("192.0.2.2").is_flood, "the provider was away: nobody signed in from there"
    allowed = [limiter.try_sign_in("192.0.2.1").wait_ms == 0 for _ in range(MAX_SIGN_INS + 1)]
    assert allowed == [True] * MAX_SIGN_INS + [False]
    assert limiter.try_sign_in("198.51.100.99", Way.PROVIDER).wait_ms == 0, "counted apart"


def test_the_audit_log_has_totals_of_many_failed_sign_ins(open_door: OpenDoor, store: Store) -> None:
    attempt = behind_a_proxy(open_door)
    for number in range(MAX_OVERALL + 20):
        attempt(f"192.0.2.{number}")
    entries = [(entry.did, entry.target) for entry in reversed(store.audit.page(limit=100))]
    assert [did for did, _ in entries[:MAX_RECORDED]] == ["failed to sign in"] * MAX_RECORDED
    assert len({target for _, target in entries[:MAX_RECORDED]}) == MAX_RECORDED
    assert entries[MAX_RECORDED:] == [
        ("failed to sign in 11 times within 1 min: others are only in the log", "all addresses"),
        ("failed to sign in 60 times within 1 min: new addresses locked out", "all addresses"),
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"data": b'{"password": "an-operator-password"}', "content_type": "application/json"},
        {"data": b"password=an-operator-password", "content_type": "text/plain"},
        {"data": b"", "content_type": "multipart/form-data; boundary=x"},
        {"data": b"password=%ff%00", "content_type": "application/x-www-form-urlencoded"},
        {"data": b""},
    ],
)
def test_only_our_form_is_an_attempt(door: FlaskClient, store: Store, options: dict[str, Any]) -> None:
    csrf(door)
    assert door.post("/dashboard/sign-in", **options).status_code == 400
    assert store.rate_limiter.try_sign_in("127.0.0.1").failed == 1


@pytest.mark.parametrize("password", ["", "x" * 60_000, "\0", PASSWORDS[Role.OPERATOR] * 1000])
def test_passwords_of_any_length_count_and_cost_little(door: FlaskClient, password: str) -> None:
    form = {"csrf": csrf(door), "password": password}
    assert seconds(lambda: door.post("/dashboard/sign-in", data=form)) < 0.1
    assert sign_in(door, password).status_code == 403


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        *(("Zoë  Müller", "Zoë Müller"), ("ada@example.com", "ada example.com"), ("ci (api)", "ci api")),
        *(("ada\uff20example.com", "ada example.com"), ("ada\ufe6bexample.com", "ada example.com")),
        *(("ci \uff08api\uff09", "ci api"), ("ada\u202e", "ada"), ("sync", "operator"), ("Command Line", "operator")),
        *(("@", "operator"), ("", "operator")),
    ],
)
def test_a_typed_name_imitates_nobody(door: FlaskClient, store: Store, typed: str, name: str) -> None:
    sign_in(door, name=typed)
    (entry,) = store.audit.page(limit=1)
    assert (entry.who, entry.way) == (name, "password")


def test_failed_sign_ins_displace_nothing_else(store: Store) -> None:
    store.audit.add("Zoë", "retried", way=Way.PASSWORD)
    for number in range(MAX_FAILED + 500):
        store.audit.add_failed_sign_in("failed to sign in", f"address {number}", "", way=Way.PASSWORD)
    assert store.audit.page(limit=5000)[-1].did == "retried"
    assert len(store.audit.page(limit=5000)) < MAX_FAILED + 200


def test_sign_in_works_while_redis_is_full(door: FlaskClient, client: redis.Redis) -> None:
    sign_in(door, "wrong")
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            client.set("anything", "at all")
        assert sign_in(door).status_code == 303
        assert is_in(door)
    finally:
        client.config_set("maxmemory", "1gb")


def test_attempts_are_counted_per_address(open_door: OpenDoor) -> None:
    door = open_door(access=QuickAccess(operator_password=PASSWORDS[Role.OPERATOR], proxies=1))
    token = csrf(door)

    def attempt(address: str) -> int:
        headers = {"X-Forwarded-For": address}
        return door.post("/dashboard/sign-in", data={"csrf": token, "password": "wrong"}, headers=headers).status_code

    assert [attempt("2001:db8::1") for _ in range(MAX_SIGN_INS)] == [403] * MAX_SIGN_INS
    assert attempt("2001:db8::ffff") == 429, "the same household"
    assert attempt("192.0.2.1, 2001:db8::1") == 429, "what the proxy says, not what the visitor says before it"
    assert attempt("2001:db8:0:1::1") == 403


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        *(("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8::1:2:3:4", "2001:db8::")),
        *(("fe80::1%eth0", "fe80::"), (None, ""), ("unix:", "")),
    ],
)
def test_which_addresses_count_together(address: str | None, counted: str) -> None:
    assert network(address) == counted


@pytest.mark.parametrize(
    "path", ["/dashboard", "/dashboard/", "/dashboard/sign-in", "/dashboard/nowhere", "/dashboard/header"]
)
def test_every_response_has_security_headers_and_is_not_cached(door: FlaskClient, path: str) -> None:
    for answer in (door.get(path), door.put(path)):
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"


def test_the_policy_allows_our_own_files_and_nothing_else() -> None:
    assert set(POLICY.split("; ")) == {
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'"),
        *("form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"),
    }


@pytest.mark.parametrize(("path", "method", "status"), [("nowhere", "GET", 404), ("", "DELETE", 405)])
def test_errors_are_pages_under_dashboard_and_problems_elsewhere(
    door: FlaskClient, path: str, method: str, status: int
) -> None:
    answer = door.open(f"/dashboard/{path}", method=method)
    assert (answer.status_code, answer.content_type) == (status, "text/html; charset=utf-8")
    assert "/dashboard/" in answer.text, "it leads on"
    assert door.get("/nowhere").content_type == "application/problem+json"
    assert "Set-Cookie" not in door.get("/healthz").headers


def test_a_bug_shows_no_details(door: FlaskClient) -> None:
    def bug() -> str:
        raise ZeroDivisionError("a secret")

    door.application.add_url_rule("/dashboard/bug", "dashboard.bug", sessions.needs(None)(bug))
    answer = door.get("/dashboard/bug")
    assert (answer.status_code, "a secret" in answer.text) == (500, False)
    assert answer.content_type == "text/html; charset=utf-8"


class Clock:
    """A clock in seconds since the epoch that the test sets."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class AwayStore(Store):
    """A store whose Redis is unavailable."""

    def salt(self) -> bytes:
        raise StoreUnavailable("ConnectionError")


def test_without_redis_the_page_says_that_sign_in_is_unavailable(open_door: OpenDoor, client: redis.Redis) -> None:
    door = open_door(store=AwayStore(client, ENVELOPE, lease_ms=1))
    for answer in (door.get("/dashboard/"), door.get("/dashboard/sign-in"), door.post("/dashboard/sign-in")):
        assert (answer.status_code, "Redis is unavailable" in answer.text) == (503, True)
    assert door.get("/healthz").status_code == 200


def test_nothing_secret_is_in_the_repr() -> None:
    provider = Provider(issuer="https://login.example", client_id="us", client_secret="hunter2")
    text = repr(Access(operator_password="hunter2-hunter2", viewer_password="hunter2-hunter3", provider=provider))
    assert "login.example" in text
    assert "hunter2" not in text
