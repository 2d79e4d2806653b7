"""``/healthz``: this process answers. ``/readyz``: a delivery would be taken, and be safe."""

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from flask import Blueprint, Response

from worker.errors import StoreError

if TYPE_CHECKING:
    from webhook_app import Parts


def blueprint(parts: "Parts") -> Blueprint:
    views = Blueprint("health", __name__)

    @views.get("/healthz")
    def healthz() -> Response:
        return _json(200, {"status": "alive"})

    @views.get("/readyz")
    def readyz() -> Response:
        try:
            health = parts.history.health()
        except StoreError as error:
            return _json(503, {"status": "not ready", "problems": [f"Redis cannot be used: {error}"]})
        document: dict[str, object] = {
            "status": "not ready" if health.problems else "ready",
            "problems": health.problems,
            "warnings": health.warnings,
            "ack": {"required": health.required, "given": health.given or "not told"},
        }
        # Where Redis does not tell how much there is to do, it has told why.
        with suppress(StoreError):
            document |= {"contacts": parts.history.counts(), "queue": parts.history.queue_length()}
        return _json(503 if health.problems else 200, document)

    return views


def _json(status: int, document: object) -> Response:
    return Response(json.dumps(document), status, content_type="application/json")
