"""What all parts of the store share: client, scripts, salt and Redis's clock."""

import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import redis

from worker import telemetry
from worker.errors import StoreError
from worker.model import Requirements
from worker.store import keys, record
from worker.store.connection import Connections, Script, has_done_nothing, translated
from worker.store.durability import Guard, Terms, Wait
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Entries of a sorted set that are removed in one go.
MAX_REMOVED = 200
LUA = Path(__file__).parent / "lua"
#: The files that are put before other scripts, and never run by themselves.
LIBRARIES = frozenset(
    {
        "arguments",
        "common",
        "upstream",
        "breaker",
        "finders",
        "aliases",
        "identity",
        "causes",
        "clashes",
        "shares",
        "lifecycle",
        "operation",
        "events",
        "hand_over",
        "new_contact",
        "claim_new",
        "earlier",
    }
)
_INCLUDE = re.compile(r"-- include: (.*)\n")
WITHOUT_COMMON = "without common"
_FIELD = re.compile(r"\bFIELD\.(\w+)")
_TEMPLATE = re.compile(r"\bTEMPLATE\b")


def source_of(name: str, template: str = "") -> str:
    """Return a script with the libraries that its first line names.

    ``common`` is the first of them, unless it is named in another place, or ``without common`` is. ``FIELD.<name>``
    becomes the name under which Redis stores that field of a record, and ``TEMPLATE`` that of the Celery messages.
    """
    text = (LUA / f"{name}.lua").read_text()
    found = _INCLUDE.match(text)
    included = found[1].split(", ") if found else []
    if WITHOUT_COMMON in included:
        included.remove(WITHOUT_COMMON)
    elif "common" not in included:
        included.insert(0, "common")
    source = "".join((LUA / f"{library}.lua").read_text() for library in ["arguments", *included]) + text
    source = _FIELD.sub(lambda field: f"'{record.STORED[field[1]]}'", source)
    return _TEMPLATE.sub(lambda _: _quoted(template), source)


def _quoted(text: str) -> str:
    """Return a text of one line as Lua writes it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@cache
def scripts(template: str = "") -> Mapping[str, Script]:
    """Return our scripts by name.

    A process reads them once, however many stores it opens: that takes 10 to 40 ms.
    """
    names = (path.stem for path in LUA.glob("*.lua"))
    return {name: Script(source_of(name, template), keys.PREFIX) for name in names if name not in LIBRARIES}


def _unless_failed(answer: Any) -> Any:
    """Return the answer, or raise it as our error."""
    with translated():
        if isinstance(answer, Exception):
            raise answer
    return answer


class Database:
    """One Redis, as our scripts and keys see it. Threads may share it.

    ``shift_ms`` is added to Redis's clock; only tests set it. With ``requirements``, deliveries are accepted only while
    Redis meets them; ``clock`` is in seconds. ``patient`` is a client that waits longer for an answer: the scripts use
    it, and ``room`` threads at most while Redis stalls. ``template`` is that of Celery messages.
    """

    def __init__(
        self,
        client: redis.Redis,
        requirements: Requirements | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        patient: redis.Redis | None = None,
        room: int | None = None,
        template: str = "",
    ) -> None:
        self.client = client
        #: Seconds that a page waits for Redis.
        self.page_s: float = client.connection_pool.connection_kwargs["socket_timeout"]
        self.connections = Connections(patient or client, room)
        self.requirements = requirements or Requirements()
        self.shift_ms = 0
        self._guard = Guard(self.connections, requirements, clock=clock) if requirements else None
        self._scripts = scripts(template)
        self._encode = msgspec.msgpack.Encoder().encode
        self._salt: bytes | None = None
        #: The last salt that this process has seen: another one means that Redis was emptied, or is another one.
        self._known: bytes | None = None
        self._knowing = threading.Lock()
        self._is_unrecorded = False

    def run(self, script: str, *, wait: Wait | None = None, **args: object) -> Any:
        """Run one of our scripts with these arguments and return its answer.

        With ``wait``, return only when the change is that durable.
        """
        return self.run_with(script, args, wait)

    def run_with(self, script: str, args: dict[str, Any], wait: Wait | None = None) -> Any:
        """Run one of our scripts as ``run`` does; ``args`` gets some more."""
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

    def run_both(
        self,
        first: tuple[str, dict[str, Any]],
        second: tuple[str, dict[str, Any]],
        wait: Wait | None = None,
    ) -> tuple[Any, Any]:
        """Run two of our scripts, with their arguments, in one round trip.

        Return their answers. That of the second is a ``StoreError`` if it failed, or if its change is not as durable as
        ``wait`` requires.

        Raises:
            StoreError: the first one failed. The second may have been executed.
        """
        calls = [
            (self._scripts[name], self._encode({**args, "shift_ms": self.shift_ms})) for name, args in (first, second)
        ]
        more = wait.commands(self.connections.left_s()) if wait else ()
        with translated():
            answers = self.connections.run_together(calls, more)
        done = answers[0] if not has_done_nothing(answers[0]) else self.run(first[0], **first[1])
        return _unless_failed(done), self._second(answers, second, wait)

    def _second(self, answers: list[Any], call: tuple[str, dict[str, Any]], wait: Wait | None) -> Any:
        try:
            if has_done_nothing(answers[1]):
                return self.run(call[0], wait=wait, **call[1])
            for answer in answers[1:]:
                _unless_failed(answer)
            if wait:
                wait.check(answers[-1])
            return answers[1]
        except StoreError as error:
            return error

    def terms(self) -> Terms:
        """Return what must hold for a delivery to be accepted now."""
        return self._guard.terms() if self._guard else Terms()

    def salt(self) -> bytes:
        """Return the secret of the keyed hashes, creating it on an empty Redis."""
        salt = self._salt
        if salt is None:
            with translated():
                stored = self.connections.send(("GET", keys.SALT))
            salt = str(stored or self._create_salt()).encode()
            self._use_salt(salt)
        return salt

    def _create_salt(self) -> str:
        """Return the salt of an empty Redis. A full one refuses even a SET without effect."""
        log.warning(LogEvent("records begin", reason="Redis has none: a first start, or all data is gone"))
        with translated():
            since = ("SET", keys.SINCE, self._in_ms(self.connections.send(("TIME",))), "NX")
            return str(
                self.connections.send(("SET", keys.SALT, secrets.token_hex(16), "NX"), since, ("GET", keys.SALT))
            )

    def stored_salt(self) -> bytes | None:
        """Read the salt from Redis without creating one."""
        with translated():
            salt: Any = self.client.get(keys.SALT)
        return salt.encode() if salt else None

    def remember_salt(self, salt: str | None) -> None:
        """Use this salt from now on; ``None``: read it again, as Redis was emptied."""
        self._use_salt(salt.encode() if salt else None)

    def _use_salt(self, salt: bytes | None) -> None:
        with self._knowing:
            self._salt = salt
            is_other = salt is not None and self._known not in (None, salt)
            self._known = salt or self._known
            self._is_unrecorded = self._is_unrecorded or is_other
        if is_other:
            telemetry.report_emptied()
            self._record_loss()

    def look_for_loss(self) -> None:
        """Notice that Redis was emptied, or that ``REDIS_URL`` leads to another one now.

        Raises:
            StoreError: Redis cannot be used.
        """
        salt = self.stored_salt()
        if salt is not None or self._known is not None:
            self._use_salt(salt)
            self.salt()
        if self._is_unrecorded:
            self._record_loss()

    def _record_loss(self) -> None:
        """Tell all processes and pages, until an operator acknowledges it."""
        try:
            now = self.now()
            with translated():
                self.client.set(keys.EMPTIED, now, nx=True)
            self._is_unrecorded = False
        except StoreError as error:
            log.warning(LogEvent("loss not recorded", error=error))

    def acknowledge_loss(self) -> bool:
        """Forget that Redis was emptied; return whether anybody had noticed that."""
        with translated():
            return bool(self.client.delete(keys.EMPTIED))

    def key_of(self, identifier: str) -> str:
        """Return the key of the contact with this identifier."""
        return record.contact_key(identifier, self.salt())

    def finder_of_id(self, contact_id: str) -> str:
        """Return the finder of a contact id in LiveDesk."""
        return record.finder("contact_id", contact_id, self.salt())

    def now(self) -> int:
        """Return Redis's time in ms since the epoch."""
        with translated():
            return self._in_ms(self.client.time())

    def _in_ms(self, time: Any) -> int:
        seconds, microseconds = time
        return int(seconds) * 1000 + int(microseconds) // 1000 + self.shift_ms

    def older(self, index: str, age_ms: int) -> list[Any]:
        """Return members of a sorted set older than ``age_ms``, the oldest first."""
        before = self.now() - age_ms
        with translated():
            old: list[Any] = self.client.zrange(index, "-inf", before, byscore=True, offset=0, num=MAX_REMOVED)
        return old
