"""Inboxes by their type: what links a contact to one, and which contacts cannot be linked.

Source: Chatwoot at v4.10.0, ``app/builders/contact_inbox_builder.rb``, ``app/models/contact_inbox.rb``,
``lib/regex_helper.rb`` and ``app/controllers/concerns/request_exception_handler.rb``. LiveDesk documents API channels
only; its accounts have others, too.
"""

import re
import uuid

from tests.livedesk.contact import Contact, Link

API = "Channel::Api"
#: The value of the contact that is its ``source_id`` in an inbox of this type, and how Chatwoot calls it.
NEEDS = {
    "Channel::Email": ("email", "contact email"),
    "Channel::Sms": ("phone_number", "contact phone number"),
    "Channel::TwilioSms": ("phone_number", "contact phone number"),
    "Channel::Whatsapp": ("phone_number", "contact phone number"),
}
#: The types whose ``source_id`` is a new UUID.
ANONYMOUS = (API, "Channel::WebWidget")
#: What a ``source_id`` must look like (``ContactInbox#valid_source_id_format?``), and the words of the error.
FORMATS = {
    "Channel::Whatsapp": (re.compile(r"^\d{1,15}\Z", re.ASCII | re.MULTILINE), "whatsapp inbox"),
    "Channel::TwilioSms": (re.compile(r"^\+\d{1,15}\Z", re.ASCII | re.MULTILINE), "twilio sms inbox"),
}


class Unsupported(Exception):
    """The API cannot create contacts in an inbox of this type: Chatwoot raises a plain error, which becomes a 500."""


class ParameterMissing(Exception):
    """The contact has no value that an inbox of this type needs; the text names it."""


class InvalidSource(Exception):
    """The ``source_id`` is not valid in an inbox of this type; the text is Chatwoot's."""


def link_of(contact: Contact, inbox_id: int, channel: str, source_id: str | None) -> Link:
    """Return the row that links the contact to an inbox of this type."""
    link = Link(inbox_id, source_id or default_source(contact, channel), channel)
    check_source(link)
    return link


def default_source(contact: Contact, channel: str) -> str:
    if channel in ANONYMOUS:
        return str(uuid.uuid4())
    if channel not in NEEDS:
        raise Unsupported(f"Unsupported operation for this channel: {channel}")
    field, label = NEEDS[channel]
    value: str | None = getattr(contact, field)
    if value is None:
        raise ParameterMissing(label)
    return value.replace("+", "") if channel == "Channel::Whatsapp" else value


def check_source(link: Link) -> None:
    pattern, words = FORMATS.get(link.channel, (None, ""))
    if pattern is not None and not pattern.search(link.source_id):
        shown = pattern.pattern.replace(r"\Z", r"\z")
        raise InvalidSource(f"Source invalid source id for {words}. valid Regex (?-mix:{shown})")


def renamed(link: Link) -> Link:
    """Return the row of another contact that has this ``source_id``, with the one that Chatwoot gives it then.

    For WhatsApp that is none that its own validation accepts, so the create is refused (422). Inboxes of the other
    types that have no UUID get it.
    """
    prefix = "whatsapp:" if link.channel != "Channel::Email" else "1"
    suffix = "7" if link.channel != "Channel::Email" else ""
    new = Link(link.inbox_id, f"{prefix}{link.source_id}{suffix}", link.channel)
    check_source(new)
    return new
