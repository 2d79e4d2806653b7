"""A system whose clock is turned: real scripts and sweeps, and workers that send nothing.

Each step takes ``TICK_MS``. A worker takes the next message of the queue, waits for the time that its claim was given,
and ends the attempt ``REQUEST_MS`` later.
"""

import time
from collections.abc import Callable, Iterable

import redis

from tests.world import CREATED, RETRYING, World
from worker.model import AttemptResult, Claim, Contact, Origin, Signup, UpstreamPolicy
from worker.store import keys

TICK_MS = 50
#: A sweeper waits for this long while more is due, and else for a second.
BACKLOG_SWEEP_MS, SWEEP_MS = 200, 1000
REQUEST_MS = 60
THREADS = 16
SIGNUP = Origin("signup")


class Simulation(World):
    """``results`` decides how an attempt for a key ends."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        rate: float = 10.0,
        look_ups_per_minute: float = 600.0,
        results: Callable[[str], AttemptResult] = lambda _: CREATED,
    ) -> None:
        super().__init__(client, policy=UpstreamPolicy(rate, look_ups_per_minute, inbox_id=1))
        self.at = time.time() * 1000
        self.results = results
        self.busy: list[tuple[float, Claim]] = []
        self.next_sweep = self.at
        #: When each key was attempted, in ms.
        self.attempted: dict[str, float] = {}
        self.turn(0)

    def turn(self, ms: float) -> None:
        """Move the clock; real time that has passed does not count."""
        self.at += ms
        self.store.shift_ms = round(self.at - time.time() * 1000)

    def arrive(self, identifiers: Iterable[str], *, bulk: bool = False) -> list[str]:
        """Accept signups; return their keys."""
        signups = [Signup(Contact(name, 1, "Ada")) for name in identifiers]
        self.store.contacts.accept_all(signups, SIGNUP, bulk=bulk)
        return [self.key(one.contact.identifier) for one in signups]

    def arrive_tried(self, identifiers: Iterable[str], result: AttemptResult = RETRYING) -> list[str]:
        """Accept contacts whose first attempt has ended with ``result``; return their keys."""
        made = []
        for name in identifiers:
            [key] = self.arrive([name])
            self.finish(self.claim(name, sends=False), result)
            made.append(key)
        self.client.delete(keys.QUEUE)
        return made

    def has_sent(self, key: str) -> bool:
        """Return whether the time of an attempt for this key has come."""
        return self.attempted.get(key, self.at + 1) <= self.at

    def run(self, ms: float) -> None:
        end = self.at + ms
        while self.at < end:
            self.tick()

    def run_until(self, condition: Callable[[], object], within_ms: float) -> float:
        """Run until the condition is true; return how long that took in ms."""
        start = self.at
        while not condition():
            assert self.at - start < within_ms, f"not within {within_ms:g} ms"
            self.tick()
        return self.at - start

    def tick(self) -> None:
        self.turn(TICK_MS)
        if self.at >= self.next_sweep:
            swept = self.store.queue.sweep("worker")
            is_busy = self.store.operations.step() or swept.more
            self.next_sweep = self.at + (BACKLOG_SWEEP_MS if is_busy else SWEEP_MS)
        for until, claim in [one for one in self.busy if one[0] <= self.at]:
            self.busy.remove((until, claim))
            self.finish(claim, self.results(claim.key))
        while len(self.busy) < THREADS and self._take():
            pass

    def _take(self) -> bool:
        """Let an idle worker take a message; return whether there was one."""
        message = self.client.rpop(keys.QUEUE)
        if message is None:
            return False
        key = str(message).split()[0]
        claim = self.store.contacts.claim(key, f"token-{key}-{self.at:.0f}")
        if claim is not None:
            self.attempted[key] = self.at + claim.wait_ms
            self.busy.append((self.at + claim.wait_ms + REQUEST_MS, claim))
        return True
