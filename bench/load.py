"""``python -m bench.load``: a cheap load generator in its own process.

Every request is built and signed before the clock starts. Over C kept-alive connections it either sends the next
request when the last one is answered (closed loop, for throughput), or sends at random moments of a given mean rate
(open loop, for latency). Open-loop latency counts from the moment that the schedule said, not from the moment that a
connection was free, so a slow server cannot hide by slowing us down (no coordinated omission). Both sides of a run see
the same schedule.

Any answer but 200 or 202, any that does not say "accepted", a lost connection with a request on it, and a
run that takes too long end it with an error: a failed delivery is never fast.
"""

import argparse
import gc
import json
import random
import re
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass

from bench import payload

_GOOD = (b"HTTP/1.1 200 ", b"HTTP/1.1 202 ")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class LoadError(Exception):
    """The server did not answer as it should."""


@dataclass(frozen=True)
class Result:
    """The figures of one run: seconds, but ms for ``p50``, ``p99`` and ``worst``."""

    count: int
    seconds: float
    per_second: float
    p50: float
    p99: float
    worst: float
    reconnects: int


class Connection:
    """One connection and the request that is on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.number = -1  # of the request that waits for its answer

    def read(self) -> bool | None:
        """Read what arrived: ``True`` answered, ``False`` not yet, ``None`` closed."""
        chunk = self.socket.recv(65536)
        if not chunk:
            if self.number >= 0:
                raise LoadError(f"connection closed before the answer, after {self.received[:200]!r}")
            return None
        self.received += chunk
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = _LENGTH.search(self.received, 0, end + 2)
        if length is None:
            raise LoadError(f"an answer without a length: {self.received[:300]!r}")
        if len(self.received) < end + 4 + int(length[1]):
            return False
        if not self.received.startswith(_GOOD) or b'"accepted"' not in self.received:
            raise LoadError(f"not accepted: {self.received[:500]!r}")
        closing = _CLOSE.search(self.received, 0, end + 2)
        self.received = b""
        return None if closing else True


class Load:
    """One run over a fixed set of connections."""

    def __init__(
        self, port: int, requests: list[bytes], schedule: list[float], connections: int, seconds: float
    ) -> None:
        self.port = port
        self.requests = requests
        self.seconds = seconds  # after which a closed loop sends no more
        self.schedule = schedule  # seconds after the start; empty for a closed loop
        self.poller = select.epoll()
        self.connections: dict[int, Connection] = {}
        self.idle: deque[Connection] = deque()
        self.since = [0.0] * len(requests)
        self.latencies: list[float] = []
        self.next = 0
        self.total = len(requests)
        self.reconnects = 0
        for _ in range(connections):
            self.connect()

    def connect(self) -> None:
        """Open one more connection, idle."""
        connection = Connection(self.port)
        self.connections[connection.socket.fileno()] = connection
        self.poller.register(connection.socket.fileno(), select.EPOLLIN)
        self.idle.append(connection)

    def run(self, limit: float) -> Result:
        """Send everything; ``limit`` is in seconds."""
        self.start = time.perf_counter()
        while True:
            delay = self.send_due()
            if len(self.latencies) == self.total:
                return self.result(time.perf_counter() - self.start)
            select.select([self.poller], [], [], delay)  # epoll.poll() alone would round the delay up to a whole ms
            for number, _ in self.poller.poll(0):
                self.receive(number)
            if time.perf_counter() - self.start > limit:
                raise LoadError(f"{len(self.latencies)} of {self.total} answered after {limit} s")

    def send_due(self) -> float:
        """Send what is due on idle connections; return the seconds until the next."""
        while self.idle and self.next < self.total:
            now = time.perf_counter()
            due = self.start + self.schedule[self.next] if self.schedule else now
            if due > now:
                return due - now
            if not self.schedule and now - self.start > self.seconds:
                self.total = self.next
                break
            connection = self.idle.popleft()
            connection.number = self.next
            self.since[self.next] = due
            connection.socket.sendall(self.requests[self.next])
            self.next += 1
        return 1.0

    def receive(self, number: int) -> None:
        """Read one connection, record the answer, and reconnect if it was closed."""
        connection = self.connections[number]
        answered = connection.read()
        if answered is False:
            return
        if connection.number >= 0:
            self.latencies.append(time.perf_counter() - self.since[connection.number])
            connection.number = -1
            if answered:
                self.idle.append(connection)
                return
        else:
            self.idle.remove(connection)
        connection.socket.close()
        del self.connections[number]
        self.reconnects += 1
        self.connect()

    def result(self, seconds: float) -> Result:
        """The figures of a finished run."""
        ordered = sorted(self.latencies)
        count = len(ordered)
        p50, p99 = ordered[count // 2] * 1000, ordered[min(count - 1, count * 99 // 100)] * 1000
        return Result(count, seconds, count / seconds, p50, p99, ordered[-1] * 1000, self.reconnects)


def schedule(count: int, rate: float) -> list[float]:
    """Return when to send each request, in seconds: reproducible Poisson arrivals."""
    chance = random.Random(count)
    moments, moment = [], 0.0
    for _ in range(count):
        moment += chance.expovariate(rate)
        moments.append(moment)
    return moments


def main() -> int:
    """Build the requests, run, print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description="Post signed sign-ups.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--run", required=True, help="a name; identifiers depend on it")
    parser.add_argument("--count", type=int, required=True, help="how many deliveries, at most")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long a closed loop sends")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.0, help="deliveries per second; without it a closed loop")
    parser.add_argument("--shape", choices=payload.SHAPES, default="signup", help="whose deliveries they are")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds after which the run has failed")
    options = parser.parse_args()
    host = f"127.0.0.1:{options.port}"
    requests = [payload.request(options.run, n, host, options.shape) for n in range(options.count)]
    moments = schedule(options.count, options.rate) if options.rate else []
    gc.disable()
    try:
        result = Load(options.port, requests, moments, options.connections, options.seconds).run(options.limit)
    except (LoadError, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
