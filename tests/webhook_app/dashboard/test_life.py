"""What happens after the signup, on the pages: changes, deletions, and the timeline of a contact."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest
import redis

from tests.invariants import assert_invariants
from tests.life import GONE, NOON, STALE_ROW, Life
from tests.world import CONFLICT, FAILED, RETRYING, DashboardWorld, wait_until
from worker.model import Note, OnDelete, Outcome, State, Way, Work
from worker.store import keys
from worker.store.lists import Filter

LIST = "/dashboard/contacts"


@pytest.fixture
def door(client: redis.Redis) -> Iterator[DashboardWorld]:
    door = DashboardWorld(client)
    door.sign_in()
    yield door
    client.delete(keys.QUEUE)
    assert_invariants(client)


@pytest.fixture
def ada(door: DashboardWorld) -> Life:
    ada = Life(door)
    ada.signs_up()
    return ada


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def page_of(ada: Life) -> str:
    assert isinstance(ada.world, DashboardWorld)
    return ada.world.get(f"{LIST}/{ada.key}")


def moments(page: str) -> list[str]:
    return re.findall(r'<td class="what[^"]*">([^<]*)<', page)


# The page of a contact


def test_a_change_that_waits(ada: Life) -> None:
    ada.changes()
    page = page_of(ada)
    text = text_of(page)
    assert "In LiveDesk as contact 7, which lacks a change (phone number). The attempt is due now." in text
    assert "Changes and deletions wait behind new signups and retries." in text
    assert moments(page) == ["Signup received", "In LiveDesk as contact 7", "Change received: phone number"]
    assert "user.updated, which happened" in text
    assert 'datetime="2026-01-01T12:00:00.000Z"' in page
    assert "curl -X PATCH https://livedesk-api.engagelab.com/api/v2/accounts/contacts/7" in text
    assert "&#34;phone_number&#34;: &#34;+49***21&#34;" in page
    assert "+4915187654321" not in page
    assert re.findall(r'<button class="bad"[^>]*>([^<]*)<', page)[:1] == ["Discard the change"]
    assert "Reveal and edit" not in page


def test_a_field_that_the_person_no_longer_has(ada: Life) -> None:
    ada.changes("phone_number", phone_number=None)
    page = page_of(ada)
    assert "&#34;phone_number&#34;: null" in page
    assert "none any more" in page


def test_a_change_that_was_sent(ada: Life) -> None:
    ada.changes()
    ada.sent("phone_number")
    page = page_of(ada)
    assert "In LiveDesk as contact 7. Updated" in text_of(page)
    assert moments(page) == [
        "Signup received",
        "In LiveDesk as contact 7",
        "Change received",
        "Change sent: phone number",
    ]
    assert "updated: it has what changed later at the source" in page


def test_every_change_is_in_the_timeline(ada: Life) -> None:
    for number in range(3):
        ada.changes(at=NOON + number, phone_number=f"+491511234567{number}")
        ada.sent("phone_number")
    assert moments(page_of(ada)).count("Change sent: phone number") == 3


def test_attributes_are_named_and_masked(ada: Life) -> None:
    ada.changes(custom_attributes={"plan": "enterprise", "seats": 12}, phone_number="+4915112345678")
    page = page_of(ada)
    assert "(custom attributes plan, seats)" in text_of(page)
    assert "e***" in page
    assert "enterprise" not in page
    assert ">12<" not in page
    assert isinstance(ada.world, DashboardWorld)
    revealed = ada.world.send(f"{LIST}/{ada.key}/reveal").text
    assert "enterprise" in revealed
    assert "&#34;seats&#34;: 12" in revealed


def test_a_change_that_was_given_up(ada: Life) -> None:
    ada.changes()
    ada.ends(STALE_ROW)
    page = page_of(ada)
    assert "The change (phone number) of contact 7 was given up" in text_of(page)
    assert "Then retry, or discard the change: LiveDesk's contact stays as it is." in text_of(page).replace(
        "&#39;", "'"
    )
    assert 'class="what bad">Attempt failed: ' in page


def test_the_stored_value_that_livedesk_refuses_is_named(ada: Life) -> None:
    ada.changes()
    ada.ends(replace(STALE_ROW, notes=(Note("email", "LiveDesk refuses the value that its contact has already"),)))
    assert "e-mail address LiveDesk refuses the value that its contact has already" in text_of(page_of(ada))


def test_a_discarded_change_of_a_contact_that_is_gone(ada: Life, door: DashboardWorld) -> None:
    ada.changes()
    ada.ends(GONE)
    door.send(f"{LIST}/{ada.key}/discard")
    assert "LiveDesk no longer has contact 7." in text_of(page_of(ada))


def test_a_change_of_a_contact_that_is_gone(ada: Life, door: DashboardWorld) -> None:
    ada.changes()
    ada.ends(GONE)
    page = page_of(ada)
    assert "Needs you. The change (phone number) of contact 7 was refused" in text_of(page)
    assert re.findall(r'<button class="primary"[^>]*>([^<]*)<', page) == ["Create again"]
    assert "Compare with LiveDesk" not in page
    answer = door.send(f"{LIST}/{ada.key}/create-again", {"why": "she is a customer"}, follow_redirects=True)
    assert "Creating the contact again now" in text_of(answer.text)
    record = door.record()
    assert (record.state, record.work, record.contact_id) == (State.RETRYING, Work.CREATE, None)
    assert "is gone" in page_of(ada), "the decision is in the timeline"


def test_a_contact_in_livedesk_is_not_created_again(ada: Life, door: DashboardWorld) -> None:
    ada.changes()
    answer = door.send(f"{LIST}/{ada.key}/create-again", follow_redirects=True)
    assert "Nothing was changed" in answer.text


def test_a_change_whose_address_is_taken(ada: Life, door: DashboardWorld) -> None:
    ada.changes(email="new@example.com", phone_number="+4915112345678")
    ada.ends(CONFLICT)
    page = page_of(ada)
    assert "Send the change without the e-mail address" in page
    assert ">Adopt contact" not in page
    assert ">Known as contact" not in page
    door.send(f"{LIST}/{ada.key}/without")
    assert door.record().state is State.RETRYING


def test_discarding_a_change_leaves_the_contact(ada: Life, door: DashboardWorld) -> None:
    ada.changes()
    door.send(f"{LIST}/{ada.key}/discard")
    assert "Discarded the change" in moments(page_of(ada))
    assert "LiveDesk's contact 7 stays as it is." in text_of(page_of(ada))


@pytest.mark.parametrize(
    ("on_delete", "outcome", "said"),
    [
        (
            OnDelete.MARK,
            Outcome.MARKED,
            "LiveDesk's contact 7 is marked: its custom attribute account_deleted_at has the time.",
        ),
        (OnDelete.DELETE, Outcome.DELETED, "LiveDesk no longer has the contact."),
        (OnDelete.DELETE, None, "LiveDesk did not have to change anything."),
    ],
)
def test_a_deletion(ada: Life, on_delete: OnDelete, outcome: Outcome | None, said: str) -> None:
    ada.is_deleted(on_delete)
    text = text_of(page_of(ada))
    assert f"LiveDesk is to {on_delete} contact 7." in text
    ada.buried(outcome)
    page = page_of(ada)
    text = text_of(page)
    assert said in text
    assert "no late repeat creates the person again. Only a newer event does." in text
    assert "deleted here when the source deleted the person" in text
    assert "Deletion received" in moments(page) or outcome is None
    assert ">Actions<" not in page


def test_a_deletion_of_somebody_unknown(door: DashboardWorld) -> None:
    nobody = Life(door, "nobody")
    nobody.is_deleted()
    page = page_of(nobody)
    assert moments(page) == ["Deletion received"]
    assert "The source deleted this person" in page
    assert "none yet" not in page
    record = door.record("nobody")
    assert record.closed_at is not None
    assert record.closed_at >= record.received_at, "its end is not before its arrival, whatever the source's clock says"


def test_failed_attempts_are_in_the_timeline(door: DashboardWorld) -> None:
    key = door.bring("bob", RETRYING, FAILED)
    failed_at = door.store.now()
    wait_until(lambda: door.store.now() > failed_at, "it is later")
    door.store.audit.add("Grace", "retried", key, "fixed at the shop", way=Way.PASSWORD)
    page = door.get(f"{LIST}/{key}")
    assert moments(page) == [
        "Signup received",
        "Attempt failed: LiveDesk answers with an error (503)",
        "Attempt failed: LiveDesk rejects the e-mail address",
        "Retried",
    ]
    assert "fixed at the shop" in page


# Lists


def test_a_list_is_filtered_by_what_is_to_be_sent(door: DashboardWorld) -> None:
    door.bring("new-one")
    changed, gone = Life(door, "changed", "8"), Life(door, "gone", "9")
    for life in (changed, gone):
        life.signs_up()
    changed.changes()
    gone.is_deleted()
    everything = door.get(f"{LIST}?state=pending")
    assert sorted(re.findall(r'class="work (\w+)"', everything)) == ["delete", "update"]
    for work, name in {"create": "new-one", "update": "changed", "delete": "gone"}.items():
        page = door.get(f"{LIST}?state=pending&work={work}")
        assert re.findall(r'<td class="identifier"><a[^>]*>([^<]*)<', page) == [name]
        assert f'<option value="{work}" selected>' in page
    assert "pending, changes" in door.get(f"{LIST}?state=pending&work=update")
    assert "Invalid request" in door.get(f"{LIST}?state=pending&work=nothing", status=400)


def test_an_operation_keeps_to_the_work_of_its_filter(door: DashboardWorld) -> None:
    door.bring("new-one", FAILED)
    changed = Life(door, "changed", "8")
    changed.signs_up()
    changed.changes()
    changed.ends(replace(FAILED, cause="email_refused"))
    fields = {"action": "discard", "state": "failed", "work": "update", "expected": "1"}
    assert door.send("/dashboard/operations/new", fields).status_code == 303
    while door.operations.step():
        pass
    assert door.record("new-one").state is State.FAILED
    assert door.record("changed").state is State.DISCARDED


def test_deleted_contacts_have_a_list(door: DashboardWorld) -> None:
    nobody = Life(door, "nobody")
    nobody.is_deleted()
    assert 'aria-current="page">Deleted <span class="amount">1</span>' in door.get(f"{LIST}?state=deleted")
    assert door.store.lists.count(Filter(state=State.DELETED)).number == 1


def test_a_list_counts_the_attempt_that_marked_a_contact(ada: Life, door: DashboardWorld) -> None:
    ada.is_deleted()
    ada.buried(Outcome.MARKED)
    (row,) = door.store.lists.page(Filter(state=State.DELETED), limit=10).rows
    assert row.attempts_made == door.record().attempts_made == 1


# Overview, sources


def test_the_overview_tells_changes_from_signups(ada: Life, door: DashboardWorld) -> None:
    ada.changes()
    gone = Life(door, "gone", "9")
    gone.signs_up()
    gone.is_deleted()
    door.bring("new-one")
    door.store.queue.sweep("worker")
    text = text_of(door.get("/dashboard/"))
    assert "3 people are on the way, among them 1 change and 1 deletion." in text
    assert (
        "To be sent, in this order: what operators wait for 0, new signups 1, retries 0, deletions 1, changes 1,"
        in text
    )


def test_a_cause_of_changes_alone_is_named_so(ada: Life, door: DashboardWorld) -> None:
    ada.changes()
    ada.ends(GONE)
    door.store.queue.sweep("worker")
    overview = text_of(door.get("/dashboard/"))
    assert "1 change cannot be sent to LiveDesk: LiveDesk no longer has this contact" in overview
    page = door.get("/dashboard/causes/contact_gone")
    assert 'class="work update">update<' in page


def test_the_events_of_a_source_are_counted(door: DashboardWorld) -> None:
    door.store.counters.write({"event:shop:change": 12, "event:shop:stale": 3, "delivery:shop:accepted": 20})
    text = text_of(door.get("/dashboard/sources"))
    assert "About people known already Result Last hour Total changes 12 12 stale: a newer event came first 3 3" in text
