"""The signature of EngageLab's callbacks, which does not cover the body.

OTP, SMS, AppPush and WebPush have it. The header is
``X-CALLBACK-ID: timestamp=...;nonce=...;username=...;signature=...``, and the signature the HMAC-SHA256 in hex of the
timestamp, the nonce and the user name, one after the other: engagelab.com/docs/otp/api/callback, and the class
``WebhookVerifier`` of the package engagelab-otp 1.0.1. The tolerance is that class's.

Who has seen a header could send another body with it. The receiver therefore accepts one body for each signature
(``worker.store.security.SignedBodies``). It must not count nonces: the three parts have no separator, so that the same
signature is valid for another nonce and another user name.
"""

import hmac
from dataclasses import dataclass, field

from webhook_app.sources.delivery import Delivery, Unauthentic, ascii_header
from webhook_app.sources.verify.signature import MAX_TIMESTAMP, MAX_TOLERANCE, TOLERANCE, key_problems
from worker.errors import SettingsError

HEADER = "X-CALLBACK-ID"
NAMES = ("timestamp", "nonce", "username", "signature")


@dataclass(frozen=True, slots=True)
class Reusable:
    """A signature that is valid for any body, and for how many seconds at most."""

    signature: str = field(repr=False)
    valid_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackId:
    """A keyed hash of a time, a nonce and a user name. ``tolerance`` is in seconds.

    With ``one_body`` false a signature is accepted with several bodies.

    Raises:
        SettingsError: a key is too short, or the tolerance is out of range.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    tolerance: float = TOLERANCE
    one_body: bool = True

    def __post_init__(self) -> None:
        problems = key_problems(self.keys)
        if not 0 < self.tolerance <= MAX_TOLERANCE:
            problems.append(f"tolerance must be above 0 and at most {MAX_TOLERANCE} seconds")
        if problems:
            raise SettingsError(problems)

    def verify(self, delivery: Delivery, now: float) -> int:
        """Return the index of the key that made the signature.

        Raises:
            Unauthentic: none did, the time is not within the tolerance, or the header is missing or malformed.
        """
        parts = _parts(delivery)
        timestamp, signature = parts["timestamp"], parts["signature"].lower()
        if not timestamp.isdigit() or len(timestamp) > MAX_TIMESTAMP:
            raise Unauthentic(f"the timestamp in the {HEADER} header is not a number")
        if abs(now - int(timestamp)) > self.tolerance:
            raise Unauthentic("the timestamp is too far from the current time")
        for index, key in enumerate(self.keys):
            if hmac.compare_digest(self.signature(key, timestamp, parts["nonce"], parts["username"]), signature):
                return index
        raise Unauthentic("the signature does not match")

    def signature(self, key: bytes, timestamp: str, nonce: str, username: str) -> str:
        """Return the hash as it is written in the header."""
        return hmac.digest(key, f"{timestamp}{nonce}{username}".encode(), "sha256").hex()

    def reusable(self, delivery: Delivery) -> Reusable | None:
        """Return the signature of a verified delivery, if it may have one body only."""
        if not self.one_body or not delivery.headers.get(HEADER):
            return None
        # A clock may be behind: the time may be as far in the future as in the past.
        return Reusable(_parts(delivery)["signature"].lower(), 2 * self.tolerance)


def header_of(timestamp: str, nonce: str, username: str, signature: str) -> str:
    """Return the value of the header."""
    values = (timestamp, nonce, username, signature)
    return ";".join(f"{name}={value}" for name, value in zip(NAMES, values, strict=True))


def _parts(delivery: Delivery) -> dict[str, str]:
    """Return the parts of the header by their names.

    Raises:
        Unauthentic: the header is missing, or a part of it.
    """
    items = (item.partition("=") for item in ascii_header(delivery, HEADER).split(";"))
    parts = {name.strip(): value.strip() for name, _, value in items}
    if missing := [name for name in NAMES if not parts.get(name)]:
        raise Unauthentic(f"the {HEADER} header has no {missing[0]}")
    return parts
