"""The time of an event, in every form that senders write it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook_app.sources.mapping.times import AHEAD_MS, EARLIEST_MS, MAX_TIME, read_time

#: 2026-11-28.
NOW = 1_795_000_000.0


def ms(*fields: int) -> int:
    return int(datetime(*fields, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


#: Who writes it so, the value, and the time. The forms are those of the vendors' documentation of webhooks.
TIMES: tuple[tuple[str, object, int], ...] = (
    # Numbers
    ("Stripe, created: seconds", 1_764_590_400, ms(2025, 12, 1, 12)),
    ("Intercom, created_at: seconds", 1_764_590_401, ms(2025, 12, 1, 12, 0, 1)),
    ("Calendly's and other JWTs, iat: seconds", 946_684_800, ms(2000, 1, 1)),
    ("Clerk, timestamp: ms", 1_764_590_400_123, ms(2025, 12, 1, 12) + 123),
    ("HubSpot, occurredAt: ms", 1_764_590_400_000, ms(2025, 12, 1, 12)),
    ("Keycloak, time: ms", 1_764_590_400_999, ms(2025, 12, 1, 12) + 999),
    ("FusionAuth, createInstant: ms", 1_764_590_400_001, ms(2025, 12, 1, 12) + 1),
    ("Zulip, date_joined as a number: seconds with a fraction", Decimal("1764590400.25"), ms(2025, 12, 1, 12) + 250),
    ("Slack, event_ts: seconds with a fraction, as text", "1764590400.123456", ms(2025, 12, 1, 12) + 123),
    ("Debezium, ts_us: µs", 1_764_590_400_123_456, ms(2025, 12, 1, 12) + 123),
    ("Go, time.UnixNano: ns", 1_764_590_400_123_456_789, ms(2025, 12, 1, 12) + 123),
    ("a form: seconds as text", "1764590400", ms(2025, 12, 1, 12)),
    ("a form: ms as text", " 1764590400123 ", ms(2025, 12, 1, 12) + 123),
    # ISO 8601 and RFC 3339
    ("Auth0, time", "2025-12-01T12:00:00.123Z", ms(2025, 12, 1, 12) + 123),
    ("Segment, timestamp", "2025-12-01T12:00:00.123Z", ms(2025, 12, 1, 12) + 123),
    ("Standard Webhooks, timestamp: µs", "2025-12-01T12:00:00.344522Z", ms(2025, 12, 1, 12) + 344),
    ("Paddle, occurred_at", "2025-12-01T12:00:00.792661Z", ms(2025, 12, 1, 12) + 792),
    ("Shopify, updated_at: an offset", "2025-12-01T07:00:00-05:00", ms(2025, 12, 1, 12)),
    ("Kinde, event_timestamp: an offset", "2025-12-01T12:00:00.000000+00:00", ms(2025, 12, 1, 12)),
    ("Supabase, metadata.time: an offset west of UTC", "2025-12-01T04:00:00.755552-08:00", ms(2025, 12, 1, 12) + 755),
    ("Go, RFC3339Nano", "2025-12-01T12:00:00.123456789Z", ms(2025, 12, 1, 12) + 123),
    ("Salesforce: an offset without a colon", "2025-12-01T12:00:00.000+0000", ms(2025, 12, 1, 12)),
    ("PostgreSQL, timestamptz as text", "2025-12-01 12:00:00.123456+00", ms(2025, 12, 1, 12) + 123),
    ("PostgreSQL, row_to_json", "2025-12-01T14:00:00+02:00", ms(2025, 12, 1, 12)),
    ("WooCommerce, date_modified_gmt: without a zone", "2026-01-01T10:00:00", ms(2026, 1, 1, 10)),
    ("Ruby, Time#to_s", "2025-12-01 13:00:00 +0100", ms(2025, 12, 1, 12)),
    ("Rails", "2025-12-01 12:00:00 UTC", ms(2025, 12, 1, 12)),
    ("PHP, gmdate", "2025-12-01 12:00:00 GMT", ms(2025, 12, 1, 12)),
    ("Mailchimp, fired_at", "2025-12-01 12:00:00", ms(2025, 12, 1, 12)),
    ("WordPress, user_registered", "2023-11-14 22:13:20", ms(2023, 11, 14, 22, 13, 20)),
    ("Java, ZonedDateTime (RFC 9557)", "2025-12-01T13:00:00+01:00[Europe/Berlin]", ms(2025, 12, 1, 12)),
    ("Zapier: without seconds", "2025-12-01T12:00Z", ms(2025, 12, 1, 12)),
    ("S3: the basic format", "20251201T120000Z", ms(2025, 12, 1, 12)),
    ("RFC 3339: small letters", "2025-12-01t12:00:00z", ms(2025, 12, 1, 12)),
    ("ISO 8601: a comma", "2025-12-01T12:00:00,5Z", ms(2025, 12, 1, 12) + 500),
    ("RFC 3339: a leap second", "2016-12-31T23:59:60Z", ms(2016, 12, 31, 23, 59, 59)),
    ("RFC 3339: a leap second with a fraction", "2016-12-31T23:59:60.5Z", ms(2016, 12, 31, 23, 59, 59) + 500),
    # RFC 5322
    ("RFC 2822", "Mon, 01 Dec 2025 12:00:00 +0000", ms(2025, 12, 1, 12)),
    ("RFC 9110, Date", "Mon, 01 Dec 2025 12:00:00 GMT", ms(2025, 12, 1, 12)),
    ("Mailgun: an offset", "Mon, 1 Dec 2025 14:00:00 +0200", ms(2025, 12, 1, 12)),
    ("RFC 2822: the obsolete name of a zone", "Mon, 01 Dec 2025 07:00:00 EST", ms(2025, 12, 1, 12)),
    ("RFC 2822: neither day nor zone", "1 Dec 2025 12:00", ms(2025, 12, 1, 12)),
)

#: What is no time of an event, and why.
NO_TIMES: tuple[tuple[str, object], ...] = (
    ("nothing", None),
    ("blank", " "),
    ("yes", True),
    ("an object", {"$date": 1_764_590_400_000}),
    ("a float, which may be rounded", 1764590400.5),
    ("zero", 0),
    ("negative", -1_764_590_400),
    ("before 2000, in seconds", 946_684_799),
    ("before 2000, in ms", 946_684_799_999),
    ("before 2000", "1999-12-31T23:59:59Z"),
    ("Go's zero time", "0001-01-01T00:00:00Z"),
    ("MySQL's zero time", "0000-00-00 00:00:00"),
    ("the largest time", "9999-12-31T23:59:59-23:59"),
    ("more than a day ahead of the clock", int(NOW) + 90_000),
    ("a number of another thing", 10**20),
    ("a long number", "1" * 40),
    ("a day, which is no time", "2025-12-01"),
    ("a day in digits", "20251201"),
    ("a time without a day", "12:00:00"),
    ("a day of no month", "2025-02-30T12:00:00Z"),
    ("an hour of no day", "2025-12-01T25:00:00Z"),
    ("either of two days", "01/12/2025 12:00"),
    ("a number and more", "1764590400 seconds"),
    ("digits of another script", "١٧٦٤٥٩٠٤٠٠"),
    ("a month of no year", "Mon, 01 Foo 2025 12:00:00 GMT"),
    ("a text", "yesterday"),
    ("a template", "{{ timestamp }}"),
    ("a long text", "2025-12-01T12:00:00Z" + " " * MAX_TIME),
)


@pytest.mark.parametrize(("value", "at"), [row[1:] for row in TIMES], ids=[row[0] for row in TIMES])
def test_a_time_is_read(value: object, at: int) -> None:
    assert read_time(value, NOW) == at


@pytest.mark.parametrize("value", [row[1] for row in NO_TIMES], ids=[row[0] for row in NO_TIMES])
def test_what_is_no_time_is_none(value: object) -> None:
    assert read_time(value, NOW) is None


def test_a_clock_may_be_a_day_ahead() -> None:
    last = int(NOW * 1000) + AHEAD_MS
    assert read_time(last, NOW) == last
    assert read_time(last + 1, NOW) is None


@given(st.datetimes(datetime(2000, 1, 1), datetime(2026, 11, 1)), st.timezones())  # noqa: DTZ001 - given zones
def test_any_offset_is_read(at: datetime, zone: object) -> None:
    local = at.replace(tzinfo=UTC).astimezone(zone)  # type: ignore[arg-type]
    text = local.isoformat()
    read = read_time(text, NOW)
    # Offsets of long ago have seconds, which are not ISO 8601.
    assert read is None or read == (local - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 // 1
    assert read is not None or text.count(":") > 3


@given(st.text(max_size=70) | st.integers() | st.decimals() | st.floats() | st.booleans())
def test_anything_is_a_time_of_our_days_or_none(value: object) -> None:
    at = read_time(value, NOW)
    assert at is None or EARLIEST_MS <= at <= NOW * 1000 + AHEAD_MS
