"""Difficult deliveries of each product, as changes to its sample."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from tests.deliveries import GONE, NOW, Keys, contacts, expected, hexed, published_keys, sample_delivery, source
from webhook_app.sources.delivery import Delivery, Unauthentic
from worker.errors import Unmappable
from worker.model import Contact

#: By the place in the sample, what is there instead.
Changes = Mapping[str, object]
#: What is different in the contact. Or there is none: the delivery is not a signup, or has no usable contact.
Outcome = Mapping[str, Any] | type[Unmappable] | None
IGNORED = None


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with published_keys() as keys:
        yield keys


def case(preset: str, trap: str, changes: Changes, outcome: Outcome) -> Any:
    return pytest.param(preset, changes, outcome, id=f"{preset}: {trap}")


NO_NAME: Changes = {"name": None}

TRAPS = [
    case(
        "standard-webhooks",
        "a thin payload",
        {"data": {"id": "c1"}},
        {"identifier": "c1", "name": None, "phone_number": None},
    ),
    case("standard-webhooks", "deleted", {"type": "contact.deleted"}, IGNORED),
    case("standard-webhooks", "no identifier", {"data.id": ""}, Unmappable),
    case(
        "standard-webhooks",
        "in LiveDesk's words",
        {"data": {"identifier": 7, "email": "A@b.c"}},
        {
            "identifier": "7",
            "email": "a@b.c",
            "name": None,
            "phone_number": None,
        },
    ),
    case(
        "svix",
        "a signup",
        {"body": {"type": "user.created", "data": {"id": "u1", "email": "a@b.c"}}},
        {
            "identifier": "u1",
            "email": "a@b.c",
            "name": None,
        },
    ),
    case(
        "clerk",
        "the primary address is not the first",
        {
            "data.primary_email_address_id": "idn_2",
            "data.email_addresses.1": {"id": "idn_2", "email_address": "second@example.org"},
        },
        {"email": "second@example.org"},
    ),
    case(
        "clerk",
        "no address at all",
        {"data.email_addresses": [], "data.primary_email_address_id": None},
        {"email": None},
    ),
    case("clerk", "no primary address", {"data.primary_email_address_id": None}, {"email": None}),
    case(
        "clerk",
        "the primary number",
        {
            "data.primary_phone_number_id": "idn_p",
            "data.phone_numbers": [
                {"id": "idn_o", "phone_number": "+12025550100"},
                {"id": "idn_p", "phone_number": "+12025550101"},
            ],
        },
        {"phone_number": "+12025550101"},
    ),
    case("clerk", "no names", {"data.first_name": None, "data.last_name": None}, NO_NAME),
    case("clerk", "half a name", {"data.first_name": None}, {"name": "Example"}),
    case(
        "clerk", "a user name", {"data.first_name": None, "data.last_name": None, "data.username": "ex"}, {"name": "ex"}
    ),
    case("clerk", "a generated avatar", {"data.has_image": False}, {"avatar_url": None}),
    case("clerk", "an avatar of one's own", {"data.has_image": True}, {}),
    case("clerk", "deleted", {"type": "user.deleted", "data": {"id": "user_1", "deleted": True}}, IGNORED),
    case(
        "stytch",
        "a B2B member",
        {
            "object_type": "member",
            "user": GONE,
            "id": "member-live-1",
            "member": {
                "email_address": "bea@example.com",
                "name": "Bea Lind",
                "mfa_phone_number": "+12025550102",
                "external_id": "",
            },
        },
        {"identifier": "member-live-1", "email": "bea@example.com", "name": "Bea Lind", "phone_number": "+12025550102"},
    ),
    case(
        "stytch", "no addresses", {"user.emails": [], "user.phone_numbers": []}, {"email": None, "phone_number": None}
    ),
    case("stytch", "empty names", {"user.name": {"first_name": "", "middle_name": "", "last_name": ""}}, NO_NAME),
    case("stytch", "an organization", {"object_type": "organization"}, IGNORED),
    case(
        "memberstack",
        "data in place of payload",
        {
            "payload": GONE,
            "data": {"id": "mem_2", "auth": {"email": "x@example.com"}, "customFields": {}, "profileImage": None},
        },
        {"identifier": "mem_2", "email": "x@example.com", "name": None, "phone_number": None, "avatar_url": None},
    ),
    case(
        "supabase-auth-hook",
        "by phone, without its plus",
        {"user.email": "", "user.phone": "15552225555"},
        {
            "email": None,
            "phone_number": "+15552225555",
        },
    ),
    case(
        "supabase-auth-hook",
        "what a provider tells",
        {
            "user.user_metadata": {"name": "Val", "full_name": "Val Ek", "picture": "https://example.com/v.png"},
        },
        {"name": "Val Ek", "avatar_url": "https://example.com/v.png"},
    ),
    case("supabase-auth-hook", "an anonymous user", {"user.is_anonymous": True, "user.email": ""}, IGNORED),
    case("supabase-auth-hook", "another hook", {"metadata.name": "send-sms"}, IGNORED),
    case("supabase-db-webhook", "deleted", {"type": "DELETE", "record": None}, IGNORED),
    case("supabase-db-webhook", "another table", {"schema": "public", "table": "profiles"}, IGNORED),
    case("supabase-db-webhook", "an anonymous user", {"record.is_anonymous": True, "record.email": None}, IGNORED),
    case(
        "supabase-db-webhook",
        "a full name",
        {"record.raw_user_meta_data": {"full_name": "J. S.", "first_name": "Jane"}},
        {
            "name": "J. S.",
        },
    ),
    case(
        "supabase-db-webhook",
        "no metadata",
        {"record.raw_user_meta_data": None, "record.email": ""},
        {
            "name": None,
            "email": None,
        },
    ),
    case("auth0-event-stream", "a name", {"data.object.name": "Nick Test"}, {"name": "Nick Test"}),
    case(
        "auth0-event-stream",
        "given and family name",
        {"data.object.given_name": "N.", "data.object.family_name": "T."},
        {
            "name": "N. T.",
        },
    ),
    case("auth0-event-stream", "nothing but the address for a name", {"data.object.nickname": GONE}, NO_NAME),
    case(
        "auth0-event-stream",
        "a picture",
        {"data.object.picture": "https://example.com/n.png"},
        {
            "avatar_url": "https://example.com/n.png",
        },
    ),
    case(
        "auth0-event-stream",
        "by phone",
        {"data.object.email": GONE, "data.object.phone_number": "+12025550103"},
        {
            "email": None,
            "name": "nick-testing-21@example.com",
            "phone_number": "+12025550103",
        },
    ),
    case("auth0-log-stream", "no signup in it", {"1.data.type": "fs"}, IGNORED),
    case(
        "auth0-log-stream",
        "a single entry",
        {
            "body": {
                "log_id": "1",
                "data": {
                    "type": "ss",
                    "user_id": "auth0|1",
                    "user_name": "solo@example.com",
                },
            }
        },
        {"identifier": "auth0|1", "email": "solo@example.com"},
    ),
    case(
        "auth0-log-stream",
        "lines",
        {
            "body": (
                '{"log_id":"1","data":{"type":"s","user_id":"auth0|1"}}\n'
                '{"log_id":"2","data":{"type":"ss","user_id":"auth0|2","user_name":"two@example.com"}}\n'
            )
        },
        {"identifier": "auth0|2", "email": "two@example.com"},
    ),
    case("auth0-log-stream", "a user name that is no address", {"1.data.user_name": "nora"}, {}),
    case("workos", "no names", {"data.first_name": None, "data.last_name": None}, NO_NAME),
    case("workos", "a whole name", {"data.name": "G. Hopper"}, {"name": "G. Hopper"}),
    case("workos", "a directory user", {"event": "dsync.user.created"}, IGNORED),
    case(
        "kinde",
        "no address",
        {"data.user.email": None, "data.user.phone": "+61400000000"},
        {
            "email": None,
            "phone_number": "+61400000000",
        },
    ),
    case("fusionauth", "no full name", {"event.user.fullName": GONE, "event.user.lastName": GONE}, {"name": "Erlich"}),
    case("fusionauth", "before the commit", {"event.type": "user.registration.create"}, {}),
    case("fusionauth", "the user's own event", {"event.type": "user.create.complete", "event.registration": GONE}, {}),
    case("fusionauth", "verified", {"event.type": "user.registration.verified"}, IGNORED),
    case("keycloak", "half a name", {"details.last_name": GONE}, {"name": "Linus"}),
    case("keycloak", "a login", {"type": "access.LOGIN"}, IGNORED),
    case("kratos", "a name in one", {"identity.traits.name": "Paula V."}, {"name": "Paula V."}),
    case(
        "kratos",
        "no name",
        {"identity.traits.name": GONE, "identity.traits.phone": GONE},
        {"name": None, "phone_number": None},
    ),
    case(
        "kratos",
        "flat",
        {"body": {"identity_id": "k1", "email": "k@example.com"}},
        {
            "identifier": "k1",
            "email": "k@example.com",
            "name": None,
            "phone_number": None,
        },
    ),
    case(
        "firebase",
        "an anonymous user",
        {"email": None, "displayName": None, "photoURL": None},
        {
            "email": None,
            "name": None,
            "avatar_url": None,
        },
    ),
    case(
        "cognito",
        "no sub",
        {"request.userAttributes": {"email": "omar@example.com"}},
        {
            "identifier": "omar",
            "name": None,
            "phone_number": None,
            "avatar_url": None,
        },
    ),
    case("cognito", "a whole name", {"request.userAttributes.name": "O. Haddad"}, {"name": "O. Haddad"}),
    case("cognito", "a new password", {"triggerSource": "PostConfirmation_ConfirmForgotPassword"}, IGNORED),
    case(
        "shopify", "no address", {"email": None, "first_name": None, "last_name": None}, {"email": None, "name": None}
    ),
    case(
        "shopify",
        "a number in the address",
        {"default_address": {"phone": "212-555-1199"}},
        {"phone_number": "+12125551199"},
    ),
    case(
        "shopify",
        "two numbers",
        {"phone": "+12025550104", "default_address": {"phone": "+12025550105"}},
        {
            "phone_number": "+12025550104",
        },
    ),
    case("shopify", "updated", {"header:X-Shopify-Topic": "customers/update"}, {}),
    case("shopify", "disabled", {"header:X-Shopify-Topic": "customers/disable"}, IGNORED),
    case("woocommerce", "empty names", {"first_name": "", "last_name": ""}, {}),
    case(
        "woocommerce",
        "no names at all",
        {"first_name": "", "last_name": "", "billing": {}},
        {
            "name": "john.doe",
            "phone_number": None,
        },
    ),
    case(
        "woocommerce",
        "an old version of its API",
        {
            "body": {
                "customer": {
                    "id": 25,
                    "email": "old@example.com",
                    "first_name": "",
                    "last_name": "",
                    "avatar_url": None,
                    "billing_address": {"first_name": "O.", "last_name": "Ld", "phone": "+12025550106"},
                }
            }
        },
        {"email": "old@example.com", "name": "O. Ld", "phone_number": "+12025550106", "avatar_url": None},
    ),
    case("woocommerce", "updated", {"header:X-WC-Webhook-Topic": "customer.updated"}, {}),
    case("woocommerce", "an order", {"header:X-WC-Webhook-Topic": "order.updated"}, IGNORED),
    case(
        "stripe",
        "a name and an address",
        {"data.object.name": "Jo", "data.object.email": "jo@example.com"},
        {
            "name": "Jo",
            "email": "jo@example.com",
        },
    ),
    case("stripe", "updated", {"type": "customer.updated"}, {}),
    case("stripe", "the end of a subscription", {"type": "customer.subscription.deleted"}, IGNORED),
    case(
        "stripe",
        "a thin event",
        {
            "body": {
                "id": "evt_1",
                "object": "v2.core.event",
                "type": "v2.core.account.created",
                "related_object": {"id": "acct_1"},
            }
        },
        IGNORED,
    ),
    case("paddle", "no name", {"data.name": None}, NO_NAME),
    case("paddle", "archived", {"event_type": "customer.updated", "data.status": "archived"}, {}),
    case("paddle", "an address", {"event_type": "address.created"}, IGNORED),
    case("lemonsqueezy", "another event", {"meta.event_name": "order_refunded"}, IGNORED),
    case(
        "hubspot-workflow",
        "fields that were chosen",
        {
            "body": {
                "hs_object_id": 901,
                "email": "b@example.com",
                "firstname": "Bo",
                "lastname": None,
                "phone": "",
            }
        },
        {"identifier": "hubspot-901", "email": "b@example.com", "name": "Bo", "phone_number": None},
    ),
    case(
        "hubspot-workflow",
        "missing properties",
        {"properties": {"email": {"value": ""}}},
        {
            "email": None,
            "name": None,
            "phone_number": None,
        },
    ),
    case(
        "intercom",
        "a lead",
        {"topic": "contact.lead.created", "data.item.external_id": None, "data.item.email": ""},
        {
            "identifier": "65537f0b1c0de1ee7ca11e01",
            "email": None,
        },
    ),
    case(
        "intercom",
        "an avatar in one",
        {"data.item.avatar": "https://example.com/a.png"},
        {
            "avatar_url": "https://example.com/a.png",
        },
    ),
    case("intercom", "no avatar", {"data.item.avatar": None}, {"avatar_url": None}),
    case(
        "intercom",
        "ping",
        {"body": {"type": "notification_event", "topic": "ping", "data": {"item": {"type": "ping"}}}},
        IGNORED,
    ),
    case("intercom", "deleted", {"topic": "contact.deleted"}, IGNORED),
    case("segment-identify", "anonymous, with an address", {"userId": None, "anonymousId": "a1"}, {"identifier": "a1"}),
    case("segment-identify", "anonymous, nobody", {"userId": None, "anonymousId": "a1", "traits": {}}, IGNORED),
    case(
        "segment-identify",
        "anonymous without the field",
        {"userId": GONE, "anonymousId": "a1", "traits": {"email": ""}},
        IGNORED,
    ),
    case(
        "segment-identify",
        "a number for an id",
        {"userId": 7, "traits": {"email": "a@b.c"}},
        {
            "identifier": "7",
            "email": "a@b.c",
            "name": None,
        },
    ),
    case(
        "segment-identify",
        "first and last name",
        {"traits": {"firstName": "A.", "lastName": "K.", "email": "a@b.c"}},
        {
            "name": "A. K.",
            "email": "a@b.c",
        },
    ),
    case("segment-identify", "deleted", {"type": "delete"}, IGNORED),
    case("segment-track", "signed in", {"userId": "u1"}, {"identifier": "u1"}),
    case(
        "segment-track",
        "an address in the properties",
        {"context.traits": {}},
        {
            "name": None,
            "phone_number": None,
            "avatar_url": None,
        },
    ),
    case(
        "segment-track",
        "no context",
        {"context": GONE, "properties": {}},
        {
            "email": None,
            "name": None,
            "phone_number": None,
            "avatar_url": None,
        },
    ),
    case("segment-track", "another event", {"event": "Logged In"}, IGNORED),
    case("rudderstack", "anonymous", {"userId": ""}, {"identifier": "97980cfea0067"}),
    case(
        "rudderstack",
        "traits as Segment has them",
        {"context": {}, "traits": {"email": "p@example.com"}},
        {
            "email": "p@example.com",
            "name": None,
        },
    ),
    case("rudderstack", "a page", {"type": "page"}, IGNORED),
    case(
        "typeform",
        "no hidden fields",
        {"form_response.hidden": GONE},
        {},
    ),
    case("typeform", "no address, no name", {"form_response.answers": []}, {"email": None, "name": None}),
    case(
        "typeform",
        "no answers",
        {"form_response.answers": GONE, "form_response.definition": GONE},
        {"email": None, "name": None},
    ),
    case(
        "typeform",
        "refs, and a number",
        {
            "form_response.answers": [
                {"type": "text", "text": "Acme", "field": {"id": "1", "ref": "company_name", "type": "short_text"}},
                {"type": "text", "text": "Ruth", "field": {"id": "2", "ref": "first_name", "type": "short_text"}},
                {"type": "text", "text": "Amos", "field": {"id": "3", "ref": "last_name", "type": "short_text"}},
                {"type": "phone_number", "phone_number": "+12025550107", "field": {"id": "4", "type": "phone_number"}},
            ]
        },
        {"email": None, "name": "Ruth Amos", "phone_number": "+12025550107"},
    ),
    case(
        "typeform",
        "a title for the whole name",
        {
            "form_response.definition.fields.0.title": "What's your name?",
            "form_response.answers.0.text": "Laura Palmer",
        },
        {"name": "Laura Palmer"},
    ),
    case("typeform", "another question", {"form_response.definition.fields.0.title": "Your company's name"}, NO_NAME),
    case("typeform", "not completed", {"event_type": "form_response_partial"}, IGNORED),
    case(
        "tally",
        "a hidden field",
        {"data.fields.0.label": "user_id", "data.fields.0.value": "u-77"},
        {},
    ),
    case(
        "tally",
        "first and last name",
        {
            "data.fields.1.label": "First name",
            "data.fields.1.value": "Alice",
            "data.fields.2.label": "Last name",
            "data.fields.2.value": "Smythe",
        },
        {"name": "Alice Smythe"},
    ),
    case(
        "tally",
        "nothing filled in",
        {f"data.fields.{n}.value": None for n in (1, 3, 4)},
        {
            "email": None,
            "name": None,
            "phone_number": None,
        },
    ),
    case("tally", "in another language", {"data.fields.1.label": "Wie hei\u00dfen Sie?"}, {}),
    case(
        "jotform",
        "other numbers",
        {
            "rawRequest": json.dumps(
                {
                    "q11_email7": "m@example.com",
                    "q12_fullName": {"first": "M", "middle": "S", "last": ""},
                    "q13_phone": {"area": "202", "phone": "555-0108"},
                }
            )
        },
        {"email": "m@example.com", "name": "M", "phone_number": "+12025550108"},
    ),
    case("jotform", "nothing filled in", {"rawRequest": "{}"}, {"email": None, "name": None, "phone_number": None}),
    case(
        "webflow",
        "other labels",
        {"payload.data": {"Name": "Z. B.", "email": "z@example.com", "phone": None}},
        {
            "name": "Z. B.",
            "email": "z@example.com",
            "phone_number": None,
        },
    ),
    case("webflow", "nothing filled in", {"payload.data": {}}, {"name": None, "email": None, "phone_number": None}),
    case("webflow", "another event", {"triggerType": "ecomm_new_order"}, IGNORED),
    case(
        "calendly",
        "two names",
        {"payload.name": None, "payload.first_name": "John", "payload.last_name": "D."},
        {"name": "John D."},
    ),
    case(
        "calendly", "moved", {"payload.old_invitee": "https://api.calendly.com/scheduled_events/A/invitees/B"}, IGNORED
    ),
    case("calendly", "canceled", {"event": "invitee.canceled"}, IGNORED),
    case("calendly", "no reminders", {"payload.text_reminder_number": None}, {"phone_number": None}),
    case("ghost", "by id", {"member.current.uuid": GONE}, {"identifier": "000000000000000000000001"}),
    case("ghost", "no name", {"member.current.name": ""}, NO_NAME),
    case("ghost", "edited", {"member.previous": {"name": None}}, {}),
    case("ghost", "deleted", {"member.current": {}, "member.previous": {"id": "1", "email": "a@b.c"}}, IGNORED),
    case("ghost", "no member", {"body": {"post": {"current": {"id": "1"}, "previous": {}}}}, IGNORED),
    case("discourse", "no name", {"user.name": None}, {"name": "jane"}),
    case("discourse", "an empty name", {"user.name": ""}, {"name": "jane"}),
    case(
        "discourse",
        "an avatar elsewhere",
        {"user.avatar_template": "https://cdn.example.com/j/{size}.png"},
        {
            "avatar_url": "https://cdn.example.com/j/240.png",
        },
    ),
    case("discourse", "ping", {"body": {"ping": "OK"}, "header:X-Discourse-Event": "ping"}, IGNORED),
    case("discourse", "confirmed", {"header:X-Discourse-Event": "user_confirmed_email"}, {}),
    case("discourse", "updated", {"header:X-Discourse-Event": "user_updated"}, {}),
    case("discourse", "signed in", {"header:X-Discourse-Event": "user_logged_in"}, IGNORED),
    case("slack", "a bot", {"event.user.is_bot": True}, IGNORED),
    case(
        "slack",
        "no scope for addresses",
        {"event.user.profile": {}, "event.user.real_name": None},
        {
            "email": None,
            "name": "johnd",
            "avatar_url": None,
        },
    ),
    case("slack", "another event", {"event.type": "message"}, IGNORED),
    case("mailchimp", "unsubscribed", {"type": "unsubscribe"}, IGNORED),
    case("mailchimp", "a number", {"data[merges][PHONE]": "202-555-0109"}, {"phone_number": "+12025550109"}),
    case("mailchimp", "no names", {"data[merges][FNAME]": "", "data[merges][LNAME]": ""}, NO_NAME),
    case("wordpress", "only the text id", {"ID": GONE}, {}),
    case("wordpress", "no display name", {"data.display_name": ""}, {}),
    case(
        "github",
        "an organization",
        {
            "body": {"action": "member_added", "membership": {"user": {"id": 5, "login": "oj"}}},
            "header:X-GitHub-Event": "organization",
        },
        {"identifier": "github-5", "name": "oj", "avatar_url": None},
    ),
    case("github", "removed", {"action": "removed"}, IGNORED),
    case(
        "github",
        "ping",
        {"body": {"zen": "Keep it logically awesome.", "hook_id": 1}, "header:X-GitHub-Event": "ping"},
        IGNORED,
    ),
    case(
        "google-ads-lead",
        "at work, and two names",
        {
            "user_column_data": [
                {"column_id": "FIRST_NAME", "string_value": "Ida"},
                {"column_id": "LAST_NAME", "string_value": "Noe"},
                {"column_id": "WORK_EMAIL", "string_value": "ida@example.com"},
                {"column_id": "WORK_PHONE", "string_value": "+12025550110"},
                {"column_id": "COMPANY_NAME", "string_value": "Acme"},
            ]
        },
        {"name": "Ida Noe", "email": "ida@example.com", "phone_number": "+12025550110"},
    ),
    case("generic-hmac", "no user", {"data.user": GONE, "data.id": "d1"}, {"identifier": "d1", "name": None}),
    case("generic-hmac", "test", {"event": "test"}, IGNORED),
    case(
        "generic-bearer",
        "a form",
        {
            "body": "id=43&email=z%40example.com&full_name=Zo%C3%AB",
            "header:Content-Type": "application/x-www-form-urlencoded",
        },
        {"identifier": "43", "email": "z@example.com", "name": "Zo\u00eb", "phone_number": None},
    ),
]


@pytest.mark.parametrize(("preset", "changes", "outcome"), TRAPS)
def test_traps(preset: str, changes: Changes, outcome: Outcome, keys: Keys) -> None:
    found, sent = source(preset, keys), sample_delivery(preset, keys, changes)
    assert found.verify(sent, NOW) == 0
    if outcome is Unmappable:
        with pytest.raises(Unmappable):
            contacts(found, sent)
    elif outcome is None or isinstance(outcome, type):
        assert contacts(found, sent) == []
    else:
        fields = (expected(preset) or Contact("")).present() | outcome  # type: ignore[operator]
        assert contacts(found, sent) == [Contact(**fields)]


def test_segment_signs_only_the_first_event_of_a_batch(keys: Keys) -> None:
    events = [{"type": "identify", "userId": "u1"}, {"type": "identify", "userId": "forged"}]
    first = json.dumps(events[0], separators=(",", ":")).encode()
    headers = Headers({"Content-Type": "application/json", "X-Signature": hexed(first, "sha1")})
    found = source("segment-identify", keys)
    assert found.verify(Delivery(headers, b"[" + first + b"]"), NOW) == 0
    with pytest.raises(Unauthentic):
        found.verify(Delivery(headers, json.dumps(events, separators=(",", ":")).encode()), NOW)


def test_supabase_joins_several_signatures_with_a_comma(keys: Keys) -> None:
    sent = sample_delivery("supabase-auth-hook", keys)
    right = sent.headers.get("webhook-signature")
    for text in (f"v1,AAAA, {right}", f"{right}, v1,AAAA", f"v1,AAAA {right}"):
        headers = Headers({**dict(sent.headers), "webhook-signature": text})  # type: ignore[call-overload]
        assert source("supabase-auth-hook", keys).verify(Delivery(headers, sent.body), NOW) == 0


def test_the_supabase_hook_is_non_blocking_by_default(keys: Keys) -> None:
    assert not source("supabase-auth-hook", keys).blocking
    assert source("supabase-auth-hook", keys, blocking=True).blocking


def test_a_form_with_a_hundred_questions_is_read(keys: Keys) -> None:
    fields = [{"id": str(n), "title": f"Question {n}", "type": "short_text"} for n in range(100)]
    fields[99]["title"] = "Full name"
    answers = [{"type": "text", "text": f"Answer {n}", "field": {"id": str(n), "ref": f"r{n}"}} for n in range(100)]
    changes = {"form_response.definition.fields": fields, "form_response.answers": answers}
    (contact,) = contacts(source("typeform", keys), sample_delivery("typeform", keys, changes))
    assert contact.name == "Answer 99"
