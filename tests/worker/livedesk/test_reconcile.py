"""``flask reconcile`` reports differences and creates missing contacts again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from click.testing import Result

from tests.invariants import assert_invariants
from tests.livedesk import StandIn, serve
from tests.rig.processes import free_port
from tests.world import CREATED, World, make_store
from worker.errors import AnswerUnknown
from worker.livedesk.client import LiveDesk
from worker.livedesk.reconcile import (
    MAX_FAILURES,
    PAGE,
    PAUSES_S,
    Difference,
    Kind,
    Reconciler,
    wait_for_slot,
)
from worker.model import Account, Contact, Note, NoteCode, Origin, Outcome, Position, Progress, State, UpstreamPolicy
from worker.store import keys
from worker.store.connection import connect
from worker.store.record import SettledContact

KEY, SECRET = "demo-key", "demo-secret"
START = Position()
APP = {"verify": "token", "secret": "the-secret-of-the-app", "map": {"identifier": "$.id"}, "inbox_id": 7}
ADA = Contact("ada", 1, "Ada", "ada@example.com", "+4915112345678")


class Office(World):
    """A store, a LiveDesk, and contacts in both."""

    def __init__(self, client: redis.Redis, standin: StandIn) -> None:
        self.standin = standin
        self.livedesk = LiveDesk(standin.url, KEY, SECRET, timeout_s=1.0)
        self.slept: list[float] = []
        super().__init__(client, sources={"app": APP}, livedesk=self.livedesk)

    def create(self, contact: Contact, *notes: Note, livedesk: bool = True, made: int | None = None) -> int:
        """Create the contact here, and in LiveDesk unless it is ``made``. Return its id."""
        shown: dict[str, Any] = {name: value for name, value in contact.present().items() if name != "avatar_url"}
        made = made or (self.standin.add_contact(**shown).id if livedesk else 10**6)
        self.accept(contact, source="app")
        claim = self.claim(contact.identifier)
        assert self.finish(claim, replace(CREATED, contact_id=str(made), notes=notes)).written
        self.client.delete(keys.QUEUE)
        return made

    def know(self, contact: Contact, made: int) -> None:
        """Make the contact known as another one in LiveDesk."""
        self.accept(contact, source="app")
        result = replace(CREATED, contact_id=str(made), outcome=Outcome.KNOWN)
        assert self.finish(self.claim(contact.identifier), result).written
        self.client.delete(keys.QUEUE)

    def kinds(self) -> dict[str, Kind | None]:
        """Return how each contact differs, by identifier."""
        return {created.identifier: difference.kind if difference else None for created, difference in self.walk()}

    def reconciler(self) -> Reconciler:
        return Reconciler(self.store, self.livedesk, wait=lambda: None, sleep=self.slept.append)

    def walk(self, position: Position = START) -> list[tuple[SettledContact, Difference | None]]:
        return list(self.reconciler().walk(position))

    def difference(self) -> Difference | None:
        [(_, difference)] = self.walk()
        return difference

    def reconcile(self, *arguments: str) -> Result:
        """Run ``flask reconcile``."""
        return self.flask("reconcile", *arguments)


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with serve(inbox_ids=(1, 7)) as standin:
        yield standin


@pytest.fixture
def office(client: redis.Redis, running: StandIn) -> Iterator[Office]:
    running.reset()
    yield Office(client, running)
    assert_invariants(client)


def test_a_contact_that_has_not_changed(office: Office) -> None:
    office.create(ADA)
    assert office.difference() is None
    assert [request.kind for request in office.standin.requests(None)] == ["search"]


def test_more_in_livedesk_is_not_a_difference(office: Office) -> None:
    office.standin.add_contact(identifier="bob")
    made = office.standin.add_contact(identifier="ada", name="Ada", email="ada@example.com").id
    office.create(Contact("ada", 1), made=made)
    assert office.difference() is None


def test_a_contact_that_is_missing(office: Office) -> None:
    office.standin.delete_contact(office.create(ADA))
    difference = office.difference()
    assert difference is not None
    assert (difference.kind, difference.found) == (Kind.MISSING, ())


def test_a_contact_that_was_merged_away(office: Office) -> None:
    made = office.create(ADA)
    base = office.standin.add_contact(name="Ada King")
    office.standin.merge(base.id, made)
    difference = office.difference()
    assert difference is not None
    assert (difference.kind, difference.found) == (Kind.MERGED, (str(base.id),))


def test_a_contact_that_is_there_twice(office: Office) -> None:
    made = office.create(ADA)
    other = office.standin.add_contact(identifier="ada", unchecked=True).id
    difference = office.difference()
    assert difference is not None
    assert (difference.kind, set(difference.found)) == (Kind.DOUBLE, {str(made), str(other)})


def test_what_the_record_says_already_is_no_news(office: Office) -> None:
    changed: dict[str, Any] = {**ADA.present(), "email": "other@example.com"}
    made = office.standin.add_contact(**changed).id
    office.create(ADA, Note("email", "LiveDesk has another value"), made=made)
    assert office.difference() is None


@pytest.mark.parametrize(
    ("contact", "searchable", "bare", "kind"),
    [
        (ADA, False, False, Kind.UNCLEAR),
        (ADA, True, False, Kind.MISSING),
        (Contact("ada", 1, "Ada"), True, False, Kind.UNCLEAR),
        (Contact("ada", 1, "Ada"), True, True, Kind.MISSING),
    ],
)
def test_where_search_is_known_not_to_find_nothing_is_missing(
    contact: Contact, searchable: bool, bare: bool, kind: Kind, office: Office
) -> None:
    office.create(contact)
    office.standin.behave("invisible")
    office.store.findings.save_account(office.livedesk.account, Account(True, searchable, bare))
    difference = office.difference()
    assert difference is not None
    assert difference.kind is kind


def test_a_search_that_cannot_tell_is_not_missing(office: Office) -> None:
    office.create(ADA)
    office.standin.behave("endless_pages")
    difference = office.difference()
    assert difference is not None
    assert (difference.kind, difference.cause) == (Kind.UNCLEAR, "search_too_many_results")


def test_if_livedesk_can_read_by_id_that_shows_more(client: redis.Redis) -> None:
    with serve(by_id=True) as generous:
        office = Office(client, generous)
        made = office.create(ADA)
        generous.behave("invisible")
        difference = office.difference()
        assert difference is not None
        assert (difference.kind, difference.cause) == (Kind.UNCLEAR, "search_does_not_find_it")
        generous.clear()
        requests_before = len(generous.requests("update"))
        office.livedesk.set_identifier(str(made), "countess")
        assert len(generous.requests("update")) == requests_before + 1
        difference = office.difference()
        assert difference is not None
        assert (difference.kind, difference.found, difference.fields) == (Kind.MERGED, (str(made),), ("identifier",))


# People whom LiveDesk has under another identifier

BOB = Contact("bob", 1, "Bobby", "bob@example.com", "+4930123456")


def test_a_known_contact_differs_in_nothing(office: Office) -> None:
    """Its person has another identifier, and other data, in LiveDesk."""
    made = office.create(ADA)
    office.know(BOB, made)
    assert office.kinds() == {"ada": None, "bob": None}
    assert [request.identifier for request in office.standin.requests("search")] == ["ada", "ada"]
    assert office.reconcile().stdout == "2 compared, 0 differ.\n"


def test_a_promoted_contact_and_the_visitors_record_differ_in_nothing(office: Office) -> None:
    made = office.create(Contact("form-1", 1, email="ada@example.com"))
    office.livedesk.set_identifier(str(made), "ada")
    office.create(Contact("ada", 1, email="ada@example.com"), made=made)
    assert office.kinds() == {"form-1": None, "ada": None}


def test_whose_identifier_livedesk_has_of_two_aliases_makes_no_difference(office: Office) -> None:
    """Two accounts adopted one contact at the same moment, and the other one's request was the last."""
    made = office.standin.add_contact(identifier="bob", email="ada@example.com").id
    office.create(Contact("bob", 1), made=made)
    office.create(Contact("ada", 1), made=made)
    assert office.record("bob").outcome is Outcome.KNOWN
    assert office.kinds() == {"bob": None, "ada": None}


def test_an_alias_whose_contact_is_gone_is_missing_and_only_one_is_created_again(office: Office) -> None:
    made = office.create(ADA)
    office.know(BOB, made)
    office.standin.delete_contact(made)
    assert office.kinds() == {"ada": Kind.MISSING, "bob": Kind.MISSING}
    assert office.reconcile("--repair", "--yes").stdout.count("will be created again") == 1
    assert office.counts() == {State.PENDING: 1, State.CREATED: 1}
    assert office.record("bob").outcome is Outcome.KNOWN


def test_an_alias_whose_contact_was_merged_away_is_merged(office: Office) -> None:
    made = office.create(ADA)
    office.know(BOB, made)
    base = office.standin.add_contact(name="Ada King")
    office.standin.merge(base.id, made)
    assert office.kinds() == {"ada": Kind.MERGED, "bob": Kind.MERGED}


def test_an_alias_of_a_contact_that_is_not_ours_is_taken_for_granted(office: Office) -> None:
    """This LiveDesk reads no contact by its id, and nobody knows that one's identifier."""
    made = office.standin.add_contact(identifier="agent-1", email="bob@example.com").id
    office.know(BOB, made)
    assert office.kinds() == {"bob": None}
    office.standin.delete_contact(made)
    assert office.kinds() == {"bob": None}


def test_an_alias_of_a_contact_that_is_not_ours_is_read_by_its_id(client: redis.Redis) -> None:
    with serve(by_id=True) as generous:
        office = Office(client, generous)
        made = [generous.add_contact(identifier=f"agent-{number}").id for number in (1, 2)]
        office.know(BOB, made[0])
        office.advance(1)
        office.know(ADA, made[1])
        generous.delete_contact(made[1])
        assert office.kinds() == {"bob": None, "ada": Kind.MISSING}


def test_a_search_that_cannot_tell_is_unclear_for_an_alias_too(office: Office) -> None:
    made = office.create(ADA)
    office.know(BOB, made)
    office.standin.behave("endless_pages")
    assert office.kinds() == {"ada": Kind.UNCLEAR, "bob": Kind.UNCLEAR}


# The walk


def test_all_are_walked_over_in_pages_from_any_place(office: Office) -> None:
    for number in range(PAGE + 7):
        office.create(Contact(f"user-{number}", 1))
    walked = [held.identifier for held, _ in office.walk()]
    assert sorted(walked) == sorted(f"user-{number}" for number in range(PAGE + 7))
    places = [held.place for held, _ in office.walk()]
    for number in (0, PAGE - 1, PAGE, PAGE + 6):
        assert [held.identifier for held, _ in office.walk(places[number])] == walked[number + 1 :]


def test_a_place_whose_contact_is_gone_is_still_a_place(office: Office) -> None:
    for number in range(4):
        office.store.shift_ms = 1000 * (number - 3)
        office.create(Contact(f"user-{number}", 1))
    first, second, *_ = [held.place for held, _ in office.walk()]
    office.store.contacts.forget(1500)
    assert office.store.contacts.find("user-1") is None
    assert [held.identifier for held, _ in office.walk(second)] == ["user-2", "user-3"]
    assert [held.identifier for held, _ in office.walk(first)] == ["user-2", "user-3"]


def test_a_livedesk_that_does_not_answer_is_tried_again(office: Office) -> None:
    office.create(ADA)
    office.standin.behave("status_500", times=len(PAUSES_S))
    assert office.difference() is None
    assert office.slept == list(PAUSES_S)


def test_one_contact_that_livedesk_fails_for_is_reported_and_skipped(office: Office) -> None:
    for number in range(3):
        office.create(Contact(f"user-{number}", 1))
    office.standin.behave("status_500", identifier="user-1")
    told = {held.identifier: difference and difference.cause for held, difference in office.walk()}
    assert told == {"user-0": None, "user-1": "http_500", "user-2": None}


def test_a_livedesk_that_is_down_ends_it(office: Office) -> None:
    for number in range(MAX_FAILURES + 1):
        office.create(Contact(f"user-{number}", 1))
    office.standin.behave("status_500")
    walk = office.reconciler().walk(START)
    for _ in range(MAX_FAILURES - 1):
        next(walk)
    with pytest.raises(AnswerUnknown):
        next(walk)


def test_what_is_created_meanwhile_is_for_the_next_time(office: Office) -> None:
    """Else a busy system would never be done, and a search might not find it yet."""
    office.create(Contact("user-0", 1))
    office.store.shift_ms = 60_000
    office.create(Contact("user-1", 1))
    office.store.shift_ms = 0
    assert [held.identifier for held, _ in office.walk()] == ["user-0"]


def test_a_livedesk_that_says_how_long_to_wait_is_heeded(office: Office) -> None:
    office.create(ADA)
    office.standin.behave("throttle", retry_after=7, times=1)
    assert office.difference() is None
    assert office.slept == [7]


def test_no_request_goes_before_its_time(office: Office) -> None:
    waits: list[int] = []
    office.standin.delete_contact(office.create(ADA))
    reconciler = Reconciler(
        office.store, office.livedesk, wait=lambda: waits.append(len(office.standin.requests(None)))
    )
    list(reconciler.walk(Position()))
    assert waits == [0, 1], "once before each request"


def test_each_further_page_of_a_look_up_waits_for_its_turn(office: Office) -> None:
    office.create(ADA)
    for number in range(20):
        office.standin.add_contact(identifier=f"ada-{number}", created_at=4_000_000_000 + number)
    waits: list[int] = []
    reconciler = Reconciler(
        office.store, office.livedesk, wait=lambda: waits.append(len(office.standin.requests("search")))
    )
    assert [difference for _, difference in reconciler.walk(Position())] == [None]
    assert waits == [0, 1]


def test_it_shares_the_pace_with_the_workers(client: redis.Redis) -> None:
    store = make_store(client, policy=UpstreamPolicy(10, 60))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert len(slept) <= 40, "it keeps its place in the line"
        store.shift_ms += round(seconds * 1000)

    for _ in range(10):
        wait_for_slot(store, sleep=sleep)
    assert 8.9 <= sum(slept) <= 9.5, "sixty a minute"
    assert max(slept) <= 1.0


# The command


def test_without_contacts_nothing_differs(office: Office) -> None:
    result = office.reconcile()
    assert (result.exit_code, result.stdout) == (0, "0 compared, 0 differ.\n")


def test_what_differs_is_listed(office: Office) -> None:
    office.create(Contact("well", 1))
    gone = office.create(Contact("g\x1b[2Jone", 1))
    office.standin.delete_contact(gone)
    result = office.reconcile()
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"missing  g\ufffd[2Jone  contact {gone}: not in LiveDesk",
        "2 compared, 1 differ.",
    ]
    record = office.store.contacts.find("g\x1b[2Jone")
    assert record is not None
    assert record.state is State.CREATED, "nothing is changed without --repair"


def test_what_differs_as_json(office: Office) -> None:
    gone = office.create(ADA)
    office.standin.delete_contact(gone)
    lines = [json.loads(line) for line in office.reconcile("--json").stdout.splitlines()]
    assert lines[0] == {
        "kind": "missing",
        "identifier": "ada",
        "contact_id": gone,
        "found": [],
        "fields": [],
        "cause": None,
        "repaired": False,
    }
    assert lines[1] == {"compared": 1, "differing": 1}


def test_a_run_that_was_stopped_goes_on_where_it_was(office: Office) -> None:
    for number in range(4):
        office.standin.delete_contact(office.create(Contact(f"user-{number}", 1)))
    first, second = [held for held, _ in office.walk()][:2]
    office.store.findings.save_progress(Progress(second.place, 2, 2))
    searches = len(office.standin.requests("search"))
    result = office.reconcile()
    assert "Continuing after 2 contacts" in result.stderr
    assert result.stdout.splitlines()[-1] == "4 compared, 4 differ."
    assert len(office.standin.requests("search")) == searches + 2
    assert office.store.findings.progress() is None, "the next one begins anew"
    office.store.findings.save_progress(Progress(first.place, 1, 1))
    result = office.reconcile("--restart")
    assert result.stdout.splitlines()[-1] == "4 compared, 4 differ."


def test_a_run_that_cannot_finish_keeps_its_place(office: Office) -> None:
    office.create(Contact("user-0", 1))
    office.create(Contact("user-1", 1))
    office.standin.behave("unauthorized", identifier="user-1")
    result = office.reconcile()
    assert result.exit_code == 2
    assert "LiveDesk rejects our API key (401)." in result.stderr
    assert SECRET not in result.output
    progress = office.store.findings.progress()
    assert progress is not None
    assert progress.checked == 1
    office.standin.clear()
    assert office.reconcile().stdout == "2 compared, 0 differ.\n"


def test_without_redis_it_cannot_be_done(office: Office) -> None:
    client = connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1)
    result = Office(client, office.standin).reconcile()
    assert result.exit_code == 2
    assert "Redis cannot be used" in result.stderr


# Repair


def test_what_is_missing_is_put_back_with_what_is_left(office: Office) -> None:
    office.standin.delete_contact(office.create(ADA))
    result = office.reconcile("--repair", "--yes")
    assert result.exit_code == 1
    assert "; will be created again" in result.stdout
    record = office.store.contacts.find("ada")
    assert record is not None
    assert (record.state, record.contact, record.contact_id) == (State.PENDING, Contact("ada", 7), None)
    assert record.notes == (Note("identifier", "LiveDesk no longer had it: created again", NoteCode.RECREATED),)
    claim = office.claim()
    assert claim is not None
    assert claim.unknown_since is not None, "it is looked up before it is created"
    assert claim.unknown_since <= claim.now


def test_it_comes_after_new_contacts_and_retries(office: Office) -> None:
    office.standin.delete_contact(office.create(ADA))
    office.reconcile("--repair", "--yes")
    score: Any = office.client.zscore(keys.DUE, office.key("ada"))
    assert score // keys.LANE == 2
    assert office.store.queue.sweep().handed == 1


def test_nothing_but_what_is_missing_is_put_back(office: Office) -> None:
    made = office.create(ADA)
    office.standin.merge(office.standin.add_contact(name="Ada King").id, made)
    assert office.reconcile("--repair", "--yes").exit_code == 1
    record = office.store.contacts.find("ada")
    assert record is not None
    assert record.state is State.CREATED


def test_a_repair_wants_consent(office: Office) -> None:
    office.standin.delete_contact(office.create(ADA))
    result = office.reconcile("--repair")
    assert result.exit_code == 2
    assert office.standin.requests("search") == []


def test_a_contact_that_changed_meanwhile_is_left_alone(office: Office) -> None:
    made = office.create(ADA)
    key = office.key("ada")
    assert not office.store.contacts.recreate(key, "999", Contact("ada"))
    assert office.store.contacts.recreate(key, str(made), Contact("ada"))
    assert not office.store.contacts.recreate(key, str(made), Contact("ada")), "it may run twice"
    assert not office.store.contacts.recreate("of nobody", str(made), Contact("nobody"))


def test_a_delivery_that_comes_before_the_repair_brings_the_data(office: Office) -> None:
    made = office.create(ADA)
    office.store.contacts.recreate(office.key("ada"), str(made), Contact("ada", 1))
    assert office.store.contacts.accept(ADA, Origin("app")).status == "accepted"
    record = office.store.contacts.find("ada")
    assert record is not None
    assert record.contact == ADA
