"""A dashboard with people in it and somebody signed in, for tests that talk to it by Flask's own client."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

import redis
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.world import make_store
from webhook_app.access import Access, Role
from webhook_app.app import create_app
from webhook_app.parts import Parts
from worker.livedesk.client import LiveDesk
from worker.model import Attempt, AttemptResult, Contact, Signal, State, UpstreamPolicy
from worker.store import keys
from worker.store.audit import AuditEntry
from worker.store.store import Store

PASSWORDS = {Role.OPERATOR: "an-operator-password", Role.VIEWER: "a-viewer-password"}
TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
#: No waiting for the pace in tests.
FAST = UpstreamPolicy(rate=1000, look_ups_per_minute=60_000)

FAILED = AttemptResult(state=State.FAILED, cause="http_422", status=422, failures=3, repeats=3, spent_ms=9)
CONFLICT = AttemptResult(state=State.CONFLICT, cause="email_taken", owner_id="12", status=422)
RETRYING = AttemptResult(
    state=State.RETRYING, cause="http_503", delay_ms=3_600_000, failures=1, repeats=1, signal=Signal.NOTHING
)


@dataclass
class Door:
    """One browser on one web process; whoever is signed in there."""

    client: FlaskClient
    store: Store
    redis: redis.Redis

    def sign_in(self, role: Role) -> None:
        self.send("/dashboard/sign-in", {"password": PASSWORDS[role], "name": f"Ada the {role}"})

    def csrf(self) -> str:
        found = TOKEN.search(self.client.get("/dashboard/sign-in", follow_redirects=True).text)
        assert found
        return found[1]

    def get(self, path: str, status: int = 200) -> str:
        page = self.client.get(path)
        assert page.status_code == status, page.text
        return page.text

    def send(self, path: str, form: Mapping[str, object] | None = None, **options: Any) -> TestResponse:
        """Sends a form as a page of ours would."""
        return self.client.post(path, data={"csrf": self.csrf(), **(form or {})}, **options)

    def bring(
        self, identifier: str, verdict: AttemptResult | None = None, *, source: str = "signup", **fields: Any
    ) -> str:
        """A contact whose first attempt ended so, or who was not tried yet. Returns its key."""
        notes = fields.pop("notes", ())
        excerpt = fields.pop("excerpt", "")
        fields.setdefault("email", f"{identifier}@example.com")
        self.store.contacts.accept(Contact(identifier, **fields), source, notes)
        key = self.store.key_of(identifier)
        if verdict is not None:
            claim = self.store.contacts.claim(key, token_hex(8), sends=False)
            assert claim is not None
            attempt = Attempt(claim.now, 31, verdict.status, verdict.cause, excerpt)
            self.store.contacts.finish(claim, replace(verdict, notes=claim.notes), attempt)
        self.redis.delete(keys.QUEUE)
        return key

    def state(self, key: str) -> State:
        record = self.store.contacts.read(key)
        assert record is not None
        return record.state

    def audit(self) -> list[AuditEntry]:
        return self.store.audit.page()


def open_door(client: redis.Redis, *, livedesk: LiveDesk | None = None, store: Store | None = None) -> Door:
    used = store or make_store(client, policy=FAST)
    access = Access(operator_password=PASSWORDS[Role.OPERATOR], viewer_password=PASSWORDS[Role.VIEWER])
    parts = Parts(store=used, sources={}, access=access, livedesk=livedesk, inbox_id=7)
    return Door(create_app(parts).test_client(), used, client)
