"""Requests to LiveDesk: paths, bodies, searches.

``transport`` sends them, within a deadline. ``answers`` reads what LiveDesk returns.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from requests.auth import HTTPBasicAuth

from worker import causes
from worker.errors import Inconclusive, Misconfigured, Rejected
from worker.livedesk.answers import (
    Answer,
    Created,
    Deletion,
    Person,
    create_not_found,
    inbox_refusal,
    is_record_missing,
    path_not_found,
    raise_for_status,
    read_created,
    read_deletion,
    read_people,
    read_updated,
)
from worker.livedesk.connections import Resolver
from worker.livedesk.search import NO_CLUES, Clues, Page, Search
from worker.livedesk.transport import Transport
from worker.model import ATTRIBUTE_FIELDS, Contact

CONTACTS = "/api/v2/accounts/contacts"
CONNECT_TIMEOUT_S = 5.0
#: How much LiveDesk's clock may differ from ours, where its answer does not show its time.
UNKNOWN_CLOCK_MS = 300_000
#: The statuses of a server that does not offer what was requested, or not to us.
NOT_OFFERED = (401, 403, 404, 405)


class LiveDesk:
    """LiveDesk's contacts: one client per process, which threads may share.

    Every method raises ``LiveDeskError`` and nothing else. ``on_request`` is called with the seconds of each request,
    whatever its result. ``before_page`` is called before each further page of a search, which is a request of its own.
    ``timeout_s`` is for sending a request and its answer, ``connect_timeout_s`` for a connection, TLS included.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        api_secret: str,
        *,
        timeout_s: float = 30.0,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        proxies: Mapping[str, str] | None = None,
        ca_bundle: Path | None = None,
        resolve: Resolver | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_request: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.url = base_url.rstrip("/") + CONTACTS
        #: A name for the account that reveals neither its address nor its key.
        self.account = blake2b(f"{self.url}\n{api_key}".encode(), digest_size=16).hexdigest()
        self.clock = clock
        self.on_request = on_request
        self.search = Search(self._search_page, clock=clock)
        # As bytes: requests would encode text as Latin-1, and fail with an error that quotes it.
        auth = HTTPBasicAuth(api_key.encode(), api_secret.encode())
        self.transport = Transport(
            auth,
            connect_timeout_s=connect_timeout_s,
            answer_timeout_s=timeout_s,
            proxies=proxies or {},
            ca_bundle=ca_bundle,
            resolve=resolve or Resolver(),
        )

    @property
    def request_limit_s(self) -> float:
        """The longest time that one request can take."""
        return self.transport.request_limit_s

    def create(self, contact: Contact, *, with_attributes: bool = False) -> Created:
        """Create the contact.

        LiveDesk's pages do not list attributes for this request. With ``with_attributes`` they are sent nevertheless.

        Raises:
            Rejected: ``fields`` names what LiveDesk does not accept. It does not say whether a value is invalid or
                belongs to another contact.
        """
        sent = contact if with_attributes else contact.without(*ATTRIBUTE_FIELDS)
        answer = self._call("POST", self.url, body=sent.present())
        if answer.status in (404, 405):
            raise create_not_found(answer)
        if refusal := inbox_refusal(answer):
            raise refusal
        raise_for_status(answer)
        return read_created(answer, contact)

    def look_up(
        self, identifier: str, before_page: Callable[[], object] = lambda: None, clues: Clues = NO_CLUES
    ) -> list[Person]:
        """Return the contacts with exactly this identifier; usually one or none.

        Raises:
            Inconclusive: the results do not show whether there is one.
        """
        return self.search.look_up(identifier, clues, before_page)

    def ask(self) -> None:
        """Search for a contact that does not exist: a question that is about no contact.

        Raises:
            Inconclusive: LiveDesk answers, but its searches cannot be used.
            LiveDeskError: LiveDesk does not answer.
        """
        self.look_up(f"livedesk-sync-{secrets.token_hex(8)}")

    def find_owners(self, field: str, value: str, before_page: Callable[[], object] = lambda: None) -> list[Person]:
        """Return the contacts with this e-mail address or phone number, in any case."""
        return self.search.find_owners(field, value, before_page)

    def set_identifier(self, contact_id: str, identifier: str) -> int:
        """Give a contact an identifier. Return the HTTP status."""
        return self.update(contact_id, {"identifier": identifier})

    def update(self, contact_id: str, changes: Mapping[str, Any]) -> int:
        """Change these fields of a contact. Return the HTTP status.

        Of the two kinds of attributes name only those that change, because LiveDesk merges them. ``None`` clears a
        field; an attribute becomes null, because nothing that LiveDesk documents removes one. An avatar cannot be
        cleared: Chatwoot ignores an ``avatar_url`` without an address (``ContactsController#process_avatar_from_url``).

        Raises:
            Rejected: the cause is ``contact_gone`` where LiveDesk has no such contact. LiveDesk validates the whole
                contact again, so ``fields`` can name fields that were not sent (livedesk-api 2.8).
        """
        answer = self._call("PATCH", f"{self.url}/{contact_id}", body=dict(changes))
        if is_record_missing(answer):
            raise Rejected(causes.CONTACT_GONE, fields=frozenset(), status=404, excerpt=answer.excerpt())
        if answer.status == 404:
            raise path_not_found(answer)
        raise_for_status(answer)
        return read_updated(answer, contact_id)

    def read(self, contact_id: str) -> Person | None:
        """Return the contact with this id.

        ``None`` if there is none, or if LiveDesk does not offer this: its pages do not mention it (livedesk-api 2.9).
        """
        answer = self._call("GET", f"{self.url}/{contact_id}")
        if answer.status in NOT_OFFERED:
            return None
        raise_for_status(answer)
        person = Person.read(answer.payload())
        if person is None:
            raise answer.unreadable()
        return person

    def delete(self, contact_id: str) -> Deletion:
        """Delete a contact, and its conversations with it.

        LiveDesk's pages do not mention it, and Chatwoot allows it only to administrators (livedesk-api 2.9).
        """
        return read_deletion(self._call("DELETE", f"{self.url}/{contact_id}"))

    def _search_page(self, params: Mapping[str, str]) -> Page:
        answer = self._call("GET", self.url, params={"include_contact_inboxes": "false", **params})
        if answer.status in (404, 405):
            raise Misconfigured(causes.SEARCH_PATH_NOT_FOUND, status=answer.status, excerpt=answer.excerpt())
        if answer.status == 422:
            raise Inconclusive(causes.SEARCH_REFUSED, status=answer.status, excerpt=answer.excerpt())
        raise_for_status(answer)
        sent_at = answer.sent_at
        if sent_at is None:
            return Page(read_people(answer), round(time.time() * 1000), UNKNOWN_CLOCK_MS)
        return Page(read_people(answer), sent_at)

    def _call(
        self, method: str, url: str, *, params: dict[str, str] | None = None, body: dict[str, Any] | None = None
    ) -> Answer:
        began = self.clock()
        try:
            data = None if body is None else json.dumps(body).encode()
            return self.transport.send(method, url, params=params, body=data)
        finally:
            self.on_request(self.clock() - began)
