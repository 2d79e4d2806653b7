"""What LiveDesk's answers mean: status, error bodies, contacts.

LiveDesk's API is a fork of Chatwoot's. What its own pages do not describe is taken from Chatwoot's source at v4.10.0
(``contacts_controller.rb``, ``request_exception_handler.rb``, ``rack_attack.rb``). Pages:
https://www.engagelab.com/docs/livedesk/rest-api. An answer is judged by its status and ``attributes``, never by
``message``, because that is in the account's language.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Self

from worker import causes
from worker.causes import Fault
from worker.errors import AnswerUnknown, Misconfigured, Rejected, Throttled
from worker.model import Contact, Note, NoteCode

EXCERPT_LENGTH = 200


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
    def read(cls, payload: object) -> Self | None:
        """Return the contact in this part of an answer, or ``None`` if there is none."""
        if not isinstance(payload, dict):
            return None
        contact_id = _contact_id(payload.get("id"))
        if contact_id is None:
            return None
        texts = {name: payload.get(name) for name in ("identifier", "name", "email", "phone_number")}
        more = payload.get("additional_attributes")
        texts["company"] = more.get("company_name") if isinstance(more, dict) else None
        # LiveDesk writes "" for some absent fields.
        return cls(contact_id, **{name: text for name, text in texts.items() if isinstance(text, str) and text})


@dataclass(frozen=True, slots=True)
class Created:
    """The result of a create that LiveDesk executed."""

    contact_id: str
    status: int
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The parsed body, or ``None`` if it is not JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
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
    if status in (403, 407):
        raise Misconfigured(causes.FORBIDDEN, status=status, excerpt=excerpt)
    if 300 <= status < 400:
        raise Misconfigured(causes.REDIRECTED, status=status, excerpt=excerpt)
    if status == 422 and not isinstance(answer.json, dict):  # cut off, perhaps: it does not name the field
        raise answer.unreadable()
    cause = causes.http(status)
    if cause.fault is Fault.LIVEDESK:
        raise AnswerUnknown(cause, status=status, excerpt=excerpt)
    raise Rejected(cause, fields=_named_fields(answer.json), status=status, excerpt=excerpt)


def create_not_found(answer: Answer) -> Misconfigured:
    """Return the error for a 404 or 405 to a create.

    Chatwoot answers an unknown inbox with a JSON 404. Any other one means that the address is wrong.
    """
    body = answer.json
    is_json_error = answer.status == 404 and isinstance(body, dict) and "error" in body
    cause = causes.INBOX_NOT_FOUND if is_json_error else causes.CREATE_PATH_NOT_FOUND
    return Misconfigured(cause, status=answer.status, excerpt=answer.excerpt())


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
        return Created(person.id, answer.status, (note,))
    if person.identifier != contact.identifier:
        raise AnswerUnknown(causes.ANSWER_FOR_ANOTHER_CONTACT, status=answer.status)
    return Created(person.id, answer.status)


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


def _named_fields(body: object) -> frozenset[str]:
    """The fields in ``attributes`` of a 422, as far as we send them."""
    attributes = body.get("attributes") if isinstance(body, dict) else None
    if not isinstance(attributes, list):
        return frozenset()
    ours = Contact.__dataclass_fields__
    return frozenset(name for name in attributes if isinstance(name, str) and name in ours)


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
