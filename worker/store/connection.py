"""Connects to Redis, runs scripts and translates errors, for this package only."""

import threading
from collections.abc import Sequence
from contextvars import ContextVar
from hashlib import sha1
from time import monotonic, sleep
from typing import Any

import redis
from redis import exceptions
from redis.sentinel import MasterNotFoundError

from worker import greenlets
from worker.errors import StoreError, StoreFull, StoreUnavailable
from worker.store.address import parse_address
from worker.store.discovery import was_moved
from worker.store.pipe import Pipe, TooManyWait
from worker.store.tls import TlsError, TlsTimeoutError

#: Redis cannot be reached, or says that it is not ready.
AWAY = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
)
#: Error codes of a server that cannot take a write now, but may later, or of which another server may take it.
PASSING_CODES = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "BUSY")
#: What it means that a server of a cluster does not have our keys; with ``redis+cluster://`` we find the one that has.
IS_MOVING = "the cluster is moving our keys to another node"
IS_CLUSTER = "this Redis is a node of a cluster: REDIS_URL must start with redis+cluster://"
#: Seconds after which a connection that the network does not open counts as impossible.
CONNECT_S = 2.0
#: Seconds after a timeout during which no call waits for a Redis that counts as gone.
AGAIN_S = 0.5
#: Seconds that a call waits for room, and between two looks whether there is some.
ROOM_S, CROWDED_S = 1.0, 0.01
#: The least time that a call gets, in seconds, and how far a wait may be off.
LEAST_S, TOLERANCE_S = 0.05, 0.05
#: Seconds of idling after which a connection is checked before it is used. The check is a system call: a busy receiver
#: saves it, and notices a connection that was closed a moment ago by its error.
IDLE_S = 0.1

#: How Redis begins to quote the arguments of a command that it does not know.
QUOTES_ARGUMENTS = "with args beginning with"
#: Characters of Redis's own words that an error keeps.
MAX_ERROR_LENGTH = 200

#: A command to send after a script, over the same connection and without waiting for the script's answer.
Command = tuple[str | float, ...]

#: Until when the calls of this thread, or of this delivery in an event loop, may wait.
_until: ContextVar[float | None] = ContextVar("until", default=None)


class Client(redis.Redis):
    """redis-py's client. It blocks a thread, and never an event loop."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return greenlets.in_thread(super().execute_command, *args, **options)

    def pipeline(self, *args: Any, **options: Any) -> Any:
        assert not greenlets.is_guest(), "it would block the event loop: call it in a thread"
        return super().pipeline(*args, **options)


def connect(url: str, *, timeout_s: float) -> redis.Redis:
    """Return a client that waits at most ``timeout_s``; it repeats nothing executed.

    It waits at most ``CONNECT_S`` for the network, because a server whose disk stalls still accepts connections.
    """
    timeouts = {"socket_timeout": timeout_s, "socket_connect_timeout": min(timeout_s, CONNECT_S)}
    return Client.from_pool(parse_address(url).pool(decode_responses=True, **timeouts))


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
    """Decides who waits for a Redis that does not answer (ADR 34).

    A slow one is worth waiting for: when its disk stalls for seconds, all who wait are answered together. So everybody
    waits until their own time is over, but ``room`` callers at most, so that some threads remain for pages; others are
    refused after ``ROOM_S``. A Redis that answers nobody for ``patience_s``, or that cannot be connected to, counts as
    gone: nobody waits for ``AGAIN_S``, and then one caller at a time does; the others are refused at once. The first
    answer ends that.
    """

    def __init__(self, patience_s: float, room: int | None = None) -> None:
        self.patience_s = patience_s
        self.room = room
        self.is_silent = False
        self._again_at = 0.0
        #: When the first call began that came after the last answer.
        self._asked_at: float | None = None
        #: The threads that wait now. What an event loop runs holds none, and there is another limit (``pipe``).
        self._waiting: set[int] = set()
        self._trying = threading.Lock()

    def stalled_s(self) -> float:
        """Return for how long callers have waited without an answer to anybody."""
        asked_at = self._asked_at
        return monotonic() - asked_at if asked_at is not None else 0.0

    def call(self, limit_s: float) -> "_Call":
        """Wrap a call of at most ``limit_s``; the block gets whether Redis counts as gone.

        Raises:
            TimeoutError: redis-py's; waiting is pointless, or too many do.
        """
        return _Call(self, limit_s)

    def begin(self) -> tuple[float, bool]:
        """Return when a call begins, and whether it tries a Redis that counts as gone."""
        began, is_trial = monotonic(), self.is_silent
        if is_trial and (began < self._again_at or not self._trying.acquire(blocking=False)):
            raise exceptions.TimeoutError("Redis does not answer")
        if not greenlets.is_guest():
            try:
                self._wait_for_room(began)
            except TooManyWait:
                self._end(is_trial)
                raise
            self._waiting.add(threading.get_ident())
        if self._asked_at is None:
            self._asked_at = began
        return began, is_trial

    def settle(self, error: BaseException | None, began: float, limit_s: float, *, is_trial: bool) -> None:
        """Note how a call has ended."""
        match error:
            case None | exceptions.ResponseError():
                self.answered()
            case TooManyWait():
                pass
            case exceptions.TimeoutError() | MasterNotFoundError():
                self._timed_out(error, began, limit_s)
            case exceptions.ConnectionError():
                self._asked_at = None  # it is away, which everybody notices at once
        self._end(is_trial)

    def _end(self, is_trial: bool) -> None:
        if not greenlets.is_guest():
            self._waiting.discard(threading.get_ident())
        if is_trial:
            self._trying.release()

    def _wait_for_room(self, began: float) -> None:
        while self.room is not None and len(self._waiting) >= self.room:
            if monotonic() - began > ROOM_S:
                raise TooManyWait("Redis does not answer, and many wait for it")
            sleep(CROWDED_S)

    def answered(self) -> None:
        """Note that Redis has answered."""
        self.is_silent = False
        self._asked_at = None

    def _timed_out(self, error: Exception, began: float, limit_s: float) -> None:
        now = monotonic()
        # Before its time was over: the network did not open a connection, or no sentinel knows a primary.
        is_early = isinstance(error, MasterNotFoundError) or now - began < limit_s - TOLERANCE_S
        if is_early or self.is_silent or self.stalled_s() > self.patience_s - TOLERANCE_S:
            self.is_silent = True
            self._again_at = now + AGAIN_S


class _Call:
    """One call within ``UnresponsiveGuard.call``.

    Like the others here, a class, which costs each delivery a third of what ``@contextmanager`` does.
    """

    __slots__ = ("_began", "_guard", "_is_trial", "_limit_s")

    def __init__(self, guard: UnresponsiveGuard, limit_s: float) -> None:
        self._guard, self._limit_s = guard, limit_s

    def __enter__(self) -> bool:
        self._began, self._is_trial = self._guard.begin()
        return self._is_trial

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._guard.settle(error, self._began, self._limit_s, is_trial=self._is_trial)


class _Deadline:
    """Sets ``_until`` within a block."""

    __slots__ = ("_before", "_until")

    def __init__(self, until: float) -> None:
        self._until = until

    def __enter__(self) -> None:
        self._before = _until.set(self._until)

    def __exit__(self, *_error: object) -> None:
        _until.reset(self._before)


class _Kept:
    """One thread's connection; ``generation`` grows each time it is reopened."""

    def __init__(self, pool: Any, demotions: int) -> None:
        self.pool = pool
        self.connection: Any = pool.get_connection()
        self.generation = 0
        self.demotions = demotions
        self.used_at = monotonic()
        self.connection.register_connect_callback(self.opened)

    def __del__(self) -> None:
        """Return the connection when its thread has ended: a server ends idle threads."""
        if hasattr(self, "connection"):
            self.pool.release(self.connection)

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
    """One connection per thread, and one for all that an event loop runs.

    See docs/adr/0007-a-connection-for-each-thread.md and 0039-deliveries-run-in-the-event-loop.md. An answer is waited
    for as long as ``client`` does, or until the caller's time is over (``within``). ``room`` is how many threads may
    wait during a stall. Every method raises redis-py's errors.
    """

    def __init__(self, client: redis.Redis, room: int | None = None) -> None:
        self.client = client
        self.patience_s: float = client.connection_pool.connection_kwargs["socket_timeout"]
        self.unresponsive = UnresponsiveGuard(self.patience_s, room)
        #: Whether TLS, if there is any, verifies the server.
        self.is_verified = client.connection_pool.connection_kwargs.get("ssl_cert_reqs") != "none"
        self._own = threading.local()
        self._pipe: Pipe | None = None
        self._demotions = 0

    def within(self, seconds: float | None = None) -> _Deadline:
        """Let all calls of this caller together take this long, by default as one."""
        return _Deadline(monotonic() + min(self.patience_s, seconds or self.patience_s))

    def left_s(self) -> float:
        """Return for how long a call may wait now; 0: the caller's time is over."""
        until = _until.get()
        return self.patience_s if until is None else max(0.0, until - monotonic())

    def run(self, script: Script, args: bytes, more: Sequence[Command] = ()) -> list[Any]:
        """Run a script, then ``more``; return all answers.

        Raises:
            RedisError: one of them failed. The others may have been executed.
        """
        try:
            return self._run(script, args, more)
        except exceptions.RedisError as error:
            if not was_moved(error):
                raise
        # That server has done nothing. Every connection is opened again, to wherever the primary is now. Giving up
        # would leave the contact alone until its message counts as lost.
        self._demotions += 1
        self.client.connection_pool.disconnect(inuse_connections=False)
        return self._run(script, args, more)

    def run_each(self, script: Script, args: Sequence[bytes]) -> list[Any]:
        """Run a script for each of these arguments in one round trip; return the answers.

        A server that writes to disk before it answers does so once for several of them.

        Raises:
            RedisError: one of them failed. The others may have been executed.
        """
        try:
            return _unless_error(self._send([script.command(one) for one in args]))
        except exceptions.NoScriptError:
            pass
        except exceptions.RedisError as error:
            if not was_moved(error):
                raise
        return [self.run(script, one)[0] for one in args]  # nothing has been executed

    def run_together(self, calls: Sequence[tuple[Script, bytes]], more: Sequence[Command] = ()) -> list[Any]:
        """Run several scripts, then ``more``, in one round trip; return all answers.

        Among them are the errors of Redis. One that ``has_done_nothing`` is of a script to be run again.
        """
        return self._send([script.command(args) for script, args in calls], more)

    def send(self, *commands: Command) -> Any:
        """Send commands, return the last answer."""
        return _unless_error(self._send([], commands))[-1]

    def ask(self, *commands: Command) -> list[Any]:
        """Send commands, return the answers, among them the errors of Redis."""
        return self._send([], commands)

    def connection(self, *, anew: bool = False) -> Any:
        """Return this thread's connection, reopened if the server closed it while idle.

        ``anew``: also if it did not, because the network may have lost it.
        """
        kept: _Kept | None = getattr(self._own, "kept", None)
        if kept is None:
            kept = self._own.kept = _Kept(self.client.connection_pool, self._demotions)
        if anew or kept.demotions != self._demotions or not kept.is_usable():
            # The next command would open it to where it was before, without asking any sentinel.
            kept.connection.disconnect()
            kept.connection.socket_timeout = max(LEAST_S, self.left_s())  # of the server's greeting
            kept.connection.connect()
            self.unresponsive.answered()  # it has greeted us
            kept.demotions = self._demotions
        return kept.connection

    def release(self) -> None:
        """Return this thread's connection to the pool."""
        self._own.kept = None

    def generation(self) -> int:
        """Return how often this thread's connection was opened again."""
        kept: _Kept | None = getattr(self._own, "kept", None)
        return kept.generation if kept else 0

    def _run(self, script: Script, args: bytes, more: Sequence[Command]) -> list[Any]:
        try:
            return _unless_error(self._send([script.command(args)], more))
        except exceptions.NoScriptError:
            return _unless_error(self._send([script.command(args, by_sha=False)], more))

    def _send(self, first: Sequence[bytes], more: Sequence[Command] = ()) -> list[Any]:
        """Send packed commands and ``more``; return answers, among them Redis's errors."""
        if greenlets.is_guest():
            # WAIT would hold up everything else on the shared connection.
            is_one = len(first) == 1 and not more
            return [self._pass(first[0])] if is_one else greenlets.in_thread(self._send, first, more)
        left_s = max(LEAST_S, self.left_s())
        with self.unresponsive.call(left_s) as is_gone:
            give_up_at = monotonic() + left_s
            connection = self.connection(anew=is_gone)
            packed = connection.pack_commands(more) if more else []
            connection.send_packed_command([b"".join((*first, *packed))])
            answers = []
            for number in range(len(first) + len(more)):
                if number:
                    self.unresponsive.answered()
                answers.append(_answer(connection, max(LEAST_S, give_up_at - monotonic())))
            return answers

    def _pass(self, command: bytes) -> Any:
        """Send a command over the connection of this event loop, and return the answer."""
        left_s = max(LEAST_S, self.left_s())
        began, is_trial = self.unresponsive.begin()
        try:
            pipe = self._pipe
            if is_trial or pipe is None or pipe.is_over or not pipe.loop.is_running():
                pipe = self._open_pipe()
            answer = greenlets.wait(pipe.send(command, left_s))
        except BaseException as error:
            self.unresponsive.settle(error, began, left_s, is_trial=is_trial)
            raise
        if is_trial:
            self.unresponsive.settle(None, began, left_s, is_trial=True)
        if isinstance(answer, Exception) and was_moved(answer):
            pipe.retire()
        return answer

    def _open_pipe(self) -> Pipe:
        pool, before = self.client.connection_pool, self._pipe
        self._pipe = Pipe(lambda: pool.connection_class(**pool.connection_kwargs), self.unresponsive.answered)
        if before is not None and before.loop is self._pipe.loop:
            before.retire()
        return self._pipe


def has_done_nothing(answer: Any) -> bool:
    """Return whether this is the error of a script that was not executed."""
    is_error = isinstance(answer, exceptions.RedisError)
    return is_error and (isinstance(answer, exceptions.NoScriptError) or was_moved(answer))


def _unless_error(answers: list[Any]) -> list[Any]:
    """Return the answers, or raise the first error among them."""
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


def _without_arguments(text: str) -> str:
    """Return what Redis says about a command, without the arguments that it may quote.

    They can be a person's data: "ERR unknown command 'EVALSHA', with args beginning with: '...'".
    """
    return text.partition(QUOTES_ARGUMENTS)[0].rstrip(", ")[:MAX_ERROR_LENGTH]


class translated:  # noqa: N801 - read as a function
    """Translates redis-py's errors into ours, within a block.

    Raises:
        StoreFull: Redis is out of memory.
        StoreUnavailable: it cannot be reached, or cannot take the command now.
        StoreError: it refused the command for another reason, for example a bug in a script.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, exceptions.RedisError):
            raise _ours(error) from error


def _ours(error: exceptions.RedisError) -> StoreError:
    """Return our error for one of redis-py's."""
    match error:
        case exceptions.OutOfMemoryError():
            return StoreFull("Redis is out of memory")
        case TlsError() | TlsTimeoutError():
            return StoreUnavailable(str(error))
        case exceptions.AuthenticationError():
            return StoreUnavailable("it refused the user or the password in REDIS_URL")
        case exceptions.MovedError():
            return StoreUnavailable(IS_CLUSTER)
        case exceptions.AskError() | exceptions.TryAgainError():
            return StoreUnavailable(IS_MOVING)
    if isinstance(error, AWAY):
        return StoreUnavailable(type(error).__name__)
    if not isinstance(error, exceptions.ResponseError):
        return StoreError(type(error).__name__)
    code = error.status_code or str(error).split(" ", 1)[0]  # redis-py cuts off the codes that it knows
    return StoreUnavailable(code) if code in PASSING_CODES else StoreError(_without_arguments(str(error)))
