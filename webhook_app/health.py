"""``/healthz``: the process is alive. ``/readyz``: deliveries are accepted now."""

import json
from contextlib import suppress

from flask import Blueprint, Response

from webhook_app.parts import current_parts
from webhook_app.present.serializers import serialize, to_dict
from webhook_app.present.shapes import Reachability
from worker.durations import rfc3339
from worker.errors import StoreError

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    return _json(200, {"status": "alive"})


@blueprint.get("/readyz")
def readyz() -> Response:
    parts = current_parts()
    try:
        health = parts.store.overview.health()
    except StoreError as error:
        return _json(503, {"status": "not ready", "problems": [f"Redis cannot be used: {error}"]})
    document: dict[str, object] = {
        "status": "not ready" if health.problems else "ready",
        "problems": health.problems,
        "warnings": health.warnings,
        "records_since": None if health.since is None else rfc3339(health.since),
        "ack": {"required": health.required, "given": health.given or "unknown"},
    }
    # If Redis cannot report the figures, its problems are reported above. While it stalls, nobody waits for them.
    with suppress(StoreError):
        if parts.store.readiness.is_stalled():
            raise StoreError("Redis stalls")
        document |= {
            "contacts": parts.store.contacts.counts(),
            "queue": parts.store.queue.length(),
            "livedesk": to_dict(serialize(parts.store.upstream.read(), Reachability)),
        }
    return _json(503 if health.problems else 200, document)


def _json(status: int, document: object) -> Response:
    return Response(json.dumps(document), status, content_type="application/json")
