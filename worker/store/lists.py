"""Lists of contacts: by state or cause, filtered, in pages.

A page is read from a sorted set, starting where the last page ended. So every page costs the same, and no contact is
skipped or repeated because others moved. What the set does not contain (source, number of attempts) is read from the
records, up to a bound: then the page ends early, and the next page continues from there.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Self, TypeVar

from worker.model import Position, State, Work
from worker.store import keys, record
from worker.store.connection import translated
from worker.store.database import Database
from worker.store.record import ContactRecord, SettledContact

Kind = TypeVar("Kind", bound=Hashable)

#: Records that are read for one page at most.
MAX_SCANNED = 1000
#: Records that are read to count a filter at most.
MAX_COUNTED = 10 * MAX_SCANNED
#: Contacts of both a state and a cause that are counted; this many take Redis a few ms.
MAX_PAIR = 20_000
#: Aliases of one contact that a search shows at most.
MAX_ALIASES = 100
#: Records that are read at once.
CHUNK = 250
FIELDS = record.names_of(
    *("identifier", "state", "source", "cause", "attempts_made", "received_at", "next_attempt_at", "contact_id"),
    *("owner_id", "unknown_since", "operation", "unverified", "deletes", "anew"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which contacts; ``state`` or ``cause`` is required.

    ``since`` and ``until`` bound when a contact entered its state (or when its last attempt ended with the cause), in
    ms since the epoch; ``attempts`` is the minimum number. ``work`` is what it waits for, or did when it failed.
    """

    state: State | None = None
    cause: str | None = None
    source: str | None = None
    since: int | None = None
    until: int | None = None
    attempts: int = 0
    work: Work | None = None

    def __post_init__(self) -> None:
        if self.state is None and self.cause is None:
            raise ValueError("a filter needs a state or a cause")

    @property
    def index(self) -> str:
        """The sorted set that contains all of them, and perhaps others."""
        if self.cause is not None:
            return keys.cause(self.cause)
        assert self.state is not None
        return keys.state(self.state)

    @property
    def is_exact(self) -> bool:
        """Whether the index contains no others."""
        return not self.source and not self.attempts and not self.work and (self.cause is None or self.state is None)

    @property
    def is_pair(self) -> bool:
        """Whether the matching contacts are exactly those in two indexes."""
        bounded = self.source or self.attempts or self.work or self.since is not None or self.until is not None
        return self.state is not None and self.cause is not None and not bounded

    def dump(self) -> dict[str, str]:
        return {name: str(value) for name, value in asdict(self).items() if value}

    @classmethod
    def load(cls, fields: dict[str, str]) -> Self:
        """Raises ``ValueError`` for an invalid value."""
        numbers = {name: int(fields[name]) for name in ("since", "until", "attempts") if fields.get(name)}
        state = State(fields["state"]) if fields.get("state") else None
        work = Work(fields["work"]) if fields.get("work") else None
        return cls(state=state, cause=fields.get("cause"), source=fields.get("source"), work=work, **numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A contact in a list; ``at``: when it entered its state or failed with the cause.

    ``work``: what it waits for, or did when it failed; ``None`` once it is settled.
    """

    key: str
    at: int
    identifier: str
    state: State
    source: str
    cause: str | None
    attempts_made: int
    received_at: int
    next_attempt_at: int | None
    contact_id: str | None
    owner_id: str | None
    is_unknown: bool
    is_unverified: bool = False
    work: Work | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and where the next page starts; ``None``: this is the last page."""

    rows: list[Row]
    after: str | None
    looked_at: int


@dataclass(frozen=True, slots=True)
class Matching:
    """How many contacts match a filter; ``at_least``: not all were read."""

    number: int
    at_least: bool = False


class ContactLists:
    def __init__(self, db: Database) -> None:
        self.db = db

    def page(self, wanted: Filter, *, after: str | None = None, limit: int = 25, newest_first: bool = True) -> Page:
        """Return a page of contacts, after the end of the last one (``Page.after``).

        Raises:
            ValueError: ``after`` is not a place in a list.
        """
        rows: list[Row] = []
        looked_at = 0
        with translated():
            first = limit if wanted.is_exact else CHUNK
            for place, row in self._walk(wanted, after, newest_first, first):
                looked_at += 1
                if row is not None and _matches(wanted, row):
                    rows.append(row)
                if len(rows) == limit or looked_at == MAX_SCANNED:
                    return Page(rows, place, looked_at)
        return Page(rows, None, looked_at)

    def members(self, wanted: Filter, after: str | None, limit: int) -> list[tuple[str, float]]:
        """Return members of the filter's index after a place, oldest first."""
        with translated():
            return self._slice(wanted, after, limit, newest_first=False)

    def count(self, wanted: Filter, limit: int = MAX_COUNTED) -> Matching:
        """Count exactly where indexes suffice, otherwise among ``limit`` records."""
        low, high = _bounds(wanted)
        with translated():
            if wanted.is_exact:
                number: Any = self.db.client.zcount(wanted.index, low, high)
                return Matching(int(number))
            if wanted.is_pair:
                assert wanted.state is not None
                pair = [wanted.index, keys.state(wanted.state)]
                both: Any = self.db.client.zintercard(len(pair), pair, limit=MAX_PAIR)
                return Matching(int(both), at_least=both == MAX_PAIR)
        counted, at_least = self.tally(wanted, lambda row: row.state, limit)
        return Matching(counted.total(), at_least)

    def by_state(self, wanted: Filter) -> tuple[dict[State, int], bool]:
        """Count contacts by state; the second value is true if some were not read."""
        if wanted.state is not None:
            matching = self.count(wanted)
            return ({wanted.state: matching.number} if matching.number else {}), matching.at_least
        counted, at_least = self.tally(wanted, lambda row: row.state)
        return dict(counted), at_least

    def tally(
        self, wanted: Filter, kind_of: Callable[[Row], Kind], limit: int = MAX_COUNTED
    ) -> tuple[Counter[Kind], bool]:
        """Count contacts by kind, among ``limit`` records; true if some were not read."""
        counted: Counter[Kind] = Counter()
        with translated():
            for scanned, (_, row) in enumerate(self._walk(wanted, None, newest_first=True), start=1):
                if row is not None and _matches(wanted, row):
                    counted[kind_of(row)] += 1
                if scanned == limit:
                    return counted, True
        return counted, False

    def search(self, text: str) -> list[str]:
        """Return the keys for an exact identifier, key, e-mail, phone or contact id."""
        salt = self.db.stored_salt()
        if salt is None:
            return []
        own = record.contact_key(text, salt)
        finders = [record.finder(name, value, salt) for name, value in record.findable(text)]
        with translated(), self.db.client.pipeline(transaction=False) as pipe:
            pipe.exists(keys.contact(own))
            pipe.exists(keys.contact(text))
            for finder in finders:
                bucket, _, field = finder.partition(":")
                pipe.hget(keys.finders(bucket), field)
            pipe.srandmember(keys.aliases(text), MAX_ALIASES)
            is_identifier, is_key, *values, aliases = pipe.execute()
        found = [own] * bool(is_identifier) + [text] * bool(is_key)
        found += [key for value in values for key in record.split(value or "")]
        return list(dict.fromkeys(found + aliases))[:MAX_ALIASES]

    def rows(self, wanted: list[str]) -> list[Row]:
        """Return the contacts with these keys as rows, without those that are gone."""
        with translated():
            return [row for row in self._read([(key, 0.0) for key in wanted]) if row is not None]

    def in_state(self, state: State, behind: Position, limit: int) -> list[tuple[Position, ContactRecord]]:
        """Return records of this state after a position, oldest first, with positions."""
        return [(position, record.load_record(fields)) for position, fields in self._behind(state, behind, limit)]

    def settled(self, state: State, behind: Position, limit: int) -> list[SettledContact]:
        """Return created or deleted contacts after a position, oldest first."""
        salt = self.db.stored_salt() or b""
        return [record.load_settled(position, fields, salt) for position, fields in self._behind(state, behind, limit)]

    def is_still(self, state: State, position: Position) -> bool:
        """Return whether the contact has been in this state since it entered it then."""
        with translated():
            at: Any = self.db.client.zscore(keys.state(state), position.key)
        return at is not None and int(at) == position.at

    def _behind(self, state: State, behind: Position, limit: int) -> list[tuple[Position, dict[str, str]]]:
        after = f"{behind.at}:{behind.key}" if behind.key else None
        with translated():
            members = self._slice(Filter(state=state), after, limit, newest_first=False)
            with self.db.client.pipeline(transaction=False) as pipe:
                for key, _ in members:
                    pipe.hgetall(keys.contact(key))
                records = pipe.execute()
        rows = zip(members, records, strict=True)
        return [(Position(int(at), key), fields) for (key, at), fields in rows if fields]

    def _walk(
        self, wanted: Filter, after: str | None, newest_first: bool, number: int = CHUNK
    ) -> Iterator[tuple[str, Row | None]]:
        """Yield the members of the index after a place, with their places.

        ``number`` are read at first, and then ``CHUNK`` at once.
        """
        while True:
            members = self._slice(wanted, after, number, newest_first=newest_first)
            for member, row in zip(members, self._read(members), strict=True):
                yield place(member), row
            if len(members) < number:
                return
            after, number = place(members[-1]), CHUNK

    def _slice(self, wanted: Filter, after: str | None, limit: int, *, newest_first: bool) -> list[tuple[str, float]]:
        """Return the next members of the index; equal times are ordered by key."""
        low, high = _bounds(wanted)
        last: tuple[float, str] | None = None
        if after is not None:
            at, _, key = after.partition(":")
            last = (float(at), key)
            low, high = (low, min(last[0], high)) if newest_first else (max(last[0], low), high)
        number = limit
        while True:
            start, end = (high, low) if newest_first else (low, high)
            found: Any = self.db.client.zrange(
                wanted.index, start, end, desc=newest_first, byscore=True, offset=0, num=number, withscores=True
            )
            if last is None:
                return list(found)
            members = [(key, at) for key, at in found if ((at, key) < last if newest_first else (at, key) > last)]
            if len(found) < number or len(members) >= limit:
                return members[:limit]
            number += limit

    def _read(self, members: list[tuple[str, float]]) -> list[Row | None]:
        with self.db.client.pipeline(transaction=False) as pipe:
            for key, _ in members:
                pipe.hmget(keys.contact(key), FIELDS)
            records = pipe.execute()
        return [_row(key, at, values) for (key, at), values in zip(members, records, strict=True)]


def _bounds(wanted: Filter) -> tuple[float, float]:
    low = float("-inf") if wanted.since is None else float(wanted.since)
    return low, float("inf") if wanted.until is None else float(wanted.until)


def place(member: tuple[str, float]) -> str:
    """Return where a member is in its index, for what begins after it."""
    return f"{member[1]:.0f}:{member[0]}"


def _matches(wanted: Filter, row: Row) -> bool:
    return (
        (wanted.state is None or row.state is wanted.state)
        and (wanted.cause is None or row.cause == wanted.cause)
        and (wanted.source is None or row.source == wanted.source)
        and (wanted.work is None or row.work is wanted.work)
        and row.attempts_made >= wanted.attempts
    )


def _row(key: str, at: float, values: list[str | None]) -> Row | None:
    """Return ``None`` for an unreadable record, so that it does not break a page."""
    fields = record.valid(record.named(zip(FIELDS, values, strict=True)))
    try:
        state = State(fields["state"])
        return Row(
            key=key,
            at=int(at),
            identifier=fields["identifier"],
            state=state,
            source=fields["source"],
            cause=fields.get("cause"),
            attempts_made=int(fields.get("attempts_made", 1 if _was_sent(state, fields) else 0)),
            received_at=int(fields["received_at"]),
            next_attempt_at=int(fields["next_attempt_at"]) if "next_attempt_at" in fields else None,
            contact_id=fields.get("contact_id"),
            owner_id=fields.get("owner_id"),
            is_unknown="unknown_since" in fields,
            is_unverified="unverified" in fields,
            work=_work(state, fields),
        )
    except (KeyError, ValueError):
        return None


def _was_sent(state: State, fields: dict[str, str]) -> bool:
    """Return whether one attempt settled the contact, which is not stored."""
    return state is State.CREATED or (state is State.DELETED and "contact_id" in fields)


def _work(state: State, fields: dict[str, str]) -> Work | None:
    if state in (State.CREATED, State.DELETED):
        return None
    if "deletes" in fields:
        return Work.DELETE
    return Work.UPDATE if "contact_id" in fields else Work.CREATE
