"""Operations on many contacts: the plan before one begins, how it goes, and the ways to stop it or take it back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from werkzeug import Response

from webhook_app import operator
from webhook_app.access import Role
from webhook_app.dashboard.filters import in_words, read_filter
from webhook_app.dashboard.session import acting, needs
from webhook_app.dashboard.view import show, why
from worker.model import State
from worker.store.lists import Filter
from worker.store.operations import END, TURNS, Action, NotOpened, Operation, OperationState

if TYPE_CHECKING:
    from webhook_app.parts import Parts

#: Up to so many a list asks on the spot; for more there is a page with the plan.
INLINE_MOST = 100
#: Above so many a canary goes first, unless somebody does not want one.
CANARY_ABOVE = 10
#: By what share the number of contacts may have moved since a person saw it.
MAY_MOVE = 0.1
#: What a person may do with an operation, with the state that it turns to.
WAYS = {way: state for state, way in operator.WAYS.items()}
#: Why contacts in a state are left alone, by what somebody wants to do.
SKIPPED = {
    Action.RETRY: {
        State.PENDING: "not tried yet: its first attempt is due anyway",
        State.SENDING: "an attempt is running",
        State.CREATED: "in LiveDesk already",
    },
    Action.DISCARD: {
        State.SENDING: "an attempt is running",
        State.CREATED: "in LiveDesk already",
        State.DISCARDED: "discarded already",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an operation would do: to how many in each state, and to whom not. ``at_least``: there may be more.

    ``takes_ms`` is how long it takes by the present pace, ``behind_ms`` what goes first; ``None``: nobody can tell.
    """

    action: Action
    filter: Filter
    eligible: dict[State, int]
    skipped: dict[State, int]
    at_least: bool
    pace: float
    upstream: str
    takes_ms: int | None
    behind_ms: int | None

    @property
    def total(self) -> int:
        return sum(self.eligible.values())

    @property
    def matched(self) -> int:
        return self.total + sum(self.skipped.values())


@dataclass(frozen=True, slots=True)
class Share:
    """A part of an operation's contacts: its name in the style sheet, in words, how many, and its place in the bar."""

    name: str
    words: str
    number: int
    x: float
    width: float


def register(views: Blueprint, parts: "Parts") -> None:
    @views.get("/operations")
    @needs(Role.VIEWER)
    def operations() -> str:
        listed = [
            (operation, in_words(operation.filter), shares(operation)) for operation in parts.store.operations.latest()
        ]
        return show(parts, "operations", operations=listed)

    @views.get("/operations/new")
    @needs(Role.OPERATOR)
    def operation_plan() -> str:
        plan = _plan(parts, *_asked(parts, request.args))
        return _show_plan(parts, plan, expected=None, why="", canary=plan.total > CANARY_ABOVE)

    @views.post("/operations/new", endpoint="operation_begin")
    @needs(Role.OPERATOR)
    def operation_begin() -> Response:
        return _begin(parts)

    @views.get("/operations/<operation_id>")
    @needs(Role.VIEWER)
    def operation(operation_id: str) -> str:
        return show(parts, "operation", **_facts(parts, operation_id))

    @views.get("/operations/<operation_id>/progress")
    @needs(Role.VIEWER)
    def operation_progress(operation_id: str) -> Response:
        """The figures alone, for a page that is open. Once the state is another one, the page loads anew: other buttons
        make sense then."""
        facts = _facts(parts, operation_id)
        page = render_template("dashboard/operation_progress.html", now=parts.store.now(), **facts)
        response = make_response(page)
        if request.args.get("seen") not in (None, facts["operation"].state.value):
            response.headers["HX-Refresh"] = "true"
        return response

    @views.post("/operations/<operation_id>/<way>")
    @needs(Role.OPERATOR)
    def operation_turn(operation_id: str, way: str) -> Response:
        return _turn(parts, operation_id, way)


def shares(operation: Operation) -> list[Share]:
    """The parts that all contacts of an operation fall into, as a bar that is 100 wide."""
    rest = max(0, operation.total - operation.moved)
    is_moving = operation.state.is_active and operation.cursor != END
    if operation.action is Action.DISCARD:
        pairs = [("left", "discarded", operation.moved - operation.restored)]
    else:
        pairs = [
            ("recovered", "created", operation.recovered),
            ("same", "failed with the same cause", operation.same),
            ("again", "failed with another cause", operation.again),
            ("left", "taken up by somebody else", operation.left),
            ("under-way", "moved, not tried yet", max(0, operation.moved - operation.told)),
        ]
    rest_words = "not moved yet" if is_moving else "not moved"
    pairs += [("restored", "put back", operation.restored), ("rest", rest_words, rest)]
    whole = sum(number for *_, number in pairs) or 1
    made, x = [], 0.0
    for name, words, number in pairs:
        width = round(100 * number / whole, 2)
        made.append(Share(name, words, number, round(x, 2), width))
        x += width
    return made


def list_of(wanted: Filter) -> str:
    """The address of the list that a filter finds."""
    fields: dict[str, Any] = wanted.dump()
    return url_for("dashboard.contacts", **fields)


def _asked(parts: "Parts", fields: dict[str, str]) -> tuple[Action, Filter]:
    """What a person wants to do, and to whom."""
    try:
        action = Action(fields.get("action", ""))
    except ValueError:
        abort(400, "An operation retries or discards.")
    return action, read_filter(fields, parts.store.now()).filter


def _plan(parts: "Parts", action: Action, wanted: Filter) -> Plan:
    by_state, at_least = parts.store.lists.by_state(wanted)
    situation = parts.store.overview.read()
    eligible = {state: number for state, number in by_state.items() if state in action.eligible}
    pace, total = situation.upstream.pace, sum(eligible.values())
    return Plan(
        action=action,
        filter=wanted,
        eligible=eligible,
        skipped={state: number for state, number in by_state.items() if state not in action.eligible},
        at_least=at_least,
        pace=pace,
        upstream=situation.upstream.state,
        takes_ms=round(total / pace * 1000) if pace else None,
        behind_ms=None if situation.clear_s is None else round(situation.clear_s * 1000),
    )


def _show_plan(parts: "Parts", plan: Plan, *, expected: int | None, why: str, canary: bool) -> str:
    """The plan; with ``expected`` it says that there are more or fewer than a person saw before."""
    return show(
        parts,
        "plan",
        plan=plan,
        expected=expected,
        why=why,
        canary=canary,
        filter_words=in_words(plan.filter),
        skipped_words=SKIPPED[plan.action],
        back=list_of(plan.filter),
    )


def _begin(parts: "Parts") -> Response:
    """Begins what the plan says, if it still finds about as many contacts as a person saw."""
    form = request.form.to_dict()
    plan = _plan(parts, *_asked(parts, form))
    canary = form.get("canary") == "1"
    seen = int(form["expected"]) if form.get("expected", "").isdecimal() and len(form["expected"]) < 15 else None
    if plan.total == 0:
        flash(f"There is nobody left to {plan.action}.", "error")
        return redirect(list_of(plan.filter), 303)
    if seen is None or abs(plan.total - seen) > seen * MAY_MOVE:
        return make_response(_show_plan(parts, plan, expected=seen, why=why(), canary=canary), 409)
    try:
        is_canary = canary and plan.action is Action.RETRY
        begun = operator.start(parts, plan.action, plan.filter, acting(), why(), canary=is_canary)
    except (NotOpened, operator.ActionRefused) as problem:
        flash(str(problem), "error")
        return redirect(url_for("dashboard.operations"), 303)
    return redirect(url_for("dashboard.operation", operation_id=begun.id), 303)


def _turn(parts: "Parts", operation_id: str, way: str) -> Response:
    if way not in WAYS:
        abort(404)
    try:
        operator.turn(parts, operation_id, WAYS[way], acting(), why())
        flash(f"Done: {way}.")
    except operator.ActionRefused as refusal:
        if refusal.reason is operator.Reason.GONE:
            abort(404)
        flash(f"It cannot {way} any more: see its state.", "error")
    return redirect(url_for("dashboard.operation", operation_id=operation_id), 303)


def _facts(parts: "Parts", operation_id: str) -> dict[str, Any]:
    operation = parts.store.operations.read(operation_id)
    if operation is None:
        abort(404, "There is no such operation, or it is longer ago than seven days.")
    upstream = parts.store.upstream.read()
    left = (operation.moved if operation.cursor == END else operation.total) - operation.told
    waits = operation.state is OperationState.RUNNING and operation.action is Action.RETRY and left > 0
    return {
        "operation": operation,
        "filter_words": in_words(operation.filter),
        "shares": shares(operation),
        "upstream": upstream.state,
        "takes_ms": round(left / upstream.pace * 1000) if waits and upstream.pace else None,
        "ways": [way for way, to in WAYS.items() if operation.state in TURNS[to]],
    }
