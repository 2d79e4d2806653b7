"""What a viewer sees of people on every page: nothing that names them."""

import pytest
import redis
from msgspec import structs

from tests.world import ADA, CONFLICT, FAILED, DashboardWorld
from webhook_app.access import Role
from worker.model import Note, NoteCode, Quarantined, Way

LENA = structs.replace(ADA, identifier="lena@zq70.example", email="lena@zq70.example", name="Lena Zq70frau")
WORDS = "Lena Zq70frau <lena@zq70.example> and other@zq70.example have been taken, call +49 151 7070 7070"
REASON = "asked by lena@zq70.example"
LISTED = [
    "",
    "/contacts?state=failed",
    "/contacts?state=conflict",
    "/contacts.csv?state=failed",
    "/causes/email_refused",
    "/upstream",
    "/audit",
    "/audit.csv",
    "/operations",
    "/sources",
    "/sources/quarantine",
    "/header",
]


@pytest.fixture
def door(client: redis.Redis) -> DashboardWorld:
    door = DashboardWorld(client)
    door.bring(LENA, FAILED, excerpt=WORDS, notes=(Note("name", f"left out: {REASON}", NoteCode.LEFT_OUT),))
    door.bring(structs.replace(LENA, identifier="other@zq70.example"), CONFLICT, excerpt=WORDS)
    problems = {"email": "other@zq70.example is nobody", "lena@zq70.example": "is no field"}
    door.store.quarantine.add_all(
        [Quarantined(source="signup", payload='{"lena@zq70.example": 1}', headers={}, problems=problems)]
    )
    door.store.audit.add("Ada", "retried", door.key(LENA.identifier), why=REASON, way=Way.PASSWORD)
    door.store.upstream.pause("Ada", REASON)
    return door


def pages(door: DashboardWorld) -> list[str]:
    keys = [door.key(LENA.identifier), door.key("other@zq70.example")]
    entries = [one.entry for one in door.store.quarantine.page()]
    single = [*(f"/contacts/{key}" for key in keys), *(f"/sources/quarantine/{entry}" for entry in entries)]
    return [f"/dashboard{path or '/'}" for path in (*LISTED, *single)]


def test_no_page_shows_a_viewer_who_somebody_is(door: DashboardWorld) -> None:
    door.sign_in(Role.VIEWER)
    shown = {path: door.get(path) for path in pages(door)}
    leaks = {path: line for path, text in shown.items() for line in text.splitlines() if names_somebody(line)}
    assert not leaks
    assert "l***@z***.example" in "".join(shown.values())


def test_an_operator_sees_identifiers_and_reveals_the_rest(door: DashboardWorld) -> None:
    door.sign_in(Role.OPERATOR)
    key = door.key(LENA.identifier)
    page = door.get(f"/dashboard/contacts/{key}")
    assert "lena@zq70.example</h1>" in page
    assert "7070" not in page
    assert "call +49 151 7070 7070" in door.send(f"/dashboard/contacts/{key}/reveal").text
    assert LENA.identifier in door.get("/dashboard/contacts.csv?state=failed")


@pytest.mark.parametrize("command", ["list", "show"])
def test_commands_mask_it_too(command: str, door: DashboardWorld) -> None:
    [entry] = [one.entry for one in door.store.quarantine.page()]
    key = door.key(LENA.identifier)
    asked = {"list": [["contacts", "list", "--state", "failed"], ["quarantine", "list"], ["audit"]]}
    asked["show"] = [["contacts", "show", key], ["contacts", "show", key, "--json"], ["quarantine", "show", entry]]
    for arguments in asked[command]:
        result = door.flask(*arguments)
        assert result.exit_code == 0, result.output
        assert not names_somebody(result.output), result.output
    revealed = door.flask("contacts", "show", key, "--reveal").output
    assert "+49 151 7070 7070" in revealed


def names_somebody(text: str) -> bool:
    return "zq70" in text.lower() or "7070 7070" in text or "lena" in text.lower()
