"""Paths match the reference implementation, and no payload makes them slow."""

import json
from contextlib import suppress
from copy import deepcopy
from decimal import Decimal
from typing import Any

import jsonpath_rfc9535
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mapped import mapped
from tests.quick import QUICK_S, seconds
from tests.webhook_app.sources.mapping.test_mapping import NAMES, PATHS
from webhook_app.sources.body.reader import MAX_BYTES, parse_json
from webhook_app.sources.mapping.entry import read_mapping
from webhook_app.sources.mapping.jsonpath import compile_path
from webhook_app.sources.mapping.paths import MAX_WORK, Scope, TooMuchWork, Work

MORE_PATHS = [
    "$..*",
    "$[*]..id",
    "$..items..id",
    "$['id'][0]['items']",
    "$..[?@..id]",
    "$..['id'][0]",
    "$..[?!@.id && @.type != null]",
    "$[?@ == $[0]]",
    "$..[?@.id == $.items[0].id]",
    "$..[?@.id == 'a']",
    "$..[?@.id != null]",
    "$.items[?@.type == false].id",
    "$..[?value(@..id) == $.id]",
    "$[*][?@.id]",
    "$..[?match(@.id, 'a|b')]",
    "$..[?search(@, '[a-c].?')]",
    "$..[-1]",
    "$[?(@.id == 1 || @.id != 'b') && !(@.type == true)]",
    "$[?@.* && @[0] != null]",
    "$..[?value(@..id) != 1]",
    "$[?@.id != $.id || @[-1] == 2.5]",
    "$[?$.items][?@ == 0]",
    "$.items[?@.id == value($.items[?@.type == 'id'].id) && (@.email || @.user)]",
]
#: Floats for decimals, which the library cannot order.
NUMBERS = st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
FLAT = st.none() | st.booleans() | NUMBERS | st.text("abc.", max_size=3)
PAYLOADS = st.recursive(FLAT, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=20)


@given(st.sampled_from(PATHS + MORE_PATHS), PAYLOADS)
def test_a_path_finds_what_the_reference_finds(text: str, payload: object) -> None:
    expected = jsonpath_rfc9535.compile(text).find(payload).values()  # type: ignore[arg-type]
    assert compile_path(text).values(payload, Scope()) == expected


@pytest.mark.parametrize("right", ["$.id", "$.items[0].id", "'a'", "1", "true", "null"])
@pytest.mark.parametrize("sign", ["==", "!="])
@given(payload=PAYLOADS)
def test_a_simple_comparison_is_the_general_one(sign: str, right: str, payload: object) -> None:
    simple, general = f"@.id {sign} {right}", f"(@.id {sign} {right} || @.id {sign} {right})"
    one, other = Scope(), Scope()
    assert compile_path(f"$[?{simple}]").values(payload, one) == compile_path(f"$[?{general}]").values(payload, other)
    assert one.work.left >= other.work.left


@pytest.mark.parametrize(("payload", "steps"), [([{}] * 10, 22), ({"a": 1, "b": {}}, 6), ("text", 2)])
def test_a_comparison_costs_two_steps_an_element(payload: object, steps: int) -> None:
    for path in ("$[?@.id == 5]", "$[?@['id'] != $.nope]", "$[?5 == @.id]"):
        scope = Scope()
        compile_path(path).values(payload, scope)
        assert MAX_WORK - scope.work.left == steps


def nested(levels: int, inside: object, beside: object = None) -> object:
    for _ in range(levels):
        inside = [inside] if beside is None else {"a": inside, "b": beside}
    return inside


def named(levels: int, inside: object) -> object:
    for _ in range(levels):
        inside = {"a": inside}
    return inside


@given(st.sampled_from([path for path in PATHS + MORE_PATHS if path != "$"]), PAYLOADS)
def test_what_is_found_can_be_removed(text: str, payload: object) -> None:
    """Nothing else changes; in an array ``None`` takes its place."""
    expected = deepcopy(payload)
    places = [node.location for node in jsonpath_rfc9535.compile(text).find(payload)]  # type: ignore[arg-type]
    last: Any
    for *way, last in sorted(places, key=len, reverse=True):
        holder: Any = expected
        for step in way:
            holder = holder[step]
        if isinstance(holder, list):
            holder[last] = None
        else:
            holder.pop(last, None)
    compile_path(text).remove(payload, Work())
    assert payload == expected


@pytest.mark.parametrize(
    ("path", "payload", "found"),
    [
        # The library says otherwise, or fails.
        ("$[?@]", [0, "", False, None, []], [0, "", False, None, []]),
        ("$[?value(@) == 5]", [5, [1, 2]], [5]),
        ("$[?@ == 1.5]", [Decimal("1.50"), Decimal("1.51"), 2, 1.5], [Decimal("1.50"), 1.5]),
        ("$[?@ != 1]", [Decimal("1.00"), Decimal("0.5"), True], [Decimal("0.5"), True]),
        ("$[?@ == 1]", [1, True, Decimal(1), "1"], [1, Decimal(1)]),
        ("$[?@ == $.nope]", [1, None], []),
        ("$[?@.a == $.nope]", [{"a": 1}, {}], [{}]),
    ],
)
def test_filters(path: str, payload: object, found: object) -> None:
    assert compile_path(path).values(payload, Scope()) == found


@pytest.mark.parametrize(
    "path",
    [
        "$[?value(@)]",
        "$[?value(@) && @.a]",
        "$[?(@.a == 1) == true]",
        "$[?5]",
        "$[?@.* == 1]",
        "$[?match(@, 'a') == 1]",
    ],
)
def test_an_invalid_filter_is_a_mistake(path: str) -> None:
    with pytest.raises(ValueError, match="is not a supported JSONPath"):
        compile_path(path)


def test_what_is_nested_too_deeply_to_be_compared_is_not_equal() -> None:
    deep = [nested(100_000, 1), nested(100_000, 1)]
    [found] = compile_path("$[?@ == $[0]]").values(deep, Scope())
    assert found is deep[0]


#: Each about as large as a body may be.
PAYLOADS_AT_WORST = {
    "objects": [{"id": number, "a": "xxxxxxx"} for number in range(7_000)],
    "empty": [[]] * 9_000,
    "numbers": list(range(35_000)),
    "texts": ["aaaaaaaa"] * 20_000,
    "long texts": ["a" * 2_000 + "!"] * 120,
    "members": {f"k{number}": number for number in range(15_000)},
    "deep": [nested(35, {"id": 1}, 1)] * 250,
    "deep and wide": nested(38, [0] * 5_000),
    "wide at the end": nested(37, {f"k{number}": number for number in range(15_000)}),
    "named, wide at the end": named(37, {f"k{number}": number for number in range(15_000)}),
    "equal": [nested(900, 1)] * 11,
    "deep and wide everywhere": nested(30, [{"id": 1}] * 20, [1] * 200),
}
PATHS_AT_WORST = [
    "$..id",
    "$..a..a..a..id",
    "$..[0]..[0]..[0]",
    "$..[?@ == $[0] || @ == $[1] || @ == $[2]]",
    "$..*..*..*",
    "$..[?@..id]",
    "$..[?@..*]",
    "$..[?@..[?@..[?@..id]]]",
    "$..[?value(@..*) == 3]",
    "$..[?value($..id) == @.id]",
    "$..[?@ == $]",
    "$[?@ == $[0]]",
    "$..[?@.a == $.a || @.b == $.b || @.c == $.c]",
    "$[*]..[*]..[*]",
    "$..[?match(@, '(a+)+')]",
    "$..[?search(@, '(a|a)*b|(a+)+c')]",
    "$[?search(@.a, 'x.*x.*x.*x.*y')]",
]


@pytest.mark.parametrize("path", PATHS_AT_WORST)
@pytest.mark.parametrize("name", PAYLOADS_AT_WORST)
def test_the_worst_payload_is_searched_quickly_by_the_worst_path(name: str, path: str) -> None:
    compiled = compile_path(path)

    def search() -> None:
        with suppress(TooMuchWork):
            list(compiled.values(PAYLOADS_AT_WORST[name], Scope()))

    assert seconds(search) < QUICK_S


def test_all_paths_of_a_mapping_share_the_work() -> None:
    fields: dict[str, object] = {"identifier": "$..id", "name": ["$..a", "$..b", "$..c"], "email": "$..[?@.d].e"}
    mapping = read_mapping(
        {"map": fields, "contact": ["$", "$.data"], "only_if": {"$..x": 1}, "ignore_if": {"$..y": 1}}
    )
    for payload in PAYLOADS_AT_WORST.values():
        body = json.dumps(payload).encode()
        assert len(body) <= MAX_BYTES

        def read(body: bytes = body) -> None:
            with suppress(TooMuchWork):
                mapped(mapping, parse_json(body))

        assert seconds(read) < QUICK_S


def test_a_signup_stays_far_below_the_limit() -> None:
    answers = [
        {"type": "text", "text": "a", "field": {"id": str(number), "type": "short_text"}} for number in range(100)
    ]
    payload = {"answers": [*answers, {"type": "email", "email": "ana@example.com"}]}
    scope = Scope()
    found = compile_path("$.answers[?@.type == 'email'].email").value(payload, scope)
    assert found == "ana@example.com"
    assert scope.work.left > 0.9 * MAX_WORK


def test_work_has_a_limit() -> None:
    work = Work(3)
    work.spend(3)
    with pytest.raises(TooMuchWork) as caught:
        work.spend()
    assert caught.value.problems == {"payload": "is too large to be searched"}


@pytest.mark.parametrize("pattern", ["$.a", "@.b", "'('", "'(?=a)'", "'a**'", "5"])
def test_a_pattern_must_be_a_literal(pattern: str) -> None:
    """Otherwise a payload could bring a pattern that runs for years."""
    for function in ("match", "search"):
        with pytest.raises(ValueError, match="is not a supported JSONPath"):
            compile_path(f"$[?{function}(@.a, {pattern})]")


def test_patterns_are_those_of_re2() -> None:
    payload = ["ab", "a\nb", "a.b", "xaby", "\ud800ab", 5, None, ["ab"], "a" * 5000 + "ab"]
    assert list(compile_path("$[?match(@, 'a.?b')]").values(payload, Scope())) == ["ab", "a.b"]
    assert list(compile_path("$[?search(@, 'ab')]").values(payload, Scope())) == ["ab", "xaby"]
    assert list(compile_path(r"$[?match(@, 'a[.]b')]").values(payload, Scope())) == ["a.b"]


def test_a_filter_that_several_paths_have_is_searched_once() -> None:
    payload = {"main": "b", "mails": [{"id": one, "to": f"{one}@example.com", "ok": one == "b"} for one in "abc"]}
    where, scope = "$.mails[?@.id == $.main]", Scope()
    assert compile_path(f"{where}.to").value(payload, scope) == "b@example.com"
    searched = scope.work.left
    assert compile_path(f"{where}.ok").values(payload, scope) == [True]
    assert compile_path(f"{where}.missing").values(payload, scope) == []
    assert compile_path(where).values(payload, scope) == [payload["mails"][1]]
    assert searched - scope.work.left <= 3
    assert compile_path(f"{where}.to").values({"main": "a", "mails": payload["mails"]}, scope) == ["a@example.com"]
