"""The scripts as files, and on a Redis Cluster."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.rig.processes import free_port
from tests.rig.valkey import Valkey
from tests.world import ADA, CONFLICT, CREATED, World, make_store, wait_until
from worker.actions import BulkAction, Command
from worker.model import Contact, Origin, Quarantined, State, UpstreamPolicy
from worker.store import keys
from worker.store.connection import connect
from worker.store.database import LIBRARIES, LUA, scripts, source_of
from worker.store.lists import Filter
from worker.store.queue import Envelope
from worker.store.store import Store

SCRIPTS = sorted(path.stem for path in LUA.glob("*.lua") if path.stem not in LIBRARIES)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_takes_one_prefix_and_one_table(name: str) -> None:
    """Everything else would need a position that the reader has to count."""
    assert set(re.findall(r"\b(?:KEYS|ARGV)\b(?:\[\w+\])?", source_of(name))) == {"KEYS[1]", "ARGV[1]"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_header_names_every_argument_that_the_script_uses(name: str) -> None:
    text = (LUA / f"{name}.lua").read_text()
    header = re.match(r"(?:--.*\n)+", text)
    assert header
    assert "Returns" in header[0]
    used = set(re.findall(r"\bargs\.(\w+)", text)) - {"key", "shift_ms"}
    if "include: operation" in header[0]:
        used.discard("operation")
    assert {argument for argument in used if not re.search(rf"\b{argument}\b", header[0])} == set()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """A cluster of one node, which refuses a script with keys of several slots."""
    folder: Path = tmp_path_factory.mktemp("cluster")
    config = {"cluster-enabled": "yes", "cluster-port": str(free_port())}
    with Valkey(folder, port=free_port(), config=config) as server:
        client: Any = connect(server.url, timeout_s=5)
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")), "the cluster is up")
        yield client
        client.close()


def test_every_step_works_on_a_cluster(node: Any) -> None:
    world = World(node, store=make_store(node))
    store = world.store
    key = world.bring(ADA, CONFLICT)
    store.queue.sweep("host")
    opened = store.operations.open(BulkAction.RETRY, Filter(state=State.CONFLICT), who="", why="", total=1)
    store.operations.step()
    assert store.operations.command(opened, Command.UNDO)
    store.operations.step()
    assert world.record("ada").state is State.CONFLICT
    for action in (BulkAction.ADOPT, BulkAction.KNOWN):
        opened = store.operations.open(action, Filter(state=State.CONFLICT), who="", why="", total=1)
        store.operations.step()
        assert world.record("ada").state is not State.CONFLICT
        assert store.operations.command(opened, Command.UNDO)
        store.operations.step()
        assert world.record("ada").state is State.CONFLICT
    assert store.contacts.mark_known(key, "12") == "known"
    assert store.contacts.recreate(key, "12", ADA)
    claim = world.claim("ada", sends=False)
    assert store.contacts.renew(claim)
    assert world.finish(claim, CREATED).written
    assert store.contacts.erase(key).result == "erased"
    store.quarantine.add(Quarantined(source="signup", payload="{}", problems={}, headers={}))
    assert store.rate_limiter.try_sign_in("127.0.0.1").wait_ms == 0
    assert store.upstream.pause("ada", "")
    assert store.upstream.resume()
    slots = {node.execute_command("CLUSTER", "KEYSLOT", name) for name in node.scan_iter()}
    assert len(slots) == 1
    assert node.exists(keys.SALT)


@pytest.mark.parametrize("path", sorted(LUA.glob("*.lua")), ids=lambda path: path.stem)
def test_no_script_sends_a_number_that_may_be_minus_zero(path: Path) -> None:
    """Redis 7.0 writes Lua's -0 as "-0", which its commands refuse as no integer; Valkey writes 0."""
    calls = [line for line in path.read_text().splitlines() if re.search(r"redis\.p?call\(.*, -[a-z]", line)]
    assert all(re.match(r"\s*if (\w+) > 0 then .*, -\1\)", line) for line in calls), calls


@pytest.mark.parametrize("template", ["@key@ @id@", "'@key@' \"@id@\"", "\\ @key@ \\' @id@ \\", "%1 @key@ %% @id@"])
def test_a_message_is_made_of_its_template(template: str, client: redis.Redis) -> None:
    store = Store(client, Envelope(template), policy=UpstreamPolicy(10.0))
    store.contacts.accept(Contact("ada"), Origin("signup"))
    message = str(client.rpop(keys.QUEUE))
    expected = re.escape(template.replace("@key@", store.key_of("ada"))).replace("@id@", "[0-9a-f]{16}")
    assert re.fullmatch(expected, message)


def test_all_stores_of_a_process_share_the_scripts() -> None:
    assert scripts() is scripts()
    assert sorted(scripts()) == SCRIPTS
