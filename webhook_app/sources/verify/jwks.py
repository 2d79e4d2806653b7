"""The keys that a sender publishes (JWKS, RFC 7517), fetched and cached.

joserfc reads the keys; fetching is our own, because it must be bounded: in size, in time, and in how often an address
that is down is tried. Until it is back, the keys that we know stay in use. Anybody can send a token with the id of a
key that we do not have. Such a delivery is answered at once, and its sender must repeat it.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, RSAKey

from webhook_app.sources.body.reader import parse_json
from webhook_app.sources.delivery import BadBody, Unauthentic, Undecided, UnknownKey
from worker import telemetry
from worker.errors import LiveDeskError, SettingsError
from worker.livedesk.connections import Resolver
from worker.livedesk.transport import Transport
from worker.log_limit import LogLimit
from worker.outbound import is_public
from worker.settings import load_ca_bundle, load_proxies
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Seconds after which the keys are fetched again.
FRESH_S = 600.0
#: Seconds for which keys are used while they cannot be fetched.
STALE_S = 86_400.0
#: Minimum seconds between two fetches: after a success, and after a failure.
COOLDOWN_S, RETRY_S = 30.0, 5.0
#: Seconds: for a connection, and from then on for the whole answer, headers included.
CONNECT_S, ANSWER_S = 5.0, 5.0
#: Seconds between two looks at the age of the keys.
CHECK_EVERY_S = 60.0
#: Limits of a key set: bytes and keys.
MAX_SET, MAX_KEYS = 64 * 1024, 32
#: Keys that tokens named and we do not have, which are remembered.
MAX_MISSING = 64
#: HTTP's status.
OK = 200
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
    """The keys at ``url``, shared by the threads and the sources that use it.

    No delivery waits for them: they are fetched in a thread, one fetch at a time. Times are in seconds since the epoch.

    Raises:
        ValueError: keys must not be fetched from ``url``.
    """

    def __init__(self, url: str) -> None:
        if not _is_allowed(url):
            raise ValueError("must be an https URL, or an http URL in your own network")
        self.url = url
        self._keys: tuple[Key, ...] = ()
        #: When the last successful fetch began, and the last one.
        self._fetched_at = self._tried_at = float("-inf")
        #: When a token first named a key that we do not have; of so many keys, the latest.
        self._missing: OrderedDict[tuple[str | None, str], float] = OrderedDict()
        self._lock = threading.Lock()
        self._fetching = threading.Lock()
        self._failures = LogLimit(burst=1)

    def find(self, kid: object, algorithm: str, now: float) -> list[Key]:
        """Return the keys of a token: those with the id ``kid``, or all without one.

        Raises:
            Unauthentic: the sender did not publish such a key after a token first named it.
            UnknownKey: we have no such key; the keys are being fetched, or were a moment ago.
            Undecided: we have no keys at all.
        """
        if kid is not None and not isinstance(kid, str):
            raise Unauthentic("the key id of the token is not a string")
        usable = self._keys if now - self._fetched_at <= STALE_S else ()
        found = [key for key in usable if kid in (None, key.kid) and _fits(key, algorithm)]
        if not found or now - self._fetched_at > FRESH_S:
            self.refresh(now)
        if found:
            return found
        if not usable:
            raise Undecided("the keys of the sender cannot be fetched")
        if self._first_named(kid, algorithm, now) < self._fetched_at:
            raise Unauthentic("the token is signed with a key that its sender does not publish")
        raise UnknownKey("the token is signed with a key that was not fetched yet")

    @property
    def fetched_at(self) -> float:
        """When the fetch began that brought the keys; minus infinity if there are none."""
        return self._fetched_at

    def refresh(self, now: float) -> None:
        """Fetch the keys in a thread, unless one is at it or has been a moment ago."""
        if not self._fetching.acquire(blocking=False):
            return
        pause = COOLDOWN_S if self._fetched_at == self._tried_at else RETRY_S
        if abs(now - self._tried_at) < pause:
            self._fetching.release()
            return
        self._tried_at = now
        try:
            threading.Thread(target=self._fetch, args=(now,), name="jwks", daemon=True).start()
        except RuntimeError:  # no more threads: the next delivery tries again
            self._fetching.release()

    def wait(self, timeout_s: float) -> None:
        """Wait for the fetch that is under way."""
        if self._fetching.acquire(timeout=timeout_s):
            self._fetching.release()

    def _fetch(self, now: float) -> None:
        try:
            self._keys = _usable_keys(fetch(self.url))
            self._fetched_at = now
        except (LiveDeskError, SettingsError, OSError, BadBody, ValueError) as error:
            self._log_failure(error)
        except Exception as error:  # noqa: BLE001 - nobody else would see it
            telemetry.report_bug(error)
        finally:
            self._fetching.release()

    def _first_named(self, kid: str | None, algorithm: str, now: float) -> float:
        """Return when a token first named this key; few of them are remembered."""
        with self._lock:
            since = self._missing.setdefault((kid, algorithm), now)
            if len(self._missing) > MAX_MISSING:
                self._missing.popitem(last=False)
        return since

    def _log_failure(self, error: Exception) -> None:
        left_out = self._failures.admit("")
        if left_out is not None:
            host, kind = urlsplit(self.url).hostname, type(error).__name__
            log.warning(LogEvent("keys not fetched", host=host, error=kind, left_out=left_out or None))


def keep_fresh(key_sets: Iterable[KeySet], clock: Callable[[], float]) -> None:
    """Fetch keys now, and in a thread when they are old: also while nothing arrives."""
    kept = tuple(dict.fromkeys(key_sets))
    if not kept:
        return

    def run() -> None:
        while True:
            for each in kept:
                if clock() - each.fetched_at > FRESH_S:
                    each.refresh(clock())
            time.sleep(CHECK_EVERY_S)

    threading.Thread(target=run, name="keep keys", daemon=True).start()


def fetch(url: str) -> bytes:
    """Fetch the document at ``url``, through the proxies of ``worker.outbound``.

    Raises:
        LiveDeskError: it cannot be fetched in time, or has too many bytes in its head.
        SettingsError: the environment names a proxy that cannot be used.
        OSError: the certificate authorities cannot be read.
        ValueError: the answer is not the document, or it is too large.
    """
    transport = Transport(
        None,
        connect_timeout_s=CONNECT_S,
        answer_timeout_s=ANSWER_S,
        proxies=load_proxies(url),
        ca_bundle=load_ca_bundle(),
        resolve=Resolver(),
    )
    with closing(transport):
        answer = transport.send("GET", url, params=None, body=None)
    if answer.status != OK or not answer.is_complete:
        raise ValueError(f"the answer has the status {answer.status}")
    document = answer.text.encode()
    if len(document) > MAX_SET:
        raise ValueError("the key set is too large")
    return document


def _usable_keys(document: bytes) -> tuple[Key, ...]:
    """Return the keys that fit a public algorithm; never a shared secret.

    Raises:
        BadBody, ValueError: this is not a key set with such a key.
    """
    key_set = parse_json(document)
    written = key_set.get("keys") if isinstance(key_set, dict) else None
    keys: list[Key] = []
    for parameters in written[:MAX_KEYS] if isinstance(written, list) else ():
        with suppress(JoseError, ValueError, TypeError, KeyError, AttributeError):
            key = JWKRegistry.import_key(parameters)
            if any(_fits(key, algorithm) for algorithm in PUBLIC_ALGORITHMS):
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
