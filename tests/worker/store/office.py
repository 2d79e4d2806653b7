"""Many contacts, and operations on them."""

from secrets import token_hex
from typing import Any

from tests.world import World
from worker.actions import BulkAction, Command
from worker.model import AttemptResult, Outcome, Signal, State
from worker.store import keys, record
from worker.store.lists import Filter, Row
from worker.store.operations import Operation

CAUSE = "http_422"
FAILED = AttemptResult(state=State.FAILED, cause=CAUSE, failures=3, repeats=3, spent_ms=9)
CONFLICT = AttemptResult(state=State.CONFLICT, cause="email_taken", owner_id="12")
RETRYING = AttemptResult(
    state=State.RETRYING, cause=CAUSE, delay_ms=3_600_000, failures=1, repeats=1, signal=Signal.NOTHING
)
CREATED = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED)


class Office(World):
    """Operations on many contacts."""

    def bring_many(self, number: int, verdict: AttemptResult, *, source: str = "signup", start: int = 0) -> list[str]:
        """Bring contacts whose first attempt ended so. Return their keys."""
        made = []
        for at in range(start, start + number):
            fields = {"email": f"person-{at}@example.com", "phone_number": f"+4930{at:06}"}
            made.append(self.bring(f"person-{at}", verdict, source=source, **fields))
        return made

    def end(self, key: str, verdict: AttemptResult) -> None:
        claim = self.store.contacts.claim(key, token_hex(8))
        assert claim is not None
        self.finish(claim, verdict)

    def open(self, wanted: Filter, action: BulkAction = BulkAction.RETRY, *, canary: bool = False) -> str:
        total = self.store.lists.count(wanted).number
        return self.operations.open(action, wanted, who="ada", why="it is fixed", total=total, canary=canary)

    def run(self) -> None:
        for _ in range(20):
            if not self.operations.step():
                return

    def undo(self, operation_id: str) -> Operation:
        assert self.operations.command(operation_id, Command.UNDO)
        self.run()
        return self.read(operation_id)

    def record_of(self, key: str) -> dict[str, str]:
        fields: Any = self.client.hgetall(keys.contact(key))
        return record.named(fields.items())

    def read(self, operation_id: str) -> Operation:
        operation = self.operations.read(operation_id)
        assert operation is not None
        return operation

    def all_rows(self, wanted: Filter, limit: int = 25) -> list[Row]:
        rows, after = [], None
        while True:
            page = self.store.lists.page(wanted, after=after, limit=limit)
            rows += page.rows
            if page.after is None:
                return rows
            after = page.after
