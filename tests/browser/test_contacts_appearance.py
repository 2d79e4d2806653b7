"""How the pages about contacts and operations look: nothing in anybody's way, light and dark, on a desk and a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, sign_in
from tests.browser.filled import fill
from tests.browser.serving import serve
from tests.browser.specimen import HOSTILE
from tests.browser.test_appearance import assert_in_nobodys_way, overflow
from tests.dashboard_door import PASSWORDS
from webhook_app.access import Role

PAGES = {
    "contacts": "/dashboard/contacts",
    "contacts-of-a-cause": "/dashboard/contacts?cause=http_422&source=shop",
    "contacts-none": "/dashboard/contacts?state=failed&source=nobody",
    "contact-failed": "/dashboard/contacts/{failed}",
    "contact-retrying": "/dashboard/contacts/{retrying}",
    "contact-pending": "/dashboard/contacts/{pending}",
    "contact-conflict": "/dashboard/contacts/{conflict}",
    "contact-hostile": "/dashboard/contacts/{hostile}",
    "contact-created": "/dashboard/contacts/{created}",
    "contact-discarded": "/dashboard/contacts/{discarded}",
    "operations": "/dashboard/operations",
    "operation": "/dashboard/operations/{operation}",
    "plan": "/dashboard/operations/new?action=retry&cause=http_503",
}
Filled = tuple[str, dict[str, str]]


@pytest.fixture(scope="module")
def filled(redis_url: str) -> Iterator[Filled]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushall()
        door, made = fill(client)
        with serve(door.client.application) as url:
            yield url, made


def enter(open_page: OpenPage, url: str, **options: bool) -> Page:
    page = open_page("/dashboard/sign-in", url=url, **options)
    sign_in(page, PASSWORDS[Role.OPERATOR])
    return page


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_pages_stand_in_nobodys_way(
    open_page: OpenPage, filled: Filled, screenshots: Path, dark: bool, phone: bool
) -> None:
    url, made = filled
    page = enter(open_page, url, dark=dark, phone=phone)
    for name, path in PAGES.items():
        page.goto(path.format(**made))
        page.screenshot(path=screenshots / f"{name}-{dark=}-{phone=}.png", full_page=True)
        assert_in_nobodys_way(page)
        assert overflow(page) == 0, name


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_a_click_opens_stands_in_nobodys_way(
    open_page: OpenPage, filled: Filled, screenshots: Path, dark: bool, phone: bool
) -> None:
    url, made = filled
    page = enter(open_page, url, dark=dark, phone=phone)
    page.goto("/dashboard/contacts?state=failed&source=signup")
    page.locator("details.confirm summary").first.click()
    page.screenshot(path=screenshots / f"contacts-confirm-{dark=}-{phone=}.png", full_page=True)
    assert_in_nobodys_way(page)
    page.goto(f"/dashboard/contacts/{made['conflict']}")
    page.get_by_role("button", name="Reveal and edit").click()
    page.get_by_label("email", exact=False).first.fill("not an address")
    page.get_by_role("button", name="Save and retry").click()
    expect(page.get_by_text("not an e-mail address")).to_be_visible()
    page.get_by_text("As a curl command").click()
    page.screenshot(path=screenshots / f"contact-edit-{dark=}-{phone=}.png", full_page=True)
    assert_in_nobodys_way(page)
    assert overflow(page) == 0


def test_what_a_sender_or_livedesk_wrote_is_text(open_page: OpenPage, filled: Filled) -> None:
    url, made = filled
    page = enter(open_page, url)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    for path in ("/dashboard/contacts?state=conflict", f"/dashboard/contacts/{made['hostile']}"):
        page.goto(path)
        assert page.locator("img, main script").count() == 0
        assert page.get_by_text(HOSTILE).count() > 0
    page.get_by_role("button", name="Reveal and edit").click()
    expect(page.locator("input[name=name]")).to_have_value(HOSTILE)
    assert page.locator("img, main script").count() == 0
    assert page.locator(".excerpt").inner_text() == (HOSTILE * 2)
