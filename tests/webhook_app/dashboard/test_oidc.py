"""Signing in with an OpenID Connect provider, honest or hostile."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests import provider as providers
from tests.provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider
from tests.world import make_store, wait_until
from webhook_app import access
from webhook_app.access import Access, Role
from webhook_app.app import create_app
from webhook_app.dashboard import oidc
from webhook_app.parts import Parts
from worker.store.security import MAX_SIGN_INS, SIGN_INS_MS

START, ANSWER = "/dashboard/sign-in/provider", "/dashboard/sign-in/provider/answer"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def door(client: redis.Redis, provider: Provider) -> FlaskClient:
    ours = access.Provider(
        issuer=provider.url,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        operators=("ada@example.com", "kim@example.com", "support"),
        viewers=("staff", "bob@example.com"),
    )
    parts = Parts(
        store=make_store(client, lease_ms=1),
        sources={},
        access=Access(provider=ours),
    )
    return create_app(parts).test_client()


def at_the_provider(address: str) -> str:
    """Follow the redirect to the provider as a browser does.

    Return the address that it redirects back to.
    """
    answer = requests.get(address, allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    back = urlsplit(answer.headers["Location"])
    assert back.path == ANSWER
    return f"{back.path}?{back.query}"


def sign_in(door: FlaskClient, address: str = START) -> TestResponse:
    gone = door.get(address)
    assert gone.status_code == 302
    return door.get(at_the_provider(gone.location))


def assert_refused(door: FlaskClient, answer: TestResponse) -> None:
    assert (answer.status_code, "Sign-in with the identity provider failed" in answer.text) == (502, True)
    assert door.get("/dashboard/").status_code == 303


def test_an_operator_signs_in_and_returns_to_the_requested_page(door: FlaskClient) -> None:
    assert START in door.get("/dashboard/sign-in").text
    assert 'type="password"' not in door.get("/dashboard/sign-in").text
    answer = sign_in(door, f"{START}?next=/dashboard/?state=failed")
    assert (answer.status_code, answer.location) == (303, "/dashboard/?state=failed")
    page = door.get("/dashboard/")
    assert (page.status_code, "ada@example.com" in page.text, "operator" in page.text) == (200, True, True)


def test_the_request_to_the_provider(door: FlaskClient) -> None:
    asked = {name: value[0] for name, value in parse_qs(urlsplit(door.get(START).location).query).items()}
    assert asked["redirect_uri"] == f"http://localhost{ANSWER}"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["nonce"]) >= 20
    assert len(asked["state"]) >= 20


@pytest.mark.parametrize(
    ("person", "role"),
    [
        ({"email": "ADA@example.com", "email_verified": True}, Role.OPERATOR),
        ({"email": "bob@example.com", "email_verified": True}, Role.VIEWER),
        ({"email": "\u212aim@example.com", "email_verified": True}, None),
        ({"email": "kim@example.co\uff4d", "email_verified": True}, None),
        ({"groups": ["\u017ftaff", "Staff"]}, None),
        ({"email": "eve@example.com", "email_verified": True}, None),
        ({"email": "ada@example.com", "email_verified": False}, None),
        ({"email": "ada@example.com", "email_verified": "true"}, None),
        ({"email": "ada@example.com"}, None),
        ({"email": ["ada@example.com"], "email_verified": True}, None),
        ({"groups": ["support", "staff"]}, Role.OPERATOR),
        ({"groups": ["staff"]}, Role.VIEWER),
        ({"groups": "support"}, None),
        ({"groups": [["support"]]}, None),
        ({"groups": ["ada@example.com"]}, None),
        ({}, None),
    ],
)
def test_roles_by_email_and_group(
    door: FlaskClient, provider: Provider, person: dict[str, Any], role: Role | None
) -> None:
    provider.person = {"sub": "7", **person}
    answer = sign_in(door)
    if role is None:
        assert (answer.status_code, "You have no access" in answer.text) == (403, True)
        assert door.get("/dashboard/").status_code == 303
    else:
        assert role in door.get("/dashboard/").text


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"email": "ada@example.com", "email_verified": True}, "ada@example.com"),
        ({"email": "ada@example.com"}, "ada@example.com (unverified)"),
        ({"email": "ada@example.com", "email_verified": "true"}, "ada@example.com (unverified)"),
        ({"email": f"{'a' * 60}@example.com"}, f"{'a' * 47} (unverified)"),
        ({"email": ["ada@example.com"]}, "7"),
        ({}, "7"),
    ],
)
def test_an_unverified_address_is_marked_in_the_audit_log(
    door: FlaskClient, provider: Provider, claims: dict[str, Any], name: str
) -> None:
    provider.person = {"sub": "7", "groups": ["staff"], **claims}
    assert sign_in(door).status_code == 303
    (entry,) = Parts.of(door.application).store.audit.page(limit=1)
    assert (entry.who, entry.did) == (name, "signed in")


LIES: list[Callable[[dict[str, Any]], object]] = [
    lambda claims: claims.update(nonce="another"),
    lambda claims: claims.pop("nonce"),
    lambda claims: claims.update(aud="another-client"),
    lambda claims: claims.update(aud="another-client", azp=CLIENT_ID),
    lambda claims: claims.pop("aud"),
    lambda claims: claims.update(iss="https://another.example"),
    lambda claims: claims.pop("iss"),
    lambda claims: claims.update(exp=claims["iat"] - 3600),
    lambda claims: claims.update(iat=claims["iat"] + 3600),
    lambda claims: claims.pop("sub"),
]


@pytest.mark.parametrize("lie", LIES)
def test_a_token_for_another_client_or_time_is_rejected(
    door: FlaskClient, provider: Provider, lie: Callable[[dict[str, Any]], object]
) -> None:
    provider.lie = lie
    assert_refused(door, sign_in(door))


@pytest.mark.parametrize(
    "sign",
    [
        providers.sign_as_nobody,
        providers.sign_with_the_client_s_secret,
        providers.sign_with_another_key,
        lambda claims: "x",
    ],
)
def test_a_token_with_a_foreign_signature_is_rejected(
    door: FlaskClient, provider: Provider, sign: Callable[[dict[str, Any]], str]
) -> None:
    provider.sign = sign
    assert_refused(door, sign_in(door))


def test_a_provider_with_another_issuer_is_rejected(door: FlaskClient, provider: Provider) -> None:
    back = at_the_provider(door.get(START).location)
    provider.issuer = "https://another.example"
    provider.lie = lambda claims: claims.update(iss=provider.issuer)
    assert_refused(door, door.get(back))
    another = create_app(Parts.of(door.application)).test_client()
    assert_refused(another, another.get(START))


@pytest.mark.parametrize("name", oidc.ENDPOINTS)
def test_a_provider_with_tls_must_not_send_us_to_an_endpoint_without(name: str) -> None:
    ours = access.Provider(issuer="https://login.example", client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    metadata = {"issuer": ours.issuer, **dict.fromkeys(oidc.ENDPOINTS, f"{ours.issuer}/x")}
    assert oidc.check_metadata(metadata, ours) == metadata
    for endpoint in ("http://login.example/x", "//login.example/x", "ftp://login.example", ""):
        with pytest.raises(ValueError, match="without TLS"):
            oidc.check_metadata({**metadata, name: endpoint}, ours)


def test_an_answer_that_this_browser_did_not_request_is_rejected(door: FlaskClient) -> None:
    back = at_the_provider(door.get(START).location)
    another = FlaskClient(door.application, door.response_wrapper)
    assert_refused(another, another.get(back))
    assert_refused(door, door.get(back.replace("state=", "state=x")))


def test_an_answer_is_valid_once(door: FlaskClient) -> None:
    back = at_the_provider(door.get(START).location)
    assert door.get(back).status_code == 303
    assert door.get(back).status_code == 502


def test_a_provider_that_denies_access(door: FlaskClient) -> None:
    door.get(START)
    assert_refused(door, door.get(f"{ANSWER}?error=access_denied&error_description=%3Cscript%3E"))


def test_a_provider_that_is_down_and_recovers(door: FlaskClient, provider: Provider) -> None:
    provider.is_down = True
    assert_refused(door, door.get(START))
    provider.is_down = False
    assert sign_in(door).status_code == 303


def test_a_slow_provider_takes_only_a_few_threads(door: FlaskClient, provider: Provider) -> None:
    provider.answers.clear()

    def begin() -> int:
        return door.application.test_client().get(START).status_code

    with ThreadPoolExecutor(oidc.MAX_WAITING) as pool:
        waiting = [pool.submit(begin) for _ in range(oidc.MAX_WAITING)]
        places = door.application.extensions[oidc.PLACES]
        wait_until(lambda: places._value == 0, "all places are taken")
        assert begin() == 502, "at once"
        assert door.application.test_client().get("/dashboard/sign-in").status_code == 200
        provider.answers.set()
        assert [one.result() for one in waiting] == [302] * oidc.MAX_WAITING
    assert begin() == 302


def test_beginning_a_sign_in_ends_no_session_and_completing_one_does(door: FlaskClient) -> None:
    """Any page can make a browser begin one."""
    sign_in(door)
    cookie = door.get_cookie("livedesk-sync")
    assert cookie is not None
    begun = [door.get(START) for _ in range(3)][-1]
    assert door.get("/dashboard/").status_code == 200
    kept = door.get_cookie("livedesk-sync")
    assert kept is not None
    assert len(kept.value) < 1000, "what was begun before is forgotten"
    assert door.get(at_the_provider(begun.location)).status_code == 303
    copy = FlaskClient(door.application, door.response_wrapper)
    copy.set_cookie("livedesk-sync", cookie.value)
    assert (door.get("/dashboard/").status_code, copy.get("/dashboard/").status_code) == (200, 303)


def test_the_provider_can_rotate_its_key(door: FlaskClient, provider: Provider) -> None:
    assert sign_in(door).status_code == 303
    provider.key = providers.new_key("2")
    assert sign_in(door).status_code == 303


def test_without_a_provider_its_addresses_are_not_found(client: redis.Redis) -> None:
    store = make_store(client, lease_ms=1)
    closed = Access(operator_password="an-operator-password")
    door = create_app(Parts(store=store, sources={}, access=closed)).test_client()
    assert [door.get(path).status_code for path in (START, ANSWER)] == [404, 404]
    assert START not in door.get("/dashboard/sign-in").text


def test_only_invalid_answers_count_as_failed_sign_ins(door: FlaskClient, provider: Provider) -> None:
    store = Parts.of(door.application).store
    for _ in range(MAX_SIGN_INS + 1):
        assert sign_in(door).status_code == 303
    for _ in range(MAX_SIGN_INS):
        assert door.get(f"{ANSWER}?state=x&code=y").status_code == 502
    answer = sign_in(door)
    assert (answer.status_code, "Too many failed sign-ins. Try again in" in answer.text) == (429, True)
    assert store.rate_limiter.try_sign_in("127.0.0.1").failed == 1, "passwords are counted apart"
    found = [(entry.who, entry.did, entry.why, entry.way) for entry in store.audit.page(limit=3)]
    assert found == [
        ("", "failed to sign in 10 times within 5 min: locked out", "", "provider"),
        ("", "failed to sign in", "", "provider"),
        ("ada@example.com", "signed in", "operator", "provider"),
    ]
    store.shift_ms = SIGN_INS_MS
    assert sign_in(door).status_code == 303
