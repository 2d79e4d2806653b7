"""Servers over plain sockets and TLS that are slow, endless, rude, or a proxy."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
#: Longer than any test; no test waits for it.
FOREVER_S = 60.0

Handler = Callable[[socket.socket], None]


@dataclass
class Server:
    """Handles each connection in a thread of its own.

    ``stopped`` is set when the test is over.
    """

    port: int
    stopped: threading.Event = field(default_factory=threading.Event)
    #: One entry for each connection.
    connections: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://{HOST}:{self.port}"


@contextmanager
def serving(
    handler: Callable[[socket.socket, Server], None], context: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """Run a server. Errors of its handlers are ignored: a client may hang up."""
    with socket.create_server((HOST, 0)) as listener:
        server = Server(listener.getsockname()[1])

        def serve(connection: socket.socket) -> None:
            with suppress(OSError, ValueError):
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                with connection:
                    handler(connection, server)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    server.connections.append(connection)
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(FOREVER_S)


def read_request(connection: socket.socket) -> bytes:
    """Return the head of a request and as much of its body as came with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def answer(status: int, body: bytes, *headers: bytes) -> bytes:
    """An answer after which the connection stays open."""
    lines = [b"HTTP/1.1 %d Whatever" % status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def pipe(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes in both directions until one side hangs up."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=copy, args=(one, other), daemon=True)
    thread.start()
    copy(other, one)
    thread.join(FOREVER_S)


def tunnel(connection: socket.socket, port: int, heads: list[bytes] | None = None) -> None:
    """Answer a CONNECT by a connection to this port; its head is added to ``heads``."""
    head = read_request(connection)
    if heads is not None:
        heads.append(head)
    with socket.create_connection((HOST, port)) as target:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pipe(connection, target)


@dataclass(frozen=True)
class Authority:
    """A private certificate authority: its own certificate is in ``path``."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def path(self) -> Path:
        return self.folder / "authority.pem"

    def create(self) -> "Authority":
        self.path.write_bytes(self._signed("Private authority", self.key, is_authority=True))
        return self

    def context(self, host: str = HOST) -> ssl.SSLContext:
        """Return the TLS context of a server with a certificate for this address."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self.folder / f"server-{host}.pem"
        file.write_bytes(private + self._signed(host, key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _signed(self, name: str, key: ec.EllipticCurvePrivateKey, *, is_authority: bool = False) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Private authority")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if not is_authority:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))]), critical=False
            )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
