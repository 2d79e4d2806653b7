"""The functions that ``Operator`` replaces. To be deleted once no caller is left."""

from collections import Counter
from collections.abc import Mapping

from webhook_app.operator.contacts import ContactActions
from webhook_app.operator.operations import CHANGES, OperationActions
from webhook_app.operator.quarantine import QuarantineActions
from webhook_app.parts import Parts
from worker.model import BulkAction, Contact, OperationState, Quarantined, State
from worker.store.lists import Filter
from worker.store.operations import Operation
from worker.store.record import ContactRecord

WAYS = {state: change for change, state in CHANGES.items()}


def retry(parts: Parts, key: str, who: str, why: str = "") -> State:
    return ContactActions(parts, who).retry(key, why)


def discard(parts: Parts, key: str, who: str, why: str = "") -> State:
    return ContactActions(parts, who).discard(key, why)


def edit(
    parts: Parts, key: str, fields: Mapping[str, object], who: str, why: str = "", *, seen: Contact | None = None
) -> State:
    return ContactActions(parts, who).edit(key, fields, why, seen=seen)


def leave_out(parts: Parts, key: str, who: str, why: str = "") -> State:
    return ContactActions(parts, who).leave_out(key, why)


def adopt(parts: Parts, key: str, who: str, why: str = "", *, contact_id: str | None = None) -> str:
    return ContactActions(parts, who).adopt(key, why, contact_id=contact_id)


def reveal(parts: Parts, key: str, who: str, why: str = "") -> ContactRecord:
    return ContactActions(parts, who).reveal(key, why)


def reveal_list(parts: Parts, wanted: Filter, who: str, why: str = "") -> None:
    ContactActions(parts, who).export_list(wanted, why, reveal=True)


def start(
    parts: Parts, action: BulkAction, wanted: Filter, who: str, why: str = "", *, canary: bool = False
) -> Operation:
    actions = OperationActions(parts, who)
    return actions.start(actions.plan(action, wanted), why, canary=canary)


def turn(parts: Parts, operation_id: str, to: OperationState, who: str, why: str = "") -> Operation:
    return OperationActions(parts, who).change(operation_id, WAYS[to], why)


def reveal_held(parts: Parts, entry: str, who: str, why: str = "") -> Quarantined:
    return QuarantineActions(parts, who).reveal(entry, why)


def replay(parts: Parts, entry: str, who: str, why: str = "") -> str:
    return QuarantineActions(parts, who).replay(entry, why)


def replay_some(parts: Parts, passed: int, who: str, why: str = "") -> tuple[Counter[str], int]:
    return QuarantineActions(parts, who).replay_some(passed, why)


def release(parts: Parts, entry: str, who: str, why: str = "") -> None:
    QuarantineActions(parts, who).discard(entry, why)


def pause(parts: Parts, who: str, why: str = "") -> None:
    from webhook_app.operator import Operator

    Operator(parts, who).sync.pause(why)


def resume(parts: Parts, who: str, why: str = "") -> None:
    from webhook_app.operator import Operator

    Operator(parts, who).sync.resume(why)


def probe(parts: Parts, who: str, why: str = "") -> None:
    from webhook_app.operator import Operator

    Operator(parts, who).sync.probe(why)
