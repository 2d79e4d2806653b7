"""Live probes against the stand-in: what they find out, and what they leave."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.livedesk import StandIn, serve
from worker import causes
from worker.errors import Rejected
from worker.livedesk.answers import Created
from worker.livedesk.checks import CheckResult, Level, check_connection
from worker.livedesk.client import LiveDesk
from worker.livedesk.probe import Probe, promise
from worker.livedesk.probe_attributes import SEARCH_FOR_S
from worker.livedesk.search import PAGE_SIZE
from worker.model import Account, Contact

KEY, SECRET = "demo-key", "demo-secret"


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with serve(by_id=True, inbox_ids=(1, 2)) as standin:
        yield standin


@pytest.fixture
def standin(running: StandIn) -> StandIn:
    running.reset()
    return running


def client_of(standin: StandIn, secret: str = SECRET) -> LiveDesk:
    return LiveDesk(standin.url, KEY, secret, timeout_s=1.0)


class Round:
    """One round of probes whose waits take no time; ``after`` runs while it waits."""

    def __init__(self, livedesk: LiveDesk, inbox_ids: tuple[int, ...], after: Callable[[float], object]) -> None:
        self.waited = 0.0
        self.after = after
        self.probe = Probe(livedesk, inbox_ids, sleep=self.wait, clock=lambda: self.waited)
        self.findings = list(self.probe.run())

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        self.after(self.waited)

    def about(self, about: str) -> CheckResult:
        [finding] = [finding for finding in self.findings if finding.about == about]
        return finding


def probe(
    standin: StandIn, inbox_ids: tuple[int, ...] = (1,), after: Callable[[float], object] = lambda waited: None
) -> Round:
    return Round(client_of(standin), inbox_ids, after)


#: What an update of the probes adds.
LATE: dict[str, Any] = {"custom_attributes": {"livedesk_sync_doctor": "update"}}


class Refusing(LiveDesk):
    """A LiveDesk that refuses attributes in a create."""

    def __init__(self, standin: StandIn) -> None:
        super().__init__(standin.url, KEY, SECRET, timeout_s=1.0)

    def create(self, contact: Contact, *, with_attributes: bool = False) -> Created:
        if with_attributes:
            raise Rejected(causes.http(422), fields=frozenset({"custom_attributes"}), status=422)
        return super().create(contact)


def test_a_healthy_account(standin: StandIn) -> None:
    done = probe(standin, (1, 2))
    assert done.probe.account == Account(True, True, True, True, True)
    assert {finding.level for finding in done.findings} == {Level.OK}
    assert done.about("promise").text == "Each person becomes one contact, even if requests or answers are lost."
    assert standin.contacts() == [], "it cleans up after itself"
    assert len(standin.ledger()) == 4
    assert done.about("attributes").text.startswith("A create takes attributes")
    assert done.about("updates").text.startswith("An update changes only what it names")
    assert done.about("deletions").text.startswith("LiveDesk lets us delete contacts")


def test_what_cannot_be_deleted_is_reported(standin: StandIn) -> None:
    with serve() as chary:
        done = probe(chary)
        left = [str(contact.id) for contact in chary.contacts()]
        assert len(left) == 3
        assert all(
            (contact.identifier or "").lower().startswith("livedesk-sync-doctor-") for contact in chary.contacts()
        )
    assert done.probe.account == Account(True, True, True, True, False)
    assert done.about("deletions").text.endswith("mark them instead.")
    finding = done.about("clean-up")
    assert finding.level is Level.WARNING
    assert ", ".join(left) in finding.text
    assert "Delete them in LiveDesk" in finding.todo


@pytest.mark.parametrize(
    ("mode", "options", "deletes"),
    [
        ("unauthorized", {"shape": "not_authorized"}, False),
        ("forbidden", {}, False),
        ("method_not_allowed", {}, False),
        ("not_found", {}, False),
        ("status_500", {}, False),
        ("status_500", {"times": 2}, True),
    ],
)
def test_whether_contacts_can_be_deleted(mode: str, options: dict[str, Any], deletes: bool, standin: StandIn) -> None:
    standin.behave(mode, on="delete", **options)
    done = probe(standin)
    assert done.probe.account == Account(True, True, True, True, deletes)
    assert done.about("clean-up").level is Level.WARNING


# Attributes


def test_a_create_that_drops_attributes(standin: StandIn) -> None:
    standin.behave("attributes_not_stored")
    done = probe(standin)
    assert done.probe.account == Account(True, True, True, False, True)
    assert done.about("attributes").level is Level.OK, "an update brings them"
    assert done.about("attributes").text.startswith("A create does not take attributes")
    assert done.about("updates").level is Level.OK


def test_a_create_that_refuses_attributes(standin: StandIn) -> None:
    done = Round(Refusing(standin), (1,), lambda waited: None)
    assert done.probe.account == Account(True, True, True, False, True)
    assert standin.contacts() == []


@pytest.mark.parametrize(("on", "creates"), [("any", False), ("update", True)])
def test_an_update_that_drops_attributes(on: str, creates: bool, standin: StandIn) -> None:
    standin.behave("attributes_not_stored", on=on)
    done = probe(standin)
    assert done.probe.account == Account(True, True, True, creates, True)
    assert done.about("updates").level is Level.WARNING
    assert "Define account_deleted_at" in done.about("updates").todo
    assert done.waited > SEARCH_FOR_S


class Strict(LiveDesk):
    """A LiveDesk that stores only the attributes that its project settings define."""

    def update(self, contact_id: str, changes: Mapping[str, Any]) -> int:
        sent = changes["custom_attributes"]
        defined = {name: sent[name] for name in sent if name == "account_deleted_at"}
        return super().update(contact_id, {"custom_attributes": defined})


def test_an_update_that_stores_what_is_defined(standin: StandIn) -> None:
    done = Round(Strict(standin.url, KEY, SECRET, timeout_s=1.0), (1,), lambda waited: None)
    assert done.probe.account == Account(True, True, True, True, True)
    assert done.about("updates").level is Level.OK
    assert "define those that you map" in done.about("updates").text


def test_an_update_that_replaces_attributes(standin: StandIn) -> None:
    standin.behave("attributes_not_merged")
    done = probe(standin)
    assert done.probe.account == Account(True, True, True, True, True)
    assert (
        done.about("updates").text
        == "An update removes the custom attributes that it does not name, those of agents too."
    )
    assert done.about("updates").level is Level.WARNING


@pytest.mark.parametrize("mode", ["method_not_allowed", "not_found", "forbidden", "status_500"])
def test_an_account_without_updates(mode: str, standin: StandIn) -> None:
    standin.behave(mode, on="update")
    done = probe(standin)
    assert done.probe.account == Account(True, True, True, True, True), "the rest is found out nevertheless"
    assert done.about("updates").level is Level.WARNING
    assert done.about("updates").text.startswith("LiveDesk refuses an update: ")


def test_a_search_that_shows_a_change_late(standin: StandIn) -> None:
    standin.behave("attributes_not_stored", on="update")
    done = probe(standin, after=lambda waited: standin.edit(standin.requests("update")[0].contact_id or 0, **LATE))
    assert done.about("updates").level is Level.OK
    assert done.waited == 1


def test_a_contact_that_is_not_shown(standin: StandIn) -> None:
    standin.behave("invisible")
    standin.behave("not_found", on="read")
    done = probe(standin)
    assert done.probe.account == Account(True, False, False, True, True), "the answer to the create has shown it"
    assert done.about("updates").text.startswith("Not known")


def test_an_account_that_keeps_no_identifier_unique(standin: StandIn) -> None:
    standin.behave("identifier_not_unique")
    done = probe(standin)
    assert done.probe.account == Account(False, True, True, True, True)
    assert [f.level for f in done.findings if f.about == "unique"] == [Level.WARNING]
    assert done.about("promise").level is Level.WARNING
    assert standin.contacts() == []


def test_an_account_that_drops_the_identifier(standin: StandIn) -> None:
    standin.behave("identifier_not_stored")
    done = probe(standin)
    assert done.probe.account == Account(False, False, False, True, True)
    assert done.about("identifier").level is Level.WARNING
    assert done.about("promise").level is Level.FAILED
    assert standin.contacts() == [], "their ids were in the answers"


def test_an_account_whose_search_finds_nothing(standin: StandIn) -> None:
    standin.behave("invisible")
    done = probe(standin)
    assert done.probe.account == Account(True, False, False, True, True)
    assert done.waited > 2 * SEARCH_FOR_S
    assert "never two contacts" in done.about("promise").text
    assert done.about("promise").level is Level.WARNING
    assert standin.contacts() == []


def test_an_account_whose_search_finds_only_contacts_with_an_address(standin: StandIn) -> None:
    standin.behave("crm_v2")
    done = probe(standin)
    assert done.probe.account == Account(True, True, False, True, True)
    assert done.about("bare search").level is Level.WARNING
    assert done.about("promise").level is Level.WARNING
    assert standin.contacts() == []


def test_a_search_that_lags_behind(standin: StandIn) -> None:
    standin.behave("invisible")
    done = probe(standin, after=lambda waited: standin.clear() if waited >= 3 else None)
    assert done.probe.account == Account(True, True, True, True, True)
    finding = next(f for f in done.findings if f.about == "search")
    assert (finding.level, finding.text) == (Level.WARNING, "A search finds a new contact only after 3 s.")


def test_a_search_that_ignores_what_is_searched_for(standin: StandIn) -> None:
    for number in range(PAGE_SIZE):
        standin.add_contact(identifier=f"somebody else {number}")
    standin.behave("q_ignored")
    done = probe(standin)
    assert done.probe.account == Account(True, False, False, True, True)
    assert len(standin.contacts()) == PAGE_SIZE, "nobody else is deleted"


def test_an_answer_that_does_not_repeat_the_identifier(standin: StandIn) -> None:
    standin.behave("null_identifier_echo")
    done = probe(standin)
    assert done.about("identifier").level is Level.WARNING
    assert done.probe.account == Account(True, True, True, True, True)


def test_an_account_that_refuses_every_contact(standin: StandIn) -> None:
    standin.behave("status", on="create", status=422, body='{"message": "no"}')
    done = probe(standin)
    assert done.probe.account is None
    assert done.about("live probes").text == "Stopped early: LiveDesk refuses the request (422)."


def test_an_inbox_that_is_not_there(standin: StandIn) -> None:
    done = probe(standin, (1, 9))
    assert [f.level for f in done.findings if f.about == "inbox"] == [Level.OK, Level.FAILED]
    assert "no inbox 9" in done.findings[1].text
    assert done.probe.account is None
    assert standin.contacts() == []


def test_an_inbox_of_another_type(standin: StandIn) -> None:
    standin.set_inbox(9, "Channel::Email")
    done = probe(standin, (1, 9))
    assert done.findings[1].text == "Inbox 9 accepts no such contact: The inbox needs an e-mail or a phone number."
    assert done.findings[1].level is Level.FAILED
    assert standin.contacts() == []


@pytest.mark.parametrize("mode", ["commit_then_500", "commit_then_reset"])
def test_probes_that_break_off_leave_nothing_behind(mode: str, standin: StandIn) -> None:
    standin.behave(mode, on="create", times=1)
    done = probe(standin)
    assert done.about("live probes").level is Level.FAILED
    assert done.probe.account is None
    assert len(standin.ledger()) == 1
    assert standin.contacts() == [], "what an answer was lost of is looked for"


def test_probes_that_somebody_interrupts_leave_nothing_behind(standin: StandIn) -> None:
    standin.behave("invisible")

    def interrupt(waited: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        probe(standin, after=interrupt)
    assert len(standin.ledger()) == 2
    assert standin.contacts() == []


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("searchable", [True, False])
@pytest.mark.parametrize("bare", [True, False])
def test_only_a_sound_account_gets_the_whole_promise(unique: bool, searchable: bool, bare: bool) -> None:
    level = promise(Account(unique, searchable, bare)).level
    assert (level is Level.OK) == (unique and searchable and bare)
    assert (level is Level.FAILED) == (not unique and not searchable)


# The hops


def hops(livedesk: LiveDesk) -> dict[str, Level]:
    return {finding.about: finding.level for finding in check_connection(livedesk)}


def test_each_hop_is_reported(standin: StandIn) -> None:
    told = hops(client_of(standin))
    assert list(told) == ["name", "connection", "TLS", "answer", "credentials", "search"]
    assert told.pop("TLS") is Level.WARNING, "the stand-in speaks http"
    assert set(told.values()) == {Level.OK}
    assert [request.kind for request in standin.requests(None)] == ["search"]


BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("credentials", "unauthorized", {}),
    ("credentials", "forbidden", {}),
    ("search", "not_found", {"on": "search"}),
    ("search", "q_ignored", {}),
    ("search", "endless_pages", {}),
    ("answer", "redirect", {}),
    ("answer", "throttle", {}),
    ("answer", "status_500", {}),
    ("answer", "reset", {}),
    ("answer", "hang", {}),
    ("answer", "html_200", {"on": "search"}),
]


@pytest.mark.parametrize(("hop", "mode", "options"), BROKEN, ids=[mode for _, mode, _ in BROKEN])
def test_the_hop_that_is_broken_is_named(hop: str, mode: str, options: dict[str, Any], standin: StandIn) -> None:
    standin.add_contact(identifier="somebody else")
    standin.behave(mode, **options)
    told = hops(client_of(standin))
    assert [about for about, level in told.items() if level is Level.FAILED] == [hop]
    assert list(told)[-1] == hop, "what comes behind it is not known"
    assert all(finding.todo for finding in check_connection(client_of(standin)) if finding.level is Level.FAILED)


def test_an_address_that_leads_nowhere() -> None:
    told = hops(LiveDesk("http://livedesk.invalid", KEY, SECRET, timeout_s=1))
    assert told == {"name": Level.FAILED}
