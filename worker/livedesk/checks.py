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
ADDRESS = "Check LIVEDESK_BASE_URL."
#: Cause of a request's failure: the hop that is broken, what is so, and what to do.
BROKEN = {
    "name_not_resolved": ("name", "The name of LiveDesk's host is not known here.", f"{ADDRESS} Does DNS work?"),
    "address_invalid": ("name", "LiveDesk's address cannot be one.", ADDRESS),
    "connect_failed": ("connection", "LiveDesk's host refuses connections.", "Check firewalls, proxies and the port."),
    "connect_timeout": ("connection", "LiveDesk's host does not answer at all.", "Check firewalls and proxies."),
    "certificate_refused": (
        "TLS",
        "The certificate is not that of LiveDesk's host, or nobody known vouches for it.",
        "Is there a proxy that opens TLS, or a wrong clock on this machine?",
    ),
    "connection_lost": (
        "answer",
        "The connection was broken before an answer came.",
        "Does the address want https:// (or not)? Else a proxy or LiveDesk itself hung up: try again.",
    ),
    "answer_timeout": ("answer", "No answer came in time.", "LiveDesk is slow or down: try again later."),
    "redirected": ("answer", "It sends us to another address, which is never followed.", ADDRESS),
    "throttled": ("answer", "It says that there are too many requests (429).", "Try again in a minute."),
    "unreadable_answer": ("answer", "Its answer is not that of LiveDesk's API.", ADDRESS),
    "unauthorized": (
        "credentials",
        "It refuses the key or the secret (401).",
        "Copy both again from Project Settings > API Management.",
    ),
    "forbidden": ("credentials", "It does not allow us in (403).", "Has the key expired, or is there a list of IPs?"),
    "search_path_not_found": ("search", "There is no search at this address (404).", ADDRESS),
    "create_path_not_found": ("create", "Contacts cannot be created at this address (404).", ADDRESS),
    "search_refused": ("search", "It refuses to search.", "Ask LiveDesk's support."),
    "search_ignored_query": (
        "search",
        "It lists contacts that were not searched for.",
        "Without a search nothing can be told after a lost answer: ask LiveDesk's support.",
    ),
    "search_too_many_results": ("search", "It finds far more than was searched for.", "Ask LiveDesk's support."),
}


def describe(error: LiveDeskError) -> tuple[str, str, str]:
    """The hop that this error broke off at, what is so, and what to do."""
    usual = ("answer", f"It failed: {error.cause}.", "Try again later; if it stays so, ask LiveDesk's support.")
    return BROKEN.get(error.cause, usual)


def way_to(livedesk: LiveDesk) -> Iterator[CheckResult]:
    """Looks somebody up who does not exist, and tells each hop on the way; changes nothing."""
    broken = text = todo = ""
    try:
        livedesk.look_up(f"livedesk-sync-doctor-{secrets.token_hex(8)}")
    except LiveDeskError as error:
        broken, text, todo = describe(error)
    for hop, good in HOPS.items():
        if hop == broken:
            yield CheckResult(Level.FAIL, hop, text, todo)
            return
        if hop == "TLS" and not livedesk.url.startswith("https://"):
            yield CheckResult(
                Level.WARN, hop, "The address begins with http://: key and contacts can be read on the way."
            )
        else:
            yield CheckResult(Level.OK, hop, good)
