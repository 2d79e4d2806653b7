"""Any object becomes attributes that LiveDesk can store, or a note says why not."""

import json
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.attributes import MAX_ATTRIBUTES, MAX_EXACT, MAX_VALUE, NAME, read_attributes
from worker.model import DELETED_AT, Attribute, NoteCode
from worker.normalise import normalise

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("gold", "gold"),
        (" two\nlines ", "two\nlines"),
        (True, True),
        (False, False),
        (0, 0),
        (-5, -5),
        (MAX_EXACT, MAX_EXACT),
        (Decimal("29.90"), 29.9),
        (Decimal("1E+3"), 1000.0),
        ("42", "42"),
        ("null\x00", "null"),
        ("half a pair \ud800", "half a pair"),
    ],
)
def test_text_numbers_and_booleans_keep_their_type(written: object, value: Attribute) -> None:
    found = read_attributes("custom_attributes", {"plan": written})
    assert found.values == {"plan": value}
    assert type(found.values["plan"]) is type(value)
    assert (found.cleared, found.notes) == ([], [])


@pytest.mark.parametrize("written", [None, "", " \n", "\x00"])
def test_null_and_blank_text_clear_an_attribute(written: object) -> None:
    found = read_attributes("custom_attributes", {"plan": written})
    assert (found.values, found.cleared, found.notes) == ({}, ["custom_attributes.plan"], [])


@pytest.mark.parametrize(
    ("written", "value", "remark"),
    [
        ("x" * 300, "x" * MAX_VALUE, "cut to 255 characters"),
        (MAX_EXACT + 1, str(MAX_EXACT + 1), "a long number, sent as text"),
        ([1], None, "left out: neither text, a number, true nor false"),
        ({"name": "gold"}, None, "left out: neither text, a number, true nor false"),
        (Decimal("1e400"), None, "left out: neither text, a number, true nor false"),
        (Decimal("NaN"), None, "left out: neither text, a number, true nor false"),
        (10**300, None, "left out: neither text, a number, true nor false"),
    ],
)
def test_a_note_says_what_was_changed_or_left_out(written: object, value: str | None, remark: str) -> None:
    found = read_attributes("additional_attributes", {"plan": written})
    assert found.values == ({} if value is None else {"plan": value})
    assert found.cleared == []
    [note] = found.notes
    assert (note.field, note.text) == ("additional_attributes.plan", remark)
    assert note.code is (NoteCode.LEFT_OUT if value is None else NoteCode.ALTERED)


def test_names_are_those_that_livedesk_can_show() -> None:
    bad = ["", "1st", "with space", "a.b", "ä", "x" * 65, "_hidden", DELETED_AT]
    found = read_attributes("custom_attributes", dict.fromkeys([*bad, "Plan_2-x", "x" * 64], 1))
    assert list(found.values) == ["Plan_2-x", "x" * 64]
    [note] = found.notes
    assert note.text.startswith(f"{len(bad)} left out: a name begins with a letter")
    assert note.field == "custom_attributes"


def test_there_are_at_most_so_many() -> None:
    found = read_attributes("custom_attributes", {f"a{number}": number for number in range(MAX_ATTRIBUTES + 3)})
    assert list(found.values.values()) == list(range(MAX_ATTRIBUTES))
    assert [note.text for note in found.notes] == [f"3 left out: there are more than {MAX_ATTRIBUTES}"]


@pytest.mark.parametrize("written", ["plan=gold", 5, ["plan"], True])
def test_what_is_no_object_is_left_out(written: object) -> None:
    signup = normalise({"identifier": "1", "custom_attributes": written})
    assert signup.contact.custom_attributes is None
    assert [(note.field, note.text) for note in signup.notes] == [("custom_attributes", "left out: not an object")]


def test_a_contact_has_both_kinds() -> None:
    raw = {
        "identifier": "1",
        "custom_attributes": {"plan": "Fish &amp; Chips", "seats": None},
        "additional_attributes": {"city": " "},
    }
    signup = normalise(raw, html_entities=True)
    assert signup.contact.custom_attributes == {"plan": "Fish & Chips"}
    assert signup.contact.additional_attributes is None
    assert signup.cleared == {"custom_attributes.seats", "additional_attributes.city"}
    assert normalise({**raw, "custom_attributes": None}).contact.custom_attributes is None


@given(ANY)
@example({"seats": Decimal("sNaN")})
def test_anything_becomes_attributes_that_can_be_sent(written: object) -> None:
    found = read_attributes("custom_attributes", written)
    assert len(found.values) <= MAX_ATTRIBUTES
    assert all(NAME.fullmatch(name) for name in found.values)
    assert json.loads(json.dumps(found.values, allow_nan=False).encode()) == found.values
