"""The keys that a sender publishes (JWKS, RFC 7517), fetched and cached.

joserfc reads the keys; fetching is our own, because it must be bounded: in size, in time, and in how often an address
that is down is tried. Until it is back, the keys that we know stay in use.
"""

import logging
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, RSAKey

from webhook_app.sources.body.reader import parse_json
from webhook_app.sources.delivery import BadBody, Unauthentic, Undecided
from worker.outbound import is_public
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Seconds after which the keys are fetched again.
FRESH_S = 600.0
#: Seconds for which keys are used while they cannot be fetched.
STALE_S = 86_400.0
#: Minimum seconds between two fetches: after a success, and after a failure.
COOLDOWN_S, RETRY_S = 30.0, 5.0
#: Seconds: to connect, to wait for bytes, and for the whole fetch. The sender waits for it, two seconds at most.
CONNECT_S, READ_S, FETCH_S = 0.8, 0.6, 1.4
#: Limits of a key set: bytes, bytes per read, and keys.
MAX_SET, CHUNK, MAX_KEYS = 64 * 1024, 8192, 32
#: Signed with a key that the sender publishes.
PUBLIC_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
#: Bits of an RSA key.
MIN_RSA_BITS = 2048


class Registry(jws.JWSRegistry):
    """What joserfc accepts: some algorithms, and our limits of sizes."""

    max_header_length = 4096
    max_payload_length = 64 * 1024 * 1024

    def __init__(self, algorithms: tuple[str, ...]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """Return an algorithm, without a warning about ``EdDSA`` (RFC 9864)."""
        return self.algorithms[name] if self.allowed and name in self.allowed else super().get_alg(name)

    def parse(self, token: bytes) -> jws.CompactSignature | None:
        """Return the token, unverified, if it is signed with one of the algorithms."""
        try:
            signed = jws.extract_compact(token, registry=self)
            self.check_header(signed.headers())
            self.get_alg(signed.headers()["alg"])
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return signed


class KeySet:
    """The keys at ``url`` that fit one of ``algorithms``, shared by threads.

    Raises:
        ValueError: keys must not be fetched from ``url``.
    """

    def __init__(self, url: str, algorithms: tuple[str, ...]) -> None:
        if not _is_allowed(url):
            raise ValueError("must be an https URL, or an http URL in your own network")
        self.url = url
        self.algorithms = algorithms
        self._keys: tuple[Key, ...] = ()
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = threading.Lock()

    def find(self, kid: object, algorithm: str, now: float) -> list[Key]:
        """Return the keys of a token: those with the id ``kid``, or all without one.

        ``now`` is in seconds since the epoch.

        Raises:
            Unauthentic: the sender does not publish such a key.
            Undecided: the keys cannot be fetched, or were fetched only a moment ago.
        """
        found = self._matching(kid, algorithm, now)
        if found and now - self._fetched_at <= FRESH_S:
            return found
        is_news = self._refresh(now, wait=not found)
        found = self._matching(kid, algorithm, now)
        if not found and is_news:
            raise Unauthentic("the token is signed with a key that its sender does not publish")
        if not found:
            raise Undecided("the keys of the sender cannot be fetched")
        return found

    def _matching(self, kid: object, algorithm: str, now: float) -> list[Key]:
        keys = self._keys if now - self._fetched_at <= STALE_S else ()
        return [key for key in keys if kid in (None, key.kid) and _fits(key, algorithm)]

    def _refresh(self, now: float, *, wait: bool) -> bool:
        """Fetch the keys unless tried a moment ago; return whether it did.

        One thread at a time fetches; the others ``wait`` for it only if they cannot do without.
        """
        if not self._lock.acquire(blocking=wait):
            return False
        try:
            pause = COOLDOWN_S if self._fetched_at == self._tried_at else RETRY_S
            if abs(now - self._tried_at) < pause:
                return False
            self._tried_at = now
            self._keys = _usable_keys(fetch(self.url), self.algorithms)
            self._fetched_at = now
            return True
        except (requests.RequestException, urllib3.exceptions.HTTPError, BadBody, ValueError) as error:
            log.warning(LogEvent("keys not fetched", host=urlsplit(self.url).hostname, error=type(error).__name__))
            return False
        finally:
            self._lock.release()


def fetch(url: str) -> bytes:
    """Fetch the document at ``url``, without following redirects.

    Raises:
        requests.RequestException, urllib3.exceptions.HTTPError: it cannot be fetched in time.
        ValueError: it is too large.
    """
    give_up_at = time.monotonic() + FETCH_S
    with requests.get(url, timeout=(CONNECT_S, READ_S), stream=True, allow_redirects=False) as answer:
        if answer.status_code != requests.codes.ok:
            raise requests.HTTPError(str(answer.status_code))
        document = b""
        while chunk := answer.raw.read1(CHUNK, decode_content=True):
            document += chunk
            if len(document) > MAX_SET:
                raise ValueError("the key set is too large")
            if time.monotonic() > give_up_at:
                raise requests.Timeout
    return document


def _usable_keys(document: bytes, algorithms: tuple[str, ...]) -> tuple[Key, ...]:
    """Return the keys that fit one of the algorithms; never a shared secret.

    Raises:
        BadBody, ValueError: this is not a key set with such a key.
    """
    key_set = parse_json(document)
    written = key_set.get("keys") if isinstance(key_set, dict) else None
    keys: list[Key] = []
    for parameters in written[:MAX_KEYS] if isinstance(written, list) else ():
        with suppress(JoseError, ValueError, TypeError, KeyError, AttributeError):
            key = JWKRegistry.import_key(parameters)
            if any(_fits(key, algorithm) for algorithm in algorithms):
                keys.append(key)
    if not keys:
        raise ValueError("no usable key")
    return tuple(keys)


def _fits(key: Key, algorithm: str) -> bool:
    """Whether a key fits an algorithm by its type, use, curve, size and ``alg``."""
    if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_BITS:
        return False
    try:
        Registry.algorithms[algorithm].check_key(key)
        key.check_key_op("verify")
    except JoseError:
        return False
    return algorithm in PUBLIC_ALGORITHMS


def _is_allowed(url: str) -> bool:
    """Whether a URL has TLS, or a host of a private network."""
    try:
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    except ValueError:
        return False
    return bool(host) and (scheme == "https" or (scheme == "http" and not is_public(host)))
