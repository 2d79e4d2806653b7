"""Strict JSON with exact numbers; any other bytes raise BadBody."""

import json
from contextlib import suppress
from decimal import Decimal

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from webhook_app.sources.body import reader
from webhook_app.sources.body.reader import (
    MAX_CONTAINERS,
    MAX_ELEMENTS,
    MAX_FRACTIONS,
    parse_json,
    parse_ndjson,
    split_first,
)
from webhook_app.sources.delivery import BadBody, TooLarge

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


def test_numbers_are_exact() -> None:
    assert parse_json(b'{"id": 12345678901234567890, "sum": 0.10}') == {
        "id": 12345678901234567890,
        "sum": Decimal("0.10"),
    }
    assert str(parse_json(b"1234567890.12345678901234567890")) == "1234567890.12345678901234567890"


@given(JSON, st.text(" \t\r\n", max_size=2), st.text(" \t\r\n", max_size=2))
def test_white_space_around_a_text_means_nothing(value: object, before: str, after: str) -> None:
    text = json.dumps(value)
    assert parse_json(f"{before}{text}{after}".encode()) == parse_json(text.encode()) == json.loads(text)


@given(st.dictionaries(st.text(), JSON), st.text(" \n{}[],1a", min_size=1, max_size=3))
def test_what_follows_an_object_is_named_as_by_the_standard_library(value: object, after: str) -> None:
    text = json.dumps(value) + after
    assume(after.strip())
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(text)
    with pytest.raises(BadBody) as caught:
        parse_json(text.encode())
    assert str(caught.value) == f"the body is not JSON: Extra data at character {expected.value.pos}"


#: What JSON is made of, right or wrong.
PIECES = st.sampled_from(
    [
        *'{}[],:"\\-.eE+ \n\t\0é',
        "null",
        "true",
        "NaN",
        "-0",
        "0",
        "1",
        "9" * 19,
        "9" * 25,
        '"a"',
        '"k":',
        "\\ud83d",
        "\\udc00",
    ]
)


@given(
    st.lists(PIECES | JSON.map(json.dumps) | st.decimals(allow_nan=False).map(str)).map("".join).map(str.encode)
    | st.binary()
)
def test_the_quick_decoder_reads_what_the_standard_library_reads(raw: bytes) -> None:
    """It may refuse more, which the other one reads then."""
    with suppress(msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        assert repr(reader._QUICK_DECODER.decode(raw)) == repr(reader._DECODER.decode(raw.decode()))


@pytest.mark.parametrize(
    "raw",
    [
        *(b"-0", b"-0.0", b"1E+5", b"1e-400", b"1.0000000000000000000000001", b"123e-2", b"0." + b"1" * 400),
        *(b"18446744073709551616", b"-9223372036854775809", b"9" * 4300, b'{"a": 1, "a": 2}', b"[" * 900 + b"]" * 900),
        *(b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\x7f"', b'"\xc3\xa4"', b'{"\\u0061": 1}'),
    ],
)
def test_what_could_differ_is_the_same(raw: bytes) -> None:
    expected = reader._DECODER.decode(raw.decode())
    assert repr(reader._QUICK_DECODER.decode(raw)) == repr(expected) == repr(parse_json(raw))


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_the_last_value_of_a_repeated_name_wins() -> None:
    assert parse_json(b'{"id": 1, "id": 2}') == {"id": 2}


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is not JSON"),
        (b"   ", "is not JSON"),
        (b'{"a": 1', "is not JSON"),
        (b'{"a": "', "is not JSON"),
        (b'{"a": 1} {}', "Extra data"),
        (b'{"a": 1,}', "is not JSON"),
        (b"{'a': 1}", "is not JSON"),
        (b'"tab\there"', "is not JSON"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "is not JSON"),
        (b"a=1&b=2", "is not JSON"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8"),
        (b'{"a": "\xe9"}', "is not UTF-8"),
        (b'"\xed\xa0\x80"', "is not UTF-8"),
        (b"NaN", "NaN or Infinity"),
        (b'{"a": -Infinity}', "NaN or Infinity"),
        (b"[" * 9_999, "nested too deeply"),
        (b'{"a":' * 9_999, "nested too deeply"),
        (b"1" * 5_000, "too long"),
        (b"1e99999999999999999999999", "too long"),
    ],
)
def test_malformed_json_is_rejected(raw: bytes, says: str) -> None:
    with pytest.raises(BadBody, match=says):
        parse_json(raw)


def test_the_error_contains_nothing_of_the_body() -> None:
    with pytest.raises(BadBody) as caught:
        parse_json(b'{"email": "alice@example.com", "name": oops}')
    assert "alice" not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@given(JSON)
def test_what_was_written_is_read(value: object) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=True).encode()) == value


@given(st.binary() | st.text().map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_give_data_or_badbody(raw: bytes) -> None:
    with suppress(BadBody):
        parse_json(raw)


def test_too_many_objects_and_arrays_are_rejected() -> None:
    parse_json(b"[" + b"{}," * (MAX_CONTAINERS - 2) + b"{}]")
    for many in (
        b"[" + b"{}," * MAX_CONTAINERS + b"{}]",
        b"[" * (MAX_CONTAINERS + 1),
        b'"' + b"[{" * MAX_CONTAINERS + b'"',
    ):
        with pytest.raises(TooLarge):
            parse_json(many)


@pytest.mark.parametrize("number", [b"0.5", b"1e5", b"-1E-5", b"12.25e+10"])
def test_too_many_fractions_are_rejected(number: bytes) -> None:
    parse_json(b"[" + (number + b",") * (MAX_FRACTIONS - 1) + number + b"]")
    with pytest.raises(TooLarge):
        parse_json(b"[" + (number + b",") * MAX_FRACTIONS + number + b"]")


def test_whole_numbers_and_texts_are_not_fractions() -> None:
    parse_json(b"[" + b'10,"a. b",' * 2 * MAX_FRACTIONS + b"1]")


def test_ndjson_has_one_json_text_per_line() -> None:
    assert parse_ndjson(b'{"a": 1}\n\n [2] \r\n"3"') == [{"a": 1}, [2], "3"]
    assert parse_ndjson(b"\xef\xbb\xbf{}\n") == [{}]
    assert parse_ndjson(b"") == parse_ndjson(b"\n \r\n") == []


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"a": 1}\n{"a":', "line 2 of the body is not JSON"),
        (b"{\n}", "line 1 of the body is not JSON"),
        (b"1\n2 3", "line 2 of the body is not JSON: Extra data"),
        (b"1\n\n\xff", "line 3 of the body is not UTF-8"),
        (b"NaN", "NaN or Infinity"),
        (b"[" * 9_999, "line 1 of the body is nested too deeply"),
    ],
)
def test_a_bad_line_is_named(raw: bytes, says: str) -> None:
    with pytest.raises(BadBody, match=says) as caught:
        parse_ndjson(raw)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("raw", [b"1\n" * (MAX_ELEMENTS + 1), b"\n" * 100_000])
def test_too_many_lines_are_rejected(raw: bytes) -> None:
    with pytest.raises(TooLarge):
        parse_ndjson(raw)


@given(st.lists(JSON, max_size=4))
def test_written_lines_are_read_back(values: list[object]) -> None:
    assert parse_ndjson("\n".join(json.dumps(value) for value in values).encode()) == values


@given(st.lists(JSON, min_size=1, max_size=3), st.sampled_from(["", " ", "\n\t "]), st.booleans())
def test_the_first_element_is_split_off_byte_for_byte(values: list[object], space: str, ascii_only: bool) -> None:
    texts = [json.dumps(value, ensure_ascii=ascii_only) for value in values]
    raw = f"{space}[{space}{f'{space},{space}'.join(texts)}{space}]{space}".encode(errors="surrogatepass")
    with suppress(BadBody):  # half a surrogate pair, unless it is escaped
        assert split_first(raw) == (texts[0].encode(), len(values) > 1)


@given(st.binary() | st.text('[]{},: 1a"').map(str.encode))
def test_any_bytes_have_a_first_element_or_none(raw: bytes) -> None:
    with suppress(BadBody):
        first, has_more = split_first(raw)
        assert first in raw
        if not has_more:
            assert parse_json(raw) == [parse_json(first)]
