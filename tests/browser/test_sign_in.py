"""Signing in and out, refreshing, and other sites; with JavaScript and without."""

import re

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PASSWORDS, OpenPage, new_context, sign_in
from webhook_app.access import Role
from worker.store.security import MAX_SIGN_INS


@pytest.mark.parametrize(("role", "javascript"), [(Role.OPERATOR, True), (Role.VIEWER, False)])
def test_signing_in_and_out(open_page: OpenPage, role: Role, javascript: bool) -> None:
    page = open_page("/dashboard/", role=None, javascript=javascript)
    sign_in(page, PASSWORDS[role], name="Ada <b>")
    expect(page).to_have_title("Overview · LiveDesk Sync")
    expect(page.locator(".who")).to_have_text(re.compile(f"Ada <b>.*{role}"))
    [cookie] = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("livedesk-sync", True, "Lax")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator(".flashes")).to_have_text("You are signed out.")
    page.goto("/dashboard/")
    expect(page).to_have_url(re.compile("/dashboard/sign-in"))


def test_wrong_passwords_and_the_limit(open_page: OpenPage) -> None:
    page = open_page("/dashboard/", role=None)
    for _ in range(MAX_SIGN_INS):
        sign_in(page, "not the password")
        expect(page.get_by_role("alert")).to_have_text("Wrong password.")
    sign_in(page, PASSWORDS[Role.OPERATOR])
    expect(page.get_by_role("alert")).to_have_text(re.compile("Too many failed sign-ins. Try again in (4|5) min"))


def test_another_site_cannot_use_the_session(open_page: OpenPage, dashboard: str) -> None:
    page = open_page("/dashboard/")
    options = "{method: 'POST', body: new URLSearchParams({csrf: 'guessed'})}"
    assert page.evaluate(f"fetch('/dashboard/sign-out', {options}).then(answer => answer.status)") == 400
    # Another port is another origin, and the same site: the cookie goes along, Sec-Fetch-Site tells.
    page.route("http://127.0.0.1:8099/", lambda route: route.fulfill(content_type="text/html", body="<p>Another site"))
    page.goto("http://127.0.0.1:8099/")
    page.set_content(f"<form method=post action='{dashboard}/dashboard/sign-out'><button>Win</button></form>")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Invalid request")
    page.goto(f"{dashboard}/dashboard/")
    expect(page).to_have_title("Overview · LiveDesk Sync")


def test_another_site_cannot_embed_the_dashboard(open_page: OpenPage, dashboard: str) -> None:
    headers = requests.get(f"{dashboard}/dashboard/sign-in", timeout=5).headers
    assert headers["X-Frame-Options"] == "DENY"
    page = open_page("/dashboard/")
    assert page.evaluate("window.trustedTypes !== undefined") is True, "a browser of today"


def test_sign_in_leads_back_to_the_requested_page(browser: Browser, dashboard: str) -> None:
    with new_context(browser, dashboard) as context:
        page = context.new_page()
        page.goto("/dashboard/?state=failed")
        page.get_by_label("Password").fill(PASSWORDS[Role.VIEWER])
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{dashboard}/dashboard/?state=failed")


def header_time(page: Page) -> str:
    return page.locator("#header").get_attribute("data-now") or ""


def test_the_header_refreshes_until_it_is_stopped(open_page: OpenPage, dashboard: str) -> None:
    page = open_page("/dashboard/")
    before = header_time(page)
    page.evaluate("htmx.trigger(document.body, 'poll')")
    expect(page.locator("#header")).not_to_have_attribute("data-now", before)
    expect(page.locator("#live")).to_have_text("live Stop refreshing")
    before = header_time(page)
    page.get_by_role("button", name="Stop refreshing").focus()
    page.evaluate("htmx.trigger(document.body, 'poll')")
    expect(page.locator("#header")).not_to_have_attribute("data-now", before)
    expect(page.get_by_role("button", name="Stop refreshing")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#live")).to_have_text("not refreshing Start refreshing")


def test_a_page_whose_session_ended_says_so(open_page: OpenPage) -> None:
    page = open_page("/dashboard/")
    page.context.clear_cookies()
    page.evaluate("htmx.trigger(document.body, 'poll')")
    expect(page.locator("#live-text")).to_have_text(re.compile("you are signed out. Reload to sign in."))


def test_polling_stops_while_the_page_is_hidden(open_page: OpenPage) -> None:
    page = open_page("/dashboard/", has_own_clock=True)
    page.clock.install()
    page.reload()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/header" in request.url else None)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.clock.run_for(30_000)
    assert asked == []
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    with page.expect_response("**/dashboard/header"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    with page.expect_response("**/dashboard/header"):
        page.clock.run_for(6_000)


def test_without_javascript_no_button_needs_it(open_page: OpenPage) -> None:
    page = open_page("/dashboard/", javascript=False)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    for name in ("Shortcuts", "Stop refreshing", "Copy"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
