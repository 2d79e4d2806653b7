"""The system under test: each process has links and a clock of its own."""

import importlib.util
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import redis

from tests.e2e.system import FAST, System
from tests.faults.plan import ALL_LIVEDESK, ALL_REDIS, CLOCKED, RATE, RECEIVERS, REDIS, SETTLE_S, WORKERS
from tests.faults.proxy import Link, Links
from tests.faults.sender import wait_for
from tests.livedesk import StandIn
from tests.rig.parts import TEST_ENV, Stack, bare_environment
from tests.rig.processes import (
    LOCALHOST,
    Process,
    StartError,
    free_port,
)
from tests.rig.sentinel import SentinelCluster, say
from tests.rig.tls import AUTHORITY_DAYS, Authority
from tests.rig.valkey import Valkey
from worker.store import keys
from worker.store.connection import connect

#: As in production, but in a hurry. No contact may fail because a run is long.
ENV = {
    **FAST,
    "RETRY_FOR": "1h",
    "ACCEPT_TIMEOUT": "8s",
    "LIVEDESK_RATE": f"{RATE}",
    "LIVEDESK_SETTLE": f"{SETTLE_S:g}s",
    "WORKER_CONCURRENCY": "32",
}
#: The source that everybody is delivered to: as ``WEBHOOK_SECRET`` makes it, but deletions count.
SOURCES = """
[sources.signup]
verify = ["standard-webhooks", "token"]
secret = "$WEBHOOK_SECRET"
on_delete = "mark"
"""
#: A primary that has lost its replica takes nothing more, so that nobody works on with one that has been replaced.
CLUSTER_CONFIG = {"min-replicas-to-write": "1"}
#: When a sentinel gives a server up, in ms: on a machine that is busy an answer may take a second.
DOWN_AFTER_MS = 3000
#: Seconds that the sentinels may take to promote the replica, and to have the old primary follow it.
REDIS_RESTS_S = 40.0
#: How far LiveDesk is away, in seconds, each way: attempts must last, for faults to meet them.
LIVEDESK_AWAY_S = 0.1
#: What sets clocks wrong; for Linux alone.
FAKE_CLOCK = importlib.util.find_spec("libfaketime")
#: How often a process that does not start is tried again: a port may be taken for a moment.
START_TRIES = 3


class Rig:
    """A system with its data in ``folder``; its processes import from ``python_path`` first.

    ``failover``: Redis is a primary, a replica and three sentinels, without links to them.
    """

    def __init__(self, folder: Path, *, python_path: Path | None = None, failover: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sources.toml").write_text(SOURCES, encoding="utf-8")
        self.cluster: SentinelCluster | None = None
        if failover:
            self.cluster = SentinelCluster(folder / "redis", config=CLUSTER_CONFIG, down_after_ms=DOWN_AFTER_MS)
        self.stack = self._stack()
        #: Every Redis server by its name, and the one that is the primary.
        self.servers: dict[str, Valkey] = {}
        if self.cluster is not None:
            self.servers = {f"{REDIS} {n}": server for n, server in enumerate(self.cluster.servers, 1)}
        elif self.stack.valkey is not None:
            self.servers = {REDIS: self.stack.valkey}
        self.primary = next(iter(self.servers.values()))
        self.parts: dict[str, Process] = {part.name: part for part in (*self.stack.receivers, *self.stack.workers)}
        self.parts |= self.servers
        self._locks = {name: threading.Lock() for name in self.parts}
        self.links: dict[str, Link] = {}
        #: LiveDesk is reached over TLS, which ends in the links.
        self._authority = Authority(folder)
        self._tls = self._authority.context(LOCALHOST, for_days=AUTHORITY_DAYS)
        self.python_path = python_path
        #: Set when the run is given up: nobody waits any longer.
        self.over = threading.Event()
        self._open = ExitStack()

    def _stack(self) -> Stack:
        env = {**bare_environment(), **TEST_ENV, **ENV}
        if self.cluster is not None:
            env |= {"REDIS_URL": self.cluster.url, "ACK": "replica"}
        return Stack(
            self.folder,
            env,
            cwd=self.folder,
            port=free_port(),
            more_ports=tuple(free_port() for _ in RECEIVERS[1:]),
            valkey_port=None if self.cluster else free_port(),
            stand_in_port=free_port(),
            stand_in_options=("--quiet",),
            workers=len(WORKERS),
        )

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            if self.cluster is not None:
                opened.enter_context(self.cluster)
            links = opened.enter_context(Links())
            for name in (*RECEIVERS, *WORKERS):
                self._prepare(name, links)
            opened.enter_context(self.stack)
            self.livedesk = StandIn(self.stack.livedesk_url)
            self.system = System(self.stack)
            opened.callback(self.system.close)
            self._open = opened.pop_all()
            self.find_primary()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for part in self.parts.values():
            if part.is_running:
                part.resume()
        self._open.close()

    def _prepare(self, name: str, links: Links) -> None:
        """Give a process its own links to Redis and LiveDesk, and its own clock."""
        env: dict[str, str] = {}
        if name in CLOCKED:
            env |= clock_env(self._clock(name))
            self.set_clock(name, 0)
        if self.cluster is None:
            to_redis = self.links[f"{name} - redis"] = links.to(self.primary.port or 0)
            env["REDIS_URL"] = f"redis://{LOCALHOST}:{to_redis.port}/0"
        if name in WORKERS:
            assert self.stack.stand_in is not None
            to_livedesk = self.links[f"{name} - livedesk"] = links.to(
                self.stack.stand_in.port or 0, always_s=LIVEDESK_AWAY_S, tls=self._tls
            )
            env["LIVEDESK_BASE_URL"] = f"https://{LOCALHOST}:{to_livedesk.port}"
            env["LIVEDESK_CA_BUNDLE"] = str(self._authority.path)
        part = self.parts[name]
        given: Mapping[str, str] = part.env or {}
        if self.python_path is not None:
            env["PYTHONPATH"] = f"{self.python_path}:{given['PYTHONPATH']}"
        part.env = {**given, **env}

    @property
    def client(self) -> redis.Redis:
        """A client that talks to Redis directly, without links and sentinels."""
        return self.system.client

    @property
    def ports(self) -> list[int]:
        """The ports of the receivers."""
        return [part.port or 0 for part in self.stack.receivers]

    @property
    def secret(self) -> str:
        """The secret of the source that everybody is delivered to."""
        return TEST_ENV["WEBHOOK_SECRET"]

    def open_contacts(self) -> int:
        """Return how many contacts are open."""
        return int(self.client.zcard(keys.DUE))

    def find_primary(self) -> None:
        """Wait until sentinels agree on a primary with a replica, and connect to it.

        Raises:
            StartError: it takes too long.
        """
        if self.cluster is None:
            return
        if not wait_for(self._redis_rests, REDIS_RESTS_S):
            raise StartError("The sentinels do not agree on a primary.")
        self.primary = self.cluster.primary()
        self._open.callback(self.system.client.close)  # later: somebody may be asking it
        self.system.client = connect(self.primary.url, timeout_s=5)

    def _redis_rests(self) -> bool:
        assert self.cluster is not None
        named = self.cluster.named()
        return len(set(named)) == 1 and b"state=online" in say(named[0].port or 0, "INFO replication")

    def links_of(self, target: str) -> list[Link]:
        """Return one link, or all links to LiveDesk or to Redis."""
        if target in (ALL_LIVEDESK, ALL_REDIS):
            return [link for name, link in self.links.items() if name.endswith(f" - {target}")]
        return [self.links[target]]

    def reset_connections(self, name: str) -> None:
        """Reset the connections of this part; it may connect again at once."""
        for link in (link for owner, link in self.links.items() if owner.startswith(f"{name} - ")):
            link.reset_all()

    # Clocks

    def _clock(self, name: str) -> Path:
        return self.folder / f"{name}.clock"

    def set_clock(self, name: str, by_s: float) -> None:
        """Set its clock wrong by ``by_s`` seconds, which takes effect within a second."""
        new = self.folder / f"{name}.clock.new"
        new.write_text(f"{by_s:+.0f}\n", encoding="ascii")
        new.replace(self._clock(name))

    # Processes

    @contextmanager
    def holding(self, name: str) -> Iterator[Process]:
        """Lock a part, so that no other thread starts or stops it."""
        with self._locks[name]:
            yield self.parts[name]

    def start(self, part: Process) -> None:
        """Start it, and wait until it is ready.

        Raises:
            StartError: it did not start in ``START_TRIES`` tries.
        """
        for left in reversed(range(START_TRIES)):
            try:
                part.start()
                return
            except StartError:
                if left == 0:
                    raise
                self.over.wait(0.5)

    def start_what_ended(self) -> dict[str, int | None]:
        """Start what has ended by itself, and return the exit codes by name."""
        ended = {}
        for name, part in self.parts.items():
            if self._locks[name].acquire(blocking=False):
                try:
                    if not part.is_running:
                        ended[name] = part.exit_code
                        self.start(part)
                finally:
                    self._locks[name].release()
        return ended


def clock_env(file: Path) -> dict[str, str]:
    """Return the environment for a clock set by ``file``; empty without the library.

    Monotonic clocks go on as they are, as they would on a machine whose date is set.
    """
    if FAKE_CLOCK is None or FAKE_CLOCK.origin is None:
        return {}
    return {
        "LD_PRELOAD": str(Path(FAKE_CLOCK.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
