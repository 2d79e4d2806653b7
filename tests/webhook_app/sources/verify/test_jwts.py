"""JSON Web Tokens, with keys from a server that is down, slow or hostile."""

import base64
import hashlib
import hmac
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from email.message import Message
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from werkzeug.datastructures import Headers

from tests.deliveries import prepared
from tests.doors import door
from tests.world import wait_until
from webhook_app.sources.config import load_sources, read_source
from webhook_app.sources.delivery import Delivery, Unauthentic, Undecided, UnknownKey
from webhook_app.sources.source import Source
from webhook_app.sources.verify import jwks
from webhook_app.sources.verify.jwks import (
    COOLDOWN_S,
    FRESH_S,
    MAX_MISSING,
    MAX_SET,
    RETRY_S,
    STALE_S,
    KeySet,
    keep_fresh,
)
from webhook_app.sources.verify.schemes import key_sets
from worker.model import Contact, Signup

NOW = 1_700_000_000
#: Seconds that a fetch takes at most.
WAIT_S = 60
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NEXT_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
ISSUER = "https://example.kinde.com"
CLAIMS = {
    "type": "user.created",
    "event_id": "event_1",
    "iss": ISSUER,
    "data": {"user": {"id": 12345678901234567890, "email": "ana@example.com", "first_name": "Ana", "last_name": ""}},
}


class Publisher:
    """Publishes keys over HTTP as ``answer`` says; ``asked`` counts requests."""

    def __init__(self) -> None:
        self.asked = 0
        self.headers: Message | None = None
        self.publish(("one", RSA))
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked += 1
                publisher.headers = self.headers
                publisher.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"

    def say(self, body: bytes, status: int = 200, **headers: str) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.answer: Callable[[BaseHTTPRequestHandler], None] = answer

    def publish(self, *keys: tuple[str, Any], **more: str) -> None:
        self.say(json.dumps({"keys": [jwk(kid, key) | more for kid, key in keys]}).encode())


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may be slow to connect."""
    monkeypatch.setattr(jwks, "CONNECT_S", 30.0)
    monkeypatch.setattr(jwks, "ANSWER_S", 30.0)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """A publisher of its own for each test, because fetches may end later."""
    publisher = Publisher()
    yield publisher
    publisher.server.shutdown()
    publisher.server.server_close()


@cache  # reading a private key checks it, which takes a while
def jose_key(key: Any) -> RSAKey | ECKey | OKPKey | OctKey:
    if isinstance(key, str):
        return OctKey.import_key(key)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    kinds: dict[type, Any] = {
        rsa.RSAPrivateKey: RSAKey,
        ec.EllipticCurvePrivateKey: ECKey,
        ed25519.Ed25519PrivateKey: OKPKey,
    }
    made: RSAKey | ECKey | OKPKey = next(kind for of, kind in kinds.items() if isinstance(key, of)).import_key(pem)
    return made


def jwk(kid: str, key: Any) -> dict[str, Any]:
    return {"kid": kid, "use": "sig", **jose_key(key).as_dict(private=False)}


def unprepared(publisher: Publisher, **options: object) -> Source:
    """Return a source that has fetched no keys yet."""
    verify = {"scheme": "jwt-body", "jwks": publisher.url, "algorithms": ["RS256"], "issuer": ISSUER, **options}
    entry = {"verify": verify, "body": "jwt", "map": {"identifier": "$.data.user.id", "email": "$.data.user.email"}}
    return read_source("kinde", entry, {})


def kinde(publisher: Publisher, **options: object) -> Source:
    """Return a source that has tried to fetch the keys."""
    return prepared(unprepared(publisher, **options))


@pytest.fixture
def ready(publisher: Publisher) -> Source:
    return kinde(publisher)


def fetched(source: Source) -> None:
    """Wait until the fetch that a delivery caused has ended."""
    for each in key_sets(source.verifiers):
        each.wait(WAIT_S)


def token(claims: object = CLAIMS, key: Any = RSA, algorithm: str = "RS256", kid: str | None = "one") -> bytes:
    head = {"alg": algorithm} if kid is None else {"alg": algorithm, "kid": kid}
    with warnings.catch_warnings(action="ignore"):  # EdDSA has got another name
        return jws.serialize_compact(head, json.dumps(claims), jose_key(key), [algorithm]).encode()


def delivery(body: bytes, **headers: str) -> Delivery:
    return Delivery(Headers({"Content-Type": "application/jwt", **headers}), body)


def refusal(source: Source, sent: Delivery, now: float = NOW) -> str:
    with pytest.raises(Unauthentic) as caught:
        source.verify(sent, now)
    return str(caught.value)


# The body is the token


def test_a_signed_body_is_accepted_and_its_claims_are_the_payload(publisher: Publisher) -> None:
    source = kinde(publisher)
    sent = delivery(token() + b"\n")
    assert source.verify(sent, NOW) == 0
    assert source.secret_names == (f"jwks {publisher.url}",)
    read = source.read_payload(source.reader.read(sent))
    assert isinstance(read, Signup)
    assert read.contact == Contact("12345678901234567890", email="ana@example.com")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA, "RS256"), (RSA, "RS512"), (RSA, "PS256"), (EC, "ES256"), (ED, "EdDSA")],
    ids=["RS256", "RS512", "PS256", "ES256", "EdDSA"],
)
def test_every_configured_algorithm_is_accepted(publisher: Publisher, key: Any, algorithm: str) -> None:
    publisher.publish(("one", key))
    agreed = kinde(publisher, algorithms=["RS256", "RS512", "PS256", "ES256", "EdDSA"])
    assert agreed.verify(delivery(token(key=key, algorithm=algorithm)), NOW) == 0
    others = [name for name in ("RS384", "ES384") if name != algorithm]
    assert "algorithm is not one of those configured" in refusal(
        kinde(publisher, algorithms=others), delivery(token(key=key, algorithm=algorithm))
    )


def hmac_of(key: bytes, digest: str, message: bytes) -> bytes:
    return hmac.digest(key, message, digest)


def forged(head: Mapping[str, object], signature: Callable[[bytes], bytes]) -> bytes:
    parts = (json.dumps(head).encode(), json.dumps(CLAIMS).encode())
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return signed + b"." + base64.urlsafe_b64encode(signature(signed)).rstrip(b"=")


def public_texts() -> list[bytes]:
    """Return the forms in which the public key could be used as a secret."""
    public = RSA.public_key()
    texts = [
        public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER)
    ]
    return [*texts, texts[0].strip(), json.dumps(jwk("one", RSA)).encode(), jwk("one", RSA)["n"].encode()]


@pytest.mark.parametrize(
    "algorithm", ["HS256", "hs256", "HS512", "none", "None", "NONE", "", "RS257", None, 5, ["RS256"]]
)
@pytest.mark.parametrize("algorithms", [["RS256"], ["RS256", "ES256"]])
def test_the_token_does_not_choose_its_algorithm(
    publisher: Publisher, algorithm: object, algorithms: list[str]
) -> None:
    source = unprepared(publisher, algorithms=algorithms)
    digest = "sha512" if algorithm == "HS512" else "sha256"
    for secret in public_texts():
        sent = forged({"alg": algorithm, "kid": "one"}, partial(hmac_of, secret, digest))
        refusal(source, delivery(sent))
    refusal(source, delivery(forged({"alg": algorithm, "kid": "one"}, lambda _: b"")))
    assert publisher.asked == 0, "a token that is not one fetches nothing"


def test_a_shared_secret_among_the_published_keys_is_ignored(publisher: Publisher) -> None:
    secret = base64.urlsafe_b64encode(b"s" * 32).decode().rstrip("=")
    publisher.say(json.dumps({"keys": [{"kty": "oct", "kid": "one", "k": secret}, jwk("two", RSA)]}).encode())
    for head in ({"alg": "HS256", "kid": "one"}, {"alg": "RS256", "kid": "one"}):
        with pytest.raises((Unauthentic, UnknownKey)):
            kinde(publisher).verify(delivery(forged(head, partial(hmac_of, b"s" * 32, "sha256"))), NOW)


@pytest.mark.parametrize("more", [{"alg": "RS512"}, {"use": "enc"}, {"kty": "EC"}])
def test_a_published_key_for_another_use_is_ignored(publisher: Publisher, more: dict[str, str]) -> None:
    publisher.say(json.dumps({"keys": [jwk("one", RSA) | more, jwk("two", NEXT_RSA)]}).encode())
    source = kinde(publisher)
    with pytest.raises(UnknownKey):
        source.verify(delivery(token()), NOW)
    prepared(source, NOW + COOLDOWN_S)
    assert "does not publish" in refusal(source, delivery(token()), NOW + COOLDOWN_S)


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({**CLAIMS, "iss": "https://other.kinde.com"}, "another issuer"),
        ({key: value for key, value in CLAIMS.items() if key != "iss"}, "another issuer"),
        ({**CLAIMS, "exp": NOW - 61}, "out of date"),
        ({**CLAIMS, "nbf": NOW + 61}, "out of date"),
        ({**CLAIMS, "exp": "soon"}, "not a number"),
        ({**CLAIMS, "exp": 1e300}, "not a number"),
        ({**CLAIMS, "nbf": None}, "not a number"),
        ([CLAIMS], "does not match"),
        ("text", "does not match"),
    ],
)
def test_what_a_token_claims_is_checked(publisher: Publisher, claims: object, says: str) -> None:
    assert says in refusal(kinde(publisher), delivery(token(claims)))


def test_a_token_is_valid_within_its_times(publisher: Publisher) -> None:
    source = kinde(publisher)
    for times in ({"exp": NOW - 59}, {"nbf": NOW + 59}, {"exp": NOW + 5.5, "nbf": NOW}):
        assert source.verify(delivery(token({**CLAIMS, **times})), NOW) == 0
    with pytest.raises((Unauthentic, Undecided)):
        source.verify(delivery(token({**CLAIMS, "exp": NOW})), float("nan"))


def test_a_configured_audience_is_checked(publisher: Publisher) -> None:
    source = kinde(publisher, audience="contacts")
    for right in ("contacts", ["other", "contacts"]):
        assert source.verify(delivery(token({**CLAIMS, "aud": right})), NOW) == 0
    for wrong in ("contact", ["other"], [], None, 5):
        assert "another audience" in refusal(source, delivery(token({**CLAIMS, "aud": wrong})))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_change_of_a_token_is_rejected(ready: Source, data: st.DataObject) -> None:
    source = ready
    good = token()
    at = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.binary(max_size=3).filter(lambda other: other != good[at : at + 1]))
    with pytest.raises((Unauthentic, UnknownKey)):
        source.verify(delivery(good[:at] + other + good[at + 1 :]), NOW)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary() | st.lists(st.binary().map(base64.urlsafe_b64encode), min_size=2, max_size=4).map(b".".join))
def test_any_body_is_rejected_without_another_error(publisher: Publisher, body: bytes) -> None:
    refusal(unprepared(publisher), delivery(body))


@pytest.mark.parametrize(
    "head",
    [
        *(
            b"[" * 5000,
            b"{" * 5000,
            b"\xff",
            b"null",
            b"1" * 5000,
            b'{"alg":["RS256"]}',
            b'{"alg":"RS256","b64":false}',
        ),
        *(
            b'{"alg":"RS256","kid":{"a":1}}',
            b'{"alg":"RS256","crit":["x"]}',
            b'{"alg":"RS256","b64":false,"crit":["b64"]}',
        ),
    ],
)
def test_a_hostile_header_is_rejected(publisher: Publisher, head: bytes) -> None:
    written = base64.urlsafe_b64encode(head).rstrip(b"=")
    for payload in (b"e30", b"", b"{}"):
        with pytest.raises((Unauthentic, Undecided)):
            unprepared(publisher).verify(delivery(written + b"." + payload + b".AAAA"), NOW)


# The keys


def test_the_keys_are_fetched_once_for_many_deliveries(publisher: Publisher) -> None:
    source = kinde(publisher)
    for second in range(0, int(FRESH_S), 60):
        assert source.verify(delivery(token()), NOW + second) == 0
    assert publisher.asked == 1
    assert source.verify(delivery(token()), NOW + FRESH_S + 1) == 0
    fetched(source)
    assert publisher.asked == 2


def test_a_new_key_is_fetched_when_it_is_used_and_the_sender_repeats_the_delivery(publisher: Publisher) -> None:
    source = kinde(publisher)
    source.verify(delivery(token()), NOW)
    publisher.publish(("two", NEXT_RSA))
    rotated = delivery(token(key=NEXT_RSA, kid="two"))
    with pytest.raises(UnknownKey):
        source.verify(rotated, NOW + COOLDOWN_S)
    fetched(source)
    assert source.verify(rotated, NOW + COOLDOWN_S) == 0
    with pytest.raises(UnknownKey):
        source.verify(delivery(token()), NOW + 2 * COOLDOWN_S)
    fetched(source)
    prepared(source, NOW + 3 * COOLDOWN_S)
    assert "does not publish" in refusal(source, delivery(token()), NOW + 3 * COOLDOWN_S)


def test_unknown_keys_are_not_fetched_again_and_again(publisher: Publisher) -> None:
    """They are not rejected either, because the sender may have a newer key."""
    source = kinde(publisher)
    source.verify(delivery(token()), NOW)
    for number in range(50):
        with pytest.raises(UnknownKey):
            source.verify(delivery(token(kid=f"made up {number}")), NOW + number / 10)
    fetched(source)
    assert publisher.asked == 1
    assert source.verify(delivery(token()), NOW + 5) == 0


def test_no_more_than_a_few_unknown_keys_are_remembered(publisher: Publisher) -> None:
    source = kinde(publisher)
    [keys] = key_sets(source.verifiers)
    for number in range(3 * MAX_MISSING):
        with pytest.raises(UnknownKey):
            keys.find(f"made up {number}", "RS256", NOW)
    assert len(keys._missing) == MAX_MISSING


@pytest.mark.parametrize("kid", [5, {"a": 1}, ["one"], True])
def test_a_key_id_that_is_not_a_string_is_rejected(publisher: Publisher, kid: object) -> None:
    [keys] = key_sets(kinde(publisher).verifiers)
    with pytest.raises(Unauthentic):
        keys.find(kid, "RS256", NOW)


def test_a_token_without_a_key_id_is_tried_with_all_keys(publisher: Publisher) -> None:
    publisher.publish(("one", RSA), ("two", NEXT_RSA))
    source = kinde(publisher)
    assert source.verify(delivery(token(key=NEXT_RSA, kid=None)), NOW) == 0
    refusal(source, delivery(token(key=NEXT_RSA, kid="one")))
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    refusal(source, delivery(token(key=other, kid=None)))


def hangs(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1.2)


def drips(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):  # by then nobody listens any more
        for _ in range(40):
            handler.wfile.write(b" ")
            time.sleep(0.1)


BROKEN: dict[str, Callable[[Publisher], None]] = {
    "500": lambda publisher: publisher.say(b"", 500),
    "404": lambda publisher: publisher.say(b"", 404),
    "redirect": lambda publisher: publisher.say(b"", 302, Location=publisher.url),
    "html": lambda publisher: publisher.say(b"<html>"),
    "no keys": lambda publisher: publisher.say(b'{"keys": []}'),
    "no set": lambda publisher: publisher.say(b"[]"),
    "odd keys": lambda publisher: publisher.say(b'{"keys": [1, {}, {"kty": []}, {"kty": "RSA", "n": 5, "e": "??"}]}'),
    "huge": lambda publisher: publisher.say(b" " * (MAX_SET + 1)),
    "nested": lambda publisher: publisher.say(b"[" * 9999),
    "hanging": lambda publisher: setattr(publisher, "answer", hangs),
    "dripping": lambda publisher: setattr(publisher, "answer", drips),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_without_keys_a_token_is_undecided(publisher: Publisher, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "ANSWER_S", 0.5)
    BROKEN[fault](publisher)
    source = unprepared(publisher)
    for second in range(4):
        with pytest.raises(Undecided, match="cannot be fetched"):
            source.verify(delivery(token()), NOW + second)
    fetched(source)
    assert publisher.asked == 1
    publisher.publish(("one", RSA))
    assert prepared(source, NOW + RETRY_S).verify(delivery(token()), NOW + RETRY_S) == 0


def test_without_keys_the_sender_must_retry(publisher: Publisher) -> None:
    """A 503 and not a 401, because some senders never retry after a 4xx."""
    publisher.say(b"", 500)
    verify = {"scheme": "jwt-body", "jwks": publisher.url, "algorithms": ["RS256"]}
    http = door({"kinde": {"verify": verify, "body": "jwt", "map": {"identifier": "$.data.user.id"}}})
    answer = http.post("/webhooks/kinde", data=token(), content_type="application/jwt")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "cannot be verified now: the keys of the sender cannot be fetched" in answer.text
    assert http.post("/webhooks/kinde", data=b"no.token.", content_type="application/jwt").status_code == 401


def test_known_keys_are_used_for_a_day_while_the_url_is_down(publisher: Publisher) -> None:
    source = kinde(publisher)
    source.verify(delivery(token()), NOW)
    publisher.say(b"", 503)
    assert source.verify(delivery(token()), NOW + STALE_S) == 0
    fetched(source)
    with pytest.raises(Undecided):
        source.verify(delivery(token()), NOW + STALE_S + RETRY_S + 1)
    refusal(source, delivery(b"no token"), NOW + STALE_S + RETRY_S + 1)


def test_nobody_listens(publisher: Publisher) -> None:
    verify = {"jwks": "http://127.0.0.1:9/jwks.json"}
    with pytest.raises(Undecided):
        kinde(publisher, **verify).verify(delivery(token()), NOW)


def test_many_threads_fetch_once(publisher: Publisher) -> None:
    source = unprepared(publisher)

    def post() -> None:
        with suppress(Undecided):
            source.verify(delivery(token()), NOW)

    threads = [threading.Thread(target=post) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fetched(source)
    assert publisher.asked == 1
    assert source.verify(delivery(token()), NOW) == 0


def test_keys_are_fetched_before_the_first_delivery(publisher: Publisher) -> None:
    source = unprepared(publisher)
    keep_fresh(key_sets(source.verifiers), lambda: NOW)
    wait_until(lambda: publisher.asked == 1)
    fetched(source)
    assert source.verify(delivery(token()), NOW) == 0


def test_sources_with_the_same_url_share_its_keys(publisher: Publisher, tmp_path: Path) -> None:
    """Also with other algorithms, and each source takes its own only."""
    publisher.publish(("one", RSA), ("two", EC))
    verify = f'scheme = "jwt-body", jwks = "{publisher.url}"'
    text = "".join(
        f'[sources.{name}]\nbody = "jwt"\nverify = {{ {verify}, algorithms = ["{algorithm}"] }}\n'
        'map = { identifier = "$.data.user.id" }\n'
        for name, algorithm in (("a", "RS256"), ("b", "RS256"), ("c", "ES256"))
    )
    (tmp_path / "sources.toml").write_text(text)
    sources = load_sources(tmp_path / "sources.toml", None, {})
    keep_fresh((each for source in sources.values() for each in key_sets(source.verifiers)), lambda: NOW)
    wait_until(lambda: publisher.asked == 1)
    for source in sources.values():
        fetched(source)
    assert sources["a"].verify(delivery(token()), NOW) == 0
    assert sources["b"].verify(delivery(token()), NOW) == 0
    assert sources["c"].verify(delivery(token(key=EC, algorithm="ES256", kid="two")), NOW) == 0
    refusal(sources["c"], delivery(token()))
    assert publisher.asked == 1


def test_neither_credentials_nor_proxies_of_the_environment_are_used(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only the documented ones: see ``worker.outbound``. A ``~/.netrc`` never is."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert kinde(publisher).verify(delivery(token()), NOW) == 0
    assert publisher.headers is not None
    assert "Authorization" not in publisher.headers
    monkeypatch.delenv("NO_PROXY")
    with pytest.raises(Undecided):
        kinde(publisher).verify(delivery(token()), NOW)


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://example.com/jwks", True),
        ("https://10.0.0.1/jwks", True),
        ("http://keycloak:8080/jwks", True),
        ("http://localhost/jwks", True),
        ("http://10.0.0.1/jwks", True),
        ("http://[::1]:80/jwks", True),
        ("http://example.com/jwks", False),
        ("http://8.8.8.8/jwks", False),
        ("file:///etc/passwd", False),
        ("ftp://localhost/jwks", False),
        ("http://", False),
        ("http://[", False),
        ("", False),
        ("jwks.json", False),
    ],
)
def test_keys_are_not_fetched_without_tls(url: str, is_allowed: bool) -> None:
    if is_allowed:
        assert KeySet(url).url == url
    else:
        with pytest.raises(ValueError, match="https"):
            KeySet(url)


# A header has a token with the body's hash


BODY = b'{"event": {"user": {"id": "1"}}}'
FUSIONAUTH = {"header": "X-FusionAuth-Signature-JWT", "encoding": "base64"}
KEYCLOAK = {"encoding": "hex"}


def in_header(publisher: Publisher | None, *secrets: str, **options: object) -> Source:
    jwks = {"jwks": publisher.url, "algorithms": ["RS256"]} if publisher else {"algorithms": ["HS256"]}
    entry: dict[str, Any] = {"verify": {"scheme": "jwt-header", **jwks, **options}, "map": {"identifier": "$.id"}}
    return prepared(read_source("a", entry | ({"secrets": list(secrets)} if secrets else {}), {}))


def hashed(body: bytes, encoding: str) -> dict[str, str]:
    digest = hashlib.sha256(body).digest()
    return {"request_body_sha256": digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()}


def test_fusionauth_and_keycloak_sign_the_hash_of_the_body(publisher: Publisher) -> None:
    sent = delivery(BODY, **{"X-FusionAuth-Signature-JWT": token(hashed(BODY, "base64")).decode()})
    assert in_header(publisher, **FUSIONAUTH).verify(sent, NOW) == 0
    bearer = delivery(BODY, Authorization=f"Bearer {token(hashed(BODY, 'hex')).decode()}")
    assert in_header(publisher, **KEYCLOAK).verify(bearer, NOW) == 0
    refusal(in_header(publisher, **FUSIONAUTH), bearer)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"request_body_sha256": None},
        {"request_body_sha256": "é\ud800"},
        hashed(b"{}", "base64"),
        hashed(BODY, "hex"),
    ],
)
def test_a_token_for_another_body_is_rejected(publisher: Publisher, claims: dict[str, str]) -> None:
    sent = delivery(BODY, **{"X-FusionAuth-Signature-JWT": token(claims).decode()})
    assert "does not match the body" in refusal(in_header(publisher, **FUSIONAUTH), sent)


@given(st.binary())
def test_any_other_body_is_rejected(body: bytes) -> None:
    source = in_header(None, "k" * 32, **FUSIONAUTH)
    header = token(hashed(BODY, "base64"), "k" * 32, "HS256").decode()
    assert source.verify(delivery(BODY, **{"X-FusionAuth-Signature-JWT": header}), NOW) == 0
    refusal(source, delivery(body + b" ", **{"X-FusionAuth-Signature-JWT": header}))


def test_the_secret_that_signed_a_token_is_reported(publisher: Publisher) -> None:
    source = in_header(None, "n" * 32, "o" * 32, **KEYCLOAK)
    for number, secret in enumerate(["n" * 32, "o" * 32]):
        sent = delivery(BODY, Authorization=token(hashed(BODY, "hex"), secret, "HS256").decode())
        assert source.verify(sent, NOW) == number
    refusal(source, delivery(BODY, Authorization=token(hashed(BODY, "hex"), "x" * 32, "HS256").decode()))
    refusal(source, delivery(BODY, Authorization=token(hashed(BODY, "hex")).decode()))


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "a.b", "é", "a" * 9999, "..", "Bearer ..", "Basic a.b.c"])
def test_a_header_without_a_token_is_rejected(publisher: Publisher, value: str) -> None:
    refusal(in_header(publisher), delivery(BODY, Authorization=value))


def test_secrets_and_key_sets_are_numbered_together(publisher: Publisher) -> None:
    verify = [
        {"scheme": "jwt-header", "jwks": "https://example.com/other", "algorithms": ["RS256"], "header": "X-Other"},
        {"scheme": "jwt-header", "jwks": publisher.url, "algorithms": ["RS256"], "encoding": "hex"},
        "token",
    ]
    source = read_source("a", {"verify": verify, "secrets": ["first-secret", "second-secret"]}, {})
    [_, keys] = key_sets(source.verifiers)
    keys.refresh(NOW)
    keys.wait(WAIT_S)
    assert source.secret_names == (
        "secrets number 1",
        "secrets number 2",
        "jwks https://example.com/other",
        f"jwks {publisher.url}",
    )
    assert source.verify(delivery(BODY, Authorization="Bearer second-secret"), NOW) == 1
    assert source.verify(delivery(BODY, Authorization=token(hashed(BODY, "hex")).decode()), NOW) == 3
