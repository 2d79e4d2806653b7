"""How we connect to Redis, and what its errors mean to us. Only ``store`` and ``history`` use this."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha1
from threading import Lock, local
from time import monotonic
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, proxy

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from worker.errors import StoreError, StoreFull, StoreUnavailable
from worker.store.address import is_sentinel, parse_sentinel

#: It cannot be reached, or says itself that it is not ready.
AWAY = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
)
#: Error codes of a server that is there but cannot take a write now; another moment or another server may.
PASSING_CODES = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY")

T = TypeVar("T")

#: Seconds after a time-out for which nobody waits for Redis.
AGAIN_S = 0.5


class Turns:
    """Who waits for a Redis that says nothing: one caller at a time, not every thread of the receiver.

    After a time-out, whoever comes while another still waits for an answer is refused at once, so that no queue builds
    up; and so is everybody for a moment, so that nobody waits who has waited for a thread before. The first answer ends
    that.
    """

    def __init__(self) -> None:
        self.silent = False
        self._again_at = 0.0
        self._asking = Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """For the time of one call. Raises redis-py's ``TimeoutError`` where there is no point in waiting."""
        careful = self.silent
        if careful and (monotonic() < self._again_at or not self._asking.acquire(blocking=False)):
            raise exceptions.TimeoutError("Redis says nothing")
        try:
            yield
            self.silent = False
        except exceptions.ResponseError:
            self.silent = False
            raise
        except (exceptions.TimeoutError, MasterNotFoundError):
            self.silent = True
            self._again_at = monotonic() + AGAIN_S
            raise
        finally:
            if careful:
                self._asking.release()


class Lines:
    """The connections of one client's pool that threads keep, one each, and whose turn it is to wait."""

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self.pool = proxy(pool)  # it is the key of ``_lines``, which would keep it for ever
        self.turns = Turns()
        self._own = local()
        self._demotions = 0

    def connection(self) -> Any:
        """This thread's connection. One that was closed from the other side while it was idle is opened again."""
        connection: Any = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self.pool.get_connection()
        elif self._own.demotions != self._demotions or _is_spoiled(connection):
            # Left to the next command, it would be opened to where it was before, without asking any sentinel.
            connection.disconnect()
            connection.connect()
        self._own.demotions = self._demotions
        return connection

    def socket(self) -> object:
        """What this thread speaks over now: another object once the connection was opened anew, if by chance to
        another server."""
        return getattr(getattr(self._own, "connection", None), "_sock", None)

    def demoted(self) -> None:
        """A replica answers where the primary was: all connections are opened anew, wherever the primary is now."""
        self._demotions += 1
        self.pool.disconnect(inuse_connections=False)


#: The lines of each client, by its pool: closed with it.
_lines: WeakKeyDictionary[redis.ConnectionPool, Lines] = WeakKeyDictionary()


def lines_of(client: redis.Redis) -> Lines:
    pool = client.connection_pool
    return _lines.get(pool) or _lines.setdefault(pool, Lines(pool))


def connect(url: str, *, timeout_s: float) -> redis.Redis:
    """A client that waits ``timeout_s`` at most for a connection or an answer, and repeats nothing by itself.

    redis-py 8 repeats a command up to ten times unless told otherwise, although its answer alone may have been lost.
    With Sentinel, each new connection asks for the primary first, and then makes sure that it is one.
    """
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
    }
    if not url.startswith("unix://"):
        options["socket_keepalive"] = True
    if not is_sentinel(url):
        client: redis.Redis = redis.Redis.from_url(url, **options)
        return client
    address = parse_sentinel(url)
    own = {**address.sentinel_options, "retry": Retry(NoBackoff(), 0), "retry_on_error": []}
    login = {"username": address.username, "password": address.password, "db": address.db}
    sentinel: Any = Sentinel(address.sentinels, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
    found: redis.Redis = sentinel.master_for(address.service, redis_connect_func=_as_primary, **options, **login)
    return found


def _as_primary(connection: Any) -> None:
    """Opens a connection to a primary. Amid a failover the sentinels still name the old one, and that may already be a
    replica, on which a script would find nothing to do and say so (redis.io, "Guidelines for Redis clients with
    support for Redis Sentinel", step 3).

    Raises:
        ConnectionError: it is a replica.
    """
    connection.on_connect()
    connection.send_command("ROLE")
    with suppress(exceptions.NoPermissionError):
        if connection.read_response(disconnect_on_error=True)[0] != "master":
            raise exceptions.ConnectionError("the primary has become a replica")


#: A command to send behind a script, over the same connection and without waiting for the script's answer.
Command = tuple[str | float, ...]


class Script:
    """A Lua script of ours. Each thread runs it over a connection that it keeps.

    redis-py's own ``Script`` takes a connection out of the pool and puts it back for every call, and looks for
    replicas, retries and caches on the way: two thirds of the time that a call costs
    (docs/adr/0007-a-connection-for-each-thread.md).
    """

    def __init__(self, client: redis.Redis, source: str) -> None:
        self.lines = lines_of(client)
        self.source = source
        self.sha = sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], args: Sequence[str | float]) -> Any:
        """What the script returns; raises redis-py's errors."""
        return self._on_a_primary(lambda: self._run(keys, args))

    def _run(self, keys: Sequence[str], args: Sequence[str | float]) -> Any:
        with self.lines.turns.taken():
            connection = self.lines.connection()
            try:
                connection.send_command("EVALSHA", self.sha, len(keys), *keys, *args)
                return connection.read_response(disconnect_on_error=True)
            except exceptions.NoScriptError:
                connection.send_command("EVAL", self.source, len(keys), *keys, *args)
                return connection.read_response(disconnect_on_error=True)

    def then(
        self, keys: Sequence[str], args: Sequence[str | float], more: Sequence[Command], wait_s: float
    ) -> list[Any]:
        """What the script returns, and behind it the answers of ``more``, for which another ``wait_s`` is waited.

        Raises:
            RedisError: one of them failed. The others may have been executed.
        """
        return self._on_a_primary(lambda: self._run_then(keys, args, more, wait_s))

    def _run_then(
        self, keys: Sequence[str], args: Sequence[str | float], more: Sequence[Command], wait_s: float
    ) -> list[Any]:
        try:
            return ask(self.lines, [("EVALSHA", self.sha, len(keys), *keys, *args), *more], wait_s)
        except exceptions.NoScriptError:
            return ask(self.lines, [("EVAL", self.source, len(keys), *keys, *args), *more], wait_s)

    def _on_a_primary(self, run: Callable[[], T]) -> T:
        """What ``run`` returns. A replica has done nothing of it: then once more, wherever the primary is now. A
        contact that was given up here would wait until its message counts as lost."""
        try:
            return run()
        except (exceptions.ReadOnlyError, exceptions.ConnectionError) as error:
            if not _is_from_a_replica(error):
                raise
        self.lines.demoted()
        return run()


def _is_from_a_replica(error: Exception) -> bool:
    """redis-py's connections to a primary named by Sentinel turn READONLY into a ``ConnectionError``."""
    return isinstance(error, exceptions.ReadOnlyError) or isinstance(error.__context__, exceptions.ReadOnlyError)


def ask(lines: Lines, commands: Sequence[Command], wait_s: float) -> list[Any]:
    """The answers to commands that are sent at once over this thread's connection; the last may take ``wait_s`` longer.

    Raises:
        RedisError: the first that one of them was answered with.
    """
    with lines.turns.taken():
        connection = lines.connection()
        connection.send_packed_command(connection.pack_commands(commands))
        waits = [connection.socket_timeout] * (len(commands) - 1) + [connection.socket_timeout + wait_s]
        answers = [_answer(connection, wait) for wait in waits]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers


def _answer(connection: Any, timeout_s: float) -> Any:
    """The next answer, or the error that it was: those behind it must be read all the same."""
    try:
        return connection.read_response(timeout=timeout_s, disconnect_on_error=True)
    except exceptions.ResponseError as error:
        return error


def _is_spoiled(connection: Any) -> bool:
    """Whether it is closed, by whomever, or something was said that nobody asked for."""
    if not connection.is_connected:  # ``can_read`` would open it
        return True
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
