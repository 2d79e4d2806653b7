"""Filters: one meaning for pages, API and commands, and a description."""

from typing import Any

import pytest

from webhook_app.operator import InvalidInput, describe_filter, parse_filter
from worker.model import State
from worker.store.lists import Filter

NOW = 1_772_366_645_123
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"state": "failed"}, Filter(state=State.FAILED)),
        ({"state": " failed ", "source": "", "cause": None}, Filter(state=State.FAILED)),
        ({"cause": "email_taken", "attempts": 3}, Filter(cause="email_taken", attempts=3)),
        ({"cause": "x", "attempts": "3", "source": "shop"}, Filter(cause="x", attempts=3, source="shop")),
        ({"state": "failed", "since": "2h"}, Filter(state=State.FAILED, since=NOW - 2 * HOUR_MS)),
        ({"state": "failed", "until": "2026-03-01T12:04:05.123Z"}, Filter(state=State.FAILED, until=NOW)),
        ({"state": "failed", "since": str(NOW), "until": NOW}, Filter(state=State.FAILED, since=NOW, until=NOW)),
    ],
)
def test_a_filter_is_parsed(fields: dict[str, Any], wanted: Filter) -> None:
    assert parse_filter(fields, NOW) == wanted


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, {"state", "cause"}),
        ({"source": "shop"}, {"state", "cause"}),
        ({"state": "lost", "since": "soon", "until": "2026-13-01T00:00:00Z"}, {"state", "since", "until"}),
        ({"state": "failed", "attempts": "-1"}, {"attempts"}),
        ({"state": "failed", "attempts": "9" * 400}, {"attempts"}),
        ({"state": "failed", "until": "9" * 15}, {"until"}),
        ({"state": "failed", "since": "999999999d"}, {"since"}),
        ({"cause": "x" * 101, "source": "y" * 101}, {"cause", "source"}),
    ],
)
def test_every_wrong_field_is_named_without_its_value(fields: dict[str, Any], wrong: set[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_filter(fields, NOW)
    assert caught.value.problems.keys() == wrong
    for value in fields.values():
        assert value not in str(caught.value).replace("shop", "")


def test_a_stored_filter_is_parsed_to_itself() -> None:
    wanted = Filter(state=State.FAILED, cause="x", source="shop", since=1, until=NOW, attempts=2)
    assert parse_filter(wanted.dump(), NOW) == wanted


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Filter(state=State.FAILED), "failed"),
        (Filter(cause="email_taken"), "not created, cause email_taken"),
        (
            Filter(state=State.FAILED, cause="x", source="shop", since=NOW, until=NOW, attempts=2),
            "failed, cause x, from shop, since 2026-03-01 12:04:05 UTC, until 2026-03-01 12:04:05 UTC, "
            "at least 2 attempts",
        ),
    ],
)
def test_a_filter_in_words(wanted: Filter, words: str) -> None:
    assert describe_filter(wanted) == words
