"""Connects to Redis, runs scripts and translates errors, for this package only."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from time import monotonic
from typing import Any

import redis
from redis import exceptions
from redis.sentinel import MasterNotFoundError

from worker.errors import StoreError, StoreFull, StoreUnavailable
from worker.store.address import parse_address
from worker.store.discovery import was_moved
from worker.store.tls import TlsError

#: Redis cannot be reached, or says that it is not ready.
AWAY = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
)
#: Error codes of a server that cannot take a write now, but may later, or of which another server may take it.
PASSING_CODES = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "ASK", "BUSY")
#: What it means that a server of a cluster does not have our keys; with ``redis+cluster://`` we find the one that has.
IS_CLUSTER = "this Redis is a node of a cluster: REDIS_URL must start with redis+cluster://"
#: Seconds after a timeout during which no call waits for Redis.
AGAIN_S = 0.5
#: Seconds of idling after which a connection is checked before it is used. The check is a system call: a busy receiver
#: saves it, and notices a connection that was closed a moment ago by its error.
IDLE_S = 0.1

#: A command to send after a script, over the same connection and without waiting for the script's answer.
Command = tuple[str | float, ...]


def connect(url: str, *, timeout_s: float) -> redis.Redis:
    """Return a client that waits at most ``timeout_s`` and never retries by itself."""
    timeouts = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    return redis.Redis.from_pool(parse_address(url).pool(decode_responses=True, **timeouts))


class Script:
    """A Lua script, with its command packed once: only the arguments are new."""

    def __init__(self, source: str, prefix: str) -> None:
        sha = sha1(source.encode(), usedforsecurity=False).hexdigest()
        self._by_sha = _pack("EVALSHA", sha, "1", prefix)
        self._by_source = _pack("EVAL", source, "1", prefix)

    def command(self, args: bytes, *, by_sha: bool = True) -> bytes:
        """Return the command in RESP; ``args`` is the script's only argument."""
        head = self._by_sha if by_sha else self._by_source
        return b"*%d\r\n%b$%d\r\n%b\r\n" % (5, head, len(args), args)


def _pack(*parts: str) -> bytes:
    return b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in (text.encode() for text in parts))


class UnresponsiveGuard:
    """Lets only one thread at a time wait for a Redis that does not answer.

    After a timeout nobody waits for ``AGAIN_S``. Then one caller at a time does, and the others are refused at once, so
    that no queue builds up. The first answer ends that.
    """

    def __init__(self) -> None:
        self.is_silent = False
        self._again_at = 0.0
        self._waiting = threading.Lock()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Wrap one call. Raises redis-py's ``TimeoutError`` when waiting is pointless."""
        is_careful = self.is_silent
        if is_careful and (monotonic() < self._again_at or not self._waiting.acquire(blocking=False)):
            raise exceptions.TimeoutError("Redis does not answer")
        try:
            yield
            self.is_silent = False
        except exceptions.ResponseError:
            self.is_silent = False
            raise
        except (exceptions.TimeoutError, MasterNotFoundError):
            self.is_silent = True
            self._again_at = monotonic() + AGAIN_S
            raise
        finally:
            if is_careful:
                self._waiting.release()


class _Kept:
    """One thread's connection; ``generation`` grows each time it is reopened."""

    def __init__(self, connection: Any, demotions: int) -> None:
        self.connection = connection
        self.generation = 0
        self.demotions = demotions
        self.used_at = monotonic()
        connection.register_connect_callback(self.opened)

    def opened(self, _connection: object) -> None:
        self.generation += 1

    def is_usable(self) -> bool:
        """Return whether the next command may be sent over it as it is."""
        idle_s = monotonic() - self.used_at
        self.used_at += idle_s
        if not self.connection.is_connected:  # ``can_read`` would open it
            return False
        return idle_s < IDLE_S or not _has_data(self.connection)


class Connections:
    """One connection per thread (docs/adr/0007-a-connection-for-each-thread.md).

    Every method raises redis-py's errors.
    """

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.unresponsive = UnresponsiveGuard()
        self._own = threading.local()
        self._demotions = 0

    def run(self, script: Script, args: bytes, more: Sequence[Command] = (), wait_s: float = 0.0) -> list[Any]:
        """Run a script, then ``more``, whose last command may take ``wait_s`` longer.

        Raises:
            RedisError: one of them failed. The others may have been executed.
        """
        try:
            return self._run(script, args, more, wait_s)
        except exceptions.RedisError as error:
            if not was_moved(error):
                raise
        # That server has done nothing. Every connection is opened again, to wherever the primary is now. Giving up
        # would leave the contact alone until its message counts as lost.
        self._demotions += 1
        self.client.connection_pool.disconnect(inuse_connections=False)
        return self._run(script, args, more, wait_s)

    def run_each(self, script: Script, args: Sequence[bytes]) -> list[Any]:
        """Run a script for each of these arguments in one round trip; return the answers.

        A server that writes to disk before it answers does so once for several of them.

        Raises:
            RedisError: one of them failed. The others may have been executed.
        """
        try:
            return self._send([script.command(one) for one in args])
        except exceptions.NoScriptError:
            pass
        except exceptions.RedisError as error:
            if not was_moved(error):
                raise
        return [self.run(script, one)[0] for one in args]  # nothing has been executed

    def send(self, commands: Sequence[Command], wait_s: float) -> Any:
        """Send commands, return the last answer, which may take ``wait_s`` longer."""
        return self._send([], commands, wait_s)[-1]

    def connection(self) -> Any:
        """Return this thread's connection, reopened if the server closed it while idle."""
        kept: _Kept | None = getattr(self._own, "kept", None)
        if kept is None:
            kept = self._own.kept = _Kept(self.client.connection_pool.get_connection(), self._demotions)
        elif kept.demotions != self._demotions or not kept.is_usable():
            # The next command would open it to where it was before, without asking any sentinel.
            kept.connection.disconnect()
            kept.connection.connect()
            kept.demotions = self._demotions
        return kept.connection

    def release(self) -> None:
        """Return this thread's connection to the pool."""
        kept: _Kept | None = getattr(self._own, "kept", None)
        if kept is not None:
            del self._own.kept
            self.client.connection_pool.release(kept.connection)

    def generation(self) -> int:
        """Return how often this thread's connection was opened again."""
        kept: _Kept | None = getattr(self._own, "kept", None)
        return kept.generation if kept else 0

    def _run(self, script: Script, args: bytes, more: Sequence[Command], wait_s: float) -> list[Any]:
        try:
            return self._send([script.command(args)], more, wait_s)
        except exceptions.NoScriptError:
            return self._send([script.command(args, by_sha=False)], more, wait_s)

    def _send(self, first: Sequence[bytes], more: Sequence[Command] = (), wait_s: float = 0.0) -> list[Any]:
        """Send packed commands and ``more``; return answers, or raise the first error."""
        with self.unresponsive.call():
            connection = self.connection()
            packed = connection.pack_commands(more) if more else []
            connection.send_packed_command([b"".join((*first, *packed))])
            waits = [connection.socket_timeout] * (len(more) + len(first))
            waits[-1] += wait_s
            answers = [_answer(connection, wait) for wait in waits]
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers


def _answer(connection: Any, timeout_s: float) -> Any:
    """Return the next answer or error; the answers after an error must be read."""
    try:
        return connection.read_response(timeout=timeout_s, disconnect_on_error=True)
    except exceptions.ResponseError as error:
        return error


def _has_data(connection: Any) -> bool:
    """Return whether there is an end of the stream, or unexpected data, to read."""
    try:
        return bool(connection.can_read(timeout=0))
    except (exceptions.ConnectionError, OSError):
        return True


@contextmanager
def translated() -> Iterator[None]:
    """Translate redis-py's errors into ours.

    Raises:
        StoreFull: Redis is out of memory.
        StoreUnavailable: it cannot be reached, or cannot take the command now.
        StoreError: it refused the command for another reason, for example a bug in a script.
    """
    try:
        yield
    except exceptions.OutOfMemoryError as error:
        raise StoreFull("Redis is out of memory") from error
    except TlsError as error:
        raise StoreUnavailable(str(error)) from error
    except exceptions.AuthenticationError as error:
        raise StoreUnavailable("it refused the user or the password in REDIS_URL") from error
    except AWAY as error:
        raise StoreUnavailable(type(error).__name__) from error
    except exceptions.MovedError as error:
        raise StoreUnavailable(IS_CLUSTER) from error
    except exceptions.ResponseError as error:
        code = error.status_code or str(error).split(" ", 1)[0]  # redis-py cuts off the codes that it knows
        if code in PASSING_CODES:
            raise StoreUnavailable(code) from error
        raise StoreError(str(error)[:200]) from error
    except exceptions.RedisError as error:
        raise StoreError(type(error).__name__) from error
