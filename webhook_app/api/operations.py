"""Operations on many contacts: plan one, start it, watch it, change its state."""

from typing import Any

from werkzeug import Response

from webhook_app.api.blueprint import answer, blueprint
from webhook_app.api.document import Listing, describe
from webhook_app.api.schemas import OPERATIONS, OPERATIONS_PAGE, REASON, START
from webhook_app.operator import CHANGES, Operator, parse_filter
from webhook_app.parts import current_parts
from webhook_app.present.serializers import serialize
from webhook_app.present.shapes import Operation, Plan
from worker.actions import BulkAction


@blueprint.get("/operations")
@describe(Listing("operations", Operation), query=OPERATIONS)
def list_operations(query: dict[str, Any]) -> object:
    """List the latest operations."""
    latest = current_parts().store.operations.latest(query.get("limit", OPERATIONS_PAGE))
    return {"operations": [serialize(one, Operation) for one in latest]}


@blueprint.post("/operations")
@describe((201, Operation), (200, Plan), body=START, acts=True, problems=(409, 422))
def start_operation(body: dict[str, Any], operator: Operator) -> Plan | Response:
    """Act on many contacts; with dry_run, only return what that would do."""
    wanted = parse_filter(body["filter"], now=int(current_parts().clock() * 1000))
    plan = operator.operations.plan(BulkAction(body["action"]), wanted)
    if body.get("dry_run"):
        return serialize(plan, Plan)
    started = operator.operations.start(plan, body.get("why", ""), canary=body.get("canary", False))
    return answer(serialize(started, Operation), 201, {"Location": f"/api/v1/operations/{started.id}"})


@blueprint.get("/operations/<id>")
@describe(Operation, acts=True, problems=(404,))
def get_operation(id: str, operator: Operator) -> Operation:  # noqa: A002 - its name in the document
    """Get an operation."""
    return serialize(operator.operations.get(id), Operation)


@describe(Operation, body=REASON, acts=True, problems=(404, 409))
def change_operation(id: str, change: str, body: dict[str, Any], operator: Operator) -> Operation:  # noqa: A002
    """Pause, resume, cancel or undo an operation."""
    return serialize(operator.operations.change(id, change, body.get("why", "")), Operation)


for change in CHANGES:
    blueprint.add_url_rule(
        f"/operations/<id>/{change}",
        f"{change}_operation",
        change_operation,
        methods=["POST"],
        defaults={"change": change},
    )
