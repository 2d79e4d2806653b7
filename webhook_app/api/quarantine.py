"""Deliveries in quarantine: list, get, replay and delete them."""

from typing import Any

from werkzeug import Response

from webhook_app.api.blueprint import blueprint
from webhook_app.api.document import Listing, Nothing, describe
from webhook_app.api.schemas import ONLY_REVEAL, PAGE, QUARANTINE, REPLAY, REPLAY_CLASH
from webhook_app.operator import SAME_PERSON, UNDECIDED, Decision, InvalidInput, Operator
from webhook_app.parts import current_parts
from webhook_app.present import serializers
from webhook_app.present.shapes import QuarantinedDelivery, QuarantineEntry, Replayed, ReplayedClash
from worker.model import Status


@blueprint.get("/quarantine")
@describe(Listing("deliveries", QuarantineEntry), query=QUARANTINE, problems=(422,))
def list_quarantine(query: dict[str, Any]) -> object:
    """List deliveries in quarantine, oldest first."""
    offset, limit = query.get("offset", 0), query.get("limit", PAGE)
    page = current_parts().store.quarantine.page(offset=offset, limit=limit, clash=_clash(query), with_payloads=False)
    return {"deliveries": [serializers.quarantined(one) for one in page]}


@blueprint.get("/quarantine/<entry>")
@describe(QuarantinedDelivery, query=ONLY_REVEAL, acts=True, problems=(404,))
def get_quarantined_delivery(entry: str, query: dict[str, Any], operator: Operator) -> QuarantinedDelivery:
    """Get a delivery in quarantine."""
    reveal = query.get("reveal", False)
    found = operator.quarantine.reveal(entry) if reveal else operator.quarantine.get(entry)
    return serializers.delivery(found, reveal=reveal)


@blueprint.post("/quarantine/<entry>/replay")
@describe(Replayed, body=REPLAY, acts=True, problems=(404, 409, 422))
def replay_quarantined_delivery(entry: str, body: dict[str, Any], operator: Operator) -> Replayed:
    """Replay a delivery with its source as it is configured now, or resolve a clash."""
    decision, one = _decision(body), operator.quarantine.get(entry)
    status = operator.quarantine.replay(entry, body.get("why", ""), decision)
    advice = operator.quarantine.advice((one.source, one.clash), decision)
    return Replayed(status=Status(status), advice=advice or None)


@blueprint.post("/quarantine/replay")
@describe(ReplayedClash, body=REPLAY_CLASH, acts=True, problems=(422,))
def replay_clash(body: dict[str, Any], operator: Operator) -> ReplayedClash:
    """Replay deliveries of a source that clash with another, at most 100 per request."""
    clash, decision, skip = (body["source"], body["clashes_with"]), _decision(body), int(body.get("skip", 0))
    statuses, failed = operator.quarantine.replay_some(skip, body.get("why", ""), clash, decision)
    waiting = operator.parts.store.quarantine.clashes().get(clash, 0)
    return ReplayedClash(
        statuses={Status(status): number for status, number in statuses.items()},
        failed=failed,
        remaining=max(0, waiting - skip - failed),
        advice=operator.quarantine.advice(clash, decision) or None,
    )


@blueprint.delete("/quarantine/<entry>")
@describe((204, Nothing), acts=True, problems=(404,))
def delete_quarantined_delivery(entry: str, operator: Operator) -> Response:
    """Delete a delivery in quarantine."""
    operator.quarantine.discard(entry)
    return Response(status=204)


def _clash(query: dict[str, Any]) -> tuple[str, str] | None:
    """Return the pair of sources whose clashes are asked for."""
    missing = [name for name in ("source", "clashes_with") if name not in query]
    if len(missing) == 1:
        raise InvalidInput({missing[0]: "is required with the other source"})
    return None if missing else (query["source"], query["clashes_with"])


def _decision(body: dict[str, Any]) -> Decision:
    same_person, id_prefix = body.get("same_person", False), body.get("id_prefix")
    if same_person and id_prefix is not None:
        raise InvalidInput({"id_prefix": "cannot be used with same_person"})
    if same_person:
        return SAME_PERSON
    return UNDECIDED if id_prefix is None else Decision.two_people(id_prefix)
