"""Repeated facts agree: Procfile, image, compose file, settings, locks."""

import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rig.local import PORTS
from tests.rig.parts import ROOT, receiver, worker
from tests.rig.valkey import DURABLE, Valkey
from worker.settings import load_settings

COMMANDS = {"web": "bin/web", "worker": "bin/worker"}
ASSIGNMENT = re.compile(r"^(?:# )?([A-Z_]+)=(.*)$", re.MULTILINE)
#: A variable with its default, in a shell script.
DEFAULT = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(text_of("docker-compose.yml"))["services"]
    return services


class Recording(Mapping[str, str]):
    """An environment that records which names were read."""

    def __init__(self, **given: str) -> None:
        self.given = given
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return self.given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)


def test_web_and_worker_are_the_same_two_scripts_everywhere(services: dict[str, Any], tmp_path: Path) -> None:
    assert dict(line.split(": ") for line in text_of("Procfile").splitlines()) == COMMANDS
    assert {name: services[name]["command"] for name in COMMANDS} == {name: [path] for name, path in COMMANDS.items()}
    ours = {"web": receiver(1, env={}, log=tmp_path), "worker": worker(env={}, log=tmp_path)}
    assert {name: process.command for name, process in ours.items()} == {
        name: [str(ROOT / path)] for name, path in COMMANDS.items()
    }
    assert 'CMD ["bin/web"]' in text_of("Dockerfile")
    for path in COMMANDS.values():
        assert (ROOT / path).stat().st_mode & 0o111
        subprocess.run(["/bin/sh", "-n", str(ROOT / path)], check=True)


def test_the_image_has_what_the_scripts_need_and_nothing_is_ignored_that_it_copies() -> None:
    copied = re.findall(r"^COPY (\S+?)/? ", text_of("Dockerfile"), re.MULTILINE)
    assert set(copied) == {"requirements.txt", "bin", "worker", "webhook_app"}
    assert [line[1:] for line in text_of(".dockerignore").splitlines() if line.startswith("!")] == copied


def test_redis_is_durable_in_compose_as_in_make_run(services: dict[str, Any], tmp_path: Path) -> None:
    command = services["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options == {f"--{name}": value for name, value in DURABLE.items()}
    embedded = Valkey(tmp_path, port=1).command
    assert all(embedded[embedded.index(name) + 1] == value for name, value in options.items())
    assert services["redis"]["volumes"] == ["redis:/data"]


def test_images_can_be_pinned_by_digest(services: dict[str, Any]) -> None:
    """Compose and the Dockerfile name the same image of Python; neither names a digest that nobody has looked up."""
    [python] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", text_of("Dockerfile"), re.MULTILINE)
    assert "FROM ${PYTHON_IMAGE}" in text_of("Dockerfile")
    assert services["web"]["build"]["args"] == {"PYTHON_IMAGE": f"${{PYTHON_IMAGE:-{python}}}"}
    assert services["redis"]["image"].startswith("${VALKEY_IMAGE:-valkey/valkey:")
    assert not any("sha256:" in text_of(name) for name in ("Dockerfile", "docker-compose.yml"))


def test_compose_waits_checks_and_restarts(services: dict[str, Any]) -> None:
    for name in COMMANDS:
        assert services[name]["restart"] == "unless-stopped"
        assert services[name]["depends_on"]["redis"]["condition"] == "service_healthy"
        assert services[name]["environment"]["REDIS_URL"] == "redis://redis:6379/0"
        assert services[name]["healthcheck"]["test"][0] == "CMD"
    assert "/readyz" in services["web"]["healthcheck"]["test"][-1]
    timeout_s = load_settings({"LIVEDESK_API_KEY": "k", "LIVEDESK_API_SECRET": "s"}).livedesk_timeout_s
    assert int(services["worker"]["stop_grace_period"].removesuffix("s")) > timeout_s + 15


def test_the_example_settings_are_all_that_there_are() -> None:
    environment = Recording(LIVEDESK_API_KEY="k", LIVEDESK_API_SECRET="s")
    load_settings(environment)
    read = {name for name in environment.read if f"{name}_FILE" in environment.read}
    of_scripts = {name for path in COMMANDS.values() for name, _ in DEFAULT.findall(text_of(path))}
    shown = {name for name, _ in ASSIGNMENT.findall(text_of(".env.example"))}
    assert shown == read | of_scripts | PORTS.keys()


def test_the_example_shows_the_defaults() -> None:
    shown = dict(reversed(ASSIGNMENT.findall(text_of(".env.example"))))
    required = {"LIVEDESK_API_KEY": "k", "LIVEDESK_API_SECRET": "s"}
    examples = {"SENTRY_ENVIRONMENT"}
    given = {name: value for name, value in shown.items() if value and name not in examples} | required
    assert load_settings(given) == load_settings(required)
    scripts = dict(default for path in COMMANDS.values() for default in DEFAULT.findall(text_of(path)))
    assert {name: shown[name] for name in scripts} == scripts
    assert {name: int(shown[name]) for name in PORTS} == PORTS


def test_the_demo_in_compose_fits_its_example_settings(services: dict[str, Any]) -> None:
    demo = text_of(".env.example").rpartition("--profile demo")[2]
    shown = dict(ASSIGNMENT.findall(demo))
    options = services["livedesk"]["command"]
    assert f"--api-key={shown['LIVEDESK_API_KEY']}" in options
    assert f"--api-secret={shown['LIVEDESK_API_SECRET']}" in options
    assert shown["LIVEDESK_BASE_URL"] == "http://livedesk:8001"
    assert "--port=8001" in options


LOCKS = ("requirements.txt", "requirements-run.txt", "requirements-dev.txt")
#: The packages of the peers in the bench, apart from the others.
PEERS = "requirements-bench.txt"


@pytest.mark.parametrize("lock", [*LOCKS, PEERS])
def test_locks_pin_every_package_by_hash_and_name_no_place(lock: str) -> None:
    text = text_of(lock)
    for package in re.split(r"\n(?=[a-z])", text.partition("make lock\n")[2]):
        assert re.match(r"[a-z0-9-]+==\S+", package)
        assert "--hash=sha256:" in package
    assert not re.search(r"://|--(?!hash)[a-z]", text)


def test_each_lock_is_within_the_next_one_and_has_what_the_project_names() -> None:
    pins = [set(re.findall(r"^[a-z0-9-]+==[^ ;]+", text_of(name), re.MULTILINE)) for name in (*LOCKS, PEERS)]
    runtime, run, dev, bench = pins
    assert runtime <= run <= dev
    project = tomllib.loads(text_of("pyproject.toml"))
    groups = project["dependency-groups"]
    locks = (runtime, project["project"]["dependencies"]), (run, groups["run"]), (dev, groups["dev"])
    for locked, named in (*locks, (bench, groups["bench"])):
        names = {re.split(r"[\[<>=]", requirement)[0] for requirement in named if isinstance(requirement, str)}
        assert names <= {pin.partition("==")[0] for pin in locked}
