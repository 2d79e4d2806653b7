"""One row for each cause of a failed attempt: fault, consequences and words.

The slug is what is stored, indexed and counted; nothing that LiveDesk wrote is part of it. Errors carry their row
(``LiveDeskError.cause``). ``retry``, the circuit breaker, ``flask doctor``, the dashboard, the API and
``docs/causes.md`` read this table; ``python -m worker.causes`` writes that page.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from textwrap import fill

from worker.model import CONTACT_FIELDS, Signal


class Fault(StrEnum):
    """Who is at fault."""

    CONTACT = "contact"
    LIVEDESK = "livedesk"
    OURS = "ours"
    UNKNOWN = "unknown"

    @property
    def sentence(self) -> str:
        return SENTENCES[self]


SENTENCES = {
    Fault.CONTACT: "Caused by the contact's data.",
    Fault.LIVEDESK: "Caused by LiveDesk.",
    Fault.OURS: "Caused by our configuration.",
    Fault.UNKNOWN: "It is not known who is at fault.",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One row.

    ``signal`` goes to the circuit breaker; ``hop`` is where ``flask doctor`` reports it. ``title`` fits on one line and
    has no full stop; ``meaning`` and ``todo`` are sentences.
    """

    slug: str
    fault: Fault
    signal: Signal
    hop: str
    title: str
    meaning: str
    todo: str

    @property
    def spends_budget(self) -> bool:
        """Whether the wait after such an attempt counts towards ``RETRY_FOR``."""
        return self.fault is Fault.CONTACT

    def __str__(self) -> str:
        return self.slug


#: Every row by its slug, except the family ``http_<status>``.
CAUSES: dict[str, Cause] = {}


def _row(slug: str, fault: Fault, signal: Signal, hop: str, title: str, meaning: str, todo: str) -> Cause:
    CAUSES[slug] = Cause(slug, fault, signal, hop, title, meaning, todo)
    return CAUSES[slug]


_WAITS = "Nothing is lost: contacts wait, and are sent automatically once it works again."
_CHECK_URL = "Check LIVEDESK_BASE_URL. `flask doctor` tests every hop. The sync resumes once it is right."
_LOOKED_UP = "The contact may or may not be in LiveDesk. It is looked up before another create is sent."
_SUPPORT = "If it continues, contact LiveDesk support."
_READ_ONE = "Open one contact and read what LiveDesk answered. Fix it there or at the sender, then retry."

# fmt: off
# On the way to LiveDesk

NAME_NOT_RESOLVED = _row("name_not_resolved", Fault.LIVEDESK, Signal.ERROR, "name",
    "LiveDesk's host name does not resolve",
    f"DNS has no address for LiveDesk's host. Nothing was sent. {_WAITS}",
    "If it continues, check DNS on the workers' hosts, and LIVEDESK_BASE_URL.")
ADDRESS_INVALID = _row("address_invalid", Fault.OURS, Signal.MISCONFIGURED, "name",
    "LIVEDESK_BASE_URL is not a valid address",
    f"No request can be sent to it. {_WAITS}",
    _CHECK_URL)
CONNECT_FAILED = _row("connect_failed", Fault.LIVEDESK, Signal.ERROR, "connection",
    "LiveDesk refuses connections",
    f"The host exists but accepts no connection. Nothing was sent. {_WAITS}",
    "Wait: this usually passes. If LiveDesk works elsewhere, check firewalls, proxies and the port.")
CONNECT_TIMEOUT = _row("connect_timeout", Fault.LIVEDESK, Signal.ERROR, "connection",
    "Connecting to LiveDesk timed out",
    f"The connection, TLS included, was not ready within 5 seconds. Nothing was sent. {_WAITS}",
    "Wait: this usually passes. If LiveDesk works elsewhere, check firewalls and proxies.")
CERTIFICATE_REFUSED = _row("certificate_refused", Fault.LIVEDESK, Signal.ERROR, "TLS",
    "LiveDesk's certificate is not trusted",
    f"It has expired, belongs to another host, or a proxy intercepts TLS. Nothing was sent. {_WAITS}",
    "Check the clock of the workers' hosts, and whether a proxy intercepts TLS.")
TLS_FAILED = _row("tls_failed", Fault.LIVEDESK, Signal.ERROR, "TLS",
    "The TLS handshake with LiveDesk fails",
    f"The server hangs up, answers without TLS, or has no version of TLS in common with us. Nothing was sent. {_WAITS}",
    "If it continues, check https:// and the port in LIVEDESK_BASE_URL, and firewalls that inspect TLS.")
PROXY_UNREACHABLE = _row("proxy_unreachable", Fault.OURS, Signal.ERROR, "connection",
    "The proxy cannot be reached",
    f"HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names a proxy that accepts no connection. Nothing was sent. {_WAITS}",
    "Check the proxy and its address. NO_PROXY lists the hosts to which requests go directly.")
PROXY_FAILED = _row("proxy_failed", Fault.LIVEDESK, Signal.ERROR, "connection",
    "The proxy cannot connect to LiveDesk",
    f"It answered with an error (5xx) or closed the connection. Nothing was sent. {_WAITS}",
    "Wait: this usually passes. If LiveDesk works elsewhere, check the proxy.")
PROXY_REFUSED = _row("proxy_refused", Fault.OURS, Signal.MISCONFIGURED, "connection",
    "The proxy refuses to connect to LiveDesk",
    f"It does not allow LiveDesk's host (403), or requires a user and a password (407). Nothing was sent. {_WAITS}",
    "Allow LiveDesk's host in the proxy, or correct the user and password in HTTPS_PROXY. Restart the workers.")
CONNECTION_LOST = _row("connection_lost", Fault.UNKNOWN, Signal.ERROR, "answer",
    "The connection broke before the answer",
    _LOOKED_UP,
    "No action is usually needed. If it continues, look for a proxy that closes connections, or http:// in the URL.")
ANSWER_TIMEOUT = _row("answer_timeout", Fault.UNKNOWN, Signal.ERROR, "answer",
    "LiveDesk did not answer in time",
    _LOOKED_UP,
    "No action is usually needed. If LiveDesk is always this slow, raise LIVEDESK_TIMEOUT.")
THROTTLED = _row("throttled", Fault.LIVEDESK, Signal.THROTTLED, "answer",
    "LiveDesk limits our requests (429)",
    f"We reached LiveDesk's rate limit, so all workers send more slowly. {_WAITS}",
    "No action is usually needed. If it happens daily, set LIVEDESK_RATE below the limit of your account.")
REDIRECTED = _row("redirected", Fault.OURS, Signal.MISCONFIGURED, "answer",
    "LiveDesk's address redirects",
    f"Redirects are not followed, because your API key would be sent to the other address. {_WAITS}",
    _CHECK_URL)
UNAUTHORIZED = _row("unauthorized", Fault.OURS, Signal.MISCONFIGURED, "credentials",
    "LiveDesk rejects our API key (401)",
    f"LIVEDESK_API_KEY or LIVEDESK_API_SECRET is wrong or was replaced. {_WAITS}",
    "Copy both again from Project Settings > API Management, then restart the workers.")
FORBIDDEN = _row("forbidden", Fault.OURS, Signal.MISCONFIGURED, "credentials",
    "LiveDesk denies us access (403)",
    f"The API key may have expired, or our IP address is not on LiveDesk's allow list. {_WAITS}",
    "Check the key and the allow list in Project Settings > API Management, then probe.")
CREATE_PATH_NOT_FOUND = _row("create_path_not_found", Fault.OURS, Signal.MISCONFIGURED, "create",
    "This address has no LiveDesk contacts (404)",
    f"The server does not have LiveDesk's path for contacts. {_WAITS}",
    _CHECK_URL)
SEARCH_PATH_NOT_FOUND = _row("search_path_not_found", Fault.OURS, Signal.MISCONFIGURED, "search",
    "This address cannot search contacts (404)",
    f"The server does not have LiveDesk's path for searches. {_WAITS}",
    _CHECK_URL)
INBOX_NOT_FOUND = _row("inbox_not_found", Fault.OURS, Signal.INBOX, "inbox",
    "LiveDesk does not know the inbox",
    "Contacts of this inbox wait; all others are sent. One contact at a time probes whether the inbox exists.",
    "Copy the id from Project Settings > Channels to LIVEDESK_INBOX_ID, or to inbox_id of the source.")
INBOX_NEEDS_VALUE = _row("inbox_needs_value", Fault.OURS, Signal.INBOX, "inbox",
    "The inbox needs an e-mail or a phone number",
    "It is an e-mail, SMS or WhatsApp channel, where LiveDesk creates no contact without that value. Contacts of this "
    "inbox wait; all others are sent. One contact at a time probes.",
    "Use a channel of type API in LIVEDESK_INBOX_ID or in inbox_id of the source, or send the value.")
INBOX_REFUSES_SOURCE = _row("inbox_refuses_source", Fault.OURS, Signal.INBOX, "inbox",
    "The inbox cannot identify the contact",
    "It is a WhatsApp or SMS channel. LiveDesk identifies its contacts by their phone number, and does not accept the "
    "one of this contact, or another contact has it there. Contacts of this inbox wait; all others are sent.",
    "Use a channel of type API in LIVEDESK_INBOX_ID or in inbox_id of the source.")
INBOX_MISSING = _row("inbox_missing", Fault.OURS, Signal.INBOX, "inbox",
    "No inbox is configured",
    "Neither the delivery, nor its source, nor LIVEDESK_INBOX_ID names an inbox. These contacts wait.",
    "Set LIVEDESK_INBOX_ID and restart the workers. The contacts are then sent automatically.")

# Answers that cannot be used

UNREADABLE_ANSWER = _row("unreadable_answer", Fault.UNKNOWN, Signal.ERROR, "answer",
    "LiveDesk's answer cannot be read",
    f"It is cut off, or not from LiveDesk's API: a proxy may have sent it. {_LOOKED_UP}",
    "If it continues, open one contact and read the answer. Check LIVEDESK_BASE_URL and proxies.")
ANSWER_FOR_ANOTHER_CONTACT = _row("answer_for_another_contact", Fault.LIVEDESK, Signal.ERROR, "answer",
    "LiveDesk answered about another contact",
    f"The answer has another identifier, so it proves nothing. {_LOOKED_UP}",
    _SUPPORT)

# Look-ups

SEARCH_REFUSED = _row("search_refused", Fault.LIVEDESK, Signal.NOTHING, "search",
    "LiveDesk refuses to search",
    f"After a lost answer a contact must be looked up before it is sent again. {_WAITS}",
    _SUPPORT)
SEARCH_IGNORED_QUERY = _row("search_ignored_query", Fault.LIVEDESK, Signal.NOTHING, "search",
    "LiveDesk's search ignores the query",
    f"It lists contacts that do not match, so it cannot show whether a contact exists. {_WAITS}",
    "Run `flask doctor`. If it continues, contact LiveDesk support.")
SEARCH_TOO_MANY_RESULTS = _row("search_too_many_results", Fault.LIVEDESK, Signal.NOTHING, "search",
    "LiveDesk's search finds too many contacts",
    "The contact is not on the first pages of results, which does not prove that it is absent.",
    "Search for it in LiveDesk. If it is there, adopt it; if not, retry. If it happens often, contact support.")
SEARCH_PROVES_NOTHING = _row("search_proves_nothing", Fault.LIVEDESK, Signal.NOTHING, "search",
    "No search can show whether LiveDesk has it",
    "LiveDesk's search cannot find the identifier, and finds nobody with the contact's other values, which does not "
    "prove that it is absent.",
    "Search for it in LiveDesk. If it is there, adopt it; if not, retry.")
CANNOT_BE_LOOKED_UP = _row("cannot_be_looked_up", Fault.UNKNOWN, Signal.OK, "search",
    "It may be in LiveDesk, but no search confirms it",
    "An answer was lost, and this account's search does not find such contacts. Sending it again could create two.",
    "Search for it in LiveDesk. If it is there, adopt or discard it; if not, retry.")
EXISTS_BUT_NOT_FOUND = _row("exists_but_not_found", Fault.UNKNOWN, Signal.REFUSED, "search",
    "LiveDesk refuses the identifier, but has no owner",
    "LiveDesk refuses to create the contact because of its identifier, but no search shows a contact that has it.",
    "Read what LiveDesk answered. If the identifier is taken, its search may lag behind: a retry adopts the contact.")
OWNER_NOT_FOUND = _row("owner_not_found", Fault.LIVEDESK, Signal.OK, "search",
    "LiveDesk refuses the e-mail, but shows no owner",
    "Another contact may have the address, which LiveDesk's search does not show yet. The contact waits for "
    "LIVEDESK_SETTLE and is tried again. If there is still no owner, the address is left out.",
    "No action is usually needed. If it continues, LIVEDESK_SETTLE is shorter than the delay of LiveDesk's search.")
IDENTIFIER_FOUND_TWICE = _row("identifier_found_twice", Fault.LIVEDESK, Signal.OK, "search",
    "LiveDesk has two contacts with this identifier",
    "Only a person can decide which of the two is right.",
    "Merge the two in LiveDesk, then retry: the remaining contact is adopted.")
IDENTIFIER_CLASH = _row("identifier_clash", Fault.CONTACT, Signal.OK, "search",
    "LiveDesk has this identifier for somebody else",
    "Its contact has another e-mail address or phone number, and the identifier was sent by a source where anybody can "
    "choose it, such as a form. Nothing was changed.",
    "Compare the two. If they are one person, mark the contact as known. If not, discard it, give the source an "
    "id_prefix, and add the person again.")
CONTACT_GONE = _row("contact_gone", Fault.LIVEDESK, Signal.OK, "search",
    "LiveDesk no longer has this contact",
    "An agent deleted it, or merged it into a contact with another identifier. A change of it cannot be sent.",
    "Create the contact again, or discard the change.")
STORED_VALUE_REFUSED = _row("stored_value_refused", Fault.CONTACT, Signal.OK, "answer",
    "LiveDesk refuses a value that its contact has",
    "With every change, LiveDesk validates the whole contact again, and refuses a field that we did not send: an "
    "agent, an import or an earlier version of LiveDesk stored what is not valid now.",
    "Open one contact, correct the field that its note names in LiveDesk, then retry.")
CONTACT_ONLINE = _row("contact_online", Fault.LIVEDESK, Signal.OK, "answer",
    "LiveDesk does not delete a contact that is online",
    "The person has the chat open. The deletion is tried again until LiveDesk accepts it.",
    "No action is usually needed.")

# Given up

WORKER_DIED = _row("worker_died", Fault.UNKNOWN, Signal.NOTHING, "worker",
    "Workers died while sending it",
    "A worker was killed during the attempt. The contact is looked up before each retry, and fails after ten crashes.",
    "Check the workers' logs and memory, then retry.")
POISONOUS = _row("poisonous", Fault.CONTACT, Signal.NOTHING, "answer",
    "LiveDesk fails only for these contacts",
    "LiveDesk repeatedly failed on them while it handled others, so something in their data breaks it.",
    _READ_ONE)
OTHER = _row("other", Fault.UNKNOWN, Signal.NOTHING, "answer",
    "Many other causes",
    "Only a limited number of causes are counted separately; the rest are counted here.",
    "Open one contact and read what LiveDesk answered.")
# fmt: on


# fmt: off
#: The statuses that are about what was sent: it is too large, or of a type that is not accepted.
ABOUT_THE_CONTACT = (413, 414, 415, 431)


def http(status: int) -> Cause:
    """Return the row ``http_<status>`` of an answer that has no row of its own.

    Statuses below 400, 408 and 5xx are LiveDesk's fault: it has not judged the contact. Of most others nobody knows
    whether they are about this contact or about all of them: a plan that is not paid, a firewall, a proxy.
    """
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "an unknown status"
    if status < 400 or status == HTTPStatus.REQUEST_TIMEOUT or status >= 500:
        return Cause(f"http_{status}", Fault.LIVEDESK, Signal.ERROR, "answer",
            f"LiveDesk answers with an error ({status})",
            f"It answered {status}, {phrase}. {_WAITS} A contact that may have been created is looked up first.",
            "Wait: this usually passes. If it lasts for hours, contact LiveDesk support.")
    if status in ABOUT_THE_CONTACT:
        return Cause(f"http_{status}", Fault.CONTACT, Signal.OK, "answer",
            f"LiveDesk rejects the contact ({status})",
            f"It answered {status}, {phrase}, and named no field that could be left out.",
            _READ_ONE)
    return Cause(f"http_{status}", Fault.UNKNOWN, Signal.REFUSED, "answer",
        f"LiveDesk refuses the request ({status})",
        f"It answered {status}, {phrase}, and did not say which field is wrong. If it refuses several contacts in a "
        "row with the same words, nothing is sent until it accepts one. A contact that it refuses five times while it "
        "accepts others has failed.",
        "Read what LiveDesk answered: about your plan or account, fix it there. About one contact, correct that one.")
# fmt: on


def taken(field: str) -> Cause:
    """The row ``<field>_taken``: another contact has this value."""
    return CAUSES[f"{field}_taken"]


def refused(field: str) -> Cause:
    """The row ``<field>_refused``: LiveDesk does not accept this value."""
    return CAUSES[f"{field}_refused"]


# fmt: off
EMAIL_TAKEN = _row("email_taken", Fault.CONTACT, Signal.OK, "create",
    "Another contact has this e-mail address",
    "LiveDesk allows each e-mail address once, and a contact with an identifier that no source sent has it, or more "
    "than one contact. Or the sender says that the address is not verified, or LIVEDESK_ADOPT is no.",
    "Decide whether they are the same person: compare them one by one, or resolve many at once. With "
    'on_conflict = "known" or "without" in sources.toml, the source needs no decisions.')
PHONE_NUMBER_TAKEN = _row("phone_number_taken", Fault.CONTACT, Signal.OK, "create",
    "Another contact has this phone number",
    "Only earlier versions end with this cause. A taken phone number is now left out, with a note that names its "
    "owner, because people who live together share one.",
    "Retry: the contact is created without the phone number. Or compare the two, and adopt that contact.")
for _field, _info in CONTACT_FIELDS.items():
    _row(f"{_field}_refused", Fault.CONTACT, Signal.OK, "create",
        f"LiveDesk rejects the {_info.label}",
        f"It does not accept the {_info.label}, and the contact cannot be created without it.",
        _READ_ONE)
# fmt: on


def explain(slug: str) -> Cause:
    """Return the row of any stored slug, also of one that this version does not know."""
    if row := CAUSES.get(slug):
        return row
    family, _, status = slug.partition("_")
    if family == "http" and len(status) == 3 and status.isdecimal() and status.isascii():
        return http(int(status))
    title = f"Another cause: {slug}" if slug else "No cause is known"
    return replace(OTHER, slug=slug, title=title, meaning="This version has no description of it.")


PAGE = Path(__file__).parents[1] / "docs" / "causes.md"
INTRODUCTION = """\
<!-- Generated from worker/causes.py by `python -m worker.causes`. -->

# Causes

Every attempt that does not get a contact into LiveDesk ends with a cause. The dashboard, the API,
`flask doctor`, the metrics and the log use these names.

The retry time of a contact, `RETRY_FOR`, only counts waits after a failure that is caused by the
contact's own data. While LiveDesk or our configuration is at fault, contacts wait as long as it
takes: the wait doubles up to `RETRY_LONGEST`.
"""


def render() -> str:
    """The page ``docs/causes.md``."""
    sections = [INTRODUCTION]
    for row in (*CAUSES.values(), http(503), http(400)):
        counts = "Counts" if row.spends_budget else "Does not count"
        text = f"{row.meaning} {row.fault.sentence} {counts} towards `RETRY_FOR`.\n\n**What to do.** {row.todo}"
        paragraphs = (fill(part, 100, break_on_hyphens=False, break_long_words=False) for part in text.split("\n\n"))
        sections.append("\n\n".join((f"## `{row.slug}`: {row.title}", *paragraphs)) + "\n")
    return "\n".join(sections)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
