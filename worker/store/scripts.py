"""The Lua scripts in ``lua/``: which there are, what is put before each and which KEYS it gets; and how they run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis

from worker.store import keys
from worker.store.connection import Script, translated
from worker.store.durability import Wait

LUA = Path(__file__).parent / "lua"
#: The scripts, each with what is put before it.
SCRIPTS = {
    "accept": ("common",),
    "claim": ("common", "upstream"),
    "renew": ("common",),
    "finish": ("common", "upstream"),
    "pace": ("common", "upstream"),
    "pause": ("common",),
    "resume": ("common", "upstream"),
    "probe_now": ("common", "upstream"),
    "retry_now": ("common",),
    "discard": ("common",),
    "edit": ("common",),
    "sweep": ("common", "upstream"),
    "forget": ("common",),
    "quarantine": ("common",),
    "release": ("common",),
    "open_operation": ("common",),
    "take_operation": ("common",),
    "turn_operation": ("common",),
    "move": ("common",),
    "restore": ("common",),
    "note_account": ("common",),
    "ping": ("common",),
    "put_back": ("common",),
    "erase": ("common",),
    "try_sign_in": ("common",),
}

#: KEYS of the scripts that need others than those of a contact.
KEYS_OF: dict[str, Callable[[str], tuple[str, ...]]] = {
    "sweep": lambda _: keys.for_sweep(),
    "quarantine": keys.for_quarantined,
    "release": keys.for_quarantined,
    "open_operation": lambda _: keys.for_operations(),
    "turn_operation": keys.for_operation,
    "move": keys.for_operation,
    "restore": keys.for_operation,
    "note_account": lambda _: keys.for_account(),
    "try_sign_in": keys.for_tries,
}


class Scripts:
    """All of them, over the connections of one client."""

    def __init__(self, client: redis.Redis) -> None:
        self._scripts = {name: Script(client, _source(*before, name)) for name, before in SCRIPTS.items()}

    def run(self, name: str, key: str, args: Sequence[str | float], wait: Wait | None = None) -> Any:
        """What a script returns; ``key`` names what it changes. ``wait``: until it is as safe as that says."""
        script, script_keys = self._scripts[name], KEYS_OF.get(name, keys.for_contact)(key)
        with translated():
            if wait is None:
                return script(script_keys, args)
            answer, *_, done = script.then(script_keys, args, wait.commands, wait.ms / 1000)
        wait.check(done)
        return answer


def _source(*names: str) -> str:
    return "".join((LUA / f"{name}.lua").read_text() for name in names)
