"""The dashboard in a real browser: Debian's Chromium, driven by Playwright.

One for all tests of a process.

The dashboard itself runs in a thread of the test (``serving``), on an empty Redis for each test; ``test_story`` alone
starts a whole system.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import count, product
from pathlib import Path

import pytest
import redis
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Browser, BrowserContext, Error, Page, ViewportSize, sync_playwright

from tests.browser.seed import build
from tests.browser.serving import Server, enter
from webhook_app.access import Role
from webhook_app.app import create_app
from webhook_app.parts import Parts

PASSWORDS = {Role.OPERATOR: "the-operator-of-the-tests", Role.VIEWER: "the-viewer-of-the-tests"}
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1280, "height": 860}

#: How the browser and htmx report that a request was refused, which some tests want.
REFUSALS = ("Failed to load resource", "Response Status Error Code", "htmx:afterRequest", "htmx:sendError")

#: Open a page: ``open_page("/dashboard/", role=Role.VIEWER, javascript=False)``.
OpenPage = Callable[..., Page]
#: Check how a page looks now, whose name a picture gets: ``check_appearance(page, "overview")``.
CheckAppearance = Callable[[Page, str], None]

#: Every context has an address of its own, so that the sign-in attempts of one do not count against another.
_addresses = count(1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        assert "CI" not in os.environ, "CI must have Chromium: see .ci/run"
        pytest.skip("There is no Chromium here. On Debian: apt install chromium")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=ARGUMENTS) as browser:
        yield browser


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Return a server for one dashboard after the other, on one address, so that the browser's cache serves all."""
    with Server() as server:
        yield server


@pytest.fixture
def parts(client: redis.Redis) -> Parts:
    """Return the parts of the dashboard under test.

    Its proxy, which is the browser, names the client's address.
    """
    parts = build(client)
    return replace(parts, access=replace(parts.access, proxies=1))


@pytest.fixture
def dashboard(server: Server, parts: Parts) -> Iterator[str]:
    """Return the address of a dashboard with an empty Redis."""
    with server.serving(create_app(parts)) as url:
        yield url


class Contexts:
    """Browser contexts that tests use one after the other: a new one costs a second of a processor."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._free: dict[tuple[str, bool], list[BrowserContext]] = defaultdict(list)

    def take(self, url: str, *, javascript: bool) -> BrowserContext:
        """Return a context without cookies, storage and permissions, which no other test uses."""
        free = self._free[url, javascript]
        return free.pop() if free else new_context(self.browser, url, java_script_enabled=javascript)

    def give_back(self, context: BrowserContext, url: str, *, javascript: bool) -> None:
        for page in context.pages:
            with suppress(Error):  # a page without storage
                if javascript:
                    page.evaluate("localStorage.clear()")
            page.close()
        context.clear_cookies()
        context.clear_permissions()
        self._free[url, javascript].append(context)


@pytest.fixture(scope="session")
def contexts(browser: Browser) -> Contexts:
    return Contexts(browser)


@pytest.fixture
def open_page(request: pytest.FixtureRequest, contexts: Contexts) -> Iterator[OpenPage]:
    """Return a function that opens a page with a role, or signed out with ``None``.

    What the browser complains about, for example a blocked script, fails the test. ``has_own_clock``: the test turns
    the clock of the browser context, which no other test may get.
    """
    done = ExitStack()
    opened: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(
        path: str,
        *,
        role: Role | None = Role.OPERATOR,
        javascript: bool = True,
        url: str | None = None,
        has_own_clock: bool = False,
    ) -> Page:
        url = url or request.getfixturevalue("dashboard")
        if has_own_clock:
            context = new_context(contexts.browser, url, java_script_enabled=javascript)
            done.callback(context.close)
        else:
            context = contexts.take(url, javascript=javascript)
            done.callback(contexts.give_back, context, url, javascript=javascript)
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(enter(path, role) if role else path)
        return page

    with done:
        yield open_page
        for context in opened:
            context.cookies()  # so that the complaints until now arrive; closing a page breaks off its requests
        found = [text for text in complaints if not text.startswith(REFUSALS)]
    assert not found


def new_context(browser: Browser, url: str, **options: bool) -> BrowserContext:
    number = next(_addresses)
    address = {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250 + 1}"}
    return browser.new_context(
        base_url=url,
        extra_http_headers=address,
        timezone_id="UTC",
        viewport=DESKTOP,
        java_script_enabled=options.get("java_script_enabled", True),
    )


def sign_in(page: Page, password: str, name: str = "Ada") -> None:
    page.goto("/dashboard/")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


@pytest.fixture(scope="session")
def check_appearance() -> CheckAppearance:
    """Return a function that checks a page in light on the desktop and in dark on the phone.

    It is not wider than the screen, and axe finds no violation. Dark changes colours only (``test_static_files``). With
    ``SCREENSHOTS``, a folder, it takes a picture of the page in light and dark, wide and narrow.
    """
    folder = Path(os.environ["SCREENSHOTS"]) if "SCREENSHOTS" in os.environ else None

    def check_appearance(page: Page, name: str) -> None:
        for is_dark, is_phone in product((False, True), (False, True)):
            is_checked = is_dark == is_phone
            if folder is None and not is_checked:
                continue
            page.emulate_media(color_scheme="dark" if is_dark else "light", reduced_motion="reduce")
            page.set_viewport_size(PHONE if is_phone else DESKTOP)
            if folder is not None:
                picture = f"{name}-{'dark' if is_dark else 'light'}-{'phone' if is_phone else 'desktop'}.png"
                page.screenshot(path=folder / picture, full_page=True)
            if is_checked:
                assert overflow(page) == 0, (name, is_dark, is_phone)
                found = run_axe(page)
                assert found.violations_count == 0, (name, found.generate_report())

    return check_appearance


def run_axe(page: Page) -> AxeResults:
    """Return the violations that axe finds. Its script is loaded once into a page, because that takes long."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return AxeResults(page.evaluate("axe.run({resultTypes: ['violations']}).then(({violations}) => ({violations}))"))


def overflow(page: Page) -> int:
    """Return how many pixels the page is wider than the screen."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider
