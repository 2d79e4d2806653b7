"""Forms become objects; any bytes give data or BadBody, quickly."""

from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import encode_multipart

from tests.quick import QUICK_S, seconds
from webhook_app.sources.body.forms import MAX_FIELDS, parse_form, parse_multipart
from webhook_app.sources.body.reader import MAX_BYTES
from webhook_app.sources.delivery import BadBody, TooLarge

BOUNDARY = "multipart/form-data; boundary=b"
HEAD = b'--b\r\nContent-Disposition: form-data; name="a"\r\n'


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (b"", {}),
        (b"a=1&b=&c", {"a": "1", "b": "", "c": ""}),
        (b"name=Ana+Maria%20%C3%89", {"name": "Ana Maria É"}),
        ("name=Zoë".encode(), {"name": "Zoë"}),
        (b"a=1&a=2", {"a": "2"}),
        (b"data[id]=5&data%5Bmerges%5D%5BFNAME%5D=Ana", {"data": {"id": "5", "merges": {"FNAME": "Ana"}}}),
        (b"a[0]=x&a[2]=y", {"a": {"0": "x", "2": "y"}}),
        (b"a[]=x&a[]=y", {"a": {"0": "x", "1": "y"}}),
        (b"a[][b]=x&a[][b]=y", {"a": {"0": {"b": "x"}, "1": {"b": "y"}}}),
        (b"a=1&a[b]=2", {"a": {"b": "2"}}),
        (b"a[b]=2&a=1", {"a": "1"}),
        (b"a[b=1&c]=2&[d]=3&[]=4&a[b]c=5", {"a[b": "1", "c]": "2", "[d]": "3", "[]": "4", "a[b]c": "5"}),
        (b"a b[c d]=1", {"a b": {"c d": "1"}}),
        (b"=1", {"": "1"}),
        (b"__proto__[x]=1", {"__proto__": {"x": "1"}}),
    ],
)
def test_forms(raw: bytes, form: dict[str, object]) -> None:
    assert parse_form(raw) == form


@pytest.mark.parametrize("raw", [b"a=\xff", b"a=%ff", b"%c3=1", b"a=%ed%a0%80", b"%" * 30, b"a=b%", b"a=b%4"])
def test_a_malformed_form_is_rejected(raw: bytes) -> None:
    with pytest.raises(BadBody) as caught:
        parse_form(raw)
    assert caught.value.status == 400
    assert caught.value.__context__ is None


def test_the_depth_of_brackets_is_limited() -> None:
    assert parse_form(b"a" + b"[b]" * 8 + b"=1")
    with pytest.raises(BadBody, match="nest too deeply"):
        parse_form(b"a" + b"[b]" * 9 + b"=1")


NAMES = st.text("ab[]=&% é\x00", max_size=12)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="[]")), st.text(st.characters(codec="utf-8"))
    )
)
def test_what_was_written_is_read(fields: dict[str, str]) -> None:
    assert parse_form(urlencode(fields).encode()) == fields


@given(st.lists(st.tuples(NAMES, NAMES), max_size=20).map(urlencode).map(str.encode) | st.binary())
def test_any_bytes_are_a_form_or_badbody(raw: bytes) -> None:
    with suppress(BadBody):
        parse_form(raw)


# Multipart


FIELD_NAMES = st.text(st.characters(codec="utf-8", exclude_characters='[]"\\\r\n\x00'), min_size=1)


@given(st.dictionaries(FIELD_NAMES, st.text(st.characters(codec="utf-8"))))
def test_a_written_multipart_body_is_read_back(fields: dict[str, str]) -> None:
    _, raw = encode_multipart(fields, boundary="b")
    with suppress(BadBody):  # a name that means something else where it stands, such as one with a %
        assert list(parse_multipart(raw, BOUNDARY).values()) == list(fields.values())


def test_multipart_names_nest_and_files_are_skipped() -> None:
    raw = (
        b"ignored\r\n"
        b'--b\r\nContent-Disposition: form-data; name="user[name]"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'
        b"Ana\r\n--b\r\n"
        b'Content-Disposition: form-data; name="photo"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\xff\xd8\r\n'
        b'--b\r\nContent-Disposition: form-data; name="rawRequest"\r\n\r\n{"q1": "x"}\r\n--b--\r\nignored'
    )
    assert parse_multipart(raw, BOUNDARY) == {"user": {"name": "Ana"}, "rawRequest": '{"q1": "x"}'}
    assert parse_multipart(raw, 'multipart/form-data; charset=utf-8; boundary="b"')


@pytest.mark.parametrize(
    "raw",
    [
        *(
            b"",
            b"--b",
            b"hello",
            HEAD,
            HEAD + b"\r\ncut off",
            HEAD + b"\r\nx\r\n--b",
            HEAD + b"\r\n\xff\r\n--b--",
        ),
        *(b"--b\r\n\r\r\r", b"--b\r\n\r\nx\r\n--b--", b"--b\r\nA: b\r\n\r\nx\r\n--b--"),
        *(b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", HEAD + b"X-\xff: a\r\n\r\nx\r\n--b--"),
        *(HEAD + b"A: b\r\n" * 50 + b"\r\nx\r\n--b--", HEAD.replace(b'"a"', b'""') + b"\r\nx\r\n--b--"),
    ],
)
def test_a_malformed_multipart_body_is_rejected(raw: bytes) -> None:
    with pytest.raises(BadBody) as caught:
        parse_multipart(raw, BOUNDARY)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="é"']
)
def test_without_a_boundary_there_are_no_parts(content_type: str) -> None:
    with pytest.raises(BadBody, match="boundary"):
        parse_multipart(HEAD + b"\r\nx\r\n--b--", content_type)


@given(
    st.binary()
    | st.lists(st.sampled_from([b"--b", b"--", b"\r\n", b"\n", HEAD, b"x", b'"', b";", b"\xff"])).map(b"".join)
)
def test_any_bytes_are_multipart_or_badbody(raw: bytes) -> None:
    with suppress(BadBody):
        parse_multipart(raw, BOUNDARY)


BOMBS = {
    "fields": (parse_form, b"&" * MAX_BYTES),
    "escapes": (parse_form, b"a=" + b"%41" * (MAX_BYTES // 3)),
    "percents": (parse_form, b"%" * MAX_BYTES),
    "brackets": (parse_form, b"a" + b"[b]" * (MAX_BYTES // 3) + b"=1"),
    "open brackets": (parse_form, b"a" + b"[" * MAX_BYTES + b"=1"),
    "lists": (parse_form, b"&".join([b"a[]=" + b"x" * 500] * MAX_FIELDS)),
    "parts": (parse_multipart, (HEAD + b"\r\nx\r\n") * 5000 + b"--b--"),
    "lines in heads": (parse_multipart, (HEAD + b"a\n" * 1800 + b"\r\n\r\nx\r\n") * 70 + b"--b--"),
    "folded lines": (parse_multipart, (HEAD + b"a:b" + b"\r\n b" * 900 + b"\r\n\r\nx\r\n") * 70 + b"--b--"),
    "parameters": (parse_multipart, (HEAD.replace(b'"a"', b"a" + b"; a=b" * 600) + b"\r\nx\r\n") * 80 + b"--b--"),
    "continuations": (
        parse_multipart,
        (HEAD.replace(b'"a"', b"a" + b"; a*0*=''%41" * 180) + b"\r\nx\r\n") * 80 + b"--b--",
    ),
    "nearly boundaries": (parse_multipart, HEAD + b"\r\n" + b"\r\n--bx" * 40_000 + b"\r\n--b--"),
    "a long boundary": (parse_multipart, HEAD + b"\r\n\r\n--b" + b" " * 250_000),
    "a preamble": (parse_multipart, b"\r\n" * 130_000),
    "an epilogue": (parse_multipart, HEAD + b"\r\nx\r\n--b--" + b"\r\n--b" * 40_000),
    "a long text": (parse_multipart, HEAD + b"\r\n" + b"x" * 250_000 + b"\r\n--b--"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_every_form_is_parsed_quickly(name: str) -> None:
    parse, raw = BOMBS[name]

    def read() -> None:
        with suppress(BadBody):
            parse(raw) if parse is parse_form else parse_multipart(raw, BOUNDARY)

    assert seconds(read) < QUICK_S


@pytest.mark.parametrize("name", ["fields", "parts", "a preamble"])
def test_too_many_of_anything_is_too_large(name: str) -> None:
    parse, raw = BOMBS[name]
    with pytest.raises(TooLarge):
        parse(raw) if parse is parse_form else parse_multipart(raw, BOUNDARY)
