"""``/healthz``: the process is alive. ``/readyz``: deliveries are accepted now.

Strangers learn whether it is ready. The reasons and the figures need the token of the metrics.
"""

import json
from contextlib import suppress

from flask import Blueprint, Response, request

from webhook_app.parts import Parts, current_parts
from webhook_app.present.serializers import serialize, to_dict
from webhook_app.present.shapes import Reachability
from worker.durations import rfc3339
from worker.errors import StoreError
from worker.store.durability import Health

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    return _json(200, {"status": "alive"})


@blueprint.get("/readyz")
def readyz() -> Response:
    parts = current_parts()
    is_detailed = parts.shows_figures(request.headers.get("Authorization", ""))
    try:
        health = parts.store.overview.health()
    except StoreError as error:
        problems = {"problems": [f"Redis cannot be used: {error}"]} if is_detailed else {}
        return _json(503, {"status": "not ready", **problems})
    status, word = (503, "not ready") if health.problems else (200, "ready")
    return _json(status, {"status": word, **(_details(parts, health) if is_detailed else {})})


def _details(parts: Parts, health: Health) -> dict[str, object]:
    document: dict[str, object] = {
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
    return document


def _json(status: int, document: object) -> Response:
    return Response(json.dumps(document), status, content_type="application/json")
