"""Compares what we hold as created with LiveDesk: one look-up for each contact, at a pace, from any place on.

The data of a created contact are gone; what is left of them is a fingerprint, which tells in what fields LiveDesk holds
something else, not what it ought to hold.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from worker.errors import AnswerUnknown, Inconclusive, NotSent, Throttled
from worker.livedesk.client import LiveDesk
from worker.model import Account, Position
from worker.store.record import CreatedContact
from worker.store.store import Store

#: Contacts that are read from Redis at once.
PAGE = 50
#: Seconds to wait before each further try, where LiveDesk does not answer.
PAUSES_S = (1.0, 10.0, 60.0)
#: So many contacts in a row without an answer: it is LiveDesk that is broken, not they.
FAILURES_IN_A_ROW = 3


class Kind(StrEnum):
    """What is not as it should be."""

    MISSING = "missing"
    MERGED = "merged"
    DOUBLE = "double"
    DRIFTED = "drifted"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Difference:
    """One contact that LiveDesk holds otherwise. ``found`` are the ids of the contacts that it has in its place,
    ``fields`` those that hold other values there."""

    held: CreatedContact
    kind: Kind
    found: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    cause: str = ""


def in_turn(store: Store, *, sleep: Callable[[float], None] = time.sleep) -> Callable[[], None]:
    """Called, it returns when another look-up may go, by the pace that all workers share."""

    def wait() -> None:
        while (wait_ms := store.upstream.pace(look_up=True)) < 0:
            sleep(min(1.0, -wait_ms / 1000))
        sleep(wait_ms / 1000)

    return wait


class Reconciler:
    """``wait`` is called before each request to LiveDesk and returns when one may go; ``sleep`` is in seconds.

    Raises ``StoreError``, and ``LiveDeskError`` once LiveDesk has failed to answer several times.
    """

    def __init__(
        self,
        store: Store,
        livedesk: LiveDesk,
        *,
        wait: Callable[[], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store = store
        self.livedesk = livedesk
        self.wait = wait
        self.sleep = sleep
        self.account = Account()

    def walk(self, place: Position) -> Iterator[tuple[CreatedContact, Difference | None]]:
        """Every contact behind this place that is created by now, the oldest first, and what is wrong with it."""
        self.account = self.store.findings.account(self.livedesk.account)
        until, failures = self.store.now(), 0
        while page := self.store.lists.created(place, PAGE):
            for held in page:
                if held.place.at > until:
                    return
                try:
                    difference, failures = self._patiently(held), 0
                except AnswerUnknown as error:  # it may be this one contact that LiveDesk chokes on
                    difference, failures = Difference(held, Kind.UNCLEAR, cause=error.cause.slug), failures + 1
                    if failures >= FAILURES_IN_A_ROW:
                        raise
                yield held, difference
                place = held.place

    def _patiently(self, held: CreatedContact) -> Difference | None:
        for pause in PAUSES_S:
            try:
                return self.compare(held)
            except Throttled as error:
                self.sleep(pause if error.retry_after is None else error.retry_after)
            except (NotSent, AnswerUnknown):
                self.sleep(pause)
        return self.compare(held)

    def compare(self, held: CreatedContact) -> Difference | None:
        """What is wrong with this contact; ``None``: LiveDesk has it as we brought it there."""
        self.wait()
        try:
            people = self.livedesk.look_up(held.identifier)
        except Inconclusive as error:
            return Difference(held, Kind.UNCLEAR, cause=error.cause.slug)
        if not people:
            return self._not_found(held)
        found = tuple(person.id for person in people)
        if len(people) > 1:
            return Difference(held, Kind.DOUBLE, found)
        [person] = people
        if person.id != held.contact_id:
            return Difference(held, Kind.MERGED, found)
        shown = {"name": person.name, "email": person.email, "phone_number": person.phone_number}
        fields = tuple(held.differing(shown))
        return Difference(held, Kind.DRIFTED, found, fields) if fields else None

    def _not_found(self, held: CreatedContact) -> Difference:
        """Nobody has the identifier. Where LiveDesk lets us look at the id, too, it may tell more."""
        self.wait()
        person = self.livedesk.read(held.contact_id)
        if person is not None and person.identifier == held.identifier:
            return Difference(held, Kind.UNCLEAR, (person.id,), cause="search_does_not_find_it")
        if person is not None:
            return Difference(held, Kind.MERGED, (person.id,), ("identifier",))
        is_found = self.account.searchable_bare if held.is_bare else self.account.searchable
        if is_found is False:
            return Difference(held, Kind.UNCLEAR, cause="cannot_be_looked_up")
        return Difference(held, Kind.MISSING)
