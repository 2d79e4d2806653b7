"""``/healthz``: this process answers. ``/readyz``: a delivery would be taken, and be safe."""

import json
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
            health, counts, queue = parts.history.health(), parts.history.counts(), parts.history.queue_length()
        except StoreError as error:
            return _json(503, {"status": "not ready", "problems": [f"Redis cannot be used: {error}"]})
        document = {
            "status": "not ready" if health.problems else "ready",
            "problems": health.problems,
            "warnings": health.warnings,
            "contacts": counts,
            "queue": queue,
        }
        return _json(503 if health.problems else 200, document)

    return views


def _json(status: int, document: object) -> Response:
    return Response(json.dumps(document), status, content_type="application/json")
