"""The overview, LiveDesk, sources, workers and audit pages in a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.seed import bring, closed, fill, person
from tests.browser.serving import Server
from webhook_app.access import Role
from webhook_app.app import create_app
from webhook_app.parts import Parts
from worker.model import State


@pytest.fixture
def seeded(server: Server, parts: Parts) -> Iterator[str]:
    """Return the address of a dashboard with an hour of history."""
    fill(parts.store)
    with server.serving(create_app(parts)) as url:
        yield url


def test_refreshing_changes_numbers_but_moves_no_rows(open_page: OpenPage, parts: Parts, seeded: str) -> None:
    page = open_page("/dashboard/", url=seeded)
    rows = page.locator("td.cause a")
    before = rows.all_inner_texts()
    expect(page.locator("#waiting-email_refused")).to_have_text("12")
    for number in range(40):
        bring(parts.store, person(f"more-{number}"), closed(State.FAILED, "email_refused"))
    bring(parts.store, person("another"), closed(State.FAILED, "phone_number_refused"))
    page.evaluate("htmx.trigger(document.body, 'poll')")
    expect(page.locator("#waiting-email_refused")).to_have_text("52")
    assert rows.all_inner_texts() == before
    expect(page).to_have_title(re.compile(r"\(LiveDesk down, 54 failed, 3 conflicts\) Overview"))
    page.get_by_role("link", name="Show 1 new cause").click()
    expect(page.get_by_role("link", name="LiveDesk rejects the phone number", exact=True)).to_be_visible()
    assert rows.all_inner_texts() != before


def test_the_overview_without_javascript(open_page: OpenPage, seeded: str) -> None:
    page = open_page("/dashboard/", url=seeded, javascript=False)
    expect(page.locator("#headline")).to_contain_text("LiveDesk is down")
    page.locator("details.twin summary").click()
    expect(page.locator("details.twin table")).to_be_visible()
    page.locator("td.cause a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("LiveDesk answers with an error (503)")


@pytest.mark.parametrize("javascript", [True, False], ids=["js", "no-js"])
def test_pausing_resuming_and_probing(open_page: OpenPage, parts: Parts, seeded: str, javascript: bool) -> None:
    page = open_page("/dashboard/upstream", url=seeded, javascript=javascript)
    page.locator("summary", has_text="Pause sync").click()
    page.get_by_label("Reason").fill("LiveDesk moves to another host")
    page.get_by_role("button", name="Pause now").click()
    expect(page.locator("#state-now")).to_contain_text("Paused by Ada Lovelace")
    expect(page.locator("#header")).to_contain_text("LiveDesk moves to another host")
    page.get_by_role("button", name="Resume sync").click()
    expect(page.locator("#state-now")).to_contain_text("Down for")
    page.get_by_role("button", name="Probe now").click()
    expect(page.locator("#probe-result")).to_contain_text("Probing LiveDesk…")
    assert [entry.did for entry in parts.store.audit.page(limit=3)] == [
        "probed LiveDesk",
        "resumed the sync",
        "paused the sync",
    ]


def test_a_delivery_is_revealed_and_discarded_without_javascript(
    open_page: OpenPage, parts: Parts, seeded: str
) -> None:
    page = open_page("/dashboard/sources/quarantine", url=seeded, javascript=False)
    page.locator("tbody a").first.click()
    expect(page.get_by_label("Payload keys")).to_contain_text("$.profile.email")
    assert "@example.com" not in page.content()
    page.get_by_role("button", name="Reveal values").click()
    expect(page.get_by_label("Payload")).to_contain_text("@example.com")
    page.locator("summary", has_text="Discard").click()
    page.get_by_role("button", name="Discard delivery").click()
    expect(page.get_by_text("Delivery discarded.")).to_be_visible()
    assert parts.store.quarantine.size() == 2


def test_a_viewer_has_no_buttons(open_page: OpenPage, seeded: str) -> None:
    page = open_page("/dashboard/upstream", role=Role.VIEWER, url=seeded)
    assert page.locator("main form").count() == 0
    page.goto("/dashboard/")
    assert page.locator("main form, main .button").count() == 0
