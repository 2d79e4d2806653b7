"""What ``bin/web`` needs around the server: a check before it, and a log format.

``python -m webhook_app.server`` prints each mistake in the settings and in the sources file, and exits with 78
(EX_CONFIG of sysexits.h). ``server_log.json`` names the rest.
"""

import logging
import os
import sys

from webhook_app.configuration import read_configuration
from worker.errors import SettingsError
from worker.model import LogFormat
from worker.settings import EX_CONFIG, load_settings
from worker.telemetry import LOGFMT, JsonFormatter


def main() -> int:
    """Return the exit status."""
    try:
        read_configuration(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG
    return 0


def formatter() -> logging.Formatter:
    """Return the formatter of the settings, for the server's own lines."""
    try:
        log_format = load_settings().log_format
    except SettingsError:
        log_format = LogFormat.LOGFMT
    return JsonFormatter() if log_format is LogFormat.JSON else logging.Formatter(LOGFMT)


class WithoutAdvice(logging.Filter):
    """Drops the server's advice about its number of threads, which was measured."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "seems quite high" not in record.getMessage()


if __name__ == "__main__":
    sys.exit(main())
