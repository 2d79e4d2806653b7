"""Paths find values in any payload, and no payload makes them fail."""

from contextlib import suppress
from decimal import Decimal

import jsonpath_rfc9535
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from tests.mapped import mapped
from webhook_app.sources.mapping.entry import read_mapping
from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.mapping import Mapping
from webhook_app.sources.mapping.paths import Scope
from webhook_app.sources.mapping.rules import compile_rule
from worker.errors import SettingsError, Unmappable
from worker.normalise import is_usable_identifier, normalise

CLERK = {
    "type": "user.created",
    "data": {
        "id": "user_29w83",
        "first_name": "Ana",
        "last_name": None,
        "primary_email_address_id": "idn_2",
        "email_addresses": [
            {"id": "idn_1", "email_address": "old@example.com"},
            {"id": "idn_2", "email_address": "ana@example.com"},
        ],
    },
}
PRIMARY_EMAIL = "$.data.email_addresses[?@.id == $.data.primary_email_address_id].email_address"

#: Names that the paths below look for, so that payloads often have them.
NAMES = st.sampled_from(["data", "id", "items", "email", "type", "user"]) | st.text(max_size=3)
SCALARS = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text()
PAYLOADS = st.recursive(SCALARS, lambda children: st.lists(children) | st.dictionaries(NAMES, children), max_leaves=20)
PATHS = [
    "$",
    "$.data.id",
    "$.data.items[0].id",
    "$.items[-1]",
    "$['data'][\"id\"]",
    "$..id",
    "$.*",
    "$.items[*].id",
    "$.items[1]",
    "$.items[?@.id == $.data.id].email",
    "$.items[?@.id].email",
    "$[?@.id != 2]",
    "$..[?match(@.id, '[a-z]+')]",
    "$..[?search(@.email, 'a|b.*')]",
    "$.items[?@.id == 5 || @.email != $.data].email",
    "$[?@.* && value(@..id) == 1]",
]
RULES = st.recursive(
    st.sampled_from(PATHS) | st.fixed_dictionaries({"constant": st.text() | st.integers()}),
    lambda rules: (
        st.lists(rules, min_size=1, max_size=3)
        | st.fixed_dictionaries(
            {"join": st.lists(rules, min_size=1, max_size=3)}, optional={"with": st.text(max_size=2)}
        )
        | st.fixed_dictionaries(
            {"path": st.sampled_from(PATHS)},
            optional={
                "prefix": st.text(max_size=3)
                | st.fixed_dictionaries({"header": st.just("X")})
                | st.lists(rules, min_size=1, max_size=2),
                "unless_equal": rules,
                "replace": st.dictionaries(
                    st.text(min_size=1, max_size=2), st.text(max_size=2), min_size=1, max_size=2
                ),
                "base": rules,
            },
        )
    ),
    max_leaves=5,
)


def find(rule: object, payload: object) -> object:
    return compile_rule(rule).value(payload, Scope())


def mapping(fields: dict[str, object], **more: object) -> Mapping:
    return read_mapping({"map": {"identifier": "$.id", **fields}, **more})


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("$.data.id", "user_29w83"),
        ("data.id", "user_29w83"),
        ("$['data']['id']", "user_29w83"),
        ("$.data.email_addresses[-1].id", "idn_2"),
        ("$.data.email_addresses[2].id", None),
        ("$.data.email_addresses.id", None),
        ("$.data[0]", None),
        ("$.data.last_name", None),
        ("$.data.nope.nope", None),
        (PRIMARY_EMAIL, "ana@example.com"),
        ("$.data.email_addresses[*].email_address", "old@example.com"),
        ("$..primary_email_address_id", "idn_2"),
        ("$.data.email_addresses[*]", None),
        (["$.data.external_id", "$.data.id"], "user_29w83"),
        (["$.data.id", "$.data.external_id"], "user_29w83"),
        (["$.data.last_name", {"constant": "n/a"}], "n/a"),
        ({"join": ["$.data.first_name", "$.data.last_name"]}, "Ana"),
        ({"join": ["$.data.first_name", "$.data.id"], "with": "-"}, "Ana-user_29w83"),
        ({"join": ["$.data.last_name", "$.data"]}, None),
        ({"path": "$.data.id", "prefix": "clerk:"}, "clerk:user_29w83"),
        ({"path": ["$.nope", "$.data.id"], "prefix": "clerk:"}, "clerk:user_29w83"),
        ({"path": "$.data.nope", "prefix": "clerk:"}, None),
        ({"path": "$.data.id"}, "user_29w83"),
        ({"constant": 407}, 407),
    ],
)
def test_rules(rule: object, found: object) -> None:
    assert find(rule, CLERK) == found


def test_a_path_may_begin_with_an_index() -> None:
    assert find("[0].id", [{"id": 5}]) == 5


def test_the_first_usable_of_several_values_is_used() -> None:
    payload = {"emails": [None, "", "  ", {"a": 1}, ["x"], True, "a@b.c", "d@e.f"]}
    assert find("$.emails[*]", payload) == "a@b.c"


def test_a_value_of_a_wrong_type_is_returned_unless_an_alternative_is_usable() -> None:
    """Intercom's avatar is a text or an object with the text in it."""
    payload = {"avatar": {"url": "https://example.com/a.png"}}
    assert find("$.avatar", payload) == payload["avatar"]
    assert find(["$.avatar", "$.nope"], payload) == payload["avatar"]
    assert find(["$.avatar", "$.avatar.url"], payload) == "https://example.com/a.png"


HEADERS = Scope(Headers({"X-Shop-Domain": "a.example", "X-Site": "https://forum.example.com", "X-Blank": "  "}))
AVATAR = {"path": "$.avatar", "replace": {"{size}": "240"}, "base": {"header": "X-Site"}}


@pytest.mark.parametrize(
    ("rule", "payload", "found"),
    [
        ({"header": "X-Shop-Domain"}, {}, "a.example"),
        ({"header": "x-shop-domain"}, [], "a.example"),
        ({"header": "X-Nope"}, {}, None),
        (["$.nope", {"header": "X-Shop-Domain"}], {}, "a.example"),
        ({"join": [{"header": "X-Shop-Domain"}, "$.id"], "with": "/"}, {"id": 5}, "a.example/5"),
        ({"path": "$.id", "prefix": {"header": "X-Shop-Domain"}}, {"id": 5}, "a.example5"),
        (
            {"path": "$.id", "prefix": {"join": [{"header": "X-Shop-Domain"}, {"constant": ""}], "with": ":"}},
            {"id": 5},
            "a.example5",
        ),
        ({"path": "$.id", "prefix": "$.shop"}, {"id": 5, "shop": "b-"}, "$.shop5"),
        ({"path": "$.id", "prefix": ["$.shop"]}, {"id": 5, "shop": "b-"}, "b-5"),
        # Where the prefix is not there, two shops could have the same ids.
        ({"path": "$.id", "prefix": {"header": "X-Nope"}}, {"id": 5}, None),
        ({"path": "$.id", "prefix": {"header": "X-Blank"}}, {"id": 5}, None),
        ({"path": "$.id", "prefix": ["$.shop"]}, {"id": 5, "shop": ["b"]}, None),
        ({"path": "$.id", "prefix": {"header": "X-Shop-Domain"}}, {"id": ""}, ""),
        ({"path": "$.name", "unless_equal": "$.email"}, {"name": "Ana@Example.com ", "email": "ana@example.com"}, None),
        ({"path": "$.name", "unless_equal": "$.email"}, {"name": "Ana", "email": "ana@example.com"}, "Ana"),
        ({"path": "$.name", "unless_equal": "$.email"}, {"name": "Ana"}, "Ana"),
        ({"path": "$.name", "unless_equal": "$.email"}, {"name": None, "email": None}, None),
        (
            [{"path": "$.name", "unless_equal": "$.email"}, "$.nick"],
            {"name": "a@b.c", "email": "a@b.c", "nick": "Ana"},
            "Ana",
        ),
        ({"path": "$.uri", "replace": {"users/": ""}}, {"uri": "users/5"}, "5"),
        ({"path": "$.uri", "replace": {"a": "b", "b": "c"}}, {"uri": "ab"}, "cc"),
        ({"path": "$.uri", "replace": {"5": "6"}}, {"uri": 15}, "16"),
        ({"path": "$.uri", "replace": {"5": "6"}}, {"uri": ["5"]}, ["5"]),
        (AVATAR, {"avatar": "/jane/{size}/1.png"}, "https://forum.example.com/jane/240/1.png"),
        (AVATAR, {"avatar": "//cdn.example.com/{size}.png"}, "https://cdn.example.com/240.png"),
        (AVATAR, {"avatar": "https://cdn.example.com/{size}.png"}, "https://cdn.example.com/240.png"),
        (AVATAR, {"avatar": "//["}, "//["),
        (AVATAR, {"avatar": ""}, ""),
        (AVATAR, {"avatar": None}, None),
        (AVATAR, {"avatar": "a" * 9999}, "a" * 9999),
        ({"path": "$.avatar", "base": {"header": "X-Nope"}}, {"avatar": "/a.png"}, "/a.png"),
    ],
)
def test_rules_that_use_headers_and_other_values(rule: object, payload: object, found: object) -> None:
    assert compile_rule(rule).value(payload, HEADERS) == found


def test_the_headers_that_a_mapping_uses_are_known() -> None:
    made = mapping(
        {"avatar_url": [AVATAR], "name": {"join": ["$.a", {"header": "X-Name"}]}},
        only_if={"header:X-Event": "a", "$.b": 1},
        test_if={"header: X-Test": True},
    )
    assert made.headers == ("X-Event", "X-Name", "X-Site", "X-Test")


def test_numbers_stay_exact() -> None:
    big = 12345678901234567890
    assert find("$.id", {"id": big}) == big
    assert find({"path": "$.id", "prefix": "n"}, {"id": big}) == f"n{big}"
    assert find({"join": ["$.a", "$.b"]}, {"a": Decimal("1.50"), "b": big}) == f"1.50 {big}"


@pytest.mark.parametrize("value", ["", " ", None, True, {}, []])
def test_a_missing_identifier_gets_no_prefix(value: object) -> None:
    raw = mapped(mapping({"identifier": {"path": "$.id", "prefix": "shop-"}}), {"id": value})
    assert raw is not None
    with pytest.raises(Unmappable):
        normalise(raw)


PLACES = {"user": {"id": "undefined", "uuid": "u-1", "name": "null"}, "ids": ["{{id}}", 0, "xxxxx", "u-2"], "guest": 0}


@pytest.mark.parametrize(
    ("written", "identifier"),
    [
        (["$.user.id", "$.user.uuid"], "u-1"),
        ([{"path": "$.user.id", "prefix": "app-"}, "$.user.uuid"], "u-1"),
        ([{"path": ["$.guest", "$.user.uuid"], "prefix": "app-"}], "app-u-1"),
        ({"path": "$.guest", "prefix": "app-"}, 0),
        ("$.ids[*]", "u-2"),
        (["$.guest", "$.user.id"], 0),
        ({"named": ["guest", "uuid"]}, 0),
        ({"named": ["id", "uuid"], "in": "$.user"}, "u-1"),
    ],
)
def test_a_placeholder_makes_way_for_the_next_alternative(written: object, identifier: object) -> None:
    """Typeform sends ``xxxxx`` for a hidden field without a value, WooCommerce 0 for a guest."""
    mapping = read_mapping({"map": {"identifier": written, "name": ["$.user.name", "$.user.uuid"]}})
    assert mapped(mapping, PLACES) == {"identifier": identifier, "name": "null"}


def test_the_contact_is_where_no_placeholder_is() -> None:
    entry = {"contact": ["$.guest", "$.user"], "map": {"identifier": "$.id", "name": "$.name"}}
    payload = {"guest": {"id": "guest", "name": "Guest"}, "user": {"id": "u-1", "name": "Ana"}}
    assert mapped(read_mapping(entry), payload) == {"identifier": "u-1", "name": "Ana"}
    allowed = read_mapping({**entry, "allow_identifiers": ["guest"]})
    assert mapped(allowed, payload) == {"identifier": "guest", "name": "Guest"}


def test_absent_fields_are_absent() -> None:
    fields: dict[str, object] = {"email": "$.email", "name": "$.name"}
    assert mapped(mapping(fields), {"id": 1, "email": None}) == {"identifier": 1}


@pytest.mark.parametrize(
    ("only_if", "is_signup"),
    [
        ({}, True),
        ({"$.type": "user.created"}, True),
        ({"type": ["user.registered", "user.created"]}, True),
        ({"$.type": "user.deleted"}, False),
        ({"$.nope": "user.created"}, False),
        ({"$.type": "user.created", "$.data.id": "somebody else"}, False),
        ({"$.data.email_addresses[*].id": "idn_2"}, True),
    ],
)
def test_only_if(only_if: dict[str, object], is_signup: bool) -> None:
    raw = mapped(mapping({"identifier": "$.data.id"}, only_if=only_if), CLERK)
    assert raw == ({"identifier": "user_29w83"} if is_signup else None)


@pytest.mark.parametrize(
    ("place", "allowed", "holds"),
    [
        ("header:X-Shop-Domain", "a.example", True),
        ("header: x-shop-domain", ["b.example", "a.example"], True),
        ("header:X-Shop-Domain", "A.example", False),
        ("header:X-Nope", "a.example", False),
        ("header:X-Nope", {"exists": False}, True),
        ("header:X-Shop-Domain", {"exists": True}, True),
        ("$.type", {"exists": True}, True),
        ("$.nope", {"exists": True}, False),
        ("$.nope", {"exists": False}, True),
        ("$.data.last_name", {"exists": True}, False),
        ("$.data.email_addresses", {"exists": True}, True),
        ("$.data.email_addresses[*].verified", {"exists": True}, False),
        ("$.data.email_addresses[?@.id == 'idn_2']", {"exists": True}, True),
        ("$.data.email_addresses[?@.id == 'idn_3']", {"exists": False}, True),
    ],
)
def test_conditions(place: str, allowed: object, holds: bool) -> None:
    """``only_if`` needs all conditions; ``ignore_if`` and ``test_if`` need one."""
    signup, another = {"identifier": "user_29w83"}, {"type": ["user.deleted", False]}
    for key, conditions, let_in in [
        ("only_if", {place: allowed}, holds),
        ("ignore_if", {**another, place: allowed}, not holds),
        ("test_if", {place: allowed, **another}, not holds),
    ]:
        raw = mapped(mapping({"identifier": "$.data.id"}, **{key: conditions}), CLERK, HEADERS)
        assert raw == (signup if let_in else None)


@pytest.mark.parametrize(
    ("value", "allowed", "same"),
    [
        (True, True, True),
        (1, True, False),
        (True, 1, False),
        ("true", True, False),
        (Decimal("1.5"), 1.5, True),
        (2, 2, True),
        (None, False, False),
        ([1], 1, False),
    ],
)
def test_only_if_knows_types(value: object, allowed: object, same: bool) -> None:
    raw = mapped(mapping({}, only_if={"$.is": allowed}), {"id": 1, "is": value})
    assert (raw is not None) is same


@pytest.mark.parametrize(
    ("payload", "raw"),
    [
        ({"id": 1, "email": "a"}, {"identifier": 1, "email": "a"}),
        ({"type": "t", "data": {"id": 1, "email": "a"}}, {"identifier": 1, "email": "a"}),
        ({"id": 1, "data": {"email": "not theirs"}}, {"identifier": 1}),
        ({"id": 1, "data": {"id": 2}}, {"identifier": 1}),
        ({"id": "", "data": {"id": 2}}, {"identifier": 2}),
        ({"data": {"id": True}}, {"identifier": True}),
        ({"email": "a"}, {"email": "a"}),
        ([{"id": 1}], {}),
        ("text", {}),
        (None, {}),
    ],
)
def test_the_contact_is_where_the_identifier_is(payload: object, raw: dict[str, object]) -> None:
    assert mapped(mapping({"email": "$.email"}, contact=["$", "$.data"]), payload) == raw


IDENTIFIERS = st.sampled_from([None, "", " ", "u-1", "undefined", 0, 7, True, ["u-2"], "\u200b"])


@given(st.lists(IDENTIFIERS, min_size=1, max_size=4), st.integers(1, 4))
def test_the_first_usable_identifier_is_used_or_else_the_first_text(ids: list[object], places: int) -> None:
    made = read_mapping({"map": {"identifier": "$.id"}, "contact": [f"$.p{at}" for at in range(places)]})
    contacts: list[object] = [{"id": one} if one is not None else {} for one in ids[:places]]
    payload = {f"p{at}": contact for at, contact in enumerate(contacts)}
    usable = [one for one in ids[:places] if is_usable_identifier(one)]
    texts = [
        one for one in ids[:places] if isinstance(one, str | int) and not isinstance(one, bool) and str(one).strip()
    ]
    expected = usable[0] if usable else texts[0] if texts else ids[:places][-1]
    contact, identifier = made.contact(payload, Scope())
    assert identifier == expected
    assert contact is contacts[ids[:places].index(expected)] or not (usable or texts)


def test_what_is_nested_deeply_is_found() -> None:
    payload: object = {"id": "deep"}
    for _ in range(900):
        payload = {"a": payload}
    assert find("$..id", payload) == "deep"
    assert find("$..id", {"b": payload, "id": "here"}) == "here"


@pytest.mark.parametrize(
    "path",
    ["", "$.", "$.a.[", "$.a b", "$.a..", "$.a-b", "$['", "$[99999999999999999999]", "$.a[?nope(@)]", "$.a[?@.b ==]"],
)
def test_a_malformed_path_is_a_mistake(path: str) -> None:
    with pytest.raises(ValueError, match="is not a supported JSONPath: "):
        compile_path(path)


@pytest.mark.parametrize(
    "rule",
    [
        None,
        5,
        True,
        [],
        {},
        [None],
        {"constant": True},
        {"constant": [1]},
        {"join": []},
        {"join": "$.a"},
        {"join": ["$.a"], "with": 5},
        {"join": ["$.a"], "glue": ""},
        {"path": "$.a", "prefix": 5},
        {"path": "$.a", "unless_equal": None},
        {"path": "$.a", "base": {}},
        {"path": "$.a", "match": "x"},
        {"header": ""},
        {"header": 5},
        {"header": "X", "prefix": "a"},
        {"path": 5},
        {"path": "$.a", "constant": 5},
        {"constant": 5, "prefix": "a"},
    ],
)
def test_a_malformed_rule_is_a_mistake(rule: object) -> None:
    with pytest.raises(ValueError, match="must be a path"):
        compile_rule(rule)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read_mapping({"map": {"emial": "$.e", "name": "$.["}, "only_if": {"$.x": [], "a b": 1}, "contact": 5})
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        "map.emial",
        "map.identifier",
        "map.name",
        'only_if."$.x"',
        'only_if."a b"',
        "contact",
    ]
    assert 'did you mean "email"?' in caught.value.problems[0]


@given(st.sampled_from(PATHS), PAYLOADS)
def test_a_plain_path_finds_what_the_reference_finds(text: str, payload: object) -> None:
    path = compile_path(text)
    node = jsonpath_rfc9535.compile(text).find_one(payload)  # type: ignore[arg-type]
    if path.steps is not None:
        assert path.value(payload, Scope()) == (node.value if node else None)
        assert path.values(payload, Scope()) == ([node.value] if node else [])


@given(st.fixed_dictionaries({"identifier": RULES}, optional={"email": RULES, "name": RULES}), PAYLOADS)
def test_any_payload_through_any_mapping_gives_raw_fields(fields: dict[str, object], payload: object) -> None:
    made = read_mapping({"map": fields, "contact": ["$.data", "$"]})
    raw = mapped(made, payload)
    assert raw is not None
    assert raw.keys() <= fields.keys()
    assert mapped(made, payload) == raw


@given(st.dictionaries(st.sampled_from(PATHS), SCALARS.filter(lambda value: isinstance(value, str | int))), PAYLOADS)
def test_any_payload_through_any_condition_is_a_signup_or_not(only_if: dict[str, object], payload: object) -> None:
    raw = mapped(mapping({}, only_if=only_if), payload)
    assert raw is None or raw.keys() <= {"identifier"}


@given(st.text() | st.text("$.[]?@*:'\"=<>()&|!0123456789eE-+ab, "))
def test_any_text_is_a_path_or_a_mistake(text: str) -> None:
    with suppress(ValueError):
        compile_path(text)
