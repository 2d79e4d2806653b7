"""The contact book behind the stand-in: in memory, thread-safe, without HTTP.

It stores what Chatwoot's table of contacts stores, and refuses what Chatwoot's validations and unique indexes refuse.
Source: livedesk-api.md 2.1 to 2.10.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tests.livedesk.contact import (
    HASHES,
    TEXTS,
    UNIQUE,
    Contact,
    Fault,
    Json,
    Link,
    changed,
    deep_merged,
    faults_of,
    is_blank,
    is_storable,
    permitted,
    text_of,
    whole_number,
)
from tests.livedesk.journal import Journal
from tests.livedesk.search import Query, arranged, haystack

INDEXED = ("email", "identifier")
"""The columns with a unique index; a phone number is unique only by validation (2.4)."""


class Refused(Exception):
    """Validations failed: nothing changed. ``faults`` has one entry for each."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(fault.message() for fault in faults))
        self.faults = faults


class Missing(Exception):
    """The contact or the inbox does not exist."""


class Online(Exception):
    """The contact is online, and cannot be deleted now; ``name`` is its name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Broken(Exception):
    """The database raised an error that Chatwoot does not catch."""


class Book:
    """All contacts of one account.

    ``clock`` returns seconds since the epoch; ``seed`` fixes the order of lists. ``journal`` has the contacts of
    earlier runs, which ids below ``first_id`` belong to.
    """

    def __init__(
        self,
        inbox_ids: Iterable[int] = (1,),
        *,
        clock: Callable[[], float] = time.time,
        seed: int | None = None,
        first_id: int = 1,
        journal: Journal | None = None,
    ) -> None:
        self.inbox_ids = frozenset(inbox_ids)
        self.clock = clock
        self._dice = random.Random(seed)
        self._lock = threading.RLock()
        self._rows: dict[int, Contact] = {}
        self._haystacks: dict[int, str] = {}
        self._owners: dict[str, dict[str, set[int]]] = {name: {} for name in UNIQUE}
        self._sources: set[Link] = set()
        self._last_id = first_id - 1
        self._journal: Journal | None = None
        for contact in journal.contacts() if journal else ():
            self._put(contact)
        self._journal = journal

    def __len__(self) -> int:
        return len(self._rows)

    def create(self, params: Mapping[str, object], *, identifier_unique: bool = True) -> Contact:
        """Store a new contact, all or nothing, as create does (2.1).

        The link to its inbox is ``links[0]``, if any.
        """
        with self._lock:
            contact = self._fresh(params)
            self._check(contact if identifier_unique else replace(contact, identifier=None))
            link = self._link_for(params)
            return self._put(contact if link is None else replace(contact, links=(link,)))

    def update(self, contact_id: object, params: Mapping[str, object], *, merging: bool = True) -> Contact:
        """Change a contact. Without ``merging`` new attributes replace all others.

        The whole row is validated again, not only what was sent (2.8).
        """
        with self._lock:
            before, wanted = self.get(contact_id), permitted(params)
            dropped: Json = {name: {} for name in HASHES if name in wanted and not merging}
            contact = changed(replace(before, **dropped), wanted)
            self._check(contact)
            return self._put(contact)

    def insert(self, params: Mapping[str, object], *, unchecked: bool = False) -> Contact:
        """Store a contact as the widget or an agent would.

        With ``unchecked`` even an invalid one.
        """
        if not unchecked:
            return self.create(params)
        with self._lock:
            link = self._link_for(params)
            return self._put(replace(self._fresh(params), links=() if link is None else (link,)))

    def get(self, contact_id: object) -> Contact:
        contact = self._rows.get(whole_number(contact_id))
        if contact is None:
            raise Missing
        return contact

    def delete(self, contact_id: object) -> Contact:
        with self._lock:
            contact = self.get(contact_id)
            self._unindex(contact)
            self._sources -= set(contact.links)
            if self._journal:
                self._journal.write(contact.id, None)
            return self._rows.pop(contact.id)

    def destroy(self, contact_id: object) -> Contact:
        """Delete a contact as the API does.

        Chatwoot puts the name of one that is online into its message, and fails without a name
        (``contacts_controller.rb#destroy``).
        """
        with self._lock:
            contact = self.get(contact_id)
            if not contact.online:
                return self.delete(contact_id)
        if contact.name is None:
            raise Broken
        raise Online(contact.name)

    def set_online(self, contact_id: object, *, online: bool) -> Contact:
        with self._lock:
            return self._put(replace(self.get(contact_id), online=online))

    def merge(self, base_id: object, mergee_id: object) -> Contact:
        """Merge the mergee into the base, whose values win, and delete it (2.10).

        Attributes are merged at any depth, and a null of the base wins, too (``contact_merge_action.rb``).
        """
        with self._lock:
            base, mergee = self.get(base_id), self.get(mergee_id)
            if base.id == mergee.id:
                raise Missing
            self.delete(mergee.id)
            gaps = {name: getattr(mergee, name) for name in TEXTS if is_blank(getattr(base, name))}
            merged: Json = {name: deep_merged(getattr(mergee, name), getattr(base, name)) for name in HASHES}
            self._sources |= set(mergee.links)
            return self._put(replace(base, links=base.links + mergee.links, **gaps, **merged))

    def contacts(self) -> list[Contact]:
        """Return every contact, oldest first."""
        with self._lock:
            return list(self._rows.values())

    def search(self, q: str | None) -> list[Contact]:
        """Return the resolved contacts that ``q`` finds, or all (``None``), in any order."""
        if q is None:
            return [contact for contact in self.contacts() if contact.is_resolved]
        if not is_storable(q):
            raise Broken
        query = Query(q.strip())
        with self._lock:
            hits = [self._rows[key] for key, text in self._haystacks.items() if query.hint in text]
        return [contact for contact in hits if contact.is_resolved and query(contact)]

    def arranged(self, contacts: list[Contact], sort: str, direction: str) -> list[Contact]:
        """Return the contacts sorted, or shuffled if ``sort`` names no order."""
        with self._lock:
            return arranged(contacts, sort, direction, self._dice)

    def _fresh(self, params: Mapping[str, object]) -> Contact:
        self._last_id += 1
        return changed(Contact(self._last_id, self.clock()), permitted(params))

    def _check(self, contact: Contact) -> None:
        """Raise what the database or a validation would raise. Changes nothing."""
        if not all(is_storable(getattr(contact, name)) for name in TEXTS + HASHES):
            raise Broken
        faults = faults_of(contact, lambda name, value: self._is_taken(contact, name, value))
        if faults:
            raise Refused(faults)
        if any(self._is_taken(contact, name, getattr(contact, name)) for name in INDEXED):
            raise Broken

    def _is_taken(self, contact: Contact, name: str, value: str | None) -> bool:
        return value is not None and bool(self._owners[name].get(value, set()) - {contact.id})

    def _link_for(self, params: Mapping[str, object]) -> Link | None:
        """Return the row of contact_inboxes to insert.

        A ``source_id`` that is taken in this inbox raises (2.4).
        """
        if is_blank(params.get("inbox_id")):
            return None
        inbox_id = whole_number(params["inbox_id"])
        if inbox_id not in self.inbox_ids:
            raise Missing
        given = params.get("source_id")
        source_id = None if isinstance(given, dict | list) or is_blank(given) else text_of(given)
        link = Link(inbox_id, source_id or str(uuid.uuid4()))
        if link in self._sources or not is_storable(link.source_id):
            raise Broken
        return link

    def _put(self, contact: Contact) -> Contact:
        if contact.id in self._rows:
            self._unindex(self._rows[contact.id])
        self._rows[contact.id] = contact
        if self._journal:
            self._journal.write(contact.id, contact)
        self._haystacks[contact.id] = haystack(contact)
        self._sources.update(contact.links)
        for name in UNIQUE:
            if (value := getattr(contact, name)) is not None:
                self._owners[name].setdefault(value, set()).add(contact.id)
        return contact

    def _unindex(self, contact: Contact) -> None:
        del self._haystacks[contact.id]
        for name in UNIQUE:
            owners = self._owners[name].get(getattr(contact, name), set())
            owners.discard(contact.id)
            if not owners:
                self._owners[name].pop(getattr(contact, name), None)
