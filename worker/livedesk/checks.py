"""The result of a check, and the check of the connection to LiveDesk, hop by hop."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from worker.errors import LiveDeskError
from worker.livedesk.client import LiveDesk


class Level(StrEnum):
    """How bad a result is; ``FAILED``: signups do not reach LiveDesk exactly once."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of a report: the subject, what was found, and what to do about it."""

    level: Level
    about: str
    text: str
    todo: str = ""


#: What a request to LiveDesk passes, in order, and what is true once it has.
HOPS = {
    "name": "LiveDesk's host name resolves.",
    "connection": "The host accepts connections.",
    "TLS": "Its certificate is valid.",
    "answer": "It answers.",
    "credentials": "It accepts the API key and secret.",
    "search": "It answers searches for contacts.",
}


def check_connection(livedesk: LiveDesk) -> Iterator[CheckResult]:
    """Search for a contact that does not exist, and report each hop on the way."""
    cause = None
    try:
        livedesk.ask()
    except LiveDeskError as error:
        cause = error.cause
    for hop, text in HOPS.items():
        if cause and hop == cause.hop:
            yield CheckResult(Level.FAILED, hop, f"{cause.title}.", cause.todo)
            return
        if hop == "TLS" and not livedesk.url.startswith("https://"):
            text = "The address starts with http://, so API key and contacts are sent unencrypted."
            yield CheckResult(Level.WARNING, hop, text, "Use https:// in LIVEDESK_BASE_URL.")
        else:
            yield CheckResult(Level.OK, hop, text)
