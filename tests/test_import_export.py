"""``flask import``, ``export`` and ``erase``: contacts come from a file, go into one, and are forgotten."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from stack.processes import free_port
from tests.invariants import assert_invariants
from webhook_app import Parts, create_app
from webhook_app.cli.export import PAGE
from webhook_app.cli.rows import csv_rows
from webhook_app.table import bare, guarded
from worker import keys
from worker.hints import Hint
from worker.history import ContactRecord, History
from worker.model import Attempt, Contact, Outcome, State, Unanswered, Verdict
from worker.redis_client import connect
from worker.store import Erased, Store

LEASE_MS = 45_000
CREATED = Verdict(state=State.CREATED, contact_id="7", outcome=Outcome.CREATED, status=200)
LOST = Verdict(state=State.RETRYING, cause="answer_timeout", delay_ms=10**6, unanswered=Unanswered.NOW)
FAILED = Verdict(state=State.FAILED, cause="name_refused", status=422)


class Desk:
    """A store, and the commands."""

    def __init__(self, client: redis.Redis, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.store = Store(client, Hint("@key@ @id@"), lease_ms=LEASE_MS)
        self.history = History(client)
        self.inbox_id: int | None = 1

    def flask(self, *arguments: str) -> Result:
        parts = Parts(store=self.store, history=self.history, sources={}, inbox_id=self.inbox_id)
        return create_app(parts).test_cli_runner().invoke(args=list(arguments))

    def take(self, text: str | bytes, *arguments: str, name: str = "people.csv") -> Result:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.flask("import", str(path), *arguments)

    def record(self, identifier: str) -> ContactRecord:
        record = self.history.contact(identifier)
        assert record is not None
        return record

    def contact(self, identifier: str) -> Contact:
        contact = self.record(identifier).contact
        assert contact is not None
        return contact

    def key(self, identifier: str) -> str:
        return keys.contact_key(identifier, self.store.salt().encode())

    def bring(self, contact: Contact, verdict: Verdict) -> None:
        self.store.accept(contact, "app")
        claim = self.store.claim(self.key(contact.identifier), "token")
        assert claim is not None
        assert self.store.finish(claim, verdict, Attempt(claim.now, 1, verdict.status, verdict.cause)).written


@pytest.fixture
def desk(client: redis.Redis, tmp_path: Path) -> Iterator[Desk]:
    yield Desk(client, tmp_path)
    assert_invariants(client)


# Import


def test_contacts_are_taken_and_normalised(desk: Desk) -> None:
    result = desk.take(
        "identifier,name,email,phone_number,avatar_url,inbox_id\n"
        'ada," Ada  Lovelace ",ADA@Example.com,0151 12345678,https://example.com/a.png,5\n'
        "bob,,,,,\n",
        "--region",
        "DE",
    )
    assert (result.exit_code, result.stdout) == (0, "2 accepted, 0 duplicate, 0 bad.\n")
    assert desk.contact("ada") == Contact(
        "ada", 5, "Ada Lovelace", "ada@example.com", "+4915112345678", "https://example.com/a.png"
    )
    assert desk.contact("bob") == Contact("bob")
    assert desk.record("ada").source == "import"


def test_they_come_after_new_contacts_and_retries(desk: Desk) -> None:
    desk.take("identifier\nada\n")
    score: Any = desk.client.zscore(keys.DUE, desk.key("ada"))
    assert score // keys.LANE == 2
    assert desk.history.queue_length() == 0, "the sweep hands them over when there is room"
    assert desk.store.sweep().handed == 1


def test_an_import_again_does_no_harm(desk: Desk) -> None:
    desk.bring(Contact("ada", name="Ada"), CREATED)
    assert desk.take("identifier,name\nada,Ada\nbob,Bob\n").stdout == "1 accepted, 1 duplicate, 0 bad.\n"
    assert desk.take("identifier,name\nada,Ada\nbob,Bob\n").stdout == "0 accepted, 2 duplicate, 0 bad.\n"
    assert desk.record("ada").state is State.CREATED


def test_an_import_gives_a_failed_contact_another_try(desk: Desk) -> None:
    desk.bring(Contact("ada", name="Ada"), FAILED)
    desk.take("identifier,name\nada,Ada King\n")
    assert desk.record("ada").state is State.PENDING


def test_bad_rows_are_told_by_line_and_the_others_taken(desk: Desk) -> None:
    result = desk.take(
        'identifier,name,inbox_id\n,nobody,\n"a\nb","two lines",\n\ncyd,Cyd,nowhere\ndan,Dan,1,one too many\neve,Eve\n'
    )
    assert result.exit_code == 1
    assert result.stdout == "1 accepted, 0 duplicate, 4 bad.\n"
    assert result.stderr.splitlines()[-4:] == [
        "line 2: identifier: missing",
        "line 3: identifier: holds control characters or half a surrogate pair",
        "line 6: inbox_id: not an inbox id",
        "line 7: row: it has more cells than the header",
    ]
    assert desk.contact("eve").name == "Eve"


def test_what_is_left_out_is_told(desk: Desk) -> None:
    result = desk.take("identifier,email\nada,not an address\n")
    assert result.exit_code == 0
    assert "line 2: email: left out: not an e-mail address" in result.stderr
    assert "not an address" not in result.output.replace("not an e-mail address", "")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_spreadsheets_write(delimiter: str, desk: Desk) -> None:
    header, row = delimiter.join(["Identifier ", " NAME", "more"]), delimiter.join(["ada", "Äda", "x"])
    desk.take(b"\xef\xbb\xbf" + f"{header}\r\n{row}\r\n".encode())
    assert desk.contact("ada").name == "Äda"


def test_what_is_no_utf_8_is_bad_or_left_out(desk: Desk) -> None:
    result = desk.take(b"identifier,name\n\xe4da,x\nbob,B\xf6b\n")
    assert result.exit_code == 1
    assert "line 2: identifier: holds control characters or half a surrogate pair" in result.stderr
    assert desk.contact("bob").name == "Bb"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,email\nAda,a@b.c\n", "identifier among them"),
        ("", "identifier among them"),
        ("identifier,name,name\n", "more than one column name"),
    ],
)
def test_a_file_that_cannot_be_read(text: str, says: str, desk: Desk) -> None:
    result = desk.take(text)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_name_that_tells_no_format(desk: Desk) -> None:
    assert desk.take("identifier\nada\n", name="people.txt").exit_code == 2
    assert desk.take("identifier\nada\n", "--format", "csv", name="people.txt").exit_code == 0
    assert desk.flask("import", str(desk.folder / "none.csv")).exit_code == 2


def test_json_lines(desk: Desk) -> None:
    lines = [
        '{"identifier": 12345678901234567890, "name": "Ada"}',
        "",
        "{",
        "[]",
        '{"identifier": 1.5}',
        "[" * 100_000,
        '{"identifier": "bob", "email": null}',
        '{"identifier": true}',
    ]
    result = desk.take("\n".join(lines), name="people.jsonl")
    assert result.stdout == "3 accepted, 0 duplicate, 4 bad.\n"
    told = [line for line in result.stderr.splitlines() if line.startswith("line ")]
    assert [line.partition(":")[0] for line in told] == ["line 3", "line 4", "line 6", "line 8"]
    assert desk.contact("12345678901234567890").name == "Ada"
    assert desk.contact("1.5") == Contact("1.5")


def test_rows_without_an_inbox(desk: Desk) -> None:
    desk.inbox_id = None
    result = desk.take("identifier,inbox_id\nada,\nbob,3\n")
    assert result.exit_code == 1
    assert "LIVEDESK_INBOX_ID is not set" in result.stderr
    desk.take("identifier,inbox_id\nada,\n", "--inbox-id", "4")
    assert desk.contact("ada").inbox_id == 4


def test_a_redis_that_goes_away_is_told_with_the_line(desk: Desk) -> None:
    here, desk.store = (
        desk.store,
        Store(connect(f"redis://127.0.0.1:{free_port()}/0", timeout_s=1), Hint(""), lease_ms=0),
    )
    result = desk.take("identifier\nada\n")
    assert result.exit_code == 1
    assert "Lines before 2 are taken" in result.stderr
    desk.store = here


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=3))
def test_what_is_written_is_read_again(cells: list[str]) -> None:
    names = ["identifier", "name", "email"][: len(cells)]
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerows([names, [guarded(cell) for cell in cells]])
    rows = list(csv_rows(io.StringIO(file.getvalue(), newline="")))
    assert rows == ([(2, dict(zip(names, cells, strict=True)))] if any(cells) else [])


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "'"])
def test_no_spreadsheet_runs_a_cell(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert bare(guarded(text)) == text


@pytest.mark.parametrize("text", ["+4915112345678", "-5", "Ada", "", "a=b"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert guarded(text) == text
    assert bare(text) == text


# Export


def test_everything_is_exported(desk: Desk) -> None:
    desk.bring(Contact("ada", name="Ada"), CREATED)
    desk.bring(Contact("bob", name="=1+1"), FAILED)
    desk.store.accept(Contact("cyd", 3, "Cyd", phone_number="+4915112345678"), "app")
    result = desk.flask("export")
    assert result.exit_code == 0
    rows = {row["identifier"]: row for row in csv.DictReader(io.StringIO(result.stdout))}
    assert {name: row["state"] for name, row in rows.items()} == {"ada": "created", "bob": "failed", "cyd": "pending"}
    assert (rows["ada"]["contact_id"], rows["ada"]["name"]) == ("7", "")
    assert (rows["bob"]["name"], rows["bob"]["cause"]) == ("'=1+1", "name_refused")
    assert (rows["cyd"]["phone_number"], rows["cyd"]["inbox_id"]) == ("+4915112345678", "3")


def test_json_lines_are_exported_as_the_api_shows_them(desk: Desk) -> None:
    desk.bring(Contact("ädä", name="Ada"), FAILED)
    [line] = desk.flask("export", "--format", "jsonl").stdout.splitlines()
    row = json.loads(line)
    assert (row["identifier"], row["name"], row["email"], row["state"]) == ("ädä", "Ada", None, "failed")
    assert row["attempts"][0]["cause"] == "name_refused"


def test_only_some_states_are_exported(desk: Desk) -> None:
    desk.bring(Contact("ada"), CREATED)
    desk.bring(Contact("bob"), FAILED)
    desk.store.accept(Contact("cyd"), "app")
    lines = desk.flask("export", "--state", "failed", "--state", "pending", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["identifier"] for line in lines] == ["bob", "cyd"]


def test_all_pages_are_exported(desk: Desk) -> None:
    for number in range(PAGE + 3):
        desk.store.accept(Contact(f"user-{number}"), "app")
    rows = list(csv.DictReader(io.StringIO(desk.flask("export").stdout)))
    assert len({row["identifier"] for row in rows}) == len(rows) == PAGE + 3


@pytest.mark.parametrize(("form", "name"), [("csv", "people.csv"), ("jsonl", "people.jsonl")])
def test_what_was_exported_can_be_imported(form: str, name: str, desk: Desk) -> None:
    people = [
        Contact("=ada", 3, "-Ada", "ada@example.com", "+4915112345678", "https://example.com/a.png"),
        Contact("bob", None, 'B"o,b'),
        Contact("'cyd"),
    ]
    for contact in people:
        desk.store.accept(contact, "app")
    text = desk.flask("export", "--format", form).stdout
    desk.client.flushall()
    assert desk.take(text, name=name).stdout == "3 accepted, 0 duplicate, 0 bad.\n"
    assert [desk.contact(contact.identifier) for contact in people] == people


# Erase


def test_a_person_is_forgotten(desk: Desk) -> None:
    desk.bring(Contact("ada", name="Ada"), CREATED)
    result = desk.flask("erase", "ada")
    assert result.exit_code == 0
    assert "makes a new contact" in result.stdout
    assert "LiveDesk still has contact 7" in result.stdout
    assert "Nobody knows" not in result.stdout
    assert desk.history.contact("ada") is None
    assert set(desk.history.counts().values()) == {0}
    assert desk.client.zcard(keys.DUE) == 0


@pytest.mark.parametrize("verdict", [FAILED, LOST, Verdict(state=State.CONFLICT, cause="x", owner_id="9"), None])
def test_whatever_the_state_nothing_stays(verdict: Verdict | None, desk: Desk, client: redis.Redis) -> None:
    desk.store.salt()
    before = client.dbsize()
    if verdict is None:
        desk.store.accept(Contact("ada", name="Ada"), "app")
    else:
        desk.bring(Contact("ada", name="Ada"), verdict)
    assert desk.flask("erase", "ada").exit_code == 0
    names = cast(list[str], client.keys())
    counts = [name for name in names if name.startswith((keys.COUNTS, keys.minute(""), keys.people("")))]
    client.delete(keys.QUEUE, keys.CAUSES, keys.UPSTREAM, keys.FAILING, *counts)
    assert client.dbsize() == before


def test_an_answer_that_is_unknown_is_said(desk: Desk) -> None:
    desk.bring(Contact("ada"), LOST)
    assert "Nobody knows what became of a create" in desk.flask("erase", "ada").stdout


def test_nobody_is_forgotten_while_an_attempt_is_running(desk: Desk) -> None:
    desk.store.accept(Contact("ada"), "app")
    claim = desk.store.claim(desk.key("ada"), "token")
    assert claim is not None
    result = desk.flask("erase", "ada")
    assert result.exit_code == 1
    assert "An attempt is running" in result.stderr
    assert desk.record("ada").state is State.SENDING
    desk.store.shift_ms += LEASE_MS
    assert desk.store.erase("ada") == Erased("erased", "", True), "its worker has died"
    assert not desk.store.renew(claim)
    assert not desk.store.finish(claim, CREATED, Attempt(1, 1)).written, "a late answer brings nobody back"
    assert desk.history.contact("ada") is None
    assert desk.store.erase("ada") == Erased("gone")


def test_nobody_can_be_forgotten_twice(desk: Desk) -> None:
    result = desk.flask("erase", "ada")
    assert result.exit_code == 1
    assert "There is no contact with this identifier." in result.stderr


def test_who_was_forgotten_is_new(desk: Desk) -> None:
    desk.bring(Contact("ada"), CREATED)
    desk.flask("erase", "ada")
    assert desk.store.accept(Contact("ada"), "app").status == "accepted"
