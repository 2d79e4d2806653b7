"""Signs sample deliveries with a source's first secret.

The verifiers themselves (``signature``, ``tokens``, ``jwts``) say what is signed and how, so that each scheme is
implemented once. ``Unsignable``: only the sender has the private key.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from joserfc import jws
from joserfc.jwk import OctKey
from werkzeug.datastructures import Headers

from webhook_app.sources.delivery import Delivery
from webhook_app.sources.sample import NoSample, Sample
from webhook_app.sources.source import Source
from webhook_app.sources.verify.callback_id import HEADER, CallbackId, header_of
from webhook_app.sources.verify.jwts import Jwt, body_hash
from webhook_app.sources.verify.schemes import Numbered
from webhook_app.sources.verify.signature import UNITS, Ed25519, Hmac, Verifier
from webhook_app.sources.verify.tokens import FieldToken, Token
from worker.errors import SyncError


class Unsignable(SyncError):
    """Only the sender can sign this; the text says why."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signature adds to a delivery: headers, query arguments, or another body."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    args: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


def sign(source: Source, sample: Sample, address: str, now: float) -> Delivery:
    """Return the sample as its sender would send it to ``address`` at ``now``.

    Of several verifiers, the one whose headers are in the sample is used first.

    Raises:
        Unsignable: only the sender can sign for any of the source's verifiers.
    """
    named = {name.lower() for name in sample.headers}
    verifiers = [verifier.verifier if isinstance(verifier, Numbered) else verifier for verifier in source.verifiers]
    reasons: list[str] = []
    for verifier in sorted(verifiers, key=lambda verifier: not _headers_of(verifier) & named):
        try:
            return _joined(sample, _signature(verifier, sample, address, now), address)
        except Unsignable as reason:
            reasons.append(str(reason))
    raise Unsignable("; ".join(dict.fromkeys(reasons)))


def check_signable(source: Source) -> None:
    """Raise an error if only the sender can sign for this source.

    Raises:
        Unsignable: the reasons.
    """
    verifiers = [verifier.verifier if isinstance(verifier, Numbered) else verifier for verifier in source.verifiers]
    reasons = [reason for verifier in verifiers if (reason := _only_sender(verifier))]
    if len(reasons) == len(verifiers):
        raise Unsignable("; ".join(dict.fromkeys(reasons)))


def _only_sender(verifier: Verifier) -> str:
    """Return why only the sender can sign for this verifier, or ``""``."""
    match verifier:
        case Ed25519():
            return "its deliveries are signed with a private key that only the sender has (ed25519)"
        case Jwt(key_set=key_set) if key_set is not None:
            return "its tokens are signed with a private key that only the sender has"
    return ""


def _headers_of(verifier: Verifier) -> set[str]:
    """Return the headers that accompany a signature, in lower case."""
    match verifier:
        case Hmac():
            return {name.lower() for name in (verifier.timestamp_header, verifier.id_header) if name}
    return set()


def _joined(sample: Sample, signature: Signature, address: str) -> Delivery:
    own = {name.lower() for name in signature.headers}
    headers = {name: value for name, value in sample.headers.items() if name.lower() not in own}
    body = sample.encoded() if signature.body is None else signature.body
    url = f"{address}?{urlencode(signature.args)}" if signature.args else address
    return Delivery(Headers({**headers, **signature.headers}), body, signature.args, "POST", url)


def _signature(verifier: Verifier, sample: Sample, address: str, now: float) -> Signature:
    match verifier:
        case Hmac():
            return _by_hmac(verifier, sample, address, now)
        case CallbackId():
            return _by_callback_id(verifier, now)
        case Token():
            return _by_token(verifier)
        case FieldToken():
            return _by_field(verifier, sample)
        case Jwt(key_set=None):
            return _by_jwt(verifier, sample)
    raise Unsignable(_only_sender(verifier) or "there is no way to sign for it")


def _by_hmac(verifier: Hmac, sample: Sample, address: str, now: float) -> Signature:
    headers: dict[str, str] = {}
    timestamp = str(int(now * UNITS[verifier.unit])) if verifier.timestamp_header or verifier.timestamp_prefix else ""
    if verifier.timestamp_header:
        headers[verifier.timestamp_header] = timestamp
    if verifier.id_header:
        headers[verifier.id_header] = f"msg_{secrets.token_hex(12)}"
    message = verifier.message(_joined(sample, Signature(headers), address), timestamp)
    items = [verifier.timestamp_prefix + timestamp] if verifier.timestamp_prefix else []
    headers[verifier.header] = verifier.separator.join(
        [*items, verifier.prefix + verifier.signature(verifier.keys[0], message)]
    )
    return Signature(headers)


def _by_callback_id(verifier: CallbackId, now: float) -> Signature:
    timestamp, nonce, username = str(int(now)), secrets.token_hex(8), "livedesk-sync"
    signature = verifier.signature(verifier.keys[0], timestamp, nonce, username)
    return Signature({HEADER: header_of(timestamp, nonce, username, signature)})


def _by_token(verifier: Token) -> Signature:
    """Headers other than Authorization have the bare token; WSGI uses Latin-1."""
    if verifier.query:
        return Signature(args={verifier.query: verifier.keys[0].decode()})
    token = verifier.keys[0].decode("latin-1")
    has_scheme = verifier.auth_scheme and verifier.header.lower() == "authorization"
    return Signature({verifier.header: f"{verifier.auth_scheme} {token}" if has_scheme else token})


def _by_field(verifier: FieldToken, sample: Sample) -> Signature:
    if verifier.path.steps is None:
        raise Unsignable("the path to the token in the body is not a plain path")
    try:
        return Signature(body=sample.put(verifier.path.steps, verifier.keys[0].decode()).encoded())
    except NoSample as reason:
        raise Unsignable(f"the token cannot be added to the body: {reason}") from None


def _by_jwt(verifier: Jwt, sample: Sample) -> Signature:
    """Sign a token with a secret, not with a published key."""
    named = {name: value for name, value in (("iss", verifier.issuer), ("aud", verifier.audience)) if value}
    body = sample.encoded()
    try:
        claims = {verifier.claim: body_hash(body, verifier.encoding)} if verifier.header else json.loads(body)
        text, head = json.dumps({**claims, **named}), {"alg": verifier.algorithms[0], "typ": "JWT"}
        token = jws.serialize_compact(head, text, OctKey.import_key(verifier.keys[0]), [verifier.algorithms[0]])
    except (ValueError, TypeError):
        raise Unsignable("the body is not a JSON object, so it cannot become a token") from None
    if not verifier.header:
        return Signature({"Content-Type": "application/jwt"}, body=token.encode())
    return Signature({verifier.header: f"Bearer {token}" if verifier.header.lower() == "authorization" else token})


def with_body(sample: Sample, raw: bytes) -> Sample:
    """Return the sample with another body, parsed if it is JSON."""
    try:
        return replace(sample, body=json.loads(raw))
    except ValueError:
        return replace(sample, body=raw)
