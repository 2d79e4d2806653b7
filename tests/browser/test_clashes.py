"""A clash in a real browser: shown on the overview, decided, and replayed."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import CheckAppearance, OpenPage
from tests.browser.seed import bring, person
from tests.clashes import clash, waiting
from webhook_app.access import Role
from webhook_app.parts import Parts


@pytest.fixture(autouse=True)
def _a_system_that_works(parts: Parts) -> None:
    parts.store.queue.sweep("worker-1")
    bring(parts.store, person("grace"))


@pytest.mark.parametrize("javascript", [True, False], ids=["js", "no-js"])
def test_two_people_from_the_overview_to_the_replay(open_page: OpenPage, parts: Parts, javascript: bool) -> None:
    for identifier in ("7", "8"):
        clash(parts, identifier)
    page = open_page("/dashboard/", javascript=javascript)
    expect(page.locator("#headline")).to_contain_text("2 deliveries clash: shop and signup use the same identifiers")
    page.get_by_role("link", name="Resolve").click()
    expect(page.get_by_role("heading", name="Resolve all 2")).to_be_visible()
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", name="Clash: one person or two?")).to_be_visible()
    assert "@example.com" not in page.content(), "masked"
    expect(page.get_by_label("Prefix")).to_have_value("shop-")
    page.get_by_label("Reason").first.fill("two systems that count from 1")
    page.get_by_role("button", name="Replay as another person").click()
    expect(page.locator(".flashes").first).to_contain_text('id_prefix = "shop-"')
    page.get_by_role("link", name="shop with signup").click()
    expect(page.get_by_role("heading", name="Resolve it")).to_be_visible()
    page.get_by_role("button", name="Replay as another person").click()
    expect(page.locator(".flashes").first).to_contain_text("1 accepted, 0 still in quarantine. All were replayed.")
    page.goto("/dashboard/")
    expect(page.locator("#headline")).to_contain_text("All is well")
    expect(page.get_by_role("heading", name="Clashes")).to_have_count(0)
    assert parts.store.contacts.find("7")
    assert parts.store.contacts.find("shop-7")
    assert parts.store.contacts.find("shop-8")
    assert [entry.why for entry in parts.store.audit.page() if entry.did != "signed in"] == [
        "",
        "two systems that count from 1",
    ]


def test_a_clash_refreshes_on_the_overview(open_page: OpenPage, parts: Parts) -> None:
    clash(parts)
    page = open_page("/dashboard/")
    number = page.locator("#clash-4-shop-signup")
    expect(number).to_have_text("1")
    clash(parts, "8")
    page.evaluate("htmx.trigger(document.body, 'poll')")
    expect(number).to_have_text("2")
    expect(page).to_have_title("(2 clashes) Overview · LiveDesk Sync")
    clash(parts, "9", "signup", "shop")
    page.evaluate("htmx.trigger(document.body, 'poll')")
    page.get_by_role("link", name="Show 1 new clash").click()
    expect(page.locator("#clash-6-signup-shop")).to_have_text("1")


def test_the_pages_of_a_clash_fit_every_screen(
    open_page: OpenPage, parts: Parts, check_appearance: CheckAppearance
) -> None:
    entry = clash(parts)
    clash(parts, "9", "signup", "shop")
    page = open_page("/dashboard/")
    check_appearance(page, "clashes-overview")
    for name, path in [
        ("clash", f"/dashboard/sources/quarantine/{entry}"),
        ("clashes", "/dashboard/sources/quarantine?source=shop&other=signup"),
        ("clashes-sources", "/dashboard/sources"),
    ]:
        page.goto(path)
        check_appearance(page, name)


def test_a_viewer_sees_a_clash_and_cannot_resolve_it(open_page: OpenPage, parts: Parts) -> None:
    entry = clash(parts)
    page = open_page("/dashboard/", role=Role.VIEWER)
    page.get_by_role("link", name="shop and signup").click()
    page.goto(f"/dashboard/sources/quarantine/{entry}")
    expect(page.get_by_text("belongs to a person of")).to_be_visible()
    assert page.locator("main form").count() == 0
    assert [one.waiting for one in waiting(parts)] == [1]
