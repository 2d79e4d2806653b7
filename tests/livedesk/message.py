"""Requests and answers as values, and every known body of LiveDesk's answers.

Source: livedesk-api.md 2.2 (success), 2.3 (errors), 1.10 (what EngageLab's other products say), 2.7 (429).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message

from tests.livedesk.contact import Contact, Fault, Json, Link

JSON = "application/json; charset=utf-8"
HTML = "text/html"
TEXT = "text/plain"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read completely.

    ``kind`` is what it requests; ``params`` its body, ``None`` if broken.
    """

    number: int
    method: str
    path: str
    kind: str
    query: Mapping[str, str]
    headers: Message
    params: Json | None
    contact_id: str = ""

    @property
    def identifier(self) -> str | None:
        """The identifier in its body, or what it searches for."""
        if self.kind == "search":
            return self.query.get("q", "").strip() or None
        value = (self.params or {}).get("identifier")
        return None if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    contact: Contact | None = field(default=None, compare=False)
    """The contact that it describes, if any."""

    @property
    def payload(self) -> Json:
        """The body, which must be a JSON object."""
        payload: Json = json.loads(self.body)
        return payload

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


def json_answer(status: int, payload: object, contact: Contact | None = None) -> Answer:
    return Answer(status, json.dumps(payload).encode(), JSON, contact=contact)


def not_found() -> Answer:
    return json_answer(404, {"error": "Resource could not be found"})


def no_route() -> Answer:
    """Rails' own 404, for an unknown path or method."""
    return json_answer(404, {"status": 404, "error": "Not Found"})


def bad_request() -> Answer:
    return json_answer(400, {"status": 400, "error": "Bad Request"})


def server_error() -> Answer:
    return json_answer(500, {"status": 500, "error": "Internal Server Error"})


def invalid(faults: Iterable[Fault], language: str = "en") -> Answer:
    """422 with the messages joined by ", " and each attribute once."""
    faults = list(faults)
    message = ", ".join(fault.message(language) for fault in faults)
    attributes = list(dict.fromkeys(fault.attribute for fault in faults))
    return json_answer(422, {"message": message, "attributes": attributes})


def parameter_missing(what: str) -> Answer:
    """422 to a create in an inbox that needs a value which the contact does not have (Rails 7.1's words)."""
    return json_answer(422, {"error": f"param is missing or the value is empty: {what}"})


def invalid_source(words: str) -> Answer:
    """422 to a create whose ``source_id`` is not valid in this inbox."""
    return json_answer(422, {"message": words, "attributes": ["source_id"]})


def online(name: str) -> Answer:
    """422 to the deletion of a contact who is online: Ruby capitalizes the name."""
    return json_answer(422, {"message": f"{name.capitalize()} is Online, please try again later"})


def html_page(title: str, server: str = "nginx") -> bytes:
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    return f"{page}<hr><center>{server}</center>\r\n</body>\r\n</html>\r\n".encode()


ERROR_SHAPES = (
    "error_text",
    "errors_list",
    "suspended",
    "not_authorized",
    "not_found",
    "rails",
    "error_object",
    "code_message",
    "message_attributes",
    "text",
    "html",
    "empty",
)


def error_shaped(status: int, phrase: str, shape: str) -> Answer:
    """An error of this status with one of ``ERROR_SHAPES`` as its body."""
    bodies: dict[str, object] = {
        "error_text": {"error": "Invalid Access Token"},
        "errors_list": {"errors": ["You need to sign in or sign up before continuing."]},
        "suspended": {"error": "Account is suspended"},
        "not_authorized": {"error": "You are not authorized to do this action"},
        "not_found": {"error": "Resource could not be found"},
        "rails": {"status": status, "error": phrase},
        "error_object": {"error": {"code": 20101, "message": phrase}},
        "code_message": {"code": 4001, "message": phrase},
        "message_attributes": {"message": phrase, "attributes": []},
    }
    if shape in bodies:
        return json_answer(status, bodies[shape])
    if shape == "html":
        return Answer(status, html_page(f"{status} {phrase}"), HTML)
    return Answer(status, f"{phrase}\n".encode(), TEXT) if shape == "text" else Answer(status)


def inbox_view(link: Link) -> Json:
    """An inbox as it appears in a contact's list of them."""
    return {
        "id": link.inbox_id,
        "avatar_url": "",
        "channel_id": link.inbox_id,
        "name": f"Inbox {link.inbox_id}",
        "channel_type": link.channel,
        "provider": None,
    }


def link_view(link: Link) -> Json:
    return {"source_id": link.source_id, "inbox": inbox_view(link)}


def contact_view(contact: Contact, *, with_inboxes: bool = True) -> Json:
    """A contact as every answer shows it.

    ``last_activity_at`` is absent until there is activity.
    """
    view = {
        "additional_attributes": contact.additional_attributes,
        "availability_status": "online" if contact.online else "offline",
        "email": contact.email,
        "id": contact.id,
        "name": contact.name,
        "phone_number": contact.phone_number,
        "blocked": contact.blocked,
        "identifier": contact.identifier,
        "thumbnail": "",
        "custom_attributes": contact.custom_attributes,
        "created_at": int(contact.created_at),
    }
    return view | {"contact_inboxes": [link_view(link) for link in contact.links]} if with_inboxes else view


def created(contact: Contact) -> Answer:
    """The answer to a create: 200, not 201.

    Both parts of ``contact_inbox`` are null without an inbox.
    """
    link = contact.links[0] if contact.links else None
    inbox = {
        "inbox": inbox_view(link) | {"account_id": 1, "enable_auto_assignment": True} if link else None,
        "source_id": link.source_id if link else None,
    }
    return json_answer(200, {"payload": {"contact": contact_view(contact), "contact_inbox": inbox}}, contact)


def shown(contact: Contact) -> Answer:
    """The answer to an update of a contact, or to reading one."""
    return json_answer(200, {"payload": contact_view(contact)}, contact)


def listed(page: Sequence[Contact], meta: Json, *, with_inboxes: bool) -> Answer:
    """One page of a list or search.

    Its ``current_page`` echoes the parameter, as text if it was given.
    """
    payload = [contact_view(contact, with_inboxes=with_inboxes) for contact in page]
    return json_answer(200, {"meta": meta, "payload": payload})
