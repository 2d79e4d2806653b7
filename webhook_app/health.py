"""``/healthz``: this process answers. ``/readyz``: a delivery would be taken, and be safe."""

import json
from contextlib import suppress

from flask import Blueprint, Response

from webhook_app.parts import current_parts
from webhook_app.present.serializers import rfc3339
from worker.errors import StoreError
from worker.store.overview import Upstream

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    return _json(200, {"status": "alive"})


@blueprint.get("/readyz")
def readyz() -> Response:
    parts = current_parts()
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
    # If Redis cannot report the figures, its problems are reported above.
    with suppress(StoreError):
        document |= {
            "contacts": parts.history.counts(),
            "queue": parts.history.queue_length(),
            "livedesk": _livedesk(parts.situations.upstream()),
        }
    return _json(503 if health.problems else 200, document)


def _livedesk(upstream: Upstream) -> dict[str, object]:
    """How LiveDesk is treated now, which makes nothing more or less ready. Who paused it, and why, the dashboard tells.

    ``pace`` and ``rate`` are requests a second, times RFC 3339.
    """
    is_stopped = upstream.stop is not None
    return {
        "state": upstream.state,
        "stop": upstream.stop,
        "cause": upstream.cause,
        "since": rfc3339(upstream.since),
        "paused_since": rfc3339(upstream.paused_at),
        "next_probe_at": rfc3339(upstream.probe_at) if is_stopped else None,
        "failed_probes": upstream.probes,
        "pace": upstream.pace,
        "rate": upstream.rate,
        "held_inboxes": [
            {"inbox": held.inbox, "since": rfc3339(held.since), "next_probe_at": rfc3339(held.probe_at)}
            for held in upstream.inboxes
        ],
    }


def _json(status: int, document: object) -> Response:
    return Response(json.dumps(document), status, content_type="application/json")
