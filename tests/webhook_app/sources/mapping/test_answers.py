"""The person among the answers of a form, in the shapes of several products."""

from contextlib import suppress
from typing import Any

import pytest

from tests.mapped import mapped
from tests.quick import QUICK_S, seconds
from webhook_app.sources.mapping.answers import ANSWERS
from webhook_app.sources.mapping.entry import read_mapping
from webhook_app.sources.mapping.labels import understand
from webhook_app.sources.mapping.paths import MAX_WORK, TooMuchWork
from worker.errors import SettingsError

FIELDS = {"identifier": "$.id", **{subject: {"answer": subject} for subject in ANSWERS}}


def person(answers: Any, payload: dict[str, Any]) -> dict[str, object]:
    """What a source finds, without the identifier."""
    raw = mapped(read_mapping({"answers": answers, "map": FIELDS}), {"id": "1", **payload})
    assert raw is not None
    return {field: value for field, value in raw.items() if field != "identifier"}


def tally(*fields: tuple[str, str, Any]) -> dict[str, object]:
    """A list of answers with types and labels."""
    listed = [
        {"key": f"q{n}", "type": kind, "label": label, "value": value} for n, (kind, label, value) in enumerate(fields)
    ]
    return person("$.fields", {"fields": listed})


def webflow(**answers: Any) -> dict[str, object]:
    """An object whose names are the labels."""
    return person("$.data", {"data": {name.replace("__", " "): value for name, value in answers.items()}})


MINE, OTHERS = "ana@example.com", "other@example.com"
TEXT, MAIL, PHONE = "INPUT_TEXT", "INPUT_EMAIL", "INPUT_PHONE_NUMBER"


@pytest.mark.parametrize(
    "fields",
    [
        [(MAIL, "Friend's e-mail", OTHERS), (MAIL, "E-mail address", MINE)],
        [(MAIL, "E-mail address", MINE), (MAIL, "Friend's e-mail", OTHERS)],
        [(MAIL, "E-mail eines Freundes", OTHERS), (MAIL, "E-Mail-Adresse", MINE)],
        [(MAIL, "Emergency contact e-mail", OTHERS), (MAIL, "Where can we reach you?", MINE)],
        [(TEXT, "Email", OTHERS), (MAIL, "Where can we reach you?", MINE)],  # the type beats the label
        [(TEXT, "Manager's email", OTHERS), (TEXT, "Email", MINE)],
        [(TEXT, "Anything else?", OTHERS), (TEXT, "Correo electr\u00f3nico", MINE)],
        [(MAIL, "Alternative e-mail", OTHERS), (MAIL, "E-mail", MINE)],
        [(MAIL, "Referrer", OTHERS), (TEXT, "Your contact", MINE)],
        [(TEXT, "Email", "I have none"), (TEXT, "Any other way to reach you", f" {MINE}\u200b")],
        [("HIDDEN_FIELDS", "email", OTHERS), (MAIL, "", MINE)],
        [("HIDDEN_FIELDS", "email", MINE)],
        [(MAIL, "Confirm e-mail", MINE)],
    ],
)
def test_the_address_of_the_person_who_fills_in_the_form(fields: list[tuple[str, str, Any]]) -> None:
    assert tally(*fields)["email"] == MINE


@pytest.mark.parametrize(
    "field",
    [
        (MAIL, "Friend's e-mail", OTHERS),
        (MAIL, "Their Email Address:", OTHERS),
        (TEXT, "Referrer's e-mail", OTHERS),
        (TEXT, "Friend's name", "Fred"),
        (TEXT, "Emergency contact name", "Fred"),
        (PHONE, "Emergency phone", "+12025550155"),
        (TEXT, "Company name", "Acme"),
        (TEXT, "Name", "https://example.com/a"),
        (TEXT, "Name", "42"),
        (TEXT, "Order number", "12025550155"),
        ("HIDDEN_FIELDS", "campaign", OTHERS),
        (TEXT, "Email", None),
        (TEXT, "Email", ["a1"]),
        (TEXT, "Email", True),
        (TEXT, "Email", ""),
    ],
)
def test_what_is_not_the_persons_is_never_used(field: tuple[str, str, Any]) -> None:
    assert tally(field) == {}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ([("First name", "Ada"), ("Last name", "Byron")], "Ada Byron"),
        ([("Nachname", "Byron"), ("Vorname", "Ada")], "Ada Byron"),
        ([("Nom", "Byron"), ("Pr\u00e9nom", "Ada")], "Ada Byron"),
        ([("Nombre", "Ada"), ("Apellidos", "Byron")], "Ada Byron"),
        ([("Name", "Ada Byron"), ("First name", "Ada")], "Ada Byron"),
        ([("Name", "Ada Byron"), ("Surname", "Byron")], "Ada Byron"),
        ([("First name", "Ada"), ("Full name", "Ada King Byron")], "Ada King Byron"),
        ([("First name", "Ada")], "Ada"),
        ([("\u59d3\u540d", "\u738b\u5c0f\u660e")], "\u738b\u5c0f\u660e"),
        ([("Friend's first name", "Fred"), ("First name", "Ada"), ("Friend's last name", "Foe")], "Ada"),
        ([("Their First Name:", "Fred"), ("Your First Name:", "Ada"), ("Your Last Name:", "Byron")], "Ada Byron"),
        ([("Company name", "Acme"), ("What is your name?", "Ada")], "Ada"),
        ([("Ansprechpartner: Name", "Ada"), ("Firma", "Acme")], "Ada"),
    ],
)
def test_a_name_in_one_answer_or_in_several(fields: list[tuple[str, str]], name: str) -> None:
    assert tally(*((TEXT, label, value) for label, value in fields)) == {"name": name}


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ([(PHONE, "Emergency phone", "+12025550199"), (PHONE, "Ihre Rufnummer", "+4930123456")], "+4930123456"),
        ([(TEXT, "Phone", "+12025550199"), (PHONE, "Where can we call you?", "+4930123456")], "+4930123456"),
        ([(TEXT, "Tel\u00e9fono", 34600123456)], "34600123456"),
        ([(TEXT, "WhatsApp", "+49 30 123456 (mobile)")], "+49 30 123456 (mobile)"),
        ([(TEXT, "Do you have a phone?", "no"), (TEXT, "\u7535\u8bdd", "+8613800138000")], "+8613800138000"),
    ],
)
def test_the_phone_number_of_the_person(fields: list[tuple[str, str, Any]], number: str) -> None:
    assert tally(*fields)["phone_number"] == number


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        (
            {"Name__3": "Ana B.", "Email__2": MINE, "Phone__Number": 15550000000},
            {"name": "Ana B.", "phone_number": "15550000000"},
        ),
        ({"Friend's__email": OTHERS, "email": MINE}, {}),
        ({"Correo": MINE, "Tel\u00e9fono": "+34600123456"}, {"phone_number": "+34600123456"}),
        ({"Message": "Call me", "Your__contact": MINE}, {}),
    ],
)
def test_an_object_of_labels_and_values(answers: dict[str, Any], found: dict[str, object]) -> None:
    assert webflow(**answers) == {"email": MINE, **found}


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({"q3_name": {"first": "Ana", "last": "B."}}, {"name": "Ana B."}),
        ({"q3_friendsName": {"first": "Fred", "last": ""}, "q4_yourName": {"first": "Ana"}}, {"name": "Ana"}),
        ({"q3_name": "Ana B."}, {"name": "Ana B."}),
        ({"q5_phone": {"full": "(202) 555-0191"}}, {"phone_number": "(202) 555-0191"}),
        ({"q5_phone": {"area": "202", "phone": "555-0191"}}, {"phone_number": "202 555-0191"}),
        ({"q5_phone": {"country": "49", "area": "30", "phone": "123456"}}, {"phone_number": "+49 30 123456"}),
        ({"q6_address": {"addr_line1": "1 Road", "city": "Paris", "country": "France"}}, {"country": "France"}),
        ({"q7_date": {"month": "1", "day": "2", "year": "2024"}}, {}),
    ],
)
def test_a_value_that_is_an_object_says_what_it_is(answers: dict[str, Any], found: dict[str, object]) -> None:
    assert person("$.data", {"data": answers}) == found


def test_an_object_of_answers() -> None:
    """Elfsight's, community.elfsight.com/t/148915, and Sitecliq's, which say ``title`` for ``name``."""
    fields = {
        "name": {"id": "12ce", "name": "Full Name", "value": "John Doe", "type": "shortText"},
        "friend": {"id": "lgwc", "name": "Friend's email", "value": OTHERS, "type": "email"},
        "f2": {"id": "lgwd", "name": "Email", "value": MINE, "type": "email"},
        "message": {"id": "rghj", "name": "Message", "value": "Hello!", "type": "longText"},
    }
    found = {"name": "John Doe", "email": MINE}
    assert person({"at": "$.data", "label": "$.name"}, {"data": fields}) == found


TYPEFORM = {"at": "$.answers", "label": "$.field.ref", "value": ["$.email", "$.text"], "id": "$.field.id"}


def test_answers_have_the_titles_of_their_questions() -> None:
    questions = {"questions": ["$.definition.fields[*]", "$.definition.fields[*].properties.fields[*]"]}
    fields = [
        {"id": "a", "title": "Your name"},
        {"id": "g", "title": "", "properties": {"fields": [{"id": "b", "title": "Friend's e-mail"}]}},
    ]
    answers = [
        {"type": "text", "text": "Ana", "field": {"id": "a", "ref": "0d1-ef"}},
        {"type": "email", "email": OTHERS, "field": {"id": "b"}},
        {"type": "email", "email": MINE, "field": {"id": "c"}},
    ]
    payload = {"answers": answers, "definition": {"fields": fields}}
    assert person({**TYPEFORM, **questions}, payload) == {"name": "Ana", "email": MINE}


#: A summary, as in Jotform's ``pretty``, and names of fields that have two words of a label, as in its ``rawRequest``.
SUMMARIES: list[tuple[Any, dict[str, Any], dict[str, object]]] = [
    (
        "E-mail of a friend:fred@example.com, E-mail:ana@example.com",
        {"q1_emailOf": "fred@example.com", "q2_email": MINE},
        {"email": MINE},
    ),
    (
        "Name of your dog:Rex, \u59d3\u540d:\u738b\u5c0f\u660e",
        {"q1_nameOf": "Rex", "q2_input2": "\u738b\u5c0f\u660e"},
        {"name": "\u738b\u5c0f\u660e"},
    ),
    (
        "Notfallkontakt:+12025550199, Telefon:+12025550133",
        {"q1_t": "+12025550199", "q2_t": "+12025550133"},
        {"phone_number": "+12025550133"},
    ),
    (
        "Friend's name:Ana B., Name:Ana B.",
        {"q1_a": "Ana B.", "q2_b": {"first": "Ana", "last": "B."}},
        {"name": "Ana B."},
    ),
    ("Name:Anastasia", {"q1_a": "Ana"}, {}),
    ("", {"q1_name": "Ana"}, {"name": "Ana"}),
    (None, {"q1_name": "Ana"}, {"name": "Ana"}),
    ([], {"q1_name": "Ana"}, {"name": "Ana"}),
]


@pytest.mark.parametrize(("summary", "answers", "found"), SUMMARIES)
def test_a_summary_has_the_labels(summary: Any, answers: dict[str, Any], found: dict[str, object]) -> None:
    assert person({"at": "$.data", "summary": "$.pretty"}, {"data": answers, "pretty": summary}) == found


@pytest.mark.parametrize(
    ("fields", "country"),
    [
        ([(TEXT, "Country", "FR")], "FR"),
        ([(TEXT, "Land", "de")], "de"),
        ([(TEXT, "Country", "United Kingdom")], "United Kingdom"),
        ([(TEXT, "Pa\u00eds", "ES"), (TEXT, "Country of your company", "US")], "ES"),
        ([(TEXT, "Country", "Atlantis")], None),
        ([(TEXT, "Friend's country", "FR")], None),
    ],
)
def test_the_country_of_the_person(fields: list[tuple[str, str, Any]], country: str | None) -> None:
    assert tally(*fields).get("country") == country


def test_a_rule_names_a_label() -> None:
    mapping = read_mapping({"answers": "$.fields", "map": {"identifier": [{"label": "user_id"}, "$.id"]}})
    fields = [{"label": " User_ID", "type": "HIDDEN_FIELDS", "value": "u-7"}]
    assert mapped(mapping, {"id": "1", "fields": fields}) == {"identifier": "u-7"}
    assert mapped(mapping, {"id": "1", "fields": []}) == {"identifier": "1"}


@pytest.mark.parametrize("label", ["What is your name?", "what is\nyour *name*?", "<b>What is your name?</b>"])
def test_a_label_is_compared_without_markup(label: str) -> None:
    mapping = read_mapping(
        {"answers": "$.fields", "map": {"identifier": "$.id", "name": {"label": "What is your name?"}}}
    )
    fields = [{"label": "Name 2", "value": "Bob"}, {"label": label, "type": "INPUT_TEXT", "value": "Ana"}]
    assert mapped(mapping, {"id": "1", "fields": fields}) == {"identifier": "1", "name": "Ana"}


@pytest.mark.parametrize("answers", [None, "text", 5, [], {}, [None, 1, "x", [], {}], [{"value": {}, "label": {}}]])
def test_anything_else_has_no_answers(answers: object) -> None:
    assert person("$.fields", {"fields": answers}) == {}


def test_many_long_questions_are_read_quickly() -> None:
    """Or refused, if they are more than a form has."""
    fields = [{"label": f"{n} your friend's e-mail of the name " * 9, "value": "x"} for n in range(400)]

    def read() -> None:
        understand.cache_clear()
        with suppress(TooMuchWork):
            person("$.fields", {"fields": fields})

    assert seconds(read) < 2 * QUICK_S


def test_a_long_form_is_read() -> None:
    fields: list[dict[str, object]] = [
        {"label": f"Question {n} of this form, which is a long one", "value": "x"} for n in range(300)
    ]
    fields.append({"label": "Your e-mail address", "value": MINE})
    assert person("$.fields", {"fields": fields}) == {"email": MINE}


def test_more_answers_than_a_form_has_are_refused() -> None:
    fields = [{"label": "Question", "type": "INPUT_TEXT", "value": "x"}] * MAX_WORK
    with pytest.raises(TooMuchWork):
        person("$.fields", {"fields": fields})


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({}, 'map.email: "answer" and "label" need the key "answers" of the source'),
        ({"answers": 5}, 'answers: must be the path to the answers, or a table with it as "at"'),
        ({"answers": {"at": "$.a", "titel": "$.b"}}, "answers: titel: unknown key"),
        ({"answers": {"at": "$.["}}, "answers: '$.[' is not a supported JSONPath"),
    ],
)
def test_mistakes_are_reported(more: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_mapping({"map": {"identifier": "$.id", "email": {"answer": "email"}}, **more})
    assert any(text.startswith(problem) for text in error.value.problems), error.value.problems


def test_only_known_answers_can_be_named() -> None:
    with pytest.raises(SettingsError) as error:
        read_mapping({"answers": "$.a", "map": {"identifier": "$.id", "email": {"answer": "mail"}}})
    assert error.value.problems == ["map.email: answer must be one of email, phone_number, name, country"]
