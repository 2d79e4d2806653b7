"""Connections that find their server, with Sentinel or in a cluster."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from redis import exceptions
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.crc import key_slot
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError

from worker.store import keys
from worker.store.tls import TlsConnection, TlsError

Host = tuple[str, int]

#: Seconds that one sentinel or node is given to answer: there are others, and somebody is waiting.
ANSWER_S = 0.5
#: The slot of all our keys, which share one hash tag.
SLOT: int = key_slot(keys.PREFIX.encode())


class PrimaryMoved(exceptions.ConnectionError):
    """The server is not, or no longer, the primary of our keys. It executed nothing."""


class Discovery:
    """Asks one server after another for the primary.

    The one that answered is asked first next time. ``options`` are redis-py's for a connection to these servers.
    Threads may share it.
    """

    #: What to ask, and what it means that nobody knows.
    question: tuple[str, ...]
    unknown: str

    def __init__(self, hosts: Sequence[Host], options: Mapping[str, Any]) -> None:
        self.hosts = tuple(hosts)
        #: The primary, as found last.
        self.found: Host | None = None
        own = {"protocol": 2, "decode_responses": True, "retry": Retry(NoBackoff(), 0)}
        self._options = {**options, **own, "socket_timeout": ANSWER_S, "socket_connect_timeout": ANSWER_S}

    def find(self) -> Host:
        """Return the address of the primary.

        Raises:
            ConnectionError: nobody knows it.
        """
        failure: exceptions.RedisError | None = None
        for host in self.hosts:
            try:
                self.found, *others = self.read(self._ask(host), host)
            except exceptions.RedisError as error:
                failure = error
                continue
            self.hosts = tuple(dict.fromkeys((host, *self.hosts, *others)))
            return self.found
        if isinstance(failure, TlsError | exceptions.AuthenticationError):
            raise failure
        raise MasterNotFoundError(self.unknown) from failure

    def read(self, answer: Any, asked: Host) -> Sequence[Host]:
        """Return the primary in an answer, and then other servers that may be asked.

        Raises:
            RedisError: this one does not know.
        """
        raise NotImplementedError

    def _ask(self, host: Host) -> Any:
        options = dict(self._options)
        connection = options.pop("connection_class")(host=host[0], port=host[1], **options)
        try:
            connection.connect()
            connection.send_command(*self.question)
            return connection.read_response()
        finally:
            connection.disconnect()


class Sentinels(Discovery):
    """Sentinels, which watch the primary that they call ``service``."""

    def __init__(self, hosts: Sequence[Host], options: Mapping[str, Any], service: str) -> None:
        super().__init__(hosts, options)
        self.question = ("SENTINEL", "MASTER", service)
        self.unknown = "no sentinel names a primary"

    def read(self, answer: Any, asked: Host) -> Sequence[Host]:
        state = dict(zip(answer[::2], answer[1::2], strict=True))
        if {"s_down", "o_down"} & set(state["flags"].split(",")):
            raise exceptions.ConnectionError("the primary is down")
        return [(state["ip"], int(state["port"]))]


class ClusterNodes(Discovery):
    """Nodes of a cluster, of which one is the primary of our slot."""

    question = ("CLUSTER", "SLOTS")
    unknown = "no node of the cluster knows who has our keys"

    def read(self, answer: Any, asked: Host) -> Sequence[Host]:
        for first, last, *nodes in answer:
            if first <= SLOT <= last:
                # No host: the one that was asked, at that port. "?": not known.
                return [(host or asked[0], port) for host, port, *_ in nodes if host != "?"]
        raise exceptions.ClusterDownError("no node has the slot of our keys")


class DiscoveredConnection(Connection):
    """A connection to the primary, which ``discovery`` finds whenever it is opened."""

    def __init__(self, *, discovery: Discovery, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._discovery = discovery

    def connect(self) -> None:
        """Open it, anew if another primary was found; the pool does so before a use."""
        if (self.host, self.port) != self._discovery.found:
            self.disconnect()  # type: ignore[no-untyped-call]
        super().connect()  # type: ignore[no-untyped-call]

    def _connect(self) -> Any:
        self.host, self.port = self._discovery.find()
        return super()._connect()  # type: ignore[no-untyped-call]

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Raise ``PrimaryMoved`` unless it is a primary.

        During a failover the sentinels still name the old one, which may already be a replica, where a script would
        find nothing to do (redis.io, "Guidelines for Redis clients with support for Redis Sentinel", step 3).
        """
        super().on_connect_check_health(check_health)
        self.send_command("ROLE", check_health=False)  # type: ignore[no-untyped-call]
        with suppress(exceptions.NoPermissionError):
            if super().read_response()[0] not in ("master", b"master"):
                raise PrimaryMoved("the primary has become a replica")

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except (exceptions.ReadOnlyError, exceptions.MovedError) as error:
            self.disconnect()  # type: ignore[no-untyped-call]  # the next command finds the new primary
            raise PrimaryMoved("another server has become the primary") from error


class DiscoveredTlsConnection(DiscoveredConnection, TlsConnection):
    """The same with TLS."""


def was_moved(error: Exception) -> bool:
    """Return whether a server executed nothing because another one is the primary."""
    return isinstance(error, PrimaryMoved | exceptions.ReadOnlyError | exceptions.MovedError)
