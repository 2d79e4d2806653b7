"""JSON Web Tokens (RFC 7519) as proof: the body is one, or a header holds one that has the body's hash in it.

PyJWT verifies the signature. Which algorithms may have made it is the operator's word, never the token's, and secrets
and published keys do not mix: a public key can never be taken for a secret.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import jwt

from webhook_app.sources.body.parse import BadBody, parse_json
from webhook_app.sources.verify.delivery import (
    Delivery,
    Unauthentic,
    Unsigned,
    ascii_header,
)
from webhook_app.sources.verify.jwks import KeySet
from worker.errors import SettingsError

#: By a secret that both sides know. RFC 7518, section 3.2: it must be as long as the hash.
SECRET_ALGORITHMS = {"HS256": 32, "HS384": 48, "HS512": 64}
#: By a key that the sender publishes.
PUBLIC_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
ALGORITHMS = (*SECRET_ALGORITHMS, *PUBLIC_ALGORITHMS)
#: How the hash of the body may be written.
ENCODINGS = ("base64", "hex")
#: Seconds by which clocks may differ.
LEEWAY = 60
#: Seconds since the epoch: beyond it a number is no time.
MAX_TIME = 10**12
#: Keys that are tried for a token that does not say which.
MAX_TRIES = 8

_JWS = jwt.PyJWS(options={"enforce_minimum_key_length": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """A token in ``header`` whose claim ``claim`` is the body's SHA-256 in ``encoding``; without a header, the body.

    It is signed with one of ``keys`` or, where there is a ``key_set``, with one of that. ``issuer`` and ``audience``
    are what the token must name, where they are given.

    Raises:
        SettingsError: the parts do not make a scheme that can be trusted; every mistake is named.
    """

    algorithms: tuple[str, ...]
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    key_set: KeySet | None = field(default=None, compare=False)
    header: str = ""
    claim: str = ""
    encoding: str = "base64"
    issuer: str = ""
    audience: str = ""

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise SettingsError(problems)

    def verify(self, delivery: Delivery, now: float) -> int:
        """The index of the key that signed the token; 0 where it is one of the key set.

        Raises:
            Unauthentic: none did, or the token is missing, malformed, out of date, or not about this body.
            Undecided: the keys cannot be fetched.
        """
        token = self._token(delivery)
        for index, key in self._candidates(token, now):
            claims = _claims(token, key, self.algorithms)
            if claims is not None:
                self._check(claims, delivery.body, now)
                return index
        raise Unauthentic("the signature of the token does not match")

    def _token(self, delivery: Delivery) -> bytes:
        if not self.header:
            if not delivery.body.strip():
                raise Unsigned("the body is empty where there should be a token")
            return delivery.body.strip()
        value = ascii_header(delivery, self.header).strip()
        scheme, _, rest = value.partition(" ")
        return (rest.strip() if scheme.lower() == "bearer" else value).encode()

    def _candidates(self, token: bytes, now: float) -> Iterator[tuple[int, Any]]:
        """The keys to try, with their index."""
        try:
            head = _JWS.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError):
            head = {}
        algorithm = head.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self.algorithms:
            raise Unauthentic("there is no token, or it is signed in another way than agreed")
        if self.key_set is None:
            yield from enumerate(self.keys)
        else:
            for key in self.key_set.find(head.get("kid"), algorithm, now)[:MAX_TRIES]:
                yield 0, key

    def _check(self, claims: Mapping[str, object], body: bytes, now: float) -> None:
        audience = claims.get("aud")
        if self.issuer and claims.get("iss") != self.issuer:
            raise Unauthentic("the token is from another issuer")
        if self.audience and self.audience not in (audience if isinstance(audience, list) else [audience]):
            raise Unauthentic("the token is for somebody else")
        if not _seconds(claims.get("nbf", 0)) - LEEWAY <= now <= _seconds(claims.get("exp", now)) + LEEWAY:
            raise Unauthentic("the token is out of date")
        if self.claim and not _is_hash(claims.get(self.claim), body, self.encoding):
            raise Unauthentic("the token is about another body")

    def _problems(self) -> list[str]:
        fitting = SECRET_ALGORITHMS if self.key_set is None else PUBLIC_ALGORITHMS
        shortest = max((SECRET_ALGORITHMS.get(name, 0) for name in self.algorithms), default=0)
        rules = {
            f"algorithms must be of {', '.join(fitting)}": bool(self.algorithms) and set(self.algorithms) <= {*fitting},
            f"a secret must have {shortest} bytes at least": all(len(key) >= shortest for key in self.keys),
            f"encoding must be one of {', '.join(ENCODINGS)}": self.encoding in ENCODINGS,
            "claim is missing: without it a token vouches for any body": bool(self.claim or not self.header),
        }
        return [problem for problem, holds in rules.items() if not holds]


def _claims(token: bytes, key: Any, algorithms: tuple[str, ...]) -> Mapping[str, object] | None:
    """What the token claims, if this key signed it."""
    try:
        claims = parse_json(_JWS.decode_complete(token, key, list(algorithms))["payload"])
    except (jwt.PyJWTError, BadBody, ValueError, TypeError):
        return None
    return claims if isinstance(claims, dict) else None


def _seconds(value: object) -> float:
    """A time as RFC 7519 has it: a number of seconds since the epoch."""
    if isinstance(value, int | float | Decimal) and -MAX_TIME < value < MAX_TIME:
        return float(value)
    raise Unauthentic("a time in the token is not a number")


def body_hash(body: bytes, encoding: str) -> str:
    """What a token says of the body that it is about."""
    digest = hashlib.sha256(body).digest()
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


def _is_hash(claimed: object, body: bytes, encoding: str) -> bool:
    expected = body_hash(body, encoding)
    return isinstance(claimed, str) and hmac.compare_digest(expected.encode(), claimed.encode(errors="replace"))
