"""EngageLab's signature, which covers no body.

The vector has the values of the self-test in DevEngageLab/engagelab-skills at 0eb1ccd
(``engagelab-otp/scripts/verify_callback.py``); ``WebhookVerifier("my_user", "my_secret")`` of the package engagelab-otp
1.0.1 accepts it.
"""

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from webhook_app.sources.delivery import Delivery, Unauthentic, Unsigned
from webhook_app.sources.verify.callback_id import CallbackId, Reusable
from webhook_app.sources.verify.schemes import read_verifiers
from worker.errors import SettingsError

AT, SECRET = 1_701_234_567, "my_secret"
SIGNATURE = "404794bf3409ad56077e11dac58f0f1d19e5a3b898b669360fb888a5efe4e729"
VECTOR = f"timestamp={AT};nonce=abc123;username=my_user;signature={SIGNATURE}"


def verifier(*secrets: str, **options: Any) -> CallbackId:
    named = {f"secret {number}": secret for number, secret in enumerate(secrets or [SECRET])}
    (made,) = read_verifiers({"scheme": "engagelab", **options}, named)
    assert isinstance(made, CallbackId)
    return made


def sent(header: str | None = VECTOR, body: bytes = b"{}") -> Delivery:
    return Delivery(Headers({} if header is None else {"x-callback-id": header}), body)


def refusal(header: str | None, now: float = AT, **options: Any) -> str:
    with pytest.raises(Unauthentic) as caught:
        verifier(**options).verify(sent(header), now)
    return str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        VECTOR,
        VECTOR.replace(SIGNATURE, SIGNATURE.upper()),
        "; ".join(reversed(VECTOR.split(";"))),
        f"version=2;{VECTOR}",
    ],
)
def test_the_vector_is_accepted_for_any_body(header: str) -> None:
    for body in (b"{}", b"", b'{"rows": []}'):
        assert verifier().verify(sent(header, body), AT) == 0


@pytest.mark.parametrize("seconds", [-300, 300])
def test_the_time_may_differ_by_five_minutes(seconds: int) -> None:
    assert verifier().verify(sent(), AT + seconds) == 0
    assert "too far" in refusal(VECTOR, AT + seconds * 1.01)
    assert verifier(tolerance=400).verify(sent(), AT + seconds * 1.01) == 0


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (VECTOR.replace("abc123", "abc124"), "does not match"),
        (VECTOR.replace("my_user", "my_other"), "does not match"),
        (VECTOR.replace(str(AT), str(AT + 1)), "does not match"),
        (VECTOR.replace(SIGNATURE, SIGNATURE[:-1]), "does not match"),
        (VECTOR.replace(SIGNATURE, ""), "has no signature"),
        (VECTOR.replace("nonce=abc123;", ""), "has no nonce"),
        (VECTOR.replace("username=my_user", "username"), "has no username"),
        (VECTOR.replace(f"timestamp={AT}", "timestamp=soon"), "not a number"),
        (VECTOR.replace(f"timestamp={AT}", "timestamp=" + "9" * 5000), "too long"),
        (VECTOR.replace(f"timestamp={AT}", "timestamp=" + "9" * 16), "not a number"),
        (VECTOR.replace(f"timestamp={AT}", f"timestamp=-{AT}"), "not a number"),
        (VECTOR.replace("my_user", "my_üser"), "not ASCII"),
        (";;;", "has no timestamp"),
    ],
)
def test_another_header_is_rejected(header: str, why: str) -> None:
    assert why in refusal(header)


@pytest.mark.parametrize("header", [None, ""])
def test_a_delivery_without_the_header_is_unsigned(header: str | None) -> None:
    with pytest.raises(Unsigned):
        verifier().verify(sent(header), AT)


def test_each_secret_has_its_number() -> None:
    assert verifier("another_secret", SECRET).verify(sent(), AT) == 1
    with pytest.raises(Unauthentic):
        verifier("another_secret").verify(sent(), AT)


@pytest.mark.parametrize(
    ("secret", "options", "problem"),
    [
        ("short", {}, "secret 0 is shorter than 8 bytes"),
        (SECRET, {"tolerance": 0}, "verify: tolerance must be above 0 and at most 86400 seconds"),
        (SECRET, {"tolerance": 90_000}, "verify: tolerance must be above 0 and at most 86400 seconds"),
        (SECRET, {"one_body": "no"}, "verify.one_body: must be true or false"),
        (SECRET, {"header": "X-Other"}, "verify.header"),
    ],
)
def test_a_mistake_is_named(secret: str, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        verifier(secret, **options)
    assert problem in str(caught.value)
    assert SECRET not in repr(verifier())


def test_a_signature_is_the_same_for_another_nonce_and_user_name() -> None:
    """The parts have no separator, so that counting nonces would not help."""
    other = VECTOR.replace("nonce=abc123;username=my_user", "nonce=abc123my_;username=user")
    assert verifier().verify(sent(other), AT) == 0
    assert verifier().reusable(sent(other)) == verifier().reusable(sent()) == Reusable(SIGNATURE, 600)
    shouted = VECTOR.replace(SIGNATURE, SIGNATURE.upper())
    assert verifier().reusable(sent(shouted)) == Reusable(SIGNATURE, 600)
    assert verifier(one_body=False).reusable(sent()) is None
    assert verifier().reusable(sent(None)) is None


@given(st.text(), st.binary(max_size=9))
def test_any_header_is_accepted_or_rejected(header: str, body: bytes) -> None:
    with pytest.raises(Unauthentic):
        verifier().verify(Delivery({"X-CALLBACK-ID": header}, body), AT)


@given(st.integers(AT - 300, AT + 300), st.text("0123456789abcdef", min_size=1), st.text("abc_.-=", min_size=1))
def test_what_the_documented_formula_signs_is_accepted(at: int, nonce: str, username: str) -> None:
    """The formula of engagelab.com/docs/otp/api/callback."""
    signature = hmac.new(SECRET.encode(), f"{at}{nonce}{username}".encode(), hashlib.sha256).hexdigest()
    header = f"timestamp={at};nonce={nonce};username={username};signature={signature}"
    assert verifier().verify(sent(header), AT) == 0
