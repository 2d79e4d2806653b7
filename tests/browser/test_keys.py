"""Shortcuts, clicks and the clock on a page with every component (``specimen``)."""

import re
from collections.abc import Iterator

import pytest
import redis
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.serving import Server
from tests.browser.specimen import specimen


@pytest.fixture
def specimen_url(server: Server, client: redis.Redis) -> Iterator[str]:
    with server.serving(specimen(client)) as url:
        yield url


@pytest.fixture
def page(open_page: OpenPage, specimen_url: str) -> Page:
    return open_page("/dashboard/specimen/enter", role=None, url=specimen_url)


def test_slash_focuses_the_search(page: Page) -> None:
    page.keyboard.press("/")
    expect(page.get_by_label("Identifier, e-mail or phone")).to_be_focused()
    page.keyboard.type("j?g/o")
    expect(page.get_by_label("Identifier, e-mail or phone")).to_have_value("j?g/o")


def test_j_and_k_move_between_rows(page: Page) -> None:
    links = page.locator(".rows tbody a")
    for key, place in [("j", 0), ("k", 0), ("j", 1), ("j", 2), ("k", 1)]:
        page.keyboard.press(key)
        expect(links.nth(place)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("open=sending"))


def test_the_list_of_shortcuts_and_another_page(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page).to_have_title("Overview · LiveDesk Sync")


def test_shortcuts_can_be_disabled(page: Page) -> None:
    page.get_by_role("button", name="Shortcuts").click()
    page.get_by_label("Enable shortcuts in this browser").uncheck()
    page.get_by_role("button", name="Close").click()
    page.reload()
    page.keyboard.press("?")
    page.keyboard.press("j")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    assert page.evaluate("document.activeElement.tagName") == "BODY"


def test_a_dangerous_button_asks_for_confirmation(page: Page) -> None:
    question = page.get_by_text("Discard this contact?")
    page.locator("summary", has_text="Discard").focus()
    page.keyboard.press("Enter")
    expect(question).to_be_visible()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(page.locator("summary", has_text="Discard")).to_be_focused()
    page.locator("summary", has_text="Discard").click()
    page.get_by_role("heading", name="Flow").click()
    expect(question).to_be_hidden()


def test_confirmation_without_javascript(open_page: OpenPage, specimen_url: str) -> None:
    page = open_page("/dashboard/specimen/enter", role=None, url=specimen_url, javascript=False)
    expect(page.get_by_role("button", name="Discard it")).to_be_hidden()
    page.locator("summary", has_text="Discard").click()
    page.get_by_role("button", name="Discard it").click()
    expect(page.locator(".flashes")).to_have_text("You are signed out.")


def test_a_command_is_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "flask retry user-42"


def test_times_tick(open_page: OpenPage, specimen_url: str) -> None:
    page = open_page("/dashboard/specimen/enter", role=None, url=specimen_url, has_own_clock=True)
    page.clock.install()
    page.reload()
    due = page.locator("#header time[data-at]", has_text=re.compile("^in "))
    expect(due).to_have_text(re.compile("in 1[78] s"))
    expect(due).to_have_attribute("title", re.compile(r"^2.* UTC$"))
    page.clock.run_for(4_000)
    expect(due).to_have_text(re.compile("in 1[34] s"))


def test_the_first_tab_stop_skips_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_a_filter_is_in_the_address(page: Page) -> None:
    page.get_by_label("Identifier, e-mail or phone").fill("ada@example.com")
    page.get_by_label("Cause").select_option("status_503")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile(r"\?q=ada%40example.com&cause=status_503&source="))
    expect(page.get_by_label("Identifier, e-mail or phone")).to_have_value("ada@example.com")
    page.get_by_role("link", name="Clear").click()
    expect(page).to_have_url(re.compile(r"/dashboard/specimen/$"))
