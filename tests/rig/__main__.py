"""``make run``: run the whole system on this machine until Ctrl-C."""

import argparse
import shlex
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from honcho.manager import Manager
from honcho.printer import Message, Printer

from tests.rig.local import Local, exclusive, prepare, read_environment
from tests.rig.processes import StartError
from tests.rig.screen import say, welcome

#: Seconds between two checks.
POLL_S = 0.1


def main() -> int:
    """Return the exit code: 0 after Ctrl-C, 1 if a part did not start or ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder for data and generated secrets")
    parser.add_argument("--env-file", type=Path, default=Path(".env"), help="settings, one NAME=value per line")
    options = parser.parse_args()
    folder = options.data.resolve()
    try:
        with exclusive(folder):
            run(prepare(folder, read_environment(options.env_file)))
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        pass
    say("Stopped.")
    return 0


def run(local: Local) -> None:
    """Start everything and wait for Ctrl-C.

    Valkey starts before the others and stops after them, so that a worker can write down what it has done.

    Raises:
        StartError: a part did not start, or ended by itself.
    """
    valkey = local.stack.valkey
    with ExitStack() as running:
        if valkey is not None:
            running.enter_context(valkey)
        output = Output()
        manager = Manager(output)
        for part in local.stack.parts:
            if part is not valkey:
                manager.add_process(part.name, f"exec {shlex.join(part.command)}", env=part.env, cwd=str(part.cwd))
        # honcho handles SIGINT and SIGTERM, but not a closed terminal.
        signal.signal(signal.SIGHUP, lambda *_: manager.terminate())
        threading.Thread(target=watch, args=(local, manager, output), daemon=True).start()
        manager.loop()
        ended = valkey is not None and not valkey.is_running
    if ended or manager.returncode not in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        raise StartError(f"{'Valkey' if ended else 'A process'} ended, so everything was stopped.")


class Output(Printer):  # type: ignore[misc]  # honcho has no types
    """Prints what the processes log, with their names."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.worker_is_ready = threading.Event()

    def write(self, message: Message) -> None:
        super().write(message)
        if isinstance(message.data, bytes) and b"worker ready" in message.data:
            self.worker_is_ready.set()


def watch(local: Local, manager: Manager, output: Output) -> None:
    """Print how to use the system once it is ready; stop everything when Valkey ends."""
    stack = local.stack
    waiting = [part for part in (stack.stand_in, stack.receiver) if part is not None]
    output.worker_is_ready.wait()
    while not all(part.ready(part) for part in waiting):
        time.sleep(POLL_S)
    say(welcome(local))
    while stack.valkey is not None:
        if not stack.valkey.is_running:
            manager.terminate()
            return
        time.sleep(POLL_S)


if __name__ == "__main__":
    sys.exit(main())
