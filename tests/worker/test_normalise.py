"""Any input becomes a contact that LiveDesk accepts, or Unmappable says why not."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.quick import QUICK_S, seconds
from worker import normalise as rules
from worker.characters import strip
from worker.errors import Unmappable
from worker.model import Contact, Note, Signup
from worker.normalise import as_text, normalise
from worker.phone_numbers import is_e164, to_e164
from worker.placeholders import has_template

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zs"]))
)
ANY = st.recursive(SCALARS, lambda children: st.lists(children) | st.dictionaries(st.text(), children), max_leaves=5)
#: Text that is nearly right, which is where the mistakes are.
NEARLY = st.from_regex(r"(tel:)?\+?[\d (٣).x#-]{0,20}|[^@]{0,3}@?[^@]{0,3}|https?://[^/]{0,9}(/.*)?|[A-Z ]*<.*>")


def read(field: str, value: object, region: str | None = None) -> tuple[object, list[str]]:
    """The field as it comes out, and the notes about it."""
    signup = normalise({"identifier": "1", field: value}, region=region)
    assert all(note.field == field for note in signup.notes)
    return getattr(signup.contact, field), [note.text for note in signup.notes]


def problem(raw: dict[str, object]) -> dict[str, str]:
    with pytest.raises(Unmappable) as caught:
        normalise(raw)
    return caught.value.problems


def test_it_works() -> None:
    raw: dict[str, object] = {
        "identifier": 42,
        "name": "  Zoë\n Łuczak ",
        "email": "Zoe@Example.com ",
        "phone_number": "+48 22 555 01 00",
        "avatar_url": "https://example.com/a.png",
        "inbox_id": "407",
        "shoe_size": 38,
    }
    assert normalise(raw) == Signup(
        Contact(
            "42",
            407,
            "Zoë Łuczak",
            "zoe@example.com",
            phone_number="+48225550100",
            avatar_url="https://example.com/a.png",
        ),
    )


@pytest.mark.parametrize(
    ("written", "identifier"),
    [
        ("  a b\u00a0", "a b"),
        ("Ab", "Ab"),
        ("auth0|5f7", "auth0|5f7"),
        ("Zoë \\ 中", "Zoë \\ 中"),
        ("\ufeff\u200b 42\u00a0\u200d\u2060", "42"),
        ("\u202a7\u202c", "7"),
        ("a\u200bb", "a\u200bb"),
        (-7, "-7"),
        (12345678901234567890, "12345678901234567890"),
        (2**53 + 1, "9007199254740993"),
        (Decimal("1.10"), "1.10"),
        ("x" * 255, "x" * 255),
    ],
)
def test_an_identifier_is_kept_as_it_was_written(written: object, identifier: str) -> None:
    assert normalise({"identifier": written}) == Signup(Contact(identifier))


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (None, "missing"),
        ("", "missing"),
        (" \t\n", "missing"),
        (True, "neither text nor an exact number"),
        (1.5, "neither text nor an exact number"),
        (Decimal("NaN"), "neither text nor an exact number"),
        ([1], "neither text nor an exact number"),
        ({"id": 1}, "neither text nor an exact number"),
        ("x" * 256, "longer than 255 characters"),
        (10**255, "longer than 255 characters"),
        pytest.param(10**5000, "neither text nor an exact number", id="huge"),
        ("a\x00b", "contains control characters or half a surrogate pair"),
        ("a\nb", "contains control characters or half a surrogate pair"),
        ("a\x85b", "contains control characters or half a surrogate pair"),
        ("a\ud83d", "contains control characters or half a surrogate pair"),
    ],
)
def test_an_identifier_that_cannot_be_one_is_refused(written: object, says: str) -> None:
    assert problem({"identifier": written}) == {"identifier": says}


def test_all_problems_are_reported_at_once() -> None:
    assert problem({"inbox_id": "main"}).keys() == {"identifier", "inbox_id"}


@pytest.mark.parametrize("field", ["name", "email", "phone_number", "avatar_url"])
@pytest.mark.parametrize("value", [None, "", "  ", "\u3000"])
def test_blank_means_absent(field: str, value: object) -> None:
    assert read(field, value) == (None, [])


@pytest.mark.parametrize("field", ["name", "email", "phone_number", "avatar_url"])
@pytest.mark.parametrize("value", [True, [], ["a"], {}, {"a": 1}, 1.5, Decimal("4930123456.0")])
def test_an_optional_field_of_another_type_is_left_out(field: str, value: object) -> None:
    assert read(field, value) == (None, ["left out: not text"])


@pytest.mark.parametrize(
    ("written", "name", "notes"),
    [
        ("Ana\t\r\n  María", "Ana María", []),
        ("A\x00n\x1ba", "Ana", ["control characters removed"]),
        ("Ana \ud83d", "Ana", ["control characters removed"]),
        ("\x00\x00", None, ["control characters removed"]),
        ("evil\u202egpj.exe", "evilgpj.exe", ["control characters removed"]),
        ("\ufeffJane\u200b", "Jane", []),
        ("\u202aJane\u202c \u00ad", "Jane", []),
        ("\u200e\u05d3\u05e0\u05d4\u200f", "\u05d3\u05e0\u05d4", []),
        ("\u3164", None, []),
        ("Ja\u00adne\u200b Doe\ufeff-Roe", "Jane Doe-Roe", ["control characters removed"]),
        ("Jane\u00a0Doe\u2003Roe", "Jane Doe Roe", []),
        ("Ja\u200dne", "Jane", ["control characters removed"]),
        ("\u0dc1\u0dca\u200d\u0dbb\u0dd3", "\u0dc1\u0dca\u200d\u0dbb\u0dd3", []),
        ("\u0bb8\u0bcd\u0bb0\u0bc0 \u2764\ufe0f", "\u0bb8\u0bcd\u0bb0\u0bc0 \u2764\ufe0f", []),
        ('"Jane Doe"', "Jane Doe", []),
        ("\u201cJane Doe\u201d", "Jane Doe", []),
        ("O'Brien", "O'Brien", []),
        ("می\u200cخواهم", "می\u200cخواهم", []),
        ("👩\u200d🚀", "👩\u200d🚀", []),
        ("x" * 256, "x" * 255, ["cut to 255 characters"]),
        ("x" * 254 + " y", "x" * 254, ["cut to 255 characters"]),
        (1984, "1984", []),
    ],
)
def test_names(written: object, name: str | None, notes: list[str]) -> None:
    assert read("name", written) == (name, notes)


@pytest.mark.parametrize(
    ("written", "email"),
    [
        (" Alice@Example.COM ", "alice@example.com"),
        ("Alice Smith <a@b.c>", "a@b.c"),
        ('"Smith, Alice" < A@b.c >', "a@b.c"),
        ("<a@b.c>", "a@b.c"),
        ("a@b", "a@b"),
        ("ünï@exämple.de", "ünï@exämple.de"),
        ("mailto:a@x.example", "a@x.example"),
        ("MAILTO:A@x.example?subject=Hello%20there", "a@x.example"),
        ("Jane <mailto:a@x.example>", "a@x.example"),
        ("[a@x.example](mailto:a@x.example)", "a@x.example"),
        ("mailto://a@x.example", "a@x.example"),
        ("acct:a@x.example", "a@x.example"),
        ("SMTP:A@x.example", "a@x.example"),
        ("E-mail: a@x.example", "a@x.example"),
        ("a@x.example.", "a@x.example"),
        ("a@x.example,", "a@x.example"),
        ("a@x.example;", "a@x.example"),
        ("'a@x.example'", "a@x.example"),
        ('"a@x.example"', "a@x.example"),
        ("(a@x.example)", "a@x.example"),
        ("[a@x.example]", "a@x.example"),
        ("<a@x.example", "a@x.example"),
        ("a@x.example (work)", "a@x.example"),
        ("(work) a@x.example", "a@x.example"),
        ("mailto:a%40x.example", "a@x.example"),
        ("<mailto:a@x.example|a@x.example>", "a@x.example"),  # Slack's links
        ("sip:a@x.example", "a@x.example"),
        ("a@x.example?subject=Hello", "a@x.example"),
        ("a@x.example/", "a@x.example"),
        ("a@x.example!", "a@x.example"),
        ("a|b?c@x.example", "a|b?c@x.example"),
        ("a..b.@x.example", "a..b.@x.example"),  # old addresses of Japanese operators
        ("\u0921@\u0909\u0926\u093e\u0939\u0930\u0923.example", "\u0921@\u0909\u0926\u093e\u0939\u0930\u0923.example"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
        ("o'brien+1@x.example", "o'brien+1@x.example"),
        ("a\uff20x\uff0eexample", "a@x.example"),
        ("ap@x.example\u200b", "ap@x.example"),
        ("\ufeffa@\u200bx.exam\u00adple\u00a0", "a@x.example"),
        ("\u202aa@x.example\u202c", "a@x.example"),
        ("a\u00a0@x.example", "a@x.example"),
    ],
)
def test_an_email(written: str, email: str) -> None:
    assert read("email", written) == (email, [])


@pytest.mark.parametrize(
    "written",
    [
        "alice",
        "a b@c.d",
        "a@b@c",
        "@b",
        "a@",
        "a\x00@b.c",
        "a@b.c\ud800",
        "a@b.c, d@e.f",
        "Alice <alice>",
        5,
        "mailto:",
        ".",
        "a@x..example",
        "a@.example",
        "a@x,example",
        "n/a@n/a",
        "http://a@x.example",
        "https://x.example/?e=a@x.example",
        "a@x.example&nbsp;",
    ],
)
def test_what_is_no_email_is_left_out(written: object) -> None:
    assert read("email", written) == (None, ["left out: not an e-mail address"])


@pytest.mark.parametrize("host", ["x" + "!" * 50_000 + "a", "\u00e9" * 50_000 + "(", "\u00e9." * 25_000 + "("])
def test_a_hostile_address_is_refused_quickly(host: str) -> None:
    assert seconds(lambda: read("email", f"a@{host}")) < QUICK_S


def test_a_long_email_is_left_out() -> None:
    assert read("email", "x" * 250 + "@b.com") == (None, ["left out: longer than 255 characters"])


@pytest.mark.parametrize(
    ("written", "region", "number"),
    [
        ("+48 22 555 01 00", None, "+48225550100"),
        ("+48225550100", "US", "+48225550100"),
        ("0049 30 12345678", None, "+493012345678"),
        ("(0049) 30/123 456-78", "US", "+493012345678"),
        ("+49 (0)30 12345678", None, "+493012345678"),
        ("030 12345678", "DE", "+493012345678"),
        ("(281) 332-2575", "US", "+12813322575"),
        (2813322575, "US", "+12813322575"),
        ("011 49 30 12345678", "US", "+493012345678"),
        ("tel:+1-201-555-0123", None, "+12015550123"),
        ("\uff0b49 30 12345678", None, "+493012345678"),
        ("٠٣٠ ١٢٣٤٥٦٧٨", "DE", "+493012345678"),
        ("+39 06 1234 5678", None, "+390612345678"),
    ],
)
def test_a_phone_number_becomes_e164(written: object, region: str | None, number: str) -> None:
    assert read("phone_number", written, region) == (number, [])


@pytest.mark.parametrize("written", ["+1 201 555 0123 ext. 5", "tel:+1-201-555-0123;ext=5", "+12015550123x5"])
def test_an_extension_is_taken_off(written: str) -> None:
    assert read("phone_number", written) == ("+12015550123", ["extension removed"])


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("n/a", "US"),
        ("+", None),
        ("00", "DE"),
        ("-5", "DE"),
        ("+0123456", None),
        ("+1", None),
        ("+99912345678", None),
        ("+49" + "1" * 20, None),
        ("5550100", "US"),
        ("1-800-FLOWERS", "US"),
        ("call +49 30 12345678", None),
        ("+49 30 12345678 or +49 30 87654321", None),
        ("+49 30 12345678; rm -rf", None),
        ("1" * 10_000, "DE"),
    ],
)
def test_what_is_no_phone_number_is_left_out(written: object, region: str | None) -> None:
    assert read("phone_number", written, region) == (None, ["left out: not a phone number"])


def test_a_national_number_needs_a_region() -> None:
    assert read("phone_number", "030 12345678") == (None, ["left out: a phone number without a country code"])


@pytest.mark.parametrize(
    "written",
    [
        "https://example.com/a.png?b=c#d",
        "HTTP://EXAMPLE.COM",
        "http://127.0.0.1:8080/a",
        "https://[2001:db8::1]:443/a",
        "https://user:word@example.com/",
        "https://exämple.de/ä",
        "https://img.example.com/" + "x" * 500,
        "https://example.com/a.png?d=%2Fx%20y&s=%%",
    ],
)
def test_an_avatar_url_is_kept(written: str) -> None:
    assert read("avatar_url", written) == (written, [])


@pytest.mark.parametrize(
    "written",
    [
        "test.png",
        "/a.png",
        "//example.com/a.png",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "ftp://example.com/a",
        "https://",
        "https:///a.png",
        "https://?a",
        "https://a b/",
        "https://a/b c",
        "https://a/\x00",
        "https://a/\ud800",
        "https://a\\@b/",
        "https://[::1",
        "https://a:port/",
        "httpſ://a/",
    ],
)
def test_what_is_no_web_address_is_left_out(written: str) -> None:
    assert read("avatar_url", written) == (None, ["left out: not an http(s) URL"])


def test_a_long_avatar_url_is_left_out() -> None:
    assert read("avatar_url", "https://a/" + "x" * 2048) == (None, ["left out: longer than 2048 characters"])


@pytest.mark.parametrize(
    ("written", "inbox_id"), [(407, 407), ("407", 407), (" 407 ", 407), (None, 1), ("", 1), (" ", 1)]
)
def test_an_inbox_of_the_delivery_goes_before_the_sources_own(written: object, inbox_id: int) -> None:
    signup = normalise({"identifier": "1", "inbox_id": written}, inbox_id=1)
    assert signup.contact.inbox_id == inbox_id


@pytest.mark.parametrize("written", [0, "0", -1, "-1", 1.0, Decimal("4.0"), True, "main", [407], "٤", 2**31, "9" * 99])
def test_an_inbox_that_cannot_be_one_is_refused(written: object) -> None:
    assert problem({"identifier": "1", "inbox_id": written}) == {"inbox_id": "not an inbox id"}


def test_invisible_characters_are_no_value() -> None:
    contact = normalise(
        {"identifier": "7", "inbox_id": " 4\u200b", "avatar_url": "\ufeffhttps://x.example/a.png\u200b"}
    )
    assert (contact.contact.inbox_id, contact.contact.avatar_url) == (4, "https://x.example/a.png")
    assert problem({"identifier": "\u200b\ufeff"}) == {"identifier": "missing"}


@pytest.mark.parametrize(
    ("field", "written", "value"),
    [
        ("name", "Siobh&#225;n O&#039;Brien", "Siobh\u00e1n O'Brien"),  # Jotform
        ("name", "Tom &amp; Ann", "Tom & Ann"),  # WordPress: sanitize_text_field and wp_insert_user
        ("name", "Tom &amp;amp; Ann", "Tom &amp; Ann"),
        ("name", "J&uuml;rgen &ndash; &#x4e2d;", "J\u00fcrgen \u2013 \u4e2d"),
        ("name", "AT&T &unknown; &", "AT&T &unknown; &"),
        ("name", "&quot;Jane&quot;&nbsp;", "Jane"),
        ("name", "a&#0;b&#27;c", "a\ufffdbc"),
        ("name", "&#8203;", None),
        ("email", "o&#039;brien@x.example", "o'brien@x.example"),
        ("phone_number", "&#43;49 171 12345678", "+4917112345678"),
        ("avatar_url", "https://x.example/a?s=1&#038;d=mm&amp;r=g", "https://x.example/a?s=1&d=mm&r=g"),
    ],
)
def test_entities_are_decoded_once_and_only_if_the_sender_writes_them(
    field: str, written: str, value: str | None
) -> None:
    decoded = normalise({"identifier": "a&amp;b", field: written}, html_entities=True).contact
    assert (decoded.identifier, getattr(decoded, field)) == ("a&amp;b", value)
    assert getattr(normalise({"identifier": "7", field: written}).contact, field) != value or written == value


def test_as_text_knows_text_and_exact_numbers_only() -> None:
    written = ["a", 1, Decimal("1.50"), True, None, 1.5, [], {}]
    assert [as_text(value) for value in written] == ["a", "1", "1.50", None, None, None, None, None]


@given(
    st.fixed_dictionaries(
        {"identifier": ANY | st.text(min_size=1)},
        optional=dict.fromkeys(("name", "email", "phone_number", "avatar_url", "inbox_id"), ANY | NEARLY),
    ),
    st.sampled_from([None, "DE", "US", "GB", "BR", "JP", "XX"]),
)
def test_any_input_gives_a_valid_contact_or_unmappable(raw: dict[str, object], region: str | None) -> None:
    try:
        signup = normalise(raw, region=region)
    except Unmappable:
        return
    contact = signup.contact
    assert contact.identifier == strip(str(raw["identifier"]))
    present = contact.present()
    present.pop("inbox_id", None)
    avatar_url = str(present.pop("avatar_url", "https://"))
    assert re.match("https?://", avatar_url.lower())
    assert all(isinstance(value, str) and value.encode() and 0 < len(value) <= 255 for value in present.values())
    assert contact.phone_number is None or re.fullmatch(r"\+[1-9][0-9]{1,14}", contact.phone_number)
    assert contact.email is None or re.fullmatch(r"[^@\s]+@[^@\s]+", contact.email)
    assert all(isinstance(note, Note) for note in signup.notes)
    assert normalise(contact.present(), region=region) == Signup(contact)


@given(st.from_regex(rules._PLAIN_URL, fullmatch=True))
def test_a_plain_url_passes_all_checks(url: str) -> None:
    assert rules._URL.fullmatch(url)
    assert not rules._UNPRINTABLE.search(url)
    assert not has_template(url)


@given(st.from_regex(rules._PLAIN_EMAIL, fullmatch=True))
def test_a_plain_email_passes_all_checks(email: str) -> None:
    assert rules._EMAIL.fullmatch(email)
    assert not rules._UNPRINTABLE.search(email)
    assert not has_template(email)
    assert not re.search("[A-Z]", email)


@given(NEARLY | st.text("+0123456789 "), st.sampled_from([None, "DE", "US"]))
def test_a_number_in_e164_is_what_the_long_way_gives(written: str, region: str | None) -> None:
    if is_e164(written):
        assert to_e164(written, region) == (written, "")
