"""Deliveries run in the event loop, and whatever they wait for, it serves others meanwhile."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deliveries import NOW, SECRET, callback_id
from tests.event_loop import run_async
from tests.invariants import assert_invariants
from tests.rig.processes import free_port
from tests.rig.valkey import Valkey
from tests.webhook_app.bridge.test_bridge import Exchange, sized
from tests.world import World, make_store
from webhook_app.bridge import Bridge
from webhook_app.bridge.bodies import BodyReader
from worker.model import Requirements
from worker.store.connection import connect

STALL_S = 1.0
TOKEN = "a-secret-of-the-tests"
SOURCES: dict[str, dict[str, Any]] = {
    "app": {"verify": "token", "secret": TOKEN},
    "otp": {"preset": "engagelab-otp", "secret": SECRET},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path, port=free_port()) as server:
        yield server


@pytest.fixture
def world(server: Valkey) -> Iterator[World]:
    with connect(server.url, timeout_s=1.0) as client, connect(server.url, timeout_s=20.0) as patient:
        store = make_store(client, patient=patient, requirements=Requirements())
        yield World(client, store=store, sources=SOURCES, clock=lambda: NOW)


def serving(world: World) -> Bridge:
    bodies = BodyReader(timeout_s=5, max_bytes=100_000)
    quick = lambda environ: environ["PATH_INFO"].startswith("/webhooks/")  # noqa: E731
    return Bridge(world.app, threads=8, bodies=bodies, quick=quick)


def delivery(payload: object, **more: Any) -> Exchange:
    exchange = sized(json.dumps(payload).encode(), path=b"/webhooks/app", **more)
    exchange.headers += [(b"authorization", b"Bearer " + TOKEN.encode()), (b"content-type", b"application/json")]
    return exchange


def callback() -> Exchange:
    """A delivery whose signature does not cover the body."""
    row = {"to": "+12025550100", "itime": NOW, "status": {"message_status": "verified"}}
    exchange = sized(json.dumps({"total": 1, "rows": [row]}).encode(), path=b"/webhooks/otp")
    exchange.headers += [(b"x-callback-id", callback_id("1").encode()), (b"content-type", b"application/json")]
    return exchange


async def answered(bridge: Bridge, exchange: Exchange) -> Exchange:
    await bridge(exchange.scope, exchange.receive, exchange.send)
    return exchange


async def longest_pause(seconds: float) -> float:
    """Return for how long the event loop did nothing for us, at most."""
    last, longest, end = time.monotonic(), 0.0, time.monotonic() + seconds
    while last < end:
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return longest


def test_a_stall_of_redis_holds_up_nothing_but_deliveries(world: World, server: Valkey) -> None:
    """The first deliveries of a process, which need the most of Redis: its salt, its settings, the use of a secret."""

    async def stall() -> list[Exchange]:
        bridge = serving(world)
        server.pause()
        asyncio.get_running_loop().call_later(STALL_S, server.resume)
        kinds = [
            delivery({"identifier": "ada", "email": "ada@example.com"}),
            delivery({"name": "nobody can say who"}),
            delivery([{"identifier": str(number)} for number in range(1, 6)]),
            callback(),
        ]
        waiting = [asyncio.ensure_future(answered(bridge, one)) for one in kinds]
        health = asyncio.ensure_future(answered(bridge, Exchange(path=b"/healthz", method="GET")))
        assert await longest_pause(STALL_S * 0.9) < 0.5
        assert health.done()
        assert not any(one.done() for one in waiting)
        return list(await asyncio.gather(health, *waiting))

    exchanges = run_async(stall())
    assert [one.status for one in exchanges] == [200] * 5
    results = [json.loads(one.body)["status"] for one in exchanges[1:]]
    assert results == ["accepted", "quarantined", "accepted", "accepted"]
    assert world.store.quarantine.size() == 1
    assert_invariants(world.client)


def test_deliveries_that_wait_for_redis_hold_no_threads(world: World, server: Valkey) -> None:
    """Also if the last inspection of Redis is older than most stalls are long."""
    guard = world.store._guard
    assert guard is not None

    async def stall() -> list[int]:
        bridge = serving(world)
        await answered(bridge, delivery({"identifier": "first"}))
        guard.clock = lambda: time.monotonic() + 8
        server.pause()
        waiting = [asyncio.ensure_future(answered(bridge, delivery({"identifier": f"user-{n}"}))) for n in range(50)]
        await asyncio.sleep(0.3)
        pipe = world.store.connections._pipe
        assert pipe is not None
        assert len(pipe._waiting) >= 49, "one inspects Redis, in a thread"
        server.resume()
        return [one.status for one in await asyncio.gather(*waiting)]

    assert run_async(stall()) == [200] * 50


def test_many_at_once_are_all_stored(world: World) -> None:
    async def burst() -> list[Exchange]:
        bridge = serving(world)
        await answered(bridge, delivery({"identifier": "first"}))
        before = world.client.info("stats")["total_reads_processed"]
        deliveries = [delivery({"identifier": f"user-{number}"}) for number in range(200)]
        found = await asyncio.gather(*(answered(bridge, one) for one in deliveries))
        assert world.client.info("stats")["total_reads_processed"] - before < 50, "together, not one by one"
        return list(found)

    for number, one in enumerate(run_async(burst())):
        assert one.status == 200
        assert json.loads(one.body) == {
            "status": "accepted",
            "identifier": f"user-{number}",
            "state": "pending",
            "contact_id": None,
        }
    assert_invariants(world.client)


def test_without_redis_each_is_refused(world: World, server: Valkey) -> None:
    async def outage() -> list[Exchange]:
        bridge = serving(world)
        assert (await answered(bridge, delivery({"identifier": "first"}))).status == 200
        server.kill()
        refused = [await answered(bridge, delivery({"identifier": "second"})) for _ in range(3)]
        server.start()
        return [*refused, await answered(bridge, delivery({"identifier": "third"}))]

    assert [one.status for one in run_async(outage())] == [503, 503, 503, 200]


def test_a_request_that_is_cancelled_is_tidied_up(world: World, server: Valkey) -> None:
    async def cancel() -> None:
        bridge = serving(world)
        await answered(bridge, delivery({"identifier": "first"}))
        server.pause()
        task = asyncio.ensure_future(answered(bridge, delivery({"identifier": "second"})))
        await asyncio.sleep(0.1)
        task.cancel()
        server.resume()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await answered(bridge, delivery({"identifier": "third"}))).status == 200

    run_async(cancel())
    assert_invariants(world.client)


def test_what_is_refused_without_redis_is_answered_during_a_stall(world: World, server: Valkey) -> None:
    async def stall() -> int:
        bridge = serving(world)
        server.pause()
        try:
            exchange = delivery({"identifier": "ada"})
            exchange.headers[1] = (b"authorization", b"Bearer wrong")
            async with asyncio.timeout(5):
                return (await answered(bridge, exchange)).status
        finally:
            server.resume()

    assert run_async(stall()) == 401
