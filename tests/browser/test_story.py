"""Incidents in a real browser, on a whole system: LiveDesk fails, and recovers.

The main path runs with JavaScript and without, where the page is reloaded.
"""

import re
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Error, Locator, Page, expect

from tests.browser.conftest import PASSWORDS, OpenPage, sign_in
from tests.e2e.system import FAST, System
from tests.rig.parts import Stack
from tests.world import wait_until
from webhook_app.access import Role
from worker.model import Contact, Origin, State
from worker.store import keys

MANY = 1000
#: More than a list confirms without the page of the plan.
REFUSED = 120
with_and_without_javascript = pytest.mark.parametrize("javascript", [True, False], ids=["js", "no-js"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    env = {
        "DASHBOARD_PASSWORD": PASSWORDS[Role.OPERATOR],
        "DASHBOARD_VIEWER_PASSWORD": PASSWORDS[Role.VIEWER],
        "TRUSTED_PROXIES": "1",
    }
    with Stack.on_free_ports(tmp_path_factory.mktemp("story"), {**FAST, **env}) as stack:
        system = System(stack)
        yield system
        system.close()


@pytest.fixture
def system(running: System) -> Iterator[System]:
    running.begin_anew()
    yield running
    running.livedesk.clear()
    running.drain()
    running.assert_sound()


def enter(open_page: OpenPage, system: System, *, javascript: bool = True) -> Page:
    page = open_page("/dashboard/sign-in", role=None, url=system.stack.url, javascript=javascript)
    sign_in(page, PASSWORDS[Role.OPERATOR])
    return page


def count(system: System, state: State) -> int:
    return int(system.client.zcard(keys.state(state)))


def take(system: System, number: int, source: str = "signup", name: str = "person") -> list[str]:
    """Accept many signups. Return their identifiers."""
    people = [Contact(f"{name}-{at}", email=f"{name}-{at}@example.com") for at in range(number)]
    for person in people:
        system.store.contacts.accept(person, Origin(source))
    return [person.identifier for person in people]


def wait_for_state(system: System, state: State, number: int) -> None:
    wait_until(lambda: system.hurry() and count(system, state) == number, f"{number} are {state}", timeout_s=60)


def shows(page: Page, what: Locator, *, javascript: bool) -> None:
    """Wait for what appears when the page is refreshed at once, or is reloaded."""

    def is_there() -> bool:
        with suppress(Error):  # the page is just being loaded: by a form, or by itself
            if javascript:
                page.evaluate("htmx.trigger(document.body, 'poll')")
            else:
                page.reload()
            return what.count() > 0
        return False

    wait_until(is_there, f"the page shows {what}", timeout_s=60)


def operation_is(page: Page, state: str) -> Locator:
    return page.locator(f"#progress .badge.operation-{state}")


def test_a_thousand_contacts_wait_for_livedesk_and_recover_automatically(open_page: OpenPage, system: System) -> None:
    system.livedesk.behave("html_503")
    names = take(system, MANY)
    wait_until(lambda: system.client.hget(keys.UPSTREAM, "stop"), "LiveDesk is known to be down")
    page = enter(open_page, system)
    page.goto("/dashboard/contacts?state=pending")
    page.locator("td.identifier a").first.click()
    expect(page.get_by_text("LiveDesk went down")).to_be_visible()
    expect(page.get_by_text("as soon as LiveDesk accepts requests again").first).to_be_visible()
    page.goto("/dashboard/contacts?state=retrying")
    page.locator("td.identifier a").first.click()
    expect(page.get_by_label("Summary")).to_contain_text("503")
    system.livedesk.clear()
    wait_until(lambda: count(system, State.CREATED) > 10, "they go on by themselves")
    # As if so much time had gone by that the pace, which begins low, is as it was.
    system.client.hdel(keys.UPSTREAM, "pace")
    system.drain(timeout_s=90)
    page.goto("/dashboard/contacts")
    expect(page.locator(".tabs a[aria-current]")).to_have_text(re.compile("Created 1,000"))
    system.assert_everybody(names)


@with_and_without_javascript
def test_a_canary_stops_and_after_the_fix_all_are_retried(
    open_page: OpenPage, system: System, javascript: bool
) -> None:
    system.livedesk.behave("status", status=413, on="create")
    names = take(system, REFUSED)
    wait_for_state(system, State.FAILED, REFUSED)
    page = enter(open_page, system, javascript=javascript)
    # What is broken, and for which contacts.
    page.goto("/dashboard/contacts")
    page.get_by_label("Cause").select_option("http_413")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("120 contacts: failed, cause http_413")).to_be_visible()
    # Too early: the canary fails with the same cause, and no other contact is tried.
    page.get_by_role("link", name="Retry 120 matching").click()
    expect(page.get_by_label("Canary")).to_be_checked()
    page.get_by_role("button", name="Retry 120").click()
    shows(page, operation_is(page, "stopped"), javascript=javascript)
    expect(page.get_by_text("The same cause recurred")).to_be_visible()
    assert count(system, State.FAILED) == REFUSED
    # It is fixed: the rest follows the canary, and the page shows the progress.
    system.livedesk.clear()
    page.goto("/dashboard/contacts?state=failed&cause=http_413")
    page.get_by_role("link", name="Retry 120 matching").click()
    page.get_by_label("Reason").fill("LiveDesk has fixed it")
    page.get_by_role("button", name="Retry 120").click()
    shows(page, operation_is(page, "done"), javascript=javascript)
    expect(page.locator("#progress")).to_contain_text(re.compile(r"120\s+created"))
    page.goto("/dashboard/contacts?state=failed")
    expect(page.get_by_text("No failed contacts")).to_be_visible()
    system.drain()
    system.assert_everybody(names)


@with_and_without_javascript
def test_a_conflict_is_compared_and_resolved(open_page: OpenPage, system: System, javascript: bool) -> None:
    owner = system.livedesk.add_contact(identifier="crm-9", name="Ada <b>L.</b>", email="ada@example.com")
    for identifier in ("ada-1", "ada-2"):
        system.accept(identifier, name="Ada Lovelace", email="ada@example.com")
    wait_for_state(system, State.CONFLICT, 2)
    page = enter(open_page, system, javascript=javascript)
    page.goto("/dashboard/contacts")
    page.get_by_role("link", name="ada-1").click()
    expect(page.get_by_label("Summary")).to_contain_text(f"contact {owner.id}")
    page.get_by_role("button", name="Compare with LiveDesk").click()
    expect(page.get_by_role("cell", name="Ada <b>L.</b>")).to_be_visible()
    expect(page.get_by_role("cell", name="Ada Lovelace")).to_be_visible()
    page.get_by_role("button", name=f"Known as {owner.id}", exact=True).click()
    expect(page.locator(".flashes")).to_contain_text(f"Marked as known: contact {owner.id} in LiveDesk")
    expect(page.get_by_label("Summary")).to_contain_text(f"In LiveDesk as contact {owner.id}")
    # The other one is another person with the same address.
    page.goto("/dashboard/contacts?state=conflict")
    page.get_by_role("searchbox").fill("ADA-2")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", name="No contact found")).to_be_visible()
    page.get_by_role("searchbox").fill("ada-2")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Create without the e-mail address").click()
    expect(page.locator(".flashes")).to_contain_text("Retrying now")
    system.wait_for("ada-2", "created")
    assert [person.email for person in system.livedesk.contacts("ada-2")] == [None]


def bring_conflicts(system: System, number: int, source: str) -> list[int]:
    """Bring people whose addresses LiveDesk has under other identifiers. Return its ids."""
    owners = [
        system.livedesk.add_contact(identifier=f"crm-{source}-{at}", email=f"{source}-{at}@example.com").id
        for at in range(number)
    ]
    before = count(system, State.CONFLICT)
    take(system, number, source, name=source)
    wait_for_state(system, State.CONFLICT, before + number)
    return owners


@with_and_without_javascript
def test_many_conflicts_are_resolved_with_a_canary_and_undone(
    open_page: OpenPage, system: System, javascript: bool
) -> None:
    adopted = bring_conflicts(system, 30, "shop")
    bring_conflicts(system, 20, "newsletter")
    page = enter(open_page, system, javascript=javascript)
    # The shop's people are the same, and LiveDesk gets the shop's identifiers.
    page.goto("/dashboard/contacts?state=conflict&source=shop")
    page.get_by_label("Cause").select_option("email_taken")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("link", name="Resolve 30…").click()
    expect(page.get_by_text("LiveDesk's contact gets our identifier")).to_be_visible()
    page.get_by_role("link", name="Adopt 30…").click()
    expect(page.get_by_label("Canary")).to_be_checked()
    page.get_by_role("button", name="Adopt 30").click()
    shows(page, operation_is(page, "done"), javascript=javascript)
    expect(page.locator("#progress")).to_contain_text(re.compile(r"30\s+adopted"))
    found = {person.id: person.identifier for person in system.livedesk.contacts()}
    assert [found[owner] for owner in adopted] == [f"shop-{at}" for at in range(30)]
    page.locator("summary", has_text="Undo").click()
    expect(page.get_by_text("What is already adopted (30) cannot be undone.")).to_be_visible()
    # The newsletter's are known: nothing is sent, so all of it can be undone.
    requests = len(system.livedesk.requests(None))
    page.goto("/dashboard/causes/email_taken")
    page.get_by_role("link", name="Mark these as known…").click()
    expect(page.get_by_role("heading", name="Mark 20 contacts as known?")).to_be_visible()
    page.get_by_role("button", name="Mark 20 as known").click()
    shows(page, operation_is(page, "done"), javascript=javascript)
    assert (count(system, State.CONFLICT), count(system, State.CREATED)) == (0, 50)
    page.locator("summary", has_text="Undo").click()
    expect(page.get_by_text("Restore 20 contacts?")).to_be_visible()
    page.get_by_role("button", name="Undo operation").click()
    shows(page, page.get_by_text("20 contacts were restored."), javascript=javascript)
    assert count(system, State.CONFLICT) == 20
    assert len(system.livedesk.requests(None)) == requests, "nothing is sent"


def test_a_filtered_retry_affects_only_matching_contacts_and_can_be_undone(open_page: OpenPage, system: System) -> None:
    system.livedesk.behave("status", status=413, on="create")
    take(system, 12, source="shop", name="shop")
    take(system, 5, name="other")
    wait_for_state(system, State.FAILED, 17)
    system.livedesk.clear()
    system.store.upstream.pause("Grace", "so that nobody is tried meanwhile")
    page = enter(open_page, system)
    page.goto("/dashboard/contacts?state=failed&source=shop")
    page.locator("summary", has_text="Retry 12 matching").click()
    expect(page.get_by_text("Retry these 12 contacts?")).to_be_visible()
    page.get_by_label("Canary").uncheck()
    page.get_by_role("button", name="Retry 12", exact=True).click()
    shows(page, page.get_by_text("12 of 12 processed"), javascript=True)
    assert count(system, State.FAILED) == 5
    assert count(system, State.RETRYING) == 12
    page.locator("summary", has_text="Undo").click()
    page.get_by_role("button", name="Undo operation").click()
    shows(page, operation_is(page, "undone"), javascript=True)
    assert count(system, State.FAILED) == 17
    system.store.upstream.resume()


def test_editing_and_retrying(open_page: OpenPage, system: System) -> None:
    system.livedesk.behave("status", status=413, on="create")
    system.accept("ada-1", name="Ada", email="ada@example.com")
    wait_for_state(system, State.FAILED, 1)
    system.livedesk.clear()
    page = enter(open_page, system)
    page.goto("/dashboard/contacts")
    page.get_by_role("link", name="ada-1").click()
    expect(page.get_by_text("a***@e***.com").first).to_be_visible()
    page.get_by_role("button", name="Reveal and edit").click()
    page.locator("input[name=name]").fill("Ada King")
    page.get_by_role("button", name="Save and retry").click()
    expect(page.locator(".flashes")).to_contain_text("Retrying now")
    system.wait_for("ada-1", "created")
    assert [person.name for person in system.livedesk.contacts("ada-1")] == ["Ada King"]
