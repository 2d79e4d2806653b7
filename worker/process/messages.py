"""Drops messages that are not ours before Celery reads them.

Celery and kombu end the worker, or wait for years, because of a message in the queue that they did not write: JSON
without headers, an unknown compression, a chord. A message is only a hint (docs/adr/0001-messages-are-hints.md), so
whatever is not exactly ours is dropped and counted. What is ours is written anew from our own envelope, so that Celery
reads nothing else. Nearly all messages match the envelope character by character, which a regular expression decides;
those of another version of Celery, whose fields have another order, are parsed.

``broker`` gives kombu ``CheckedRedis``, its own client with this check.
"""

import json
import logging
import re
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

from kombu.transport import redis
from kombu.transport.redis import exceptions  # type: ignore[attr-defined]  # redis-py's; its stubs leave it out

from worker.store import keys
from worker.store.queue import ID_MARK, KEY_MARK, KEYS_PER_MESSAGE, Envelope
from worker.telemetry import LogEvent

log = logging.getLogger(__name__)

#: Ours have less than 1 kB.
MAX_BYTES = 16_384
#: Ids, and keys with spaces between; names of processes have further characters.
NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
NAMES = re.compile(rf"{NAME.pattern}(?: {NAME.pattern}){{0,{KEYS_PER_MESSAGE - 1}}}", re.ASCII)
WRITER = re.compile(r"[\w.:@+-]{1,255}", re.ASCII)
#: What differs between processes that write the same message.
OF_WRITER = ("origin", "reply_to", "delivery_tag")
#: Seconds between two lines in the log about dropped messages, or about a queue that cannot be read.
LOG_EVERY_S = 60.0
#: Seconds before a queue that cannot be read is tried again.
RETRY_S = 1.0


class MessageReader:
    """Reads messages from the queue.

    ``on_dropped`` is called for each that is not ours. ``clock`` is in seconds.
    """

    def __init__(
        self,
        envelope: Envelope,
        on_dropped: Callable[[], None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.envelope = envelope
        self.on_dropped = on_dropped
        self.clock = clock
        self._dropped = 0
        self._log_at = self._log_unreadable_at = float("-inf")

    def read(self, item: bytes | str) -> str | None:
        """Return our message for the same contact, or ``None`` if it is not ours."""
        message = self._ours(item) if len(item) <= MAX_BYTES else None
        if message is None:
            self._drop(len(item))
        return message

    def unreadable(self, error: Exception) -> None:
        """Log that the queue cannot be read, and wait before it is tried again."""
        if self.clock() >= self._log_unreadable_at:
            self._log_unreadable_at = self.clock() + LOG_EVERY_S
            log.critical(LogEvent("queue unreadable", key=keys.QUEUE, error=error))
        time.sleep(RETRY_S)

    @cached_property
    def _usual(self) -> re.Pattern[str]:
        return _pattern(self.envelope)

    def _ours(self, item: bytes | str) -> str | None:
        try:
            text = item if isinstance(item, str) else item.decode()
            if usual := self._usual.fullmatch(text):
                return self.envelope.message(usual["key"], usual["id"])
            found = _parsed(text)
            key, message_id = found["body"][0][0], found["headers"]["id"]
            if not (NAMES.fullmatch(key) and NAME.fullmatch(message_id)):
                return None
            message = self.envelope.message(key, message_id)
            return message if _essence(found) == _essence(_parsed(message)) else None
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None

    def _drop(self, length: int) -> None:
        self.on_dropped()
        self._dropped += 1
        if self.clock() >= self._log_at:
            log.warning(LogEvent("messages dropped", number=self._dropped, bytes=length))
            self._log_at = self.clock() + LOG_EVERY_S
            self._dropped = 0


def _pattern(envelope: Envelope) -> re.Pattern[str]:
    """Return what a message of ours looks like that the same versions wrote."""
    message = json.loads(envelope.template)
    pattern = re.escape(envelope.template)
    for part in (message["headers"], message["properties"]):
        for name in OF_WRITER:
            if name in part and part[name] != ID_MARK:
                pattern = pattern.replace(re.escape(f'"{part[name]}"'), f'"{WRITER.pattern}"')
    for name, mark, allowed in (("key", KEY_MARK, NAMES), ("id", ID_MARK, NAME)):
        first, *others = pattern.split(re.escape(mark))
        pattern = f"{first}(?P<{name}>{allowed.pattern})" + f"(?P={name})".join(others)
    return re.compile(pattern, re.ASCII)


def _parsed(text: str) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(text)
    return {**message, "body": json.loads(message["body"])}


def _essence(message: dict[str, Any]) -> dict[str, Any]:
    """Return what two messages of ours for the same contacts have in common.

    Fields without a value are left out: another version of Celery may know more or fewer of them.
    """
    headers, properties = message["headers"], message["properties"]
    if not all(WRITER.fullmatch(part[name]) for part in (headers, properties) for name in OF_WRITER if name in part):
        raise ValueError
    parts = {"headers": headers, "properties": properties}
    kept = {name: {k: v for k, v in part.items() if v and k not in OF_WRITER} for name, part in parts.items()}
    args, kwargs, embed = message["body"]
    return {**message, **kept, "body": [args, kwargs, {k: v for k, v in embed.items() if v}]}


class CheckedRedis(redis.PrefixedStrictRedis):
    """kombu's client, which sees only messages that are ours. Others count as none."""

    def __init__(self, *args: Any, reader: MessageReader, **options: Any) -> None:
        self.reader = reader
        super().__init__(*args, **options)

    def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
        if command_name != "BRPOP":
            return super().parse_response(connection, command_name, **options)
        try:
            answer = super().parse_response(connection, command_name, **options)
        except exceptions.ResponseError as error:
            if not _is_lasting(error):
                raise
            self.reader.unreadable(error)
            return None
        message = self.reader.read(answer[1]) if answer else None
        return None if message is None else (answer[0], message)


def _is_lasting(error: Exception) -> bool:
    """Return whether it would not help to connect again."""
    return isinstance(error, exceptions.NoPermissionError) or str(error).startswith("WRONGTYPE")
