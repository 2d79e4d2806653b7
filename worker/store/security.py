"""Limits of failed sign-ins, each secret's last use, and bodies of signatures."""

import hashlib
from dataclasses import dataclass
from typing import Any

from worker.model import Way
from worker.store import keys
from worker.store.connection import translated
from worker.store.database import Database

#: How many failed sign-ins one address has, and in how many ms.
MAX_SIGN_INS = 10
SIGN_INS_MS = 5 * 60_000
#: How many all addresses have together, and in how many ms.
MAX_OVERALL = 60
OVERALL_MS = 60_000
#: How long an address is known after a sign-in. The limit over all addresses does not apply to it.
KNOWN_MS = 30 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """A sign-in from an address: ``wait_ms`` is 0, or how long none is allowed.

    ``failed``: the failed ones of the address in this window, with this one; ``overall``: those of all addresses.
    ``address`` is a keyed hash.
    """

    way: Way
    address: str
    wait_ms: int
    failed: int
    overall: int

    @property
    def alias(self) -> str:
        """A name of the address that does not reveal it."""
        return self.address[:8]

    @property
    def is_flood(self) -> bool:
        """Whether it must wait because of what others do."""
        return self.wait_ms > 0 and self.failed < MAX_SIGN_INS


class RateLimiter:
    """Limits failed sign-ins over all web processes together, each way by itself."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def try_sign_in(self, address: str, way: Way = Way.PASSWORD) -> SignInAttempt:
        """Count a sign-in from this address as failed, until ``forgive``."""
        hashed = self.db.key_of(f"{way} {address}")
        found = self.db.run(
            "try_sign_in",
            way=way,
            address=hashed,
            max_attempts=MAX_SIGN_INS,
            window_ms=SIGN_INS_MS,
            max_overall=MAX_OVERALL,
            overall_ms=OVERALL_MS,
        )
        return SignInAttempt(way, hashed, *map(int, found))

    def forgive(self, attempt: SignInAttempt, *, succeeded: bool) -> None:
        """Do not count a sign-in. Others still count, also those of its address."""
        known_ms = KNOWN_MS if succeeded else None
        self.db.run("forgive_sign_in", way=attempt.way, address=attempt.address, known_ms=known_ms)


class Sessions:
    """The sessions of the dashboard that nobody has ended."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def begin(self, session_id: str, lasts_ms: int, *, replaces: str | None = None) -> None:
        """Store a session, and end the one that it ``replaces`` in the same browser."""
        self.db.run("begin_session", session=session_id, replaces=replaces, lasts_ms=lasts_ms)

    def is_open(self, session_id: str) -> bool:
        """Whether the session has begun, and nobody has ended it."""
        with translated():
            return self.db.client.zscore(keys.SESSIONS, session_id) is not None

    def end(self, session_id: str) -> None:
        """End a session, also for copies of its cookie."""
        with translated():
            self.db.client.zrem(keys.SESSIONS, session_id)

    def end_all(self) -> int:
        """End all sessions, and return how many there were."""
        with translated():
            ended: Any = self.db.client.zcard(keys.SESSIONS)
            self.db.client.delete(keys.SESSIONS)
        return int(ended)


class SecretUses:
    """When a delivery was last verified with each secret."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def mark(self, source: str, name: str) -> None:
        """Record that a delivery was verified with this secret just now."""
        now = str(self.db.now())
        with translated():
            self.db.client.hset(keys.SECRETS, f"{source}:{name}", now)

    def read(self) -> dict[str, int]:
        """Return each secret's last use, as ``<source>:<name>``, in ms since the epoch."""
        with translated():
            used: Any = self.db.client.hgetall(keys.SECRETS)
        return {name: int(at) for name, at in used.items()}


class SignedBodies:
    """Which body came with a signature that does not cover it."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def bind(self, source: str, signature: str, body: bytes, valid_s: float) -> bool:
        """Bind a signature of this source to the first body that comes with it.

        The same body may come again, because senders repeat deliveries. ``valid_s`` is how long the signature is
        valid. Returns whether this is the body.
        """
        name = keys.signed(self.db.key_of(f"{source}:{signature}"))
        digest = hashlib.blake2b(body, key=self.db.salt(), digest_size=16).hexdigest()
        with translated():
            bound = self.db.connections.send(("SET", name, digest, "NX", "GET", "PX", int(valid_s * 1000)))
        return bound in (None, digest)
