"""The contact book behind the stand-in: in memory, thread-safe, without HTTP.

It stores what Chatwoot's table of contacts stores, and refuses what Chatwoot's validations and unique indexes refuse.
Source: livedesk-api.md 2.1 to 2.10.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

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
from tests.livedesk.inbox import ANONYMOUS, API, link_of, renamed
from tests.livedesk.journal import Journal
from tests.livedesk.search import NewerQuery, Query, arranged, haystack

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


@dataclass
class Search:
    """A search in a large book, whose pages are read one after the other.

    ``found`` are the contacts of the pages until now, ``rest`` finds more; the index found ``count``.
    """

    key: tuple[str, str, bool]
    count: int
    rest: Iterator[Contact]
    found: list[Contact] = field(default_factory=list)


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
        self.channels = dict.fromkeys(inbox_ids, API)
        """The type of each inbox."""
        self.clock = clock
        self._dice = random.Random(seed)
        self._lock = threading.RLock()
        self._rows: dict[int, Contact] = {}
        self._haystacks: dict[int, str] = {}
        self._search: Search | None = None
        """The last search by time, until a contact changes."""
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
            link = self._link_for(contact, params)
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
        """Store a contact as the widget or an agent would, perhaps in the past (``created_at``).

        With ``unchecked`` even an invalid one. ``other_emails`` are its further addresses.
        """
        with self._lock:
            if unchecked:
                contact = self._fresh(params)
                link = self._link_for(contact, params)
                contact = replace(contact, links=() if link is None else (link,))
            else:
                contact = self.create(params)
            created_at, emails = params.get("created_at"), params.get("other_emails")
            if isinstance(created_at, int | float):
                contact = replace(contact, created_at=created_at)
            if isinstance(emails, list):
                contact = replace(contact, other_emails=tuple(map(str, emails)))
            return self._put(contact)

    def fill(self, count: int, *, oldest_s: float, newest_s: float = 0.0) -> None:
        """Store this many contacts, created one after another between so many seconds ago.

        Like those of an import: each has a name, an e-mail address, a phone number and an identifier.
        """
        with self._lock:
            first, now = self._last_id + 1, self.clock()
            apart = (oldest_s - newest_s) / count
            for nth in range(count):
                number, created_at = first + nth, now - oldest_s + nth * apart
                texts = (
                    f"Person {number}",
                    f"person{number}@example.com",
                    f"+48{220_000_000 + number}",
                    f"crm-{number}",
                )
                contact = Contact(number, created_at, *texts)
                if self._journal:
                    self._journal.write(number, contact)
                self._rows[number], self._haystacks[number] = contact, "\0".join(texts).lower()
                for name, text in zip(TEXTS, texts, strict=True):
                    if name != "name":
                        self._owners[name][text] = {number}
            self._last_id += count
            self._search = None

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

    def search(self, q: str | None, *, newer: bool = False) -> list[Contact]:
        """Return the contacts that ``q`` finds, or all resolved ones (``None``), in any order.

        ``newer``: as later versions of Chatwoot do (``search.NewerQuery``).
        """
        if q is None:
            return [contact for contact in self.contacts() if contact.is_resolved]
        if not is_storable(q):
            raise Broken
        query = NewerQuery(q.strip()) if newer else Query(q.strip())
        with self._lock:
            hits = [self._rows[key] for key, text in self._haystacks.items() if query.hint in text]
            if one := self._rows.get(query.contact_id):
                hits = [*(contact for contact in hits if contact.id != one.id), one]
        return [contact for contact in hits if query.shows(contact) and query(contact)]

    def arranged(self, contacts: list[Contact], sort: str, direction: str) -> list[Contact]:
        """Return the contacts sorted, or shuffled if ``sort`` names no order."""
        with self._lock:
            return arranged(contacts, sort, direction, self._dice)

    def first_by_time(self, q: str, direction: str, upto: int, *, newer: bool) -> tuple[list[Contact], int]:
        """Return the first contacts that ``q`` finds, by their time, and about how many there are.

        This is for large books: it compares no more contacts than it returns, and what the index finds is the count.
        """
        key = (q.strip(), direction.lower(), newer)
        with self._lock:
            if self._search is None or self._search.key != key:
                self._search = self._search_by_time(*key)
            search = self._search
            search.found.extend(islice(search.rest, max(upto - len(search.found), 0)))
            return search.found[:upto], search.count

    def _search_by_time(self, q: str, direction: str, newer: bool) -> Search:
        query = NewerQuery(q) if newer else Query(q)
        hits = [self._rows[key] for key, text in self._haystacks.items() if query.hint in text]
        if (one := self._rows.get(query.contact_id)) and query.hint not in self._haystacks[one.id]:
            hits.append(one)
        hits.sort(key=lambda contact: contact.created_at, reverse=direction == "desc")
        found = (contact for contact in hits if query.shows(contact) and query(contact))
        return Search((q, direction, newer), len(hits), found)

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

    def _link_for(self, contact: Contact, params: Mapping[str, object]) -> Link | None:
        """Return the row of contact_inboxes to insert.

        A ``source_id`` that is taken in this inbox raises (2.4), or is taken from its owner.
        """
        if is_blank(params.get("inbox_id")):
            return None
        inbox_id = whole_number(params["inbox_id"])
        channel = self.channels.get(inbox_id)
        if channel is None:
            raise Missing
        given = params.get("source_id")
        source_id = None if isinstance(given, dict | list) or is_blank(given) else text_of(given)
        if source_id is not None and not is_storable(source_id):
            raise Broken
        link = link_of(contact, inbox_id, channel, source_id)
        if link in self._sources:
            self._free(link)
        return link

    def _free(self, link: Link) -> None:
        """Give the owner of this ``source_id`` another one, where Chatwoot does."""
        if link.channel in ANONYMOUS:
            raise Broken
        new = renamed(link)
        owner = next(contact for contact in self._rows.values() if link in contact.links)
        self._sources.discard(link)
        self._put(replace(owner, links=tuple(new if one == link else one for one in owner.links)))

    def _put(self, contact: Contact) -> Contact:
        if contact.id in self._rows:
            self._unindex(self._rows[contact.id])
        self._rows[contact.id] = contact
        if self._journal:
            self._journal.write(contact.id, contact)
        self._haystacks[contact.id] = haystack(contact)
        self._search = None
        self._sources.update(contact.links)
        for name in UNIQUE:
            if (value := getattr(contact, name)) is not None:
                self._owners[name].setdefault(value, set()).add(contact.id)
        return contact

    def _unindex(self, contact: Contact) -> None:
        del self._haystacks[contact.id]
        self._search = None
        for name in UNIQUE:
            owners = self._owners[name].get(getattr(contact, name), set())
            owners.discard(contact.id)
            if not owners:
                self._owners[name].pop(getattr(contact, name), None)
