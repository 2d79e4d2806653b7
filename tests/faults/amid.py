"""Counts what was under way at LiveDesk when a fault struck.

The stand-in's journal says when each request arrived and ended, and from which port; the links say which worker's
connection had that port.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tests.faults.inject import Injected
from tests.faults.plan import LIVEDESK_LINKS, WORKERS
from tests.livedesk import RequestRecord


def senders_of(requests: Iterable[RequestRecord], opened: Mapping[str, Sequence[tuple[float, int]]]) -> dict[int, str]:
    """Return the worker that sent each request, by the request's number.

    ``opened`` has, for each link to LiveDesk, when it opened each connection and from which port.
    """
    owners: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for worker, link in zip(WORKERS, LIVEDESK_LINKS, strict=True):
        for at, port in opened.get(link, ()):
            owners[port].append((at, worker))
    found = {}
    for request in requests:
        of_port = sorted(owners[request.port])
        latest = bisect_right(of_port, request.received, key=lambda one: one[0]) - 1
        if latest >= 0:
            found[request.number] = of_port[latest][1]
    return found


def creates_amid(
    injected: Sequence[Injected],
    requests: Sequence[RequestRecord],
    opened: Mapping[str, Sequence[tuple[float, int]]],
    away_s: float,
) -> list[int]:
    """Return how many creates were under way when each fault struck.

    Counted are those of the workers that it hits: LiveDesk had received them, and the end of the answer was less than
    ``away_s`` ago, so that it was still on its way.
    """
    senders = senders_of(requests, opened)
    creates = [request for request in requests if request.kind == "create" and request.number in senders]
    return [
        sum(
            senders[create.number] in one.fault.hits
            and create.received <= one.began
            and (create.finished is None or one.began < create.finished + away_s)
            for create in creates
        )
        for one in injected
    ]
