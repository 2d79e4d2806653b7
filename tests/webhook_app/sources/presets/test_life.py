"""What identity services and senders of one's own say after the signup: changes and deletions.

``LIFE`` has a line for each sample. The sources of the samples are named in them; where a fact is not in a sample, its
source is at the line.
"""

import copy
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deliveries import (
    GONE,
    NOW,
    Keys,
    changed,
    expected,
    published_keys,
    sample,
    sample_delivery,
    source,
    written,
)
from webhook_app.sources.config import read_source
from webhook_app.sources.presets import PRESETS
from webhook_app.sources.sample import Sample, payload_of, sample_files
from worker.errors import Unmappable
from worker.model import Signup

#: The presets of these tables.
OURS = [name for name, preset in PRESETS.items() if preset["family"].startswith(("Your own code", "Identity"))]


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with published_keys() as keys:
        yield keys


def read_body(preset: str, body: Any, **more: Any) -> Signup | None:
    """Read a payload, or the only element of a batch that is not ignored."""
    table = {**written(preset), "region": "US", "on_delete": "mark", **more}
    reader = read_source("a", table, {})
    found = reader.read_payload(payload_of(reader, Sample(body, {"Content-Type": "application/json"})), {})
    read = [one for one in (found if isinstance(found, list) else [found]) if one is not None]
    assert len(read) <= 1
    return read[0] if read else None


def read(preset: str, event: str, changes: Mapping[str, object] | None = None) -> Signup | None:
    body = sample(preset, event)["body"]
    for place, value in (changes or {}).items():
        body = changed(body, place, value)
    return read_body(preset, body)


def signup(preset: str, event: str, changes: Mapping[str, object] | None = None) -> Signup:
    found = read(preset, event, changes)
    assert found is not None, "ignored"
    return found


#: The event that a deletion is.
DELETED = "deleted"
NOTHING: frozenset[str] = frozenset()
REGISTERED = "user.registration.create.complete"
SIGNED_UP, SIGNED_IN = "PostConfirmation_ConfirmSignUp", "PostAuthentication_Authentication"
AVATAR, EMAIL, NAME, PHONE = "avatar_url", "email", "name", "phone_number"

#: Preset, sample, the event's name, its own time, and what it clears, in the order in which the events happened.
LIFE: list[tuple[str, str, str, str | None, frozenset[str] | str]] = [
    ("clerk", "user.created", "user.created", "2022-05-31T15:56:31.835Z", frozenset({PHONE})),
    ("clerk", "user.updated", "user.updated", "2022-05-31T16:00:24.306Z", frozenset({AVATAR})),
    ("clerk", "user.deleted", "user.deleted", "2022-08-30T12:14:00Z", DELETED),
    ("auth0-event-stream", "user.created", "user.created", "2025-02-02T17:56:01.573Z", NOTHING),
    ("auth0-event-stream", "user.updated", "user.updated", "2025-02-03T09:12:30.120Z", NOTHING),
    ("auth0-event-stream", "user.deleted", "user.deleted", "2025-02-04T10:00:00Z", DELETED),
    ("auth0-log-stream", "ss", "ss", "2023-11-14T12:00:01Z", NOTHING),
    ("auth0-log-stream", "sv", "sv", "2023-11-14T12:05:00Z", NOTHING),
    ("auth0-log-stream", "sce", "sce", "2023-11-15T08:00:00Z", NOTHING),
    ("auth0-log-stream", "scpn", "scpn", None, NOTHING),
    ("auth0-log-stream", "sdu", "sdu", "2023-11-16T12:00:00Z", DELETED),
    ("workos", "user.created", "user.created", "2023-11-14T22:13:20Z", NOTHING),
    ("workos", "user.updated", "user.updated", "2023-11-20T08:00:00Z", frozenset({AVATAR})),
    ("workos", "user.deleted", "user.deleted", "2023-12-01T08:00:00Z", DELETED),
    ("kinde", "user.created", "user.created", "2023-11-14T22:13:20Z", frozenset({PHONE, AVATAR})),
    ("kinde", "user.updated", "user.updated", "2023-11-14T22:30:00.500Z", frozenset({AVATAR})),
    ("kinde", "user.deleted", "user.deleted", "2023-11-16T08:30:00Z", DELETED),
    ("stytch", "direct.user.create", "DIRECT.user.CREATE", "2024-03-06T14:00:00Z", frozenset({AVATAR})),
    (
        "stytch",
        "dashboard.user.update",
        "DASHBOARD.user.UPDATE",
        "2024-03-07T10:00:00.123Z",
        frozenset({PHONE, AVATAR}),
    ),
    ("stytch", "direct.user.delete", "DIRECT.user.DELETE", "2024-03-08T10:00:00Z", DELETED),
    ("stytch", "scim.member.update", "SCIM.member.UPDATE", "2024-03-09T10:00:00.500Z", frozenset({AVATAR})),
    ("stytch", "dashboard.member.delete", "DASHBOARD.member.DELETE", "2024-03-10T10:00:00Z", DELETED),
    ("memberstack", "member.created", "member.created", "2021-10-06T02:21:20.169Z", NOTHING),
    ("memberstack", "member.updated", "member.updated", "2021-10-07T02:21:20Z", frozenset({PHONE})),
    ("memberstack", "member.deleted", "member.deleted", "2021-10-08T02:21:20Z", DELETED),
    # The time of the hook is seven hours behind UTC.
    (
        "supabase-auth-hook",
        "before-user-created",
        "before-user-created",
        "2025-04-29T20:13:24.755Z",
        frozenset({PHONE}),
    ),
    ("supabase-db-webhook", "INSERT", "INSERT", "2025-01-01T00:00:00Z", frozenset({PHONE, AVATAR})),
    ("supabase-db-webhook", "UPDATE", "UPDATE", "2025-01-02T09:00:00.123Z", frozenset({AVATAR})),
    # The last change of the row: no change of it can be later.
    ("supabase-db-webhook", "DELETE", "DELETE", "2025-01-02T09:00:00.123Z", DELETED),
    ("supabase-db-webhook", "UPDATE_deleted_at", "UPDATE", "2025-01-03T00:00:00Z", DELETED),
    ("cognito", SIGNED_UP, SIGNED_UP, "2025-03-01T10:00:00Z", NOTHING),
    ("cognito", SIGNED_IN, SIGNED_IN, "2025-03-05T10:00:00Z", frozenset({PHONE})),
    ("cognito", "UserDeleted", "UserDeleted", "2025-03-06T10:00:00Z", DELETED),
    ("firebase", "user.create", "user.create", "2025-03-01T10:00:00.123Z", frozenset({PHONE})),
    ("firebase", "user.change", "user.change", "2025-03-02T10:00:00Z", frozenset({AVATAR})),
    ("firebase", "user.delete", "user.delete", "2025-03-03T10:00:00Z", DELETED),
    ("fusionauth", "user.create", "user.create", "2023-11-14T22:13:19Z", NOTHING),
    ("fusionauth", "user.create.complete", "user.create.complete", "2023-11-14T22:13:19.500Z", NOTHING),
    ("fusionauth", "user.registration.create", "user.registration.create", "2023-11-14T22:13:19.900Z", NOTHING),
    ("fusionauth", REGISTERED, REGISTERED, "2023-11-14T22:13:20Z", NOTHING),
    ("fusionauth", "user.update.complete", "user.update.complete", "2023-11-14T23:13:20Z", frozenset({PHONE})),
    ("fusionauth", "user.email.update", "user.email.update", "2023-11-14T23:13:20.001Z", frozenset({PHONE})),
    ("fusionauth", "user.email.verified", "user.email.verified", "2023-11-15T00:13:20Z", frozenset({PHONE})),
    ("fusionauth", "user.identity.verified", "user.identity.verified", "2023-11-15T00:13:20.001Z", frozenset({PHONE})),
    ("fusionauth", "user.reactivate", "user.reactivate", "2023-11-15T00:43:20Z", frozenset({PHONE})),
    ("fusionauth", "user.delete.complete", "user.delete.complete", "2023-11-15T01:13:20Z", DELETED),
    ("keycloak", "access.REGISTER", "access.REGISTER", "2023-11-14T22:13:20Z", NOTHING),
    ("keycloak", "admin.USER-CREATE", "admin.USER-CREATE", "2023-11-14T22:13:20.001Z", NOTHING),
    ("keycloak", "access.UPDATE_PROFILE", "access.UPDATE_PROFILE", None, NOTHING),
    ("keycloak", "access.UPDATE_EMAIL", "access.UPDATE_EMAIL", "2023-11-15T00:13:20Z", NOTHING),
    ("keycloak", "access.VERIFY_EMAIL", "access.VERIFY_EMAIL", "2023-11-15T01:13:20Z", NOTHING),
    ("keycloak", "admin.USER-UPDATE", "admin.USER-UPDATE", "2023-11-15T02:13:20Z", NOTHING),
    ("keycloak", "access.DELETE_ACCOUNT", "access.DELETE_ACCOUNT", "2023-11-16T02:00:00Z", DELETED),
    ("keycloak", "admin.USER-DELETE", "admin.USER-DELETE", "2023-11-16T02:00:00.001Z", DELETED),
    ("kratos", "registration", "registration", "2024-05-01T10:00:00.123Z", frozenset({AVATAR})),
    ("kratos", "settings", "settings", "2024-05-02T10:00:00Z", frozenset({PHONE, AVATAR})),
    # Kratos changes the address, not the identity.
    ("kratos", "verification", "verification", "2024-05-02T10:00:00Z", frozenset({PHONE, AVATAR})),
    ("kratos", "deleted", "deleted", "2024-05-03T10:00:00Z", DELETED),
    ("standard-webhooks", "contact.created", "contact.created", "2022-11-03T20:26:10.344Z", NOTHING),
    ("standard-webhooks", "contact.updated", "contact.updated", "2022-11-04T09:00:00.500Z", frozenset({PHONE})),
    ("standard-webhooks", "contact.deleted", "contact.deleted", "2022-11-05T09:00:00Z", DELETED),
    ("svix", "user.created", "user.created", "2024-11-15T21:12:01Z", NOTHING),
    ("svix", "user.updated", "user.updated", "2024-11-16T21:12:01Z", NOTHING),
    ("svix", "user.deleted", "user.deleted", "2024-11-17T21:12:01Z", DELETED),
    ("generic-bearer", "signup", "", None, frozenset({AVATAR})),
    ("generic-bearer", "user.updated", "user.updated", "2025-03-02T10:00:00Z", frozenset({PHONE})),
    ("generic-bearer", "user.deleted", "user.deleted", "2025-03-03T10:00:00Z", DELETED),
    ("generic-hmac", "user.created", "user.created", None, frozenset({EMAIL})),
    ("generic-hmac", "user.updated", "user.updated", "2025-03-02T09:00:00Z", NOTHING),
    ("generic-hmac", "user.deleted", "user.deleted", "2025-03-03T09:00:00Z", DELETED),
]

IDS = [f"{preset}: {event}" for preset, event, *_ in LIFE]


def ms(text: str) -> int:
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1)


@pytest.mark.parametrize(("preset", "event", "name", "at", "cleared"), LIFE, ids=IDS)
def test_what_an_event_says(preset: str, event: str, name: str, at: str | None, cleared: frozenset[str] | str) -> None:
    found = signup(preset, event)
    assert found.contact == expected(preset, event)
    assert (found.event.name, found.event.at) == (name, at and ms(at))
    assert found.event.is_deletion == (cleared == DELETED)
    assert found.cleared == (NOTHING if cleared == DELETED else cleared)


def test_every_sample_is_in_the_table() -> None:
    samples = {(preset, event) for preset in OURS for event in sample_files(preset)}
    assert samples - {("svix", "ping")} == {(preset, event) for preset, event, *_ in LIFE}


@pytest.mark.parametrize(("preset", "event"), [line[:2] for line in LIFE], ids=IDS)
def test_every_sample_verifies(preset: str, event: str, keys: Keys) -> None:
    assert source(preset, keys).verify(sample_delivery(preset, keys, event=event), NOW) == 0


@pytest.mark.parametrize("preset", OURS)
def test_a_deletion_has_the_identifier_of_the_signup(preset: str) -> None:
    """Otherwise nothing would be deleted, or somebody else."""
    people: dict[bool, set[str]] = {False: set(), True: set()}
    for one, event, *_, cleared in LIFE:
        if one == preset:
            people[cleared == DELETED].add(signup(preset, event).contact.identifier)
    assert people[True] <= people[False]
    assert people[True] or preset == "supabase-auth-hook"


@pytest.mark.parametrize("preset", OURS)
def test_an_older_event_never_has_a_later_time(preset: str) -> None:
    times = [signup(one, event).event.at for one, event, *_ in LIFE if one == preset]
    known = [at for at in times if at is not None]
    assert known == sorted(known)


# The time in a payload


#: Where the time is, and how the sender writes it: in ms, or as text.
TIMES: list[tuple[str, str, str, str]] = [
    ("clerk", "user.updated", "timestamp", "ms"),
    ("auth0-event-stream", "user.updated", "time", "iso"),
    ("auth0-log-stream", "sce", "0.data.date", "iso"),
    ("workos", "user.updated", "created_at", "iso"),
    ("kinde", "user.updated", "event_timestamp", "iso"),
    ("stytch", "dashboard.user.update", "timestamp", "iso"),
    ("memberstack", "member.updated", "timestamp", "ms"),
    ("supabase-auth-hook", "before-user-created", "metadata.time", "iso"),
    ("supabase-db-webhook", "UPDATE", "record.updated_at", "iso"),
    ("supabase-db-webhook", "DELETE", "old_record.updated_at", "iso"),
    ("cognito", "PostAuthentication_Authentication", "time", "iso"),
    ("firebase", "user.change", "time", "iso"),
    ("fusionauth", "user.update.complete", "event.createInstant", "ms"),
    ("keycloak", "admin.USER-UPDATE", "time", "ms"),
    ("kratos", "settings", "identity.updated_at", "iso"),
    ("standard-webhooks", "contact.updated", "timestamp", "iso"),
    ("svix", "user.updated", "timestamp", "iso"),
    ("generic-bearer", "user.updated", "updated_at", "iso"),
    ("generic-hmac", "user.updated", "occurred_at", "iso"),
]


def test_every_preset_has_a_time() -> None:
    assert {preset for preset, *_ in TIMES} == set(OURS)


@given(
    line=st.sampled_from(TIMES),
    times=st.lists(st.integers(946_771_200_000, 1_767_225_600_000), min_size=2, max_size=2),
)
def test_the_order_of_times_is_that_of_the_sender(line: tuple[str, str, str, str], times: list[int]) -> None:
    preset, event, place, unit = line

    def read_at(at: int) -> int | None:
        text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).isoformat()
        return signup(preset, event, {place: at if unit == "ms" else text}).event.at

    assert [read_at(at) for at in times] == times


def test_parts_of_a_person_never_displace_each_other() -> None:
    """An older event is refused as a whole, so two of different fields must not both have a time."""
    for preset in ("keycloak", "auth0-log-stream"):
        parts = [signup(preset, event) for one, event, *_, cleared in LIFE if one == preset and cleared != DELETED]
        timed = [set(part.contact.present()) for part in parts if part.event.at is not None]
        assert all(one <= other or other <= one for one in timed for other in timed), preset


#: When a delivery was sent, which a retry changes, is in headers: no preset reads its time there.
@pytest.mark.parametrize("preset", OURS)
def test_the_time_of_sending_is_not_the_time_of_an_event(preset: str) -> None:
    assert "header" not in str(PRESETS[preset]["event_time"])


# What is no change

#: Preset, sample, and what is different in it although the person is the same.
NOISE: list[tuple[str, str, Mapping[str, object]]] = [
    ("clerk", "user.updated", {"data.last_sign_in_at": 1654013000000, "data.last_active_at": 1654013000000}),
    ("clerk", "user.updated", {"data.public_metadata": {"plan": "pro"}, "data.banned": True}),
    ("auth0-event-stream", "user.updated", {"data.object.last_login": "2025-02-03T10:00:00Z"}),
    ("auth0-event-stream", "user.updated", {"data.object.logins_count": 4}),
    ("workos", "user.updated", {"data.last_sign_in_at": "2023-11-20T09:00:00.000Z"}),
    ("kinde", "user.updated", {"data.user.is_password_reset_requested": True}),
    ("stytch", "dashboard.user.update", {"user.untrusted_metadata": {"theme": "dark"}}),
    ("memberstack", "member.updated", {"payload.metaData": {"visits": 2}}),
    ("fusionauth", "user.update.complete", {"event.user.lastLoginInstant": 1700003600001}),
    ("cognito", "PostAuthentication_Authentication", {"request.newDeviceUsed": True}),
]


@pytest.mark.parametrize(("preset", "event", "changes"), NOISE)
def test_noise_changes_nothing_of_the_person(preset: str, event: str, changes: Mapping[str, object]) -> None:
    before, after = signup(preset, event), signup(preset, event, changes)
    assert (after.contact, after.cleared) == (before.contact, before.cleared)


#: Events that concern nobody's contact: preset, sample, what is different.
IGNORED: list[tuple[str, str, Mapping[str, object]]] = [
    # clerk/javascript, packages/backend/src/api/resources/Webhooks.ts
    ("clerk", "user.updated", {"type": "organizationMembership.updated"}),
    ("clerk", "user.deleted", {"type": "organization.deleted"}),
    ("clerk", "user.updated", {"type": "session.created"}),
    ("auth0-event-stream", "user.deleted", {"type": "organization.member.deleted"}),
    ("auth0-log-stream", "sdu", {"0.data.type": "fdu"}),
    ("auth0-log-stream", "sce", {"0.data.type": "fce"}),
    ("auth0-log-stream", "sce", {"0.data.type": "scp"}),
    ("workos", "user.deleted", {"event": "dsync.user.deleted"}),
    ("workos", "user.deleted", {"event": "organization_membership.deleted"}),
    ("kinde", "user.updated", {"type": "user.authenticated"}),
    ("kinde", "user.deleted", {"type": "organization.deleted"}),
    ("stytch", "direct.user.delete", {"object_type": "organization"}),
    ("memberstack", "member.updated", {"event": "member.plan.updated"}),
    ("supabase-db-webhook", "UPDATE", {"table": "identities"}),
    ("supabase-db-webhook", "DELETE", {"schema": "public"}),
    ("supabase-db-webhook", "DELETE", {"old_record.is_anonymous": True}),
    ("cognito", "PostConfirmation_ConfirmSignUp", {"triggerSource": "PostConfirmation_ConfirmForgotPassword"}),
    # Sent before the change is certain: FusionAuth/fusionauth-site, events/user/user-delete.mdx
    ("fusionauth", "user.delete.complete", {"event.type": "user.delete"}),
    ("fusionauth", "user.update.complete", {"event.type": "user.update"}),
    ("fusionauth", "user.delete.complete", {"event.type": "user.registration.delete.complete"}),
    ("fusionauth", "user.update.complete", {"event.type": "user.login.success"}),
    ("fusionauth", "user.update.complete", {"event.type": "user.deactivate"}),
    ("keycloak", "access.UPDATE_PROFILE", {"type": "access.UPDATE_PROFILE_ERROR"}),
    ("keycloak", "access.DELETE_ACCOUNT", {"type": "access.DELETE_ACCOUNT_ERROR"}),
    ("keycloak", "admin.USER-DELETE", {"type": "admin.GROUP_MEMBERSHIP-DELETE"}),
    ("keycloak", "access.VERIFY_EMAIL", {"type": "access.LOGIN"}),
    ("standard-webhooks", "contact.deleted", {"type": "ping"}),
]


@pytest.mark.parametrize(("preset", "event", "changes"), IGNORED)
def test_other_events_are_ignored(preset: str, event: str, changes: Mapping[str, object]) -> None:
    assert read(preset, event, changes) is None


# Auth0's log


def test_auth0_does_not_write_the_old_address_or_number() -> None:
    """``user_name`` is what the user signs in with, and in these entries still the old value."""
    assert signup("auth0-log-stream", "sce", {"0.data.details.body.newEmail": GONE}).contact.email is None
    assert signup("auth0-log-stream", "scpn").contact.email is None
    assert signup("auth0-log-stream", "scpn", {"0.data.user_name": "nora@example.com"}).contact.email is None


def test_an_address_that_auth0_verified_is_verified() -> None:
    assert not signup("auth0-log-stream", "sv").is_unverified
    assert not signup("keycloak", "access.VERIFY_EMAIL").is_unverified
    assert signup("kratos", "settings").is_unverified
    assert not signup("kratos", "verification").is_unverified


# Supabase: every statement is an UPDATE


def supabase(new: Mapping[str, object], old: Mapping[str, object] | None = None) -> Signup | None:
    body = sample("supabase-db-webhook", "UPDATE")["body"]
    row = body["record"]
    return read_body("supabase-db-webhook", {**body, "record": {**row, **new}, "old_record": {**row, **(old or {})}})


@pytest.mark.parametrize(
    "changes",
    [
        {"last_sign_in_at": "2025-02-01T00:00:00+00:00", "updated_at": "2025-02-01T00:00:00+00:00"},
        {"recovery_token": "r", "recovery_sent_at": "2025-02-01T00:00:00+00:00"},
        # The new address counts once it is the user's.
        {"email_change": "new@example.com", "email_change_sent_at": "2025-02-01T00:00:00+00:00"},
        {"banned_until": "2125-02-01T00:00:00+00:00"},
    ],
)
def test_supabase_signs_users_in_with_an_update(changes: Mapping[str, object]) -> None:
    assert supabase(changes) is None


def test_supabase_changes_one_thing_at_a_time() -> None:
    for column, value in {
        "email": "new@example.com",
        "phone": "12025550199",
        "email_confirmed_at": "2025-02-01T00:00:00+00:00",
        "raw_user_meta_data": {"full_name": "Jane Lee"},
    }.items():
        found = supabase({column: value})
        assert found is not None, column
        assert not found.event.is_deletion


def test_metadata_that_was_removed_is_cleared() -> None:
    found = supabase({"raw_user_meta_data": {}, "phone": None})
    assert found is not None
    assert found.cleared == {NAME, PHONE, AVATAR}
    assert found.contact.email == "jane.smith@example.com"


def test_the_hash_of_a_softly_deleted_user_is_never_an_address() -> None:
    """supabase/auth, internal/models/user.go: SoftDeleteUser makes several statements."""
    deleted = {"deleted_at": "2025-01-03T00:00:00+00:00", "email": "0a1b2c3d4e5f", "phone": "0a1b2c"}
    for changes in (deleted, {**deleted, "raw_user_meta_data": {}}, {**deleted, "raw_app_meta_data": {}}):
        found = supabase(changes, None if changes is deleted else deleted)
        assert found is not None
        assert found.event.is_deletion
        assert found.contact.email is None


# Keycloak: the event of an administrator, and half a name


def test_the_administrator_is_never_the_person() -> None:
    admin = sample("keycloak", "admin.USER-UPDATE")["body"]["authDetails"]["userId"]
    for event in ("admin.USER-CREATE", "admin.USER-UPDATE", "admin.USER-DELETE"):
        assert signup("keycloak", event).contact.identifier != admin
        # Of another resource of the user, such as a group, or without a path, there is nobody.
        for place in (f"users/{admin}/groups", None):
            with pytest.raises(Unmappable):
                read("keycloak", event, {"resourcePath": place})


@pytest.mark.parametrize("gone", ["updated_first_name", "updated_last_name"])
def test_half_a_name_is_no_name(gone: str) -> None:
    """Keycloak names only the part that changed: the other one would be lost."""
    found = signup("keycloak", "access.UPDATE_PROFILE", {f"details.{gone}": GONE})
    assert found.contact.name is None
    assert NAME not in found.cleared


def test_a_user_name_never_replaces_a_name() -> None:
    assert signup("keycloak", "access.UPDATE_EMAIL").contact.name is None
    assert signup("keycloak", "access.VERIFY_EMAIL").contact.name is None
    partial = signup("keycloak", "admin.USER-UPDATE", {"representation": '{"username": "linus", "enabled": false}'})
    assert (partial.contact.name, partial.cleared) == (None, NOTHING)


# Names of events that many senders share


@pytest.mark.parametrize(
    "name",
    [
        "user.deleted",
        "user.delete",
        "User.Deleted",
        "users/delete",
        "customer_deleted",
        "contact:deleted",
        "member-deleted",
    ],
)
def test_common_names_of_deletions(name: str) -> None:
    for key in ("type", "event", "event_type"):
        found = read_body("generic-bearer", {key: name, "data": {"id": "42", "email": "zoe@example.com"}})
        assert found is not None
        assert found.event.is_deletion, (key, name)
        assert (found.event.name, found.contact.identifier, found.contact.email) == (name, "42", None)


@pytest.mark.parametrize(
    "name",
    [
        "user.undeleted",
        "user.deletion_requested",
        "team.member.deleted",
        "member.removed",
        "user.role.deleted",
        "deleted",
    ],
)
def test_names_of_events_that_delete_nobody(name: str) -> None:
    found = read_body("generic-bearer", {"event": name, "data": {"id": "42", "email": "zoe@example.com"}})
    assert found is not None
    assert not found.event.is_deletion


def test_a_user_can_name_the_deletions() -> None:
    body = {"event": "account.closed", "data": {"id": "42", "email": "zoe@example.com"}}
    found = read_body("generic-bearer", body, deleted_if={"$.event": "account.closed"})
    assert found is not None
    assert found.event.is_deletion


# Suggestions in the notes


def test_fusionauth_can_count_a_deactivated_account_as_deleted() -> None:
    body = copy.deepcopy(sample("fusionauth", "user.update.complete")["body"])
    condition = {"$.event.type": ["user.delete.complete", "user.deactivate"]}
    for event, is_deletion in (("user.deactivate", True), ("user.reactivate", False)):
        found = read_body("fusionauth", changed(body, "event.type", event), deleted_if=condition)
        assert found is not None
        assert found.event.is_deletion == is_deletion


#: Where an app can keep a plan: preset, the place in the payload, and the suggested path.
PLANS: list[tuple[str, str, str]] = [
    ("clerk", "data.public_metadata", "$.data.public_metadata.plan"),
    ("workos", "data.metadata", "$.metadata.plan"),
    ("auth0-event-stream", "data.object.user_metadata", "$.user_metadata.plan"),
    ("supabase-db-webhook", "record.raw_app_meta_data", "$.raw_app_meta_data.plan"),
    ("fusionauth", "event.user.data", "$.data.plan"),
    ("memberstack", "payload.customFields", "$.customFields.plan"),
]


@pytest.mark.parametrize(("preset", "place", "path"), PLANS)
def test_metadata_can_become_an_attribute(preset: str, place: str, path: str) -> None:
    assert path in " ".join(PRESETS[preset]["notes"])
    event = next(event for one, event, *_ in LIFE if one == preset and "pdate" in event.lower())
    body = changed(sample(preset, event)["body"], place, {"plan": "pro"})
    found = read_body(preset, body, map={"custom_attributes": {"plan": path}})
    assert found is not None
    assert found.contact.custom_attributes == {"plan": "pro"}


@pytest.mark.parametrize("external_id", ["567772", None])
def test_clerks_external_id_is_in_deletions_too(external_id: str | None) -> None:
    ids = {"map": {"identifier": ["$.data.external_id", "$.data.id"]}}
    bodies = (sample("clerk", event)["body"] for event in ("user.created", "user.updated", "user.deleted"))
    people = [read_body("clerk", changed(body, "data.external_id", external_id), **ids) for body in bodies]
    assert {one and one.contact.identifier for one in people} == {external_id or sample("clerk")["body"]["data"]["id"]}


# What is missing, and what is null


def test_auth0_sends_parts_of_a_profile() -> None:
    """auth0/docs-v2, main/docs/customize/events/correlate-identity-changes.mdx: apply only the fields present."""
    for value, cleared in ((GONE, NOTHING), (None, {PHONE})):
        found = signup("auth0-event-stream", "user.updated", {"data.object.phone_number": value})
        assert found.cleared == cleared


def test_a_whole_person_without_a_field_has_none() -> None:
    for preset, event, place in (
        ("clerk", "user.updated", "data.phone_numbers"),
        ("memberstack", "member.updated", "payload.profileImage"),
        ("fusionauth", "user.update.complete", "event.user.imageUrl"),
        ("cognito", SIGNED_IN, "request.userAttributes.picture"),
        ("kratos", "settings", "identity.traits.name"),
    ):
        before, after = signup(preset, event), signup(preset, event, {place: GONE})
        assert len(after.cleared - before.cleared) == 1, (preset, place)


# Functions and templates that were deployed before they sent an event


@pytest.mark.parametrize(
    ("preset", "event", "gone"),
    [
        ("firebase", "user.create", ("event", "time")),
        ("kratos", "registration", ("event", "identity.updated_at")),
        ("cognito", SIGNED_UP, ("time",)),
    ],
)
def test_older_functions_still_send_signups(preset: str, event: str, gone: tuple[str, ...]) -> None:
    found = signup(preset, event, dict.fromkeys(gone, GONE))
    assert found.contact == expected(preset, event)
    assert (found.event.at, found.event.is_deletion) == (None, False)
