"""Contacts in every state, for tests of pages.

No workers run, so nothing changes meanwhile.
"""

import redis

from tests.browser.specimen import HOSTILE
from tests.world import CONFLICT, FAILED, RETRYING, DashboardWorld
from worker.actions import BulkAction
from worker.model import AttemptResult, Note, Outcome, State
from worker.store import keys
from worker.store.lists import Filter

NAMES = ("Ada Lovelace", "Grace Hopper", "Alan Turing", "Katherine Johnson", "Edsger Dijkstra", "Barbara Liskov")


def fill(client: redis.Redis) -> tuple[DashboardWorld, dict[str, str]]:
    """Add contacts in every state, some hostile.

    Return the key of one in each state, and an operation's id.
    """
    door = DashboardWorld(client)
    made: dict[str, str] = {}
    for number, name in enumerate(NAMES * 3):
        sender = ("signup", "shop", "clerk")[number % 3]
        person = {"name": name, "phone_number": f"+4930{number:07}", "source": sender}
        made["failed"] = door.bring(f"user-{1000 + number}", FAILED, excerpt="Name is too long", **person)
        made["retrying"] = door.bring(f"{name.lower().replace(' ', '.')}+{number}@example.org", RETRYING, **person)
    made["pending"] = door.bring("2f1c0d9e-6a53-4c0e-9a3e-54fd0c8a7f11", name="Radia Perlman")
    made["conflict"] = door.bring(
        "user-77",
        CONFLICT,
        name="Ada Lovelace",
        phone_number="+49301234567",
        avatar_url="https://example.com/a.png",
        excerpt="Email has already been taken",
        notes=(Note("phone_number", "extension removed"),),
    )
    made["hostile"] = door.bring(
        HOSTILE,
        AttemptResult(state=State.CONFLICT, cause="phone_number_taken", owner_id="13", status=422),
        name=HOSTILE,
        phone_number="+49309999999",
        email=f"{HOSTILE.replace(' ', '')}@example.com",
        avatar_url="https://example.com/<script>alert(1)</script>",
        excerpt=HOSTILE * 2,
    )
    created = AttemptResult(state=State.CREATED, contact_id="4711", outcome=Outcome.ADOPTED)
    made["created"] = door.bring("user-1", created)
    made["discarded"] = door.bring("user-2", FAILED)
    door.store.contacts.discard(door.store.key_of("user-2"))
    operations = door.store.operations
    wanted = Filter(state=State.FAILED, source="shop")
    made["operation"] = operations.open(BulkAction.RETRY, wanted, who="Ada", why="LiveDesk is back", total=6)
    operations.step()
    client.delete(keys.QUEUE)
    return door, made
