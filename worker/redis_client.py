"""How we connect to Redis, and what its errors mean to us. Only ``store`` and ``history`` use this."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from threading import local
from typing import Any
from weakref import WeakKeyDictionary

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.errors import StoreError, StoreFull, StoreUnavailable

#: It cannot be reached, or says itself that it is not ready.
AWAY = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
)
#: Error codes of a server that is there but cannot take a write now; another moment or another server may.
PASSING_CODES = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY")


#: Each client's connections that threads keep, by the client's pool: closed with it.
_kept: WeakKeyDictionary[redis.ConnectionPool, local] = WeakKeyDictionary()


def connect(url: str, *, timeout_s: float) -> redis.Redis:
    """A client that waits ``timeout_s`` at most for a connection or an answer, and repeats nothing by itself.

    redis-py 8 repeats a command up to ten times unless told otherwise, although its answer alone may have been lost.
    """
    client: redis.Redis = redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
    )
    return client


class Script:
    """A Lua script of ours. Each thread runs it over a connection that it keeps.

    redis-py's own ``Script`` takes a connection out of the pool and puts it back for every call, and looks for
    replicas, retries and caches on the way: two thirds of the time that a call costs
    (docs/adr/0007-a-connection-for-each-thread.md).
    """

    def __init__(self, client: redis.Redis, source: str) -> None:
        self.pool = client.connection_pool
        self.connections = _kept.setdefault(self.pool, local())
        self.source = source
        self.sha = sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], args: Sequence[str | float]) -> Any:
        """What the script returns; raises redis-py's errors."""
        connection = self._connection()
        try:
            connection.send_command("EVALSHA", self.sha, len(keys), *keys, *args)
            return connection.read_response()
        except exceptions.NoScriptError:
            connection.send_command("EVAL", self.source, len(keys), *keys, *args)
            return connection.read_response()

    def _connection(self) -> Any:
        """This thread's connection. One that was closed from the other side while it was idle is opened again."""
        connection: Any = getattr(self.connections, "own", None)
        if connection is None:
            connection = self.connections.own = self.pool.get_connection()
        elif _is_spoiled(connection):
            connection.disconnect()
        return connection


def _is_spoiled(connection: Any) -> bool:
    """Whether the other side has closed it, or said what nobody asked for."""
    try:
        return bool(connection.can_read(timeout=0))
    except (exceptions.ConnectionError, OSError):
        return True


@contextmanager
def translated() -> Iterator[None]:
    """Turns redis-py's errors into ours.

    Raises:
        StoreFull: Redis is out of memory.
        StoreUnavailable: it cannot be reached, or cannot take the command for now.
        StoreError: anything else that it refused, a script's bug for one.
    """
    try:
        yield
    except exceptions.OutOfMemoryError as error:
        raise StoreFull("Redis is out of memory") from error
    except AWAY as error:
        raise StoreUnavailable(type(error).__name__) from error
    except exceptions.ResponseError as error:
        message = str(error)
        if message.startswith(PASSING_CODES):
            raise StoreUnavailable(message.split(" ", 1)[0]) from error
        raise StoreError(message[:200]) from error
    except exceptions.RedisError as error:
        raise StoreError(type(error).__name__) from error
