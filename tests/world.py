"""An installation in one process: store, clock, contacts and web application.

``World`` is what most tests start from (fixture ``world``). Tests that need more than it offers subclass it.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from secrets import token_hex
from typing import Any, TypeVar

import redis
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from webhook_app.access import Access, Role
from webhook_app.app import create_app
from webhook_app.parts import Parts
from webhook_app.sources.config import read_source
from worker.model import (
    Accepted,
    Attempt,
    AttemptResult,
    Claim,
    Contact,
    Note,
    OnChange,
    Origin,
    Outcome,
    Signal,
    State,
    UpstreamPolicy,
)
from worker.store import keys, record
from worker.store.contacts import Finished
from worker.store.lists import ContactLists
from worker.store.operations import Operations
from worker.store.queue import Envelope
from worker.store.record import ContactRecord
from worker.store.store import Store

T = TypeVar("T")

LEASE_MS = 45_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
#: A message in the queue that tests can read: the contact's key, then the message's id.
ENVELOPE = Envelope("@key@ @id@")
#: Who signs in to the dashboard, and with what.
PASSWORDS = {Role.OPERATOR: "an-operator-password", Role.VIEWER: "a-viewer-password"}
#: No rate limit, so that tests do not wait.
NO_PACE = UpstreamPolicy()

ADA = Contact("ada", 1, "Ada Lovelace", "ada@example.com", "+4915112345678", "https://example.com/ada.png")

# How an attempt may end. For another cause or time: ``replace(FAILED, cause="name_refused")``.
CREATED = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED, status=200)
RETRYING = AttemptResult(
    state=State.RETRYING, cause="http_503", delay_ms=HOUR_MS, failures=1, repeats=1, signal=Signal.NOTHING
)
FAILED = AttemptResult(state=State.FAILED, cause="email_refused", status=422, failures=3, repeats=3, spent_ms=9)
CONFLICT = AttemptResult(
    state=State.CONFLICT, cause="email_taken", owner_id="12", status=422, failures=2, repeats=2, spent_ms=9
)
DISCARDED = AttemptResult(state=State.DISCARDED)


def make_store(client: redis.Redis, *, lease_ms: int = LEASE_MS, **options: Any) -> Store:
    """Return a store whose queue holds readable messages."""
    return Store(client, ENVELOPE, lease_ms=lease_ms, **options)


def wait_until(condition: Callable[[], T | None], what: str = "the condition holds", *, timeout_s: float = 20) -> T:
    """Poll ``condition`` until it is true and return it; fail after ``timeout_s``."""
    give_up_at = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < give_up_at, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.02)


class World:
    """A store, its contacts, and an application that uses it.

    ``sources`` maps names to sources as the sources file writes them; ``options`` go to ``Parts``.
    """

    #: The inbox of contacts that ``bring`` makes; None is the default one.
    inbox_id: int | None = 1

    def __init__(
        self,
        client: redis.Redis,
        *,
        store: Store | None = None,
        policy: UpstreamPolicy = NO_PACE,
        sources: Mapping[str, dict[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        self.client = client
        self.store = store or make_store(client, policy=policy)
        read = {name: read_source(name, written, {}) for name, written in (sources or {}).items()}
        self.parts = Parts(store=self.store, sources=read, **{"metrics_open": True, **options})

    # The application

    @cached_property
    def app(self) -> Flask:
        return create_app(self.parts)

    @cached_property
    def http(self) -> FlaskClient:
        return self.app.test_client()

    def flask(self, *arguments: str, **options: Any) -> Result:
        """Run ``flask <arguments>``."""
        return self.app.test_cli_runner().invoke(args=list(arguments), **options)

    @property
    def lists(self) -> ContactLists:
        return self.store.lists

    @property
    def operations(self) -> Operations:
        return self.store.operations

    # Contacts

    def accept(
        self, contact: Contact = ADA, *notes: Note, source: str = "signup", on_change: OnChange = OnChange.UPDATE
    ) -> Accepted:
        return self.store.contacts.accept(contact, Origin(source, on_change=on_change), notes)

    def claim(self, identifier: str = "ada", *, sends: bool = True) -> Claim:
        claim = self.store.contacts.claim(self.key(identifier), token_hex(8), sends=sends)
        assert claim is not None
        return claim

    def finish(self, claim: Claim, result: AttemptResult = CREATED, excerpt: str = "") -> Finished:
        attempt = Attempt(claim.now, 12, result.status, result.cause, excerpt or result.excerpt)
        return self.store.contacts.finish(claim, result, attempt)

    def bring(
        self,
        contact: Contact | str,
        *results: AttemptResult | None,
        source: str = "signup",
        **fields: Any,
    ) -> str:
        """Accept a contact, end an attempt for each result (None: none); return the key.

        ``contact`` is a whole contact, or an identifier with ``fields``; these may include ``notes``, and an
        ``excerpt`` of LiveDesk's answer. Nothing remains in the queue.
        """
        notes, excerpt = fields.pop("notes", ()), fields.pop("excerpt", "")
        if isinstance(contact, str):
            contact = Contact(contact, **{"inbox_id": self.inbox_id, **fields})
        self.advance(1)  # so that lists have one order
        self.accept(contact, *notes, source=source)
        for number, result in enumerate(filter(None, results)):
            if number:
                self.store.contacts.retry_now(self.store.key_of(contact.identifier))
            claim = self.claim(contact.identifier, sends=False)
            assert self.finish(claim, replace(result, notes=result.notes or claim.notes), excerpt).written
        self.client.delete(keys.QUEUE)
        return self.key(contact.identifier)

    def key(self, identifier: str = "ada") -> str:
        return self.store.key_of(identifier)

    def record(self, identifier: str = "ada") -> ContactRecord:
        record = self.parts.store.contacts.find(identifier)
        assert record is not None
        return record

    def state(self, key: str) -> State:
        record = self.parts.store.contacts.read(key)
        assert record is not None
        return record.state

    def counts(self) -> dict[State, int]:
        """Return how many contacts each state has, without empty states."""
        counts = {state: int(self.client.zcard(keys.state(state))) for state in State}
        return {state: number for state, number in counts.items() if number}

    # Redis

    def fields(self, identifier: str = "ada") -> dict[str, str]:
        """Return the fields of the record."""
        fields: Any = self.client.hgetall(keys.contact(self.key(identifier)))
        return record.named(fields.items())

    def due(self, identifier: str = "ada") -> float | None:
        score: float | None = self.client.zscore(keys.DUE, self.key(identifier))
        return score

    def queue(self) -> list[str]:
        """Return the keys in the queue, next one first."""
        messages: Any = self.client.lrange(keys.QUEUE, 0, -1)
        return [message.split()[0] for message in reversed(messages)]

    def snapshot(self) -> dict[str, Any]:
        """Return the whole keyspace, without the counters."""
        read: dict[str, Callable[[str], Any]] = {
            "hash": self.client.hgetall,
            "list": lambda name: self.client.lrange(name, 0, -1),
            "string": self.client.get,
            "set": self.client.smembers,
            "zset": lambda name: self.client.zrange(name, 0, -1, withscores=True),
        }
        counters = (keys.COUNTS, keys.minute(""), keys.people(""))
        found: Any = self.client.keys()
        return {name: read[str(self.client.type(name))](name) for name in found if not name.startswith(counters)}

    def upstream(self) -> dict[str, str]:
        """Return what the workers share about LiveDesk."""
        fields: dict[str, str] = self.client.hgetall(keys.UPSTREAM)  # type: ignore[assignment]
        return fields

    # Time

    def advance(self, ms: float) -> None:
        """Move the clock of the store forward."""
        self.store.shift_ms += round(ms)

    def now(self) -> int:
        return self.store.now()


class QuickAccess(Access):
    """As in production, except that the key of sessions is computed at once.

    It takes scrypt half of the time of a test. The tests of the key, in ``test_access``, use the real one.
    """

    def signing_key(self, salt: bytes) -> bytes:
        return hashlib.sha256(salt + json.dumps(asdict(self), sort_keys=True).encode()).digest()


class DashboardWorld(World):
    """An installation with passwords, and one browser at its dashboard."""

    inbox_id = None

    def __init__(self, client: redis.Redis, **options: Any) -> None:
        access = QuickAccess(operator_password=PASSWORDS[Role.OPERATOR], viewer_password=PASSWORDS[Role.VIEWER])
        # With a rate, which pages show, but so high that no test waits.
        policy = UpstreamPolicy(rate=1000, look_ups_per_minute=60_000)
        super().__init__(client, **{"access": access, "inbox_id": 7, "policy": policy, **options})

    def sign_in(self, role: Role = Role.OPERATOR) -> None:
        self.send("/dashboard/sign-in", {"password": PASSWORDS[role], "name": f"Ada the {role}"})

    def csrf(self) -> str:
        """Return the token that forms of this session must send."""
        page = self.http.get("/dashboard/sign-in", follow_redirects=True).text
        found = re.search(r'name="csrf" value="([^"]+)"', page)
        assert found
        return found[1]

    def get(self, path: str, status: int = 200) -> str:
        """Return the text of a page."""
        page = self.http.get(path)
        assert page.status_code == status, page.text
        return page.text

    def send(self, path: str, form: Mapping[str, object] | None = None, **options: Any) -> TestResponse:
        """Send a form as a page of ours does."""
        return self.http.post(path, data={"csrf": self.csrf(), **(form or {})}, **options)

    def bring(self, contact: Contact | str, *results: AttemptResult | None, **options: Any) -> str:
        """As in ``World``. A contact has an e-mail address unless the test says otherwise."""
        if isinstance(contact, str):
            options.setdefault("email", f"{contact}@example.com")
        return super().bring(contact, *results, **options)
