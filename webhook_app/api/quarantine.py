"""Deliveries in quarantine: list, get, replay and delete them."""

from typing import Any

from werkzeug import Response

from webhook_app.api.blueprint import blueprint
from webhook_app.api.document import Listing, Nothing, describe
from webhook_app.api.schemas import ONLY_REVEAL, PAGE, QUARANTINE, REASON
from webhook_app.operator import Operator
from webhook_app.parts import current_parts
from webhook_app.present import serializers
from webhook_app.present.shapes import QuarantinedDelivery, QuarantineEntry, Replayed
from worker.model import Status


@blueprint.get("/quarantine")
@describe(Listing("deliveries", QuarantineEntry), query=QUARANTINE)
def list_quarantine(query: dict[str, Any]) -> object:
    """List deliveries in quarantine, oldest first."""
    page = current_parts().store.quarantine.page(offset=query.get("offset", 0), limit=query.get("limit", PAGE))
    return {"deliveries": [serializers.serialize(one, QuarantineEntry) for one in page]}


@blueprint.get("/quarantine/<entry>")
@describe(QuarantinedDelivery, query=ONLY_REVEAL, acts=True, problems=(404,))
def get_quarantined_delivery(entry: str, query: dict[str, Any], operator: Operator) -> QuarantinedDelivery:
    """Get a delivery in quarantine."""
    reveal = query.get("reveal", False)
    found = operator.quarantine.reveal(entry) if reveal else operator.quarantine.get(entry)
    return serializers.delivery(found, reveal=reveal)


@blueprint.post("/quarantine/<entry>/replay")
@describe(Replayed, body=REASON, acts=True, problems=(404, 422))
def replay_quarantined_delivery(entry: str, body: dict[str, Any], operator: Operator) -> Replayed:
    """Replay a delivery with its source as it is configured now."""
    return Replayed(status=Status(operator.quarantine.replay(entry, body.get("why", ""))))


@blueprint.delete("/quarantine/<entry>")
@describe((204, Nothing), acts=True, problems=(404,))
def delete_quarantined_delivery(entry: str, operator: Operator) -> Response:
    """Delete a delivery in quarantine."""
    operator.quarantine.discard(entry)
    return Response(status=204)
