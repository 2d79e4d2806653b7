"""Each source has its share of the quarantine, and takes no room from others."""

import random
from dataclasses import replace

import pytest
import redis

from tests.world import World
from worker.errors import StoreError, StoreFull, TooLargeToKeep
from worker.model import Quarantined
from worker.store import keys, quarantine
from worker.store.counters import Total
from worker.store.quarantine import Limits

ONE = Quarantined(source="form", payload='{"name": "Ada"}', problems={"identifier": "is missing"}, headers={})
CLASH = replace(ONE, source="shop", clash="app")


def noise(kilobytes: int, seed: int = 0) -> str:
    """Return text that takes so much room also when it is compressed."""
    return random.Random(seed).randbytes(kilobytes * 512).hex()


def payloads(world: World, source: str) -> list[str]:
    return [one.payload for one in world.store.quarantine.page(limit=1000) if one.source == source]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_ENTRIES", 3)


@pytest.mark.usefixtures("small")
def test_a_source_evicts_its_own_oldest_and_nobody_elses(world: World) -> None:
    world.store.quarantine.add(replace(ONE, source="shop"))
    for number in range(5):
        world.advance(1000)
        world.store.quarantine.add(replace(ONE, payload=str(number)))
    assert payloads(world, "form") == ["2", "3", "4"]
    assert payloads(world, "shop") == [ONE.payload]
    assert world.store.quarantine.evicted() == {"form": Total(2, 2)}


@pytest.mark.usefixtures("small")
def test_clashes_are_not_evicted_and_stop_nobody_else(world: World) -> None:
    for number in range(3):
        world.store.quarantine.add(replace(CLASH, payload=str(number)))
    before = world.snapshot()
    with pytest.raises(StoreFull):
        world.store.quarantine.add(replace(CLASH, payload="3"))
    world.store.quarantine.add(replace(CLASH, payload="1"))
    assert world.snapshot() == before
    world.store.quarantine.add(replace(CLASH, payload="3", clash="crm"))
    world.store.quarantine.add(replace(CLASH, payload="3", clash="", source="app"))
    world.store.quarantine.add(replace(ONE, source="shop"))
    assert world.store.quarantine.evicted() == {}


def test_the_bytes_of_a_share_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_SHARE_BYTES", 40_000)
    for number in range(8):
        world.advance(1000)
        world.store.quarantine.add(replace(ONE, payload=noise(8, number)))
    kept = payloads(world, "form")
    assert kept == [noise(8, number) for number in range(8)][-len(kept) :]
    assert 3 < len(kept) < 8
    assert int(world.client.hget(keys.QUARANTINE_BYTES, "form")) <= 40_000  # type: ignore[arg-type]


def test_beyond_the_bytes_of_all_the_largest_share_loses_its_oldest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_TOTAL_BYTES", 60_000)
    monkeypatch.setattr(quarantine, "PART_OF_TOTAL", 1)
    for number in range(10):
        world.advance(1000)
        world.store.quarantine.add(replace(ONE, payload=noise(8, number)))
    for source in ("a", "b"):
        world.store.quarantine.add(replace(ONE, source=source, payload=noise(8)))
    assert [len(payloads(world, source)) for source in ("a", "b")] == [1, 1]
    assert 0 < len(payloads(world, "form")) < 10
    assert list(world.store.quarantine.evicted()) == ["form"]


def test_a_script_evicts_some_at_a_time_and_is_run_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        world.store.quarantine.add(replace(ONE, payload=str(number)))
    monkeypatch.setattr(quarantine, "MAX_ENTRIES", 2)
    monkeypatch.setattr(quarantine, "MAX_EVICTED", 3)
    world.advance(1)  # entries of one millisecond are in no order
    world.store.quarantine.add(replace(ONE, payload="last"))
    assert payloads(world, "form")[-1] == "last"
    assert world.store.quarantine.size() == 2


def test_payloads_are_compressed(world: World, client: redis.Redis) -> None:
    payload = '{"a": "' + 819_000 * "x" + '"}'
    world.store.quarantine.add(replace(ONE, payload=payload))
    [kept] = world.store.quarantine.page()
    assert kept.payload == payload
    assert (client.memory_usage(keys.quarantined(kept.entry)) or 0) < 10_000
    assert [one.payload for one in world.store.quarantine.page(with_payloads=False)] == [""]


def test_a_delivery_larger_than_its_share_allows_is_rejected(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_ENTRY_BYTES", 5_000)
    with pytest.raises(TooLargeToKeep):
        world.store.quarantine.add(replace(ONE, payload=noise(8)))
    assert world.store.quarantine.size() == 0


def test_a_payload_that_unpacks_to_too_much_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.store.quarantine.add(replace(ONE, payload=noise(8)))
    [kept] = world.store.quarantine.page(with_payloads=False)
    monkeypatch.setattr(quarantine, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(StoreError, match="too large"):
        world.store.quarantine.read(kept.entry)


def test_entries_of_an_earlier_version_are_read_replaced_and_removed(world: World, client: redis.Redis) -> None:
    old = {"source": "form", "payload": '{"a": 1}', "problems": "{}", "headers": "{}"}
    entry = world.store.key_of('form\n{"a": 1}')
    for name, fields in (("old", old), (entry, old)):
        client.hset(keys.quarantined(name), mapping=fields)  # type: ignore[arg-type]
        client.zadd(keys.QUARANTINE, {name: world.now()})
    assert payloads(world, "form") == ['{"a": 1}', '{"a": 1}']
    world.store.quarantine.add(replace(ONE, payload='{"a": 1}', problems={}))
    assert client.hget(keys.quarantined(entry), "payload") is None, "stored anew, and compressed"
    assert payloads(world, "form") == ['{"a": 1}', '{"a": 1}']
    assert world.store.quarantine.release("old")
    assert payloads(world, "form") == ['{"a": 1}']


def test_clashes_of_an_earlier_version_are_listed(world: World, client: redis.Redis) -> None:
    world.store.quarantine.add(CLASH)
    old = {"source": "shop", "payload": "{}", "problems": "{}", "headers": "{}", "clash": "app"}
    client.hset(keys.quarantined("old"), mapping=old)  # type: ignore[arg-type]
    client.zadd(keys.QUARANTINE, {"old": world.now() - 1000})
    client.hincrby(keys.CLASHES, "shop app", 1)
    assert [one.payload for one in world.store.quarantine.page(clash=("shop", "app"))] == ["{}", CLASH.payload]


@pytest.mark.parametrize(
    ("memory", "limits"),
    [
        (0, Limits(64 * 1024**2, 16 * 1024**2, 4 * 1024**2)),
        (100_000_000, Limits(10_000_000, 2_500_000, 625_000)),
        (10**12, Limits(64 * 1024**2, 16 * 1024**2, 4 * 1024**2)),
    ],
)
def test_a_small_redis_has_a_small_quarantine(memory: int, limits: Limits) -> None:
    assert Limits.of(memory) == limits
