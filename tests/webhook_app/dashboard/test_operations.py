"""Operations on many contacts: plan, start, pause, cancel, undo."""

import re
from collections.abc import Iterator

import pytest
import redis

from tests.browser.specimen import HOSTILE
from tests.invariants import assert_invariants
from tests.world import CONFLICT, FAILED, RETRYING, DashboardWorld
from webhook_app.access import Role
from webhook_app.dashboard.operations import shares
from worker.actions import BulkAction, OperationState
from worker.model import State
from worker.store import keys
from worker.store.lists import Filter
from worker.store.operations import MAX_ACTIVE, Operation, Operations

NEW = "/dashboard/operations/new"


@pytest.fixture
def door(client: redis.Redis) -> Iterator[DashboardWorld]:
    door = DashboardWorld(client)
    door.sign_in(Role.OPERATOR)
    yield door
    client.delete(keys.QUEUE)
    assert_invariants(client)


@pytest.fixture
def operations(door: DashboardWorld) -> Operations:
    return door.store.operations


def bring(door: DashboardWorld, number: int, start: int = 0) -> list[str]:
    return [door.bring(f"person-{at}", FAILED) for at in range(start, start + number)]


def begin(door: DashboardWorld, number: int, **fields: str) -> str:
    """Start to retry the failed contacts. Return the operation's id."""
    form = {"action": "retry", "state": "failed", "expected": number, **fields}
    answer = door.send(NEW, form)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"].rpartition("/")[2]


def run(operations: Operations) -> None:
    for _ in range(20):
        if not operations.step():
            return


def read(operations: Operations, operation_id: str) -> Operation:
    operation = operations.read(operation_id)
    assert operation is not None
    return operation


def test_the_plan_shows_affected_and_skipped_contacts(door: DashboardWorld) -> None:
    bring(door, 11)
    key = door.bring("waits", RETRYING)
    door.client.zadd(keys.cause("email_refused"), {key: 1})
    door.client.hset(keys.contact(key), "cause", "email_refused")
    running = door.bring("running", FAILED)
    door.store.contacts.retry_now(door.store.key_of("running"))
    assert door.store.contacts.claim(running, "token", sends=False) is not None
    page = door.get(f"{NEW}?action=retry&cause=email_refused")
    assert "Retry 12 contacts?" in page
    assert re.search(r"failed</span></th><td class=\"figure\">11<", page)
    assert "skipped: an attempt is running" in page
    assert "per second, after new signups" in page
    assert 'name="canary" value="1" checked' in page
    door.client.zrem(keys.cause("email_refused"), key)
    door.client.zadd(keys.cause("http_503"), {key: 1})
    door.client.hset(keys.contact(key), "cause", "http_503")


def test_no_canary_is_suggested_for_a_few_contacts(door: DashboardWorld) -> None:
    bring(door, 10)
    assert "checked" not in door.get(f"{NEW}?action=retry&state=failed").partition("<main")[2].partition("</main")[0]


def test_a_plan_without_contacts(door: DashboardWorld) -> None:
    page = door.get(f"{NEW}?action=discard&state=failed")
    assert "No contact matches now" in page
    assert (
        "No contact is left"
        in door.send(NEW, {"action": "discard", "state": "failed", "expected": 3}, follow_redirects=True).text
    )


@pytest.mark.parametrize("query", ["action=explode&state=failed", "action=retry", "action=retry&state=x", ""])
def test_an_invalid_plan_is_rejected(door: DashboardWorld, query: str) -> None:
    door.get(f"{NEW}?{query}", status=400)


def test_starting_an_operation_and_its_progress(door: DashboardWorld, operations: Operations) -> None:
    bring(door, 3)
    operation_id = begin(door, 3, why="LiveDesk is back", canary="1")
    operation = read(operations, operation_id)
    assert (operation.who, operation.why, operation.canary) == ("Ada the operator", "LiveDesk is back", True)
    entry = door.store.audit.page()[0]
    assert (entry.did, entry.target) == ("retried 3 contacts: failed, with a canary", f"operation {operation_id}")
    assert entry.why == "LiveDesk is back"
    run(operations)
    page = door.get(f"/dashboard/operations/{operation_id}")
    assert "1 of 3 processed" in page
    assert "LiveDesk is back" in page
    assert "Retry contacts: failed" in door.get("/dashboard/operations")


def test_a_filtered_retry_affects_only_matching_contacts(door: DashboardWorld, operations: Operations) -> None:
    bring(door, 2)
    shop = door.bring("of-shop", FAILED, source="shop")
    other = door.bring("conflict", CONFLICT)
    begin(door, 1, source="shop")
    run(operations)
    assert door.state(shop) is State.RETRYING
    assert door.state(other) is State.CONFLICT
    assert door.store.contacts.counts()[State.FAILED] == 2


@pytest.mark.parametrize(("now", "begins"), [(20, True), (22, True), (23, False), (17, False)])
def test_a_plan_that_has_drifted_is_shown_again(
    door: DashboardWorld, operations: Operations, now: int, begins: bool
) -> None:
    bring(door, now)
    answer = door.send(NEW, {"action": "retry", "state": "failed", "expected": 20, "why": "fixed"})
    assert answer.status_code == (303 if begins else 409)
    assert len(operations.latest()) == begins
    if not begins:
        assert "You saw 20 contacts; now there are" in answer.text
        assert f'name="expected" value="{now}"' in answer.text
        assert 'value="fixed"' in answer.text


def test_nothing_starts_without_an_expected_number(door: DashboardWorld, operations: Operations) -> None:
    bring(door, 2)
    for expected in ("", "x", "-1", "9" * 30):
        assert door.send(NEW, {"action": "retry", "state": "failed", "expected": expected}).status_code == 409
    assert operations.latest() == []


def test_equal_or_too_many_operations_are_refused(door: DashboardWorld, operations: Operations) -> None:
    bring(door, 2)
    begin(door, 2)
    form = {"action": "retry", "state": "failed", "expected": 2}
    assert "is already running for these contacts" in door.send(NEW, form, follow_redirects=True).text
    for attempts in range(1, MAX_ACTIVE):
        operations.open(BulkAction.RETRY, Filter(state=State.CREATED, attempts=attempts), who="", why="", total=0)
    page = door.send(NEW, {**form, "action": "discard"}, follow_redirects=True).text
    assert "operations are running" in page or "is already running" in page


def test_pause_resume_cancel_and_undo(door: DashboardWorld, operations: Operations) -> None:
    made = bring(door, 3)
    operation_id = begin(door, 3)
    page = f"/dashboard/operations/{operation_id}"
    for way, state, next_ways in (
        ("pause", OperationState.PAUSED, ("Resume", "Cancel", "Undo")),
        ("resume", OperationState.RUNNING, ("Pause", "Cancel", "Undo")),
    ):
        door.send(f"{page}/{way}", {"why": "lunch"})
        assert read(operations, operation_id).state is state
        shown = door.get(page)
        assert all(f">{name}<" in shown for name in next_ways)
    run(operations)
    assert door.state(made[0]) is State.RETRYING
    door.send(f"{page}/cancel")
    assert read(operations, operation_id).state is OperationState.CANCELLED
    assert ">Pause<" not in door.get(page).partition("<main")[2]
    assert "Cannot pause an operation that is cancelled." in door.send(f"{page}/pause", follow_redirects=True).text
    door.send(f"{page}/undo")
    run(operations)
    assert read(operations, operation_id).state is OperationState.UNDONE
    assert all(door.state(key) is State.FAILED for key in made)
    assert [entry.did for entry in door.store.audit.page()][:4] == [
        f"{did} the operation" for did in ("undid", "cancelled", "resumed", "paused")
    ]
    assert "3</strong> undone" in door.get(page)


def test_the_page_reloads_when_the_state_changes(door: DashboardWorld) -> None:
    bring(door, 2)
    page = f"/dashboard/operations/{begin(door, 2)}"
    assert "HX-Refresh" not in door.http.get(f"{page}/progress?seen=running").headers
    door.send(f"{page}/pause")
    assert door.http.get(f"{page}/progress?seen=running").headers["HX-Refresh"] == "true"


def test_unknown_operations_are_not_found(door: DashboardWorld) -> None:
    for path in ("/dashboard/operations/none", "/dashboard/operations/none/progress"):
        assert "Operations are kept for seven days" in door.get(path, status=404)
    assert door.send("/dashboard/operations/none/undo").status_code == 404
    bring(door, 2)
    assert door.send(f"/dashboard/operations/{begin(door, 2)}/explode").status_code == 404
    assert "No operations yet" in open_page_of_nobody(door)


def open_page_of_nobody(door: DashboardWorld) -> str:
    for name in door.client.scan_iter("{lds}:op*"):
        door.client.delete(name)
    return door.get("/dashboard/operations")


def test_viewers_and_other_sites_change_nothing(
    client: redis.Redis, door: DashboardWorld, operations: Operations
) -> None:
    bring(door, 2)
    operation_id = begin(door, 2)
    viewer = DashboardWorld(client)
    viewer.sign_in(Role.VIEWER)
    page = viewer.get(f"/dashboard/operations/{operation_id}")
    assert ">Undo<" not in page
    assert viewer.http.get(f"{NEW}?action=retry&state=failed").status_code == 403
    for path in (NEW, f"/dashboard/operations/{operation_id}/undo"):
        form = {"action": "retry", "state": "failed", "expected": "2"}
        assert viewer.send(path, form).status_code == 403
        assert door.http.post(path, data=form).status_code == 400, "without the token"
    assert len(operations.latest()) == 1
    assert read(operations, operation_id).state is OperationState.RUNNING


def test_foreign_text_is_escaped(door: DashboardWorld, operations: Operations) -> None:
    door.bring("person", FAILED, source=HOSTILE)
    wanted = Filter(state=State.FAILED, source=HOSTILE)
    operation_id = operations.open(BulkAction.RETRY, wanted, who=HOSTILE, why=HOSTILE, total=1)
    paths = [
        "/dashboard/operations",
        f"/dashboard/operations/{operation_id}",
        f"/dashboard/operations/{operation_id}/progress",
    ]
    for path in paths:
        page = door.get(path)
        assert "<script>alert" not in page
        assert "<img" not in page
    page = door.http.get(NEW, query_string={"action": "retry", "state": "failed", "source": HOSTILE}).text
    assert "<script>alert" not in page


def test_the_bar_counts_every_contact_once() -> None:
    wanted = Filter(state=State.FAILED)
    numbers = {"moved": 60, "recovered": 20, "same": 5, "again": 4, "left": 1, "restored": 10}
    operation = Operation(
        id="x", action=BulkAction.RETRY, filter=wanted, state=OperationState.RUNNING, who="", why="", canary=False,
        created_at=0, ended_at=None, note="", total=100, skipped=7, cursor="1:a", **numbers,
    )  # fmt: skip
    made = shares(operation)
    assert sum(share.number for share in made) == 100
    assert {share.name: share.number for share in made}["under-way"] == 20
    assert made[-1].x + made[-1].width == pytest.approx(100, abs=0.1)
