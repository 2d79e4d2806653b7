"""Silent and trickling clients keep nobody from being answered.

The real server, with four threads. A crowd of slow clients sends nothing, half a head, half a body or reads no answer,
while good clients send deliveries and read pages.
"""

import socket
from collections.abc import Iterator

import pytest

from tests.attack.slow import KINDS, Crowd, Seen, good_clients, many_files
from tests.rig.parts import STAND_IN_ACCOUNT, TEST_ENV, bare_environment, receiver
from tests.rig.processes import LOCALHOST, Process, free_port

#: Seconds of a phase without slow clients, of one with them, and in which 99 of 100 requests must be answered.
ALONE_S, PHASE_S, P99_S = 0.5, 2.0, 1.0
#: On a machine that is busy with something else: so much longer than without slow clients, in one of so many phases.
BUSY, TRIES = 4, 3
BODY_TIMEOUT_S = 5
PAGES = {"/healthz": 200, "/dashboard/sign-in": 200, "/readyz": 200}
TOKEN = TEST_ENV["WEBHOOK_SECRET"]


@pytest.fixture(scope="module")
def port(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("receiver")
    env = {**bare_environment(), **TEST_ENV, **STAND_IN_ACCOUNT, "REDIS_URL": redis_url}
    env |= {"DASHBOARD_PASSWORD": "a-password-of-these-tests", "WEB_THREADS": "4", "ACK": "memory"}
    env |= {"BODY_TIMEOUT": f"{BODY_TIMEOUT_S}s", "LIVEDESK_BASE_URL": f"http://{LOCALHOST}:1"}
    process: Process
    with receiver(free_port(), env=env, log=folder / "receiver.log", cwd=folder) as process:
        assert process.port is not None
        yield process.port
        assert "Traceback" not in process.log_text()


def slowest(seen: Seen) -> float:
    """Return the seconds in which 99 of 100 requests were answered, for the slowest path."""
    return max(seen.percentile(path, 0.99) for path in seen.seconds)


@pytest.mark.parametrize("number", [8, 64, 2000])
def test_good_clients_are_answered_whatever_slow_ones_do(number: int, port: int) -> None:
    with many_files(number + 500) as is_possible:
        if not is_possible:
            pytest.skip(f"`ulimit -Hn` allows fewer than {number + 500} open files")
        alone = slowest(good_clients(port, TOKEN, ALONE_S, PAGES))
        with Crowd(port, number):
            phases = (slowest(good_clients(port, TOKEN, PHASE_S, PAGES)) for _ in range(TRIES))
            assert any(among_slow_ones < max(P99_S, BUSY * alone) for among_slow_ones in phases)


def test_a_body_that_is_late_is_answered_and_the_connection_closed(port: int) -> None:
    late = ("body", "trickling body", "trickling form", "trickling chunks")
    clients = [socket.create_connection((LOCALHOST, port), timeout=10 * BODY_TIMEOUT_S) for _ in late]
    for client, kind in zip(clients, late, strict=True):
        client.sendall(KINDS[kind][0])
    for client, kind in zip(clients, late, strict=True):
        with client, client.makefile("rb") as received:
            answer = received.read()
        assert answer.startswith(b"HTTP/1.1 408 "), kind
        assert b"connection: close" in answer.lower(), kind
