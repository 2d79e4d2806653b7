"""``flask contacts``, ``operations``, ``pause``, ``resume``, with exit codes."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from click.testing import Result

from tests.api import ApiWorld
from tests.invariants import assert_invariants
from tests.world import CONFLICT, CREATED, FAILED, RETRYING, wait_until
from worker.actions import BulkAction, OperationState
from worker.errors import StoreError
from worker.model import Contact, Resolution, State
from worker.store.lists import Filter

ADA = {"name": "Ada Lovelace", "email": "ada@example.com", "phone_number": "+4930123456"}


@pytest.fixture
def world(client: redis.Redis) -> Iterator[ApiWorld]:
    yield ApiWorld(client)
    assert_invariants(client)


def flask(world: ApiWorld, *arguments: str) -> Result:
    return world.app.test_cli_runner().invoke(args=list(arguments))


def lines(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def state_of(world: ApiWorld, key: str) -> State:
    record = world.store.contacts.read(key)
    assert record is not None
    return record.state


def audited(world: ApiWorld) -> list[tuple[str, str, str, str]]:
    return [(one.who, one.did, one.target, one.why) for one in world.store.audit.page()]


def test_contacts_are_listed_by_a_filter(world: ApiWorld) -> None:
    world.bring("ada", FAILED)
    key = world.bring("mary", FAILED, source="shop")
    world.bring("eve", CONFLICT)
    result = flask(world, "contacts", "list", "--state", "failed")
    assert result.exit_code == 0
    header, *rows = result.stdout.splitlines()
    assert header.split() == ["key", "identifier", "state", "work", "cause", "source", "attempts", "since"]
    assert next(row.split()[:6] for row in rows) == [key, "mary", "failed", "create", "email_refused", "shop"]
    for options, names in {
        ("--state", "failed", "--source", "shop"): ["mary"],
        ("--cause", "email_taken"): ["eve"],
        ("--state", "failed", "--attempts", "2"): [],
        ("--state", "failed", "--until", "2h"): [],
        ("--state", "failed", "--since", "2h", "--limit", "1"): ["mary"],
        ("--state", "failed", "--since", "2001-01-01T00:00:00Z", "--limit", "1", "--all"): ["mary", "ada"],
    }.items():
        assert [row["identifier"] for row in lines(flask(world, "contacts", "list", *options, "--json"))] == names


def test_a_contact_is_shown_by_its_exact_identifier_first(world: ApiWorld) -> None:
    """The identifier 2 is also the id in LiveDesk of somebody else, and the phone number of a third one."""
    other = world.bring("ada", replace(CREATED, contact_id="2"))
    assert lines(flask(world, "contacts", "show", "2", "--json"))[0]["key"] == other
    key = world.bring("2", FAILED)
    [shown] = lines(flask(world, "contacts", "show", "2", "--json"))
    assert (shown["key"], shown["identifier"]) == (key, "2")
    assert flask(world, "contacts", "retry", "2").exit_code == 0
    assert state_of(world, key) is State.RETRYING


def test_without_an_exact_identifier_several_matches_are_named(world: ApiWorld) -> None:
    keys = sorted(world.bring(name, FAILED, email="both@example.com") for name in ("ada", "mary"))
    result = flask(world, "contacts", "show", "both@example.com")
    assert result.exit_code != 0
    assert all(key in result.output for key in keys)


def test_a_list_says_how_many_contacts_it_omits(world: ApiWorld) -> None:
    for number in range(3):
        world.bring(f"person-{number}", FAILED)
    result = flask(world, "contacts", "list", "--state", "failed", "--limit", "2")
    assert (len(result.stdout.splitlines()), result.stderr) == (3, "2 of 3.\n")
    assert flask(world, "contacts", "list", "--state", "created").output == "No contacts match.\n"


def test_a_list_hides_identifiers_that_are_addresses(world: ApiWorld) -> None:
    world.bring("ada@example.com", FAILED)
    world.bring("+4930123456", FAILED)
    for form in ([], ["--json"]):
        listed = ("contacts", "list", "--state", "failed", *form)
        hidden, shown = flask(world, *listed).stdout, flask(world, *listed, "--reveal").stdout
        for identifier in ("ada@example.com", "+4930123456"):
            assert identifier not in hidden
            assert identifier in shown
    assert [did for _, did, _, _ in audited(world)] == ["revealed a list: failed"] * 2


@pytest.mark.parametrize(
    "options",
    [(), ("--source", "shop"), ("--state", "lost"), ("--state", "failed", "--since", "soon"), ("--colour", "red")],
)
def test_wrong_options_of_a_list_exit_with_2(options: tuple[str, ...], world: ApiWorld) -> None:
    assert flask(world, "contacts", "list", *options).exit_code == 2


@pytest.mark.parametrize("text", ["ada", "ada@example.com", "+4930123456", "KEY"])
def test_a_contact_is_shown_masked_unless_revealed(text: str, world: ApiWorld) -> None:
    key = world.bring("ada", FAILED, **ADA)
    told = text.replace("KEY", key)
    masked = flask(world, "contacts", "show", told)
    assert masked.exit_code == 0
    assert "email_refused" in masked.stdout
    assert not [value for value in ADA.values() if value in masked.stdout]
    assert audited(world) == []
    revealed = flask(world, "contacts", "show", told, "--reveal", "--who", "ada", "--why", "a call").stdout
    assert [value for value in ADA.values() if value not in revealed] == []
    assert audited(world) == [("ada", "revealed", key, "a call")]
    assert lines(flask(world, "contacts", "show", told, "--json"))[0]["key"] == key


@pytest.mark.parametrize("identifier", ["-1", "--json", "--", "-", "--reveal", "-ü b"])
def test_an_identifier_may_begin_with_a_dash(identifier: str, world: ApiWorld) -> None:
    key = world.bring(identifier, FAILED)
    for action, state in {"show": State.FAILED, "discard": State.DISCARDED, "retry": State.RETRYING}.items():
        assert flask(world, "contacts", action, "--", identifier).exit_code == 0
        assert state_of(world, key) is state


def test_terminal_control_sequences_are_not_printed(world: ApiWorld) -> None:
    world.bring("\x1b[2J\u202eada", FAILED, name="\u202eAda")
    for arguments in (("list", "--state", "failed"), ("show", "--reveal", "--", "\x1b[2J\u202eada")):
        result = flask(world, "contacts", *arguments)
        assert result.exit_code == 0
        assert "\x1b" not in result.output
        assert "\u202e" not in result.output


@pytest.mark.parametrize("action", ["show", "retry", "discard", "adopt", "known", "leave-out"])
def test_an_unknown_contact_is_not_found(action: str, world: ApiWorld) -> None:
    result = flask(world, "contacts", action, "nobody")
    assert (result.exit_code, result.stderr) == (1, "Error: There is no such contact.\n")


@pytest.mark.parametrize("action", ["retry", "discard", "adopt", "known", "leave-out"])
def test_a_refused_action_exits_with_1(action: str, world: ApiWorld) -> None:
    key = world.bring("joan", CREATED)
    assert flask(world, "contacts", action, "joan").exit_code == 1
    assert state_of(world, key) is State.CREATED
    assert audited(world) == []


def test_contacts_with_one_address_are_distinguished_by_key(world: ApiWorld) -> None:
    found = {world.bring(name, FAILED, email="office@example.com") for name in ("ada", "mary")}
    result = flask(world, "contacts", "retry", "office@example.com")
    assert result.exit_code == 1
    assert all(key in result.stderr for key in found)


def test_a_conflict_is_marked_as_known(world: ApiWorld) -> None:
    key, other = world.bring("eve", CONFLICT), world.bring("mary", CONFLICT)
    assert flask(world, "contacts", "known", "eve").output == "Known in LiveDesk as contact 12.\n"
    assert state_of(world, key) is State.CREATED
    (shown,) = lines(flask(world, "contacts", "known", "mary", "--contact-id", "77", "--json"))
    assert shown == {"key": other, "state": "created", "contact_id": 77}


def test_a_conflict_is_adopted_or_sent_without_the_field(world: ApiWorld) -> None:
    world.bring("eve", CONFLICT, email="eve@example.com")
    world.bring("mary", CONFLICT, email="mary@example.com")
    assert "Adopting" in flask(world, "contacts", "adopt", "eve").output
    assert world.claim("eve").resolution is Resolution.ADOPT
    assert "without the field" in flask(world, "contacts", "leave-out", "mary").output
    assert world.claim("mary").contact.email is None


def test_conflicts_are_resolved_in_bulk(world: ApiWorld) -> None:
    world.bring("eve", CONFLICT)
    world.bring("mary", replace(CONFLICT, owner_id=None))
    start = ("operations", "start", "known", "--cause", "email_taken")
    assert flask(world, *start, "--dry-run").stdout == (
        "1 contact, 1 skipped: it is not known which contact in LiveDesk has the value. LiveDesk's contact stays as it "
        "is. Nothing is sent, and ours counts as created.\n"
    )
    (begun,) = lines(flask(world, *start, "--yes", "--json"))
    world.operations.step()
    (shown,) = lines(flask(world, "operations", "show", begun["id"], "--json"))
    assert (shown["state"], shown["recovered"]) == ("done", 1)
    flask(world, "operations", "undo", begun["id"])
    world.operations.step()
    assert world.counts() == {State.CONFLICT: 2}


def test_a_contact_is_edited(world: ApiWorld) -> None:
    key = world.bring("ada", FAILED, email="ada@exmaple.com", name="Ada")
    arguments = ("contacts", "edit", "ada", "--set", "email", "Ada@Example.com", "--unset", "name", "--json")
    assert lines(flask(world, *arguments)) == [{"key": key, "state": "retrying", "waits_for": None}]
    record = world.store.contacts.read(key)
    assert record is not None
    assert record.contact == Contact("ada", 1, None, "ada@example.com")
    for wrong in (("--set", "email", "nobody"), ("--set", "identifier", "eve"), ()):
        assert flask(world, "contacts", "edit", "ada", *wrong).exit_code == 2


def test_livedesk_is_paused_and_resumed(world: ApiWorld) -> None:
    assert flask(world, "pause", "--who", "ada", "--why", "they move").output == "Sync paused.\n"
    assert flask(world, "pause").exit_code == 1
    assert world.store.upstream.read().paused_by == "ada"
    assert flask(world, "resume").output == "Sync resumed.\n"
    assert flask(world, "resume").exit_code == 1
    assert audited(world)[-1] == ("ada", "paused the sync", "", "they move")


def test_an_operation_starts_only_after_confirmation(world: ApiWorld) -> None:
    world.bring("ada", FAILED)
    start = ("operations", "start", "retry", "--state", "failed")
    result = flask(world, *start)
    assert (result.exit_code, result.stdout.startswith("1 contact.")) == (2, True)
    assert flask(world, *start, "--dry-run").exit_code == 0
    assert lines(flask(world, *start, "--dry-run", "--json"))[0]["eligible"] == 1
    assert world.store.operations.latest() == []
    assert flask(world, "operations", "start", "retry", "--state", "created", "--yes").exit_code == 1
    assert flask(world, "operations", "start", "retry", "--yes").exit_code == 2
    assert flask(world, "operations", "start", "discard", "--state", "failed", "--canary", "--yes").exit_code == 2


def test_an_operation_is_started_shown_and_changed(world: ApiWorld) -> None:
    world.bring("ada", FAILED)
    start = ("operations", "start", "retry", "--state", "failed", "--yes", "--canary", "--why", "fixed", "--json")
    (begun,) = lines(flask(world, *start))
    assert (begun["state"], begun["total"], begun["canary"], begun["why"]) == ("running", 1, True, "fixed")
    assert flask(world, *start).exit_code == 1, "an equal one is running"
    assert begun["id"] in flask(world, "operations", "list").stdout
    assert lines(flask(world, "operations", "list", "--json")) == [begun]
    assert "failed" in flask(world, "operations", "show", begun["id"]).stdout
    for turn, state in {"pause": "paused", "resume": "running", "cancel": "cancelled", "undo": "undoing"}.items():
        assert lines(flask(world, "operations", turn, begun["id"], "--json"))[0]["state"] == state
    assert flask(world, "operations", "resume", begun["id"]).exit_code == 1
    assert flask(world, "operations", "show", "0123456789ab").exit_code == 1


def test_wait_ends_with_the_operation(world: ApiWorld) -> None:
    """A worker runs it meanwhile."""
    world.bring("ada", FAILED)
    world.bring("mary", RETRYING)
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.05):
            try:
                world.store.operations.step()
            except StoreError:
                return

    worker = threading.Thread(target=work)
    worker.start()
    start = ("operations", "start", "discard", "--state", "failed", "--yes", "--wait", "--json")
    (done,) = lines(flask(world, *start))
    ended.set()
    worker.join()
    assert (done["state"], done["moved"]) == ("done", 1)


def test_wait_ends_if_the_operation_is_paused(world: ApiWorld) -> None:
    world.bring("ada", FAILED)
    operations = world.store.operations
    opened = operations.open(BulkAction.RETRY, Filter(state=State.FAILED), who="", why="", total=1)
    flask(world, "operations", "cancel", opened)

    def pause() -> None:
        wait_until(lambda: operations.latest()[0].state is OperationState.RUNNING, "it has started")
        flask(world, "operations", "pause", operations.latest()[0].id)

    other = threading.Thread(target=pause)
    other.start()
    result = flask(world, "operations", "start", "retry", "--state", "failed", "--yes", "--wait")
    other.join()
    assert result.exit_code == 1
    assert "paused" in result.stdout


def test_an_unknown_command_is_answered_with_those_that_exist(world: ApiWorld) -> None:
    result = flask(world, "contacts", "lst")
    assert result.exit_code == 2
    assert "list" in result.stderr
    assert all(name in result.stderr for name in ("show", "retry", "edit", "adopt", "known", "leave-out", "discard"))


def test_the_old_name_of_retry_is_not_listed(world: ApiWorld) -> None:
    listed = flask(world, "--help").stdout
    assert "contacts" in listed
    assert "  retry" not in listed
