"""Identity services: verified addresses, signups in two steps, and fields where the vendors put them.

Each table has one kind of difficulty. To add an instance, add a line: a preset, and what is different in its sample, by
path. The sources of facts are named where a line is not obvious from the vendor's reference.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.deliveries import GONE, changed, sample, written
from tests.mapped import mapped
from webhook_app.sources.config import read_source
from webhook_app.sources.presets import PRESETS
from worker.model import Signup

Changes = Mapping[str, object]

IDENTITY = [name for name, preset in PRESETS.items() if preset["family"].startswith("Identity")]


def raw(preset: str, changes: Changes) -> dict[str, object] | None:
    """What the mapping of a preset reads from its sample with ``changes``."""
    payload = sample(preset)["body"]
    for place, value in changes.items():
        payload = value if place == "body" else changed(payload, place, value)
    element = payload[1] if isinstance(payload, list) else payload
    return mapped(read_source("a", written(preset), {}).mapping, element)


def fields(preset: str, changes: Changes) -> dict[str, object]:
    found = raw(preset, changes)
    assert found is not None, "this is not a signup"
    return found


def test_identity_services_issue_their_ids() -> None:
    assert {PRESETS[name]["identity"] for name in IDENTITY} == {"account"}


# Whether the sender says that the address is verified: True, False, or None if it says nothing.

CLERK_ADDRESS = "data.email_addresses.0.verification"
STYTCH_MEMBER = {"object_type": "member", "user": GONE, "member": {"email_address": "b@x.example"}}
SUPABASE_GOOGLE: Changes = {
    "record.raw_app_meta_data": {"provider": "google", "providers": ["google"]},
    "record.email_confirmed_at": None,
}
KRATOS_ADDRESS = {"id": "a1", "value": "paula@example.com", "via": "email", "status": "sent"}

VERIFIED: list[tuple[str, Changes, bool | None]] = [
    # clerk/javascript, packages/backend/src/api/resources/JSON.ts: VerificationJSON
    ("clerk", {}, True),
    ("clerk", {CLERK_ADDRESS: {"status": "unverified", "strategy": "email_code"}}, False),
    ("clerk", {CLERK_ADDRESS: {"status": "expired", "strategy": "email_link"}}, False),
    ("clerk", {CLERK_ADDRESS: None}, False),
    ("clerk", {CLERK_ADDRESS: GONE}, None),
    ("clerk", {"data.email_addresses": [], "data.primary_email_address_id": None}, None),
    (
        "clerk",
        {
            "data.email_addresses.1": {"id": "b", "email_address": "b@x.example", "verification": None},
            "data.primary_email_address_id": "b",
        },
        False,
    ),
    ("auth0-event-stream", {}, False),
    ("auth0-event-stream", {"data.object.email_verified": True}, True),
    ("auth0-event-stream", {"data.object.email_verified": GONE}, None),
    ("auth0-log-stream", {}, None),
    ("workos", {}, True),
    ("workos", {"data.email_verified": False}, False),
    # kinde-oss/webhook, lib/types.ts: the event does not say it
    ("kinde", {}, None),
    ("memberstack", {}, None),
    ("memberstack", {"payload.verified": False}, False),
    ("memberstack", {"payload.verified": True}, True),
    # stytchauth/stytch-node, types/lib/b2c/users.d.ts and b2b/organizations.d.ts
    ("stytch", {}, True),
    ("stytch", {"user.emails.0.verified": False}, False),
    ("stytch", {"user.status": "pending", "user.emails.0.verified": False, "user.emails.1": GONE}, False),
    ("stytch", {**STYTCH_MEMBER, "member": {"email_address": "b@x.example", "email_address_verified": False}}, False),
    ("stytch", {**STYTCH_MEMBER, "member": {"email_address": "b@x.example", "email_address_verified": True}}, True),
    ("stytch", STYTCH_MEMBER, None),
    # supabase/auth, internal/models/user.go: `email_confirmed_at` is left out while it is empty, as it is in the hook
    ("supabase-auth-hook", {}, False),
    ("supabase-auth-hook", {"user.email_confirmed_at": "2025-01-01T00:00:00Z"}, True),
    # supabase/auth, internal/api/signup.go: what a user writes into the metadata proves nothing.
    ("supabase-auth-hook", {"user.user_metadata": {"email_verified": True}}, False),
    (
        "supabase-auth-hook",
        {"user.app_metadata": {"provider": "google"}, "user.user_metadata": {"email_verified": True}},
        True,
    ),
    (
        "supabase-auth-hook",
        {"user.app_metadata": {"provider": "discord"}, "user.user_metadata": {"email_verified": False}},
        False,
    ),
    ("supabase-db-webhook", {}, None),
    ("supabase-db-webhook", {"record.email_confirmed_at": None}, False),
    ("supabase-db-webhook", {"record.email_confirmed_at": "2025-01-01T00:00:00Z"}, True),
    (
        "supabase-db-webhook",
        {"record.email_confirmed_at": None, "record.raw_user_meta_data": {"email_verified": True}},
        False,
    ),
    ("supabase-db-webhook", {**SUPABASE_GOOGLE, "record.raw_user_meta_data": {"email_verified": True}}, True),
    # aws-powertools/powertools-lambda-python, tests/events/cognitoPostConfirmationEvent.json: attributes are text
    ("cognito", {}, True),
    ("cognito", {"request.userAttributes.email_verified": "false"}, False),
    ("cognito", {"request.userAttributes.email_verified": GONE}, None),
    # firebase/firebase-functions, src/common/providers/identity.ts: UserRecord
    ("firebase", {}, None),
    ("firebase", {"emailVerified": False}, False),
    ("firebase", {"emailVerified": True}, True),
    ("fusionauth", {}, True),
    ("fusionauth", {"event.user.verified": False}, False),
    (
        "fusionauth",
        {
            "event.user.identities": [
                {"type": "email", "value": "erlich@example.com", "verified": False},
                {"type": "phoneNumber", "value": "+13035551234", "verified": True},
            ]
        },
        False,
    ),
    ("keycloak", {}, None),
    ("keycloak", {"details.email_verified": "false"}, False),
    # ory/kratos, identity/identity_verification.go
    ("kratos", {}, None),
    ("kratos", {"identity.verifiable_addresses": [{**KRATOS_ADDRESS, "verified": False}]}, False),
    ("kratos", {"identity.verifiable_addresses": [{**KRATOS_ADDRESS, "verified": True}]}, True),
    (
        "kratos",
        {
            "identity.verifiable_addresses": [
                {"value": "+4915112345678", "via": "sms", "verified": True},
                {**KRATOS_ADDRESS, "verified": False},
            ]
        },
        False,
    ),
]


@pytest.mark.parametrize(("preset", "changes", "expected"), VERIFIED)
def test_what_the_sender_says_about_the_address(preset: str, changes: Changes, expected: bool | None) -> None:
    assert fields(preset, changes).get("email_verified") is expected


def test_every_identity_service_has_a_line_about_the_address() -> None:
    assert {preset for preset, _, _ in VERIFIED} == set(IDENTITY)


# Signups in several steps: which deliveries count.

NEVER_CONFIRMED = {"email_confirmed_at": None, "phone": None, "is_anonymous": False}


def update(record: Mapping[str, object], old: Mapping[str, object]) -> Changes:
    """An UPDATE of a row of ``auth.users``; both have all columns, as in the database."""
    row = {"id": "U", "email": None, **NEVER_CONFIRMED}
    return {"type": "UPDATE", "record": {**row, **record}, "old_record": {**row, **old}}


EMAIL: dict[str, object] = {"email": "u@x.example"}
CONFIRMED: dict[str, object] = {"email_confirmed_at": "2025-01-01T00:00:00Z"}
ANONYMOUS: dict[str, object] = {"is_anonymous": True}

#: supabase/auth changes `is_anonymous`, `email` and `email_confirmed_at` in statements of their own, in this order
#: (internal/api/verify.go: emailChangeVerify, internal/models/user.go: ConfirmEmailChange).
STEPS: list[tuple[str, str, Changes, bool]] = [
    ("supabase-db-webhook", "an anonymous user", {"record.is_anonymous": True, "record.email": None}, False),
    ("supabase-db-webhook", "permanent, before the address is there", update({}, ANONYMOUS), False),
    ("supabase-db-webhook", "then the address", update(EMAIL, {}), True),
    ("supabase-db-webhook", "then confirmed", update(EMAIL | CONFIRMED, EMAIL), True),
    ("supabase-db-webhook", "permanent by a linked identity", update(EMAIL | CONFIRMED, EMAIL | ANONYMOUS), True),
    ("supabase-db-webhook", "permanent by phone", update({"phone": "15552225555"}, ANONYMOUS), True),
    ("supabase-db-webhook", "an address while anonymous", update(EMAIL | ANONYMOUS, ANONYMOUS), False),
    (
        "supabase-db-webhook",
        "permanent, with the columns of a guide",
        {
            "type": "UPDATE",
            "record": {"id": "U", "is_anonymous": False, **EMAIL},
            "old_record": {"id": "U", **ANONYMOUS},
        },
        True,
    ),
    ("supabase-db-webhook", "a sign-in", update(EMAIL | CONFIRMED, EMAIL | CONFIRMED), False),
    ("supabase-db-webhook", "another address", update({"email": "v@x.example"} | CONFIRMED, EMAIL | CONFIRMED), True),
    ("supabase-auth-hook", "an anonymous user", {"user.is_anonymous": True}, False),
    # firebase.google.com/docs/functions/1st-gen/auth-events: it runs for anonymous sessions too
    (
        "firebase",
        "an anonymous user, as a whole record",
        {"email": None, "displayName": None, "providerData": [], "emailVerified": False},
        False,
    ),
    (
        "firebase",
        "linked later",
        {"providerData": [{"providerId": "google.com", "uid": "1", "email": "lena@example.com"}]},
        True,
    ),
    ("firebase", "by phone", {"email": None, "phoneNumber": "+12025550100", "providerData": []}, True),
    ("kratos", "verified later", {"identity.verifiable_addresses": [{**KRATOS_ADDRESS, "verified": True}]}, True),
    ("stytch", "pending", {"user.status": "pending"}, True),
    ("fusionauth", "registered for another application", {"event.type": "user.registration.create"}, True),
    ("cognito", "confirmed", {}, True),
]


@pytest.mark.parametrize(("preset", "step", "changes", "counts"), STEPS, ids=[f"{p}: {s}" for p, s, _, _ in STEPS])
def test_the_steps_of_a_signup(preset: str, step: str, changes: Changes, counts: bool) -> None:
    assert (raw(preset, changes) is not None) == counts


def test_supabase_steps_are_one_person_whose_address_becomes_verified() -> None:
    steps = [
        fields("supabase-db-webhook", changes) for changes in (update(EMAIL, {}), update(EMAIL | CONFIRMED, EMAIL))
    ]
    assert [step["identifier"] for step in steps] == ["U", "U"]
    assert [step["email_verified"] for step in steps] == [False, True]


# Fields where vendors put them.

DB, HOOK = "record.raw_user_meta_data", "user.user_metadata"
TRAITS, ATTRIBUTES = "identity.traits", "request.userAttributes"
LOG_BODY = "1.data.details.body"
NO_NAMES: Changes = {"data.object.name": "nick-testing-21@example.com"}

PLACES: list[tuple[str, Changes, str, object]] = [
    ("supabase-db-webhook", {DB: {"display_name": "Jane S."}}, "name", "Jane S."),
    ("supabase-db-webhook", {DB: {"given_name": "Jane", "family_name": "Smith"}}, "name", "Jane Smith"),
    ("supabase-db-webhook", {DB: {"firstName": "Jane", "lastName": "Smith"}}, "name", "Jane Smith"),
    ("supabase-db-webhook", {DB: {"displayName": "Jane S."}}, "name", "Jane S."),
    ("supabase-db-webhook", {DB: {"fullName": "Jane S."}}, "name", "Jane S."),
    # supabase/auth, internal/api/provider/github.go: `user_name` and `preferred_username`
    ("supabase-db-webhook", {DB: {"user_name": "janes", "full_name": ""}}, "name", "janes"),
    ("supabase-db-webhook", {DB: {"phone_number": "+12025550143"}}, "phone_number", "+12025550143"),
    ("supabase-db-webhook", {DB: {"avatarUrl": "https://x.example/a.png"}}, "avatar_url", "https://x.example/a.png"),
    ("supabase-db-webhook", {DB: {"country": "FR"}}, "country", "FR"),
    ("supabase-auth-hook", {HOOK: {"display_name": "Jane S."}}, "name", "Jane S."),
    ("supabase-auth-hook", {HOOK: {"given_name": "Jane", "family_name": "Smith"}}, "name", "Jane Smith"),
    ("supabase-auth-hook", {HOOK: {"mobile": "+12025550143"}}, "phone_number", "+12025550143"),
    ("kratos", {TRAITS: {"email": "p@x.example", "phone_number": "+12025550143"}}, "phone_number", "+12025550143"),
    ("kratos", {TRAITS: {"email": "p@x.example", "phones": ["+12025550143"]}}, "phone_number", "+12025550143"),
    (
        "kratos",
        {
            TRAITS: {"email": "p@x.example"},
            "identity.verifiable_addresses": [{"value": "+12025550143", "via": "sms", "verified": True}],
        },
        "phone_number",
        "+12025550143",
    ),
    ("kratos", {TRAITS: {"name": "Paula Voss"}}, "name", "Paula Voss"),
    ("kratos", {TRAITS: {"name": {"first": "Paula", "last": "Voss"}}}, "name", "Paula Voss"),
    ("kratos", {TRAITS: {"name": {"first_name": "Paula", "last_name": "Voss"}}}, "name", "Paula Voss"),
    ("kratos", {TRAITS: {"name": {"given": "Paula", "family": "Voss"}}}, "name", "Paula Voss"),
    ("kratos", {TRAITS: {"first_name": "Paula", "last_name": "Voss"}}, "name", "Paula Voss"),
    ("kratos", {TRAITS: {"givenName": "Paula", "familyName": "Voss"}}, "name", "Paula Voss"),
    # ory/kratos, identity/stub/handler/multiple_emails.schema.json
    ("kratos", {TRAITS: {"emails": ["p@x.example", "q@x.example"], "username": "paula"}}, "email", "p@x.example"),
    ("kratos", {TRAITS: {"emails": ["p@x.example"], "username": "paula"}}, "name", "paula"),
    ("kratos", {TRAITS: {"email": "p@x.example", "address": {"country": "FR"}}}, "country", "FR"),
    ("kratos", {TRAITS: {"picture": "https://x.example/a.png"}}, "avatar_url", "https://x.example/a.png"),
    # What is there in a shape that nobody knows is noted, not dropped.
    ("kratos", {TRAITS: {"name": {"legal": "Paula"}}}, "name", {"legal": "Paula"}),
    ("cognito", {ATTRIBUTES: {"sub": "s", "custom:phone": "+12025550143"}}, "phone_number", "+12025550143"),
    ("cognito", {ATTRIBUTES: {"sub": "s", "custom:first_name": "Omar", "custom:last_name": "H."}}, "name", "Omar H."),
    ("cognito", {ATTRIBUTES: {"sub": "s", "preferred_username": "omar"}}, "name", "omar"),
    ("cognito", {ATTRIBUTES: {"sub": "s", "given_name": "Omar"}}, "name", "Omar"),
    (
        "auth0-event-stream",
        {"data.object.name": "+12025550143", "data.object.phone_number": "+12025550143", "data.object.email": GONE},
        "name",
        "nick-testing-21",
    ),
    (
        "auth0-event-stream",
        {**NO_NAMES, "data.object.user_metadata": {"first_name": "Nick", "last_name": "Test"}},
        "name",
        "Nick Test",
    ),
    (
        "auth0-event-stream",
        {"data.object.user_metadata": {"phone": "+12025550143", "country": "FR"}},
        "phone_number",
        "+12025550143",
    ),
    ("auth0-event-stream", {"data.object.user_metadata": {"country": "FR"}}, "country", "FR"),
    # auth0.com/docs/api/authentication: POST /dbconnections/signup, which the log entry repeats
    ("auth0-log-stream", {LOG_BODY: {"email": "n@x.example", "name": "Nora B."}}, "name", "Nora B."),
    ("auth0-log-stream", {LOG_BODY: {"given_name": "Nora", "family_name": "B."}}, "name", "Nora B."),
    ("auth0-log-stream", {LOG_BODY: {"user_metadata": {"full_name": "Nora B."}}}, "name", "Nora B."),
    (
        "auth0-log-stream",
        {LOG_BODY: {"user_metadata": {"phone": "+12025550143"}}},
        "phone_number",
        "+12025550143",
    ),
    ("kinde", {"data.user.first_name": None, "data.user.last_name": None, "data.user.username": "mia"}, "name", "mia"),
    ("memberstack", {"payload.customFields": {"First Name": "John", "Last Name": "Smith"}}, "name", "John Smith"),
    ("memberstack", {"payload.customFields": {"full_name": "John S."}}, "name", "John S."),
    ("memberstack", {"payload.customFields": {"mobile": "+12025550143"}}, "phone_number", "+12025550143"),
    (
        "stytch",
        {"user.emails.0.verified": False, "user.emails.1.verified": True},
        "email",
        "ada@example.org",
    ),
    (
        "stytch",
        {"user.providers": [{"provider_type": "google", "profile_picture_url": "https://x.example/a.png"}]},
        "avatar_url",
        "https://x.example/a.png",
    ),
    ("firebase", {"displayName": None, "providerData": [{"displayName": "Lena R."}]}, "name", "Lena R."),
    ("firebase", {"uid": GONE, "localId": "L1"}, "identifier", "L1"),
    (
        "fusionauth",
        {"event.user.mobilePhone": None, "event.user.phoneNumber": "+13035551234"},
        "phone_number",
        "+13035551234",
    ),
    (
        "fusionauth",
        {"event.user.mobilePhone": None, "event.user.data": {"phone": "+13035551234"}},
        "phone_number",
        "+13035551234",
    ),
    ("fusionauth", {"event.user.data": {"country": "FR"}}, "country", "FR"),
    (
        "fusionauth",
        {
            "event.user.fullName": None,
            "event.user.firstName": None,
            "event.user.lastName": None,
            "event.user.username": "erlich",
        },
        "name",
        "erlich",
    ),
    ("keycloak", {"details.phone_number": "+12025550143"}, "phone_number", "+12025550143"),
    ("keycloak", {"details.first_name": GONE, "details.last_name": GONE}, "name", "linus"),
    ("keycloak", {"details.given_name": "Linus", "details.first_name": GONE}, "name", "Linus Berg"),
]


@pytest.mark.parametrize(("preset", "changes", "field", "expected"), PLACES)
def test_fields_are_found_where_vendors_put_them(preset: str, changes: Changes, field: str, expected: object) -> None:
    assert fields(preset, changes).get(field) == expected


def test_a_name_in_an_unknown_shape_is_noted() -> None:
    payload = {"identity": {"id": "k1", "traits": {"email": "p@x.example", "name": {"legal": "Paula"}}}}
    reading = read_source("a", written("kratos"), {}).read_payload(payload, {})
    assert isinstance(reading, Signup)
    assert [(note.field, note.text) for note in reading.notes] == [("name", "left out: not text")]


@pytest.mark.parametrize(("status", "is_unverified"), [("verified", False), ("unverified", True)])
def test_a_signup_says_that_its_address_is_not_verified(status: str, is_unverified: bool) -> None:
    payload = changed(sample("clerk")["body"], CLERK_ADDRESS, {"status": status})
    reading = read_source("a", written("clerk"), {}).read_payload(payload, {})
    assert isinstance(reading, Signup)
    assert reading.is_unverified is is_unverified


# Batches: a bad element stops nobody.


def test_each_entry_of_auth0s_log_is_read_alone() -> None:
    payload: Any = [
        {"data": {"type": "ss", "user_id": "auth0|g", "user_name": "g@x.example"}},
        {"data": {"type": "ss", "user_id": "", "user_name": "n@x.example"}},
        {"data": {"type": "ss", "user_name": "m@x.example"}},
        {"data": {"type": "s", "user_id": "auth0|old"}},
        {"data": None},
        "not an entry",
        {"data": {"type": "ss", "user_id": "auth0|h", "details": {"body": {"email": "h@x.example"}}}},
    ]
    delivered = read_source("a", written("auth0-log-stream"), {}).read_again(payload)
    read = [element.reading for element in delivered.elements]
    assert [one.contact.identifier if isinstance(one, Signup) else one and one.problems for one in read] == [
        "auth0|g",
        {"identifier": "missing"},
        {"identifier": "missing"},
        None,
        None,
        None,
        "auth0|h",
    ]
