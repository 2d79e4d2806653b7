"""Custom and additional attributes are mapped like fields."""

from typing import Any

import pytest

from webhook_app.sources import Source
from webhook_app.sources.config import completed, read_source
from webhook_app.sources.presets import PRESETS
from worker.errors import SettingsError
from worker.model import Signup

APP: dict[str, Any] = {"verify": "token", "secret": "test_secret_key"}
MAP: dict[str, Any] = {
    "identifier": "$.id",
    "custom_attributes": {
        "plan": ["$.plan.name", "$.plan"],
        "seats": "$.plan.seats",
        "vip": ["$.old.vip", "$.vip"],
        "origin": {"constant": "shop"},
        "team": {"join": ["$.team", "$.unit"], "with": "/"},
    },
    "additional_attributes": "$.traits",
}


def app(**keys: Any) -> Source:
    return read_source("app", {**APP, "map": MAP, **keys}, {})


def read(source: Source, payload: dict[str, Any]) -> Signup:
    reading = source.read_payload({"id": "42", **payload})
    assert isinstance(reading, Signup)
    return reading


def test_each_attribute_has_a_rule_or_an_object_has_them_all() -> None:
    payload = {"plan": {"name": "gold", "seats": 5}, "vip": False, "team": "a", "traits": {"city": "Lyon", "age": 36}}
    found = read(app(), payload)
    assert found.contact.custom_attributes == {
        "plan": "gold",
        "seats": 5,
        "vip": False,
        "origin": "shop",
        "team": "a",
    }
    assert found.contact.additional_attributes == {"city": "Lyon", "age": 36}
    assert (found.cleared, found.notes) == (frozenset(), ())


def test_an_attribute_is_cleared_like_a_field() -> None:
    payload = {"plan": {"name": None, "seats": ""}, "vip": None, "traits": {"city": None, "age": 36}}
    found = read(app(), payload)
    cleared = {f"custom_attributes.{name}" for name in ("plan", "seats", "vip")} | {"additional_attributes.city"}
    # A plan that is an object is not null; it is left out, and stays as it is.
    assert found.cleared == cleared - {"custom_attributes.plan"}
    assert [note.field for note in found.notes] == ["custom_attributes.plan"]
    assert found.contact.custom_attributes == {"origin": "shop"}


def test_an_event_with_the_whole_person_clears_what_is_missing() -> None:
    found = read(app(absent="clear"), {"vip": True})
    assert found.cleared == {f"custom_attributes.{name}" for name in ("plan", "seats", "team")}
    assert read(app(), {"vip": True}).cleared == frozenset()


def test_your_own_code_sends_attributes_as_they_are() -> None:
    source = read_source("app", APP, {})
    person = {"identifier": 42, "custom_attributes": {"plan": "gold", "seats": None}, "additional_attributes": None}
    for payload in (person, {"type": "user.updated", "data": person}):
        reading = source.read_payload(payload)
        assert isinstance(reading, Signup)
        assert reading.contact.custom_attributes == {"plan": "gold"}
        assert reading.contact.additional_attributes is None
        assert reading.cleared == {"custom_attributes.seats"}


def test_a_source_adds_attributes_to_those_of_its_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"identifier": "$.id", "custom_attributes": {"plan": "$.a", "tier": "$.b"}, "additional_attributes": "$.c"}
    monkeypatch.setitem(PRESETS["shopify"], "map", own)
    written = {
        "preset": "shopify",
        "map": {"custom_attributes": {"plan": "$.x"}, "additional_attributes": {"y": "$.z"}},
    }
    assert completed(written)["map"] == {
        "identifier": "$.id",
        "custom_attributes": {"plan": "$.x", "tier": "$.b"},
        "additional_attributes": {"y": "$.z"},
    }
    assert own["custom_attributes"] == {"plan": "$.a", "tier": "$.b"}


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (5, "map.custom_attributes: must be a table of rules by name"),
        ([], "map.custom_attributes: must be a table of rules by name"),
        ([{"header": "X"}], "map.custom_attributes: must be a table of rules by name"),
        ("$[", "map.custom_attributes: '$[' is not a supported JSONPath"),
        ({"plan": {"paht": "$.plan"}}, "map.custom_attributes.plan: must be a path"),
        ({"1st": "$.plan"}, "map.custom_attributes.1st: a name begins with a letter"),
        ({"a b": "$.plan"}, "map.custom_attributes.a b: a name begins with a letter"),
        ({"account_deleted_at": "$.plan"}, "map.custom_attributes.account_deleted_at: is reserved"),
        ({f"a{number}": "$.a" for number in range(51)}, "map.custom_attributes: has more than 50"),
    ],
)
def test_mistakes_name_the_attribute(written: object, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        app(map={"identifier": "$.id", "custom_attributes": written})
    assert [found.startswith(problem) for found in caught.value.problems] == [True], caught.value.problems
