"""What products send, by kind: whose the identifier is, signups in two steps, countries, names.

To add an instance, add a line to the table of its kind: a preset, changes to its sample (see ``sample_delivery``), and
what is found. Where an instance is a published payload, its source is named.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deliveries import GONE, Keys, contacts, published_keys, sample_delivery, source
from tests.mapped import mapped
from webhook_app.sources.mapping.paths import Scope
from webhook_app.sources.presets import PRESETS

IGNORED = None
EMAIL = "ana@example.com"


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with published_keys() as keys:
        yield keys


def raw(preset: str, keys: Keys, changes: dict[str, Any]) -> dict[str, object]:
    """What the mapping finds, before it is normalised."""
    found, sent = source(preset, keys), sample_delivery(preset, keys, changes)
    fields = mapped(found.mapping, found.reader.read(sent), Scope(sent.headers))
    assert fields is not None
    return fields


# Whose the identifier is

#: Products that count people from 1, and what precedes their ids.
COUNTED = {
    "wordpress": "wp-7",
    "woocommerce": "woo-25",
    "github": "github-583231",
    "discourse": "discourse-1",
    "lemonsqueezy": "lemonsqueezy-1001",
    "hubspot-workflow": "hubspot-801",
}
#: Products whose people type in what they like.
VISITORS = {
    *("typeform", "tally", "jotform", "webflow", "calendly", "google-ads-lead"),
    *("mailchimp", "intercom", "segment-identify", "segment-track", "rudderstack"),
}
ACCOUNTS = {
    *("shopify", "woocommerce", "stripe", "paddle", "lemonsqueezy", "hubspot-workflow"),
    *("github", "discourse", "ghost", "wordpress", "slack"),
}


@pytest.mark.parametrize("preset", COUNTED)
def test_ids_that_count_from_1_have_a_prefix(preset: str, keys: Keys) -> None:
    (contact,) = contacts(source(preset, keys), sample_delivery(preset, keys))
    assert contact.identifier == COUNTED[preset]
    (bare,) = contacts(source(preset, keys, id_prefix=""), sample_delivery(preset, keys))
    assert COUNTED[preset].endswith(f"-{bare.identifier}")


def test_the_first_people_of_all_products_differ(keys: Keys) -> None:
    first = {
        "wordpress": {"ID": 1},
        "woocommerce": {"id": 1},
        "github": {"member.id": 1},
        "discourse": {"user.id": 1},
        "lemonsqueezy": {"data.attributes.customer_id": 1},
        "hubspot-workflow": {"vid": 1},
    }
    found = [
        contacts(source(preset, keys), sample_delivery(preset, keys, change))[0] for preset, change in first.items()
    ]
    assert len({contact.identifier for contact in found}) == len(first) == len(COUNTED)


@pytest.mark.parametrize("preset", sorted(VISITORS | ACCOUNTS))
def test_who_can_choose_the_identifier(preset: str, keys: Keys) -> None:
    assert source(preset, keys).identity == ("visitor" if preset in VISITORS else "account")
    assert PRESETS[preset]["identity_reason"].endswith((".", "`."))


def test_a_server_that_sends_to_segment_is_an_account(keys: Keys) -> None:
    for preset in ("segment-identify", "segment-track", "rudderstack"):
        assert source(preset, keys, identity="account").identity == "account"


#: What a visitor can write, and the identifier, which stays the product's own.
CHOSEN = [
    (
        "typeform",
        {"form_response.hidden": {"user_id": "user-77", "userId": "user-77"}},
        "a3a12ec67a1365927098a606107fac15",
    ),
    ("tally", {"data.fields.0.label": "user_id", "data.fields.0.value": "user-77"}, "2wgx4n"),
    ("tally", {"data.respondentId": "user-77"}, "2wgx4n"),  # a browser's, which several people may use
    ("jotform", {"rawRequest": json.dumps({"q9_userId": "user-77", "q4_email": EMAIL})}, "5722222222222222222"),
    ("webflow", {"payload.data": {"user_id": "user-77", "id": "user-77", "email": EMAIL}}, "6321ca84df3949bfc6752327"),
    (
        "calendly",
        {"payload.tracking": {"utm_source": "user-77", "salesforce_uuid": "user-77"}},
        "https://api.calendly.com/scheduled_events/AAAA0001/invitees/BBBB0002",
    ),
    ("google-ads-lead", {"gcl_id": "user-77"}, "TeSter-123-ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("mailchimp", {"data[merges][USER_ID]": "user-77"}, "8a25ff1d98"),
    ("stripe", {"data.object.client_reference_id": "user-77"}, "cus_QXg1o8vcGmoR32"),
    ("lemonsqueezy", {"meta.custom_data": {"user_id": "user-77"}}, "lemonsqueezy-1001"),
    ("paddle", {"data.custom_data": {"user_id": "user-77"}}, "ctm_01h8441jn5pcwrfhwh78jqt8hk"),
    ("intercom", {"data.item.external_id": "user-77"}, "65537f0b1c0de1ee7ca11e01"),
    ("shopify", {"note": "user-77", "multipass_identifier": "user-77"}, "706405506930370084"),
]


@pytest.mark.parametrize(("preset", "changes", "identifier"), CHOSEN)
def test_what_a_visitor_writes_is_not_the_identifier(
    preset: str, changes: dict[str, Any], identifier: str, keys: Keys
) -> None:
    (contact,) = contacts(source(preset, keys), sample_delivery(preset, keys, changes))
    assert contact.identifier == identifier


@pytest.mark.parametrize(
    ("preset", "rule", "changes"),
    [
        ("typeform", ["$.hidden.user_id", "$.token"], {"form_response.hidden": {"user_id": "user-77"}}),
        (
            "tally",
            [{"label": "user_id"}, "$.responseId"],
            {"data.fields.0.label": "user_id", "data.fields.0.value": "user-77"},
        ),
        ("intercom", "$.external_id", {"data.item.external_id": "user-77"}),
        ("stripe", ["$.metadata.user_id", "$.id"], {"data.object.metadata": {"user_id": "user-77"}}),
        ("paddle", ["$.custom_data.user_id", "$.id"], {"data.custom_data": {"user_id": "user-77"}}),
    ],
)
def test_it_is_where_the_user_asks_for_it(preset: str, rule: Any, changes: dict[str, Any], keys: Keys) -> None:
    found = source(preset, keys, map={"identifier": rule})
    (contact,) = contacts(found, sample_delivery(preset, keys, changes))
    assert contact.identifier == "user-77"
    assert found.identity == PRESETS[preset]["identity"]


def test_a_placeholder_in_the_hidden_field_gives_the_responses_own_id(keys: Keys) -> None:
    """Typeform's preview has ``xxxxx`` in every hidden field; a template may not be filled in."""
    found = source("typeform", keys, map={"identifier": ["$.hidden.user_id", "$.token"]})
    for placeholder in ("xxxxx", "undefined", "{{user_id}}", "0", ""):
        sent = sample_delivery("typeform", keys, {"form_response.hidden": {"user_id": placeholder}})
        assert contacts(found, sent)[0].identifier == "a3a12ec67a1365927098a606107fac15", placeholder


# Signups in two steps

#: Deliveries, in order, and the e-mail addresses of the contacts that they become: each person with one delivery, the
#: one that has the address.
STEPS = [
    # intercom/Intercom-OpenAPI; a lead is created when the conversation begins.
    (
        "intercom",
        [
            {"topic": "contact.lead.created", "data.item.email": None, "data.item.phone": None},
            {"topic": "contact.lead.added_email", "data.item.email": EMAIL},
        ],
        [IGNORED, EMAIL],
    ),
    ("intercom", [{"topic": "contact.lead.created", "data.item.email": EMAIL}], [EMAIL]),
    (
        "intercom",
        [
            {"topic": "contact.lead.created", "data.item.email": "", "data.item.phone": GONE},
            {"topic": "contact.lead.signed_up", "data.item.email": EMAIL},
        ],
        [IGNORED, EMAIL],
    ),
    # segmentio/segment-docs, src/connections/spec/best-practices-identify.md: on every page, with traits once known.
    ("segment-identify", [{"traits": {}}, {"traits": {"email": EMAIL}}], [IGNORED, EMAIL]),
    (
        "segment-identify",
        [{"traits": GONE}, {"traits": {"plan": "free"}}, {"traits": {"email": EMAIL}}],
        [IGNORED, IGNORED, EMAIL],
    ),
    ("rudderstack", [{"context": {}}, {"context": {"traits": {"email": EMAIL}}}], [IGNORED, EMAIL]),
    # Typeform sends partial responses as they are typed in, if the form has them.
    ("typeform", [{"event_type": "form_response_partial"}, {"form_response.answers.1.email": EMAIL}], [IGNORED, EMAIL]),
]


@pytest.mark.parametrize(("preset", "steps", "expected"), STEPS)
def test_a_signup_in_two_steps_arrives_with_the_step_that_has_the_address(
    preset: str, steps: list[dict[str, Any]], expected: list[str | None], keys: Keys
) -> None:
    found = source(preset, keys)
    read = [contacts(found, sample_delivery(preset, keys, step)) for step in steps]
    assert [each[0].email if each else IGNORED for each in read] == expected
    assert len({each[0].identifier for each in read if each}) == 1


def test_shopify_waits_for_the_address_where_the_user_asks_for_it(keys: Keys) -> None:
    """With the line of the preset's note, which does not stop a deletion."""
    without = {"$[?@ == $.id && $.email == null]": {"exists": True}}
    assert any(next(iter(without)) in note for note in PRESETS["shopify"]["notes"])
    found = source("shopify", keys, ignore_if=without, on_delete="mark")
    assert contacts(found, sample_delivery("shopify", keys, {"email": None})) == []
    (contact,) = contacts(found, sample_delivery("shopify", keys, event="customers_update"))
    assert contact.email == "roberta.biller@example.com"
    for event in ("customers_delete", "customers_redact"):
        assert len(contacts(found, sample_delivery("shopify", keys, event=event))) == 1


def test_a_lead_with_a_phone_number_only_is_a_signup(keys: Keys) -> None:
    changes = {"topic": "contact.lead.created", "data.item.email": None, "data.item.phone": "+12025550175"}
    (contact,) = contacts(source("intercom", keys), sample_delivery("intercom", keys, changes))
    assert (contact.email, contact.phone_number) == (None, "+12025550175")


# Countries of phone numbers

#: Where a product has the country of a number that has none itself.
COUNTRIES = [
    ("shopify", {"default_address": {"phone": "06 12 34 56 78", "country_code": "FR"}}, "FR"),
    ("shopify", {"default_address": None, "addresses": [{"phone": "06 12 34 56 78", "country_code": "FR"}]}, "FR"),
    ("woocommerce", {"billing.phone": "06 12 34 56 78", "billing.country": "FR"}, "FR"),
    ("woocommerce", {"billing": {}, "shipping": {"phone": "06 12 34 56 78", "country": "FR"}}, "FR"),
    ("stripe", {"data.object.phone": "06 12 34 56 78", "data.object.address.country": "FR"}, "FR"),
    ("stripe", {"data.object.shipping": {"phone": "06 12 34 56 78", "address": {"country": "FR"}}}, "FR"),
    (
        "hubspot-workflow",
        {"properties.phone.value": "06 12 34 56 78", "properties.hs_country_region_code": {"value": "FR"}},
        "FR",
    ),
    ("hubspot-workflow", {"body": {"vid": 1, "phone": "06 12 34 56 78", "country": "France"}}, "France"),
    ("segment-identify", {"traits": {"phone": "06 12 34 56 78", "address": {"country": "FR"}}}, "FR"),
    ("segment-identify", {"traits": {"phone": "06 12 34 56 78", "countryCode": "FR"}}, "FR"),
    ("segment-track", {"context.traits": {"phone": "06 12 34 56 78", "address": {"country": "FR"}}}, "FR"),
    ("rudderstack", {"context.traits": {"phone": "06 12 34 56 78", "address": {"country": "France"}}}, "France"),
    ("mailchimp", {"data[merges][PHONE]": "06 12 34 56 78", "data[merges][ADDRESS][country]": "FR"}, "FR"),
    (
        "google-ads-lead",
        {
            "user_column_data": [
                {"column_id": "PHONE_NUMBER", "string_value": "06 12 34 56 78"},
                {"column_id": "COUNTRY", "string_value": "France"},
            ]
        },
        "France",
    ),
    (
        "typeform",
        {
            "form_response.definition.fields.0.title": "Country",
            "form_response.answers": [
                {"type": "choice", "choice": {"label": "FR"}, "field": {"id": "JwWggjAKtOkA"}},
                {"type": "text", "text": "06 12 34 56 78", "field": {"id": "x", "ref": "phone"}},
            ],
        },
        "FR",
    ),
    ("webflow", {"payload.data": {"Telefon": "06 12 34 56 78", "Land": "FR"}}, "FR"),
    (
        "jotform",
        {"rawRequest": json.dumps({"q1_phone": "06 12 34 56 78", "q2_address": {"city": "Paris", "country": "FR"}})},
        "FR",
    ),
    ("wordpress", {"user_meta": {"billing_phone": ["06 12 34 56 78"], "billing_country": ["FR"]}}, "FR"),
]


@pytest.mark.parametrize(("preset", "changes", "country"), COUNTRIES)
def test_a_number_has_the_country_of_its_address(
    preset: str, changes: dict[str, Any], country: str, keys: Keys
) -> None:
    """In a source for the United States, whose number it would be otherwise."""
    found = source(preset, keys)
    (contact,) = contacts(found, sample_delivery(preset, keys, changes))
    assert contact.phone_number == "+33612345678"
    assert raw(preset, keys, changes)["country"] == country


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("shopify", {"default_address": {"phone": "06 12 34 56 78", "country_code": "US"}}),
        ("shopify", {"default_address": {"phone": "06 12 34 56 78", "country_code": None}}),
        ("woocommerce", {"billing.phone": "06 12 34 56 78", "billing.country": ""}),
        ("webflow", {"payload.data": {"Phone": "06 12 34 56 78"}}),
    ],
)
def test_a_number_that_is_not_valid_in_its_country_is_left_out(
    preset: str, changes: dict[str, Any], keys: Keys
) -> None:
    (contact,) = contacts(source(preset, keys), sample_delivery(preset, keys, changes))
    assert contact.phone_number is None


# Products that escape names for HTML

ESCAPED = [
    # WordPress escapes names when it saves them: wp-includes/default-filters.php, wpsharks/s2member issue 1012.
    ("wordpress", {"data.display_name": "Ernie &amp; Bert"}, "Ernie & Bert"),
    (
        "wordpress",
        {"data.display_name": "", "user_meta": {"first_name": ["Siobh&#225;n"], "last_name": ["O&#039;Brien"]}},
        "Siobh\u00e1n O'Brien",
    ),
    # Slack escapes &, < and > in texts: sdslabs/slack-utils pull request 3. That names are escaped is assumed.
    ("slack", {"event.user.real_name": "Ernie &amp; Bert"}, "Ernie & Bert"),
    ("woocommerce", {"first_name": "Ernie &amp; Bert", "last_name": ""}, "Ernie & Bert"),
    (
        "woocommerce",
        {"first_name": "", "last_name": "", "billing.first_name": "Anne", "billing.last_name": "O&#8217;Neill"},
        "Anne O\u2019Neill",
    ),
    (
        "jotform",
        {"rawRequest": json.dumps({"q3_name": {"first": "Siobh&#225;n", "last": "O&#039;Brien"}})},
        "Siobh\u00e1n O'Brien",
    ),
    ("jotform", {"rawRequest": json.dumps({"q3_name": "Tom &amp; Ann"})}, "Tom & Ann"),
    ("jotform", {"rawRequest": json.dumps({"q3_name": "A &lt;3 B"})}, "A <3 B"),
    # Others do not: what looks like an entity was typed in.
    ("typeform", {"form_response.answers.0.text": "Tom &amp; Ann"}, "Tom &amp; Ann"),
]


@pytest.mark.parametrize(("preset", "changes", "name"), ESCAPED)
def test_names_are_plain_text(preset: str, changes: dict[str, Any], name: str, keys: Keys) -> None:
    (contact,) = contacts(source(preset, keys), sample_delivery(preset, keys, changes))
    assert contact.name == name


def test_a_user_says_that_a_product_escapes_names(keys: Keys) -> None:
    found = source("webflow", keys, html_entities=True)
    changes = {"payload.data": {"Name": "O&#039;Brien", "Email": EMAIL}}
    (contact,) = contacts(found, sample_delivery("webflow", keys, changes))
    assert contact.name == "O'Brien"


# Names and numbers where products really put them

FOUND = [
    # shopify.dev, customers/create: customers from a checkout may have names in their address only.
    (
        "shopify",
        {
            "first_name": None,
            "last_name": None,
            "default_address": {"first_name": "Ana", "last_name": "B.", "name": "Ana B."},
        },
        {"name": "Ana B."},
    ),
    ("shopify", {"first_name": "", "last_name": "", "default_address": {"name": "Ana B."}}, {"name": "Ana B."}),
    ("shopify", {"phone": None, "default_address": {"phone": "+12025550133"}}, {"phone_number": "+12025550133"}),
    ("woocommerce", {"first_name": "", "last_name": ""}, {"name": "John Doe"}),
    (
        "woocommerce",
        {"first_name": "", "last_name": "", "billing": {}, "shipping": {"first_name": "Ana"}},
        {"name": "Ana"},
    ),
    ("woocommerce", {"billing.phone": "", "shipping": {"phone": "+12025550133"}}, {"phone_number": "+12025550133"}),
    # WordPress sets the display name of a new user to the login name (wp-includes/user.php, wp_insert_user).
    ("wordpress", {"data.display_name": "rosa"}, {"name": "Rosa Klein"}),
    ("wordpress", {"data.display_name": "rosa", "user_meta": {}}, {"name": "rosa"}),
    ("wordpress", {"data.display_name": "", "user_meta": {"nickname": ["Rosie"]}}, {"name": "Rosie"}),
    (
        "wordpress",
        {"data.display_name": "", "user_meta": {}, "data.first_name": "Rosa", "data.last_name": "K."},
        {"name": "Rosa K."},
    ),
    # woocommerce/wc-api-node issue 2: the display name is the e-mail address.
    (
        "wordpress",
        {
            "data.display_name": "rosa@example.com",
            "data.user_login": "rosa@example.com",
            "data.user_nicename": "rosaexample-com",
            "user_meta": {},
        },
        {"name": "rosaexample-com"},
    ),
    (
        "stripe",
        {"data.object.shipping": {"name": "Ana B.", "phone": "+12025550133"}},
        {"name": "Ana B.", "phone_number": "+12025550133"},
    ),
    ("discourse", {"user.name": None}, {"name": "jane"}),
    ("github", {"member.name": "Jane O."}, {"name": "Jane O."}),
    ("calendly", {"payload.name": "", "payload.first_name": "Ana", "payload.last_name": "B."}, {"name": "Ana B."}),
    (
        "calendly",
        {
            "payload.text_reminder_number": None,
            "payload.questions_and_answers": [
                {"question": "Anything else?", "answer": "no", "position": 0},
                {"question": "Phone Number", "answer": "+1 202-555-0133", "position": 1},
            ],
        },
        {"phone_number": "+12025550133"},
    ),
    (
        "calendly",
        {
            "payload.text_reminder_number": None,
            "payload.scheduled_event": {"location": {"type": "outbound_call", "location": "+1 202-555-0133"}},
        },
        {"phone_number": "+12025550133"},
    ),
    (
        "mailchimp",
        {
            "data[merges][FNAME]": "",
            "data[merges][LNAME]": "",
            "data[merges][VORNAME]": "Ana",
            "data[merges][NACHNAME]": "B.",
        },
        {"name": "Ana B."},
    ),
    ("mailchimp", {"data[merges][MOBILE]": "+12025550133"}, {"phone_number": "+12025550133"}),
    (
        "slack",
        {"event.user.real_name": "", "event.user.profile.real_name": "", "event.user.profile.display_name": "ana"},
        {"name": "ana"},
    ),
    ("segment-identify", {"traits.phoneNumber": "+12025550133"}, {"phone_number": "+12025550133"}),
    (
        "hubspot-workflow",
        {"properties.hs_calculated_phone_number": {"value": "+12025550133"}},
        {"phone_number": "+12025550133"},
    ),
    # Typeform: a published response, pastebin.com/zW0tGLEe, in which all are short texts.
    (
        "typeform",
        {
            "form_response.definition.fields": [
                {"id": "a", "title": "Their First Name:", "type": "short_text"},
                {"id": "b", "title": "Their Email Address:", "type": "short_text"},
                {"id": "c", "title": "Your First Name:", "type": "short_text"},
                {"id": "d", "title": "Your Last Name:", "type": "short_text"},
                {"id": "e", "title": "Your Email Address:", "type": "short_text"},
            ],
            "form_response.answers": [
                {
                    "type": "text",
                    "text": text,
                    "field": {"id": field, "type": "short_text", "ref": "ecbb3121-1bc9-42f0"},
                }
                for field, text in (("a", "Fred"), ("b", "fred@example.com"), ("c", "Ana"), ("d", "B."), ("e", EMAIL))
            ],
        },
        {"name": "Ana B.", "email": EMAIL},
    ),
    (
        "typeform",
        {"form_response.definition.fields.0.title": "Hi there!\nWhat is your *first name*?"},
        {"name": "Laura"},
    ),
    ("typeform", {"form_response.definition.fields.0.title": "Wie ist Ihr **Name**, bitte?"}, {"name": "Laura"}),
    # Typeform's contact information: the questions are inside a question.
    (
        "typeform",
        {
            "form_response.definition.fields": [
                {
                    "id": "g",
                    "title": "Please fill in the following",
                    "type": "contact_info",
                    "properties": {
                        "fields": [
                            {"id": "a", "title": "First name", "type": "short_text"},
                            {"id": "b", "title": "Last name", "type": "short_text"},
                            {"id": "c", "title": "Phone number", "type": "phone_number"},
                        ]
                    },
                }
            ],
            "form_response.answers": [
                {"type": "text", "text": "Ana", "field": {"id": "a", "type": "short_text"}},
                {"type": "text", "text": "B.", "field": {"id": "b", "type": "short_text"}},
                {"type": "phone_number", "phone_number": "+12025550133", "field": {"id": "c", "type": "phone_number"}},
            ],
        },
        {"name": "Ana B.", "phone_number": "+12025550133", "email": None},
    ),
    ("tally", {"data.fields.1.label": "Wie hei\u00dfen Sie?"}, {"name": "Alice Smith"}),
    (
        "tally",
        {"data.fields.1.label": "\u59d3\u540d", "data.fields.1.value": "\u738b\u5c0f\u660e"},
        {"name": "\u738b\u5c0f\u660e"},
    ),
    (
        "tally",
        {"data.fields.3.type": "INPUT_TEXT", "data.fields.3.label": "Correo electr\u00f3nico"},
        {"email": "alice@example.com"},
    ),
    (
        "tally",
        {"data.fields.0": {"key": "q", "label": "Friend's e-mail", "type": "INPUT_EMAIL", "value": "fred@example.com"}},
        {"email": "alice@example.com"},
    ),
    (
        "webflow",
        {"payload.data": {"Name 3": "Ana B.", "Email 2": EMAIL}},
        {"name": "Ana B.", "email": EMAIL, "phone_number": None},
    ),
    (
        "webflow",
        {
            "payload.data": {
                "Nombre": "Ana",
                "Apellidos": "B.",
                "Correo electr\u00f3nico": EMAIL,
                "Tel\u00e9fono m\u00f3vil": "+12025550133",
            }
        },
        {"name": "Ana B.", "email": EMAIL, "phone_number": "+12025550133"},
    ),
    # developers.webflow.com, form_submission, version 1 of its API.
    (
        "webflow",
        {
            "body": {
                "triggerType": "form_submission",
                "payload": {"_id": "6321", "data": {"name": "Some One", "email": EMAIL}},
            }
        },
        {"identifier": "6321", "name": "Some One", "email": EMAIL, "phone_number": None},
    ),
    (
        "jotform",
        {"rawRequest": json.dumps({"q3_name": "Ana B.", "q4_email": EMAIL})},
        {"name": "Ana B.", "email": EMAIL, "phone_number": None},
    ),
    (
        "jotform",
        {
            "rawRequest": json.dumps(
                {"q2_friendsEmail": "fred@example.com", "q3_nombreCompleto": "Ana B.", "q4_correo": EMAIL}
            )
        },
        {"name": "Ana B.", "email": EMAIL, "phone_number": None},
    ),
    # zulip/zulip, zerver/webhooks/jotform/fixtures/response.multipart (names changed)
    (
        "jotform",
        {
            "rawRequest": json.dumps(
                {
                    "slug": "submit/243231271343446",
                    "buildDate": "1732271172685",
                    "q3_studentsName": {"first": "Ana", "last": "B."},
                    "q33_typeOf": "Online Tutoring",
                    "q28_appointment": {"implementation": "new", "date": "", "timezone": "Asia/Calcutta (GMT+06:30)"},
                    "path": "/submit/243231271343446",
                }
            )
        },
        {"name": "Ana B.", "email": None, "phone_number": None},
    ),
]


@pytest.mark.parametrize(("preset", "changes", "fields"), FOUND)
def test_fields_are_found_where_the_product_puts_them(
    preset: str, changes: dict[str, Any], fields: dict[str, Any], keys: Keys
) -> None:
    (contact,) = contacts(source(preset, keys), sample_delivery(preset, keys, changes))
    assert {name: getattr(contact, name) for name in fields} == fields


def test_a_guest_of_stripe_checkout_is_a_contact_where_the_user_asks_for_it(keys: Keys) -> None:
    found = source("stripe", keys, only_if={"$.type": "checkout.session.completed"})
    details = {"email": EMAIL, "name": "Ana B.", "phone": "+12025550133", "address": {"country": "US"}}
    session = {"id": "cs_1", "object": "checkout.session", "customer": None, "customer_details": details}
    body = {"type": "checkout.session.completed", "data": {"object": session}}
    (guest,) = contacts(found, sample_delivery("stripe", keys, {"body": body}))
    assert (guest.identifier, guest.email, guest.name, guest.phone_number) == ("cs_1", EMAIL, "Ana B.", "+12025550133")
    session["customer"] = "cus_1"
    (customer,) = contacts(found, sample_delivery("stripe", keys, {"body": body}))
    assert customer.identifier == "cus_1"


@pytest.mark.parametrize(
    ("preset", "changes", "is_verified"),
    [
        ("shopify", {"verified_email": True}, True),
        ("shopify", {"verified_email": False}, False),
        ("shopify", {"verified_email": GONE}, None),
        ("slack", {"event.user.is_email_confirmed": True}, True),
        ("slack", {"event.user.is_email_confirmed": False}, False),
        ("discourse", {}, False),  # `user_created` is sent before the confirmation
        ("woocommerce", {}, None),
        ("typeform", {}, None),
    ],
)
def test_whether_the_product_verified_the_address(
    preset: str, changes: dict[str, Any], is_verified: bool | None, keys: Keys
) -> None:
    assert raw(preset, keys, changes).get("email_verified") is is_verified


def test_discourse_confirms_an_address_with_an_event_of_its_own(keys: Keys) -> None:
    assert raw("discourse", keys, {"header:X-Discourse-Event": "user_confirmed_email"})["email_verified"] is True
