"""Compare created and deleted contacts with LiveDesk, with one look-up each.

The data of a created contact was deleted. Its fingerprint shows which fields have other values in LiveDesk, but not
which values they should have. LiveDesk has confirmed what we sent, so another value is an agent's edit, and no
difference. Of the records of one person, LiveDesk has the identifier of one, and its data: of the others (outcome
``known``) only the contact's existence is checked. A contact with a change under way is not compared.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from worker import causes
from worker.errors import AnswerUnknown, Inconclusive, NotSent, Throttled
from worker.livedesk.answers import Person
from worker.livedesk.client import LiveDesk
from worker.model import DELETED_AT, Account, Outcome, Position, State
from worker.store.record import ContactRecord, SettledContact
from worker.store.store import Store

#: Contacts that are read from Redis at once.
PAGE = 50
#: Waits before each further try if LiveDesk does not answer.
PAUSES_S = (1.0, 10.0, 60.0)
#: How far LiveDesk's clock may be from that of Redis.
SKEW_MS = 300_000
#: This many contacts in a row without an answer mean that LiveDesk is down.
MAX_FAILURES = 3


class Kind(StrEnum):
    """How a contact differs."""

    MISSING = "missing"
    MERGED = "merged"
    DOUBLE = "double"
    #: The source has deleted the person, and LiveDesk was asked to delete the contact, but still has it.
    KEPT = "kept"
    #: The source has deleted the person, but LiveDesk's contact does not say so.
    UNMARKED = "unmarked"
    UNCLEAR = "unclear"
    #: An agent has changed values: no difference.
    EDITED = "edited"


@dataclass(frozen=True, slots=True)
class Difference:
    """A contact that differs: ids ``found`` in LiveDesk, ``fields`` with other values."""

    contact: SettledContact
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
    """Walks through all created contacts, or all deleted ones.

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

    def walk(
        self, position: Position, state: State = State.CREATED
    ) -> Iterator[tuple[SettledContact, Difference | None]]:
        """Yield every contact in this state after a position, oldest first.

        With each: how it differs.
        """
        self.account = self.store.findings.account(self.livedesk.account)
        until, failures = self.store.now(), 0
        while page := self.store.lists.settled(state, position, PAGE):
            for contact in page:
                if contact.place.at > until:
                    return
                try:
                    difference, failures = self._compare_with_retries(contact), 0
                except AnswerUnknown as error:  # LiveDesk may fail for this one contact only
                    difference, failures = Difference(contact, Kind.UNCLEAR, cause=error.cause.slug), failures + 1
                    if failures >= MAX_FAILURES:
                        raise
                if difference and not self.store.lists.is_still(state, contact.place):
                    difference = None  # a change of it is under way, or was sent meanwhile
                yield contact, difference
                position = contact.place

    def _compare_with_retries(self, contact: SettledContact) -> Difference | None:
        for pause_s in PAUSES_S:
            try:
                return self.compare(contact)
            except Throttled as error:
                self.sleep(pause_s if error.retry_after is None else error.retry_after)
            except (NotSent, AnswerUnknown):
                self.sleep(pause_s)
        return self.compare(contact)

    def compare(self, contact: SettledContact) -> Difference | None:
        """Return how this contact differs, or ``None`` if LiveDesk has it as it was sent."""
        try:
            if contact.state is State.DELETED:
                return self._compare_deleted(contact)
            return self._compare_known(contact) if contact.is_known else self._compare(contact)
        except Inconclusive as error:
            return Difference(contact, Kind.UNCLEAR, cause=error.cause.slug)

    def _compare(self, contact: SettledContact) -> Difference | None:
        people = self._look_up(contact.identifier)
        if not people:
            return self._not_found(contact)
        found = tuple(person.id for person in people)
        if len(people) > 1:
            return Difference(contact, Kind.DOUBLE, found)
        [person] = people
        if person.id != contact.contact_id:
            return Difference(contact, Kind.MERGED, found)
        if not (fields := contact.differing(person.values)):
            return None
        # Another source of this person may have changed them.
        others = {name for alias in self._aliases(contact) for name in alias.known_fields}
        edited = tuple(name for name in fields if name not in others)
        return Difference(contact, Kind.EDITED, found, edited) if edited else None

    def _compare_deleted(self, contact: SettledContact) -> Difference | None:
        """Compare a person whom the source has deleted.

        Without an outcome, nothing was sent to LiveDesk.
        """
        if contact.outcome is Outcome.MARKED:
            people = self._look_up(contact.identifier) or self._read_all(contact.contact_id)
            if people and not any(DELETED_AT in person.custom_attributes for person in people):
                return Difference(contact, Kind.UNMARKED, tuple(person.id for person in people))
        if contact.outcome is Outcome.DELETED and contact.sent_at is not None:
            # One that was created since then is the person who came back, or whom an agent added again.
            before = contact.sent_at - SKEW_MS
            found = self._look_up(contact.identifier)
            kept = tuple(person.id for person in found if person.created_at and person.created_at < before)
            return Difference(contact, Kind.KEPT, kept) if kept else None
        return None

    def _compare_known(self, contact: SettledContact) -> Difference | None:
        """Compare a person whom LiveDesk has under another identifier, perhaps not ours."""
        aliases = self._aliases(contact)
        holders = [alias.identifier for alias in aliases if alias.outcome is not Outcome.KNOWN]
        others = [contact.identifier, *(alias.identifier for alias in aliases)] if holders else []
        found: dict[str, None] = {}
        for identifier in dict.fromkeys([*holders, *others]):
            found |= dict.fromkeys(person.id for person in self._look_up(identifier))
            if contact.contact_id in found:
                return None
        if found:
            return Difference(contact, Kind.MERGED, tuple(found))
        if self._read(contact.contact_id) is not None:
            return None
        # Where LiveDesk reads no contact by its id, nothing shows whether it has one under somebody else's identifier.
        is_missing = self.reads_by_id or (holders and self.account.searchable is not False)
        return Difference(contact, Kind.MISSING) if is_missing else None

    def _not_found(self, contact: SettledContact) -> Difference | None:
        """No contact has the identifier: look for its aliases, and read it by its id."""
        aliases = self._aliases(contact)
        for alias in aliases:
            if any(person.id == contact.contact_id for person in self._look_up(alias.identifier)):
                return None
        person = self._read(contact.contact_id)
        if person is not None and person.identifier == contact.identifier:
            return Difference(contact, Kind.UNCLEAR, (person.id,), cause="search_does_not_find_it")
        if person is not None:
            return Difference(contact, Kind.MERGED, (person.id,), ("identifier",))
        is_found = self.account.searchable_bare if contact.is_bare else self.account.searchable
        if is_found is False:
            return Difference(contact, Kind.UNCLEAR, cause=causes.CANNOT_BE_LOOKED_UP.slug)
        return Difference(contact, Kind.MISSING)

    def _aliases(self, contact: SettledContact) -> list[ContactRecord]:
        """Return the other records of the same contact in LiveDesk."""
        contacts = self.store.contacts
        keys = [key for key in contacts.aliases(contact.place.key) if key != contact.place.key]
        return list(contacts.read_many(keys).values()) if keys else []

    def _look_up(self, identifier: str) -> list[Person]:
        self.wait()
        return self.livedesk.look_up(identifier, self.wait)

    def _read_all(self, contact_id: str) -> list[Person]:
        person = self._read(contact_id)
        return [] if person is None else [person]

    def _read(self, contact_id: str) -> Person | None:
        self.wait()
        person = self.livedesk.read(contact_id)
        self.reads_by_id |= person is not None
        return person
