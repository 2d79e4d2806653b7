"""The counterpart of ``verify``: a delivery that a source will take, signed with the source's own first secret.

What is signed and how is told by the same values that verify it (``signature``, ``tokens``, ``jwts``), so that each
scheme's mathematics are in one place. What only its sender can sign, with a key that we do not have, is ``Unsignable``.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

import jwt
from werkzeug.datastructures import Headers

from webhook_app.sources.sample import NoSample, Sample
from webhook_app.sources.source import Source
from webhook_app.sources.verify.delivery import Delivery
from webhook_app.sources.verify.jwts import Jwt, body_hash
from webhook_app.sources.verify.schemes import Numbered
from webhook_app.sources.verify.signature import Ed25519, Hmac, Verifier
from webhook_app.sources.verify.signed import UNITS
from webhook_app.sources.verify.tokens import FieldToken, Token
from worker.errors import SyncError


class Unsignable(SyncError):
    """Only the sender itself can sign this; the text says why."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What proves a delivery: headers and query arguments besides, or another body."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    args: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


def sign(source: Source, sample: Sample, address: str, now: float) -> Delivery:
    """The sample as its sender would send it to ``address`` at ``now``, in seconds since the epoch.

    Of several ways to prove it, the one that the sample's own headers hint at goes first.

    Raises:
        Unsignable: by none of the source's ways can anybody but the sender sign.
    """
    named = {name.lower() for name in sample.headers}
    ways = [way.way if isinstance(way, Numbered) else way for way in source.ways]
    reasons: list[str] = []
    for way in sorted(ways, key=lambda way: not _headers_of(way) & named):
        try:
            return _joined(sample, _signature(way, sample, address, now), address)
        except Unsignable as reason:
            reasons.append(str(reason))
    raise Unsignable("; ".join(dict.fromkeys(reasons)))


def check_signable(source: Source) -> None:
    """Whether anybody but the sender can sign for this source at all.

    Raises:
        Unsignable: nobody can.
    """
    ways = [way.way if isinstance(way, Numbered) else way for way in source.ways]
    reasons = [reason for way in ways if (reason := _only_sender(way))]
    if len(reasons) == len(ways):
        raise Unsignable("; ".join(dict.fromkeys(reasons)))


def _only_sender(way: Verifier) -> str:
    """Why nobody but the sender can sign so; ``""`` where we can."""
    match way:
        case Ed25519():
            return "its deliveries are signed with a private key that only the sender has (ed25519)"
        case Jwt(key_set=key_set) if key_set is not None:
            return "its tokens are signed with a private key that only the sender has"
    return ""


def _headers_of(way: Verifier) -> set[str]:
    """The headers that accompany a signature."""
    match way:
        case Hmac():
            return {name.lower() for name in (way.timestamp_header, way.id_header) if name}
    return set()


def _joined(sample: Sample, signature: Signature, address: str) -> Delivery:
    own = {name.lower() for name in signature.headers}
    headers = {name: value for name, value in sample.headers.items() if name.lower() not in own}
    body = sample.encoded() if signature.body is None else signature.body
    url = f"{address}?{urlencode(signature.args)}" if signature.args else address
    return Delivery(Headers({**headers, **signature.headers}), body, signature.args, "POST", url)


def _signature(way: Verifier, sample: Sample, address: str, now: float) -> Signature:
    match way:
        case Hmac():
            return _by_hmac(way, sample, address, now)
        case Token():
            return _by_token(way)
        case FieldToken():
            return _by_field(way, sample)
        case Jwt(key_set=None):
            return _by_jwt(way, sample)
    raise Unsignable(_only_sender(way) or "there is no way to sign for it")


def _by_hmac(way: Hmac, sample: Sample, address: str, now: float) -> Signature:
    headers: dict[str, str] = {}
    timestamp = str(int(now * UNITS[way.unit])) if way.timestamp_header or way.timestamp_prefix else ""
    if way.timestamp_header:
        headers[way.timestamp_header] = timestamp
    if way.id_header:
        headers[way.id_header] = f"msg_{secrets.token_hex(12)}"
    message = way.message(_joined(sample, Signature(headers), address), timestamp)
    items = [way.timestamp_prefix + timestamp] if way.timestamp_prefix else []
    headers[way.header] = way.separator.join([*items, way.prefix + way.signature(way.keys[0], message)])
    return Signature(headers)


def _by_token(way: Token) -> Signature:
    """A header of its own usually has the bare token; headers are Latin-1 to WSGI."""
    if way.query:
        return Signature(args={way.query: way.keys[0].decode()})
    token = way.keys[0].decode("latin-1")
    has_scheme = way.auth_scheme and way.header.lower() == "authorization"
    return Signature({way.header: f"{way.auth_scheme} {token}" if has_scheme else token})


def _by_field(way: FieldToken, sample: Sample) -> Signature:
    if way.path.steps is None:
        raise Unsignable("the place of the token in the body is not a plain path")
    try:
        return Signature(body=sample.put(way.path.steps, way.keys[0].decode()).encoded())
    except NoSample as reason:
        raise Unsignable(f"the token cannot be put into the body: {reason}") from None


def _by_jwt(way: Jwt, sample: Sample) -> Signature:
    """A token that is signed with a secret, not with a published key."""
    named = {name: value for name, value in (("iss", way.issuer), ("aud", way.audience)) if value}
    body = sample.encoded()
    try:
        claims = {way.claim: body_hash(body, way.encoding)} if way.header else json.loads(body)
        token = jwt.encode({**claims, **named}, way.keys[0], way.algorithms[0])
    except (ValueError, TypeError):
        raise Unsignable("the body is no JSON object, and so cannot be made a token") from None
    if not way.header:
        return Signature({"Content-Type": "application/jwt"}, body=token.encode())
    return Signature({way.header: f"Bearer {token}" if way.header.lower() == "authorization" else token})


def with_body(sample: Sample, raw: bytes) -> Sample:
    """The sample with another body: data, where it is JSON."""
    try:
        return replace(sample, body=json.loads(raw))
    except ValueError:
        return replace(sample, body=raw)
