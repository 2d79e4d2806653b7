"""What was under way is counted from LiveDesk's journal, for each worker."""

import pytest

from tests.faults.amid import creates_amid, senders_of
from tests.faults.inject import Injected
from tests.faults.plan import Fault
from tests.livedesk import RequestRecord

AWAY_S = 0.1
#: Port 9 belonged to the first worker, and later to the second one.
OPENED = {"worker 1 - livedesk": [(0.0, 9)], "worker 2 - livedesk": [(0.0, 8), (5.0, 9)]}


def request(number: int, port: int, received: float, finished: float | None, kind: str = "create") -> RequestRecord:
    return RequestRecord(number, kind, "POST", "/", "ada", received, finished=finished, port=port)


def test_a_request_is_of_the_worker_that_had_its_port_then() -> None:
    requests = [request(1, 9, 1.0, 1.2), request(2, 9, 6.0, 6.2), request(3, 8, 1.0, 1.2), request(4, 7, 1.0, 1.2)]
    assert senders_of(requests, OPENED) == {1: "worker 1", 2: "worker 2", 3: "worker 2"}


@pytest.mark.parametrize(
    ("kind", "target", "under_way"),
    [
        ("kill", "worker 1", 2),
        ("kill", "worker 2", 1),
        ("kill", "worker 3", 0),
        ("cut", "livedesk", 3),
        ("silence", "worker 2 - redis", 1),
        ("kill", "redis", 3),
        ("kill", "receiver 1", 0),
        ("clock", "worker 1", 0),
        ("misbehave", "create", 0),
    ],
)
def test_creates_of_the_workers_that_a_fault_hits_are_counted(kind: str, target: str, under_way: int) -> None:
    requests = [
        request(1, 9, 1.0, 1.45),  # answered, and the answer is on its way
        request(2, 9, 1.4, None),
        request(3, 9, 1.0, 1.3),  # finished
        request(4, 9, 1.6, 1.8),  # later
        request(5, 9, 1.4, 1.8, "search"),
        request(6, 8, 1.4, 1.8),
    ]
    fault = Injected(Fault(0, 1, kind, target), 1.5, 2.5)
    assert creates_amid([fault], requests, OPENED, AWAY_S) == [under_way]
