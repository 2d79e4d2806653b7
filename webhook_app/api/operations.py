"""Many contacts at once: what an operation would do, beginning one, and how it goes."""

from typing import TYPE_CHECKING

from flask import Blueprint
from werkzeug import Response

from webhook_app import operator
from webhook_app.api.answers import answer
from webhook_app.api.document import endpoint
from webhook_app.api.params import (
    body,
    filter_of,
    query,
    who,
)
from webhook_app.api.schemas import NOTHING, OPERATIONS, REASON, START
from webhook_app.present import serializers
from worker.store.operations import Action, OperationState

if TYPE_CHECKING:
    from webhook_app.parts import Parts

TURNS = {
    "pause": OperationState.PAUSED,
    "resume": OperationState.RUNNING,
    "cancel": OperationState.CANCELLED,
    "undo": OperationState.UNDOING,
}
PATHS = {
    "/operations": {
        "get": endpoint("The latest operations", (200, "Operations"), query=OPERATIONS),
        "post": endpoint(
            "Retry or discard many contacts; with dry_run only tell what that would do",
            (201, "Operation"),
            (200, "Preview"),
            body=START,
            changes=True,
            problems=(409, 422),
        ),
    },
    "/operations/{id}": {"get": endpoint("One operation", (200, "Operation"), problems=(404,))},
    **{
        f"/operations/{{id}}/{name}": {
            "post": endpoint(
                f"{name.capitalize()} it", (200, "Operation"), body=REASON, changes=True, problems=(404, 409)
            )
        }
        for name in TURNS
    },
}
SHOWN = 50


def register(views: Blueprint, parts: "Parts") -> None:
    @views.get("/operations")
    def operations() -> Response:
        latest = parts.operations.latest(query(OPERATIONS).get("limit", SHOWN))
        return answer({"operations": [serializers.operation(one) for one in latest]})

    @views.post("/operations")
    def start() -> Response:
        query(NOTHING)
        asked, starter = body(START), who()
        action, wanted = Action(asked["action"]), filter_of(asked["filter"])
        if asked.get("dry_run"):
            return answer(serializers.plan(operator.Operator(parts, starter).operations.plan(action, wanted)))
        why, canary = asked.get("why", ""), asked.get("canary", False)
        begun = operator.start(parts, action, wanted, starter, why, canary=canary)
        return answer(serializers.operation(begun), 201, {"Location": f"/api/v1/operations/{begun.id}"})

    @views.get("/operations/<id>")
    def operation(id: str) -> Response:  # noqa: A002 - as it is called in the address
        query(NOTHING)
        return answer(serializers.operation(operator.Operator(parts, "").operations.get(id)))

    for name in TURNS:
        _register_turn(views, parts, name)


def _register_turn(views: Blueprint, parts: "Parts", name: str) -> None:
    @views.post(f"/operations/<id>/{name}", endpoint=f"{name}_operation")
    def turn(id: str) -> Response:  # noqa: A002
        query(NOTHING)
        turned = operator.turn(parts, id, TURNS[name], who(), body(REASON).get("why", ""))
        return answer(serializers.operation(turned))
