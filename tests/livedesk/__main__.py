"""Run the stand-in on its own: ``python -m tests.livedesk --port 9100``."""

import argparse
import errno
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.livedesk.server import Server
from tests.livedesk.world import Settings


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.livedesk", description="An imitation of the LiveDesk API.")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=port_number, default=9100, help="0 takes a free one (default 9100)")
    made.add_argument("--api-key", default="demo-key")
    made.add_argument("--api-secret", default="demo-secret")
    made.add_argument("--inbox-id", type=int, action="append", help="an inbox that exists; repeatable (default 1)")
    made.add_argument("--by-id", action="store_true", help="offer GET and DELETE of one contact, as Chatwoot does")
    made.add_argument("--file", type=Path, help="keep the contacts in this file for the next run")
    made.add_argument("--no-ledger", action="store_true", help="keep counts only, for long runs")
    made.add_argument("--quiet", action="store_true", help="no line for each request")
    return made


def port_number(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)


def refusal(error: OSError, host: str, port: int) -> str:
    """Return why it cannot listen, in one sentence."""
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken; choose another one with --port."
    return f"Cannot listen on port {port} of {host}: {error.strerror or error}."


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Return 0 then, or 1 if it cannot listen."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    asked = parser().parse_args(arguments)
    limit = 0 if asked.no_ledger else None
    settings = Settings(
        asked.api_key,
        asked.api_secret,
        tuple(asked.inbox_id or [1]),
        asked.by_id,
        limit,
        file=asked.file,
        new_ids=True,
    )
    try:
        server = Server(asked.host, asked.port, settings, quiet=asked.quiet)
    except OSError as error:
        sys.stderr.write(f"{refusal(error, asked.host, asked.port)}\n")
        return 1
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    sys.stdout.write(f"The LiveDesk stand-in listens on {server.url}\n")
    sys.stdout.flush()
    stop.wait()
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
