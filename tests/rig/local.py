"""What ``make run`` starts: decided by the environment, by ``.env``, and by what an earlier run left in its folder.

Without any setting the system is complete on this machine. ``REDIS_URL`` puts your Redis in the place of the embedded
Valkey, ``LIVEDESK_API_KEY`` the real LiveDesk in the place of the stand-in.
"""

import base64
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from tests.rig.parts import (
    ROOT,
    STAND_IN_ACCOUNT,
    WORKER_STOP_S,
    Stack,
)
from tests.rig.processes import StartError, is_free
from webhook_app.configuration import read_configuration
from worker.errors import SettingsError, StoreError
from worker.settings import Settings
from worker.store.connection import connect
from worker.store.store import Store

#: Ports, each with the variable that chooses another.
PORTS = {"PORT": 8000, "STAND_IN_PORT": 8001, "VALKEY_PORT": 6390}
#: How many of something there are to be: for ``bin/web`` and ``bin/worker``, which hand it on as it is.
COUNTS = ("WEB_PROCESSES", "WEB_THREADS", "WORKER_CONCURRENCY")
#: Seconds that a worker may take to stop beyond the time that a request to LiveDesk may last.
STOP_MARGIN_S = 15.0
#: Seconds to wait for a Redis that the user named.
REDIS_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Local:
    """A stack that can be started, and what a person has to know to use it."""

    stack: Stack
    #: The secrets that we made, by variable; those that the user gave are not repeated on a screen.
    made: Mapping[str, str]
    #: The names of the sources.
    sources: tuple[str, ...]
    #: For ``flask --env-file``: what the commands need to reach this stack.
    env_file: Path
    #: What is wrong with the Redis that the user gave, in sentences.
    redis_problems: tuple[str, ...] = ()


def read_environment(env_file: Path) -> dict[str, str]:
    """The environment, and below it what ``.env`` says. An empty value counts as not given."""
    given = {**dotenv_values(env_file, interpolate=False), **os.environ}
    return {name: value for name, value in given.items() if value}


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Hold the folder: two Valkeys that write the same files would ruin them.

    Raises:
        StartError: another run holds it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it will hold personal data
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartError(
                f"Another `make run` is using {folder}. Stop it first, or give this one --data."
            ) from error
        yield


def prepare(folder: Path, environ: Mapping[str, str]) -> Local:
    """Decide what runs here; nothing is started yet.

    Raises:
        StartError: with a sentence for each mistake in the environment, or because the Redis it names is not there.
    """
    made = _make_secrets(folder, environ)
    env = {**environ, **{f"{name}_FILE": str(folder / _file_name(name)) for name in made}}
    embeds_redis = not _is_given(environ, "REDIS_URL")
    stands_in = not _is_given(environ, "LIVEDESK_API_KEY")
    port = _port(environ, "PORT")
    valkey_port = _port(environ, "VALKEY_PORT") if embeds_redis else None
    stand_in_port = _port(environ, "STAND_IN_PORT") if stands_in else None
    _check_counts(environ)
    settings, sources = _check(env | STAND_IN_ACCOUNT if stands_in else env)
    stack = Stack(
        folder,
        env,
        port=port,
        valkey_port=valkey_port,
        stand_in_port=stand_in_port,
        worker_stop_s=max(WORKER_STOP_S, settings.livedesk_timeout_s + STOP_MARGIN_S),
    )
    env_file = folder / "run.env"
    ours = {name: stack.env[name] for name in stack.env.keys() - environ.keys()} | {"PORT": str(port)}
    _write_private(env_file, "".join(f"{name}={ours[name]}\n" for name in sorted(ours)))
    for part in stack.parts:
        part.log.unlink(missing_ok=True)
    return Local(stack, made, sources, env_file, () if embeds_redis else _look_at_redis(settings))


def _is_given(environ: Mapping[str, str], name: str) -> bool:
    return name in environ or f"{name}_FILE" in environ


def _make_secrets(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets that the user did not give, by variable; made at the first run and kept for the next."""
    made = {}
    has_sources = "SOURCES_FILE" in environ or (ROOT / Settings.sources_file).exists()
    if not has_sources and not _is_given(environ, "WEBHOOK_SECRET"):
        made["WEBHOOK_SECRET"] = _kept(folder, "WEBHOOK_SECRET", _webhook_secret)
    if not _is_given(environ, "API_TOKEN"):
        made["API_TOKEN"] = _kept(folder, "API_TOKEN", lambda: secrets.token_urlsafe(24))
    if not _is_given(environ, "DASHBOARD_PASSWORD"):
        made["DASHBOARD_PASSWORD"] = _kept(folder, "DASHBOARD_PASSWORD", lambda: secrets.token_urlsafe(12))
    return made


def _webhook_secret() -> str:
    """As Standard Webhooks writes them."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _kept(folder: Path, name: str, make: Callable[[], str]) -> str:
    path = folder / _file_name(name)
    if not path.exists():
        _write_private(path, make())
    return path.read_text(encoding="utf-8").strip()


def _file_name(variable: str) -> str:
    return variable.lower().replace("_", "-")


def _write_private(path: Path, text: str) -> None:
    """A file that only we may read, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="utf-8")


def _port(environ: Mapping[str, str], name: str) -> int:
    """The port that a variable names, or its default; nobody may be listening there."""
    text = environ.get(name, str(PORTS[name]))
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise StartError(f"{name} must be a port, a number from 1 to 65535.")
    if not is_free(int(text)):
        raise StartError(f"Port {text} is taken by another program. Stop that, or choose another port with {name}.")
    return int(text)


def _check_counts(environ: Mapping[str, str]) -> None:
    for name in COUNTS:
        text = environ.get(name, "1")
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 1000:
            raise StartError(f"{name} must be a number from 1 to 1000.")


def _check(env: Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    """The settings, and the names of the sources."""
    try:
        settings, sources = read_configuration(env)
        return settings, tuple(sources)
    except SettingsError as error:
        raise StartError(str(error)) from error


def _look_at_redis(settings: Settings) -> tuple[str, ...]:
    """What would lose deliveries there; that is for the user to weigh, as long as we can work."""
    with connect(settings.redis_url, timeout_s=REDIS_TIMEOUT_S) as client:
        try:
            return Store(client).overview.health().problems
        except StoreError as error:
            raise StartError(f"The Redis that REDIS_URL names cannot be used: {error}.") from error
