"""What commands learned about the LiveDesk account, and reconcile's progress."""

from typing import Any

from worker.model import Account, Position, Progress, State
from worker.store import keys, record
from worker.store.connection import translated
from worker.store.database import Database

ABILITIES = ("unique", "searchable", "searchable_bare", "creates_attributes", "deletes")


class Findings:
    def __init__(self, db: Database) -> None:
        self.db = db

    def save_account(self, name: str, found: Account) -> None:
        """Store what is known about the account of this name (``LiveDesk.account``)."""
        answers = {ability: getattr(found, ability) for ability in ABILITIES}
        values: dict[str, Any] = {
            ability: "" if answer is None else str(int(answer)) for ability, answer in answers.items()
        }
        self.db.run("save_account", account=self.db.key_of(name), found=values)

    def account(self, name: str) -> Account:
        """Return what is known about the LiveDesk account of this name, and no other."""
        salt = self.db.stored_salt()
        with translated():
            fields: Any = self.db.client.hgetall(keys.ACCOUNT)
        if salt is None or not fields or fields["account"] != record.contact_key(name, salt):
            return Account()
        known = {ability: fields[ability] == "1" for ability in ABILITIES if fields.get(ability)}
        return Account(**known, probed_at=int(fields["probed_at"]))

    def save_progress(self, progress: Progress | None) -> None:
        """Store how far ``flask reconcile`` got; ``None``: it is done."""
        with translated():
            if progress is None:
                self.db.client.delete(keys.RECONCILE)
                return
            at, key = progress.place.at, progress.place.key
            fields: Any = {"at": at, "key": key, "checked": progress.checked, "found": progress.found}
            fields["state"] = progress.state
            self.db.client.hset(keys.RECONCILE, mapping=fields)

    def progress(self) -> Progress | None:
        """Return how far ``flask reconcile`` got, or ``None`` when it is not under way."""
        with translated():
            fields: Any = self.db.client.hgetall(keys.RECONCILE)
        if not fields:
            return None
        state = State(fields.get("state", State.CREATED))  # an earlier version compared no others
        return Progress(Position(int(fields["at"]), fields["key"]), int(fields["checked"]), int(fields["found"]), state)
