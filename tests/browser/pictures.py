"""``python -m tests.browser.pictures [FOLDER]`` takes the screenshots.

They show the data of ``seed`` in Debian's Chromium. No worker runs, so nothing changes meanwhile.
"""

import logging
import shutil
import sys
import tempfile
from pathlib import Path
from secrets import token_hex

import redis
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from tests.browser.conftest import ARGUMENTS
from tests.browser.seed import CREATED, HOSTILE, MINUTE_MS, at, bring, build, closed, fill, person
from tests.browser.serving import enter, serve
from tests.life import Life
from tests.rig.parts import ROOT
from tests.rig.processes import free_port
from tests.rig.valkey import Valkey
from tests.world import World
from webhook_app.app import create_app
from webhook_app.parts import Parts
from worker.actions import BulkAction, Command
from worker.model import Attempt, State
from worker.store.connection import connect
from worker.store.lists import Filter

REFUSED = closed(State.FAILED, "phone_number_refused", "Phone number should be in e164 format")
TAKEN = closed(State.CONFLICT, "email_taken", "Email has already been taken", owner_id="4711")
FOLDER = ROOT / "docs" / "images"
WIDE: ViewportSize = {"width": 1280, "height": 738}
#: Contacts that an operation retries, and how many of them it has got through.
RETRIED, RECOVERED = 240, 150


def refuse(parts: Parts) -> str:
    """Add signups that LiveDesk rejects, and a conflict.

    Return the key of the conflict.
    """
    parts.store.contacts.discard(parts.store.key_of(HOSTILE))
    for operation in parts.store.operations.latest():
        parts.store.operations.command(operation.id, Command.CANCEL)
    for number in range(RETRIED):
        at(parts.store, 20 - number / 40)
        bring(parts.store, person(f"buyer-{number}"), REFUSED, source="shop")
    at(parts.store, 4)
    key = bring(parts.store, person("grace-hopper", phone_number="+4930123456"), TAKEN, source="shop")
    at(parts.store, 0)
    return key


def retry(parts: Parts) -> str:
    """Retry the rejected signups, some of which are created by now.

    Return the operation's id.
    """
    at(parts.store, 1)
    wanted, why = Filter(state=State.FAILED, cause=REFUSED.cause), "The shop sends numbers with a country code now"
    operation = parts.store.operations.open(BulkAction.RETRY, wanted, who="Ada", why=why, total=RETRIED)
    while parts.store.operations.step():
        pass
    at(parts.store, 0.5)
    for number in range(RECOVERED):
        claim = parts.store.contacts.claim(parts.store.key_of(f"buyer-{number}"), token_hex(8), sends=False)
        assert claim is not None
        parts.store.contacts.finish(claim, CREATED, Attempt(claim.now, 190, 200))
    at(parts.store, 0)
    return operation


def take(browser: Browser, url: str, path: str, to: Path, *, dark: bool = False) -> None:
    with browser.new_context(
        base_url=url, viewport=WIDE, color_scheme="dark" if dark else "light", timezone_id="UTC"
    ) as context:
        page = context.new_page()
        page.goto(enter(path))
        page.screenshot(path=to)


def livedesk_is_down(client: redis.Redis, browser: Browser, folder: Path) -> None:
    parts = build(client)
    fill(parts.store)
    conflict = refuse(parts)
    with serve(create_app(parts)) as url:
        take(browser, url, "/dashboard/", folder / "overview.png")
        take(browser, url, "/dashboard/", folder / "overview-dark.png", dark=True)
        take(browser, url, "/dashboard/contacts?state=failed", folder / "contacts.png")
        take(browser, url, f"/dashboard/contacts/{conflict}", folder / "contact.png")
        take(browser, url, f"/dashboard/causes/{REFUSED.cause}", folder / "cause.png")


def an_operation_runs(client: redis.Redis, browser: Browser, folder: Path) -> None:
    parts = build(client)
    fill(parts.store, down=False)
    refuse(parts)
    operation = retry(parts)
    with serve(create_app(parts)) as url:
        take(browser, url, f"/dashboard/operations/{operation}", folder / "operation.png")


def a_person_changes(client: redis.Redis, browser: Browser, folder: Path) -> None:
    parts = build(client)
    fill(parts.store, down=False)
    ada = Life(World(client, store=parts.store), "ada-lovelace")
    now = parts.store.now()
    at(parts.store, 50)
    ada.signs_up(email="ada@example.com")
    for minutes, changed in ((31, {"phone_number": "+4915187654321"}), (12, {"custom_attributes": {"plan": "pro"}})):
        at(parts.store, minutes)
        ada.changes(at=now - (minutes + 1) * MINUTE_MS, email="ada@example.com", **changed)
        at(parts.store, minutes - 0.1)
        ada.sent(*parts.store.contacts.read(ada.key).changes)  # type: ignore[union-attr]
    at(parts.store, 0)
    with serve(create_app(parts)) as url:
        take(browser, url, f"/dashboard/contacts/{ada.key}", folder / "life.png")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with (
        tempfile.TemporaryDirectory() as data,
        Valkey(Path(data), port=free_port(), config={"appendfsync": "no"}) as server,
        connect(server.url, timeout_s=5) as client,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS) as browser,
    ):
        livedesk_is_down(client, browser, folder)
        client.flushall()
        an_operation_runs(client, browser, folder)
        client.flushall()
        a_person_changes(client, browser, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
