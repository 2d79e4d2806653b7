"""What happened at the source, and which fields a person no longer has."""

from typing import Any

import pytest

from tests.mapped import NOW
from webhook_app.sources import Source
from webhook_app.sources.config import read_source
from webhook_app.sources.mapping.entry import read_mapping
from webhook_app.sources.mapping.events import MAX_NAME
from webhook_app.sources.mapping.mapping import Raw
from webhook_app.sources.mapping.paths import Scope
from worker.errors import SettingsError, Unmappable
from worker.model import Contact, Event, Identity, Note, NoteCode, OnChange, OnDelete, Signup

MAP = {"identifier": "$.id", "name": "$.name", "email": "$.email", "phone_number": "$.phone"}
APP: dict[str, Any] = {
    "verify": "token",
    "secret": "test_secret_key",
    "contact": "$.data",
    "map": MAP,
    "event": "$.type",
    "event_time": "$.at",
    "only_if": {"$.type": ["user.created", "user.updated"]},
    "ignore_if": {"$.data.is_bot": True},
    "deleted_if": {"$.type": "user.deleted"},
    "on_delete": "mark",
}
AT, AT_MS = "2026-01-01T10:00:00Z", 1_767_261_600_000


def app(**keys: Any) -> Source:
    return read_source("app", {**APP, **keys}, {})


def read(source: Source, kind: str = "user.updated", **data: Any) -> Signup | None:
    reading = source.read_payload({"type": kind, "at": AT, "data": {"id": "42", **data}})
    assert not isinstance(reading, list)
    return reading


def raw(entry: dict[str, Any], payload: object, headers: dict[str, str] | None = None) -> Raw:
    found = read_mapping({"map": {"identifier": "$.id"}, **entry}).apply(payload, Scope(headers or {}), NOW)
    assert found is not None
    return found


# Events


def test_an_event_has_a_name_and_a_time() -> None:
    assert read(app(), name="Ada") == Signup(Contact("42", name="Ada"), event=Event("user.updated", AT_MS))


def test_a_source_without_these_keys_has_no_events() -> None:
    assert raw({}, {"id": "42", "type": "user.updated", "timestamp": AT}).event == Event()


@pytest.mark.parametrize(
    ("written", "payload", "name"),
    [
        ("$.type", {"type": "user.updated"}, "user.updated"),
        ({"header": "X-Topic"}, {}, "customers/update"),
        (["$.type", "$.event"], {"event": "changed"}, "changed"),
        ("$.type", {"type": " two\n\tlines "}, "two lines"),
        ("$.type", {"type": "\x1b[2Jred\u202e"}, "[2Jred"),
        ("$.type", {"type": 7}, "7"),
        ("$.type", {"type": "x" * 100}, "x" * MAX_NAME),
        ("$.type", {"type": {"name": "user.updated"}}, ""),
        ("$.type", {"type": True}, ""),
        ("$.type", {}, ""),
    ],
)
def test_the_name_of_an_event_is_short_and_printable(written: object, payload: dict[str, Any], name: str) -> None:
    headers = {"X-Topic": "customers/update"}
    assert raw({"event": written}, {"id": "42", **payload}, headers).event == Event(name)


@pytest.mark.parametrize(
    ("payload", "at"),
    [
        ({"at": AT, "created": 1_700_000_000}, AT_MS),
        ({"at": "soon", "created": 1_700_000_000}, 1_700_000_000_000),
        ({"at": None, "created": "1700000000"}, 1_700_000_000_000),
        ({"created": 5}, None),
        ({}, None),
    ],
)
def test_the_first_alternative_that_is_a_time_is_used(payload: dict[str, Any], at: int | None) -> None:
    assert raw({"event_time": ["$.at", "$.created"]}, {"id": "42", **payload}).event == Event(at=at)


def test_a_time_can_be_a_header() -> None:
    found = raw({"event_time": {"header": "X-Triggered-At"}}, {"id": "42"}, {"X-Triggered-At": AT})
    assert found.event.at == AT_MS
    assert read_mapping({"map": MAP, "event_time": {"header": "X-Triggered-At"}}).headers == ("X-Triggered-At",)


# Deletions


def test_a_deletion_has_only_an_identifier() -> None:
    source = app(inbox_id=7, id_prefix="app-")
    expected = Signup(Contact("app-42"), event=Event("user.deleted", AT_MS, is_deletion=True))
    assert read(source, "user.deleted", name="Ada", email=None, phone="not a number") == expected


def test_ignore_if_comes_before_a_deletion_and_only_if_does_not() -> None:
    assert read(app(), "user.deleted", is_bot=True) is None
    assert read(app(), "user.banned") is None
    assert read(app(test_if={"$.data.is_test": True}), "user.deleted", is_test=True) is None


def test_all_conditions_of_a_deletion_must_hold() -> None:
    source = app(deleted_if={"$.type": "user.updated", "$.data.state": ["closed", "erased"]})
    closed, open_ = read(source, state="closed"), read(source, state="open")
    assert closed is not None
    assert closed.event.is_deletion
    assert open_ is not None
    assert not open_.event.is_deletion


@pytest.mark.parametrize("identifier", ["undefined", "", None])
def test_the_identifier_of_a_deletion_is_checked_like_any(identifier: object) -> None:
    with pytest.raises(Unmappable, match="identifier"):
        read(app(), "user.deleted", id=identifier)
    allowed = read(app(allow_identifiers=["undefined"]), "user.deleted", id="undefined")
    assert allowed is not None
    assert allowed.contact.identifier == "undefined"


@pytest.mark.parametrize("identifier", ["42", "undefined", None])
def test_a_source_ignores_deletions_by_default(identifier: object) -> None:
    source = read_source("app", {key: value for key, value in APP.items() if key != "on_delete"}, {})
    assert source.origin.on_delete is OnDelete.IGNORE
    (element,) = source.read_again({"type": "user.deleted", "data": {"id": identifier}}).elements
    assert element.reading is None
    assert element.is_ignored_deletion
    (element,) = source.read_again({"type": "user.banned", "data": {"id": identifier}}).elements
    assert not element.is_ignored_deletion


def test_your_own_code_deletes_with_the_usual_names() -> None:
    source = read_source("app", {"verify": "token", "secret": "test_secret_key", "on_delete": "mark"}, {})
    body = {"type": "user.deleted", "timestamp": AT, "data": {"identifier": 42}}
    deletion = Signup(Contact("42"), event=Event("user.deleted", AT_MS, is_deletion=True))
    assert source.read_payload(body) == deletion
    assert source.read_payload({**body, "type": "user.updated"}) == Signup(
        Contact("42"), event=Event("user.updated", AT_MS)
    )


# Changes


def test_changes_of_a_visitor_are_only_noted_by_default() -> None:
    assert app().origin.on_change is OnChange.UPDATE
    assert app(identity="visitor").origin.on_change is OnChange.NOTE
    visitor = app(identity="visitor", on_change="update").origin
    assert (visitor.on_change, visitor.identity) == (OnChange.UPDATE, Identity.VISITOR)
    assert app(on_change="note", on_delete="delete").origin.on_change is OnChange.NOTE


@pytest.mark.parametrize("value", [None, "", "  \t"])
def test_null_and_blank_text_clear_a_field(value: str | None) -> None:
    found = read(app(), name="Ada", email=value)
    assert found is not None
    assert found.cleared == {"email"}
    assert found.contact == Contact("42", name="Ada")


def test_what_is_not_mentioned_is_kept_unless_the_event_has_the_whole_person() -> None:
    kept, gone = read(app(), name="Ada"), read(app(absent="clear"), name="Ada")
    assert kept is not None
    assert kept.cleared == frozenset()
    assert gone is not None
    assert gone.cleared == {"email", "phone_number"}


@pytest.mark.parametrize("absent", ["keep", "clear"])
def test_what_cannot_be_used_is_not_cleared(absent: str) -> None:
    found = read(app(absent=absent), name="undefined", email="nonsense", phone="1")
    assert found is not None
    assert found.cleared == frozenset()
    assert {note.field for note in found.notes} == {"name", "email", "phone_number"}
    assert {note.code for note in found.notes} == {NoteCode.LEFT_OUT}
    assert isinstance(found.notes[0], Note)


@pytest.mark.parametrize(
    ("rule", "payload", "is_cleared"),
    [
        ("$.a", {"a": None}, True),
        ("$.a", {}, False),
        ("$.a.b", {"a": None}, False),
        ("$.list[0].b", {"list": [{"b": ""}]}, True),
        ("$.list[*].b", {"list": [{"b": None}]}, False),
        (["$.a", "$.b"], {"b": None}, True),
        (["$.a", "$.b"], {"a": None, "b": "Ada"}, False),
        ({"join": ["$.a", "$.b"]}, {"a": None, "b": ""}, True),
        ({"join": ["$.a", "$.b"]}, {"a": None}, False),
        ({"join": ["$.a", ["$.b", "$.c"]]}, {"a": None, "c": None}, True),
        ([{"join": ["$.a", "$.b"]}, "$.c"], {"c": None}, True),
        ({"path": "$.a", "prefix": "Dr. "}, {"a": None}, True),
        ({"path": "$.a", "replace": {"x": "y"}}, {"a": " "}, True),
        ({"path": "$.a", "base": "$.b"}, {"a": None}, True),
        ({"path": "$.a", "unless_equal": "$.b"}, {"a": None}, True),
        ({"path": "$.a", "unless_equal": "$.b"}, {"a": "Ada", "b": "ada"}, False),
        ({"named": ["full name"]}, {"Full-Name": None}, True),
        ({"named": ["full name"]}, {"Full-Name": None, "full_name": {}}, False),
        ({"named": ["full name"]}, {}, False),
        ({"header": "X-Name"}, {}, False),
        ({"header": "X-Blank"}, {}, True),
        ({"constant": ""}, {}, False),
    ],
)
def test_a_rule_knows_whether_the_delivery_mentions_a_field(
    rule: object, payload: dict[str, Any], is_cleared: bool
) -> None:
    entry = {"map": {"identifier": "$.id", "name": rule}}
    found = raw(entry, {"id": "42", **payload}, {"X-Blank": ""})
    value = found.fields.get("name", "missing")
    assert (value is None or value == "" or value == " ") == (is_cleared or rule == {"constant": ""})


def test_only_fields_that_can_be_missing_are_cleared() -> None:
    entry = {"map": {**MAP, "inbox_id": "$.inbox", "country": "$.country"}, "absent": "clear"}
    assert raw(entry, {"id": "42", "inbox": None}).fields == {
        "identifier": "42",
        **dict.fromkeys(("name", "email", "phone_number")),
    }


# Mistakes


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"event": 5}, "event: must be a path"),
        ({"event_time": {"path": 5}}, "event_time: must be a path"),
        ({"event_time": ["$.a", "$["]}, "event_time: '$[' is not a supported JSONPath"),
        ({"deleted_if": "user.deleted"}, "deleted_if: must be a table"),
        ({"deleted_if": {"$.type": []}}, 'deleted_if."$.type": must be a string'),
        ({"absent": "remove"}, 'absent: must be "keep" or "clear"'),
        ({"on_change": "patch"}, 'on_change: must be "update" or "note"'),
        ({"on_delete": True}, 'on_delete: must be "ignore" or "mark" or "delete"'),
    ],
)
def test_mistakes_name_the_key(keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        app(**keys)
    assert [found.startswith(problem) for found in caught.value.problems] == [True], caught.value.problems
