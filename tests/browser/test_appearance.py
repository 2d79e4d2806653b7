"""Every page is accessible and fits the screen, in light and dark."""

from collections.abc import Iterator

import pytest
import redis
from playwright.sync_api import Page, expect

from tests.browser.conftest import CheckAppearance, OpenPage
from tests.browser.filled import fill as fill_contacts
from tests.browser.seed import fill
from tests.browser.serving import Server
from tests.browser.specimen import HOSTILE, specimen
from webhook_app.access import Role
from webhook_app.parts import Parts

OVERVIEWS = {
    "overview": "/dashboard/",
    "cause": "/dashboard/causes/email_refused",
    "upstream": "/dashboard/upstream",
    "sources": "/dashboard/sources",
    "quarantine": "/dashboard/sources/quarantine",
    "workers": "/dashboard/workers",
    "audit": "/dashboard/audit",
}
CONTACTS = {
    "contacts": "/dashboard/contacts",
    "contacts-of-a-cause": "/dashboard/contacts?cause=email_refused&source=shop",
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
    "resolve": "/dashboard/operations/resolve?state=conflict",
    "plan-adopt": "/dashboard/operations/new?action=adopt&state=conflict",
    "plan-known": "/dashboard/operations/new?action=known&state=conflict",
    "cause-of-conflicts": "/dashboard/causes/email_taken",
}
Filled = tuple[str, dict[str, str]]


@pytest.fixture
def filled(server: Server, client: redis.Redis) -> Iterator[Filled]:
    """Return the address of a dashboard with contacts in every state, and keys."""
    door, made = fill_contacts(client)
    with server.serving(door.app) as url:
        yield url, made


@pytest.fixture
def specimen_url(server: Server, client: redis.Redis) -> Iterator[str]:
    with server.serving(specimen(client)) as url:
        yield url


def forbid_dialogs(page: Page) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))


@pytest.mark.parametrize(
    ("name", "path", "role"),
    [("sign-in", "/dashboard/sign-in", None), ("start", "/dashboard/", Role.VIEWER), ("404", "/dashboard/x", None)],
)
def test_first_pages(
    open_page: OpenPage, check_appearance: CheckAppearance, name: str, path: str, role: Role | None
) -> None:
    check_appearance(open_page(path, role=role), name)


def test_overviews(open_page: OpenPage, check_appearance: CheckAppearance, parts: Parts, dashboard: str) -> None:
    fill(parts.store)
    entry = parts.store.quarantine.page()[0].entry
    page = open_page("/dashboard/", url=dashboard)
    forbid_dialogs(page)
    for name, path in {**OVERVIEWS, "quarantined": f"/dashboard/sources/quarantine/{entry}"}.items():
        page.goto(path)
        check_appearance(page, name)
        assert page.locator("img").count() == 0


def test_an_empty_system(open_page: OpenPage, check_appearance: CheckAppearance, parts: Parts) -> None:
    parts.store.queue.sweep("worker-1")
    page = open_page("/dashboard/")
    for name in ("overview", "upstream", "sources", "quarantine", "workers", "audit"):
        page.goto(OVERVIEWS[name])
        check_appearance(page, f"empty-{name}")


def test_a_pause_and_revealed_values(
    open_page: OpenPage, check_appearance: CheckAppearance, parts: Parts, dashboard: str
) -> None:
    fill(parts.store)
    parts.store.upstream.pause("Grace Hopper", f"LiveDesk moves to another host tonight, until about eleven {HOSTILE}")
    entry = parts.store.quarantine.page()[0].entry
    page = open_page(f"/dashboard/sources/quarantine/{entry}", url=dashboard)
    page.get_by_role("button", name="Reveal values").click()
    expect(page.get_by_label("Payload")).to_be_visible()
    check_appearance(page, "revealed")
    for name, path in {"paused": "/dashboard/", "paused-upstream": "/dashboard/upstream"}.items():
        page.goto(path)
        check_appearance(page, name)


def test_contacts_and_operations(open_page: OpenPage, check_appearance: CheckAppearance, filled: Filled) -> None:
    url, made = filled
    page = open_page("/dashboard/", url=url)
    for name, path in CONTACTS.items():
        page.goto(path.format(**made))
        check_appearance(page, name)


def test_what_a_click_opens(open_page: OpenPage, check_appearance: CheckAppearance, filled: Filled) -> None:
    url, made = filled
    page = open_page("/dashboard/contacts?state=failed&source=signup", url=url)
    page.locator("details.confirm summary").first.click()
    check_appearance(page, "contacts-confirm")
    page.goto(f"/dashboard/contacts/{made['conflict']}")
    page.get_by_role("button", name="Reveal and edit").click()
    page.locator("input[name=email]").fill("not an address")
    page.get_by_role("button", name="Save and retry").click()
    expect(page.get_by_text("not an e-mail address")).to_be_visible()
    page.get_by_text("As a curl command").click()
    check_appearance(page, "contact-edit")


def test_what_a_sender_or_livedesk_wrote_is_text(open_page: OpenPage, filled: Filled) -> None:
    url, made = filled
    page = open_page("/dashboard/", url=url)
    forbid_dialogs(page)
    for path in ("/dashboard/contacts?state=conflict", f"/dashboard/contacts/{made['hostile']}"):
        page.goto(path)
        assert page.locator("img, main script").count() == 0
        assert page.get_by_text(HOSTILE).count() > 0
    page.get_by_role("button", name="Reveal and edit").click()
    expect(page.locator("input[name=name]")).to_have_value(HOSTILE)
    assert page.locator("img, main script").count() == 0
    assert page.locator(".excerpt").inner_text() == (HOSTILE * 2)


def test_every_component(open_page: OpenPage, check_appearance: CheckAppearance, specimen_url: str) -> None:
    page = open_page("/dashboard/specimen/enter", role=None, url=specimen_url)
    check_appearance(page, "specimen")
    page.locator("details.twin summary").first.click()
    page.locator("details.confirm summary").click()
    check_appearance(page, "specimen-open")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    check_appearance(page, "keys")


def test_two_ways_to_sign_in(open_page: OpenPage, check_appearance: CheckAppearance, specimen_url: str) -> None:
    check_appearance(open_page("/dashboard/sign-in", role=None, url=specimen_url), "two-ways")


def test_text_in_components_is_escaped(open_page: OpenPage, specimen_url: str) -> None:
    page = open_page("/dashboard/specimen/enter", role=None, url=specimen_url)
    forbid_dialogs(page)
    assert page.locator(".definitions dd").first.inner_text() == HOSTILE
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2


def test_print_leaves_out_what_paper_cannot_do(open_page: OpenPage, specimen_url: str) -> None:
    page = open_page("/dashboard/specimen/enter", role=None, url=specimen_url)
    page.emulate_media(media="print")
    assert page.locator("nav:visible, button:visible").count() == 0
    assert page.get_by_role("heading", name="Contacts").is_visible()
