"""The LiveDesk client: the only place that knows its paths, status codes and error bodies.

LiveDesk's API is a fork of Chatwoot's; what its own pages do not say is taken from Chatwoot's source (create and
search: ``app/controllers/api/v1/accounts/contacts_controller.rb``; errors: ``request_exception_handler.rb``;
throttling: ``config/initializers/rack_attack.rb``, all at v4.10.0). Pages:
https://www.engagelab.com/docs/livedesk/rest-api.

Nothing is repeated here, no redirect is followed, every answer is read with a limit in bytes and in time. What an
answer means is decided by its status and ``attributes``, never by ``message``, which comes in the account's language.
"""

import json
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Self

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
)

from worker import causes
from worker.causes import Fault
from worker.errors import AnswerUnknown, Inconclusive, LiveDeskError, Misconfigured, NotSent, Rejected, Throttled
from worker.model import Contact, Note, NoteCode

CONTACTS = "/api/v2/accounts/contacts"
CONNECT_TIMEOUT_S = 5.0
#: The longest answer that is read, in bytes; a full page of 15 contacts is some 30 KB.
ANSWER_LIMIT = 1_000_000
EXCERPT_LENGTH = 200
#: LiveDesk's fixed page size, and how many pages of a look-up are read before it counts as inconclusive.
PAGE_SIZE = 15
PAGES_READ = 10
#: How a server says that it does not have what was asked for, or not for us.
NOT_OFFERED = (401, 403, 404, 405)
#: Most connections that one process keeps open.
POOL_SIZE = 64


TurnPage = Callable[[], object]


def at_once() -> None:
    """The next page may be asked for."""


@dataclass(frozen=True, slots=True)
class Person:
    """A contact as LiveDesk shows it."""

    id: str
    identifier: str | None = None
    name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    company: str | None = None

    @classmethod
    def read(cls, shown: object) -> Self | None:
        """From an answer; ``None`` where it is not a contact at all."""
        if not isinstance(shown, dict):
            return None
        contact_id = _contact_id(shown.get("id"))
        if contact_id is None:
            return None
        texts = {name: shown.get(name) for name in ("identifier", "name", "email", "phone_number")}
        more = shown.get("additional_attributes")
        texts["company"] = more.get("company_name") if isinstance(more, dict) else None
        # "" is how LiveDesk says of some fields that they are not there.
        return cls(contact_id, **{name: text for name, text in texts.items() if isinstance(text, str) and text})


@dataclass(frozen=True, slots=True)
class Created:
    """LiveDesk has created the contact."""

    contact_id: str
    status: int
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. ``body`` is the parsed JSON, ``None`` where it could not be read as such."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str


class LiveDesk:
    """LiveDesk's contacts. One for each process, its connections are pooled; threads may share it.

    Every method raises a ``LiveDeskError``, and nothing else. ``took`` is told the seconds of each request, however it
    ended.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        api_secret: str,
        *,
        timeout_s: float = 30.0,
        proxies: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        took: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.url = base_url.rstrip("/") + CONTACTS
        #: Which account this is; tells neither its address nor its key.
        self.account = blake2b(f"{self.url}\n{api_key}".encode(), digest_size=16).hexdigest()
        self.timeout_s = timeout_s
        self.clock = clock
        self.took = took
        # As bytes: requests would write a text in Latin-1, and fail with an error that holds it.
        self.session = _session(HTTPBasicAuth(api_key.encode(), api_secret.encode()), proxies or {})

    def create(self, contact: Contact) -> Created:
        """Creates the contact. ``Rejected.fields`` names what stands in its way: its identifier is taken, or others are
        taken or malformed; LiveDesk does not tell these two apart."""
        answer = self._call("POST", self.url, body=contact.present())
        if answer.status in (404, 405):
            raise _create_not_found(answer)
        _raise_for(answer)
        return _read_created(answer, contact)

    def look_up(self, identifier: str, turn_page: TurnPage = at_once) -> list[Person]:
        """The contacts with exactly this identifier: none, one, or (a broken account) several. ``turn_page`` is called
        before each page but the first: each is a request of its own."""
        return self._search(identifier, lambda person: person.identifier == identifier, turn_page)

    def owners(self, field: str, value: str, turn_page: TurnPage = at_once) -> list[Person]:
        """The contacts with exactly this e-mail address (in any case) or phone number."""
        return self._search(value, lambda person: (getattr(person, field) or "").lower() == value.lower(), turn_page)

    def set_identifier(self, contact_id: str, identifier: str) -> int:
        """Gives a contact its identifier. Returns the HTTP status. LiveDesk checks the whole contact again, so
        ``Rejected`` may name fields that were not sent (livedesk-api 2.8)."""
        answer = self._call("PATCH", f"{self.url}/{contact_id}", body={"identifier": identifier})
        if answer.status == 404:
            raise Rejected(causes.CONTACT_GONE, fields=frozenset(), status=404, excerpt=_excerpt(answer))
        _raise_for(answer)
        return answer.status

    def read(self, contact_id: str) -> Person | None:
        """The contact with this id; ``None`` where there is none, or LiveDesk does not offer this: its pages do not
        speak of it (livedesk-api 2.9)."""
        answer = self._call("GET", f"{self.url}/{contact_id}")
        if answer.status in NOT_OFFERED:
            return None
        _raise_for(answer)
        person = Person.read(answer.body.get("payload")) if isinstance(answer.body, dict) else None
        if person is None:
            raise AnswerUnknown(causes.UNREADABLE_ANSWER, status=answer.status, excerpt=_excerpt(answer))
        return person

    def delete(self, contact_id: str) -> bool:
        """Deletes a contact. ``False`` where LiveDesk does not let us: its pages do not speak of it, and Chatwoot lets
        administrators alone (livedesk-api 2.9)."""
        answer = self._call("DELETE", f"{self.url}/{contact_id}")
        if answer.status in NOT_OFFERED:
            return False
        _raise_for(answer)
        return True

    def _search(self, value: str, is_match: Callable[[Person], bool], turn_page: TurnPage) -> list[Person]:
        """LiveDesk finds substrings, so a match is told here. Every page is read: the order says nothing."""
        query = _searchable(value)
        matches: dict[str, Person] = {}
        for page in range(1, PAGES_READ + 1):
            if page > 1:
                turn_page()
            people = self._page(query, page)
            matches.update({person.id: person for person in people if is_match(person)})
            if people and not any(_mentions(person, query) for person in people):
                raise Inconclusive(causes.SEARCH_IGNORED_QUERY)
            if len(people) < PAGE_SIZE:
                return list(matches.values())
        if matches:
            return list(matches.values())
        raise Inconclusive(causes.SEARCH_TOO_MANY_RESULTS)

    def _page(self, query: str, page: int) -> list[Person]:
        params = {
            "q": query,
            "include_contact_inboxes": "false",
            "sort": "created_at",
            "direction": "asc",
            "page": str(page),
        }
        answer = self._call("GET", self.url, params=params)
        if answer.status in (404, 405):
            raise Misconfigured(causes.SEARCH_PATH_NOT_FOUND, status=answer.status, excerpt=_excerpt(answer))
        if answer.status == 422:
            raise Inconclusive(causes.SEARCH_REFUSED, status=answer.status, excerpt=_excerpt(answer))
        _raise_for(answer)
        rows = answer.body.get("payload") if isinstance(answer.body, dict) else None
        people = [Person.read(row) for row in rows] if isinstance(rows, list) else [None]
        if None in people:  # which may be the one that is looked for
            raise AnswerUnknown(causes.UNREADABLE_ANSWER, status=answer.status, excerpt=_excerpt(answer))
        return [person for person in people if person]

    def _call(
        self, method: str, url: str, *, params: dict[str, str] | None = None, body: dict[str, Any] | None = None
    ) -> Answer:
        began = self.clock()
        try:
            with (
                _network(),
                self.session.request(
                    method,
                    url,
                    params=params,
                    data=None if body is None else json.dumps(body).encode(),
                    timeout=(CONNECT_TIMEOUT_S, self.timeout_s),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                text = self._read(response, began + CONNECT_TIMEOUT_S + self.timeout_s)
        finally:
            self.took(self.clock() - began)
        return Answer(response.status_code, response.headers, _json(text), text)

    def _read(self, response: requests.Response, give_up_at: float) -> str:
        """The body as text; ``""`` where it is broken off, too long, too slow or encoded, since then it tells
        nothing."""
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            return ""
        chunks, size = [], 0
        try:
            while chunk := response.raw.read1(65_536, decode_content=False):
                chunks.append(chunk)
                size += len(chunk)
                if size > ANSWER_LIMIT or self.clock() > give_up_at:
                    return ""
        except (HTTPError, OSError):
            return ""
        return b"".join(chunks).decode("utf-8", errors="replace")


def _session(auth: HTTPBasicAuth, proxies: Mapping[str, str]) -> requests.Session:
    session = requests.Session()
    session.auth = auth
    # The environment is read by ``settings``; requests would look at it, and at ~/.netrc, on every request.
    session.trust_env = False
    session.proxies.update(proxies)
    session.headers.update(
        {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "livedesk-sync",
        }
    )
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_connections=2, pool_maxsize=POOL_SIZE, max_retries=urllib3.Retry(0, read=False))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


@contextmanager
def _network() -> Iterator[None]:
    """Turns requests' errors into ours: did LiveDesk never hear of it, or does nobody know?"""
    try:
        yield
    except requests.exceptions.ConnectTimeout as error:
        raise NotSent(causes.CONNECT_TIMEOUT) from error
    except requests.exceptions.ReadTimeout as error:
        raise AnswerUnknown(causes.ANSWER_TIMEOUT) from error
    except LocationParseError as error:  # the host's name cannot be one; requests lets this error through
        raise Misconfigured(causes.ADDRESS_INVALID) from error
    except requests.exceptions.RequestException as error:
        raise _from_request_error(error) from error


def _from_request_error(error: requests.exceptions.RequestException) -> LiveDeskError:
    wrapped = list(_wrapped(error))
    if any(isinstance(each, NameResolutionError) for each in wrapped):
        return NotSent(causes.NAME_NOT_RESOLVED)
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in wrapped):
        return NotSent(causes.CERTIFICATE_REFUSED)
    if any(isinstance(each, NewConnectionError | ConnectTimeoutError) for each in wrapped):
        return NotSent(causes.CONNECT_FAILED)
    if any(isinstance(each, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema) for each in wrapped):
        return Misconfigured(causes.ADDRESS_INVALID)
    return AnswerUnknown(causes.CONNECTION_LOST)


def _wrapped(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and everything that it wraps: requests wraps urllib3's, which keep theirs in ``reason``."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        current = todo.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        todo += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]


def _raise_for(answer: Answer) -> None:
    """Nothing for a 2xx, else the error that the status stands for (livedesk-api 2.3, 3.3)."""
    status = answer.status
    if 200 <= status < 300:
        return
    excerpt = _excerpt(answer)
    if status == 429:
        raise Throttled(retry_after=_retry_after(answer.headers), excerpt=excerpt)
    if status == 401:
        raise Misconfigured(causes.UNAUTHORIZED, status=status, excerpt=excerpt)
    if status in (403, 407):
        raise Misconfigured(causes.FORBIDDEN, status=status, excerpt=excerpt)
    if 300 <= status < 400:
        raise Misconfigured(causes.REDIRECTED, status=status, excerpt=excerpt)
    if status == 422 and not isinstance(answer.body, dict):  # cut off, perhaps: it does not name the field
        raise AnswerUnknown(causes.UNREADABLE_ANSWER, status=status, excerpt=excerpt)
    cause = causes.http(status)
    if cause.fault is Fault.LIVEDESK:
        raise AnswerUnknown(cause, status=status, excerpt=excerpt)
    raise Rejected(cause, fields=_named_fields(answer.body), status=status, excerpt=excerpt)


def _create_not_found(answer: Answer) -> Misconfigured:
    """Chatwoot answers an unknown inbox with a JSON 404; any other 404 or 405 means that the address is wrong."""
    is_json_error = answer.status == 404 and isinstance(answer.body, dict) and "error" in answer.body
    cause = causes.INBOX_NOT_FOUND if is_json_error else causes.CREATE_PATH_NOT_FOUND
    return Misconfigured(cause, status=answer.status, excerpt=_excerpt(answer))


def _read_created(answer: Answer, contact: Contact) -> Created:
    """A 2xx counts only when it says which contact it made, and does not speak of another one."""
    payload = answer.body.get("payload") if isinstance(answer.body, dict) else None
    shown = Person.read(payload.get("contact")) if isinstance(payload, dict) else None
    if shown is None:
        raise AnswerUnknown(causes.UNREADABLE_ANSWER, status=answer.status, excerpt=_excerpt(answer))
    if shown.identifier is None:
        return Created(
            shown.id, answer.status, (Note("identifier", "LiveDesk did not repeat it in its answer", NoteCode.DIFFERS),)
        )
    if shown.identifier != contact.identifier:
        raise AnswerUnknown(causes.ANSWER_FOR_ANOTHER_CONTACT, status=answer.status)
    return Created(shown.id, answer.status)


def _contact_id(value: object) -> str | None:
    """A whole number above 0, or the same as text; anything else is no id."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if re.fullmatch(r"[1-9][0-9]{0,18}", text) else None


def _named_fields(body: object) -> frozenset[str]:
    """``attributes`` of a 422: the fields that LiveDesk will not take. Only names that we send count."""
    attributes = body.get("attributes") if isinstance(body, dict) else None
    if not isinstance(attributes, list):
        return frozenset()
    ours = Contact.__dataclass_fields__
    return frozenset(name for name in attributes if isinstance(name, str) and name in ours)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from either form of the header (RFC 9110 section 10.2.3); ``None`` where it says nothing useful."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
        sent = parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (when - sent).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _searchable(value: str) -> str:
    r"""The part of ``value`` to search for. A backslash is LIKE's escape there and would never be found, so it is the
    longest piece between backslashes; matches are told exactly anyway."""
    return max((piece.strip() for piece in value.split("\\")), key=len)


def _mentions(person: Person, query: str) -> bool:
    """Whether a search for ``query`` can have found this contact. ``%`` and ``_`` match anything in LIKE, so only the
    longest piece without them is looked for."""
    piece = max(re.split(r"[%_]", query), key=len).lower()
    searched = (person.identifier, person.name, person.email, person.phone_number, person.company)
    return any(piece in (text or "").lower() for text in searched)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _excerpt(answer: Answer) -> str:
    """What a person should read of an error: its message, in whichever of the known shapes, else the text as it is."""
    message = _message(answer.body)
    text = message if message is not None else answer.text
    return " ".join("".join(c if c.isprintable() else " " for c in text[: EXCERPT_LENGTH * 4]).split())[:EXCERPT_LENGTH]


def _message(body: object) -> str | None:
    """``{message}``, ``{error: text}``, ``{error: {message}}``, ``{errors: [text]}`` (livedesk-api 1.10, 2.3)."""
    if not isinstance(body, dict):
        return None
    for name in ("message", "error", "errors"):
        value = body.get(name)
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, list):
            value = ", ".join(item for item in value if isinstance(item, str))
        if isinstance(value, str) and value:
            return value
    return None
