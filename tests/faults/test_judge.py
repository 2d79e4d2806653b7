"""The judge finds what is wrong, and only that.

A judge who finds nothing would let everything pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest

from tests.faults.inject import Injected
from tests.faults.judge import MARK, Evidence, Judge, recovery_s, secrets_in
from tests.faults.plan import Fault
from tests.faults.sender import Parcel, Sent
from tests.livedesk import Contact, LedgerEntry, RequestRecord
from worker.retry import MAX_SUSPECT

ADA = "ada"


@dataclass
class Story:
    """What happened to Ada, written down as LiveDesk and the senders would."""

    requests: list[RequestRecord] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    injected: list[Injected] = field(default_factory=list)
    record: Mapping[str, Any] | None = None
    status: str = "accepted"
    #: Deliveries after the signup.
    later: list[Sent] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))

    def asked(self, kind: str, at: float, status: int | None = 200, mode: str | None = None) -> RequestRecord:
        number = next(self.numbers)
        ending = "answered" if status else "client_left"
        request = RequestRecord(
            number,
            kind,
            "GET",
            "/",
            ADA,
            at,
            mode=mode,
            verdict=status,
            status=status,
            ending=ending,
            finished=at + 0.01,
        )
        self.requests.append(request)
        return request

    def created(self, at: float, *, status: int | None = 200, mode: str | None = None, kept: bool = True) -> int:
        request = self.asked("create", at, status, mode)
        contact_id = 100 + request.number
        self.ledger.append(LedgerEntry(at, ADA, contact_id, "ada@example.com", request.number))
        identifier = ADA if kept else None
        self.contacts.append(Contact(contact_id, at, "Ada", "ada@example.com", identifier=identifier))
        return contact_id

    def says(self, happened: int, email: str | None, *, deletes: bool = False, is_known: bool = True) -> None:
        """A later event, whose sender has heard 200 or not."""
        data = {"identifier": ADA, "name": "Ada", "email": email}
        parcel = Parcel(1.0, ADA, {"type": "user.updated", "data": data}, 0, False, happened, deletes)
        self.later.append(Sent(parcel, ["200"], 2.0, "accepted") if is_known else Sent(parcel, ["TimeoutError"]))

    def marked(self) -> None:
        """Mark all contacts as deleted."""
        self.contacts = [replace(one, custom_attributes={MARK: "2025-01-01"}) for one in self.contacts]

    def recorded(self, state: str, contact_id: int | None = None, cause: str | None = None, **more: Any) -> None:
        self.record = {"state": state, "contact_id": contact_id, "cause": cause, **more}

    def judge(self) -> Judge:
        parcel = Parcel(0.0, ADA, {"identifier": ADA, "name": "Ada", "email": "ada@example.com"}, 0, False)
        return Judge(
            Evidence(
                sent=[Sent(parcel, ["200"], 1.0, self.status), *self.later],
                injected=self.injected,
                requests=self.requests,
                ledger=self.ledger,
                contacts=self.contacts,
                records={ADA: self.record},
            ),
            settle_s=1.0,
        ).judge()


def test_who_is_created_once_is_all_right() -> None:
    story = Story()
    story.recorded("created", story.created(1.0))
    assert story.judge().broken == []


def test_who_is_not_known_is_lost() -> None:
    assert Story().judge().lost == {ADA}


@pytest.mark.parametrize("state", ["pending", "sending", "retrying", "discarded"])
def test_who_is_still_waiting_or_was_dropped_is_lost(state: str) -> None:
    story = Story()
    story.recorded(state)
    assert story.judge().lost == {ADA}


def test_who_is_recorded_as_created_and_is_not_there_is_lost() -> None:
    story = Story()
    story.recorded("created", 7)
    assert story.judge().lost == {ADA}


def test_who_is_recorded_as_somebody_else_is_lost() -> None:
    story = Story()
    story.contacts.append(Contact(7, 0.0, "Bob", identifier="bob"))
    story.recorded("created", 7)
    assert story.judge().lost == {ADA}


@pytest.mark.parametrize("email", ["ada@example.com", "bob@example.com", None])
def test_who_is_known_as_somebody_with_the_same_address_is_all_right(email: str | None) -> None:
    story = Story()
    story.contacts.append(Contact(7, 0.0, "Bob", email, identifier="bob"))
    story.recorded("created", 7, outcome="known")
    assert bool(story.judge().lost) == (email != "ada@example.com")


def test_who_is_created_twice_is_duplicated() -> None:
    story = Story()
    story.created(1.0, status=None)
    story.asked("search", 3.0)
    story.recorded("created", story.created(3.1))
    judge = story.judge()
    assert judge.duplicated == {ADA}
    assert len(judge.broken) == 1


def test_a_livedesk_that_drops_the_identifier_is_not_held_against_us() -> None:
    story = Story()
    story.created(1.0, status=None, mode="identifier_not_stored", kept=False)
    story.asked("search", 3.0)
    story.recorded("created", story.created(3.1))
    assert story.judge().broken == []


def test_a_200_that_took_nothing_is_a_broken_promise() -> None:
    story = Story(status="quarantined")
    story.recorded("created", story.created(1.0))
    assert len(story.judge().broken) == 1


@pytest.mark.parametrize("is_hidden", [True, False])
def test_exists_but_not_found_is_true_only_where_look_ups_hid_it(is_hidden: bool) -> None:
    story = Story()
    story.created(1.0, status=None)
    story.asked("search", 3.0, mode="invisible" if is_hidden else None)
    story.asked("create", 3.1, 422)
    story.recorded("conflict", cause="exists_but_not_found")
    assert bool(story.judge().lost) != is_hidden


@pytest.mark.parametrize(
    ("owner", "email"), [("bob", "ada@example.com"), ("bob", "bob@example.com"), (ADA, "ada@example.com")]
)
def test_an_address_is_taken_only_by_somebody_else_who_has_it(owner: str, email: str) -> None:
    story = Story()
    story.contacts.append(Contact(7, 0.0, "Bob", email, identifier=owner))
    story.recorded("conflict", cause="email_taken", owner_id=7)
    assert bool(story.judge().lost) != (owner == "bob" and email == "ada@example.com")


def test_nothing_on_the_menu_makes_a_contact_fail() -> None:
    story = Story()
    story.recorded("failed", cause="worker_died")
    assert story.judge().lost == {ADA}


@pytest.mark.parametrize(
    ("failures", "others", "is_true"),
    [(MAX_SUSPECT, True, True), (MAX_SUSPECT, False, False), (MAX_SUSPECT - 1, True, False)],
)
def test_who_is_poisonous_made_livedesk_fail_while_others_were_answered(
    failures: int, others: bool, is_true: bool
) -> None:
    story = Story()
    for number in range(failures):
        story.asked("create", number * 10, 500, mode="status_500")
        if others:
            story.asked("create", number * 10 + 1).identifier = "bob"
    story.recorded("failed", cause="poisonous")
    assert bool(story.judge().lost) != is_true


# Life after the signup


@pytest.mark.parametrize(
    ("events", "is_true"),
    [
        ([(1, "new@example.com", True)], False),
        ([(1, "new@example.com", True), (2, "ada@example.com", True)], True),
        ([(2, "ada@example.com", True), (1, "new@example.com", True)], True),
        ([(2, "new@example.com", True), (1, "ada@example.com", True)], False),
        ([(1, "new@example.com", True), (1, "ada@example.com", True)], True),
        ([(0, "new@example.com", True)], True),
        ([(1, "new@example.com", False)], True),
    ],
    ids=["dropped", "newest", "stale", "stale wins", "same time", "same time as the signup", "nobody knows"],
)
def test_livedesk_has_what_the_newest_event_says(events: list[tuple[int, str, bool]], is_true: bool) -> None:
    story = Story()
    contact_id = story.created(1.0)
    for happened, email, is_known in events:
        story.says(happened, email, is_known=is_known)
    story.recorded("created", contact_id, outcome="updated")
    assert (story.judge().untrue == set()) == is_true


def test_a_field_with_a_note_is_not_compared() -> None:
    story = Story()
    contact_id = story.created(1.0)
    story.says(1, "new@example.com")
    story.recorded("created", contact_id, notes=[{"field": "email", "text": "left out"}])
    assert story.judge().broken == []


@pytest.mark.parametrize("is_marked", [True, False])
def test_who_was_deleted_is_marked(is_marked: bool) -> None:
    story = Story()
    contact_id = story.created(1.0)
    story.says(1, None, deletes=True)
    if is_marked:
        story.marked()
    story.recorded("deleted", contact_id, outcome="marked")
    assert (story.judge().broken == []) == is_marked


def test_who_was_deleted_before_livedesk_knew_is_not_there() -> None:
    story = Story()
    story.says(1, None, deletes=True)
    story.recorded("deleted")
    assert story.judge().broken == []
    story.created(3.0)
    assert story.judge().untrue == {ADA}, "a late repeat revived the person"


@pytest.mark.parametrize(("state", "is_marked", "is_true"), [("created", False, True), ("created", True, False)])
def test_who_came_back_by_a_newer_event_is_alive(state: str, is_marked: bool, is_true: bool) -> None:
    story = Story()
    contact_id = story.created(1.0)
    story.says(1, None, deletes=True)
    story.says(2, "ada@example.com")
    if is_marked:
        story.marked()
    story.recorded(state, contact_id)
    assert (story.judge().untrue == set()) == is_true


def test_who_came_back_by_a_newer_event_and_is_deleted_is_lost() -> None:
    story = Story()
    story.says(1, None, deletes=True)
    story.says(2, "ada@example.com")
    story.recorded("deleted")
    assert story.judge().lost == {ADA}


def test_who_is_alive_though_the_newest_event_deletes_them_came_back() -> None:
    story = Story()
    contact_id = story.created(1.0)
    story.says(1, None, deletes=True)
    story.recorded("created", contact_id)
    assert story.judge().untrue == {ADA}


# I4


@pytest.mark.parametrize(
    ("looked_up", "is_patient"), [((), False), ((1.5,), False), ((0.5, 2.2), True), ((2.6,), False)]
)
def test_a_create_after_a_lost_answer_needs_a_look_up_after_the_settle_time(
    looked_up: tuple[float, ...], is_patient: bool
) -> None:
    story = Story()
    story.asked("create", 1.0, None)
    for at in looked_up:
        story.asked("search", at)
    story.recorded("created", story.created(2.5))
    assert (story.judge().broken == []) == is_patient


@pytest.mark.parametrize("woke_up", [1.1, 0.5, 1.3])
def test_who_falls_asleep_right_before_a_create_sends_it_on_waking_and_is_counted(woke_up: float) -> None:
    story = Story()
    story.injected.append(Injected(Fault(0, 20, "oversleep", "worker 1"), woke_up - 20, woke_up))
    story.recorded("created", story.created(0.2))
    story.asked("create", 1.2, 422)
    judge = story.judge()
    assert bool(judge.overslept) == (woke_up == 1.1)
    assert bool(judge.broken) == (woke_up != 1.1)


@pytest.mark.parametrize(("stopped", "is_known"), [("worker 1", True), ("worker 2", False)])
def test_who_is_stopped_once_more_while_asleep_wakes_up_later(stopped: str, is_known: bool) -> None:
    story = Story()
    story.injected.append(Injected(Fault(0, 20, "oversleep", "worker 1"), -20.0, 0.4))
    story.injected.append(Injected(Fault(0, 2, "stop", stopped), -1.0, 1.1))
    story.recorded("created", story.created(0.2))
    story.asked("create", 1.2, 422)
    assert bool(story.judge().overslept) == is_known


@pytest.mark.parametrize(
    ("answers", "is_broken"), [(["401", "401", "503"], True), (["401", "503", "503"], False), (["TimeoutError"], False)]
)
def test_good_deliveries_may_be_given_up_but_not_because_they_were_blamed(answers: list[str], is_broken: bool) -> None:
    story = Story()
    story.recorded("created", story.created(0.2))
    story.later.append(Sent(Parcel(1.0, "bob", {}, 0, True), answers))
    assert bool(story.judge().broken) == is_broken


def test_a_create_after_a_refusal_may_come_at_once() -> None:
    story = Story()
    story.asked("create", 1.0, 429)
    story.recorded("created", story.created(1.2))
    assert story.judge().broken == []


@pytest.mark.parametrize(("looked_up", "is_patient"), [(1.2, False), (1.7, True)])
def test_while_a_link_is_harmed_livedesk_knows_only_when_a_create_came(looked_up: float, is_patient: bool) -> None:
    story = Story()
    story.injected.append(Injected(Fault(0, 1, "silence", "worker 1 - livedesk"), 0.5, 1.5))
    story.asked("create", 1.0, None).finished = 9.0
    story.asked("search", looked_up)
    story.recorded("created", story.created(2.5))
    assert (story.judge().broken == []) == is_patient


@pytest.mark.parametrize(("began", "is_known"), [(0.2, True), (1.2, False), (3.0, True)])
def test_a_worker_that_is_stopped_leaves_open_what_it_had_sent_and_nothing_else(began: float, is_known: bool) -> None:
    story = Story()
    story.injected.append(Injected(Fault(0, 20, "oversleep", "worker 1"), began, 20.0))
    story.asked("create", 1.0, 500)
    story.asked("search", 1.7)
    story.recorded("created", story.created(2.5))
    assert bool(story.judge().broken) == is_known


def test_texts_that_hold_a_secret_are_named_without_it() -> None:
    assert secrets_in({"a log": "x hush y", "another": "x"}, {"the secret": "hush"}) == ["a log holds the secret"]


def test_recovery_is_the_time_to_the_next_event() -> None:
    assert recovery_s(2.0, [1.0, 2.5, 3.0]) == 0.5
    assert recovery_s(4.0, [1.0, 2.5, 3.0]) is None
