"""A contact, prepared answers of LiveDesk, and one clock for the store and the algorithm."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import redis
from msgspec import structs

from tests.world import ADA, HOUR_MS, LEASE_MS, NO_PACE, World
from worker import causes
from worker.actions import BulkAction
from worker.errors import AnswerUnknown, LiveDeskError, Rejected, StoreError, StoreUnavailable
from worker.livedesk.answers import Person
from worker.livedesk.search import Clues
from worker.model import (
    ATTRIBUTE_FIELDS,
    Attempt,
    AttemptResult,
    Claim,
    Contact,
    Identity,
    Note,
    OnConflict,
    Origin,
    Resolution,
    State,
    UpstreamPolicy,
)
from worker.retry import RetryPolicy
from worker.store.contacts import Contacts, Finished
from worker.store.lists import Filter
from worker.sync import Ended, Sync

SETTLE_MS = 60_000
THERE = Person("7", "ada", ADA.name, "ada@example.com", "+4915112345678")
LOST = AnswerUnknown(causes.ANSWER_TIMEOUT)


def refused(*fields: str, status: int = 422) -> Rejected:
    return Rejected(causes.http(status), fields=frozenset(fields), status=status, excerpt="it says why")


class FakeLiveDesk:
    """Gives the prepared answers in order; any other request fails the test."""

    request_limit_s = 35.0

    def __init__(self) -> None:
        self.answers: list[tuple[str, Any]] = []
        self.asked: list[tuple[Any, ...]] = []
        self.clues: list[Clues] = []

    def create(self, contact: Contact, *, with_attributes: bool = False) -> Any:
        return self._answer("create", contact if with_attributes else contact.without(*ATTRIBUTE_FIELDS))

    def look_up(self, identifier: str, before_page: object, clues: Clues) -> Any:
        self.clues.append(clues)
        return self._answer("look_up", identifier)

    def find_owners(self, field: str, value: str, before_page: object) -> Any:
        return self._answer("owners", field, value)

    def set_identifier(self, contact_id: str, identifier: str) -> Any:
        return self._answer("set_identifier", contact_id, identifier)

    def update(self, contact_id: str, changes: Mapping[str, Any]) -> Any:
        return self._answer("update", contact_id, dict(changes))

    def delete(self, contact_id: str) -> Any:
        return self._answer("delete", contact_id)

    def ask(self) -> None:
        self._answer("ask")

    def _answer(self, *asked: Any) -> Any:
        self.asked.append(asked)
        assert self.answers, f"unexpected: {asked[0]}"
        call, answer = self.answers.pop(0)
        assert call == asked[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, LiveDeskError):
            raise answer
        return answer


class Highest(random.Random):
    """Always draws the highest number, so that a wait is as long as possible."""

    def randint(self, a: int, b: int) -> int:
        return b


class FlakyContacts(Contacts):
    """Contacts whose ``finish`` fails ``away`` times, and whose ``claim`` can be late.

    ``renewals`` counts how often a lease was renewed.
    """

    away = 0
    claimed: Callable[[], object] = staticmethod(lambda: None)
    error: StoreError = StoreUnavailable("ConnectionError")
    renewals = 0

    def claim(self, key: str, token: str, *, sends: bool = True) -> Claim | None:
        claim = super().claim(key, token, sends=sends)
        self.claimed()
        return claim

    def renew(self, claim: Claim) -> bool:
        self.renewals += 1
        return super().renew(claim)

    def finish(self, claim: Claim, verdict: AttemptResult, attempt: Attempt) -> Finished:
        if self.away:
            self.away -= 1
            raise self.error
        return super().finish(claim, verdict, attempt)


class SyncWorld(World):
    """Contacts, LiveDesk, and one clock for the store and the algorithm.

    ``who`` is the identifier of the contact that attempts are made for.
    """

    who = "ada"

    def __init__(self, client: redis.Redis, policy: UpstreamPolicy = NO_PACE) -> None:
        super().__init__(client, policy=policy)
        self.contacts = FlakyContacts(self.store, self.store.queue, policy, self.store.counters, lease_ms=LEASE_MS)
        self.store.contacts = self.contacts
        self.livedesk = FakeLiveDesk()
        self.seconds = 0.0
        self.options: dict[str, Any] = {}

    def expect(self, **answers: Any) -> None:
        """LiveDesk will receive these requests, and answer so."""
        self.livedesk.answers += answers.items()

    def sync(self) -> Ended | None:
        """Make one attempt now."""
        return self.make_sync().bring(self.key(self.who))

    def make_sync(self) -> Sync:
        options: dict[str, Any] = {"policy": RetryPolicy(1000, 60_000, 100_000), **self.options}
        return Sync(
            store=self.store,
            livedesk=self.livedesk,
            settle_ms=SETTLE_MS,
            rng=Highest(),
            clock=lambda: self.seconds,
            sleep=lambda seconds: self.advance(seconds * 1000),
            **options,
        )

    def submit(
        self,
        identifier: str = "ada",
        *notes: Note,
        visitor: bool = False,
        on_conflict: OnConflict = OnConflict.ASK,
        unverified: bool = False,
        source: str = "",
        **fields: Any,
    ) -> None:
        """Accept a contact with Ada's data from an account's source, or a visitor's."""
        identity = Identity.VISITOR if visitor else Identity.ACCOUNT
        origin = Origin(source or identity, identity, on_conflict=on_conflict)
        contact = structs.replace(ADA, identifier=identifier, **fields)
        self.store.contacts.accept(contact, origin, notes, is_unverified=unverified)
        self.who = identifier

    def resolve(self, resolution: Resolution) -> None:
        """Decide about the conflict as an operator does, and make it due."""
        if resolution is Resolution.ADOPT:
            assert self.store.contacts.adopt(self.key(self.who), self.record(self.who).owner_id or "") == "retrying"
            return
        self.operations.open(BulkAction.WITHOUT, Filter(state=State.CONFLICT), who="ada", why="", total=1)
        self.operations.step()
        assert self.record(self.who).state is State.RETRYING

    def attempt(self, **answers: Any) -> Ended:
        """Make one attempt, long after the last one, in which LiveDesk answers so."""
        self.advance(HOUR_MS)
        self.expect(**answers)
        ended = self.sync()
        assert ended is not None
        return ended

    def advance(self, ms: float) -> None:
        super().advance(ms)
        self.seconds += ms / 1000

    def a_worker_dies(self) -> None:
        self.claim()
        self.advance(LEASE_MS + 1)

    def field(self, name: str) -> int:
        return int(self.fields().get(name, 0))

    @property
    def asked(self) -> list[str]:
        return [asked[0] for asked in self.livedesk.asked]
