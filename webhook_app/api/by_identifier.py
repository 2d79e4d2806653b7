"""``GET /contacts/<identifier>``: what we know about one contact, for whoever holds ``API_TOKEN``."""

import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, request
from werkzeug import Response
from werkzeug.routing import BaseConverter

from webhook_app.problems import problem, store_away
from worker.errors import StoreError
from worker.model import Attempt
from worker.store.history import ContactRecord

if TYPE_CHECKING:
    from webhook_app.parts import Parts


class IdentifierConverter(BaseConverter):
    """The rest of the path, whatever is in it: an identifier may hold slashes."""

    regex = ".+"
    part_isolating = False


def blueprint(parts: "Parts") -> Blueprint:
    views = Blueprint("contacts", __name__)

    @views.get("/contacts/<identifier:identifier>")
    def show(identifier: str) -> Response:
        if not is_authorized(request.headers.get("Authorization", ""), parts.api_token):
            detail = "Send Authorization: Bearer with the API_TOKEN." if parts.api_token else "API_TOKEN is not set."
            return problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
        try:
            record = parts.history.contact(identifier)
        except StoreError:
            return store_away()
        if record is None:
            return problem(404, "There is no contact with this identifier.")
        return Response(json.dumps(as_json(record)), 200, content_type="application/json")

    return views


def is_authorized(header: str, token: str | None) -> bool:
    """Whether ``Authorization: Bearer <token>`` is right; never without a token."""
    scheme, _, given = header.partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode("latin-1", errors="replace"), token.encode())


def as_json(record: ContactRecord) -> dict[str, Any]:
    """The record as the API shows it; times are RFC 3339 in UTC."""
    return {
        "identifier": record.identifier,
        "state": record.state,
        "outcome": record.outcome,
        "contact_id": int(record.contact_id) if record.contact_id else None,
        "cause": record.cause,
        "owner_id": int(record.owner_id) if record.owner_id else None,
        "notes": [{"field": note.field, "text": note.text} for note in record.notes],
        "attempts": [_attempt(attempt) for attempt in record.attempts],
        "attempts_made": record.attempts_made,
        "next_attempt_at": rfc3339(record.next_attempt_at),
        "source": record.source,
        "received_at": rfc3339(record.received_at),
        "closed_at": rfc3339(record.closed_at),
        "newer_fields": list(record.newer_fields),
        "newer_at": rfc3339(record.newer_at),
    }


def rfc3339(ms: int | None) -> str | None:
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": rfc3339(attempt.at),
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "cause": attempt.cause,
        "excerpt": attempt.excerpt or None,
    }
