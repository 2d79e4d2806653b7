"""All that an event loop runs shares one connection to Redis, and nothing gets another's answer."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.event_loop import run_async
from tests.faults.proxy import SILENCE, Links
from tests.rig.processes import LOCALHOST, free_port
from tests.rig.sentinel import SentinelCluster
from tests.rig.tls import Authority, Front
from tests.rig.valkey import Valkey
from tests.worker.store.test_connection import fail_over
from worker.greenlets import Greenlets
from worker.store import connection, pipe
from worker.store.connection import AGAIN_S, Connections, Script, connect

#: Answers its argument; ``fail`` is an error, ``count`` the next number.
ECHO = Script(
    """
    if ARGV[1] == 'fail' then return redis.error_reply('ERR as asked') end
    if ARGV[1] == 'count' then return redis.call('INCR', KEYS[1]) end
    return ARGV[1]
    """,
    "n",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("pipe"), port=free_port()) as server:
        yield server


class Office:
    """What an event loop runs; ``ask`` sends a script's argument and returns the answer."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.client = connect(url, timeout_s=timeout_s)
        self.connections = Connections(self.client)
        self.threads = ThreadPoolExecutor(4)
        self.greenlets = Greenlets(lambda function: asyncio.get_running_loop().run_in_executor(self.threads, function))

    def run(self, work: Callable[["Office"], Coroutine[Any, Any, None]]) -> None:
        try:
            run_async(work(self))
        finally:
            self.threads.shutdown()
            self.client.close()

    async def guest(self, function: Callable[..., Any], *arguments: object) -> Any:
        return await self.greenlets.run(function, *arguments)

    async def ask(self, text: str, seconds: float | None = None) -> Any:
        def call() -> Any:
            with self.connections.within(seconds):
                return self.connections.run(ECHO, text.encode())[0]

        return await self.guest(call)

    async def ask_all(self, *texts: str) -> list[Any]:
        """Return the answers and the errors."""
        return await asyncio.gather(*map(self.ask, texts), return_exceptions=True)

    async def in_thread(self, function: Callable[..., Any], *arguments: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *arguments)


def office(server: Valkey, timeout_s: float = 10.0) -> Office:
    return Office(server.url, timeout_s)


def test_everybody_gets_the_own_answer_over_one_connection(server: Valkey) -> None:
    async def work(us: Office) -> None:
        await us.ask("first")
        before = us.client.info("stats")
        texts = [f"user-{number}" for number in range(500)]
        assert await us.ask_all(*texts) == texts
        after = us.client.info("stats")
        assert after["total_connections_received"] == before["total_connections_received"]
        reads = after["total_reads_processed"] - before["total_reads_processed"]
        assert reads < 100, "what arises at once is sent at once"

    office(server).run(work)


def test_an_error_is_only_of_its_command(server: Valkey) -> None:
    async def work(us: Office) -> None:
        first, second, third = await us.ask_all("a", "fail", "b")
        assert (first, third) == ("a", "b")
        assert isinstance(second, redis.ResponseError)
        us.client.script_flush()
        assert await us.ask_all("a", "b") == ["a", "b"]

    office(server).run(work)


def test_an_answer_that_is_late_is_nobody_elses(server: Valkey) -> None:
    async def work(us: Office) -> None:
        await us.ask("first")
        server.pause()
        try:
            patient = asyncio.ensure_future(us.ask("patient"))
            began = time.monotonic()
            with pytest.raises(redis.TimeoutError):
                await us.ask("hasty", 0.2)
            assert 0.15 < time.monotonic() - began < 2
        finally:
            server.resume()
        assert await us.ask("next") == "next"
        assert await patient == "patient"

    office(server).run(work)


def test_who_is_cancelled_disturbs_nobody(server: Valkey) -> None:
    async def work(us: Office) -> None:
        await us.ask("first")
        server.pause()
        try:
            tasks = [asyncio.ensure_future(us.ask(f"user-{number}")) for number in range(3)]
            await asyncio.sleep(0.05)
            tasks[1].cancel()
        finally:
            server.resume()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        assert list(await asyncio.gather(tasks[0], tasks[2], us.ask("next"))) == ["user-0", "user-2", "next"]

    office(server).run(work)


def test_a_connection_that_is_lost_fails_what_is_on_it_and_the_next_opens_another(server: Valkey) -> None:
    async def work(us: Office) -> None:
        link = links.to(server.port or 0)
        there = Office(f"redis://{LOCALHOST}:{link.port}/0", 5.0)
        assert await there.ask("first") == "first"
        server.pause()
        try:
            waiting = asyncio.ensure_future(there.ask_all("a", "b"))
            await asyncio.sleep(0.1)
            await us.in_thread(link.reset_all)
            assert [type(error) for error in await waiting] == [redis.ConnectionError] * 2
        finally:
            server.resume()
        assert await there.ask_all("c", "d") == ["c", "d"]

    with Links() as links:
        office(server).run(work)


def test_a_connection_that_redis_closes_while_idle_costs_no_delivery(server: Valkey) -> None:
    async def work(us: Office) -> None:
        for _ in range(3):
            assert await us.ask("a") == "a"
            await us.in_thread(lambda: us.client.client_kill_filter(_type="normal", skipme=True))
            await asyncio.sleep(0.05)

    office(server).run(work)


def test_more_than_the_socket_takes_at_once_arrives_whole(server: Valkey) -> None:
    async def work(us: Office) -> None:
        await us.ask("first")
        server.pause()
        texts = [str(number) * 1_000_000 for number in range(9)]
        asked = asyncio.ensure_future(us.ask_all(*texts))
        await asyncio.sleep(0.2)
        server.resume()
        assert await asked == texts

    office(server).run(work)


def test_a_redis_that_is_gone_is_tried_by_one_at_a_time(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent before is still answered, should it only have been slow."""

    async def work(us: Office) -> None:
        await us.ask("first")
        server.pause()
        try:
            first = asyncio.ensure_future(us.ask("early"))
            await asyncio.sleep(0.5)
            slow = asyncio.ensure_future(us.ask("slow"))
            with pytest.raises(redis.TimeoutError):
                await first
            assert us.connections.unresponsive.is_silent
            began = time.monotonic()
            assert [type(one) for one in await us.ask_all("a", "b", "c")] == [redis.TimeoutError] * 3
            assert time.monotonic() - began < AGAIN_S
            monkeypatch.setattr(connection, "AGAIN_S", 0)
            await asyncio.sleep(0.3)
            us.connections.unresponsive._again_at = 0.0
            trial = asyncio.ensure_future(us.ask("trial"))
            refused = await us.ask_all("d", "e")
            assert [type(one) for one in refused] == [redis.TimeoutError] * 2
        finally:
            server.resume()
        assert [await slow, await trial] == ["slow", "trial"]
        assert await us.ask_all("f", "g") == ["f", "g"]
        assert not us.connections.unresponsive.is_silent

    office(server, 1.5).run(work)


def test_a_connection_that_the_network_has_lost_is_given_up(server: Valkey) -> None:
    async def work(us: Office) -> None:
        link = links.to(server.port or 0)
        there = Office(f"redis://{LOCALHOST}:{link.port}/0", 5.0)
        assert await there.ask("first") == "first"
        await us.in_thread(link.behave, SILENCE)
        with pytest.raises(redis.TimeoutError):
            await there.ask("lost", 0.2)
        await us.in_thread(link.behave, "ok")
        assert await there.ask("second", 1.0) == "second"

    with Links() as links:
        office(server).run(work)


def test_so_many_wait_and_others_are_refused_at_once(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "MAX_WAITING", 2)

    async def work(us: Office) -> None:
        await us.ask("first")
        server.pause()
        try:
            waiting = [asyncio.ensure_future(us.ask(text)) for text in "ab"]
            await asyncio.sleep(0.05)
            with pytest.raises(pipe.TooManyWait):
                await us.ask("c")
        finally:
            server.resume()
        assert await asyncio.gather(*waiting) == ["a", "b"]
        assert not us.connections.unresponsive.is_silent

    office(server).run(work)


def test_a_server_that_is_away_refuses_everybody_until_it_is_back(tmp_path: Path) -> None:
    async def work(us: Office) -> None:
        assert [type(one) for one in await us.ask_all("a", "b")] == [redis.ConnectionError] * 2
        with Valkey(tmp_path, port=port):
            assert await us.ask_all("a", "b") == ["a", "b"]

    port = free_port()
    Office(f"redis://{LOCALHOST}:{port}/0", 5.0).run(work)


def test_tls(server: Valkey, tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def work(us: Office) -> None:
        texts = [str(number) * 100_000 for number in range(9)]
        assert await us.ask_all(*texts) == texts
        assert (await us.ask_all("a", "fail", "b"))[::2] == ["a", "b"]
        assert await us.ask("c") == "c"

    with Front(authority.context("localhost"), (LOCALHOST, server.port or 0)) as front:
        Office(f"rediss://localhost:{front.port}/0?ssl_ca_certs={authority.path}", 10.0).run(work)


def test_a_demoted_primary_is_left_and_no_delivery_fails(tmp_path: Path) -> None:
    async def work(us: Office) -> None:
        assert await us.ask_all("count", "count") == [1, 2]
        await us.in_thread(fail_over, cluster)
        assert sorted(await us.ask_all(*["count"] * 5)) == [3, 4, 5, 6, 7]
        assert await us.in_thread(us.connections.run, ECHO, b"count") == [8]

    with SentinelCluster(tmp_path) as cluster:
        Office(cluster.url, 5.0).run(work)


def test_what_must_not_share_the_connection_runs_in_a_thread(server: Valkey) -> None:
    """WAIT would hold up everybody behind it, and redis-py blocks."""

    async def work(us: Office) -> None:
        await us.ask("first")
        server.pause()
        tasks = [
            asyncio.ensure_future(us.guest(us.connections.run, ECHO, b"count", [("WAIT", 0, 100)])),
            asyncio.ensure_future(us.guest(us.connections.send, ("PING",))),
            asyncio.ensure_future(us.guest(us.connections.run_each, ECHO, [b"x", b"y"])),
            asyncio.ensure_future(us.guest(us.client.time)),
        ]
        began = time.monotonic()
        await asyncio.sleep(0.1)
        assert time.monotonic() - began < 1, "the loop was not held up"
        server.resume()
        counted, pong, both, _ = await asyncio.gather(*tasks)
        assert (counted[1], pong, both) == (0, "PONG", ["x", "y"])
        with pytest.raises(AssertionError):
            await us.guest(us.client.pipeline)

    office(server).run(work)
