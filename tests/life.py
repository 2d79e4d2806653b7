"""People after the signup: their changes and deletions, and how LiveDesk answers them."""

from dataclasses import replace
from typing import Any

from tests.world import CREATED, World
from worker.model import Attempt, AttemptResult, Contact, Event, OnDelete, Origin, Outcome, State

#: A time at the source, in ms since the epoch: 2026-01-01 12:00:00 UTC.
NOON = 1_767_268_800_000
GONE = AttemptResult(state=State.CONFLICT, cause="contact_gone", status=404, excerpt="Resource could not be found")
STALE_ROW = AttemptResult(state=State.FAILED, cause="stored_value_refused", status=422, excerpt="Name is too long")


class Life:
    """What one person of a world goes through. LiveDesk's contact has the id 7."""

    def __init__(self, world: World, identifier: str = "ada", contact_id: str = "7") -> None:
        self.world = world
        self.identifier = identifier
        self.contact_id = contact_id

    @property
    def key(self) -> str:
        return self.world.key(self.identifier)

    def signs_up(self, **fields: Any) -> str:
        """Create the person, in LiveDesk too."""
        created = replace(CREATED, contact_id=self.contact_id)
        return self.world.bring(self.identifier, created, **{"name": "Ada", "phone_number": "+4915112345678", **fields})

    def changes(self, *cleared: str, at: int | None = NOON, event: str = "user.updated", **fields: Any) -> None:
        contact = Contact(self.identifier, **{"name": "Ada", "phone_number": "+4915187654321", **fields})
        self.world.store.contacts.accept(contact, Origin("signup"), event=Event(event, at), cleared=frozenset(cleared))

    def is_deleted(self, on_delete: OnDelete = OnDelete.MARK, at: int | None = NOON + 1) -> None:
        """The source deletes the person."""
        origin, event = Origin("signup", on_delete=on_delete), Event("user.deleted", at, is_deletion=True)
        self.world.store.contacts.accept(Contact(self.identifier), origin, event=event)

    def sent(self, *changed: str) -> None:
        """LiveDesk gets the change."""
        result = AttemptResult(
            state=State.CREATED, contact_id=self.contact_id, outcome=Outcome.UPDATED, status=200, changed=changed
        )
        self.ends(result, changed)

    def buried(self, outcome: Outcome | None) -> None:
        """LiveDesk marks or deletes the contact, or has none."""
        contact_id = self.contact_id if outcome else None
        self.ends(AttemptResult(state=State.DELETED, contact_id=contact_id, outcome=outcome, status=200))

    def ends(self, result: AttemptResult, changed: tuple[str, ...] = ()) -> None:
        """An attempt ends."""
        claim = self.world.claim(self.identifier, sends=False)
        attempt = Attempt(claim.now, 118, result.status, result.cause, result.excerpt, changed=changed)
        assert self.world.store.contacts.finish(claim, result, attempt).written
