"""Who is who: what a contact becomes when LiveDesk has its e-mail address or phone number already."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest
import redis
from msgspec import structs

from tests.invariants import assert_invariants
from tests.worker.sync_world import LOST, SETTLE_MS, SyncWorld, refused
from tests.world import ADA, LEASE_MS
from worker import causes
from worker.errors import AnswerUnknown, Inconclusive, LiveDeskError, NotSent, Rejected
from worker.livedesk.answers import Created, Person
from worker.model import Claim, Identity, Note, NoteCode, OnConflict, Origin, Outcome, Resolution, State, UpstreamPolicy
from worker.overlap import Choice, Holder, decide
from worker.store.store import Store

ACCOUNT, VISITOR = Identity.ACCOUNT, Identity.VISITOR
NOBODY, STRANGER = Holder.NOBODY, Holder.STRANGER
VISITORS, ACCOUNTS = Holder.VISITOR, Holder.ACCOUNT
#: The identifier that LiveDesk's contact 9 has, by whose it is.
HAS = {NOBODY: None, STRANGER: "agent-1", VISITORS: "form-1", ACCOUNTS: "shop-1"}
#: A conflict whose owner is contact 9.
CONFLICT = (State.CONFLICT, None, None, "9")
OWNED = "LiveDesk contact 9 has it"


@pytest.fixture
def world(client: redis.Redis) -> Iterator[SyncWorld]:
    world = SyncWorld(client)
    yield world
    assert world.livedesk.answers == [], "LiveDesk was not asked all that was expected"
    assert_invariants(client)


def owner(holder: Holder = NOBODY, **fields: Any) -> Person:
    """Return LiveDesk's contact 9, which has Ada's e-mail address."""
    return replace(Person("9", HAS[holder], ADA.name, ADA.email, ADA.phone_number), **fields)


def meet(world: SyncWorld, holder: Holder) -> None:
    """Bring the contact whose identifier LiveDesk's contact 9 has, if it is one of ours."""
    if holder in (VISITORS, ACCOUNTS):
        world.submit(str(HAS[holder]), visitor=holder is VISITORS, source=f"the {holder.name.lower()}s")
        world.attempt(create=Created("9", 200))


def facts(world: SyncWorld, identifier: str = "ada") -> tuple[Any, ...]:
    record = world.record(identifier)
    return record.state, record.outcome, record.contact_id, record.owner_id


def decisions(store: Store) -> list[tuple[str, str]]:
    return [(entry.did, entry.why) for entry in store.audit.page() if entry.who == "sync"]


# The table: an e-mail address that LiveDesk has


@dataclass(frozen=True)
class Cell:
    """One cell of the table; ``asks``: what LiveDesk is asked after it refused the create."""

    identity: Identity
    holder: Holder
    asks: tuple[str, ...]
    facts: tuple[Any, ...]
    note: Note | None = None
    unverified: bool = False
    adopt: bool = True
    on_conflict: OnConflict = OnConflict.ASK

    def __str__(self) -> str:
        options = [self.identity, self.holder.name.lower(), self.on_conflict]
        return "-".join([*options, *(["unverified"] * self.unverified), *(["no adoption"] * (not self.adopt))])


def known(holder: Holder) -> Note:
    return Note("email", f"{OWNED} {holder}: the same person", NoteCode.KNOWN)


ADOPTED = (State.CREATED, Outcome.ADOPTED, "9", None)
KNOWN = (State.CREATED, Outcome.KNOWN, "9", None)
CREATED = (State.CREATED, Outcome.CREATED, "10", None)
LEFT_OUT = Note("email", f"left out: {OWNED}", NoteCode.LEFT_OUT)
ADOPTED_NOTE = Note("email", "adopted the contact that had this value and no identifier", NoteCode.ADOPTED)
PROMOTED_NOTE = Note(
    "email", "LiveDesk contact 9 had it under a visitor's identifier: it has this identifier now", NoteCode.PROMOTED
)
SEARCH, PATCH, CREATE = "owners", "set_identifier", "create"


def asked_by_policy(holder: Holder, **options: Any) -> list[Cell]:
    """Return the three cells in which the source's policy decides."""
    return [
        Cell(ACCOUNT, holder, (SEARCH,), CONFLICT, **options),
        Cell(ACCOUNT, holder, (SEARCH,), KNOWN, known(holder), on_conflict=OnConflict.KNOWN, **options),
        Cell(ACCOUNT, holder, (SEARCH, CREATE), CREATED, LEFT_OUT, on_conflict=OnConflict.WITHOUT, **options),
    ]


CELLS = [
    # Without an identifier: an account adopts it, unless it must not.
    *(Cell(ACCOUNT, NOBODY, (SEARCH, PATCH), ADOPTED, ADOPTED_NOTE, on_conflict=policy) for policy in OnConflict),
    *asked_by_policy(NOBODY, unverified=True),
    *asked_by_policy(NOBODY, adopt=False),
    *(Cell(VISITOR, NOBODY, (SEARCH,), KNOWN, known(NOBODY), on_conflict=policy) for policy in OnConflict),
    # Under a visitor's identifier of ours: promoted.
    *(Cell(ACCOUNT, VISITORS, (SEARCH, PATCH), ADOPTED, PROMOTED_NOTE, on_conflict=policy) for policy in OnConflict),
    Cell(ACCOUNT, VISITORS, (SEARCH, PATCH), ADOPTED, PROMOTED_NOTE, adopt=False),
    *asked_by_policy(VISITORS, unverified=True),
    *(Cell(VISITOR, VISITORS, (SEARCH,), KNOWN, known(VISITORS), on_conflict=policy) for policy in OnConflict),
    # Under an account's identifier of ours: the two are aliases.
    *(
        Cell(identity, ACCOUNTS, (SEARCH,), KNOWN, known(ACCOUNTS), on_conflict=policy, unverified=unverified)
        for identity, policy, unverified in product(Identity, OnConflict, (False, True))
    ),
    # Under an identifier that nobody has sent us.
    *asked_by_policy(STRANGER),
    *asked_by_policy(STRANGER, unverified=True),
    *(
        Cell(VISITOR, STRANGER, (SEARCH,), KNOWN, known(STRANGER), on_conflict=policy, unverified=unverified)
        for policy, unverified in product(OnConflict, (False, True))
    ),
]
ANSWERS = {PATCH: 200, CREATE: Created("10", 200)}


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_an_email_address_that_livedesk_has(cell: Cell, world: SyncWorld) -> None:
    meet(world, cell.holder)
    world.options["adopt"] = cell.adopt
    before = len(world.asked)
    world.submit(visitor=cell.identity is VISITOR, on_conflict=cell.on_conflict, unverified=cell.unverified)
    first, *more = cell.asks
    world.expect(create=refused("email"))
    world.attempt(**{first: [owner(cell.holder)], **{name: ANSWERS[name] for name in more}})
    assert facts(world) == cell.facts
    assert world.asked[before:] == ["create", *cell.asks], "no more requests than these"
    assert world.record().notes == ((cell.note,) if cell.note else ())
    if CREATE in cell.asks:
        assert world.livedesk.asked[-1] == ("create", structs.replace(ADA, email=None))
    if PATCH in cell.asks:
        assert world.livedesk.asked[-1] == ("set_identifier", "9", "ada")


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_what_was_decided_without_an_operator_is_in_the_audit_log(cell: Cell, world: SyncWorld) -> None:
    meet(world, cell.holder)
    world.options["adopt"] = cell.adopt
    world.submit(visitor=cell.identity is VISITOR, on_conflict=cell.on_conflict, unverified=cell.unverified)
    first, *more = cell.asks
    world.expect(create=refused("email"))
    world.attempt(**{first: [owner(cell.holder)], **{name: ANSWERS[name] for name in more}})
    if cell.facts == CONFLICT:
        assert decisions(world.store) == []
        return
    [entry] = world.store.audit.about(world.key())
    assert entry.who == "sync"
    assert "9" in entry.did
    assert str(cell.holder) in entry.why
    is_by_policy = (
        cell.identity is ACCOUNT and cell.holder is not ACCOUNTS and cell.note in (LEFT_OUT, known(cell.holder))
    )
    assert (f"on_conflict is {cell.on_conflict}" in entry.why) is is_by_policy
    for value in (ADA.email, ADA.name, ADA.phone_number, "ada", HAS[cell.holder] or "?"):
        assert str(value) not in entry.did + entry.why, "no personal data"


@pytest.mark.parametrize(
    ("identity", "holder", "unverified", "on_conflict", "adopts"),
    list(product(Identity, Holder, (False, True), OnConflict, (False, True))),
)
def test_no_visitor_and_no_unverified_address_changes_an_identifier(
    identity: Identity, holder: Holder, unverified: bool, on_conflict: OnConflict, adopts: bool
) -> None:
    claim = claimed(identity, on_conflict, unverified)
    choice = decide(claim, holder, adopts=adopts)
    if identity is VISITOR or unverified:
        assert choice not in (Choice.ADOPT, Choice.PROMOTE)
    if identity is VISITOR or holder is ACCOUNTS:
        assert choice is Choice.KNOWN, "no operator is needed"
    if on_conflict is not OnConflict.ASK:
        assert choice is not Choice.ASK


def claimed(
    identity: Identity, on_conflict: OnConflict = OnConflict.ASK, unverified: bool = False, **more: Any
) -> Claim:
    origin = Origin("source", identity, on_conflict=on_conflict)
    return Claim("key", "token", ADA, "", 0, 0, origin=origin, is_unverified=unverified, **more)


@pytest.mark.parametrize("visitor", [False, True])
@pytest.mark.parametrize("on_conflict", OnConflict)
def test_several_contacts_with_one_email_address_are_a_conflict(
    visitor: bool, on_conflict: OnConflict, world: SyncWorld
) -> None:
    world.submit(visitor=visitor, on_conflict=on_conflict)
    world.attempt(create=refused("email"), owners=[owner(), replace(owner(), id="10")])
    assert facts(world) == CONFLICT


# Aliases


def test_after_a_promotion_the_visitors_record_is_known(world: SyncWorld) -> None:
    meet(world, VISITORS)
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(VISITORS)], set_identifier=200)
    assert facts(world, "form-1") == KNOWN
    assert facts(world) == ADOPTED
    assert set(world.store.contacts.aliases(world.key())) == {world.key(), world.key("form-1")}


def test_many_records_of_one_person_are_one_contact(world: SyncWorld) -> None:
    meet(world, VISITORS)
    world.submit("form-2", visitor=True)
    world.attempt(create=refused("email"), owners=[owner(VISITORS)])
    world.submit("clerk-1")
    world.attempt(create=refused("email"), owners=[owner(VISITORS)], set_identifier=200)
    for identifier in ("shop-2", "form-3"):
        world.submit(identifier, visitor=identifier == "form-3")
        meanwhile = owner(identifier="clerk-1")
        world.attempt(create=refused("email"), owners=[meanwhile])
    outcomes = {name: world.record(name).outcome for name in ("form-1", "form-2", "clerk-1", "shop-2", "form-3")}
    assert outcomes == {**dict.fromkeys(outcomes, Outcome.KNOWN), "clerk-1": Outcome.ADOPTED}
    assert {world.record(name).contact_id for name in outcomes} == {"9"}
    assert len(world.store.contacts.aliases(world.key("form-1"))) == 5


@pytest.mark.parametrize("visitor_ends", ["created", "adopted"])
def test_a_visitor_that_ends_after_the_account_is_known(visitor_ends: str, world: SyncWorld) -> None:
    """Both are sent at the same time: LiveDesk's contact is promoted before the visitor's attempt is finished."""

    def meanwhile() -> None:
        world.submit("ada")
        world.expect(create=refused("email"), owners=[owner(VISITORS)], set_identifier=200)
        assert world.sync() is not None
        world.who = "form-1"

    def answer() -> Any:
        meanwhile()
        return Created("9", 200) if visitor_ends == "created" else [owner(VISITORS)]

    world.submit("form-1", visitor=True)
    if visitor_ends == "adopted":
        world.attempt(create=LOST)
        world.attempt(look_up=answer)
    else:
        world.attempt(create=answer)
    assert facts(world, "form-1") == KNOWN
    assert facts(world, "ada") == ADOPTED


@pytest.mark.parametrize("holder", [NOBODY, VISITORS])
def test_of_two_accounts_at_the_same_time_one_gives_the_contact_its_identifier(
    holder: Holder, world: SyncWorld
) -> None:
    """Both see the contact as it was before. Otherwise LiveDesk would have the identifier of the later request."""

    def meanwhile() -> list[Person]:
        world.submit("shop-2", source="shop")
        world.expect(create=refused("email"), owners=[owner(holder)], set_identifier=200)
        assert world.sync() is not None
        world.who = "ada"
        return [owner(holder)]

    meet(world, holder)
    world.submit()
    world.attempt(create=refused("email"), owners=meanwhile)
    assert (world.record().state, world.record().cause) == (State.RETRYING, "email_taken")
    assert world.field("spent_ms") == 0
    world.attempt(owners=[owner(identifier="shop-2")])
    assert facts(world, "shop-2") == ADOPTED
    assert facts(world) == KNOWN


def test_an_account_whose_worker_died_leaves_the_contact_to_the_next(world: SyncWorld) -> None:
    world.submit("shop-2", source="shop")
    assert world.store.contacts.take(world.claim("shop-2"), "9")
    world.submit()
    world.attempt(create=refused("email"), owners=[owner()], set_identifier=200)
    assert facts(world) == ADOPTED


def test_an_account_that_ends_after_one_that_is_known_has_the_identifier(world: SyncWorld) -> None:
    def answer() -> Created:
        world.submit("ada")
        world.expect(create=refused("email"), owners=[owner(ACCOUNTS)])
        assert world.sync() is not None
        world.who = "shop-1"
        return Created("9", 200)

    world.submit("shop-1", source="shop")
    world.attempt(create=answer)
    assert facts(world, "ada") == KNOWN
    assert facts(world, "shop-1") == (State.CREATED, Outcome.CREATED, "9", None)


def test_a_known_contact_has_no_notes_about_other_values(world: SyncWorld) -> None:
    """LiveDesk shows another person's record of the same person: it is no drift."""
    meet(world, ACCOUNTS)
    world.submit(visitor=True)
    world.attempt(create=refused("email"), owners=[owner(ACCOUNTS, name="Countess", phone_number=None)])
    assert [note.code for note in world.record().notes] == [NoteCode.KNOWN]


def test_a_promoted_contact_notes_what_livedesk_has_instead(world: SyncWorld) -> None:
    meet(world, VISITORS)
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(VISITORS, name="A. L.")], set_identifier=200)
    assert [(note.field, note.code) for note in world.record().notes] == [
        ("email", NoteCode.PROMOTED),
        ("name", NoteCode.DIFFERS),
    ]


# Faults on the way to a promotion


def test_a_lost_answer_to_a_promotion_that_was_executed(world: SyncWorld) -> None:
    meet(world, VISITORS)
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(VISITORS)], set_identifier=LOST)
    assert world.record().state is State.RETRYING
    world.attempt(create=refused("email", "identifier"), look_up=[owner(identifier="ada")])
    assert (facts(world), facts(world, "form-1")) == (ADOPTED, KNOWN)


def test_a_lost_answer_to_a_promotion_that_was_not_executed(world: SyncWorld) -> None:
    meet(world, VISITORS)
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(VISITORS)], set_identifier=AnswerUnknown(causes.http(502)))
    world.attempt(create=refused("email"), owners=[owner(VISITORS)], set_identifier=200)
    assert (facts(world), facts(world, "form-1")) == (ADOPTED, KNOWN)
    assert world.record().notes == (PROMOTED_NOTE,)


@pytest.mark.parametrize("is_executed", [True, False])
def test_a_worker_that_dies_between_the_promotion_and_its_record(is_executed: bool, world: SyncWorld) -> None:
    meet(world, VISITORS)
    world.submit()
    world.claim()
    world.advance(LEASE_MS + SETTLE_MS)
    if is_executed:
        world.attempt(look_up=[owner(identifier="ada")])
    else:
        world.expect(look_up=[], create=refused("email"))
        world.attempt(owners=[owner(VISITORS)], set_identifier=200)
    assert (facts(world), facts(world, "form-1")) == (ADOPTED, KNOWN)
    assert PROMOTED_NOTE.code in [note.code for note in world.record().notes]


def test_a_promotion_to_an_identifier_that_exists_meanwhile_adopts_that_contact(world: SyncWorld) -> None:
    meet(world, VISITORS)
    world.submit()
    world.expect(create=refused("email"), owners=[owner(VISITORS)])
    world.attempt(set_identifier=refused("identifier"), look_up=[Person("12", "ada", ADA.name)])
    assert facts(world) == (State.CREATED, Outcome.ADOPTED, "12", None)
    assert facts(world, "form-1") == (State.CREATED, Outcome.CREATED, "9", None), "nobody took it over"
    assert NoteCode.PROMOTED not in [note.code for note in world.record().notes]


def test_a_promotion_of_a_contact_that_is_gone_creates_the_contact(world: SyncWorld) -> None:
    gone = Rejected(causes.CONTACT_GONE, fields=frozenset(), status=404)
    meet(world, VISITORS)
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(VISITORS)], set_identifier=gone)
    assert (world.record().state, world.record().cause) == (State.RETRYING, "contact_gone")
    world.attempt(create=Created("10", 200))
    assert facts(world) == (State.CREATED, Outcome.CREATED, "10", None)
    assert facts(world, "form-1") == (State.CREATED, Outcome.CREATED, "9", None)


def test_a_promotion_that_livedesk_refuses_is_a_conflict_with_its_words(world: SyncWorld) -> None:
    """It validates the whole contact again, and an old phone number may no longer be valid."""
    meet(world, VISITORS)
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(VISITORS)], set_identifier=refused("phone_number"))
    assert facts(world) == CONFLICT
    assert world.record().attempts[-1].excerpt == "it says why"


def test_a_known_contact_whose_worker_dies_is_looked_up_and_known(world: SyncWorld) -> None:
    meet(world, ACCOUNTS)
    world.submit(visitor=True)
    world.claim()
    world.advance(LEASE_MS + SETTLE_MS)
    world.attempt(look_up=[], create=refused("email"), owners=[owner(ACCOUNTS)])
    assert facts(world) == KNOWN


def test_a_known_contact_whose_lease_was_lost_is_decided_anew(world: SyncWorld) -> None:
    """Its contact has another identifier: to be created with that id would displace whose it is."""

    def too_late() -> list[Person]:
        world.advance(LEASE_MS + 1)
        world.claim()
        return [owner(ACCOUNTS)]

    meet(world, ACCOUNTS)
    world.submit()
    world.expect(create=refused("email"), owners=too_late)
    ended = world.attempt()
    assert (ended.result.outcome, ended.finished.written) == (Outcome.KNOWN, False)
    world.attempt(look_up=[], create=refused("email"), owners=[owner(ACCOUNTS)])
    assert facts(world) == KNOWN
    assert facts(world, "shop-1") == (State.CREATED, Outcome.CREATED, "9", None)


# A taken phone number


@pytest.mark.parametrize("visitor", [False, True])
@pytest.mark.parametrize("holder", Holder)
@pytest.mark.parametrize("on_conflict", OnConflict)
def test_a_taken_phone_number_is_left_out_whoever_has_it(
    visitor: bool, holder: Holder, on_conflict: OnConflict, world: SyncWorld
) -> None:
    meet(world, holder)
    before = len(world.asked)
    world.submit(visitor=visitor, on_conflict=on_conflict)
    world.expect(create=refused("phone_number"), owners=[owner(holder, email="family@example.com")])
    world.attempt(create=Created("10", 200))
    assert facts(world) == CREATED
    assert world.record().notes == (Note("phone_number", f"left out: {OWNED}", NoteCode.LEFT_OUT),)
    assert world.asked[before:] == ["create", "owners", "create"]
    assert world.livedesk.asked[-1] == ("create", structs.replace(ADA, phone_number=None))


def test_a_phone_number_that_several_have_is_left_out(world: SyncWorld) -> None:
    world.submit()
    household = [Person("9", "bob", phone_number=ADA.phone_number), Person("8", None, phone_number=ADA.phone_number)]
    world.expect(create=refused("phone_number"), owners=household)
    world.attempt(create=Created("10", 200))
    assert facts(world) == CREATED


def test_a_phone_number_of_the_contact_with_our_identifier_adopts_it(world: SyncWorld) -> None:
    world.submit()
    world.attempt(create=refused("phone_number"), owners=[owner(identifier="ada", email=None)])
    assert facts(world) == ADOPTED


@pytest.mark.parametrize(
    ("visitor", "holder", "asks", "expected"),
    [
        (False, NOBODY, ("owners", "set_identifier"), ADOPTED),
        (False, VISITORS, ("owners", "set_identifier"), ADOPTED),
        (False, ACCOUNTS, ("owners",), KNOWN),
        (False, STRANGER, ("owners",), CONFLICT),
        (True, STRANGER, ("owners",), KNOWN),
    ],
)
def test_a_phone_number_of_a_contact_with_our_email_address_is_the_same_person(
    visitor: bool, holder: Holder, asks: tuple[str, ...], expected: tuple[Any, ...], world: SyncWorld
) -> None:
    """LiveDesk may name only one of two values that it refuses."""
    meet(world, holder)
    world.submit(visitor=visitor)
    shouting = owner(holder, email="ADA@EXAMPLE.COM")
    world.attempt(create=refused("phone_number"), owners=[shouting], **dict.fromkeys(asks[1:], 200))
    assert facts(world) == expected


@pytest.mark.parametrize("holder", [NOBODY, VISITORS])
def test_with_both_taken_the_email_address_comes_first(holder: Holder, world: SyncWorld) -> None:
    meet(world, holder)
    world.submit()
    before = len(world.asked)
    world.expect(create=refused("email", "phone_number"), owners=[owner(holder, phone_number=None)])
    world.attempt(set_identifier=200)
    assert facts(world) == ADOPTED
    assert world.asked[before:] == ["create", "owners", "set_identifier"], "nobody asks who has the phone number"


def test_with_both_taken_by_one_contact_it_is_looked_for_once(world: SyncWorld) -> None:
    world.submit(on_conflict=OnConflict.WITHOUT)
    world.expect(create=refused("email", "phone_number"), owners=[owner(STRANGER)])
    world.attempt(create=Created("10", 200))
    assert world.asked == ["create", "owners", "create"]
    assert world.livedesk.asked[-1] == ("create", structs.replace(ADA, email=None, phone_number=None))
    assert [note.text for note in world.record().notes] == [f"left out: {OWNED}"] * 2


def test_with_both_taken_by_two_contacts_both_are_named(world: SyncWorld) -> None:
    world.submit(on_conflict=OnConflict.WITHOUT)
    world.expect(create=refused("email", "phone_number"), owners=[owner(STRANGER, phone_number=None)])
    world.expect(owners=[Person("8", "bob", phone_number=ADA.phone_number)])
    world.attempt(create=Created("10", 200))
    assert [note.text for note in world.record().notes] == [
        "left out: LiveDesk contact 9 has it",
        "left out: LiveDesk contact 8 has it",
    ]


# An identifier that LiveDesk has


@pytest.mark.parametrize("visitor", [False, True])
@pytest.mark.parametrize("after", ["a refusal", "a lost answer"])
@pytest.mark.parametrize(
    ("there", "is_other"),
    [
        (Person("9", "ada", "Ada", "jane@example.com"), True),
        (Person("9", "ada", "Ada", None, "+4930111111"), True),
        (Person("9", "ada", "Ada", "jane@example.com", ADA.phone_number), False),
        (Person("9", "ada", "Ada", "ADA@example.com", "+4930111111"), False),
        (Person("9", "ada", "Ada"), False),
    ],
    ids=["e-mail", "phone", "phone agrees", "e-mail agrees", "nothing to compare"],
)
def test_a_visitor_with_the_identifier_of_somebody_else_in_livedesk_is_a_conflict(
    visitor: bool, after: str, there: Person, is_other: bool, world: SyncWorld
) -> None:
    """Anybody can type an identifier: LiveDesk's person is not overwritten, and the visitor is not lost in it."""
    world.submit(visitor=visitor)
    if after == "a lost answer":
        world.attempt(create=LOST)
        world.attempt(look_up=[there])
    else:
        world.attempt(create=refused("identifier"), look_up=[there])
    if visitor and is_other:
        assert facts(world) == CONFLICT
        assert (world.record().cause, world.record().contact) == ("identifier_clash", ADA)
    else:
        assert facts(world) == ADOPTED


def test_a_visitor_without_an_address_does_not_adopt_somebody_who_has_one(world: SyncWorld) -> None:
    world.submit("agent-1", visitor=True, email=None, phone_number=None)
    world.attempt(create=refused("identifier"), look_up=[owner(STRANGER)])
    assert facts(world, "agent-1") == CONFLICT


TYPED = {
    "not sent yet": {},
    "refused": {"create": refused("identifier"), "look_up": [owner(STRANGER)]},
    "known elsewhere": {"create": refused("email"), "owners": [Person("8", "x-1", "Mallory", "mallory@example.com")]},
}


@pytest.mark.parametrize("answers", TYPED.values(), ids=TYPED)
def test_an_identifier_that_a_visitor_has_typed_is_still_somebody_elses(
    answers: dict[str, Any], world: SyncWorld
) -> None:
    """Nobody's identifier in LiveDesk is replaced because a stranger has typed it into a form."""
    world.submit("agent-1", visitor=True, email="mallory@example.com", phone_number=None)
    if answers:
        world.attempt(**answers)
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(STRANGER)])
    assert facts(world) == CONFLICT


def test_a_visitors_contact_whose_answer_was_lost_is_promoted(world: SyncWorld) -> None:
    world.submit("form-1", visitor=True)
    world.attempt(create=LOST)
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(VISITORS)], set_identifier=200)
    assert facts(world) == ADOPTED


# What an operator decided


@pytest.mark.parametrize("holder", Holder)
@pytest.mark.parametrize("on_conflict", OnConflict)
@pytest.mark.parametrize("unverified", [False, True])
def test_an_operator_who_adopts_gives_the_owner_our_identifier(
    holder: Holder, on_conflict: OnConflict, unverified: bool, world: SyncWorld
) -> None:
    meet(world, holder)
    world.options["adopt"] = False
    world.submit(on_conflict=on_conflict, unverified=unverified)
    world.attempt(create=refused("email"), owners=[owner(holder), replace(owner(), id="10")])
    world.resolve(Resolution.ADOPT)
    world.attempt(owners=[owner(holder)], set_identifier=200)
    assert facts(world) == ADOPTED
    assert world.livedesk.asked[-1] == ("set_identifier", "9", "ada")
    if holder in (VISITORS, ACCOUNTS):
        assert facts(world, str(HAS[holder])) == KNOWN
    assert decisions(world.store)[0][1].endswith("an operator decided")


def test_an_operator_who_adopts_one_of_two_owners_means_that_one(world: SyncWorld) -> None:
    two = [owner(STRANGER), replace(owner(), id="10")]
    world.submit()
    world.attempt(create=refused("email"), owners=two)
    world.resolve(Resolution.ADOPT)
    world.attempt(owners=two[::-1], set_identifier=200)
    assert facts(world) == ADOPTED


@pytest.mark.parametrize("holder", [NOBODY, STRANGER])
def test_nobody_else_is_adopted_than_the_operator_saw(holder: Holder, world: SyncWorld) -> None:
    """Another contact has the address by now: the rules decide about that one, as if nobody had decided."""
    world.options["adopt"] = False
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(STRANGER)])
    world.resolve(Resolution.ADOPT)
    world.attempt(owners=[replace(owner(holder), id="10")])
    assert facts(world) == (State.CONFLICT, None, None, "10")
    assert not [kind for kind in world.asked if kind == "set_identifier"]


def test_a_decision_outlasts_an_outage(world: SyncWorld) -> None:
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(STRANGER)])
    world.resolve(Resolution.ADOPT)
    world.attempt(owners=LiveDeskError(causes.http(503), status=503))
    world.attempt(create=refused("email"), owners=[owner(STRANGER)], set_identifier=200)
    assert facts(world) == ADOPTED


@pytest.mark.parametrize("holder", Holder)
def test_not_even_an_operator_lets_a_visitor_take_over_an_account(holder: Holder) -> None:
    choice = decide(claimed(VISITOR, resolution=Resolution.ADOPT), holder, adopts=True)
    assert choice is (Choice.KNOWN if holder is ACCOUNTS else Choice.ADOPT)


@pytest.mark.parametrize("visitor", [False, True])
def test_an_operator_who_leaves_the_field_out_needs_no_look_up(visitor: bool, world: SyncWorld) -> None:
    world.submit(visitor=visitor)
    world.attempt(create=refused("email"), owners=[owner(STRANGER), replace(owner(), id="10")])
    world.resolve(Resolution.WITHOUT)
    before = len(world.asked)
    world.expect(create=refused("email"))
    world.attempt(create=Created("10", 200))
    assert facts(world) == CREATED
    assert world.asked[before:] == ["create", "create"]
    assert world.record().notes == (Note("email", "left out: another contact in LiveDesk has it", NoteCode.LEFT_OUT),)


def test_a_field_that_is_free_by_now_is_not_left_out(world: SyncWorld) -> None:
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(STRANGER)])
    world.resolve(Resolution.WITHOUT)
    world.attempt(create=Created("10", 200))
    assert world.livedesk.asked[-1] == ("create", ADA)
    assert world.record().notes == ()


def test_a_conflict_about_a_phone_number_of_an_earlier_version_is_adopted_where_an_operator_says_so(
    world: SyncWorld,
) -> None:
    conflicting(world, "phone_number_taken")
    world.resolve(Resolution.ADOPT)
    world.attempt(owners=[owner(STRANGER, email="other@example.com")], set_identifier=200)
    assert facts(world) == ADOPTED


def test_a_decision_about_an_email_address_does_not_adopt_whoever_shares_the_phone_number(world: SyncWorld) -> None:
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(STRANGER)])
    world.resolve(Resolution.ADOPT)
    household = Person("8", "bob", phone_number=ADA.phone_number)
    world.expect(owners=[], create=refused("phone_number"))
    world.expect(owners=[household])
    world.attempt(create=Created("10", 200))
    assert facts(world) == CREATED


def test_a_conflict_about_a_phone_number_of_an_earlier_version_is_created_on_retry(world: SyncWorld) -> None:
    conflicting(world, "phone_number_taken")
    assert world.store.contacts.retry_now(world.key()) == "retrying"
    world.attempt(owners=[owner(STRANGER, email=None)], create=Created("10", 200))
    assert facts(world) == CREATED


def conflicting(world: SyncWorld, cause: str) -> None:
    """Bring a conflict as versions reported it that did not leave phone numbers out."""
    world.submit()
    result = world.attempt(create=refused("email"), owners=[owner(STRANGER)]).result
    assert world.store.contacts.retry_now(world.key()) == "retrying"
    assert world.finish(world.claim(), replace(result, cause=cause)).written


# Few look-ups


@pytest.mark.parametrize("holder", [STRANGER, ACCOUNTS])
def test_after_a_conflict_the_owner_is_looked_for_before_a_create(holder: Holder, world: SyncWorld) -> None:
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(STRANGER)])
    meet(world, holder)
    world.who = "ada"
    assert world.store.contacts.retry_now(world.key()) == "retrying"
    world.attempt(owners=[owner(holder)])
    assert facts(world) == (KNOWN if holder is ACCOUNTS else CONFLICT)


def test_an_owner_that_is_gone_since_the_conflict_means_create(world: SyncWorld) -> None:
    world.submit()
    world.attempt(create=refused("email"), owners=[owner(STRANGER)])
    assert world.store.contacts.retry_now(world.key()) == "retrying"
    world.attempt(owners=[], create=Created("10", 200))
    assert facts(world) == CREATED
    assert world.livedesk.asked[-1] == ("create", ADA)


def test_without_a_slot_for_the_look_up_the_create_is_not_sent_again(client: redis.Redis) -> None:
    """Otherwise contacts that wait for one of few look-ups would use up the rate with creates that are refused."""
    world = SyncWorld(client, policy=UpstreamPolicy(rate=10, look_ups_per_minute=6))
    world.submit("bob", email="bob@example.com")
    world.attempt(create=refused("email"), owners=[Person("8", "agent-8", email="bob@example.com")])
    world.submit()
    world.expect(create=refused("email"))
    ended = world.sync()
    assert ended is not None
    assert (ended.result.state, ended.result.cause) == (State.RETRYING, "email_taken")
    assert world.record().notes == ()
    world.attempt(owners=[owner(STRANGER)])
    assert facts(world) == CONFLICT
    assert [asked[0] for asked in world.livedesk.asked if asked[-1] in (ADA, ADA.email)] == ["create", "owners"]
    assert_invariants(client)


@pytest.mark.parametrize("error", [Inconclusive(causes.SEARCH_IGNORED_QUERY), NotSent(causes.CONNECT_FAILED)], ids=str)
def test_a_search_that_cannot_tell_who_has_it_decides_nothing(error: Any, world: SyncWorld) -> None:
    world.submit()
    world.attempt(create=refused("email"), owners=error)
    assert world.record().state is State.RETRYING
    world.attempt(create=refused("email"), owners=[owner()], set_identifier=200)
    assert facts(world) == ADOPTED
