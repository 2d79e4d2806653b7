"""What ``bin/web`` runs: granian on our event loop, if the settings are right.

``python -m webhook_app.server`` takes granian's options. With mistakes in the settings or in the sources file it prints
each, and exits with 78 (EX_CONFIG of sysexits.h). ``server_log.json`` names our log handler.
"""

import asyncio
import logging
import os
import sys

from granian import loops
from granian.cli import entrypoint

from webhook_app.bridge.event_loop import EventLoop
from webhook_app.configuration import read_configuration
from worker import library_logs, telemetry
from worker.errors import SettingsError
from worker.model import LogFormat
from worker.settings import EX_CONFIG, load_settings


def main() -> int:
    """Check the settings, then serve; return the exit status."""
    try:
        read_configuration(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG
    entrypoint()  # type: ignore[no-untyped-call]
    return 0


@loops.register("auto")
def build_loop() -> EventLoop:
    """Return the loop that granian runs, in the way that it documents."""
    loop = EventLoop()
    asyncio.set_event_loop(loop)
    return loop


def handler() -> logging.Handler:
    """Return the handler for the server's own lines, in the format of the settings."""
    library_logs.guard()
    try:
        log_format = load_settings().log_format
    except SettingsError:
        log_format = LogFormat.LOGFMT
    return telemetry.handler(log_format)


if __name__ == "__main__":
    sys.exit(main())
