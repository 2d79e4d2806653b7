"""What a 404 is about: a record that LiveDesk does not have, or a path that the server does not have."""

import json
import socket
from collections.abc import Callable

import pytest

from tests.livedesk import serve
from tests.worker.livedesk.servers import Server, read_request, serving
from worker.errors import AnswerUnknown, LiveDeskError, Misconfigured, Rejected
from worker.livedesk.answers import Deletion
from worker.livedesk.client import LiveDesk
from worker.model import Contact

ADA = Contact("ada", 1)

RECORD_MISSING = [
    {"error": "Resource could not be found"},
    {"error": "Resource could not be found."},
    {"error": {"message": "Resource could not be found"}},
]
PATH_MISSING: list[object] = [
    {"status": 404, "error": "Not Found"},  # Rails
    {"error": "Not Found"},
    {"error": "not_found"},
    {"error": "404 page not found"},
    {"error": ""},
    {"error": None},
    {"error": {"code": 404, "message": "Not Found"}},
    {"errors": [{"message": "Not Found"}]},
    {"message": "no Route matched with those values"},  # Kong
    {"message": "Not Found"},
    {"detail": "Not Found"},
    {"timestamp": "2026-11-29T00:00:00Z", "status": 404, "error": "Not Found", "path": "/api"},  # Spring
    {"fault": {"faultstring": "Unable to identify proxy", "detail": {"errorcode": "messaging.adaptors.http.flow"}}},
    "404 page not found",
    [],
    None,
    "<html><body>The page you were looking for doesn't exist.</body></html>",
]


def missing(body: object, *, length: int | None = None) -> Callable[[socket.socket, Server], None]:
    """A handler that answers 404 with this body, which claims ``length`` bytes."""
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()

    def behave(connection: socket.socket, server: Server) -> None:
        head = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        while read_request(connection):
            connection.sendall(head % (len(raw) if length is None else length) + raw)
            if length is not None:
                return

    return behave


def refusal(call: Callable[[], object]) -> tuple[type[LiveDeskError], str]:
    with pytest.raises(LiveDeskError) as caught:
        call()
    return type(caught.value), caught.value.cause.slug


@pytest.mark.parametrize("body", RECORD_MISSING, ids=str)
def test_a_record_is_missing(body: object) -> None:
    with serving(missing(body)) as server:
        livedesk = LiveDesk(server.url, "key", "secret", timeout_s=5)
        assert refusal(lambda: livedesk.create(ADA)) == (Misconfigured, "inbox_not_found")
        assert refusal(lambda: livedesk.update("7", {"name": "Ada"})) == (Rejected, "contact_gone")
        assert livedesk.delete("7") is Deletion.GONE


@pytest.mark.parametrize("body", PATH_MISSING, ids=str)
def test_a_path_is_missing(body: object) -> None:
    with serving(missing(body)) as server:
        livedesk = LiveDesk(server.url, "key", "secret", timeout_s=5)
        assert refusal(lambda: livedesk.create(ADA)) == (Misconfigured, "create_path_not_found")
        assert refusal(lambda: livedesk.update("7", {"name": "Ada"})) == (Misconfigured, "create_path_not_found")
        assert refusal(lambda: livedesk.look_up("ada")) == (Misconfigured, "search_path_not_found")
        assert livedesk.delete("7") is Deletion.NOT_ALLOWED


def test_a_404_that_is_cut_off_says_neither() -> None:
    with serving(missing(RECORD_MISSING[0], length=10_000)) as server:
        livedesk = LiveDesk(server.url, "key", "secret", timeout_s=5)
        for call in (
            lambda: livedesk.create(ADA),
            lambda: livedesk.update("7", {"name": "Ada"}),
            lambda: livedesk.delete("7"),
        ):
            assert refusal(call) == (AnswerUnknown, "unreadable_answer")


def test_an_address_with_a_wrong_path_is_not_an_unknown_inbox() -> None:
    with serve() as standin:
        livedesk = LiveDesk(f"{standin.url}/livedesk", "demo-key", "demo-secret", timeout_s=5)
        assert refusal(lambda: livedesk.create(ADA)) == (Misconfigured, "create_path_not_found")
