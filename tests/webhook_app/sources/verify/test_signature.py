"""Signatures of published vectors and other code are accepted, no others."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from webhook_app.sources.delivery import Delivery, Unauthentic, Unsigned
from webhook_app.sources.verify.schemes import read_verifiers
from webhook_app.sources.verify.signature import Hmac, Verifier, verify
from webhook_app.sources.verify.tokens import Token
from worker.errors import SettingsError

NOW = 1_614_265_330
#: The published vector of the Standard Webhooks reference libraries (libraries/go/webhook_test.go).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(NOW),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
RIGHT = HEADERS["webhook-signature"]
OTHER = "whsec_" + base64.b64encode(b"another key, also 24 byt").decode()

STRIPE = {
    "scheme": "hmac",
    "header": "Stripe-Signature",
    "separator": ",",
    "prefix": "v1=",
    "timestamp_prefix": "t=",
    "template": "{t}.{body}",
}


def ways(written: object, *secrets: str) -> tuple[Verifier, ...]:
    return read_verifiers(written, {f"secret {number}": secret for number, secret in enumerate(secrets)})


STANDARD = ways("standard-webhooks", SECRET)


def delivery(headers: Mapping[str, str], body: bytes = BODY, **more: str) -> Delivery:
    return Delivery(Headers(dict(headers)), body, more)


def refusal(written: tuple[Verifier, ...], sent: Delivery, now: float = NOW) -> str:
    with pytest.raises(Unauthentic) as caught:
        verify(written, sent, now)
    return str(caught.value)


def mac(key: bytes, message: bytes, digest: str = "sha256") -> bytes:
    """HMAC by the definition in RFC 2104, so that our code does not verify itself."""
    block = 128 if digest == "sha512" else 64
    key = key.ljust(block, b"\0")
    inner = hashlib.new(digest, bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.new(digest, bytes(byte ^ 0x5C for byte in key) + inner).digest()


# Standard Webhooks


def test_an_id_cannot_contain_the_separator_of_the_signed_text() -> None:
    """Otherwise part of a body that a user typed could become the body ("Signature scheme" of the specification)."""
    victim = b'{"identifier": "victim"}'
    message = b"msg_1.%d.{x.%d.%s" % (NOW - 1, NOW, victim)
    signed = base64.b64encode(mac(base64.b64decode(SECRET.removeprefix("whsec_")), message)).decode()
    headers = {
        "webhook-id": f"msg_1.{NOW - 1}.{{x",
        "webhook-timestamp": str(NOW),
        "webhook-signature": f"v1,{signed}",
    }
    assert "contains a separator" in refusal(STANDARD, delivery(headers, victim))


@pytest.mark.parametrize(
    ("template", "message_id", "is_accepted"),
    [
        ("{id}:{t}:{body}", "a.b", True),
        ("{id}:{t}:{body}", "a:b", False),
        ("{t}.{id}::{body}", "a:", False),
        ("{t}.{body}.{id}", "a.b", False),
        ("{t}.{body}.{id}", "ab", True),
        ("{id}{t}{body}", "ab", True),
    ],
)
def test_the_separator_is_that_of_the_template(template: str, message_id: str, is_accepted: bool) -> None:
    options = {"timestamp_header": "X-Time", "id_header": "X-Id", "template": template}
    written = ways({"scheme": "hmac", "header": "X-Sig", **options}, "long enough")
    message = template.format(id=message_id, t=NOW, body=BODY.decode()).encode()
    headers = {"X-Id": message_id, "X-Time": str(NOW), "X-Sig": mac(b"long enough", message).hex()}
    if is_accepted:
        assert verify(written, delivery(headers), NOW) == 0
    else:
        assert "contains a separator" in refusal(written, delivery(headers))


def test_the_published_vector_is_accepted() -> None:
    assert verify(STANDARD, delivery(HEADERS), NOW) == 0


def test_the_published_vector_of_svix_is_accepted_with_both_header_names() -> None:
    """Source: svix-webhooks, go/webhook_test.go."""
    body = b'{"event_type":"ping","data":{"success":true}}'
    values = ("msg_loFOjxBNrRLzqYUf", "1731705121", "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=")
    for family in ("svix", "webhook", "Svix"):
        names = (f"{family}-id", f"{family}-timestamp", f"{family}-signature")
        sent = delivery(dict(zip(names, values, strict=True)), body)
        assert verify(ways("standard-webhooks", "whsec_plJ3nmyCDGBKInavdOK15jsl"), sent, 1731705121) == 0


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), f"v1,{SECRET}"])
def test_a_secret_can_have_three_forms(secret: str) -> None:
    assert verify(ways("standard-webhooks", secret), delivery(HEADERS), NOW) == 0


@pytest.mark.parametrize(
    "header",
    [
        f"v1,AAAA {RIGHT}",
        f"{RIGHT} v1,AAAA",
        f"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== {RIGHT}",
        f"v2,what? {RIGHT}",
        f"v1,AAAA, {RIGHT}",
        f"{RIGHT}, v1,AAAA",
        f"  {RIGHT}  nonsense",
    ],
)
def test_one_right_signature_among_several_is_enough(header: str) -> None:
    assert verify(STANDARD, delivery({**HEADERS, "webhook-signature": header}), NOW) == 0


@pytest.mark.parametrize(
    "header",
    [
        "v1,",
        "v1",
        ",",
        " ",
        "v1,AAAA",
        RIGHT.removeprefix("v1,"),
        RIGHT.replace("v1,", "v2,"),
        RIGHT.replace("v1,", "v1a,"),
        RIGHT.replace("v1,", "V1,"),
        RIGHT.replace("v1,", "v1 ,"),
        RIGHT.lower(),
        RIGHT[:-1],
        RIGHT + "=",
        RIGHT[:-6],
        "v1,é" + RIGHT,
        RIGHT + "\u0661",
        "\udcff",
        "\x00" + RIGHT,
        "v1, " * 5_000,
        RIGHT + " " * 5_000,
    ],
)
def test_a_malformed_signature_is_rejected(header: str) -> None:
    refusal(STANDARD, delivery({**HEADERS, "webhook-signature": header}))


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        " ",
        "-1",
        "+1614265330",
        "1614265330.0",
        "1e9",
        "NaN",
        "inf",
        "0x10",
        "1_614_265_330",
        "٣",
        "9" * 15,
        "9" * 9999,
        "1" * 16,
        "1614265330 ",
        "²",
        "\x00",
        "1614265330000",
    ],
)
def test_a_malformed_timestamp_is_rejected(timestamp: str) -> None:
    refusal(STANDARD, delivery({**HEADERS, "webhook-timestamp": timestamp}))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", [None, "", "\udcff", "é" * 10, "x" * 10_000])
def test_a_missing_or_malformed_header_is_rejected(name: str, value: str | None) -> None:
    headers = {key: text for key, text in HEADERS.items() if key != name}
    refusal(STANDARD, delivery(headers if value is None else {**headers, name: value}))


@pytest.mark.parametrize(("shift", "good"), [(-301, False), (-300, True), (299.9, True), (300, True), (300.5, False)])
def test_five_minutes_in_both_directions(shift: float, good: bool) -> None:
    if good:
        assert verify(STANDARD, delivery(HEADERS), NOW + shift) == 0
    else:
        assert "timestamp" in refusal(STANDARD, delivery(HEADERS), NOW + shift)


def test_a_clock_that_is_not_a_number_rejects_everything() -> None:
    refusal(STANDARD, delivery(HEADERS), float("nan"))


@given(
    body=st.text(st.characters(codec="utf-8")),
    message_id=st.text("abcXYZ019_-", min_size=1),
    sent_at=st.integers(10**9, 3 * 10**9),
    key=st.binary(min_size=24, max_size=64),
)
def test_signatures_of_the_reference_library_are_accepted(body: str, message_id: str, sent_at: int, key: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    signed = standardwebhooks.Webhook(secret).sign(message_id, datetime.fromtimestamp(sent_at, UTC), body)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(sent_at), "webhook-signature": signed}
    assert verify(ways("standard-webhooks", OTHER, secret), delivery(headers, body.encode()), sent_at) == 1


@given(data=st.data())
def test_any_change_is_rejected(data: st.DataObject) -> None:
    """One part of a valid delivery is replaced by anything else; its time stays valid."""
    name = data.draw(st.sampled_from(["body", "secret", *HEADERS]))
    headers, body, secret = dict(HEADERS), BODY, SECRET
    if name == "body":
        body = data.draw(st.binary() | st.just(BODY + b" ") | st.integers(0, 19).map(lambda at: BODY[:at]))
        assume(body != BODY)
    elif name == "secret":
        secret = "whsec_" + base64.b64encode(data.draw(st.binary(min_size=8, max_size=64))).decode()
        assume(secret != SECRET)
    else:
        near = st.integers(NOW - 300, NOW + 300).map(str) if name == "webhook-timestamp" else st.text()
        headers[name] = data.draw(near | st.text(st.characters(codec="latin-1")))
        assume(RIGHT not in headers[name] and headers[name] != HEADERS[name])
    headers = {key: value for key, value in headers.items() if "\n" not in value and "\r" not in value}
    refusal(ways("standard-webhooks", secret), delivery(headers, body))


@given(
    st.dictionaries(
        st.sampled_from([*HEADERS, "svix-id", "svix-timestamp", "svix-signature", "Authorization"]), st.text()
    ),
    st.binary(),
    st.floats(),
)
def test_any_delivery_is_rejected_without_another_error(headers: dict[str, str], body: bytes, now: float) -> None:
    with pytest.raises(Unauthentic):
        verify(ways(["standard-webhooks", "token", STRIPE], SECRET), Delivery(headers, body, headers), now)


# Standard Webhooks v1a

#: svix-webhooks, server/svix-server/src/worker.rs, test_asymmetric_key_signing
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
ASYMMETRIC = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="


def test_the_published_asymmetric_vector_is_accepted() -> None:
    for header in (ASYMMETRIC, f"v1,AAAA {ASYMMETRIC}", f"v1a,AAAA {ASYMMETRIC}"):
        assert verify(ways("standard-webhooks", PUBLIC), delivery({**HEADERS, "webhook-signature": header}), NOW) == 0
    svix = {name.replace("webhook", "svix"): value for name, value in HEADERS.items()}
    assert verify(ways("standard-webhooks", PUBLIC), delivery({**svix, "svix-signature": ASYMMETRIC}), NOW) == 0


@pytest.mark.parametrize("header", [RIGHT, ASYMMETRIC.replace("v1a", "v1"), ASYMMETRIC[:-4], "v1a,", "v1a,?", "v1a"])
def test_another_asymmetric_signature_is_rejected(header: str) -> None:
    refusal(ways("standard-webhooks", PUBLIC), delivery({**HEADERS, "webhook-signature": header}))


def test_public_keys_and_secrets_are_never_confused() -> None:
    """The public key, which everybody can know, cannot sign."""
    key = base64.b64decode(PUBLIC.removeprefix("whpk_"))
    forged = base64.b64encode(mac(key, b".".join([HEADERS["webhook-id"].encode(), str(NOW).encode(), BODY]))).decode()
    for version in ("v1", "v1a"):
        sent = delivery({**HEADERS, "webhook-signature": f"{version},{forged}"})
        refusal(ways("standard-webhooks", PUBLIC), sent)
    refusal(ways("standard-webhooks", SECRET), delivery({**HEADERS, "webhook-signature": ASYMMETRIC}))


def test_secrets_of_both_kinds_are_numbered_in_order() -> None:
    both = ways("standard-webhooks", OTHER, PUBLIC, SECRET)
    assert verify(both, delivery({**HEADERS, "webhook-signature": ASYMMETRIC}), NOW) == 1
    assert verify(both, delivery(HEADERS), NOW) == 2


@given(seed=st.binary(min_size=32, max_size=32), body=st.binary(), other=st.binary(), shift=st.integers(-400, 400))
def test_any_change_of_an_ed25519_signed_delivery_is_rejected(
    seed: bytes, body: bytes, other: bytes, shift: int
) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = "whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode()
    signature = private.sign(b"msg_1.%d.%s" % (NOW, body))
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW)}
    headers["webhook-signature"] = "v1a," + base64.b64encode(signature).decode()
    written = ways("standard-webhooks", public)
    assert verify(written, delivery(headers, body), NOW) == 0
    if other != body:
        refusal(written, delivery(headers, other))
    if shift:
        refusal(written, delivery({**headers, "webhook-timestamp": str(NOW + shift)}, body))


# Other keyed hashes


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("key", ["utf8", "base64", "hex"])
@pytest.mark.parametrize("prefix", ["", "sha256=", "v0="])
def test_the_raw_body_in_every_form(digest: str, encoding: str, key: str, prefix: str) -> None:
    raw = b"sixteen byte key"
    secret = {"utf8": raw.decode(), "base64": base64.b64encode(raw).decode(), "hex": raw.hex()}[key]
    code = mac(raw, BODY, digest)
    text = prefix + (code.hex() if encoding == "hex" else base64.b64encode(code).decode())
    written = {"scheme": "hmac", "header": "X-Sig", "hash": digest, "encoding": encoding, "key": key, "prefix": prefix}
    assert verify(ways(written, secret), delivery({"x-sig": text}), NOW) == 0
    refusal(ways(written, secret), delivery({"x-sig": text}, BODY + b"\n"))
    if prefix:
        refusal(ways(written, secret), delivery({"x-sig": text.removeprefix(prefix)}))


def test_hex_ignores_case_and_base64_does_not() -> None:
    code = mac(b"test_secret", BODY)
    in_hex = ways({"scheme": "hmac", "header": "X-Sig", "prefix": "sha256="}, "test_secret")
    in_base64 = ways({"scheme": "hmac", "header": "X-Sig", "encoding": "base64"}, "test_secret")
    assert verify(in_hex, delivery({"X-Sig": "sha256=" + code.hex().upper()}), NOW) == 0
    refusal(in_base64, delivery({"X-Sig": base64.b64encode(code).decode().swapcase()}))


def test_the_published_vector_of_shopify() -> None:
    """Source: shopify-api-js, lib/webhooks/__tests__/validate.test.ts."""
    written = {"scheme": "hmac", "header": "X-Shopify-Hmac-Sha256", "encoding": "base64"}
    headers = {"X-Shopify-Hmac-Sha256": "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g="}
    assert verify(ways(written, "test_secret_key"), delivery(headers, b'{"foo": "bar"}'), NOW) == 0


def test_the_published_vector_of_paddle() -> None:
    """Two equal signatures and one of an unknown version.

    Source: paddle-node-sdk, src/__tests__/notifications/webhooks.
    """
    written = STRIPE | {
        "header": "Paddle-Signature",
        "separator": ";",
        "prefix": "h1=",
        "timestamp_prefix": "ts=",
        "template": "{t}:{body}",
    }
    one = "h1=28981e941fae76e53db32f3d2a83cb69db41476595e84e1970a1b5d98f62b261"
    sent = delivery({"Paddle-Signature": f"ts=1698796800;{one};{one};h2=RANDOM_HASH"}, b'{"data": "value"}')
    assert verify(ways(written, "VALID_SECRET"), sent, 1698796805) == 0
    refusal(ways(written, "VALID_SECRET"), sent, 1698797101)


@pytest.mark.parametrize(
    ("options", "message", "headers"),
    [
        (STRIPE, "{t}.{body}", {"Stripe-Signature": "t={t},v1={hex},v0=abc"}),
        (STRIPE, "{t}.{body}", {"Stripe-Signature": "t={t},v1=abc,v1={hex}"}),
        (STRIPE | {"unit": "ms"}, "{t}000.{body}", {"Stripe-Signature": "t={t}000, v1={hex}"}),  # WorkOS
        (
            STRIPE | {"prefix": "sha256=", "unit": "ms", "template": "{body}{t}"},
            "{body}{t}000",
            {"Stripe-Signature": "sha256={hex}, t={t}000"},
        ),  # Ghost
        (
            {"header": "X-Sig", "timestamp_header": "X-Time", "prefix": "v0=", "template": "v0:{t}:{body}"},
            "v0:{t}:{body}",
            {"X-Sig": "v0={hex}", "X-Time": "{t}"},
        ),  # Slack
        (
            {"header": "X-Sig", "template": "100%b%%={body}"},
            "100%b%%={body}",
            {"X-Sig": "{hex}"},
        ),
        (
            {"header": "X-Sig", "template": "hmacsha256={body}"},
            "hmacsha256={body}",
            {"X-Sig": "{hex}"},
        ),  # LinkedIn
        (
            {"header": "X-Sig", "timestamp_header": "X-Time", "template": "{method}{url}{body}{t}"},
            "POSThttps://example.com/webhooks/a{body}{t}",
            {"X-Sig": "{hex}", "X-Time": "{t}"},
        ),  # HubSpot
    ],
)
def test_signed_templates(options: dict[str, str], message: str, headers: dict[str, str]) -> None:
    signed = message.replace("{t}", str(NOW)).replace("{body}", BODY.decode()).encode()
    code = mac(b"whsec_test_secret", signed).hex()
    filled = {name: text.replace("{t}", str(NOW)).replace("{hex}", code) for name, text in headers.items()}
    sent = Delivery(Headers(filled), BODY, {}, "POST", "https://example.com/webhooks/a")
    written = ways({"scheme": "hmac", **options}, "whsec_test_secret")
    assert verify(written, sent, NOW) == 0
    if "{t}" in message:
        refusal(written, sent, NOW + 301)
        for name, text in filled.items():
            moved = {**filled, name: text.replace(str(NOW), str(NOW + 1))}
            if moved != filled:
                refusal(written, Delivery(Headers(moved), BODY, {}, sent.method, sent.url))


#: Options, what is signed, and how the headers are written; by who signs so.
FAMILIES: dict[str, tuple[dict[str, str], str, dict[str, str]]] = {
    "GitHub": ({"header": "X-Sig", "prefix": "sha256="}, "{body}", {"X-Sig": "sha256={sig}"}),
    "Shopify": ({"header": "X-Sig", "encoding": "base64"}, "{body}", {"X-Sig": "{sig}"}),
    "Intercom": ({"header": "X-Sig", "hash": "sha1", "prefix": "sha1="}, "{body}", {"X-Sig": "sha1={sig}"}),
    "LinkedIn": ({"header": "X-Sig", "template": "hmacsha256={body}"}, "hmacsha256={body}", {"X-Sig": "{sig}"}),
    "Stripe": (STRIPE, "{t}.{body}", {"Stripe-Signature": "t={t},v1={sig},v0=abc"}),
    "WorkOS": (STRIPE | {"unit": "ms"}, "{t}.{body}", {"Stripe-Signature": "t={t}, v1={sig}"}),
    "Ghost": (STRIPE | {"unit": "ms", "template": "{body}{t}"}, "{body}{t}", {"Stripe-Signature": "v1={sig}, t={t}"}),
    "Slack": (
        {"header": "X-Sig", "timestamp_header": "X-Time", "prefix": "v0=", "template": "v0:{t}:{body}"},
        "v0:{t}:{body}",
        {"X-Sig": "v0={sig}", "X-Time": "{t}"},
    ),
    "HubSpot": (
        {"scheme": "hubspot-v3"},
        "POSThttps://example.com/a{body}{t}",
        {"X-HubSpot-Signature-v3": "{sig}", "X-HubSpot-Request-Timestamp": "{t}"},
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
@given(
    body=st.binary(),
    other=st.binary(),
    shift=st.integers(-10_000, 10_000),
    at=st.integers(0),
    digit=st.sampled_from("0aA+"),
)
def test_any_change_of_body_time_or_signature_is_rejected(
    family: str, body: bytes, other: bytes, shift: int, at: int, digit: str
) -> None:
    options, template, headers = FAMILIES[family]
    written = ways({"scheme": "hmac", **options}, "whsec_test_secret")
    time = NOW * 1000 if options.get("unit") == "ms" or family == "HubSpot" else NOW
    code = mac(
        b"whsec_test_secret", filled(template, time).encode().replace(b"{body}", body), options.get("hash", "sha256")
    )
    in_base64 = "base64" in options.values() or family == "HubSpot"
    signature = base64.b64encode(code).decode() if in_base64 else code.hex()

    def sent(body: bytes, time: int, signature: str) -> Delivery:
        made = {name: filled(text, time).replace("{sig}", signature) for name, text in headers.items()}
        return Delivery(Headers(made), body, {}, "POST", "https://example.com/a")

    assert verify(written, sent(body, time, signature), NOW) == 0
    if other != body:
        refusal(written, sent(other, time, signature))
    if shift and "{t}" in template:
        refusal(written, sent(body, time + shift, signature))
    changed = changed_at(signature, at % len(signature), digit)
    if changed.lower() != signature.lower() or (in_base64 and changed != signature):
        refusal(written, sent(body, time, changed))
    refusal(written, sent(body, time, signature[:-1]))


def filled(text: str, time: int) -> str:
    return text.replace("{t}", str(time))


def changed_at(text: str, at: int, other: str) -> str:
    return text[:at] + other + text[at + 1 :]


@pytest.mark.parametrize("header", ["v1=abc", "t=,v1=abc", "t=x,v1=abc", "t", "=", ",,,", "t=-5,v1=a", "t=1614265330"])
def test_a_malformed_list_is_rejected(header: str) -> None:
    refusal(ways(STRIPE, "whsec_test_secret"), delivery({"Stripe-Signature": header}))


HUBSPOT_URL = "https://hooks.example.com/webhooks/crm?path=%2Fa%3Ab&at=%40&percent=%252F&space=%20"


@pytest.mark.parametrize("configured", [{}, {"url": HUBSPOT_URL}])
def test_hubspot_signs_the_method_and_the_decoded_url(configured: dict[str, str]) -> None:
    """ "Validating requests", version 3: only some escapes in the URL are decoded."""
    written = ways({"scheme": "hubspot-v3", **configured}, "client-secret")
    decoded = "https://hooks.example.com/webhooks/crm?path=/a:b&at=@&percent=%252F&space=%20"
    code = mac(b"client-secret", b"POST" + decoded.encode() + BODY + b"%d000" % NOW)
    headers = Headers({"X-HubSpot-Signature-v3": base64.b64encode(code).decode()})
    headers["X-HubSpot-Request-Timestamp"] = f"{NOW}000"
    inside = "http://10.0.0.5:8000/webhooks/crm" if configured else HUBSPOT_URL
    assert verify(written, Delivery(headers, BODY, {}, "POST", inside), NOW) == 0
    refusal(written, Delivery(headers, BODY, {}, "PUT", inside))
    refusal(written, Delivery(headers, BODY + b" ", {}, "POST", inside))
    refusal(written, Delivery(headers, BODY, {}, "POST", inside), NOW + 301)
    if not configured:
        refusal(written, Delivery(headers, BODY, {}, "POST", inside + "&more=1"))


def test_the_url_is_needed_only_if_it_is_signed() -> None:
    for written, needed in [
        ({"scheme": "hubspot-v3"}, True),
        ({"scheme": "hubspot-v3", "url": HUBSPOT_URL}, False),
        (STRIPE, False),
    ]:
        (way,) = ways(written, "whsec_test_secret")
        assert isinstance(way, Hmac)
        assert way.needs_url is needed


# Segment signs only the first element of a batch

SEGMENT = {"scheme": "hmac", "header": "X-Signature", "hash": "sha1", "first_element_only": True}
EVENT = b'{"type": "identify", "userId": "caf\\u00e9 [1, 2]"}'


def segment(body: bytes, signed: bytes = EVENT) -> Delivery:
    return delivery({"X-Signature": mac(b"sharedsecretvalue", signed, "sha1").hex()}, body)


@pytest.mark.parametrize("body", [EVENT, b"[" + EVENT + b"]", b" [\n " + EVENT + b" ]\r\n"])
def test_one_signed_event_is_accepted(body: bytes) -> None:
    assert verify(ways(SEGMENT, "sharedsecretvalue"), segment(body), NOW) == 0


@pytest.mark.parametrize("others", [b'{"type": "identify"}', EVENT, b"null", b"", b"]"])
def test_a_batch_with_unsigned_elements_is_rejected(others: bytes) -> None:
    text = refusal(ways(SEGMENT, "sharedsecretvalue"), segment(b"[" + EVENT + b"," + others + b"]"))
    assert text == "the signature covers only the first element of a batch, and there are others"


@pytest.mark.parametrize(
    "body",
    [
        *(b"[]", b"[", b"[,]", b"[[", b"[" * 100_000, b"[nope]", b"[NaN]", b"[\xff]", b""),
        *(b"[1e99999999999999999999]", b"[" + b"9" * 5000),
        *(b"[" + EVENT, b"[" + EVENT + b"}", b"\xff[" + EVENT + b"]", EVENT + b" ", b"[" + EVENT + b"] ]"),
    ],
)
def test_a_malformed_batch_is_rejected(body: bytes) -> None:
    refusal(ways(SEGMENT, "sharedsecretvalue"), segment(body))


@given(st.binary() | st.text('[]{},: 1a"').map(str.encode))
def test_only_the_signed_event_is_accepted(body: bytes) -> None:
    refusal(ways(SEGMENT, "sharedsecretvalue"), segment(body))
    refusal(ways(SEGMENT, "sharedsecretvalue"), segment(b"[" + body + EVENT + b"]" if body.strip() else b""))


# Tokens


@pytest.mark.parametrize(
    "value", ["Bearer s3cret-token", "bearer s3cret-token", "BEARER  s3cret-token ", "s3cret-token"]
)
def test_a_bearer_token(value: str) -> None:
    assert verify(ways("token", "s3cret-token"), delivery({"Authorization": value}), NOW) == 0


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer s3cret-toke",
        "Bearer s3cret-tokenn",
        "Bearer S3CRET-TOKEN",
        "Basic s3cret-token",
        "Bearer\ts3cret-token",
        "Bearer s3cret-token, Bearer s3cret-token",
        "Bearer é",
        "Bearer \udcff☃",
        "B" * 9999,
    ],
)
def test_another_token_is_rejected(value: str) -> None:
    refusal(ways("token", "s3cret-token"), delivery({"Authorization": value}))


def test_a_token_in_its_own_header_or_in_the_query() -> None:
    in_header = ways({"scheme": "token", "header": "X-Token"}, "s3cret-token")
    in_query = ways({"scheme": "token", "query": "key"}, "s3cret-token")
    assert verify(in_header, delivery({"x-token": "s3cret-token"}), NOW) == 0
    assert verify(in_query, delivery({}, key="s3cret-token"), NOW) == 0
    refusal(in_header, delivery({}, key="s3cret-token"))
    refusal(in_query, delivery({"X-Token": "s3cret-token", "Authorization": "Bearer s3cret-token"}))
    refusal(in_query, delivery({}, key="☃\ud800"))


IN_FIELD = {"scheme": "token", "field": "$.google_key"}


def test_a_token_in_a_field_of_the_body() -> None:
    written = ways(IN_FIELD, "an-old-token", "s3cret-token")
    assert verify(written, delivery({}, b'{"google_key": "s3cret-token", "lead_id": 1}'), NOW) == 1
    wrong = refusal(written, delivery({}, b'{"google_key": "S3cret-token"}'))
    assert wrong == "the token does not match"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b"{", b"1", b"\xff", b"[" * 99_999, b'"s3cret-token"'),
        *(b'{"google_key": null}', b'{"google_key": ["s3cret-token"]}', b'{"google_key": true}'),
        *(b'{"google_key": "\\ud800"}', b'{"google_key": "%s"}' % (b"s" * 9999)),
    ],
)
def test_a_body_without_the_token_is_rejected(body: bytes) -> None:
    refusal(ways(IN_FIELD, "s3cret-token"), delivery({}, body))
    refusal(ways(IN_FIELD, "s3cret-token"), delivery({"Content-Type": "text/plain", "Content-Encoding": "br"}, body))
    refusal(ways(IN_FIELD, "s3cret-token"), delivery({"Content-Encoding": "gzip"}, body))


def test_a_body_that_needs_too_much_work_is_rejected() -> None:
    written = ways({"scheme": "token", "field": "$..[?@..[?@.key]].key"}, "s3cret-token")
    body = b"[" + b"{}," * 5000 + b'{"a": {"key": "s3cret-token"}}]'
    assert "cannot be read" in refusal(written, delivery({}, body))


def test_a_token_that_is_not_ascii_arrives_as_latin_1() -> None:
    sent = "Bearer " + "schlüssel".encode().decode("latin-1")
    assert verify(ways("token", "schlüssel"), delivery({"Authorization": sent}), NOW) == 0
    assert verify(ways({"scheme": "token", "query": "key"}, "schlüssel"), delivery({}, key="schlüssel"), NOW) == 0


def test_http_basic() -> None:
    """The example of RFC 7617, section 2."""
    written = ways("basic", "Aladdin:open sesame")
    assert verify(written, delivery({"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}), NOW) == 0
    refusal(written, delivery({"Authorization": "Basic " + base64.b64encode(b"Aladdin:open").decode()}))
    refusal(written, delivery({"Authorization": "Basic Aladdin:open sesame"}))


# Several verifiers, several secrets


def test_the_matching_secret_is_reported() -> None:
    for number, secrets in enumerate([(SECRET, OTHER), (OTHER, SECRET)]):
        assert verify(ways("standard-webhooks", *secrets), delivery(HEADERS), NOW) == number
        assert verify(ways("token", *secrets), delivery({"Authorization": f"Bearer {SECRET}"}), NOW) == number


def test_one_of_several_verifiers_is_enough() -> None:
    both = ways(["standard-webhooks", "token"], SECRET)
    assert verify(both, delivery(HEADERS), NOW) == 0
    assert verify(both, delivery({"Authorization": f"Bearer {SECRET}"}), NOW) == 0


def test_a_rejection_names_what_was_tried() -> None:
    both = ways(["standard-webhooks", "token"], SECRET)
    assert refusal(both, delivery({"Authorization": "Bearer wrong"})) == "the token does not match"
    assert refusal(both, delivery(HEADERS, b"{}")) == "the signature does not match"
    with pytest.raises(Unsigned, match=r"webhook-signature .* svix-signature .* Authorization header is missing"):
        verify(both, delivery({}), NOW)


def test_without_verifiers_everything_is_rejected() -> None:
    refusal((), delivery(HEADERS))
    refusal((Hmac(keys=(), header="X-Sig"), Token(keys=())), delivery({"X-Sig": "", "Authorization": "Bearer "}))


def test_a_rejection_repeats_nothing_sent_or_secret() -> None:
    sent = dict.fromkeys([*HEADERS, "Authorization"], "hostile<script>")
    text = refusal(ways(["standard-webhooks", "token"], SECRET), delivery(sent))
    assert "hostile" not in text
    assert "MfKQ" not in text


# Secrets and settings


@pytest.mark.parametrize("key", [b"", b"short"])
def test_short_and_empty_keys_are_mistakes(key: bytes) -> None:
    with pytest.raises(SettingsError, match="8 bytes"):
        Hmac(keys=(b"long enough", key), header="X-Sig")
    with pytest.raises(SettingsError, match="8 bytes"):
        Token(keys=(key,))


@pytest.mark.parametrize(
    ("written", "secret", "says"),
    [
        ("standard-webhooks", "whsec_", "is shorter than 8 bytes"),
        ("standard-webhooks", "whsec_AAAA", "is shorter than 8 bytes"),
        ("standard-webhooks", "whsec_not-base64!", "is not base64"),
        ("standard-webhooks", "whsec_ähnlich", "is not base64"),
        ("token", "", "is shorter than 8 bytes"),
        ("token", "1234567", "is shorter than 8 bytes"),
        ("token", "12345678\ud800", "is not text"),
        ("basic", "no colon in it", "must have the form user:password"),
        ({"scheme": "hmac", "header": "X-Sig", "key": "hex"}, "xyzxyzxyz", "is not hexadecimal"),
    ],
)
def test_a_malformed_secret_is_named_and_not_repeated(written: object, secret: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_verifiers(written, {"$SHOP_SECRET": secret})
    assert caught.value.problems == [f"$SHOP_SECRET {says}"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"header": ""}, "header is missing"),
        ({"hash": "md5"}, "hash must be one of sha1, sha256, sha512"),
        ({"encoding": "base32"}, "encoding must be one of"),
        ({"unit": "minutes"}, "unit must be one of"),
        ({"tolerance": 0}, "tolerance must be above 0"),
        ({"tolerance": float("inf")}, "tolerance must be above 0 and at most 86400 seconds"),
        ({"tolerance": float("nan")}, "tolerance must be above 0"),
        ({"template": "{t}."}, "must contain {body}"),
        ({"template": "{body}{t}"}, "must contain {t} if there is a timestamp, and only then"),
        ({"timestamp_header": "X-Time"}, "must contain {t} if there is a timestamp, and only then"),
        ({"template": "{id}{body}"}, "must contain {id} if there is an id_header, and only then"),
        ({"template": "{id}{body}", "id_header": "X-Id"}, "must have text between {id} and {body}"),
        ({"template": "{method}{id}.{body}", "id_header": "X-Id"}, "must have text between {id} and {body}"),
        ({"template": "{body}{password}"}, "template may contain only these placeholders in braces:"),
        ({"template": "{body}{"}, "template may contain only these placeholders in braces:"),
        ({"template": "{t}{body}", "timestamp_prefix": "t="}, "timestamp_prefix needs a separator"),
    ],
)
def test_invalid_options_are_mistakes(options: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ways({"scheme": "hmac", "header": "X-Sig", **options}, "long enough")
    assert any(problem.startswith("verify: ") and says in problem for problem in caught.value.problems)


def test_secrets_are_not_in_repr() -> None:
    written = ways(["standard-webhooks", "token", {"scheme": "hmac", "header": "X-Sig"}], SECRET)
    sent = delivery(HEADERS | {"Authorization": SECRET}, BODY, key=SECRET)
    for text in (repr(written), str(written), repr(sent)):
        assert "MfKQ" not in text
        assert repr(base64.b64decode(SECRET.removeprefix("whsec_")))[2:-1] not in text


def test_comparisons_take_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: str | bytes, other: str | bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr("hmac.compare_digest", compare)
    refusal(ways(["standard-webhooks", "token"], SECRET), delivery({**HEADERS, "Authorization": f"Bearer {SECRET}"}))
    assert compared == [(RIGHT.removeprefix("v1,"), RIGHT.removeprefix("v1,")), (SECRET.encode(), SECRET.encode())]


def test_the_arithmetic_of_these_tests() -> None:
    assert mac(b"key", BODY) == hmac.digest(b"key", BODY, "sha256")
