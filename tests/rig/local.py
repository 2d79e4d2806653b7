"""What ``make run`` starts, from the environment, ``.env`` and earlier runs.

Without any setting, the system is complete on this machine. ``REDIS_URL`` replaces the embedded Valkey with your Redis,
``LIVEDESK_API_KEY`` replaces the stand-in with the real LiveDesk.
"""

import base64
import fcntl
import os
import re
import secrets
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from tests.rig.parts import ROOT, STAND_IN_ACCOUNT, Stack
from tests.rig.processes import StartError, is_free
from webhook_app.configuration import read_configuration
from worker.errors import SettingsError, StoreError
from worker.settings import Settings
from worker.store.connection import connect
from worker.store.store import Store

#: The ports, each with the variable that overrides it.
PORTS = {"PORT": 8000, "STAND_IN_PORT": 8001, "VALKEY_PORT": 6390}
#: Variables of ``bin/web`` and ``bin/worker``, which do not check them.
COUNTS = ("WEB_PROCESSES", "WEB_THREADS", "WORKER_CONCURRENCY")
#: A value that needs no quotes in an env file.
PLAIN = re.compile("[A-Za-z0-9_./:@%+=,-]+")
#: Seconds to wait for a Redis that ``REDIS_URL`` names.
REDIS_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Local:
    """A stack that can be started, and what you need to know to use it.

    ``generated`` has the secrets that we made, by variable; your own are not printed. ``sources`` are the names of the
    sources. ``env_file`` is for ``flask --env-file``: it has the variables that the configuration reads, and all that
    came from an env file. ``redis_problems`` says, in sentences, what is wrong with your Redis.
    """

    stack: Stack
    generated: Mapping[str, str]
    sources: tuple[str, ...]
    env_file: Path
    redis_problems: tuple[str, ...] = ()


def read_environment(env_file: Path) -> dict[str, str]:
    """Return the environment, completed by ``.env``; empty values are not set."""
    given = {**dotenv_values(env_file, interpolate=False), **os.environ}
    return {name: value for name, value in given.items() if value}


class Observed(UserDict[str, str]):
    """An environment that records the names of the variables that were read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.read: set[str] = set()
        super().__init__(environ)

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return super().__getitem__(name)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Lock the folder: two Valkeys that write the same files would corrupt them.

    Raises:
        StartError: another run has locked it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartError(f"Another `make run` uses {folder}. Stop it first, or choose another --data.") from error
        make_private(folder)
        yield


def make_private(folder: Path) -> None:
    """Let nobody else read the folder, nor what is in it and what is created later.

    It contains personal data: Redis's files, logs, and the contacts of the stand-in. Child processes inherit the umask.
    """
    os.umask(0o077)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o077)


def prepare(folder: Path, environ: Mapping[str, str]) -> Local:
    """Decide what to run. Nothing is started yet.

    Raises:
        StartError: with a sentence for each mistake in the environment, or because its Redis cannot be used.
    """
    generated = _generate_secrets(folder, environ)
    env = {**environ, **{f"{name}_FILE": str(_secret_file(folder, name)) for name in generated}}
    own_redis, own_livedesk = _is_set(environ, "REDIS_URL"), _is_set(environ, "LIVEDESK_API_KEY")
    port = _port(environ, "PORT")
    valkey_port = None if own_redis else _port(environ, "VALKEY_PORT")
    stand_in_port = None if own_livedesk else _port(environ, "STAND_IN_PORT")
    for name in COUNTS:
        _number(name, environ.get(name, "1"), 1000, "a number from 1 to 1000")
    observed = Observed(env if own_livedesk else env | STAND_IN_ACCOUNT)
    try:
        settings, sources = read_configuration(observed)
    except SettingsError as error:
        raise StartError(str(error)) from error
    stack = Stack(
        folder,
        env,
        port=port,
        valkey_port=valkey_port,
        stand_in_port=stand_in_port,
        stand_in_options=("--file", str(folder / "livedesk.jsonl")),
    )
    env_file = folder / "run.env"
    names = (observed.read & stack.env.keys()) | (stack.env.keys() - os.environ.keys())
    ours = {name: stack.env[name] for name in names} | {"PORT": str(port)}
    _write_private(env_file, "".join(f"{name}={_quoted(ours[name])}\n" for name in sorted(ours)))
    return Local(stack, generated, tuple(sources), env_file, _check_redis(settings) if own_redis else ())


def _quoted(value: str) -> str:
    """Return a value as python-dotenv reads it from an env file."""
    if PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return name in environ or f"{name}_FILE" in environ


def _generate_secrets(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets you did not set, generated once and stored for later runs."""
    makers: dict[str, Callable[[], str]] = {
        # As Standard Webhooks writes them.
        "WEBHOOK_SECRET": lambda: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "API_TOKEN": lambda: secrets.token_urlsafe(24),
        "DASHBOARD_PASSWORD": lambda: secrets.token_urlsafe(12),
    }
    if "SOURCES_FILE" in environ or (ROOT / Settings.sources_file).exists():
        del makers["WEBHOOK_SECRET"]
    generated = {}
    for name, make in makers.items():
        if not _is_set(environ, name):
            path = _secret_file(folder, name)
            if not path.exists():
                _write_private(path, make())
            generated[name] = path.read_text(encoding="utf-8").strip()
    return generated


def _secret_file(folder: Path, variable: str) -> Path:
    return folder / variable.lower().replace("_", "-")


def _write_private(path: Path, text: str) -> None:
    """Write a file that was never readable by anybody else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="utf-8")


def _port(environ: Mapping[str, str], name: str) -> int:
    port = _number(name, environ.get(name, str(PORTS[name])), 65535, "a port, a number from 1 to 65535")
    if not is_free(port):
        raise StartError(f"Port {port} is in use by another program. Stop that, or set {name} to another port.")
    return port


def _number(name: str, text: str, highest: int, what: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= highest:
        raise StartError(f"{name} must be {what}.")
    return int(text)


def _check_redis(settings: Settings) -> tuple[str, ...]:
    """Return how your Redis may lose deliveries. You decide whether that matters."""
    with connect(settings.redis_url, timeout_s=REDIS_TIMEOUT_S) as client:
        try:
            health = Store(client).overview.health()
            return health.problems + health.warnings
        except StoreError as error:
            raise StartError(f"The Redis that REDIS_URL names cannot be used: {error}.") from error
