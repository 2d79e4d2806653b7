"""``make run``: everything on this machine, until Ctrl-C."""

import argparse
import sys
from pathlib import Path

from tests.rig.local import (
    Local,
    prepare,
    read_environment,
    sole_use,
)
from tests.rig.processes import StartError
from tests.rig.screen import Echo, say, welcome
from tests.rig.supervisor import Stopped, Supervisor


def main() -> int:
    """Returns the exit code: 0 after an orderly stop, 1 with a sentence where it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="where data, logs and made secrets are kept")
    parser.add_argument("--env-file", type=Path, default=Path(".env"), help="settings, one NAME=value a line")
    options = parser.parse_args()
    folder = options.data.resolve()
    try:
        with sole_use(folder):
            run(prepare(folder, read_environment(options.env_file)))
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def run(local: Local) -> None:
    """Start everything, keep it running, stop it when asked to.

    Raises:
        StartError: something did not start; the rest has been stopped again.
    """
    supervisor = Supervisor(local.stack.parts, say)
    supervisor.listen()
    try:
        supervisor.start()
        say(welcome(local))
        # Valkey has little to say, and much of it at length; its log is a file.
        with Echo([process for process in local.stack.parts if process is not local.stack.valkey]):
            supervisor.watch()
            supervisor.stop()
    except Stopped:
        pass
    finally:
        supervisor.stop()
    say("Stopped.")


if __name__ == "__main__":
    sys.exit(main())
