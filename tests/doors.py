"""The receiver with a store in memory, for tests that are about what is answered and not about Redis."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, cast

from flask.testing import FlaskClient

from webhook_app.app import create_app
from webhook_app.parts import Parts
from webhook_app.sources.config import read_source
from worker.model import Accepted, Contact, Note, Quarantined, State, Status
from worker.store.contacts import Store
from worker.store.desk import Desk
from worker.store.history import History

#: What the clock of these doors says, in seconds since the epoch.
NOW = 1_700_000_000


class MemoryStore:
    """Takes contacts as Redis would: the first delivery of an identifier is accepted, others are duplicates.

    It is the desk, too. ``before`` runs before each; what it raises is raised.
    """

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.contacts: dict[str, Contact] = {}
        self.held: list[Quarantined] = []
        self.before = before

    def accept(self, contact: Contact, _source: str, _notes: tuple[Note, ...] = ()) -> Accepted:
        self.before()
        status = Status.DUPLICATE if contact.identifier in self.contacts else Status.ACCEPTED
        self.contacts[contact.identifier] = contact
        return Accepted(status, State.PENDING, None)

    def quarantine(self, held: Quarantined) -> None:
        self.before()
        self.held.append(held)

    def accept_all(self, deliveries: Iterable[tuple[Contact, tuple[Note, ...]]], source: str) -> list[Accepted]:
        return [self.accept(contact, source, notes) for contact, notes in deliveries]

    def key(self, identifier: str) -> str:
        return f"key-{list(self.contacts).index(identifier)}"

    def note_secret(self, _source: str, _name: str) -> None:
        pass


class MemoryParts(Parts):
    @cached_property
    def desk(self) -> Desk:
        return cast(Desk, self.store)


def door(sources: Mapping[str, dict[str, Any]], store: MemoryStore | None = None) -> FlaskClient:
    """A client of an app with these sources, written as in the sources file; they reject what makes no contact."""
    made = {name: read_source(name, {"on_invalid": "reject", **written}, {}) for name, written in sources.items()}
    parts = MemoryParts(
        store=cast(Store, store or MemoryStore()), history=cast(History, None), sources=made, clock=lambda: NOW
    )
    return create_app(parts).test_client()
