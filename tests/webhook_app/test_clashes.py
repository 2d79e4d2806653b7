"""A clash is shown with both sources, and an operator resolves it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.clashes import SECRET, clash
from tests.invariants import assert_invariants
from tests.world import DashboardWorld
from webhook_app.present.clashes import clashing, explain, join, keep_apart

MAPPED = {"identifier": "$.id", "name": "$.name", "email": "$.email"}
APP: dict[str, Any] = {"verify": "token", "secret": SECRET, "inbox_id": 1, "map": MAPPED}
SOURCES = {"signup": APP, "shop": APP, "form": {**APP, "identity": "visitor"}}
TOKEN = "open-sesame-open"


class Clashes(DashboardWorld):
    """An installation with three sources, an operator who is signed in, and the API."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client, sources=SOURCES, api_token=TOKEN)
        self.sign_in()

    def api(self, path: str, document: Any = None) -> Any:
        """Get, or post a document to, an address of the API."""
        options: dict[str, Any] = {"json": document, "method": "POST"} if document is not None else {}
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Operator": "ada"}
        return self.http.open(f"/api/v1{path}", headers=headers, **options)


@pytest.fixture
def world(client: redis.Redis) -> Iterator[Clashes]:
    made = Clashes(client)
    yield made
    client.delete("{lds}:create")
    assert_invariants(client)


# Shown


def test_a_clash_in_words() -> None:
    assert explain("wordpress", "github") == (
        "The identifier of this delivery from `wordpress` belongs to a person of `github`, "
        "and neither e-mail address nor phone number agrees."
    )
    assert "sent before its `id_space` was changed" in explain("shop", "shop")
    assert [clashing(number) for number in (1, 1204)] == ["1 delivery clashes", "1,204 deliveries clash"]
    assert '`id_prefix = "wp-\\""` to `[sources.wordpress]`' in keep_apart("wordpress", 'wp-"')
    assert '`id_space = "github"` to `[sources.app]`' in join("app", "github", "github")


def test_the_situation_has_clashes(world: Clashes) -> None:
    assert world.api("/situation").get_json()["clashes"] == []
    for identifier in ("7", "8"):
        clash(world.parts, identifier)
    assert world.api("/situation").get_json()["clashes"] == [{"source": "shop", "other": "signup", "waiting": 2}]


def test_doctor_warns_of_clashes(world: Clashes) -> None:
    assert "clashes" not in world.flask("doctor").stdout
    clash(world.parts)
    shown = world.flask("doctor").stdout
    assert "warning clashes      1 delivery clashes: shop uses identifiers of people of signup." in shown
    assert "-> Run flask quarantine list --clash shop signup." in shown


def test_deliveries_of_one_pair_are_listed(world: Clashes) -> None:
    entries = [clash(world.parts, str(number)) for number in range(3)]
    other = clash(world.parts, "9", "signup", "shop")
    listed = world.store.quarantine.page
    assert [one.entry for one in listed(clash=("shop", "signup"))] == entries
    assert [one.entry for one in listed(clash=("shop", "signup"), offset=1, limit=1)] == entries[1:2]
    assert [one.entry for one in listed(clash=("signup", "shop"))] == [other]
    assert listed(clash=("shop", "form")) == []
    assert json.loads(listed(clash=("signup", "shop"))[0].payload)["id"] == "9"
