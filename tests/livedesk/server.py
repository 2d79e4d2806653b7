"""The stand-in as an HTTP/1.1 server, with one thread for each connection.

It answers any request or closes the connection. An error of its own is printed, counted in ``stats().faults``, and
ends only that connection.
"""

import contextlib
import itertools
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from tests.livedesk.book import Book, Missing
from tests.livedesk.client import StandIn
from tests.livedesk.control import PREFIX, control
from tests.livedesk.exchange import Exchange, Released
from tests.livedesk.message import HTML, Answer, Request, html_page
from tests.livedesk.modes import MODES
from tests.livedesk.service import body_of, fields_of, route
from tests.livedesk.wire import BadBody, Wire, answer_bytes, phrase_of, read_body
from tests.livedesk.world import Settings, World

DEFAULTS = Settings()
PATIENCE = 60.0
"""Seconds that a client can be idle, or take to send or to read."""


class Server(ThreadingHTTPServer):
    """Listens as soon as it is created; ``port`` 0 means any free one.

    Raises OSError if it cannot listen.
    """

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, host: str, port: int, settings: Settings, *, quiet: bool = True) -> None:
        self.world = World(settings)
        self.quiet = quiet
        self.numbers = itertools.count(1)
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__((host, port), Handler)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{cast(str, host)}:{port}"

    def server_bind(self) -> None:
        """Bind without the reverse name look-up of ``HTTPServer``, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        with self._guard:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        with self._guard:
            self._connections -= {request}
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection failed: ignore it if the client broke it, otherwise count it."""
        if not isinstance(sys.exception(), OSError):
            self.world.scene.ledger.fault()
            traceback.print_exc()

    def stop(self) -> None:
        """Stop listening, end all delays, close all connections.

        ``serve_forever`` must be running.
        """
        self.shutdown()
        self.world.release()
        self.server_close()
        with self._guard:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = PATIENCE
    server: Server

    def answer(self) -> None:
        """Read the whole request, then answer by the control API or the imitation."""
        received = time.time()
        try:
            body = read_body(self.rfile, self.headers)
        except BadBody as error:
            self.close_connection = True
            if error.status is not None:
                self._send(Answer(error.status))
            return
        self._dispatch(body, received)

    def _dispatch(self, body: bytes, received: float) -> None:
        path, _, query = self.path.encode("latin-1").decode(errors="replace").partition("?")
        if path.startswith(PREFIX):
            self._send(control(self.server.world, self.command, path, fields_of(query), body))
        else:
            self._imitate(self._request(path, query, body), received)

    def _request(self, path: str, query: str, body: bytes) -> Request:
        kind, contact_id = route(self.command, path)
        return Request(
            number=next(self.server.numbers),
            method=self.command,
            path=path,
            kind=kind,
            query=fields_of(query),
            headers=self.headers,
            params=body_of(self.headers, body),
            contact_id=contact_id,
        )

    def _imitate(self, request: Request, received: float) -> None:
        scene = self.server.world.scene
        record = scene.ledger.open(request, received, self.client_address[1])
        exchange = Exchange(
            request,
            scene.service,
            scene.ledger,
            record,
            Wire(self.connection),
            scene.released,
            closing=self.close_connection,
        )
        try:
            rule = scene.rules.pick(request, self._identifier(scene.book, request))
            if rule is None:
                exchange.send(exchange.execute())
            else:
                scene.ledger.misbehave(record, rule.mode)
                MODES[rule.mode].act(exchange, rule)
        except Released:
            exchange.closing = True
            exchange.note("stopped")
        except OSError:
            exchange.closing = True
            exchange.note("client_left")
        finally:
            exchange.note("broken")
            self.close_connection = exchange.closing
            self._log_request(request, record.status, record.mode, received)

    def _identifier(self, book: Book, request: Request) -> str | None:
        """Return the identifier that a rule's ``identifier`` is compared with."""
        if request.identifier is not None or not request.contact_id:
            return request.identifier
        try:
            return book.get(request.contact_id).identifier
        except Missing:
            return None

    def _send(self, answer: Answer) -> None:
        without_body = self.command == "HEAD"
        self.connection.sendall(answer_bytes(answer, without_body=without_body, closing=self.close_connection))

    def _log_request(self, request: Request, status: int | None, mode: str | None, received: float) -> None:
        if not self.server.quiet:
            taken = (time.time() - received) * 1000
            tail = f" ({mode})" if mode else ""
            sys.stderr.write(f"{request.number} {request.kind} {status or 'no answer'} {taken:.0f} ms{tail}\n")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is not HTTP.

        The base class would omit the status line for an unknown version.
        """
        self.close_connection = True
        self._send(Answer(code, html_page(f"{code} {phrase_of(code)}"), HTML))

    def log_message(self, template: str, *values: object) -> None:
        """Log nothing: ``_log_request`` writes one line for each request."""


for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
    setattr(Handler, f"do_{method}", Handler.answer)


@contextlib.contextmanager
def serve(
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    api_key: str = DEFAULTS.api_key,
    api_secret: str = DEFAULTS.api_secret,
    inbox_ids: Sequence[int] = DEFAULTS.inbox_ids,
    by_id: bool = False,
    ledger_limit: int | None = None,
    seed: int | None = None,
) -> Iterator[StandIn]:
    """Run a stand-in on threads of this process and yield its client.

    ``port`` 0 means any free one.
    """
    settings = Settings(api_key, api_secret, tuple(inbox_ids), by_id, ledger_limit, seed)
    server = Server(host, port, settings)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="livedesk", daemon=True)
    thread.start()
    try:
        yield StandIn(server.url)
    finally:
        server.stop()
        thread.join()
