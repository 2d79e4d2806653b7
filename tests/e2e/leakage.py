"""What went into a system, searched for in everything that comes out of it.

``RecordingProxy`` stands between the workers and LiveDesk; it records what is sent, and can answer in LiveDesk's place.
"""

import base64
import http.client
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote_plus

from tests.rig.processes import LOCALHOST

#: Seconds that the stand-in may take to answer.
FORWARD_S = 10
#: What belongs into a request to LiveDesk: what is searched for, and who we are.
SEARCHED = re.compile(r"[?&]q=[^&\s]*")
OUR_KEY = re.compile(r"^Authorization:.*$", re.MULTILINE | re.IGNORECASE)


class RecordingProxy(ThreadingHTTPServer):
    """Forwards to the server at ``port``. ``instead`` answers the next searches, as raw bytes."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__((LOCALHOST, 0), _Handler)
        self.port = port
        self.url = f"http://{LOCALHOST}:{self.server_address[1]}"
        self.heads: list[str] = []
        self.instead: list[bytes] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RecordingProxy

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.startswith("/_control"):
            self.server.heads.append(f"{self.requestline}\n{self.headers}")
        if "q=" in self.path and self.server.instead:
            self.wfile.write(self.server.instead.pop())
            self.close_connection = True
            return
        connection = http.client.HTTPConnection(LOCALHOST, self.server.port, timeout=FORWARD_S)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
        except (http.client.HTTPException, OSError):
            self.close_connection = True
            return
        finally:
            connection.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = _forward  # noqa: N815 - the names are http.server's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def recording_proxy(port: int) -> Iterator[RecordingProxy]:
    """Run the proxy for the block."""
    with RecordingProxy(port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


def livedesk_heads(proxy: RecordingProxy) -> str:
    """Return request lines and headers that LiveDesk got, without what belongs there."""
    return "\n".join(OUR_KEY.sub("", SEARCHED.sub("", head)) for head in proxy.heads)


def leaks(forbidden: Mapping[str, str], outputs: Mapping[str, str]) -> list[str]:
    """Return which of the forbidden texts is in which output, with the line."""
    found = []
    for name, output in outputs.items():
        for line in output.splitlines():
            plain = _readable(line)
            found += [
                f"{what} in {name}: {line[:300]}"
                for what, text in forbidden.items()
                if any(form in plain for form in _forms(text))
            ]
    return found


def _readable(line: str) -> str:
    """Return a line with what encodes it undone as well."""
    return "\n".join([line, unquote_plus(line), line.replace("\\u0040", "@").replace("&#64;", "@")]).lower()


def _forms(text: str) -> set[str]:
    """Return how a text may be written: as it is, quoted, as JSON, in Base64."""
    written = {text, quote(text, safe=""), json.dumps(text)[1:-1], *(_base64(text.encode(), at) for at in range(3))}
    return {form.lower() for form in written}


def _base64(text: bytes, at: int) -> str:
    """Return what Base64 always makes of a text that begins ``at`` bytes after a group of three."""
    encoded = base64.b64encode(b"-" * at + text).decode()
    return encoded[(8 * at + 5) // 6 : 8 * (at + len(text)) // 6]
