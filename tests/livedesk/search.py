"""Searching and listing as PostgreSQL and Chatwoot do it: LIKE, sort, pages.

Source: livedesk-api.md 1.4 and 2.6.
"""

import random
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.livedesk.contact import Contact

PAGE = 15
"""Contacts on a page, which is also the maximum of ``page_size``."""

ANY = ""
"""``_`` in a parsed pattern: any one character."""

SORTS: dict[str, Callable[[Contact], Any]] = {
    "email": lambda contact: contact.email,
    "name": lambda contact: (contact.name or "").lower(),
    "phone_number": lambda contact: contact.phone_number,
    "last_activity_at": lambda contact: None,
    "created_at": lambda contact: contact.created_at,
    "company": lambda contact: contact.company,
    "city": lambda contact: str(contact.additional_attributes.get("city") or ""),
    "country": lambda contact: str(contact.additional_attributes.get("country") or ""),
}


def parts_of(pattern: str) -> list[list[str]]:
    """A LIKE pattern cut at its ``%``; each part is characters and ``ANY``.

    A backslash makes the next one literal.
    """
    parts: list[list[str]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if character == "%":
            parts.append([])
        elif character == "\\":
            parts[-1].append(next(characters, "\\"))
        else:
            parts[-1].append(ANY if character == "_" else character)
    return parts


def compiled(part: Iterable[str]) -> re.Pattern[str]:
    return re.compile("".join("." if item == ANY else re.escape(item) for item in part), re.DOTALL)


class Contains:
    """The condition ``LIKE '%' || q || '%'``, without escaping, as in Chatwoot.

    So ``%`` and ``_`` in ``q`` are wildcards, and a backslash in ``q`` is LIKE's escape: a text with a backslash in
    it is not found by itself. Each part between two ``%`` has a fixed length, so that the leftmost match of each is
    enough and no pattern takes more than linear time in the parts.
    """

    def __init__(self, q: str) -> None:
        self._plain = None if re.search(r"[%_\\]", q) else q
        """``q``, if it has no special characters."""
        _, *middle, last = parts_of(f"%{q}%")
        self._middle = [compiled(part) for part in middle]
        self._last, self._last_length = compiled(last), len(last)
        runs = "".join(item if item != ANY else "\0" for part in (*middle, last) for item in (*part, ANY)).split("\0")
        self.hint = max(runs, key=len)
        """The longest text without a wildcard: without it nothing can match."""

    def __call__(self, text: str) -> bool:
        if self._plain is not None:
            return self._plain in text
        position = 0
        for part in self._middle:
            found = part.search(text, position)
            if found is None:
                return False
            position = found.end()
        rest = len(text) - self._last_length
        return rest >= position and self._last.match(text, rest) is not None


def folded(text: str) -> str:
    """Lower case, character by character like PostgreSQL's.

    Python's own depends on the neighbours of a sigma.
    """
    return text.lower() if text.isascii() else "".join(map(str.lower, text))


class Query:
    """Which contacts a search for ``q`` finds: identifiers by LIKE, the rest by ILIKE."""

    contact_id = 0
    """The contact that is found by its id."""

    def __init__(self, q: str) -> None:
        self._exact, self._folded = Contains(q), Contains(folded(q))
        self.hint = self._folded.hint

    def __call__(self, contact: Contact) -> bool:
        return self._exact(contact.identifier or "") or self._is_found(self.texts(contact))

    def shows(self, contact: Contact) -> bool:
        return contact.is_resolved

    def texts(self, contact: Contact) -> tuple[str | None, ...]:
        """Return what is compared apart from the identifier."""
        return (contact.name, contact.email, contact.phone_number, contact.company)

    def _is_found(self, texts: Iterable[str | None]) -> bool:
        return any(self._folded(folded(text)) for text in texts if text)


class NewerQuery(Query):
    """The same in later versions of Chatwoot.

    The contact's id, if ``q`` is a number, and its other e-mail addresses are compared, its company is not, and
    contacts without any identification are shown, too (``contacts_controller.rb#search`` and ``#search_conditions`` at
    01a9b2c, where the gem procore-sift 1.0.0 sorts).
    """

    def __init__(self, q: str) -> None:
        super().__init__(q)
        self.contact_id = int(q) if re.fullmatch(r"[0-9]{1,18}", q) else 0

    def __call__(self, contact: Contact) -> bool:
        return contact.id == self.contact_id or super().__call__(contact)

    def shows(self, contact: Contact) -> bool:
        return True

    def texts(self, contact: Contact) -> tuple[str | None, ...]:
        return (contact.name, contact.email, contact.phone_number, *contact.other_emails)


def haystack(contact: Contact) -> str:
    """Everything that a search compares, as one lower-case text (see ``hint``)."""
    texts = (contact.name, contact.email, contact.phone_number, contact.identifier, contact.company)
    return folded("\0".join(text for text in (*texts, *contact.other_emails) if text))


def arranged(contacts: list[Contact], sort: str, direction: str, dice: random.Random) -> list[Contact]:
    """Return the contacts in the requested order, nulls last.

    Equal ones, or all without an order, in any order.
    """
    shuffled = dice.sample(contacts, len(contacts))
    key = SORTS.get(sort)
    if key is None:
        return shuffled
    with_value = [contact for contact in shuffled if key(contact) is not None]
    without = [contact for contact in shuffled if key(contact) is None]
    return sorted(with_value, key=key, reverse=direction.lower() == "desc") + without


def page_of(contacts: Sequence[Contact], page: int, size: int) -> Sequence[Contact]:
    """Page ``page`` (from 1; anything below counts as 1).

    A size outside 1..15 is the default of 15.
    """
    size = size if 1 <= size <= PAGE else PAGE
    start = (max(page, 1) - 1) * size
    return contacts[start : start + size]
