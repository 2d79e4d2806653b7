"""Steady load with faults, and what every process uses at the end compared with the beginning."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import requests

from tests.attack.slow import Crowd
from tests.faults.watch import Use, use_of
from tests.rig.parts import TEST_ENV, Stack

#: Deliveries per second, and slow clients that stay all the time.
RATE, SLOW_CLIENTS = 20, 64
#: Seconds between two faults; and how long one lasts.
FAULT_EVERY_S, FAULT_S = 150.0, 3.0
#: Seconds between two samples: several while the slow clients, whose number varies, come and go once.
SAMPLE_EVERY_S = 5.0
#: Minutes at the beginning and at the end that are compared; a third each of a short run.
COMPARED_MIN = 10
#: How much more may be used at the end.
MAX_GROWTH = 1.05
TOKEN = TEST_ENV["WEBHOOK_SECRET"]


@dataclass
class Samples:
    """What each process used, every few seconds."""

    by_process: dict[str, list[Use]] = field(default_factory=dict)

    def take(self, stack: Stack) -> None:
        for part in (*stack.receivers, *stack.workers):
            if use := use_of(part):
                self.by_process.setdefault(part.name, []).append(use)

    def means(self) -> Iterator[tuple[str, str, float, float]]:
        """Yield process, resource, and its means at the beginning and at the end."""
        for name, uses in self.by_process.items():
            number = min(round(COMPARED_MIN * 60 / SAMPLE_EVERY_S), max(1, len(uses) // 3))
            for resource in ("mb", "threads", "files"):
                values = [float(getattr(use, resource)) for use in uses]
                yield name, resource, fmean(values[:number]), fmean(values[-number:])


def soak(folder: Path, minutes: int, progress: Callable[[str], None]) -> list[str]:
    """Run for so long; return what must not be, in sentences."""
    samples, refused = Samples(), Refusals()
    with Stack.on_free_ports(folder) as stack:
        port = stack.receiver.port
        assert port is not None
        with Crowd(port, SLOW_CLIENTS), _sending(stack.url, refused), _faults(stack):
            for minute in range(minutes):
                for _ in range(round(60 / SAMPLE_EVERY_S)):
                    time.sleep(SAMPLE_EVERY_S)
                    samples.take(stack)
                latest = {name: uses[-1] for name, uses in samples.by_process.items()}
                progress(f"minute {minute + 1}: {refused}; {latest}")
        has_traceback = "Traceback" in stack.receiver.log_text()
    problems = ["the receiver's log has a traceback"] if has_traceback else []
    for name, resource, before, after in samples.means():
        progress(f"{name}: {resource} {before:.1f} -> {after:.1f}")
        if after > before * MAX_GROWTH:
            problems.append(f"{name} uses more {resource}: {before:.1f}, then {after:.1f}")
    return problems


@dataclass
class Refusals:
    """How the deliveries were answered."""

    sent: int = 0
    not_200: int = 0


@contextmanager
def _sending(url: str, refused: Refusals) -> Iterator[None]:
    """Send deliveries at a steady rate, some of them again and again."""

    def send() -> None:
        with requests.Session() as session:
            session.trust_env = False
            for number in itertools.count():
                if is_over.wait(1 / RATE):
                    return
                body = {"identifier": f"soak-{number % 20_000}", "email": f"soak-{number % 20_000}@example.com"}
                refused.sent += 1
                try:
                    answer = session.post(f"{url}/webhooks/signup", json=body, headers=BEARER, timeout=30)
                    refused.not_200 += answer.status_code != 200
                except requests.RequestException:
                    refused.not_200 += 1

    yield from _in_thread(send, is_over := threading.Event())


@contextmanager
def _faults(stack: Stack) -> Iterator[None]:
    """Pause Redis and LiveDesk in turn."""

    def break_things() -> None:
        for part in itertools.cycle(stack.servers):
            if is_over.wait(FAULT_EVERY_S):
                return
            part.pause()
            is_over.wait(FAULT_S)
            with suppress(ProcessLookupError):
                part.resume()

    yield from _in_thread(break_things, is_over := threading.Event())


def _in_thread(work: Callable[[], None], is_over: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


BEARER: Mapping[str, str] = {"Authorization": f"Bearer {TOKEN}"}
