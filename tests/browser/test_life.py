"""Changes and deletions in a real browser: how they look, and what an operator does about them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import redis
from playwright.sync_api import Page, expect

from tests.browser.conftest import CheckAppearance, OpenPage
from tests.life import GONE, NOON, STALE_ROW, Life
from tests.world import World
from webhook_app.parts import Parts
from worker.model import OnDelete, Outcome, Way

ATTRIBUTES = {"plan": "enterprise", "seats": 12, "is_trial": False}


@pytest.fixture
def ada(client: redis.Redis, parts: Parts) -> Life:
    ada = Life(World(client, store=parts.store))
    ada.signs_up(email="ada@example.com")
    ada.world.advance(60_000)
    return ada


def waits(ada: Life) -> None:
    ada.changes("email", custom_attributes=ATTRIBUTES)


def updated(ada: Life) -> None:
    for number in range(3):
        ada.changes(at=NOON + number, phone_number=f"+491511234567{number}")
        ada.world.advance(60_000)
        ada.sent("phone_number")
    ada.world.store.audit.add("Grace", "revealed", ada.key, "she called", way=Way.PASSWORD)


def failed(ada: Life) -> None:
    waits(ada)
    ada.ends(STALE_ROW)


def gone(ada: Life) -> None:
    waits(ada)
    ada.ends(GONE)


def taken(ada: Life) -> None:
    ada.changes(email="new@example.com")
    ada.ends(replace(GONE, cause="email_taken", status=422, owner_id="12", excerpt="Email has already been taken"))


def dies(ada: Life) -> None:
    ada.is_deleted(OnDelete.DELETE)


def marked(ada: Life) -> None:
    ada.is_deleted()
    ada.buried(Outcome.MARKED)


def deleted(ada: Life) -> None:
    dies(ada)
    ada.buried(Outcome.DELETED)


@pytest.mark.parametrize("happens", [waits, updated, failed, gone, taken, dies, marked, deleted])
def test_the_page_of_a_contact(
    ada: Life, open_page: OpenPage, check_appearance: CheckAppearance, happens: Callable[[Life], None]
) -> None:
    happens(ada)
    check_appearance(open_page(f"/dashboard/contacts/{ada.key}"), f"life-{happens.__name__}")


def test_lists_and_overview(
    ada: Life, client: redis.Redis, parts: Parts, open_page: OpenPage, check_appearance: CheckAppearance
) -> None:
    waits(ada)
    for number, happens in enumerate((waits, failed, gone, dies, marked)):
        other = Life(World(client, store=parts.store), f"person-{number}", str(20 + number))
        other.signs_up(email=f"person-{number}@example.com")
        happens(other)
    parts.store.counters.write({"event:shop:change": 12, "event:shop:deletion": 2, "event:shop:stale": 3})
    parts.store.queue.sweep("worker-1.example")
    page = open_page("/dashboard/contacts?state=pending")
    check_appearance(page, "life-list")
    for path, name in {"": "overview", "sources": "sources", "causes/contact_gone": "cause"}.items():
        page.goto(f"/dashboard/{path}")
        check_appearance(page, f"life-{name}")


def create_again(page: Page) -> None:
    page.get_by_role("button", name="Create again").click()


def test_a_contact_that_is_gone_is_created_again(ada: Life, open_page: OpenPage) -> None:
    gone(ada)
    page = open_page(f"/dashboard/contacts/{ada.key}")
    create_again(page)
    expect(page.locator(".flashes").first).to_contain_text("Creating the contact again now")
    expect(page.get_by_role("button", name="Create again")).to_have_count(0)
