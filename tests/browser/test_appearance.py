"""How the pages look: nothing stands in anybody's way, in light and dark, on a desk and on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.browser.specimen import HOSTILE, specimen
from webhook_app.access import Role

PAGES = {"sign-in": ("/dashboard/sign-in", None), "start": ("/dashboard/", Role.VIEWER), "404": ("/dashboard/x", None)}


@pytest.fixture(scope="module")
def specimen_url(redis_url: str) -> Iterator[str]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushall()
        with specimen(client) as url:
            yield url


def assert_in_nobodys_way(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def overflow(page: Page) -> int:
    """How many pixels the page is wider than the screen."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_stands_in_nobodys_way(
    open_page: OpenPage, screenshots: Path, name: str, dark: bool, phone: bool
) -> None:
    path, role = PAGES[name]
    page = open_page(path, role=role, dark=dark, phone=phone)
    page.screenshot(path=screenshots / f"{name}-{dark=}-{phone=}.png", full_page=True)
    assert_in_nobodys_way(page)
    assert overflow(page) == 0


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_part_stands_in_nobodys_way(
    open_page: OpenPage, specimen_url: str, screenshots: Path, dark: bool, phone: bool
) -> None:
    page = open_page("/dashboard/specimen/enter", url=specimen_url, dark=dark, phone=phone)
    page.screenshot(path=screenshots / f"specimen-{dark=}-{phone=}.png", full_page=True)
    assert_in_nobodys_way(page)
    assert overflow(page) == 0
    page.locator("details.twin summary").first.click()
    page.locator("details.confirm summary").click()
    page.screenshot(path=screenshots / f"specimen-open-{dark=}-{phone=}.png", full_page=True)
    assert_in_nobodys_way(page)
    assert overflow(page) == 0
    if not phone:
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        page.screenshot(path=screenshots / f"keys-{dark=}.png")
        assert_in_nobodys_way(page)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_two_ways_to_sign_in(open_page: OpenPage, specimen_url: str, screenshots: Path, dark: bool) -> None:
    page = open_page("/dashboard/sign-in", url=specimen_url, dark=dark)
    page.screenshot(path=screenshots / f"two-ways-{dark=}.png")
    assert_in_nobodys_way(page)


def test_what_a_sender_wrote_is_text(open_page: OpenPage, specimen_url: str) -> None:
    page = open_page("/dashboard/specimen/enter", url=specimen_url)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    assert page.locator(".definitions dd").first.inner_text() == HOSTILE
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2


def test_it_prints_without_what_paper_cannot_do(open_page: OpenPage, specimen_url: str) -> None:
    page = open_page("/dashboard/specimen/enter", url=specimen_url)
    page.emulate_media(media="print")
    assert page.locator("nav:visible, button:visible").count() == 0
    assert page.get_by_role("heading", name="Contacts").is_visible()
