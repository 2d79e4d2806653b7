"""Which messages reach Celery, and what is recorded of the others."""

import json
import logging
from secrets import token_hex

import pytest

from tests.rubbish import ENVELOPE, RUBBISH, variant
from worker.process.messages import LOG_EVERY_S, MAX_BYTES, MessageReader
from worker.store.queue import KEYS_PER_MESSAGE
from worker.store.record import contact_key

KEY, ID = "R2zq0cXfP1y.7m_-", "0123456789abcdef-500"


class Turned:
    """A clock that only the test turns, in seconds."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Turned:
    return Turned()


@pytest.fixture
def dropped() -> list[int]:
    return []


@pytest.fixture
def reader(clock: Turned, dropped: list[int]) -> MessageReader:
    return MessageReader(ENVELOPE, on_dropped=lambda: dropped.append(1), clock=clock)


def test_our_own_message_is_read_as_it_is(reader: MessageReader, dropped: list[int]) -> None:
    message = ENVELOPE.message(KEY, ID)
    assert reader.read(message.encode()) == reader.read(message) == message
    assert not dropped


def test_every_key_that_we_make_is_understood(reader: MessageReader) -> None:
    for number in range(500):
        message = ENVELOPE.message(contact_key(f"user-{number}", b"salt"), token_hex(8))
        assert reader.read(message) == message


def test_a_message_may_name_several_contacts_but_not_any_number(reader: MessageReader, dropped: list[int]) -> None:
    several = [contact_key(f"user-{number}", b"salt") for number in range(KEYS_PER_MESSAGE + 1)]
    for number in (2, KEYS_PER_MESSAGE):
        message = ENVELOPE.message(" ".join(several[:number]), ID)
        assert reader.read(message) == message
    assert not dropped
    for text in (" ".join(several), f"{KEY}  {KEY}", f"{KEY} ", f" {KEY}", f"{KEY}\\n{KEY}", f"{KEY},{KEY}"):
        assert reader.read(ENVELOPE.message(text, ID)) is None
    assert len(dropped) == 6


def test_a_message_that_another_process_of_ours_wrote_becomes_ours(reader: MessageReader) -> None:
    def from_elsewhere(message: dict[str, dict[str, object]]) -> None:
        message["headers"]["origin"] = "celery@worker-2.example.com"
        message["properties"]["reply_to"] = "11111111-2222-3333-4444-555555555555"
        message["properties"]["delivery_tag"] = "99999999-2222-3333-4444-555555555555"

    assert reader.read(variant(from_elsewhere)) == ENVELOPE.message("the-key", "the-id")


def test_the_messages_of_other_processes_are_not_parsed(reader: MessageReader, monkeypatch: pytest.MonkeyPatch) -> None:
    message = ENVELOPE.message(KEY, ID)
    origin = json.loads(message)["headers"]["origin"]
    message = message.replace(origin, "gen7@web-3.example.com")
    reader.read(message)
    monkeypatch.setattr(json, "loads", None)
    assert reader.read(message) == ENVELOPE.message(KEY, ID) != message


def test_a_version_of_celery_with_more_or_fewer_empty_fields_is_understood(reader: MessageReader) -> None:
    def newer(message: dict[str, dict[str, object]]) -> None:
        message["headers"]["new"] = None
        message["properties"]["newer"] = {}
        del message["headers"]["stamped_headers"], message["headers"]["replaced_task_nesting"]

    assert reader.read(variant(newer)) == ENVELOPE.message("the-key", "the-id")


@pytest.mark.parametrize("what", RUBBISH)
def test_anything_else_is_dropped_and_counted(what: str, reader: MessageReader, dropped: list[int]) -> None:
    assert reader.read(RUBBISH[what]) is None
    assert len(dropped) == 1


def test_a_huge_message_is_dropped_unread(reader: MessageReader) -> None:
    message = ENVELOPE.message(KEY, ID)
    assert reader.read(message + " " * (MAX_BYTES - len(message))) == message
    assert reader.read(message + " " * MAX_BYTES) is None
    assert len(ENVELOPE.template) < MAX_BYTES / 8


def test_the_log_has_a_line_a_minute_without_the_content(
    reader: MessageReader, clock: Turned, caplog: pytest.LogCaptureFixture
) -> None:
    secret = json.dumps({"body": "ada@example.com"})
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            reader.read(secret)
        clock.seconds += LOG_EVERY_S
        reader.read(secret)
        reader.read(secret)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert [record.getMessage() for record in caplog.records] == [
        "messages dropped number=1 bytes=27",
        "messages dropped number=5 bytes=27",
    ]
