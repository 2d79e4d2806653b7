"""Keeps processes running until it is told to stop, and then stops them in their order."""

import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType

from tests.rig import reaper
from tests.rig.processes import POLL_S, Process, StartError

#: Seconds before a process that died is started again: doubled each time, up to the longest.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
#: Seconds that a process must have run for its next death to count as the first.
STEADY_S = 60.0
#: Seconds between two looks at the processes.
LOOK_S = 0.2


class Stopped(Exception):
    """Somebody asked us to stop while we were starting."""


class Supervisor:
    """``processes`` are in the order of starting. ``say`` is told, in a sentence, whatever a person should know."""

    def __init__(self, processes: Sequence[Process], say: Callable[[str], None]) -> None:
        self.processes = processes
        self.say = say
        self.asked_to_stop = False

    def listen(self) -> None:
        """Take Ctrl-C, SIGTERM and a closing terminal as the wish to stop; a second one as the wish to stop at once."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Only a flag, looked at where it is safe: an exception from here could lose sight of a process just started.
        if self.asked_to_stop:
            for process in self.processes:
                if process.is_running:
                    reaper.kill_group(process.pid)
        self.asked_to_stop = True

    def start(self) -> None:
        """Start all, each ready before the next.

        Raises:
            StartError: one did not start.
            Stopped: we were asked to stop meanwhile.
        """
        for process in self.processes:
            self._check_wish()
            self.say(f"Starting the {process.name}.")
            process.spawn()
            process.wait_until_ready(between=self._breathe)

    def _breathe(self) -> None:
        self._check_wish()
        time.sleep(POLL_S)

    def _check_wish(self) -> None:
        if self.asked_to_stop:
            raise Stopped

    def watch(self) -> None:
        """Start again whatever dies, until we are asked to stop."""
        keepers = [Keeper(process, self.say) for process in self.processes]
        while not self.asked_to_stop:
            for keeper in keepers:
                keeper.look(time.monotonic())
            time.sleep(LOOK_S)

    def stop(self) -> None:
        """Stop all, in the opposite order, each gone before the next."""
        for process in reversed(self.processes):
            if process.is_running:
                self.say(f"Stopping the {process.name}.")
                process.stop()


class Keeper:
    """Starts one process again when it has died, after longer and longer pauses."""

    def __init__(self, process: Process, say: Callable[[str], None]) -> None:
        self.process = process
        self.say = say
        self.pause_s = FIRST_PAUSE_S
        self.started_at = time.monotonic()
        self.start_at: float | None = None

    def look(self, now: float) -> None:
        """See whether it runs, and do what is due; ``now`` is in seconds, as ``time.monotonic`` tells them."""
        if self.process.is_running:
            return
        if self.start_at is None:
            self._plan(now, f"The {self.process.name} ended with exit code {self.process.exit_code}")
        elif now >= self.start_at:
            self._start(now)

    def _plan(self, now: float, what: str) -> None:
        if now - self.started_at >= STEADY_S:
            self.pause_s = FIRST_PAUSE_S
        self.say(f"{what.rstrip('.')}. It will be started again in {self.pause_s:g} s; its log is {self.process.log}.")
        self.start_at = now + self.pause_s
        self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)

    def _start(self, now: float) -> None:
        try:
            self.process.spawn()
        except StartError as error:
            self._plan(now, str(error))
            return
        self.started_at = now
        self.start_at = None
