"""What a 200 means here: what Redis does with a write, and what is required.

Redis is inspected about once a second (``Guard``), never for each delivery. If its settings give less than ``ACK``
requires, a mark is written after the delivery over the same connection, and ``WAITAOF`` or ``WAIT`` follows: those wait
for the last write of their connection, and a repeated delivery writes nothing. Redis writes in order, so once the mark
is durable, the delivery before it is too. See docs/operations.md, "What a 200 means", and docs/adr/0014-ack.md.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.errors import StoreError, StoreUnavailable
from worker.model import MAX_BACKLOG, Ack, Requirements
from worker.store import keys
from worker.store.connection import Command, Connections, translated
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Seconds after which Redis is inspected again.
LOOK_EVERY_S = 1.0
#: The readiness check warns from this share of what ``MAX_MEMORY`` allows.
NEARLY = 0.9
#: Seconds that the answer to a wait takes to arrive.
ANSWER_S = 0.1
#: The mark after a delivery.
MARK: Command = ("SET", keys.MARK, "1")
#: What is read from the server itself; managed servers often refuse CONFIG.
CONFIG = ("appendfsync", "min-replicas-to-write", "stop-writes-on-bgsave-error", "save")
SECTIONS = ("server", "memory", "persistence", "replication")
#: The oldest version of Redis that has what our scripts and commands need. Any Valkey has it.
MIN_REDIS = (7, 0)
MEANINGS = {
    Ack.MEMORY: "in Redis's memory only",
    Ack.AOF: "in the append-only file, but perhaps not on disk yet",
    Ack.FSYNC: "on disk",
    Ack.REPLICA: "in a replica's memory, too",
}


@dataclass(frozen=True, slots=True)
class Health:
    """How durable an acknowledged delivery is here.

    A sentence for each problem, with which no delivery is accepted, and for each warning. ``given`` is what a 200 means
    by the server's settings, ``None`` if unknown; ``server`` is its name and version,
    ``memory`` the share of its memory that it uses, ``since`` when
    its records begin, in ms since the epoch.
    """

    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    given: Ack | None = None
    required: Ack | None = None
    server: str = ""
    memory: float | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """The command after a mark; the answer 1 means that the mark is durable."""

    name: str

    def commands(self, limit_s: float) -> tuple[Command, Command]:
        """Return mark and command, which answers after ``limit_s`` at the latest."""
        ms = max(1, round((limit_s - ANSWER_S) * 1000))
        return MARK, ("WAITAOF", 1, 0, ms) if self.name == "WAITAOF" else ("WAIT", 1, ms)

    def check(self, answer: Any) -> None:
        """Raise ``StoreUnavailable`` unless the answer says that the delivery is durable."""
        if int(answer[0] if isinstance(answer, list) else answer) < 1:
            place = "on disk" if self.name == "WAITAOF" else "on a replica"
            raise StoreUnavailable(f"it may be stored, but was not {place} in time")


#: With ``appendfsync everysec`` a write is on disk after a second, and Redis notices within 0.1 s more.
WAIT_FOR_DISK = Wait("WAITAOF")
WAIT_FOR_REPLICA = Wait("WAIT")


@dataclass(frozen=True, slots=True)
class Terms:
    """The limit of open contacts, and what to wait for after each delivery.

    ``memory`` is what Redis may use, in bytes; 0: unknown.
    """

    room: int = MAX_BACKLOG
    wait: Wait | None = None
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """What a Redis reports about itself: INFO, and the settings that it reveals."""

    info: Mapping[str, Any]
    config: Mapping[str, str]

    @property
    def has_aof(self) -> bool | None:
        return bool(self.info["aof_enabled"]) if "aof_enabled" in self.info else None

    @property
    def given(self) -> Ack | None:
        """What a 200 means without ``ACK``; ``None`` if unknown."""
        if self.has_aof is None:
            return None
        if not self.has_aof:
            return Ack.MEMORY
        return Ack.FSYNC if self.config.get("appendfsync") == "always" else Ack.AOF

    @property
    def waits_honestly(self) -> bool:
        """Whether WAITAOF waits for the disk: Redis 7.2 and newer.

        Valkey 8.1.8 and 9.1.2 answer earlier (measured under ``appendfsync everysec``: no fdatasync between the write
        and the answer).
        """
        return "valkey_version" not in self.info and self._compatible_with >= (7, 2)

    @property
    def version(self) -> str:
        """Its name and version, such as ``Redis 7.2.4``, as far as it reveals them."""
        # Valkey reports in redis_version which Redis it is compatible with.
        name = "Valkey" if "valkey_version" in self.info else "Redis"
        return f"{name} {self.info.get(f'{name.lower()}_version', 'of an unknown version')}"

    @property
    def is_too_old(self) -> bool:
        """Whether it is older than ``MIN_REDIS``; not if it hides its version."""
        return "redis_version" in self.info and self._compatible_with < MIN_REDIS

    @property
    def _compatible_with(self) -> tuple[int, ...]:
        version = str(self.info.get("redis_version", "0")).split(".")
        return tuple(int(part) for part in version[:2] if part.isdecimal())

    @property
    def evicts(self) -> bool:
        """Whether it may delete records when its memory is full."""
        return str(self.info.get("maxmemory_policy", "noeviction")) != "noeviction"

    @property
    def memory(self) -> int:
        """The bytes that it may use: ``maxmemory``, or all of the machine; 0 if unknown."""
        return int(self.info.get("maxmemory", 0) or self.info.get("total_system_memory", 0))

    def uses(self, share: float) -> bool:
        """Return whether it uses at least this share of its memory."""
        return 0 < self.memory * share <= int(self.info.get("used_memory", 0))

    @property
    def lacks_replicas(self) -> bool:
        """Whether ``min-replicas-to-write`` stops writes; INFO has the count only if set."""
        wanted = int(self.config.get("min-replicas-to-write", 1))
        good = self.info.get("min_slaves_good_slaves", self.info.get("min_replicas_good_replicas"))
        return good is not None and int(good) < wanted

    @property
    def fails_to_save(self) -> bool:
        """Whether a failed snapshot makes it refuse writes."""
        stops = self.config.get("stop-writes-on-bgsave-error") == "yes" and bool(self.config.get("save"))
        return stops and self.info.get("rdb_last_bgsave_status", "ok") != "ok"

    @property
    def has_replica(self) -> bool:
        """Whether a replica is connected and up to date, or that is unknown."""
        if "connected_slaves" not in self.info:
            return True
        replicas = [value for name, value in self.info.items() if name.startswith("slave") and isinstance(value, dict)]
        return any(replica.get("state") == "online" for replica in replicas)


def look(connections: Connections) -> Server:
    """Inspect a server in one round trip."""
    with translated():
        *sections, config = connections.ask(*(("INFO", section) for section in SECTIONS), ("CONFIG", "GET", *CONFIG))
    parse = connections.client.response_callbacks
    info: dict[str, Any] = {}
    for answer in sections:
        if not isinstance(answer, Exception):
            info |= parse["INFO"](answer)
    return Server(info, {} if isinstance(config, Exception) else parse["CONFIG GET"](config))


def unmet(server: Server, ack: Ack | None) -> str | None:
    """Return why this server is never good enough, in a sentence; or ``None``."""
    if server.is_too_old:
        return f"{server.version} is too old: LiveDesk Sync needs {MIN_REDIS[0]}.{MIN_REDIS[1]} or newer"
    if ack is Ack.REPLICA and not server.has_replica:
        return "ACK=replica cannot be met: no replica is connected"
    if ack in (Ack.AOF, Ack.FSYNC) and server.has_aof is False:
        return f"ACK={ack} cannot be met: appendonly is off"
    if ack is Ack.FSYNC and server.given is not Ack.FSYNC and not server.waits_honestly:
        return "ACK=fsync cannot be met: it needs appendfsync always, and a server that reports it"
    if ack not in (None, Ack.MEMORY) and server.evicts:
        return f"ACK={ack} cannot be met: maxmemory-policy is not noeviction, so Redis may evict records"
    return None


def needed_wait(server: Server, ack: Ack | None) -> Wait | None:
    """Return what to wait for if the settings give less than ``ACK`` requires."""
    if ack is Ack.REPLICA:
        return WAIT_FOR_REPLICA
    is_given = server.given is ack or server.given is Ack.FSYNC
    return WAIT_FOR_DISK if ack in (Ack.AOF, Ack.FSYNC) and not is_given else None


def judge(server: Server, required: Requirements, backlog: int, refusal: str | None = "") -> Health:
    """Return a server's weaknesses in sentences; ``backlog``: open contacts.

    ``refusal`` is why a trial was refused (``Readiness``): ``None`` if it was not, "" if there was none. The server's
    own figures only explain it.
    """
    info, ack, off = server.info, required.ack, server.has_aof is False
    is_crowded = server.uses(required.max_memory)
    why_unmet = unmet(server, ack)
    hides_fsync = not off and "appendfsync" not in server.config and ack is not Ack.FSYNC and not server.is_too_old
    refusals = {
        "Redis is still loading its data": bool(info.get("loading")),
        "Redis is a read-only replica": info.get("role") == "slave",
        "the last write to Redis's AOF failed: is the disk full?": info.get("aof_last_write_status", "ok") != "ok",
        "Redis could not save its snapshot and refuses writes: is the disk full?": server.fails_to_save,
        "Redis has fewer replicas than min-replicas-to-write and refuses writes": server.lacks_replicas,
        "Redis's memory is full: it refuses writes": bool(info.get("maxmemory")) and server.uses(1),
    }
    rules = {
        why_unmet or "": why_unmet is not None,
        f"Redis uses {required.max_memory:.0%} of its memory or more (MAX_MEMORY): it accepts no contacts": is_crowded,
        f"{backlog} contacts are open (MAX_BACKLOG): it accepts no more": backlog >= required.max_backlog,
    }
    warnings = {
        "appendonly is off: when Redis restarts, acknowledged deliveries are lost": off
        and ack not in (Ack.AOF, Ack.FSYNC),
        "maxmemory-policy is not noeviction: when its memory is full, Redis may evict records": server.evicts
        and ack in (None, Ack.MEMORY),
        "appendfsync is not always: a power failure loses the last second": server.has_aof is True
        and server.config.get("appendfsync", "always") != "always"
        and ack is not Ack.FSYNC,
        "Redis does not reveal its settings (CONFIG GET is refused): it is assumed that a power failure loses the last "
        "second": hides_fsync and bool(info),
        "Redis reveals nothing about itself (INFO is refused): version, memory and durability are unknown": not info,
        "the last rewrite of Redis's AOF failed: the file keeps growing": info.get("aof_last_bgrewrite_status", "ok")
        != "ok",
        "Redis's memory is nearly as full as MAX_MEMORY allows": server.uses(NEARLY * required.max_memory)
        and not is_crowded,
        "maxmemory is not set: Redis may grow until the system kills it": info.get("maxmemory") == 0,
    }
    explained = () if refusal is None else _applying(refusals)
    if refusal and not explained:
        explained = (f"Redis does not accept what a delivery needs: {refusal}",)
    problems = explained + _applying(rules)
    memory = int(info.get("used_memory", 0)) / server.memory if server.memory else None
    return Health(problems, _applying(warnings), server.given, ack, server.version, memory)


def _applying(sentences: dict[str, bool]) -> tuple[str, ...]:
    return tuple(sentence for sentence, applies in sentences.items() if applies)


class Guard:
    """Decides on which terms deliveries are accepted. ``clock`` is in seconds."""

    def __init__(
        self, connections: Connections, requirements: Requirements, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.connections = connections
        self.requirements = requirements
        self.clock = clock
        #: Seconds for which others use the last result meanwhile: while Redis stalls, they wait with their deliveries.
        self.kept_s = connections.patience_s + 2 * LOOK_EVERY_S
        #: The last result, and when it was seen: terms, or why there are none.
        self._seen: tuple[float, Terms | str] | None = None
        self._looking = threading.Lock()

    def terms(self) -> Terms:
        """Return the terms of a delivery now.

        Raises:
            StoreUnavailable: Redis is away, or cannot meet ``ACK``.
        """
        found = self._found()
        if isinstance(found, str):
            raise StoreUnavailable(found)
        return found

    def _found(self) -> Terms | str:
        """Return the last result, or inspect when due, in one thread; others do not wait."""
        seen, now = self._seen, self.clock()
        age = now - seen[0] if seen else self.kept_s
        if seen and age < LOOK_EVERY_S:
            return seen[1]
        if seen and age < self.kept_s and not self._looking.acquire(blocking=False):
            return seen[1]
        try:
            found = self._judged(look(self.connections))
            self._seen = now, found
            return found
        finally:
            if seen and age < self.kept_s:
                self._looking.release()

    def _judged(self, server: Server) -> Terms | str:
        required = self.requirements
        if why := unmet(server, required.ack):
            return why
        room = 0 if server.uses(required.max_memory) else required.max_backlog
        return Terms(room, needed_wait(server, required.ack), server.memory)


def announce(connections: Connections, requirements: Requirements) -> None:
    """Log at startup which Redis this is, what a 200 means here, and each weakness."""
    required = requirements.ack or "not set"
    try:
        server = look(connections)
    except StoreError as error:
        log.warning(LogEvent("durability unknown", ack=required, error=error))
        return
    provided = MEANINGS[server.given] if server.given else "unknown"
    wait = needed_wait(server, requirements.ack)
    means = f"{provided}; with {wait.name}: {MEANINGS[requirements.ack]}" if wait and requirements.ack else provided
    health = judge(server, requirements, 0)
    is_weak = bool(health.problems or health.warnings)
    log.log(
        logging.WARNING if is_weak else logging.INFO,
        LogEvent("durability", redis=server.version, ack=required, guarantee=means),
    )
    for problem in health.problems:
        log.error(LogEvent("redis problem", what=problem, effect="deliveries are answered 503"))
    for warning in health.warnings:
        log.warning(LogEvent("redis warning", what=warning))
