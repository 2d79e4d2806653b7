"""What a check of the system has found, in plain sentences, and the hops on the way to LiveDesk."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from worker.errors import LiveDeskError
from worker.livedesk.client import LiveDesk


class Level(StrEnum):
    """How bad it is. ``FAIL``: signups do not reach LiveDesk, or not once."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of a report: about what, what is so, and what to do about it."""

    level: Level
    about: str
    text: str
    todo: str = ""


#: What a request to LiveDesk has to get through, in order, and what is so behind each.
HOPS = {
    "name": "The name of LiveDesk's host is known.",
    "connection": "LiveDesk's host takes connections.",
    "TLS": "Its certificate is right.",
    "answer": "It answers.",
    "credentials": "It takes the key and the secret.",
    "search": "It answers searches for contacts.",
}


def way_to(livedesk: LiveDesk) -> Iterator[CheckResult]:
    """Looks somebody up who does not exist, and tells each hop on the way; changes nothing."""
    cause = None
    try:
        livedesk.look_up(f"livedesk-sync-doctor-{secrets.token_hex(8)}")
    except LiveDeskError as error:
        cause = error.cause
    for hop, good in HOPS.items():
        if cause and hop == cause.hop:
            yield CheckResult(Level.FAIL, hop, f"{cause.title}.", cause.todo)
            return
        if hop == "TLS" and not livedesk.url.startswith("https://"):
            yield CheckResult(
                Level.WARN, hop, "The address begins with http://: key and contacts can be read on the way."
            )
        else:
            yield CheckResult(Level.OK, hop, good)
