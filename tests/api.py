"""An application with contacts, quarantine and operations, for API and commands."""

from typing import Any

import redis

from tests.world import CONFLICT, CREATED, FAILED, RETRYING, World
from worker.actions import BulkAction
from worker.model import Quarantined, State, Way
from worker.store.lists import Filter

TOKEN = "open-sesame-open"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SOURCE: dict[str, Any] = {
    "verify": "token",
    "secret": "a-secret-of-our-own",
    "region": "DE",
    "on_invalid": "quarantine",
    "map": {"identifier": "$.id", "email": "$.mail"},
}


class ApiWorld(World):
    """An installation with an API token and one source.

    ``known`` are ids that exist, by their name in the API's addresses.
    """

    def __init__(self, client: redis.Redis, token: str | None = TOKEN) -> None:
        super().__init__(client, sources={"signup": SOURCE}, api_token=token)
        self.known: dict[str, list[str]] = {}

    def begin(self, wanted: Filter) -> str:
        """Open an operation."""
        return self.operations.open(BulkAction.RETRY, wanted, who="ada", why="", total=1)


def populated(client: redis.Redis) -> ApiWorld:
    """Return an installation with something of everything."""
    return populate(ApiWorld(client))


def populate(world: ApiWorld) -> ApiWorld:
    """Fill an empty installation with something of everything, and return it."""
    contacts = [
        world.bring("ada", FAILED, name="Ada", email="ada@example.com", phone_number="+4930123456"),
        world.bring("=cmd|' /C calc'!A0", CONFLICT, email="eve@example.com"),
        world.bring("mary", RETRYING, source="shop"),
        world.bring("joan", CREATED, email="joan@example.com"),
        world.bring("ida", avatar_url="https://example.com/ida.png"),
    ]
    for number in range(3):
        payload = f'{{"id": "late-{number}"}}'
        world.store.quarantine.add(
            Quarantined(source="signup", payload=payload, problems={"identifier": "missing"}, headers={})
        )
    entries = [one.entry for one in world.store.quarantine.page()]
    started = [world.begin(Filter(state=State.FAILED)), world.begin(Filter(cause="http_502"))]
    world.store.audit.add("ada", "retry", contacts[0], "it is fixed", way=Way.PASSWORD)
    world.known = {"key": contacts, "entry": entries, "id": started, "cause": ["http_502", "email_taken"]}
    return world
