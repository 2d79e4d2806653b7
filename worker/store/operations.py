"""Operations: retry, discard or resolve many contacts, in chunks by workers.

1. Somebody opens one: an action, a filter, who and why. It affects the contacts that match the filter at that time.
2. One worker at a time leases it and moves chunks of its contacts: a retry makes them due in the lane of bulk work,
   behind new signups and other retries. ``adopt`` and ``without`` do the same with a decision about the conflict
   (``model.Resolution``); ``known`` sends nothing.
3. A canary moves one contact, waits for its result, then ten, then the rest. These eleven go in the lane of operators,
   before all others. If the same cause recurs, the operation stops by itself, and the contacts that were moved but not
   tried yet are restored.
4. Each contact's next attempt is counted by the operation: recovered, the same cause, another cause. A decision about a
   conflict has no result until LiveDesk has answered it.
5. It is done when all attempts are counted. Until it expires it can be undone: contacts that nobody has changed since
   become what they were. ``:saved`` lists these, and an erased contact is in none of them.

A worker may die at any point: the next one continues where it was.

The fields of an operation, in the hash ``{lds}:op:<id>``: ``action``, ``filter`` (JSON), ``who``, ``why``, ``canary``,
``state``, ``created_at``, ``as_of``, ``ended_at``, ``note``, ``total`` as it was expected, ``moved``, ``skipped``,
``recovered``, ``same``, ``again``, ``left`` (changed by somebody else meanwhile), ``restored``, ``cursor`` (``-`` at
the end), ``same_as`` (its action and filter), ``runner`` and ``runner_until``.
"""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from worker.actions import TRANSITIONS, BulkAction, Command, OperationState, obstacle
from worker.errors import SyncError
from worker.model import Work
from worker.store import keys, record
from worker.store.connection import translated
from worker.store.contacts import KNOWN
from worker.store.database import Database
from worker.store.lists import ContactLists, Filter, place

#: Contacts moved by one script: retries of them, and others. It blocks Redis for a millisecond or two (ADR 11).
RETRIES, CHUNK = 50, 35
#: Chunks whose contacts are read from the index at once.
READ_AHEAD = 10
#: Chunks that a worker moves before it sweeps again, which must be soon (NEXT_SWEEP_MS in lua/sweep.lua).
CHUNKS_AT_ONCE = 80
LEASE_MS = 10_000
#: How long an operation is kept and can be undone, in ms.
KEPT_MS = 7 * 24 * 3_600_000
#: Operations that may be active at the same time.
MAX_ACTIVE = 5
#: How many contacts a canary moves before it waits for their results.
CANARY_STEPS = (1, 11)
#: After the canary: this many failures with the same cause, and this share of all results, stop the operation.
STOP_AFTER, STOP_SHARE = 10, 0.5
#: ``cursor`` when all contacts have been moved.
END = "-"

#: The fields of an operation that are counts or times.
NUMBERS = ("created_at", "total", "moved", "skipped", "recovered", "same", "again", "left", "restored")


class NotOpened(SyncError):
    """The operation was not started: an equal one is active, or too many are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation, as its record says. Times are ms since the epoch."""

    id: str
    action: BulkAction
    filter: Filter
    state: OperationState
    who: str
    why: str
    canary: bool
    created_at: int
    ended_at: int | None
    note: str
    total: int
    moved: int
    skipped: int
    recovered: int
    same: int
    again: int
    left: int
    restored: int
    cursor: str

    @property
    def reported(self) -> int:
        """How many of the moved contacts have a result, or will have none."""
        return self.recovered + self.same + self.again + self.left + self.restored


class Operations:
    def __init__(self, db: Database, lists: ContactLists) -> None:
        self.db = db
        self.lists = lists
        #: This process's, as the runner of an operation.
        self.token = secrets.token_hex(6)
        self._has_stepped = False

    def open(self, action: BulkAction, wanted: Filter, *, who: str, why: str, total: int, canary: bool = False) -> str:
        """Start an operation on the contacts that match the filter now. Return its id.

        Raises:
            NotOpened: with a sentence that says why.
        """
        operation_id = secrets.token_hex(6)
        filtered = json.dumps(wanted.dump(), sort_keys=True)
        result, *other = self.db.run(
            "open_operation",
            operation=operation_id,
            same_as=f"{action} {filtered}",
            kept_ms=KEPT_MS,
            max_active=MAX_ACTIVE,
            fields={
                "action": action,
                "filter": filtered,
                "who": who,
                "why": why,
                "total": total,
                "canary": int(canary),
            },
        )
        if result == "same":
            raise NotOpened(f"Operation {other[0]} is already running for these contacts.")
        if result == "many":
            raise NotOpened(f"{MAX_ACTIVE} operations are running. Wait for one to end, or cancel one.")
        return operation_id

    def command(self, operation_id: str, command: Command) -> bool:
        """Pause, resume, cancel or undo an operation; ``False`` if its state forbids it."""
        transition = TRANSITIONS[command]
        return self._set_state(operation_id, transition.target, transition.sources)

    def read(self, operation_id: str) -> Operation | None:
        with translated():
            fields: Any = self.db.client.hgetall(keys.operation(operation_id))
        return _load(operation_id, fields) if fields.get("action") else None

    def undoable(self, operation_id: str) -> int:
        """Return how many contacts an undo would restore."""
        with translated():
            return int(self.db.client.hlen(keys.saved(operation_id)))

    def latest(self, number: int = 50) -> list[Operation]:
        """Return the latest operations, the newest first."""
        with translated():
            ids: Any = self.db.client.zrange(keys.OPERATIONS, 0, number - 1, desc=True)
            with self.db.client.pipeline(transaction=False) as pipe:
                for operation_id in ids:
                    pipe.hgetall(keys.operation(operation_id))
                found = pipe.execute()
        return [_load(name, fields) for name, fields in zip(ids, found, strict=True) if fields.get("action")]

    def step(self) -> bool:
        """Run every active operation a little. Return whether there is more to do at once."""
        with translated():
            active: Any = self.db.client.smembers(keys.ACTIVE_OPERATIONS)
        if not self._has_stepped:
            # Earlier versions kept no set of active operations: each process looks once for what they left.
            active |= {operation.id for operation in self.latest() if operation.state.is_active}
        more = [self._run(operation_id) for operation_id in active]
        self._has_stepped = True
        return any(more)

    def _run(self, operation_id: str) -> bool:
        taken = self.db.run("take_operation", operation=operation_id, token=self.token, lease_ms=LEASE_MS)
        if not taken:
            return False
        fields = dict(zip(taken[::2], taken[1::2], strict=True))
        operation = _load(operation_id, fields)
        if operation.state is OperationState.UNDOING:
            return self._undo(operation)
        return self._move(operation, int(fields["as_of"]))

    def _move(self, operation: Operation, as_of: int) -> bool:
        """Move some chunks, as far as the canary allows."""
        ahead: list[tuple[str, float]] = []
        for _ in range(CHUNKS_AT_ONCE):
            if _has_recurred(operation):
                note = "The same cause recurred: contacts that were not tried yet were restored."
                self._set_state(operation.id, OperationState.UNDOING, (OperationState.RUNNING,), note)
                return True
            if operation.cursor == END:
                return self._end_if_reported(operation)
            allowed = _allowed(operation)
            chunk = RETRIES if operation.action is BulkAction.RETRY else CHUNK
            room = chunk if allowed is None else min(chunk, allowed - operation.moved)
            if room <= 0:
                return False
            if not ahead:
                wanted = replace(operation.filter, until=min(as_of, operation.filter.until or as_of))
                number = room if allowed is not None else room * READ_AHEAD
                ahead = self.lists.members(wanted, operation.cursor or None, number)
            members, ahead = ahead[:room], ahead[room:]
            after = place(members[-1]) if members else END
            counted = self._move_chunk(operation, [key for key, _ in members], after)
            if counted is None:
                return False
            moved, skipped, recovered = counted
            operation = replace(
                operation,
                moved=operation.moved + moved,
                skipped=operation.skipped + skipped,
                recovered=operation.recovered + recovered,
                cursor=after,
            )
        return True

    def _move_chunk(self, operation: Operation, members: list[str], after: str) -> tuple[int, int, int] | None:
        """Return how many were moved, skipped and recovered; ``None``: not our operation."""
        wanted = operation.filter
        states = {wanted.state} & operation.action.eligible if wanted.state else operation.action.eligible
        done, *counted = self.db.run(
            "move",
            operation=operation.id,
            token=self.token,
            lease_ms=LEASE_MS,
            action=operation.action,
            states=sorted(states),
            cause=wanted.cause,
            source=wanted.source,
            min_attempts=wanted.attempts,
            work=wanted.work,
            is_canary=_allowed(operation) is not None,
            cursor=after,
            kept_ms=KEPT_MS,
            keys=members,
            conflicts=self._conflicts(operation.action, members) if operation.action.resolves else None,
            note=record.dump_note(KNOWN),
            trigger=json.dumps(f"operation {operation.id}"),
        )
        return (counted[0], counted[1], counted[2]) if done else None

    def _conflicts(self, action: BulkAction, members: list[str]) -> dict[str, dict[str, str | None]]:
        """Return what the conflicts that this action resolves are about."""
        found = self._read(members, "cause", "owner_id", "unverified", "contact_id")
        return {
            key: {
                "cause": fields.get("cause"),
                "owner_id": fields.get("owner_id"),
                "contact_finder": self._finder_of(fields.get("owner_id")),
            }
            for key, fields in found.items()
            if not obstacle(
                action,
                fields.get("cause"),
                has_owner="owner_id" in fields,
                is_unverified="unverified" in fields,
                work=Work.UPDATE if "contact_id" in fields else Work.CREATE,
            )
        }

    def _read(self, members: list[str], *fields: str) -> dict[str, dict[str, str]]:
        """Return these fields of some records, by their names."""
        names = record.names_of(*fields)
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            for key in members:
                pipe.hmget(keys.contact(key), names)
            found = zip(members, pipe.execute(), strict=True)
        return {key: record.named(zip(names, values, strict=True)) for key, values in found}

    def _finder_of(self, contact_id: str | None) -> str | None:
        return self.db.finder_of_id(contact_id) if contact_id else None

    def _undo(self, operation: Operation) -> bool:
        for _ in range(CHUNKS_AT_ONCE):
            saved = self._some_saved(operation.id)
            if not saved:
                end = OperationState.STOPPED if operation.note else OperationState.UNDONE
                self._set_state(operation.id, end, (OperationState.UNDOING,))
                return False
            for at in range(0, len(saved), CHUNK):
                chunk = saved[at : at + CHUNK]
                if not self._restore(operation, chunk):
                    return False
        return True

    def _some_saved(self, operation_id: str) -> list[str]:
        """Return some contacts that can be restored; none if there are none left.

        Redis returns empty pages, too, while a large hash shrinks.
        """
        cursor: Any = 0
        with translated():
            while True:
                found: Any
                cursor, found = self.db.client.hscan(keys.saved(operation_id), cursor, count=CHUNK)
                if found or not cursor:
                    return list(found)

    def _restore(self, operation: Operation, chunk: list[str]) -> bool:
        """Undo a chunk. ``False``: another worker runs the operation."""
        found = self._read(chunk, "contact_id").items()
        ids = {key: fields["contact_id"] for key, fields in found if "contact_id" in fields}
        created = {key: {"contact_id": one, "contact_finder": self._finder_of(one)} for key, one in ids.items()}
        answer = self.db.run(
            "restore", operation=operation.id, token=self.token, lease_ms=LEASE_MS, keys=chunk, contacts=created
        )
        return bool(answer[0])

    def _end_if_reported(self, operation: Operation) -> bool:
        if not operation.action.sends or operation.reported >= operation.moved:
            self._set_state(operation.id, OperationState.DONE, (OperationState.RUNNING,))
        return False

    def _set_state(
        self, operation_id: str, to: OperationState, sources: Iterable[OperationState], note: str = ""
    ) -> bool:
        answer = self.db.run(
            "set_operation_state",
            operation=operation_id,
            state=to,
            is_active=to.is_active,
            sources=sorted(sources),
            note=note or None,
        )
        return bool(answer)


def _allowed(operation: Operation) -> int | None:
    """Return how many contacts may have been moved by now; ``None``: all."""
    if operation.canary:
        for step in CANARY_STEPS:
            if operation.reported < step:
                return step
    return None


def _has_recurred(operation: Operation) -> bool:
    """Return whether contacts fail again with the same cause."""
    if operation.canary and operation.moved <= CANARY_STEPS[-1]:
        return operation.same > 0
    return operation.same >= STOP_AFTER and operation.same >= operation.reported * STOP_SHARE


def _load(operation_id: str, fields: dict[str, str]) -> Operation:
    return Operation(
        id=operation_id,
        action=BulkAction(fields["action"]),
        filter=Filter.load(json.loads(fields["filter"])),
        state=OperationState(fields["state"]),
        who=fields["who"],
        why=fields["why"],
        canary=fields["canary"] == "1",
        ended_at=int(fields["ended_at"]) if "ended_at" in fields else None,
        note=fields.get("note", ""),
        cursor=fields.get("cursor", ""),
        **{name: int(fields.get(name, 0)) for name in NUMBERS},
    )
