"""Operations on many contacts: plan, start, pause, resume, cancel or undo one."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from webhook_app.operator.filters import describe_filter
from webhook_app.operator.refusals import ActionRefused, Actions, InvalidInput, Reason
from worker.actions import TAKEN_CAUSES, TRANSITIONS, BulkAction, Command, Obstacle, obstacle
from worker.estimate import Load, load_of, send_ms
from worker.model import State, Work
from worker.store.lists import Filter, Row
from worker.store.operations import NotOpened, Operation
from worker.store.overview import Overview

#: What a person can do with an operation, and the state that it changes to.
CHANGES = {command.value: transition.target for command, transition in TRANSITIONS.items()}
#: The lane of an operation's contacts after the canary.
LANE = "bulk"
#: How the audit log words actions and commands.
DID = {
    BulkAction.RETRY: "retried {}",
    BulkAction.DISCARD: "discarded {}",
    BulkAction.ADOPT: "decided to adopt LiveDesk's contact for {}",
    BulkAction.WITHOUT: "retried {} without the clashing value",
    BulkAction.KNOWN: "marked {} as known",
    Command.PAUSE: "paused",
    Command.RESUME: "resumed",
    Command.CANCEL: "cancelled",
    Command.UNDO: "undid",
}
#: The share by which the number of contacts may have changed since a person saw it.
MAX_DRIFT = 0.1


@dataclass(frozen=True, slots=True)
class Kind:
    """What decides whether an action affects a contact."""

    state: State
    cause: str | None = None
    has_owner: bool = False
    is_unverified: bool = False
    work: Work = Work.CREATE

    def obstacle(self, action: BulkAction) -> Obstacle | None:
        """Return why this cannot be done, or ``None``."""
        return obstacle(
            action,
            self.cause,
            has_owner=self.has_owner,
            is_unverified=self.is_unverified,
            work=self.work,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an operation would do, by state; ``at_least``: not all were counted.

    ``obstacles``: the conflicts that are skipped because this action does not resolve them.
    """

    action: BulkAction
    filter: Filter
    eligible: dict[State, int]
    skipped: dict[State, int]
    obstacles: dict[Obstacle, int]
    at_least: bool
    overview: Overview

    @property
    def total(self) -> int:
        return sum(self.eligible.values())

    @property
    def matched(self) -> int:
        return self.total + sum(self.skipped.values()) + sum(self.obstacles.values())

    @property
    def pace(self) -> float:
        """Requests to LiveDesk per second."""
        return self.overview.upstream.pace

    @property
    def takes_ms(self) -> int | None:
        """How long until all have been sent, with what goes first; ``None``: unknown."""
        return remaining_ms(self.action, self.filter, self.total, self.overview)

    @property
    def finish_s(self) -> float | None:
        return None if self.takes_ms is None else self.takes_ms / 1000

    @property
    def behind_ms(self) -> int | None:
        """How long the contacts take that are sent first; a canary waits for none of them."""
        return send_ms(self.overview.due_before(LANE), self.overview.limits)

    def has_drifted(self, expected: int) -> bool:
        """Whether it affects many more or fewer contacts than a person saw before."""
        return abs(self.total - expected) > expected * MAX_DRIFT


def remaining_ms(action: BulkAction, wanted: Filter, number: int, overview: Overview) -> int | None:
    """Return how long it takes until so many contacts more have been sent.

    What goes before them counts, and so do those that the operation has moved already. ``None`` while nothing is sent.
    """
    if not action.sends:
        return 0
    if overview.upstream.state != "up":
        return None
    is_looked_up = action is BulkAction.ADOPT or (action is BulkAction.RETRY and wanted.cause in TAKEN_CAUSES)
    load = load_of(number, is_looked_up=is_looked_up, usual=overview.usual)
    if action is BulkAction.WITHOUT:  # the value is refused once more, and the rest is created
        load += Load(requests=number)
    return send_ms([*overview.due_before(LANE), load], overview.limits)


class OperationActions(Actions):
    """Operations on many contacts."""

    def plan(self, action: BulkAction, wanted: Filter, overview: Overview | None = None) -> Plan:
        """Count the contacts that an operation would affect; ``overview`` saves a read."""
        return self.plans([action], wanted, overview)[0]

    def plans(self, actions: Iterable[BulkAction], wanted: Filter, overview: Overview | None = None) -> list[Plan]:
        """Return a plan for each action; the contacts are counted once."""
        actions, read = list(actions), overview or self.parts.store.overview.read()
        counted, at_least = self._count(wanted, by_conflict=any(action.resolves for action in actions))
        same = {"filter": wanted, "at_least": at_least, "overview": read}
        return [_plan(action, counted, **same) for action in actions]

    def _count(self, wanted: Filter, *, by_conflict: bool) -> tuple[Counter[Kind], bool]:
        """Count contacts by state, and conflicts by what decides how they can be resolved."""
        lists = self.parts.store.lists
        if by_conflict:
            return lists.tally(wanted, _kind_of)
        states, at_least = lists.by_state(wanted)
        return Counter({Kind(state): number for state, number in states.items()}), at_least

    def start(self, plan: Plan, why: str = "", *, canary: bool = False) -> Operation:
        """Start an operation on the contacts that the plan's filter matches now.

        Raises:
            InvalidInput: a canary was requested for a discard, which has no results to wait for.
        """
        if canary and plan.action is BulkAction.DISCARD:
            raise InvalidInput({"canary": "is not available for a discard, which sends nothing"})
        try:
            operation_id = self.parts.store.operations.open(
                plan.action, plan.filter, who=self.who, why=why, total=plan.total, canary=canary
            )
        except NotOpened as error:
            raise ActionRefused(Reason.NOT_OPENED, str(error)) from error
        number = f"{plan.total:,} contact{'' if plan.total == 1 else 's'}"
        did = f"{DID[plan.action].format(number)}: {describe_filter(plan.filter)}{', with a canary' if canary else ''}"
        self.audit(did, f"operation {operation_id}", why)
        return self.get(operation_id)

    def change(self, operation_id: str, change: str, why: str = "") -> Operation:
        """Pause, resume, cancel or undo an operation; ``change`` is a key of ``CHANGES``."""
        before = self.get(operation_id)
        if not self.parts.store.operations.command(operation_id, Command(change)):
            raise ActionRefused(Reason.WRONG_STATE, f"Cannot {change} an operation that is {before.state}.")
        self.audit(f"{DID[Command(change)]} the operation", f"operation {operation_id}", why)
        return self.get(operation_id)

    def get(self, operation_id: str) -> Operation:
        """Return the operation with this id."""
        found = self.parts.store.operations.read(operation_id)
        if found is None:
            raise ActionRefused(Reason.GONE, "There is no such operation. Operations are kept for seven days.")
        return found


def _kind_of(row: Row) -> Kind:
    return Kind(row.state, row.cause, row.owner_id is not None, row.is_unverified, row.work or Work.CREATE)


def _plan(action: BulkAction, counted: Counter[Kind], **same: Any) -> Plan:
    eligible, skipped, obstacles = Counter[State](), Counter[State](), Counter[Obstacle]()
    for kind, number in counted.items():
        if kind.state not in action.eligible:
            skipped[kind.state] += number
        elif found := kind.obstacle(action):
            obstacles[found] += number
        else:
            eligible[kind.state] += number
    return Plan(action=action, eligible=dict(eligible), skipped=dict(skipped), obstacles=dict(obstacles), **same)
