"""Changes and deletions in shops, forms, communities and CRMs: what is one, what is not, and when it happened.

What each sample becomes is written in the sample. Here is what must not make a difference, by kind. To add an instance,
add a line to the table of its kind: a preset, the event of a sample, and changes to that sample.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.deliveries import GONE, Keys, published_keys, readings, sample, sample_delivery, source
from webhook_app.sources.body.payload_codec import dump_payload
from webhook_app.sources.presets import PRESETS
from webhook_app.sources.sample import sample_files
from worker.model import Identity, OnChange, Signup

FAMILIES = (
    *("Shops and billing", "Forms and bookings", "CRM and customer data"),
    "Communities, newsletters and sites",
)
EVENTS = [
    (preset, event) for preset in PRESETS if PRESETS[preset]["family"] in FAMILIES for event in sample_files(preset)
]
#: Samples of somebody else than the sample of the signup is of, and the signup of that person.
OTHERS = {
    ("paddle", "customer.imported"): "customer.imported",
    **{
        ("intercom", event): "contact.lead.created"
        for event in ("contact.lead.created", "contact.lead.added_email", "contact.lead.updated")
    },
    ("intercom", "contact.lead.signed_up"): "contact.lead.created",
}


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with published_keys() as keys:
        yield keys


def read_all(preset: str, event: str, keys: Keys, changes: dict[str, Any] | None = None) -> list[Signup]:
    """Return what is read in the sample of an event: nothing if it is ignored."""
    return readings(source(preset, keys, on_delete="mark"), sample_delivery(preset, keys, changes, event))


def read(preset: str, event: str, keys: Keys, changes: dict[str, Any] | None = None) -> Signup:
    (signup,) = read_all(preset, event, keys, changes)
    return signup


@pytest.mark.parametrize(("preset", "event"), EVENTS)
def test_a_person_has_the_same_identifier_in_all_events(preset: str, event: str, keys: Keys) -> None:
    signup = OTHERS.get((preset, event), next(iter(sample_files(preset))))
    identifier = read(preset, signup, keys).contact.identifier
    assert read(preset, event, keys).contact.identifier == identifier


@pytest.mark.parametrize(("preset", "event"), EVENTS)
def test_of_somebody_who_was_deleted_there_is_only_the_identifier(preset: str, event: str, keys: Keys) -> None:
    signup = read(preset, event, keys)
    if signup.event.is_deletion:
        assert list(signup.contact.present()) == ["identifier"]
        assert not signup.cleared


def test_a_visitors_changes_are_only_noted(keys: Keys) -> None:
    found = {preset: source(preset, keys) for preset, _ in EVENTS}
    for preset, each in found.items():
        expected = OnChange.NOTE if each.identity is Identity.VISITOR else OnChange.UPDATE
        assert each.origin.on_change is expected, preset


@pytest.mark.parametrize("preset", sorted({preset for preset, _ in EVENTS} - {"github", "slack"}))
def test_the_page_names_every_event(preset: str) -> None:
    """The conditions of both others are not names of events alone."""
    written = PRESETS[preset]
    conditions = [*written.get("only_if", {}).values(), *written.get("deleted_if", {}).values()]
    names = [name for value in conditions for name in (value if isinstance(value, list) else [value])]
    texts = " ".join([written["signup"], written.get("changes", ""), written.get("deletions", "")])
    assert [name for name in names if isinstance(name, str) and f"`{name}`" not in texts] == []


# Times

#: What a sender changes when it sends a delivery again, or has nothing to do with the event.
SENT_AGAIN = [
    ("stripe", "customer.updated", {"header:Stripe-Signature": "t=1795000000,v1=0", "pending_webhooks": 0}),
    ("stripe", "customer.updated", {"data.object.created": 1_600_000_000}),
    ("shopify", "customers_update", {"header:X-Shopify-Triggered-At": "2022-04-01T00:00:00Z"}),
    ("shopify", "customers_update", {"created_at": "2020-01-01T00:00:00Z"}),
    ("woocommerce", "customer.updated", {"date_modified": "2017-04-02T23:59:00", "header:Date": "x"}),
    ("paddle", "customer.updated", {"notification_id": "ntf_2", "data.updated_at": "2024-01-01T00:00:00Z"}),
    ("lemonsqueezy", "order_created", {"data.attributes.updated_at": "2024-01-01T00:00:00Z"}),
    # segmentio/segment-docs, src/connections/spec/common.md, "Timestamps".
    (
        "segment-identify",
        "identify",
        {"sentAt": "2024-01-01T00:00:00Z", "receivedAt": "2024-01-01T00:00:00Z", "originalTimestamp": "2024-01-01"},
    ),
    ("segment-track", "Signed_Up", {"sentAt": "2024-01-01T00:00:00Z", "receivedAt": "2024-01-01T00:00:00Z"}),
    # rudderstack.com/docs/event-spec/standard-events/common-fields.
    ("rudderstack", "identify", {"sentAt": "2024-01-01T00:00:00Z", "receivedAt": "2024-01-01T00:00:00Z"}),
    ("intercom", "contact.user.updated", {"first_sent_at": 1_790_000_000, "delivered_at": 1, "delivery_attempts": 2}),
    ("intercom", "contact.user.updated", {"data.item.last_seen_at": "2024-01-01T00:00:00Z"}),
    ("ghost", "member.edited", {"member.current.last_seen_at": "2024-05-01T00:00:00Z"}),
    ("mailchimp", "profile", {"data[timestamp]": "2024-01-01 00:00:00"}),
    ("slack", "user_change", {"header:X-Slack-Request-Timestamp": "1795000000", "header:X-Slack-Retry-Num": "1"}),
    ("calendly", "invitee.created", {"payload.updated_at": "2024-01-01T00:00:00Z"}),
    ("typeform", "form_response", {"form_response.landed_at": "2018-01-18T18:18:00Z"}),
    ("tally", "FORM_RESPONSE", {"createdAt": "2024-01-01T00:00:00Z"}),
]


@pytest.mark.parametrize(("preset", "event", "changes"), SENT_AGAIN)
def test_the_time_is_not_that_of_the_delivery(preset: str, event: str, changes: dict[str, Any], keys: Keys) -> None:
    first, again = read(preset, event, keys), read(preset, event, keys, changes)
    assert first.event.at is not None
    assert again.event == first.event


#: Where the time is if it is not in its usual place, and ms since the epoch.
OTHER_TIMES = [
    ("woocommerce", "customer.created", {"date_modified_gmt": None}, 1_490_123_368_000),
    (
        "segment-identify",
        "identify",
        {"timestamp": GONE, "originalTimestamp": "2024-01-01T00:00:00Z"},
        1_704_067_200_000,
    ),
    ("rudderstack", "identify", {"timestamp": "2022-10-31T05:57:00.000Z"}, 1_667_195_820_000),
    ("hubspot-workflow", "enrolled", {"body": {"vid": 1, "lastmodifieddate": 1_700_000_000_000}}, 1_700_000_000_000),
    ("ghost", "member.added", {"member.current.updated_at": None}, 1_704_067_200_000),
    ("slack", "team_join", {"event.event_ts": GONE}, 1_700_000_000_000),
    ("google-ads-lead", "lead", {"lead_submit_time": GONE}, None),
]


@pytest.mark.parametrize(("preset", "event", "changes", "at"), OTHER_TIMES)
def test_a_time_in_another_place(preset: str, event: str, changes: dict[str, Any], at: int | None, keys: Keys) -> None:
    assert read(preset, event, keys, changes).event.at == at


# What must not change a contact

#: What changes all the time and says nothing about the person.
NOISE = [
    ("stripe", "customer.updated", {"data.object.balance": -500, "data.object.next_invoice_sequence": 3}),
    ("stripe", "customer.updated", {"data.object.invoice_settings": {"default_payment_method": "pm_1"}}),
    ("shopify", "customers_update", {"orders_count": 3, "total_spent": "99.00", "last_order_id": 1, "tags": "vip"}),
    ("woocommerce", "customer.updated", {"is_paying_customer": False, "meta_data": [{"key": "last_active"}]}),
    ("paddle", "customer.updated", {"data.status": "archived", "data.marketing_consent": True}),
    ("segment-identify", "identify", {"traits.friendCount": 30, "context": {"ip": "192.0.2.1"}}),
    ("intercom", "contact.user.updated", {"data.item.last_seen_at": None, "data.item.unsubscribed_from_emails": True}),
    ("hubspot-workflow", "enrolled", {"properties.hs_analytics_num_page_views": {"value": "7"}}),
    ("ghost", "member.edited", {"member.current.email_opened_count": 4, "member.current.note": "x"}),
    ("discourse", "user_updated", {"user.last_posted_at": "2025-01-01T00:00:00Z", "user.trust_level": 2}),
    ("mailchimp", "profile", {"data[merges][INTERESTS]": "Group3", "data[web_id]": "9"}),
    ("slack", "user_change", {"event.user.profile.status_text": "away", "event.user.tz": "Europe/Vienna"}),
    ("wordpress", "update_user", {"user_meta.session_tokens": ["a:2:{}"], "roles": ["editor"]}),
]


@pytest.mark.parametrize(("preset", "event", "changes"), NOISE)
def test_noise_changes_nothing(preset: str, event: str, changes: dict[str, Any], keys: Keys) -> None:
    first, other = read(preset, event, keys), read(preset, event, keys, changes)
    assert (other.contact, other.cleared) == (first.contact, first.cleared)


#: What is no longer there, and the fields of the contact that are gone with it.
GONE_WITH_IT = [
    # Every event has the whole person.
    ("stripe", "customer.updated", {"data.object.phone": None, "data.object.name": GONE}, {"phone_number", "name"}),
    ("shopify", "customers_update", {"default_address": GONE, "addresses": []}, {"phone_number"}),
    ("shopify", "customers_update", {"email": None}, {"email"}),
    ("woocommerce", "customer.updated", {"billing": {}, "avatar_url": GONE}, {"phone_number", "avatar_url"}),
    ("paddle", "customer.updated", {"data.name": "Sam"}, set()),
    ("ghost", "member.edited", {"member.current.name": None}, {"avatar_url", "name"}),
    ("discourse", "user_updated", {"user.avatar_template": GONE}, {"avatar_url"}),
    ("wordpress", "update_user", {"user_meta.billing_phone": ["+1 202-555-0109"]}, set()),
    (
        "intercom",
        "contact.user.updated",
        {"data.item.name": None, "data.item.phone": "+12025550176"},
        {"name", "avatar_url"},
    ),
    # An event has what has changed, or what was chosen: only null and blank text are gone.
    ("segment-identify", "identify", {"traits.name": GONE}, set()),
    ("segment-identify", "identify", {"traits.name": None}, {"name"}),
    ("segment-identify", "identify", {"traits.phone": ""}, {"phone_number"}),
    ("rudderstack", "identify", {"context.traits": {"email": "peter@example.com"}}, set()),
    ("rudderstack", "identify", {"context.traits.avatar": None}, {"avatar_url"}),
    ("hubspot-workflow", "enrolled", {"properties.phone": GONE}, set()),
    ("hubspot-workflow", "enrolled", {"properties.phone.value": ""}, {"phone_number"}),
    ("mailchimp", "profile", {"data[merges][PHONE]": "202-555-0109"}, set()),
    ("slack", "user_change", {"event.user.profile.email": GONE}, {"phone_number"}),
]


@pytest.mark.parametrize(("preset", "event", "changes", "cleared"), GONE_WITH_IT)
def test_what_is_gone_is_cleared(
    preset: str, event: str, changes: dict[str, Any], cleared: set[str], keys: Keys
) -> None:
    assert read(preset, event, keys, changes).cleared == cleared


# What is not a deletion

IGNORED = None
#: Deliveries that resemble a deletion, or have the headers of one, and the event as which they are read.
NO_DELETION = [
    ("shopify", "customers_create", {"header:X-Shopify-Topic": "customers/merge"}, IGNORED),
    # Neither shop signs the topic: somebody could send a copy of another delivery with this one.
    ("shopify", "customers_update", {"header:X-Shopify-Topic": "customers/delete"}, IGNORED),
    ("shopify", "customers_create", {"header:X-Shopify-Topic": "customers/redact"}, IGNORED),
    ("woocommerce", "customer.updated", {"header:X-WC-Webhook-Topic": "customer.deleted"}, IGNORED),
    (
        "woocommerce",
        "customer.created",
        {"body": {"customer": {"id": 25}}, "header:X-WC-Webhook-Topic": "customer.deleted"},
        IGNORED,
    ),
    ("stripe", "customer.deleted", {"type": "customer.subscription.deleted"}, IGNORED),
    ("stripe", "customer.deleted", {"type": "customer.updated"}, "customer.updated"),
    ("paddle", "customer.updated", {"data.status": "archived"}, "customer.updated"),
    ("lemonsqueezy", "order_created", {"meta.event_name": "order_refunded"}, IGNORED),
    ("lemonsqueezy", "order_created", {"meta.event_name": "subscription_expired"}, IGNORED),
    ("intercom", "contact.deleted", {"topic": "contact.archived"}, IGNORED),
    ("intercom", "contact.user.updated", {"topic": "contact.unsubscribed"}, IGNORED),
    ("intercom", "contact.lead.updated", {"data.item.email": None, "data.item.phone": None}, IGNORED),
    ("mailchimp", "unsubscribe", {"data[action]": "unsub"}, IGNORED),
    ("mailchimp", "unsubscribe", {"type": "cleaned"}, IGNORED),
    (
        "mailchimp",
        "subscribe",
        {"body": "type=upemail&data%5Bnew_id%5D=51da8c3259&data%5Bold_email%5D=a%40example.com"},
        IGNORED,
    ),
    ("ghost", "member.edited", {"member.previous": {"email": "old@example.com"}}, ""),
    ("ghost", "member.deleted", {"member.previous": {}}, IGNORED),
    ("github", "member.added", {"action": "removed"}, IGNORED),
    ("github", "organization.member_added", {"action": "member_removed"}, IGNORED),
    ("slack", "user_change_deactivated", {"event.user.is_bot": True}, IGNORED),
    ("slack", "user_change", {"event.user.is_stranger": True}, IGNORED),
    ("slack", "user_change_deactivated", {"event.user.deleted": False}, "user_change"),
    ("wordpress", "update_user", {"user_id": 7}, "update_user"),
    ("segment-identify", "delete", {"type": "alias", "previousId": "a1"}, IGNORED),
    ("rudderstack", "identify", {"type": "alias", "previousId": "a1"}, IGNORED),
    ("calendly", "invitee.created", {"event": "invitee.canceled"}, IGNORED),
]


@pytest.mark.parametrize(("preset", "event", "changes", "name"), NO_DELETION)
def test_it_is_no_deletion(preset: str, event: str, changes: dict[str, Any], name: str | None, keys: Keys) -> None:
    events = [signup.event for signup in read_all(preset, event, keys, changes)]
    assert [each.name for each in events] == ([] if name is IGNORED else [name])
    assert not any(each.is_deletion for each in events)


def test_stripes_customer_gets_the_address_later(keys: Keys) -> None:
    """Stripe's own fixture of a new customer has neither name nor address."""
    first, then = read("stripe", "customer.created", keys), read("stripe", "customer.updated", keys)
    assert (first.contact.email, then.contact.email) == (None, "lena.gruber@example.com")
    assert first.cleared == {"email", "name", "phone_number"}
    assert not then.cleared


def test_a_session_of_stripes_checkout_does_not_clear_its_customer(keys: Keys) -> None:
    """With the lines of the preset's note."""
    types = ["customer.created", "customer.updated", "checkout.session.completed"]
    found = source("stripe", keys, only_if={"$.type": types}, absent="keep")
    session = {
        "id": "cs_1",
        "object": "checkout.session",
        "customer": "cus_1",
        "customer_details": {"email": "a@b.com"},
    }
    changes = {"type": "checkout.session.completed", "data.object": session}
    (signup,) = readings(found, sample_delivery("stripe", keys, changes))
    assert (signup.contact.identifier, signup.contact.email) == ("cus_1", "a@b.com")
    assert not signup.cleared


def test_intercoms_users_without_its_leads(keys: Keys) -> None:
    """With the line of the preset's note."""
    found = source("intercom", keys, ignore_if={"$.data.item.role": "lead"})
    accepted = [
        event for event in sample_files("intercom") if readings(found, sample_delivery("intercom", keys, event=event))
    ]
    assert accepted == ["contact.user.created", "contact.lead.signed_up", "contact.merged", "contact.user.updated"]


@pytest.mark.parametrize("event", sample_files("wordpress"))
def test_no_password_of_wordpress_is_stored(event: str, keys: Keys) -> None:
    found, sent = source("wordpress", keys), sample_delivery("wordpress", keys, event=event)
    assert b"$P$B" in sent.body
    stored = dump_payload(found.reader.read(sent), found.secret_fields)
    assert "$P$B" not in str(stored)
    assert "a:1:{}" not in str(stored)
    assert sample("wordpress", event)["expected_contact"]["identifier"] == "wp-7"
