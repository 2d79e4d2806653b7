"""Applications that do nothing: what they cost is the server, and Flask."""

from collections.abc import Awaitable, Callable
from typing import Any

from flask import Flask

ANSWER = b'{"status": "accepted"}'

flask_app = Flask(__name__)


@flask_app.post("/webhooks/<source>")
def receive(source: str) -> tuple[bytes, dict[str, str]]:
    """Answer without a look at the body."""
    return ANSWER, {"Content-Type": "application/json"}


async def app(
    _scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Read the body, and answer."""
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})
