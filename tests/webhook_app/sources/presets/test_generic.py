"""The presets for the user's own code: payloads of any shape, as senders document them.

To add an instance, add a line to the table of its kind.
"""

import json
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from tests.deliveries import SECRET, WHSEC, contacts
from tests.mapped import mapped
from webhook_app.sources import Source
from webhook_app.sources.config import read_source
from webhook_app.sources.delivery import Delivery
from worker.errors import Unmappable
from worker.model import Contact

PRESETS = {"generic-bearer": SECRET, "generic-hmac": SECRET, "standard-webhooks": WHSEC, "svix": WHSEC}
EMAIL = "p@x.example"


def source(preset: str = "generic-bearer", **more: Any) -> Source:
    return read_source("app", {"preset": preset, "secret": PRESETS[preset], "region": "US", **more}, {})


def read(payload: object, found: Source | None = None) -> list[Contact]:
    headers = Headers({"Content-Type": "application/json"})
    return contacts(found or source(), Delivery(headers, json.dumps(payload).encode()))


def one(payload: object, found: Source | None = None) -> Contact:
    (contact,) = read(payload, found)
    return contact


#: Events with an id of their own and none of the person: quarantined, because the id would be another one each time.
ENVELOPES = {
    "Standard Webhooks with an id": {
        "id": "evt_1",
        "type": "user.created",
        "data": {"email": EMAIL, "name": "Pat"},
    },
    # cloudevents/spec, cloudevents/formats/json-format.md
    "CloudEvents": {
        "specversion": "1.0",
        "id": "A234-1234-1234",
        "source": "/accounts",
        "type": "com.example.account.created",
        "time": "2018-04-05T17:31:00Z",
        "data": {"email": EMAIL, "name": "Pat"},
    },
    "event and payload": {"event": "signup", "id": 17, "payload": {"email": EMAIL, "first_name": "Pat"}},
    # Stripe: an event's `object` is the text "event", and the person is in `data.object`.
    "Stripe": {
        "id": "evt_1",
        "object": "event",
        "created": 1700000000,
        "data": {"object": {"email": EMAIL, "name": "Pat"}},
        "type": "customer.created",
    },
    "id, type and object": {"id": "77", "type": "contact.created", "object": {"email": EMAIL}},
    "id, created_at and data.object": {
        "id": "5f1",
        "created_at": "2024-01-01T00:00:00Z",
        "data": {"object": {"email": EMAIL}},
    },
    # docs.aws.amazon.com, SNS: message and JSON formats
    "Amazon SNS": {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-west-2:123456789012:MyTopic",
        "Message": '{"email": "p@x.example"}',
        "Timestamp": "2012-05-02T00:54:06.655Z",
    },
    # docs.aws.amazon.com, EventBridge: event structure
    "Amazon EventBridge": {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "User Created",
        "source": "com.example",
        "detail": {"email": EMAIL},
    },
    "a name that is the event's": {"id": "1001", "name": "user.created", "data": {"email": EMAIL}},
    "no type at all": {"id": "1001", "data": {"email": EMAIL}},
    "the person without an id": {"id": "1001", "user": {"email": EMAIL, "name": "Pat"}},
    "an uuid for the event": {"uuid": "5d0ec1f3", "event_type": "lead.created", "payload": {"email": EMAIL}},
    "an event's id in the data too": {"type": "user.created", "data": {"id": "evt_1", "email": EMAIL}},
    "a flat event": {"id": "evt_1", "type": "user.created", "email": EMAIL, "name": "Pat"},
    "a flat message": {"id": "msg_2Jx", "event": "user.created", "email": EMAIL},
    # The id may be that of the colleague who added the contact.
    "an id around the person": {"event": "contact.created", "user_id": "rep-7", "data": {"email": EMAIL}},
    # apidocs.chargebee.com, events: the person is in `content`
    "Chargebee, without the id": {
        "id": "ev_1",
        "event_type": "customer_created",
        "content": {"customer": {"email": EMAIL, "first_name": "Pat"}},
    },
    "an event that is an object": {"event": {"id": "1001", "name": "user.created"}, "data": {"email": EMAIL}},
    # cloud.google.com/pubsub/docs/push: the message has an id and attributes
    "Pub/Sub": {
        "message": {"data": "e30=", "messageId": "1", "id": "m1", "attributes": {"email": EMAIL}},
        "subscription": "projects/p/subscriptions/s",
    },
    "several people in one event": {"id": "1001", "data": [{"id": "a", "email": EMAIL}, {"id": "b"}]},
    "the person as text": {"id": "1001", "payload": '{"id": "c1", "email": "p@x.example"}'},
    "an event in capitals": {"id": "7d1f", "type": "REGISTER", "realmId": "r1"},
    "an event with nothing else": {"id": "1001", "type": "user.created"},
    "an event in an event": {"id": "a", "data": {"id": "b", "type": "user.created", "data": {"email": EMAIL}}},
    "a wrapper by another name": {"Id": "1001", "Type": "UserCreated", "Data": {"E-Mail": EMAIL}},
    # hasura/graphql-engine, docs/docs/event-triggers/payload.mdx
    "Hasura, a table without an id": {
        "id": "85558393-c75d-4d2f-9c15-e80591b83894",
        "created_at": "2018-09-05T07:14:21.601701Z",
        "trigger": {"name": "new_user"},
        "table": {"schema": "public", "name": "users"},
        "event": {"op": "INSERT", "data": {"old": None, "new": {"email": EMAIL}}},
    },
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("payload", ENVELOPES.values(), ids=ENVELOPES)
def test_the_id_of_an_event_is_no_identifier(payload: object, preset: str) -> None:
    with pytest.raises(Unmappable) as error:
        source(preset).read_payload(payload, {})
    assert error.value.problems == {"identifier": "missing"}


#: Where the person is, and the identifier that it has there.
PEOPLE: dict[str, tuple[object, str]] = {
    "bare": ({"id": "c1", "email": EMAIL}, "c1"),
    "bare, with a type": ({"id": "c1", "type": "lead", "email": EMAIL}, "c1"),
    "bare, with a type and nothing else": ({"id": "c1", "type": "customer"}, "c1"),
    "bare, with a type like an event's": ({"id": "c1", "type": "user.created", "email": EMAIL}, "c1"),
    "bare, with a topic": ({"id": "c1", "topic": "Sales", "email": EMAIL}, "c1"),
    "bare, with a message": ({"id": "c1", "message": "Hello", "email": EMAIL}, "c1"),
    "bare, with data of its own": ({"id": "c1", "email": EMAIL, "data": {"plan": "pro"}}, "c1"),
    "bare, with data that has an id": ({"id": "c1", "email": EMAIL, "data": {"id": "s9", "plan": "pro"}}, "c1"),
    "bare, with a customer of its own": ({"id": "c1", "email": EMAIL, "customer": {"id": "cus_9"}}, "c1"),
    "bare, with an owner": ({"id": "c1", "email": EMAIL, "user_id": "rep-7"}, "c1"),
    "bare, with an account": ({"id": "c1", "email": EMAIL, "account": {"id": "acme", "name": "Acme"}}, "c1"),
    "bare, only an id": ({"id": "c1"}, "c1"),
    "bare, only a name": ({"id": "c1", "name": "Anne-Marie"}, "c1"),
    "in LiveDesk's words": ({"identifier": "c1", "id": "other", "email": EMAIL}, "c1"),
    "data": ({"id": "evt_1", "type": "user.created", "data": {"id": "c1", "email": EMAIL}}, "c1"),
    "a thin payload": ({"type": "contact.created", "data": {"id": "c1"}}, "c1"),
    "data.object": ({"id": "evt_1", "object": "event", "data": {"object": {"id": "c1", "email": EMAIL}}}, "c1"),
    "payload": ({"id": 9, "event": "member.added", "payload": {"id": "c1", "email": EMAIL}}, "c1"),
    "object": ({"id": "9", "type": "contact.created", "object": {"id": "c1", "email": EMAIL}}, "c1"),
    "user": ({"event": "signup", "id": "e9", "user": {"id": "c1", "email": EMAIL}}, "c1"),
    "contact": ({"event": "signup", "contact": {"id": "c1", "email": EMAIL}}, "c1"),
    "an order's customer": (
        {"type": "order.created", "data": {"id": "o1", "customer": {"id": "c1", "email": EMAIL}}},
        "c1",
    ),
    "a flat event with the user's id": ({"id": "77", "event": "signup", "user_id": "c1", "email": EMAIL}, "c1"),
    "a flat event of analytics": ({"type": "track", "event": "Signed Up", "userId": "c1"}, "c1"),
    "LiveDesk's identifier around the person": ({"identifier": "c1", "data": {"email": EMAIL}}, "c1"),
    "an id around data that is not the person's": ({"event": "a", "userId": "c1", "data": {"plan": "pro"}}, "c1"),
    "JSON:API": ({"data": {"type": "users", "id": "c1", "attributes": {"email": EMAIL}}}, "c1"),
    # supabase/supabase, guides/database/webhooks.mdx
    "Supabase's own tables": (
        {"type": "INSERT", "table": "profiles", "record": {"id": "c1", "email": EMAIL}, "old_record": None},
        "c1",
    ),
    # hasura/graphql-engine, docs/docs/event-triggers/payload.mdx
    "Hasura": (
        {"id": "85558393", "event": {"op": "INSERT", "data": {"old": None, "new": {"id": "c1", "email": EMAIL}}}},
        "c1",
    ),
    # docs.strapi.io, backend customization: webhooks
    "Strapi": ({"event": "entry.create", "model": "user", "entry": {"id": 1, "email": EMAIL}}, "1"),
    # airtable.com/developers/web/api: a record
    "Airtable": ({"record": {"id": "recA", "createdTime": "2024", "fields": {"Email": EMAIL}}}, "recA"),
    # mongodb.com, change events: insert
    "MongoDB change stream": (
        {"operationType": "insert", "fullDocument": {"_id": {"$oid": "5f"}, "email": EMAIL}},
        "5f",
    ),
    # debezium.io, connectors: change event values
    "Debezium": ({"payload": {"before": None, "after": {"id": 1004, "email": EMAIL}, "op": "c"}}, "1004"),
    # developer.okta.com, event hooks and the Users API: fields are in `profile`
    "Okta's user": ({"id": "00u1", "status": "ACTIVE", "profile": {"email": EMAIL, "firstName": "Pat"}}, "00u1"),
    "Chargebee": (
        {"id": "ev_1", "event_type": "customer_created", "content": {"customer": {"id": "c1", "email": EMAIL}}},
        "c1",
    ),
    # pipedrive.readme.io, guide for webhooks
    "Pipedrive": (
        {"v": 1, "event": "added.person", "current": {"id": 5, "email": [{"value": EMAIL}]}, "previous": None},
        "5",
    ),
    # keycloak/keycloak, services: events; a listener that sends them as they are
    "Keycloak's own event": (
        {"id": "7d1f", "time": 1, "type": "REGISTER", "realmId": "r", "userId": "c1", "details": {"email": EMAIL}},
        "c1",
    ),
    # customer.io/docs, reporting webhooks
    "Customer.io": (
        {"event_id": "01E4", "object_type": "customer", "data": {"customer_id": "c1", "email_address": EMAIL}},
        "c1",
    ),
    # developer.zendesk.com, event types: users
    "Zendesk": (
        {"id": "2b2", "type": "zen:event-type:user.created", "detail": {"id": "c1", "email": EMAIL}, "event": {}},
        "c1",
    ),
    # developers.zoom.us, webinar events: webinar.registration_created
    "Zoom": (
        {
            "event": "webinar.registration_created",
            "payload": {"object": {"id": 9, "registrant": {"id": "c1", "email": EMAIL}}},
        },
        "c1",
    ),
    # docs.stack-auth.com, webhooks: user.created
    "Stack Auth": (
        {"type": "user.created", "data": {"id": "c1", "primary_email": EMAIL, "primary_email_verified": False}},
        "c1",
    ),
    "only the id in another system": ({"external_id": "c1", "email": EMAIL}, "c1"),
    "an id here and one in another system": ({"external_id": "x", "id": "c1", "email": EMAIL}, "c1"),
    "a list of one": ({"id": "1001", "data": [{"id": "c1", "email": EMAIL}]}, "c1"),
    "an address in a part of the person": ({"id": "c1", "first_name": "Pat", "contact": {"email": EMAIL}}, "c1"),
    "a part of the person in an event": (
        {"type": "user.created", "data": {"id": "c1", "name": "Pat", "contactInfo": {"email": EMAIL}}},
        "c1",
    ),
    "blank outside, and in a part": ({"id": "c1", "email": None, "profile": {"email": EMAIL}}, "c1"),
    "n8n": ({"json": {"id": "c1", "email": EMAIL}}, "c1"),
    "Make": ({"headers": {"id": "h"}, "body": {"id": "c1", "email": EMAIL}}, "c1"),
    # docs.aws.amazon.com, EventBridge: event structure
    "EventBridge": ({"id": "6a7e8feb", "detail-type": "User Created", "detail": {"id": "c1", "email": EMAIL}}, "c1"),
    "MongoDB": ({"_id": {"$oid": "507f1f77bcf86cd799439011"}, "email": EMAIL}, "507f1f77bcf86cd799439011"),
    "_id": ({"_id": "c1", "email": EMAIL}, "c1"),
    # appwrite.io/docs, models: user
    "$id": ({"$id": "c1", "email": EMAIL}, "c1"),
    "ID": ({"ID": 42, "Email": EMAIL}, "42"),
    "uuid": ({"uuid": "c1", "email": EMAIL}, "c1"),
    "uid": ({"uid": "c1", "email": EMAIL}, "c1"),
    # parseplatform.org, REST guide: objects
    "objectId": ({"objectId": "c1", "email": EMAIL}, "c1"),
    # manual.bubble.io, data API: things
    "unique id": ({"unique id": "c1", "email": EMAIL}, "c1"),
    # openid.net, OpenID Connect Core 5.1: standard claims
    "sub": ({"sub": "c1", "email": EMAIL}, "c1"),
    "User ID": ({"User ID": "c1", "Email Address": EMAIL}, "c1"),
    "contact-id": ({"contact-id": "c1", "email": EMAIL}, "c1"),
}


@pytest.mark.parametrize(("payload", "identifier"), PEOPLE.values(), ids=PEOPLE)
def test_the_person_is_found(payload: object, identifier: str) -> None:
    assert one(payload).identifier == identifier
    assert one(payload).email == (EMAIL if EMAIL in json.dumps(payload) else None)


def test_a_repeat_of_the_event_is_the_same_person() -> None:
    events = [{"id": f"evt_{n}", "type": "user.created", "data": {"user_id": 7, "email": EMAIL}} for n in (1, 2)]
    assert [one(event).identifier for event in events] == ["7", "7"]


#: How senders spell a field, and what it becomes.
SPELLINGS = [
    ("email", {"Email": EMAIL}, EMAIL),
    ("email", {"E-Mail": EMAIL}, EMAIL),
    ("email", {"e-mail": EMAIL}, EMAIL),
    ("email", {"EMAIL_ADDRESS": EMAIL}, EMAIL),
    ("email", {"emailAddress": EMAIL}, EMAIL),
    ("email", {"mail": EMAIL}, EMAIL),
    ("email", {"primaryEmail": EMAIL}, EMAIL),  # Google Directory API: users
    ("email", {"user_email": EMAIL}, EMAIL),  # WordPress
    ("email", {"emails": [EMAIL]}, EMAIL),
    ("email", {"emails": [{"email": EMAIL}]}, EMAIL),
    # RFC 7643, section 8.2: the primary address is not the first
    ("email", {"emails": [{"value": "w@x.example"}, {"value": EMAIL, "primary": True}]}, EMAIL),
    ("email", {"email": {"address": EMAIL, "verified": True}}, EMAIL),
    ("email", {"email": "", "Email Address": EMAIL}, EMAIL),
    ("name", {"Name": "Pat Doe"}, "Pat Doe"),
    ("name", {"full_name": "Pat Doe"}, "Pat Doe"),
    ("name", {"Full Name": "Pat Doe"}, "Pat Doe"),
    ("name", {"display-name": "Pat Doe"}, "Pat Doe"),
    ("name", {"displayName": "Pat Doe"}, "Pat Doe"),
    ("name", {"First Name": "Pat", "Last Name": "Doe"}, "Pat Doe"),
    ("name", {"first_name": "Pat", "last_name": None}, "Pat"),
    ("name", {"firstName": "Pat", "lastName": "Doe"}, "Pat Doe"),
    ("name", {"given_name": "Pat", "family_name": "Doe"}, "Pat Doe"),
    ("name", {"first-name": "Pat", "surname": "Doe"}, "Pat Doe"),
    ("name", {"FNAME": "Pat", "LNAME": "Doe"}, "Pat Doe"),  # Mailchimp
    ("name", {"name": {"first": "Pat", "last": "Doe"}}, "Pat Doe"),
    ("name", {"name": {"givenName": "Pat", "familyName": "Doe"}}, "Pat Doe"),  # RFC 7643
    ("name", {"name": {"formatted": "Dr. Pat Doe", "givenName": "Pat"}}, "Dr. Pat Doe"),
    # Auth0 and others set the name to the e-mail address
    ("name", {"name": EMAIL, "email": EMAIL, "first_name": "Pat"}, "Pat"),
    ("name", {"name": EMAIL, "Email": EMAIL}, None),
    ("phone_number", {"Phone": "+12025550143"}, "+12025550143"),
    ("phone_number", {"phoneNumber": "+12025550143"}, "+12025550143"),
    ("phone_number", {"Phone Number": "+12025550143"}, "+12025550143"),
    ("phone_number", {"mobile": "+12025550143"}, "+12025550143"),
    ("phone_number", {"mobilePhone": "+12025550143"}, "+12025550143"),
    ("phone_number", {"mobile_number": "+12025550143"}, "+12025550143"),
    ("phone_number", {"Cell Phone": "+12025550143"}, "+12025550143"),
    ("phone_number", {"tel": "+12025550143"}, "+12025550143"),
    ("phone_number", {"phoneNumbers": [{"value": "+12025550143", "type": "work"}]}, "+12025550143"),  # RFC 7643
    ("avatar_url", {"avatarUrl": "https://x.example/a.png"}, "https://x.example/a.png"),
    ("avatar_url", {"Picture": "https://x.example/a.png"}, "https://x.example/a.png"),
    ("avatar_url", {"photoURL": "https://x.example/a.png"}, "https://x.example/a.png"),
    ("avatar_url", {"profile_image_url": "https://x.example/a.png"}, "https://x.example/a.png"),
    ("avatar_url", {"avatar": {"url": "https://x.example/a.png"}}, "https://x.example/a.png"),
]


@pytest.mark.parametrize(("field", "written", "expected"), SPELLINGS, ids=[f"{f}: {w}" for f, w, _ in SPELLINGS])
def test_fields_are_found_in_common_spellings(field: str, written: dict[str, object], expected: str | None) -> None:
    for payload in ({"id": "c1", **written}, {"type": "user.created", "data": {"id": "c1", "profile": written}}):
        assert getattr(one(payload), field) == expected


@pytest.mark.parametrize("written", [{"email": {"home": 1}}, {"name": ["Pat"]}, {"phone": {"a": 1}}, {"avatar": [1]}])
def test_what_cannot_be_used_is_noted(written: dict[str, object]) -> None:
    (name,) = written
    field = {"phone": "phone_number", "avatar": "avatar_url"}.get(name, name)
    reading: Any = source().read_payload({"id": "c1", **written}, {})
    notes = reading.notes if hasattr(reading, "notes") else reading[1]
    assert [(note.field, note.text) for note in notes] == [(field, "left out: not text")]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, None),
        ({"email_verified": False}, False),
        ({"emailVerified": "true"}, True),
        ({"is_email_verified": 0}, False),
        ({"email_verified_at": None}, False),  # Laravel: a new user's address
        ({"email_verified_at": "2024-01-01 00:00:00"}, True),
        ({"emailVerification": False}, False),  # appwrite.io/docs, models: user
        ({"primary_email_verified": False}, False),  # docs.stack-auth.com, webhooks: user.created
        ({"email": {"address": EMAIL, "verified": False}}, False),
        ({"verified": False}, None),  # of what is not said
    ],
)
def test_an_unverified_address_is_noticed(written: dict[str, object], expected: bool | None) -> None:
    found = mapped(source().mapping, {"id": "c1", **written})
    assert found is not None
    assert found.get("email_verified") is expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"country_code": "FR"}, "FR"),
        ({"countryCode": "FR"}, "FR"),
        ({"address": {"country": "FR"}}, "FR"),
        ({"addresses": [{"country": "FR"}]}, "FR"),
        ({"default_address": {"country_code": "FR"}, "location": {"country": "US"}}, "FR"),
        ({"billing_address": {"country": "FR"}}, "FR"),
        ({"billing": {"country": "FR"}}, "FR"),
        ({"shipping_address": {"country_code": "FR"}}, "FR"),
        ({"location": {"country_code": "FR"}}, "FR"),
        ({"country": {"code": "FR", "name": "France"}}, "FR"),
        ({"address": {"country": {"iso2": "FR"}}}, "FR"),
        ({"countryName": "France"}, "France"),
        ({"phone": {"number": "06 12 34 56 78", "country": "FR"}, "country": "US"}, "FR"),
        ({"phone_country": "FR", "country": "US"}, "FR"),
        ({"dial_code": "+33"}, "+33"),
        ({}, None),
    ],
)
def test_the_country_of_a_phone_is_in_the_payload(written: dict[str, object], expected: str | None) -> None:
    found = mapped(source().mapping, {"id": "c1", "phone": "06 12 34 56 78", **written})
    assert found is not None
    assert found.get("country") == expected


def test_a_mapping_of_ones_own_can_name_the_id() -> None:
    own = source(map={"identifier": "$.member_no"})
    assert one({"id": "evt_1", "type": "user.created", "data": {"member_no": 5, "email": EMAIL}}, own).identifier == "5"
    assert one({"member_no": 5, "email": EMAIL}, own).identifier == "5"


def test_a_hostile_depth_of_wrappers_ends() -> None:
    payload: dict[str, Any] = {"email": EMAIL, "id": "c1"}
    for _ in range(200):
        payload = {"data": payload, "payload": payload, "object": payload}
    with pytest.raises(Unmappable):
        source().read_payload(payload, {})


def test_livedesks_own_words_have_a_country_and_a_verified_address() -> None:
    own = read_source("app", {"verify": "token", "secret": SECRET}, {})
    payload = {"identifier": "c1", "email": EMAIL, "country": "FR", "email_verified": False}
    for body in (payload, {"type": "user.created", "data": payload}):
        assert mapped(own.mapping, body) == payload
