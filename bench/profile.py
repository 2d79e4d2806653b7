"""Where the receiver's CPU goes: by room of the code and by function.

The application that granian serves runs in a process of its own, without granian: 32 clients call it as ASGI, one
delivery each at a time, and it stores them in a real Valkey. The stack is noted every two milliseconds of CPU time;
what a library does belongs to the room that has called it. Beside it, real servers answer with applications that do
nothing: what is left when all of ours is free.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from bench import payload
from bench.accept import CONNECTIONS, MOST_PER_SECOND, Layout, Side, layouts, ours, serving
from bench.machine import BenchError, bound_to, cpu_seconds, environment, load, program, say, valkey
from bench.report import Measured, Row, Table, median
from tests.rig.parts import ROOT
from tests.rig.processes import LOCALHOST

#: Deliveries of a round, and before the first one.
DELIVERIES, WARM_UP = 5000, 500
#: Seconds of CPU time between two samples.
EVERY_S = 0.002
#: Functions that are listed.
FUNCTIONS = 15
#: The rooms, by the beginning of a file's path; the first that fits counts.
ROOMS = {
    "webhook_app/bridge/": "bridge: HTTP to WSGI",
    "worker/greenlets.py": "bridge: HTTP to WSGI",
    "flask/": "Flask",
    "werkzeug/": "Flask",
    "blinker/": "Flask",
    "webhook_app/app.py": "Flask",
    "webhook_app/front.py": "Flask",
    "webhook_app/dashboard/": "Flask",
    "webhook_app/sources/verify/": "verify the signature",
    "webhook_app/sources/body/": "parse the body",
    "webhook_app/sources/mapping/": "map the payload",
    "webhook_app/sources/": "map the payload",
    "worker/normalise.py": "normalise the contact",
    "worker/phone_numbers.py": "normalise the contact",
    "worker/placeholders.py": "normalise the contact",
    "worker/characters.py": "normalise the contact",
    "worker/attributes.py": "normalise the contact",
    "webhook_app/receiver/": "the view: read, judge, answer, count",
    "worker/store/record.py": "make the record",
    "worker/store/fingerprint.py": "make the record",
    "worker/store/pipe.py": "send to Redis, receive the answer",
    "worker/store/connection.py": "send to Redis, receive the answer",
    "worker/store/": "store: arguments and answer of the script",
    "worker/": "store: arguments and answer of the script",
    "asyncio/": "event loop",
}
OTHERS = "others"


def accepted(_redis_url: str) -> int:
    """Nothing is stored."""
    return 0


def empty(interface: str, name: str) -> Callable[[int, int], list[str]]:
    """An application that does nothing, on granian."""

    def command(port: int, receiver_cores: int) -> list[str]:
        start = [program("granian"), f"bench.peers.empty:{name}", "--interface", interface, "--host", LOCALHOST]
        return [*start, "--port", str(port), "--workers", str(receiver_cores)]

    return command


SERVER = Side("granian, an ASGI application that does nothing", empty("asginl", "app"), accepted)
VIEW = Side("granian, a Flask view that does nothing (WSGI)", empty("wsgi", "flask_app"), accepted)
WHOLE = Side("LiveDesk Sync", ours, accepted)


def measure_all(rounds: int, seconds: float) -> Measured:
    """The whole part."""
    layout = layouts()[0]
    say(f"profile: {rounds} rounds")
    inside, floors = [], {side.name: list[float]() for side in (SERVER, VIEW, WHOLE)}
    for _ in range(rounds):
        inside.append(sampled(layout))
        for side in (SERVER, VIEW, WHOLE):
            floors[side.name].append(measure_unchecked(side, layout, seconds))
    us = median([one["us"] for one in inside])
    server, view, whole = (median(floors[side.name]) for side in (SERVER, VIEW, WHOLE))
    rooms, functions = Counter[str](), Counter[str]()
    for one in inside:
        rooms.update(one["rooms"])
        functions.update(one["functions"])
    flask = us * rooms["Flask"] / rooms.total()
    rows = [
        Row("CPU of the receiver per delivery in this part, in µs", f"{whole:.0f}"),
        Row("of these, what granian takes for an application that does nothing, in µs", f"{server:.0f}"),
        Row(
            "what granian and a Flask view that does nothing take, in µs",
            f"{view:.0f}",
            detail="through WSGI, which a slow client can block",
        ),
        Row("CPU of our application without granian, in µs", f"{us:.0f}", detail="called in its process"),
        Row("the same without Flask, in µs", f"{us - flask:.0f}", detail="computed by the shares below"),
    ]
    tables = [
        Table("CPU by room", ["room", "share", "CPU per delivery"], _lines(rooms, us)),
        Table("CPU by function", ["function", "share", "CPU per delivery"], _lines(functions, us)[:FUNCTIONS]),
    ]
    return Measured(rows, tables)


def _lines(counts: Counter[str], us: float) -> list[list[str]]:
    total = counts.total()
    return [[name, f"{count / total:.0%}", f"{us * count / total:.0f} µs"] for name, count in counts.most_common()]


def measure_unchecked(side: Side, layout: Layout, seconds: float) -> float:
    """Return the CPU time of a server per request, in µs."""
    with serving(side, layout) as (process, _server, port):
        used = cpu_seconds(process)
        result = load(port, "run", seconds=seconds, connections=CONNECTIONS, most=round(MOST_PER_SECOND * seconds))
        us = (cpu_seconds(process) - used) / result["count"] * 1e6
    say(f"  {side.name}: {us:.0f} us")
    return us


def sampled(layout: Layout) -> dict[str, Any]:
    """Return the µs of CPU per delivery in a process of its own, and its samples.

    Raises:
        BenchError: a delivery was not accepted.
    """
    with bound_to(layout.others), valkey() as server, bound_to(layout.receiver):
        done = subprocess.run(
            [sys.executable, "-m", "bench.profile"],
            cwd=ROOT,
            env=environment(server.url) | {"LOG_LEVEL": "ERROR"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    if done.returncode:
        raise BenchError(done.stderr.strip() or f"the profiled process ended with {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    say(f"  the application alone: {result['us']:.0f} us")
    return result


class Samples:
    """Notes where the code is, every two milliseconds of CPU time."""

    def __init__(self) -> None:
        self.rooms, self.functions = Counter[str](), Counter[str]()
        signal.signal(signal.SIGPROF, self._note)

    def start(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _note(self, _signal: int, frame: FrameType | None) -> None:
        while frame is not None:
            path = _short(frame.f_code.co_filename)
            room = next((room for start, room in ROOMS.items() if path.startswith(start)), None)
            if room is not None:
                self.rooms[room] += 1
                self.functions[f"{path.removesuffix('.py')}: {frame.f_code.co_qualname}"] += 1
                return
            frame = frame.f_back
        self.rooms[OTHERS] += 1
        self.functions[OTHERS] += 1


def _short(path: str) -> str:
    """Return the path of a file without where it is installed."""
    for folder in (f"{ROOT}{os.sep}", f"site-packages{os.sep}", f"{Path(os.__file__).parent}{os.sep}"):
        _, found, rest = path.rpartition(folder)
        if found and not rest.startswith(".venv"):
            return rest
    return path


def deliveries(run: str, number: int) -> list[tuple[dict[str, Any], bytes]]:
    """Return requests as a server passes them to ASGI, with their bodies."""
    made = []
    for each in range(number):
        head, _, body = payload.request(run, each, f"{LOCALHOST}:8000").partition(b"\r\n\r\n")
        lines = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/webhooks/signup",
            "raw_path": b"/webhooks/signup",
            "query_string": b"",
            "headers": [(name.lower(), value) for name, _, value in lines],
            "server": (LOCALHOST, 8000),
            "client": (LOCALHOST, 50_000),
        }
        made.append((scope, body))
    return made


async def deliver(app: Callable[..., Any], requests: Sequence[tuple[dict[str, Any], bytes]]) -> None:
    """Send all requests, from several clients.

    Raises:
        BenchError: one was not accepted.
    """
    left = iter(requests)

    async def client() -> None:
        for scope, body in left:
            sent: list[dict[str, Any]] = []

            async def receive(body: bytes = body) -> dict[str, Any]:
                return {"type": "http.request", "body": body, "more_body": False}

            async def send(message: dict[str, Any], sent: list[dict[str, Any]] = sent) -> None:
                sent.append(message)

            await app(scope, receive, send)
            if sent[0]["status"] != 200 or b'"accepted"' not in sent[-1]["body"]:
                raise BenchError(f"not accepted: {sent}")

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))


async def profile() -> dict[str, Any]:
    """Run the application in this process: first without samples, then with them."""
    from webhook_app.asgi import app  # reads the environment when it is imported

    await deliver(app, deliveries("warm-up", WARM_UP))
    plain, noted = deliveries("plain", DELIVERIES), deliveries("noted", DELIVERIES)
    began = time.thread_time()
    await deliver(app, plain)
    us = (time.thread_time() - began) / DELIVERIES * 1e6
    samples = Samples()
    samples.start()
    await deliver(app, noted)
    samples.stop()
    return {"us": us, "rooms": samples.rooms, "functions": samples.functions}


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__).parse_args()
    try:
        print(json.dumps(asyncio.run(profile())), flush=True)
    except BenchError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)  # without waiting for threads


if __name__ == "__main__":
    main()
