"""Trouble of one contact, one inbox or one header, with real processes: it never stops the others."""

from typing import Any

from tests.e2e.system import System, call
from tests.world import wait_until

#: What LiveDesk answers to everybody.
UNPAID = "Subscription expired"


def livedesk_of(system: System) -> dict[str, Any]:
    """Return what ``/readyz`` says about LiveDesk."""
    answered: dict[str, Any] = call("GET", f"{system.stack.url}/readyz").json()["livedesk"]
    return answered


def test_a_block_page_for_some_contacts_stops_nobody(system: System) -> None:
    hostile, good = [f"waf-{number}" for number in range(25)], [f"good-{number}" for number in range(5)]
    for identifier in hostile:
        system.livedesk.behave("forbidden", on="create", shape="html", identifier=identifier)
    for identifier in (*hostile, *good):
        system.accept(identifier)

    for identifier in good:
        assert system.wait_for(identifier, "created", timeout_s=10)["outcome"] == "created"
    assert livedesk_of(system)["state"] == "up"
    assert "sync stopped" not in system.log()

    system.livedesk.clear()
    system.drain()
    states = {system.record(identifier)["state"] for identifier in hostile}
    assert states <= {"created", "failed"}, "those that were refused five times while others got through have failed"


def test_a_plan_that_is_not_paid_holds_everybody_and_fails_nobody(system: System) -> None:
    everybody = [f"unpaid-{number}" for number in range(40)]
    system.livedesk.behave("status", on="any", status=402, body=f'{{"error": "{UNPAID}"}}')
    for identifier in everybody:
        system.accept(identifier)

    wait_until(lambda: system.hurry() and livedesk_of(system)["state"] == "hold", "the sync is held")
    assert (livedesk_of(system)["cause"], livedesk_of(system)["words"]) == ("http_402", UNPAID)
    assert {system.record(identifier)["state"] for identifier in everybody} <= {"pending", "sending", "retrying"}
    assert UNPAID not in system.log()

    system.livedesk.clear()
    system.drain()
    system.assert_everybody(everybody)
    assert livedesk_of(system)["state"] == "up"


def test_resume_ends_a_long_retry_after_for_everybody(system: System) -> None:
    system.livedesk.behave("throttle", on="create", times=1, retry_after=600)
    system.accept("first")
    wait_until(lambda: livedesk_of(system)["state"] == "hold", "the sync is held")
    held = livedesk_of(system)
    assert held["cause"] == "throttled"
    assert held["until"] is not None
    system.accept("second")

    assert system.store.upstream.resume() or livedesk_of(system)["state"] == "up", "a probe may have ended it before"
    for identifier in ("first", "second"):
        assert system.wait_for(identifier, "created", timeout_s=10)["outcome"] == "created"


def test_one_inbox_that_livedesk_fails_for_is_held_alone(system: System) -> None:
    bad = [f"tg-{number}" for number in range(12)]
    for identifier in bad:
        system.livedesk.behave("status_500", on="create", identifier=identifier, commit=False)
    for number, identifier in enumerate(bad):
        system.accept(identifier, inbox_id=2)
        system.accept(f"good-{number}")

    for number in range(12):
        system.wait_for(f"good-{number}", "created", timeout_s=20)
    wait_until(lambda: system.hurry() and livedesk_of(system)["held_inboxes"], "the inbox is held")
    assert [inbox["inbox"] for inbox in livedesk_of(system)["held_inboxes"]] == ["2"]
    assert {system.record(identifier)["state"] for identifier in bad} <= {"pending", "sending", "retrying"}
    assert livedesk_of(system)["state"] == "up"
