"""Any request is answered quickly, with an expected status, never with 500."""

import base64
import gzip
import hmac
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.doors import MemoryStore, door
from tests.quick import QUICK_S, seconds
from tests.webhook_app.sources.mapping.test_mapping import PATHS, PAYLOADS
from webhook_app.sources.body.reader import FORMATS, MAX_BYTES
from webhook_app.sources.presets import PRESETS
from webhook_app.sources.verify.schemes import SCHEMES

#: What a hostile request may be answered with.
ANSWERS = {200, 400, 401, 413, 415, 422}
TOKEN = "s3cret-token"
KEY = b"k" * 32
#: Address of a key set that nobody publishes; nobody asks for it either, for nothing here comes as far.
JWKS = "https://keys.invalid/jwks.json"
TOKEN_WAYS: list[dict[str, Any]] = [
    {"scheme": "token"},
    {"scheme": "token", "query": "token"},
    {"scheme": "token", "field": "$..key"},
]
MAPPING: dict[str, Any] = {
    "map": {
        "identifier": {"path": ["$.id", "$..id"], "prefix": {"header": "X-Shop"}},
        "name": [{"path": "$.name", "unless_equal": "$.email"}, {"join": ["$.first", "$.items[*].id"]}],
        "email": ["$.email", "$.items[?@.id == $.data.id].email", "$..[?search(@, '[^@]+@[^@]+')]"],
        "avatar_url": {"path": "$.avatar", "replace": {"{size}": "240"}, "base": {"header": "X-Site"}},
        "phone_number": "$..phone",
    },
    "contact": ["$", "$.data", "$.items[0]"],
    "only_if": {"header:X-Event": ["created", "updated"]},
    "ignore_if": {"$.items[?@.gone].id": {"exists": True}},
    "test_if": {"$..test": True},
    "secret_fields": ["$..password", "$.data[?@.a || @.id == value($..type)].id", "$.items[-2]"],
}
#: What cannot be mapped goes into quarantine; other sources reject it here.
KEEPING = {**MAPPING, "on_invalid": "quarantine"}
SOURCES: dict[str, dict[str, Any]] = {
    "any": {
        "verify": TOKEN_WAYS,
        "secret": TOKEN,
        "body": list(FORMATS),
        "json_fields": ["id", "data"],
        **KEEPING,
    },
    "each": {
        "verify": TOKEN_WAYS,
        "secret": TOKEN,
        "body": ["json", "ndjson"],
        "each": "$..items[*]",
        **KEEPING,
    },
    "plain": {"verify": "token", "secret": TOKEN},
    "segment": {
        "verify": {"scheme": "hmac", "header": "X-Sig", "hash": "sha1", "first_element_only": True},
        "secret": TOKEN,
    },
    "jwt": {
        "verify": {"scheme": "jwt-body", "algorithms": ["HS256"]},
        "secret": KEY.decode(),
        "body": "jwt",
        **MAPPING,
    },
    "jwks": {"verify": {"scheme": "jwt-body", "jwks": JWKS, "algorithms": ["RS256"]}, "body": "jwt"},
    **{name.replace("_", "-"): {"preset": name} for name in PRESETS},
}
TYPES = st.sampled_from([kind for known in FORMATS.values() for kind in known.types])
CONTENT_TYPES = TYPES | st.sampled_from(["multipart/form-data; boundary=b", "", "text/plain"]) | st.text(max_size=20)
PLAIN_TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]))
BODIES = (
    st.binary()
    | PAYLOADS.map(lambda payload: json.dumps(payload, default=str).encode())
    | st.lists(PAYLOADS, max_size=4).map(
        lambda lines: "\n".join(json.dumps(line, default=str) for line in lines).encode()
    )
    | st.lists(st.sampled_from([b"--b", b"\r\n", b'Content-Disposition: form-data; name="id"', b"x", b"--"])).map(
        b"".join
    )
    | st.sampled_from(
        [b"id=1&data[id]=2", b"data={&id=[", b"%", b"[" * 2000, b"\xff", b"e30.e30.e30", b'{"id": 1e400}']
    )
)


def sources() -> dict[str, dict[str, Any]]:
    """Return every source with a suitable secret."""
    made = {}
    for name, written in SOURCES.items():
        preset: Any = PRESETS.get(str(written.get("preset")), {})
        verify = preset.get("verify")
        scheme = verify["scheme"] if isinstance(verify, dict) else verify
        secret = "whsec_" + base64.b64encode(KEY).decode() if scheme == "standard-webhooks" else KEY.decode()
        if scheme == "jwt-body" or (scheme == "jwt-header" and "jwks" not in written):
            written = {**written, "verify": {"jwks": JWKS, "algorithms": ["RS256"]}}
        made[name] = (
            written if {"secret", "secrets"} & written.keys() or name == "jwks" else {**written, "secret": secret}
        )
    return made


@pytest.fixture(scope="module")
def http() -> Any:
    return door(sources(), MemoryStore())


HEADERS = st.dictionaries(st.sampled_from(["X-Event", "X-Shop", "X-Site", "X-Sig", "svix-id"]), PLAIN_TEXT)
PACKINGS = st.none() | st.sampled_from(["gzip", "identity", "br"]) | PLAIN_TEXT


def assert_answered_soon(
    http: Any, source: str, body: bytes, content_type: str, headers: dict[str, str | None]
) -> None:
    sent = {name: value for name, value in headers.items() if value is not None}
    sent["Content-Type"] = "".join(char for char in content_type if " " <= char <= "~")

    def post() -> None:
        answer = http.post(f"/webhooks/{source}", data=body, headers=sent)
        assert answer.status_code in ANSWERS, answer.text
        assert json.loads(answer.data) is not None

    assert seconds(post) < QUICK_S


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    source=st.sampled_from(sorted(SOURCES)),
    body=BODIES | BODIES.map(gzip.compress),
    content_type=CONTENT_TYPES,
    packing=PACKINGS,
    headers=HEADERS,
)
def test_any_request_is_answered_quickly(
    http: Any, source: str, body: bytes, content_type: str, packing: str | None, headers: dict[str, str]
) -> None:
    assert_answered_soon(http, source, body, content_type, {**headers, "Content-Encoding": packing})


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=300)
@given(
    source=st.sampled_from(["any", "each", "plain"]),
    body=BODIES,
    content_type=TYPES | CONTENT_TYPES,
    packing=st.sampled_from([None, None, None, "gzip", "br"]),
    headers=HEADERS,
)
def test_any_authentic_delivery_is_answered_quickly(
    http: Any, source: str, body: bytes, content_type: str, packing: str | None, headers: dict[str, str]
) -> None:
    sent = {"X-Event": "created", **headers, "Authorization": f"Bearer {TOKEN}", "Content-Encoding": packing}
    assert_answered_soon(http, source, gzip.compress(body) if packing == "gzip" else body, content_type, sent)


@settings(deadline=None)
@given(payload=PAYLOADS, path=st.sampled_from(PATHS))
def test_signed_claims_can_be_hostile(http: Any, payload: object, path: str) -> None:
    claims = base64.urlsafe_b64encode(json.dumps(payload, default=str).encode()).rstrip(b"=")
    head = base64.urlsafe_b64encode(b'{"alg": "HS256"}').rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(KEY, head + b"." + claims, "sha256")).rstrip(b"=")
    token = b".".join([head, claims, signature])
    headers = {"X-Event": "created", "X-Shop": path}
    answer = http.post("/webhooks/jwt", data=token, headers=headers, content_type="application/jwt")
    assert answer.status_code in ANSWERS


LARGE = {
    "objects": b"[" + b'{"id":1},' * 9_000 + b"1]",
    "arrays": b"[" * 9_000,
    "decimals": b'{"items":[' + b"1.5," * 60_000 + b"1]}",
    "names": b'{"name":"' + b"\\u0001" * 40_000 + b'","id":1}',
    "one contact": json.dumps(
        {"id": "1", "name": "a " * 60_000, "email": "a@" * 30_000, "phone": "1" * 20_000}
    ).encode(),
    "deep": b'{"a":' * 900 + b'{"id":1}' + b"}" * 900,
    "items": b'{"items":[' + b'{"id":"x","email":"a@b.c"},' * 8_000 + b"1]}",
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("source", ["any", "each", "plain"])
def test_large_bodies_are_answered_quickly(http: Any, source: str, name: str) -> None:
    assert len(LARGE[name]) <= MAX_BYTES
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "X-Event": "created",
        "X-Shop": "shop",
        "X-Site": "https://a.example",
    }

    def post() -> None:
        answer = http.post(f"/webhooks/{source}", data=LARGE[name], headers=headers, content_type="application/json")
        assert answer.status_code in ANSWERS

    assert seconds(post) < QUICK_S


def test_these_sources_use_every_scheme() -> None:
    written = [str(source) for source in [*SOURCES.values(), *PRESETS.values()]]
    for scheme in set(SCHEMES) - {"basic", "hubspot-v3"}:
        assert any(scheme in text for text in written)
