"""A server that records what is sent to Sentry."""

import gzip
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.rig.processes import LOCALHOST


class Sink(ThreadingHTTPServer):
    """Takes what is sent to Sentry.

    ``envelopes`` are whole requests: head and unpacked body.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOCALHOST, 0), SinkHandler)
        self.dsn = f"http://public@{LOCALHOST}:{self.server_address[1]}/1"
        self.envelopes: list[bytes] = []

    def events(self) -> list[dict[str, Any]]:
        """Return the events (https://develop.sentry.dev/sdk/data-model/envelopes/)."""
        lines = [line for envelope in self.envelopes for line in envelope.splitlines() if line.startswith(b"{")]
        return [item for item in map(json.loads, lines) if "event_id" in item and "level" in item]

    def messages(self, beginning: str) -> Counter[str]:
        """What the messages say that begin like this, without the beginning."""
        found = [event["message"] for event in self.events() if event.get("message", "").startswith(beginning)]
        return Counter(message.removeprefix(beginning) for message in found)

    def causes(self) -> Counter[str]:
        return self.messages("New cause: ")

    def stops(self) -> Counter[str]:
        return self.messages("Sync stopped")

    def bugs(self) -> list[str]:
        """The kinds of the exceptions that were reported."""
        values = [event.get("exception", {}).get("values", []) for event in self.events()]
        return [value[-1]["type"] for value in values if value]


class SinkHandler(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.envelopes.append(f"{self.path}\n{self.headers}".encode() + body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def running_sink() -> Iterator[Sink]:
    """Run the server for the block."""
    with Sink() as sink:
        thread = threading.Thread(target=sink.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield sink
        finally:
            sink.shutdown()
            thread.join()
