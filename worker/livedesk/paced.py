"""LiveDesk for one attempt: each request waits for its slot, within the lease."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from worker.livedesk.answers import Created, Deletion, Person
from worker.livedesk.search import NO_CLUES, Clues
from worker.model import Claim, Contact
from worker.store.fingerprint import chunks_of
from worker.store.store import Store

#: A request that is sent more than ``LATE_S`` seconds after its slot takes a new slot, at most ``PACE_TRIES`` times.
LATE_S, PACE_TRIES = 0.007, 5
#: Above this rate, in requests a second, threads cannot be that punctual, and the slots alone keep the rate.
PUNCTUAL_RATE = 1000


class LiveDesk(Protocol):
    """What an attempt needs of LiveDesk; ``livedesk.client`` implements it."""

    @property
    def request_limit_s(self) -> float: ...
    def create(self, contact: Contact, /, *, with_attributes: bool = False) -> Created: ...
    def look_up(self, identifier: str, before_page: Callable[[], object], clues: Clues, /) -> list[Person]: ...
    def find_owners(self, field: str, value: str, before_page: Callable[[], object], /) -> list[Person]: ...
    def set_identifier(self, contact_id: str, identifier: str, /) -> int: ...
    def update(self, contact_id: str, changes: Mapping[str, Any], /) -> int: ...
    def delete(self, contact_id: str, /) -> Deletion: ...
    def ask(self) -> None: ...


def clues_of(contact: Contact) -> Clues:
    """Return what a contact can be found by apart from its identifier."""
    return Clues(contact.email, contact.phone_number, contact.name)


def changed_since(claim: Claim) -> list[str]:
    """Return the values that may differ from those of the create without an answer."""
    before, now = chunks_of(claim.sent or claim.fingerprint), chunks_of(claim.fingerprint)
    return [name for name in ("email", "phone_number", "name") if before.get(name) != now.get(name)]


class LeaseLost(Exception):
    """Another worker holds the lease. Stop without writing."""


class NoSlot(Exception):
    """No request may be sent within a second: the contact waits in ``due``."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__()
        self.wait_ms = wait_ms


class PacedLiveDesk:
    """The requests of one attempt, whose claim was requested at ``claiming_at``."""

    def __init__(
        self,
        livedesk: LiveDesk,
        store: Store,
        claim: Claim,
        claiming_at: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.livedesk = livedesk
        self.store = store
        self.claim = claim
        self.clock = clock
        self.sleep = sleep
        #: When the first request was sent.
        self.began: float | None = None
        #: Redis made the claim (``claim.now``) between ``claiming_at`` and now, and this process may have been stopped
        #: in between. The lease is measured from the earlier moment and Redis's time from the later one: both are safe.
        self.claimed_at = clock()
        self.lease_ends = claiming_at + (claim.lease_until - claim.now) / 1000
        #: When the requests that the claim reserved may be sent: one, or two if a look-up comes first.
        reserved = 2 if claim.looks_first else 1
        self.slots = [claiming_at + (claim.wait_ms + nth * claim.apart_ms) / 1000 for nth in range(reserved)]

    def duration_ms(self) -> int:
        return 0 if self.began is None else round((self.clock() - self.began) * 1000)

    def now_ms(self) -> int:
        """Redis's time, or slightly less."""
        return self.claim.now + round((self.clock() - self.claimed_at) * 1000)

    def create(self, contact: Contact, *, with_attributes: bool = False) -> Created:
        self._prepare()
        return self.livedesk.create(contact, with_attributes=with_attributes)

    def look_up(self, identifier: str, clues: Clues = NO_CLUES) -> list[Person]:
        self._prepare_look_up()
        return self.livedesk.look_up(identifier, self._prepare_look_up, clues)

    def look_up_lost(self, contact: Contact, *, settle_ms: int, is_unique: bool) -> list[Person]:
        """Look up a contact whose create was not answered.

        It was sent at ``unknown_since`` at the latest, and not before the first delivery. ``is_unique``: at worst,
        LiveDesk refuses to create it again.
        """
        claim, now = self.claim, self.now_ms()
        unknown_since = now if claim.unknown_since is None else claim.unknown_since
        clues = clues_of(contact.without(*changed_since(claim)))
        return self.look_up(
            contact.identifier,
            replace(
                clues,
                oldest_ms=now - claim.first_at,
                newest_ms=max(0, now - unknown_since - settle_ms),
                is_proof=is_unique,
            ),
        )

    def find_owners(self, field: str, value: str) -> list[Person]:
        self._prepare_look_up()
        return self.livedesk.find_owners(field, value, self._prepare_look_up)

    def set_identifier(self, contact_id: str, identifier: str) -> int:
        self._prepare()
        return self.livedesk.set_identifier(contact_id, identifier)

    def update(self, contact_id: str, changes: Mapping[str, Any]) -> int:
        self._prepare()
        return self.livedesk.update(contact_id, changes)

    def delete(self, contact_id: str) -> Deletion:
        self._prepare()
        return self.livedesk.delete(contact_id)

    def _prepare_look_up(self) -> None:
        self._prepare(look_up=True)

    def _prepare(self, *, look_up: bool = False) -> None:
        """Wait for the request's slot, and make the lease outlast the request."""
        for _ in range(PACE_TRIES):
            at = self.slots.pop(0) if self.slots else self._next_slot(look_up)
            if (wait_s := at - self.clock()) > 0:
                self.sleep(wait_s)
            if not 0 < self.store.upstream.policy.rate <= PUNCTUAL_RATE or self.clock() - at <= LATE_S:
                break
        self._keep_lease()
        self.store.counters.add("requests")
        if look_up:
            self.store.counters.add("look_ups")
        if self.began is None:
            self.began = self.clock()

    def _next_slot(self, look_up: bool) -> float:
        reserving_at = self.clock()
        wait_ms = self.store.upstream.pace(self.claim.key, look_up=look_up)
        if wait_ms < 0:
            raise NoSlot(-wait_ms)
        return reserving_at + wait_ms / 1000

    def _keep_lease(self) -> None:
        """Renew the lease if the request could outlast it."""
        renewing_at = self.clock()
        if renewing_at + self.livedesk.request_limit_s <= self.lease_ends:
            return
        if not self.store.contacts.renew(self.claim):
            raise LeaseLost
        self.lease_ends = renewing_at + self.store.contacts.lease_ms / 1000
