"""The state of the sync, and the actions pause and resume."""

from typing import Any

from werkzeug import Response

from webhook_app.api.blueprint import blueprint
from webhook_app.api.document import Csv, Listing, describe
from webhook_app.api.schemas import AUDIT, AUDIT_CSV, CAUSES, CAUSES_PAGE, CHANGES, PAGE, REASON
from webhook_app.operator import Operator, parse_audit_filter
from webhook_app.parts import current_parts
from webhook_app.present import serializers
from webhook_app.present.csv_export import CSV_TYPE, audit_as_csv
from webhook_app.present.serializers import serialize
from webhook_app.present.shapes import AuditEntry, Cause, Change, Minute, Situation, SourceUse, Upstream, Workers
from webhook_app.problems import problem
from worker.store.audit import AuditFilter
from worker.store.counters import CLASH, DELIVERY, EVENT, REFUSED


@blueprint.get("/situation")
@describe(Situation)
def get_situation() -> Situation:
    """Get the state of the sync at a glance."""
    return serialize(current_parts().store.overview.read(), Situation)


@blueprint.get("/flow")
@describe(Listing("minutes", Minute))
def get_flow() -> object:
    """Get what happened in each minute of the last hour."""
    return {"minutes": [serializers.minute(one) for one in current_parts().store.overview.flow()]}


@blueprint.get("/causes")
@describe(Listing("causes", Cause), query=CAUSES)
def list_causes(query: dict[str, Any]) -> object:
    """List the causes of failures, those with the most contacts first."""
    causes = current_parts().store.overview.causes(query.get("limit", CAUSES_PAGE))
    return {"causes": [serialize(one, Cause) for one in causes]}


@blueprint.get("/causes/<cause>")
@describe(Cause, problems=(404,))
def get_cause(cause: str) -> Cause | Response:
    """Get a cause."""
    found = current_parts().store.overview.cause(cause)
    return serialize(found, Cause) if found else problem(404, "No contact ever failed with this cause.")


@blueprint.get("/upstream")
@describe(Upstream)
def get_upstream() -> Upstream:
    """Get the state of LiveDesk."""
    return serialize(current_parts().store.upstream.read(), Upstream)


@blueprint.post("/upstream/pause")
@describe(Upstream, body=REASON, acts=True, problems=(409,))
def pause_sync(body: dict[str, Any], operator: Operator) -> Upstream:
    """Send nothing to LiveDesk until somebody resumes."""
    operator.sync.pause(body.get("why", ""))
    return serialize(current_parts().store.upstream.read(), Upstream)


@blueprint.post("/upstream/resume")
@describe(Upstream, body=REASON, acts=True, problems=(409,))
def resume_sync(body: dict[str, Any], operator: Operator) -> Upstream:
    """End the pause."""
    operator.sync.resume(body.get("why", ""))
    return serialize(current_parts().store.upstream.read(), Upstream)


@blueprint.get("/sources")
@describe(Listing("sources", SourceUse))
def list_sources() -> object:
    """List sources, when each secret was last used, and how their deliveries ended."""
    parts = current_parts()
    used, counted = parts.store.secret_uses.read(), parts.store.counters.totals(CLASH, DELIVERY, EVENT, REFUSED)
    waiting = parts.store.quarantine.clashes()
    deletes = parts.account().deletes
    shown = (serializers.source(one, used, counted, waiting, deletes=deletes) for one in parts.sources.values())
    return {"sources": list(shown)}


@blueprint.get("/changes")
@describe(Listing("changes", Change), query=CHANGES)
def list_changes(query: dict[str, Any]) -> object:
    """List the changes and deletions that reached LiveDesk, latest first."""
    recent = current_parts().store.changes.recent
    found = recent(query.get("key"), before=query.get("before"), limit=query.get("limit", PAGE))
    return {"changes": [serializers.change(one) for one in found]}


@blueprint.get("/workers")
@describe(Workers)
def list_workers() -> Workers:
    """List when a worker on each host last made progress."""
    store = current_parts().store
    return serializers.workers(store.queue.workers(), store.upstream.read())


@blueprint.get("/audit")
@describe(Listing("entries", AuditEntry), query=AUDIT, problems=(422,))
def list_audit_entries(query: dict[str, Any]) -> object:
    """List what operators did and the sync decided, latest first."""
    wanted = _audit_filter(query)
    audit = current_parts().store.audit
    entries = audit.page(before=query.get("before"), limit=query.get("limit", PAGE), wanted=wanted)
    return {"entries": [serialize(one, AuditEntry) for one in entries]}


@blueprint.get("/audit.csv")
@describe(Csv, query=AUDIT_CSV, problems=(422,))
def export_audit_entries(query: dict[str, Any]) -> Response:
    """Export all entries of the audit log that match as CSV, latest first."""
    return Response(audit_as_csv(current_parts(), _audit_filter(query)), content_type=CSV_TYPE)


def _audit_filter(query: dict[str, Any]) -> AuditFilter:
    return parse_audit_filter(query, now=int(current_parts().clock() * 1000))
