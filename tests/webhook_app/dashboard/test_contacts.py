"""The pages about contacts, and the actions on one contact."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from tests.browser.specimen import HOSTILE
from tests.invariants import assert_invariants
from tests.world import CONFLICT, ENVELOPE, FAILED, PASSWORDS, RETRYING, DashboardWorld
from webhook_app.access import Role
from webhook_app.dashboard.contact import Shown
from webhook_app.present.csv_export import COLUMNS
from webhook_app.present.masking import mask
from worker.errors import StoreUnavailable
from worker.model import AttemptResult, Contact, Note, NoteCode, OnChange, Origin, Outcome, State
from worker.store import keys
from worker.store.lists import MAX_SCANNED
from worker.store.store import Store

CREATED = AttemptResult(state=State.CREATED, contact_id="4711", outcome=Outcome.CREATED, status=200)
LIST = "/dashboard/contacts"
Knock = Callable[[Role], DashboardWorld]


@pytest.fixture
def door(client: redis.Redis) -> Iterator[DashboardWorld]:
    door = DashboardWorld(client)
    door.sign_in(Role.OPERATOR)
    yield door
    client.delete(keys.QUEUE)
    assert_invariants(client)


def did(door: DashboardWorld) -> list[tuple[str, str, str, str]]:
    return [
        (entry.who, entry.did, entry.target, entry.why)
        for entry in door.store.audit.page()
        if not entry.did.startswith("signed ")
    ]


# Lists


def test_the_most_urgent_list_opens_first(door: DashboardWorld) -> None:
    page = door.get(LIST)
    assert "No signups yet" in page
    door.bring("a")
    assert 'aria-current="page">Pending' in door.get(LIST)
    door.bring("b", CONFLICT)
    assert 'aria-current="page">Conflict' in door.get(LIST)
    door.bring("c", FAILED)
    page = door.get(LIST)
    assert 'aria-current="page">Failed <span class="amount">1</span>' in page
    assert ">c</a>" in page
    assert ">b</a>" not in page


def test_filters_are_in_the_address(door: DashboardWorld) -> None:
    door.bring("of-shop", FAILED, source="shop")
    door.bring("of-signup", FAILED)
    door.bring("other-cause", AttemptResult(state=State.FAILED, cause="name_refused"))
    page = door.get(f"{LIST}?state=failed&cause=email_refused&source=shop&age=1h&attempts=1")
    assert ">of-shop</a>" in page
    assert ">of-signup</a>" not in page
    assert '<option value="email_refused" selected>' in page
    assert '<option value="1h" selected>' in page
    assert "failed, cause email_refused, from shop, since" in page
    assert "No contact matches this filter" in door.get(f"{LIST}?state=failed&attempts=9")
    assert "No contact matches this filter" in door.get(f"{LIST}?state=failed&age=over-7d")
    assert "other-cause" in door.get(f"{LIST}?cause=name_refused")


@pytest.mark.parametrize(
    "query",
    ["state=gone", "state=failed&since=x", "state=failed&age=1w", "after=nan:x", f"attempts={'9' * 400}", "since=-1"],
)
def test_an_invalid_filter_is_rejected(door: DashboardWorld, query: str) -> None:
    page = door.get(f"{LIST}?{query}", status=400)
    assert "Invalid request" in page
    assert "Go to the overview" in page


def test_a_time_after_the_year_9999_is_rejected(door: DashboardWorld) -> None:
    assert "until must be a time from 1970 to 9999" in door.get(f"{LIST}?state=failed&until={'9' * 15}", status=400)


def test_pages_of_a_list(door: DashboardWorld) -> None:
    for number in range(60):
        door.bring(f"person-{number}", FAILED)
    first = door.get(f"{LIST}?state=failed")
    assert ">person-59</a>" in first
    older = re.search(r'rel="next" href="([^"]+)">Older', first)
    assert older
    second = door.get(older[1].replace("&amp;", "&"))
    names = set(re.findall(r">(person-\d+)</a>", first + second))
    assert len(names) == 60
    assert "Newest" in second
    assert "End of list" in second


def test_a_page_that_scanned_its_limit_says_so(door: DashboardWorld) -> None:
    door.bring("the-oldest", FAILED, source="shop")
    for number in range(MAX_SCANNED):
        door.bring(f"person-{number}", FAILED)
    page = door.get(f"{LIST}?state=failed&source=shop")
    assert "No match in the first 1,000 contacts" in page
    going_on = re.search(r'rel="next" href="([^"]+)">Continue', page)
    assert going_on
    assert ">the-oldest</a>" in door.get(going_on[1].replace("&amp;", "&"))


def test_buttons_show_their_scope_and_are_for_operators(door: DashboardWorld) -> None:
    for number in range(3):
        door.bring(f"person-{number}", FAILED)
    page = door.get(f"{LIST}?state=failed")
    assert "Retry 3 matching" in page
    assert "Discard 3 matching" in page
    door.sign_in(Role.VIEWER)
    door.http.post("/dashboard/sign-out", data={"csrf": door.csrf()})
    door.sign_in(Role.VIEWER)
    page = door.get(f"{LIST}?state=failed")
    assert "matching" not in page
    assert "personal data" not in page


# Looking up


def test_finding_a_contact_leaves_no_personal_data_in_the_address(door: DashboardWorld) -> None:
    key = door.bring("person", FAILED, email="ada@example.com", phone_number="+4930123456")
    for text in ("person", " ADA@example.com ", "+4930123456", "+49 (30) 123-456", key):
        answer = door.send(f"{LIST}/find", {"q": text})
        assert answer.status_code == 303, text
        assert answer.headers["Location"] == f"{LIST}/{key}"
    assert "No contact found" in door.send(f"{LIST}/find", {"q": "nobody"}).text
    assert door.send(f"{LIST}/find", {"q": ""}).status_code == 200
    door.bring("twin", FAILED, email="ada@example.com")
    page = door.send(f"{LIST}/find", {"q": "ada@example.com"}).text
    assert ">person</a>" in page
    assert ">twin</a>" in page


# CSV


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_list_as_csv(door: DashboardWorld) -> None:
    door.bring("=HYPERLINK(1)", FAILED, name="@evil", email="a@b.c")
    for number in range(300):
        door.bring(f"person-{number}", FAILED)
    answer = door.http.get("/dashboard/contacts.csv?state=failed")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    found = rows(answer.text)
    assert len(found) == 301
    assert tuple(found[0]) == COLUMNS, "as the API gives it"
    assert found[-1]["identifier"] == "'=HYPERLINK(1)"
    assert "email" not in found[-1]
    assert "example.com" not in answer.text
    personal = rows(door.send("/dashboard/contacts.csv?state=failed").text)
    assert (personal[-1]["email"], personal[-1]["name"]) == ("a@b.c", "'@evil")
    assert [entry[1] for entry in did(door)] == ["revealed a list: failed", "exported a list: failed"]


# One contact


def test_an_unknown_contact_is_not_found(door: DashboardWorld) -> None:
    assert "There is no such contact" in door.get(f"{LIST}/AAAAAAAAAAAAAAAA", status=404)
    for act in ("reveal", "compare", "retry", "discard", "edit", "without", "adopt", "known"):
        assert door.send(f"{LIST}/AAAAAAAAAAAAAAAA/{act}").status_code == 404


def test_the_explanation_of_every_state(door: DashboardWorld) -> None:
    verdicts = {
        None: "Not tried yet",
        RETRYING: "Waiting after attempt 1: LiveDesk answers with an error (503). The next attempt is",
        FAILED: "Given up",
        CONFLICT: "Another contact has this e-mail address (contact 12)",
        CREATED: "In LiveDesk as contact 4711",
    }
    for number, (verdict, sentence) in enumerate(verdicts.items()):
        key = door.bring(f"person-{number}", verdict)
        text = re.sub(r"<[^>]+>", "", door.get(f"{LIST}/{key}"))
        assert sentence in " ".join(text.split())
    key = door.bring("discarded", FAILED)
    door.store.contacts.discard(door.store.key_of("discarded"))
    assert "It will not be tried again" in door.get(f"{LIST}/{key}")


def test_the_reasons_for_waiting(door: DashboardWorld) -> None:
    key = door.bring("person")
    assert "It is in the queue" in door.get(f"{LIST}/{key}")
    door.store.upstream.pause("Grace", "they move house")
    page = door.get(f"{LIST}/{key}")
    assert "Grace paused the sync" in page
    assert "they move house" in page
    assert "as soon as an operator resumes the sync" in page
    door.client.hset(
        keys.UPSTREAM, mapping={"stop": "down", "stop_cause": "http_503", "stop_since": "1", "probe_at": "2"}
    )
    assert "LiveDesk went down" in door.get(f"{LIST}/{key}")
    door.client.hset(keys.UPSTREAM, mapping={"stop": "misconfigured", "stop_cause": "unauthorized"})
    assert "LiveDesk rejects our API key (401)" in door.get(f"{LIST}/{key}")
    door.client.hset(keys.INBOXES, mapping={"7:since": "1", "7:probe_at": "2", "7:probes": "1"})
    assert "The contacts of inbox 7 wait since" in door.get(f"{LIST}/{key}")
    door.client.hset(keys.contact(key), "unknown_since", str(door.store.now()))
    assert "We look the contact up." in door.get(f"{LIST}/{key}")
    door.client.hdel(keys.contact(key), "unknown_since")


def test_past_and_planned_attempts(door: DashboardWorld) -> None:
    key = door.bring("person", RETRYING, excerpt="<b>Service Unavailable</b>")
    page = door.get(f"{LIST}/{key}")
    assert "&lt;b&gt;Service Unavailable&lt;/b&gt;</pre>" in page
    assert "if that fails, at most 10 s later" in page
    assert "marked as failed after 3 d of retries caused by its own data" in page
    door.bring("other", RETRYING)
    assert "1 other contact with this cause" in door.get(f"{LIST}/{key}")


def test_personal_data_is_masked_until_it_is_revealed(door: DashboardWorld) -> None:
    key = door.bring("person", FAILED, email="ada@example.com", name="Ada Lovelace", phone_number="+4930123456")
    page = door.get(f"{LIST}/{key}")
    assert "a***@e***.com" in page
    assert "A*** L***" in page
    for secret in ("ada@example.com", "Lovelace", "+4930123456"):
        assert secret not in page
    revealed = door.send(f"{LIST}/{key}/reveal", {"why": "she called"}).text
    for shown in ("ada@example.com", "Ada Lovelace", "+4930123456", "$LIVEDESK_API_KEY:$LIVEDESK_API_SECRET"):
        assert shown in revealed
    assert did(door) == [("Ada the operator", "revealed", key, "she called")]


def test_a_created_contact_has_nothing_to_reveal_or_to_change(door: DashboardWorld) -> None:
    key = door.bring("person", CREATED, notes=(Note("phone_number", "extension removed"),))
    page = door.get(f"{LIST}/{key}")
    assert "The personal data was deleted here" in page
    assert ">Actions<" not in page
    for act in ("retry", "discard", "edit"):
        assert "already" in door.send(f"{LIST}/{key}/{act}", follow_redirects=True).text
    origin = Origin("signup", on_change=OnChange.NOTE)
    door.store.contacts.accept(Contact("person", email="new@example.com"), origin)
    assert "LiveDesk keeps its own values" in door.get(f"{LIST}/{key}")


def test_retry_now_and_discard(door: DashboardWorld) -> None:
    key = door.bring("person", FAILED)
    page = door.send(f"{LIST}/{key}/retry", {"why": "it is fixed"}, follow_redirects=True).text
    assert "Retrying now, with a new retry budget." in page
    assert "requested by Ada the operator" in page
    record = door.store.contacts.read(key)
    assert record is not None
    assert (record.state, record.spent_ms, record.trigger) == (State.RETRYING, 0, "Ada the operator")
    assert door.send(f"{LIST}/{key}/retry", follow_redirects=True).status_code == 200, "as often as somebody wants"
    assert "Discarded. Retry brings it back." in door.send(f"{LIST}/{key}/discard", follow_redirects=True).text
    assert door.state(key) is State.DISCARDED
    assert [(entry[1], entry[3]) for entry in did(door)] == [
        ("discarded", ""),
        ("retried", ""),
        ("retried", "it is fixed"),
    ]


def test_actions_are_refused_while_an_attempt_is_running(door: DashboardWorld) -> None:
    key = door.bring("person")
    assert door.store.contacts.claim(key, "token", sends=False) is not None
    for act in ("retry", "discard", "edit"):
        page = door.send(f"{LIST}/{key}/{act}", {"email": "new@example.com"}, follow_redirects=True).text
        assert "An attempt is in progress. Nothing was changed" in page, act
    assert did(door) == []
    record = door.store.contacts.read(key)
    assert record is not None
    assert record.contact is not None
    assert record.contact.email == "person@example.com"


# Edit and retry


def form(**changed: str) -> dict[str, str]:
    fields = {"inbox_id": "", "name": "Ada", "email": "ada@example.com", "phone_number": "", "avatar_url": ""}
    return {**fields, **changed}


def test_edit_and_retry(door: DashboardWorld) -> None:
    key = door.bring("person", FAILED, source="shop", notes=(Note("email", "odd"), Note("avatar_url", "left out: x")))
    page = door.send(f"{LIST}/{key}/edit", form(email=" ADA@example.com "), follow_redirects=True).text
    assert "Retrying now" in page
    record = door.store.contacts.read(key)
    assert record is not None
    assert record.contact == Contact("person", name="Ada", email="ada@example.com")
    assert (record.state, record.source) == (State.RETRYING, "shop")
    assert Note("email", "edited manually", NoteCode.EDITED) in record.notes
    assert Note("email", "odd") not in record.notes
    assert Note("avatar_url", "left out: x") in record.notes
    assert did(door)[0][1:3] == ("edited name, email", key)
    assert door.store.contacts.counts()[State.RETRYING] == 1
    door.store.counters.flush()
    assert door.client.hget(keys.COUNTS, "delivery:shop:accepted") == "1", "it is no delivery"
    assert door.send(f"{LIST}/find", {"q": "ada@example.com"}).headers["Location"] == f"{LIST}/{key}"
    assert door.send(f"{LIST}/find", {"q": "person@example.com"}).status_code == 200, "found by the old one no more"


def test_invalid_edits_are_shown_again(door: DashboardWorld) -> None:
    key = door.bring("person", FAILED)
    answer = door.send(f"{LIST}/{key}/edit", form(email="no address", phone_number="12"))
    assert answer.status_code == 422
    assert "not an e-mail address" in answer.text
    assert "Nothing was changed" in answer.text
    assert 'value="no address"' in answer.text
    assert "not an inbox id" in door.send(f"{LIST}/{key}/edit", form(inbox_id="x")).text
    assert door.state(key) is State.FAILED
    assert did(door) == []


def test_an_edit_does_not_overwrite_newer_data(door: DashboardWorld) -> None:
    key = door.bring("person", FAILED)
    page = door.send(f"{LIST}/{key}/reveal").text
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', page)
    assert seen
    door.store.contacts.accept(Contact("person", email="newer@example.com"), Origin("signup"))
    answer = door.send(f"{LIST}/{key}/edit", form(seen=seen[1]), follow_redirects=True)
    assert "This contact has changed in the meantime. Nothing was changed" in answer.text
    record = door.store.contacts.read(key)
    assert record is not None
    assert record.contact == Contact("person", email="newer@example.com")


def test_a_discarded_contact_can_be_edited_too(door: DashboardWorld) -> None:
    key = door.bring("person", FAILED)
    door.store.contacts.discard(door.store.key_of("person"))
    door.send(f"{LIST}/{key}/edit", form())
    assert door.state(key) is State.RETRYING


# Roles and forms of others


ACTS = ("reveal", "compare", "retry", "discard", "edit", "without", "adopt", "known")


@pytest.mark.parametrize("act", ACTS)
def test_viewers_and_other_sites_change_nothing(client: redis.Redis, door: DashboardWorld, act: str) -> None:
    key = door.bring("person", CONFLICT)
    before = client.hgetall(keys.contact(key))
    fields = {**form(), "contact_id": "12"}
    assert door.http.post(f"{LIST}/{key}/{act}", data=fields).status_code == 400, "without the token"
    assert door.http.get(f"{LIST}/{key}/{act}").status_code == 405
    viewer = DashboardWorld(client)
    viewer.sign_in(Role.VIEWER)
    assert viewer.send(f"{LIST}/{key}/{act}", fields).status_code == 403
    assert client.hgetall(keys.contact(key)) == before
    assert did(door) == []


def test_a_viewer_sees_no_personal_data(client: redis.Redis, door: DashboardWorld) -> None:
    key = door.bring("person", FAILED, email="ada@example.com")
    viewer = DashboardWorld(client)
    viewer.sign_in(Role.VIEWER)
    assert "Operators can reveal it" in viewer.get(f"{LIST}/{key}")
    assert viewer.send("/dashboard/contacts.csv?state=failed").status_code == 403
    assert "ada@example.com" not in viewer.get("/dashboard/contacts.csv?state=failed")
    nobody = DashboardWorld(client)
    for path in (LIST, f"{LIST}/{key}", "/dashboard/contacts.csv"):
        assert nobody.http.get(path).status_code == 303, path


# What others wrote


@pytest.mark.parametrize("act", ["", "/reveal", "/compare"])
def test_foreign_text_is_escaped(door: DashboardWorld, act: str) -> None:
    bad = AttemptResult(state=State.CONFLICT, cause="phone_number_taken", owner_id="13", status=422)
    key = door.bring(
        HOSTILE,
        bad,
        name=HOSTILE,
        email=f"{HOSTILE.replace(' ', '')}@example.com",
        phone_number="+4930123456",
        avatar_url=f"https://example.com/{HOSTILE.replace(' ', '')}",
        source=HOSTILE,
        excerpt=HOSTILE,
        notes=(Note("name", HOSTILE), Note(HOSTILE, "x")),
    )
    door.client.hset(keys.contact(key), "trigger", HOSTILE)
    page = door.send(f"{LIST}/{key}{act}", {"why": HOSTILE}).text if act else door.get(f"{LIST}/{key}")
    lists = [door.get(f"{LIST}?state=conflict"), door.send(f"{LIST}/find", {"q": HOSTILE}).text]
    lists.append(door.get(f"{LIST}?state=conflict&cause={HOSTILE}&source={HOSTILE}"))
    for text in (page, *lists):
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "49" not in re.findall(r"\{\{[^}]*\}\}|>49<", text)
    door.client.hdel(keys.contact(key), "trigger")


def test_an_unknown_cause_is_escaped(door: DashboardWorld) -> None:
    key = door.bring("person", AttemptResult(state=State.FAILED, cause=HOSTILE))
    for path in (f"{LIST}/{key}", f"{LIST}?state=failed"):
        assert "<script>alert" not in door.get(path)


# Redis away


class Away(Store):
    """A store whose Redis accepts no writes."""

    def retry_now(self, identifier: str, *, who: str = "") -> str:
        raise StoreUnavailable("away")


def test_a_failing_redis_shows_an_error_page(client: redis.Redis) -> None:
    door = DashboardWorld(client, store=Away(client, ENVELOPE, lease_ms=45_000))
    door.sign_in(Role.OPERATOR)
    key = door.bring("person", FAILED, email="ada@example.com")
    client.set(keys.AUDIT, "what cannot be added to")
    for path in (f"{LIST}/{key}/retry", f"{LIST}/{key}/reveal", "/dashboard/contacts.csv?state=failed"):
        answer = door.send(path)
        assert answer.status_code == 503
        assert "Redis is unavailable" in answer.text
        assert "ada@example.com" not in answer.text, "nothing is revealed that the audit does not tell"


# Masks


@pytest.mark.parametrize(
    ("email", "masked"),
    [("ada@example.com", "a***@e***.com"), ("a@localhost", "a***@l***"), ("@", "***@***"), (None, None)],
)
def test_masks(email: str | None, masked: str | None) -> None:
    assert mask(Contact("x", email=email)).email == masked
    hidden: Any = mask(Contact("x", phone_number="+4930123456", avatar_url="https://a/b?c"))
    assert (hidden.phone_number, hidden.avatar_url) == ("+49***56", "https://***")


def test_the_curl_command_has_no_secret_and_quotes_values() -> None:
    command = Shown("POST", "https://livedesk.example/x", {"name": "'; rm -rf / #$(id)`id`"}).as_curl()
    assert '-u "$LIVEDESK_API_KEY:$LIVEDESK_API_SECRET"' in command
    assert "'\"'\"'; rm -rf / #$(id)`id`\"" in command
    assert PASSWORDS[Role.OPERATOR] not in command
