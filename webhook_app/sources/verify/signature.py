"""Is this delivery from who it says? Checked over the raw bytes, in constant time, before anything is parsed.

Every kind of proof is a small frozen value with ``verify``. A new product is a new value, not new code:

``Hmac``      a keyed hash (RFC 2104) over the body, or over a template of body, time, id, method and address. Standard
              Webhooks and Svix are two of its values.
``Ed25519``   the same with a signature (RFC 8032) in place of the hash: version v1a of Standard Webhooks
``tokens``    a secret that travels along: in a header (``Bearer``, ``Basic`` or bare), in the query, in the body
``jwts``      a JSON Web Token that is the body, or that holds the body's hash

Time is an argument, in seconds since the Unix epoch. Nothing here raises anything but ``Unauthentic`` and
``Undecided``, whatever was sent; what an operator wrote is checked when the value is made.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from webhook_app.sources.verify.delivery import (
    Delivery,
    Unauthentic,
    Undecided,
    Unsigned,
)
from webhook_app.sources.verify.signed import Signed

__all__ = ["Delivery", "Ed25519", "Hmac", "Unauthentic", "Undecided", "Unsigned", "Verifier", "verify"]

#: Bytes. A shorter key could be guessed; an empty one would verify anything.
MIN_KEY = 8
#: Signatures that are tried: a verification takes 0.1 ms, and a key is changed for one other at a time.
MAX_SIGNATURES = 8
#: Bytes.
ED25519_KEY = 32
HASHES = ("sha1", "sha256", "sha512")
ENCODINGS = ("hex", "base64")


class Verifier(Protocol):
    """One way in which a delivery can prove who sent it."""

    def verify(self, delivery: Delivery, now: float, /) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hmac(Signed):
    """A keyed hash."""

    keys: tuple[bytes, ...] = field(repr=False)
    hash: str = "sha256"
    encoding: str = "hex"

    def verify(self, delivery: Delivery, now: float) -> int:
        """The index of the key that made one of the delivery's signatures.

        Raises:
            Unauthentic: none did, the time is not within the tolerance, or something is missing or malformed.
        """
        signatures, message = self._signatures_and_message(delivery, now)
        if self.encoding == "hex":
            signatures = [signature.lower() for signature in signatures]
        for index, key in enumerate(self.keys):
            expected = self.signature(key, message)
            if any(hmac.compare_digest(expected, signature) for signature in signatures):
                return index
        raise Unauthentic("the signature does not match")

    def signature(self, key: bytes, message: bytes) -> str:
        """The hash as it is written in the header, without the prefix."""
        digest = hmac.digest(key, message, self.hash)
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()

    def _problems(self) -> list[str]:
        problems = key_problems(self.keys) + Signed._problems(self)
        if self.hash not in HASHES:
            problems.append(f"hash must be one of {', '.join(HASHES)}")
        if self.encoding not in ENCODINGS:
            problems.append(f"encoding must be one of {', '.join(ENCODINGS)}")
        return problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Ed25519(Signed):
    """A signature in base64 that a public key verifies. ``keys`` are such keys, as their 32 bytes.

    Raises:
        SettingsError: as with ``Signed``, or a key is none.
    """

    keys: tuple[bytes, ...] = field(repr=False)

    def verify(self, delivery: Delivery, now: float) -> int:
        """The index of the key that verifies one of the delivery's signatures.

        Raises:
            Unauthentic: none does, the time is not within the tolerance, or something is missing or malformed.
        """
        texts, message = self._signatures_and_message(delivery, now)
        signatures = [signature for text in texts[:MAX_SIGNATURES] if (signature := _base64_or_nothing(text))]
        for index, key in enumerate(self.keys):
            if any(_is_signed(key, signature, message) for signature in signatures):
                return index
        raise Unauthentic("the signature does not match")

    def _problems(self) -> list[str]:
        wrong = [key for key in self.keys if len(key) != ED25519_KEY]
        return Signed._problems(self) + [f"a public key must have {ED25519_KEY} bytes" for _ in wrong[:1]]


def verify(ways: Sequence[Verifier], delivery: Delivery, now: float) -> int:
    """The number of the secret by which the first of ``ways`` that can vouches for the delivery.

    Raises:
        Unauthentic: none can. The text speaks of the proofs that were tried, or of those that are missing.
        Undecided: none can, and one cannot tell for now.
    """
    tried, missing = [], []
    undecided: Undecided | None = None
    for way in ways:
        try:
            return way.verify(delivery, now)
        except Unsigned as reason:
            missing.append(str(reason))
        except Unauthentic as reason:
            tried.append(str(reason))
        except Undecided as reason:
            undecided = reason
    if undecided is not None:
        raise undecided
    if tried:
        raise Unauthentic("; ".join(tried))
    raise Unsigned("; ".join(missing) or "nothing can vouch for a delivery here")


def key_problems(keys: tuple[bytes, ...]) -> list[str]:
    """A sentence, if one of the keys could be guessed."""
    return [f"a secret must have {MIN_KEY} bytes at least"] if any(len(key) < MIN_KEY for key in keys) else []


def _base64_or_nothing(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _is_signed(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
