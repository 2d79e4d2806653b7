"""Pages that stay open: an hour, a day, through restarts, on a computer whose clock is wrong."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.seed import CREATED, MINUTE_MS, bring, closed, fill, person
from tests.browser.serving import Server, serve
from tests.rig.processes import free_port
from tests.world import DAY_MS, HOUR_MS, wait_until
from webhook_app.app import create_app
from webhook_app.dashboard import static_files
from webhook_app.parts import Parts
from webhook_app.present.wording import clear_words
from worker.durations import absolute, clock_time, duration, relative
from worker.model import State
from worker.store import keys

#: Every page with something that changes; ``{key}`` is a contact, ``{operation}`` an operation.
PAGES = (
    *("", "causes/http_503", "contacts?state=retrying", "contacts/{key}", "upstream", "workers", "operations"),
    *("operations/{operation}", "sources", "sources/quarantine", "audit"),
)
#: What is behind by design: the row that a person may be about to click does not move.
NEWS = re.compile(r"Show \d+ new causes?|This list has changed: show it|This contact has changed: show it")
#: The computer's clock is years behind.
WRONG_CLOCK = "2020-02-02T02:02:02Z"


@pytest.fixture
def seeded(server: Server, parts: Parts) -> Iterator[str]:
    fill(parts.store)
    with server.serving(create_app(parts)) as url:
        yield url


def pass_time(page: Page, parts: Parts, ms: int) -> None:
    """Turn the clocks of Redis and of the computer forward, and let the page refresh itself."""
    parts.store.shift_ms += ms
    page.clock.fast_forward(ms)


def text_of(page: Page) -> str:
    """Return what a person reads, without what changes by design."""
    shown = " ".join((page.locator("#header").inner_text() + page.locator("main").inner_text()).split())
    return NEWS.sub("", re.sub(r"As of \S+ \S+ UTC (live|· live)?.*?refreshing", "", shown)).replace("  ", " ")


def assert_is_as_new(page: Page, fresh: Page) -> None:
    """Compare a page with the same one, just loaded: each figure, time, chart and state."""

    def is_equal() -> bool:
        fresh.goto(page.url)
        return text_of(page) == text_of(fresh) and charts_of(page) == charts_of(fresh)

    try:
        wait_until(is_equal, "the page is as a new one", timeout_s=8)
    except AssertionError:
        assert text_of(page) == text_of(fresh)
        assert charts_of(page) == charts_of(fresh)


def charts_of(page: Page) -> list[str]:
    found: list[str] = page.evaluate("[...document.querySelectorAll('polyline, main rect')].map(one => one.outerHTML)")
    return found


def test_pages_are_right_after_an_hour_and_after_a_day(open_page: OpenPage, parts: Parts, seeded: str) -> None:
    page = open_page("/dashboard/", url=seeded, has_own_clock=True)
    fresh = page.context.new_page()
    page.clock.install(time=WRONG_CLOCK)
    names = {"key": parts.store.key_of("user-6-0"), "operation": parts.store.operations.latest()[0].id}
    for number, path in enumerate(PAGES):
        page.goto(f"/dashboard/{path.format(**names)}")
        bring(parts.store, person(f"meanwhile-{number}"), closed(State.FAILED, "email_refused"))
        pass_time(page, parts, HOUR_MS if number % 2 else DAY_MS)
        bring(parts.store, person(f"later-{number}"), CREATED)
        pass_time(page, parts, MINUTE_MS)
        assert_is_as_new(page, fresh)


def test_the_overview_agrees_with_the_api(open_page: OpenPage, parts: Parts, seeded: str) -> None:
    page = open_page("/dashboard/", url=seeded, has_own_clock=True)
    page.clock.install(time=WRONG_CLOCK)
    page.goto("/dashboard/")
    for wait in (7_000, 81_000, DAY_MS):
        pass_time(page, parts, wait)
        now = parts.store.now()
        expect(page.locator("#header time").last).to_have_text(re.compile(absolute(now)[:16]))
        overview = parts.store.overview.read()
        assert overview.upstream.since is not None
        assert overview.upstream.probe_at is not None
        [group] = [each for each in parts.store.overview.causes() if each.cause == "http_503"]
        figures = page.locator("#header")
        expect(figures).to_contain_text(f"for {duration(now - overview.upstream.since)}")
        expect(figures).to_contain_text(next_probe(overview.upstream.probe_at, now))
        expect(page.locator("#in-retrying")).to_have_text(f"{overview.counts[State.RETRYING]:,}")
        expect(page.locator("#waiting-http_503")).to_have_text(f"{group.waiting:,}")
        expect(page.locator("#hour-http_503")).to_contain_text(f"{sum(group.minutes):,}")
        expect(page.locator("#flow-chart .axis")).to_contain_text(clock_time(now - MINUTE_MS))
        expect(figures).to_contain_text(clear_words(overview))
        assert_near(page, "#last-http_503 time", lambda at: relative(at, parts.store.now()))


def next_probe(probe_at: int, now: int) -> re.Pattern[str]:
    """Return what a page may say that was drawn a second before or after."""
    words = {"due" if probe_at <= at else relative(probe_at, at) for at in (now - 1000, now, now + 1000)}
    return re.compile(f"next probe ({'|'.join(words)})")


def assert_near(page: Page, selector: str, words: Callable[[int], str]) -> None:
    """The text of a time is that of its ``data-at`` now, at most a second ago."""
    found = page.locator(selector)
    wait_until(lambda: found.inner_text() == words(int(found.get_attribute("data-at") or 0)), selector)


def test_what_comes_next_is_due_once_its_time_has_passed(open_page: OpenPage, parts: Parts, seeded: str) -> None:
    """Also where nothing refreshes the page."""
    parts.store.client.hset(keys.UPSTREAM, "probe_at", parts.store.now() + 5 * MINUTE_MS)
    page = open_page("/dashboard/upstream", url=seeded, has_own_clock=True)
    page.clock.install(time=WRONG_CLOCK)
    page.goto("/dashboard/upstream")
    expect(page.locator("#state-now [data-due]")).to_contain_text("in ")
    page.get_by_role("button", name="Stop refreshing").click()
    page.clock.fast_forward(10 * MINUTE_MS)
    expect(page.locator("#state-now [data-due]")).to_have_text("due")
    expect(page.locator("#header [data-due]").first).to_have_text("due")


def test_a_page_says_since_when_it_is_out_of_date_and_recovers(
    open_page: OpenPage, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(parts.store)
    port = free_port()
    with serve(create_app(parts), port) as url:
        page = open_page("/dashboard/", url=url, has_own_clock=True)
        page.clock.install(time=WRONG_CLOCK)
        page.goto("/dashboard/")
        last = clock_time(parts.store.now())
    pass_time(page, parts, 3 * MINUTE_MS)
    expect(page.locator(".freshness")).to_contain_text(f"Out of date since {last}")
    expect(page.locator(".freshness")).to_contain_text("the server does not answer")
    assert page.title().startswith("(out of date) ")
    lasting = page.locator("#headline [data-lasts]").inner_text()
    pass_time(page, parts, 3 * MINUTE_MS)
    assert page.locator("#headline [data-lasts]").inner_text() == lasting, "nobody knows whether it still lasts"
    with serve(create_app(parts), port):
        pass_time(page, parts, 2 * MINUTE_MS)
        expect(page.locator("#live-text")).to_have_text("live")
        assert not page.title().startswith("(out of date) ")
        cookies = page.context.cookies()
        page.context.clear_cookies()
        pass_time(page, parts, MINUTE_MS)
        expect(page.locator(".freshness")).to_contain_text("you are signed out")
        page.context.add_cookies(cookies)  # type: ignore[arg-type]
        with page.expect_navigation():
            pass_time(page, parts, 3 * MINUTE_MS)
    monkeypatch.setattr(static_files, "VERSION", "another")
    with serve(create_app(parts), port):
        with page.expect_navigation():
            pass_time(page, parts, 3 * MINUTE_MS)
        assert page.locator("body").get_attribute("data-version") == "another"
    assert urlsplit(page.url).path == "/dashboard/"


def test_a_computer_that_slept_asks_the_server_what_time_it_is(open_page: OpenPage, parts: Parts, seeded: str) -> None:
    page = open_page("/dashboard/", url=seeded, has_own_clock=True)
    page.clock.install(time=WRONG_CLOCK)
    page.goto("/dashboard/")
    parts.store.shift_ms += 2 * HOUR_MS
    page.clock.set_system_time("2020-02-02T04:02:02Z")
    page.clock.run_for(1_100)
    expect(page.locator("#header time").last).to_have_text(re.compile(absolute(parts.store.now())[:16]))
    assert_near(page, "#last-http_503 time", lambda at: relative(at, parts.store.now()))
