"""The life of a person of each product: its events, through the store and the worker, end in LiveDesk's contact."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import redis

from tests.deliveries import written
from tests.invariants import assert_invariants
from tests.webhook_app.sources.presets.test_life import LIFE, OURS, signup
from tests.worker.sync_world import SyncWorld
from tests.world import HOUR_MS
from webhook_app.sources.config import read_source
from worker.livedesk.answers import Created
from worker.model import Contact, Signup, State, Status

#: LiveDesk's only contact here.
CONTACT_ID = "7"
FIELDS = ("name", "email", "phone_number", "avatar_url")


class Book:
    """LiveDesk with room for one contact: accepts whatever it is sent."""

    request_limit_s = 35.0

    def __init__(self) -> None:
        self.contact: dict[str, Any] = {}

    def create(self, contact: Contact, **_options: Any) -> Created:
        assert not self.contact, "created twice"
        self.contact = dict(contact.present())
        return Created(CONTACT_ID, 201)

    def update(self, contact_id: str, changes: Mapping[str, Any]) -> int:
        assert contact_id == CONTACT_ID
        self.contact |= changes
        return 200


class Life(SyncWorld):
    """One person of a product. LiveDesk has what ``shown`` returns."""

    def __init__(self, client: redis.Redis, preset: str) -> None:
        super().__init__(client)
        self.options["inbox_id"] = 1
        self.book = Book()
        self.livedesk = self.book  # type: ignore[assignment]
        self.origin = read_source(preset, {**written(preset), "region": "US", "on_delete": "mark"}, {}).origin

    def hears(self, heard: Signup) -> Status:
        """Accept what a delivery says, and make all attempts that this needs."""
        accepted = self.store.contacts.accept(
            heard.contact, self.origin, heard.notes, is_unverified=False, cleared=heard.cleared, event=heard.event
        )
        self.who = heard.contact.identifier
        for _ in range(3):  # a change that came in the meantime needs another attempt
            if self.record(self.who).state.is_open:
                self.advance(HOUR_MS)
                self.sync()
        assert not self.record(self.who).state.is_open, self.record(self.who).cause
        return accepted.status

    def shown(self) -> dict[str, Any]:
        return {field: self.book.contact.get(field) for field in FIELDS}

    def is_marked(self) -> bool:
        return "account_deleted_at" in (self.book.contact.get("custom_attributes") or {})


@pytest.fixture
def life(client: redis.Redis, preset: str) -> Iterator[Life]:
    yield Life(client, preset)
    assert_invariants(client)


def events(preset: str, *, deletions: bool = False) -> list[Signup]:
    """What the samples of the person of a preset say, in the order in which it happened."""
    found = [signup(one, event) for one, event, *_ in LIFE if one == preset]
    person = found[0].contact.identifier
    return [one for one in found if one.contact.identifier == person and one.event.is_deletion == deletions]


def after(heard: list[Signup]) -> dict[str, Any]:
    """What LiveDesk has after these events, in this order."""
    fields: dict[str, Any] = dict.fromkeys(FIELDS)
    for one in heard:
        fields |= dict.fromkeys(one.cleared - {"avatar_url"}) | one.contact.present()  # LiveDesk removes no picture
    return {field: fields[field] for field in FIELDS}


@pytest.mark.parametrize("preset", OURS)
def test_each_event_ends_in_livedesk(life: Life, preset: str) -> None:
    heard = events(preset)
    for number in range(len(heard)):
        life.hears(heard[number])
        assert life.shown() == after(heard[: number + 1])


#: The presets whose events have the whole person and their own time.
WHOLE = [
    preset
    for preset in OURS
    if preset not in ("keycloak", "auth0-log-stream", "generic-bearer", "generic-hmac", "auth0-event-stream")
]


@pytest.mark.parametrize("preset", WHOLE)
def test_the_newest_event_wins_in_any_order(life: Life, preset: str) -> None:
    heard = events(preset)
    for one in reversed(heard):
        life.hears(one)
    assert life.shown() == after(heard[-1:])
    for one in heard[:-1]:
        if one.event.at != heard[-1].event.at:
            assert life.hears(one) is Status.DUPLICATE
    assert life.shown() == after(heard[-1:])


def test_parts_of_keycloaks_person_arrive_in_any_order(client: redis.Redis) -> None:
    _, created, profile, email, verified, *_ = events("keycloak")
    for number, order in enumerate(
        ([profile, email, verified], [verified, email, profile], [email, profile, verified])
    ):
        client.flushdb()
        life = Life(client, "keycloak")
        life.hears(created)
        for one in order:
            life.hears(one)
        assert life.shown() == after([created, profile, email, verified]), number


@pytest.mark.parametrize("preset", [preset for preset in OURS if preset != "supabase-auth-hook"])
def test_a_deletion_is_marked_and_no_repeat_revives_the_person(life: Life, preset: str) -> None:
    heard, deletion = events(preset), events(preset, deletions=True)[0]
    for one in heard:
        life.hears(one)
    assert not life.is_marked()
    assert life.hears(deletion) is Status.ACCEPTED
    assert life.is_marked()
    for one in (*heard, deletion, *reversed(heard)):
        assert life.hears(one) is Status.DUPLICATE
    record = life.record(life.who)
    assert (record.state, record.contact) == (State.DELETED, None)


@pytest.mark.parametrize("preset", [preset for preset in OURS if preset != "supabase-auth-hook"])
def test_a_deletion_that_comes_first_lets_nobody_in(life: Life, preset: str) -> None:
    life.hears(events(preset, deletions=True)[0])
    for one in events(preset):
        life.hears(one)
    assert life.book.contact == {}
    assert life.record(life.who).state is State.DELETED
