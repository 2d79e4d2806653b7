"""What each cause means to a person: a title, whose fault it is, what happened and what to do.

Causes are slugs of ours (``LiveDeskError.cause`` and the ends in ``worker.sync``); what LiveDesk wrote is in none.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus


class Fault(StrEnum):
    """Whose fault it is; the words go behind "The fault is"."""

    CONTACT = "the contact's"
    LIVEDESK = "LiveDesk's"
    OURS = "ours"
    UNKNOWN = "nobody knows whose"

    @property
    def sentence(self) -> str:
        return "Nobody knows whose fault it is." if self is Fault.UNKNOWN else f"The fault is {self.value}."


@dataclass(frozen=True, slots=True)
class Explained:
    """``title`` goes into a line, the others are sentences."""

    title: str
    fault: Fault
    meaning: str
    todo: str


WAITS = "Nothing is lost: everybody waits and is tried again by itself, at no cost to anybody's retry budget."
ADDRESS = "Check LIVEDESK_BASE_URL; `flask doctor` tries every hop. Then everything goes on by itself."
#: After a refusal that a person has to look at.
LOOK_AT_ONE = "Open one of them and read what LiveDesk answered. Mend it there or at the sender, then retry."

EXPLAINED = {
    # The way to LiveDesk
    "name_not_resolved": Explained(
        "LiveDesk's host name is not known",
        Fault.LIVEDESK,
        f"DNS does not tell where LiveDesk is, so nothing reached it. {WAITS}",
        "If it lasts, check DNS on the workers' hosts and LIVEDESK_BASE_URL.",
    ),
    "address_invalid": Explained(
        "LiveDesk's address cannot be one", Fault.OURS, f"LIVEDESK_BASE_URL makes no address. {WAITS}", ADDRESS
    ),
    "connect_failed": Explained(
        "LiveDesk refuses connections",
        Fault.LIVEDESK,
        f"Its host is there and takes no connection, so nothing reached it. {WAITS}",
        "Usually wait. If LiveDesk works elsewhere, check firewalls, proxies and the port.",
    ),
    "connect_timeout": Explained(
        "LiveDesk cannot be connected to in time",
        Fault.LIVEDESK,
        f"Its host did not answer within 5 seconds, so nothing reached it. {WAITS}",
        "Usually wait. If LiveDesk works elsewhere, check firewalls and proxies.",
    ),
    "certificate_refused": Explained(
        "LiveDesk's certificate is not trusted",
        Fault.LIVEDESK,
        f"The certificate has expired, is another host's, or a proxy opens TLS. Nothing was sent. {WAITS}",
        "Check the clock of the workers' hosts, and whether a proxy stands between.",
    ),
    "connection_lost": Explained(
        "The connection broke before an answer",
        Fault.UNKNOWN,
        "The contact may be in LiveDesk or not. It is looked up before it is ever sent again, so nobody becomes two.",
        "Usually nothing. If it lasts, look for proxies that hang up.",
    ),
    "answer_timeout": Explained(
        "LiveDesk did not answer in time",
        Fault.UNKNOWN,
        "The contact may be in LiveDesk or not. It is looked up before it is ever sent again, so nobody becomes two.",
        "Usually nothing. If LiveDesk is always this slow, raise LIVEDESK_TIMEOUT.",
    ),
    "throttled": Explained(
        "LiveDesk asks for fewer requests (429)",
        Fault.LIVEDESK,
        f"It has a limit and we met it; the pace has been lowered for all workers. {WAITS}",
        "Usually nothing. If it happens daily, set LIVEDESK_RATE below the limit of your account.",
    ),
    "redirected": Explained(
        "LiveDesk's address redirects",
        Fault.OURS,
        f"It sends us to another address, and that is never followed: your key would go there. {WAITS}",
        ADDRESS,
    ),
    "unauthorized": Explained(
        "LiveDesk refuses our key (401)",
        Fault.OURS,
        f"LIVEDESK_API_KEY or LIVEDESK_API_SECRET is wrong, or was replaced. {WAITS}",
        "Copy both again from Project Settings > API Management and restart the workers; then probe now.",
    ),
    "forbidden": Explained(
        "LiveDesk does not let us in (403)",
        Fault.OURS,
        f"The key may have expired, or LiveDesk has a list of allowed IP addresses. {WAITS}",
        "Look at the key in Project Settings > API Management; then probe now.",
    ),
    "create_path_not_found": Explained(
        "Contacts cannot be created at this address (404)", Fault.OURS, f"The path is not there. {WAITS}", ADDRESS
    ),
    "search_path_not_found": Explained(
        "There is no search at this address (404)", Fault.OURS, f"The path is not there. {WAITS}", ADDRESS
    ),
    "inbox_not_found": Explained(
        "LiveDesk does not know the inbox",
        Fault.OURS,
        "The contacts of this inbox wait, all others go on. One of them tries now and then.",
        "The right id is in Project Settings > Channels: LIVEDESK_INBOX_ID, or inbox_id of a source.",
    ),
    "inbox_missing": Explained(
        "No inbox is set",
        Fault.OURS,
        "Neither the delivery, nor its source, nor LIVEDESK_INBOX_ID names an inbox. These contacts wait.",
        "Set LIVEDESK_INBOX_ID and restart the workers; they are tried again by themselves.",
    ),
    # Answers that cannot be used
    "unreadable_answer": Explained(
        "LiveDesk's answer cannot be read",
        Fault.UNKNOWN,
        "It is not what LiveDesk's API answers: cut off, or from a proxy. Nobody is sent again unseen.",
        "If it lasts, open one and read the answer. Check LIVEDESK_BASE_URL and proxies.",
    ),
    "answer_for_another_contact": Explained(
        "LiveDesk answered about somebody else",
        Fault.LIVEDESK,
        "The answer named another identifier, so it proves nothing. The contact is looked up before it is sent again.",
        "If it lasts, tell LiveDesk's support.",
    ),
    # Look-ups
    "search_refused": Explained(
        "LiveDesk refuses to search",
        Fault.LIVEDESK,
        "After a lost answer we must search before we send again, and may not. Nobody is sent twice on a guess.",
        "If it lasts, ask LiveDesk's support.",
    ),
    "search_ignored_query": Explained(
        "LiveDesk's search lists everybody",
        Fault.LIVEDESK,
        "It shows contacts that were not searched for, so it proves nothing. Nobody is sent twice on a guess.",
        "Run `flask doctor`, and ask LiveDesk's support.",
    ),
    "search_too_many_results": Explained(
        "LiveDesk's search finds too many",
        Fault.LIVEDESK,
        "The contact is not among the first pages, which does not prove that it is absent.",
        "Search for one of them in LiveDesk by hand. If this is frequent, ask LiveDesk's support.",
    ),
    "cannot_be_looked_up": Explained(
        "It may be there, and no search can tell",
        Fault.UNKNOWN,
        "An answer was lost, and this account's search does not find such contacts. Sending again could make two.",
        "Look for each in LiveDesk by hand. There: adopt it, or discard it here. Not there: retry.",
    ),
    "exists_but_not_found": Explained(
        "LiveDesk says it exists, and cannot find it",
        Fault.LIVEDESK,
        "A create is refused because the identifier is taken, and no search shows who has it.",
        "Search in LiveDesk by hand. Often the search only lags, and a retry adopts the contact.",
    ),
    "identifier_found_twice": Explained(
        "LiveDesk has this person twice",
        Fault.LIVEDESK,
        "Two contacts there have the same identifier, so it is not ours to say which one is right.",
        "Merge the two in LiveDesk, then retry: what is left is adopted.",
    ),
    "contact_gone": Explained(
        "The contact vanished while we adopted it",
        Fault.LIVEDESK,
        "The owner of the e-mail address or phone number was deleted in LiveDesk at that moment.",
        "Usually nothing: the next attempt creates the contact.",
    ),
    # What wears out workers
    "worker_died": Explained(
        "Workers died while sending it",
        Fault.UNKNOWN,
        "A worker was killed in the middle. It is looked up before it is sent again; after ten deaths we give up.",
        "Look at the workers' logs and memory. Then retry.",
    ),
    "poisonous": Explained(
        "LiveDesk fails for these contacts alone",
        Fault.CONTACT,
        "LiveDesk failed for them again and again while it answered others, so something in them breaks it.",
        LOOK_AT_ONE,
    ),
    "other": Explained(
        "Many other causes",
        Fault.UNKNOWN,
        "So many different causes are told apart; what came on top is here.",
        "Open one of them and read what LiveDesk answered.",
    ),
}

#: What people call the fields of a contact.
FIELDS = {
    "identifier": "identifier",
    "inbox_id": "inbox",
    "name": "name",
    "email": "e-mail address",
    "phone_number": "phone number",
    "avatar_url": "picture's address",
}


def _http(status: str) -> Explained:
    number = int(status)
    phrase = HTTPStatus(number).phrase if number in set(HTTPStatus) else "no known status"
    if number >= 500 or number in (408, 425) or number < 400:
        return Explained(
            f"LiveDesk answers with an error ({status})",
            Fault.LIVEDESK,
            f"It answered {status}, {phrase}. {WAITS} Whoever may have got through is looked up first.",
            "Usually wait. If it lasts for hours, ask LiveDesk's support.",
        )
    return Explained(
        f"LiveDesk refuses the contact ({status})",
        Fault.CONTACT,
        f"It answered {status}, {phrase}, and named no field that we could leave out.",
        LOOK_AT_ONE,
    )


def _taken(field: str) -> Explained:
    named = FIELDS.get(field, field)
    return Explained(
        f"The {named} belongs to another contact",
        Fault.CONTACT,
        f"LiveDesk keeps each {named} once, and somebody else has it, with an identifier of their own.",
        f"Open one to see both side by side: adopt that contact, send without the {named}, or discard.",
    )


def _refused(field: str) -> Explained:
    named = FIELDS.get(field, field)
    return Explained(
        f"LiveDesk refuses the {named}",
        Fault.CONTACT,
        f"It does not take the {named} as it is, and the contact cannot go without it.",
        LOOK_AT_ONE,
    )


PATTERNS: tuple[tuple[re.Pattern[str], Callable[[str], Explained]], ...] = (
    (re.compile(r"http_([0-9]{3})"), _http),
    (re.compile(r"([a-z_]+)_taken"), _taken),
    (re.compile(r"([a-z_]+)_refused"), _refused),
)


def explain(cause: str) -> Explained:
    """What this cause means, whatever it is."""
    if cause in EXPLAINED:
        return EXPLAINED[cause]
    for pattern, make in PATTERNS:
        if match := pattern.fullmatch(cause):
            return make(match[1])
    return Explained(
        f"Another cause: {cause}" if cause else "No cause is known",
        Fault.UNKNOWN,
        "This version has no words for it.",
        "Open one of them and read what LiveDesk answered.",
    )
