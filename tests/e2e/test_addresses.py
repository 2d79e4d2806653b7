"""Every kind of address of Redis in docs/configuration.md, with real processes.

A delivery goes through the receiver, Redis and a worker to LiveDesk, and ``flask doctor`` agrees. The users have
passwords with special characters; Redis's default user may do next to nothing.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from tests.e2e.conftest import checked
from tests.e2e.system import BEARER, FAST, System, call
from tests.e2e.test_failover import swept
from tests.rig.cluster import Cluster
from tests.rig.parts import ROOT, STAND_IN_ACCOUNT, TEST_ENV, Stack, bare_environment, stand_in
from tests.rig.processes import LOCALHOST, Process, StartError, free_port
from tests.rig.sentinel import SERVICE, Sentinel, say
from tests.rig.tls import Authority, Front
from tests.rig.valkey import Valkey
from tests.world import wait_until

USER, PASSWORD = "the@app", "p@:/#?%+ ä&=[\U0001f600"
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
#: What Redis's own user may still do: what the tests and the other servers need to watch it.
WATCH = ("on", "nopass", "allkeys", "allchannels", "+@all", "-@write", "-@scripting")

#: Starts what an address needs, and returns the address and the number of the database that it names.
Servers = Callable[[Path, ExitStack], tuple[str, int]]


def require_login(**connection: object) -> None:
    """Add our user, whom alone the scripts are allowed."""
    with redis.Redis(**connection) as client:  # type: ignore[arg-type]
        client.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{PASSWORD}", "~*", "&*", "+@all")
        client.execute_command("ACL", "SETUSER", "default", "reset", *WATCH)


def host(folder: Path, running: ExitStack) -> tuple[str, int]:
    server = running.enter_context(Valkey(folder / "valkey", port=free_port()))
    require_login(port=server.port)
    return f"redis://{LOGIN}@{LOCALHOST}:{server.port}/5", 5


def unix_socket(folder: Path, running: ExitStack) -> tuple[str, int]:
    # Not in pytest's folder: the path of a socket must be shorter than about 100 characters.
    path = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="100% of it "))) / "redis.sock"
    running.enter_context(Valkey(folder / "valkey", unix_socket=path))
    require_login(unix_socket_path=str(path))
    return f"unix://{LOGIN}@{quote(str(path))}?db=6", 6


def tls(folder: Path, running: ExitStack) -> tuple[str, int]:
    """A private authority, which also wants to see a client's certificate."""
    server = running.enter_context(Valkey(folder / "valkey", port=free_port()))
    require_login(port=server.port)
    authority = Authority(folder)
    context = authority.context("localhost", asks_clients=True)
    front = running.enter_context(Front(context, (LOCALHOST, server.port or 0)))
    certificate, key = authority.issue("client")
    options = f"ssl_ca_certs={authority.path}&ssl_certfile={certificate}&ssl_keyfile={key}"
    return f"rediss://{LOGIN}@localhost:{front.port}/1?{options}", 1


def self_signed(folder: Path, running: ExitStack) -> tuple[str, int]:
    """A certificate that nobody can verify, and a password without a user."""
    server = running.enter_context(Valkey(folder / "valkey", port=free_port()))
    with redis.Redis(port=server.port or 0) as client:
        client.config_set("requirepass", PASSWORD)
    context = Authority(folder).context("another.example")
    front = running.enter_context(Front(context, (LOCALHOST, server.port or 0)))
    return f"rediss://:{quote(PASSWORD, safe='')}@localhost:{front.port}?ssl_cert_reqs=none", 0


def sentinel(folder: Path, running: ExitStack) -> tuple[str, int]:
    """A sentinel with a login of its own, which names the TLS port of the primary."""
    server = running.enter_context(Valkey(folder / "valkey", port=free_port()))
    context = Authority(folder).context(LOCALHOST)
    front = running.enter_context(Front(context, (LOCALHOST, server.port or 0), takes_plain=True))
    watcher = Sentinel(folder / "sentinel", port=free_port(), primary_port=front.port, down_after_ms=5000)
    running.enter_context(watcher)
    other = running.enter_context(Front(context, (LOCALHOST, watcher.port or 0)))
    require_login(port=server.port)
    require_login(port=watcher.port)
    options = f"sentinel_username={quote(USER)}&sentinel_password={quote(PASSWORD, safe='')}"
    hosts = f"{LOCALHOST}:{free_port()},{LOCALHOST}:{other.port}"
    return f"rediss+sentinel://{LOGIN}@{hosts}/{SERVICE}/3?{options}&ssl_ca_certs={folder / 'authority.pem'}", 3


@pytest.fixture(scope="module")
def livedesk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with stand_in(free_port(), log=tmp_path_factory.mktemp("livedesk") / "livedesk.log") as process:
        yield process


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as running:
        yield running


def stack_at(url: str, folder: Path, livedesk: Process) -> Stack:
    """Return a system that uses the Redis at this address, not started yet."""
    there = {**STAND_IN_ACCOUNT, "LIVEDESK_BASE_URL": f"http://{LOCALHOST}:{livedesk.port}"}
    # The first delivery finds the sentinel and opens several connections with TLS, which can take a second.
    env = {**bare_environment(), **TEST_ENV, **FAST, "ACCEPT_TIMEOUT": "10s", **there, "REDIS_URL": url}
    return Stack(folder, env, cwd=folder, port=free_port())


def doctor(stack: Stack) -> str:
    """Return what ``flask doctor`` prints."""
    command = [sys.executable, "-m", "flask", "--app", "webhook_app.wsgi", "doctor", "--no-probe"]
    env = {**stack.env, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=env, cwd=stack.folder, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("start", [host, unix_socket, tls, self_signed, sentinel], ids=lambda start: start.__name__)
def test_a_contact_goes_through(start: Servers, tmp_path: Path, running: ExitStack, livedesk: Process) -> None:
    url, db = start(tmp_path, running)
    stack = running.enter_context(stack_at(url, tmp_path, livedesk))
    with checked(System(stack)) as system:
        system.livedesk.reset()
        identifier = f"by-{start.__name__}"
        system.accept(identifier)
        assert system.wait_for(identifier, "created")["outcome"] == "created"
        system.assert_one_contact(identifier)
        assert call("GET", f"{stack.url}/readyz").status_code == 200
        found = doctor(stack)
        assert "A worker received a test message." in found
        assert ("The certificate of Redis is not verified" in found) == (start is self_signed)
        assert set(system.client.info("keyspace")) == {f"db{db}"}
    for secret in (PASSWORD, quote(PASSWORD, safe="")):
        assert secret not in system.log()
    assert "Traceback" not in system.log()


def test_a_cluster_that_fails_over_twice(tmp_path: Path, running: ExitStack, livedesk: Process) -> None:
    """First the node of our keys is demoted, then its successor is killed."""
    cluster = running.enter_context(Cluster(tmp_path / "cluster"))
    for node in cluster.nodes:
        require_login(port=node.port)
    url = f"redis+cluster://{LOGIN}@{cluster.hosts()}"
    stack = running.enter_context(stack_at(url, tmp_path, livedesk))
    with checked(System(stack)) as system:
        system.livedesk.reset()
        goes_through(system, "at-first")
        assert "A worker received a test message." in doctor(stack)

        cluster.fail_over()
        wait_until(lambda: cluster.owner() is cluster.replica, "the replica has taken over")
        goes_through(system, "after-a-demotion")

        wait_until(lambda: b"master_link_status:up" in say(cluster.first_owner.port or 0, "INFO replication"))
        cluster.replica.kill()
        goes_through(system, "after-a-kill")
        assert all(part.is_running for part in stack.parts), system.log()
        system.assert_everybody(["at-first", "after-a-demotion", "after-a-kill"])


def goes_through(system: System, identifier: str) -> None:
    """Deliver until it is accepted; then a worker creates the contact."""
    wait_until(lambda: system.deliver({"identifier": identifier}).status_code == 200, "deliveries are accepted")
    wait_until(lambda: swept(system), "our own client has found the node, too")
    assert system.wait_for(identifier, "created")["outcome"] == "created"


def test_a_rogue_server_learns_no_password(tmp_path: Path, livedesk: Process) -> None:
    """Receiver, worker and doctor name its certificate, and send it nothing."""
    rogue = Front(Authority(tmp_path).context("localhost"))
    stack = stack_at(f"rediss://{LOGIN}@localhost:{rogue.port}/0", tmp_path, livedesk)
    reason = "the certificate of Redis is not trusted: unable to get local issuer certificate"
    (worker,) = stack.workers
    with rogue, stack.receiver:
        ready = call("GET", f"{stack.url}/readyz")
        assert (ready.status_code, ready.json()["problems"]) == (503, [f"Redis cannot be used: {reason}"])
        assert call("POST", f"{stack.url}/webhooks/signup", json={"identifier": "a"}, headers=BEARER).status_code == 503
        assert reason in doctor(stack)
        try:
            worker.spawn()
            wait_until(lambda: worker.log_text().count(reason) > 1, "both connections of the worker name it")
            assert f'queue unreachable error=TlsError reason="{reason}"' in worker.log_text()
        finally:
            worker.kill()
    assert rogue.handshakes > 3
    assert rogue.received == b""


def test_a_mistake_is_one_sentence(tmp_path: Path, livedesk: Process) -> None:
    stack = stack_at("rediss://:hunter2@host?ssl_ca_certs=missing.pem", tmp_path, livedesk)
    for part in (stack.receiver, *stack.workers):
        with pytest.raises(StartError, match="ended at once"):
            part.start()
    for text in (stack.receiver.log_text(), stack.workers[0].log_text(), doctor(stack)):
        assert "REDIS_URL names a file in ssl_ca_certs that cannot be read (FileNotFoundError)." in text
        assert "Traceback" not in text
        assert "hunter2" not in text
