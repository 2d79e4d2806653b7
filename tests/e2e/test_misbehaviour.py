"""Every misbehaviour ends in exactly one contact, or in a state with a cause.

Whatever the mode: LiveDesk executes at most one create for the identifier, and none is sent while the answer to an
earlier one may still change (``System.assert_patient``).
"""

import json
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.system import SETTLE_S, System, call
from tests.livedesk import MODES
from tests.livedesk.modes.unusable import WRONG
from tests.rig.parts import STAND_IN_ACCOUNT
from worker.store import keys

WHO = "user-42"
#: Nothing is wrong with these answers of a create.
HARMLESS: dict[str, list[dict[str, Any]]] = {
    "slow": [{"delay": 0.3}],
    "drip": [{"delay": 0.0001}],
    "idle_close": [{}],
    "string_id": [{}],
    "wrong_types_200": [{"shape": "meta_null"}],
    "localised": [{}],
    "index_race_500": [{}],
    # The attributes follow in an update; what an update does otherwise is no matter of creates.
    "attributes_not_stored": [{}],
    "attributes_not_merged": [{}],
}
#: These say that a create was not executed, so that it may be sent again at once, and by what cause they are known.
REFUSALS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "throttle": {"throttled": [{"retry_after": 1}, {"retry_after": 1, "as_date": True}]},
    "unauthorized": {"unauthorized": [{}, {"shape": "errors_list"}, {"shape": "suspended"}, {"shape": "empty"}]},
    "forbidden": {"forbidden": [{}, {"shape": "html"}]},
    "not_found": {"inbox_not_found": [{}], "create_path_not_found": [{"shape": "html"}]},
    "method_not_allowed": {"create_path_not_found": [{}]},
    "redirect": {"redirected": [{}, {"status": 307, "location": "/api/v2/accounts/contacts"}]},
}
#: After these nobody knows whether a create was executed. Those marked * are executed unless a rule says otherwise.
UNKNOWN: dict[str, dict[str, list[dict[str, Any]]]] = {
    "status": {"http_408": [{"status": 408}]},
    "status_500": {"http_500": [{}, {"shape": "error_object"}]},
    "html_502": {"http_502": [{}, {"commit": True}]},
    "html_503": {"http_503": [{}]},
    "status_504": {"http_504": [{}]},
    "reset": {"connection_lost": [{}, {"commit": True}]},
    "close": {"connection_lost": [{}, {"commit": True}]},
    "garbage": {"unreadable_answer": [{}, {"commit": True}]},
    "hang": {"answer_timeout": [{}]},
    "slow": {"answer_timeout": [{"delay": 10}]},
    "commit_then_500": {"http_500": [{}]},  # *
    "commit_then_hang": {"answer_timeout": [{}]},  # *
    "commit_then_reset": {"connection_lost": [{}]},  # *
    "commit_then_close": {"connection_lost": [{}]},  # *
    "commit_then_truncate": {"unreadable_answer": [{}]},  # *
    "hang_then_commit": {"answer_timeout": [{"delay": 1.5}]},  # * when its client has long left
    "html_200": {"unreadable_answer": [{}, {"commit": False}]},  # *
    "empty_200": {"unreadable_answer": [{}, {"commit": False}]},  # *
    "huge_200": {"unreadable_answer": [{}, {"size": 2_000_000}]},  # *
    "deep_json_200": {"unreadable_answer": [{}]},  # *
    "no_id_200": {"unreadable_answer": [{}]},  # *
    "bad_gzip": {"unreadable_answer": [{}, {"shape": "cut"}]},  # *
    "bad_content_length": {"unreadable_answer": [{}]},  # *
    "wrong_types_200": {"unreadable_answer": [{"shape": shape} for shape in WRONG if shape != "meta_null"]},  # *
    "other_identifier_echo": {"answer_for_another_contact": [{}]},  # *
}
#: With these, a look-up shows neither that the contact exists nor that it does not.
USELESS_LOOK_UPS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "html_502": {"http_502": [{"times": 3}]},
    "hang": {"answer_timeout": [{"times": 1}]},
    "reset": {"connection_lost": [{"times": 1}]},
    "throttle": {"throttled": [{"times": 1, "retry_after": 1}]},
    "unauthorized": {"unauthorized": [{"times": 1}]},
    "not_found": {"search_path_not_found": [{"times": 1}]},
    "redirect": {"redirected": [{"times": 1}]},
    "html_200": {"unreadable_answer": [{"times": 1}]},
    "huge_200": {"unreadable_answer": [{"times": 1}]},
    "wrong_types_200": {"unreadable_answer": [{"times": 1, "shape": "payload_text"}]},
    "bad_gzip": {"unreadable_answer": [{"times": 1}]},
    "endless_pages": {"search_too_many_results": [{"times": 10}]},
}
#: These have tests of their own below.
APART = {"null_identifier_echo", "identifier_not_stored", "invisible", "crm_v2", "search_lag", "identifier_not_unique"}
#: Other ways to search and sort, which a look-up has to cope with: see ``test_look_ups``.
WAYS_TO_SEARCH = {"chatwoot_sort", "newer_search", "q_ignored"}


def each(menu: dict[str, dict[str, list[dict[str, Any]]]]) -> list[Any]:
    """``(mode, options, cause)`` for every line of a menu."""
    return [
        pytest.param(mode, options, cause, id=name_of(mode, options))
        for mode, causes in menu.items()
        for cause, variants in causes.items()
        for options in variants
    ]


def name_of(mode: str, options: dict[str, Any]) -> str:
    words = [f"{name}={value}" for name, value in options.items()]
    return "-".join([mode, *words]).replace("/", "_")


def test_every_entry_of_the_menu_is_tried() -> None:
    assert {*HARMLESS, *REFUSALS, *UNKNOWN, *USELESS_LOOK_UPS, *APART, *WAYS_TO_SEARCH} == set(MODES)


@pytest.mark.parametrize(
    ("mode", "options"),
    [pytest.param(mode, given, id=name_of(mode, given)) for mode, variants in HARMLESS.items() for given in variants],
)
def test_a_create_with_a_harmless_oddity_is_sent_once(system: System, mode: str, options: dict[str, Any]) -> None:
    system.livedesk.behave(mode, on="create", times=1, **options)
    system.accept(WHO)

    record = system.wait_for(WHO, "created")
    assert record["outcome"] == "created"
    assert len(system.creates(WHO)) == 1
    system.assert_one_contact(WHO)


@pytest.mark.parametrize(("mode", "options", "cause"), each(REFUSALS))
def test_a_create_that_was_refused_is_sent_again(
    system: System, mode: str, options: dict[str, Any], cause: str
) -> None:
    system.livedesk.behave(mode, on="create", times=1, **options)
    system.accept(WHO)

    record = system.wait_for(WHO, "created")
    assert record["outcome"] == "created"
    assert system.causes() == {cause}
    assert len(system.creates(WHO)) == 2
    assert not system.livedesk.requests("other"), "it followed a redirect"
    system.assert_one_contact(WHO)


@pytest.mark.parametrize(("mode", "options", "cause"), each(UNKNOWN))
def test_a_create_whose_answer_is_lost_happens_once(
    system: System, mode: str, options: dict[str, Any], cause: str
) -> None:
    system.livedesk.behave(mode, on="create", times=1, **options)
    system.accept(WHO)

    record = system.wait_for(WHO, "created")
    first, *again = system.creates(WHO)
    assert record["outcome"] == ("created" if first.executed is None else "adopted")
    assert len(again) == (1 if first.executed is None else 0)
    assert system.causes() == {cause}
    system.assert_one_contact(WHO)


@pytest.mark.parametrize(("mode", "options", "cause"), each(USELESS_LOOK_UPS))
def test_an_inconclusive_look_up_is_repeated(system: System, mode: str, options: dict[str, Any], cause: str) -> None:
    add_strangers(system)
    system.livedesk.behave("commit_then_500", on="create", times=1)
    system.livedesk.behave(mode, on="search", **options)
    system.accept(WHO)

    record = system.wait_for(WHO, "created")
    assert record["outcome"] == "adopted"
    assert system.causes() == {"http_500", cause}
    system.assert_one_contact(WHO)


def test_a_contact_that_a_search_buries_among_others_is_a_conflict(system: System) -> None:
    add_strangers(system)
    system.livedesk.behave("html_503", on="create", times=1, commit=True)
    system.livedesk.behave("endless_pages", on="search")
    system.accept(WHO)

    record = system.wait_for(WHO, "conflict")
    assert record["cause"] == "search_too_many_results"
    assert len(system.creates(WHO)) == 1

    # An operator retries it once the search works. The retry still knows that an answer is missing.
    system.livedesk.clear()
    assert system.store.contacts.retry_now(system.store.key_of(WHO)) == "retrying"
    record = system.wait_for(WHO, "created")
    assert record["outcome"] == "adopted"
    system.assert_one_contact(WHO)


def test_while_look_ups_are_inconclusive_nothing_more_is_sent(system: System) -> None:
    add_strangers(system)
    system.livedesk.behave("html_503", on="create", times=1, commit=False)
    system.livedesk.behave("q_ignored", on="search")
    system.accept(WHO)

    system.wait_for_attempts(WHO, 6)
    assert "search_ignored_query" in system.causes()
    assert spent_ms(system) == 0, "that is LiveDesk's fault"
    assert len(system.creates(WHO)) == 1

    system.livedesk.clear()
    record = system.wait_for(WHO, "created")
    assert record["outcome"] == "created"
    system.assert_one_contact(WHO)


def add_strangers(system: System) -> None:
    """So many that they fill more than a page of a list of everybody."""
    for number in range(20):
        system.livedesk.add_contact(name=f"Somebody {number}", email=f"{number}@example.org")


def test_a_look_up_that_keeps_failing_spends_no_retry_budget(system: System) -> None:
    system.livedesk.behave("commit_then_500", on="create", times=1)
    system.livedesk.behave("html_502", on="search")
    system.accept(WHO)

    system.wait_for_attempts(WHO, 5)
    assert spent_ms(system) == 0
    assert len(system.creates(WHO)) == 1


def test_a_look_up_that_began_before_the_settle_time_was_over_is_not_enough(system: System) -> None:
    """It is answered long after, and knows nothing of what came in between."""
    system.livedesk.behave("hang_then_commit", on="create", times=1, delay=1.5)
    system.livedesk.behave("drip", on="search", times=1, delay=0.006)
    system.accept(WHO)

    system.wait_for(WHO, "created")
    assert len(system.creates(WHO)) == 1
    system.assert_one_contact(WHO)


def test_a_contact_that_is_there_but_never_found_is_a_conflict(system: System) -> None:
    system.livedesk.behave("commit_then_500", on="create", times=1)
    system.livedesk.behave("invisible", on="search")
    system.accept(WHO)

    record = system.wait_for(WHO, "conflict")
    assert record["cause"] == "exists_but_not_found"
    assert record["attempts"][-1]["excerpt"] == "Identifier has already been taken"
    assert len(system.executed(WHO)) == 1
    system.assert_patient(WHO)

    system.livedesk.clear()
    assert system.store.contacts.retry_now(system.store.key_of(WHO)) == "retrying"
    assert system.wait_for(WHO, "created")["outcome"] == "adopted"
    system.assert_one_contact(WHO)


@pytest.mark.parametrize("mode", ["invisible", "crm_v2"])
def test_a_contact_that_is_not_found_for_a_while_is_adopted(system: System, mode: str) -> None:
    system.livedesk.behave("commit_then_500", on="create", times=1)
    system.livedesk.behave(mode, on="search", times=2)
    system.accept(WHO)

    assert system.wait_for(WHO, "created")["outcome"] == "adopted"
    system.assert_one_contact(WHO)


@pytest.mark.parametrize(("email", "state"), [("ada@example.com", "created"), (None, "conflict")])
def test_where_only_leads_are_found_a_contact_needs_an_email_to_be_adopted(
    system: System, email: str | None, state: str
) -> None:
    system.livedesk.behave("commit_then_500", on="create", times=1)
    system.livedesk.behave("crm_v2", on="search")
    system.accept(WHO, email=email)

    system.wait_for(WHO, state)
    assert len(system.executed(WHO)) == 1
    system.assert_patient(WHO)


@pytest.mark.parametrize("lag", [0.5, SETTLE_S + 0.7], ids=["within-the-settle-time", "beyond-it"])
def test_a_search_that_lags_behind_leads_to_no_second_contact(system: System, lag: float) -> None:
    system.livedesk.behave("commit_then_500", on="create", times=1)
    system.livedesk.behave("search_lag", on="search", delay=lag)
    system.accept(WHO)

    record = system.wait_for(WHO, "created", "conflict")
    assert len(system.executed(WHO)) == 1
    if lag < SETTLE_S:
        assert record["outcome"] == "adopted"
    elif record["state"] == "conflict":  # it may be found only after the last of the look-ups
        assert record["cause"] == "exists_but_not_found"


def test_an_answer_without_the_identifier_is_taken_and_noted(system: System) -> None:
    system.livedesk.behave("null_identifier_echo", times=1)
    system.accept(WHO)

    record = system.wait_for(WHO, "created")
    assert record["notes"] == [
        {"field": "identifier", "text": "LiveDesk did not repeat it in its answer", "code": "differs"}
    ]
    system.assert_one_contact(WHO)


def test_a_livedesk_that_drops_the_identifier_gets_the_contact_once(system: System) -> None:
    system.livedesk.behave("identifier_not_stored")
    system.accept(WHO)

    record = system.wait_for(WHO, "created")
    assert system.executed(WHO) == [record["contact_id"]]
    assert record["notes"] == [
        {"field": "identifier", "text": "LiveDesk did not repeat it in its answer", "code": "differs"}
    ]


def test_a_livedesk_that_keeps_no_identifier_unique_gets_the_contact_once(system: System) -> None:
    system.livedesk.behave("commit_then_500", on="create", times=1)
    system.livedesk.behave("identifier_not_unique")
    system.accept(WHO)

    assert system.wait_for(WHO, "created")["outcome"] == "adopted"
    system.assert_one_contact(WHO)


def test_a_connection_that_livedesk_closed_silently_costs_nobody_anything(system: System) -> None:
    system.livedesk.behave("idle_close")
    for number in range(10):
        system.accept(f"{WHO}-{number}")
    for number in range(10):
        system.wait_for(f"{WHO}-{number}", "created")
        system.assert_one_contact(f"{WHO}-{number}")


def test_the_rest_of_a_cut_answer_is_not_taken_for_the_next_one(system: System) -> None:
    system.livedesk.behave("bad_content_length", on="create")
    for number in range(10):
        system.accept(f"{WHO}-{number}")
    system.livedesk.clear()
    for number in range(10):
        system.wait_for(f"{WHO}-{number}", "created")
        system.assert_one_contact(f"{WHO}-{number}")


@pytest.mark.parametrize("length", ["0", "-1", "abc", "1e3", "99999999999999999999", "12, 12"])
def test_a_wrong_content_length_leads_to_one_contact(system: System, length: str) -> None:
    system.livedesk.behave("bad_content_length", on="create", times=1, length=length)
    system.accept(WHO)

    system.wait_for(WHO, "created")
    system.assert_one_contact(WHO)


def test_retry_after_is_honoured_exactly(system: System) -> None:
    system.livedesk.behave("throttle", on="create", times=1, retry_after=2)
    system.accept(WHO)

    system.wait_for(WHO, "created")
    refused, taken = system.creates(WHO)
    assert refused.finished is not None
    assert 2 <= taken.received - refused.finished < 3.5


def test_a_throttle_that_names_no_time_waits_for_the_next_minute(system: System) -> None:
    system.livedesk.behave("throttle", on="create", times=1)
    system.accept(WHO)

    record = system.wait_for(WHO, "retrying")
    assert record["cause"] == "throttled"
    hold = call("GET", f"{system.stack.url}/readyz").json()["livedesk"]
    began, until = seconds(record["attempts"][0]["at"]), seconds(hold["until"])
    assert 0 <= until - (began // 60 + 1) * 60 <= 0.1

    assert system.store.upstream.resume()
    system.wait_for(WHO, "created")
    system.assert_one_contact(WHO)


def seconds(rfc3339: str) -> float:
    return datetime.fromisoformat(rfc3339).timestamp()


def test_wrong_credentials_make_everybody_wait_and_nobody_fail(system: System) -> None:
    system.livedesk.set_credentials("rotated", "away")
    system.accept(WHO)

    record = system.wait_for_attempts(WHO, 5)
    assert (record["state"], record["cause"]) == ("retrying", "unauthorized")
    assert spent_ms(system) == 0
    assert system.executed(WHO) == []

    system.livedesk.set_credentials(STAND_IN_ACCOUNT["LIVEDESK_API_KEY"], STAND_IN_ACCOUNT["LIVEDESK_API_SECRET"])
    system.wait_for(WHO, "created")
    system.assert_one_contact(WHO)


def spent_ms(system: System) -> int:
    """How much of its retry budget the contact has spent."""
    return int(system.client.hget(keys.contact(system.key(WHO)), "spent_ms") or 0)


def test_an_unknown_inbox_makes_its_contacts_wait(system: System) -> None:
    system.accept(WHO, inbox_id=999)

    record = system.wait_for(WHO, "retrying")
    assert record["cause"] == "inbox_not_found"
    assert system.executed(WHO) == []


@pytest.mark.parametrize(
    ("status", "attributes", "cause"),
    [(422, ["inbox_id"], "inbox_id_refused"), (413, [], "http_413")],
)
def test_a_contact_that_livedesk_will_not_take_has_failed_and_says_why(
    system: System, status: int, attributes: list[str], cause: str
) -> None:
    body = json.dumps({"message": "不可以", "attributes": attributes})
    system.livedesk.behave("status", on="create", status=status, body=body)
    system.accept(WHO)

    record = system.wait_for(WHO, "failed")
    assert record["cause"] == cause
    assert record["attempts"][-1]["excerpt"] == "不可以"
    assert len(system.creates(WHO)) == 1


def test_an_adoption_that_livedesk_forbids_is_a_conflict_that_names_the_owner(system: System) -> None:
    owner = system.livedesk.add_contact(name="Ada", email="ada@example.com")
    system.livedesk.behave("forbidden", on="update", times=1)
    system.accept(WHO, email="ada@example.com")

    record = system.wait_for(WHO, "conflict")
    assert (record["cause"], record["owner_id"], record["attempts"][-1]["status"]) == ("email_taken", owner.id, 403)


@pytest.mark.parametrize("mode", ["commit_then_500", "status_500", "commit_then_hang", "hang", "reset"])
def test_an_adoption_whose_answer_is_lost_is_made_good(system: System, mode: str) -> None:
    owner = system.livedesk.add_contact(name="Ada", email="ada@example.com")
    system.livedesk.behave(mode, on="update", times=1)
    system.accept(WHO, email="ada@example.com")

    record = system.wait_for(WHO, "created")
    assert (record["outcome"], record["contact_id"]) == ("adopted", owner.id)
    assert system.executed(WHO) == []
    system.assert_one_contact(WHO)
