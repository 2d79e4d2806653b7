"""``python -m bench.hops``: list our files that one delivery executes.

From the POST to the contact in LiveDesk. A first delivery warms everything up; the second one is traced.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import redis

from tests.livedesk import serve
from tests.rig.parts import ROOT
from tests.rig.valkey import Valkey
from worker.model import State
from worker.settings import load_settings
from worker.store import keys

SECRET = "whsec_dGhlLXNlY3JldC1vZi10aGUtdGVzdHMtMDEyMzQ1"
PACKAGES = tuple(f"{ROOT / name}{os.sep}" for name in ("worker", "webhook_app"))
LUA = ROOT / "worker" / "store" / "lua"


@contextmanager
def traced() -> Iterator[set[str]]:
    """Collect the Python files of ours whose functions are called in this block."""
    files: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(PACKAGES) and frame.f_code.co_name != "<module>":
            files.add(str(Path(name).relative_to(ROOT)))

    sys.setprofile(note)
    try:
        yield files
    finally:
        sys.setprofile(None)


@contextmanager
def scripts_of(url: str) -> Iterator[dict[str, list[str]]]:
    """Collect the scripts that Redis runs in this block, by digest, with their files."""
    scripts: dict[str, list[str]] = {}
    with redis.Redis.from_url(url, decode_responses=True) as client, client.monitor() as monitor:
        yield scripts
        client.echo("the end")
        for command in monitor.listen():
            text = str(command["command"])
            if text.endswith("the end"):
                break
            if found := re.match(r"EVALSHA (\w+) ", text, re.IGNORECASE):
                source = str(client.execute_command("SCRIPT", "SHOW", found[1]))
                files = [path.name for path in sorted(LUA.rglob("*.lua")) if path.read_text().strip() in source]
                scripts[found[1]] = files


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, serve() as livedesk:
        socket = Path(folder) / "redis.sock"
        with Valkey(Path(folder), unix_socket=socket, config={"appendfsync": "no"}) as server:
            account = {"LIVEDESK_API_KEY": "demo-key", "LIVEDESK_API_SECRET": "demo-secret", "LIVEDESK_INBOX_ID": "1"}
            environment = {"REDIS_URL": server.url, "LIVEDESK_BASE_URL": livedesk.url, "WEBHOOK_SECRET": SECRET}
            # As for a command, which starts no threads of its own.
            quiet = {"FLASK_RUN_FROM_CLI": "true", "LOG_LEVEL": "ERROR"}
            os.environ.update(account | environment | quiet)
            deliver(server.url)


def deliver(redis_url: str) -> None:
    """Send two deliveries, and print what the second one executed."""
    # Reads the environment when it is imported.
    from webhook_app.wsgi import app
    from worker import tasks

    tasks._parts = tasks.join(load_settings())
    web = app.test_client()

    def post(identifier: str) -> None:
        headers = {"Authorization": f"Bearer {SECRET}"}
        answer = web.post("/webhooks/signup", json={"identifier": identifier, "name": "Ada"}, headers=headers)
        assert answer.status_code == 200, answer.text

    with redis.Redis.from_url(redis_url, decode_responses=True) as client:

        def pending() -> str:
            """Return the key of the one contact that is pending."""
            waiting: Any = client.zrange(keys.state(State.PENDING), 0, -1)
            return str(waiting[0])

        post("warm-up")
        tasks.create_contact(pending())
        with scripts_of(redis_url) as scripts:
            with traced() as receiving:
                post("ada")
            key = pending()
            with traced() as sending:
                tasks.create_contact(key)
    show("receiver", receiving)
    show("worker", sending)
    lua = {name for names in scripts.values() for name in names}
    show("Lua", lua)
    print(f"{len(receiving | sending)} Python files, {len(scripts)} scripts of {len(lua)} Lua files")


def show(what: str, files: set[str]) -> None:
    print(f"{what} ({len(files)}):", *sorted(files), sep="\n  ")


if __name__ == "__main__":
    main()
