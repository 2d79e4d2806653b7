"""JSON Web Tokens (RFC 7519) that are the body, or contain the body's hash.

joserfc verifies the signature. The operator chooses the algorithms, never the token; and secrets are never mixed with
published keys, so that a public key cannot be used as a secret.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key, OctKey

from webhook_app.sources.body.reader import parse_json
from webhook_app.sources.delivery import BadBody, Delivery, Unauthentic, Unsigned, ascii_header
from webhook_app.sources.verify.jwks import PUBLIC_ALGORITHMS, KeySet, Registry
from worker.errors import SettingsError

#: Signed with a secret that both sides know, of this many bytes at least (RFC 7518, section 3.2).
SECRET_ALGORITHMS = {"HS256": 32, "HS384": 48, "HS512": 64}
ALGORITHMS = (*SECRET_ALGORITHMS, *PUBLIC_ALGORITHMS)
#: Encodings of the body's hash.
ENCODINGS = ("base64", "hex")
#: Seconds that clocks may differ.
LEEWAY = 60
#: Seconds since the epoch; a larger number is not a time.
MAX_TIME = 10**12
#: Keys that are tried for a token without a key id.
MAX_TRIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """A token in ``header`` with the body's hash in ``claim``, or the body itself.

    It is signed with one of ``keys`` or, if there is a ``key_set``, with a key of that. ``issuer`` and ``audience`` are
    what the token must name, if they are set.

    Raises:
        SettingsError: the settings do not make a scheme that can be trusted; every mistake is named.
    """

    algorithms: tuple[str, ...]
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    key_set: KeySet | None = field(default=None, compare=False)
    header: str = ""
    claim: str = ""
    encoding: str = "base64"
    issuer: str = ""
    audience: str = ""
    _secrets: tuple[OctKey, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise SettingsError(problems)
        object.__setattr__(self, "_secrets", tuple(OctKey.import_key(key) for key in self.keys))

    def verify(self, delivery: Delivery, now: float) -> int:
        """Return the index of the key that signed the token; 0 for a key of the key set.

        Raises:
            Unauthentic: none did, or the token is missing, malformed, out of date, or not about this body.
            Undecided: the keys cannot be fetched.
        """
        token, registry = self._token(delivery), Registry(self.algorithms)
        signed = registry.parse(token)
        if signed is None:
            raise Unauthentic("there is no token, or its algorithm is not one of those configured")
        for index, key in self._candidates(signed, now):
            claims = _claims(signed, key, registry)
            if claims is not None:
                self._check(claims, delivery.body, now)
                return index
        raise Unauthentic("the signature of the token does not match")

    def _token(self, delivery: Delivery) -> bytes:
        if not self.header:
            if not delivery.body.strip():
                raise Unsigned("the body is empty; a token is expected")
            return delivery.body.strip()
        value = ascii_header(delivery, self.header).strip()
        scheme, _, rest = value.partition(" ")
        return (rest.strip() if scheme.lower() == "bearer" else value).encode()

    def _candidates(self, signed: jws.CompactSignature, now: float) -> Iterator[tuple[int, Key]]:
        """Yield the keys to try, with their index."""
        if self.key_set is None:
            yield from enumerate(self._secrets)
        else:
            head = signed.headers()
            for key in self.key_set.find(head.get("kid"), head["alg"], now)[:MAX_TRIES]:
                yield 0, key

    def _check(self, claims: Mapping[str, object], body: bytes, now: float) -> None:
        audience = claims.get("aud")
        if self.issuer and claims.get("iss") != self.issuer:
            raise Unauthentic("the token is from another issuer")
        if self.audience and self.audience not in (audience if isinstance(audience, list) else [audience]):
            raise Unauthentic("the token is for another audience")
        if not _seconds(claims.get("nbf", 0)) - LEEWAY <= now <= _seconds(claims.get("exp", now)) + LEEWAY:
            raise Unauthentic("the token is out of date")
        if self.claim and not _is_hash(claims.get(self.claim), body, self.encoding):
            raise Unauthentic("the token does not match the body")

    def _problems(self) -> list[str]:
        fitting = SECRET_ALGORITHMS if self.key_set is None else PUBLIC_ALGORITHMS
        shortest = max((SECRET_ALGORITHMS.get(name, 0) for name in self.algorithms), default=0)
        rules = {
            f"algorithms must be of {', '.join(fitting)}": bool(self.algorithms) and set(self.algorithms) <= {*fitting},
            f"a secret must have at least {shortest} bytes": all(len(key) >= shortest for key in self.keys),
            f"encoding must be one of {', '.join(ENCODINGS)}": self.encoding in ENCODINGS,
            "claim is missing: without it a token is valid for any body": bool(self.claim or not self.header),
        }
        return [problem for problem, holds in rules.items() if not holds]


def _claims(signed: jws.CompactSignature, key: Key, registry: Registry) -> Mapping[str, object] | None:
    """Return the claims of the token, if this key signed it."""
    try:
        is_signed = jws.validate_compact(signed, key, registry=registry)
        claims = parse_json(signed.payload) if is_signed else None
    except (JoseError, BadBody, ValueError, TypeError):
        return None
    return claims if isinstance(claims, dict) else None


def _seconds(value: object) -> float:
    """Return a time of RFC 7519: a number of seconds since the epoch."""
    if isinstance(value, int | float | Decimal) and -MAX_TIME < value < MAX_TIME:
        return float(value)
    raise Unauthentic("a time in the token is not a number")


def body_hash(body: bytes, encoding: str) -> str:
    """Return the hash by which a token refers to a body."""
    digest = hashlib.sha256(body).digest()
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


def _is_hash(claimed: object, body: bytes, encoding: str) -> bool:
    expected = body_hash(body, encoding)
    return isinstance(claimed, str) and hmac.compare_digest(expected.encode(), claimed.encode(errors="replace"))
