"""Find one contact with a search that finds too many.

LiveDesk searches for substrings of names, e-mail addresses, phone numbers, identifiers and company names, and returns
15 contacts a page. In a large account, the identifier "5" matches nearly everybody. Therefore:

* Results are read newest first, because a contact whose answer was lost was created recently.
* A short identifier is searched by what is rarer: the contact's e-mail address, phone number or name. What counts is
  always the exact identifier of a result, and never that a search found it.
* "Absent" is concluded only from a search that must have shown the contact: all results were read, or all results that
  are new enough. Everything else is ``Inconclusive``.

How to sort newest first: LiveDesk documents ``sort=created_at`` with ``direction=desc``. Chatwoot, whose fork LiveDesk
is, ignores ``direction`` and expects ``sort=-created_at`` (gem procore-sift 1.0.0, ``lib/sift/sort.rb``). Both are
tried, and ``created_at`` of the results shows which one works.

A hit need not contain the query in any field that LiveDesk shows: later versions of Chatwoot also compare the
contact's id and its other e-mail addresses (``contacts_controller.rb#search_conditions`` at 01a9b2c). So hits without
the query prove nothing, unless a search for a random text has hits, too: then LiveDesk ignores queries.
"""

import math
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from worker import causes
from worker.errors import Inconclusive
from worker.livedesk.answers import Person

#: LiveDesk's fixed page size, and how many pages of one search are read before it counts as inconclusive.
PAGE_SIZE = 15
MAX_PAGES = 10
#: An identifier with at least this many characters is searched before the other values.
SELECTIVE = 6
#: A shorter name is not searched, because it finds too many.
SHORTEST_NAME = 4
#: How many requests may be used to leave out pages of contacts that are too new.
MAX_SKIPS = 15
#: How much LiveDesk's clocks may differ from each other.
CLOCK_MARGIN_MS = 30_000
#: How many times as far as the last page the next one may be, when contacts that are too new are skipped.
FARTHEST = 16
#: Ways to request the newest contacts first: LiveDesk's pages, Chatwoot.
NEWEST_FIRST: tuple[Mapping[str, str], ...] = (
    {"sort": "created_at", "direction": "desc"},
    {"sort": "-created_at"},
)


@dataclass(frozen=True, slots=True)
class Clues:
    """What else is known about the contact that is looked up.

    ``email``, ``phone_number`` and ``name`` as they were sent with the create. ``oldest_ms`` and ``newest_ms``: it was
    created at most and at least so long ago. ``is_proof``: if nobody has this e-mail address or phone number, the
    contact does not exist.
    """

    email: str | None = None
    phone_number: str | None = None
    name: str | None = None
    oldest_ms: int | None = None
    newest_ms: int = 0
    is_proof: bool = False

    @property
    def rarest(self) -> tuple[str, str] | None:
        """The field to search by, and its value."""
        if self.email:
            return "email", self.email
        if self.phone_number:
            return "phone_number", self.phone_number
        if self.name and len(_literal(_searchable(self.name))) >= SHORTEST_NAME:
            return "name", self.name
        return None


NO_CLUES = Clues()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of results.

    ``at`` is when LiveDesk answered, in ms by its own clock, which may be wrong by ``error_ms`` where it is a guess.
    """

    people: list[Person]
    at: int
    error_ms: int = 0

    @property
    def is_last(self) -> bool:
        return len(self.people) < PAGE_SIZE

    @property
    def is_newest_first(self) -> bool:
        """Whether these results show that the newest contacts come first."""
        return self._times[0] > self._times[-1] and not self.is_in_another_order

    @property
    def is_in_another_order(self) -> bool:
        """Whether they show that the newest do not come first, or no times at all."""
        times = self._times
        return 0 in times or any(one < later for one, later in pairwise(times))

    @property
    def newest(self) -> int:
        return self._times[0]

    @property
    def oldest(self) -> int:
        return self._times[-1]

    @property
    def _times(self) -> list[int]:
        """When each was created; 0 if LiveDesk does not show it."""
        return [person.created_at or 0 for person in self.people] or [0]


class Search:
    """LiveDesk's search, and the way to sort that works there; threads may share it.

    ``read`` sends one request with these parameters. ``clock`` is in seconds and only measures durations.
    """

    def __init__(self, read: Callable[[Mapping[str, str]], Page], *, clock: Callable[[], float]) -> None:
        self._read = read
        self.clock = clock
        #: Which of ``NEWEST_FIRST`` is used, and whether results have shown that it works.
        self.order = (0, False)

    def look_up(self, identifier: str, clues: Clues, before_page: Callable[[], object]) -> list[Person]:
        """Return the contacts with exactly this identifier; usually one or none.

        Raises:
            Inconclusive: the results do not show whether there is one.
        """
        return _LookUp(self, identifier, clues, before_page).run()

    def find_owners(self, field: str, value: str, before_page: Callable[[], object]) -> list[Person]:
        """Return the contacts with this value, in any case."""
        session = _Session(self, before_page)
        query = _searchable(value)
        for number in range(1, MAX_PAGES + 1):
            page = session.read(query, number)
            if owners := [person for person in page.people if _has(person, field, value)]:
                return owners
            if number == 1:
                session.check(query, page)
            if page.is_last:
                return []
        raise Inconclusive(causes.SEARCH_TOO_MANY_RESULTS)

    def read(self, query: str, number: int, way: int) -> tuple[Page, bool]:
        """Read one page. Return it, and whether the newest contacts come first."""
        page = self._read({"q": query, **NEWEST_FIRST[way], "page": str(number)})
        if page.is_newest_first and not page.is_last:
            self.order = (way, True)
        elif page.is_in_another_order and not page.is_last and self.order[0] == way:
            self.order = (1 - way, False)
        return page, self.order == (way, True) and not page.is_in_another_order


class _Session:
    """The requests of one look-up."""

    def __init__(self, search: Search, before_page: Callable[[], object]) -> None:
        self.search = search
        self.before_page = before_page
        #: How this look-up sorts, which must not change between two of its pages.
        self.way, _ = search.order
        self.requests = 0

    def read(self, query: str, number: int = 1) -> Page:
        return self.read_ordered(query, number)[0]

    def read_ordered(self, query: str, number: int = 1) -> tuple[Page, bool]:
        if self.requests:
            self.before_page()
        self.requests += 1
        return self.search.read(query, number, self.way)

    def check(self, query: str, page: Page) -> None:
        """Find out whether LiveDesk ignores queries, where no result shows this one.

        Raises:
            Inconclusive: it does, because it finds a text that nobody can have.
        """
        is_shown = not page.people or any(_mentions(person, query) for person in page.people)
        if not is_shown and self.read(f"nobody-{secrets.token_hex(12)}").people:
            raise Inconclusive(causes.SEARCH_IGNORED_QUERY)


class _LookUp(_Session):
    """One look-up: by the identifier, and by the rarest of the other values."""

    def __init__(self, search: Search, identifier: str, clues: Clues, before_page: Callable[[], object]) -> None:
        super().__init__(search, before_page)
        self.identifier = identifier
        self.clues = clues
        self.began = search.clock()
        self.query = _searchable(identifier)
        #: The first page of results for the identifier, how many were read, and whether the newest come first.
        self.first: Page | None = None
        self.pages = 1
        self.is_newest_first = False
        #: Whether nobody has a value that the contact must have.
        self.is_without_clue = False
        #: How many requests it took to leave pages out.
        self.skips = 0
        #: Whether pages were left out because their contacts are too new.
        self.has_skipped = False

    def run(self) -> list[Person]:
        ways = (self._by_identifier, self._by_clue)
        for look in ways if len(_literal(self.query)) >= SELECTIVE else reversed(ways):
            if (found := look()) is not None:
                return found
        if self.is_without_clue:
            return []
        if self.first is None:
            cause = causes.SEARCH_PROVES_NOTHING if self.requests else causes.CANNOT_BE_LOOKED_UP
            raise Inconclusive(cause)
        return self._read_on(self.first)

    def _by_identifier(self) -> list[Person] | None:
        """Return who is found on the first page, ``[]`` if nobody is, ``None``: unknown."""
        if not self.query:
            return None
        self.first = self._read_first()
        return self._matches(self.first) if self._is_decisive(self.first) else None

    def _by_clue(self) -> list[Person] | None:
        """Return who is found by the rarest other value; ``None``: unknown."""
        if self.clues.rarest is None:
            return None
        field, value = self.clues.rarest
        query = _searchable(value)
        page = self.read(query)
        if found := self._matches(page):
            return found
        self.check(query, page)
        # Whether the identifier is absent, too, is found out by a search for it, as far as that is possible.
        is_taken = any(_has(person, field, value) for person in page.people)
        self.is_without_clue = self.clues.is_proof and field != "name" and page.is_last and not is_taken
        return None

    def _read_first(self) -> Page:
        """Read the first page of results for the identifier."""
        page, self.is_newest_first = self.read_ordered(self.query)
        if not self._matches(page):
            self.check(self.query, page)
        return page

    def _matches(self, page: Page) -> list[Person]:
        return [person for person in page.people if person.identifier == self.identifier]

    def _is_complete(self, page: Page) -> bool:
        """Whether all that follows this page is too old to be the contact."""
        if page.is_last:
            return self.is_newest_first or not self.has_skipped
        return self.is_newest_first and self._is_too_old(page.oldest, page)

    def _is_too_old(self, created_at: int, page: Page) -> bool:
        if self.clues.oldest_ms is None:
            return False
        age_ms = self.clues.oldest_ms + (self.search.clock() - self.began) * 1000
        return created_at < page.at - age_ms - CLOCK_MARGIN_MS - page.error_ms

    def _is_decisive(self, page: Page) -> bool:
        return bool(self._matches(page)) or self._is_complete(page)

    def _read_on(self, first: Page) -> list[Person]:
        """Read the pages that can show the contact, in their order.

        New contacts move older ones to later pages meanwhile, so none is missed. Only a deletion moves them to earlier
        ones; a contact that is missed because of it is refused as taken when it is created again.
        """
        if first.is_in_another_order or (not self.is_newest_first and self._is_too_old(first.newest, first)):
            self.way = 1 - self.way
            first = self._read_first()
        number, page = self._skip_newer(first)
        while not self._is_decisive(page):
            if self.pages >= MAX_PAGES + self.skips:
                raise Inconclusive(causes.SEARCH_TOO_MANY_RESULTS)
            number += 1
            page = self._read_page(number, first)
        return self._matches(page)

    def _read_page(self, number: int, first: Page) -> Page:
        """Read a later page; together with the first one it shows the order."""
        self.pages += 1
        page, is_newest_first = self.read_ordered(self.query, number)
        if page.people:
            is_older = not page.is_in_another_order and page.newest <= first.newest and page.oldest < first.newest
            self.is_newest_first = is_newest_first or is_older
        return page

    def _skip_newer(self, first: Page) -> tuple[int, Page]:
        """Return the last page with only contacts that are too new, or one that decides.

        Thousands may have been created since. As many pages as they are likely to fill are left out, then half of
        those that are left, and so on.
        """
        low, low_page = 1, first
        high: int | None = None
        if self.clues.oldest_ms is None or first.is_in_another_order:
            return low, low_page
        until = first.at - self.clues.newest_ms + CLOCK_MARGIN_MS + first.error_ms
        while low_page.oldest > until and (high is None or high - low > 1) and self.pages < MAX_SKIPS:
            if high is None:
                share = (first.newest - until) / max(1, first.newest - low_page.oldest)
                number = min(max(low + 1, math.ceil(low * share)), low * FARTHEST)
            else:
                number = (low + high) // 2
            self.has_skipped |= number > low + 1
            page = self._read_page(number, first)
            if self._matches(page):
                return number, page
            if not page.is_last and page.oldest > until:
                low, low_page = number, page
            elif number == low + 1:  # it was read after the page before it
                return number, page
            else:
                high = number
        self.skips = self.pages - 1
        return low, low_page


def _has(person: Person, field: str, value: str) -> bool:
    return (getattr(person, field) or "").lower() == value.lower()


def _searchable(value: str) -> str:
    r"""Return the longest part of ``value`` between backslashes; "" if there is none.

    LiveDesk uses a backslash as an escape in LIKE and never finds one; results are compared exactly anyway.
    """
    return max((piece.strip() for piece in value.split("\\")), key=len)


def _literal(query: str) -> str:
    """Return the longest part without ``%`` and ``_``, which match anything in LIKE."""
    return max(re.split(r"[%_]", query), key=len)


def _mentions(person: Person, query: str) -> bool:
    """Whether what LiveDesk shows of this contact explains that ``query`` finds it."""
    piece = _literal(query).lower()
    searched = (person.identifier, person.name, person.email, person.phone_number, person.company)
    return person.id == query.lstrip("0") or any(piece in (text or "").lower() for text in searched)
