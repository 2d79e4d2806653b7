"""What LiveDesk's answers mean: status, error bodies, contacts.

LiveDesk's API is a fork of Chatwoot's. What its own pages do not describe is taken from Chatwoot's source at v4.10.0
(``contacts_controller.rb``, ``request_exception_handler.rb``, ``rack_attack.rb``). Pages:
https://www.engagelab.com/docs/livedesk/rest-api. An answer is judged by its status and ``attributes``, never by
``message``, because that is in the account's language.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Self

from worker import causes
from worker.causes import Fault
from worker.errors import AnswerUnknown, LiveDeskError, Misconfigured, Rejected, Throttled
from worker.model import ATTRIBUTE_FIELDS, CONTACT_FIELDS, Attribute, Contact, Note, NoteCode

EXCERPT_LENGTH = 200
#: What Chatwoot says where there is no record with an id, in lower case.
RECORD_MISSING = "resource could not be found"


@dataclass(frozen=True, slots=True)
class Person:
    """A contact as LiveDesk shows it.

    An attribute without a value is absent, and so is a nested one, which we never send.
    """

    id: str
    identifier: str | None = None
    name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    custom_attributes: Mapping[str, Attribute] = field(default_factory=dict)
    additional_attributes: Mapping[str, Attribute] = field(default_factory=dict)
    #: When LiveDesk created it, in ms since the epoch, by LiveDesk's clock and to the second.
    created_at: int | None = field(default=None, compare=False)

    @property
    def values(self) -> dict[str, object]:
        """The fields with a value, each attribute as ``custom_attributes.<name>``."""
        fields: dict[str, object] = {"name": self.name, "email": self.email, "phone_number": self.phone_number}
        for kind in ATTRIBUTE_FIELDS:
            fields |= {f"{kind}.{name}": value for name, value in getattr(self, kind).items()}
        return fields

    @property
    def company(self) -> str | None:
        """The company, which searches compare too."""
        name = self.additional_attributes.get("company_name")
        return name if isinstance(name, str) else None

    @classmethod
    def read(cls, payload: object) -> Self | None:
        """Return the contact in this part of an answer, or ``None`` if there is none."""
        if not isinstance(payload, dict):
            return None
        contact_id = _contact_id(payload.get("id"))
        if contact_id is None:
            return None
        values: dict[str, Any] = {name: _scalars(payload.get(name)) for name in ATTRIBUTE_FIELDS}
        for name in ("identifier", "name", "email", "phone_number"):
            text = payload.get(name)
            # LiveDesk writes "" for some absent fields.
            values[name] = text if isinstance(text, str) and text else None
        created_at = payload.get("created_at")
        if isinstance(created_at, int | float) and 0 < created_at < 10**11:
            values["created_at"] = int(created_at) * 1000
        return cls(contact_id, **values)


@dataclass(frozen=True, slots=True)
class Created:
    """The result of a create that LiveDesk executed. ``shown``: what it answered."""

    contact_id: str
    status: int
    notes: tuple[Note, ...] = ()
    shown: Person | None = field(default=None, compare=False)


class Deletion(StrEnum):
    """How LiveDesk answered the request to delete a contact."""

    DELETED = "deleted"
    #: There is no such contact: it was deleted before, or merged into another one.
    GONE = "gone"
    #: Our key may not, or LiveDesk does not offer it.
    NOT_ALLOWED = "not_allowed"
    #: Not now: Chatwoot refuses while the contact is online.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer.

    ``is_complete``: its body was read. Otherwise it is cut off, too long or cannot be decoded, and ``text`` is empty.
    """

    status: int
    headers: Mapping[str, str]
    text: str
    is_complete: bool = True

    @property
    def json(self) -> Any:
        """The parsed body, or ``None`` if it is not JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None

    @property
    def sent_at(self) -> int | None:
        """When the server sent it, in ms by its own clock and to the second."""
        try:
            return round(parsedate_to_datetime(self.headers.get("Date", "")).timestamp() * 1000)
        except (ValueError, TypeError, OverflowError):
            return None

    def payload(self) -> Any:
        """The member ``payload`` of the body, or ``None``."""
        body = self.json
        return body.get("payload") if isinstance(body, dict) else None

    def excerpt(self) -> str:
        """The message of an error, otherwise the text: short, printable, on one line."""
        message = _message(self.json)
        text = (self.text if message is None else message)[: EXCERPT_LENGTH * 4]
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:EXCERPT_LENGTH]

    def unreadable(self) -> AnswerUnknown:
        return AnswerUnknown(causes.UNREADABLE_ANSWER, status=self.status, excerpt=self.excerpt())


def raise_for_status(answer: Answer) -> None:
    """Raise the error that the status means (livedesk-api 2.3, 3.3); return for a 2xx."""
    status = answer.status
    if 200 <= status < 300:
        return
    excerpt = answer.excerpt()
    if status == 429:
        raise Throttled(retry_after=_retry_after(answer.headers), excerpt=excerpt)
    if status == 401:
        raise Misconfigured(causes.UNAUTHORIZED, status=status, excerpt=excerpt)
    if status == 403:
        raise Misconfigured(causes.FORBIDDEN, status=status, excerpt=excerpt)
    if status == 407:  # a proxy, to which the whole request was sent because the address has http://
        raise Misconfigured(causes.PROXY_REFUSED, status=status, excerpt=excerpt)
    if 300 <= status < 400:
        raise Misconfigured(causes.REDIRECTED, status=status, excerpt=excerpt)
    if status == 422 and not isinstance(answer.json, dict):  # cut off, perhaps: it does not name the field
        raise answer.unreadable()
    cause = causes.http(status)
    if cause.fault is Fault.LIVEDESK:
        raise AnswerUnknown(cause, status=status, excerpt=excerpt)
    raise Rejected(cause, fields=_named_fields(answer.json), status=status, excerpt=excerpt)


def is_record_missing(answer: Answer) -> bool:
    """Whether a 404 is about a record: LiveDesk does not know an inbox or a contact.

    Chatwoot answers ``{"error": "Resource could not be found"}`` (``RequestExceptionHandler``, not translated). For an
    unknown path, Rails answers ``{"status": 404, "error": "Not Found"}`` or a page. Proxies have other bodies.
    """
    return answer.status == 404 and (_message(answer.json) or "").strip(" .").lower() == RECORD_MISSING


def path_not_found(answer: Answer) -> LiveDeskError:
    """Return the error for a 404 or 405 that is not about a record."""
    if answer.status == 404 and not answer.is_complete:
        return answer.unreadable()
    return Misconfigured(causes.CREATE_PATH_NOT_FOUND, status=answer.status, excerpt=answer.excerpt())


def create_not_found(answer: Answer) -> LiveDeskError:
    """Return the error for a 404 or 405 to a create."""
    if is_record_missing(answer):
        return Misconfigured(causes.INBOX_NOT_FOUND, status=answer.status, excerpt=answer.excerpt())
    return path_not_found(answer)


def inbox_refusal(answer: Answer) -> Misconfigured | None:
    """Return the error for a 422 to a create that is about the inbox, or ``None``.

    An inbox of some types needs a value of the contact as its ``source_id`` (Chatwoot v4.10.0,
    ``contact_inbox_builder.rb``). Without it, Rails says which parameter is missing, always in English; a value that
    is no valid ``source_id`` is named as such (``contact_inbox.rb``).
    """
    body = answer.json
    if answer.status != 422 or not isinstance(body, dict):
        return None
    cause = None
    if body.get("attributes") == ["source_id"]:
        cause = causes.INBOX_REFUSES_SOURCE
    elif isinstance(error := body.get("error"), str) and error.startswith("param is missing"):
        cause = causes.INBOX_NEEDS_VALUE
    return Misconfigured(cause, status=answer.status, excerpt=answer.excerpt()) if cause else None


def read_created(answer: Answer, contact: Contact) -> Created:
    """Return what a 2xx to a create says.

    Raises:
        AnswerUnknown: it names no contact, or another one.
    """
    payload = answer.payload()
    person = Person.read(payload.get("contact")) if isinstance(payload, dict) else None
    if person is None:
        raise answer.unreadable()
    if person.identifier is None:
        note = Note("identifier", "LiveDesk did not repeat it in its answer", NoteCode.DIFFERS)
        return Created(person.id, answer.status, (note,), person)
    if person.identifier != contact.identifier:
        raise AnswerUnknown(causes.ANSWER_FOR_ANOTHER_CONTACT, status=answer.status)
    return Created(person.id, answer.status, shown=person)


def read_updated(answer: Answer, contact_id: str) -> int:
    """Return the status of a 2xx to an update.

    LiveDesk's pages do not show this answer, so an empty one is enough.

    Raises:
        AnswerUnknown: it is a page of something else, or names another contact.
    """
    if answer.text and not isinstance(answer.json, dict):
        raise answer.unreadable()
    person = Person.read(answer.payload())
    if person and person.id != contact_id:
        raise AnswerUnknown(causes.ANSWER_FOR_ANOTHER_CONTACT, status=answer.status)
    return answer.status


def read_deletion(answer: Answer) -> Deletion:
    """Return what the answer to a delete says.

    A 401 is no error of our configuration: that is how Chatwoot answers anybody but an administrator
    (``ContactsController#destroy`` and its spec).
    """
    if answer.status == 404 and not answer.is_complete:
        raise answer.unreadable()
    if is_record_missing(answer):
        return Deletion.GONE
    refusals = {422: Deletion.REFUSED} | dict.fromkeys((401, 403, 404, 405), Deletion.NOT_ALLOWED)
    if answer.status in refusals:
        return refusals[answer.status]
    raise_for_status(answer)
    return Deletion.DELETED


def read_people(answer: Answer) -> list[Person]:
    """Return the contacts on one page of search results.

    Raises:
        AnswerUnknown: one of the rows cannot be read; it could be the one that we search for.
    """
    rows = answer.payload()
    people = [Person.read(row) for row in rows] if isinstance(rows, list) else [None]
    if None in people:
        raise answer.unreadable()
    return [person for person in people if person]


def _contact_id(value: object) -> str | None:
    """A whole number above 0, or the same as text; anything else is not an id."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if re.fullmatch(r"[1-9][0-9]{0,18}", text) else None


def _scalars(attributes: object) -> dict[str, Attribute]:
    """The attributes that have a value of one of our types."""
    pairs = attributes.items() if isinstance(attributes, dict) else ()
    return {name: value for name, value in pairs if isinstance(value, str | int | float)}


def _named_fields(body: object) -> frozenset[str]:
    """The fields in ``attributes`` of a 422, as far as a contact of ours has them."""
    attributes = body.get("attributes") if isinstance(body, dict) else None
    if not isinstance(attributes, list):
        return frozenset()
    return frozenset(name for name in attributes if isinstance(name, str) and name in CONTACT_FIELDS)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from either form of the header (RFC 9110 section 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
        sent = parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (when - sent).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _message(body: object) -> str | None:
    """Read the message of an error from any of its forms (livedesk-api 1.10, 2.3)."""
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
