"""``GET /contacts/<identifier>``: what we know about one contact, for whoever holds ``API_TOKEN``."""

import hmac
import json
from typing import TYPE_CHECKING

from flask import Blueprint, request
from werkzeug import Response
from werkzeug.routing import BaseConverter

from webhook_app.present.serializers import as_json
from webhook_app.problems import problem, store_away
from worker.errors import StoreError

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
