"""A link fails as it was set to, and no longer."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.proxy import CUT, DELAY, OK, REFUSE, RESET, SILENCE, Link, Links
from tests.rig.processes import LOCALHOST
from tests.rig.tls import Authority


def echo(listener: socket.socket) -> None:
    """Answers each line with itself, ten times."""

    def talk(connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            while data := connection.recv(100):
                connection.sendall(data * 10)

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=talk, args=(connection,), daemon=True).start()


@pytest.fixture
def link() -> Iterator[Link]:
    with socket.create_server((LOCALHOST, 0)) as listener, Links() as links:
        server = threading.Thread(target=echo, args=(listener,))
        server.start()
        yield links.to(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        server.join()


def dial(link: Link) -> socket.socket:
    return socket.create_connection((LOCALHOST, link.port), timeout=5)


def ask(connection: socket.socket) -> bytes:
    connection.sendall(b"hello\n")
    answer = b""
    while len(answer) < 60:
        data = connection.recv(100)
        if not data:
            break
        answer += data
    return answer


def test_it_passes_everything_on(link: Link) -> None:
    with dial(link) as connection:
        assert ask(connection) == b"hello\n" * 10
        assert link.connections == 1


def test_what_is_cut_is_reset_and_refused(link: Link) -> None:
    with dial(link) as connection:
        ask(connection)
        link.behave(CUT)
        with pytest.raises(ConnectionResetError):
            ask(connection)
        with pytest.raises(ConnectionRefusedError):
            dial(link)
    link.behave(OK)
    with dial(link) as connection:
        assert ask(connection) == b"hello\n" * 10


def test_a_delay_holds_both_directions(link: Link) -> None:
    link.behave(DELAY, 0.1)
    with dial(link) as connection:
        began = time.monotonic()
        assert ask(connection) == b"hello\n" * 10
        assert time.monotonic() - began >= 0.2


def test_an_answer_is_reset_in_its_middle(link: Link) -> None:
    link.behave(RESET)
    with dial(link) as connection:
        connection.sendall(b"hello\n")
        assert len(connection.recv(100)) == 30
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_who_is_refused_is_accepted_and_hears_nothing(link: Link) -> None:
    with dial(link) as connection:
        ask(connection)
        link.behave(REFUSE)
        with pytest.raises(ConnectionResetError):
            ask(connection)
    with dial(link) as connection:
        assert connection.recv(100) == b""
    link.behave(OK)
    with dial(link) as connection:
        assert ask(connection) == b"hello\n" * 10


def test_a_tls_handshake_is_refused_and_later_completed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trusting = ssl.create_default_context(cafile=authority.path)
    with socket.create_server((LOCALHOST, 0)) as listener, Links() as links:
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        link = links.to(listener.getsockname()[1], tls=authority.context(LOCALHOST))

        def handshake() -> ssl.SSLSocket:
            return trusting.wrap_socket(dial(link), server_hostname=LOCALHOST)

        with handshake() as connection:
            assert ask(connection) == b"hello\n" * 10
        link.behave(REFUSE)
        with pytest.raises(OSError, match=r"EOF|reset"):
            handshake()
        link.behave(OK)
        with handshake() as connection:
            assert ask(connection) == b"hello\n" * 10
        listener.shutdown(socket.SHUT_RDWR)


def test_silence_tells_nobody_and_what_was_lost_stays_lost(link: Link) -> None:
    with dial(link) as connection:
        ask(connection)
        link.behave(SILENCE)
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ask(connection)
        link.behave(OK)
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    with dial(link) as connection:
        assert ask(connection) == b"hello\n" * 10


def test_a_connection_that_lost_nothing_lives_through_a_silence(link: Link) -> None:
    with dial(link) as connection:
        ask(connection)
        link.behave(SILENCE)
        link.behave(OK)
        assert ask(connection) == b"hello\n" * 10


def test_it_is_known_how_many_answers_are_awaited(link: Link) -> None:
    assert link.awaited == 0
    with dial(link) as connection, dial(link) as another:
        ask(connection)
        ask(another)
        assert link.awaited == 0
        link.behave(SILENCE)
        connection.sendall(b"hello\n")
        while link.awaited == 0:
            time.sleep(0.01)
        assert link.awaited == 1


def test_the_far_end_of_each_connection_is_noted(link: Link) -> None:
    before = time.time()
    with dial(link) as connection, dial(link) as another:
        ask(connection)
        ask(another)
    assert len({port for at, port in link.opened if at >= before}) == 2


def test_all_connections_can_be_reset_at_once(link: Link) -> None:
    with dial(link) as connection:
        ask(connection)
        link.reset_all()
        with pytest.raises(ConnectionResetError):
            ask(connection)
