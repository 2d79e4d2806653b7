"""Signups as a sender would post them: contact, JSON body and signature."""

import base64
import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime

#: Used by both sides of a run and by nothing else. 24 bytes, as Standard Webhooks recommends.
SECRET = "whsec_" + base64.b64encode(b"bench-bench-bench-bench!").decode()

#: What deliveries look like, by the source that they are for: ours alone, or with the hardest mapping of a preset.
SHAPES = ("signup", "clerk")
#: What each shape's headers begin with.
FAMILIES = {"signup": "webhook", "clerk": "svix"}

_FIRST = ("Anna", "Bruno", "Chiara", "Dmitri", "Elena", "Felix", "Gabriele", "Henrik")
_LAST = ("Schneider", "Fernandez", "Kowalska", "Lindqvist", "Moreau", "Nakamura", "Oliveira", "Petersen")


def identifier(run: str, number: int) -> str:
    """A UUID that is the same for the same run and number, and differs otherwise."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{run}/{number}"))


def contact(run: str, number: int) -> dict[str, str]:
    """Return a typical contact: UUID, name, e-mail, phone number and avatar URL."""
    first = _FIRST[number % len(_FIRST)]
    last = _LAST[number // len(_FIRST) % len(_LAST)]
    key = identifier(run, number)
    return {
        "identifier": key,
        "name": f"{first} {last}",
        "email": f"{first[0]}.{last}.{number:06d}@example.com".lower(),
        "phone_number": f"+4915{number % 1_000_000_000:09d}",
        "avatar_url": f"https://cdn.example.com/a/{key.replace('-', '')}.png",
    }


def body(run: str, number: int) -> bytes:
    """A Standard Webhooks body with that contact as its data."""
    event = {"type": "user.created", "timestamp": "2026-01-01T00:00:00Z", "data": contact(run, number)}
    return json.dumps(event, separators=(",", ":")).encode()


def clerk_body(run: str, number: int) -> bytes:
    """Return the same person as Clerk sends a new user."""
    person = contact(run, number)
    first, _, last = person["name"].partition(" ")
    user: dict[str, object] = {
        "id": person["identifier"],
        "object": "user",
        "first_name": first,
        "last_name": last,
        "username": None,
        "image_url": person["avatar_url"],
        "has_image": True,
        "primary_email_address_id": "idn_2",
        "email_addresses": [
            {"id": "idn_1", "object": "email_address", "email_address": "old@example.com", "verification": None},
            {"id": "idn_2", "object": "email_address", "email_address": person["email"], "verification": None},
        ],
        "primary_phone_number_id": "idn_3",
        "phone_numbers": [{"id": "idn_3", "object": "phone_number", "phone_number": person["phone_number"]}],
        "external_accounts": [],
        "public_metadata": {},
        "created_at": 1767225600000,
        "updated_at": 1767225600000,
    }
    event = {"type": "user.created", "object": "event", "timestamp": 1767225600000, "data": user}
    return json.dumps(event, separators=(",", ":")).encode()


def sign(message_id: str, timestamp: int, content: bytes, secret: str = SECRET) -> str:
    """Return the ``webhook-signature`` of Standard Webhooks v1."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, content)
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def request(run: str, number: int, host: str, shape: str = "signup") -> bytes:
    """Return a complete HTTP/1.1 request, signed now and valid for five minutes."""
    content = (clerk_body if shape == "clerk" else body)(run, number)
    family = FAMILIES[shape]
    message_id = f"msg_{run}_{number}"
    timestamp = int(datetime.now(UTC).timestamp())
    head = (
        f"POST /webhooks/{shape} HTTP/1.1\r\n"
        f"Host: {host}\r\n"
        "User-Agent: bench\r\n"
        "Accept: */*\r\n"
        "Content-Type: application/json\r\n"
        f"{family}-id: {message_id}\r\n"
        f"{family}-timestamp: {timestamp}\r\n"
        f"{family}-signature: {sign(message_id, timestamp, content)}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
