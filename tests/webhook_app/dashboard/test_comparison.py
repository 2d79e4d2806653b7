"""Conflicts: compare with LiveDesk; adopt, mark as known, or leave out the field."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from tests.browser.specimen import HOSTILE
from tests.invariants import assert_invariants
from tests.livedesk import StandIn, serve
from tests.world import CONFLICT, FAILED, DashboardWorld
from webhook_app.access import Role
from worker.livedesk.client import LiveDesk
from worker.model import Attempt, AttemptResult, Contact, Outcome, Resolution, Signal, State
from worker.store import keys
from worker.store.contacts import KNOWN

LIST = "/dashboard/contacts"


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with serve() as standin:
        yield standin


@pytest.fixture
def standin(running: StandIn) -> StandIn:
    running.reset()
    return running


@pytest.fixture
def door(client: redis.Redis, standin: StandIn) -> Iterator[DashboardWorld]:
    door = DashboardWorld(client, livedesk=LiveDesk(standin.url, "demo-key", "demo-secret", timeout_s=1))
    door.sign_in(Role.OPERATOR)
    yield door
    client.delete(keys.QUEUE)
    assert_invariants(client)


def test_both_contacts_are_compared(door: DashboardWorld, standin: StandIn) -> None:
    owner = standin.add_contact(name="Grace <b>", email="ada@example.com", identifier="grace-1")
    key = door.bring("ada-1", CONFLICT, email="ada@example.com", name="Ada")
    assert "Grace" not in door.get(f"{LIST}/{key}"), "LiveDesk is asked only when somebody wants it"
    assert standin.requests("search") == []
    page = door.send(f"{LIST}/{key}/compare").text
    assert "Grace &lt;b&gt;" in page
    assert "grace-1" in page
    assert f">Known as {owner.id}<" in page
    assert door.store.audit.page()[0].did == "compared with LiveDesk"


def test_the_primary_action_is_compare_for_a_conflict_and_retry_otherwise(door: DashboardWorld) -> None:
    conflict = door.get(f"{LIST}/{door.bring('ada-1', CONFLICT)}")
    assert conflict.index(">Compare with LiveDesk<") < conflict.index(">Retry now<")
    assert re.findall(r'<button class="primary"[^>]*>([^<]*)<', conflict) == ["Compare with LiveDesk"]
    failed = door.get(f"{LIST}/{door.bring('bob-1', FAILED)}")
    assert re.findall(r'<button class="primary"[^>]*>([^<]*)<', failed) == ["Retry now"]


def test_attempts_that_sent_nothing_are_marked(door: DashboardWorld) -> None:
    key = door.bring("ada-1", AttemptResult(state=State.RETRYING, delay_ms=0, signal=Signal.NOTHING))
    assert door.get(f"{LIST}/{key}").count(">Attempt postponed</td>") == 1
    door.store.contacts.retry_now(door.store.key_of("ada-1"))
    claim = door.store.contacts.claim(key, "ab" * 8, sends=False)
    assert claim is not None
    created = AttemptResult(state=State.CREATED, contact_id="12", outcome=Outcome.CREATED, status=200)
    door.store.contacts.finish(claim, created, Attempt(claim.now, 31, 200))
    page = door.get(f"{LIST}/{key}")
    told = [page.count(f">{what}</td>") for what in ("Attempt postponed", "Created in LiveDesk")]
    assert told == [0, 1], "its last alone is kept"


def test_values_from_livedesk_are_escaped(door: DashboardWorld, standin: StandIn) -> None:
    standin.add_contact(unchecked=True, name=HOSTILE, email="ada@example.com", identifier=HOSTILE)
    key = door.bring("ada-1", CONFLICT, email="ada@example.com")
    page = door.send(f"{LIST}/{key}/compare").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_the_field_in_conflict_is_named_as_such(door: DashboardWorld, standin: StandIn) -> None:
    standin.add_contact(name="Grace", email="ADA@example.com", identifier="grace-1")
    key = door.bring("ada-1", CONFLICT, email="ada@example.com", name="Ada")
    assert 'data-busy="Asking LiveDesk…"' in door.get(f"{LIST}/{key}")
    page = door.send(f"{LIST}/{key}/compare").text
    assert page.count('<tr class="clash">') == 1
    row = page.partition('<tr class="clash">')[2].partition("</tr>")[0]
    assert "<strong>in conflict</strong>" in row
    assert row.count("same as ours") == 1


def test_comparing_when_the_conflict_is_gone(door: DashboardWorld) -> None:
    key = door.bring("ada-1", CONFLICT, email="ada@example.com", phone_number="+4930123456")
    assert "LiveDesk no longer has anyone" in door.send(f"{LIST}/{key}/compare").text


def test_comparing_while_livedesk_fails(door: DashboardWorld, standin: StandIn) -> None:
    key = door.bring("ada-1", CONFLICT)
    standin.behave("unauthorized")
    page = door.send(f"{LIST}/{key}/compare").text
    assert "The comparison failed." in page
    assert "LiveDesk rejects our API key (401)." in page
    door.store.upstream.pause("Grace", "")
    assert "LiveDesk is paused. Try again when it is up." in door.send(f"{LIST}/{key}/compare").text


def test_a_comparison_links_our_own_contacts(door: DashboardWorld, standin: StandIn) -> None:
    owner = standin.add_contact(email="ada@example.com", identifier="ada-0")
    ours = door.bring("ada-0", AttemptResult(state=State.CREATED, contact_id=str(owner.id), outcome=Outcome.CREATED))
    key = door.bring("ada-1", CONFLICT, email="ada@example.com")
    page = door.send(f"{LIST}/{key}/compare").text
    assert f'<a href="{LIST}/{ours}">already one of our contacts</a>' in page


def test_marking_as_known(door: DashboardWorld, standin: StandIn) -> None:
    key = door.bring("ada-1", CONFLICT)
    told = door.client.hget(keys.COUNTS, "ok")
    page = door.send(f"{LIST}/{key}/known", {"contact_id": "12", "why": "the same person"}, follow_redirects=True).text
    assert "Marked as known: contact 12 in LiveDesk is this person." in page
    assert "LiveDesk has this person under another identifier" in page
    record = door.store.contacts.read(key)
    assert record is not None
    assert (record.state, record.outcome, record.contact_id) == (State.CREATED, Outcome.KNOWN, "12")
    assert record.contact is None, "the personal data went"
    assert KNOWN in record.notes
    assert record.attempts[-1].trigger == "Ada the operator"
    entry = door.store.audit.page()[0]
    assert (entry.did, entry.target, entry.why) == ("marked as known: contact 12", key, "the same person")
    assert standin.requests(None) == [], "LiveDesk is asked nothing"
    assert door.client.hget(keys.COUNTS, "ok") == told, "and nothing is counted"


def test_adopting_the_conflicting_contact(door: DashboardWorld, standin: StandIn) -> None:
    key = door.bring("ada-1", CONFLICT)
    page = door.send(f"{LIST}/{key}/adopt", {"contact_id": "12", "why": "hers"}, follow_redirects=True).text
    assert "Adopting LiveDesk&#39;s contact now" in page
    assert "An operator decided: contact 12 in LiveDesk gets this identifier." in page
    assert "Decide whether they are the same person" not in page
    claim = door.claim("ada-1")
    assert (claim.resolution, claim.owner_id, claim.trigger) == (Resolution.ADOPT, "12", "Ada the operator")
    assert door.store.audit.page()[0].did == "decided to adopt contact 12"
    assert standin.requests(None) == [], "the worker asks LiveDesk"


def test_marking_as_known_works_while_the_sync_is_paused(door: DashboardWorld) -> None:
    key = door.bring("ada-1", CONFLICT)
    door.store.upstream.pause("Grace", "")
    door.send(f"{LIST}/{key}/known", {"contact_id": "12"})
    assert door.state(key) is State.CREATED


@pytest.mark.parametrize("contact_id", ["", "0", "-1", "x", "1" * 20, "1\n"])
def test_an_invalid_contact_id_is_not_known(door: DashboardWorld, contact_id: str) -> None:
    key = door.bring("ada-1", CONFLICT)
    page = door.send(f"{LIST}/{key}/known", {"contact_id": contact_id}, follow_redirects=True).text
    assert "Nothing was changed" in page
    assert door.state(key) is State.CONFLICT
    assert [entry.did for entry in door.store.audit.page()] == ["signed in"]


def test_only_conflicts_can_be_resolved(door: DashboardWorld) -> None:
    key = door.bring("ada-1", FAILED)
    for act in ("adopt", "without", "known"):
        page = door.send(f"{LIST}/{key}/{act}", {"contact_id": "12"}, follow_redirects=True).text
        assert "Nothing was changed" in page
    assert door.state(key) is State.FAILED


def primary(page: str) -> list[str]:
    """Return the buttons that a page suggests."""
    return re.findall(
        r'<button[^>]*class="primary"[^>]*>([^<]*)<', page.partition("<main")[2].partition('id="edit"')[0]
    )


def test_each_way_to_resolve_a_conflict_says_what_it_does(door: DashboardWorld) -> None:
    page = door.get(f"{LIST}/{door.bring('ada-1', CONFLICT)}")
    for button, effect in (
        ("Known as contact 12", "Nothing is sent, and ours counts as created."),
        ("Adopt contact 12", "LiveDesk&#39;s contact gets our identifier"),
        ("Create without the e-mail address", "A new contact is created"),
    ):
        assert f">{button}</button>" in page
        assert effect in page


def test_only_what_resolves_the_conflict_is_offered(door: DashboardWorld) -> None:
    ownerless = door.get(f"{LIST}/{door.bring('ada-1', replace(CONFLICT, owner_id=None))}")
    assert ">Create without the e-mail address<" in ownerless
    assert "/adopt" not in ownerless
    assert "/known" not in ownerless
    twice = door.get(f"{LIST}/{door.bring('ada-2', replace(CONFLICT, cause='identifier_found_twice'))}")
    assert ">Known as contact 12<" in twice
    assert "/adopt" not in twice
    assert "/without" not in twice


def test_an_owner_that_is_one_of_ours_suggests_known(door: DashboardWorld) -> None:
    ours = door.bring("ada-0", AttemptResult(state=State.CREATED, contact_id="12", outcome=Outcome.CREATED))
    page = door.get(f"{LIST}/{door.bring('ada-1', CONFLICT)}")
    assert primary(page) == ["Known as contact 12"]
    assert f'<a href="{LIST}/{ours}">one of our contacts</a>' in page


def test_an_owner_without_an_identifier_suggests_adopt(door: DashboardWorld, standin: StandIn) -> None:
    owner = standin.add_contact(email="ada@example.com")
    key = door.bring("ada-1", replace(CONFLICT, owner_id=str(owner.id)), email="ada@example.com")
    assert primary(door.get(f"{LIST}/{key}")) == ["Compare with LiveDesk"]
    assert primary(door.send(f"{LIST}/{key}/compare").text) == [f"Adopt contact {owner.id}", f"Adopt {owner.id}"]
    stranger = standin.add_contact(email="bob@example.com", identifier="crm-9")
    other = door.bring("bob-1", replace(CONFLICT, owner_id=str(stranger.id)), email="bob@example.com")
    assert primary(door.send(f"{LIST}/{other}/compare").text) == ["Compare with LiveDesk"]


def test_an_unverified_address_suggests_nothing(door: DashboardWorld, standin: StandIn) -> None:
    owner = standin.add_contact(email="ada@example.com")
    key = door.bring("ada-1", replace(CONFLICT, owner_id=str(owner.id)), email="ada@example.com")
    door.client.hset(keys.contact(key), "unverified", "1")
    page = door.send(f"{LIST}/{key}/compare").text
    assert primary(page) == ["Compare with LiveDesk"]
    assert "not verified" in page


def test_creating_without_the_clashing_field(door: DashboardWorld) -> None:
    key = door.bring("ada-1", CONFLICT, email="ada@example.com", name="Ada")
    door.send(f"{LIST}/{key}/without", {"why": "a shared address"})
    record = door.store.contacts.read(key)
    assert record is not None
    assert record.contact == Contact("ada-1", name="Ada")
    assert record.state is State.RETRYING
    assert record.notes[-1].field == "email"
    assert door.store.audit.page()[0].did == "retried without email"
    claim = door.store.contacts.claim(key, "token")
    assert claim is not None
    assert claim.trigger == "Ada the operator"
    done = AttemptResult(state=State.CREATED, contact_id="13", outcome=Outcome.CREATED, notes=claim.notes)
    door.store.contacts.finish(claim, done, Attempt(claim.now, 1, 200, None, "", claim.trigger or ""))
    assert "left out manually" in door.get(f"{LIST}/{key}")
