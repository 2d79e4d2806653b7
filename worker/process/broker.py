"""How Celery reaches Redis: with the connections of our own client, and a check.

kombu would read the address by itself, and differently: it does not verify certificates, knows no cluster, and ignores
what it does not understand. So its transport gets connections that ``worker.store.address`` makes (see
docs/adr/0032-one-kind-of-connection.md), and a client that drops messages that are not ours (``messages``).
"""

import functools
from typing import Any

from kombu.transport import redis

from worker.process.messages import CheckedRedis, MessageReader
from worker.store.address import Address, parse_address

#: Seconds. kombu waits 1 s for a message, so an answer that takes 5 s will not arrive (celery-redis 1.7).
OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 2, "health_check_interval": 5}


class Channel(redis.Channel):
    """kombu's channel, with our connections and our check."""

    from_transport_options = (*redis.Channel.from_transport_options, "address", "message_reader")
    address: Address
    message_reader: MessageReader

    def _get_client(self) -> Any:
        client: Any = super()._get_client()  # type: ignore[misc]
        return functools.partial(CheckedRedis, reader=self.message_reader, **client.keywords)

    def _get_pool(self, asynchronous: bool = False) -> Any:
        pool = self.address.pool(**OPTIONS)
        self.keyprefix_fanout = self.keyprefix_fanout.format(db=self.address.db)
        if asynchronous:
            # kombu's own class around ours: it stops polling a connection that is closed.
            self.connection_class = pool.connection_class
            pool.connection_class = super()._connparams(asynchronous=True)["connection_class"]  # type: ignore[misc]
        return pool


class Transport(redis.Transport):
    """kombu's transport for Redis, with our channel."""

    Channel = Channel
    #: The URL that Celery knows is only a label for its log.
    can_parse_url = True


def configure(conf: Any, redis_url: str, reader: MessageReader) -> None:
    """Configure how a worker receives messages."""
    address = parse_address(redis_url)
    conf.broker_url, conf.broker_transport = address.label, Transport
    conf.broker_transport_options = {**conf.broker_transport_options, "address": address, "message_reader": reader}
