"""Rules whose value is yes or no, on what senders really write."""

import re
from decimal import Decimal
from typing import Any

import pytest

from tests.mapped import mapped
from webhook_app.sources.mapping.entry import read_mapping
from webhook_app.sources.mapping.flags import compile_flag
from webhook_app.sources.mapping.paths import Scope
from worker.errors import SettingsError


def answer(written: object, payload: object, **headers: str) -> bool | None:
    return compile_flag(written).value(payload, Scope(headers))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        ("true", True),  # Cognito writes text: powertools-lambda-python, cognitoPostConfirmationEvent.json
        ("false", False),
        ("True", True),
        (" FALSE ", False),
        (1, True),
        (0, False),
        (Decimal(1), True),
        ("1", True),
        ("0", False),
        (None, None),
        ("", None),
        ("yes", True),
        ("No", False),
        ("maybe", None),
        ({}, None),
        ([True], None),
    ],
)
def test_a_path_reads_a_boolean_in_any_spelling(value: object, expected: bool | None) -> None:
    assert answer("$.verified", {"verified": value}) is expected


def test_nothing_is_unknown() -> None:
    assert answer("$.verified", {}) is None
    assert answer("$..verified", {"a": [{"b": 1}]}) is None


def test_a_search_finds_booleans_too() -> None:
    """A field's rule skips what is neither text nor a number; this one must not."""
    addresses = [{"id": "a", "verified": True}, {"id": "b", "verified": False}]
    assert answer("$.addresses[?@.id == $.primary].verified", {"primary": "b", "addresses": addresses}) is False


@pytest.mark.parametrize(
    ("value", "is_there"),
    [("2024-05-01T00:00:00Z", True), (1700000000, True), (False, True), (None, False), ("", False), (" ", False)],
)
def test_exists_reads_times(value: object, is_there: bool) -> None:
    assert answer({"path": "$.confirmed_at", "exists": True}, {"confirmed_at": value}) is is_there
    assert answer({"path": "$.confirmed_at", "exists": False}, {"confirmed_at": value}) is not is_there


def test_a_path_that_leads_nowhere_is_unknown() -> None:
    assert answer({"path": "$.confirmed_at", "exists": True}, {}) is None
    assert answer({"path": "$.confirmed_at", "exists": False}, {}) is None


def test_a_name_can_be_spelled_in_any_way() -> None:
    assert answer({"named": ["email verified"]}, {"emailVerified": False}) is False
    assert answer({"named": ["email_verified_at"], "exists": True}, {"email_verified_at": None}) is False
    assert answer({"named": ["email_verified_at"], "exists": True}, {"Email-Verified-At": "2024"}) is True
    assert answer({"named": ["email_verified_at"], "exists": True}, {}) is None


@pytest.mark.parametrize(
    ("status", "expected"), [("verified", True), ("transferable", True), ("unverified", False), (None, None)]
)
def test_equals_compares_words(status: object, expected: bool | None) -> None:
    rule = {"path": "$.status", "equals": ["verified", "transferable"]}
    assert answer(rule, {"status": status}) is expected
    assert answer({"path": "$.status", "equals": "verified"}, {}) is None


def test_equals_does_not_take_one_for_true() -> None:
    assert answer({"path": "$.status", "equals": 1}, {"status": True}) is False


def test_the_first_known_alternative_is_used() -> None:
    rule = ["$.email_verified", {"path": "$.status", "equals": "ok"}, {"constant": False}]
    assert answer(rule, {"email_verified": False, "status": "ok"}) is False
    assert answer(rule, {"status": "ok"}) is True
    assert answer(rule, {}) is False


def test_a_header_can_answer() -> None:
    assert answer({"header": "X-Verified"}, {}, **{"X-Verified": "false"}) is False


@pytest.mark.parametrize(
    "written",
    [
        *(True, 5, None, [], {}, {"constant": "no"}, {"header": ""}, {"path": "$.a"}, {"path": "$.a", "equals": None}),
        *({"path": "$.a", "exists": "yes"}, {"path": "$.a", "equals": []}, {"path": ["$.a"], "exists": True}),
    ],
)
def test_a_mistake_is_explained(written: Any) -> None:
    with pytest.raises(ValueError, match=re.escape("must be a path to true or false")):
        compile_flag(written)


def test_a_mapping_names_the_rule_that_is_wrong() -> None:
    with pytest.raises(SettingsError, match=r"map\.email_verified: must be a path to true or false"):
        read_mapping({"map": {"identifier": "$.id", "email_verified": {"path": "$.a"}}})


def test_a_mapping_returns_the_country_and_the_answer_beside_the_fields() -> None:
    rules = {"identifier": "$.id", "country": "$.address.country", "email_verified": "$.verified"}
    mapping = read_mapping({"map": rules})
    payload = {"id": "1", "address": {"country": "FR"}, "verified": False}
    assert mapped(mapping, payload) == {"identifier": "1", "country": "FR", "email_verified": False}
    assert mapped(mapping, {"id": "1"}) == {"identifier": "1"}
