"""Operations on many contacts: the plan, the progress, and the buttons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import abort, flash, make_response, redirect, render_template, request, url_for
from werkzeug import Response

from webhook_app.access import Role
from webhook_app.dashboard.blueprint import blueprint
from webhook_app.dashboard.pages import back, now, operator, read_overview, reason, show
from webhook_app.dashboard.selection import select
from webhook_app.dashboard.session import needs
from webhook_app.operator import CHANGES, Plan, describe_filter, remaining_ms
from webhook_app.parts import current_parts
from webhook_app.present.wording import ACTION_WORDS, OBSTACLE_WORDS
from worker.actions import TRANSITIONS, BulkAction, OperationState
from worker.model import State
from worker.store.lists import Filter
from worker.store.operations import END, Operation

#: Up to this many contacts a list asks for confirmation itself; for more there is the page with the plan.
MAX_INLINE = 100
#: Above this many a canary is suggested.
CANARY_ABOVE = 10
DONE = {
    "pause": "Operation paused.",
    "resume": "Operation resumed.",
    "cancel": "Operation cancelled.",
    "undo": "Undoing the operation.",
}
#: Why contacts in a state are skipped.
SKIPPED = {
    State.PENDING: "not tried yet; the first attempt is due anyway",
    State.SENDING: "an attempt is running",
    State.RETRYING: "not a conflict; it is retried anyway",
    State.CREATED: "already in LiveDesk",
    State.FAILED: "not a conflict",
    State.DISCARDED: "already discarded",
    State.DELETED: "the source has deleted the person",
}
#: How the templates word actions, and why conflicts are skipped.
WORDS = {"words": ACTION_WORDS, "obstacle_words": OBSTACLE_WORDS}


@dataclass(frozen=True, slots=True)
class Share:
    """A part of an operation's contacts: CSS class, words, place in a bar 100 wide."""

    name: str
    words: str
    number: int
    x: float
    width: float


@blueprint.get("/operations")
@needs(Role.VIEWER)
def operations() -> str:
    latest = current_parts().store.operations.latest()
    return show("operations", operations=[(each, describe_filter(each.filter), shares(each)) for each in latest])


@blueprint.get("/operations/new")
@needs(Role.OPERATOR)
def operation_plan() -> str:
    plan = _plan(request.args)
    return _show_plan(plan, canary=plan.total > CANARY_ABOVE)


@blueprint.get("/operations/resolve")
@needs(Role.OPERATOR)
def operation_resolve() -> str:
    """Show how the conflicts in a list can be resolved, and how many by each action."""
    wanted = select(request.args).filter
    plans = operator().operations.plans((action for action in ACTION_WORDS if action.resolves), wanted, read_overview())
    return show("resolve", plans=plans, filter_words=describe_filter(wanted), back=list_of(wanted), **WORDS)


@blueprint.post("/operations/new")
@needs(Role.OPERATOR)
def operation_begin() -> Response:
    """Start the plan if it still matches about as many contacts as displayed."""
    form = request.form
    plan = _plan(form)
    canary = form.get("canary") == "1" and plan.action.sends
    expected = form.get("expected", "")
    seen = int(expected) if expected.isdecimal() and len(expected) < 15 else None
    if plan.total == 0:
        flash("No contact is left that this would affect.", "error")
        return redirect(list_of(plan.filter), 303)
    if seen is None or plan.has_drifted(seen):
        return make_response(_show_plan(plan, expected=seen, why=reason(), canary=canary), 409)
    started = operator().operations.start(plan, reason(), canary=canary)
    return redirect(url_for("dashboard.operation", operation_id=started.id), 303)


@blueprint.get("/operations/<operation_id>")
@needs(Role.VIEWER)
def operation(operation_id: str) -> str:
    return show("operation", **_progress(operation_id))


@blueprint.get("/operations/<operation_id>/progress")
@needs(Role.VIEWER)
def operation_progress(operation_id: str) -> Response:
    """Render the progress alone; the page reloads when the state changes."""
    values = _progress(operation_id)
    response = make_response(render_template("dashboard/operation_progress.html", now=now(), **values))
    if request.args.get("seen") not in (None, values["operation"].state.value):
        response.headers["HX-Refresh"] = "true"
    return response


@blueprint.post("/operations/<operation_id>/<change>")
@needs(Role.OPERATOR)
def operation_change(operation_id: str, change: str) -> Response:
    if change not in CHANGES:
        abort(404)
    operator().operations.change(operation_id, change, reason())
    return back(DONE[change])


def shares(operation: Operation) -> list[Share]:
    """Return the parts that an operation's contacts fall into, as a bar 100 wide."""
    rest = max(0, operation.total - operation.moved - operation.skipped)
    is_moving = operation.state.is_active and operation.cursor != END
    done = ACTION_WORDS[operation.action].done
    if operation.action is BulkAction.DISCARD:
        pairs = [("left", done, operation.moved - operation.restored)]
    else:
        pairs = [
            ("recovered", done, operation.recovered),
            ("same", "failed with the same cause", operation.same),
            ("again", "failed with another cause", operation.again),
            ("left", "changed by somebody else", operation.left),
            ("under-way", "queued, not tried yet", max(0, operation.moved - operation.reported)),
        ]
    rest_words = "not processed yet" if is_moving else "not processed"
    pairs += [
        ("restored", "undone", operation.restored),
        ("skipped", "skipped", operation.skipped),
        ("rest", rest_words, rest),
    ]
    whole = sum(number for *_, number in pairs) or 1
    made, x = [], 0.0
    for name, words, number in pairs:
        width = round(100 * number / whole, 2)
        made.append(Share(name, words, number, round(x, 2), width))
        x += width
    return made


def list_of(wanted: Filter) -> str:
    """Return the address of the list with this filter."""
    fields: dict[str, Any] = wanted.dump()
    return url_for("dashboard.contacts", **fields)


def _plan(fields: Mapping[str, str]) -> Plan:
    if fields.get("action") not in tuple(BulkAction):
        abort(400, f"An operation needs an action: {', '.join(BulkAction)}.")
    return operator().operations.plan(BulkAction(fields["action"]), select(fields).filter, read_overview())


def _show_plan(plan: Plan, *, canary: bool, expected: int | None = None, why: str = "") -> str:
    """Render the plan; ``expected``: the number of contacts has changed since."""
    words, back_to = describe_filter(plan.filter), list_of(plan.filter)
    values = {"expected": expected, "why": why, "canary": canary, "skipped_words": SKIPPED}
    return show("plan", plan=plan, filter_words=words, back=back_to, **values, **WORDS)


def _progress(operation_id: str) -> dict[str, Any]:
    operation = operator().operations.get(operation_id)
    overview = read_overview()
    left = (operation.moved if operation.cursor == END else operation.total) - operation.reported
    waits = operation.state is OperationState.RUNNING and operation.action.sends and left > 0
    to_move = 0 if operation.cursor == END else max(0, operation.total - operation.moved)
    return {
        "operation": operation,
        "filter_words": describe_filter(operation.filter),
        "shares": shares(operation),
        "waits": waits,
        "undoable": current_parts().store.operations.undoable(operation.id),
        "words": ACTION_WORDS,
        "upstream": overview.upstream if overview else None,
        "takes_ms": remaining_ms(operation.action, operation.filter, to_move, overview) if waits and overview else None,
        "changes": [
            command.value for command, transition in TRANSITIONS.items() if operation.state in transition.sources
        ],
    }
