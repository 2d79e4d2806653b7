"""The dashboard in a real browser: Debian's Chromium, driven by Playwright, against a whole system of its own."""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.rig.parts import Stack
from webhook_app.access import Role

PASSWORDS = {Role.OPERATOR: "the-operator-of-the-tests", Role.VIEWER: "the-viewer-of-the-tests"}
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 860}

#: How the browser and htmx put that a request was refused, which some tests want.
REFUSALS = ("Failed to load resource", "Response Status Error Code")

#: Opens a page: ``open_page("/dashboard/", role=Role.VIEWER, javascript=False, dark=True, phone=True)``.
OpenPage = Callable[..., Page]

#: Every context comes from an address of its own, so that none is held up by the tries of another.
_addresses = count(1)


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A system with a dashboard, behind a proxy that says who asks: the browser itself does."""
    env = {
        "DASHBOARD_PASSWORD": PASSWORDS[Role.OPERATOR],
        "DASHBOARD_VIEWER_PASSWORD": PASSWORDS[Role.VIEWER],
        "TRUSTED_PROXIES": "1",
    }
    with Stack.on_free_ports(tmp_path_factory.mktemp("dashboard"), env) as stack:
        yield stack


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        assert "CI" not in os.environ, "CI must have Chromium: see .ci/run"
        pytest.skip("There is no Chromium here. On Debian: apt install chromium")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=ARGUMENTS) as browser:
        yield browser


@pytest.fixture(scope="session")
def sessions(dashboard: Stack, browser: Browser) -> dict[Role, Any]:
    """The cookies of somebody who has signed in, for each role."""
    states: dict[Role, Any] = {}
    for role, password in PASSWORDS.items():
        with new_context(browser, dashboard.url) as context:
            page = context.new_page()
            sign_in(page, password)
            states[role] = context.storage_state()
    return states


def new_context(browser: Browser, url: str, **options: Any) -> BrowserContext:
    number = next(_addresses)
    address = {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250 + 1}"}
    return browser.new_context(base_url=url, extra_http_headers=address, timezone_id="UTC", **options)


def sign_in(page: Page, password: str, name: str = "Ada") -> None:
    page.goto("/dashboard/")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


@pytest.fixture
def open_page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[OpenPage]:
    """What the browser complains about, a broken policy or script for one, fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(
        path: str,
        *,
        role: Role | None = Role.OPERATOR,
        javascript: bool = True,
        dark: bool = False,
        phone: bool = False,
        url: str | None = None,
    ) -> Page:
        base = url or request.getfixturevalue("dashboard").url
        context = new_context(
            browser,
            base,
            storage_state=request.getfixturevalue("sessions")[role] if role and not url else None,
            java_script_enabled=javascript,
            color_scheme="dark" if dark else "light",
            viewport=PHONE if phone else DESK,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not [text for text in complaints if not text.startswith(REFUSALS)]


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: ``SCREENSHOTS``, or a folder that is thrown away."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
