"""A contact as it is shown: masked, unless somebody may see it and asked to; and as a request to send by hand."""

import json
import re
from dataclasses import replace
from shlex import quote

from worker.model import Contact

HIDDEN = "***"


def mask(contact: Contact) -> Contact:
    """The same contact with just enough left to be recognised by who knows it."""
    return replace(
        contact,
        name=_words(contact.name),
        email=_email(contact.email),
        phone_number=contact.phone_number and contact.phone_number[:3] + HIDDEN + contact.phone_number[-2:],
        avatar_url=contact.avatar_url and re.sub(r"^(\w+://).*", rf"\1{HIDDEN}", contact.avatar_url, flags=re.DOTALL),
    )


def as_json(contact: Contact, inbox_id: int | None) -> str:
    """The body of the request that creates it."""
    sent = replace(contact, inbox_id=contact.inbox_id or inbox_id).present()
    return json.dumps(sent, ensure_ascii=False, indent=2)


def as_curl(contact: Contact, inbox_id: int | None, url: str) -> str:
    """A command that sends what we send. The shell fills in the secrets."""
    body = json.dumps(json.loads(as_json(contact, inbox_id)), ensure_ascii=False)
    lines = [
        f"curl -X POST {quote(url)}",
        '-u "$LIVEDESK_API_KEY:$LIVEDESK_API_SECRET"',
        "-H 'Content-Type: application/json'",
        f"--data-raw {quote(body)}",
    ]
    return " \\\n  ".join(lines)


def _words(text: str | None) -> str | None:
    return text and " ".join(word[0] + HIDDEN for word in text.split())


def _email(text: str | None) -> str | None:
    """``a***@e***.com``."""
    if not text:
        return text
    name, _, host = text.partition("@")
    end = host.rpartition(".")[2] if "." in host else ""
    return f"{name[:1]}{HIDDEN}@{host[:1]}{HIDDEN}" + (f".{end}" if end else "")
