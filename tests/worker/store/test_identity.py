"""Whose person an identifier is: id spaces, clashes, classes and aliases."""

from dataclasses import replace

import pytest
import redis
from msgspec import structs

from tests.invariants import assert_invariants
from tests.world import ADA, CONFLICT, CREATED, DAY_MS, FAILED, RETRYING, World
from worker.model import (
    Accepted,
    AttemptResult,
    Contact,
    Identity,
    OnConflict,
    Origin,
    Outcome,
    Quarantined,
    Signup,
    State,
    Status,
)
from worker.store import keys

APP = Origin("app")
#: The same ids as the app's, by another way.
CLERK = Origin("clerk", id_space="app")
SHOP = Origin("shop")
FORM = Origin("form", Identity.VISITOR)
NEWSLETTER = Origin("newsletter", Identity.VISITOR)
#: A form whose hidden field has the app's ids.
HIDDEN = Origin("hidden", Identity.VISITOR, id_space="app")

#: The first person with the identifier, and others who have it, too.
FIRST = Contact("7", 1, "Ada", "ada@example.com", "+4915112345678")
SAME_EMAIL = Contact("7", 1, "A. Lovelace", "ada@example.com", "+4915100000000")
SAME_PHONE = Contact("7", 1, "Ada", "ada@example.org", "+4915112345678")
ANOTHER = Contact("7", 1, "Bob", "bob@example.com", "+4915122222222")
NAMELESS = Contact("7", 1, "Ada")
KNOWN = AttemptResult(state=State.CREATED, contact_id="7", outcome=Outcome.KNOWN, status=422)

ACCEPTED, DUPLICATE, CLASH = "accepted", "duplicate", "clash"


def said(accepted: Accepted) -> str:
    return CLASH if accepted.clashes_with else accepted.status


# fmt: off
TABLE = [
    # first, then, the data of both, what is answered, whose data the open record has afterwards
    (APP,  APP,        FIRST, ANOTHER,    ACCEPTED,  "then"),   # the system that issues the ids says so
    (APP,  CLERK,      FIRST, ANOTHER,    ACCEPTED,  "then"),   # the same id space
    (CLERK, APP,       FIRST, ANOTHER,    ACCEPTED,  "then"),
    (APP,  SHOP,       FIRST, SAME_EMAIL, ACCEPTED,  "then"),   # another one, and the same person
    (APP,  SHOP,       FIRST, SAME_PHONE, ACCEPTED,  "then"),
    (APP,  SHOP,       FIRST, ANOTHER,    CLASH,     "first"),
    (APP,  SHOP,       FIRST, NAMELESS,   CLASH,     "first"),  # nothing to compare
    (APP,  SHOP,       NAMELESS, NAMELESS, CLASH,    "first"),
    (APP,  FORM,       FIRST, SAME_EMAIL, DUPLICATE, "first"),  # a visitor changes nothing of an account's
    (APP,  FORM,       FIRST, ANOTHER,    CLASH,     "first"),
    (APP,  HIDDEN,     FIRST, ANOTHER,    DUPLICATE, "first"),
    (APP,  HIDDEN,     FIRST, FIRST,      DUPLICATE, "first"),
    (FORM, FORM,       FIRST, ANOTHER,    ACCEPTED,  "then"),
    (FORM, NEWSLETTER, FIRST, SAME_EMAIL, DUPLICATE, "first"),  # nor of another visitor's
    (FORM, NEWSLETTER, FIRST, ANOTHER,    CLASH,     "first"),
    (FORM, APP,        FIRST, SAME_EMAIL, ACCEPTED,  "then"),
    (FORM, APP,        FIRST, ANOTHER,    CLASH,     "first"),
    (HIDDEN, APP,      FIRST, ANOTHER,    ACCEPTED,  "then"),
]
# fmt: on


@pytest.mark.parametrize(("first", "then", "before", "after", "answer", "whose"), TABLE)
def test_a_known_identifier(
    first: Origin, then: Origin, before: Contact, after: Contact, answer: str, whose: str, world: World
) -> None:
    world.store.contacts.accept(before, first)
    accepted = world.store.contacts.accept(after, then)
    assert said(accepted) == answer
    assert accepted.clashes_with == (first.source if answer == CLASH else "")
    record = world.store.contacts.find("7")
    assert record is not None
    assert record.contact == (after if whose == "then" else before)
    assert record.source == (then if whose == "then" else first).source
    is_account = Identity.ACCOUNT in {first.identity, then.identity if whose == "then" else first.identity}
    assert record.identity == (Identity.ACCOUNT if is_account else Identity.VISITOR)
    assert_invariants(world.client)


@pytest.mark.parametrize("result", [RETRYING, CREATED, CONFLICT, FAILED], ids=lambda result: str(result.state))
def test_a_clash_changes_nothing_in_any_state(result: AttemptResult, world: World) -> None:
    world.store.contacts.accept(FIRST, APP)
    world.finish(world.claim("7"), result)
    before = world.snapshot()
    for origin in (SHOP, FORM):
        accepted = world.store.contacts.accept(ANOTHER, origin)
        assert accepted == Accepted(Status.QUARANTINED, result.state, None, clashes_with="app")
    assert world.snapshot() == before


@pytest.mark.parametrize("result", [CREATED, CONFLICT, FAILED], ids=lambda result: str(result.state))
def test_a_visitor_opens_nothing_of_an_account(result: AttemptResult, world: World) -> None:
    world.store.contacts.accept(FIRST, APP)
    world.finish(world.claim("7"), result)
    for origin, contact in ((FORM, SAME_EMAIL), (HIDDEN, ANOTHER)):
        assert world.store.contacts.accept(contact, origin).status is Status.DUPLICATE
    record = world.store.contacts.find("7")
    assert record is not None
    assert (record.state, record.source, record.newer_at) == (result.state, "app", None)


def test_who_was_once_the_same_person_stays_so_when_the_address_changes(world: World) -> None:
    accept = world.store.contacts.accept
    accept(FIRST, APP)
    accept(SAME_EMAIL, SHOP)
    record = world.store.contacts.find("7")
    assert record is not None
    assert record.id_spaces == ("app", "shop")
    assert said(accept(ANOTHER, SHOP)) == ACCEPTED
    assert said(accept(structs.replace(ANOTHER, email="bob@example.org"), CLERK)) == ACCEPTED
    assert said(accept(NAMELESS, Origin("crm"))) == CLASH


def test_an_account_is_compared_with_all_that_is_known_after_it_was_created(world: World) -> None:
    accept = world.store.contacts.accept
    accept(FIRST, APP)
    world.finish(world.claim("7"), CREATED)
    assert said(accept(ANOTHER, APP)) == ACCEPTED  # newer data of the same person
    assert said(accept(structs.replace(ANOTHER, phone_number=None), Origin("crm"))) == DUPLICATE  # as it is now
    assert said(accept(SAME_EMAIL, SHOP)) == ACCEPTED  # as it was sent to LiveDesk
    assert said(accept(Contact("7", email="cyd@example.com"), Origin("blog"))) == CLASH


def test_sources_that_get_one_id_space_later_know_each_others_people(world: World) -> None:
    """Two sources clash, and their operator then says that the ids are those of one system."""
    accept = world.store.contacts.accept
    accept(FIRST, APP)
    accept(Contact("8", 1, email="eve@example.com"), SHOP)
    assert said(accept(ANOTHER, SHOP)) == CLASH
    app, shop = (replace(one, id_space="users", siblings=("app", "shop")) for one in (APP, SHOP))
    assert said(accept(ANOTHER, shop)) == ACCEPTED
    assert said(accept(Contact("8", 1), shop)) == DUPLICATE  # it says nothing new
    assert said(accept(NAMELESS, app)) == ACCEPTED
    assert world.record("7").id_spaces == ("app", "users")
    assert said(accept(FIRST, Origin("crm"))) == CLASH


def test_an_operator_says_that_it_is_the_same_person(world: World) -> None:
    accept = world.store.contacts.accept
    accept(FIRST, APP)
    assert accept(ANOTHER, SHOP, same_person=True).status is Status.ACCEPTED
    assert said(accept(NAMELESS, SHOP)) == ACCEPTED
    assert accept(ANOTHER, FORM, same_person=True).status is Status.DUPLICATE
    assert said(accept(NAMELESS, FORM)) == DUPLICATE
    record = world.store.contacts.find("7")
    assert record is not None
    assert record.contact == structs.replace(ANOTHER, name=NAMELESS.name)


@pytest.mark.parametrize("contact", [FIRST, SAME_EMAIL], ids=["the same data", "other data"])
def test_an_account_opens_what_a_visitor_was_known_by(contact: Contact, world: World) -> None:
    """A visitor typed an identifier, and LiveDesk had the address under another one: now its owner signs up."""
    make_known(world, "form-1", FORM, CREATED)
    world.store.contacts.accept(FIRST, FORM)
    world.finish(world.claim("7"), KNOWN)
    accepted = world.store.contacts.accept(contact, APP)
    assert (accepted.status, accepted.state, accepted.contact_id) == (Status.ACCEPTED, State.PENDING, None)
    record = world.store.contacts.find("7")
    assert record is not None
    assert (record.contact, record.identity, record.contact_id) == (contact, Identity.ACCOUNT, None)
    assert_invariants(world.client)
    world.finish(world.claim("7"), replace(KNOWN, outcome=Outcome.ADOPTED))
    assert outcomes(world, "form-1", "7") == [Outcome.KNOWN, Outcome.ADOPTED]
    assert world.store.contacts.accept(contact, APP).status is Status.DUPLICATE
    assert_invariants(world.client)


def test_a_claim_knows_where_the_contact_comes_from(world: World) -> None:
    world.store.contacts.accept(FIRST, replace(FORM, on_conflict=OnConflict.WITHOUT), is_unverified=True)
    claim = world.claim("7")
    assert claim.origin == replace(FORM, on_conflict=OnConflict.WITHOUT)
    assert claim.is_unverified
    world.finish(claim, RETRYING)
    world.store.contacts.accept(
        structs.replace(SAME_EMAIL, name="Ada King"), replace(APP, on_conflict=OnConflict.KNOWN)
    )
    record = world.store.contacts.find("7")
    assert record is not None
    assert (record.identity, record.is_unverified) == (Identity.ACCOUNT, False)
    world.advance(DAY_MS)
    assert world.claim("7").origin == Origin("app", Identity.ACCOUNT, "form app", OnConflict.KNOWN)


def test_an_address_that_is_verified_later_is_tried_again(world: World) -> None:
    """Supabase, Kratos and others send a new user first, and that the address was confirmed second."""
    accept = world.store.contacts.accept
    accept(FIRST, APP, is_unverified=True)
    assert accept(FIRST, APP, is_unverified=True).status is Status.DUPLICATE
    world.finish(world.claim("7"), CONFLICT)
    assert accept(FIRST, APP, is_unverified=True).state is State.CONFLICT
    assert accept(FIRST, APP).is_update
    claim = world.claim("7")
    assert not claim.is_unverified
    # Deliveries can overtake each other: the first does not take it back.
    assert accept(FIRST, APP, is_unverified=True).status is Status.DUPLICATE
    world.finish(claim, CREATED)
    assert accept(FIRST, APP).status is Status.DUPLICATE
    record = world.store.contacts.find("7")
    assert record is not None
    assert (record.state, record.is_unverified) == (State.CREATED, False)
    assert_invariants(world.client)


def test_a_visitor_does_not_verify_an_account(world: World) -> None:
    world.store.contacts.accept(FIRST, APP, is_unverified=True)
    assert world.store.contacts.accept(FIRST, FORM).status is Status.DUPLICATE
    assert world.claim("7").is_unverified


def test_an_update_and_a_repeat_are_told_apart(world: World) -> None:
    accept = world.store.contacts.accept
    assert not accept(FIRST, APP).is_update
    assert accept(ANOTHER, APP).is_update
    assert accept(ANOTHER, CLERK).is_repeat
    accept(Contact("8", email="x@example.com"), FORM)
    assert accept(Contact("8", email="x@example.com"), FORM).is_repeat
    assert not accept(Contact("8", email="x@example.com"), NEWSLETTER).is_repeat


def test_a_batch_names_the_clash(world: World) -> None:
    world.store.contacts.accept(FIRST, APP)
    signups = [Signup(Contact("6")), Signup(ANOTHER), Signup(Contact("8"))]
    assert [said(one) for one in world.store.contacts.accept_all(signups, SHOP)] == [ACCEPTED, CLASH, ACCEPTED]


# Aliases


def make_known(world: World, identifier: str, origin: Origin, result: AttemptResult = KNOWN) -> str:
    world.store.contacts.accept(Contact(identifier, 1, email=f"{identifier}@example.com"), origin)
    claim = world.claim(identifier)
    world.finish(claim, result)
    return claim.key


def outcomes(world: World, *names: str) -> list[Outcome | None]:
    records = [world.store.contacts.find(name) for name in names]
    return [record.outcome if record else None for record in records]


def test_two_identifiers_of_one_contact_are_aliases(world: World) -> None:
    ada = make_known(world, "ada", APP, CREATED)
    assert world.store.contacts.aliases(ada) == [ada]
    known = make_known(world, "shop-1", SHOP)
    assert world.store.contacts.aliases(ada) == world.store.contacts.aliases(known) == sorted([ada, known])
    assert outcomes(world, "ada", "shop-1") == [Outcome.CREATED, Outcome.KNOWN]
    assert set(world.lists.search("7")) == {ada, known}
    assert_invariants(world.client)


def test_who_gets_the_contacts_identifier_makes_the_others_known(world: World) -> None:
    make_known(world, "form-1", FORM, CREATED)
    make_known(world, "form-2", FORM)
    make_known(world, "ada", APP, replace(KNOWN, outcome=Outcome.ADOPTED))
    assert outcomes(world, "form-1", "form-2", "ada") == [Outcome.KNOWN, Outcome.KNOWN, Outcome.ADOPTED]
    assert_invariants(world.client)


def test_many_aliases_are_all_found(world: World) -> None:
    made = [make_known(world, "ada", APP, CREATED), *(make_known(world, f"form-{n}", FORM) for n in range(30))]
    assert world.store.contacts.aliases(made[5]) == sorted(made)
    assert set(world.lists.search("7")) == set(made)
    assert_invariants(world.client)


@pytest.mark.parametrize("asked", ["ada", "shop-1", "form-3"])
def test_an_erased_person_is_erased_under_all_aliases(asked: str, world: World) -> None:
    world.store.contacts.accept(Contact("zoe"), APP)
    before = world.snapshot()
    make_known(world, "ada", APP, CREATED)
    make_known(world, "shop-1", SHOP)
    for number in range(12):
        make_known(world, f"form-{number}", FORM)
    erased = world.store.contacts.erase(world.store.key_of(asked))
    assert (erased.result, erased.contact_id, erased.aliases) == ("erased", "7", 13)
    assert not any(outcomes(world, "ada", "shop-1", *(f"form-{number}" for number in range(12))))
    assert set(world.snapshot()) - {keys.UPSTREAM} == set(before)
    assert_invariants(world.client)


def test_an_erasure_that_meets_an_attempt_of_an_alias_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account's delivery opens the alias while the person is being erased."""
    ada = make_known(world, "ada", APP, CREATED)
    make_known(world, "form-1", FORM)
    found = world.store.contacts.aliases(ada)
    world.store.contacts.accept(Contact("form-1", 1, "Ada", "ada@example.com"), Origin("site", id_space="form"))
    world.claim("form-1")
    with monkeypatch.context() as patched:
        patched.setattr(world.store.contacts, "aliases", lambda _: found)
        assert world.store.contacts.erase(ada).result == "busy"
    assert outcomes(world, "ada") == [Outcome.CREATED]


def test_a_person_whom_an_earlier_version_linked_is_erased_under_all_aliases(world: World) -> None:
    """It listed the records of one contact in the finder of the contact's id, and in no set."""
    ada, shop = make_known(world, "ada", APP, CREATED), make_known(world, "shop-1", SHOP)
    world.client.delete(keys.aliases("7"))
    world.client.hset(keys.contact(shop), "outcome", "adopted")
    bucket, _, field = world.store.finder_of_id("7").partition(":")
    world.client.hset(keys.finders(bucket), field, ada + shop)
    holder = world.store.contacts.holder("7")
    assert holder is not None
    assert holder.identifier == "shop-1"
    assert world.store.contacts.erase(ada).aliases == 1
    assert outcomes(world, "ada", "shop-1") == [None, None]
    assert_invariants(world.client)


def test_an_alias_expires_alone(world: World) -> None:
    ada = make_known(world, "ada", APP, CREATED)
    world.advance(DAY_MS)
    shop = make_known(world, "shop-1", SHOP)
    crm = make_known(world, "crm-1", Origin("crm"))
    assert world.store.contacts.forget(DAY_MS) == 1
    assert world.store.contacts.find("ada") is None
    assert world.store.contacts.aliases(shop) == sorted([shop, crm])
    assert ada not in world.lists.search("7")
    assert_invariants(world.client)
    late = make_known(world, "blog-1", Origin("blog"))
    assert world.store.contacts.erase(late).aliases == 2
    assert not world.client.exists(keys.aliases("7"))


def test_a_contact_that_is_created_again_is_no_alias_any_more(world: World) -> None:
    ada = make_known(world, "ada", APP, CREATED)
    shop = make_known(world, "shop-1", SHOP)
    assert world.store.contacts.recreate(ada, "7", ADA)
    assert world.store.contacts.aliases(shop) == [shop]
    assert_invariants(world.client)


# Clashes in quarantine


def clash(source: str = "shop", other: str = "app", payload: str = "{}") -> Quarantined:
    return Quarantined(source=source, payload=payload, problems={"identifier": "x"}, headers={}, clash=other)


def test_clashes_are_counted_while_they_wait(world: World, client: redis.Redis) -> None:
    quarantine = world.store.quarantine
    for payload in ("{}", "{}", "[1]", "[2]"):
        quarantine.add(clash(payload=payload))
    quarantine.add(clash("form"))
    quarantine.add(replace(clash("crm"), clash=""))
    assert quarantine.clashes() == {("form", "app"): 1, ("shop", "app"): 3}
    entries = {one.payload: one for one in quarantine.page() if one.source == "shop"}
    assert {one.clash for one in entries.values()} == {"app"}
    assert quarantine.release(entries["{}"].entry)
    assert not quarantine.release(entries["{}"].entry)
    assert quarantine.release(entries["[1]"].entry)
    assert quarantine.clashes() == {("form", "app"): 1, ("shop", "app"): 1}
    world.advance(15 * DAY_MS)
    quarantine.prune()
    assert quarantine.clashes() == {}
    assert not client.exists(keys.CLASHES)
    assert client.hget(keys.COUNTS, "clash:shop:app") == "3"


def test_a_delivery_in_quarantine_can_begin_to_clash_and_stop(world: World) -> None:
    quarantine = world.store.quarantine
    for other in ("", "app", "app", "crm"):
        quarantine.add(clash(other=other))
    assert quarantine.clashes() == {("shop", "crm"): 1}
    assert quarantine.size() == 1
