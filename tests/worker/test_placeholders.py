"""Placeholders are no identifiers, and nothing that a system issues is a placeholder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import placeholders
from worker.errors import Unmappable
from worker.normalise import is_usable_identifier, normalise
from worker.placeholders import is_placeholder, without_placeholders

#: Mixpanel's ``mixpanel-import``, ``badUserIds``: what its API answers with 400.
MIXPANEL = [
    *("-1", "0", "00000000-0000-0000-0000-000000000000", "<nil>", "[]", "anon", "anonymous", "false", "lmy47d", "n/a"),
    *("na", "nil", "none", "null", "true", "undefined", "unknown", "{}"),
]
#: PostHog's ``person-utils.ts``: ids that never merge, some of them in any case, all of them with or without quotes.
POSTHOG = [
    *("anonymous", "Guest", "distinctid", "distinct_id", "ID", "not_authenticated", "email", "uNdEfInEd", "TRUE"),
    *("False", "[object Object]", "NaN", "None", "none", "null", "0", '"undefined"', "'null'", '"[object Object]"'),
]
#: ``read_csv`` of pandas: ``na_values``; and what spreadsheets show for an error.
TABLES = ["#N/A", "<NA>", "-nan", "1.#IND", "-1.#QNAN", "n/a", "NULL", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "\\N"]
#: What a value of another type becomes as text: JavaScript, Go, Objective-C, .NET, Java, Python, PHP, Ruby.
PRINTED = [
    *("[object Undefined]", "[object Promise]", "%!s(<nil>)", "(null)", "System.Object[]", "java.lang.String[]"),
    *(
        "<built-in function id>",
        "<function <lambda> at 0x7f>",
        "Array",
        "#<User:0x0000>",
        "Infinity",
        "DBNull",
        "[null]",
    ),
    *("undefined undefined", "nullnull", "undefined,undefined", "user-undefined", "auth0|null", "user_none", "0.0"),
]
#: Templates as the vendors' documentation shows them.
TEMPLATES = [
    *("{{user.id}}", "{{ contact.id }}", "{{{id}}}", "{% user_id %}"),  # Liquid, Handlebars, Customer.io, Zapier
    *("{user_id}", "{Name:1}", "{$user->id}", "{!Contact.Id}"),  # Gravity Forms, Smarty, Salesforce
    *("%user_id%", "%RECIPIENT%", "%recipient.id%", "%%subscriberkey%%"),  # Mailgun, Marketing Cloud
    *("${id}", "${user.id}", "$USER_ID", "#{user.id}", "@{triggerBody()}"),  # JavaScript, shells, Ruby, Azure
    *("<user id>", "<%= user.id %>", "<USER_ID>"),  # documentation, ERB
    *("*|ID|*", "*|UNIQID|*", "[[id]]", "[your-email]", "[User ID]"),  # Mailchimp, GetResponse, Contact Form 7
    *("__USER_ID__", ":user_id", "«id»", "##user_id##", "|USER_ID|", "~user_id~"),
    *("%s", "%(id)s", "%1$s", "{0}", "{}", "user-{{id}}", "https://x.example/{{id}}", "shop-${id}"),
    *(
        "%7B%7Buser.id%7D%7D",
        "%5Bobject%20Object%5D",
        "&lt;user id&gt;",
        "{{user.id",
        "$(id)",
        "@user.id@",
        "<no value>",
    ),
    *("user_id", "userId", "user-id", "customer id", "YOUR_USER_ID", "external_id", "TODO", "changeme"),
    *("YOUR-ID-HERE", "insert_id_here", "user id goes here", "$json.id", "$.id"),  # n8n, JSONPath
]
#: Zeros, masks, and fields in which somebody held a key. Typeform sends ``xxxxx`` for a hidden field without a value.
REPEATED = [
    *("0x" + "0" * 40, "0" * 24),
    *(
        "00",
        "000000",
        "0000-0000",
        "0" * 32,
        "00000000-0000-4000-8000-000000000000",
        "f" * 8 + "-ffff" * 3 + "-" + "f" * 12,
    ),
    *(
        "xxxxx",
        "XXXX-XXXX",
        "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx",
        "aaaaa",
        "11111111",
        "-----",
        "***",
        "?",
        "...",
        "—",
    ),
]
PLACEHOLDERS = [
    *MIXPANEL,
    *POSTHOG,
    *TABLES,
    *PRINTED,
    *TEMPLATES,
    *REPEATED,
    *("(none)", "(not set)", "not provided", "guest_user", "AnonymousUser", "no user", '""', "( )"),
    *("(empty)", "unspecified", "not_found", "no-id", "null@null", "undefined@undefined"),
]
#: Identifiers as the presets' products issue them, and others that look nearly like placeholders.
REAL = [
    *(
        "1",
        "5",
        "42",
        "10",
        "100",
        "99999",
        "1000000",
        "000123",
        "1111",
        "12345",
        "1.10",
        "-7",
        "0x5aAe",
        "user-0",
        "v1.0",
    ),
    *(
        "a",
        "x",
        "aaaa",
        "anna",
        "xax",
        "x-ray",
        "xx1",
        "0a0a0a0a",
        "test",
        "admin",
        "user",
        "nobody",
        "default",
        "中中",
        "\N{KEY}",
    ),
    *("user_29w83sxmDNGwOuEthce5gg56FcC", "auth0|5f7c8ec7c33c6c004bbafe82", "google-oauth2|103547991597142817347"),
    *("8d9c7a4e-0c3b-4f5e-9a51-0123456789ab", "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}", "00u1abcd", "cus_4QFJJHvcJb"),
    *("gid://shopify/Customer/1234567890", "urn:li:person:abc", "$RCAnonymousID:87c6049c58069238dce29853916d624c"),
    *(
        "+4917112345678",
        "jane@x.example",
        "DOMAIN\\jane",
        "cn=Jane,dc=x",
        "CONTACT/0001",
        "oid=5",
        "U0G9QFWAT",
        "#1234",
    ),
    *("dev_null", "nullable", "nannette", "Anan", "nonesuch", "undefinedable", "jane*doe", "50% off", "%41bc", "~jane"),
    *("none-1", "0001", "null@x.example", "where", "rachel-here", "there", "$5", "undefined-123", "auth0|null-1"),
    *("[12]", "(abc123)", "<3jane", "@jane", "__proto", "a__b__", "10:00", "shop.example.com-0005", "x" * 255),
]


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_a_placeholder_is_no_identifier(text: str) -> None:
    assert is_placeholder(text)
    assert not is_usable_identifier(f" {text}\ufeff")
    with pytest.raises(Unmappable) as caught:
        normalise({"identifier": text, "email": "a@x.example"})
    assert caught.value.problems == {"identifier": "a placeholder, not an id"}


@pytest.mark.parametrize("text", REAL)
def test_an_issued_identifier_is_no_placeholder(text: str) -> None:
    assert not is_placeholder(text)
    assert is_usable_identifier(text)
    assert normalise({"identifier": text}).contact.identifier == text


def test_the_number_of_a_guest_is_no_identifier() -> None:
    """WooCommerce has 0 as the customer of a guest's order."""
    with pytest.raises(Unmappable, match="a placeholder"):
        normalise({"identifier": 0})
    assert not is_usable_identifier(0)
    assert is_usable_identifier(7)


def test_a_prefix_does_not_hide_a_placeholder() -> None:
    with pytest.raises(Unmappable, match="a placeholder"):
        normalise({"identifier": 0}, id_prefix="wp-")
    assert normalise({"identifier": 1}, id_prefix="wp-").contact.identifier == "wp-1"


#: UUIDs with few different digits, which the patterns are about.
UUIDS = st.builds(
    lambda digits, version: f"{digits[:8]}-{digits[8:12]}-{version}-{digits[16:20]}-{digits[20:]}",
    st.text("0af1", min_size=32, max_size=32),
    st.sampled_from(["4000", "0000", "4a1f", "ffff"]),
) | st.uuids().map(str)


@given(UUIDS)
def test_a_plain_uuid_is_none_by_all_rules(text: str) -> None:
    if placeholders._PLAIN_UUID.fullmatch(text):
        assert text not in placeholders.WORDS
        assert not placeholders._is_pattern(text, text)


#: Words that a program writes, and names that contain them.
WORDS_OF_NAMES = st.sampled_from(
    ["nan", "None", "nil", "null", "not", "no", "name", "N/A", "Fernandez", "Danilo", "Simone", "Mr.", "undefined"]
)


@given(st.lists(WORDS_OF_NAMES | st.text("nail|none,.'-(Ä ", max_size=6) | st.text(max_size=4), min_size=1))
def test_a_plain_name_is_kept_by_all_rules(words: list[str]) -> None:
    name = " ".join(" ".join(words).split())
    assert without_placeholders(name) == placeholders._without_parts(name)


@pytest.mark.parametrize("text", ["guest", "0", "xxxxx", "{id}", "user-undefined"])
def test_a_source_can_allow_some(text: str) -> None:
    assert not is_placeholder(text, (text,))
    assert normalise({"identifier": text}, allow_identifiers=[text]).contact.identifier == text
    assert is_placeholder("null", (text,))
    assert is_placeholder(text, (text + "!",))


@pytest.mark.parametrize(
    ("written", "name", "note"),
    [
        ("null null", None, "left out: a placeholder, not a name"),
        ("undefined undefined", None, "left out: a placeholder, not a name"),
        ("{{user.name}}", None, "left out: a placeholder, not a name"),
        ("{{first}} {{last}}", None, "left out: a placeholder, not a name"),
        ("*|FNAME|* *|LNAME|*", None, "left out: a placeholder, not a name"),
        ("[your-name]", None, "left out: a placeholder, not a name"),
        ("%first_name%", None, "left out: a placeholder, not a name"),
        ("[object Object]", None, "left out: a placeholder, not a name"),
        ("(null)", None, "left out: a placeholder, not a name"),
        ("N/A", None, "left out: a placeholder, not a name"),
        ("NaN", None, "left out: a placeholder, not a name"),
        ("-", None, "left out: a placeholder, not a name"),
        ("?? ??", None, "left out: a placeholder, not a name"),
        ("—", None, "left out: a placeholder, not a name"),
        ("null, null", None, "left out: a placeholder, not a name"),
        ("undefinedundefined", None, "left out: a placeholder, not a name"),
        ("Mr. null", None, "left out: a placeholder, not a name"),
        ("undefined, Jane", "Jane", "placeholders removed"),
        ("Jane undefined", "Jane", "placeholders removed"),
        ("Jane Doe, Jr.", "Jane Doe, Jr.", None),
        ("null Doe", "Doe", "placeholders removed"),
        ("Jane {{last_name}}", "Jane", "placeholders removed"),
        # People are called so; the reporter of "Hello, I'm Mr. Null" is one.
        ("Jennifer Null", "Jennifer Null", None),
        ("Nan Goldin", "Nan Goldin", None),
        ("Na", "Na", None),
        ("Nil Nanson", "Nil Nanson", None),
        ("Nonette None-Smith", "Nonette None-Smith", None),
        ("None None", None, "left out: a placeholder, not a name"),
        ("N/A N/A", None, "left out: a placeholder, not a name"),
        ("nil nil", None, "left out: a placeholder, not a name"),
        ("Jane None", "Jane", "placeholders removed"),
        ("Guest", "Guest", None),
        ("~Jane~", "~Jane~", None),
        ("[Jane]", "[Jane]", None),
        ("\N{SMILING FACE WITH SUNGLASSES}", "\N{SMILING FACE WITH SUNGLASSES}", None),
        ("jane@x.example", "jane@x.example", None),
    ],
)
def test_placeholders_in_names(written: str, name: str | None, note: str | None) -> None:
    signup = normalise({"identifier": "7", "name": written})
    assert signup.contact.name == name
    assert [one.text for one in signup.notes] == ([note] if note else [])


@pytest.mark.parametrize(
    ("field", "written", "note"),
    [
        ("email", "null", "left out: not an e-mail address"),
        ("email", "{{email}}", "left out: not an e-mail address"),
        ("email", "{{ user.email }}", "left out: not an e-mail address"),
        ("email", "null@null", "left out: a placeholder, not an e-mail address"),
        ("email", "jane@undefined", "left out: a placeholder, not an e-mail address"),
        ("email", "{{id}}@x.example", "left out: a placeholder, not an e-mail address"),
        ("email", "*|EMAIL|*@x.example", "left out: a placeholder, not an e-mail address"),
        ("phone_number", "undefined", "left out: not a phone number"),
        ("phone_number", "0", "left out: not a phone number"),
        ("phone_number", "0000000000", "left out: not a phone number"),
        ("phone_number", "{{phone}}", "left out: not a phone number"),
        ("avatar_url", "null", "left out: not an http(s) URL"),
        ("avatar_url", "https://x.example/{{avatar}}", "left out: not an http(s) URL"),
        ("avatar_url", "https://x.example/${id}.png", "left out: not an http(s) URL"),
    ],
)
def test_placeholders_in_other_fields(field: str, written: str, note: str) -> None:
    signup = normalise({"identifier": "7", field: written}, region="US")
    assert getattr(signup.contact, field) is None
    assert [(one.field, one.text) for one in signup.notes] == [(field, note)]
