"""A contact as the request that creates it, to be looked at or sent by hand."""

import json
from dataclasses import replace
from shlex import quote

from worker.model import Contact


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
