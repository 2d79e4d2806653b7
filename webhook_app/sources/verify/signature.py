"""Verifies who sent a delivery, over its raw bytes and in constant time.

Every verifier is a small frozen value with ``verify``. A new product is a new value, not new code:

``Hmac``      a keyed hash (RFC 2104) over the body, or over a template of body, time, id, method and address. Standard
              Webhooks and Svix are two of its values.
``Ed25519``   the same with a signature (RFC 8032) in place of the hash: version v1a of Standard Webhooks
``tokens``    a secret in a header (``Bearer``, ``Basic`` or bare), in the query or in the body
``callback_id``  a keyed hash that does not cover the body: EngageLab's
``jwts``      a JSON Web Token that is the body, or that contains the body's hash

Whatever was sent, ``verify`` raises only ``Unauthentic`` and ``Undecided``; what an operator wrote is checked when the
value is made.
"""

import base64
import binascii
import hmac
import itertools
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from webhook_app.sources.body.reader import split_first
from webhook_app.sources.delivery import BadBody, Delivery, Unauthentic, Undecided, Unsigned, ascii_header, is_missing
from worker.errors import SettingsError

#: Bytes. A shorter key could be guessed; an empty one would verify anything.
MIN_KEY = 8
#: Signatures that are tried: each takes 0.1 ms, and a rotation has two.
MAX_SIGNATURES = 8
#: Bytes.
ED25519_KEY = 32
HASHES: Mapping[str, HashAlgorithm] = {"sha1": SHA1(), "sha256": SHA256(), "sha512": SHA512()}  # noqa: S303
ENCODINGS = ("hex", "base64")
#: Seconds into the past and the future, as in the reference libraries of Standard Webhooks.
TOLERANCE = 300.0
#: Seconds: a day. A longer tolerance would allow replays of old deliveries.
MAX_TOLERANCE = 86_400
#: Digits: enough for milliseconds until the year 33,000.
MAX_TIMESTAMP = 15
#: Units of a timestamp, by their number in a second.
UNITS = {"s": 1, "ms": 1000}
#: The placeholders of a template.
PARTS = ("body", "t", "id", "method", "url", "decoded_url")
#: What HubSpot decodes in a URL before it signs it ("Validating requests", version 3).
HUBSPOT_DECODES = re.compile("%(" + "|".join(f"{ord(character):02X}" for character in ":/?@!$'()*,;") + ")", re.I)


class Verifier(Protocol):
    """Verifies who sent a delivery."""

    def verify(self, delivery: Delivery, now: float, /) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What a signature covers, and where in a delivery it is.

    The header is one signature, or a list of items separated by ``separator``. An item that begins with ``prefix`` is
    a signature; one that begins with ``timestamp_prefix`` is the timestamp, unless that has its own header. Unknown
    items are skipped, because they belong to other versions. ``tolerance`` is in seconds, ``unit`` is the timestamp's.
    ``url`` is the URL as the sender knows it, if a proxy changes it. With ``first_element_only`` the signature of an
    array covers only its first element, so that there must be no other.

    Raises:
        SettingsError: the options do not make a secure scheme; every mistake is named.
    """

    header: str = ""
    prefix: str = ""
    separator: str = ""
    template: str = "{body}"
    timestamp_header: str = ""
    timestamp_prefix: str = ""
    unit: str = "s"
    tolerance: float = TOLERANCE
    id_header: str = ""
    url: str = field(default="", repr=False)
    first_element_only: bool = False
    #: The template for the operator ``%``, and the names of its placeholders.
    _format: bytes = field(init=False, repr=False, compare=False)
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _after_id: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise SettingsError(problems)
        parts = _template_parts(self.template)
        pieces = [part.replace(b"%", b"%%") if isinstance(part, bytes) else b"%b" for part in parts]
        object.__setattr__(self, "_format", b"".join(pieces))
        object.__setattr__(self, "_names", tuple(part for part in parts if isinstance(part, str)))
        object.__setattr__(self, "_after_id", frozenset(_separator_of("id", parts)) if "id" in parts else frozenset())

    def _signatures_and_message(self, delivery: Delivery, now: float) -> tuple[list[str], bytes]:
        """Return the signatures that were sent, and the bytes that they should sign.

        Raises:
            Unauthentic: the time is not within the tolerance, or something is missing or malformed.
        """
        header = ascii_header(delivery, self.header)
        items = header.split(self.separator) if self.separator else [header]
        items = [item.strip(" \t,") for item in items]  # Supabase separates with ", " instead of a space
        signatures = [item[len(self.prefix) :] for item in items if item.startswith(self.prefix)]
        return signatures, self.message(delivery, self._timestamp(delivery, items, now))

    def _timestamp(self, delivery: Delivery, items: list[str], now: float) -> str:
        """Return the timestamp exactly as it was signed, or ``""`` if there is none."""
        if self.timestamp_header:
            text = ascii_header(delivery, self.timestamp_header)
        elif self.timestamp_prefix:
            text = next((item for item in items if item.startswith(self.timestamp_prefix)), "")
            text = text.removeprefix(self.timestamp_prefix)
        else:
            return ""
        if not text.isdigit() or len(text) > MAX_TIMESTAMP:
            raise Unauthentic("the timestamp is missing or not a number")
        if not abs(now - int(text) / UNITS[self.unit]) <= self.tolerance:
            raise Unauthentic("the timestamp is too far from the current time")
        return text

    def message(self, delivery: Delivery, timestamp: str) -> bytes:
        """Return the bytes that are signed. ``timestamp`` is written as in the delivery.

        Raises:
            Unauthentic: something is missing or malformed.
        """
        if self.template == "{body}" and not self.first_element_only:
            return delivery.body
        values: list[bytes] = []
        for name in self._names:
            if name == "t":
                values.append(timestamp.encode())
            elif name == "body" and not self.first_element_only:
                values.append(delivery.body)
            else:
                values.append(self._part(name, delivery))
        return self._format % tuple(values)

    def _part(self, name: str, delivery: Delivery) -> bytes:
        """Return the value of another of ``PARTS``, or the first element of the body."""
        match name:
            case "id":
                return self._id(delivery)
            case "body":
                return _first_element(delivery.body)
            case "method":
                return delivery.method.encode(errors="replace")
        url = self.url or delivery.url
        return (_hubspot_decoded(url) if name == "decoded_url" else url).encode(errors="replace")

    def _id(self, delivery: Delivery) -> bytes:
        """Return the id of a delivery.

        If it contained what separates it from the next part, the same signature would be valid for another id and
        another body ("Signature scheme" in the specification of Standard Webhooks 1.0.0).
        """
        value = ascii_header(delivery, self.id_header)
        if not self._after_id.isdisjoint(value):
            raise Unauthentic(f"the {self.id_header} header contains a separator of the signed text")
        return value.encode()

    @property
    def needs_url(self) -> bool:
        """Whether the signature covers the URL that a delivery was sent to."""
        return not self.url and bool({"url", "decoded_url"} & set(self._names))

    def _problems(self) -> list[str]:
        """Return a sentence for each mistake in the options."""
        parts = [part for part in _template_parts(self.template) if isinstance(part, str)]
        timed = bool(self.timestamp_header or self.timestamp_prefix)
        rules = {
            "header is missing": bool(self.header),
            f"unit must be one of {', '.join(UNITS)}": self.unit in UNITS,
            f"tolerance must be above 0 and at most {MAX_TOLERANCE} seconds": 0 < self.tolerance <= MAX_TOLERANCE,
            f"template may contain only these placeholders in braces: {', '.join(PARTS)}": set(parts) <= set(PARTS),
            "template must contain {body}, or the signature would not cover it": "body" in parts,
            "template must contain {t} if there is a timestamp, and only then": ("t" in parts) == timed,
            "template must contain {id} if there is an id_header, and only then": ("id" in parts)
            == bool(self.id_header),
            "template must have text between {id} and {body}, {method} or {url}": not _joins_id(self.template),
            "timestamp_prefix needs a separator": bool(self.separator or not self.timestamp_prefix),
        }
        return [problem for problem, holds in rules.items() if not holds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hmac(Signed):
    """A keyed hash."""

    keys: tuple[bytes, ...] = field(repr=False)
    hash: str = "sha256"
    encoding: str = "hex"
    _begun: tuple[HMAC, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Signed.__post_init__(self)
        # OpenSSL takes longer to find the hash by its name than to compute it, and ``hmac.HMAC`` is written in Python.
        object.__setattr__(self, "_begun", tuple(HMAC(key, HASHES[self.hash]) for key in self.keys))

    def verify(self, delivery: Delivery, now: float) -> int:
        """Return the index of the key that made one of the signatures.

        Raises:
            Unauthentic: none did, the time is not within the tolerance, or something is missing or malformed.
        """
        signatures, message = self._signatures_and_message(delivery, now)
        if self.encoding == "hex":
            signatures = [signature.lower() for signature in signatures]
        for index, begun in enumerate(self._begun):
            mac = begun.copy()
            mac.update(message)
            expected = self._written(mac.finalize())
            for signature in signatures:
                if hmac.compare_digest(expected, signature):
                    return index
        raise Unauthentic("the signature does not match")

    def signature(self, key: bytes, message: bytes) -> str:
        """Return the hash as it is written in the header, without the prefix."""
        return self._written(hmac.digest(key, message, self.hash))

    def _written(self, digest: bytes) -> str:
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
    """A signature in base64; ``keys`` are public keys of 32 bytes.

    Raises:
        SettingsError: as with ``Signed``, or a key is malformed.
    """

    keys: tuple[bytes, ...] = field(repr=False)

    def verify(self, delivery: Delivery, now: float) -> int:
        """Return the index of the key that verifies one of the signatures.

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


def verify(verifiers: Sequence[Verifier], delivery: Delivery, now: float) -> int:
    """Return the number of the secret that verifies the delivery.

    Raises:
        Unauthentic: none does. The text names the failures, or what is missing.
        Undecided: none does, and one has no keys at the moment.
    """
    tried, missing = [], []
    undecided: Undecided | None = None
    for verifier in verifiers:
        if isinstance(verifier, Signed) and not delivery.headers.get(verifier.header):
            missing.append(is_missing(verifier.header))
            continue
        try:
            return verifier.verify(delivery, now)
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
    raise Unsigned("; ".join(missing) or "the source has no verifier")


def key_problems(keys: tuple[bytes, ...]) -> list[str]:
    """Return a sentence if one of the keys could be guessed."""
    return [f"a secret must have at least {MIN_KEY} bytes"] if any(len(key) < MIN_KEY for key in keys) else []


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


def _first_element(body: bytes) -> bytes:
    """Return what Segment signs: an array's first element, or another body."""
    if not body.lstrip().startswith(b"["):
        return body
    try:
        element, has_others = split_first(body)
    except BadBody:
        raise Unauthentic("the body is not an array with an element in it") from None
    if has_others:
        raise Unauthentic("the signature covers only the first element of a batch, and there are others")
    return element


def _hubspot_decoded(url: str) -> str:
    return HUBSPOT_DECODES.sub(lambda match: chr(int(match[1], 16)), url)


def _joins_id(template: str) -> bool:
    """Whether nothing separates the id from another part of any length.

    A timestamp is digits, and only one reading of them is within the tolerance.
    """
    parts = _template_parts(template)
    joined = {frozenset(pair) for pair in itertools.pairwise(parts)}
    return any(frozenset(("id", part)) in joined for part in ("body", "method", "url", "decoded_url"))


def _separator_of(name: str, parts: tuple[bytes | str, ...]) -> str:
    """Return the text after a placeholder, or before it if that is the last part."""
    at = parts.index(name)
    neighbour = parts[at + 1] if at + 1 < len(parts) else parts[at - 1]
    return neighbour.decode() if isinstance(neighbour, bytes) else ""


def _template_parts(template: str) -> tuple[bytes | str, ...]:
    """Parse ``"{t}.{body}"`` into ``("t", b".", "body")``."""
    try:
        pairs = [(literal, name) for literal, name, _, _ in string.Formatter().parse(template)]
    except ValueError:
        return ("",)
    return tuple(part for literal, name in pairs for part in (literal.encode(), name) if part not in (b"", None))
