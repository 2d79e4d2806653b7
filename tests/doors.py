"""The receiver with a store in memory, for tests of answers without Redis."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from flask.testing import FlaskClient

from webhook_app.app import create_app
from webhook_app.parts import Parts
from webhook_app.sources.config import read_source
from worker.model import Accepted, Contact, Origin, Quarantined, Signup, State, Status
from worker.store.connection import connect
from worker.store.contacts import Contacts
from worker.store.quarantine import Quarantine
from worker.store.security import SecretUses, SignedBodies
from worker.store.store import Store

#: What the clock of these doors says, in seconds since the epoch.
NOW = 1_700_000_000


class MemoryContacts:
    def __init__(self, store: "MemoryStore") -> None:
        self.store = store

    def accept_signup(self, signup: Signup, _origin: Origin, **_options: bool) -> Accepted:
        contact = signup.contact
        self.store.before()
        is_repeat = self.store.taken.get(contact.identifier) == contact
        status = Status.DUPLICATE if contact.identifier in self.store.taken else Status.ACCEPTED
        self.store.taken[contact.identifier] = contact
        return Accepted(status, State.PENDING, None, is_repeat=is_repeat)

    def accept_all(self, signups: Iterable[Signup], origin: Origin, **_options: bool) -> list[Accepted]:
        return [self.accept_signup(signup, origin) for signup in signups]


class MemoryQuarantine:
    def __init__(self, store: "MemoryStore") -> None:
        self.store = store

    def add_all(self, deliveries: Iterable[Quarantined]) -> None:
        for delivery in deliveries:
            self.store.before()
            self.store.quarantined.append(delivery)


class MemorySecretUses:
    def mark(self, _source: str, _name: str) -> None:
        pass


class MemorySignedBodies:
    def __init__(self) -> None:
        self.bound: dict[tuple[str, str], bytes] = {}

    def bind(self, source: str, signature: str, body: bytes, _valid_s: float) -> bool:
        return self.bound.setdefault((source, signature), body) == body


class MemoryStore(Store):
    """Accepts contacts as Redis does: repeated identifiers are duplicates.

    ``before`` runs before each; what it raises is raised.
    """

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        super().__init__(connect("redis://nowhere.invalid", timeout_s=1))
        self.before = before
        self.taken: dict[str, Contact] = {}
        self.quarantined: list[Quarantined] = []
        self.contacts = cast(Contacts, MemoryContacts(self))
        self.quarantine = cast(Quarantine, MemoryQuarantine(self))
        self.secret_uses = cast(SecretUses, MemorySecretUses())
        self.signed_bodies = cast(SignedBodies, MemorySignedBodies())

    def key_of(self, identifier: str) -> str:
        return f"key-{list(self.taken).index(identifier)}"


def door(sources: Mapping[str, dict[str, Any]], store: MemoryStore | None = None) -> FlaskClient:
    """Return a client for these sources, which reject deliveries without a contact."""
    made = {name: read_source(name, {"on_invalid": "reject", **written}, {}) for name, written in sources.items()}
    parts = Parts(store=store or MemoryStore(), sources=made, clock=lambda: NOW)
    return create_app(parts).test_client()
