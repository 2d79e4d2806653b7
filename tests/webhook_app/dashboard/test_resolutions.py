"""Conflicts resolved in bulk: the choice, the plan, the progress and the undo."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from tests.invariants import assert_invariants
from tests.world import CONFLICT, CREATED, FAILED, DashboardWorld
from webhook_app.access import Role
from worker.model import Contact, OnChange, Outcome, State, UpstreamPolicy
from worker.store import keys

NEW, RESOLVE = "/dashboard/operations/new", "/dashboard/operations/resolve"
TAKEN = "state=conflict&cause=email_taken"


@pytest.fixture
def door(client: redis.Redis) -> Iterator[DashboardWorld]:
    door = DashboardWorld(client)
    door.sign_in(Role.OPERATOR)
    yield door
    client.delete(keys.QUEUE)
    assert_invariants(client)


def bring(door: DashboardWorld, number: int) -> list[str]:
    return [door.bring(f"person-{at}", replace(CONFLICT, owner_id=str(500 + at))) for at in range(number)]


def run(door: DashboardWorld) -> None:
    for _ in range(20):
        if not door.operations.step():
            return


def begin(door: DashboardWorld, action: str, number: int, **fields: str) -> str:
    """Start an operation on the conflicts about an e-mail address. Return its page."""
    form = {"action": action, "state": "conflict", "cause": "email_taken", "expected": number, **fields}
    answer = door.send(NEW, form)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def test_a_list_of_conflicts_offers_to_resolve_them_first(door: DashboardWorld) -> None:
    bring(door, 3)
    door.bring("ida", FAILED)
    page = door.get(f"/dashboard/contacts?{TAKEN}")
    assert f'<a class="button primary" href="{RESOLVE}?state=conflict&amp;cause=email_taken">Resolve 3…</a>' in page
    assert page.index("Resolve 3…") < page.index("Retry 3 matching")
    assert "Resolve" in door.get("/dashboard/contacts?cause=email_taken")
    assert "Resolve" not in door.get("/dashboard/contacts?state=failed")
    assert "Resolve these" in door.get("/dashboard/")


def test_each_way_says_what_it_does_and_how_many_it_affects(door: DashboardWorld) -> None:
    bring(door, 2)
    door.bring("ownerless", replace(CONFLICT, owner_id=None))
    page = door.get(f"{RESOLVE}?{TAKEN}")
    for words in (
        "Mark 2 as known…",
        "Nothing is sent, and ours counts as created.",
        "Adopt 2…",
        "LiveDesk&#39;s contact gets our identifier, even if it has another one.",
        "Create 3 without the field…",
        "1 skipped: it is not known which contact in LiveDesk has the value",
    ):
        assert words in page, words


def test_a_way_that_resolves_none_is_not_offered(door: DashboardWorld) -> None:
    door.bring("twice", replace(CONFLICT, cause="identifier_found_twice"))
    page = door.get(f"{RESOLVE}?state=conflict")
    assert "Mark 1 as known…" in page
    assert "action=adopt" not in page
    assert "no other contact in LiveDesk has its e-mail address or phone number" in page


def test_the_page_of_a_cause_offers_them_too(door: DashboardWorld) -> None:
    bring(door, 2)
    door.bring("ida", FAILED)
    page = door.get("/dashboard/causes/email_taken")
    for words in ("Mark these as known…", "Adopt these…", "Create these without the field…"):
        assert words in page
    assert f"{NEW}?action=known&amp;state=conflict&amp;cause=email_taken" in page
    assert "Adopt these" not in door.get("/dashboard/causes/email_refused")


@pytest.mark.parametrize(
    ("action", "heading", "has_canary", "undo"),
    [
        ("adopt", "Adopt 12 contacts?", True, "What LiveDesk has changed by then stays changed."),
        ("without", "Create 12 contacts without the field?", True, "What LiveDesk has created by then stays there."),
        ("known", "Mark 12 contacts as known?", False, "A copy of their data is kept for as long"),
    ],
)
def test_the_plan_says_what_happens(
    door: DashboardWorld, action: str, heading: str, has_canary: bool, undo: str
) -> None:
    bring(door, 12)
    door.bring("twice", replace(CONFLICT, cause="identifier_found_twice", owner_id=None))
    door.bring("ida", FAILED)
    page = door.get(f"{NEW}?action={action}&state=conflict")
    assert heading in page
    assert undo in page
    assert ('name="canary" value="1" checked' in page) is has_canary
    assert "skipped: no other contact" in page or "skipped: it is not known" in page
    assert ("nothing is sent" in page) is not has_canary
    assert "skipped: not a conflict" in door.get(f"{NEW}?action={action}&state=failed")


def test_adopting_takes_as_long_as_look_ups_allow(door: DashboardWorld) -> None:
    bring(door, 12)
    door.store.upstream.policy = UpstreamPolicy(1000.0, 6.0)
    assert "about 2 min" in door.get(f"{NEW}?action=adopt&state=conflict")
    assert "less than a second" in door.get(f"{NEW}?action=without&state=conflict")


def test_adopted_contacts_and_the_undo_of_the_others(door: DashboardWorld) -> None:
    made = bring(door, 4)
    page = begin(door, "adopt", 4)
    run(door)
    door.finish(door.claim("person-0", sends=False), replace(CREATED, contact_id="500", outcome=Outcome.ADOPTED))
    door.accept(Contact("person-1", name="New Name", email="person-1@example.com"))
    shown = door.get(page)
    assert "<strong>1</strong> adopted" in shown
    assert "Restore 3 contacts? What is already adopted (1) cannot be undone." in shown
    door.send(f"{page}/undo")
    run(door)
    shown = door.get(page)
    assert "2 contacts were restored. 1 contact was adopted already, which cannot be undone." in shown
    assert [door.state(key) for key in made[2:]] == [State.CONFLICT] * 2


def test_known_contacts_and_the_undo(door: DashboardWorld) -> None:
    made = bring(door, 3)
    page = begin(door, "known", 3, why="the newsletter has the same people")
    run(door)
    assert "<strong>3</strong> known" in door.get(page)
    assert door.store.audit.page()[0].did == "marked 3 contacts as known: conflict, cause email_taken"
    contact = door.get(f"/dashboard/contacts/{made[0]}")
    assert f'The personal data is kept until <a href="{page}">the operation</a> can no longer be undone.' in contact
    assert ">Known in LiveDesk under another identifier</td>" in contact
    door.accept(Contact("person-0", name="New Name", email="person-0@example.com"), on_change=OnChange.NOTE)
    assert "Restore 3 contacts?" in door.get(page)
    door.send(f"{page}/undo")
    run(door)
    shown = door.get(page)
    assert "2 contacts were restored. 1 contact was changed in the meantime, and stays known." in shown
    assert [door.state(key) for key in made] == [State.CREATED, State.CONFLICT, State.CONFLICT]


def test_a_viewer_cannot_resolve_conflicts(client: redis.Redis) -> None:
    viewer = DashboardWorld(client)
    viewer.sign_in(Role.VIEWER)
    bring(viewer, 2)
    viewer.get(f"{RESOLVE}?{TAKEN}", status=403)
    assert "Resolve" not in viewer.get(f"/dashboard/contacts?{TAKEN}").partition("<main")[2]
