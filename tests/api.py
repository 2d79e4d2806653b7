"""An application with contacts, deliveries in quarantine and operations in Redis, for tests of API and commands."""

from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import redis
from flask import Flask

from tests.world import make_store
from webhook_app.app import create_app
from webhook_app.parts import Parts
from webhook_app.sources.config import read_source
from worker.model import Attempt, AttemptResult, BulkAction, Contact, Outcome, Quarantined, Signal, State
from worker.store.lists import Filter
from worker.store.store import Store

TOKEN = "open-sesame-open"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
FAILED = AttemptResult(state=State.FAILED, cause="email_refused", failures=3, status=422)
CONFLICT = AttemptResult(state=State.CONFLICT, cause="email_taken", owner_id="12", status=422)
RETRYING = AttemptResult(state=State.RETRYING, cause="http_502", delay_ms=3_600_000, failures=1, signal=Signal.NOTHING)
CREATED = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED, status=200)
SOURCE: dict[str, Any] = {
    "verify": "token",
    "secret": "a-secret-of-our-own",
    "region": "DE",
    "on_invalid": "quarantine",
    "map": {"identifier": "$.id", "email": "$.mail"},
}


@dataclass
class World:
    """``known`` are ids that are there, by their name in the API's addresses."""

    app: Flask
    parts: Parts
    store: Store
    known: dict[str, list[str]] = field(default_factory=dict)

    def bring(self, identifier: str, verdict: AttemptResult | None, source: str = "signup", **fields: Any) -> str:
        """A contact whose first attempt has ended so; ``None``: it waits for it. Returns its key."""
        self.store.shift_ms += 1  # so that lists have one order
        self.store.contacts.accept(Contact(identifier, 1, **fields), source)
        key = self.store.key_of(identifier)
        if verdict is not None:
            claim = self.store.contacts.claim(key, token_hex(8))
            assert claim is not None
            self.store.contacts.finish(claim, verdict, Attempt(claim.now, 5, verdict.status, verdict.cause, "no", ""))
        return key

    def begin(self, wanted: Filter) -> str:
        return self.parts.store.operations.open(BulkAction.RETRY, wanted, who="ada", why="", total=1)


def empty_world_of(client: redis.Redis, token: str | None = TOKEN) -> World:
    store = make_store(client)
    sources = {"signup": read_source("signup", SOURCE, {})}
    parts = Parts(store=store, sources=sources, api_token=token)
    return World(create_app(parts), parts, store)


def world_of(client: redis.Redis) -> World:
    """A world with something of everything."""
    world = empty_world_of(client)
    contacts = [
        world.bring("ada", FAILED, name="Ada", email="ada@example.com", phone_number="+4930123456"),
        world.bring("=cmd|' /C calc'!A0", CONFLICT, email="eve@example.com"),
        world.bring("mary", RETRYING, source="shop"),
        world.bring("joan", CREATED, email="joan@example.com"),
        world.bring("ida", None, avatar_url="https://example.com/ida.png"),
    ]
    for number in range(3):
        payload = f'{{"id": "late-{number}"}}'
        world.store.quarantine.add(
            Quarantined(source="signup", payload=payload, problems={"identifier": "missing"}, headers={})
        )
    entries = [one.entry for one in world.parts.store.quarantine.page()]
    started = [world.begin(Filter(state=State.FAILED)), world.begin(Filter(cause="http_502"))]
    world.store.audit.add("ada", "retry", contacts[0], "it is mended")
    world.known = {"key": contacts, "entry": entries, "id": started, "cause": ["http_502", "email_taken"]}
    return world
