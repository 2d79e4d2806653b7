"""Look-ups in a large account, where a search finds far too many, and what proves that a contact is absent."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.livedesk import StandIn, serve
from worker.errors import Inconclusive
from worker.livedesk.answers import Person
from worker.livedesk.client import LiveDesk
from worker.livedesk.search import MAX_PAGES, MAX_SKIPS, NO_CLUES, Clues, Page, Search

#: Contacts in the large account. Searches for a digit, a letter, a wildcard, "com" or "+48" find thousands of them.
MANY = 200_000
MINUTE_MS = 60_000
#: How LiveDesk, and two generations of Chatwoot, search and sort.
WAYS = ["LiveDesk", "chatwoot_sort", "newer_search"]
IDENTIFIERS = ["5", "42", "1", "a", "%", "_", "+48", "com", "Person", "example.com"]
#: What may be known about a contact apart from its identifier.
VALUES: dict[str, dict[str, Any]] = {
    "e-mail": {"email": "grace@navy.example", "name": "Grace Hopper", "phone_number": "+4915155566677"},
    "phone": {"phone_number": "+4915155566677", "name": "Person"},
    "name": {"name": "Grace Hopper"},
    "nothing": {},
}
#: What a look-up after a lost answer knows: the create was sent within the last minute.
LOST = Clues(oldest_ms=MINUTE_MS, is_proof=True)


class Account:
    """A LiveDesk account, our client, and the number of its requests."""

    def __init__(self, standin: StandIn, way: str = "LiveDesk") -> None:
        self.standin = standin
        self.requests = 0
        self.livedesk = LiveDesk(standin.url, "demo-key", "demo-secret", timeout_s=60, on_request=self.count)
        standin.clear()
        if way != "LiveDesk":
            standin.behave(way)

    def count(self, seconds: float) -> None:
        self.requests += 1

    def ids(self, identifier: str, clues: Clues = NO_CLUES) -> list[str]:
        """Return the ids that a look-up finds; ``requests`` says what it cost."""
        self.requests = 0
        return [person.id for person in self.livedesk.look_up(identifier, lambda: None, clues)]

    def cause(self, identifier: str, clues: Clues = NO_CLUES) -> str:
        """Return why a look-up is inconclusive."""
        with pytest.raises(Inconclusive) as caught:
            self.ids(identifier, clues)
        return caught.value.cause.slug


@pytest.fixture(scope="module")
def large() -> Iterator[StandIn]:
    """An account whose newest contact was created an hour ago."""
    with serve(seed=7) as standin:
        patient = StandIn(standin.url, timeout=120)
        patient.fill(MANY, oldest_s=3e7, newest_s=3600)
        yield patient


#: identifier, what else is known, how LiveDesk searches.
CASES = [
    *((identifier, values, "LiveDesk") for identifier in IDENTIFIERS for values in ("e-mail", "nothing")),
    *(("5", values, way) for values in VALUES for way in WAYS),
    *((identifier, "nothing", "newer_search") for identifier in IDENTIFIERS),
]


@pytest.mark.parametrize(("identifier", "values", "way"), dict.fromkeys(CASES))
def test_a_new_contact_is_found_among_200_000_within_two_requests(
    identifier: str, values: str, way: str, large: StandIn
) -> None:
    account = Account(large, way)
    made = large.add_contact(identifier=identifier, **VALUES[values])
    try:
        assert account.ids(identifier, replace(LOST, **VALUES[values])) == [str(made.id)]
        assert account.requests <= 2
    finally:
        large.delete_contact(made.id)


@pytest.mark.parametrize(("identifier", "values", "way"), dict.fromkeys(CASES))
def test_a_contact_that_is_absent_from_200_000_is_absent_within_two_requests(
    identifier: str, values: str, way: str, large: StandIn
) -> None:
    account = Account(large, way)
    if way != "LiveDesk":
        account.ids("5", LOST)  # it learns how to sort
    assert account.ids(identifier, replace(LOST, **VALUES[values])) == []
    assert account.requests <= 2


def test_that_another_contact_has_the_address_does_not_prove_that_ours_is_absent(large: StandIn) -> None:
    """Our create may have been sent without it."""
    account = Account(large)
    owner = large.add_contact(identifier="someone", email="shared@navy.example")
    made = large.add_contact(identifier="5")
    try:
        assert account.ids("5", replace(LOST, email="shared@navy.example")) == [str(made.id)]
        assert account.requests == 2
    finally:
        large.delete_contact(owner.id)
        large.delete_contact(made.id)


@pytest.mark.parametrize("clues", [Clues(email="grace@navy.example"), Clues(name="Grace Hopper", is_proof=True)])
def test_without_a_time_or_a_unique_value_a_short_identifier_is_inconclusive(clues: Clues, large: StandIn) -> None:
    account = Account(large)
    assert account.cause("5", clues) == "search_too_many_results"
    assert account.requests <= MAX_PAGES + 1


def test_a_contact_from_long_ago_is_found_by_its_address(large: StandIn) -> None:
    """An identifier is taken: by a contact that the widget or an agent made."""
    account = Account(large)
    made = large.add_contact(identifier="5", email="grace@navy.example", created_at=time.time() - 2e7)
    try:
        assert account.ids("5", Clues(email="grace@navy.example")) == [str(made.id)]
        assert account.requests == 1
    finally:
        large.delete_contact(made.id)


# Identifiers that cannot be searched


@pytest.mark.parametrize("identifier", ["\\", "\\\\", " \\ \\"])
def test_backslashes_are_found_by_the_other_values(identifier: str, large: StandIn) -> None:
    account = Account(large)
    assert account.cause(identifier, LOST) == "cannot_be_looked_up"
    assert account.requests == 0
    assert account.cause(identifier, replace(LOST, name="Grace Hopper")) == "search_proves_nothing"
    grace = replace(LOST, **VALUES["e-mail"])
    assert account.ids(identifier, grace) == [], "nobody has her address"
    assert account.cause(identifier, replace(grace, is_proof=False)) == "search_proves_nothing"
    made = large.add_contact(identifier=identifier, **VALUES["e-mail"])
    try:
        assert account.ids(identifier, grace) == [str(made.id)]
        assert account.requests == 1
    finally:
        large.delete_contact(made.id)


# What a hit proves, and what it does not


def test_hits_by_an_id_or_another_address_prove_nothing_either_way() -> None:
    """Later versions of Chatwoot show them, without any sign of the query."""
    with serve() as standin:
        account = Account(standin, "newer_search")
        other = standin.add_contact(identifier="someone", other_emails=["grace@navy.example"])
        assert account.ids(str(other.id), LOST) == []
        assert account.ids("grace@navy.example", LOST) == []
        assert account.requests == 2, "the second one shows that LiveDesk does not ignore queries"
        assert account.ids("long-enough", replace(LOST, email="grace@navy.example")) == []
        made = standin.add_contact(identifier=str(other.id))
        assert account.ids(str(other.id), LOST) == [str(made.id)]


def test_a_search_that_ignores_queries_is_found_out_by_a_random_one() -> None:
    with serve() as standin:
        account = Account(standin, "q_ignored")
        standin.add_contact(identifier="someone")
        assert account.cause("else", LOST) == "search_ignored_query"
        assert account.requests == 2
        assert account.ids("someone", LOST) != [], "who is found is found"


#: LiveDesk's clock, far from ours.
NOON_MS = 1_000_000_000_000
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("ages_s", "error_ms", "is_absent"),
    [
        (range(7200, 7215), 0, True),  # newest first, down to before the create could be sent
        (range(3000, 3015), 0, False),  # the contact can be on the next page
        (range(3610, 3625), 0, False),  # a few seconds are within the margin
        (range(7214, 7199, -1), 0, False),  # oldest first: the contact can be on the last page
        ([7200] * 15, 0, False),  # nothing shows the order
        (range(3700, 3715), 300_000, False),  # LiveDesk does not tell its time
        (range(7200, 7214), 0, True),  # all results
    ],
)
def test_absent_is_what_must_have_been_shown_by_livedesks_clock(
    ages_s: Sequence[int], error_ms: int, is_absent: bool
) -> None:
    people = [Person(str(age), f"5-{age}", created_at=NOON_MS - age * 1000) for age in ages_s]

    def read(params: Mapping[str, str]) -> Page:
        return Page(people, NOON_MS, error_ms)

    search = Search(read, clock=lambda: 0.0)
    try:
        assert search.look_up("5", Clues(oldest_ms=HOUR_MS), lambda: None) == []
    except Inconclusive:
        assert not is_absent
    else:
        assert is_absent


# Thousands that were created after ours


@pytest.fixture(scope="module")
def busy() -> Iterator[StandIn]:
    """An account in which an import has created 30,000 contacts in the last ten minutes."""
    with serve(seed=7) as standin:
        patient = StandIn(standin.url, timeout=120)
        patient.fill(30_000, oldest_s=3e7, newest_s=3600)
        patient.fill(30_000, oldest_s=600)
        yield patient


def lost_ago(seconds: float) -> Clues:
    """What is known about a create that was sent, and settled, so many seconds ago."""
    return Clues(oldest_ms=round(seconds * 1000) + 1000, newest_ms=round(seconds * 1000) - 60_000, is_proof=True)


@pytest.mark.parametrize("way", ["LiveDesk", "newer_search"])
@pytest.mark.parametrize("values", ["e-mail", "phone", "name"])
@pytest.mark.parametrize("identifier", ["5", "example.com"])
def test_thousands_of_newer_contacts_cost_nothing_if_there_is_a_rare_value(
    identifier: str, values: str, way: str, busy: StandIn
) -> None:
    account = Account(busy, way)
    made = busy.add_contact(identifier=identifier, created_at=time.time() - 900, **VALUES[values])
    try:
        assert account.ids(identifier, replace(lost_ago(900), **VALUES[values])) == [str(made.id)]
        assert account.requests <= 2
    finally:
        busy.delete_contact(made.id)


@pytest.mark.parametrize("way", ["LiveDesk", "newer_search"])
@pytest.mark.parametrize("identifier", ["5", "a", "%"])
def test_a_bare_contact_is_found_behind_thousands_of_newer_ones(identifier: str, way: str, busy: StandIn) -> None:
    account = Account(busy, way)
    made = busy.add_contact(identifier=identifier, created_at=time.time() - 900)
    try:
        assert account.ids(identifier, lost_ago(900)) == [str(made.id)]
        assert account.requests <= MAX_PAGES + MAX_SKIPS
    finally:
        busy.delete_contact(made.id)


@pytest.mark.parametrize("way", ["LiveDesk", "newer_search"])
@pytest.mark.parametrize("identifier", ["5", "a", "%"])
def test_a_bare_contact_is_absent_behind_thousands_of_newer_ones(identifier: str, way: str, busy: StandIn) -> None:
    account = Account(busy, way)
    assert account.ids(identifier, lost_ago(900)) == []
    assert account.requests <= MAX_PAGES + MAX_SKIPS


def test_absence_amid_an_import_is_inconclusive_rather_than_wrong(busy: StandIn) -> None:
    """Within the minute in which it can have been created, there are 3,000 others."""
    account = Account(busy)
    assert account.cause("%", lost_ago(301)) == "search_too_many_results"
    assert account.requests <= MAX_PAGES + MAX_SKIPS
