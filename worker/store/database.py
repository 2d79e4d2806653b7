"""What all parts of the store share: the client, the scripts, the salt and Redis's clock."""

import secrets
from typing import Any

import redis

from worker.model import Requirements
from worker.store import keys
from worker.store.connection import translated
from worker.store.durability import Guard, Terms, Wait
from worker.store.scripts import Scripts

#: Entries of a sorted set that are removed in one go.
MAX_REMOVED = 200


class Database:
    """One Redis, as our scripts and keys see it. Threads may share it.

    ``shift_ms`` is added to Redis's clock; only tests set it. ``guard`` decides whether deliveries are accepted.
    """

    def __init__(self, client: redis.Redis, guard: Guard | None = None) -> None:
        self.client = client
        self.guard = guard
        self.requirements = guard.requirements if guard else Requirements()
        self.shift_ms = 0
        self._scripts = Scripts(client)
        self._salt: bytes | None = None

    def run(self, script: str, key: str, *args: str | float, wait: Wait | None = None) -> Any:
        """Run one of our scripts and return its answer.

        ``key`` names what the script changes. With ``wait``, return only when the change is that durable.
        """
        return self._scripts.run(script, key, (self.shift_ms, key, *args), wait)

    def terms(self) -> Terms:
        """Return what must hold for a delivery to be accepted now."""
        return self.guard.terms() if self.guard else Terms()

    def salt(self) -> bytes:
        """Return the secret of the keyed hashes, creating it on an empty Redis."""
        if self._salt is None:
            with translated():
                if not self.client.exists(keys.SALT):  # a full Redis refuses even a SET that would change nothing
                    self.client.set(keys.SALT, secrets.token_hex(16), nx=True)
                self._salt = str(self.client.get(keys.SALT)).encode()
        return self._salt

    def stored_salt(self) -> bytes | None:
        """Read the salt from Redis without creating one."""
        with translated():
            salt: Any = self.client.get(keys.SALT)
        return salt.encode() if salt else None

    def remember_salt(self, salt: str | None) -> None:
        """Use this salt from now on; ``None``: read it again, because somebody has emptied this Redis."""
        self._salt = salt.encode() if salt else None

    def key_of(self, identifier: str) -> str:
        """Return the key of the contact with this identifier."""
        return keys.contact_key(identifier, self.salt())

    def finder_of_id(self, contact_id: str | None) -> str:
        """Return the finder of a contact id in LiveDesk, or ``""`` without one."""
        return keys.finder("contact_id", contact_id, self.salt()) if contact_id else ""

    def now(self) -> int:
        """Return Redis's time in ms since the epoch."""
        with translated():
            return self.to_ms(self.client.time())

    def to_ms(self, time: Any) -> int:
        """Convert an answer of Redis's ``TIME`` to ms since the epoch."""
        seconds, microseconds = time
        return int(seconds) * 1000 + int(microseconds) // 1000 + self.shift_ms

    def older(self, index: str, age_ms: int) -> list[Any]:
        """Return members of a sorted set of times that are older than ``age_ms``, the oldest first."""
        before = self.now() - age_ms
        with translated():
            old: list[Any] = self.client.zrange(index, "-inf", before, byscore=True, offset=0, num=MAX_REMOVED)
        return old

    def server(self) -> tuple[str, str]:
        """Return the server's name and version."""
        with translated():
            info: dict[str, Any] = self.client.info("server")
        # Valkey reports in redis_version which Redis it is compatible with.
        name = "Valkey" if "valkey_version" in info else "Redis"
        return name, str(info[f"{name.lower()}_version"])
