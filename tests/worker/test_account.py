"""What is known about the LiveDesk account is stored, and cached for a while."""

import redis

from tests.invariants import assert_invariants
from tests.rig.processes import free_port
from tests.world import make_store
from worker.livedesk.client import LiveDesk
from worker.model import Account, Contact
from worker.store import keys
from worker.store.connection import connect
from worker.store.store import Store
from worker.tasks import ACCOUNT_FRESH_S, KnownAccount

BAD = Account(unique=False, searchable=True, searchable_bare=None)


def store_of(client: redis.Redis) -> Store:
    return make_store(client)


def name(url: str = "https://livedesk.example.com", key: str = "key", secret: str = "secret") -> str:
    return LiveDesk(url, key, secret).account


def test_before_any_probe_nothing_is_known(client: redis.Redis) -> None:
    assert Store(client).findings.account(name()) == Account()
    store_of(client).salt()
    assert Store(client).findings.account(name()) == Account()


def test_what_was_found_is_kept_and_replaced(client: redis.Redis) -> None:
    store = store_of(client)
    store.findings.save_account(name(), BAD)
    found = store.findings.account(name())
    assert found.probed_at is not None
    assert found == Account(False, True, probed_at=found.probed_at)
    store.findings.save_account(name(), Account(unique=True))
    found = store.findings.account(name())
    assert (found.unique, found.searchable) == (True, None)
    assert_invariants(client)


def test_another_account_inherits_nothing(client: redis.Redis) -> None:
    store = store_of(client)
    store.findings.save_account(name(), BAD)
    assert store.findings.account(name(url="https://livedesk.example.org")) == Account()
    assert store.findings.account(name(key="other")) == Account()
    assert store.findings.account(name(secret="rotated")).unique is False, "a new secret is no other account"
    assert store.findings.account(name(url="https://livedesk.example.com/")).unique is False


def test_neither_address_nor_key_is_kept(client: redis.Redis) -> None:
    store_of(client).findings.save_account(name(key="the-api-key"), BAD)
    kept = str(client.hgetall(keys.ACCOUNT))
    assert "the-api-key" not in kept
    assert "example" not in kept
    assert name(key="the-api-key") not in kept, "the hash is keyed"


def test_it_is_remembered_for_some_seconds(client: redis.Redis) -> None:
    now = 0.0
    store = store_of(client)
    known = KnownAccount(Store(client), name(), clock=lambda: now)
    assert known() == Account()
    store.findings.save_account(name(), BAD)
    now = ACCOUNT_FRESH_S - 1
    assert known() == Account()
    now = ACCOUNT_FRESH_S
    assert known().unique is False


def test_while_redis_is_away_the_last_that_was_known_holds(client: redis.Redis) -> None:
    now = 0.0
    store_of(client).findings.save_account(name(), BAD)
    known = KnownAccount(Store(client), name(), clock=lambda: now)
    assert known().unique is False
    known.store = Store(connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=0.2))
    now = ACCOUNT_FRESH_S
    assert known().unique is False


def test_which_contacts_a_search_shows() -> None:
    account = Account(searchable=True, searchable_bare=False)
    assert account.finds(Contact("ada", email="ada@example.com")) is True
    assert account.finds(Contact("ada", phone_number="+4915112345678")) is True
    assert account.finds(Contact("ada", name="Ada")) is False
    assert Account().finds(Contact("ada")) is None
