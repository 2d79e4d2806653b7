"""Compare created contacts with LiveDesk, with one look-up each.

The data of a created contact was deleted. Its fingerprint shows which fields have other values in LiveDesk, but not
which values they should have. Of the records of one person, LiveDesk has the identifier of one, and its data: of the
others (outcome ``known``) only the contact's existence is checked.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from worker import causes
from worker.errors import AnswerUnknown, Inconclusive, NotSent, Throttled
from worker.livedesk.answers import Person
from worker.livedesk.client import LiveDesk
from worker.model import Account, Outcome, Position
from worker.store.record import ContactRecord, CreatedContact
from worker.store.store import Store

#: Contacts that are read from Redis at once.
PAGE = 50
#: Waits before each further try if LiveDesk does not answer.
PAUSES_S = (1.0, 10.0, 60.0)
#: This many contacts in a row without an answer mean that LiveDesk is down.
MAX_FAILURES = 3


class Kind(StrEnum):
    """How a contact differs."""

    MISSING = "missing"
    MERGED = "merged"
    DOUBLE = "double"
    DRIFTED = "drifted"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Difference:
    """A contact that differs: ids ``found`` in LiveDesk, ``fields`` with other values."""

    created: CreatedContact
    kind: Kind
    found: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    cause: str = ""


def wait_for_slot(store: Store, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Return when another look-up may be sent, by the pace that all workers share."""
    while (wait_ms := store.upstream.pace(look_up=True)) < 0:
        sleep(min(1.0, -wait_ms / 1000))
    sleep(wait_ms / 1000)


class Reconciler:
    """Walks through all created contacts.

    ``wait`` is called before each request and returns when it may be sent. ``sleep`` is in seconds. Raises
    ``StoreError``, and ``LiveDeskError`` if LiveDesk is down.
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
        #: Whether LiveDesk has shown a contact by its id.
        self.reads_by_id = False

    def walk(self, position: Position) -> Iterator[tuple[CreatedContact, Difference | None]]:
        """Yield every contact after this position, oldest first, and how it differs."""
        self.account = self.store.findings.account(self.livedesk.account)
        until, failures = self.store.now(), 0
        while page := self.store.lists.created(position, PAGE):
            for created in page:
                if created.place.at > until:
                    return
                try:
                    difference, failures = self._compare_with_retries(created), 0
                except AnswerUnknown as error:  # LiveDesk may fail for this one contact only
                    difference, failures = Difference(created, Kind.UNCLEAR, cause=error.cause.slug), failures + 1
                    if failures >= MAX_FAILURES:
                        raise
                yield created, difference
                position = created.place

    def _compare_with_retries(self, created: CreatedContact) -> Difference | None:
        for pause_s in PAUSES_S:
            try:
                return self.compare(created)
            except Throttled as error:
                self.sleep(pause_s if error.retry_after is None else error.retry_after)
            except (NotSent, AnswerUnknown):
                self.sleep(pause_s)
        return self.compare(created)

    def compare(self, created: CreatedContact) -> Difference | None:
        """Return how this contact differs, or ``None`` if LiveDesk has it as it was sent."""
        try:
            return self._compare_known(created) if created.is_known else self._compare(created)
        except Inconclusive as error:
            return Difference(created, Kind.UNCLEAR, cause=error.cause.slug)

    def _compare(self, created: CreatedContact) -> Difference | None:
        people = self._look_up(created.identifier)
        if not people:
            return self._not_found(created)
        found = tuple(person.id for person in people)
        if len(people) > 1:
            return Difference(created, Kind.DOUBLE, found)
        [person] = people
        if person.id != created.contact_id:
            return Difference(created, Kind.MERGED, found)
        values = {"name": person.name, "email": person.email, "phone_number": person.phone_number}
        fields = tuple(created.differing(values))
        return Difference(created, Kind.DRIFTED, found, fields) if fields else None

    def _compare_known(self, created: CreatedContact) -> Difference | None:
        """Compare a person whom LiveDesk has under another identifier, perhaps not ours."""
        aliases = self._aliases(created)
        holders = [alias.identifier for alias in aliases if alias.outcome is not Outcome.KNOWN]
        others = [created.identifier, *(alias.identifier for alias in aliases)] if holders else []
        found: dict[str, None] = {}
        for identifier in dict.fromkeys([*holders, *others]):
            found |= dict.fromkeys(person.id for person in self._look_up(identifier))
            if created.contact_id in found:
                return None
        if found:
            return Difference(created, Kind.MERGED, tuple(found))
        if self._read(created.contact_id) is not None:
            return None
        # Where LiveDesk reads no contact by its id, nothing shows whether it has one under somebody else's identifier.
        is_missing = self.reads_by_id or (holders and self.account.searchable is not False)
        return Difference(created, Kind.MISSING) if is_missing else None

    def _not_found(self, created: CreatedContact) -> Difference | None:
        """No contact has the identifier: look for its aliases, and read it by its id."""
        aliases = self._aliases(created)
        for alias in aliases:
            if any(person.id == created.contact_id for person in self._look_up(alias.identifier)):
                return None
        person = self._read(created.contact_id)
        if person is not None and person.identifier == created.identifier:
            return Difference(created, Kind.UNCLEAR, (person.id,), cause="search_does_not_find_it")
        if person is not None:
            return Difference(created, Kind.MERGED, (person.id,), ("identifier",))
        is_found = self.account.searchable_bare if created.is_bare else self.account.searchable
        if is_found is False:
            return Difference(created, Kind.UNCLEAR, cause=causes.CANNOT_BE_LOOKED_UP.slug)
        return Difference(created, Kind.MISSING)

    def _aliases(self, created: CreatedContact) -> list[ContactRecord]:
        """Return the other records of the same contact in LiveDesk."""
        contacts = self.store.contacts
        keys = [key for key in contacts.aliases(created.place.key) if key != created.place.key]
        return list(contacts.read_many(keys).values()) if keys else []

    def _look_up(self, identifier: str) -> list[Person]:
        self.wait()
        return self.livedesk.look_up(identifier)

    def _read(self, contact_id: str) -> Person | None:
        self.wait()
        person = self.livedesk.read(contact_id)
        self.reads_by_id |= person is not None
        return person
