"""What is broken, LiveDesk, sources, workers and audit in a real browser, with an hour of history (``seed``)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.seed import HOSTILE, bring, build, closed, fill, person
from tests.browser.serving import enter, serve
from tests.browser.test_appearance import assert_in_nobodys_way, overflow
from webhook_app.access import Role
from webhook_app.app import create_app
from webhook_app.parts import Parts
from worker.model import State

PAGES = {
    "overview": "/dashboard/",
    "cause": "/dashboard/causes/email_refused",
    "upstream": "/dashboard/upstream",
    "sources": "/dashboard/sources",
    "quarantine": "/dashboard/sources/quarantine",
    "workers": "/dashboard/workers",
    "audit": "/dashboard/audit",
}


@pytest.fixture
def parts(client: redis.Redis) -> Parts:
    return build(client)


@pytest.fixture
def seeded(parts: Parts) -> Iterator[str]:
    """The address of a dashboard in which much has happened."""
    fill(parts.store)
    with serve(create_app(parts)) as url:
        yield url


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_pages_stand_in_nobodys_way(
    open_page: OpenPage, parts: Parts, seeded: str, screenshots: Path, dark: bool, phone: bool
) -> None:
    entry = parts.store.quarantine.page()[0].entry
    page = open_page(enter("/dashboard/"), url=seeded, dark=dark, phone=phone)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    for name, path in {**PAGES, "quarantined": f"/dashboard/sources/quarantine/{entry}"}.items():
        page.goto(path)
        page.screenshot(path=screenshots / f"{name}-{dark=}-{phone=}.png", full_page=True)
        assert_in_nobodys_way(page)
        assert overflow(page) == 0, name
        assert page.locator("img").count() == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_an_empty_system_stands_in_nobodys_way(
    open_page: OpenPage, parts: Parts, screenshots: Path, dark: bool
) -> None:
    parts.store.queue.sweep("worker-1")
    with serve(create_app(parts)) as url:
        page = open_page(enter("/dashboard/"), url=url, dark=dark)
        for name in ("overview", "upstream", "sources", "quarantine", "workers", "audit"):
            page.goto(PAGES[name])
            page.screenshot(path=screenshots / f"empty-{name}-{dark=}.png", full_page=True)
            assert_in_nobodys_way(page)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_pause_and_revealed_values_stand_in_nobodys_way(
    open_page: OpenPage, parts: Parts, seeded: str, screenshots: Path, dark: bool
) -> None:
    parts.store.upstream.pause("Grace Hopper", f"LiveDesk moves to another host tonight, until about eleven {HOSTILE}")
    entry = parts.store.quarantine.page()[0].entry
    page = open_page(enter(f"/dashboard/sources/quarantine/{entry}"), url=seeded, dark=dark)
    page.get_by_role("button", name="Reveal values").click()
    expect(page.get_by_label("Payload")).to_be_visible()
    for name, path in {"revealed": None, "paused": "/dashboard/", "paused-upstream": "/dashboard/upstream"}.items():
        if path:
            page.goto(path)
        page.screenshot(path=screenshots / f"{name}-{dark=}.png", full_page=True)
        assert_in_nobodys_way(page)
        assert overflow(page) == 0


def test_numbers_change_and_rows_stay(open_page: OpenPage, parts: Parts, seeded: str) -> None:
    page = open_page(enter("/dashboard/"), url=seeded)
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
    page = open_page(enter("/dashboard/"), url=seeded, javascript=False)
    expect(page.locator("#headline")).to_contain_text("LiveDesk is down")
    page.locator("details.twin summary").click()
    expect(page.locator("details.twin table")).to_be_visible()
    page.locator("td.cause a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("LiveDesk answers with an error (503)")


@pytest.mark.parametrize("javascript", [True, False], ids=["js", "no-js"])
def test_a_pause_and_its_end(open_page: OpenPage, parts: Parts, seeded: str, javascript: bool) -> None:
    page = open_page(enter("/dashboard/upstream"), url=seeded, javascript=javascript)
    page.locator("summary", has_text="Pause sync").click()
    page.get_by_label("Reason").fill("LiveDesk moves to another host")
    page.get_by_role("button", name="Pause now").click()
    expect(page.locator("#state-now")).to_contain_text("Paused by Ada Lovelace")
    expect(page.locator("#header")).to_contain_text("LiveDesk moves to another host")
    page.get_by_role("button", name="Resume sync").click()
    expect(page.locator("#state-now")).to_contain_text("Down for")
    page.get_by_role("button", name="Probe now").click()
    expect(page.get_by_role("status").first).to_contain_text("Probing LiveDesk now")
    assert [entry.did for entry in parts.store.audit.page(limit=3)] == [
        "probed LiveDesk",
        "resumed the sync",
        "paused the sync",
    ]


def test_a_delivery_is_revealed_and_discarded_without_javascript(
    open_page: OpenPage, parts: Parts, seeded: str
) -> None:
    page = open_page(enter("/dashboard/sources/quarantine"), url=seeded, javascript=False)
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
    page = open_page(enter("/dashboard/upstream", Role.VIEWER), url=seeded)
    assert page.locator("main form").count() == 0
    page.goto("/dashboard/")
    assert page.locator("main form, main .button").count() == 0
