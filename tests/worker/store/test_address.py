"""``REDIS_URL`` with Sentinel, as our client and Celery's read it."""

from typing import Any

import pytest
from kombu import Connection

from worker.app import app
from worker.store.address import broker, is_sentinel, parse_sentinel

FULL = "redis+sentinel://user:p%40ss@one:1,[::1]:2,three/the-service/4?sentinel_password=other"


def test_everything_that_may_be_said_is_read() -> None:
    address = parse_sentinel(FULL)
    assert address.sentinels == (("one", 1), ("::1", 2), ("three", 26379))
    assert (address.service, address.db) == ("the-service", 4)
    assert (address.username, address.password, address.sentinel_password) == ("user", "p@ss", "other")
    assert address.sentinel_options["password"] == "other"


def test_what_is_left_out_has_its_default() -> None:
    address = parse_sentinel("redis+sentinel://one/service")
    assert (address.sentinels, address.db) == ((("one", 26379),), 0)
    assert (address.username, address.password, address.sentinel_password) == (None, None, None)
    assert "password" not in address.sentinel_options


def test_a_password_is_not_in_the_repr() -> None:
    text = repr(parse_sentinel(FULL))
    assert "p@ss" not in text
    assert "other" not in text


def test_celery_gets_the_same_address() -> None:
    url, options = broker(FULL)
    assert url == "sentinel://user:p%40ss@one:1/4;sentinel://user:p%40ss@[::1]:2/4;sentinel://user:p%40ss@three:26379/4"
    assert options["master_name"] == "the-service"
    assert options["sentinel_kwargs"]["password"] == "other"


def test_celery_connects_to_a_unix_socket(redis_url: str) -> None:
    assert redis_url.startswith("unix://")
    url, options = broker(f"{redis_url}?db=3")
    with Connection(url, transport_options={**app.conf.broker_transport_options, **options}) as connection:
        channel: Any = connection.default_channel
        assert channel.client.connection_pool.get_connection().db == 3


def test_any_other_address_is_left_as_it_is() -> None:
    assert broker("redis://one:1/2") == ("redis://one:1/2", {})
    assert not is_sentinel("redis://one:1/2")


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one:1",
        "redis+sentinel:///service",
        "redis+sentinel://one:1/service/x",
        "redis+sentinel://one:1,,two:2/service",
        "redis+sentinel://one:1/service?typo=1",
    ],
)
def test_what_cannot_be_read_is_a_mistake(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_sentinel(url)
