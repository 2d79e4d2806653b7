"""TLS for servers without: a certificate authority, and a front that decrypts.

The Valkey of our tests is built without TLS.
"""

import select
import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.rig.processes import LOCALHOST, free_port

#: The first byte of a TLS connection.
TLS_HANDSHAKE = b"\x16"
#: For so many days before and after now an authority is valid: a client's clock may be wrong by a month.
AUTHORITY_DAYS = 100


class Authority:
    """A certificate authority; ``path`` is its own certificate.

    All files are in ``folder``.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._builder(self._name, self._key.public_key(), AUTHORITY_DAYS).add_extension(
            constraints, critical=True
        )
        self.path = self._write(f"{name}.pem", certificate.sign(self._key, hashes.SHA256()))

    def issue(self, host: str, *, for_days: int = 1) -> tuple[Path, Path]:
        """Return the files of a certificate and its key, for a server or a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        name = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
        builder = self._builder(subject, key.public_key(), for_days)
        builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
        path = self.folder / f"{host}-{for_days}-key.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return self._write(f"{host}-{for_days}.pem", builder.sign(self._key, hashes.SHA256())), path

    def context(self, host: str, *, asks_clients: bool = False, for_days: int = 1) -> ssl.SSLContext:
        """Return the context of a server with such a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(host, for_days=for_days))
        if asks_clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.path)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, for_days: int = 1
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(days=AUTHORITY_DAYS),
            not_valid_after=now + timedelta(days=for_days),
        )

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self.folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path


class Front:
    """Accepts TLS, and passes on what it decrypts.

    As a context manager it runs for the block. Without ``target`` (an address, or the path of a Unix socket) nothing is
    answered. ``received`` is all that clients sent. With ``takes_plain``, connections without TLS are passed on, too.
    """

    def __init__(
        self, context: ssl.SSLContext, target: tuple[str, int] | str | None = None, *, takes_plain: bool = False
    ) -> None:
        self.context = context
        self.target = target
        self.takes_plain = takes_plain
        self.port = free_port()
        self.received = bytearray()
        self.handshakes = 0
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Self:
        self._listener = socket.create_server((LOCALHOST, self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            is_tls = client.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE
            self.handshakes += is_tls
            if is_tls:
                with self.context.wrap_socket(client, server_side=True) as decrypted:
                    self._pass_on(decrypted)
            elif self.takes_plain:
                self._pass_on(client)

    def _pass_on(self, client: socket.socket) -> None:
        if self.target is None:
            while chunk := client.recv(65536):
                self.received += chunk
            return
        family = socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as server:
            server.connect(self.target)
            self._open |= {client, server}
            try:
                self._relay(client, server)
            finally:
                self._open -= {client, server}

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            has_more = isinstance(client, ssl.SSLSocket) and client.pending() > 0
            readable = [client] if has_more else select.select([client, server], [], [])[0]
            for source in readable:
                chunk = source.recv(65536)
                if not chunk:
                    return
                if source is client:
                    self.received += chunk
                (server if source is client else client).sendall(chunk)
