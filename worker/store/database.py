"""What all parts of the store share: client, scripts, salt and Redis's clock."""

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis

from worker.model import Requirements
from worker.store import keys, record
from worker.store.connection import Connections, Script, translated
from worker.store.durability import Guard, Terms, Wait

#: Entries of a sorted set that are removed in one go.
MAX_REMOVED = 200
LUA = Path(__file__).parent / "lua"
#: The files that are put before other scripts, and never run by themselves.
LIBRARIES = frozenset(
    {
        "common",
        "upstream",
        "breaker",
        "finders",
        "aliases",
        "identity",
        "causes",
        "clashes",
        "lifecycle",
        "operation",
        "events",
    }
)
_INCLUDE = re.compile(r"-- include: (.*)\n")


def source_of(name: str) -> str:
    """Return a script with the libraries that its first line names."""
    text = (LUA / f"{name}.lua").read_text()
    included = _INCLUDE.match(text)
    names = ["common", *(included[1].split(", ") if included else [])]
    return "".join((LUA / f"{library}.lua").read_text() for library in names) + text


class Database:
    """One Redis, as our scripts and keys see it. Threads may share it.

    ``shift_ms`` is added to Redis's clock; only tests set it. With ``requirements``, deliveries are accepted only while
    Redis meets them; ``clock`` is in seconds. ``patient`` is a client that waits longer for an answer: the scripts use
    it, and ``room`` threads at most while Redis stalls.
    """

    def __init__(
        self,
        client: redis.Redis,
        requirements: Requirements | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        patient: redis.Redis | None = None,
        room: int | None = None,
    ) -> None:
        self.client = client
        self.connections = Connections(patient or client, room)
        self.requirements = requirements or Requirements()
        self.shift_ms = 0
        self._guard = Guard(self.connections, requirements, clock=clock) if requirements else None
        names = (path.stem for path in LUA.glob("*.lua"))
        self._scripts = {name: Script(source_of(name), keys.PREFIX) for name in names if name not in LIBRARIES}
        self._encode = msgspec.msgpack.Encoder().encode
        self._salt: bytes | None = None

    def run(self, script: str, *, wait: Wait | None = None, **args: object) -> Any:
        """Run one of our scripts with these arguments and return its answer.

        With ``wait``, return only when the change is that durable.
        """
        args["shift_ms"] = self.shift_ms
        packed = self._encode(args)
        more = wait.commands(self.connections.left_s()) if wait else ()
        with translated():
            answer, *others = self.connections.run(self._scripts[script], packed, more)
        if wait:
            wait.check(others[-1])
        return answer

    def run_each(self, script: str, calls: Sequence[Mapping[str, object]]) -> list[Any]:
        """Run one of our scripts for each of these arguments, in one round trip."""
        packed = [self._encode({**args, "shift_ms": self.shift_ms}) for args in calls]
        with translated():
            return self.connections.run_each(self._scripts[script], packed)

    def terms(self) -> Terms:
        """Return what must hold for a delivery to be accepted now."""
        return self._guard.terms() if self._guard else Terms()

    def salt(self) -> bytes:
        """Return the secret of the keyed hashes, creating it on an empty Redis."""
        if self._salt is None:
            with translated():
                salt = self.connections.send(("GET", keys.SALT))
                if salt is None:  # a full Redis refuses even a SET that would change nothing
                    salt = self.connections.send(("SET", keys.SALT, secrets.token_hex(16), "NX"), ("GET", keys.SALT))
                self._salt = str(salt).encode()
        return self._salt

    def stored_salt(self) -> bytes | None:
        """Read the salt from Redis without creating one."""
        with translated():
            salt: Any = self.client.get(keys.SALT)
        return salt.encode() if salt else None

    def remember_salt(self, salt: str | None) -> None:
        """Use this salt from now on; ``None``: read it again, as Redis was emptied."""
        self._salt = salt.encode() if salt else None

    def key_of(self, identifier: str) -> str:
        """Return the key of the contact with this identifier."""
        return record.contact_key(identifier, self.salt())

    def finder_of_id(self, contact_id: str) -> str:
        """Return the finder of a contact id in LiveDesk."""
        return record.finder("contact_id", contact_id, self.salt())

    def now(self) -> int:
        """Return Redis's time in ms since the epoch."""
        with translated():
            seconds, microseconds = self.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000 + self.shift_ms

    def older(self, index: str, age_ms: int) -> list[Any]:
        """Return members of a sorted set older than ``age_ms``, the oldest first."""
        before = self.now() - age_ms
        with translated():
            old: list[Any] = self.client.zrange(index, "-inf", before, byscore=True, offset=0, num=MAX_REMOVED)
        return old
