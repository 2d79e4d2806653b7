"""To erase a person also deletes the deliveries in quarantine that contain them."""

import json

import pytest
import redis

from tests.world import CREATED, World
from webhook_app.operator import Operator
from webhook_app.parts import Parts
from webhook_app.sources.config import read_source
from worker.errors import StoreError
from worker.model import Contact, Origin, Quarantined, Way
from worker.store import append_only_file
from worker.store.store import Store

ADA = Contact("customer-1815", inbox_id=1, name="Ada", email="Ada@example.com", phone_number="+442079460958")
SOURCES = {
    "shop": read_source(
        "shop",
        {
            "verify": "token",
            "secret": "a-secret-of-the-tests",
            "inbox_id": 1,
            "region": "GB",
            "id_prefix": "customer-",
            "map": {"identifier": "$.user.id"},
        },
        {},
    )
}


@pytest.fixture
def parts(world: World) -> Parts:
    world.store.contacts.accept(ADA, Origin("app"))
    return Parts(store=world.store, sources=SOURCES)


def keep(parts: Parts, payload: object, *, clash: str = "", **headers: str) -> str:
    """Quarantine a payload, and return the entry's id."""
    text = json.dumps(payload)
    parts.store.quarantine.add(
        Quarantined(source="shop", payload=text, problems={"identifier": "missing"}, headers=headers, clash=clash)
    )
    return next(one.entry for one in parts.store.quarantine.page() if one.payload == text)


def erase(parts: Parts, **options: object) -> tuple[int, int]:
    key = parts.store.key_of(ADA.identifier)
    erased = Operator(parts, "joan", Way.CLI).contacts.erase(key, **options)  # type: ignore[arg-type]
    return erased.quarantined, erased.not_searched


@pytest.mark.parametrize(
    "payload",
    [
        {"uid": "customer-1815"},
        {"uid": "CUSTOMER-1815"},
        {"deep": [{"mail": "ada@example.com"}]},
        {"note": "Please answer to <ADA@example.com>, thanks"},
        {"by": {"ada@example.com": 1}},
        {"phone": "020 7946 0958"},
        {"phone": "+44 20 7946 0958"},
        {"phone": 442079460958},
    ],
)
def test_what_has_the_persons_data_is_deleted(parts: Parts, payload: object) -> None:
    keep(parts, payload)
    other = keep(parts, {"mail": "bob@example.com", "id": 1815})
    assert erase(parts) == (1, 0)
    assert [one.entry for one in parts.store.quarantine.page()] == [other]
    assert "erased, with 1 in quarantine" in [one.did for one in parts.store.audit.page()]


def test_the_data_of_a_contact_that_was_created_is_compared_by_its_fingerprint(world: World, parts: Parts) -> None:
    world.bring(ADA, CREATED, source="app")
    record = parts.store.contacts.find(ADA.identifier)
    assert record is not None
    assert record.contact is None, "Redis has no address any more"
    keep(parts, {"mail": ADA.email})
    assert erase(parts) == (1, 0)


def test_a_clash_with_the_identifier_stays_because_it_may_be_another_persons(parts: Parts) -> None:
    kept = keep(parts, {"user": {"id": "1815"}}, clash="app")
    keep(parts, {"user": {"id": "1815"}, "mail": "ada@example.com"}, clash="app")
    assert erase(parts) == (1, 0)
    assert [one.entry for one in parts.store.quarantine.page()] == [kept]


def test_headers_and_further_addresses_are_searched(parts: Parts) -> None:
    keep(parts, {"a": 1}, **{"X-Mail": "ada@example.com"})
    keep(parts, {"mail": "lovelace@example.com"})
    assert erase(parts, also=["Lovelace@example.com"]) == (2, 0)


def test_a_request_searches_for_some_seconds_only(parts: Parts) -> None:
    keep(parts, {"mail": "ada@example.com"})
    assert erase(parts, limit_s=0) == (0, 1)


def test_the_append_only_file_is_rewritten(world: World, client: redis.Redis) -> None:
    before = client.info("persistence")
    has_one = append_only_file.rewrite(world.store)
    assert has_one == bool(before["aof_enabled"])


def test_a_user_of_redis_who_may_not_rewrite_it_gets_a_reason(world: World, client: redis.Redis) -> None:
    client.acl_setuser("eraser", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-bgrewriteaof"])
    options = {**client.connection_pool.connection_kwargs, "username": "eraser", "password": "any"}
    kind = type(client.connection_pool.make_connection())
    limited = redis.Redis(connection_pool=redis.ConnectionPool(kind, **options))
    try:
        if client.info("persistence")["aof_enabled"]:
            with pytest.raises(StoreError, match="permission"):
                append_only_file.rewrite(Store(limited))
    finally:
        limited.close()
        client.acl_deluser("eraser")
